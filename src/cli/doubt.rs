//! `doubt`: every undecided transaction over all banks, who promised what for it, who keeps it so,
//! and since when.

use super::Context;
use super::asking::{self, AnswerOf};
use super::output::{ErrorPart, Paint, Shown, Tone, plain};
use super::overview::{part, pending_of_all};
use consorcio_core::ids::{BankId, Time};
use consorcio_core::money::Money;
use consorcio_core::wire::answer::{OpAnswer, PendingAnswer};
use consorcio_steps::trace::duration;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An undecided transaction, as all banks that answered tell it.
#[derive(Debug, Default)]
struct Doubt {
    since: Time,
    /// Banks that promised, and do not know the outcome.
    held_by: Vec<BankId>,
    /// Banks whose vote they wait for.
    waits_for: Vec<BankId>,
    /// Does an outside coordinator decide it?
    outside: bool,
    ops: Vec<OpAnswer<'static>>,
}

#[derive(Serialize)]
struct DoubtDocument<'a> {
    undecided: Vec<OneDocument<'a>>,
    not_asked: Vec<SilentDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

#[derive(Serialize)]
struct OneDocument<'a> {
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

/// `doubt`
#[expect(clippy::too_many_lines, reason = "to be split")]
pub async fn doubt(context: &Context) -> Shown {
    let answers = pending_of_all(context).await;
    let (now, paint) = (consorcio_steps::steplog::wall_us(), context.paint);
    let doubts = gather(&answers);
    let down =
        |bank: &BankId| answers.iter().any(|answer| answer.bank == *bank && answer.said.is_err());
    let mut oldest: Vec<(&String, &Doubt)> =
        doubts.iter().map(|((tx, _), doubt)| (tx, doubt)).collect();
    oldest.sort_by_key(|(tx, doubt)| (doubt.since, *tx));
    let rows = oldest.iter().map(|(tx, doubt)| {
        let kept = doubt.waits_for.iter().map(|bank| {
            if down(bank) { format!("bank {bank}, which is down") } else { format!("bank {bank}") }
        });
        let kept = match (doubt.waits_for.is_empty(), doubt.outside) {
            (false, _) => kept.collect::<Vec<_>>().join(" · "),
            (true, true) => "its outside coordinator".to_owned(),
            (true, false) => "its driver".to_owned(),
        };
        let age = (now - doubt.since.0).max(0);
        let tone = if doubt.waits_for.iter().any(down) { Tone::Bad } else { Tone::Open };
        vec![
            plain(tx),
            paint.time(doubt.since),
            plain(if paint.is_rows() { age.to_string() } else { duration(age) }),
            plain(list(&doubt.held_by)),
            (tone, kept),
            plain(doubt.held_words(paint)),
        ]
    });
    let age = if paint.is_rows() { "age us" } else { "for" };
    let headings = ["transaction", "since", age, "held by", "waits for", "what is held"];
    let mut text = if doubts.is_empty() && !paint.is_rows() {
        "no undecided transaction at the banks that answered\n".to_owned()
    } else {
        paint.table(&headings, &["for"], rows.collect())
    };
    text += &asking::silent_lines(context, &answers);
    let failure = asking::first_failure(&answers);
    if doubts.values().any(|doubt| doubt.waits_for.iter().any(down)) {
        let words = "What waits for a bank that is down ends as soon as it is back; nothing else \
            can end it safely.\n";
        text += &paint.words(words.to_owned());
    } else if !doubts.is_empty() {
        let words =
            "The banks end these by themselves; cliente resolve TX asks them to do it now.\n";
        text += &paint.words(words.to_owned());
    }
    let document = DoubtDocument {
        undecided: oldest
            .iter()
            .map(|(tx, doubt)| OneDocument {
                tx,
                since: doubt.since,
                age_us: (now - doubt.since.0).max(0),
                held_by: &doubt.held_by,
                waiting_for: &doubt.waits_for,
                down: doubt.waits_for.iter().copied().filter(down).collect(),
                held_centavos: doubt.held_centavos(),
            })
            .collect(),
        not_asked: answers
            .iter()
            .filter_map(|answer| {
                let why = answer.said.as_ref().err()?.to_string();
                Some(SilentDocument { bank: answer.bank, address: &answer.address, why })
            })
            .collect(),
        error: failure.as_ref().map(ErrorPart::of),
    };
    Shown::new(text, &document).failing(failure)
}

/// One entry for each transaction, from all banks that hold it.
/// Other operations under the same id are another transaction.
fn gather(answers: &[AnswerOf<Vec<Box<RawValue>>>]) -> BTreeMap<(String, String), Doubt> {
    let mut doubts: BTreeMap<(String, String), Doubt> = BTreeMap::new();
    for (bank, view) in asking::views::<PendingAnswer<'static>>(answers) {
        let key = (view.tx.to_string(), format!("{:?}", view.ops));
        let doubt =
            doubts.entry(key).or_insert_with(|| Doubt { since: view.since, ..Doubt::default() });
        doubt.since = doubt.since.min(view.since);
        doubt.held_by.push(bank);
        doubt.waits_for.extend(view.waiting_for);
        doubt.ops = view.ops.unwrap_or_default();
        doubt.outside |= view.outside;
    }
    for doubt in doubts.values_mut() {
        doubt.waits_for.sort_unstable();
        doubt.waits_for.dedup();
        // A bank that promised meanwhile keeps nobody waiting.
        let held_by = &doubt.held_by;
        doubt.waits_for.retain(|bank| !held_by.contains(bank));
    }
    doubts
}

impl Doubt {
    /// Operations at the banks that promised: these hold money or a register now.
    fn held(&self) -> impl Iterator<Item = &OpAnswer<'static>> {
        self.ops.iter().filter(|op| self.held_by.contains(&op.bank))
    }

    /// Money that is held: debits and withdrawals that were promised.
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
            words.push(format!("{} of {}", paint.money(money).1, from.join(", ")));
        }
        let keys = self
            .held()
            .filter(|op| op.op == "set")
            .map(|op| format!("{} of bank {}", part(&op.key), op.bank));
        words.extend(keys);
        words.join(" · ")
    }
}

fn list(banks: &[BankId]) -> String {
    banks.iter().map(|bank| format!("bank {bank}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn answer(bank: usize, items: &[&str]) -> AnswerOf<Vec<Box<RawValue>>> {
        let items =
            items.iter().map(|item| RawValue::from_string((*item).to_owned()).unwrap()).collect();
        AnswerOf { bank: BankId::new(bank).unwrap(), address: String::new(), said: Ok(items) }
    }

    fn banks(positions: &[usize]) -> Vec<BankId> {
        positions.iter().filter_map(|position| BankId::new(*position)).collect()
    }

    #[test]
    fn what_several_banks_hold_is_told_once() {
        let ops = concat!(
            r#""ops":[{"bank":0,"op":"debit","account":"1","amount":500},"#,
            r#"{"bank":1,"op":"debit","account":"2","amount":70},"#,
            r#"{"bank":2,"op":"credit","account":"3","amount":570}]"#
        );
        let silent = AnswerOf { said: Err(Failure::NoConnection("down".into())), ..answer(2, &[]) };
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
        let told: Vec<_> =
            doubts.values().map(|doubt| (&doubt.held_by[..], &doubt.waits_for[..])).collect();
        let (zero, one) = (banks(&[0]), banks(&[1]));
        assert_eq!(told, [(&zero[..], &one[..]), (&one[..], &zero[..])]);
    }
}
