//! `cliente monitor`: the steps of all nodes in one stream, as they happen, from their step logs.

mod filter;
mod lines;

use super::Context;
use super::args::MonitorArguments;
use super::failure::Failure;
use super::output::CommandOutput;
use super::watch::EndSignals;
use crate::language::{say, word};
use consorcio_core::limits::{FOLLOW_EVERY_MS, FOLLOW_FIND_EVERY_MS};
use consorcio_steps::follow::{FollowedBatch, StepFollower};
use consorcio_steps::steplog::wall_us;
use consorcio_steps::trace::TraceError;
use filter::StepFilter;
use lines::StepLines;
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Shows steps until Ctrl-C, SIGTERM, or a reader that closes the pipe.
pub(crate) async fn run(context: &Context, mut arguments: MonitorArguments) -> CommandOutput {
    if arguments.logs.is_empty() {
        arguments.logs.push(context.log_dir.clone());
    }
    match follow(context, arguments).await {
        Ok(()) => CommandOutput::shown(None),
        Err(failure) => failure.into(),
    }
}

async fn follow(context: &Context, arguments: MonitorArguments) -> Result<(), Failure> {
    let own = |error: io::Error| Failure::Own(format!("the monitor can't start: {error}"));
    let mut ends = EndSignals::new().map_err(own)?;
    let mut follower = StepFollower::open(&arguments.logs)?;
    let mut lines = StepLines::new(context.paint, arguments.wide);
    let mut filter = StepFilter::new(&arguments);
    // Nobody may read standard error.
    let _ = writeln!(io::stderr(), "{}", followed(&follower));
    if print(&lines.headings()).is_err() {
        return Ok(());
    }
    let mut ticks = interval(Duration::from_millis(FOLLOW_EVERY_MS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut find_at = Instant::now();
    let mut ended = false;
    while !ended {
        tokio::select! {
            biased;
            _ = ends.recv() => ended = true,
            _ = ticks.tick() => {}
        }
        if Instant::now() >= find_at {
            follower.find_new()?;
            find_at = Instant::now() + Duration::from_millis(FOLLOW_FIND_EVERY_MS);
        }
        // Ticks order the steps of several nodes; at the end nothing waits for a later one.
        let until = if ended { i64::MAX } else { wall_us() };
        if show(&mut follower, &mut filter, &mut lines, until)?.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Shows what the logs have until this time. The inner result is that of standard output.
fn show(
    follower: &mut StepFollower,
    filter: &mut StepFilter,
    lines: &mut StepLines,
    until_us: i64,
) -> Result<io::Result<()>, TraceError> {
    loop {
        let FollowedBatch { steps, more } = follower.poll(until_us)?;
        let mut text = String::new();
        for step in steps.iter().filter(|step| filter.admits(step)) {
            lines.write(step, &mut text);
        }
        let printed = print(&text);
        if printed.is_err() || !more {
            return Ok(printed);
        }
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// A sentence that names what is followed.
fn followed(follower: &StepFollower) -> String {
    let mut banks: Vec<u8> = follower.nodes().filter_map(|node| node.bank).collect();
    banks.sort_unstable();
    let all = follower.nodes().count();
    let banks: Vec<String> =
        banks.iter().map(|bank| say!("bank {bank}" / "banco {bank}")).collect();
    let others = match all - banks.len() {
        0 => String::new(),
        1 => word!("one other log" / "mais um log").to_owned(),
        others => say!("{others} other logs" / "mais {others} logs"),
    };
    let mut named = banks;
    named.extend(Some(others).filter(|others| !others.is_empty()));
    let named = named.join(", ");
    say!("following {named}; Ctrl-C ends" / "acompanhando {named}; Ctrl-C encerra")
}
