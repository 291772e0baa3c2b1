//! The figures on the screen: what the banks report, as changes between two samples, beside what
//! their logs tell.

use super::meter::StepFigures;
use super::sample::{BankSample, ConsortiumSample};
use crate::failure::Failure;
use crate::language::{say, term, word};
use consorcio_core::ids::{BankId, Time};
use consorcio_core::limits::TOP_HISTORY_MAX;
use consorcio_steps::steplog::wall_us;
use std::collections::{BTreeMap, VecDeque};
use tokio::time::Instant;

/// All that the screen shows.
#[derive(Default)]
pub(super) struct TopFigures {
    /// The row of each bank, by position.
    pub banks: Vec<BankFigures>,
    /// Transactions that banks hold undecided, oldest first.
    pub undecided: Vec<TopTransaction>,
    /// Commits a second at the busiest bank, oldest first: a transaction of several banks counts
    /// once there.
    pub history: VecDeque<u64>,
    /// The time of the sample by this machine's clock; 0 before the first one.
    pub taken_us: i64,
    counts: BTreeMap<BankId, OutcomeCounts>,
    at: Option<Instant>,
}

#[derive(Clone, Copy)]
struct OutcomeCounts {
    committed: u64,
    aborted: u64,
    uptime_s: u64,
}

/// The row of a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BankFigures {
    pub bank: BankId,
    /// `online`, or what else it is.
    pub state: String,
    pub is_online: bool,
    /// Why it does not answer.
    pub why: Option<String>,
    /// `None` until two samples were taken.
    pub committed_per_s: Option<u64>,
    pub aborted_per_s: Option<u64>,
    pub undecided: u64,
    /// The time of its oldest undecided vote.
    pub oldest: Option<Time>,
    /// Money reserved by undecided transactions, in centavos.
    pub held: i128,
    pub steps: Option<StepFigures>,
}

/// A transaction that some bank holds undecided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopTransaction {
    pub tx: String,
    pub since: Time,
    pub held_by: Vec<BankId>,
    pub waits_for: Vec<BankId>,
}

impl TopFigures {
    /// Takes a sample in, with the figures of the logs since the one before.
    pub(super) fn add(&mut self, sample: ConsortiumSample, steps: BTreeMap<BankId, StepFigures>) {
        let before = self.at.replace(sample.at);
        self.taken_us = wall_us();
        let ms = before.map_or(0, |before| (sample.at - before).as_millis());
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        self.undecided = undecided(&sample.banks);
        self.banks = sample
            .banks
            .into_iter()
            .map(|bank| {
                let steps = steps.get(&bank.bank).copied();
                self.bank(bank, steps, ms)
            })
            .collect();
        let busiest = self.banks.iter().filter_map(|bank| bank.committed_per_s).max();
        if let Some(busiest) = busiest {
            self.history.push_back(busiest);
            if self.history.len() > TOP_HISTORY_MAX {
                self.history.pop_front();
            }
        }
    }

    fn bank(&mut self, sample: BankSample, steps: Option<StepFigures>, ms: u64) -> BankFigures {
        let bank = sample.bank;
        let report = match sample.answer {
            Ok(report) => report,
            Err(failure) => {
                self.counts.remove(&bank);
                return BankFigures {
                    bank,
                    state: state_of(&failure).to_owned(),
                    is_online: false,
                    why: Some(failure.to_string()),
                    committed_per_s: None,
                    aborted_per_s: None,
                    undecided: 0,
                    oldest: None,
                    held: 0,
                    steps: None,
                };
            }
        };
        let info = &report.info;
        let now = OutcomeCounts {
            committed: info.committed,
            aborted: info.aborted,
            uptime_s: info.uptime_s,
        };
        // A bank that was started again counts from its journal, as before.
        let before = self.counts.insert(bank, now).filter(|before| before.uptime_s <= now.uptime_s);
        let per_s = |now: u64, before: u64| {
            now.saturating_sub(before).saturating_mul(1_000).checked_div(ms)
        };
        BankFigures {
            bank,
            state: report.sync_ms.map_or_else(|| term("online").to_owned(), sync_state),
            is_online: report.sync_ms.is_none(),
            why: report.sync_ms.map(|ms| {
                say!(
                    "bank {bank}: a sync of its disk takes {ms} ms already"
                        / "banco {bank}: uma gravação do seu disco já leva {ms} ms"
                )
            }),
            committed_per_s: before.and_then(|before| per_s(now.committed, before.committed)),
            aborted_per_s: before.and_then(|before| per_s(now.aborted, before.aborted)),
            undecided: info.undecided,
            oldest: report.undecided.iter().map(|open| open.since).min(),
            held: info.held_total,
            steps,
        }
    }
}

