//! `doubt`: every undecided transaction over all banks, what is held for it, since when, and whose
//! votes are missing.

use super::Context;
use super::language::{lang, say, word};
use super::output::{CommandOutput, ErrorPart, Paint, Tone, plain};
use super::overview::{part, pending_of_all};
use super::requests::{self, AnswerOf};
use super::table::TableLayout;
use consorcio_core::ids::{BankId, Time};
use consorcio_core::money::Money;
use consorcio_core::wire::answer::{OpAnswer, PendingAnswer};
use consorcio_steps::trace::duration;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An undecided transaction, by all banks that answered.
#[derive(Debug, Default)]
struct UndecidedTransaction {
    since: Time,
    /// Banks that voted OK and do not know the outcome.
    held_by: Vec<BankId>,
    /// Banks whose votes are missing.
    waits_for: Vec<BankId>,
    /// Whether an outside coordinator decides it.
    outside: bool,
    ops: Vec<OpAnswer<'static>>,
}

#[derive(Serialize)]
struct DoubtDocument<'a> {
    undecided: Vec<UndecidedDocument<'a>>,
    not_asked: Vec<SilentDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

#[derive(Serialize)]
struct UndecidedDocument<'a> {
    tx: &'a str,
    since: Time,
    age_us: i64,
    held_by: &'a [BankId],
    waiting_for: &'a [BankId],
    down: Vec<BankId>,
    held_centavos: i64,
}

#[derive(Serialize)]
struct SilentDocument<'a> {
    bank: BankId,
    address: &'a str,
    why: String,
}

/// The answers of all banks to PENDING.
type PendingAnswers = [AnswerOf<Vec<Box<RawValue>>>];

/// `doubt`: shows each undecided transaction once.
pub(crate) async fn doubt(context: &Context) -> CommandOutput {
    let answers = pending_of_all(context).await;
    let (now, paint) = (consorcio_steps::steplog::wall_us(), context.paint);
    let doubts = gather(&answers);
    let mut oldest: Vec<(&String, &UndecidedTransaction)> =
        doubts.iter().map(|((tx, _), doubt)| (tx, doubt)).collect();
    oldest.sort_by_key(|(tx, doubt)| (doubt.since, *tx));
    let mut text = if doubts.is_empty() && !paint.is_rows() {
        word!(
            "no undecided transaction at the banks that answered\n"
                / "nenhuma transação pendente nos bancos que responderam\n"
        )
        .to_owned()
    } else {
        table(&oldest, &answers, now, paint)
    };
    text += &requests::silent_lines(context, &answers);
    let failure = requests::first_failure(&answers);
    text += &paint.words(hint(&oldest, &answers).to_owned());
    let undecided = oldest.iter().map(|(tx, doubt)| UndecidedDocument {
        tx,
        since: doubt.since,
        age_us: doubt.age_us(now),
        held_by: &doubt.held_by,
        waiting_for: &doubt.waits_for,
        down: doubt.waits_for_down(&answers).collect(),
        held_centavos: doubt.held_centavos(),
    });
    let not_asked = answers.iter().filter_map(|answer| {
        let why = answer.result.as_ref().err()?.to_string();
        Some(SilentDocument { bank: answer.bank, address: &answer.address, why })
    });
    let document = DoubtDocument {
        undecided: undecided.collect(),
        not_asked: not_asked.collect(),
        error: failure.as_ref().map(ErrorPart::of),
    };
    CommandOutput::new(text, &document).with_failure(failure)
}

fn table(
    doubts: &[(&String, &UndecidedTransaction)],
    answers: &PendingAnswers,
    now: i64,
    paint: Paint,
) -> String {
    let rows = doubts.iter().map(|(tx, doubt)| {
        let age = doubt.age_us(now);
        vec![
            plain(tx),
            paint.time(doubt.since),
            plain(if paint.is_rows() { age.to_string() } else { duration(age, lang()) }),
            plain(list(&doubt.held_by)),
            doubt.waits_for_cell(answers),
            plain(doubt.held_words(paint)),
        ]
    });
    let age = if paint.is_rows() { "age us" } else { "for" };
    let layout = TableLayout {
        headings: &["transaction", "since", age, "held by", "waits for", "what is held"],
        right: &["for"],
        below: Some("what is held"),
        spare: &["since"],
    };
    paint.table_of(&layout, rows.collect())
}

