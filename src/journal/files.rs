//! A bounded cache of open files of full segments and their indexes, so that a look-up needs no new
//! file descriptor, which the process might not get. The least recently used file is closed.

use super::disk::{Disk, DiskFile};
use super::format::SegmentSpan;
use super::format::segment_name;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileOf {
    Segment(u64),
    Index(SegmentSpan),
}

/// OpenFiles files, the most recently used at the end.
type OpenFiles = VecDeque<(FileOf, Arc<dyn DiskFile>)>;

/// The cache of open files.
pub(super) struct Files {
    pub disk: Arc<dyn Disk>,
    /// The bound for segments, and the same for indexes.
    most: usize,
    segments: Mutex<OpenFiles>,
    indexes: Mutex<OpenFiles>,
}

impl Files {
    /// A cache with half of `most` for each kind.
    pub(crate) fn new(disk: Arc<dyn Disk>, most: usize) -> Files {
        Files { disk, most: most / 2, segments: Mutex::default(), indexes: Mutex::default() }
    }

    /// The file, opened if it is not in the cache. Scans the cache, which is bounded.
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

    /// Opens a file ahead of its use. If that fails, a later use tries again.
    pub(crate) fn keep(&self, which: FileOf) {
        let _tried_again_later = self.get(which);
    }

    /// Drops an open index that was rebuilt or removed.
    pub(crate) fn forget_index(&self, span: SegmentSpan) {
        let mut open = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(which, _)| *which != FileOf::Index(span));
    }
}
