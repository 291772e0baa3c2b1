//! The node's loop: it passes time and inputs to the writer, batches to the journal thread, and
//! released replies and messages to the caller.

use crate::clock::WallClock;
use crate::disk::{JournalThread, SyncDone};
use crate::inbox::Inbox;
use crate::writer::{DecideResult, Released, Writer};
use consorcio_core::bank::io::{Input, Now};
use consorcio_core::limits::{DECISIONS_IN_A_SLICE_MAX, TICK_US};
use consorcio_steps::steplog::{Step, StepLog};
use consorcio_system::crash;
use tokio::time::{Instant, sleep_until};

/// Why the node can't go on. The process must end, and must send nothing more.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The journal failed: what is on disk is unknown.
    #[error("the journal failed, this bank stops: {0}")]
    Journal(#[from] consorcio_journal::JournalError),
    /// The core stopped the bank; the text says why.
    #[error("this bank must not work any more: {0}")]
    Stopped(String),
}

/// Runs `writer` until the inbox is stopped and everything is durable. `deliver` must empty the
/// released replies and messages; it also gets the writer, to read the bank's state.
///
/// # Errors
/// When the bank can't go on.
pub async fn run(
    mut writer: Writer,
    disk: JournalThread,
    inbox: &Inbox,
    mut wall: WallClock,
    steplog: &StepLog,
    mut deliver: impl FnMut(&mut Vec<Released>, &Writer),
) -> Result<Writer, Fatal> {
    let clock = inbox.clock();
    let mut out = Vec::new();
    // Inputs that wait already precede the first tick.
    let mut no_tick_before_us = clock.mono_us() + TICK_US;
    let tick = sleep_until(Instant::now());
    let lazy = sleep_until(Instant::now());
    tokio::pin!(tick, lazy);
    loop {
        if let Some(done) = disk.done() {
            synced(&mut writer, done, &mut out, steplog)?;
        }
        let now = wall.now(writer.core().clock(), clock.mono_us());
        let is_due = no_tick_before_us <= now.mono_us && writer.core().tick_due_us() <= now.mono_us;
        // One tick does a slice of the due work; other inputs are decided before the next one.
        let is_behind = |writer: &Writer| {
            !writer.is_full() && !inbox.is_stopped() && writer.core().is_behind(now.mono_us)
        };
        if (is_due && !writer.is_full()) || is_behind(&writer) {
            writer.step(now, Input::Tick, &mut out);
            no_tick_before_us = now.mono_us + TICK_US;
        }
        let decided = match writer.core().stopped() {
            // The last record becomes durable, and nothing is decided after it.
            Some(why) if writer.is_synced() => return Err(Fatal::Stopped(why.to_owned())),
            Some(_) => DecideResult::Drained,
            None => {
                inbox.take(|queue| writer.decide(now, queue, DECISIONS_IN_A_SLICE_MAX, &mut out))
            }
        };
        let due_us = writer.sync_due_us();
        if due_us.is_some_and(|due| due <= now.mono_us || inbox.is_stopped())
            && let Some(batch) = writer.take_batch()
        {
            disk.sync(batch);
        }
        if writer.core().stopped().is_some() {
            out.clear();
        }
        deliver(&mut out, &writer);
        out.clear();
        crash::step(crash::Step::Started);
        log_steps(&mut writer, now, steplog);
        match decided {
            DecideResult::More => tokio::task::yield_now().await,
            DecideResult::Drained if inbox.is_stopped() && writer.is_synced() => return Ok(writer),
            DecideResult::Drained | DecideResult::Full => {
                if is_behind(&writer) {
                    tokio::task::yield_now().await;
                    continue;
                }
                let lazy_due = writer.sync_due_us();
                if let Some(due) = lazy_due {
                    lazy.as_mut().reset(clock.instant(due).into());
                }
                let due = clock.instant(writer.core().tick_due_us().max(no_tick_before_us)).into();
                // The timer may fire early, never late: postponing it at each decision would
                // cost more.
                if due < tick.deadline() || tick.is_elapsed() {
                    tick.as_mut().reset(due);
                }
                tokio::select! {
                    biased;
                    () = inbox.notified() => {}
                    // A full batch waits for the sync under way, and so does the tick.
                    () = &mut tick, if !writer.is_full() => {}
                    () = &mut lazy, if lazy_due.is_some() => {}
                }
            }
        }
    }
}

/// Passes the writer's steps to the step log, with times of the machine's clock, which the bank may
/// not follow.
fn log_steps(writer: &mut Writer, now: Now, steplog: &StepLog) {
    let Some(steps) = writer.steps() else { return };
    let unfollowed_us = now.shown_us - now.wall_us;
    if unfollowed_us != 0 {
        steps.iter_mut().for_each(|entry| entry.at_us += unfollowed_us);
    }
    steplog.append(steps);
}

fn synced(
    writer: &mut Writer,
    done: SyncDone,
    out: &mut Vec<Released>,
    steplog: &StepLog,
) -> Result<(), Fatal> {
    done.result?;
    let step = Step::Sync {
        upto: done.batch.last().unwrap_or(0),
        records: done.batch.len(),
        bytes: done.batch.bytes(),
        took_us: done.took_us,
    };
    // The step has the time at which the sync ended; this thread may run a little later.
    steplog.record_at(done.ended_us, step);
    writer.synced(done.batch, out);
    Ok(())
}
