//! `--watch`: repeats a command that only reads, until Ctrl-C or SIGTERM.
//!
//! On a terminal each round replaces the one before. In a pipe the rounds follow each other: rows
//! under one line of headings, or one JSON document a line.

mod screen;
mod signals;

use super::Context;
use super::failure::Failure;
use super::output::{CommandOutput, ErrorPart, OutputForm, Paint, prints_failure, utc};
use crate::language::say;
use consorcio_core::ids::Time;
use consorcio_steps::steplog::wall_us;
use screen::WatchScreen;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use signals::{EndSignal, EndSignals, erase_echo};

#[derive(Serialize)]
struct RoundsDocument {
    rounds: u64,
    failed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

/// Where rounds are shown.
enum RoundDisplay {
    /// A terminal: each round replaces the one before.
    Screen(WatchScreen),
    /// A pipe that was asked for tables.
    Tables,
    /// A pipe of rows, with the headings of the rounds so far.
    Rows { headings: String },
    /// A pipe of JSON documents.
    Documents,
}

/// Runs `round` at once and then each time that `every` has passed, until Ctrl-C, SIGTERM, or a
/// reader that closes the pipe. The result is that of the last round.
pub(crate) async fn run(
    context: &Context,
    every: Duration,
    round: impl AsyncFn(&Context) -> CommandOutput,
) -> CommandOutput {
    match rounds(context, every, round).await {
        Ok(output) => output,
        Err(error) => Failure::Own(format!("the terminal can't be used: {error}")).into(),
    }
}

async fn rounds(
    context: &Context,
    every: Duration,
    round: impl AsyncFn(&Context) -> CommandOutput,
) -> io::Result<CommandOutput> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ends = EndSignals::new()?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut display = RoundDisplay::of(context.paint)?;
    let mut document = RoundsDocument { rounds: 0, failed: 0, error: None };
    let mut last = CommandOutput::new(String::new(), &());
    'rounds: loop {
        let mut next = pin!(async {
            ticks.tick().await;
            round(context).await
        });
        let output = loop {
            tokio::select! {
                biased;
                _ = ends.recv() => break 'rounds,
                _ = resized.recv() => display.resize()?,
                output = &mut next => break output,
            }
        };
        document.rounds += 1;
        document.failed += u64::from(output.failure.is_some());
        let is_news = output.failure != last.failure;
        let shown = display.show(&head(every), &output, is_news);
        last = output;
        if shown.is_err() {
            break;
        }
    }
    document.error = last.failure.as_ref().map(ErrorPart::of);
    Ok(match display {
        // What was seen last stays, below what was on the terminal before.
        RoundDisplay::Screen(_) => last,
        RoundDisplay::Tables | RoundDisplay::Rows { .. } => CommandOutput::shown(last.failure),
        RoundDisplay::Documents => {
            CommandOutput::new(String::new(), &document).with_failure(last.failure)
        }
    })
}

/// The text of a round, and its failure where the text lacks it.
fn with_failure(output: &CommandOutput) -> String {
    match &output.failure {
        Some(failure) if !prints_failure(output, failure, OutputForm::Table) => {
            format!("{}cliente: {failure}\n", output.text)
        }
        Some(_) | None => output.text.clone(),
    }
}

/// An interval, in whole seconds where it is.
pub(crate) fn every_in_words(every: Duration) -> String {
    match u64::try_from(every.as_millis()).unwrap_or(u64::MAX) {
        ms if ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{ms} ms"),
    }
}

/// The line above a round.
fn head(every: Duration) -> String {
    let every = every_in_words(every);
    let now = utc(Time(wall_us()));
    let now = now.split('.').next().unwrap_or_default();
    say!("every {every} · {now} UTC · Ctrl-C ends" / "a cada {every} · {now} UTC · Ctrl-C encerra")
}

impl RoundDisplay {
    fn of(paint: Paint) -> io::Result<RoundDisplay> {
        Ok(match paint.form() {
            OutputForm::Table if io::stdout().is_terminal() => {
                RoundDisplay::Screen(WatchScreen::enter()?)
            }
            OutputForm::Table => RoundDisplay::Tables,
            OutputForm::Tsv => RoundDisplay::Rows { headings: String::new() },
            OutputForm::Json => RoundDisplay::Documents,
        })
    }

    /// Shows a round; `is_news` if its failure differs from that of the round before.
    ///
    /// # Errors
    /// If nobody reads standard output any more.
    fn show(&mut self, head: &str, output: &CommandOutput, is_news: bool) -> io::Result<()> {
        let text = match self {
            RoundDisplay::Screen(screen) => return screen.show(head, &with_failure(output)),
            RoundDisplay::Tables => format!("{head}\n{}\n", with_failure(output)),
            RoundDisplay::Rows { headings } => {
                if let (Some(failure), true) = (&output.failure, is_news) {
                    // Nobody may read standard error.
                    let _ = writeln!(io::stderr(), "cliente: {failure}");
                }
                match output.text.split_once('\n') {
                    Some((first, rows)) if first == headings => rows.to_owned(),
                    Some((first, _)) => {
                        first.clone_into(headings);
                        output.text.clone()
                    }
                    None => String::new(),
                }
            }
            RoundDisplay::Documents => format!("{}\n", output.json),
        };
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// The terminal has another size.
    fn resize(&self) -> io::Result<()> {
        match self {
            RoundDisplay::Screen(screen) => screen.draw(),
            RoundDisplay::Tables | RoundDisplay::Rows { .. } | RoundDisplay::Documents => Ok(()),
        }
    }
}
