//! Converts requests, replies, records, messages and events of the core into steps.

use crate::line::{
    CpfEnd, Load, LoggedOps, LoggedOutcome, OtherEnd, ReplySummary, RequestId, Step,
};
use consorcio_core::access::Principal;
use consorcio_core::bank::io::{CoreStep, Outcome, Seq};
use consorcio_core::bank::record::{Record, Registration};
use consorcio_core::commit::coordinator;
use consorcio_core::commit::message::{Message, PeerVerb, RequestKey};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::Transaction;
use consorcio_core::wire::verb::Verb;
use std::num::NonZeroU64;
use std::sync::Arc;

impl Step {
    /// The step of a received request, the `n`-th of its connection.
    pub fn of_request(request: &Request, peer: OtherEnd, n: u64) -> Step {
        let (verb, tx, load) = parts(request);
        let (load, ops) = match request {
            Request::Execute(_, transaction) => named(transaction),
            _ => (load, LoggedOps::Unnamed),
        };
        let n = NonZeroU64::new(n);
        Step::Receive { peer, verb, tx: tx.cloned(), load, n, by: None, ops }
    }

    /// The step of a received request, with the name of whoever sent it.
    #[must_use]
    pub fn asked_by(mut self, asker: &Principal) -> Step {
        if let Step::Receive { by, .. } = &mut self {
            *by = asker.name().map(Box::new);
        }
        self
    }

    /// The step of a client's request that was sent to the bank `to`.
    pub fn of_sent_request(request: &Request, to: BankId, id: Option<RequestId>) -> Step {
        let (verb, tx, load) = parts(request);
        let (load, ops) = match request {
            Request::Prepare(_, transaction) | Request::Execute(_, transaction) => {
                named(transaction)
            }
            _ => (load, LoggedOps::Unnamed),
        };
        Step::Send { to, verb, tx: tx.cloned(), load, id, ops }
    }

    /// The step of a reply that a client received from the bank `from`.
    pub fn of_received_reply(reply: &Reply, from: BankId, id: Option<RequestId>) -> Step {
        let (tx, summary, text) = ReplySummary::of(reply);
        Step::Answer { from, verb: None, tx: tx.cloned(), summary: Some(summary), id, text }
    }

    /// The step of a reply that was sent to the `n`-th request of its connection.
    pub fn of_reply(reply: &Reply, peer: OtherEnd, n: u64) -> Step {
        let (tx, summary, text) = ReplySummary::of(reply);
        Step::Reply { peer, tx: tx.cloned(), summary, n: NonZeroU64::new(n), text }
    }

