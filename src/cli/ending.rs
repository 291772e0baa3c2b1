//! The result of a transaction, as it is shown to people and programs.

use super::Context;
use super::failure::{Failure, reason_in_words, refused, start_command};
use super::language::{lang, say, word};
use super::output::{Tone, plain, utc};
use consorcio_client::{BankVote, DrivenTransaction};
use consorcio_core::commit::coordinator::{Standing, Verdict};
use consorcio_core::ids::{BankId, BankSet, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_words::details;
use consorcio_words::sentences::told;

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
        let time_text = utc(time);
        let rest = say!(" at {time_text}" / " em {time_text}");
        let words = word!("committed" / "efetivada");
        TransactionEnding {
            time: Some(time),
            ..TransactionEnding::new("committed", words, Tone::Good, rest)
        }
    }

    pub(crate) fn aborted(
        by: BankId,
        reason: Reason,
        text: &str,
        silent: &[String],
    ) -> TransactionEnding {
        let why = if silent.is_empty() || reason != Reason::Refused {
            let why = reason_in_words(reason, text);
            say!("bank {by} refused: {why}" / "o banco {by} recusou: {why}")
        } else {
            // This driver itself requested that refusal.
            let silent = silent.join("; ");
            say!(
                "{silent} (bank {by} was asked to refuse it, permanently)"
                    / "{silent} (o banco {by} foi encarregado de recusá-la, para sempre)"
            )
        };
        let words = word!("aborted" / "abortada");
        let failure = Some(Failure::Aborted(format!("{words}: {why}")));
        let rest =
            say!(": {why}. Nothing changed at any bank." / ": {why}. Nada mudou em banco algum.");
        let reason = Some(reason.as_str());
        TransactionEnding {
            by: Some(by),
            reason,
            failure,
            ..TransactionEnding::new("aborted", words, Tone::Bad, rest)
        }
    }

    pub(crate) fn doubt(tx: &TxId, cause: &str) -> TransactionEnding {
        let rest = say!(
            ": {cause}. The banks end it by themselves as soon as they can; ask later with: \
                cliente resolve {tx}"
                / ": {cause}. Os bancos a terminam por si assim que puderem; pergunte depois com: \
                cliente resolver {tx}"
        );
        let words = word!("not known yet" / "ainda desconhecida");
        let failure = Some(Failure::Doubt(format!("{words}{rest}")));
        TransactionEnding { failure, ..TransactionEnding::new("unknown", words, Tone::Open, rest) }
    }

    pub(crate) fn unreached(why: String) -> TransactionEnding {
        let words = word!("nothing was sent" / "nada foi enviado");
        let failure = Some(Failure::NoConnection(format!("{words}: {why}")));
        TransactionEnding {
            failure,
            ..TransactionEnding::new("unreached", words, Tone::Bad, format!(": {why}"))
        }
    }

    /// No bank executed the transaction, for this reason.
    pub(crate) fn nothing(failure: Option<Failure>) -> TransactionEnding {
        let why = failure.as_ref().map_or(String::new(), |failure| format!(": {failure}"));
        let (verdict, reason) = match &failure {
            Some(Failure::Refused { reason, .. }) => ("refused", reason.map(Reason::as_str)),
            Some(_) | None => ("unreached", None),
        };
        let words = word!("nothing was executed" / "nada foi executado");
        TransactionEnding {
            failure,
            reason,
            ..TransactionEnding::new(verdict, words, Tone::Bad, why)
        }
    }

    /// The cells for `ROW_HEADINGS`.
    pub(crate) fn cells(&self, context: &Context, tx: &TxId, bank: BankId) -> Vec<(Tone, String)> {
        let time = self.time.map_or_else(|| plain(""), |time| context.paint.time(time));
        vec![plain(tx), (self.tone, self.verdict.into()), time, plain(bank)]
    }

    /// The sentence with what it changed; `None` if it is not committed.
    pub(crate) fn done(&self, tx: &TxId) -> Option<String> {
        let time = utc(self.time?);
        Some(say!(
            "transaction {tx} is committed, at {time}"
                / "a transação {tx} foi efetivada, em {time}"
        ))
    }

    /// The words of an abort whose reason stands in a table above.
    pub(crate) fn painted_alone(&self, context: &Context) -> String {
        let words = context.paint.text(self.tone, self.words);
        say!("{words}. Nothing changed at any bank." / "{words}. Nada mudou em banco algum.")
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
        Verdict::Unreached => {
            let why = out_of_reach(context, votes).join("; ");
            let start = votes
                .first()
                .map_or(String::new(), |vote| start_command(context.client.list(), &vote.address));
            TransactionEnding::unreached(say!(
                "{why}. Are they running? Start each; the first with: {start}"
                    / "{why}. Eles estão rodando? Inicie cada um; o primeiro com: {start}"
            ))
        }
    }
}

