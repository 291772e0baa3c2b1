//! Selects the indexes at a start: the longest ones first, so that together they cover every full
//! segment once. A missing or damaged index is rebuilt, with a warning.
//!
//! Normally this reads headers, and the filters that fit in memory. Rebuilding an index costs
//! reading its segments: one for a single index, all of them for a merged one.

use super::JournalError;
use super::disk::Disk;
use super::format::SegmentSpan;
use super::format::{JournalId, SEGMENT_HEADER_BYTES, index_name, segment_name, usize_of};
use super::index::{ClosedSegment, Index, kept, load, read_closed, write_index};
use super::recovered::{Recovered, ReplayStart};
use super::{display_path, io_error, sync_error};
use consorcio_core::bank::io::Seq;
use std::collections::BTreeSet;

/// The selection of indexes at a start.
pub(super) struct Cover<'a> {
    disk: &'a dyn Disk,
    journal: &'a JournalId,
    from: &'a ReplayStart,
    /// Full segments that were just read: those after the snapshot's last.
    closed: &'a mut [ClosedSegment],
    /// The spans of the index files in the folder.
    spans: BTreeSet<SegmentSpan>,
    /// Segments whose index was rebuilt although their records had not been read, or although an
    /// index file existed.
    rebuilt: Vec<u64>,
    /// Merged indexes whose files can't be used.
    damaged: Vec<SegmentSpan>,
}

