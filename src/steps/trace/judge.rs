//! What became of a transaction by all that the logs say of it, when that was known where, and what
//! a reader must know about the timeline itself.

use super::timeline::{LaneKind, Timeline, TracedEvent, Verdict};
use crate::line::{Ending, Load, ReplySummary, Step};
use consorcio_core::ids::Time;
use consorcio_core::wire::Reason;
use consorcio_core::wire::verb::Verb;
use std::collections::BTreeSet;

/// What all events say together.
#[derive(Default)]
struct Evidence {
    committed: bool,
    commit_time: Option<i64>,
    /// The first abort: why, and whose.
    aborted: Option<(Reason, Option<u8>)>,
    oks: BTreeSet<u8>,
    banks: BTreeSet<u8>,
    /// An outside coordinator has the last vote, and may refuse what its bank voted OK on.
    is_outside: bool,
}

impl Evidence {
    /// Adds what one event says that happened at the lane of `bank`.
    fn add(&mut self, step: &Step, bank: Option<u8>) {
        if let Some(load) = load_of(step) {
            self.load(load);
        }
        match step {
            Step::Vote { refusal: Some(reason), .. } => self.abort(*reason, bank),
            Step::Vote { refusal: None, .. } => self.oks.extend(bank),
            Step::Refuse { reason, .. } => {
                self.aborted.get_or_insert((*reason, bank));
            }
            Step::Outcome { ending, voted, .. } => {
                // EXECUTE of one bank is vote and outcome at once.
                self.oks.extend(voted.and(bank));
                self.end(*ending);
            }
            Step::Verdict { ending, .. } => self.end(*ending),
            Step::Reply { said, .. } | Step::Answer { said: Some(said), .. } => self.reply(said),
            _ => {}
        }
    }

    fn load(&mut self, load: Load) {
        let (Load::Ops(_, banks) | Load::OpsOutside(_, banks)) = load else { return };
        self.banks.extend(banks.iter().map(|bank| bank.as_u8()));
        self.is_outside |= matches!(load, Load::OpsOutside(..));
    }

    fn end(&mut self, ending: Ending) {
        match ending {
            Ending::Committed(time) => self.commit(Some(time)),
            Ending::Aborted(by, reason) => self.abort(reason, Some(by.as_u8())),
            Ending::Outside(time, refusal) => {
                self.is_outside = true;
                match refusal {
                    None => self.commit(Some(time)),
                    Some(reason) => self.abort(reason, None),
                }
            }
            Ending::Unknown(_) | Ending::Unreached => {}
        }
    }

