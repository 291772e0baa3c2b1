//! The node's loop: carries time and inputs to the writer, batches to the disk, and what may leave
//! to its way out.

use crate::clock::WallClock;
use crate::disk::{Disk, SyncDone};
use crate::inbox::Inbox;
use crate::writer::{DecideTurn, Leaving, Writer};
use consorcio_core::bank::io::Input;
use consorcio_core::limits::TICK_US;
use consorcio_steps::steplog::{Step, StepLog};
use consorcio_system::crash;
use tokio::time::{Instant, sleep_until};

/// Decisions before sessions and links have their turn.
const SLICE: usize = 256;

/// Why the node can't go on. The process must stop, and nothing may leave it any more.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The journal failed: nobody knows what is on disk, or what the past says.
    #[error("the journal failed, this bank stops: {0}")]
    Journal(#[from] consorcio_journal::JournalError),
    /// The bank knows that it must not work any more.
    #[error("this bank must not work any more: {0}")]
    Stopped(String),
}

/// Runs `writer` until the inbox is stopped and all is durable. `deliver` carries what may leave
/// away, and gets the bank for what it wants to know of it.
///
/// # Errors
/// When the bank can't go on.
pub async fn run(
    mut writer: Writer,
    disk: Disk,
    inbox: &Inbox,
    mut wall: WallClock,
    steplog: &StepLog,
    mut deliver: impl FnMut(&mut Vec<Leaving>, &Writer),
) -> Result<Writer, Fatal> {
    let clock = inbox.clock();
    let mut out = Vec::new();
    // What waits already comes before the first tick.
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
        // One tick takes on a share of what is due; others have their turn before the next one.
        let is_behind = |writer: &Writer| {
            !writer.is_full() && !inbox.is_stopped() && writer.core().is_behind(now.mono_us)
        };
        if (is_due && !writer.is_full()) || is_behind(&writer) {
            writer.step(now, Input::Tick, &mut out);
            no_tick_before_us = now.mono_us + TICK_US;
        }
        let turn = match writer.core().stopped() {
            // Its last record is made durable, and nothing is decided after it.
            Some(why) if writer.is_synced() => return Err(Fatal::Stopped(why.to_owned())),
            Some(_) => DecideTurn::Drained,
            None => inbox.take(|queue| writer.decide(now, queue, SLICE, &mut out)),
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
        if let Some(steps) = writer.steps() {
            // The story is told by the machine's clock everywhere.
            let unfollowed_us = now.shown_us - now.wall_us;
            if unfollowed_us != 0 {
                steps.iter_mut().for_each(|entry| entry.at_us += unfollowed_us);
            }
            steplog.append(steps);
        }
        match turn {
            DecideTurn::More => tokio::task::yield_now().await,
            DecideTurn::Drained if inbox.is_stopped() && writer.is_synced() => return Ok(writer),
            DecideTurn::Drained | DecideTurn::Full => {
                if is_behind(&writer) {
                    tokio::task::yield_now().await;
                    continue;
                }
                let lazy_due = writer.sync_due_us();
                if let Some(due) = lazy_due {
                    lazy.as_mut().reset(clock.instant(due).into());
                }
                let due = clock.instant(writer.core().tick_due_us().max(no_tick_before_us)).into();
                // It may ring for nothing, never late: it is not moved back each time that
                // something is decided.
                if due < tick.deadline() || tick.is_elapsed() {
                    tick.as_mut().reset(due);
                }
                tokio::select! {
                    biased;
                    () = inbox.notified() => {}
                    // A full batch waits for the one under sync, and so does the tick.
                    () = &mut tick, if !writer.is_full() => {}
                    () = &mut lazy, if lazy_due.is_some() => {}
                }
            }
        }
    }
}

fn synced(
    writer: &mut Writer,
    done: SyncDone,
    out: &mut Vec<Leaving>,
    steplog: &StepLog,
) -> Result<(), Fatal> {
    done.result?;
    let step = Step::Sync {
        upto: done.batch.last().unwrap_or(0),
        records: done.batch.len(),
        bytes: done.batch.bytes(),
        took_us: done.took_us,
    };
    // The story tells when the disk was done, which may be a bit before this thread has its turn.
    steplog.record_at(done.ended_us, step);
    writer.synced(done.batch, out);
    Ok(())
}
