//! The commands that make what people and programs prove their names with over HTTP: bearer tokens
//! and passwords.

use crate::args::BadOptions;
use crate::commands::{PasswordArgs, TokenArgs};
use anyhow::Context;
use consorcio_core::access::Name;
use consorcio_core::ids::Time;
use consorcio_core::limits::{PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN};
use consorcio_login::{CREDENTIALS_FILE, Credentials, Secret, hash_password};
use consorcio_system::terminal;
use consorcio_tls::date;
use consorcio_words::sentences::told;
use std::io::{IsTerminal, Read, Write, stderr, stdin};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes a bearer token, which is printed once; or removes those of a name.
///
/// # Errors
/// If the file can't be read or written.
pub(crate) fn token(args: &TokenArgs) -> anyhow::Result<String> {
    let file = file_in(&args.tls)?;
    let name = &args.name;
    if args.remove {
        return remove(&file, name, Credentials::remove_tokens, "token");
    }
    let secret = Secret::generate().context("the system has no randomness")?;
    let (made, expires) = (now(), Time(now().0 + i64::from(args.days) * 24 * 3_600 * 1_000_000));
    Credentials::change(&file, |all| all.add_token(&secret, name.clone(), made, expires))?;
    let until = date(expires.0);
    say(&format!(
        "the token is shown this once: {} has a fingerprint of it. It counts until {until}; a bank \
         that runs takes it with SIGHUP. Use: curl -H 'Authorization: Bearer ...'",
        file.display()
    ));
    Ok(format!("{}\n", secret.reveal()))
}

/// Sets the password of a name, or removes it. Returns the one that it made, to be printed once.
///
/// # Errors
/// If no password is given, or one that is too short or too long; if the file can't be read or
/// written.
pub(crate) fn password(args: &PasswordArgs) -> anyhow::Result<String> {
    let file = file_in(&args.tls)?;
    let name = &args.name;
    if args.remove {
        return remove(&file, name, Credentials::remove_password, "password");
    }
    let (password, shown) = if args.generate {
        let secret = Secret::generate().context("the system has no randomness")?.reveal();
        // 128 bits are more than anybody guesses, and can still be typed.
        let password = secret[..32].to_owned();
        (password.clone(), Some(password))
    } else {
        (typed(name)?, None)
    };
    let characters = password.chars().count();
    if characters < PASSWORD_CHARACTERS_MIN || password.len() > PASSWORD_BYTES_MAX {
        return Err(BadOptions::new(format!(
            "the password has {characters} characters: give {PASSWORD_CHARACTERS_MIN} or more, and \
             at most {PASSWORD_BYTES_MAX} bytes"
        ))
        .into());
    }
    let hash = hash_password(&password).context("the password can't be hashed")?;
    Credentials::change(&file, |all| all.set_password(name.clone(), hash, now()))?;
    say(&format!(
        "{name} has a password in {}; a bank that runs takes it with SIGHUP",
        file.display()
    ));
    Ok(shown.map_or_else(String::new, |password| format!("{password}\n")))
}

fn remove(
    file: &Path,
    name: &Name,
    remove: fn(&mut Credentials, &Name) -> usize,
    what: &str,
) -> anyhow::Result<String> {
    let removed = Credentials::change(file, |all| remove(all, name))?;
    anyhow::ensure!(removed > 0, "{name} has no {what} in {}", file.display());
    say(&format!("{name} has no {what} any more; a bank that runs ends its sessions with SIGHUP"));
    Ok(String::new())
}

/// Tells a person, beside what a script reads.
fn say(text: &str) {
    let _ = writeln!(stderr(), "{}", terminal::output_line("servidor", &told(text)));
}

/// The file in the folder of `--tls`, which must be there: a misspelt folder is not made.
fn file_in(folder: &Path) -> anyhow::Result<PathBuf> {
    anyhow::ensure!(
        folder.is_dir(),
        "the folder {} is not there: give that of the bank, as --tls",
        folder.display()
    );
    Ok(folder.join(CREDENTIALS_FILE))
}

/// The password: typed twice at a terminal, which does not show it, or a line of standard input.
fn typed(name: &Name) -> anyhow::Result<String> {
    if stdin().is_terminal() {
        let read = |prompt: String| {
            rpassword::prompt_password(prompt).context("the password can't be read")
        };
        let password = read(told(&format!("password of {name}")) + ": ")?;
        let again = read(told("the same again") + ": ")?;
        anyhow::ensure!(password == again, "the two are not the same; nothing was changed");
        return Ok(password);
    }
    let mut text = String::new();
    let most = u64::try_from(PASSWORD_BYTES_MAX + 2).unwrap_or(u64::MAX);
    stdin().take(most).read_to_string(&mut text).context("the password can't be read")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    anyhow::ensure!(!line.contains('\n'), "standard input has more than one line");
    Ok(line.to_owned())
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
