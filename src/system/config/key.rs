//! The consortium's key: a small file that only its owner can read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a key file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read or created.
    #[error("key file {path}: {error}")]
    Io {
        /// The path of the key file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// There is no key file at the path.
    #[error(
        "key file {path} is not there; name the one that all banks have, or make one: servidor \
         key {path}"
    )]
    Missing {
        /// The path of the key file.
        path: PathBuf,
    },
    /// A file exists where a new key was to be written.
    #[error("key file {path} is there already, and a key is never overwritten; name another file")]
    There {
        /// The path of the key file.
        path: PathBuf,
    },
    /// The path is a folder, a pipe or a device.
    #[error("key file {path} is no regular file; name one (servidor key FILE makes one)")]
    NoFile {
        /// The path of the key file.
        path: PathBuf,
    },
    /// Other users could read the key.
    #[error(
        "key file {path} can be read by others (mode {mode:o}); make it yours alone: chmod 600 \
         {path}"
    )]
    Open {
        /// The path of the key file.
        path: PathBuf,
        /// Its permission bits, as for chmod.
        mode: u32,
    },
    /// The file does not contain a key.
    #[error(
        "key file {path} holds no key: it must be 64 hex digits or 32 bytes (make one: servidor \
         key FILE)"
    )]
    NoKey {
        /// The path of the key file.
        path: PathBuf,
    },
}

/// Reads the key in the file at `path`: 64 hex digits, or 32 raw bytes.
///
/// # Errors
/// If it can't be read, other users can read it too, or it contains something else.
pub fn read_key_file(path: &Path) -> Result<[u8; 32], KeyError> {
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeyError::Missing { path: path.to_owned() },
        _ => KeyError::Io { path: path.to_owned(), error },
    };
    let no_file = || KeyError::NoFile { path: path.to_owned() };
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(no_file());
    }
    let file = File::open(path).map_err(io)?;
    // Checks the permissions of the open file: the name may refer to another file by now.
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(no_file());
    }
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Open { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(1024).read_to_end(&mut bytes).map_err(io)?;
    key_of(&bytes).ok_or_else(|| KeyError::NoKey { path: path.to_owned() })
}

/// Creates a new file at `path` with a random key, readable by its owner only. Never overwrites.
///
/// # Errors
/// If the file exists, or can't be created.
pub fn make_key_file(path: &Path) -> Result<(), KeyError> {
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyError::There { path: path.to_owned() },
        _ => KeyError::Io { path: path.to_owned(), error },
    };
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| io(io::Error::other(error)))?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    let mut text = blake3::Hash::from_bytes(key).to_hex().to_string();
    text.push('\n');
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
}

/// Reads the key in the file at `path`, or creates it. Banks that start at the same time get one
/// key: it is written under another name, synced, and then linked to `path`, which fails if that
/// exists. So no bank ever reads a partial key.
///
/// # Errors
/// If it can't be read or created, other users can read it too, or it contains something else.
pub fn read_or_make_key_file(path: &Path) -> Result<[u8; 32], KeyError> {
    let io = |error| KeyError::Io { path: path.to_owned(), error };
    match read_key_file(path) {
        Err(KeyError::Missing { .. }) => {}
        read => return read,
    }
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io(io::Error::other(error)))?;
    let mut aside = path.file_name().unwrap_or_default().to_owned();
    aside.push(format!(".{:016x}.new", u64::from_le_bytes(random)));
    let aside = path.with_file_name(aside);
    make_key_file(&aside)?;
    let named = std::fs::hard_link(&aside, path);
    let gone = std::fs::remove_file(&aside);
    match named {
        // Another bank was faster, so its key is used.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        named => named.and(gone).and_then(|()| sync_folder_of(path)).map_err(io)?,
    }
    read_key_file(path)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn key_of(bytes: &[u8]) -> Option<[u8; 32]> {
    if let Ok(raw) = bytes.try_into() {
        return Some(raw);
    }
    let text = std::str::from_utf8(bytes).ok()?.trim_ascii();
    blake3::Hash::from_hex(text).ok().map(|key| *key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, bytes: &[u8], mode: u32) {
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_key_is_read_back_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        make_key_file(&path).unwrap();
        let key = read_key_file(&path).unwrap();
        assert_ne!(key, [0; 32]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(make_key_file(&path).unwrap_err().to_string().contains("never overwritten"));
        assert_eq!(read_key_file(&path).unwrap(), key);
    }

    #[test]
    fn banks_that_start_together_create_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| read_or_make_key_file(&path).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0] && *key != [0; 32]));
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left: {left:?}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn raw_bytes_and_hex_digits_are_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(&path, &[0xab; 32], 0o600);
        let raw = read_key_file(&path).unwrap();
        write(&path, format!("{}\n", "ab".repeat(32)).as_bytes(), 0o400);
        assert_eq!(read_key_file(&path).unwrap(), raw);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for mode in [0o640, 0o604, 0o666] {
            write(&path, &[1; 32], mode);
            let error = read_key_file(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_file_without_a_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for bytes in [&b""[..], b"short", &[b'z'; 64], &[b'a'; 63], &[1; 33]] {
            write(&path, bytes, 0o600);
            assert!(matches!(read_key_file(&path), Err(KeyError::NoKey { .. })));
        }
        let missing = read_key_file(&folder.path().join("none")).unwrap_err().to_string();
        assert!(
            missing.contains("none is not there") && missing.contains("servidor key"),
            "{missing}"
        );
    }
}
