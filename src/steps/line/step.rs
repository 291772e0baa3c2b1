//! The steps: a closed list of the events of the step log. A step is small, so that recording one
//! is cheap: it holds names, numbers, static words, and a shared transaction. The log's thread
//! formats it later (`table` has the form of each, `parts` what they are made of).

use super::field::CpfEnd;
use super::ops::LoggedOps;
use super::parts::{Load, LoggedOutcome, OkCount, Ordinal, OtherEnd, ReplySummary, RequestId};
use consorcio_core::access::Name;
use consorcio_core::bank::io::{DoubtCause, Seq};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::{AccountNumber, BankId, BankSet, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::token::KeyId;
use consorcio_core::wire::verb::Verb;
use std::net::SocketAddr;

/// A step and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Wall clock time, in microseconds since 1970.
    pub at_us: i64,
    /// The event with its fields.
    pub step: Step,
}

/// An event of the step log. `Step::event` has its word on the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The program started: its version, and its arguments.
    Start(Box<str>),
    /// The file begins here, while the program runs: the text of its start.
    Node(Box<str>),
    /// The program accepts connections.
    Ready(Box<str>),
    /// Recovery has read the journal.
    Recover {
        /// The number of records.
        records: u64,
        /// The number of the newest record.
        seq: Seq,
        /// The number of undecided transactions.
        undecided: usize,
        /// The duration in microseconds.
        took_us: u64,
        /// Further facts: a torn tail that was truncated, a snapshot that was used.
        text: Box<str>,
    },
    /// A connection was accepted or made. One that was made has the address of this end, which
    /// identifies the connection in the bank's log.
    Connect(OtherEnd, Option<SocketAddr>),
    /// A connection ended, for this reason.
    Disconnect(OtherEnd, Box<str>),
    /// A request was received.
    Receive {
        /// The sender of the request.
        peer: OtherEnd,
        /// The verb of the request.
        verb: Verb,
        /// The transaction that it concerns.
        tx: Option<TxId>,
        /// The load of the request.
        load: Load,
        /// The number of the request on its connection.
        n: Ordinal,
        /// The name of whoever sent it; in open mode there is none.
        by: Option<Box<Name>>,
        /// The operations of an EXECUTE. Those of a PREPARE are named by the vote.
        ops: LoggedOps,
    },
    /// A line was received that is no request, or the stream exceeded a bound.
    Bad(OtherEnd, Reason, Box<str>),
    /// This bank voted on a transaction.
    Vote {
        /// The id of the transaction.
        tx: TxId,
        /// The time of the vote.
        time: Time,
        /// The number of its record.
        seq: Seq,
        /// The size of the transaction, and its banks.
        load: Load,
        /// The reason of a refusal; `None` is OK.
        refusal: Option<Reason>,
        /// The operations of the transaction.
        ops: LoggedOps,
        /// The text of the refusal.
        text: Box<str>,
    },
    /// This bank refused an id permanently, before it received its transaction.
    Refuse {
        /// The id that it refused.
        tx: TxId,
        /// The time of the refusal.
        time: Time,
        /// The reason of the refusal.
        reason: Reason,
        /// The number of its record.
        seq: Seq,
    },
    /// This bank recorded the outcome.
    Outcome {
        /// The id of the transaction.
        tx: TxId,
        /// The outcome of the transaction.
        ending: LoggedOutcome,
        /// The number of its record.
        seq: Seq,
        /// The time of this bank's vote, where one record is vote and outcome.
        voted: Option<Time>,
        /// The operations of the transaction, where memory has them.
        ops: LoggedOps,
    },
    /// This bank drove a transaction that does not name it, and recorded it for its history.
    Drove {
        /// The id of the transaction.
        tx: TxId,
        /// The outcome of the transaction.
        ending: LoggedOutcome,
        /// The number of its record.
        seq: Seq,
        /// The operations of the transaction.
        ops: LoggedOps,
    },
    /// A client was registered. The log does not hold its whole tax number.
    Client(CpfEnd, Seq),
    /// An account was opened.
    Account(AccountNumber, Seq),
    /// The consortium's list was recorded: this bank's position, and the number of positions.
    Consortium(BankId, usize, Seq),
    /// The consortium's key was recorded, by its id.
    Key(KeyId, Seq),
    /// This number of registers was learned from another bank; whether they were the last ones.
    Registers(usize, bool, Seq),
    /// The journal's founding id was recorded; whether the journal is older than that.
    Founded(FoundingId, bool, Seq),
    /// Introductions were exchanged with another bank, which has this journal.
    Met(BankId, FoundingId, Seq),
    /// This bank takes part from now on; these banks were left out of its introduction.
    Introduced(BankSet, Seq),
    /// The bank's clock was moved.
    Clock(Time, Seq),
    /// A request was sent to a bank: a driver's message, or a client's request outside of the
    /// commit protocol.
    Send {
        /// The bank that it was sent to.
        to: BankId,
        /// The verb of the request.
        verb: Verb,
        /// The transaction that it concerns.
        tx: Option<TxId>,
        /// The load of the request.
        load: Load,
        /// The number of the request, and its connection.
        id: Option<RequestId>,
        /// The operations of a PREPARE or EXECUTE.
        ops: LoggedOps,
    },
    /// A question was sent to another bank about a transaction in doubt.
    Ask {
        /// The bank that it was sent to.
        to: BankId,
        /// The verb of the request.
        verb: Verb,
        /// The transaction that it concerns.
        tx: Option<TxId>,
        /// The load of the request.
        load: Load,
        /// The number of the request, and its connection.
        id: Option<RequestId>,
    },
    /// A reply was sent.
    Reply {
        /// The receiver of the reply.
        peer: OtherEnd,
        /// The transaction that it concerns.
        tx: Option<TxId>,
        /// The content of the reply.
        summary: ReplySummary,
        /// The number of the request that it answers.
        n: Ordinal,
        /// Its text for people.
        text: Box<str>,
    },
    /// A reply of a bank was received.
    Answer {
        /// The bank that replied.
        from: BankId,
        /// The verb of the request, where a driver or a bank sent it.
        verb: Option<Verb>,
        /// The transaction that it concerns.
        tx: Option<TxId>,
        /// The content of the reply; `None` once none can arrive any more.
        summary: Option<ReplySummary>,
        /// The request that it answers; also `None` where that was never sent.
        id: Option<RequestId>,
        /// Its text for people.
        text: Box<str>,
    },
    /// This bank began to ask its peers about a transaction.
    Doubt(TxId, DoubtCause),
    /// This bank drives the transaction.
    Drive(TxId),
    /// A driver's vote time-out passed, and these banks were silent.
    Timeout(TxId, BankSet),
    /// A session stopped waiting before there was an outcome.
    GaveUp(TxId),
    /// A driver has counted the OK of a bank.
    Count {
        /// The id of the transaction.
        tx: TxId,
        /// The bank that voted OK.
        from: BankId,
        /// The number of OKs with this one, and of banks that were asked.
        oks: OkCount,
    },
    /// A driver has its verdict.
    Verdict {
        /// The id of the transaction.
        tx: TxId,
        /// The outcome that the driver knows.
        ending: LoggedOutcome,
        /// The number of OKs, and of banks that were asked.
        oks: (usize, usize),
    },
    /// A batch was made durable.
    Sync {
        /// The newest record that it covers.
        upto: Seq,
        /// The number of records that it wrote.
        records: usize,
        /// The size of these records in bytes.
        bytes: usize,
        /// The duration of write and sync, in microseconds.
        took_us: u64,
    },
    /// The link to a bank is open; dialling and handshake took this long, in microseconds.
    LinkUp(BankId, u64),
    /// The link to a bank was lost, or could not be made, for this reason.
    LinkDown(BankId, Box<str>),
    /// A bank reported the time of the last vote of this bank that it knows.
    Known(BankId, Time),
    /// A fault, described for the operator.
    Fault(Box<str>),
    /// The program ends, for this reason.
    Stop(Box<str>),
}

