//! The client's step log: what it did and heard, step by step, in `logs/cliente-<name>.log`.

use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::commit::message::{Asked, Message};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_steps::steplog::{Step, StepLog, Who};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A handle of the client's step log.
#[derive(Debug, Clone)]
pub struct Story {
    log: StepLog,
}

impl Story {
    /// A story around `log`.
    pub fn new(log: StepLog) -> Story {
        Story { log }
    }

    /// A story that is told to nobody.
    pub fn off() -> Story {
        Story { log: StepLog::off() }
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
