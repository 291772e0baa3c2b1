//! Files of full segments that stay open: a look-up needs no new descriptor, which the process might not get.
//!
//! Bounded; of more than that, the one that was not used for longest is closed.

use super::disk::{Disk, DiskFile};
use super::format::{index_name, segment_name};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Which file of a full segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Segment,
    Index,
}

/// Open files, the one used last at the end.
type Open = VecDeque<(Which, u64, Arc<dyn DiskFile>)>;

/// Files that stay open.
pub(super) struct OpenFiles {
    pub disk: Arc<dyn Disk>,
    most: usize,
    open: Mutex<Open>,
}

impl OpenFiles {
    pub fn new(disk: Arc<dyn Disk>, most: usize) -> OpenFiles {
        OpenFiles { disk, most, open: Mutex::default() }
    }

    /// The file, opened if it is not yet. Looks over the open files, whose number is bounded.
    pub fn get(&self, which: Which, segment: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().rposition(|(its, number, _)| (*its, *number) == (which, segment))
            && let Some(found) = open.remove(at)
        {
            let file = Arc::clone(&found.2);
            open.push_back(found);
            return Ok(file);
        }
        if open.len() >= self.most {
            open.pop_front();
        }
        let file = self.disk.open(&match which {
            Which::Segment => segment_name(segment),
            Which::Index => index_name(segment),
        })?;
        open.push_back((which, segment, Arc::clone(&file)));
        Ok(file)
    }

    /// Opens both files of a segment ahead of their use. One that can't be opened now may be later.
    pub fn keep(&self, segment: u64) {
        for which in [Which::Segment, Which::Index] {
            let _later = self.get(which, segment);
        }
    }

    /// The index of a segment was made again: the open file is the old one.
    pub fn forget_index(&self, segment: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(which, number, _)| (*which, *number) != (Which::Index, segment));
    }
}
