//! One transaction's steps, from the step logs in this bank's log folder: its own, and on one
//! machine the others'.
//!
//! Logs may be long, so one is read at a time, on a thread of its own, and nobody waits long for
//! that. What is not there, or not in time, makes an answer poorer and no error.

use crate::app::App;
use consorcio_core::ids::TxId;
use consorcio_steps::trace::{Logs, Timeline};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Nobody waits longer than this for logs that are read.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// Steps that were recorded before are written within this time.
const FLUSHED_WITHIN: Duration = Duration::from_millis(200);

/// The steps of `tx`; `None` where the logs have none, or could not be read in time.
pub async fn of(app: &App, tx: &TxId) -> Option<Timeline> {
    timeout(READ_WITHIN, read(app, tx)).await.ok()?
}

async fn read(app: &App, tx: &TxId) -> Option<Timeline> {
    let turn = app.trace_turn().await?;
    let (steplog, folder) = (app.options().steplog.clone(), app.options().log_dir.clone());
    let tx = tx.clone();
    let reading = spawn_blocking(move || {
        steplog.flush(FLUSHED_WITHIN);
        let timeline = Logs::open(&[folder]).and_then(|logs| logs.timeline(tx.as_str())).ok();
        // The next one begins only now, also where nobody waits for this one any more.
        drop(turn);
        timeline
    });
    reading.await.ok()?
}
