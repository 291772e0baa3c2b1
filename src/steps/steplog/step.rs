//! The steps: a closed list of what a line of the step log can tell, kept small so that recording
//! one is cheap.
//!
//! A step holds names, numbers and static words; its text is made later, on the log's own thread
//! (`line`).

use consorcio_core::bank::io::{DoubtCause, Seq};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::commit::message::AskedVerb;
use consorcio_core::ids::{AccountNumber, BankId, BankSet, TaxId, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::token::KeyId;
use std::net::SocketAddr;

/// A step and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The wall clock, in microseconds since 1970.
    pub at_us: i64,
    /// What happened.
    pub step: Step,
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A connection from this address.
    Address(SocketAddr),
    /// A bank's link that came from this address.
    Link(SocketAddr, BankId),
    /// The bank in this place, at the address that the consortium's list says.
    Bank(BankId),
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its first word on the wire.
    pub word: &'static str,
    /// Whose vote it tells.
    pub by: Option<BankId>,
    /// The vote's time, or the commit's for COMMITTED.
    pub time: Option<Time>,
    /// Why.
    pub reason: Option<Reason>,
    /// In words.
    pub text: Option<Box<str>>,
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
    /// A connection was accepted.
    Connect(Who),
    /// A client's connection to a bank was made, from this address: the bank's log knows the client
    /// by it.
    Dialled(BankId, SocketAddr),
    /// A connection ended: why.
    Disconnect(Who, Box<str>),
    /// A request came.
    Receive {
        /// From whom.
        who: Who,
        /// Its verb.
        verb: &'static str,
        /// Its transaction.
        tx: Option<TxId>,
        /// What it carries.
        load: Load,
    },
    /// A line came that is no request, or the stream broke a bound.
    Bad(Who, Reason, Box<str>),
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
        /// `None` is OK.
        refusal: Option<(Reason, Box<str>)>,
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
    /// A client was registered.
    Client(TaxId, Seq),
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
    /// A message left for a bank.
    Send {
        /// To whom.
        to: BankId,
        /// Which verb.
        verb: AskedVerb,
        /// About what.
        tx: TxId,
        /// What it carries.
        load: Load,
    },
    /// A client's request left for a bank, outside of the commit protocol.
    Query {
        /// To whom.
        to: BankId,
        /// Its verb.
        verb: &'static str,
        /// About what.
        tx: Option<TxId>,
        /// What it carries.
        load: Load,
    },
    /// A client heard a bank's answer to such a request.
    Heard {
        /// From whom.
        from: BankId,
        /// About what.
        tx: Option<TxId>,
        /// What it says.
        said: Said,
    },
    /// A reply was given.
    Reply {
        /// To whom.
        who: Who,
        /// About what.
        tx: Option<TxId>,
        /// What it says.
        said: Said,
    },
    /// A bank answered; `None` when it can't any more.
    Answer {
        /// Who.
        from: BankId,
        /// What it was asked.
        verb: AskedVerb,
        /// About what.
        tx: TxId,
        /// What it says.
        said: Option<Said>,
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
        /// OKs counted.
        oks: usize,
        /// Banks asked.
        banks: usize,
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
    /// The event's word on the line.
    pub fn event(&self) -> &'static str {
        match self {
            Step::Start(_) => "start",
            Step::Ready(_) => "ready",
            Step::Recover { .. } => "recover",
            Step::Connect(_) | Step::Dialled(..) => "connect",
            Step::Disconnect(..) => "disconnect",
            Step::Receive { .. } => "recv",
            Step::Bad(..) => "bad",
            Step::Vote { .. } => "vote",
            Step::Refuse { .. } => "refuse",
            Step::Outcome { .. } => "outcome",
            Step::Drove { .. } => "drove",
            Step::Client(..) => "client",
            Step::Account(..) => "account",
            Step::Consortium(..) => "consortium",
            Step::Key(..) => "key",
            Step::Registers(..) => "registers",
            Step::Founded(..) => "founded",
            Step::Met(..) => "met",
            Step::Introduced(..) => "introduced",
            Step::Clock(..) => "clock",
            Step::Send { verb: AskedVerb::Resolve, .. } => "ask",
            Step::Send { .. } | Step::Query { .. } => "send",
            Step::Reply { .. } => "reply",
            Step::Answer { .. } | Step::Heard { .. } => "answer",
            Step::Doubt(..) => "doubt",
            Step::Drive(_) => "drive",
            Step::Timeout(..) => "timeout",
            Step::GaveUp(_) => "gave-up",
            Step::Verdict { .. } => "verdict",
            Step::Sync { .. } => "sync",
            Step::LinkUp(..) => "link-up",
            Step::LinkDown(..) => "link-down",
            Step::Known(..) => "known",
            Step::Fault(_) => "fault",
            Step::Stop(_) => "stop",
        }
    }

    /// About which transaction it is.
    pub fn tx(&self) -> Option<&TxId> {
        match self {
            Step::Receive { tx, .. }
            | Step::Reply { tx, .. }
            | Step::Query { tx, .. }
            | Step::Heard { tx, .. } => tx.as_ref(),
            Step::Vote { tx, .. }
            | Step::Refuse { tx, .. }
            | Step::Outcome { tx, .. }
            | Step::Drove { tx, .. }
            | Step::Send { tx, .. }
            | Step::Answer { tx, .. }
            | Step::Doubt(tx, _)
            | Step::Drive(tx)
            | Step::Timeout(tx, _)
            | Step::GaveUp(tx)
            | Step::Verdict { tx, .. } => Some(tx),
            Step::Start(_)
            | Step::Ready(_)
            | Step::Recover { .. }
            | Step::Connect(_)
            | Step::Dialled(..)
            | Step::Disconnect(..)
            | Step::Bad(..)
            | Step::Client(..)
            | Step::Account(..)
            | Step::Consortium(..)
            | Step::Key(..)
            | Step::Registers(..)
            | Step::Founded(..)
            | Step::Met(..)
            | Step::Introduced(..)
            | Step::Clock(..)
            | Step::Sync { .. }
            | Step::LinkUp(..)
            | Step::LinkDown(..)
            | Step::Known(..)
            | Step::Fault(_)
            | Step::Stop(_) => None,
        }
    }

    /// Who is at the other end of it.
    pub fn who(&self) -> Option<Who> {
        match self {
            Step::Connect(who)
            | Step::Disconnect(who, _)
            | Step::Bad(who, ..)
            | Step::Receive { who, .. }
            | Step::Reply { who, .. } => Some(*who),
            Step::Send { to: bank, .. }
            | Step::Answer { from: bank, .. }
            | Step::Query { to: bank, .. }
            | Step::Heard { from: bank, .. }
            | Step::Dialled(bank, _)
            | Step::LinkUp(bank, _)
            | Step::LinkDown(bank, _)
            | Step::Known(bank, _) => Some(Who::Bank(*bank)),
            Step::Start(_)
            | Step::Ready(_)
            | Step::Recover { .. }
            | Step::Vote { .. }
            | Step::Refuse { .. }
            | Step::Outcome { .. }
            | Step::Drove { .. }
            | Step::Client(..)
            | Step::Account(..)
            | Step::Consortium(..)
            | Step::Key(..)
            | Step::Registers(..)
            | Step::Founded(..)
            | Step::Met(..)
            | Step::Introduced(..)
            | Step::Clock(..)
            | Step::Doubt(..)
            | Step::Drive(_)
            | Step::Timeout(..)
            | Step::GaveUp(_)
            | Step::Verdict { .. }
            | Step::Sync { .. }
            | Step::Fault(_)
            | Step::Stop(_) => None,
        }
    }

    /// Memory beside the step itself, roughly, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let text = match self {
            Step::Start(text) | Step::Ready(text) | Step::Fault(text) | Step::Stop(text) => {
                text.len()
            }
            Step::Recover { text, .. } => text.len(),
            Step::Disconnect(_, text) | Step::Bad(_, _, text) | Step::LinkDown(_, text) => {
                text.len()
            }
            Step::Vote { refusal, .. } => refusal.as_ref().map_or(0, |(_, text)| text.len()),
            Step::Reply { said, .. }
            | Step::Heard { said, .. }
            | Step::Answer { said: Some(said), .. } => {
                said.text.as_ref().map_or(0, |text| text.len())
            }
            Step::Account(number, _) => number.as_str().len(),
            Step::Answer { said: None, .. }
            | Step::Connect(_)
            | Step::Dialled(..)
            | Step::Receive { .. }
            | Step::Query { .. }
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

/// The verb's word on the wire.
pub(super) fn verb(verb: AskedVerb) -> &'static str {
    match verb {
        AskedVerb::Prepare => "PREPARE",
        AskedVerb::Commit => "COMMIT",
        AskedVerb::Abort => "ABORT",
        AskedVerb::Resolve => "RESOLVE",
        AskedVerb::Registers => "REGISTERS",
    }
}
