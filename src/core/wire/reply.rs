//! Replies: one line for each request line.

use super::text::{excerpt, read_decimal, split_word, trim, write_decimal, write_one_line};
use super::{Fault, Reason};
use crate::ids::{Time, TxId};
use crate::limits::LINE_BYTES_MAX;
use crate::wire::token::Token;

/// A reply, parsed from its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `OK <tx> <token>`: the bank voted OK.
    Ok(TxId, Token),
    /// `NOK <tx> <token> <reason> [text]`: the bank voted NOK.
    Nok(TxId, Token, Reason, String),
    /// `COMMITTED <tx> <time> <token> [<statement>]`: the bank's OK, and its `C` statement.
    Committed(TxId, Time, Token, Option<Token>),
    /// `ABORTED <tx> <token> <reason> [<statement>]`: the vote that refused, and the bank's `A`
    /// statement if it holds OK.
    Aborted(TxId, Token, Reason, Option<Token>),
    /// `DOUBT <tx> <text>`: the outcome is not known yet.
    Doubt(TxId, String),
    /// `UNKNOWN <tx>`: the bank has no vote on the id.
    Unknown(TxId),
    /// `DONE <json>`: the answer, one line of JSON.
    Done(String),
    /// `REFUSED <reason> [text]`: not done, and why.
    Refused(Reason, String),
    /// `ERR <code> <text>`: the request line is bad.
    Err(Reason, String),
    /// The answer to HELP, for people: complete lines, the last one a DONE. A HELP that begins a
    /// line marks it as one of several; `parse` reads none of them.
    Help(String),
    /// `PONG`, the answer to PING.
    Pong,
    /// `BYE`, the answer to QUIT.
    Bye,
}

impl From<Fault> for Reply {
    /// An `ERR` with the reason and the text of the fault.
    fn from(fault: Fault) -> Reply {
        Reply::Err(fault.reason, fault.text)
    }
}

impl Reply {
    /// Its line without the end, for people.
    pub fn to_line(&self) -> String {
        let mut line = Vec::new();
        self.write_to(&mut line);
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Appends its line, end included: one line of at most `LINE_BYTES_MAX` bytes, whatever its
    /// texts contain. Only `Help` has several.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            Reply::Ok(tx, token) => {
                word_tx(out, b"OK ", tx);
                space_token(out, token);
            }
            Reply::Nok(tx, token, reason, text) => {
                word_tx(out, b"NOK ", tx);
                space_token(out, token);
                space_text(out, start, reason.as_str());
                space_text(out, start, text);
            }
            Reply::Committed(tx, time, token, statement) => {
                word_tx(out, b"COMMITTED ", tx);
                out.push(b' ');
                write_decimal(out, time.0);
                space_token(out, token);
                statement.iter().for_each(|statement| space_token(out, statement));
            }
            Reply::Aborted(tx, token, reason, statement) => {
                word_tx(out, b"ABORTED ", tx);
                space_token(out, token);
                space_text(out, start, reason.as_str());
                statement.iter().for_each(|statement| space_token(out, statement));
            }
            Reply::Doubt(tx, text) => {
                word_tx(out, b"DOUBT ", tx);
                space_text(out, start, text);
            }
            Reply::Unknown(tx) => word_tx(out, b"UNKNOWN ", tx),
            Reply::Done(json) => write_done(out, json),
            Reply::Refused(reason, text) => {
                out.extend_from_slice(b"REFUSED");
                space_text(out, start, reason.as_str());
                space_text(out, start, text);
            }
            Reply::Err(reason, text) => {
                out.extend_from_slice(b"ERR");
                space_text(out, start, reason.as_str());
                space_text(out, start, text);
            }
            Reply::Help(lines) => out.extend_from_slice(lines.trim_end().as_bytes()),
            Reply::Pong => out.extend_from_slice(b"PONG"),
            Reply::Bye => out.extend_from_slice(b"BYE"),
        }
        out.push(b'\n');
    }

    /// Reads a reply from its line, without the line's end.
    ///
    /// # Errors
    /// `malformed`, naming what is wrong, if it is no reply.
    pub fn parse(line: &str) -> Result<Reply, Fault> {
        let (word, rest) = split_word(trim(line));
        match word {
            "OK" => {
                let (tx, rest) = read_tx(rest)?;
                let (token, rest) = read_token(rest)?;
                end(rest, Reply::Ok(tx, token))
            }
            "NOK" => {
                let (tx, rest) = read_tx(rest)?;
                let (token, rest) = read_token(rest)?;
                let (reason, text) = read_reason(rest)?;
                Ok(Reply::Nok(tx, token, reason, text.to_owned()))
            }
            "COMMITTED" => {
                let (tx, rest) = read_tx(rest)?;
                let (time, rest) = read_time(rest)?;
                let (token, rest) = read_token(rest)?;
                Ok(Reply::Committed(tx, time, token, read_statement(rest)))
            }
            "ABORTED" => {
                let (tx, rest) = read_tx(rest)?;
                let (token, rest) = read_token(rest)?;
                let (reason, rest) = read_reason(rest)?;
                Ok(Reply::Aborted(tx, token, reason, read_statement(rest)))
            }
            "DOUBT" => {
                let (tx, text) = read_tx(rest)?;
                Ok(Reply::Doubt(tx, text.to_owned()))
            }
            "UNKNOWN" => {
                let (tx, rest) = read_tx(rest)?;
                end(rest, Reply::Unknown(tx))
            }
            "DONE" => Ok(Reply::Done(rest.to_owned())),
            "REFUSED" => {
                let (reason, text) = read_reason(rest)?;
                Ok(Reply::Refused(reason, text.to_owned()))
            }
            "ERR" => {
                let (reason, text) = read_reason(rest)?;
                Ok(Reply::Err(reason, text.to_owned()))
            }
            "PONG" => end(rest, Reply::Pong),
            "BYE" => end(rest, Reply::Bye),
            other => Err(malformed("begins with", other)),
        }
    }

    /// How much heap memory its id and text hold.
    pub fn heap_bytes(&self) -> usize {
        let text = match self {
            Reply::Done(text)
            | Reply::Help(text)
            | Reply::Nok(_, _, _, text)
            | Reply::Doubt(_, text)
            | Reply::Refused(_, text)
            | Reply::Err(_, text) => text.capacity(),
            Reply::Ok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Unknown(_)
            | Reply::Pong
            | Reply::Bye => 0,
        };
        text + self.tx().map_or(0, |tx| tx.as_str().len())
    }

    /// Frees unused capacity of its text, if that is much.
    pub fn shrink(&mut self) {
        match self {
            Reply::Done(text)
            | Reply::Help(text)
            | Reply::Nok(_, _, _, text)
            | Reply::Doubt(_, text)
            | Reply::Refused(_, text)
            | Reply::Err(_, text) => {
                if text.capacity() - text.len() > text.len() / 8 + 256 {
                    text.shrink_to_fit();
                }
            }
            Reply::Ok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Unknown(_)
            | Reply::Pong
            | Reply::Bye => {}
        }
    }

    /// The transaction that it is about.
    pub fn tx(&self) -> Option<&TxId> {
        match self {
            Reply::Ok(tx, _)
            | Reply::Nok(tx, _, _, _)
            | Reply::Committed(tx, _, _, _)
            | Reply::Aborted(tx, _, _, _)
            | Reply::Doubt(tx, _)
            | Reply::Unknown(tx) => Some(tx),
            Reply::Done(_)
            | Reply::Refused(_, _)
            | Reply::Err(_, _)
            | Reply::Pong
            | Reply::Help(_)
            | Reply::Bye => None,
        }
    }
}

