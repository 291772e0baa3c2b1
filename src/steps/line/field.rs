//! The fields of a line, which follow its columns: for each type, how it is written and how it is
//! read back. A field is `name=value`, some words, or the rest of the line.

use super::parts::{Ordinal, RequestId};
use super::reader::FieldReader;
use super::text::{number, push_text, socket};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::{AccountNumber, BankId, BankSet, Time};
use consorcio_core::limits::STEP_TIME_DIFFERENCE_US_MAX;
use consorcio_core::wire::Reason;
use consorcio_core::wire::token::KeyId;
use consorcio_core::wire::verb::Verb;
use consorcio_core::{access::Name, bank::io::DoubtCause};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::ops::{Deref, DerefMut};

/// A part of a step as a field of its line. `name` ends with `=`, or is empty where a field has no
/// name.
pub(super) trait LineField: Sized {
    /// What its text is made of.
    const KIND: TextKind = TextKind::Words;

    /// Appends the field to a line.
    fn write(&self, name: &str, out: &mut FieldOut<'_>);

    /// Reads the field; `None` where the line has something else there.
    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<Self>;
}

/// What the text of a field is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    /// Words with spaces between them, and pairs such as `seq=9`.
    Words,
    /// A text for people.
    Sentence,
    /// A list in brackets.
    List,
}

/// The kind of a field's text.
pub(super) fn kind_of<T: LineField>(_: &T) -> TextKind {
    T::KIND
}

/// A line that fields are appended to.
pub(super) struct FieldOut<'a> {
    bytes: &'a mut Vec<u8>,
    /// The time of the line, in microseconds since 1970. Times near it are written as differences.
    at_us: Option<i64>,
}

impl<'a> FieldOut<'a> {
    /// The fields of a line with the time `at_us`, or of no line, where all times are whole.
    pub(super) fn new(bytes: &'a mut Vec<u8>, at_us: Option<i64>) -> FieldOut<'a> {
        FieldOut { bytes, at_us }
    }

    /// The difference from the time of the line, if it is small.
    fn difference(&self, time: Time) -> Option<i64> {
        let difference = time.0.checked_sub(self.at_us?)?;
        (difference.unsigned_abs() <= STEP_TIME_DIFFERENCE_US_MAX).then_some(difference)
    }
}

impl Deref for FieldOut<'_> {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        self.bytes
    }
}

impl DerefMut for FieldOut<'_> {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        self.bytes
    }
}

/// Appends a word, after a space unless the column before left one.
pub(super) fn next(out: &mut Vec<u8>, text: &str) {
    if out.last() != Some(&b' ') {
        out.push(b' ');
    }
    out.extend_from_slice(text.as_bytes());
}

impl LineField for u64 {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        next(out, name);
        number(out, *self);
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<u64> {
        words.field(name, |value| value.parse().ok())
    }
}

impl LineField for usize {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        u64::try_from(*self).unwrap_or(u64::MAX).write(name, out);
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<usize> {
        words.field(name, |value| value.parse().ok())
    }
}

impl LineField for bool {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        next(out, name);
        out.extend_from_slice(if *self { b"yes" } else { b"no" });
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<bool> {
        words.field(name, |value| match value {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        })
    }
}

/// Left out where it is the time of the line; else the difference from it, as in `+312us`, or all
/// of it in microseconds.
impl LineField for Time {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        if out.difference(*self) != Some(0) {
            time_field(*self, name, out);
        }
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<Time> {
        let at_us = words.at_us();
        match words.optional(name, |value| time_value(value, at_us)) {
            Some(time) => Some(time),
            None => at_us.map(Time),
        }
    }
}

fn time_field(time: Time, name: &str, out: &mut FieldOut<'_>) {
    let difference = out.difference(time);
    let value = difference.unwrap_or(time.0);
    next(out, name);
    if value < 0 {
        out.push(b'-');
    } else if difference.is_some() {
        out.push(b'+');
    }
    number(out, value.unsigned_abs());
    if difference.is_some() {
        out.extend_from_slice(b"us");
    }
}

fn time_value(value: &str, at_us: Option<i64>) -> Option<Time> {
    match value.strip_suffix("us") {
        Some(difference) => at_us?.checked_add(difference.parse().ok()?).map(Time),
        None => value.parse().ok().map(Time),
    }
}

impl LineField for Option<Time> {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        self.iter().for_each(|time| time_field(*time, name, out));
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<Option<Time>> {
        let at_us = words.at_us();
        Some(words.optional(name, |value| time_value(value, at_us)))
    }
}

/// Lines of open mode have no name.
impl LineField for Option<Box<Name>> {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        if let Some(by) = self {
            next(out, name);
            out.extend_from_slice(by.as_str().as_bytes());
        }
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<Option<Box<Name>>> {
        Some(words.field(name, |value| Name::new(value).ok().map(Box::new)))
    }
}

impl LineField for BankId {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        u64::from(self.as_u8()).write(name, out);
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<BankId> {
        words.field(name, bank)
    }
}

impl LineField for Option<BankId> {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        self.iter().for_each(|bank| bank.write(name, out));
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<Option<BankId>> {
        Some(words.optional(name, bank))
    }
}

pub(super) fn bank(text: &str) -> Option<BankId> {
    BankId::new(text.parse().ok()?)
}

