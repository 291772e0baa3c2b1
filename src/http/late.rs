//! How long a request may wait for the bank, and what is said where the bank does not answer in
//! that time.
//!
//! The bank answers once what it says is durable, so a data disk that hangs holds its answers. A
//! request ends all the same: its waits for the bank, and for turns, have one bound together. What
//! it waits for besides has bounds of its own: a body that comes slowly, and other banks.

use consorcio_core::ids::BankId;
use consorcio_core::limits::HTTP_ANSWER_MS_MAX;
use consorcio_panel::texts::Lang;
use std::cell::Cell;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout};

tokio::task_local! {
    /// How long the request may wait still.
    static LEFT: Cell<Duration>;
}

const IN_ALL: Duration = Duration::from_millis(HTTP_ANSWER_MS_MAX);

/// Answers a request whose waits have one bound together.
pub async fn with_bound<T>(answer: impl Future<Output = T>) -> T {
    LEFT.scope(Cell::new(IN_ALL), answer).await
}

/// What `waits` gives; `None` where the request has waited too long before that.
pub async fn in_time<T>(waits: impl Future<Output = T>) -> Option<T> {
    let left = LEFT.try_with(Cell::get).unwrap_or(IN_ALL);
    let began = Instant::now();
    let answered = timeout(left, waits).await.ok();
    // Without a request there is nothing to share.
    let _ = LEFT.try_with(|of_request| of_request.set(left.saturating_sub(began.elapsed())));
    answered
}

/// The bank did not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// Which bank.
    pub bank: BankId,
    /// How long its disk has not finished a sync, where that takes long.
    pub disk_ms: Option<u64>,
    /// A request that changes something was handed to the bank, which may still do it.
    pub may_be_done: bool,
}

impl Late {
    /// In one sentence.
    pub fn words(self, lang: Lang) -> String {
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
