//! A line of the step log: `2026-11-22T05:38:51.123456Z vote    tx=… peer=… bank=… fields…`,
//! without the columns that the step does not have. The writer and the reader share one
//! definition: the steps are in `step`, their events and fields in `table`, the text of each field
//! in `field`. Nothing here opens a file.
//!
//! Architecture invariant: a line that this version wrote is read back as an equal step. A line of
//! another version is read as far as it has the same form.

#[cfg(test)]
mod arbitrary;
mod field;
mod json;
mod ops;
#[cfg(test)]
mod page;
mod parts;
mod phrases;
mod reader;
mod step;
mod table;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use field::CpfEnd;
pub use ops::LoggedOps;
pub use parts::{Load, LoggedOutcome, OkCount, Ordinal, OtherEnd, ReplySummary, RequestId};
pub use step::{Entry, Step};
use text::TIME_LENGTH;

use consorcio_core::ids::TxId;
use field::{FieldOut, LineField};
use reader::FieldReader;
use std::borrow::Cow;
use table::has_other_end;

/// The words of most lines are shorter.
const EVENT_WIDTH: usize = 7;

/// Formats lines. It caches the text of the current second, which most lines share.
#[derive(Debug)]
pub struct Formatter {
    places: Vec<String>,
    /// Lines are JSON objects.
    is_json: bool,
    second: i64,
    second_text: String,
}

impl Formatter {
    /// A formatter that prints banks as their addresses in `places`.
    pub fn new(places: Vec<String>) -> Formatter {
        Formatter { places, is_json: false, second: i64::MIN, second_text: String::new() }
    }

    /// The same, of lines that are JSON objects.
    pub(crate) fn json(places: Vec<String>) -> Formatter {
        Formatter { is_json: true, ..Formatter::new(places) }
    }

    /// Appends the line of `entry` to `out`, its `\n` included.
    pub fn write(&mut self, out: &mut Vec<u8>, entry: &Entry) {
        if self.is_json {
            return json::write(self, out, entry);
        }
        self.time(out, entry.at_us);
        out.push(b' ');
        padded(out, EVENT_WIDTH, |out| word(out, entry.step.event()));
        if let Some(tx) = entry.step.tx() {
            word(out, "tx=");
            word(out, tx.as_str());
            out.push(b' ');
        }
        if let Some(peer) = entry.step.addressed() {
            word(out, "peer=");
            self.peer(out, peer);
            out.push(b' ');
        }
        if let Some(bank) = entry.step.bank() {
            word(out, "bank=");
            text::number(out, bank.as_u8().into());
        }
        entry.step.write_fields(entry.at_us, out);
        while out.last() == Some(&b' ') {
            out.pop();
        }
        out.push(b'\n');
    }

    /// Writes the address of the other end.
    pub(crate) fn peer(&self, out: &mut Vec<u8>, peer: OtherEnd) {
        match peer {
            OtherEnd::Address(address) | OtherEnd::Link(address, _) => text::socket(out, address),
            OtherEnd::Bank(bank) => {
                word(out, self.places.get(bank.index()).map_or("-", String::as_str));
            }
        }
    }

    /// Writes the column of the time.
    pub(crate) fn time(&mut self, out: &mut Vec<u8>, at_us: i64) {
        let (second, micros) = (at_us.div_euclid(1_000_000), at_us.rem_euclid(1_000_000));
        if second != self.second {
            // A time outside of the calendar is written as a number: better than no line.
            self.second_text = jiff::Timestamp::from_second(second).map_or_else(
                |_| second.to_string(),
                |at| at.to_string().trim_end_matches('Z').to_owned(),
            );
            self.second = second;
        }
        word(out, &self.second_text);
        text::micros(out, micros.unsigned_abs());
    }
}

fn padded(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let end = out.len() + width;
    write(out);
    // At least one space, so that a long word does not run into the next.
    let end = end.max(out.len()) + 1;
    out.resize(end, b' ');
}

fn word(out: &mut Vec<u8>, word: &str) {
    out.extend_from_slice(word.as_bytes());
}

/// The time of a line, in microseconds since 1970.
pub(crate) fn time(line: &[u8]) -> Option<i64> {
    text::time(json::beginning(line).unwrap_or(line))
}

/// The columns of a line as text. Its step costs more to parse, and is parsed on demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLine<'a> {
    /// Microseconds since 1970 by the node's wall clock.
    pub(crate) at_us: i64,
    pub(crate) event: &'a str,
    /// The transaction, if the step concerns one.
    pub(crate) tx: Option<&'a str>,
    /// Address and port of the other end.
    pub(crate) peer: Option<&'a str>,
    /// The bank at the other end.
    pub(crate) bank: Option<u8>,
    /// The fields: all that follows the columns.
    pub(crate) detail: Cow<'a, str>,
}

