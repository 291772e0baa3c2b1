//! Selects the segments that share an index. Pure: no file is touched here.
//!
//! As in a log-structured merge tree (O'Neil et al. 1996), [`INDEX_FAN_OUT`] consecutive indexes of
//! one tier are merged into one of the next. So for n full segments there are at most `FAN_OUT - 1`
//! indexes in each tier, and `log(n)` tiers; each entry is written once for each tier.

use crate::format::SegmentSpan;
use consorcio_core::limits::INDEX_FAN_OUT;
use std::ops::Range;

/// The last segment with an index among these names.
pub(crate) fn last_indexed(names: &[String]) -> Option<SegmentSpan> {
    names.iter().filter_map(|name| SegmentSpan::named(name)).max_by_key(|span| span.last)
}

/// Which of these consecutive indexes are to be merged: those of the lowest tier first, and the
/// oldest of these. Indexes that `cannot` be read are excluded.
pub(crate) fn due(
    spans: &[SegmentSpan],
    cannot: impl Fn(SegmentSpan) -> bool,
) -> Option<Range<usize>> {
    let count = usize::try_from(INDEX_FAN_OUT).ok()?;
    let is_due = |at: &usize| {
        let group = &spans[*at..*at + count];
        let segments = group[0].segments();
        (group[0].first - 1).is_multiple_of(segments.saturating_mul(INDEX_FAN_OUT))
            && group.iter().all(|span| span.segments() == segments && !cannot(*span))
    };
    let groups = (0..=spans.len().checked_sub(count)?).filter(is_due);
    let at = groups.min_by_key(|at| spans[*at].segments())?;
    Some(at..at + count)
}

/// Which filters of these sizes are kept in memory: the smallest, as long as they fit `bytes_max`
/// together. So as few as possible stay on disk.
pub(crate) fn kept(sizes: &[u64], bytes_max: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| (sizes[*at], usize::MAX - at));
    let mut kept = vec![false; sizes.len()];
    let mut left = bytes_max;
    for at in order {
        match left.checked_sub(sizes[at]) {
            Some(rest) => left = rest,
            None => break,
        }
        kept[at] = true;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_only_for_aligned_spans() {
        for (first, last, name) in [
            (1, 1, "index-0000000001"),
            (9, 16, "merged-0000000009-0000000016"),
            (1, 64, "merged-0000000001-0000000064"),
        ] {
            let span = SegmentSpan { first, last };
            assert_eq!((span.name().as_str(), SegmentSpan::named(name)), (name, Some(span)));
        }
        for other in [
            "merged-0000000001-0000000007",
            "merged-0000000002-0000000009",
            "merged-0000000000-0000000007",
            "merged-0000000001-0000000001",
            "merged-0000000008-0000000001",
            "merged-1-8",
            "merged-0000000001-0000000008.tmp",
            "merged-0000000001-18446744073709551615",
            "index-1",
            "segment-0000000001",
        ] {
            assert_eq!(SegmentSpan::named(other), None, "{other}");
        }
    }

    /// After any number of merges few indexes are left, and every segment is covered.
    #[test]
    fn the_number_of_indexes_grows_with_the_logarithm_of_the_segments() {
        let mut spans: Vec<SegmentSpan> = Vec::new();
        for segment in 1..=5_000u64 {
            spans.push(SegmentSpan::one(segment));
            while let Some(group) = due(&spans, |_| false) {
                let merged = SegmentSpan {
                    first: spans[group.start].first,
                    last: spans[group.end - 1].last,
                };
                assert_eq!(SegmentSpan::named(&merged.name()), Some(merged));
                spans.splice(group, [merged]);
            }
            let tiers = segment.ilog(INDEX_FAN_OUT) + 1;
            assert!(
                spans.len() as u64 <= (INDEX_FAN_OUT - 1) * u64::from(tiers),
                "{segment}: {spans:?}"
            );
            assert!(spans.windows(2).all(|pair| pair[0].last + 1 == pair[1].first), "{spans:?}");
            assert_eq!((spans[0].first, spans[spans.len() - 1].last), (1, segment));
        }
    }

    #[test]
    fn unreadable_indexes_are_excluded_and_the_lowest_tier_is_merged_first() {
        let mut spans: Vec<SegmentSpan> =
            (0..8).map(|n| SegmentSpan { first: n * 8 + 1, last: n * 8 + 8 }).collect();
        assert_eq!(due(&spans, |_| false), Some(0..8));
        assert_eq!(due(&spans, |span| span.first == 9), None);
        spans.extend((65..=72).map(SegmentSpan::one));
        assert_eq!(due(&spans, |_| false), Some(8..16));
        assert_eq!(due(&spans, |span| span.first == 70), Some(0..8));
        assert_eq!(due(&spans[1..15], |_| false), None, "they are not aligned");
    }

    #[test]
    fn the_smallest_filters_stay_in_memory() {
        assert_eq!(kept(&[80, 10, 10, 1], 21), [false, true, true, true]);
        assert_eq!(
            kept(&[80, 10, 10, 1], 20),
            [false, false, true, true],
            "the newer of two equal ones"
        );
        assert_eq!(kept(&[80, 10, 10, 1], 101), [true; 4]);
        assert_eq!(kept(&[80, 10], 9), [false; 2]);
        assert_eq!(kept(&[], 9), [false; 0]);
    }
}
