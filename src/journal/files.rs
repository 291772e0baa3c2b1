//! Files of full segments that stay open, and their indexes: a look-up needs no new descriptor,
//! which the process might not get.
//!
//! Bounded; of more than that, the one that was not used for longest is closed.

use super::disk::{Disk, DiskFile};
use super::format::Span;
use super::format::segment_name;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileOf {
    Segment(u64),
    Index(Span),
}

/// Open files, the one used last at the end.
type Open = VecDeque<(FileOf, Arc<dyn DiskFile>)>;

/// Files that stay open.
pub(super) struct Files {
    pub disk: Arc<dyn Disk>,
    /// Of segments, and as many of indexes.
    most: usize,
    segments: Mutex<Open>,
    indexes: Mutex<Open>,
}

impl Files {
    /// Half of so many of each kind.
    pub(crate) fn new(disk: Arc<dyn Disk>, most: usize) -> Files {
        Files { disk, most: most / 2, segments: Mutex::default(), indexes: Mutex::default() }
    }

    /// The file, opened if it is not yet. Looks over the open files, whose number is bounded.
    pub(crate) fn get(&self, which: FileOf) -> io::Result<Arc<dyn DiskFile>> {
        let (open, name) = match which {
            FileOf::Segment(number) => (&self.segments, segment_name(number)),
            FileOf::Index(span) => (&self.indexes, span.name()),
        };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().rposition(|(its, _)| *its == which)
            && let Some(found) = open.remove(at)
        {
            let file = Arc::clone(&found.1);
            open.push_back(found);
            return Ok(file);
        }
        if open.len() >= self.most {
            open.pop_front();
        }
        let file = self.disk.open(&name)?;
        open.push_back((which, Arc::clone(&file)));
        Ok(file)
    }

    /// Opens a file ahead of its use. One that can't be opened now may be later.
    pub(crate) fn keep(&self, which: FileOf) {
        let _later = self.get(which);
    }

    /// An index was made again, or is gone: an open file is the old one.
    pub(crate) fn forget_index(&self, span: Span) {
        let mut open = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(which, _)| *which != FileOf::Index(span));
    }
}
