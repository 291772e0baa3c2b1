//! Several indexes become one: a thing that goes on step by step, as far as its caller lets it.
//!
//! The merged index is written aside and synced; [`Merge::name`] gives it its name and makes that
//! durable. The ones that it was made of are removed by the caller, once this one is in use. Given
//! up at any moment, nothing is lost.

use super::Index;
use super::merged::MergedWriter;
use super::pages::Placed;
use crate::disk::{Disk, DiskFile};
use crate::format::JournalId;
use crate::format::Span;
use crate::{JournalError, io_error, sync_error};
use consorcio_system::crash;
use std::collections::VecDeque;
use std::sync::Arc;

/// Pages of an input that are read at once.
const PAGES_AT_ONCE: u64 = 16;

/// Why a merge can't go on.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The index of these segments is not as it was written.
    Input(Span),
    /// The disk fails, or this program does.
    Error(JournalError),
}

impl From<JournalError> for Halt {
    fn from(error: JournalError) -> Halt {
        Halt::Error(error)
    }
}

/// A merge under way.
pub(crate) struct Merge {
    span: Span,
    inputs: Vec<MergeInput>,
    writer: MergedWriter,
    /// Numbers of the first record and of the last.
    records: (u64, u64),
}

/// One of the indexes that are merged, read from its beginning to its end.
struct MergeInput {
    index: Arc<Index>,
    file: Arc<dyn DiskFile>,
    /// Its first segment, counted from the merged index's.
    segment: u32,
    /// What was read and not taken yet.
    ahead: VecDeque<Placed>,
    next_page: u64,
}

impl Merge {
    /// Begins to merge these indexes, which follow each other.
    pub(crate) fn begin(
        disk: &dyn Disk,
        journal: &JournalId,
        inputs: &[Arc<Index>],
    ) -> Result<Merge, Halt> {
        let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else {
            return Err(Halt::Error(JournalError::Stopped("there is nothing to merge".into())));
        };
        let span = Span { first: first.span.first, last: last.span.last };
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

    /// Takes up to so many entries. The merged index, once it is whole; it has not its name yet.
    pub(crate) fn step(
        &mut self,
        disk: &dyn Disk,
        entries_max: u64,
    ) -> Result<Option<Index>, Halt> {
        for _ in 0..entries_max {
            let mut least: Option<(usize, Placed)> = None;
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

    /// Gives the whole index its name, and makes that durable.
    pub(crate) fn name(&self, disk: &dyn Disk) -> Result<(), JournalError> {
        let (unfinished, name) = (&self.writer.name, self.span.name());
        disk.rename(unfinished, &name)
            .map_err(|error| io_error(disk, "rename", unfinished, error))?;
        crash::file_named(&name);
        disk.sync_folder().map_err(|error| sync_error(disk, "", error))
    }

    /// Removes what was written. Where it can't be removed, the next start does.
    pub(crate) fn give_up(&self, disk: &dyn Disk) {
        let _left = disk.remove(&self.writer.name);
    }
}

impl MergeInput {
    fn new(disk: &dyn Disk, span: Span, index: &Arc<Index>) -> Result<MergeInput, Halt> {
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

    /// The next entry, as the merged index has it.
    fn peek(&mut self, disk: &dyn Disk) -> Result<Option<Placed>, Halt> {
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
            .map(|entry| Placed { segment: entry.segment + self.segment, ..*entry }))
    }
}
