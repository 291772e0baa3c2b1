//! Merges several indexes into one, in pieces.
//!
//! The merged index is written under another name and synced; [`Merge::name`] renames it and makes
//! that durable. The caller removes the inputs once the merged index is in use. A merge that is
//! discarded at any moment loses nothing.

use super::Index;
use super::merged::MergedWriter;
use super::pages::PlacedEntry;
use crate::disk::{Disk, DiskFile};
use crate::format::JournalId;
use crate::format::SegmentSpan;
use crate::{JournalError, io_error, sync_error};
use consorcio_system::crash;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many pages of an input are read at once.
const PAGES_AT_ONCE: u64 = 16;

/// Why a merge can't continue.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The index of these segments is damaged.
    Input(SegmentSpan),
    /// The disk failed, or this program is at fault.
    Error(JournalError),
}

impl From<JournalError> for Halt {
    fn from(error: JournalError) -> Halt {
        Halt::Error(error)
    }
}

/// A merge in progress.
pub(crate) struct Merge {
    span: SegmentSpan,
    inputs: Vec<MergeInput>,
    writer: MergedWriter,
    /// The numbers of the first record and of the last.
    records: (u64, u64),
}

/// One of the inputs, read from its beginning to its end.
struct MergeInput {
    index: Arc<Index>,
    file: Arc<dyn DiskFile>,
    /// Its first segment, relative to the merged index's.
    segment: u32,
    /// Entries that were read and not merged yet.
    ahead: VecDeque<PlacedEntry>,
    next_page: u64,
}

impl Merge {
    /// Starts to merge these indexes, which must be consecutive.
    pub(crate) fn begin(
        disk: &dyn Disk,
        journal: &JournalId,
        inputs: &[Arc<Index>],
    ) -> Result<Merge, Halt> {
        let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else {
            return Err(Halt::Error(JournalError::Stopped("there is nothing to merge".into())));
        };
        let span = SegmentSpan { first: first.span.first, last: last.span.last };
        let records = (first.first, last.last);
        for pair in inputs.windows(2) {
            if pair[0].span.last + 1 != pair[1].span.first || pair[0].last + 1 != pair[1].first {
                return Err(Halt::Input(pair[1].span));
            }
        }
        let entries = inputs.iter().map(|index| index.pages.entries).sum();
        let inputs = inputs
            .iter()
            .map(|index| MergeInput::new(disk, span, index))
            .collect::<Result<_, Halt>>()?;
        Ok(Merge {
            span,
            inputs,
            writer: MergedWriter::create(disk, journal, span, entries)?,
            records,
        })
    }

    /// Merges up to `entries_max` entries. Returns the merged index once it is complete; it does
    /// not have its name yet.
    pub(crate) fn step(
        &mut self,
        disk: &dyn Disk,
        entries_max: u64,
    ) -> Result<Option<Index>, Halt> {
        for _ in 0..entries_max {
            let mut least: Option<(usize, PlacedEntry)> = None;
            for (at, input) in self.inputs.iter_mut().enumerate() {
                if let Some(entry) = input.peek(disk)?
                    && least.is_none_or(|(_, found)| entry < found)
                {
                    least = Some((at, entry));
                }
            }
            let Some((at, entry)) = least else {
                let index = self.writer.finish(disk, self.records.0, self.records.1)?;
                crash::file_written(&self.span.name());
                return Ok(Some(index));
            };
            self.inputs[at].ahead.pop_front();
            self.writer.push(entry);
        }
        self.writer.flush(disk, false)?;
        Ok(None)
    }

    /// Renames the complete index, and makes that durable.
    pub(crate) fn name(&self, disk: &dyn Disk) -> Result<(), JournalError> {
        let (unfinished, name) = (&self.writer.name, self.span.name());
        disk.rename(unfinished, &name)
            .map_err(|error| io_error(disk, "rename", unfinished, error))?;
        crash::file_named(&name);
        disk.sync_folder().map_err(|error| sync_error(disk, "", error))
    }

    /// Removes the incomplete file. If it can't be removed, the next start removes it.
    pub(crate) fn discard(&self, disk: &dyn Disk) {
        let _removed_later = disk.remove(&self.writer.name);
    }
}

impl MergeInput {
    fn new(disk: &dyn Disk, span: SegmentSpan, index: &Arc<Index>) -> Result<MergeInput, Halt> {
        let file = index.open(disk)?.ok_or(Halt::Input(index.span))?;
        let segment =
            u32::try_from(index.span.first - span.first).map_err(|_| Halt::Input(index.span))?;
        Ok(MergeInput {
            index: Arc::clone(index),
            file,
            segment,
            ahead: VecDeque::new(),
            next_page: 0,
        })
    }

    /// The next entry, in the form of the merged index.
    fn peek(&mut self, disk: &dyn Disk) -> Result<Option<PlacedEntry>, Halt> {
        let pages = self.index.pages;
        if self.ahead.is_empty() && self.next_page < pages.count() {
            let read = pages.read(self.file.as_ref(), self.next_page, PAGES_AT_ONCE);
            let read =
                read.map_err(|error| io_error(disk, "read", &self.index.span.name(), error))?;
            self.ahead = read.ok_or(Halt::Input(self.index.span))?.into();
            self.next_page += PAGES_AT_ONCE;
        }
        Ok(self
            .ahead
            .front()
            .map(|entry| PlacedEntry { segment: entry.segment + self.segment, ..*entry }))
    }
}
