//! The key that a bank starts with: a file that it is given, or its own beside the journals of its
//! machine.

use super::args::Options;
use anyhow::{Context, bail};
use consorcio_core::bank::record::Record;
use consorcio_core::wire::token::{KeyId, Seal};
use consorcio_journal::{FileDisk, JournalError, JournalScan, Scanned};
use consorcio_system::config::{read_key_file, read_or_make_key_file};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The name of a key that banks of one machine made themselves, in the data folder.
const OWN_FILE: &str = "consortium.key";

/// The consortium's key, and where it comes from.
#[derive(Debug)]
pub struct Key {
    /// It makes and checks the bank's tokens.
    pub seal: Seal,
    /// Where the key was read from, or made.
    pub file: PathBuf,
    /// May it be another one than the journal knows?
    pub may_be_new: bool,
}

impl Key {
    /// The key that the switches name. Without one it is the machine's own, which the first of its
    /// banks makes.
    ///
    /// # Errors
    /// When it can't be read or made, when this bank would leave the machine with it, or when it is
    /// missing though a journal of this machine knows one.
    pub fn of(options: &Options) -> anyhow::Result<Key> {
        let may_be_new = options.new_key;
        if let Some(file) = &options.key_file {
            return Ok(Key {
                seal: Seal::keyed(read_key_file(file)?),
                file: file.clone(),
                may_be_new,
            });
        }
        options.check_loopback()?;
        let (data, file) = (&options.data_dir, options.data_dir.join(OWN_FILE));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .with_context(|| format!("the folder {}", data.display()))?;
        if !may_be_new && !file.try_exists()? {
            refuse_to_replace(data, &file)?;
        }
        Ok(Key { seal: Seal::keyed(read_or_make_key_file(&file)?), file, may_be_new })
    }

    /// Is it the key that a journal knows? `true` where it must be recorded.
    ///
    /// # Errors
    /// When the journal knows another one, naming the file.
    pub fn follows(&self, known: Option<KeyId>) -> anyhow::Result<bool> {
        let (ours, file) = (self.seal.key_id(), self.file.display());
        match known {
            Some(known) if known == ours => Ok(false),
            Some(known) if !self.may_be_new => bail!(
                "the key in {file} is {ours}, and this bank's journal knows {known}: give it that \
                 key again, or, \
                 where all banks get a new one, start it once with --new-key"
            ),
            Some(_) | None => Ok(true),
        }
    }
}

/// No key is made where a journal knows one. Reads the journals of all banks in the folder; so only
/// where the key is missing.
fn refuse_to_replace(data: &Path, file: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(data)? {
        let folder = entry?.path();
        if let Some(known) = folder.is_dir().then(|| known_in(&folder)).flatten() {
            bail!(
                "the key file {} is missing, and the journal in {} knows the key {known}: put the \
                 file back, or, \
                 where all banks get a new key, start this one once with --new-key",
                file.display(),
                folder.display()
            );
        }
    }
    Ok(())
}

/// The key that the journal in a folder knows, as far as it can be read: its own bank tells what is
/// wrong with it.
fn known_in(folder: &Path) -> Option<KeyId> {
    let disk = FileDisk::read_only(folder);
    let mut known = None;
    let read = JournalScan::new(&disk).read::<JournalError>(|scanned| {
        if let Scanned::Record { record: Record::KeyKnown { key }, .. } = scanned {
            known = Some(key);
        }
        Ok(())
    });
    match read {
        Ok(_) | Err(_) => known,
    }
}
