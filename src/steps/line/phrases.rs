//! Fields of several words: the load of a request, the summary of a reply, the outcome of a
//! transaction.

use super::field::{FieldOut, LineField, bank, next};
use super::parts::{Load, LoggedOutcome, OkCount, ReplySummary};
use super::reader::FieldReader;
use consorcio_core::ids::{BankSet, Time};
use consorcio_core::wire::Reason;

impl LineField for Load {
    fn write(&self, _: &str, out: &mut FieldOut<'_>) {
        match self {
            Load::Nothing => {}
            Load::Ops(count, at) => {
                count.write("ops=", out);
                at.write("banks=", out);
            }
            Load::OpsOutside(count, at) => {
                count.write("ops=", out);
                at.write("banks=", out);
                next(out, "outside");
            }
            Load::Tokens(count) => count.write("tokens=", out),
        }
    }

    fn read(_: &str, words: &mut FieldReader<'_>) -> Option<Load> {
        let count = |value: &str| value.parse().ok();
        if let Some(tokens) = words.optional("tokens=", count) {
            return Some(Load::Tokens(tokens));
        }
        let Some(ops) = words.optional("ops=", count) else { return Some(Load::Nothing) };
        let banks = BankSet::read("banks=", words)?;
        match words.take(|word| (word == "outside").then_some(())) {
            Some(()) => Some(Load::OpsOutside(ops, banks)),
            None => Some(Load::Ops(ops, banks)),
        }
    }
}

impl LineField for LoggedOutcome {
    fn write(&self, _: &str, out: &mut FieldOut<'_>) {
        match self {
            LoggedOutcome::Committed(time) => {
                next(out, "COMMITTED");
                time.write("time=", out);
            }
            LoggedOutcome::Aborted(by, reason) => {
                next(out, "ABORTED");
                reason.write("", out);
                by.write("by=", out);
            }
            LoggedOutcome::Outside(time, refusal) => {
                next(out, if refusal.is_none() { "COMMITTED" } else { "ABORTED" });
                refusal.iter().for_each(|reason| reason.write("", out));
                time.write("time=", out);
                next(out, "by=outside");
            }
            LoggedOutcome::Unknown(silent) => {
                next(out, "UNKNOWN");
                silent.write("silent=", out);
            }
            LoggedOutcome::Unreached => next(out, "UNREACHED"),
        }
    }

    fn read(_: &str, words: &mut FieldReader<'_>) -> Option<LoggedOutcome> {
        let outside = |words: &mut FieldReader<'_>| {
            words.optional("by=", |by| (by == "outside").then_some(()))
        };
        match words.take(Some)? {
            "COMMITTED" => {
                let time = Time::read("time=", words)?;
                Some(match outside(words) {
                    Some(()) => LoggedOutcome::Outside(time, None),
                    None => LoggedOutcome::Committed(time),
                })
            }
            "ABORTED" => {
                let reason = Reason::read("", words)?;
                if let Some(by) = words.optional("by=", bank) {
                    return Some(LoggedOutcome::Aborted(by, reason));
                }
                let time = Time::read("time=", words)?;
                outside(words).map(|()| LoggedOutcome::Outside(time, Some(reason)))
            }
            "UNKNOWN" => BankSet::read("silent=", words).map(LoggedOutcome::Unknown),
            "UNREACHED" => Some(LoggedOutcome::Unreached),
            _ => None,
        }
    }
}

/// Written as on the screen: `OK 2/3`.
impl LineField for OkCount {
    fn write(&self, _: &str, out: &mut FieldOut<'_>) {
        next(out, "OK");
        (self.0, self.1).write("", out);
    }

    fn read(_: &str, words: &mut FieldReader<'_>) -> Option<OkCount> {
        words.take(|word| (word == "OK").then_some(()))?;
        <(usize, usize)>::read("", words).map(|(oks, banks)| OkCount(oks, banks))
    }
}

/// The first words of replies, as on the wire.
pub(super) const REPLY_WORDS: [&str; 11] = [
    "OK",
    "NOK",
    "COMMITTED",
    "ABORTED",
    "DOUBT",
    "UNKNOWN",
    "DONE",
    "REFUSED",
    "ERR",
    "PONG",
    "BYE",
];

impl LineField for ReplySummary {
    fn write(&self, _: &str, out: &mut FieldOut<'_>) {
        next(out, self.word);
        self.reason.iter().for_each(|reason| reason.write("", out));
        self.time.write("time=", out);
        self.by.write("by=", out);
    }

    fn read(_: &str, words: &mut FieldReader<'_>) -> Option<ReplySummary> {
        let word = words.take(|word| REPLY_WORDS.into_iter().find(|it| *it == word))?;
        let reason = words.take(Reason::parse);
        let time = LineField::read("time=", words)?;
        let by = LineField::read("by=", words)?;
        Some(ReplySummary { word, by, time, reason })
    }
}

/// `none` where no reply came.
impl LineField for Option<ReplySummary> {
    fn write(&self, name: &str, out: &mut FieldOut<'_>) {
        match self {
            Some(summary) => summary.write(name, out),
            None => next(out, "none"),
        }
    }

    fn read(name: &str, words: &mut FieldReader<'_>) -> Option<Option<ReplySummary>> {
        match words.take(|word| (word == "none").then_some(())) {
            Some(()) => Some(None),
            None => ReplySummary::read(name, words).map(Some),
        }
    }
}
