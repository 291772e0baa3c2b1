//! The client's step log: what it did and heard, step by step, in `logs/cliente-<name>.log`.

use consorcio_client::{ClientEvent, Observer, RequestNumber};
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::ids::TxId;
use consorcio_steps::steplog::{OtherEnd, RequestId, Step, StepLog};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A handle of the client's step log.
#[derive(Debug, Clone)]
pub struct StepObserver {
    log: StepLog,
    known: KnownSoFar,
}

/// What is known so far, in one sentence, for those who interrupt.
#[derive(Debug, Clone, Default)]
pub struct KnownSoFar(Arc<Mutex<Option<String>>>);

impl KnownSoFar {
    /// This is known now.
    pub fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// What is known.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The number as the step log has it.
fn id(request: RequestNumber) -> Option<RequestId> {
    RequestId::new(request.port, request.number)
}

impl Observer for StepObserver {
    fn observe(&self, event: &ClientEvent<'_>) {
        let step = match event {
            ClientEvent::Connected(bank, from) => Step::Connect(OtherEnd::Bank(*bank), *from),
            ClientEvent::NotConnected(bank, why) => Step::LinkDown(*bank, (*why).into()),
            ClientEvent::Closed(bank, why) => {
                Step::Disconnect(OtherEnd::Bank(*bank), (*why).into())
            }
            ClientEvent::Sent(bank, message, n) => Step::of_message(message, *bank, id(*n)),
            ClientEvent::Answered(bank, asked, reply, n) => {
                Step::of_answer(*bank, asked, Some(reply), id(*n))
            }
            ClientEvent::Asked(bank, request, n) => Step::of_query(request, *bank, id(*n)),
            ClientEvent::Replied(bank, reply, n) => Step::of_heard(reply, *bank, id(*n)),
            ClientEvent::TimedOut(tx, silent) => Step::Timeout((*tx).clone(), *silent),
            ClientEvent::Ended { tx, verdict, oks, banks } => {
                Step::of_verdict(tx, verdict, *oks, *banks)
            }
            ClientEvent::Standing { tx, oks, banks, verdict } => {
                self.known.set(standing_in_words(tx, *oks, *banks, *verdict));
                return;
            }
        };
        self.log.record(step);
    }
}

/// What Ctrl-C says of a transaction that is under way.
fn standing_in_words(tx: &TxId, oks: usize, banks: usize, verdict: Option<&Verdict>) -> String {
    // The votes are the decision, whether somebody knows it or not.
    if oks == banks {
        format!("interrupted: transaction {tx} is committed (OKs {oks}/{banks})")
    } else if matches!(verdict, Some(Verdict::Aborted { .. })) {
        format!("interrupted: transaction {tx} is aborted (OKs {oks}/{banks})")
    } else {
        format!(
            "interrupted: the outcome of transaction {tx} is not known yet (OKs {oks}/{banks}); \
             the banks end it by themselves. Ask later with: cliente resolve {tx}"
        )
    }
}

impl StepObserver {
    /// Records what it observes in `log`.
    pub fn new(log: StepLog, known: KnownSoFar) -> StepObserver {
        StepObserver { log, known }
    }

    /// Records nothing.
    pub fn off() -> StepObserver {
        StepObserver { log: StepLog::off(), known: KnownSoFar::default() }
    }

    /// Where the client called `name` keeps its log: `cliente-1` and `1` both in `cliente-1.log`.
    pub fn path(folder: &Path, name: &str) -> PathBuf {
        let short = name.strip_prefix("cliente-").filter(|rest| !rest.is_empty()).unwrap_or(name);
        folder.join(format!("cliente-{short}.log"))
    }

    /// A command began.
    pub fn began(&self, what: &str) {
        self.log.record(Step::Start(what.into()));
    }

    /// The program ends.
    pub fn ended(&self, how: &str) {
        self.log.record(Step::Stop(how.into()));
    }

    /// Writes what is left and closes.
    pub fn close(&self) {
        self.log.close();
    }
}
