//! The history that cuts need: what each commit changed, by commit time. A cut takes the present
//! state and undoes later changes.
//!
//! Commits arrive nearly in the order of their times, so most are appended; but a bank that was
//! down receives many old ones at once. So the history is a sequence of chunks: an old commit moves
//! the entries of one chunk at most, and since each chunk carries its sum, the totals of a cut are
//! a sum over chunks.

use super::accounts::AccountSlot;
use super::totals::Flows;
use crate::ids::{RegisterKey, RegisterValue, Time};
use crate::limits::CUT_BYTES_MAX;
use crate::money::Money;
use crate::wire::transaction::Flow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

/// Entries of a full chunk; few in tests, so that short histories fill and split chunks.
const CHUNK_ENTRIES: usize = if cfg!(test) { 8 } else { 1024 };
/// Size of the filter that skips entries of accounts which are not on the page.
const SLOT_MARKS: usize = 64 * 1024;
/// The memory of a chunk, without the keys and values of registers.
const CHUNK_BYTES: usize = size_of::<Chunk>() + CHUNK_ENTRIES * size_of::<CutEntry>();

// The history has one entry for each operation of the last minute, so entries must be small.
const _: () = assert!(size_of::<CutEntry>() == 24);

/// The cut is older than the history of the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the oldest time kept is {horizon}")]
pub struct Expired {
    /// The oldest time for which a cut is possible.
    pub horizon: Time,
}

/// A change that a cut may have to undo.
#[derive(Debug, Clone)]
pub(super) enum CutChange {
    /// Money moved on an account.
    Money { slot: AccountSlot, flow: Flow, amount: Money },
    /// A register was set.
    Set(Box<Overwritten>),
}

/// The value of a register before it was set; `None` if it was never set before.
#[derive(Debug, Clone)]
pub(super) struct Overwritten {
    pub(super) key: RegisterKey,
    pub(super) previous: Option<RegisterValue>,
}

#[derive(Debug, Clone)]
struct CutEntry {
    time: Time,
    change: CutChange,
}

/// Neighbouring entries, by (time, arrival); never empty.
#[derive(Debug, Clone)]
struct Chunk {
    entries: Vec<CutEntry>,
    /// The sums of the money in its entries.
    flows: Flows,
    /// How many entries are registers, and the memory of their keys and values.
    sets: usize,
    set_bytes: usize,
}

/// All changes later than its horizon.
#[derive(Debug, Clone)]
pub(super) struct CutHistory {
    horizon: Time,
    /// In order of time: all entries of a chunk come before those of the next.
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// The bound on its memory, which holds even during a recovery that replays years without a
    /// call of `trim`.
    bytes_max: usize,
}

impl CutHistory {
    /// An empty history from `horizon` on.
    pub(super) fn beginning_at(horizon: Time) -> CutHistory {
        CutHistory { horizon, chunks: VecDeque::new(), bytes: 0, bytes_max: CUT_BYTES_MAX }
    }

