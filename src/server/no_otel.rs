//! Stands in for `otel` in a build without that feature: no span is exported.

use consorcio_core::bank::Identity;
use consorcio_steps::steplog::StepLog;
use std::convert::Infallible;

/// The exporting thread; this type has no value.
pub(super) struct NoTraceExport(Infallible);

pub(super) use NoTraceExport as TraceExport;

impl NoTraceExport {
    /// Starts nothing.
    ///
    /// # Errors
    /// None.
    pub(super) fn start(_: &Identity, _: &StepLog) -> anyhow::Result<Option<NoTraceExport>> {
        Ok(None)
    }

    /// Never called, since there is no value.
    pub(super) fn end(self) {
        match self.0 {}
    }
}
