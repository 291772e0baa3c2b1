//! `credentials.toml`: the bearer tokens and passwords that a bank accepts, none of them readable
//! from it.

use crate::secret::{Fingerprint, Secret};
use consorcio_core::access::Name;
use consorcio_core::ids::Time;
use consorcio_core::limits::{CREDENTIALS_BYTES_MAX, CREDENTIALS_MAX};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The name of the file, in the folder of `--tls`.
pub const CREDENTIALS_FILE: &str = "credentials.toml";

/// The bearer tokens and passwords of one bank.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    tokens: BTreeMap<Fingerprint, KeptToken>,
    passwords: BTreeMap<Name, KeptPassword>,
}

/// Who shows a credential, and when it was made: it does not count if the name's `since` is later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated<T> {
    /// Whose it is, or what is kept of it.
    pub value: T,
    /// When it was made.
    pub made: Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct KeptToken {
    name: Name,
    made: Time,
    expires: Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct KeptPassword {
    hash: String,
    made: Time,
}

/// Why `credentials.toml` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It can't be read or written.
    #[error("credentials {path}: {error}")]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// Others can read or write it.
    #[error("credentials {path}: others can read or write it (mode {mode:03o}): chmod 600 {path}")]
    Readable {
        /// The path of the file.
        path: PathBuf,
        /// Its permission bits, as chmod takes them.
        mode: u32,
    },
    /// It has an entry that makes no sense.
    #[error("credentials {path}: {why}")]
    Bad {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong, with its line if it is known.
        why: String,
    },
    /// It holds as many as it may.
    #[error("credentials {path}: {CREDENTIALS_MAX} tokens are in it, the most; remove some")]
    Full {
        /// The path of the file.
        path: PathBuf,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    token: Vec<WrittenToken>,
    #[serde(default)]
    password: Vec<WrittenPassword>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenToken {
    name: Name,
    fingerprint: String,
    made: toml::value::Datetime,
    expires: toml::value::Datetime,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPassword {
    name: Name,
    hash: String,
    made: toml::value::Datetime,
}

impl Credentials {
    /// How many tokens and passwords it has.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks that")]
    pub fn len(&self) -> usize {
        self.tokens.len() + self.passwords.len()
    }

    /// Reads the file; none of either where there is no file.
    ///
    /// # Errors
    /// If others can read it, if it is too large, or at its first entry that makes no sense.
    pub fn read(path: &Path) -> Result<Credentials, CredentialError> {
        let io_error = |error| CredentialError::Io { path: path.into(), error };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Credentials::default());
            }
            Err(error) => return Err(io_error(error)),
        };
        let mode = file.metadata().map_err(io_error)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CredentialError::Readable { path: path.into(), mode });
        }
        let mut text = String::new();
        let most = u64::try_from(CREDENTIALS_BYTES_MAX).unwrap_or(u64::MAX);
        file.take(most + 1).read_to_string(&mut text).map_err(io_error)?;
        if text.len() > CREDENTIALS_BYTES_MAX {
            let why = format!("longer than {CREDENTIALS_BYTES_MAX} bytes");
            return Err(CredentialError::Bad { path: path.into(), why });
        }
        Credentials::parse(&text).map_err(|why| CredentialError::Bad { path: path.into(), why })
    }

    fn parse(text: &str) -> Result<Credentials, String> {
        let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut read = Credentials::default();
        for WrittenToken { name, fingerprint, made, expires } in written.token {
            let key = Fingerprint::parse(&fingerprint).ok_or_else(|| {
                format!("a token of {name}: its fingerprint is not 64 hex digits")
            })?;
            let token = KeptToken { made: time(&made)?, expires: time(&expires)?, name };
            if let Some(other) = read.tokens.insert(key, token) {
                return Err(format!("a token of {} is there twice", other.name));
            }
        }
        for WrittenPassword { name, hash, made } in written.password {
            if !hash.starts_with("$argon2id$") {
                return Err(format!("the password of {name}: not a hash by argon2id"));
            }
            let password = KeptPassword { hash, made: time(&made)? };
            if read.passwords.insert(name.clone(), password).is_some() {
                return Err(format!("the password of {name} is there twice"));
            }
        }
        if read.len() > CREDENTIALS_MAX {
            return Err(format!("more than {CREDENTIALS_MAX} entries"));
        }
        Ok(read)
    }

    /// Who shows this bearer token; `None` if it is unknown or has expired at `now`.
    pub fn of_token(&self, secret: &Secret, now: Time) -> Option<Dated<&Name>> {
        let token = self.tokens.get(&secret.fingerprint())?;
        (now < token.expires).then_some(Dated { value: &token.name, made: token.made })
    }

    /// The hash of this name's password, if it has one.
    pub fn password_of(&self, name: &Name) -> Option<Dated<&str>> {
        let password = self.passwords.get(name)?;
        Some(Dated { value: &password.hash, made: password.made })
    }

    /// The tokens of `name`: when each was made and when it expires.
    pub fn tokens_of(&self, name: &Name) -> impl Iterator<Item = (Time, Time)> {
        let own = self.tokens.values().filter(move |token| token.name == *name);
        own.map(|token| (token.made, token.expires))
    }

    /// Adds a token of `name`. Those that have expired are removed.
    pub fn add_token(&mut self, secret: &Secret, name: Name, made: Time, expires: Time) {
        self.tokens.retain(|_, token| token.expires > made);
        self.tokens.insert(secret.fingerprint(), KeptToken { name, made, expires });
    }

    /// Sets the password of `name`.
    pub fn set_password(&mut self, name: Name, hash: String, made: Time) {
        self.passwords.insert(name, KeptPassword { hash, made });
    }

    /// Removes all tokens of `name`. Returns how many.
    pub fn remove_tokens(&mut self, name: &Name) -> usize {
        let before = self.tokens.len();
        self.tokens.retain(|_, token| token.name != *name);
        before - self.tokens.len()
    }

    /// Removes the password of `name`. Returns how many.
    pub fn remove_password(&mut self, name: &Name) -> usize {
        usize::from(self.passwords.remove(name).is_some())
    }

    /// Changes the file: reads it, lets `change` do its work, and writes it whole, before anybody
    /// else can. It is there completely, or the old one is.
    ///
    /// # Errors
    /// As `read`; if it can't be written.
    pub fn change<T>(
        path: &Path,
        change: impl FnOnce(&mut Credentials) -> T,
    ) -> Result<T, CredentialError> {
        let io_error = |error| CredentialError::Io { path: path.into(), error };
        let folder = path.parent().unwrap_or(Path::new("."));
        // Who changes it holds the folder locked; the lock goes with the process.
        let locked = File::open(folder).map_err(io_error)?;
        rustix::fs::flock(&locked, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| io_error(error.into()))?;
        let mut credentials = Credentials::read(path)?;
        let result = change(&mut credentials);
        if credentials.len() > CREDENTIALS_MAX {
            return Err(CredentialError::Full { path: path.into() });
        }
        let temporary = path.with_extension("toml.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(io_error)?;
        file.write_all(credentials.text().as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&temporary, path))
            .and_then(|()| locked.sync_all())
            .map_err(io_error)?;
        Ok(result)
    }

    fn text(&self) -> String {
        let mut out = String::from(
            "# Written by `servidor token` and `servidor password`. No token and no password can \
             be read from it.\n",
        );
        for (fingerprint, KeptToken { name, made, expires }) in &self.tokens {
            let (made, expires) = (date(*made), date(*expires));
            let _infallible = write!(
                out,
                "\n[[token]]\nname = \"{name}\"\nfingerprint = \"{fingerprint}\"\n\
                 made = {made}\nexpires = {expires}\n"
            );
        }
        for (name, KeptPassword { hash, made }) in &self.passwords {
            let made = date(*made);
            let _infallible = write!(
                out,
                "\n[[password]]\nname = \"{name}\"\nhash = \"{hash}\"\nmade = {made}\n"
            );
        }
        out
    }
}

fn time(date: &toml::value::Datetime) -> Result<Time, String> {
    let text = date.to_string();
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(|time| Time(time.as_microsecond()))
        .map_err(|_| format!("{text} is no time in UTC, as 2026-11-30T21:00:00Z is"))
}

/// To the microsecond: two passwords of one second are two.
fn date(time: Time) -> String {
    jiff::Timestamp::from_microsecond(time.0).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;