/// What ends these transactions, for people.
fn hint(doubts: &[(&String, &UndecidedTransaction)], answers: &PendingAnswers) -> &'static str {
    if doubts.iter().any(|(_, doubt)| doubt.waits_for_down(answers).next().is_some()) {
        word!(
            "What waits for a bank that is down ends as soon as it is back; nothing else can end \
             it safely.\n"
                / "O que espera um banco parado termina assim que ele voltar; nada mais pode \
             terminá-lo com segurança.\n"
        )
    } else if doubts.is_empty() {
        ""
    } else {
        word!(
            "The banks end these by themselves; cliente resolve TX asks them to do it now.\n"
                / "Os bancos terminam estas por si; cliente resolver TX pede que o façam agora.\n"
        )
    }
}

fn is_down(bank: BankId, answers: &PendingAnswers) -> bool {
    answers.iter().any(|answer| answer.bank == bank && answer.result.is_err())
}

/// Merges the answers of all banks: one entry for each transaction. The same id with other
/// operations is another transaction.
fn gather(answers: &PendingAnswers) -> BTreeMap<(String, String), UndecidedTransaction> {
    let mut doubts: BTreeMap<(String, String), UndecidedTransaction> = BTreeMap::new();
    for (bank, view) in requests::views::<PendingAnswer<'static>>(answers) {
        let key = (view.tx.to_string(), format!("{:?}", view.ops));
        let doubt = doubts.entry(key).or_insert_with(|| UndecidedTransaction {
            since: view.since,
            ..UndecidedTransaction::default()
        });
        doubt.since = doubt.since.min(view.since);
        doubt.held_by.push(bank);
        doubt.waits_for.extend(view.waiting_for);
        doubt.ops = view.ops.unwrap_or_default();
        doubt.outside |= view.outside;
    }
    for doubt in doubts.values_mut() {
        doubt.waits_for.sort_unstable();
        doubt.waits_for.dedup();
        // A bank that voted OK meanwhile is no longer missing.
        let held_by = &doubt.held_by;
        doubt.waits_for.retain(|bank| !held_by.contains(bank));
    }
    doubts
}

impl UndecidedTransaction {
    fn age_us(&self, now: i64) -> i64 {
        (now - self.since.0).max(0)
    }

    /// The banks with missing votes that did not answer.
    fn waits_for_down(&self, answers: &PendingAnswers) -> impl Iterator<Item = BankId> {
        self.waits_for.iter().copied().filter(|bank| is_down(*bank, answers))
    }

    fn waits_for_cell(&self, answers: &PendingAnswers) -> (Tone, String) {
        let banks = self.waits_for.iter().map(|bank| {
            if is_down(*bank, answers) {
                say!("bank {bank}, which is down" / "banco {bank}, que está parado")
            } else {
                say!("bank {bank}" / "banco {bank}")
            }
        });
        let text = match (self.waits_for.is_empty(), self.outside) {
            (false, _) => banks.collect::<Vec<_>>().join(" · "),
            (true, true) => word!("its outside coordinator" / "coordenador externo").to_owned(),
            (true, false) => word!("its driver" / "quem a conduz").to_owned(),
        };
        let is_any_down = self.waits_for_down(answers).next().is_some();
        (if is_any_down { Tone::Bad } else { Tone::Open }, text)
    }