    pub(super) fn horizon(&self) -> Time {
        self.horizon
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Checks that a cut at `time` is possible.
    pub(super) fn reaches(&self, time: Time) -> Result<(), Expired> {
        if time < self.horizon { Err(Expired { horizon: self.horizon }) } else { Ok(()) }
    }

    /// Records a change. A change at or before the horizon is in every possible cut, so it is not
    /// recorded.
    pub(super) fn record(&mut self, time: Time, change: CutChange) {
        if time <= self.horizon {
            return;
        }
        let entry = CutEntry { time, change };
        match self.chunks.back() {
            None => self.push_chunk(entry),
            Some(last) if last.is_full() && last.last() <= time => self.push_chunk(entry),
            Some(last) if last.first() <= time => self.insert(self.chunks.len() - 1, entry),
            Some(_) => {
                let at = self.chunks.partition_point(|chunk| chunk.first() <= time);
                self.insert(at.saturating_sub(1), entry);
            }
        }
        if self.bytes > self.bytes_max {
            self.trim(self.horizon, self.bytes_max);
        }
    }

    /// The sums of the money that moved later than `time`.
    pub(super) fn flows_after(&self, time: Time) -> Flows {
        let mut flows = Flows::default();
        for chunk in self.chunks.iter().rev() {
            if chunk.first() > time {
                flows = flows.plus(&chunk.flows);
                continue;
            }
            for entry in chunk.after(time) {
                entry.add_to(&mut flows);
            }
            break; // all earlier chunks are at or before `time`
        }
        flows
    }

    /// For each of these accounts, by how much its balance grew later than `time`.
    pub(super) fn balances_since(&self, time: Time, slots: &[AccountSlot]) -> Vec<i128> {
        let mut by_slot: Vec<(AccountSlot, usize)> = slots.iter().copied().zip(0..).collect();
        by_slot.sort_unstable();
        // Most changes are of other accounts; the filter skips the search for them.
        let mut mark = vec![false; SLOT_MARKS];
        slots.iter().for_each(|slot| mark[slot.index() % SLOT_MARKS] = true);
        let mut since = vec![0i128; slots.len()];
        for entry in self.after(time).flat_map(|chunk| chunk.after(time)) {
            match &entry.change {
                CutChange::Money { slot, flow, amount } if mark[slot.index() % SLOT_MARKS] => {
                    if let Ok(found) = by_slot.binary_search_by_key(slot, |(slot, _)| *slot) {
                        let grew = if flow.takes() { -amount.wide() } else { amount.wide() };
                        since[by_slot[found].1] += grew;
                    }
                }
                CutChange::Money { .. } | CutChange::Set(_) => {}
            }
        }
        since
    }

    /// The registers of this range that were set later than `time`, with their values at `time`.
    pub(super) fn registers_then(
        &self,
        time: Time,
        keys: RangeInclusive<&RegisterKey>,
    ) -> BTreeMap<&RegisterKey, Option<&RegisterValue>> {
        let mut then = BTreeMap::new();
        for chunk in self.after(time).filter(|chunk| chunk.sets > 0) {
            for entry in chunk.after(time) {
                match &entry.change {
                    CutChange::Money { .. } => {}
                    // The first entry after `time` has the value at `time`.
                    CutChange::Set(set) if !keys.contains(&&set.key) => {}
                    CutChange::Set(set) => {
                        then.entry(&set.key).or_insert(set.previous.as_ref());
                    }
                }
            }
        }
        then
    }

    /// Drops changes at or before `up_to`, and then more while the history takes over `bytes_max`.
    pub(super) fn trim(&mut self, up_to: Time, bytes_max: usize) {
        self.horizon = self.horizon.max(up_to);
        // Only whole chunks are dropped: entries at or before the horizon harm no possible cut.
        while self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.last() <= self.horizon || self.bytes > bytes_max)
        {
            let Some(chunk) = self.chunks.pop_front() else { break };
            self.horizon = self.horizon.max(chunk.last());
            self.bytes -= CHUNK_BYTES + chunk.set_bytes;
        }
    }

    /// Checks everything and panics if something is broken.
    pub(super) fn audit(&self) {
        let mut bytes = 0;
        let mut last = Time(i64::MIN);
        for chunk in &self.chunks {
            assert!(
                !chunk.entries.is_empty() && chunk.entries.len() <= CHUNK_ENTRIES,
                "a chunk's length"
            );
            for entry in &chunk.entries {
                assert!(last <= entry.time, "the past is not in order at {}", entry.time);
                last = entry.time;
            }
            let rebuilt = Chunk::of(chunk.entries.clone());
            assert_eq!(rebuilt.flows, chunk.flows, "the sums of the past up to {last}");
            assert_eq!(
                (rebuilt.sets, rebuilt.set_bytes),
                (chunk.sets, chunk.set_bytes),
                "sets up to {last}"
            );
            bytes += CHUNK_BYTES + chunk.set_bytes;
        }
        assert_eq!(bytes, self.bytes, "the memory of the past");
    }

    /// The chunks that contain changes later than `time`, and perhaps one before them.
    fn after(&self, time: Time) -> impl Iterator<Item = &Chunk> {
        let begin = self.chunks.partition_point(|chunk| chunk.first() <= time).saturating_sub(1);
        self.chunks.range(begin..)
    }

    fn push_chunk(&mut self, entry: CutEntry) {
        let mut entries = Vec::with_capacity(CHUNK_ENTRIES);
        entries.push(entry);
        let chunk = Chunk::of(entries);
        self.bytes += CHUNK_BYTES + chunk.set_bytes;
        self.chunks.push_back(chunk);
    }

    fn insert(&mut self, mut at: usize, entry: CutEntry) {
        if self.chunks[at].is_full() {
            let later = self.chunks[at].split();
            let is_later = later.first() <= entry.time;
            self.chunks.insert(at + 1, later);
            self.bytes += CHUNK_BYTES;
            at += usize::from(is_later);
        }
        self.bytes += self.chunks[at].insert(entry);
    }
}

