//! The texts of a timeline for people: durations, outcomes, requests, and activities of nodes.

use super::timeline::{Lane, LaneKind, Timeline, TraceVerdict, TracedCall, TracedEvent};
use crate::line::{Load, LoggedOutcome, ReplySummary, Step};
use consorcio_core::wire::Reason;

/// Formats a duration in microseconds: `281 µs`, `1.649 ms`, `2.961 s`, `1 h 2 min`.
pub fn duration(us: i64) -> String {
    let (sign, us) = (if us < 0 { "-" } else { "" }, us.unsigned_abs());
    let parts = |unit: u64, name: &str| {
        format!("{sign}{}.{:03} {name}", us / unit, us % unit * 1_000 / unit)
    };
    match us {
        0..1_000 => format!("{sign}{us} µs"),
        1_000..1_000_000 => parts(1_000, "ms"),
        1_000_000..60_000_000 => parts(1_000_000, "s"),
        60_000_000..3_600_000_000 => {
            format!("{sign}{} min {} s", us / 60_000_000, us % 60_000_000 / 1_000_000)
        }
        3_600_000_000.. => {
            format!("{sign}{} h {} min", us / 3_600_000_000, us % 3_600_000_000 / 60_000_000)
        }
    }
}

impl Lane {
    /// The kind of the node, in one word.
    pub fn kind_word(&self) -> &'static str {
        match self.kind {
            LaneKind::Client => "client",
            LaneKind::Bank => "bank",
        }
    }
}

impl Timeline {
    /// The outcome in one line without colours: outcome, reason, duration.
    pub fn headline(&self) -> String {
        let mut line = match self.verdict {
            TraceVerdict::Aborted => {
                let reason = self.reason.as_deref().unwrap_or("refused");
                let by = self.refused_by.map_or(String::new(), |bank| format!(" by bank {bank}"));
                format!("aborted: {reason}{by}")
            }
            TraceVerdict::Undecided => {
                let list = |banks: &mut dyn Iterator<Item = &u8>| {
                    banks.map(u8::to_string).collect::<Vec<_>>().join(", ")
                };
                let oks = list(&mut self.oks.iter());
                let silent = list(&mut self.banks.iter().filter(|bank| !self.oks.contains(bank)));
                let silent = if silent.is_empty() {
                    "; not each of them is known to be on disk".to_owned()
                } else {
                    format!("; no vote of bank {silent} is known")
                };
                format!("undecided: OK of bank {oks}{silent}")
            }
            TraceVerdict::Committed | TraceVerdict::Nothing | TraceVerdict::Contradiction => {
                self.verdict.as_str().to_owned()
            }
        };
        if let Some(known) = self.known_us {
            let (lane, took) =
                (self.known_at.and_then(|lane| self.lanes.get(lane)), duration(known));
            match lane.filter(|lane| lane.kind == LaneKind::Bank) {
                Some(bank) => {
                    line.push_str(&format!(" · first known at {} after {took}", bank.name))
                }
                None => line.push_str(&format!(" · told after {took}")),
            }
        }
        if let Some(last) =
            self.known_everywhere_us.filter(|last| self.known_us.is_none_or(|first| *last > first))
        {
            line.push_str(&format!(" · known at every bank after {}", duration(last)));
        }
        line
    }
}

impl TracedCall {
    /// The request, for people.
    pub fn request_words(&self) -> String {
        let verb = self.verb;
        match self.carried {
            Load::Nothing => verb.to_string(),
            Load::Tokens(0) => format!("{verb} without tokens"),
            Load::Tokens(1) => format!("{verb} with a token"),
            Load::Tokens(tokens) => format!("{verb} with {tokens} tokens"),
            Load::Ops(1, _) | Load::OpsOutside(1, _) => format!("{verb} of one operation"),
            Load::Ops(ops, _) | Load::OpsOutside(ops, _) => format!("{verb} of {ops} operations"),
        }
    }

    /// The reply, for people: without the numbers that other columns have.
    pub fn reply_words(&self) -> String {
        match self.reply {
            Some(ReplySummary { word: word @ ("NOK" | "ABORTED"), reason, .. }) => {
                format!("{word} {}", reason.map_or("", Reason::as_str))
            }
            Some(ReplySummary { word, .. }) => word.to_owned(),
            None => String::new(),
        }
    }
}

impl LoggedOutcome {
    /// The first word of the outcome, and the reason of an abort.
    pub(super) fn words(self) -> (&'static str, Option<Reason>) {
        match self {
            LoggedOutcome::Committed(_) | LoggedOutcome::Outside(_, None) => ("COMMITTED", None),
            LoggedOutcome::Aborted(_, reason) | LoggedOutcome::Outside(_, Some(reason)) => {
                ("ABORTED", Some(reason))
            }
            LoggedOutcome::Unknown(_) => ("UNKNOWN", None),
            LoggedOutcome::Unreached => ("UNREACHED", None),
        }
    }

    fn in_words(self) -> String {
        let (word, reason) = self.words();
        reason.map_or(word.to_owned(), |reason| format!("{word} {reason}"))
    }
}

impl TracedEvent {
    /// The duration that the event itself has.
    pub fn took_us(&self) -> Option<i64> {
        match self.step {
            Some(
                Step::Recover { took_us, .. }
                | Step::Sync { took_us, .. }
                | Step::LinkUp(_, took_us),
            ) => i64::try_from(took_us).ok(),
            _ => None,
        }
    }

    /// The activity of the node, for people.
    pub fn in_words(&self) -> String {
        match &self.step {
            Some(Step::Vote { refusal: None, .. }) => "votes OK".to_owned(),
            Some(Step::Vote { refusal: Some(reason), .. }) => format!("votes NOK {reason}"),
            Some(Step::Refuse { reason, .. }) => format!("refuses it permanently: {reason}"),
            Some(Step::Outcome { ending, .. }) => format!("records {}", ending.in_words()),
            Some(Step::Drove { ending, .. }) => {
                format!("keeps for its history: {}", ending.in_words())
            }
            Some(Step::Verdict { ending, oks: (oks, banks), .. }) => {
                let (word, reason) = ending.words();
                let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
                format!("verdict {word}, OKs {oks}/{banks}{reason}")
            }
            Some(Step::Sync { records: 1, .. }) => "one record synced".to_owned(),
            Some(Step::Sync { records, .. }) => format!("{records} records synced"),
            Some(Step::Doubt(_, cause)) => format!("in doubt: {}", cause.as_str()),
            Some(Step::Drive(_)) => "drives it".to_owned(),
            Some(Step::Timeout(..)) => format!("time-out: {}", self.detail),
            Some(Step::GaveUp(_)) => "answers its clients that it is not known yet".to_owned(),
            Some(Step::Answer { verb: Some(verb), summary: None, .. }) => {
                format!("no answer to {verb}")
            }
            Some(Step::Start(_)) => "starts".to_owned(),
            Some(Step::Recover { undecided, .. }) => {
                format!("has read its journal, {undecided} undecided")
            }
            Some(Step::LinkDown(bank, why)) => format!("no line to bank {bank}: {why}"),
            _ => format!("{} {}", self.event, self.detail),
        }
    }
}
