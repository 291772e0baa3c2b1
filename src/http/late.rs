//! The time-out of a request's waits for the bank, and the text of the response after it.
//!
//! The bank answers once its answer is durable, so a data disk that hangs delays all answers. A
//! request ends all the same: its waits for the bank and for permits share one time-out. A slow
//! body and other banks have time-outs of their own.

use consorcio_core::ids::BankId;
use consorcio_core::limits::HTTP_ANSWER_MS_MAX;
use consorcio_panel::texts::Lang;
use std::cell::Cell;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout};

tokio::task_local! {
    /// The time that the request may still wait.
    static LEFT: Cell<Duration>;
}

const IN_ALL: Duration = Duration::from_millis(HTTP_ANSWER_MS_MAX);

/// Runs the handler of a request, whose waits share one time-out.
pub(crate) async fn with_bound<T>(answer: impl Future<Output = T>) -> T {
    LEFT.scope(Cell::new(IN_ALL), answer).await
}

/// Awaits `wait`; `None` if the request's time-out ends first.
pub(crate) async fn in_time<T>(wait: impl Future<Output = T>) -> Option<T> {
    let left = LEFT.try_with(Cell::get).unwrap_or(IN_ALL);
    let began = Instant::now();
    let answered = timeout(left, wait).await.ok();
    // Outside of a request nothing is shared.
    let _ = LEFT.try_with(|of_request| of_request.set(left.saturating_sub(began.elapsed())));
    answered
}

/// The bank did not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Late {
    /// The bank that did not answer.
    pub bank: BankId,
    /// The age of the sync under way, if it is slow.
    pub disk_ms: Option<u64>,
    /// The bank has a request that changes something, and may still carry it out.
    pub may_be_done: bool,
}

impl Late {
    /// The text of the response.
    pub(crate) fn words(self, lang: Lang) -> String {
        let Late { bank, disk_ms, may_be_done } = self;
        let why = match (lang, disk_ms.map(|ms| ms / 1_000)) {
            (Lang::Pt, Some(s)) => format!("banco {bank}: o disco não responde há {s} s"),
            (Lang::En, Some(s)) => format!("bank {bank}: its disk has not answered for {s} s"),
            (Lang::Pt, None) => {
                format!("banco {bank}: não respondeu em {} s", HTTP_ANSWER_MS_MAX / 1_000)
            }
            (Lang::En, None) => {
                format!("bank {bank}: it has not answered within {} s", HTTP_ANSWER_MS_MAX / 1_000)
            }
        };
        let then = match (lang, may_be_done, disk_ms.is_some()) {
            (Lang::Pt, true, _) => "; o pedido ainda pode ser feito",
            (Lang::En, true, _) => "; the request may still be carried out",
            (Lang::Pt, false, true) => {
                "; o que ele guarda pode ser lido de novo quando o disco responder"
            }
            (Lang::En, false, true) => "; what it holds can be read again once it does",
            (Lang::Pt, false, false) => "; tente de novo",
            (Lang::En, false, false) => "; try again",
        };
        format!("{why}{then}")
    }
}
