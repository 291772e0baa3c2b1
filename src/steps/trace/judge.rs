//! Derives the outcome of a transaction from all logs, when and where it was known, and notes on
//! the timeline itself.

use super::caveats::Caveat;
use super::timeline::{LaneKind, Timeline, TraceVerdict, TracedEvent};
use crate::line::{Load, LoggedOutcome, ReplySummary, Step};
use consorcio_core::ids::Time;
use consorcio_core::wire::Reason;
use consorcio_core::wire::verb::Verb;
use std::collections::BTreeSet;

/// The evidence of all events.
#[derive(Default)]
struct Evidence {
    committed: bool,
    commit_time: Option<i64>,
    /// The first abort: its reason, and the bank that refused.
    aborted: Option<(Reason, Option<u8>)>,
    oks: BTreeSet<u8>,
    banks: BTreeSet<u8>,
    /// An outside coordinator has the last vote, and may refuse what its bank voted OK on.
    is_outside: bool,
}

impl Evidence {
    /// Adds the evidence of an event at the lane of `bank`.
    fn add(&mut self, step: &Step, bank: Option<u8>) {
        self.load(step.load());
        match step {
            Step::Vote { refusal: Some(reason), .. } => self.abort(*reason, bank),
            Step::Vote { refusal: None, .. } => self.oks.extend(bank),
            Step::Refuse { reason, .. } => {
                self.aborted.get_or_insert((*reason, bank));
            }
            Step::Outcome { ending, voted, .. } => {
                // With one bank, EXECUTE is vote and outcome in one record.
                self.oks.extend(voted.and(bank));
                self.end(*ending);
            }
            Step::Verdict { ending, .. } => self.end(*ending),
            Step::Reply { summary, .. } | Step::Answer { summary: Some(summary), .. } => {
                self.reply(summary)
            }
            _ => {}
        }
    }

    fn load(&mut self, load: Load) {
        let (Load::Ops(_, banks) | Load::OpsOutside(_, banks)) = load else { return };
        self.banks.extend(banks.iter().map(|bank| bank.as_u8()));
        self.is_outside |= matches!(load, Load::OpsOutside(..));
    }

    fn end(&mut self, ending: LoggedOutcome) {
        match ending {
            LoggedOutcome::Committed(time) => self.commit(Some(time)),
            LoggedOutcome::Aborted(by, reason) => self.abort(reason, Some(by.as_u8())),
            LoggedOutcome::Outside(time, refusal) => {
                self.is_outside = true;
                match refusal {
                    None => self.commit(Some(time)),
                    Some(reason) => self.abort(reason, None),
                }
            }
            LoggedOutcome::Unknown(_) | LoggedOutcome::Unreached => {}
        }
    }

    fn reply(&mut self, summary: &ReplySummary) {
        let by = summary.by.map(|bank| bank.as_u8());
        match (summary.word, summary.reason) {
            ("COMMITTED", _) => self.commit(summary.time),
            ("ABORTED" | "NOK", Some(reason)) => self.abort(reason, by),
            ("OK", _) => self.oks.extend(by),
            _ => {}
        }
    }

    fn commit(&mut self, time: Option<Time>) {
        if !self.committed {
            self.commit_time = time.map(|time| time.0);
        }
        self.committed = true;
    }

    fn abort(&mut self, reason: Reason, by: Option<u8>) {
        // A NOK because the id was used for other bytes says nothing about these.
        if reason != Reason::DuplicateId {
            self.aborted.get_or_insert((reason, by));
        }
    }
}

/// Whether the step has an outcome: a verdict, or a reply without a verb.
fn has_outcome(step: &Step) -> bool {
    match step {
        Step::Verdict { ending, .. } => {
            matches!(
                ending,
                LoggedOutcome::Committed(_)
                    | LoggedOutcome::Aborted(..)
                    | LoggedOutcome::Outside(..)
            )
        }
        Step::Reply { summary, .. } | Step::Answer { verb: None, summary: Some(summary), .. } => {
            matches!(summary.word, "COMMITTED" | "ABORTED")
        }
        _ => false,
    }
}

impl Timeline {
    /// Sets the outcome by the evidence of all logs.
    pub(super) fn judge(&mut self) {
        let mut evidence = Evidence::default();
        for event in self.events.iter().filter(|event| event.of_tx) {
            if let Some(step) = &event.step {
                evidence.add(step, self.lanes[event.lane].bank);
            }
        }
        let Evidence { committed, commit_time, aborted, oks, banks, is_outside } = evidence;
        let all_ok = !is_outside && !banks.is_empty() && banks.is_subset(&oks);
        self.banks = banks.into_iter().collect();
        self.oks = oks.into_iter().collect();
        self.commit_time = commit_time;
        self.verdict = match (committed, &aborted) {
            (true, Some(_)) => TraceVerdict::Contradiction,
            (true, None) => TraceVerdict::Committed,
            (false, Some(_)) if all_ok => TraceVerdict::Contradiction,
            (false, Some(_)) => TraceVerdict::Aborted,
            (false, None) if all_ok && self.all_oks_are_durable() => TraceVerdict::Committed,
            (false, None) if self.oks.is_empty() => TraceVerdict::Nothing,
            (false, None) => TraceVerdict::Undecided,
        };
        if let (TraceVerdict::Aborted | TraceVerdict::Contradiction, Some((reason, by))) =
            (self.verdict, aborted)
        {
            (self.reason, self.refused_by) = (Some(reason.as_str().to_owned()), by);
        }
    }

