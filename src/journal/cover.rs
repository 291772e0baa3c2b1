//! Which indexes a start uses: those that are there, the longest first, so that together they tell
//! of every full segment once. What is missing or damaged is made again, and said.
//!
//! In the normal case this reads headers, and filters as long as they have room in memory. What
//! must be made again costs reading its segments: one for an index that was lost, all of its
//! segments for a merged one.

use super::JournalError;
use super::disk::Disk;
use super::format::Span;
use super::format::{JournalId, SEGMENT_HEADER_BYTES, index_name, segment_name, usize_of};
use super::index::{Closed, Index, kept, load, read_closed, write_index};
use super::recovered::{From, Recovered};
use super::{io_error, place, sync_error};
use consorcio_core::bank::io::Seq;
use std::collections::BTreeSet;

/// The choice of indexes at a start.
pub(super) struct Cover<'a> {
    disk: &'a dyn Disk,
    journal: &'a JournalId,
    from: &'a From,
    /// Full segments that were read just now: those after the snapshot's last.
    closed: &'a mut [Closed],
    /// The indexes that are there.
    spans: BTreeSet<Span>,
    /// Segments whose index was made again though their records were not read, or an index was
    /// there.
    made_again: Vec<u64>,
    /// Merged indexes that are there and can't be used.
    damaged: Vec<Span>,
}

impl<'a> Cover<'a> {
    pub(crate) fn new(
        disk: &'a dyn Disk,
        journal: &'a JournalId,
        names: &[String],
        from: &'a From,
        closed: &'a mut [Closed],
    ) -> Cover<'a> {
        let spans = names.iter().filter_map(|name| Span::named(name)).collect();
        Cover { disk, journal, from, closed, spans, made_again: Vec::new(), damaged: Vec::new() }
    }

    /// The indexes of all full segments, with as many filters as have room in so many bytes. Those
    /// that are there and are not among them, for a merge has put another one in their place or
    /// they are damaged, are removed.
    pub(crate) fn find(
        mut self,
        filter_bytes_max: u64,
        told: &mut Recovered,
    ) -> Result<Vec<Index>, JournalError> {
        let full = Span { first: 1, last: self.from.segment + self.closed.len() as u64 };
        let mut indexes = Vec::new();
        self.add(full, 0, &mut indexes)?;
        let indexes = self.with_filters(indexes, filter_bytes_max)?;
        self.tell(told);
        self.remove_others(full.last, &indexes, told)?;
        Ok(indexes)
    }

    /// Adds indexes of these segments, of which record `before` is the last one before.
    fn add(
        &mut self,
        segments: Span,
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

    /// The index of most segments that begins with this one and is as it should be.
    fn longest(&mut self, first: u64, to: u64, before: Seq) -> Result<Option<Index>, JournalError> {
        let here = Span::one(first)..=Span { first, last: to };
        let spans: Vec<Span> = self.spans.range(here).rev().copied().collect();
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

    fn note_damaged(&mut self, span: Span) {
        if span.segments() > 1 && !self.damaged.contains(&span) {
            self.damaged.push(span);
        }
    }

    /// Does it tell of the records that its segments hold, as far as that is known?
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

    /// The last record of a segment, where that is known.
    fn last_of(&self, segment: u64) -> Option<Seq> {
        if segment == self.from.segment {
            return Some(self.from.seq);
        }
        let at = usize_of(segment.checked_sub(self.from.segment + 1)?);
        self.closed.get(at).map(|closed| closed.last)
    }

    /// Makes the index of a segment, whose records follow record `before`.
    fn make(&mut self, segment: u64, before: Seq) -> Result<Index, JournalError> {
        let at = segment.checked_sub(self.from.segment + 1).map(usize_of);
        let index = match at.and_then(|at| self.closed.get_mut(at)) {
            Some(closed) => {
                // One that is missing was not made yet when the process stopped.
                if self.spans.contains(&Span::one(segment)) {
                    self.made_again.push(segment);
                }
                write_index(self.disk, self.journal, closed)?
            }
            None => {
                self.made_again.push(segment);
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
        let file = place(self.disk, &segment_name(segment));
        Err(JournalError::Damaged { file, offset: SEGMENT_HEADER_BYTES, why })
    }

    /// Reads the filters that have room. An index whose filter is damaged is made again.
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

    /// Other indexes of the segments of one that is damaged.
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

    fn tell(&self, told: &mut Recovered) {
        for span in &self.damaged {
            let file = place(self.disk, &span.name());
            told.warnings.push(format!(
                "{file}: damaged; smaller indexes of its segments are used, or made again from them"
            ));
        }
        let mut again = self.made_again.clone();
        again.retain(|segment| {
            !self.damaged.iter().any(|span| Span::one(*segment).is_within(*span))
                || self.spans.contains(&Span::one(*segment))
        });
        again.sort_unstable();
        for run in again.chunk_by(|one, next| one + 1 == *next) {
            let [first, .., last] = run else {
                let file = place(self.disk, &index_name(run[0]));
                told.warnings
                    .push(format!("{file}: missing or damaged, made again from its segment"));
                continue;
            };
            let (file, to) = (place(self.disk, &index_name(*first)), index_name(*last));
            told.warnings.push(format!(
                "{file} to {to}: missing or damaged, made again from their segments"
            ));
        }
    }

    /// Removes the indexes of full segments that are not used, once those that are used have
    /// durable names.
    fn remove_others(
        &self,
        full: u64,
        indexes: &[Index],
        told: &mut Recovered,
    ) -> Result<(), JournalError> {
        let used: BTreeSet<Span> = indexes.iter().map(|index| index.span).collect();
        let mut others =
            self.spans.iter().filter(|span| span.last <= full && !used.contains(span)).peekable();
        if others.peek().is_some() {
            self.disk.sync_folder().map_err(|error| sync_error(self.disk, "", error))?;
        }
        for span in others {
            let name = span.name();
            if let Err(error) = self.disk.remove(&name) {
                told.warnings.push(io_error(self.disk, "remove", &name, error).to_string());
            }
        }
        Ok(())
    }
}
