//! `servidor`, from its command line to its exit code.

use crate::args::{BadOptions, ServerOptions, Switch};
use crate::chain::chain;
use crate::commands::LookArgs;
use crate::help::{LocalizedCli, lang_last};
use crate::opening::steplog_path;
use crate::run::{StepOutputs, open_and_run};
use crate::run_command::run_command;
use crate::{check, health};
use consorcio_core::limits::LAST_LINES_MS_MAX;
use consorcio_steps::steplog::{self, Step, StepLog};
use consorcio_system::logging::{self, LIFECYCLE_TARGET};
use consorcio_system::switches::{self, GivenSettings};
use consorcio_words::process;
use std::process::ExitCode;
use std::time::Duration;

/// The exit code of an error; `USAGE` is that of a wrong command line.
const OWN_ERROR: u8 = 1;
const USAGE: u8 = 2;

/// Runs the program: reads its command line and settings, and returns its exit code.
pub fn main() -> ExitCode {
    process::set_help(std::env::args_os());
    let needs_file = |matches: &clap::ArgMatches| matches.subcommand_name().is_none();
    let (cli, given) =
        match switches::parse::<LocalizedCli>(lang_last(std::env::args_os()), needs_file) {
            Ok((LocalizedCli(cli), given)) => (cli, given),
            Err(error) => return ExitCode::from(switches::print_error(&error)),
        };
    process::set(cli.lang.lang);
    logging::init("servidor", &cli.log);
    let is_good = |is_good| if is_good { 0 } else { OWN_ERROR };
    let result = match (cli.command, cli.look) {
        (Some(command), _) => run_command(command).map(is_good),
        (None, LookArgs { check: true, .. }) => check::check(&cli.options, &given).map(is_good),
        (None, LookArgs { health: true, .. }) => health::ask(&cli.options).map(is_good),
        (None, LookArgs { check: false, health: false }) => {
            exit_on_panic();
            report_settings(&given);
            serve(&cli.options)
        }
    };
    let code = match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tracing::error!("{}", chain(&error));
            ExitCode::from(if error.is::<BadOptions>() { USAGE } else { OWN_ERROR })
        }
    };
    logging::flush(Duration::from_millis(LAST_LINES_MS_MAX));
    code
}

/// Names the settings file for operators that look at more than warnings.
fn report_settings(given: &GivenSettings) {
    if let Some(file) = &given.file {
        let file = file.display();
        tracing::info!(target: LIFECYCLE_TARGET, %file, "settings of {file}");
    }
}

/// Makes a panic of any thread or task end the process: an invariant is broken.
fn exit_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        std::process::exit(i32::from(OWN_ERROR));
    }));
}

/// Runs a bank to its end. A refused start is recorded in the step log, too.
fn serve(options: &ServerOptions) -> anyhow::Result<u8> {
    let mut outputs = None;
    let ended = open_and_run(options, &mut outputs);
    if let Err(error) = &ended
        && outputs.is_none()
    {
        record_refusal(options, &chain(error));
    }
    if let Some(StepOutputs { steplog, traces }) = outputs {
        let text = match &ended {
            Ok(code) => format!("exit code {code}"),
            Err(error) => chain(error),
        };
        steplog.record(Step::Stop(text.into()));
        steplog.close();
        if let Some(traces) = traces {
            traces.end();
        }
    }
    // Remaining tasks don't matter: every vote that was sent is durable.
    ended
}

/// Adds one line to the step log without rotation, since a running bank may be using it.
fn record_refusal(options: &ServerOptions, why: &str) {
    if options.log_steps == Switch::Off {
        return;
    }
    let places = options.consortium.to_texts();
    let log_options = steplog::StepLogOptions {
        bytes_max: 0,
        keep: 0,
        format: consorcio_system::logging::format(),
        places,
        ..steplog::StepLogOptions::default()
    };
    // Without a log, standard error alone has the reason.
    if let Ok(steplog) = StepLog::open(&steplog_path(options), log_options) {
        steplog.record(Step::Stop(format!("the start is refused: {why}").into()));
        steplog.close();
    }
}
