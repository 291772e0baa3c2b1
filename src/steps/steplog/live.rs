//! Steps as tracing events, for those who watch a program live. The file is written either way.

use super::line::{Formatter, detail};
use super::step::{Entry, Who};
use consorcio_core::ids::TxId;
use tracing::Level;

/// The target of these events. Their fields are the columns of the file: `at`, `event`, `tx`,
/// `peer`, `bank`, `detail`; a column that is `-` or empty is no field.
pub const STEP_TARGET: &str = "consorcio::step";

/// Does a subscriber want them? Checked once a batch: steps are made into text twice only then.
pub(super) fn is_watched() -> bool {
    tracing::enabled!(target: STEP_TARGET, Level::DEBUG)
}

/// Emits `entry`, on the thread of the step log.
pub(super) fn emit(formatter: &mut Formatter, entry: &Entry) {
    let (step, who) = (&entry.step, entry.step.who());
    let at = text(|out| formatter.time(out, entry.at_us));
    let peer = who.map(|who| text(|out| formatter.peer(out, who)));
    let bank = match who {
        Some(Who::Link(_, bank) | Who::Bank(bank)) => Some(bank.as_u8()),
        Some(Who::Address(_)) | None => None,
    };
    let detail = text(|out| detail(out, step));
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

/// What `write` wrote. Only whole words of UTF-8 are written.
fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steplog::step::Step;
    use serde_json::{Value, json};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
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

    /// What a subscriber that takes `level` writes of these steps.
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
            json!({"at": at, "event": "link-up", "peer": "127.0.0.1:2", "bank": 1, "detail": "took_us=250"}),
            json!({"at": at, "event": "drive", "tx": "t1"}),
            json!({"at": at, "event": "stop", "detail": "SIGTERM"}),
        ];
        let fields: Vec<&Value> = lines.iter().map(|line| &line["fields"]).collect();
        assert_eq!(fields, expected.iter().collect::<Vec<_>>());
        assert!(lines.iter().all(|line| line["target"] == STEP_TARGET), "{lines:?}");
        assert!(written(LevelFilter::INFO, steps).is_empty(), "nobody watches");
    }
}
