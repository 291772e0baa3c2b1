//! Steps from what the bank and the wire know: requests, replies, records, messages. One place
//! decides what of them is worth a line.

use super::step::{Ending, Load, Said, Step, Who};
use consorcio_core::bank::io::{CoreStep, Outcome, Seq};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::coordinator;
use consorcio_core::commit::message::{Asked, AskedVerb, Message};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::Transaction;

impl Step {
    /// The step of a request that came.
    pub fn of_request(request: &Request, who: Who) -> Step {
        let (verb, tx, load) = parts(request);
        Step::Receive { who, verb, tx: tx.cloned(), load }
    }

    /// The step of a client's request that left for the bank `to`.
    pub fn of_query(request: &Request, to: BankId) -> Step {
        let (verb, tx, load) = parts(request);
        Step::Query { to, verb, tx: tx.cloned(), load }
    }

    /// The step of what the bank `from` answered to a client.
    pub fn of_heard(reply: &Reply, from: BankId) -> Step {
        let (tx, said) = Said::of(reply);
        Step::Heard { from, tx: tx.cloned(), said }
    }

    /// The step of a reply that was given.
    pub fn of_reply(reply: &Reply, who: Who) -> Step {
        let (tx, said) = Said::of(reply);
        Step::Reply { who, tx: tx.cloned(), said }
    }

    /// The step of a record; `seq` is its number.
    pub fn of_record(record: &Record, seq: Seq) -> Step {
        match record {
            Record::Consortium { bank, places } => Step::Consortium(*bank, places.len(), seq),
            Record::Voted { tx, time, transaction, refusal } => Step::Vote {
                tx: tx.clone(),
                time: *time,
                seq,
                load: Load::of(transaction),
                refusal: refusal.as_ref().map(|(reason, text)| (*reason, text.as_str().into())),
            },
            Record::Refused { tx, time, reason } => {
                Step::Refuse { tx: tx.clone(), time: *time, reason: *reason, seq }
            }
            Record::Decided { tx, outcome, .. } => {
                let ending = match outcome {
                    Outcome::Committed(time) => Ending::Committed(*time),
                    Outcome::Aborted(token, reason) => Ending::Aborted(token.bank, *reason),
                };
                Step::Outcome { tx: tx.clone(), ending, seq, voted: None }
            }
            Record::Executed { tx, time, committed, .. } => Step::Outcome {
                tx: tx.clone(),
                ending: Ending::Committed(*committed),
                seq,
                voted: Some(*time),
            },
            Record::ClientAdded { client, .. } => Step::Client(client.cpf.clone(), seq),
            Record::AccountOpened { account, .. } => Step::Account(account.number.clone(), seq),
            Record::ClockMoved { time } => Step::Clock(*time, seq),
            Record::KeyKnown { key } => Step::Key(*key, seq),
            Record::RegistersLearned { registers, last } => {
                Step::Registers(registers.len(), *last, seq)
            }
            Record::Founded { founding, introduced } => Step::Founded(*founding, *introduced, seq),
            Record::Met { bank, founding } => Step::Met(*bank, *founding, seq),
            Record::Introduced { without, .. } => Step::Introduced(*without, seq),
            Record::Stopped { why } => Step::Fault(why.as_str().into()),
            Record::Drove { tx, time, refusal, .. } => {
                let ending = match refusal {
                    None => Ending::Committed(*time),
                    Some((by, reason, _)) => Ending::Aborted(*by, *reason),
                };
                Step::Drove { tx: tx.clone(), ending, seq }
            }
            Record::OutsideVoted { tx, time, refusal, .. } => Step::Outcome {
                tx: tx.clone(),
                ending: Ending::Outside(*time, *refusal),
                seq,
                voted: None,
            },
        }
    }

    /// The step of a message that left for the bank `to`.
    pub fn of_message(message: &Message, to: BankId) -> Step {
        let (tx, verb, load) = match message {
            Message::Prepare(tx, transaction) => (tx, AskedVerb::Prepare, Load::of(transaction)),
            Message::Commit(tx, tokens) => (tx, AskedVerb::Commit, Load::Tokens(tokens.len())),
            Message::Abort(tx, token) => {
                (tx, AskedVerb::Abort, Load::Tokens(usize::from(token.is_some())))
            }
            Message::Resolve(tx) => (tx, AskedVerb::Resolve, Load::Nothing),
            Message::Registers { nonce, .. } => (nonce, AskedVerb::Registers, Load::Nothing),
        };
        Step::Send { to, verb, tx: tx.clone(), load }
    }

