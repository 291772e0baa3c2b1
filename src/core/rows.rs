//! Rows that can be frozen: a copy of them costs nothing, and shows them as they were however they
//! change afterwards.
//!
//! Rows are in chunks, and chunks in groups. A copy shares all of them; the first change of a
//! shared chunk copies it, its group's list of chunks, and the list of groups. So a change runs
//! over `CHUNK_ROWS` rows and as many pointers at most, and a list of groups has one entry for
//! 65,536 rows.

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Rows of a full chunk, and chunks of a full group; few in tests, so that they fill there.
const CHUNK_ROWS: usize = if cfg!(test) { 4 } else { 256 };
const GROUP_ROWS: usize = CHUNK_ROWS * CHUNK_ROWS;

type RowChunk<T> = Arc<Vec<T>>;
type ChunkGroup<T> = Arc<Vec<RowChunk<T>>>;

/// Rows by index; new ones are added at the end.
#[derive(Debug, Clone)]
pub(crate) struct SharedRows<T> {
    groups: Arc<Vec<ChunkGroup<T>>>,
    len: usize,
    copied_bytes: u64,
}

impl<T: Clone> SharedRows<T> {
    pub(crate) fn new() -> SharedRows<T> {
        SharedRows { groups: Arc::default(), len: 0, copied_bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The row at `index`.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn at(&self, index: usize) -> &T {
        let group = &self.groups[index / GROUP_ROWS];
        &group[index % GROUP_ROWS / CHUNK_ROWS][index % CHUNK_ROWS]
    }

    /// The row at `index`, to be changed.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn at_mut(&mut self, index: usize) -> &mut T {
        &mut self.chunk_mut(index)[index % CHUNK_ROWS]
    }

    pub(crate) fn push(&mut self, row: T) {
        let index = self.len;
        if index.is_multiple_of(CHUNK_ROWS) {
            let copied = &mut self.copied_bytes;
            let groups = unshared(&mut self.groups, copied);
            if index.is_multiple_of(GROUP_ROWS) {
                groups.push(Arc::default());
            }
            // A new chunk grows by doubling: most tests and new banks have few rows.
            unshared(&mut groups[index / GROUP_ROWS], copied).push(Arc::default());
        }
        self.chunk_mut(index).push(row);
        self.len += 1;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.groups.iter().flat_map(|group| group.iter()).flat_map(|chunk| chunk.iter())
    }

    /// The chunks in order. Each is given back before the next one is taken, so that its rows can
    /// change without a copy again.
    pub(crate) fn into_chunks(self) -> impl Iterator<Item = Arc<Vec<T>>> {
        let groups = Arc::unwrap_or_clone(self.groups).into_iter();
        groups.flat_map(|group| Arc::unwrap_or_clone(group).into_iter())
    }

    /// The memory of the rows, in bytes, without what they point to.
    pub(crate) fn bytes(&self) -> u64 {
        (self.len * size_of::<T>()) as u64
    }

    /// How many bytes were copied since these rows exist, because others shared them. It depends on
    /// how long the others do, so nothing that a bank decides may follow from it.
    pub(crate) fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }

    fn chunk_mut(&mut self, index: usize) -> &mut Vec<T> {
        let copied = &mut self.copied_bytes;
        let group = &mut unshared(&mut self.groups, copied)[index / GROUP_ROWS];
        unshared(&mut unshared(group, copied)[index % GROUP_ROWS / CHUNK_ROWS], copied)
    }
}

/// The elements, which nobody else sees any more: shared ones are copied first.
fn unshared<'a, U: Clone>(shared: &'a mut Arc<Vec<U>>, copied_bytes: &mut u64) -> &'a mut Vec<U> {
    if Arc::strong_count(shared) > 1 {
        *copied_bytes += (shared.len() * size_of::<U>()) as u64;
    }
    Arc::make_mut(shared)
}

impl<T: Clone> Default for SharedRows<T> {
    fn default() -> SharedRows<T> {
        SharedRows::new()
    }
}

/// Equal if their rows are.
impl<T: Clone + PartialEq> PartialEq for SharedRows<T> {
    fn eq(&self, other: &SharedRows<T>) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<T: Clone + Eq> Eq for SharedRows<T> {}

impl<T: Clone> FromIterator<T> for SharedRows<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> SharedRows<T> {
        let mut shared = SharedRows::new();
        rows.into_iter().for_each(|row| shared.push(row));
        shared
    }
}

impl<'de, T: Clone + Deserialize<'de>> Deserialize<'de> for SharedRows<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SharedRows<T>, D::Error> {
        deserializer.deserialize_seq(RowsVisitor(PhantomData))
    }
}

/// Reads rows one by one into their chunks.
struct RowsVisitor<T>(PhantomData<T>);

impl<'de, T: Clone + Deserialize<'de>> Visitor<'de> for RowsVisitor<T> {
    type Value = SharedRows<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<SharedRows<T>, A::Error> {
        let mut shared = SharedRows::new();
        while let Some(row) = rows.next_element()? {
            shared.push(row);
        }
        Ok(shared)
    }
}

/// Rows that come and go: a place is used again once its row was removed.
#[derive(Debug, Clone)]
pub(crate) struct SharedSlots<T> {
    rows: SharedRows<Option<T>>,
    free: Vec<u32>,
}

impl<T: Clone> Default for SharedSlots<T> {
    fn default() -> SharedSlots<T> {
        SharedSlots::new()
    }
}

