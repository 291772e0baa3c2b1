//! A filter that excludes most ids of other segments without a read.
//!
//! A blocked Bloom filter (Putze, Sanders & Singler 2007): all bits of an id are in one cache line,
//! so a query costs one cache miss. With 16 bits for each id, about one in a thousand other ids
//! passes.

use super::format::{u64_at, usize_of};

const WORDS_IN_BLOCK: usize = 8;
/// The size of the block with all bits of an id.
pub(super) const BLOCK_BYTES: usize = WORDS_IN_BLOCK * 8;
const BITS_FOR_ID: usize = 16;
const PROBES: u32 = 6;

/// How many blocks the filter of so many ids has.
pub(super) fn blocks_for(ids: u64) -> u64 {
    ids.saturating_mul(BITS_FOR_ID as u64).div_ceil(BLOCK_BYTES as u64 * 8).max(1)
}

/// The block with the bits of `hash`: the hash's upper half, scaled to `blocks`. A greater hash
/// never has an earlier block.
pub(super) fn block_of(hash: u64, blocks: u64) -> u64 {
    ((hash >> 32) * blocks) >> 32
}

/// Can `hash` be one of those in `block`? There are no false negatives.
pub(super) fn block_may_have(block: &[u8], hash: u64) -> bool {
    bits(hash).all(|bit| block[bit / 8] & 1 << (bit % 8) != 0)
}

/// Writes a filter block by block, from hashes in ascending order.
#[derive(Debug)]
pub(super) struct FilterBlocks {
    blocks: u64,
    /// The block that is being filled.
    at: u64,
    block: [u8; BLOCK_BYTES],
}

impl FilterBlocks {
    /// The filter of so many ids.
    pub(crate) fn new(ids: u64) -> FilterBlocks {
        FilterBlocks { blocks: blocks_for(ids), at: 0, block: [0; BLOCK_BYTES] }
    }

    /// Adds `hash`, which must not be smaller than the one before; appends earlier blocks to `out`.
    pub(crate) fn add(&mut self, hash: u64, out: &mut Vec<u8>) {
        self.go_to(block_of(hash, self.blocks), out);
        for bit in bits(hash) {
            self.block[bit / 8] |= 1 << (bit % 8);
        }
    }

    /// Appends the remaining blocks to `out`.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.go_to(self.blocks, out);
    }

    fn go_to(&mut self, block: u64, out: &mut Vec<u8>) {
        while self.at < block {
            out.extend_from_slice(&self.block);
            self.block = [0; BLOCK_BYTES];
            self.at += 1;
        }
    }
}

/// The filter of one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockFilter {
    words: Box<[u64]>,
}

impl BlockFilter {
    /// Builds a filter of `hashes`.
    pub(crate) fn new(hashes: impl ExactSizeIterator<Item = u64>) -> BlockFilter {
        let blocks = usize_of(blocks_for(hashes.len() as u64));
        let mut filter = BlockFilter { words: vec![0; blocks * WORDS_IN_BLOCK].into() };
        for hash in hashes {
            let begin = filter.block(hash);
            for bit in bits(hash) {
                filter.words[begin + bit / 64] |= 1 << (bit % 64);
            }
        }
        filter
    }

    /// Can `hash` be one of them? There are no false negatives.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        let begin = self.block(hash);
        bits(hash).all(|bit| self.words[begin + bit / 64] & 1 << (bit % 64) != 0)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// A filter from its bytes; `None` if they have no valid length.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<BlockFilter> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(WORDS_IN_BLOCK * 8) {
            return None;
        }
        Some(BlockFilter {
            words: (0..bytes.len() / 8).map(|word| u64_at(bytes, word * 8)).collect(),
        })
    }

    /// How many bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        (self.words.len() * 8) as u64
    }

    /// The index of the first word of the block of `hash`.
    fn block(&self, hash: u64) -> usize {
        usize_of(block_of(hash, (self.words.len() / WORDS_IN_BLOCK) as u64)) * WORDS_IN_BLOCK
    }
}

/// The bits of `hash` in its block: nine bits of a second hash for each.
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
    fn it_has_no_false_negatives_and_few_false_positives() {
        for count in [0, 1, 7, 100, 20_000] {
            let filter = BlockFilter::new((0..count).map(hash).collect::<Vec<_>>().into_iter());
            assert!((0..count).all(|n| filter.may_have(hash(n))));
            let others = (1_000_000..1_100_000).filter(|n| filter.may_have(hash(*n))).count();
            assert!(others < 300, "{others} of 100,000 others pass a filter of {count}");
            let mut sorted: Vec<u64> = (0..count).map(hash).collect();
            sorted.sort_unstable();
            let (mut blocks, mut bytes) = (FilterBlocks::new(count), Vec::new());
            sorted.iter().for_each(|hash| blocks.add(*hash, &mut bytes));
            blocks.finish(&mut bytes);
            assert_eq!(bytes, filter.to_bytes(), "written block by block it is the same");
            let block = |hash| {
                let begin = usize_of(block_of(hash, blocks_for(count))) * BLOCK_BYTES;
                &bytes[begin..begin + BLOCK_BYTES]
            };
            assert!(
                (0..count + 1_000)
                    .map(hash)
                    .all(|n| block_may_have(block(n), n) == filter.may_have(n)),
                "a single block gives the same answer"
            );
            assert_eq!(BlockFilter::from_bytes(&filter.to_bytes()), Some(filter));
        }
        assert_eq!(BlockFilter::from_bytes(&[]), None);
        assert_eq!(BlockFilter::from_bytes(&[0; 63]), None);
    }
}
