//! The client's step log: what it did and heard, step by step, in `logs/cliente-<name>.log`.

use consorcio_client::{ClientEvent, Observer};
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::commit::message::{Asked, Message};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_steps::steplog::{Step, StepLog, Who};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A handle of the client's step log.
#[derive(Debug, Clone)]
pub struct Story {
    log: StepLog,
    known: Known,
}

/// What is known so far, in one sentence, for those who interrupt.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<Mutex<Option<String>>>);

impl Known {
    /// This is known now.
    pub fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// What is known.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Observer for Story {
    fn observe(&self, event: &ClientEvent<'_>) {
        match event {
            ClientEvent::Connected(bank, from) => self.connected(*bank, *from),
            ClientEvent::NotConnected(bank, why) => self.not_connected(*bank, why),
            ClientEvent::Closed(bank, why) => self.cut(*bank, why),
            ClientEvent::Sent(bank, message) => self.sent(*bank, message),
            ClientEvent::Answered(bank, asked, reply) => self.received(*bank, asked, reply),
            ClientEvent::Asked(bank, request) => self.asked(*bank, request),
            ClientEvent::Replied(bank, reply) => self.answered(*bank, reply),
            ClientEvent::TimedOut(tx, silent) => self.timed_out(tx, *silent),
            ClientEvent::Ended { tx, verdict, oks, banks } => {
                self.verdict(tx, verdict, *oks, *banks);
            }
            ClientEvent::Standing { tx, oks, banks, verdict } => {
                self.known.set(standing_in_words(tx, *oks, *banks, *verdict));
            }
        }
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
            "interrupted: the outcome of transaction {tx} is not known yet (OKs {oks}/{banks}); the banks end it by \
             themselves. Ask later with: cliente resolve {tx}"
        )
    }
}

impl Story {
    /// A story around `log`.
    pub fn new(log: StepLog, known: Known) -> Story {
        Story { log, known }
    }

    /// A story that is told to nobody.
    pub fn off() -> Story {
        Story { log: StepLog::off(), known: Known::default() }
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

    /// A bank was connected to, from this address.
    pub fn connected(&self, bank: BankId, from: Option<SocketAddr>) {
        let step = from.map_or(Step::Connect(Who::Bank(bank)), |from| Step::Dialled(bank, from));
        self.log.record(step);
    }

    /// A bank could not be connected to.
    pub fn not_connected(&self, bank: BankId, why: &str) {
        self.log.record(Step::LinkDown(bank, why.into()));
    }

    /// A connection ended from the other side.
    pub fn cut(&self, bank: BankId, why: &str) {
        self.log.record(Step::Disconnect(Who::Bank(bank), why.into()));
    }

    /// A driver's message left.
    pub fn sent(&self, bank: BankId, message: &Message) {
        self.log.record(Step::of_message(message, bank));
    }

    /// A driver's message was answered.
    pub fn received(&self, bank: BankId, asked: &Asked, reply: &Reply) {
        self.log.record(Step::of_answer(bank, asked, Some(reply)));
    }

    /// Any other request left.
    pub fn asked(&self, bank: BankId, request: &Request) {
        self.log.record(Step::of_query(request, bank));
    }

    /// ... and was answered.
    pub fn answered(&self, bank: BankId, reply: &Reply) {
        self.log.record(Step::of_heard(reply, bank));
    }

    /// The driver's time-out is over.
    pub fn timed_out(&self, tx: &TxId, silent: consorcio_core::ids::BankSet) {
        self.log.record(Step::Timeout(tx.clone(), silent));
    }

    /// The verdict.
    pub fn verdict(&self, tx: &TxId, verdict: &Verdict, oks: usize, banks: usize) {
        self.log.record(Step::of_verdict(tx, verdict, oks, banks));
    }

    /// Writes what is left and closes.
    pub fn close(&self) {
        self.log.close();
    }
}
