//! Cuts of all banks, for commands: failures as texts, and why there is no verdict.

use super::Context;
use super::failure::Failure;
use super::language::{say, word};
use super::requests::{AnswerOf, first_failure};
use consorcio_audit::{BankCut, Judged};
use consorcio_client::{BankClock, Blocked, Extent, TakenCut, latest};
use consorcio_core::ids::Time;
use consorcio_core::wire::Reason;

/// A cut, as far as banks answered.
pub(crate) struct CutAnswers {
    /// Its time, with the statement that proves it to every bank.
    pub at: BankClock,
    pub time: Time,
    /// The part of each bank, by position, or why there is none.
    pub answers: Vec<AnswerOf<BankCut>>,
    /// Undecided transactions that block banks from answering, by bank.
    pub blocked: Vec<Blocked>,
    /// The verdict on all parts together.
    pub judged: Judged,
}

/// Takes a cut of all banks as of now, and not before `last`.
///
/// # Errors
/// If no bank can be reached, or the list lacks banks.
pub(crate) async fn take(
    context: &Context,
    last: Option<BankClock>,
    extent: Extent<'_>,
) -> Result<CutAnswers, Failure> {
    let clocks = context.client.clocks().await;
    let reached = clocks.iter().filter_map(|answer| answer.result.as_ref().ok()).copied();
    let Some(now) = latest(reached) else {
        let answers: Vec<_> =
            clocks.into_iter().map(|answer| AnswerOf::new(context, answer)).collect();
        let none = Failure::NoConnection("no bank can be reached".into());
        return Err(first_failure(&answers).unwrap_or(none));
    };
    context.client.knows_all().map_err(|error| context.failure(error))?;
    let at = latest(last.into_iter().chain([now])).unwrap_or(now);
    Ok(CutAnswers::new(context, context.client.cut_at(at, extent, &clocks).await))
}

impl CutAnswers {
    fn new(context: &Context, taken: TakenCut) -> CutAnswers {
        let TakenCut { at, answers, blocked, judged } = taken;
        let answers = answers.into_iter().map(|answer| AnswerOf::new(context, answer));
        CutAnswers { at, time: at.time, answers: answers.collect(), blocked, judged }
    }

    /// Why there is no verdict over all banks, if so. A bank out of reach takes precedence over one
    /// that is blocked.
    pub(crate) fn missing(&self) -> Option<Failure> {
        let failures = || self.answers.iter().filter_map(|answer| answer.result.as_ref().err());
        let silent = |failure: &&Failure| {
            matches!(failure, Failure::NoConnection(_) | Failure::DiskHangs(_))
        };
        let down = failures().find(silent);
        if let Some(failure) = down.or_else(|| failures().next()) {
            return Some(match failure {
                Failure::Refused { reason: Some(Reason::Locked), text } => {
                    Failure::Doubt(self.blocked.first().map_or_else(|| text.clone(), in_words))
                }
                other => other.clone(),
            });
        }
        self.judged.left_text().map(|why| Failure::Doubt(why.to_owned()))
    }
}

/// A text such as `bank 0 gives no cut: transaction t1, undecided there since …, waits for bank 2`.
pub(crate) fn in_words(blocked: &Blocked) -> String {
    let Blocked { bank, tx, since, waiting_for } = blocked;
    let keepers = match waiting_for.as_slice() {
        [] => word!("its driver" / "quem a conduz").to_owned(),
        banks => super::waiting::in_words(banks.iter().copied().collect()),
    };
    let since = super::output::utc(*since);
    say!(
        "bank {bank} gives no cut: transaction {tx}, undecided there since {since}, waits for \
            {keepers}"
            / "o banco {bank} não dá corte: a transação {tx}, pendente ali desde {since}, espera \
            {keepers}"
    )
}
