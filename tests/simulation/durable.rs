//! What a bank could still lose in a crash: nobody may be shown it. And its clock, which no two of
//! its acts share.

use consorcio::bank::io::{Outcome, Seq};
use consorcio::bank::record::Record;
use consorcio::ids::Time;
use consorcio::wire::transaction::{Action, Transaction};
use std::collections::VecDeque;

/// One bank's newest changes of its books, and its clock.
#[derive(Default)]
pub struct Unsynced {
    changes: VecDeque<BooksChange>,
    /// The clock behind each record that moved it: those that are not durable, and the one before
    /// them.
    clock: VecDeque<(Seq, Time)>,
    newest: Seq,
}

/// What one record did to the books.
struct BooksChange {
    seq: Seq,
    /// From this time on cuts have it.
    time: Time,
    registers: Vec<(String, String)>,
}

impl Unsynced {
    /// A record changed accounts and registers, as of `time`: by this transaction, or by an
    /// opening.
    pub fn changed(&mut self, seq: Seq, time: Time, by: Option<&Transaction>) {
        let ops = by.map_or(&[][..], Transaction::ops);
        let set = ops.iter().filter_map(|op| match &op.action {
            Action::Set { key, value } => {
                Some((key.as_str().to_owned(), value.as_str().to_owned()))
            }
            Action::Money { .. } => None,
        });
        self.changes.push_back(BooksChange { seq, time, registers: set.collect() });
    }

    /// All records up to `durable` are synced.
    fn synced(&mut self, durable: Seq) {
        while self.changes.front().is_some_and(|change| change.seq <= durable) {
            self.changes.pop_front();
        }
        while self.clock.get(1).is_some_and(|(seq, _)| *seq <= durable) {
            self.clock.pop_front();
        }
    }

    /// A crash took so many of the newest records.
    pub fn lost(&mut self, count: usize) {
        self.newest = self.newest.saturating_sub(Seq::try_from(count).expect("a short journal"));
        let left = self.newest;
        self.changes.retain(|change| change.seq <= left);
        self.clock.retain(|(seq, _)| *seq <= left);
    }

    /// A reader was told that a register has this value.
    pub fn value_told(&mut self, at: usize, durable: Seq, key: &str, value: &str) {
        self.synced(durable);
        let sets =
            |change: &&BooksChange| change.registers.iter().any(|(k, v)| k == key && v == value);
        if let Some(change) = self.changes.iter().find(sets) {
            panic!(
                "bank {at} tells {key}={value} before record {} is synced, only {durable} is",
                change.seq
            );
        }
    }

    /// A reader was told a cut of this time.
    pub fn cut_told(&mut self, at: usize, durable: Seq, time: i64) {
        self.synced(durable);
        if let Some(change) = self.changes.iter().find(|change| change.time.0 <= time) {
            panic!(
                "bank {at} tells the cut at {time} before record {} is synced, only {durable} is",
                change.seq
            );
        }
    }

    /// A record has the time of the bank's act, or moves its clock: each act is later than all that
    /// was before.
    pub fn clock_told(&mut self, at: usize, seq: Seq, durable: Seq, record: &Record) {
        self.synced(durable);
        self.newest = seq;
        let (act, moved) = match record {
            Record::Voted { time, .. }
            | Record::Refused { time, .. }
            | Record::ClientAdded { time, .. }
            | Record::AccountOpened { time, .. }
            | Record::OutsideVoted { time, .. } => (Some(*time), *time),
            Record::Executed { time, committed, .. } => (Some(*time), *committed),
            Record::Decided { outcome: Outcome::Committed(time), .. }
            | Record::ClockMoved { time } => (None, *time),
            _ => return,
        };
        let before = self.clock.back().map_or(Time::default(), |(_, time)| *time);
        assert!(
            act.is_none_or(|act| act > before),
            "bank {at} acts at {moved}, though its clock stood at {before}: {record:?}"
        );
        self.clock.push_back((seq, before.max(moved)));
    }
}