fn word_tx(out: &mut Vec<u8>, word: &[u8], tx: &TxId) {
    out.extend_from_slice(word);
    out.extend_from_slice(tx.as_str().as_bytes());
}

fn space_token(out: &mut Vec<u8>, token: &Token) {
    out.push(b' ');
    token.write_to(out);
}

/// Appends a space and `text`, unless that is empty, within the room that is left of the line that
/// began at `start`.
fn space_text(out: &mut Vec<u8>, start: usize, text: &str) {
    let used = out.len() - start + " \n".len();
    let before = out.len();
    out.push(b' ');
    write_one_line(out, text, LINE_BYTES_MAX.saturating_sub(used));
    if out.len() == before + 1 {
        out.truncate(before);
    }
}

/// JSON can't be cut, so its author must keep it short enough. If it is still too long, a refusal
/// is sent instead: a line past the bound would break the framing.
fn write_done(out: &mut Vec<u8>, json: &str) {
    let fits = "DONE ".len() + json.len() < LINE_BYTES_MAX;
    debug_assert!(fits, "a DONE of {} bytes is longer than a line", json.len());
    if !fits {
        return out.extend_from_slice(b"REFUSED limit the answer is longer than a line");
    }
    out.extend_from_slice(b"DONE ");
    let from = out.len();
    out.extend_from_slice(json.as_bytes());
    // In JSON a line end can only stand between values, where a space means the same.
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_some() {
        for byte in out[from..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
}

fn malformed(what: &str, found: &str) -> Fault {
    Fault::new(Reason::Malformed, format!("not a reply: {what} `{}`", excerpt(found)))
}

fn end(rest: &str, reply: Reply) -> Result<Reply, Fault> {
    if rest.is_empty() { Ok(reply) } else { Err(malformed("too many words at", rest)) }
}

fn read_tx(text: &str) -> Result<(TxId, &str), Fault> {
    let (word, rest) = split_word(text);
    let tx = TxId::new(word).map_err(|_| malformed("no transaction id in", word))?;
    Ok((tx, rest))
}

fn read_token(text: &str) -> Result<(Token, &str), Fault> {
    let (word, rest) = split_word(text);
    let token = Token::parse(word).ok_or_else(|| malformed("no token in", word))?;
    Ok((token, rest))
}

fn read_time(text: &str) -> Result<(Time, &str), Fault> {
    let (word, rest) = split_word(text);
    let time = read_decimal(word).and_then(|time| i64::try_from(time).ok()).map(Time);
    let time =
        time.filter(|time| *time <= Time::MAX).ok_or_else(|| malformed("no time in", word))?;
    Ok((time, rest))
}

/// A reason that only a later version knows is read as `Refused`, since something was refused.
fn read_reason(text: &str) -> Result<(Reason, &str), Fault> {
    let (word, rest) = split_word(text);
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let reason = Reason::parse(word).or(is_word.then_some(Reason::Refused));
    Ok((reason.ok_or_else(|| malformed("no reason in", word))?, rest))
}

/// The statement among the remaining words; words that a later version adds are skipped.
fn read_statement(rest: &str) -> Option<Token> {
    let mut rest = rest;
    while !rest.is_empty() {
        let (word, after) = split_word(rest);
        if let Some(statement) = Token::parse(word) {
            return Some(statement);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests;