    /// The step of what the bank `from` answered to what it was asked.
    pub fn of_answer(from: BankId, asked: &Asked, reply: Option<&Reply>) -> Step {
        let said = reply.map(|reply| Said::of(reply).1);
        Step::Answer { from, verb: asked.verb, tx: asked.tx.clone(), said }
    }

    /// The step of something inside the core.
    pub fn of_core(step: &CoreStep) -> Step {
        match step {
            CoreStep::Doubt(tx, cause) => Step::Doubt(tx.clone(), *cause),
            CoreStep::Drive(tx) => Step::Drive(tx.clone()),
            CoreStep::Silent(tx, banks) => Step::Timeout(tx.clone(), *banks),
            CoreStep::GaveUp(tx) => Step::GaveUp(tx.clone()),
            CoreStep::Untrue(bank) => Step::Fault(
                format!(
                    "what bank {bank} states of having met this bank proves nothing (another key, or bytes changed on \
                     the way): its link is closed, and made anew"
                )
                .into(),
            ),
            CoreStep::Replaced(bank) => Step::Fault(
                format!(
                    "bank {bank} has another journal than the one that this bank has met: it has forgotten what it \
                     promised, and its link is closed"
                )
                .into(),
            ),
            CoreStep::Unproved(tx, bank) => Step::Fault(
                format!(
                    "what bank {bank} answers about {tx} proves nothing (another key, or bytes changed on the way): \
                     its link is closed, and it is asked again"
                )
                .into(),
            ),
        }
    }

    /// The step of a driver's verdict; `oks` of `banks` said OK.
    pub fn of_verdict(tx: &TxId, verdict: &coordinator::Verdict, oks: usize, banks: usize) -> Step {
        let ending = match verdict {
            coordinator::Verdict::Committed(time) => Ending::Committed(*time),
            coordinator::Verdict::Aborted { by, reason, .. } => Ending::Aborted(*by, *reason),
            coordinator::Verdict::Doubt(silent) => Ending::Unknown(*silent),
            coordinator::Verdict::Unreached => Ending::Unreached,
        };
        Step::Verdict { tx: tx.clone(), ending, oks, banks }
    }
}

/// A request's verb, its transaction, and what it carries.
fn parts(request: &Request) -> (&'static str, Option<&TxId>, Load) {
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
    (request.verb().name(), request.tx(), load)
}

impl Load {
    fn of(transaction: &Transaction) -> Load {
        let (ops, banks) = (transaction.ops().len(), transaction.banks());
        if transaction.has_outside() { Load::OpsOutside(ops, banks) } else { Load::Ops(ops, banks) }
    }
}

impl Said {
    /// What `reply` says, and about which transaction.
    pub fn of(reply: &Reply) -> (Option<&TxId>, Said) {
        let said = |word| Said { word, by: None, time: None, reason: None, text: None };
        let text = |text: &str| if text.is_empty() { None } else { Some(text.into()) };
        match reply {
            Reply::Ok(tx, token) => {
                (Some(tx), Said { by: Some(token.bank), time: Some(token.time), ..said("OK") })
            }
            Reply::Nok(tx, token, reason, words) => (
                Some(tx),
                Said {
                    by: Some(token.bank),
                    // The token of a NOK `duplicate-id` repeats an earlier vote, perhaps an OK.
                    time: Some(token.time).filter(|_| token.is_refusal()),
                    reason: Some(*reason),
                    text: text(words),
                    ..said("NOK")
                },
            ),
            Reply::Committed(tx, time, token, _) => {
                (Some(tx), Said { by: Some(token.bank), time: Some(*time), ..said("COMMITTED") })
            }
            Reply::Aborted(tx, token, reason, _) => {
                (Some(tx), Said { by: Some(token.bank), reason: Some(*reason), ..said("ABORTED") })
            }
            Reply::Doubt(tx, words) => (Some(tx), Said { text: text(words), ..said("DOUBT") }),
            Reply::Unknown(tx) => (Some(tx), said("UNKNOWN")),
            Reply::Done(_) => (None, said("DONE")),
            Reply::Refused(reason, words) => {
                (None, Said { reason: Some(*reason), text: text(words), ..said("REFUSED") })
            }
            Reply::Err(reason, words) => {
                (None, Said { reason: Some(*reason), text: text(words), ..said("ERR") })
            }
            Reply::Pong => (None, said("PONG")),
            Reply::Bye => (None, said("BYE")),
        }
    }
}
