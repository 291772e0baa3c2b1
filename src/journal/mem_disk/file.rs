//! The folder and its files, as the journal uses them.

use super::*;

pub(super) struct MemFile {
    disk: MemDisk,
    number: usize,
}

impl Disk for MemDisk {
    fn describe(&self) -> String {
        "memory".into()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.alive()?;
        if state.faults.no_open {
            return Err(io::Error::other("too many open files"));
        }
        let number = state.find(name)?;
        drop(state);
        Ok(Arc::new(MemFile { disk: self.clone(), number }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.alive()?;
        state.files.push(Contents::default());
        let number = state.files.len() - 1;
        state.naming(Naming::Link(name.into(), number));
        Ok(Arc::new(MemFile { disk: self.clone(), number }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        let file = state.find(from)?;
        state.naming(Naming::Rename(from.into(), to.into(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        state.find(name)?;
        state.naming(Naming::Unlink(name.into()));
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        state.count_sync()?;
        state.durable_names = state.names.clone();
        state.renamings.clear();
        Ok(())
    }
}

impl DiskFile for MemFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.alive()?.files[self.number].now.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.alive()?;
        state.reads += 1;
        let file = &state.files[self.number].now;
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
        let got = bytes.len().min(file.len() - begin);
        bytes[..got].copy_from_slice(&file[begin..begin + got]);
        Ok(got)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        state.writes += 1;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let room = state.faults.room.map(|room| {
            let growth = room.saturating_sub(state.used());
            (state.files[self.number].now.len() as u64).saturating_add(growth)
        });
        let end = (offset + bytes.len()) as u64;
        let fits = room.map_or(bytes.len(), |room| {
            bytes.len()
                - usize::try_from(end.saturating_sub(room)).unwrap_or(bytes.len()).min(bytes.len())
        });
        let fails = state.faults.fail_write == Some(state.writes);
        let written = &bytes[..if fails { bytes.len() / 2 } else { fits }];
        let file = &mut state.files[self.number];
        overwrite(&mut file.now, offset, written);
        file.pending.push((offset, written.to_vec()));
        if fails {
            return Err(io::Error::other("input/output error"));
        }
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.alive()?;
        let counted = state.count_sync();
        if state.off {
            return counted;
        }
        let file = &mut state.files[self.number];
        if counted.is_ok() {
            for (offset, bytes) in file.pending.drain(..) {
                overwrite(&mut file.durable, offset, &bytes);
            }
        } else {
            // As on Linux: the pages now count as clean, so no later sync writes them.
            file.pending.clear();
        }
        counted
    }
}
