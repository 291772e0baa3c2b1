//! Steps for other receivers than the file: as live tracing events, and in batches for another
//! thread of the process. The file is written either way.

use crate::line::{Entry, Formatter, OtherEnd};
use consorcio_core::ids::TxId;
use consorcio_system::logging::STEP_TARGET;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::Level;

/// Receives steps in the order of their times, flush by flush.
#[derive(Debug)]
pub struct StepBatches {
    batches: Receiver<Vec<Entry>>,
    dropped: Arc<AtomicU64>,
}

impl StepBatches {
    /// The steps of the next flush.
    ///
    /// # Errors
    /// If none arrive within this time, or the log is closed.
    pub fn recv_timeout(&self, within: Duration) -> Result<Vec<Entry>, RecvTimeoutError> {
        self.batches.recv_timeout(within)
    }

    /// The number of steps dropped for lack of room since the last call.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Relaxed)
    }
}

/// Sends batches to the receiver, once there is one.
#[derive(Debug, Default)]
pub(super) struct BatchSender(Mutex<Option<BatchReceiver>>);

#[derive(Debug)]
struct BatchReceiver {
    batches: SyncSender<Vec<Entry>>,
    dropped: Arc<AtomicU64>,
}

impl BatchSender {
    /// Opens a receiver for which at most `batches_max` batches wait. It replaces an earlier
    /// receiver.
    pub(super) fn open(&self, batches_max: usize) -> StepBatches {
        let (sender, batches) = sync_channel(batches_max);
        let dropped = Arc::<AtomicU64>::default();
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(BatchReceiver { batches: sender, dropped: dropped.clone() });
        StepBatches { batches, dropped }
    }

    /// Sends a batch; if there is no room, drops it and counts its steps.
    pub(super) fn send(&self, entries: &[Entry]) {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = &*slot
            && !entries.is_empty()
            && receiver.batches.try_send(entries.to_vec()).is_err()
        {
            receiver.dropped.fetch_add(u64::try_from(entries.len()).unwrap_or(u64::MAX), Relaxed);
        }
    }

    pub(super) fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Whether a subscriber takes step events. Checked once for each flush: only then are steps
/// formatted a second time.
pub(super) fn is_watched() -> bool {
    tracing::enabled!(target: STEP_TARGET, Level::DEBUG)
}

/// Emits `entry` as a tracing event, on the thread of the step log.
pub(super) fn emit(formatter: &mut Formatter, entry: &Entry) {
    let (step, peer) = (&entry.step, entry.step.peer());
    let at = text(|out| formatter.time(out, entry.at_us));
    let bank = match peer {
        Some(OtherEnd::Link(_, bank) | OtherEnd::Bank(bank)) => Some(bank.as_u8()),
        Some(OtherEnd::Address(_)) | None => None,
    };
    let peer = step.addressed().map(|peer| text(|out| formatter.peer(out, peer)));
    let detail = text(|out| step.write_fields(entry.at_us, out));
    let detail = Some(detail.trim()).filter(|detail| !detail.is_empty());
    tracing::debug!(
        target: STEP_TARGET,
        at,
        event = step.event(),
        tx = step.tx().map(TxId::as_str),
        peer,
        bank,
        detail
    );
}

/// The text that `write` appends, which is UTF-8.
fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Step;
    use serde_json::{Value, json};
    use std::io::{self, Write};
    use tracing::level_filters::LevelFilter;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that a subscriber with `level` writes for these steps.
    fn written(level: LevelFilter, steps: Vec<Step>) -> Vec<Value> {
        let output = Sink::default();
        let writer = output.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(level)
            .with_writer(move || writer.clone())
            .finish();
        let mut formatter = Formatter::new(vec!["127.0.0.1:1".into(), "127.0.0.1:2".into()]);
        tracing::subscriber::with_default(subscriber, || {
            for step in steps {
                if is_watched() {
                    emit(&mut formatter, &Entry { at_us: 1_000_000, step });
                }
            }
        });
        let bytes = output.0.lock().unwrap().clone();
        let lines = String::from_utf8(bytes).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn batches_without_room_are_dropped_and_counted() {
        let sender = BatchSender::default();
        let entry = Entry { at_us: 1, step: Step::Stop("end".into()) };
        sender.send(std::slice::from_ref(&entry));
        let batches = sender.open(1);
        let two = [entry.clone(), entry.clone()];
        sender.send(&two);
        sender.send(&two);
        assert_eq!((batches.take_dropped(), batches.take_dropped()), (2, 0));
        sender.close();
        assert_eq!(batches.recv_timeout(Duration::ZERO), Ok(two.to_vec()));
        assert_eq!(batches.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_step_is_an_event_with_the_columns_of_its_line() {
        let bank = consorcio_core::ids::BankId::new(1).unwrap();
        let steps = vec![
            Step::LinkUp(bank, 250),
            Step::Drive(TxId::new("t1").unwrap()),
            Step::Stop("SIGTERM".into()),
        ];
        let lines = written(LevelFilter::DEBUG, steps.clone());
        let at = "1970-01-01T00:00:01.000000Z";
        let expected = [
            json!({
                "at": at, "event": "link-up", "peer": "127.0.0.1:2", "bank": 1,
                "detail": "took_us=250"
            }),
            json!({"at": at, "event": "drive", "tx": "t1"}),
            json!({"at": at, "event": "stop", "detail": "SIGTERM"}),
        ];
        let fields: Vec<&Value> = lines.iter().map(|line| &line["fields"]).collect();
        assert_eq!(fields, expected.iter().collect::<Vec<_>>());
        assert!(lines.iter().all(|line| line["target"] == STEP_TARGET), "{lines:?}");
        assert!(written(LevelFilter::INFO, steps).is_empty(), "no subscriber takes them");
    }
}
