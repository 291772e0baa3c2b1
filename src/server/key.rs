//! The key that a bank starts with: from a configured file, or the machine's own in the data
//! folder.

use super::args::ServerOptions;
use anyhow::{Context, bail};
use consorcio_core::bank::record::Record;
use consorcio_core::wire::token::{KeyId, Seal};
use consorcio_journal::{FileDisk, JournalError, JournalScan, Scanned};
use consorcio_system::config::{read_key_file, read_or_make_key_file};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The file with the key: in the folder of `--tls`; in open mode in the data folder, where the
/// banks of one machine made it.
const OWN_FILE: &str = "consortium.key";

/// The key of the consortium, and its file.
#[derive(Debug)]
pub(crate) struct ConsortiumKey {
    /// Makes and checks tokens with the key.
    pub seal: Seal,
    /// The file that holds the key.
    pub file: PathBuf,
    /// May it differ from the key that the journal knows?
    pub may_be_new: bool,
}

impl ConsortiumKey {
    /// The key of `--key-file`; without it the one beside the certificates, in open mode the
    /// machine's own, which the first bank makes.
    ///
    /// # Errors
    /// As `find`; when it can't be made.
    pub(crate) fn of(options: &ServerOptions) -> anyhow::Result<ConsortiumKey> {
        if let Some(key) = ConsortiumKey::find(options)? {
            return Ok(key);
        }
        let (data, file) = (&options.data_dir, options.data_dir.join(OWN_FILE));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data)
            .with_context(|| format!("the folder {}", data.display()))?;
        let seal = Seal::keyed(read_or_make_key_file(&file)?);
        Ok(ConsortiumKey { seal, file, may_be_new: options.new_key })
    }

    /// The same key, if it is there; `None` where a start makes the machine's own.
    ///
    /// # Errors
    /// When it can't be read; when the file is missing though a journal of this machine knows a
    /// key.
    pub(crate) fn find(options: &ServerOptions) -> anyhow::Result<Option<ConsortiumKey>> {
        let may_be_new = options.new_key;
        let in_tls = || options.tls.as_ref().map(|folder| folder.join(OWN_FILE));
        if let Some(file) = options.key_file.clone().or_else(in_tls) {
            let seal = Seal::keyed(read_key_file(&file)?);
            return Ok(Some(ConsortiumKey { seal, file, may_be_new }));
        }
        let (data, file) = (&options.data_dir, options.data_dir.join(OWN_FILE));
        if file.try_exists()? {
            let seal = Seal::keyed(read_key_file(&file)?);
            return Ok(Some(ConsortiumKey { seal, file, may_be_new }));
        }
        if !may_be_new && data.is_dir() {
            refuse_to_replace(data, &file)?;
        }
        Ok(None)
    }

    /// Compares it with the key that the journal knows. Returns whether it must be recorded.
    ///
    /// # Errors
    /// When the journal knows another key.
    pub(crate) fn follows(&self, known: Option<KeyId>) -> anyhow::Result<bool> {
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

/// Refuses to make a key if a journal in the folder knows one. Reads all journals there, so it runs
/// only if the key is missing.
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

/// The key that the journal in a folder knows, as far as it can be read. The bank of that journal
/// reports damage itself.
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