/// The text if some banks recorded nothing, and others may have voted OK.
fn granted_elsewhere(context: &Context, driven: &DrivenTransaction) -> String {
    let errors = driven.votes.iter().filter_map(|vote| vote.nothing_done.clone());
    let mut why: Vec<String> = errors.map(|error| context.failure(error).to_string()).collect();
    let silent =
        |vote: &&BankVote| vote.nothing_done.is_none() && !matches!(vote.standing, Standing::Ok(_));
    let silent = driven.votes.iter().filter(silent);
    why.extend(silent.map(|BankVote { bank, .. }| {
        say!("bank {bank} may have voted OK" / "o banco {bank} pode ter votado OK")
    }));
    if driven.oks() > 0 {
        why.push(say!(
            "what was granted elsewhere waits until it can be refused there"
                / "o que foi concedido em outro banco espera até poder ser recusado ali"
        ));
    }
    why.join("; ")
}

fn silent_in_words(silent: BankSet, votes: &[BankVote]) -> String {
    let hung =
        votes.iter().find(|vote| silent.has(vote.bank) && vote.reached && vote.problem.is_some());
    let silent: Vec<String> = silent.iter().map(|bank| bank.to_string()).collect();
    match silent.as_slice() {
        [one] if let Some(BankVote { problem: Some(why), .. }) = hung => {
            let why = told(why);
            say!(
                "bank {one} is silent ({why}) and may have voted OK"
                    / "o banco {one} não responde ({why}) e pode ter votado OK"
            )
        }
        [one] => say!(
            "bank {one} is silent and may have voted OK"
                / "o banco {one} não responde e pode ter votado OK"
        ),
        many => {
            let many = many.join(", ");
            say!(
                "banks {many} are silent and may have voted OK"
                    / "os bancos {many} não respondem e podem ter votado OK"
            )
        }
    }
}

/// Texts for the banks that could not be reached, gave no vote, or recorded nothing.
fn out_of_reach(context: &Context, votes: &[BankVote]) -> Vec<String> {
    let words = |vote: &BankVote| {
        let (bank, address) = (vote.bank, &vote.address);
        if let Some(error) = &vote.nothing_done {
            return context.failure(error.clone()).to_string();
        }
        let state = if vote.reached {
            word!("gave no vote" / "não votou")
        } else {
            word!("can't be reached" / "não pode ser alcançado")
        };
        let why = vote.problem.as_ref().map_or(String::new(), |why| format!(" ({})", told(why)));
        say!("bank {bank} at {address} {state}{why}" / "o banco {bank} em {address} {state}{why}")
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
        // With `unreadable` the transaction may have been executed before.
        Reply::Doubt(_, text) | Reply::Err(Reason::Unreadable, text) => {
            let text = details::in_words(lang(), text);
            TransactionEnding::doubt(
                tx,
                &say!("bank {bank} says: {text}" / "o banco {bank} diz: {text}"),
            )
        }
        // Any other ERR is sent before the bank sends any message.
        Reply::Err(reason, text) | Reply::Refused(reason, text) => {
            let why = match refused(bank, *reason, text) {
                Failure::Refused { text, .. } if reason.nothing_recorded() => text,
                _ => {
                    let why = reason_in_words(*reason, text);
                    say!(
                        "bank {bank} did not take it: {why}"
                            / "o banco {bank} não a aceitou: {why}"
                    )
                }
            };
            let words = word!("not executed" / "não executada");
            let rest = format!(": {why}");
            let text = format!("{words}{rest}");
            let failure = Some(Failure::Refused { reason: Some(*reason), text });
            TransactionEnding {
                failure,
                reason: Some(reason.as_str()),
                ..TransactionEnding::new("refused", words, Tone::Bad, rest)
            }
        }
        Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye => {
            let why = say!(
                "bank {bank} answered what it was not asked"
                    / "o banco {bank} respondeu o que não foi perguntado"
            );
            TransactionEnding::doubt(tx, &why)
        }
    }
}
