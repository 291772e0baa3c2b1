//! Events as short lines of text.

use super::Seen;
use consorcio_core::bank::io::{CoreStep, Outcome};
use consorcio_core::bank::record::{Record, Registration};
use consorcio_core::commit::message::Message;
use consorcio_core::ids::{BankId, Time};
use consorcio_core::wire::detail::Detail;
use consorcio_core::wire::reading::Reading;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::token::{Token, TokenKind};
use std::fmt::Write as _;

/// Times are printed relative to this one.
const EPOCH_US: i64 = 1_000_000;

/// Every text beside a reason parses as a `Detail`, so that it can be translated.
pub fn assert_known_words(reply: &Reply) {
    let words = match reply {
        Reply::Nok(.., words)
        | Reply::Doubt(_, words)
        | Reply::Refused(_, words)
        | Reply::Err(_, words) => words,
        Reply::Ok(..)
        | Reply::Committed(..)
        | Reply::Aborted(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye => return,
    };
    assert!(words.is_empty() || Detail::parse(words).is_some(), "{words:?} is not a detail");
}

/// One event as a line.
pub fn line(seen: &Seen) -> String {
    match seen {
        Seen::Reply { bank, caller, reply } => {
            format!("{bank}.{} < {}", caller.session.0, short_reply(reply))
        }
        Seen::Sent { from, to, message } => format!("{from} > {to} {}", short_message(message)),
        Seen::Answered { from, to, reply: Some(reply), .. } => {
            format!("{to} < {from} {}", short_reply(reply))
        }
        Seen::Answered { from, to, asked, reply: None } => {
            format!("{to} < {from} silence ({})", asked.tx)
        }
        Seen::Recorded { bank, record, .. } => format!("{bank} writes {}", short_record(record)),
        Seen::Step { bank, step } => match step {
            CoreStep::Doubt(tx, cause) => format!("{bank} doubts {tx}: {}", cause.as_str()),
            CoreStep::Drive(tx) => format!("{bank} drives {tx}"),
            CoreStep::Silent(tx, banks) => {
                format!(
                    "{bank} {tx}: silent {:?}",
                    banks.iter().map(BankId::as_u8).collect::<Vec<_>>()
                )
            }
            CoreStep::GaveUp(tx) => format!("{bank} gave up waiting for {tx}"),
            CoreStep::Untrue(peer) => {
                format!("{bank} gets a notification without proof from bank {peer}")
            }
            CoreStep::Replaced(peer) => format!("{bank} finds another journal at bank {peer}"),
            CoreStep::Unproved(tx, peer) => {
                format!("{bank} {tx}: the reply of bank {peer} has no proof")
            }
        },
        Seen::Stopped { bank, why } => format!("{bank} STOPS: {why}"),
        Seen::Lost { bank, records } => {
            let records: Vec<String> = records.iter().map(short_record).collect();
            format!("{bank} CRASHES and loses [{}]", records.join(", "))
        }
        Seen::DiskFailed { bank } => format!("{bank} DISK FAILS"),
    }
}

pub fn at(time: Time) -> String {
    format!("@{}", time.0 - EPOCH_US)
}

pub fn short_token(token: &Token) -> String {
    let verdict = match token.kind {
        TokenKind::Ok => "ok",
        TokenKind::No => "nok",
        TokenKind::Committed => "committed",
        TokenKind::Aborted => "aborted",
    };
    let mut text = format!("<{verdict}{} {}", token.bank, at(token.time));
    match token.digest {
        Some(digest) => write!(text, " {}", &format!("{digest:?}")[..4]).unwrap(),
        None => text.push_str(" tombstone"),
    }
    if token.mac.is_none() {
        text.push_str(" unsealed");
    }
    text + ">"
}

fn statement(said: &Option<Token>) -> String {
    said.as_ref().map(|said| format!(" {}", short_token(said))).unwrap_or_default()
}

/// The reading in the JSON of a reply.
pub fn reading(json: &str) -> Option<&str> {
    json.split_once("\"reading\":\"")?.1.split('"').next()
}

pub fn short_reply(reply: &Reply) -> String {
    match reply {
        Reply::Ok(tx, token) => format!("OK {tx} {}", short_token(token)),
        Reply::Nok(tx, token, reason, text) => {
            format!("NOK {tx} {} {reason} {text}", short_token(token)).trim_end().to_owned()
        }
        Reply::Committed(tx, time, token, said) => {
            format!("COMMITTED {tx} {} {}{}", at(*time), short_token(token), statement(said))
        }
        Reply::Aborted(tx, token, reason, said) => {
            format!("ABORTED {tx} {} {reason}{}", short_token(token), statement(said))
        }
        Reply::Doubt(tx, text) => format!("DOUBT {tx} {text}"),
        Reply::Unknown(tx) => format!("UNKNOWN {tx}"),
        Reply::Done(json) => match reading(json).and_then(Reading::parse) {
            Some(reading) => {
                let short = format!("<clock{} {}>", reading.bank, at(reading.time));
                format!("DONE {}", json.replace(&format!("\"{reading}\""), &short))
            }
            None => format!("DONE {json}"),
        },
        Reply::Refused(reason, text) => format!("REFUSED {reason} {text}"),
        Reply::Err(reason, text) => format!("ERR {reason} {text}"),
        Reply::Help(lines) => lines.clone(),
        Reply::Pong => "PONG".to_owned(),
        Reply::Bye => "BYE".to_owned(),
    }
}

pub fn short_message(message: &Message) -> String {
    let tokens = |tokens: &[Token]| tokens.iter().map(short_token).collect::<Vec<_>>().join(" ");
    match message {
        Message::Prepare(tx, _) => format!("PREPARE {tx}"),
        Message::Commit(tx, given) => format!("COMMIT {tx} {}", tokens(given)),
        Message::Abort(tx, given) => {
            format!("ABORT {tx} {}", tokens(given.as_slice())).trim_end().to_owned()
        }
        Message::Resolve(tx) => format!("RESOLVE {tx}"),
        Message::Registers { after: None, .. } => "REGISTERS".to_owned(),
        Message::Registers { after: Some(key), .. } => format!("REGISTERS after={key}"),
    }
}

pub fn short_record(record: &Record) -> String {
    match record {
        Record::Consortium { bank, places } => format!("Consortium {bank} of {}", places.len()),
        Record::Voted { tx, time, refusal: None, .. } => format!("Voted {tx} OK {}", at(*time)),
        Record::Voted { tx, time, refusal: Some((reason, _)), .. } => {
            format!("Voted {tx} NOK {reason} {}", at(*time))
        }
        Record::Refused { tx, time, reason } => format!("Refused {tx} {reason} {}", at(*time)),
        Record::Decided { tx, outcome: Outcome::Committed(time), .. } => {
            format!("Decided {tx} committed {}", at(*time))
        }
        Record::Decided { tx, outcome: Outcome::Aborted(token, reason), .. } => {
            format!("Decided {tx} aborted {reason} by {}", short_token(token))
        }
        Record::Executed { tx, time, committed, .. } => {
            format!("Executed {tx} vote {} committed {}", at(*time), at(*committed))
        }
        Record::ClientAdded { client, .. } => format!("ClientAdded {}", client.cpf),
        Record::AccountOpened { account, .. } => format!("AccountOpened {}", account.number),
        Record::Registered { by, what: Registration::Client(client), .. } => {
            format!("ClientAdded {} by {by}", client.cpf)
        }
        Record::Registered { by, what: Registration::Account(account), .. } => {
            format!("AccountOpened {} by {by}", account.number)
        }
        Record::KeyKnown { key } => format!("KeyKnown {key}"),
        Record::RegistersLearned { registers, last } => {
            let values = registers.iter().map(|set| format!(" {}={}", set.key, set.value.as_str()));
            let more = if *last { "" } else { " and more" };
            format!("RegistersLearned{}{more}", values.collect::<String>())
        }
        Record::Founded { founding, introduced } => {
            format!("Founded {founding} introduced={introduced}")
        }
        Record::Met { bank, founding } => format!("Met {bank} {founding}"),
        Record::Introduced { without, knows_registers } => {
            let without: Vec<_> = without.iter().map(|bank| bank.to_string()).collect();
            let knows = if *knows_registers { "" } else { ", to learn its registers" };
            format!("Introduced without [{}]{knows}", without.join(" "))
        }
        Record::ClockMoved { time } => format!("ClockMoved {}", at(*time)),
        Record::Stopped { .. } => "Stopped".to_owned(),
        Record::Drove { tx, time, refusal: None, .. } => {
            format!("Drove {tx} committed {}", at(*time))
        }
        Record::Drove { tx, time, refusal: Some((by, reason, _)), .. } => {
            format!("Drove {tx} aborted {reason} by {by} {}", at(*time))
        }
        Record::OutsideVoted { tx, time, refusal: None, .. } => {
            format!("OutsideVoted {tx} OK {}", at(*time))
        }
        Record::OutsideVoted { tx, time, refusal: Some(reason), .. } => {
            format!("OutsideVoted {tx} NOK {reason} {}", at(*time))
        }
    }
}
