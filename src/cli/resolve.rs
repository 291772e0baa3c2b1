//! `resolve`: finds the outcome of a transaction, or has the banks decide it.

use super::Context;
use super::failure::{Failure, reason_in_words, start_command};
use super::language::{lang, say, term, word};
use super::output::{CommandOutput, ErrorPart, Tone, plain, utc};
use super::overview::pending_of_all;
use super::requests::{self, AnswerOf};
use super::table::TableLayout;
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::wire::answer::PendingAnswer;
use consorcio_core::wire::claims::{Claim, Refusal};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::token::{Digest, TokenKind};
use consorcio_words::details;
use serde::Serialize;

#[derive(Serialize)]
struct ResolveDocument<'a> {
    tx: &'a TxId,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Time>,
    banks: Vec<BankAnswerDocument<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waiting_for: Vec<BankId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

#[derive(Serialize)]
struct BankAnswerDocument<'a> {
    bank: BankId,
    address: &'a str,
    says: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
}

/// `resolve`: asks every bank for the status, which changes nothing. Banks that voted OK and know
/// no outcome are then asked to find it, which runs the termination protocol.
pub(crate) async fn resolve(context: &Context, tx: TxId) -> CommandOutput {
    let resolved = context.client.resolve(&tx).await;
    let answers = resolved.answers.into_iter().map(|answer| AnswerOf::new(context, answer));
    let answers: Vec<AnswerOf<Reply>> = answers.collect();
    let rows = answers.iter().map(|answer| {
        let (says, tone, text) = says(answer);
        vec![
            plain(answer.bank),
            plain(&answer.address),
            context.paint.term(tone, says),
            plain(text),
        ]
    });
    let paint = context.paint;
    let layout = TableLayout {
        headings: &["bank", "address", "says", "detail"],
        right: &[],
        below: Some("detail"),
        spare: &[],
    };
    let table = paint.table_of(&layout, rows.collect());
    let (outcome, time, mut failure) = outcome(&tx, resolved.claim, &answers);
    let mut waiting_for = Vec::new();
    if let Some(Failure::Doubt(text)) = &mut failure {
        waiting_for = blocking_banks(context, &tx).await;
        if let Some(why) = blocked_text(context, &tx, &waiting_for, &answers) {
            *text = why;
        }
    }
    let (tone, sentence) = match (&failure, time) {
        (None, Some(time)) => {
            let time = utc(time);
            (Tone::Good, say!("committed at {time}" / "efetivada em {time}"))
        }
        (None, None) => (Tone::Good, term(outcome).to_owned()),
        (
            Some(failure @ (Failure::Doubt(_) | Failure::NoConnection(_) | Failure::DiskHangs(_))),
            _,
        ) => (Tone::Open, failure.to_string()),
        (Some(failure), _) => (Tone::Bad, failure.to_string()),
    };
    let above = paint.words(say!("transaction {tx}\n" / "transação {tx}\n"));
    let below = paint.words(format!("{}\n", paint.text(tone, &sentence)));
    let text = format!("{above}{table}{below}");
    let bank_answers = answers.iter().map(|answer| {
        let (says, _, text) = says(answer);
        BankAnswerDocument { bank: answer.bank, address: &answer.address, says, text }
    });
    let error = failure.as_ref().map(ErrorPart::of);
    let document = ResolveDocument {
        tx: &tx,
        outcome,
        time,
        banks: bank_answers.collect(),
        waiting_for,
        error,
    };
    CommandOutput::new(text, &document).with_failure(failure)
}

/// The banks whose missing votes keep the transaction undecided, by the banks that hold it.
async fn blocking_banks(context: &Context, tx: &TxId) -> Vec<BankId> {
    let pending = pending_of_all(context).await;
    let held =
        requests::views::<PendingAnswer<'static>>(&pending).filter(|(_, view)| *view.tx == *tx);
    let mut banks: Vec<BankId> = held.flat_map(|(_, view)| view.waiting_for).collect();
    banks.sort_unstable();
    banks.dedup();
    banks
}

/// Why the transaction can't be decided now, and what would allow it. Only a bank that is down and
/// may have voted OK blocks the decision: its vote must not be guessed.
fn blocked_text(
    context: &Context,
    tx: &TxId,
    waiting_for: &[BankId],
    answers: &[AnswerOf<Reply>],
) -> Option<String> {
    let away = answers.iter().filter(|answer| waiting_for.contains(&answer.bank));
    let away: Vec<String> = away
        .filter(|answer| answer.result.is_err())
        .map(|answer| {
            let (bank, address) = (answer.bank, &answer.address);
            let start = start_command(context.client.list(), address);
            say!(
                "bank {bank} at {address} is down and may have voted OK (start it with: {start})"
                    / "o banco {bank} em {address} está parado e pode ter votado OK (inicie-o com: \
                 {start})"
            )
        })
        .collect();
    let blocking = away.join("; ");
    (!away.is_empty()).then(|| {
        say!(
            "not known yet: transaction {tx} is undecided, and can't be ended safely now: \
             {blocking}. Once it is back the banks end it by themselves; cliente resolve {tx} then \
             says how" /
            "ainda desconhecida: a transação {tx} está pendente, e não pode ser terminada com \
             segurança agora: {blocking}. Quando ele voltar os bancos a terminam por si; cliente \
             resolver {tx} então diz como"
        )
    })
}