/// Written as `0,2`, or `-` for the empty set.
impl LineField for BankSet {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        next(out, name);
        for (at, bank) in self.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            number(out, bank.as_u8().into());
        }
        if self.is_empty() {
            out.push(b'-');
        }
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<BankSet> {
        words.field(name, |value| match value {
            "-" => Some(BankSet::EMPTY),
            banks => banks.split(',').map(bank).collect(),
        })
    }
}

impl LineField for Option<SocketAddr> {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        if let Some(address) = self {
            next(out, name);
            socket(out, *address);
        }
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<Option<SocketAddr>> {
        Some(words.optional(name, |value| value.parse().ok()))
    }
}

impl LineField for Ordinal {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        self.iter().for_each(|n| n.get().write(name, out));
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<Ordinal> {
        Some(words.optional(name, |value| value.parse().ok()))
    }
}

/// Written as `port=4567 n=17`.
impl LineField for Option<RequestId> {
    fn write(&self, _: &str, out: &mut FieldOut<'_>) {
        if let Some(RequestId { port, n }) = self {
            u64::from(*port).write("port=", out);
            n.get().write("n=", out);
        }
    }

    fn read(_: &str, words: &mut FieldReader<'_>) -> Option<Option<RequestId>> {
        let mut ahead = *words;
        let Some(port) = ahead.optional("port=", |value| value.parse().ok()) else {
            return Some(None);
        };
        let n = ahead.optional("n=", |value| value.parse::<NonZeroU64>().ok());
        Some(n.map(|n| {
            *words = ahead;
            RequestId { port, n }
        }))
    }
}

/// A text for people: the rest of the line, within a bound.
impl LineField for Box<str> {
    const KIND: TextKind = TextKind::Sentence;

    fn write(&self, _: &str, out: &mut FieldOut<'_>) {
        push_text(out, self);
    }

    fn read(_: &str, words: &mut FieldReader<'_>) -> Option<Box<str>> {
        Some(words.rest().into())
    }
}

/// Types that are one word in a line.
macro_rules! word {
    ($($kind:ty: |$value:ident| $as_str:expr, $parse:expr;)*) => {
        $(impl LineField for $kind {
            fn write(&self, name: &str, out: &mut FieldOut<'_>) {
                let $value = self;
                next(out, name);
                out.extend_from_slice($as_str.as_bytes());
            }

            fn read(name: &str, words: &mut FieldReader<'_>) -> Option<$kind> {
                if name.is_empty() { words.take($parse) } else { words.field(name, $parse) }
            }
        })*
    };
}

word! {
    Verb: |verb| verb.name(), Verb::read;
    Reason: |reason| reason.as_str(), Reason::parse;
    DoubtCause: |cause| cause.as_str(), doubt_cause;
    AccountNumber: |number| number.as_str(), |word| AccountNumber::new(word).ok();
    KeyId: |key| key.to_string(), KeyId::parse;
    FoundingId: |founding| founding.to_string(), FoundingId::parse;
    CpfEnd: |end| end.as_str(), CpfEnd::parse;
}

impl LineField for Option<Verb> {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        self.iter().for_each(|verb| verb.write(name, out));
    }

    fn read(_: &str, words: &mut FieldReader<'_>) -> Option<Option<Verb>> {
        Some(words.take(Verb::read))
    }
}

fn doubt_cause(word: &str) -> Option<DoubtCause> {
    DOUBT_CAUSES.into_iter().find(|cause| cause.as_str() == word)
}

/// A vote: `OK`, or `NOK` and the reason.
impl LineField for Option<Reason> {
    fn write(&self, _: &str, out: &mut FieldOut<'_>) {
        match self {
            None => next(out, "OK"),
            Some(reason) => {
                next(out, "NOK");
                reason.write("", out);
            }
        }
    }

    fn read(_: &str, words: &mut FieldReader<'_>) -> Option<Option<Reason>> {
        if words.take(|word| (word == "OK").then_some(())).is_some() {
            return Some(None);
        }
        words.take(|word| (word == "NOK").then_some(()))?;
        Reason::read("", words).map(Some)
    }
}

/// The last four characters of a tax number: they tell clients apart and name no person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpfEnd([u8; 4]);

impl CpfEnd {
    /// The last characters of `cpf`.
    pub(crate) fn of(cpf: &str) -> CpfEnd {
        CpfEnd(cpf.as_bytes().last_chunk().copied().unwrap_or(*b"????"))
    }

    fn parse(text: &str) -> Option<CpfEnd> {
        let end: [u8; 4] = text.as_bytes().try_into().ok()?;
        end.iter().all(u8::is_ascii_graphic).then_some(CpfEnd(end))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("????")
    }
}

pub(super) const DOUBT_CAUSES: [DoubtCause; 6] = [
    DoubtCause::DriverGone,
    DoubtCause::TimeOut,
    DoubtCause::Restart,
    DoubtCause::Asked,
    DoubtCause::OwnerGone,
    DoubtCause::CutWaits,
];

/// A count and its total, as in `2/3`.
impl LineField for (usize, usize) {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        self.0.write(name, out);
        out.push(b'/');
        number(out, u64::try_from(self.1).unwrap_or(u64::MAX));
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<(usize, usize)> {
        words.field(name, |value| {
            let (some, all) = value.split_once('/')?;
            Some((some.parse().ok()?, all.parse().ok()?))
        })
    }
}
