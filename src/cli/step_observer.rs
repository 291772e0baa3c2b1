//! The client's step log: what it sent and received, in `logs/cliente-<name>.log`.

use super::language::say;
use consorcio_client::{ClientEvent, Observer, RequestNumber};
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::ids::TxId;
use consorcio_steps::steplog::{OtherEnd, RequestId, Step, StepLog};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// An observer that records the events of a client in its step log.
#[derive(Debug, Clone)]
pub(crate) struct StepObserver {
    log: StepLog,
    interrupt_notice: InterruptNotice,
}

/// What Ctrl-C does: the sentence to print, which says what is known so far, and the transaction
/// that the banks are then to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct InterruptNotice {
    text: Arc<Mutex<Option<String>>>,
    paused: Arc<Mutex<Option<TxId>>>,
}

impl InterruptNotice {
    pub(crate) fn set(&self, text: String) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// The sentence, if any.
    pub(crate) fn take(&self) -> Option<String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Sets the transaction that pauses, or none.
    pub(crate) fn pause(&self, tx: Option<TxId>) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = tx;
    }

    /// The transaction that pauses, if any.
    pub(crate) fn paused(&self) -> Option<TxId> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The request id for the step log.
fn id(request: RequestNumber) -> Option<RequestId> {
    RequestId::new(request.port, request.number)
}

impl Observer for StepObserver {
    fn observe(&self, event: &ClientEvent<'_>) {
        let step = match event {
            ClientEvent::Connecting(_) | ClientEvent::Greeted(_) => return,
            ClientEvent::Connected(bank, from) => Step::Connect(OtherEnd::Bank(*bank), *from),
            ClientEvent::NotConnected(bank, why) => Step::LinkDown(*bank, (*why).into()),
            ClientEvent::Closed(bank, why) => {
                Step::Disconnect(OtherEnd::Bank(*bank), (*why).into())
            }
            ClientEvent::Sent(bank, message, n) => Step::of_message(message, *bank, id(*n)),
            ClientEvent::Answered(bank, asked, reply, n) => {
                Step::of_answer(*bank, asked, Some(reply), id(*n))
            }
            ClientEvent::Asked(bank, request, n) => Step::of_sent_request(request, *bank, id(*n)),
            ClientEvent::Replied(bank, reply, n) => Step::of_received_reply(reply, *bank, id(*n)),
            ClientEvent::TimedOut(tx, silent) => Step::Timeout((*tx).clone(), *silent),
            ClientEvent::Ended { tx, verdict, oks, banks } => {
                Step::of_verdict(tx, verdict, *oks, *banks)
            }
            ClientEvent::Standing { tx, oks, banks, verdict } => {
                self.interrupt_notice.set(standing_in_words(tx, *oks, *banks, *verdict));
                return;
            }
        };
        self.log.record(step);
    }
}

/// The sentence for a transaction under way.
fn standing_in_words(tx: &TxId, oks: usize, banks: usize, verdict: Option<&Verdict>) -> String {
    // The votes are the decision, whether it is known or not.
    if oks == banks {
        say!(
            "interrupted: transaction {tx} is committed (OKs {oks}/{banks})"
                / "interrompido: a transação {tx} está efetivada (OKs {oks}/{banks})"
        )
    } else if matches!(verdict, Some(Verdict::Aborted { .. })) {
        say!(
            "interrupted: transaction {tx} is aborted (OKs {oks}/{banks})"
                / "interrompido: a transação {tx} está abortada (OKs {oks}/{banks})"
        )
    } else {
        say!(
            "interrupted: the outcome of transaction {tx} is not known yet (OKs {oks}/{banks}); \
             the banks end it by themselves. Ask later with: cliente resolve {tx}"
                / "interrompido: o resultado da transação {tx} ainda não é conhecido (OKs \
             {oks}/{banks}); os bancos a terminam por si. Pergunte depois com: cliente resolver \
             {tx}"
        )
    }
}

impl StepObserver {
    /// An observer that records in `log`.
    pub(crate) fn new(log: StepLog, interrupt_notice: InterruptNotice) -> StepObserver {
        StepObserver { log, interrupt_notice }
    }

    /// An observer that records nothing.
    pub(crate) fn off() -> StepObserver {
        StepObserver { log: StepLog::off(), interrupt_notice: InterruptNotice::default() }
    }

    /// The log file of the client `name`: `cliente-1.log` for both `cliente-1` and `1`.
    pub(crate) fn path(folder: &Path, name: &str) -> PathBuf {
        let short = name.strip_prefix("cliente-").filter(|rest| !rest.is_empty()).unwrap_or(name);
        folder.join(format!("cliente-{short}.log"))
    }

    /// Records the start of a command.
    pub(crate) fn began(&self, command: &str) {
        self.log.record(Step::Start(command.into()));
    }

    /// Records the end of the program.
    pub(crate) fn ended(&self, result: &str) {
        self.log.record(Step::Stop(result.into()));
    }

    /// Writes all recorded steps and closes the log.
    pub(crate) fn close(&self) {
        self.log.close();
    }
}