fn says(answer: &AnswerOf<Reply>) -> (&'static str, Tone, String) {
    match &answer.result {
        Err(failure) => (failure.state(), Tone::Bad, failure.to_string()),
        Ok(Reply::Committed(_, time, _, _)) => ("committed", Tone::Good, utc(*time)),
        Ok(Reply::Aborted(_, token, reason, _)) => {
            let (bank, why) = (token.bank, reason_in_words(*reason, ""));
            let text = if token.kind == TokenKind::Aborted {
                say!("aborted at bank {bank}: {why}" / "abortada no banco {bank}: {why}")
            } else {
                say!("bank {bank} refused: {why}" / "o banco {bank} recusou: {why}")
            };
            ("aborted", Tone::Bad, text)
        }
        Ok(Reply::Ok(..)) => ("undecided", Tone::Open, String::new()),
        Ok(Reply::Doubt(_, text)) => ("undecided", Tone::Open, details::in_words(lang(), text)),
        Ok(Reply::Unknown(_)) => {
            ("unknown", Tone::Plain, word!("it has not voted on it" / "não votou nela").into())
        }
        Ok(Reply::Err(reason, text) | Reply::Refused(reason, text)) => {
            ("error", Tone::Bad, reason_in_words(*reason, text))
        }
        Ok(Reply::Nok(..) | Reply::Done(_) | Reply::Pong | Reply::Help(_) | Reply::Bye) => {
            let text = word!("it answered what it was not asked" / "respondeu outra coisa");
            ("error", Tone::Bad, text.into())
        }
    }
}

/// The outcome by all answers together.
fn outcome(
    tx: &TxId,
    claim: Claim,
    answers: &[AnswerOf<Reply>],
) -> (&'static str, Option<Time>, Option<Failure>) {
    let offline = requests::first_failure(answers);
    let why = offline.as_ref().map_or_else(String::new, |failure| format!("; {failure}"));
    match claim {
        Claim::Committed(time) => ("committed", Some(time), None),
        Claim::Aborted(refusal) => {
            let why = refusal_words(&refusal);
            ("aborted", None, Some(Failure::Aborted(say!("aborted: {why}" / "abortada: {why}"))))
        }
        Claim::Undecided => {
            let text = say!(
                "not known yet: transaction {tx} is undecided; ask again with: cliente resolve \
                 {tx}"
                    / "ainda desconhecida: a transação {tx} está pendente; pergunte de novo com: \
                 cliente resolver {tx}"
            );
            ("undecided", None, Some(Failure::Doubt(text)))
        }
        Claim::NotKnown(refusal) => {
            let by = refusal_words(&refusal);
            let text = say!(
                "not known: {by}, which says nothing of bytes that do not name it{why}"
                    / "desconhecida: {by}, o que nada diz de um conteúdo que não o nomeia{why}"
            );
            ("not-known", None, Some(Failure::Doubt(text)))
        }
        Claim::Several(ends) => {
            let ends: Vec<String> =
                ends.iter().map(|(digest, end)| end_words(digest, end)).collect();
            let (count, ends) = (ends.len(), ends.join("; "));
            let text = say!(
                "not the same transaction: the id {tx} stands for {count} of them: {ends}"
                    / "não é a mesma transação: o id {tx} vale para {count} delas: {ends}"
            );
            ("several", None, Some(Failure::Doubt(text)))
        }
        Claim::Unknown => unknown(tx, answers, offline),
    }
}

fn refusal_words(refusal: &Refusal) -> String {
    let why = reason_in_words(refusal.reason, "");
    match refusal.by {
        Some(bank) => say!("bank {bank} refused: {why}" / "o banco {bank} recusou: {why}"),
        None => why,
    }
}

fn end_words(digest: &Digest, end: &Claim) -> String {
    let end = match end {
        Claim::Committed(time) => {
            let time = utc(*time);
            say!("committed at {time}" / "efetivada em {time}")
        }
        Claim::Aborted(refusal) => {
            let why = refusal_words(refusal);
            say!("aborted, {why}" / "abortada, {why}")
        }
        Claim::Undecided | Claim::NotKnown(_) | Claim::Several(_) | Claim::Unknown => {
            word!("undecided" / "pendente").to_owned()
        }
    };
    let digest = format!("{digest:?}");
    format!("{}… {end}", digest.get(..8).unwrap_or(&digest))
}

/// The result if no bank that answers has voted on the transaction.
fn unknown(
    tx: &TxId,
    answers: &[AnswerOf<Reply>],
    offline: Option<Failure>,
) -> (&'static str, Option<Time>, Option<Failure>) {
    let replies = answers.iter().filter_map(|answer| answer.result.as_ref().ok());
    let answered = replies.filter(|reply| matches!(reply, Reply::Unknown(_))).count();
    let failure = match (offline, answered) {
        (None, 1..) => {
            let text = say!(
                "no bank has voted on transaction {tx}; nothing of it has happened"
                    / "nenhum banco votou na transação {tx}; nada dela aconteceu"
            );
            Failure::Refused { reason: None, text }
        }
        (Some(Failure::NoConnection(why) | Failure::DiskHangs(why)), 1..) => {
            Failure::NoConnection(say!(
                "none of the {answered} banks that answered has voted on transaction {tx}, and \
                 {why}"
                    / "nenhum dos {answered} bancos que responderam votou na transação {tx}, e \
                        {why}"
            ))
        }
        (Some(failure), _) => failure,
        (None, 0) => Failure::Own(
            word!(
                "no bank gave an answer that can be read" / "nenhum banco deu uma resposta legível"
            )
            .into(),
        ),
    };
    ("unknown", None, Some(failure))
}
