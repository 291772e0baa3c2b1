//! The result of a transaction, as it is shown to people and programs.

use super::Context;
use super::failure::{Failure, refused, start_command};
use super::output::{Tone, plain, utc};
use consorcio_client::{BankVote, DrivenTransaction};
use consorcio_core::commit::coordinator::{Standing, Verdict};
use consorcio_core::ids::{BankId, BankSet, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;

/// The first headings of every row of a transaction.
pub(crate) const ROW_HEADINGS: [&str; 4] = ["transaction", "verdict", "committed at", "bank"];

/// The result of a transaction, as it is shown to people and programs.
pub(crate) struct TransactionEnding {
    /// For programs: `committed`, `aborted`, `unknown`, `unreached` or `refused`.
    pub verdict: &'static str,
    pub words: &'static str,
    pub tone: Tone,
    pub rest: String,
    pub time: Option<Time>,
    pub by: Option<BankId>,
    pub reason: Option<&'static str>,
    pub failure: Option<Failure>,
}

impl TransactionEnding {
    fn new(
        verdict: &'static str,
        words: &'static str,
        tone: Tone,
        rest: String,
    ) -> TransactionEnding {
        TransactionEnding {
            verdict,
            words,
            tone,
            rest,
            time: None,
            by: None,
            reason: None,
            failure: None,
        }
    }

    pub(crate) fn committed(time: Time) -> TransactionEnding {
        let rest = format!(" at {}", utc(time));
        TransactionEnding {
            time: Some(time),
            ..TransactionEnding::new("committed", "committed", Tone::Good, rest)
        }
    }

    pub(crate) fn aborted(
        by: BankId,
        reason: Reason,
        text: &str,
        silent: &[String],
    ) -> TransactionEnding {
        let mut rest = if silent.is_empty() || reason != Reason::Refused {
            format!(": bank {by} refused: {reason}")
        } else {
            // This driver itself requested that refusal.
            format!(": {} (bank {by} was asked to refuse it, permanently)", silent.join("; "))
        };
        if !text.is_empty() {
            rest.push_str(&format!(": {text}"));
        }
        let failure = Some(Failure::Aborted(format!("aborted{rest}")));
        let rest = format!("{rest}. Nothing changed at any bank.");
        let reason = Some(reason.as_str());
        TransactionEnding {
            by: Some(by),
            reason,
            failure,
            ..TransactionEnding::new("aborted", "aborted", Tone::Bad, rest)
        }
    }

    pub(crate) fn doubt(tx: &TxId, cause: &str) -> TransactionEnding {
        let rest = format!(
            ": {cause}. The banks end it by themselves as soon as they can; ask later with: \
                cliente resolve {tx}"
        );
        let failure = Some(Failure::Doubt(format!("not known yet{rest}")));
        TransactionEnding {
            failure,
            ..TransactionEnding::new("unknown", "not known yet", Tone::Open, rest)
        }
    }

    pub(crate) fn unreached(why: String) -> TransactionEnding {
        let failure = Some(Failure::NoConnection(format!("nothing was sent: {why}")));
        TransactionEnding {
            failure,
            ..TransactionEnding::new("unreached", "nothing was sent", Tone::Bad, format!(": {why}"))
        }
    }

    /// No bank executed the transaction, for this reason.
    pub(crate) fn nothing(failure: Option<Failure>) -> TransactionEnding {
        let why = failure.as_ref().map_or(String::new(), |failure| format!(": {failure}"));
        let (verdict, reason) = match &failure {
            Some(Failure::Refused { reason, .. }) => ("refused", reason.map(Reason::as_str)),
            Some(_) | None => ("unreached", None),
        };
        TransactionEnding {
            failure,
            reason,
            ..TransactionEnding::new(verdict, "nothing was executed", Tone::Bad, why)
        }
    }

    /// The cells for `ROW_HEADINGS`.
    pub(crate) fn cells(&self, context: &Context, tx: &TxId, bank: BankId) -> Vec<(Tone, String)> {
        let time = self.time.map_or_else(|| plain(""), |time| context.paint.time(time));
        vec![plain(tx), (self.tone, self.verdict.into()), time, plain(bank)]
    }

    /// The sentence with what it changed; `None` if it is not committed.
    pub(crate) fn done(&self, tx: &TxId) -> Option<String> {
        self.time.map(|time| format!("transaction {tx} is committed, at {}", utc(time)))
    }

    pub(crate) fn painted(&self, context: &Context) -> String {
        format!("{}{}", context.paint.text(self.tone, self.words), self.rest)
    }
}

/// The result of a transaction that this program drove.
pub(crate) fn ending(context: &Context, driven: &DrivenTransaction) -> TransactionEnding {
    let (tx, votes) = (&driven.tx, &driven.votes);
    match &driven.verdict {
        Verdict::Committed(time) => TransactionEnding::committed(*time),
        Verdict::Aborted { by, reason, text, .. } => {
            TransactionEnding::aborted(*by, *reason, text, &out_of_reach(context, votes))
        }
        Verdict::Doubt(_) | Verdict::Unreached if driven.nothing_done().is_some() => {
            let failure = driven.nothing_done().cloned().map(|error| context.failure(error));
            TransactionEnding::nothing(failure)
        }
        Verdict::Doubt(_) if votes.iter().any(|vote| vote.nothing_done.is_some()) => {
            TransactionEnding::doubt(tx, &granted_elsewhere(context, driven))
        }
        Verdict::Doubt(silent) => TransactionEnding::doubt(tx, &silent_in_words(*silent, votes)),
        Verdict::Unreached => TransactionEnding::unreached(format!(
            "{}. Are they running? Start each; the first with: {}",
            out_of_reach(context, votes).join("; "),
            votes.first().map_or(String::new(), |vote| {
                start_command(context.client.list(), &vote.address)
            })
        )),
    }
}

/// The text if some banks recorded nothing, and others may have voted OK.
fn granted_elsewhere(context: &Context, driven: &DrivenTransaction) -> String {
    let errors = driven.votes.iter().filter_map(|vote| vote.nothing_done.clone());
    let mut why: Vec<String> = errors.map(|error| context.failure(error).to_string()).collect();
    let silent =
        |vote: &&BankVote| vote.nothing_done.is_none() && !matches!(vote.standing, Standing::Ok(_));
    let silent = driven.votes.iter().filter(silent);
    why.extend(silent.map(|vote| format!("bank {} may have voted OK", vote.bank)));
    if driven.oks() > 0 {
        why.push("what was granted elsewhere waits until it can be refused there".to_owned());
    }
    why.join("; ")
}

fn silent_in_words(silent: BankSet, votes: &[BankVote]) -> String {
    let hung =
        votes.iter().find(|vote| silent.has(vote.bank) && vote.reached && vote.problem.is_some());
    let silent: Vec<String> = silent.iter().map(|bank| bank.to_string()).collect();
    match silent.as_slice() {
        [one] if let Some(BankVote { problem: Some(why), .. }) = hung => {
            format!("bank {one} is silent ({why}) and may have voted OK")
        }
        [one] => format!("bank {one} is silent and may have voted OK"),
        many => format!("banks {} are silent and may have voted OK", many.join(", ")),
    }
}

/// Texts for the banks that could not be reached, gave no vote, or recorded nothing.
fn out_of_reach(context: &Context, votes: &[BankVote]) -> Vec<String> {
    let words = |vote: &BankVote| {
        let (bank, address) = (vote.bank, &vote.address);
        if let Some(error) = &vote.nothing_done {
            return context.failure(error.clone()).to_string();
        }
        let state = if vote.reached { "gave no vote" } else { "can't be reached" };
        match &vote.problem {
            Some(why) => format!("bank {bank} at {address} {state} ({why})"),
            None => format!("bank {bank} at {address} {state}"),
        }
    };
    let without =
        |vote: &&BankVote| vote.nothing_done.is_some() || vote.standing == Standing::Silent;
    votes.iter().filter(without).map(words).collect()
}

/// The result of a transaction that a bank drove, by its reply.
pub(crate) fn ending_of_execute(tx: &TxId, bank: BankId, reply: &Reply) -> TransactionEnding {
    match reply {
        Reply::Committed(_, time, _, _) => TransactionEnding::committed(*time),
        Reply::Aborted(_, token, reason, _) => {
            TransactionEnding::aborted(token.bank, *reason, "", &[])
        }
        Reply::Doubt(_, text) => TransactionEnding::doubt(tx, &format!("bank {bank} says: {text}")),
        // The transaction may have been executed before.
        Reply::Err(Reason::Unreadable, text) => {
            TransactionEnding::doubt(tx, &format!("bank {bank} says: {text}"))
        }
        // Any other ERR is sent before the bank sends any message.
        Reply::Err(reason, text) | Reply::Refused(reason, text) => {
            let why = match refused(bank, *reason, text) {
                Failure::Refused { text, .. } if reason.nothing_recorded() => text,
                _ => format!("bank {bank} did not take it: {reason}: {text}"),
            };
            let rest = format!(": {why}");
            let text = format!("not executed{rest}");
            let failure = Some(Failure::Refused { reason: Some(*reason), text });
            TransactionEnding {
                failure,
                reason: Some(reason.as_str()),
                ..TransactionEnding::new("refused", "not executed", Tone::Bad, rest)
            }
        }
        Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Pong
        | Reply::Bye => {
            TransactionEnding::doubt(tx, &format!("bank {bank} answered what it was not asked"))
        }
    }
}
