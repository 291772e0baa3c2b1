//! What the step logs tell of each bank: how long requests take, how many are under way, and its
//! syncs.

use consorcio_core::ids::BankId;
use consorcio_core::limits::TOP_OPEN_MAX;
use consorcio_core::wire::verb::VerbKind;
use consorcio_steps::follow::FollowedStep;
use consorcio_steps::steplog::Step;
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use tokio::time::Instant;

/// The figures of one bank over an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StepFigures {
    /// From the receipt of a request about a transaction to its reply, in microseconds: the median,
    /// and what one in a hundred exceeds.
    pub latency_us: Option<(u64, u64)>,
    /// Such requests without a reply.
    pub under_way: usize,
    pub syncs_per_s: u64,
    /// What one sync in a hundred exceeds, in microseconds.
    pub sync_us: Option<u64>,
}

/// The meters of all banks.
#[derive(Default)]
pub(super) struct StepMeters {
    of: BTreeMap<BankId, StepMeter>,
    since: Option<Instant>,
}

struct StepMeter {
    /// Requests without a reply, by connection and number: when they were received.
    open: HashMap<(String, NonZeroU64), i64>,
    replies_us: Histogram<u64>,
    syncs_us: Histogram<u64>,
}

impl Default for StepMeter {
    fn default() -> StepMeter {
        let empty = || Histogram::new(3).expect("a histogram may have three digits");
        StepMeter { open: HashMap::new(), replies_us: empty(), syncs_us: empty() }
    }
}

impl StepMeters {
    /// Adds a step; those of clients count nothing.
    pub(super) fn add(&mut self, step: &FollowedStep) {
        let bank = step.node.bank.and_then(|bank| BankId::new(bank.into()));
        if let (Some(bank), Some(typed)) = (bank, step.step()) {
            self.of.entry(bank).or_default().add(step, &typed);
        }
    }

    /// Forgets which requests are under way, where steps were left out.
    pub(super) fn forget_open(&mut self) {
        self.of.values_mut().for_each(|meter| meter.open.clear());
    }

    /// The figures since the last call.
    pub(super) fn take(&mut self, now: Instant) -> BTreeMap<BankId, StepFigures> {
        let since = self.since.replace(now);
        let ms = since.map_or(0, |since| now.saturating_duration_since(since).as_millis());
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        self.of.iter_mut().map(|(bank, meter)| (*bank, meter.take(ms))).collect()
    }
}

impl StepMeter {
    fn add(&mut self, line: &FollowedStep, step: &Step) {
        let connection = || line.peer.clone().unwrap_or_default();
        match step {
            Step::Start(_) => self.open.clear(),
            Step::Receive { verb, n: Some(n), .. }
                if verb.kind() == VerbKind::Transaction && self.open.len() < TOP_OPEN_MAX =>
            {
                self.open.insert((connection(), *n), line.at_us);
            }
            Step::Reply { n: Some(n), .. } => {
                if let Some(received) = self.open.remove(&(connection(), *n)) {
                    let took = u64::try_from(line.at_us - received).unwrap_or(0);
                    self.replies_us.saturating_record(took);
                }
            }
            Step::Disconnect(..) => {
                let closed = connection();
                self.open.retain(|(connection, _), _| *connection != closed);
            }
            Step::Sync { took_us, .. } => self.syncs_us.saturating_record(*took_us),
            _ => {}
        }
    }

    fn take(&mut self, ms: u64) -> StepFigures {
        let syncs = self.syncs_us.len();
        let figures = StepFigures {
            latency_us: quantiles(&self.replies_us),
            under_way: self.open.len(),
            syncs_per_s: syncs.saturating_mul(1_000).checked_div(ms).unwrap_or(0),
            sync_us: quantiles(&self.syncs_us).map(|(_, most)| most),
        };
        self.replies_us.reset();
        self.syncs_us.reset();
        figures
    }
}

/// The median, and the value that one in a hundred exceeds.
fn quantiles(values: &Histogram<u64>) -> Option<(u64, u64)> {
    let values = Some(values).filter(|values| !values.is_empty())?;
    Some((values.value_at_quantile(0.5), values.value_at_quantile(0.99)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_steps::follow::FollowedNode;
    use std::sync::Arc;
    use std::time::Duration;

    fn step(at_us: i64, event: &str, peer: &str, detail: &str) -> FollowedStep {
        FollowedStep {
            at_us,
            node: Arc::new(FollowedNode { name: "servidor-1".to_owned(), bank: Some(1) }),
            event: event.to_owned(),
            tx: Some("t1".to_owned()).filter(|_| event != "sync"),
            peer: Some(peer.to_owned()).filter(|peer| !peer.is_empty()),
            other: None,
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn requests_and_syncs_are_measured() {
        let bank = BankId::new(1).unwrap();
        let mut meters = StepMeters::default();
        let began = Instant::now();
        meters.take(began);
        for (at, event, peer, detail) in [
            (1_000, "recv", "127.0.0.1:5", "RESOLVE n=1"),
            (1_100, "recv", "127.0.0.1:5", "RESOLVE n=2"),
            (1_200, "recv", "127.0.0.1:6", "RESOLVE n=1"),
            (1_300, "sync", "", "upto=1 records=1 bytes=1 took_us=700"),
            (1_500, "reply", "127.0.0.1:5", "UNKNOWN n=1"),
            (1_600, "reply", "127.0.0.1:7", "UNKNOWN n=9"),
        ] {
            meters.add(&step(at, event, peer, detail));
        }
        let figures = meters.take(began + Duration::from_millis(500))[&bank];
        let expected = StepFigures {
            latency_us: Some((500, 500)),
            under_way: 2,
            syncs_per_s: 2,
            sync_us: Some(700),
        };
        assert_eq!(figures, expected);
        meters.add(&step(1_700, "disconnect", "127.0.0.1:6", "closed"));
        let figures = meters.take(began + Duration::from_secs(1))[&bank];
        assert_eq!(figures, StepFigures { under_way: 1, ..StepFigures::default() });
        meters.forget_open();
        assert_eq!(meters.take(began + Duration::from_secs(2))[&bank], StepFigures::default());
    }
}
