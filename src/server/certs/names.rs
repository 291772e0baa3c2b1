//! The names that were given out, in a file beside the CAs: none is given to a second person.

use anyhow::{Context, bail};
use consorcio_core::access::Name;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A line for each certificate: the name, and until when it counts.
const FILE: &str = "names.txt";

/// The names that were given out.
pub(super) struct GivenNames {
    path: PathBuf,
    /// Each with the last time of its newest certificate, in the order of the first ones.
    names: Vec<(Name, String)>,
}

impl GivenNames {
    /// Reads the list; without a file it is empty.
    ///
    /// # Errors
    /// When a line is none of the list.
    pub(super) fn read(dir: &Path) -> anyhow::Result<GivenNames> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let mut given = GivenNames { path, names: Vec::new() };
        for (number, line) in (1..).zip(text.lines()) {
            let parsed = line
                .split_once(' ')
                .and_then(|(name, until)| Some((Name::new(name).ok()?, until.trim().to_owned())));
            let Some((name, until)) = parsed else {
                let path = given.path.display();
                bail!("{path}, line {number}: not a name and a time: {line:?}");
            };
            given.put(name, until);
        }
        Ok(given)
    }

    fn put(&mut self, name: Name, until: String) {
        match self.names.iter_mut().find(|(given, _)| *given == name) {
            Some((_, newest)) => *newest = until,
            None => self.names.push((name, until)),
        }
    }

    /// Checks that `name` is new, or with `renew` that it is not.
    ///
    /// # Errors
    /// When it is not so.
    pub(super) fn check(&self, name: &Name, renew: bool) -> anyhow::Result<()> {
        let given = self.names.iter().find(|(given, _)| given == name);
        match (given, renew) {
            (Some((_, until)), false) => bail!(
                "{name} was given out already (until {until}), and a name is never given to a \
                 second person; --renew makes another certificate for the same one"
            ),
            (None, true) => bail!("{name} was never given out; leave --renew out"),
            (Some(_), true) | (None, false) => Ok(()),
        }
    }

    /// Adds a certificate to the list, on disk too.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(super) fn add(&mut self, name: Name, until: &str) -> anyhow::Result<()> {
        let at = || self.path.display().to_string();
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path);
        let mut file = file.with_context(at)?;
        file.write_all(format!("{name} {until}\n").as_bytes())
            .and_then(|()| file.sync_all())
            .with_context(at)?;
        self.put(name, until.to_owned());
        Ok(())
    }

    /// The list, a line each.
    pub(super) fn to_text(&self) -> String {
        self.names.iter().fold(String::new(), |mut text, (name, until)| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{name}  {until}");
            text
        })
    }
}
