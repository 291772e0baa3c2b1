//! `servidor certs`: makes the CAs of a consortium, and the certificates of its banks and clients,
//! in one folder of a machine that is no bank.

mod issue;
mod names;

use crate::args::BadOptions;
use crate::commands::{CertsArgs, CertsCommand};
use anyhow::{Context, bail};
use consorcio_core::access::Name;
use consorcio_core::ids::BankId;
use consorcio_core::limits::{CERTIFICATE_BANK_DAYS, CERTIFICATE_CLIENT_DAYS};
use consorcio_system::config::read_or_make_key_file;
use consorcio_tls::{CLIENT_DOMAIN, DOMAIN, bank_host};
use consorcio_words::sentences::told;
use issue::{Authority, Purpose, SignedPair};
use names::GivenNames;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// The CA of banks: the beginning of its files' names.
const BANKS: &str = "ca-banks";
/// The CA of people and programs.
const CLIENTS: &str = "ca-clients";

/// Runs the command, and returns what it prints.
///
/// # Errors
/// When a file can't be made or is there already, or a name is taken; the text names it.
pub(crate) fn run(args: CertsArgs) -> anyhow::Result<String> {
    let CertsArgs { dir, command } = args;
    match command {
        CertsCommand::Ca { renew } => make_authorities(&dir, renew),
        CertsCommand::Bank { position, host, renew } => of_bank(&dir, position, &host, renew),
        CertsCommand::Client { name, renew } => of_client(&dir, &name, renew),
        CertsCommand::List => list(&dir),
    }
}

fn make_authorities(dir: &Path, renew: bool) -> anyhow::Result<String> {
    private_folder(dir)?;
    for name in [BANKS, CLIENTS] {
        let there = dir.join(format!("{name}.key"));
        if !renew && there.try_exists()? {
            bail!(
                "{} is there already: another CA makes all certificates of the first one \
                 worthless; --renew makes one beside it, whose certificates count once banks \
                 have both",
                there.display()
            );
        }
    }
    Authority::make(dir, BANKS, None, renew)?;
    Authority::make(dir, CLIENTS, Some(CLIENT_DOMAIN), renew)?;
    let key = dir.join("consortium.key");
    read_or_make_key_file(&key)?;
    let dir = dir.display();
    Ok(tell(&[format!(
        "made in {dir}: ca-banks and ca-clients (.crt, .key) and consortium.key. The keys of \
         both CAs stay on this machine; it should be no bank"
    )]))
}

fn of_bank(dir: &Path, position: usize, hosts: &[String], renew: bool) -> anyhow::Result<String> {
    let bank = BankId::new(position)
        .ok_or_else(|| BadOptions::new(format!("{position} is no position of a bank, 0 to 15")))?;
    if let Some(own) = hosts.iter().find(|host| is_own(host)) {
        let text = format!("--host {own}: names in {DOMAIN} are those of banks and clients alone");
        return Err(BadOptions::new(text).into());
    }
    let authority = Authority::open(dir, BANKS)?;
    let name = Name::of_bank(bank);
    let mut names = GivenNames::read(dir)?;
    names.check(&name, renew)?;
    let own = [bank_host(bank)];
    let days = CERTIFICATE_BANK_DAYS;
    let mut pairs = vec![authority.sign(name.as_str(), &own, Purpose::Bank, days)?];
    let of_pair = |name: &str| [".crt", ".key"].map(|end| format!("{name}{end}")).join(", ");
    let mut files = of_pair(name.as_str());
    if !hosts.is_empty() {
        let of_http = format!("{name}.http");
        pairs.push(authority.sign(&of_http, hosts, Purpose::Http, days)?);
        files = [files, of_pair(&of_http)].join(", ");
    }
    let until = write(dir, &mut names, name, &pairs, renew)?;
    let dir = dir.display();
    Ok(tell(&[
        format!("made in {dir}: {files}; valid until {until}"),
        format!(
            "copy to the folder with which bank {bank} starts (servidor --tls DIR): {files}, \
             ca-banks.crt, ca-clients.crt, consortium.key"
        ),
    ]))
}

fn of_client(dir: &Path, name: &Name, renew: bool) -> anyhow::Result<String> {
    if let Some(bank) = name.made_by() {
        let text = format!("{name}: names that end in -{bank} are made by bank {bank} alone");
        return Err(BadOptions::new(text).into());
    }
    let authority = Authority::open(dir, CLIENTS)?;
    let mut names = GivenNames::read(dir)?;
    names.check(name, renew)?;
    let host = format!("{name}.{CLIENT_DOMAIN}");
    let pair = authority.sign(name.as_str(), &[host], Purpose::Client, CERTIFICATE_CLIENT_DAYS)?;
    let until = write(dir, &mut names, name.clone(), &[pair], renew)?;
    let dir = dir.display();
    Ok(tell(&[
        format!("made in {dir}: {name}.crt, {name}.key; valid until {until}"),
        format!(
            "give {name} (cliente --tls DIR --as {name}): {name}.crt, {name}.key, ca-banks.crt"
        ),
    ]))
}

/// Lists the name first: one whose files could not be written is given out all the same. Returns
/// until when the certificates count.
fn write(
    dir: &Path,
    names: &mut GivenNames,
    name: Name,
    pairs: &[SignedPair],
    renew: bool,
) -> anyhow::Result<String> {
    pairs.iter().try_for_each(|pair| pair.check(dir, renew))?;
    let until = pairs.first().map_or_else(String::new, |pair| pair.until.clone());
    names.add(name, &until)?;
    pairs.iter().try_for_each(|pair| pair.write(dir, renew))?;
    Ok(until)
}

fn list(dir: &Path) -> anyhow::Result<String> {
    Ok(GivenNames::read(dir)?.to_text())
}

/// Whether a host name is in the domain of the consortium's own names.
fn is_own(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == DOMAIN || host.ends_with(&format!(".{DOMAIN}"))
}

/// Makes the folder if it is not there; refuses one that others can read.
fn private_folder(dir: &Path) -> anyhow::Result<()> {
    let folder = || format!("the folder {}", dir.display());
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).with_context(folder);
        }
        Ok(()) | Err(_) => {}
    }
    let mode = std::fs::metadata(dir).with_context(folder)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let dir = dir.display();
        bail!("{dir} can be read by others (mode {mode:o}); make it yours alone: chmod 700 {dir}");
    }
    Ok(())
}

fn tell(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| told(sentence) + "\n").collect()
}