    /// Operations at the banks that voted OK, which hold money or a register now.
    fn held(&self) -> impl Iterator<Item = &OpAnswer<'static>> {
        self.ops.iter().filter(|op| self.held_by.contains(&op.bank))
    }

    /// The money that is held: debits and withdrawals at banks that voted OK.
    fn held_centavos(&self) -> i64 {
        let takes = self.held().filter(|op| matches!(&*op.op, "debit" | "withdraw"));
        let centavos = takes.filter_map(|op| op.amount).map(|Money(centavos)| centavos);
        centavos.fold(0, i64::saturating_add)
    }

    fn held_words(&self, paint: Paint) -> String {
        let mut words: Vec<String> = Vec::new();
        let money = self.held_centavos();
        if money > 0 {
            let from = self.held().filter(|op| matches!(&*op.op, "debit" | "withdraw"));
            let from: Vec<String> =
                from.map(|op| format!("{}/{}", op.bank, part(&op.account))).collect();
            let (money, from) = (paint.money(money).1, from.join(", "));
            words.push(say!("{money} of {from}" / "{money} de {from}"));
        }
        let keys = self.held().filter(|op| op.op == "set").map(|op| {
            let (key, bank) = (part(&op.key), op.bank);
            say!("{key} of bank {bank}" / "{key} do banco {bank}")
        });
        words.extend(keys);
        words.join(" · ")
    }
}

fn list(banks: &[BankId]) -> String {
    banks.iter().map(|bank| say!("bank {bank}" / "banco {bank}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn answer(bank: usize, items: &[&str]) -> AnswerOf<Vec<Box<RawValue>>> {
        let items =
            items.iter().map(|item| RawValue::from_string((*item).to_owned()).unwrap()).collect();
        AnswerOf { bank: BankId::new(bank).unwrap(), address: String::new(), result: Ok(items) }
    }

    fn banks(positions: &[usize]) -> Vec<BankId> {
        positions.iter().filter_map(|position| BankId::new(*position)).collect()
    }

    #[test]
    fn a_transaction_of_several_banks_is_one_entry() {
        let ops = concat!(
            r#""ops":[{"bank":0,"op":"debit","account":"1","amount":500},"#,
            r#"{"bank":1,"op":"debit","account":"2","amount":70},"#,
            r#"{"bank":2,"op":"credit","account":"3","amount":570}]"#
        );
        let silent =
            AnswerOf { result: Err(Failure::NoConnection("down".into())), ..answer(2, &[]) };
        let zero = format!(r#"{{"tx":"t","since":9,"waiting_for":[1,2],{ops}}}"#);
        let one = format!(r#"{{"tx":"t","since":7,"waiting_for":[2],{ops}}}"#);
        let doubts = gather(&[answer(0, &[&zero]), answer(1, &[&one]), silent]);
        assert_eq!(doubts.len(), 1);
        let doubt = doubts.values().next().unwrap();
        assert_eq!(
            (doubt.since, &doubt.held_by[..], &doubt.waits_for[..]),
            (Time(7), &banks(&[0, 1])[..], &banks(&[2])[..])
        );
        assert_eq!(doubt.held_centavos(), 570, "credits hold nothing");
        assert_eq!(doubt.held_words(Paint::NONE), "R$ 5,70 of 0/1, 1/2");
    }

    #[test]
    fn other_operations_under_one_id_are_another_transaction() {
        let of = |to: usize, waits: usize| {
            format!(
                "{{\"tx\":\"t\",\"since\":9,\"waiting_for\":[{waits}],\"ops\":[{{\"bank\":{to},\
                 \"op\":\"deposit\",\"account\":\"1\",\"amount\":5}}]}}"
            )
        };
        let doubts = gather(&[answer(0, &[&of(0, 1)]), answer(1, &[&of(1, 0)])]);
        let found: Vec<_> =
            doubts.values().map(|doubt| (&doubt.held_by[..], &doubt.waits_for[..])).collect();
        let (zero, one) = (banks(&[0]), banks(&[1]));
        assert_eq!(found, [(&zero[..], &one[..]), (&one[..], &zero[..])]);
    }
}