    /// The step of a record with the number `seq`. A record of an outcome does not have its
    /// transaction: `ended` looks it up.
    pub fn of_record<'a>(
        record: &Record,
        seq: Seq,
        ended: impl FnOnce(&TxId) -> Option<&'a Arc<Transaction>>,
    ) -> Step {
        match record {
            Record::Consortium { bank, places } => Step::Consortium(*bank, places.len(), seq),
            Record::Voted { tx, time, transaction, refusal } => {
                let (load, ops) = named(transaction);
                let text = refusal.as_ref().map_or("", |(_, text)| text.as_str()).into();
                let refusal = refusal.as_ref().map(|(reason, _)| *reason);
                Step::Vote { tx: tx.clone(), time: *time, seq, load, refusal, ops, text }
            }
            Record::Refused { tx, time, reason } => {
                Step::Refuse { tx: tx.clone(), time: *time, reason: *reason, seq }
            }
            Record::Decided { tx, outcome, .. } => {
                let ending = match outcome {
                    Outcome::Committed(time) => LoggedOutcome::Committed(*time),
                    Outcome::Aborted(token, reason) => LoggedOutcome::Aborted(token.bank, *reason),
                };
                Step::Outcome { tx: tx.clone(), ending, seq, voted: None, ops: of_ended(ended(tx)) }
            }
            Record::Executed { tx, time, committed, transaction, .. } => Step::Outcome {
                tx: tx.clone(),
                ending: LoggedOutcome::Committed(*committed),
                seq,
                voted: Some(*time),
                ops: LoggedOps::Of(Arc::clone(transaction)),
            },
            Record::ClientAdded { client, .. }
            | Record::Registered { what: Registration::Client(client), .. } => {
                Step::Client(CpfEnd::of(client.cpf.as_str()), seq)
            }
            Record::AccountOpened { account, .. }
            | Record::Registered { what: Registration::Account(account), .. } => {
                Step::Account(account.number.clone(), seq)
            }
            Record::ClockMoved { time } => Step::Clock(*time, seq),
            Record::KeyKnown { key } => Step::Key(*key, seq),
            Record::RegistersLearned { registers, last } => {
                Step::Registers(registers.len(), *last, seq)
            }
            Record::Founded { founding, introduced } => Step::Founded(*founding, *introduced, seq),
            Record::Met { bank, founding } => Step::Met(*bank, *founding, seq),
            Record::Introduced { without, .. } => Step::Introduced(*without, seq),
            Record::Stopped { why } => Step::Fault(why.as_str().into()),
            Record::Drove { tx, time, refusal, transaction } => {
                let ending = match refusal {
                    None => LoggedOutcome::Committed(*time),
                    Some((by, reason, _)) => LoggedOutcome::Aborted(*by, *reason),
                };
                let ops = LoggedOps::Of(Arc::clone(transaction));
                Step::Drove { tx: tx.clone(), ending, seq, ops }
            }
            Record::OutsideVoted { tx, time, refusal, .. } => Step::Outcome {
                tx: tx.clone(),
                ending: LoggedOutcome::Outside(*time, *refusal),
                seq,
                voted: None,
                ops: of_ended(ended(tx)),
            },
        }
    }

    /// The step of a message that was sent to the bank `to`.
    pub fn of_message(message: &Message, to: BankId, id: Option<RequestId>) -> Step {
        let load = match message {
            Message::Prepare(_, transaction) => Load::of(transaction),
            Message::Commit(_, tokens) => Load::Tokens(tokens.len()),
            Message::Abort(_, token) => Load::Tokens(usize::from(token.is_some())),
            Message::Resolve(_) | Message::Registers { .. } => Load::Nothing,
        };
        let RequestKey { tx, verb } = message.key();
        let (tx, verb, is_question) = (Some(tx), asked_verb(verb), verb == PeerVerb::Resolve);
        if is_question {
            Step::Ask { to, verb, tx, load, id }
        } else {
            let (load, ops) = match message {
                Message::Prepare(_, transaction) => named(transaction),
                _ => (load, LoggedOps::Unnamed),
            };
            Step::Send { to, verb, tx, load, id, ops }
        }
    }

    /// The step of the reply of the bank `from` to the message `asked`; `None` if no reply can
    /// arrive any more.
    pub fn of_answer(
        from: BankId,
        asked: &RequestKey,
        reply: Option<&Reply>,
        id: Option<RequestId>,
    ) -> Step {
        let (summary, text) = match reply.map(ReplySummary::of) {
            Some((_, summary, text)) => (Some(summary), text),
            None => (None, Box::default()),
        };
        let verb = Some(asked_verb(asked.verb));
        Step::Answer { from, verb, tx: Some(asked.tx.clone()), summary, id, text }
    }

    /// The step of an event of the core.
    pub fn of_core(step: &CoreStep) -> Step {
        match step {
            CoreStep::Doubt(tx, cause) => Step::Doubt(tx.clone(), *cause),
            CoreStep::Drive(tx) => Step::Drive(tx.clone()),
            CoreStep::Silent(tx, banks) => Step::Timeout(tx.clone(), *banks),
            CoreStep::GaveUp(tx) => Step::GaveUp(tx.clone()),
            CoreStep::Untrue(bank) => Step::Fault(
                format!(
                    "the introduction of bank {bank} proves nothing (another key, or bytes \
                     changed in transit): its link is closed and redialled"
                )
                .into(),
            ),
            CoreStep::Replaced(bank) => Step::Fault(
                format!(
                    "bank {bank} has another journal than the one that this bank has met: it has \
                     forgotten what it promised, and its link is closed"
                )
                .into(),
            ),
            CoreStep::Unproved(tx, bank) => Step::Fault(
                format!(
                    "the answer of bank {bank} about {tx} proves nothing (another key, or bytes \
                     changed in transit): its link is closed, and it is asked again"
                )
                .into(),
            ),
        }
    }

    /// The step of a driver's verdict; `oks` of `banks` voted OK.
    pub fn of_verdict(tx: &TxId, verdict: &coordinator::Verdict, oks: usize, banks: usize) -> Step {
        let ending = match verdict {
            coordinator::Verdict::Committed(time) => LoggedOutcome::Committed(*time),
            coordinator::Verdict::Aborted { by, reason, .. } => {
                LoggedOutcome::Aborted(*by, *reason)
            }
            coordinator::Verdict::Doubt(silent) => LoggedOutcome::Unknown(*silent),
            coordinator::Verdict::Unreached => LoggedOutcome::Unreached,
        };
        Step::Verdict { tx: tx.clone(), ending, oks: (oks, banks) }
    }
}

