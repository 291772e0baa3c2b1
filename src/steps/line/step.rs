//! The steps: a closed list of what a line of the step log can say, kept small so that recording
//! one is cheap. A step holds names, numbers and static words; its text is made later, on the
//! log's own thread (`table` has the form of each).

use super::field::CpfEnd;
use consorcio_core::bank::io::{DoubtCause, Seq};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::{AccountNumber, BankId, BankSet, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::token::KeyId;
use consorcio_core::wire::verb::Verb;
use std::net::SocketAddr;
use std::num::NonZeroU64;

/// A step and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The wall clock, in microseconds since 1970.
    pub at_us: i64,
    /// What happened.
    pub step: Step,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherEnd {
    /// A connection from this address.
    Address(SocketAddr),
    /// A bank's link that came from this address.
    Link(SocketAddr, BankId),
    /// The bank in this place, at the address that the consortium's list says.
    Bank(BankId),
}

/// Which request of a connection, 1 for its first line: both ends count the lines in their order,
/// and the answer to a request has its number. `None` in logs of versions that did not count.
pub type Ordinal = Option<NonZeroU64>;

/// A request that this node sent: from which port, and the number it has on that connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    /// The port of this node's end: the other end's log has it in its `peer=`.
    pub port: u16,
    /// Counted from 1.
    pub n: NonZeroU64,
}

impl RequestId {
    /// Request number `n` of the connection from `port`; `None` for 0, which is no request.
    pub fn new(port: u16, n: u64) -> Option<RequestId> {
        NonZeroU64::new(n).map(|n| RequestId { port, n })
    }
}

/// What a request or message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Nothing worth telling.
    Nothing,
    /// A transaction with so many operations at these banks.
    Ops(usize, BankSet),
    /// The same, where an outside coordinator has a vote on it.
    OpsOutside(usize, BankSet),
    /// So many tokens.
    Tokens(usize),
}

/// What a reply says, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplySummary {
    /// Its first word on the wire.
    pub word: &'static str,
    /// Whose vote it has.
    pub by: Option<BankId>,
    /// The vote's time, or the commit's for COMMITTED.
    pub time: Option<Time>,
    /// Why it refuses.
    pub reason: Option<Reason>,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Committed at this time.
    Committed(Time),
    /// Aborted because this bank refused, for this reason.
    Aborted(BankId, Reason),
    /// The outside coordinator voted at this time, and with that decided it; `None` is OK.
    Outside(Time, Option<Reason>),
    /// Not known: these banks are silent.
    Unknown(BankSet),
    /// Nothing was sent, because no bank could be reached.
    Unreached,
}

