//! `servidor --check`: checks what a start checks, and starts nothing. The bank may run meanwhile.
//!
//! It reads every record of the journal, as `servidor journal` does, and writes nothing: a missing
//! key, journal or folder is reported as new, and a start makes it.

use crate::args::{BadOptions, ServerOptions, Switch};
use crate::chain::chain;
use crate::key::ConsortiumKey;
use crate::opening::{listen, steplog_path};
use crate::run_command::print;
use crate::{files, folder, tls, web};
use anyhow::{Context, bail};
use consorcio_core::bank::record::Record;
use consorcio_core::ids::BankId;
use consorcio_core::wire::token::KeyId;
use consorcio_journal::{FileDisk, FolderError, JournalError, JournalScan, Scanned};
use consorcio_login::{CREDENTIALS_FILE, Credentials};
use consorcio_system::config::access::{ACCESS_FILE, read_access};
use consorcio_system::config::follows;
use consorcio_system::switches::GivenSettings;
use consorcio_tls::date;
use consorcio_words::Lang;
use consorcio_words::process::lang;
use consorcio_words::sentences::told;
use rustix::fs::{Access, access};
use std::fmt::Write;
use std::path::Path;
use tokio::runtime::Builder;

/// Prints the settings that were given and one line for each check. Returns whether all hold.
///
/// # Errors
/// When the switches do not say which bank this is, as for a start.
pub(crate) fn check(options: &ServerOptions, given: &GivenSettings) -> anyhow::Result<bool> {
    let bank = options.own_bank()?;
    options.check_demo()?;
    options.check_http_host()?;
    options.check_open()?;
    options.introduced_without()?;
    let mut report = CheckReport::default();
    report.settings(given);
    let (own, list) = (options.own_address(), &options.consortium);
    report.holds(format!("it is bank {bank} at {own} of {} places", list.places().len()));
    report.add("open files", open_files(options));
    let key = ConsortiumKey::find(options);
    let known = key.as_ref().ok().and_then(Option::as_ref).map(|key| key.seal.key_id());
    match key {
        Ok(Some(key)) => {
            report.holds(format!("key {} in {}", key.seal.key_id(), key.file.display()))
        }
        Ok(None) => report.holds("no key yet: the first bank of this machine makes it".to_owned()),
        // It is a fault of the switches where other machines are named.
        Err(error) if error.is::<BadOptions>() => return Err(error),
        Err(error) => report.fails("key", &error),
    }
    report.add("certificates", certificates(options, bank));
    if let Some(folder) = &options.tls {
        report.add("rights", rights_in(folder));
        report.add("tokens and passwords", log_ins_in(folder));
    }
    let journal = JournalLook::at(options, bank, known);
    let is_running = matches!(journal, Ok(JournalLook::Running(_)));
    report.add("journal", journal.map(|look| look.text()));
    report.add("step log", step_log(options));
    if !is_running {
        report.add("port", port(options));
        report.add("HTTP", http(options));
    }
    report.print()
}

/// What was found, a line each.
#[derive(Default)]
struct CheckReport {
    text: String,
    failed: usize,
}

impl CheckReport {
    fn settings(&mut self, given: &GivenSettings) {
        let width = |cell: fn(&(&str, &str)) -> usize| {
            given.rows.iter().map(|row| cell(&(&row.name, &row.value))).max().unwrap_or(0)
        };
        let (name, value) = (width(|row| row.0.len()), width(|row| row.1.len()));
        for row in &given.rows {
            // Writing to a String does not fail.
            let _ = writeln!(self.text, "{:<name$}  {:<value$}  {}", row.name, row.value, row.from);
        }
        let rest = if given.rows.is_empty() {
            "Every setting has its default."
        } else {
            "Every other setting has its default."
        };
        let _ = writeln!(self.text, "{}", told(rest));
    }

    fn holds(&mut self, text: String) {
        let _ = writeln!(self.text, "{} {}", yes_or_no(true), told(&text));
    }

    fn fails(&mut self, what: &str, error: &anyhow::Error) {
        self.failed += 1;
        let _ = writeln!(self.text, "{} {}: {}", yes_or_no(false), told(what), told(&chain(error)));
    }

    fn add(&mut self, what: &str, found: anyhow::Result<String>) {
        match found {
            Ok(text) if text.is_empty() => {}
            Ok(text) => self.holds(text),
            Err(error) => self.fails(what, &error),
        }
    }

    fn print(mut self) -> anyhow::Result<bool> {
        self.text.push_str(&told(match self.failed {
            0 => "This bank can start.",
            _ => "This bank can't start so.",
        }));
        self.text.push('\n');
        print(&self.text).map(|_| self.failed == 0)
    }
}

/// The first word of a line, as wide as the other one.
fn yes_or_no(holds: bool) -> &'static str {
    match (lang(), holds) {
        (Lang::En, true) => "yes",
        (Lang::En, false) => "no ",
        (Lang::Pt, true) => "sim",
        (Lang::Pt, false) => "não",
    }
}

fn certificates(options: &ServerOptions, bank: BankId) -> anyhow::Result<String> {
    Ok(tls::open(options, bank)?.map_or_else(String::new, |tls| {
        let (folder, end) = (tls.folder().display(), date(tls.end_us()));
        format!("certificates in {folder}, until {end}")
    }))
}

fn rights_in(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join(ACCESS_FILE);
    let (names, file) = (read_access(&file)?.grants().len(), file.display());
    Ok(format!("{file} lists {names} names"))
}

