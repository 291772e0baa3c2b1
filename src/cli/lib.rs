//! The program `cliente`: its command line, its commands, and their output.
//!
//! Architecture invariant: nothing here decides a transaction; the coordinator and the banks do.

#![warn(unreachable_pub)]

mod args;
mod audit;
mod bench;
mod commands;
mod contention;
mod cuts;
mod doubt;
mod ending;
mod failure;
mod language;
mod ledgers;
mod links;
mod load;
mod manual;
mod monitor;
mod output;
mod overview;
mod phases;
mod ping;
mod progress;
mod requests;
mod resolve;
mod shell;
mod step_observer;
mod table;
mod top;
mod trace;
mod transactions;
mod typed;
mod waiting;
mod watch;

use args::{Arguments, BilingualArguments, CliCommand};
use clap::error::ErrorKind;
use consorcio_client::{Client, ClientError, ClientOptions};
use consorcio_core::limits::{
    CLIENT_FILES_BESIDE_MAX, CLIENT_IDLE_CONNECTIONS_MAX, LAST_LINES_MS_MAX,
};
use consorcio_steps::steplog::{self, StepLog};
use consorcio_system::config::Consortium;
use consorcio_system::logging;
use consorcio_system::switches;
use consorcio_tls::TlsDialer;
use failure::Failure;
use language::word;
use output::{CommandOutput, OutputForm, Paint};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use step_observer::{InterruptNotice, NAME_DEFAULT, StepObserver};
use waiting::WaitObserver;
use watch::{EndSignal, EndSignals};

/// State that every command needs.
struct Context {
    client: Client,
    steps: StepObserver,
    paint: Paint,
    name: String,
    interrupt_notice: InterruptNotice,
    waits: WaitObserver,
    /// The folder of step logs.
    log_dir: PathBuf,
}

impl Context {
    /// The context for other banks, in open mode. These have no positions in the step log, so
    /// nothing about them is logged.
    fn at(&self, consortium: Consortium) -> Context {
        let options = ClientOptions { observer: None, tls: None, ..self.client.options().clone() };
        Context {
            client: Client::new(consortium, options),
            steps: StepObserver::off(),
            paint: self.paint,
            name: self.name.clone(),
            interrupt_notice: InterruptNotice::default(),
            waits: self.waits.clone(),
            log_dir: self.log_dir.clone(),
        }
    }

    /// The same context for one line of a shell, whose output has a form of its own.
    fn with_paint(&self, paint: Paint) -> Context {
        Context {
            client: self.client.clone(),
            steps: self.steps.clone(),
            paint,
            name: self.name.clone(),
            interrupt_notice: self.interrupt_notice.clone(),
            waits: self.waits.clone(),
            log_dir: self.log_dir.clone(),
        }
    }

    /// The failure of a command that a signal has ended, after its future is dropped. A transaction
    /// that waits for this client is handed to the banks first: each of them is asked to end it.
    async fn interrupted(&self) -> Failure {
        let known = self.interrupt_notice.take();
        if let Some(tx) = self.interrupt_notice.take_driven() {
            let within = self.client.options().answer_within;
            let _ = tokio::time::timeout(within, self.client.resolve(&tx)).await;
        }
        let interrupted = || word!("interrupted" / "interrompido").to_owned();
        Failure::Interrupted(known.unwrap_or_else(interrupted))
    }

    /// The failure of a client's error, whose text says what to do.
    fn failure(&self, error: ClientError) -> Failure {
        Failure::of(self.client.list(), error)
    }
}

/// Runs the program: parses the command line, executes it, prints the output, and returns the exit
/// code.
pub fn main() -> ExitCode {
    language::set_help(std::env::args_os());
    let needs_file = |matches: &clap::ArgMatches| {
        !matches.subcommand_name().is_some_and(args::ManualCommand::is_named)
    };
    let arguments = match switches::parse::<BilingualArguments>(std::env::args_os(), needs_file) {
        Ok((BilingualArguments(arguments), _)) => arguments,
        Err(error) => return usage(&error),
    };
    language::set(arguments.lang);
    logging::init("cliente", &arguments.log);
    let code = execute(arguments);
    logging::flush(Duration::from_millis(LAST_LINES_MS_MAX));
    code
}

fn execute(arguments: Arguments) -> ExitCode {
    let form = arguments.form();
    if let Err(failure) = raise_file_limit(arguments.consortium.places().len()) {
        return ExitCode::from(output::print(&failure.into(), form));
    }
    // It needs no bank, and writes no log.
    if let Some(CliCommand::Manual(command)) = &arguments.command {
        return ExitCode::from(output::print(&manual::run(command), form));
    }
    let tls = match arguments.secure.dialer() {
        Ok(tls) => tls,
        Err(failure) => return ExitCode::from(output::print(&failure.into(), form)),
    };
    let output = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(arguments, tls)),
        Err(error) => Failure::Own(format!("the program can't start: {error}")).into(),
    };
    ExitCode::from(output::print(&output, form))
}