impl Chunk {
    fn of(entries: Vec<CutEntry>) -> Chunk {
        let mut chunk = Chunk { entries, flows: Flows::default(), sets: 0, set_bytes: 0 };
        for entry in &chunk.entries {
            entry.add_to(&mut chunk.flows);
            let bytes = entry.set_bytes();
            chunk.sets += usize::from(bytes > 0);
            chunk.set_bytes += bytes;
        }
        chunk
    }

    fn is_full(&self) -> bool {
        self.entries.len() == CHUNK_ENTRIES
    }

    fn first(&self) -> Time {
        self.entries[0].time
    }

    fn last(&self) -> Time {
        self.entries[self.entries.len() - 1].time
    }

    /// Its entries later than `time`.
    fn after(&self, time: Time) -> &[CutEntry] {
        &self.entries[self.entries.partition_point(|entry| entry.time <= time)..]
    }

    /// Inserts an entry after those that are not later; returns how much memory it needs besides
    /// its slot.
    fn insert(&mut self, entry: CutEntry) -> usize {
        entry.add_to(&mut self.flows);
        let bytes = entry.set_bytes();
        self.sets += usize::from(bytes > 0);
        self.set_bytes += bytes;
        if self.last() <= entry.time {
            self.entries.push(entry);
        } else {
            let at = self.entries.partition_point(|other| other.time <= entry.time);
            self.entries.insert(at, entry);
        }
        bytes
    }

    /// Keeps the earlier half and returns the later one.
    fn split(&mut self) -> Chunk {
        let mut entries = Vec::with_capacity(CHUNK_ENTRIES);
        entries.extend(self.entries.drain(CHUNK_ENTRIES / 2..));
        *self = Chunk::of(std::mem::take(&mut self.entries));
        Chunk::of(entries)
    }
}

impl CutEntry {
    fn add_to(&self, flows: &mut Flows) {
        match &self.change {
            CutChange::Money { flow, amount, .. } => flows.add(*flow, *amount),
            CutChange::Set(_) => {}
        }
    }

    /// The memory of a register's key and value; 0 for money.
    fn set_bytes(&self) -> usize {
        match &self.change {
            CutChange::Money { .. } => 0,
            CutChange::Set(set) => {
                let value = set.previous.as_ref().map_or(0, |value| value.as_str().len());
                size_of::<Overwritten>() + set.key.as_str().len() + value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_memory_is_bounded_even_without_trim() {
        let money = CutChange::Money {
            slot: AccountSlot::default(),
            flow: Flow::Deposit,
            amount: Money(1),
        };
        let mut past = CutHistory::beginning_at(Time(0));
        assert_eq!(past.bytes_max, CUT_BYTES_MAX);
        past.bytes_max = 10 * CHUNK_BYTES;
        for time in 1..=100_000 {
            past.record(Time(time), money.clone());
            assert!(past.bytes <= past.bytes_max);
        }
        past.audit();
        let kept = 100_000 - past.horizon().0;
        assert!(kept >= 9 * i64::try_from(CHUNK_ENTRIES).unwrap(), "the memory is used: {kept}");
        assert_eq!(past.flows_after(past.horizon()).cash_in, i128::from(kept));

        let key = RegisterKey::new("k").unwrap();
        let previous = RegisterValue::new(&"v".repeat(256)).ok();
        past.record(Time(100_001), CutChange::Set(Box::new(Overwritten { key, previous })));
        past.audit();
        assert!(past.bytes <= past.bytes_max, "registers count as well");
    }

    #[test]
    fn the_audit_finds_each_kind_of_damage() {
        let money = CutChange::Money {
            slot: AccountSlot::default(),
            flow: Flow::Deposit,
            amount: Money(1),
        };
        let mut sound = CutHistory::beginning_at(Time(0));
        let entries = i64::try_from(CHUNK_ENTRIES).unwrap();
        (1..=3 * entries).for_each(|time| sound.record(Time(time), money.clone()));
        sound.audit();
        type Damage = fn(&mut CutHistory);
        let damages: [(&str, Damage); 5] = [
            ("not in order", |past| past.chunks[1].entries.swap(0, 1)),
            ("not in order", |past| past.chunks.swap(0, 1)),
            ("the sums of the past", |past| past.chunks[1].flows.cash_in += 1),
            ("sets up to", |past| past.chunks[1].sets += 1),
            ("the memory of the past", |past| past.bytes += 1),
        ];
        for (expected, damage) in damages {
            let mut past = sound.clone();
            damage(&mut past);
            let audit = std::panic::AssertUnwindSafe(|| past.audit());
            let panic = std::panic::catch_unwind(audit).expect_err(expected);
            let text = panic.downcast::<String>().unwrap();
            assert!(text.contains(expected), "{text}, not: {expected}");
        }
    }
}