    /// An OK that was sent or synced is durable; one that was only decided may be lost.
    fn all_oks_are_durable(&self) -> bool {
        self.banks.iter().all(|bank| {
            self.events.iter().any(|event| match &event.step {
                Some(Step::Reply { summary, .. } | Step::Answer { summary: Some(summary), .. }) => {
                    summary.word == "OK" && summary.by.is_some_and(|by| by.as_u8() == *bank)
                }
                Some(Step::Sync { .. }) => self.lanes[event.lane].bank == Some(*bank),
                _ => false,
            })
        })
    }

    /// Sets when the outcome was first known, and when every bank knew it.
    pub(super) fn set_times(&mut self) {
        let is_client = |event: &TracedEvent| self.lanes[event.lane].kind == LaneKind::Client;
        let is_execute = |event: &TracedEvent| {
            event.call.is_some_and(|call| self.calls[call].verb == Verb::Execute)
        };
        let ends = |event: &&TracedEvent| event.step.as_ref().is_some_and(has_outcome);
        let is_verdict = |event: &&TracedEvent| matches!(event.step, Some(Step::Verdict { .. }));
        let verdict = self.events.iter().filter(ends).filter(is_verdict).find(|it| is_client(it));
        let answers = || {
            let ends = self.events.iter().filter(ends);
            ends.filter(|event| !is_verdict(event) && is_execute(event))
        };
        let is_answer = |event: &&TracedEvent| matches!(event.step, Some(Step::Answer { .. }));
        let answered = || answers().filter(is_answer).find(|event| is_client(event));
        // A bank that refused records no outcome: its NOK is its outcome.
        let outcomes = || {
            self.events.iter().filter(|event| {
                matches!(
                    event.step,
                    Some(
                        Step::Outcome { .. }
                            | Step::Refuse { .. }
                            | Step::Vote { refusal: Some(_), .. }
                    )
                )
            })
        };
        let known =
            verdict.or_else(answered).or_else(|| answers().next()).or_else(|| outcomes().next());
        let known = known.map(|event| (event.at_us, event.lane));
        let known_everywhere_us = outcomes().map(|event| event.at_us).max();
        // The last OK that the driver received before the outcome was known.
        let until = known.map_or(i64::MAX, |(at_us, _)| at_us);
        let mut oks =
            self.events.iter().filter(|event| event.at_us <= until).filter_map(
                |event| match &event.step {
                    Some(Step::Answer {
                        verb: Some(Verb::Prepare),
                        summary: Some(summary),
                        ..
                    }) if summary.word == "OK" => Some((summary.by?.as_u8(), event.at_us)),
                    _ => None,
                },
            );
        self.last_ok = oks.next_back();
        (self.known_us, self.known_at) = known.unzip();
        self.known_everywhere_us = known_everywhere_us;
    }

    /// Whether a bank's log has what follows its vote, and not the vote.
    pub(super) fn lacks_beginning(&self, lane: usize) -> bool {
        let steps = || {
            let own = self.events.iter().filter(|event| event.lane == lane);
            own.filter_map(|event| event.step.as_ref())
        };
        let follows =
            |step: &Step| matches!(step, Step::Outcome { voted: None, .. } | Step::Doubt(..));
        steps().any(follows) && !steps().any(|step| matches!(step, Step::Vote { .. }))
    }

    /// Adds the notes for readers; `by_order` calls were matched without numbers.
    pub(super) fn set_notes(&mut self, by_order: usize) {
        let shifted = self.lanes.iter().filter(|lane| lane.shift_us != 0);
        let mut notes: Vec<Caveat> = shifted.cloned().map(Caveat::Shifted).collect();
        let unlogged = self.lanes.iter().filter(|lane| !lane.logged);
        notes.extend(unlogged.cloned().map(Caveat::NoLog));
        let known: Vec<u8> = self.lanes.iter().filter_map(|lane| lane.bank).collect();
        let unseen = self.banks.iter().filter(|bank| !known.contains(bank));
        notes.extend(unseen.map(|bank| Caveat::Unseen(*bank)));
        if self.verdict == TraceVerdict::Contradiction {
            notes.push(Caveat::Contradiction);
        }
        if self.verdict == TraceVerdict::Committed && self.known_us.is_none() {
            notes.push(Caveat::NoVerdict);
        }
        if by_order > 0 {
            notes.push(Caveat::ByOrder(by_order));
        }
        self.notes = notes;
    }
}