    fn reply(&mut self, said: &ReplySummary) {
        let by = said.by.map(|bank| bank.as_u8());
        match (said.word, said.reason) {
            ("COMMITTED", _) => self.commit(said.time),
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
        // The NOK of an id that was used for other bytes says nothing of these.
        if reason != Reason::DuplicateId {
            self.aborted.get_or_insert((reason, by));
        }
    }
}

/// What a request carried, or a vote was on.
fn load_of(step: &Step) -> Option<Load> {
    match step {
        Step::Receive { load, .. }
        | Step::Vote { load, .. }
        | Step::Send { load, .. }
        | Step::Ask { load, .. } => Some(*load),
        _ => None,
    }
}

/// Does it say an outcome of its own: a verdict or an unnamed answer?
fn is_end(step: &Step) -> bool {
    match step {
        Step::Verdict { ending, .. } => {
            matches!(ending, Ending::Committed(_) | Ending::Aborted(..) | Ending::Outside(..))
        }
        Step::Reply { said, .. } | Step::Answer { verb: None, said: Some(said), .. } => {
            matches!(said.word, "COMMITTED" | "ABORTED")
        }
        _ => false,
    }
}

impl Timeline {
    /// What became of it, by all that the logs say.
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
            (true, Some(_)) => Verdict::Contradiction,
            (true, None) => Verdict::Committed,
            (false, Some(_)) if all_ok => Verdict::Contradiction,
            (false, Some(_)) => Verdict::Aborted,
            (false, None) if all_ok && self.all_oks_are_durable() => Verdict::Committed,
            (false, None) if self.oks.is_empty() => Verdict::Nothing,
            (false, None) => Verdict::Undecided,
        };
        if let (Verdict::Aborted | Verdict::Contradiction, Some((reason, by))) =
            (self.verdict, aborted)
        {
            (self.reason, self.refused_by) = (Some(reason.as_str().to_owned()), by);
        }
    }

    /// An OK that was sent or synced is on disk; one that was only decided may be lost.
    fn all_oks_are_durable(&self) -> bool {
        self.banks.iter().all(|bank| {
            self.events.iter().any(|event| match &event.step {
                Some(Step::Reply { said, .. } | Step::Answer { said: Some(said), .. }) => {
                    said.word == "OK" && said.by.is_some_and(|by| by.as_u8() == *bank)
                }
                Some(Step::Sync { .. }) => self.lanes[event.lane].bank == Some(*bank),
                _ => false,
            })
        })
    }

    /// When it was told, and when the last bank knew.
    pub(super) fn note_times(&mut self) {
        let is_client = |event: &TracedEvent| self.lanes[event.lane].kind == LaneKind::Client;
        let is_execute = |event: &TracedEvent| {
            event.call.is_some_and(|call| self.calls[call].verb == Verb::Execute)
        };
        let ends = |event: &&TracedEvent| event.step.as_ref().is_some_and(is_end);
        let is_verdict = |event: &&TracedEvent| matches!(event.step, Some(Step::Verdict { .. }));
        let verdict = self.events.iter().filter(ends).filter(is_verdict).find(|it| is_client(it));
        let answers = || {
            let ends = self.events.iter().filter(ends);
            ends.filter(|event| !is_verdict(event) && is_execute(event))
        };
        let is_answer = |event: &&TracedEvent| matches!(event.step, Some(Step::Answer { .. }));
        let answered = || answers().filter(is_answer).find(|event| is_client(event));
        // A bank that refused records no outcome: its own NOK is one.
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
        let told =
            verdict.or_else(answered).or_else(|| answers().next()).or_else(|| outcomes().next());
        let told = told.map(|event| (event.at_us, event.lane));
        let settled_us = outcomes().map(|event| event.at_us).max();
        // The last OK that the driver heard before it told.
        let until = told.map_or(i64::MAX, |(at_us, _)| at_us);
        let mut oks =
            self.events.iter().filter(|event| event.at_us <= until).filter_map(
                |event| match &event.step {
                    Some(Step::Answer { verb: Some(Verb::Prepare), said: Some(said), .. })
                        if said.word == "OK" =>
                    {
                        Some((said.by?.as_u8(), event.at_us))
                    }
                    _ => None,
                },
            );
        self.last_ok = oks.next_back();
        (self.told_us, self.told_at) = told.unzip();
        self.settled_us = settled_us;
    }

    /// What a reader must know; `by_order` calls were joined without numbers.
    pub(super) fn note_troubles(&mut self, by_order: usize) {
        let mut notes = Vec::new();
        for lane in self.lanes.iter().filter(|lane| lane.shift_us != 0) {
            let (name, shift) = (&lane.name, super::duration(lane.shift_us.abs()));
            let way = if lane.shift_us > 0 { "behind" } else { "ahead of" };
            notes.push(format!(
                "the clock of {name} is {shift} {way} the others'; its times are shifted, \
                 so that nothing arrives before it left"
            ));
        }
        for lane in self.lanes.iter().filter(|lane| !lane.logged) {
            let at =
                lane.address.as_ref().map_or(String::new(), |address| format!(" at {address}"));
            notes.push(format!(
                "there is no log of {}{at}: what it did is known from the others only",
                lane.name
            ));
        }
        let known: Vec<u8> = self.lanes.iter().filter_map(|lane| lane.bank).collect();
        for bank in self.banks.iter().filter(|bank| !known.contains(bank)) {
            notes.push(format!("no log tells that bank {bank}, which it names, heard of it"));
        }
        if self.verdict == Verdict::Contradiction {
            notes.push(
                "one log says committed and another one aborted: this must not be".to_owned(),
            );
        }
        if self.verdict == Verdict::Committed && self.told_us.is_none() {
            notes.push(
                "every bank's OK is durable, so it is committed, though nobody was left to say so"
                    .to_owned(),
            );
        }
        if by_order > 0 {
            let (calls, are) = if by_order == 1 { ("request", "is") } else { ("requests", "are") };
            notes.push(format!(
                "{by_order} {calls} {are} paired by their order alone, the first sent with the \
                 first received: the logs have no numbers of them, or the same ones twice"
            ));
        }
        self.notes = notes;
    }
}
