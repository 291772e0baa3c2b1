//! What `cliente` does: an edge around the pure coordinator, with sockets, time, the command line
//! and the output.
//!
//! Architecture invariant: nothing here decides about a transaction; that is the coordinator's, and
//! the banks'.

pub mod args;
mod asking;
mod audit;
mod bench;
mod commands;
mod contention;
mod cuts;
mod doubt;
mod ending;
mod failure;
mod ledgers;
mod links;
mod load;
mod manual;
mod output;
mod overview;
mod pause;
mod ping;
mod progress;
mod resolve;
mod step_observer;
mod trace;
mod transactions;
mod typed;

use args::{Arguments, Command};
use clap::error::ErrorKind;
use consorcio_client::{Client, ClientError, ClientOptions};
use consorcio_core::limits::LAST_LINES_MS_MAX;
use consorcio_steps::steplog::{self, StepLog};
use consorcio_system::config::Consortium;
use consorcio_system::logging;
use consorcio_system::switches;
use failure::Failure;
use output::{Form, Paint, Shown};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use step_observer::{KnownSoFar, StepObserver};

/// What every command needs.
pub struct Context {
    client: Client,
    steps: StepObserver,
    paint: Paint,
    /// This client's name.
    name: String,
    /// What is known so far, for those who interrupt.
    known: KnownSoFar,
    /// Where step logs are.
    log_dir: PathBuf,
}

impl Context {
    /// The same, for other banks; the step log knows these by no position, so nothing of them is
    /// told there.
    fn at(&self, consortium: Consortium) -> Context {
        let options = ClientOptions { observer: None, ..self.client.options().clone() };
        Context {
            client: Client::new(consortium, options),
            steps: StepObserver::off(),
            paint: self.paint,
            name: self.name.clone(),
            known: KnownSoFar::default(),
            log_dir: self.log_dir.clone(),
        }
    }

    /// What an error of the client means, in words that say what to do.
    fn failure(&self, error: ClientError) -> Failure {
        Failure::of(self.client.list(), error)
    }
}

/// The whole program: reads the command line, does it, prints, and says how it ended.
pub fn main() -> ExitCode {
    let arguments = match switches::parse::<Arguments>(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    logging::init("cliente", &arguments.log);
    let code = execute(arguments);
    logging::flush(Duration::from_millis(LAST_LINES_MS_MAX));
    code
}

fn execute(arguments: Arguments) -> ExitCode {
    let form = arguments.form();
    if let Err(failure) = enough_files(arguments.consortium.places().len()) {
        return ExitCode::from(output::print(&failure.into(), form));
    }
    // It needs no bank, and leaves no log.
    if let Some(Command::Manual(command)) = &arguments.command {
        return ExitCode::from(output::print(&manual::run(command), form));
    }
    let shown = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Failure::Own(format!("the program can't start: {error}")).into(),
    };
    ExitCode::from(output::print(&shown, form))
}

/// Files that are open beside connections: standard ones, the log, those of the runtime.
const FILES_BESIDE: u64 = 16;

/// May this process open as many files as a command needs, with two connections to each bank? The
/// limit is raised as far as it may be.
fn enough_files(places: usize) -> Result<(), Failure> {
    let needed = FILES_BESIDE + 2 * u64::try_from(places).unwrap_or(u64::MAX / 2);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    limit.current = Some(limit.maximum.map_or(needed, |maximum| maximum.min(needed)));
    let raised = setrlimit(Resource::Nofile, limit).ok().and(limit.current);
    match raised.or(getrlimit(Resource::Nofile).current) {
        Some(allowed) if allowed < needed => Err(Failure::Own(format!(
            "only {allowed} open files are allowed, and cliente needs {needed}: raise the limit \
                (ulimit -n {needed})"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Help goes to standard output and is no error; a wrong command line is told as clap does, or in
/// JSON.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && asks_for_json() {
        let text = error.to_string();
        let said = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
        let said =
            said.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
        let line = said.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned();
        // Where half a command was typed, clap shows the whole help instead of an error.
        let half = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        let line =
            if half { "half a command: --help tells what may follow it".to_owned() } else { line };
        return ExitCode::from(output::print(&Failure::Usage(line).into(), Form::Json));
    }
    // Whoever asked for the help may be gone.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// What can't be read as a whole still says in which form the error is wanted.
fn asks_for_json() -> bool {
    let words: Vec<_> = std::env::args_os().skip(1).take_while(|word| word != "--").collect();
    let typed = words.iter().any(|word| word == "--json" || word == "--output=json")
        || words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    typed || std::env::var_os(args::OUTPUT_VARIABLE).is_some_and(|form| form == "json")
}

async fn run(arguments: Arguments) -> Shown {
    let path = StepObserver::path(&arguments.log_dir, &arguments.name);
    let places = arguments.consortium.to_texts();
    // Whoever reads logs adds nothing to them.
    let on = !matches!(arguments.command, Some(args::Command::Trace(_)));
    let log = StepLog::open(&path, steplog::Options { on, places, ..steplog::Options::default() });
    let log = log.unwrap_or_else(|error| {
        // A client whose folder can't be written still moves money; its banks keep their own logs.
        tracing::warn!("{error}; going on without it (--log-dir names another folder)");
        StepLog::off()
    });
    let paint = Paint::new(arguments.form());
    let known = KnownSoFar::default();
    let steps = StepObserver::new(log, known.clone());
    let options = ClientOptions {
        answer_within: arguments.timeout,
        // Each question has a connection of its own, as a step log shows it.
        idle_connections_max: 0,
        observer: Some(Arc::new(steps.clone())),
        ..ClientOptions::default()
    };
    let context = Context {
        client: Client::new(arguments.consortium, options),
        steps,
        paint,
        name: arguments.name.clone(),
        known,
        log_dir: arguments.log_dir,
    };
    let is_transaction = arguments.command.as_ref().is_none_or(Command::is_transaction);
    // Only the command's word: what follows it may be numbers that name people.
    let word = arguments.command.as_ref().map_or("set", Command::word);
    context.steps.began(&format!("{} {word}", arguments.name));
    let shown = tokio::select! {
        biased;
        shown = commands::run(&context, arguments.command) => shown,
        _ = tokio::signal::ctrl_c() => {
            let known = context.known.take().unwrap_or_else(|| "interrupted".into());
            Failure::Interrupted(known).into()
        }
    };
    let shown = judged(&context, is_transaction, shown);
    match &shown.failure {
        None => context.steps.ended("done"),
        Some(failure) => context.steps.ended(failure.code()),
    }
    context.steps.close();
    shown
}

/// What banks said of themselves means for how a command ends: what was only read of two
/// consortiums is worth nothing, and a list that is too short is told. A transaction has its
/// outcome all the same.
fn judged(context: &Context, is_transaction: bool, shown: Shown) -> Shown {
    let warn = |why: &str| tracing::warn!("warning: {why}");
    let words = |error| context.failure(error);
    match (context.client.two_keys().map(words), context.client.short_list().map(words)) {
        (Some(why), _) if is_transaction => warn(&why.to_string()),
        (Some(failure), _) => {
            let told = Shown::from(failure.clone());
            return Shown { text: shown.text, ..told };
        }
        (None, Some(why)) if !matches!(shown.failure, Some(Failure::Usage(_))) => {
            warn(&why.to_string());
        }
        (None, _) => {}
    }
    shown
}