impl<'a> Cover<'a> {
    pub(crate) fn new(
        disk: &'a dyn Disk,
        journal: &'a JournalId,
        names: &[String],
        from: &'a ReplayStart,
        closed: &'a mut [ClosedSegment],
    ) -> Cover<'a> {
        let spans = names.iter().filter_map(|name| SegmentSpan::named(name)).collect();
        Cover { disk, journal, from, closed, spans, rebuilt: Vec::new(), damaged: Vec::new() }
    }

    /// The indexes of all full segments, with as many filters as fit in `filter_bytes_max`. Other
    /// index files, which are damaged or were replaced by a merged one, are removed.
    pub(crate) fn find(
        mut self,
        filter_bytes_max: u64,
        recovered: &mut Recovered,
    ) -> Result<Vec<Index>, JournalError> {
        let full = SegmentSpan { first: 1, last: self.from.segment + self.closed.len() as u64 };
        let mut indexes = Vec::new();
        self.add(full, 0, &mut indexes)?;
        let indexes = self.with_filters(indexes, filter_bytes_max)?;
        self.warn(recovered);
        self.remove_others(full.last, &indexes, recovered)?;
        Ok(indexes)
    }

    /// Adds indexes of these segments; `before` is the last record before them.
    fn add(
        &mut self,
        segments: SegmentSpan,
        before: Seq,
        indexes: &mut Vec<Index>,
    ) -> Result<(), JournalError> {
        let (mut number, mut last) = (segments.first, before);
        while number <= segments.last {
            let index = match self.longest(number, segments.last, last)? {
                Some(index) => index,
                None => self.make(number, last)?,
            };
            (number, last) = (index.span.last + 1, index.last);
            indexes.push(index);
        }
        Ok(())
    }

    /// The valid index that begins with segment `first` and covers the most segments.
    fn longest(&mut self, first: u64, to: u64, before: Seq) -> Result<Option<Index>, JournalError> {
        let here = SegmentSpan::one(first)..=SegmentSpan { first, last: to };
        let spans: Vec<SegmentSpan> = self.spans.range(here).rev().copied().collect();
        for span in spans {
            let usable = !self.damaged.contains(&span);
            let index = if usable { load(self.disk, self.journal, span)? } else { None };
            match index.filter(|index| self.fits(index, before)) {
                Some(index) => return Ok(Some(index)),
                None => self.note_damaged(span),
            }
        }
        Ok(None)
    }

    fn note_damaged(&mut self, span: SegmentSpan) {
        if span.segments() > 1 && !self.damaged.contains(&span) {
            self.damaged.push(span);
        }
    }

    /// Does it agree with the records of its segments, as far as these are known?
    fn fits(&self, index: &Index, before: Seq) -> bool {
        let read = |segment: u64| segment.checked_sub(self.from.segment + 1).map(usize_of);
        let entries = match (read(index.span.first), read(index.span.last)) {
            (Some(first), Some(last)) => {
                let entries = self.closed[first..=last].iter().map(|closed| closed.entries.len());
                entries.sum::<usize>() == index.entries()
            }
            (None, _) | (_, None) => true,
        };
        index.first == before + 1
            && entries
            && self.last_of(index.span.last).is_none_or(|last| last == index.last)
    }

    /// The last record of a segment, if known.
    fn last_of(&self, segment: u64) -> Option<Seq> {
        if segment == self.from.segment {
            return Some(self.from.seq);
        }
        let at = usize_of(segment.checked_sub(self.from.segment + 1)?);
        self.closed.get(at).map(|closed| closed.last)
    }

    /// Builds the index of a segment whose records follow record `before`.
    fn make(&mut self, segment: u64, before: Seq) -> Result<Index, JournalError> {
        let at = segment.checked_sub(self.from.segment + 1).map(usize_of);
        let index = match at.and_then(|at| self.closed.get_mut(at)) {
            Some(closed) => {
                // A missing one was not written yet when the process stopped.
                if self.spans.contains(&SegmentSpan::one(segment)) {
                    self.rebuilt.push(segment);
                }
                write_index(self.disk, self.journal, closed)?
            }
            None => {
                self.rebuilt.push(segment);
                let mut closed = read_closed(self.disk, self.journal, segment)?;
                write_index(self.disk, self.journal, &mut closed)?
            }
        };
        let why = if index.first != before + 1 {
            format!("it begins with record {} where {} was due", index.first, before + 1)
        } else if let Some(last) = self.last_of(segment).filter(|last| *last != index.last) {
            format!("it ends with record {}, but the snapshot of it with {last}", index.last)
        } else {
            return Ok(index.without_filter());
        };
        let file = display_path(self.disk, &segment_name(segment));
        Err(JournalError::Damaged { file, offset: SEGMENT_HEADER_BYTES, why })
    }

    /// Loads the filters that fit in memory. An index whose filter is damaged is rebuilt.
    fn with_filters(
        &mut self,
        mut indexes: Vec<Index>,
        bytes_max: u64,
    ) -> Result<Vec<Index>, JournalError> {
        loop {
            let sizes: Vec<u64> = indexes.iter().map(Index::filter_bytes).collect();
            let mut damaged = None;
            for (at, _) in kept(&sizes, bytes_max).iter().enumerate().filter(|(_, keep)| **keep) {
                if indexes[at].has_filter() {
                    continue;
                }
                match indexes[at].with_filter(self.disk)? {
                    Some(with) => indexes[at] = with,
                    None => {
                        damaged = Some(at);
                        break;
                    }
                }
            }
            let Some(at) = damaged else { return Ok(indexes) };
            let again = self.replaced(&indexes[at])?;
            indexes.splice(at..=at, again);
        }
    }

    /// Other indexes for the segments of a damaged one.
    fn replaced(&mut self, index: &Index) -> Result<Vec<Index>, JournalError> {
        let (span, before) = (index.span, index.first - 1);
        if span.segments() == 1 {
            let made = self.make(span.first, before)?;
            return Ok(vec![made]);
        }
        self.note_damaged(span);
        let mut again = Vec::new();
        self.add(span, before, &mut again)?;
        Ok(again)
    }

    fn warn(&self, recovered: &mut Recovered) {
        for span in &self.damaged {
            let file = display_path(self.disk, &span.name());
            recovered.warnings.push(format!(
                "{file}: damaged; smaller indexes of its segments are used, or made again from them"
            ));
        }
        let mut again = self.rebuilt.clone();
        again.retain(|segment| {
            !self.damaged.iter().any(|span| SegmentSpan::one(*segment).is_within(*span))
                || self.spans.contains(&SegmentSpan::one(*segment))
        });
        again.sort_unstable();
        for run in again.chunk_by(|one, next| one + 1 == *next) {
            let [first, .., last] = run else {
                let file = display_path(self.disk, &index_name(run[0]));
                recovered
                    .warnings
                    .push(format!("{file}: missing or damaged, made again from its segment"));
                continue;
            };
            let (file, to) = (display_path(self.disk, &index_name(*first)), index_name(*last));
            recovered.warnings.push(format!(
                "{file} to {to}: missing or damaged, made again from their segments"
            ));
        }
    }

    /// Removes unused index files of full segments, once the names of the used ones are durable.
    fn remove_others(
        &self,
        full: u64,
        indexes: &[Index],
        recovered: &mut Recovered,
    ) -> Result<(), JournalError> {
        let used: BTreeSet<SegmentSpan> = indexes.iter().map(|index| index.span).collect();
        let mut others =
            self.spans.iter().filter(|span| span.last <= full && !used.contains(span)).peekable();
        if others.peek().is_some() {
            self.disk.sync_folder().map_err(|error| sync_error(self.disk, "", error))?;
        }
        for span in others {
            let name = span.name();
            if let Err(error) = self.disk.remove(&name) {
                recovered.warnings.push(io_error(self.disk, "remove", &name, error).to_string());
            }
        }
        Ok(())
    }
}