/// The state of a bank that did not answer, in ten columns.
fn state_of(failure: &Failure) -> &'static str {
    match failure {
        Failure::DiskHangs(_) => word!("disk hangs" / "sem disco"),
        other => term(other.state()),
    }
}

/// The state of a bank whose sync is slow, in ten columns.
fn sync_state(ms: u64) -> String {
    let seconds = ms / 1_000;
    say!("sync {seconds} s" / "disco {seconds} s")
}

/// Each undecided transaction once, oldest first.
fn undecided(banks: &[BankSample]) -> Vec<TopTransaction> {
    let mut all: BTreeMap<&str, TopTransaction> = BTreeMap::new();
    for sample in banks {
        let Ok(report) = &sample.answer else { continue };
        for open in &report.undecided {
            let entry = all.entry(&open.tx).or_insert_with(|| TopTransaction {
                tx: open.tx.clone(),
                since: open.since,
                held_by: Vec::new(),
                waits_for: Vec::new(),
            });
            entry.since = entry.since.min(open.since);
            entry.held_by.push(sample.bank);
            entry.waits_for.extend(&open.waits_for);
        }
    }
    let mut all: Vec<TopTransaction> = all.into_values().collect();
    for open in &mut all {
        open.waits_for.sort_unstable();
        open.waits_for.dedup();
        // A bank that voted OK meanwhile is no longer missing.
        let held_by = &open.held_by;
        open.waits_for.retain(|bank| !held_by.contains(bank));
    }
    all.sort_by(|one, other| (one.since, &one.tx).cmp(&(other.since, &other.tx)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::sample::{BankReport, UndecidedReport};
    use std::time::Duration;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    fn sample(at: Instant, committed: u64, waits_for: &[usize]) -> ConsortiumSample {
        let info = format!(
            "{{\"bank\":0,\"version\":\"0\",\"time\":5,\"uptime_s\":{committed},\"clients\":0,\
             \"accounts\":0,\"balance_total\":0,\"held_total\":700,\"incoming_total\":0,\
             \"undecided\":1,\"committed\":{committed},\"aborted\":1}}"
        );
        let open = UndecidedReport {
            tx: "t1".to_owned(),
            since: Time(40),
            waits_for: waits_for.iter().map(|position| bank(*position)).collect(),
        };
        let info = serde_json::from_str(&info).unwrap();
        let report = BankReport { info, sync_ms: None, undecided: vec![open] };
        let silent = Failure::NoConnection("bank 1 is down".to_owned());
        let banks = vec![
            BankSample { bank: bank(0), answer: Ok(report) },
            BankSample { bank: bank(1), answer: Err(silent) },
        ];
        ConsortiumSample { at, banks }
    }

    #[test]
    fn rates_are_changes_between_samples() {
        let mut figures = TopFigures::default();
        let began = Instant::now();
        figures.add(sample(began, 100, &[1]), BTreeMap::new());
        assert_eq!((figures.banks[0].committed_per_s, figures.history.len()), (None, 0));
        figures.add(sample(began + Duration::from_millis(500), 150, &[1]), BTreeMap::new());
        let zero = &figures.banks[0];
        assert_eq!((zero.committed_per_s, zero.aborted_per_s), (Some(100), Some(0)));
        assert_eq!((zero.undecided, zero.oldest, zero.held), (1, Some(Time(40)), 700));
        let one = &figures.banks[1];
        assert!(!one.is_online && one.why.as_deref() == Some("bank 1 is down"), "{one:?}");
        assert_eq!(figures.history, [100]);
        // It was started again, so its uptime is less.
        figures.add(sample(began + Duration::from_secs(1), 3, &[0, 1]), BTreeMap::new());
        assert_eq!(figures.banks[0].committed_per_s, None);
        let open = &figures.undecided[0];
        assert_eq!((&open.held_by[..], &open.waits_for[..]), (&[bank(0)][..], &[bank(1)][..]));
    }

    #[test]
    fn the_history_has_a_bound() {
        let mut figures = TopFigures::default();
        let began = Instant::now();
        for second in 0..u64::try_from(TOP_HISTORY_MAX).unwrap() + 5 {
            figures.add(sample(began + Duration::from_secs(second), second, &[]), BTreeMap::new());
        }
        assert_eq!(figures.history.len(), TOP_HISTORY_MAX);
    }
}