/// Raises the limit of open files to what a command needs, with two connections to each bank, and
/// fails where that is not allowed.
fn raise_file_limit(places: usize) -> Result<(), Failure> {
    let needed = CLIENT_FILES_BESIDE_MAX + 2 * u64::try_from(places).unwrap_or(u64::MAX / 2);
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

/// Prints help to standard output, which is no error, and a wrong command line as clap does, or in
/// JSON.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && asks_for_json() {
        let text = error.to_string();
        let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
        let lines =
            lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
        let line = lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned();
        // For an incomplete command clap shows the whole help instead of an error.
        let is_incomplete = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
        let line = if is_incomplete {
            "incomplete command: --help lists what may follow".to_owned()
        } else {
            line
        };
        return ExitCode::from(output::print(&Failure::Usage(line).into(), OutputForm::Json));
    }
    ExitCode::from(switches::print_error(error))
}

/// Whether a command line that can't be parsed asks for errors in JSON.
fn asks_for_json() -> bool {
    let words: Vec<_> = std::env::args_os().skip(1).take_while(|word| word != "--").collect();
    let typed = words.iter().any(|word| word == "--json" || word == "--output=json")
        || words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    typed || std::env::var_os(args::OUTPUT_VARIABLE).is_some_and(|form| form == "json")
}

async fn run(arguments: Arguments, tls: Option<TlsDialer>) -> CommandOutput {
    let places = arguments.consortium.to_texts();
    // A command that reads logs must not add to them.
    let on = !matches!(
        arguments.command,
        Some(args::CliCommand::Trace(_) | args::CliCommand::Monitor(_))
    );
    let format = logging::format();
    let options =
        steplog::StepLogOptions { on, format, places, ..steplog::StepLogOptions::default() };
    let given = arguments.name.as_deref();
    let opened = StepObserver::open_log(&arguments.log_dir, given, options);
    let (name, log) = opened.unwrap_or_else(|error| {
        // A client without a log can still move money; the banks have logs of their own.
        tracing::warn!("{error}; going on without it (--log-dir names another folder)");
        (given.unwrap_or(NAME_DEFAULT).to_owned(), StepLog::off())
    });
    let paint = Paint::new(arguments.form());
    let is_shell = matches!(arguments.command, Some(CliCommand::Shell(_)));
    let interrupt_notice = InterruptNotice::default();
    let steps = StepObserver::new(log, interrupt_notice.clone());
    // With --step the phases count the OKs.
    let counts = paint.form() == OutputForm::Table
        && !arguments.command.as_ref().is_some_and(CliCommand::is_in_steps);
    let waits = WaitObserver::new(Arc::new(steps.clone()), counts);
    let options = ClientOptions {
        answer_within: arguments.timeout,
        vote_within: arguments.timeout,
        // Each request gets a connection of its own, so that step logs show them apart; only a
        // shell has many of them.
        idle_connections_max: if is_shell { CLIENT_IDLE_CONNECTIONS_MAX } else { 0 },
        observer: Some(Arc::new(waits.clone())),
        tls,
    };
    let context = Context {
        client: Client::new(arguments.consortium, options),
        steps,
        paint,
        name,
        interrupt_notice,
        waits: waits.clone(),
        log_dir: arguments.log_dir,
    };
    let is_transaction = arguments.command.as_ref().is_none_or(CliCommand::is_transaction);
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    context.steps.began(&context.name, words);
    let has_progress = arguments.command.as_ref().is_some_and(CliCommand::shows_progress);
    let mut ends = EndSignals::new().ok();
    let output = tokio::select! {
        biased;
        output = commands::run(&context, arguments.command) => output,
        // In a shell a signal ends one line.
        Some(_) = end_signal(&mut ends), if !is_shell => context.interrupted().await.into(),
        never = waits.show(context.client.list()), if !has_progress => match never {},
    };
    waits.clear();
    let output = check_list(&context, is_transaction, output);
    context.steps.ended(&output);
    context.steps.close();
    output
}

/// Waits for a signal; `None` if the system gives no handler, so a signal ends the program at once.
async fn end_signal(ends: &mut Option<EndSignals>) -> Option<EndSignal> {
    match ends {
        Some(ends) => Some(ends.recv().await),
        None => None,
    }
}

/// Applies the checks of the bank list: a read over two consortiums fails, and a list that is too
/// short is a warning. The outcome of a transaction holds in any case.
fn check_list(context: &Context, is_transaction: bool, output: CommandOutput) -> CommandOutput {
    let warn = |why: &str| tracing::warn!("warning: {why}");
    let failure = |error| context.failure(error);
    match (context.client.two_keys().map(failure), context.client.short_list().map(failure)) {
        (Some(why), _) if is_transaction => warn(&why.to_string()),
        (Some(failure), _) => {
            let failed = CommandOutput::from(failure.clone());
            return CommandOutput { text: output.text, ..failed };
        }
        (None, Some(why)) if !matches!(output.failure, Some(Failure::Usage(_))) => {
            warn(&why.to_string());
        }
        (None, _) => {}
    }
    output
}
