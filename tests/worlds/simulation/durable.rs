//! The records that a bank could still lose in a crash: no reply may depend on them. And the bank's
//! clock: no two of its acts share a time.

use consorcio_core::bank::io::{Outcome, Seq};
use consorcio_core::bank::record::Record;
use consorcio_core::ids::Time;
use consorcio_core::wire::transaction::{Action, Transaction};
use std::collections::VecDeque;

/// One bank's newest changes of its ledger, and its clock.
#[derive(Default)]
pub struct Unsynced {
    changes: VecDeque<LedgerChange>,
    /// The clock after each record that advanced it: records that are not durable, and the last one
    /// before them.
    clock: VecDeque<(Seq, Time)>,
    newest: Seq,
}

/// The change that one record made to the ledger.
struct LedgerChange {
    seq: Seq,
    /// Cuts from this time on include it.
    time: Time,
    registers: Vec<(String, String)>,
}

impl Unsynced {
    /// A record changed accounts and registers as of `time`, by this transaction or by an opening.
    pub fn changed(&mut self, seq: Seq, time: Time, by: Option<&Transaction>) {
        let ops = by.map_or(&[][..], Transaction::ops);
        let set = ops.iter().filter_map(|op| match &op.action {
            Action::Set { key, value } => {
                Some((key.as_str().to_owned(), value.as_str().to_owned()))
            }
            Action::Money { .. } => None,
        });
        self.changes.push_back(LedgerChange { seq, time, registers: set.collect() });
    }

    fn synced(&mut self, durable: Seq) {
        while self.changes.front().is_some_and(|change| change.seq <= durable) {
            self.changes.pop_front();
        }
        while self.clock.get(1).is_some_and(|(seq, _)| *seq <= durable) {
            self.clock.pop_front();
        }
    }

    /// A crash took the newest `count` records.
    pub fn lost(&mut self, count: usize) {
        self.newest = self.newest.saturating_sub(Seq::try_from(count).expect("a short journal"));
        let left = self.newest;
        self.changes.retain(|change| change.seq <= left);
        self.clock.retain(|(seq, _)| *seq <= left);
    }

    /// A reader received this value of a register.
    pub fn value_read(&mut self, at: usize, durable: Seq, key: &str, value: &str) {
        self.synced(durable);
        let sets =
            |change: &&LedgerChange| change.registers.iter().any(|(k, v)| k == key && v == value);
        if let Some(change) = self.changes.iter().find(sets) {
            panic!(
                "bank {at} returns {key}={value} before record {} is synced, only {durable} is",
                change.seq
            );
        }
    }

    /// A reader received a cut of this time.
    pub fn cut_read(&mut self, at: usize, durable: Seq, time: i64) {
        self.synced(durable);
        if let Some(change) = self.changes.iter().find(|change| change.time.0 <= time) {
            panic!(
                "bank {at} returns the cut at {time} before record {} is synced, only {durable} is",
                change.seq
            );
        }
    }

    /// A record carries the time of an act, or advances the clock. Each act is later than all
    /// before.
    pub fn clock_recorded(&mut self, at: usize, seq: Seq, durable: Seq, record: &Record) {
        self.synced(durable);
        self.newest = seq;
        let (act, moved) = match record {
            Record::Voted { time, .. }
            | Record::Refused { time, .. }
            | Record::ClientAdded { time, .. }
            | Record::AccountOpened { time, .. }
            | Record::Registered { time, .. }
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
