//! Steps of transactions, exported to an OpenTelemetry collector as spans.
//!
//! A thread of its own takes the steps from the step log's thread, a flush at a time. Where the
//! collector is slow or gone, steps and spans are dropped and counted: nothing else waits for it.

mod http_client;
mod spans;

use consorcio_core::bank::Identity;
use consorcio_core::limits::{OTEL_BATCHES_MAX, OTEL_EXPORT_EVERY_MS, OTEL_SPANS_MAX};
use consorcio_steps::steplog::{StepBatches, StepLog, wall_us};
use consorcio_system::threads::{END_WITHIN, join_within};
use http_client::PlainHttp;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use spans::{EndedSpan, SpanBuilder};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use tracing::{info, warn};

/// Either of these variables enables the export.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The thread that exports spans.
pub(super) struct TraceExport(JoinHandle<()>);

impl TraceExport {
    /// Starts the thread if a variable names a collector.
    ///
    /// # Errors
    /// When the variables can't be used, or the system gives no thread.
    pub(super) fn start(
        identity: &Identity,
        steplog: &StepLog,
    ) -> anyhow::Result<Option<TraceExport>> {
        let given = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let Some(variable) = ENDPOINTS.iter().find(|name| given(name)) else { return Ok(None) };
        let Some(batches) = steplog.batches(OTEL_BATCHES_MAX) else {
            warn!(
                "{variable} is set and --log-steps is off: traces are made of steps, there are none"
            );
            return Ok(None);
        };
        let mut exporter =
            SpanExporter::builder().with_http().with_http_client(PlainHttp).build()?;
        exporter.set_resource(&resource(identity));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let bank = identity.bank;
        let mut export = Export {
            builder: SpanBuilder::new(bank),
            scope: InstrumentationScope::builder("consorcio").build(),
            exporter,
            runtime,
            ended: Vec::new(),
            is_failing: false,
        };
        let thread = std::thread::Builder::new()
            .name("otel".to_owned())
            .spawn(move || export.run(&batches))?;
        info!(bank = bank.as_u8(), variable, "spans are exported as {variable} says");
        Ok(Some(TraceExport(thread)))
    }

    /// Waits for the last export, within a bound. The step log must be closed before.
    pub(super) fn end(self) {
        join_within(self.0, END_WITHIN);
    }
}

fn resource(identity: &Identity) -> Resource {
    let address = identity.places.get(identity.bank.index()).cloned().unwrap_or_default();
    let mut builder = Resource::builder().with_attributes([
        KeyValue::new("service.instance.id", address),
        KeyValue::new("consorcio.bank", i64::from(identity.bank.as_u8())),
    ]);
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        builder = builder.with_service_name("servidor");
    }
    builder.build()
}

struct Export {
    builder: SpanBuilder,
    scope: InstrumentationScope,
    exporter: SpanExporter,
    runtime: tokio::runtime::Runtime,
    /// Spans for the next export.
    ended: Vec<EndedSpan>,
    /// The last export failed; the failure was logged.
    is_failing: bool,
}

impl Export {
    fn run(&mut self, batches: &StepBatches) {
        let every = Duration::from_millis(OTEL_EXPORT_EVERY_MS);
        let mut due = Instant::now() + every;
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            let is_over = match batches.recv_timeout(wait) {
                Ok(entries) => {
                    for entry in &entries {
                        self.builder.step(entry, &mut self.ended);
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if is_over {
                self.builder.end_all(&mut self.ended);
            }
            let is_due = Instant::now() >= due;
            if is_due {
                due = Instant::now() + every;
                self.builder.expire(wall_us(), &mut self.ended);
            }
            if is_due || is_over || self.ended.len() >= OTEL_SPANS_MAX {
                self.export(batches.take_dropped());
            }
            if is_over {
                return;
            }
        }
    }

    /// Exports the ended spans, in requests of bounded size.
    fn export(&mut self, dropped_steps: u64) {
        let dropped = (dropped_steps, self.builder.take_dropped());
        if dropped != (0, 0) {
            let (steps, transactions) = dropped;
            warn!(
                steps,
                transactions,
                "the collector is slow: {steps} steps and {transactions} transactions are in no \
                 trace"
            );
        }
        while !self.ended.is_empty() {
            let count = self.ended.len().min(OTEL_SPANS_MAX);
            let spans = self.ended.drain(..count).map(|span| data(span, &self.scope)).collect();
            let result = self.runtime.block_on(self.exporter.export(spans));
            match result {
                Ok(()) if self.is_failing => {
                    self.is_failing = false;
                    warn!("spans can be exported again");
                }
                Ok(()) => {}
                Err(error) => {
                    // These spans are lost; later ones are tried again.
                    let spans = count + std::mem::take(&mut self.ended).len();
                    if !std::mem::replace(&mut self.is_failing, true) {
                        warn!(
                            spans,
                            "{spans} spans could not be exported: {error}; spans are dropped \
                             until it can be again"
                        );
                    }
                }
            }
        }
    }
}

fn data(span: EndedSpan, scope: &InstrumentationScope) -> SpanData {
    let context = SpanContext::new(
        TraceId::from_bytes(span.trace),
        SpanId::from_bytes(span.id),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    let is_root = span.name == "transaction";
    SpanData {
        span_context: context,
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: span.is_parent_remote,
        span_kind: if is_root { SpanKind::Server } else { SpanKind::Internal },
        name: span.name.into(),
        start_time: time(span.start_us),
        end_time: time(span.end_us),
        attributes: vec![
            KeyValue::new("consorcio.tx", span.tx.as_str().to_owned()),
            KeyValue::new("consorcio.detail", span.detail),
        ],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        // An abort is an outcome, not an error.
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    }
}

fn time(at_us: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(at_us).unwrap_or(0))
}