/// The fields of a line that names the operations: their number and banks, unless these are among
/// them.
fn named(transaction: &Arc<Transaction>) -> (Load, LoggedOps) {
    let is_complete = LoggedOps::are_complete(transaction);
    let load = if is_complete { Load::Nothing } else { Load::of(transaction) };
    (load, LoggedOps::Of(Arc::clone(transaction)))
}

fn of_ended(transaction: Option<&Arc<Transaction>>) -> LoggedOps {
    transaction.map_or(LoggedOps::Unnamed, |transaction| LoggedOps::Of(Arc::clone(transaction)))
}

/// The verb of a request, its transaction, and its load.
fn parts(request: &Request) -> (Verb, Option<&TxId>, Load) {
    let load = match request {
        Request::Prepare(_, transaction) | Request::Execute(_, transaction) => {
            Load::of(transaction)
        }
        Request::Commit(_, tokens) => Load::Tokens(tokens.len()),
        Request::Abort(_, token) => Load::Tokens(usize::from(token.is_some())),
        Request::Resolve(_)
        | Request::Status(_)
        | Request::Client(_)
        | Request::Account(_)
        | Request::Read(_)
        | Request::Registers { .. }
        | Request::Local(_) => Load::Nothing,
    };
    (request.verb(), request.tx(), load)
}

impl Load {
    /// The load of a transaction.
    pub(crate) fn of(transaction: &Transaction) -> Load {
        let (ops, banks) = (transaction.ops().len(), transaction.banks());
        if transaction.has_outside() { Load::OpsOutside(ops, banks) } else { Load::Ops(ops, banks) }
    }
}

/// The verb on the wire of a message.
fn asked_verb(verb: PeerVerb) -> Verb {
    match verb {
        PeerVerb::Prepare => Verb::Prepare,
        PeerVerb::Commit => Verb::Commit,
        PeerVerb::Abort => Verb::Abort,
        PeerVerb::Resolve => Verb::Resolve,
        PeerVerb::Registers => Verb::Registers,
    }
}

impl ReplySummary {
    /// The transaction of `reply`, its summary, and its text for people.
    pub fn of(reply: &Reply) -> (Option<&TxId>, ReplySummary, Box<str>) {
        let word = |word| ReplySummary { word, by: None, time: None, reason: None };
        let why = |name, reason: Reason| ReplySummary { reason: Some(reason), ..word(name) };
        let (tx, summary, text) = match reply {
            Reply::Ok(tx, token) => {
                let (by, time) = (Some(token.bank), Some(token.time));
                (Some(tx), ReplySummary { by, time, ..word("OK") }, "")
            }
            Reply::Nok(tx, token, reason, text) => {
                // The token of a NOK `duplicate-id` repeats an earlier vote, perhaps an OK.
                let time = Some(token.time).filter(|_| token.is_refusal());
                let by = Some(token.bank);
                (Some(tx), ReplySummary { by, time, ..why("NOK", *reason) }, text.as_str())
            }
            Reply::Committed(tx, time, token, _) => {
                let (by, time) = (Some(token.bank), Some(*time));
                (Some(tx), ReplySummary { by, time, ..word("COMMITTED") }, "")
            }
            Reply::Aborted(tx, token, reason, _) => {
                let by = Some(token.bank);
                (Some(tx), ReplySummary { by, ..why("ABORTED", *reason) }, "")
            }
            Reply::Doubt(tx, text) => (Some(tx), word("DOUBT"), text.as_str()),
            Reply::Unknown(tx) => (Some(tx), word("UNKNOWN"), ""),
            Reply::Done(_) => (None, word("DONE"), ""),
            Reply::Refused(reason, text) => (None, why("REFUSED", *reason), text.as_str()),
            Reply::Err(reason, text) => (None, why("ERR", *reason), text.as_str()),
            Reply::Help(_) => (None, word("HELP"), ""),
            Reply::Pong => (None, word("PONG"), ""),
            Reply::Bye => (None, word("BYE"), ""),
        };
        (tx, summary, text.into())
    }
}