fn log_ins_in(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join(CREDENTIALS_FILE);
    if !file.try_exists()? {
        return Ok(String::new());
    }
    let (entries, file) = (Credentials::read(&file)?.len(), file.display());
    Ok(format!("{file} has {entries} tokens and passwords"))
}

fn open_files(options: &ServerOptions) -> anyhow::Result<String> {
    let (mut bounds, mut http) = (options.bounds.bounds()?, options.http.connections_max());
    let others = options.consortium.banks().len().saturating_sub(1);
    let reduced = files::fit(&mut bounds, &mut http, others).map_err(anyhow::Error::msg)?;
    Ok(reduced.unwrap_or_else(|| format!("room for {} connections", bounds.sessions)))
}

/// The journal of this bank, as far as a start depends on it.
enum JournalLook {
    /// There is none; the path of its folder.
    New(String),
    /// A running bank uses it.
    Running(String),
    /// It is intact and fits; with the number of its records.
    Fits(String, u64),
}

impl JournalLook {
    fn at(
        options: &ServerOptions,
        bank: BankId,
        key: Option<KeyId>,
    ) -> anyhow::Result<JournalLook> {
        let folder = folder::choose(&options.data_dir, bank, |_| ())?;
        let name = folder.display().to_string();
        if !consorcio_journal::is_in(&folder) {
            writable(&folder, "--data-dir")?;
            return Ok(JournalLook::New(name));
        }
        let disk = match FileDisk::open(&folder) {
            Ok(disk) => disk,
            Err(FolderError::InUse(_)) => return Ok(JournalLook::Running(name)),
            Err(error) => return Err(error.into()),
        };
        let facts = JournalFacts::read(&disk)?;
        facts.check(options, bank, key).context(name.clone())?;
        Ok(JournalLook::Fits(name, facts.records))
    }

    fn text(self) -> String {
        match self {
            JournalLook::New(folder) => format!("no journal yet: a start makes it in {folder}"),
            JournalLook::Running(folder) => {
                format!("a bank runs on the journal in {folder}: no port is tried")
            }
            JournalLook::Fits(folder, records) => {
                format!("journal in {folder}: {records} records, intact")
            }
        }
    }
}

/// What a journal says about its bank.
#[derive(Default)]
struct JournalFacts {
    records: u64,
    list: Option<(BankId, Vec<String>)>,
    key: Option<KeyId>,
    stopped: Option<String>,
}

impl JournalFacts {
    fn read(disk: &FileDisk) -> anyhow::Result<JournalFacts> {
        let (mut facts, mut fault) = (JournalFacts::default(), None);
        JournalScan::new(disk).read::<JournalError>(|scanned| {
            match scanned {
                Scanned::Record { record, .. } => {
                    facts.records += 1;
                    facts.note(record);
                }
                Scanned::Fault(found) => fault = fault.take().or(Some(found)),
            }
            Ok(())
        })?;
        match fault {
            Some(fault) => bail!("damaged: {fault}"),
            None => Ok(facts),
        }
    }

    fn note(&mut self, record: Record) {
        if let Record::Consortium { bank, places } = record {
            self.list = Some((bank, places));
        } else if let Record::KeyKnown { key } = record {
            self.key = Some(key);
        } else if let Record::Stopped { why } = record {
            self.stopped = Some(why);
        }
    }

    fn check(
        &self,
        options: &ServerOptions,
        bank: BankId,
        key: Option<KeyId>,
    ) -> anyhow::Result<()> {
        if let Some(why) = &self.stopped {
            bail!("this bank must not work any more: {why}");
        }
        if let Some((was, places)) = &self.list {
            follows(bank, &options.consortium, *was, places, options.moved)
                .context("it does not fit the consortium")?;
        }
        match (key, self.key) {
            (Some(ours), Some(known)) if ours != known && !options.new_key => {
                bail!("the key is {ours}, and this journal knows {known}; see --key-file")
            }
            _ => Ok(()),
        }
    }
}

/// Whether the step log can be written.
fn step_log(options: &ServerOptions) -> anyhow::Result<String> {
    if options.log_steps == Switch::Off {
        return Ok("no step log (--log-steps off)".to_owned());
    }
    let path = steplog_path(options);
    writable(&path, "--log-dir")?;
    let name = path.display();
    Ok(format!("step log {name}"))
}

/// Checks that `path`, or the nearest folder of it that is there, can be written.
fn writable(path: &Path, switch: &str) -> anyhow::Result<()> {
    let name = path.display();
    let there = path.ancestors().find(|path| path.as_os_str().is_empty() || path.exists());
    let there = there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if there != path && !there.is_dir() {
        bail!("{name}: {} is no folder; see {switch}", there.display());
    }
    let is_allowed = access(there, Access::WRITE_OK);
    is_allowed.with_context(|| format!("{name}: {} can't be written", there.display()))
}

fn port(options: &ServerOptions) -> anyhow::Result<String> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    drop(runtime.block_on(listen(options))?);
    Ok(match options.port {
        0 => "a port is free".to_owned(),
        port => format!("port {port} is free"),
    })
}

fn http(options: &ServerOptions) -> anyhow::Result<String> {
    let Some(address) = options.http.address() else { return Ok(String::new()) };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    drop(runtime.block_on(web::HttpSocket::listen(&options.http, 1))?);
    Ok(format!("HTTP can listen on {address}"))
}
