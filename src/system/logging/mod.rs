//! Diagnostics on standard error: tracing events, as text or JSON, filtered.
//!
//! Steps are events too, but only on request: they belong to the step log's file. Programs print
//! their results on standard output themselves.

mod filter;
mod stderr;
mod text;

pub use stderr::{erase_line, flush};
pub use text::step_colour;

use clap::{ArgAction, Args, ValueEnum};
use std::io::IsTerminal;
use std::sync::OnceLock;
use text::TextFormat;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The target of steps, which are debug events. Their fields are the columns of the step log: `at`,
/// `event`, `tx`, `peer`, `bank`, `detail`; a column that is `-` or empty has no field.
pub const STEP_TARGET: &str = "consorcio::step";
/// The target of events that standard output or the step log already show: start, ready, stop. They
/// are written as text only on request.
pub const LIFECYCLE_TARGET: &str = "consorcio::lifecycle";

/// Most people want the warnings; this is for more than that.
#[derive(Debug, Clone, Default, Args)]
pub struct LogArgs {
    /// Shows each step on standard error as it is written to the step log; -vv shows what happens
    /// between the steps too. RUST_LOG filters finer, as in consorcio_peers=debug
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// How lines on standard error and in the step log are written: text, or one JSON object a line
    #[arg(
        long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true,
        env = "CONSORCIO_LOG_FORMAT", default_value_t = LogFormat::Text
    )]
    pub log_format: LogFormat,
}

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// The format of the lines of this process, on standard error and in its step log; text before
/// `init`.
pub fn format() -> LogFormat {
    FORMAT.get().copied().unwrap_or_default()
}

/// How a line on standard error is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// The program's name, and a sentence.
    #[default]
    Text,
    /// An object with `timestamp`, `level`, `target` and `fields`, among them the `message`.
    Json,
}

/// Sends the events of this process to standard error from now on. `program` begins each line of
/// text.
///
/// No event waits for standard error: a thread writes it, and past a bound lines are dropped and
/// counted. `flush` waits for the thread.
pub fn init(program: &'static str, options: &LogArgs) {
    // Only a test sets it twice.
    let _ = FORMAT.set(options.log_format);
    let rust_log = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let (filter, complaint) = filter::filter(options, rust_log.as_deref());
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr::ToStderr);
    let layer = match options.log_format {
        LogFormat::Text => {
            let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let colours = std::io::stderr().is_terminal() && !is_plain;
            layer.event_format(TextFormat { program, colours }).boxed()
        }
        LogFormat::Json => layer.json().with_current_span(false).with_span_list(false).boxed(),
    };
    // Only a test may have installed another subscriber before.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
}
