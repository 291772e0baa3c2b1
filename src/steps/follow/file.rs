//! One log that is followed: its lines as they are appended, over rotations. A line is passed on
//! once it has its end.

use super::FollowedNode;
use consorcio_core::limits::{FOLLOW_LINE_BYTES_MAX, FOLLOW_READ_BYTES_MAX};
use memchr::memchr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A log file, by its path: the file there may be renamed, and another one created.
pub(super) struct FollowedFile {
    path: PathBuf,
    node: Arc<FollowedNode>,
    open: Option<OpenLog>,
    /// The file is still to be skipped to its end, when it can be opened.
    skips: bool,
}

struct OpenLog {
    file: File,
    /// Device and number, which tell whether another file is at the path now.
    identity: (u64, u64),
    offset: u64,
    /// The beginning of a line whose end has not been written yet.
    begun: Vec<u8>,
    /// The line is longer than any that a node writes; its rest is left out.
    too_long: bool,
}

impl FollowedFile {
    pub(super) fn new(path: PathBuf, node: FollowedNode) -> FollowedFile {
        FollowedFile { path, node: Arc::new(node), open: None, skips: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn node(&self) -> &FollowedNode {
        &self.node
    }

    pub(super) fn shared_node(&self) -> Arc<FollowedNode> {
        Arc::clone(&self.node)
    }

    /// Whether the file was opened, and may have lines that were not read.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The log has named its bank meanwhile.
    pub(super) fn name(&mut self, bank: Option<u8>) {
        if bank.is_some() && self.node.bank != bank {
            self.node = Arc::new(FollowedNode { name: self.node.name.clone(), bank });
        }
    }

    /// Leaves out what the file has now. A file that comes later is read from its beginning.
    pub(super) fn skip_to_end(&mut self) {
        self.open = None;
        self.skips = true;
        // If the file can't be opened now, the next read reports it, or skips then.
        if let Ok(false) = self.reopen() {
            self.skips = false;
        }
    }

    /// Passes each new line to `each`, without its end. Returns whether more can be read at once.
    ///
    /// # Errors
    /// If the file can't be read. A file that is not there is no error: it may come.
    pub(super) fn read(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<bool> {
        if self.open.is_none() && !self.reopen()? {
            return Ok(false);
        }
        let Some(open) = &mut self.open else { return Ok(false) };
        if open.file.metadata()?.len() < open.offset {
            // It was cut to nothing and is written anew.
            open.restart()?;
        }
        if open.read(&mut each)? {
            return Ok(true);
        }
        // All of the file is read, so the next one at the path may follow.
        match identity(&self.path) {
            Ok(now) if now != open.identity => {
                // What was appended between the read and the look at the path.
                while open.read(&mut each)? {}
                self.open = None;
                self.reopen()
            }
            Ok(_) => Ok(false),
            // Renamed, and the next one is not created yet; or removed.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens the file at the path; returns whether there is one.
    fn reopen(&mut self) -> io::Result<bool> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let skipped = std::mem::take(&mut self.skips);
        let offset = if skipped { file.seek(SeekFrom::End(0))? } else { 0 };
        self.open = Some(OpenLog {
            file,
            identity: (metadata.dev(), metadata.ino()),
            offset,
            begun: Vec::new(),
            // The end of the file may be within a line, whose rest is no line.
            too_long: false,
        });
        Ok(true)
    }
}

impl OpenLog {
    fn restart(&mut self) -> io::Result<()> {
        self.offset = self.file.seek(SeekFrom::Start(0))?;
        self.begun.clear();
        self.too_long = false;
        Ok(())
    }

    /// Reads up to `FOLLOW_READ_BYTES_MAX`; returns whether there may be more.
    fn read(&mut self, each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
        let mut block = vec![0; FOLLOW_READ_BYTES_MAX];
        let read = match self.file.read(&mut block) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            read => read?,
        };
        self.offset += u64::try_from(read).unwrap_or(u64::MAX);
        let mut rest = &block[..read];
        while let Some(end) = memchr(b'\n', rest) {
            self.begin(&rest[..end]);
            if !self.too_long {
                each(&self.begun);
            }
            self.begun.clear();
            self.too_long = false;
            rest = &rest[end + 1..];
        }
        self.begin(rest);
        Ok(read == block.len())
    }

    fn begin(&mut self, part: &[u8]) {
        if self.begun.len() + part.len() > FOLLOW_LINE_BYTES_MAX {
            self.too_long = true;
            self.begun.clear();
        } else if !self.too_long {
            self.begun.extend_from_slice(part);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
