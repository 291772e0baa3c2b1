//! The commands about the whole consortium: `status` with the sum of all money, `pending`,
//! `history`.

use super::Context;
use super::failure::{Failure, reason_in_words};
use super::language::{say, term, word};
use super::ledgers::answers_document;
use super::links::Links;
use super::output::{CommandOutput, ErrorPart, Paint, Tone, plain, utc};
use super::requests::{self, AnswerOf, views};
use super::table::TableLayout;
use consorcio_client::{BankClock, Client, Extent, latest, pending_request, read};
use consorcio_core::access::owner_of;
use consorcio_core::clock;
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::money::{Money, Total};
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::{
    HistoryAnswer, HistoryOutcome, InfoAnswer, OpAnswer, PendingAnswer,
};
use consorcio_core::wire::request::{Read, Request};
use consorcio_words::sentences::told;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The sums over all banks at one commit time.
#[derive(Serialize)]
pub(crate) struct MoneySums {
    pub time: Time,
    pub balance_total: i128,
    /// Cash that was paid in.
    pub cash_in_total: i128,
    /// Cash that was paid out.
    pub cash_out_total: i128,
    /// Whether transfers cancel, and cash and transfers explain every balance.
    pub adds_up: bool,
}

#[derive(Serialize)]
struct StatusDocument<'a> {
    banks: Vec<StatusBank<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<&'a MoneySums>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

#[derive(Serialize)]
struct StatusBank<'a> {
    bank: BankId,
    address: &'a str,
    online: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'a RawValue>,
    /// Its links to the other banks, from BANKS.
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<&'a RawValue>,
}