impl<'a> LogLine<'a> {
    /// Parses a line without its end. `None` for text that no node wrote, and for a torn line.
    pub(crate) fn parse(line: &'a [u8]) -> Option<LogLine<'a>> {
        if json::beginning(line).is_some() {
            return json::parse(line);
        }
        let at_us = time(line)?;
        let rest = std::str::from_utf8(line.get(TIME_LENGTH..)?).ok()?;
        let (event, rest) = next_word(rest)?;
        let (tx, rest) = column(rest, "tx=");
        let (peer, rest) = column(rest, "peer=");
        let rest = rest.trim_start_matches(' ');
        let numbered =
            rest.strip_prefix("bank=").map(|rest| rest.split_once(' ').unwrap_or((rest, "")));
        // In an event without another end, `bank=` is a field or part of a text.
        let numbered = numbered.filter(|_| has_other_end(event));
        let (bank, detail) =
            match numbered.and_then(|(bank, rest)| Some((bank.parse().ok()?, rest))) {
                Some((bank, rest)) => (Some(bank), rest),
                None => (None, rest),
            };
        Some(LogLine { at_us, event, tx, peer, bank, detail: detail.trim().into() })
    }

    /// The step of this line. `None` where this version has no such event, or another form of it. A
    /// bank with a numeric address is read back with the address, as a link is.
    pub(crate) fn step(&self) -> Option<Step> {
        let tx = match self.tx {
            Some(tx) => Some(TxId::new(tx).ok()?),
            None => None,
        };
        let address = self.peer.and_then(|peer| peer.parse().ok());
        let bank = self.bank.and_then(|bank| consorcio_core::ids::BankId::new(bank.into()));
        let peer = match (address, bank) {
            (Some(address), Some(bank)) => Some(OtherEnd::Link(address, bank)),
            (Some(address), None) => Some(OtherEnd::Address(address)),
            (None, Some(bank)) => Some(OtherEnd::Bank(bank)),
            (None, None) => None,
        };
        Step::read(self.event, tx, peer, FieldReader::new(&self.detail, Some(self.at_us)))
    }
}

/// A column, if it is the next word of `text`, and what follows it. Earlier versions wrote `-` for
/// a column that is left out now.
fn column<'a>(text: &'a str, name: &str) -> (Option<&'a str>, &'a str) {
    match next_word(text).and_then(|(word, rest)| Some((word.strip_prefix(name)?, rest))) {
        Some((value, rest)) => (Some(value).filter(|value| *value != "-"), rest),
        None => (None, text),
    }
}

/// Whether a line about a transaction, with this event, has the end of it at its node; without
/// parsing all of it.
pub(crate) fn ends_a_transaction(event: &[u8], line: &[u8]) -> bool {
    match event {
        b"outcome" | b"drove" | b"refuse" | b"verdict" => true,
        b"vote" => {
            [&b" NOK "[..], b"\"NOK "].iter().any(|word| memchr::memmem::find(line, word).is_some())
        }
        _ => false,
    }
}

/// The event of a line and its transaction, without parsing the rest.
pub(crate) fn quick_columns(line: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if let Some(rest) = json::beginning(line) {
        return json::quick_columns(rest.get(TIME_LENGTH..)?);
    }
    let (event, rest) = quick_word(line.get(TIME_LENGTH..)?)?;
    let tx = quick_word(rest).and_then(|(word, _)| word.strip_prefix(b"tx="));
    Some((event, tx.filter(|tx| *tx != b"-")))
}

fn quick_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = &text[text.iter().position(|byte| *byte != b' ')?..];
    Some(text.split_at(memchr::memchr(b' ', text).unwrap_or(text.len())))
}

/// The next word of `text`, and what follows it.
fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(' ');
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (!word.is_empty()).then_some((word, rest))
}

/// The load of a request, as in its line.
pub(crate) fn load_text(load: Load) -> String {
    text_of(|out| LineField::write(&load, "", &mut FieldOut::new(out, None)))
}

/// A reply, as in its line but for its number.
pub(crate) fn summary_text(summary: ReplySummary, words: &str) -> String {
    text_of(|out| {
        LineField::write(&summary, "", &mut FieldOut::new(out, None));
        text::push_text(out, words);
    })
}

fn text_of(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).trim().to_owned()
}
