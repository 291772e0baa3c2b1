//! The timeline of a transaction, from the step logs in this bank's log folder: its own, and on one
//! machine those of the other banks.
//!
//! Logs may be long, so one request at a time reads them, on a thread of its own and within a
//! time-out. A missing or late timeline is no error: the response has less in it.

use crate::app::App;
use consorcio_core::ids::TxId;
use consorcio_core::limits::{HTTP_TRACE_FLUSH_MS_MAX, HTTP_TRACE_MS_MAX};
use consorcio_steps::trace::{Logs, Timeline};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The timeline of `tx`; `None` if the logs have none, or can't be read in time.
pub(crate) async fn of(app: &App, tx: &TxId) -> Option<Timeline> {
    timeout(Duration::from_millis(HTTP_TRACE_MS_MAX), read(app, tx)).await.ok()?
}

async fn read(app: &App, tx: &TxId) -> Option<Timeline> {
    let permit = app.trace_permit().await?;
    let (steplog, folder) = (app.options().steplog.clone(), app.options().log_dir.clone());
    let tx = tx.clone();
    let reading = spawn_blocking(move || {
        steplog.flush(Duration::from_millis(HTTP_TRACE_FLUSH_MS_MAX));
        let timeline = Logs::open(&[folder]).and_then(|logs| logs.timeline(tx.as_str())).ok();
        // The next read begins after this one, even if this one timed out.
        drop(permit);
        timeline
    });
    reading.await.ok()?
}