/// INFO, parsed and as the bank wrote it, and the bank's links.
type BankInfo = (InfoAnswer<'static>, Box<RawValue>, Links);

/// `status`: all banks, and the sum of all money.
pub(crate) async fn status(context: &Context) -> CommandOutput {
    let banks = requests::these_banks(context, None);
    let infos: Vec<AnswerOf<BankInfo>> =
        requests::ask_each(context, &banks, async |client: &Client, bank| {
            let mut connection = client.connection(bank).await?;
            let json = connection.ask_done(&Request::Read(Read::Info)).await?;
            let links = Links::ask(&mut connection).await?;
            Ok((read(bank, &json)?, read(bank, &json)?, links))
        })
        .await;
    let mut text = table(context, &infos);
    text.push_str(&requests::silent_lines(context, &infos));
    for (_, _, links) in infos.iter().filter_map(|answer| answer.result.as_ref().ok()) {
        text.push_str(&links.lines(context.paint));
    }
    text.push_str(&context.paint.words(clock_lines(context, &infos)));
    let mut failure = requests::first_failure(&infos)
        .or_else(|| context.client.knows_all().err().map(|error| context.failure(error)));
    let mut shown_cut = None;
    let clocks =
        infos.iter().filter_map(|answer| Some(BankClock::of(&answer.result.as_ref().ok()?.0)));
    if let (None, Some(latest)) = (&failure, latest(clocks)) {
        match cut(context, latest).await {
            Ok(cut) => {
                text.push_str(&context.paint.words(cut.in_words(context)));
                if !cut.adds_up {
                    failure = Some(Failure::Own("the banks' totals do not add up".into()));
                }
                shown_cut = Some(cut);
            }
            Err(error) => {
                let no_sum = say!("No sum of all money: {error}\n" / "Sem a soma total: {error}\n");
                text.push_str(&context.paint.words(no_sum));
                failure = Some(error);
            }
        }
    }
    let banks = infos.iter().map(|answer| StatusBank {
        bank: answer.bank,
        address: &answer.address,
        online: answer.result.is_ok(),
        info: answer.result.as_ref().ok().map(|(_, json, _)| &**json),
        links: answer.result.as_ref().ok().map(|(_, _, links)| &*links.json),
    });
    let error = failure.as_ref().map(ErrorPart::of);
    let document = StatusDocument { banks: banks.collect(), cut: shown_cut.as_ref(), error };
    CommandOutput::new(text, &document).with_failure(failure)
}

/// The table with a row for each bank.
fn table(context: &Context, infos: &[AnswerOf<BankInfo>]) -> String {
    const HEADINGS: [&str; 11] = [
        "bank",
        "address",
        "state",
        "links",
        "undecided",
        "committed",
        "aborted",
        "clients",
        "accounts",
        "held",
        "balance",
    ];
    let layout = TableLayout {
        headings: &HEADINGS,
        right: &HEADINGS[3..],
        below: None,
        spare: &["clients", "accounts", "aborted", "committed", "address", "links"],
    };
    let rows = infos.iter().map(|answer| match &answer.result {
        Ok((view, _, links)) => vec![
            plain(answer.bank),
            plain(&answer.address),
            {
                let (tone, online) = context.paint.term(Tone::Good, "online");
                (tone, format!("{online} {}", view.version))
            },
            links.cell(),
            plain(view.undecided),
            plain(view.committed),
            plain(view.aborted),
            plain(view.clients),
            plain(view.accounts),
            context.paint.money(view.held_total),
            context.paint.money(view.balance_total),
        ],
        Err(failure) => {
            let state = context.paint.term(Tone::Bad, failure.state());
            let mut row = vec![plain(answer.bank), plain(&answer.address), state];
            row.resize(HEADINGS.len(), plain(""));
            row
        }
    });
    context.paint.table_of(&layout, rows.collect())
}

/// A line for each bank whose commit times differ from its machine's clock.
fn clock_lines(context: &Context, infos: &[AnswerOf<BankInfo>]) -> String {
    let mut text = String::new();
    for answer in infos {
        let Ok((InfoAnswer { wall: Some(wall), time, .. }, ..)) = &answer.result else { continue };
        if let Some(apart) = clock::apart(*time, *wall) {
            let (bank, apart) = (answer.bank, told(&apart.to_string()));
            let line = say!("bank {bank}: {apart}" / "banco {bank}: {apart}");
            text.push_str(&format!("{}\n", context.paint.text(Tone::Open, &line)));
        }
    }
    text
}

/// Takes a cut of all banks, and adds up.
///
/// # Errors
/// If a bank can't be reached or refuses, or a bank that left may hold the difference.
pub(crate) async fn cut(context: &Context, at: BankClock) -> Result<MoneySums, Failure> {
    let taken = context.client.cut_at(at, Extent::Sums, &[]).await;
    context.client.knows_all().map_err(|error| context.failure(error))?;
    if let Some(error) = taken.answers.into_iter().find_map(|answer| answer.result.err()) {
        return Err(context.failure(error));
    }
    let judged = taken.judged;
    if let Some(why) = judged.left_text() {
        return Err(Failure::Doubt(why.to_owned()));
    }
    Ok(MoneySums {
        time: taken.at.time,
        balance_total: judged.total.balance_total,
        cash_in_total: judged.total.cash_in_total,
        cash_out_total: judged.total.cash_out_total,
        adds_up: judged.holds(),
    })
}

impl MoneySums {
    fn in_words(&self, context: &Context) -> String {
        let (tone, verdict) = if self.adds_up {
            (Tone::Good, word!("it adds up" / "a soma confere"))
        } else {
            (Tone::Bad, word!("IT DOES NOT ADD UP" / "A SOMA NÃO CONFERE"))
        };
        let verdict = context.paint.text(tone, verdict);
        let (time, balance) = (utc(self.time), Total(self.balance_total));
        let (cash_in, cash_out) = (Total(self.cash_in_total), Total(self.cash_out_total));
        say!(
            "Money of all banks as of {time}: {balance} = cash in {cash_in} - cash out \
                {cash_out}; {verdict}\n"
                / "Dinheiro de todos os bancos em {time}: {balance} = entradas {cash_in} - saídas \
                {cash_out}; {verdict}\n"
        )
    }
}

/// The text of an optional part of an operation.
pub(crate) fn part<T: ToString>(part: &Option<T>) -> String {
    part.as_ref().map_or_else(String::new, T::to_string)
}

/// Operations in one line: `0/12345-6 debit R$ 1,00 · 1/…`.
fn in_words(paint: Paint, ops: &Option<Vec<OpAnswer<'static>>>) -> String {
    let words = ops.iter().flatten().map(|op| match &*op.op {
        "set" => format!("{}: {}={}", op.bank, part(&op.key), part(&op.value)),
        word => {
            let Money(amount) = op.amount.unwrap_or(Money::ZERO);
            let word = if paint.is_rows() { word } else { operation(word) };
            format!("{}/{} {word} {}", op.bank, part(&op.account), paint.money(amount).1)
        }
    });
    words.collect::<Vec<_>>().join(" · ")
}

/// The name of an operation; a later version may have more of them.
fn operation(word: &str) -> &str {
    match word {
        "debit" => term("debit"),
        "credit" => term("credit"),
        "deposit" => term("deposit"),
        "withdraw" => term("withdraw"),
        other => other,
    }
}

/// The reason of an abort, in rows by its name on the wire.
fn reason_of(paint: Paint, name: Option<&str>) -> String {
    let name = name.unwrap_or_default();
    match Reason::parse(name).filter(|_| !paint.is_rows()) {
        Some(reason) => reason_in_words(reason, ""),
        None => name.to_owned(),
    }
}

/// The undecided transactions of each bank.
pub(crate) async fn pending_of_all(context: &Context) -> Vec<AnswerOf<Vec<Box<RawValue>>>> {
    requests::ask_lists(context, &requests::these_banks(context, None), pending_request).await
}

/// `pending`: undecided transactions, by bank.
pub(crate) async fn pending(context: &Context) -> CommandOutput {
    let answers = pending_of_all(context).await;
    let mut rows = Vec::new();
    for (bank, view) in views::<PendingAnswer<'static>>(&answers) {
        let keepers: Vec<String> = view.waiting_for.iter().map(BankId::to_string).collect();
        rows.push(vec![
            plain(bank),
            plain(&view.tx),
            context.paint.time(view.since),
            (
                Tone::Open,
                match keepers.is_empty() {
                    false => {
                        let keepers = keepers.join(", ");
                        say!("bank {keepers}" / "banco {keepers}")
                    }
                    true if view.outside => {
                        word!("its outside coordinator" / "coordenador externo").into()
                    }
                    true => word!("its driver" / "quem a conduz").into(),
                },
            ),
            plain(in_words(context.paint, &view.ops)),
        ]);
    }
    let mut text = if rows.is_empty() && !context.paint.is_rows() {
        word!(
            "no undecided transaction at the banks that answered\n"
                / "nenhuma transação pendente nos bancos que responderam\n"
        )
        .to_owned()
    } else {
        let layout = TableLayout {
            headings: &["bank", "transaction", "since", "waits for", "operations"],
            right: &[],
            below: Some("operations"),
            spare: &[],
        };
        context.paint.table_of(&layout, rows)
    };
    text.push_str(&requests::silent_lines(context, &answers));
    CommandOutput::new(text, &answers_document(&answers))
        .with_failure(requests::first_failure(&answers))
}