impl<T: Clone> SharedSlots<T> {
    pub(crate) fn new() -> SharedSlots<T> {
        SharedSlots { rows: SharedRows::new(), free: Vec::new() }
    }

    /// Adds a row; returns its place.
    pub(crate) fn insert(&mut self, row: T) -> u32 {
        if let Some(place) = self.free.pop() {
            *self.rows.at_mut(index(place)) = Some(row);
            return place;
        }
        let place = u32::try_from(self.rows.len()).expect("memory ends before 2^32 rows");
        self.rows.push(Some(row));
        place
    }

    /// The row at `place`.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn at(&self, place: u32) -> &T {
        self.rows.at(index(place)).as_ref().expect("a place in use")
    }

    /// The row at `place`, to be changed.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn at_mut(&mut self, place: u32) -> &mut T {
        self.rows.at_mut(index(place)).as_mut().expect("a place in use")
    }

    /// Removes the row at `place`.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn remove(&mut self, place: u32) -> T {
        let row = self.rows.at_mut(index(place)).take().expect("a place in use");
        self.free.push(place);
        // The memory of many is given back once none is left.
        if self.free.len() == self.rows.len() && self.rows.len() > CHUNK_ROWS {
            let copied_bytes = self.rows.copied_bytes;
            self.rows = SharedRows { copied_bytes, ..SharedRows::new() };
            self.free = Vec::new();
        }
        row
    }

    /// The rows, which `SharedRows` can freeze; places that are free have none.
    pub(crate) fn rows(&self) -> &SharedRows<Option<T>> {
        &self.rows
    }
}

fn index(place: u32) -> usize {
    place as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_change_copies_one_chunk_and_its_lists_once() {
        let mut rows: SharedRows<u64> = (0..40).collect();
        assert_eq!(rows.copied_bytes(), 0);
        let frozen = rows.clone();
        *rows.at_mut(17) = 0;
        let lists = 3 + CHUNK_ROWS;
        let once = (lists * size_of::<RowChunk<u64>>() + CHUNK_ROWS * size_of::<u64>()) as u64;
        assert_eq!(rows.copied_bytes(), once, "three groups, a group's chunks, a chunk's rows");
        *rows.at_mut(18) = 0;
        *rows.at_mut(17) = 1;
        assert_eq!(rows.copied_bytes(), once, "the chunk is copied once");
        assert!(frozen.iter().copied().eq(0..40));
        drop(frozen);
        *rows.at_mut(0) = 7;
        assert_eq!(rows.copied_bytes(), once, "nobody shares the others any more");
    }

    #[test]
    fn chunks_are_given_back_one_by_one() {
        let mut rows: SharedRows<u64> = (0..40).collect();
        let mut chunks = rows.clone().into_chunks();
        for at in 0..10 {
            assert_eq!(chunks.next().map(|chunk| chunk[0]), Some(4 * at));
            let before = rows.copied_bytes();
            *rows.at_mut(4 * usize::try_from(at).unwrap()) += 1;
            let copied = rows.copied_bytes() - before;
            let pointers = (CHUNK_ROWS + 3) * size_of::<RowChunk<u64>>();
            assert!(copied <= pointers as u64, "chunk {at} was copied: {copied} bytes");
        }
        assert_eq!(chunks.next(), None);
    }

    proptest! {
        /// Frozen rows never change, whatever happens to the others; both equal plain vectors.
        #[test]
        fn frozen_rows_stay(steps in prop::collection::vec((0u8..8, any::<u16>()), 1..300)) {
            let mut rows = SharedRows::new();
            let mut plain = Vec::new();
            let mut frozen = Vec::new();
            for (kind, value) in steps {
                match kind {
                    0 => frozen.push((rows.clone(), plain.clone())),
                    1..4 if !plain.is_empty() => {
                        let at = usize::from(value) % plain.len();
                        (*rows.at_mut(at), plain[at]) = (value, value);
                    }
                    4 if !frozen.is_empty() => {
                        let (rows, plain) = frozen.swap_remove(usize::from(value) % frozen.len());
                        prop_assert!(rows.into_chunks().flat_map(|c| c.to_vec()).eq(plain));
                    }
                    _ => {
                        rows.push(value);
                        plain.push(value);
                    }
                }
                prop_assert_eq!(rows.len(), plain.len());
            }
            frozen.push((rows, plain));
            for (rows, plain) in frozen {
                prop_assert!(rows.iter().eq(&plain));
            }
        }

        #[test]
        fn places_are_used_again(steps in prop::collection::vec(any::<u16>(), 1..200)) {
            let mut slots = SharedSlots::new();
            let mut plain = std::collections::BTreeMap::new();
            for value in steps {
                let place = plain.keys().nth(usize::from(value) % 12).copied();
                if let Some(place) = place {
                    prop_assert_eq!(Some(slots.remove(place)), plain.remove(&place));
                } else {
                    let place = slots.insert(value);
                    prop_assert_eq!(plain.insert(place, value), None);
                    *slots.at_mut(place) = value;
                }
                prop_assert!(plain.iter().all(|(place, value)| slots.at(*place) == value));
                let held = slots.rows().iter().flatten().count();
                prop_assert_eq!(held, plain.len());
                prop_assert!(slots.rows().len() <= 16, "freed places are used first");
            }
        }
    }
}
