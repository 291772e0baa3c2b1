//! A hash table from texts to slots. Nothing can iterate over it, so its order is not visible.
//!
//! The hash is SipHash-1-3 (Aumasson and Bernstein, _SipHash: a fast short-input PRF_, 2012) under
//! a seed, since strangers choose the texts. The table grows by extendible hashing (Fagin and
//! others, 1979): a part that is full is split in two, so an insertion moves the slots of one part
//! at most, however many there are.

/// The seed of a hash: both halves of a key that strangers do not know.
pub(crate) type HashSeed = [u64; 2];

/// Cells of a new part, and of one that is split when it is full; few in tests.
const FIRST_CELLS: usize = if cfg!(test) { 2 } else { 8 };
const FULL_CELLS: usize = if cfg!(test) { 8 } else { 1024 };
/// Parts are not split by more bits than this: they grow instead.
const DEEPEST: u32 = 20;

/// Slots by their texts. The caller compares the text itself.
#[derive(Debug, Clone)]
pub(super) struct SlotFinder {
    seed: HashSeed,
    /// The part for the first `depth` bits of a tag.
    directory: Vec<u32>,
    depth: u32,
    parts: Vec<TablePart>,
}

/// The slots whose tags begin with the same bits.
#[derive(Debug, Clone)]
struct TablePart {
    /// A power of two of cells: each 0, or a tag above the slot plus one.
    cells: Vec<u64>,
    used: usize,
    /// How many first bits their tags have in common.
    depth: u32,
}

impl SlotFinder {
    pub(super) fn new(seed: HashSeed) -> SlotFinder {
        SlotFinder { seed, directory: vec![0], depth: 0, parts: vec![TablePart::new(0)] }
    }

    pub(super) fn seed(&self) -> HashSeed {
        self.seed
    }

    /// The slot of `text`, if it is there; `is` compares the text of a slot with it.
    pub(super) fn find(&self, text: &str, is: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag_of(self.seed, text.as_bytes());
        let part = &self.parts[self.directory[self.entry(tag)] as usize];
        part.find(tag, is)
    }

    /// Adds the slot of a text that is not there.
    pub(super) fn insert(&mut self, text: &str, slot: u32) {
        let tag = tag_of(self.seed, text.as_bytes());
        loop {
            let at = self.directory[self.entry(tag)];
            let part = &mut self.parts[at as usize];
            if !part.is_full() {
                return part.insert(tag, slot);
            }
            if part.cells.len() < FULL_CELLS || part.depth >= DEEPEST {
                part.grow();
            } else {
                self.split(at, tag);
            }
        }
    }

    /// The position of a tag's part in the directory.
    fn entry(&self, tag: u32) -> usize {
        first_bits(tag, self.depth)
    }

    /// Splits the part of `tag` by one more bit.
    fn split(&mut self, at: u32, tag: u32) {
        let part = &mut self.parts[at as usize];
        let before = part.depth;
        let depth = before + 1;
        part.depth = depth;
        let mut later = TablePart { cells: vec![0; part.cells.len()], used: 0, depth };
        let cells = std::mem::replace(&mut part.cells, vec![0; later.cells.len()]);
        part.used = 0;
        for cell in cells.into_iter().filter(|cell| *cell != 0) {
            let is_later = tag_in(cell) >> (u32::BITS - depth) & 1 == 1;
            if is_later { later.put(cell) } else { part.put(cell) }
        }
        if depth > self.depth {
            self.depth = depth;
            self.directory = self.directory.iter().flat_map(|part| [*part, *part]).collect();
        }
        let new = u32::try_from(self.parts.len()).expect("fewer parts than slots");
        self.parts.push(later);
        // The entries of the part lie together, and the later half of them has the bit set.
        let entries = 1 << (self.depth - before);
        let begin = first_bits(tag, before) * entries;
        self.directory[begin + entries / 2..begin + entries].fill(new);
    }
}

impl TablePart {
    fn new(depth: u32) -> TablePart {
        TablePart { cells: vec![0; FIRST_CELLS], used: 0, depth }
    }