/// One step. The names of the events on their lines are those of `Step::event`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The program began: its version, and with what.
    Start(Box<str>),
    /// It can be reached now.
    Ready(Box<str>),
    /// The journal was read.
    Recover {
        /// Records read.
        records: u64,
        /// The newest record's number.
        seq: Seq,
        /// Undecided transactions found.
        undecided: usize,
        /// How long it took, in microseconds.
        took_us: u64,
        /// What else: a torn tail that was cut, a snapshot used.
        text: Box<str>,
    },
    /// A connection was accepted, or made: then with the address of this end, by which the bank's
    /// log knows it.
    Connect(OtherEnd, Option<SocketAddr>),
    /// A connection ended: why.
    Disconnect(OtherEnd, Box<str>),
    /// A request came.
    Receive {
        /// Where from.
        peer: OtherEnd,
        /// Its verb.
        verb: Verb,
        /// Its transaction.
        tx: Option<TxId>,
        /// What it carries.
        load: Load,
        /// Its number on its connection.
        n: Ordinal,
    },
    /// A line came that is no request, or the stream broke a bound.
    Bad(OtherEnd, Reason, Box<str>),
    /// This bank voted.
    Vote {
        /// On what.
        tx: TxId,
        /// The vote's time.
        time: Time,
        /// Its record.
        seq: Seq,
        /// The transaction's size and banks.
        load: Load,
        /// Why it refuses; `None` is OK.
        refusal: Option<Reason>,
        /// ... in words.
        text: Box<str>,
    },
    /// This bank refused an id for ever, unseen.
    Refuse {
        /// The id.
        tx: TxId,
        /// When.
        time: Time,
        /// Why.
        reason: Reason,
        /// Its record.
        seq: Seq,
    },
    /// The outcome at this bank.
    Outcome {
        /// Of what.
        tx: TxId,
        /// What became of it.
        ending: Ending,
        /// Its record.
        seq: Seq,
        /// The own vote's time, where one record is vote and outcome.
        voted: Option<Time>,
    },
    /// What this bank drove without a part in it is in its history now.
    Drove {
        /// The transaction.
        tx: TxId,
        /// What became of it.
        ending: Ending,
        /// Its record.
        seq: Seq,
    },
    /// A client was registered. The number is not told in full in a log that many may read.
    Client(CpfEnd, Seq),
    /// An account was opened.
    Account(AccountNumber, Seq),
    /// The consortium's list was recorded: this bank's place and how many there are.
    Consortium(BankId, usize, Seq),
    /// The consortium's key, by its id.
    Key(KeyId, Seq),
    /// So many registers were learned from another bank; the last ones?
    Registers(usize, bool, Seq),
    /// The journal's founding id was recorded; is the journal older than that?
    Founded(FoundingId, bool, Seq),
    /// Another bank was met, with this journal.
    Met(BankId, FoundingId, Seq),
    /// This bank takes part from here on; these banks were left out.
    Introduced(BankSet, Seq),
    /// The clock was moved.
    Clock(Time, Seq),
    /// A request left for a bank: a driver's message, or a client's request outside of the commit
    /// protocol.
    Send {
        /// The bank that it is for.
        to: BankId,
        /// Its verb.
        verb: Verb,
        /// About what.
        tx: Option<TxId>,
        /// What it carries.
        load: Load,
        /// Which request of which connection.
        id: Option<RequestId>,
    },
    /// The same of a question to another bank about a transaction in doubt.
    Ask {
        /// The bank that it is for.
        to: BankId,
        /// Its verb.
        verb: Verb,
        /// About what.
        tx: Option<TxId>,
        /// What it carries.
        load: Load,
        /// Which request of which connection.
        id: Option<RequestId>,
    },
    /// A reply was given.
    Reply {
        /// Where to.
        peer: OtherEnd,
        /// About what.
        tx: Option<TxId>,
        /// What it says.
        said: ReplySummary,
        /// The number of the request that it answers.
        n: Ordinal,
        /// What it says to people.
        text: Box<str>,
    },
    /// A bank answered.
    Answer {
        /// The bank.
        from: BankId,
        /// What it was asked, where a driver or a bank did.
        verb: Option<Verb>,
        /// About what.
        tx: Option<TxId>,
        /// What it says; `None` when it can't any more.
        said: Option<ReplySummary>,
        /// The request that it answers; `None` too where it was never sent.
        id: Option<RequestId>,
        /// What it says to people.
        text: Box<str>,
    },
    /// This bank began to ask about a transaction.
    Doubt(TxId, DoubtCause),
    /// This bank drives a transaction.
    Drive(TxId),
    /// A driver's time-out: these banks were silent.
    Timeout(TxId, BankSet),
    /// A session's wait ended without an outcome.
    GaveUp(TxId),
    /// A driver's verdict, and how many banks of how many said OK.
    Verdict {
        /// On what.
        tx: TxId,
        /// What.
        ending: Ending,
        /// So many OKs, of so many banks asked.
        oks: (usize, usize),
    },
    /// A batch was made durable.
    Sync {
        /// The newest record that it covers.
        upto: Seq,
        /// How many records it wrote.
        records: usize,
        /// ... of how many bytes.
        bytes: usize,
        /// How long write and sync took, in microseconds.
        took_us: u64,
    },
    /// The link to a bank is open; dialling and proofs took so many microseconds.
    LinkUp(BankId, u64),
    /// The link to a bank is gone, or could not be made: why.
    LinkDown(BankId, Box<str>),
    /// A bank told the time of the last vote of ours that it knows.
    Known(BankId, Time),
    /// Something is wrong: what, for the operator.
    Fault(Box<str>),
    /// The program ends: why.
    Stop(Box<str>),
}

impl Step {
    /// The number of the record that it is about, where it is one of a transaction.
    pub fn seq(&self) -> Option<Seq> {
        match self {
            Step::Vote { seq, .. }
            | Step::Refuse { seq, .. }
            | Step::Outcome { seq, .. }
            | Step::Drove { seq, .. } => Some(*seq),
            _ => None,
        }
    }

    /// Memory beside the step itself, roughly, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let text = match self {
            Step::Start(text) | Step::Ready(text) | Step::Fault(text) | Step::Stop(text) => {
                text.len()
            }
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
            | Step::Verdict { .. }
            | Step::Sync { .. }
            | Step::LinkUp(..)
            | Step::Known(..) => 0,
        };
        text + self.tx().map_or(0, |tx| tx.as_str().len())
    }
}