impl Step {
    /// The number of its record, where that belongs to a transaction.
    pub fn seq(&self) -> Option<Seq> {
        match self {
            Step::Vote { seq, .. }
            | Step::Refuse { seq, .. }
            | Step::Outcome { seq, .. }
            | Step::Drove { seq, .. } => Some(*seq),
            _ => None,
        }
    }

    /// The bank at the other end.
    pub(crate) fn bank(&self) -> Option<BankId> {
        match self.peer() {
            Some(OtherEnd::Link(_, bank) | OtherEnd::Bank(bank)) => Some(bank),
            Some(OtherEnd::Address(_)) | None => None,
        }
    }

    /// The other end, where the line has its address. What passes over a connection to a bank has
    /// the bank's position alone: the first lines of the log have its address.
    pub(crate) fn addressed(&self) -> Option<OtherEnd> {
        let is_connection = matches!(
            self,
            Step::Connect(..) | Step::Disconnect(..) | Step::LinkUp(..) | Step::LinkDown(..)
        );
        self.peer().filter(|peer| is_connection || !matches!(peer, OtherEnd::Bank(_)))
    }

    /// The heap memory of the step, roughly, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let text = match self {
            Step::Start(text)
            | Step::Node(text)
            | Step::Ready(text)
            | Step::Fault(text)
            | Step::Stop(text) => text.len(),
            Step::Recover { text, .. }
            | Step::Vote { text, .. }
            | Step::Reply { text, .. }
            | Step::Answer { text, .. } => text.len(),
            Step::Disconnect(_, text) | Step::Bad(_, _, text) | Step::LinkDown(_, text) => {
                text.len()
            }
            Step::Account(number, _) => number.as_str().len(),
            Step::Connect(..)
            | Step::Receive { .. }
            | Step::Refuse { .. }
            | Step::Outcome { .. }
            | Step::Drove { .. }
            | Step::Client(..)
            | Step::Consortium(..)
            | Step::Key(..)
            | Step::Registers(..)
            | Step::Founded(..)
            | Step::Met(..)
            | Step::Introduced(..)
            | Step::Clock(..)
            | Step::Send { .. }
            | Step::Ask { .. }
            | Step::Doubt(..)
            | Step::Drive(_)
            | Step::Timeout(..)
            | Step::GaveUp(_)
            | Step::Count { .. }
            | Step::Verdict { .. }
            | Step::Sync { .. }
            | Step::LinkUp(..)
            | Step::Known(..) => 0,
        };
        let ops = self.ops().map_or(0, LoggedOps::heap_bytes);
        text + ops + self.tx().map_or(0, |tx| tx.as_str().len())
    }

    /// The load of its request or transaction, whether a field or the operations have it.
    pub fn load(&self) -> Load {
        let load = match self {
            Step::Receive { load, .. }
            | Step::Vote { load, .. }
            | Step::Send { load, .. }
            | Step::Ask { load, .. } => *load,
            _ => Load::Nothing,
        };
        match load {
            Load::Nothing => self.ops().map_or(Load::Nothing, LoggedOps::load),
            load => load,
        }
    }

    /// The operations that its line names, where it has a place for them.
    pub fn ops(&self) -> Option<&LoggedOps> {
        match self {
            Step::Receive { ops, .. }
            | Step::Vote { ops, .. }
            | Step::Outcome { ops, .. }
            | Step::Drove { ops, .. }
            | Step::Send { ops, .. } => Some(ops),
            _ => None,
        }
    }
}