/// `history`: the last decided transactions.
pub(crate) async fn history(
    context: &Context,
    count: usize,
    bank: Option<BankId>,
    who: bool,
) -> CommandOutput {
    let request = |after: Option<&str>| {
        let after = after.map(TxId::new).transpose()?;
        Ok(Request::Read(Read::History { count: Some(count), after }))
    };
    let banks = requests::these_banks(context, bank);
    let mut answers = requests::ask_lists(context, &banks, request).await;
    for answer in &mut answers {
        if let Ok(items) = &mut answer.result {
            items.truncate(count);
        }
    }
    let mut newest = merged(views::<HistoryAnswer<'static>>(&answers));
    newest.sort_by_key(|(view, _)| std::cmp::Reverse(view.time));
    newest.truncate(count);
    let rows = newest.into_iter().map(|(view, banks)| {
        let tone = if view.is_committed() { Tone::Good } else { Tone::Bad };
        let banks: Vec<String> = banks.iter().map(BankId::to_string).collect();
        let owner = who.then(|| plain(owner_of(&view.tx).unwrap_or_default()));
        let begin = [context.paint.time(view.time), plain(&view.tx)];
        let rest = [
            context.paint.term(tone, view.outcome.as_str()),
            plain(reason_of(context.paint, view.reason.as_deref())),
            plain(banks.join(",")),
            plain(in_words(context.paint, &view.ops)),
        ];
        begin.into_iter().chain(owner).chain(rest).collect()
    });
    let headings: Vec<&str> = ["time", "transaction"]
        .into_iter()
        .chain(who.then_some("who"))
        .chain(["outcome", "reason", "banks", "operations"])
        .collect();
    let layout = TableLayout {
        headings: &headings,
        right: &[],
        below: Some("operations"),
        spare: &["banks", "reason"],
    };
    let mut text = context.paint.table_of(&layout, rows.collect());
    text.push_str(&requests::silent_lines(context, &answers));
    CommandOutput::new(text, &answers_document(&answers))
        .with_failure(requests::first_failure(&answers))
}

/// Transactions, each with the banks that reported it.
type MergedHistory = Vec<(HistoryAnswer<'static>, Vec<BankId>)>;

/// Merges the reports of all banks: a row has one transaction and the banks that reported it with
/// the same operations and outcome. The same id with other operations is another transaction; a
/// bank that refused before it knew the operations reports none.
fn merged(reports: impl Iterator<Item = (BankId, HistoryAnswer<'static>)>) -> MergedHistory {
    let mut of: BTreeMap<(String, HistoryOutcome), MergedHistory> = BTreeMap::new();
    for (bank, view) in reports {
        let same_id = of.entry((view.tx.to_string(), view.outcome)).or_default();
        let is_same = |known: &HistoryAnswer<'static>| match (&known.ops, &view.ops) {
            (Some(known), Some(reported)) => known == reported,
            (None, _) | (_, None) => true,
        };
        match same_id.iter_mut().find(|(known, _)| is_same(known)) {
            Some((known, banks)) => {
                known.ops = known.ops.take().or(view.ops);
                banks.push(bank);
            }
            None => same_id.push((view, vec![bank])),
        }
    }
    of.into_values().flatten().collect()
}