    /// Are seven of eight cells used?
    fn is_full(&self) -> bool {
        8 * (self.used + 1) > 7 * self.cells.len()
    }

    fn find(&self, tag: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.cells.len() - 1;
        let mut at = tag as usize & mask;
        loop {
            let cell = self.cells[at];
            if cell == 0 {
                return None;
            }
            if tag_in(cell) == tag && is(slot_in(cell)) {
                return Some(slot_in(cell));
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, tag: u32, slot: u32) {
        self.put(u64::from(tag) << 32 | (u64::from(slot) + 1));
    }

    fn put(&mut self, cell: u64) {
        let mask = self.cells.len() - 1;
        let mut at = tag_in(cell) as usize & mask;
        while self.cells[at] != 0 {
            at = (at + 1) & mask;
        }
        self.cells[at] = cell;
        self.used += 1;
    }

    fn grow(&mut self) {
        let twice = vec![0; 2 * self.cells.len()];
        let cells = std::mem::replace(&mut self.cells, twice);
        self.used = 0;
        cells.into_iter().filter(|cell| *cell != 0).for_each(|cell| self.put(cell));
    }
}

fn tag_in(cell: u64) -> u32 {
    (cell >> 32) as u32
}

fn slot_in(cell: u64) -> u32 {
    (cell & 0xffff_ffff) as u32 - 1
}

/// The first `bits` bits of a tag.
fn first_bits(tag: u32, bits: u32) -> usize {
    tag.checked_shr(u32::BITS - bits).unwrap_or(0) as usize
}

/// The first half of the hash of `text`.
fn tag_of(seed: HashSeed, text: &[u8]) -> u32 {
    (seeded_hash(seed, text) >> 32) as u32
}

/// SipHash with one round for each word, and three at the end.
pub(crate) fn seeded_hash([k0, k1]: HashSeed, text: &[u8]) -> u64 {
    let mut v = [
        k0 ^ u64::from_be_bytes(*b"somepseu"),
        k1 ^ u64::from_be_bytes(*b"dorandom"),
        k0 ^ u64::from_be_bytes(*b"lygenera"),
        k1 ^ u64::from_be_bytes(*b"tedbytes"),
    ];
    let (words, rest) = text.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    // Only the lowest byte of the length counts.
    last[7] = text.len().to_le_bytes()[0];
    for word in words.iter().chain([&last]) {
        let word = u64::from_le_bytes(*word);
        v[3] ^= word;
        sip_round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    (0..3).for_each(|_| sip_round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::hash::Hasher;

    proptest! {
        /// The standard library has the same function under a seed of zeros.
        #[test]
        fn the_hash_is_that_of_the_standard_library(
            text in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write(&text);
            prop_assert_eq!(seeded_hash([0, 0], &text), hasher.finish());
        }

        #[test]
        fn each_text_finds_its_slot(count in 0u32..400, seed in any::<HashSeed>()) {
            let text = |slot: u32| format!("number-{slot}");
            let mut table = SlotFinder::new(seed);
            for slot in 0..count {
                prop_assert_eq!(table.find(&text(slot), |found| found == slot), None);
                table.insert(&text(slot), slot);
            }
            for slot in 0..count {
                prop_assert_eq!(table.find(&text(slot), |found| found == slot), Some(slot));
            }
            prop_assert_eq!(table.find(&text(count), |found| found == count), None);
            let cells = table.parts.iter().map(|part| part.cells.len());
            prop_assert!(cells.max() <= Some(FULL_CELLS), "parts are split, not grown");
        }
    }

    #[test]
    fn texts_with_one_tag_are_distinguished() {
        let mut table = SlotFinder::new([1, 2]);
        let tag = tag_of([1, 2], b"one");
        let part = &mut table.parts[0];
        (10..13).for_each(|slot| {
            if part.is_full() {
                part.grow();
            }
            part.insert(tag, slot);
        });
        for slot in 10..13 {
            assert_eq!(table.find("one", |found| found == slot), Some(slot));
        }
        assert_eq!(table.find("one", |found| found == 13), None);
    }
}
