//! A filter that tells, without a read, that an id is surely not in a segment.
//!
//! A blocked Bloom filter (Putze, Sanders & Singler 2007): all bits of one id are in one cache line, so that
//! asking costs one miss however many bits are tested. 16 bits for each id let about one in a thousand others by.

use super::format::{u64_at, usize_of};

const WORDS_IN_BLOCK: usize = 8;
const BITS_FOR_ID: usize = 16;
const PROBES: u32 = 6;

/// The filter of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    words: Box<[u64]>,
}

impl Filter {
    /// A filter of `hashes`.
    pub fn new(hashes: impl ExactSizeIterator<Item = u64>) -> Filter {
        let blocks = (hashes.len() * BITS_FOR_ID).div_ceil(WORDS_IN_BLOCK * 64).max(1);
        let mut filter = Filter { words: vec![0; blocks * WORDS_IN_BLOCK].into() };
        for hash in hashes {
            let begin = filter.block(hash);
            for bit in bits(hash) {
                filter.words[begin + bit / 64] |= 1 << (bit % 64);
            }
        }
        filter
    }

    /// Can `hash` be one of them? "No" is sure.
    pub fn may_have(&self, hash: u64) -> bool {
        let begin = self.block(hash);
        bits(hash).all(|bit| self.words[begin + bit / 64] & 1 << (bit % 64) != 0)
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A filter from its bytes; `None` when they can't be one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Filter> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(WORDS_IN_BLOCK * 8) {
            return None;
        }
        Some(Filter { words: (0..bytes.len() / 8).map(|word| u64_at(bytes, word * 8)).collect() })
    }

    /// Where the block of `hash` begins: the hash's upper half, scaled to the number of blocks.
    fn block(&self, hash: u64) -> usize {
        let blocks = (self.words.len() / WORDS_IN_BLOCK) as u64;
        usize_of(((hash >> 32) * blocks) >> 32) * WORDS_IN_BLOCK
    }
}

/// The bits of `hash` in its block, nine bits of a second hash for each.
fn bits(hash: u64) -> impl Iterator<Item = usize> {
    let second = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..PROBES).map(move |probe| usize_of((second >> (64 - 9 * (probe + 1))) & 511))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&blake3::hash(&n.to_le_bytes()).as_bytes()[..8]);
        u64::from_le_bytes(bytes)
    }

    #[test]
    fn it_misses_none_and_lets_few_others_by() {
        for count in [0, 1, 7, 100, 20_000] {
            let filter = Filter::new((0..count).map(hash).collect::<Vec<_>>().into_iter());
            assert!((0..count).all(|n| filter.may_have(hash(n))));
            let others = (1_000_000..1_100_000).filter(|n| filter.may_have(hash(*n))).count();
            assert!(others < 300, "{others} of 100,000 others pass a filter of {count}");
            assert_eq!(Filter::from_bytes(&filter.to_bytes()), Some(filter));
        }
        assert_eq!(Filter::from_bytes(&[]), None);
        assert_eq!(Filter::from_bytes(&[0; 63]), None);
    }
}
