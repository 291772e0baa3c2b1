//! The commands about the consortium as a whole: status with the sum of all money, pending,
//! history.

use super::Context;
use super::asking::{self, Answer};
use super::cuts::{self, Reached};
use super::failure::Failure;
use super::ledgers::{answers_document, raw};
use super::links::Links;
use super::output::{ErrorPart, Paint, Shown, Tone, plain, utc};
use consorcio_audit::BankCut;
use consorcio_core::clock;
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::money::Total;
use consorcio_core::wire::request::{Read, Request};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// INFO as banks tell it.
#[derive(Deserialize)]
struct InfoView {
    version: String,
    /// The machine's clock; none where the bank is of a version that does not tell it.
    wall: Option<Time>,
    time: Time,
    reading: Option<String>,
    clients: u64,
    accounts: u64,
    balance_total: i128,
    held_total: i128,
    undecided: u64,
    committed: u64,
    aborted: u64,
}

impl InfoView {
    fn reached(&self) -> Reached {
        Reached::told(self.time, self.reading.as_deref())
    }
}

/// All banks as of one commit time, added up.
#[derive(Serialize)]
pub struct Cut {
    /// The commit time.
    pub time: Time,
    /// All balances.
    pub balance_total: i128,
    /// Cash that came in.
    pub cash_in_total: i128,
    /// Cash that went out.
    pub cash_out_total: i128,
    /// Transfers cancel, and cash explains every balance.
    pub adds_up: bool,
}

#[derive(Serialize)]
struct StatusDocument<'a> {
    banks: Vec<BankDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<&'a Cut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

#[derive(Serialize)]
struct BankDocument<'a> {
    bank: BankId,
    address: &'a str,
    online: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'a RawValue>,
    /// Its links to the others, as BANKS tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<&'a RawValue>,
}

/// `status`
pub async fn status(context: &Context) -> Shown {
    let banks = asking::these_banks(context, None);
    let infos = asking::ask_each(context, &banks, |bank| async move {
        let address = asking::address(context, bank)?;
        let mut conversation = asking::connect(context, bank, address).await?;
        let json = asking::done(bank, conversation.ask(&Request::Read(Read::Info)).await?)?;
        let links = Links::ask(bank, &mut conversation).await?;
        Ok((asking::read::<InfoView>(bank, &json)?, raw(bank, &json)?, links))
    })
    .await;
    let mut text = table(context, &infos);
    text.push_str(&asking::silent_lines(context, &infos));
    for (_, _, links) in infos.iter().filter_map(|answer| answer.said.as_ref().ok()) {
        text.push_str(&links.lines(context.paint));
    }
    text.push_str(&context.paint.words(clock_lines(context, &infos)));
    let mut failure = asking::first_failure(&infos)
        .or_else(|| context.dial.met.all_are_named(context.dial.places).err());
    let mut shown_cut = None;
    let clocks = infos.iter().filter_map(|answer| Some(answer.said.as_ref().ok()?.0.reached()));
    if let (None, Some(latest)) = (&failure, cuts::latest(clocks)) {
        match cut(context, latest).await {
            Ok(cut) => {
                text.push_str(&context.paint.words(cut.in_words(context)));
                if !cut.adds_up {
                    failure = Some(Failure::Own("the banks' totals do not add up".into()));
                }
                shown_cut = Some(cut);
            }
            Err(error) => {
                text.push_str(&context.paint.words(format!("No sum of all money: {error}\n")));
                failure = Some(error);
            }
        }
    }
    let banks = infos.iter().map(|answer| BankDocument {
        bank: answer.bank,
        address: &answer.address,
        online: answer.said.is_ok(),
        info: answer.said.as_ref().ok().map(|(_, json, _)| &**json),
        links: answer.said.as_ref().ok().map(|(_, _, links)| &*links.json),
    });
    let error = failure.as_ref().map(ErrorPart::of);
    let document = StatusDocument { banks: banks.collect(), cut: shown_cut.as_ref(), error };
    Shown::new(text, &document).failing(failure)
}

/// A row for each bank.
fn table(context: &Context, infos: &[Answer<(InfoView, Box<RawValue>, Links)>]) -> String {
    let headings = [
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
    let rows = infos.iter().map(|answer| match &answer.said {
        Ok((view, _, links)) => vec![
            plain(answer.bank),
            plain(&answer.address),
            (Tone::Good, format!("online {}", view.version)),
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
            let state = (Tone::Bad, failure.state().into());
            let mut row = vec![plain(answer.bank), plain(&answer.address), state];
            row.resize(headings.len(), plain(""));
            row
        }
    });
    context.paint.table(&headings, &headings[3..], rows.collect())
}

/// A line for each bank whose commit times are not those of its machine's clock.
fn clock_lines(context: &Context, infos: &[Answer<(InfoView, Box<RawValue>, Links)>]) -> String {
    let mut text = String::new();
    for answer in infos {
        let Ok((InfoView { wall: Some(wall), time, .. }, ..)) = &answer.said else { continue };
        if let Some(apart) = clock::apart(*time, *wall) {
            let line = format!("bank {}: {apart}", answer.bank);
            text.push_str(&format!("{}\n", context.paint.text(Tone::Open, &line)));
        }
    }
    text
}

/// Asks all banks for the same time and adds up.
///
/// # Errors
/// When one of them can't be reached or refuses, or when a bank that left may hold what is missing.
pub async fn cut(context: &Context, at: Reached) -> Result<Cut, Failure> {
    let banks = asking::these_banks(context, None);
    let Reached { time, reading } = at;
    let request =
        &Request::Read(Read::Snapshot { time: Some(time), reading, accounts: false, after: None });
    let answers = asking::ask_each(context, &banks, |bank| async move {
        let json = asking::ask(context, bank, request).await?;
        Ok(BankCut::of(asking::read(bank, &json)?))
    })
    .await;
    let told: Result<Vec<BankCut>, Failure> =
        answers.into_iter().map(|answer| answer.said).collect();
    context.dial.met.all_are_named(context.dial.places)?;
    let judged = cuts::judged(context, false, &told?);
    if let Some(why) = judged.left_in_words() {
        return Err(Failure::Doubt(why.to_owned()));
    }
    Ok(Cut {
        time,
        balance_total: judged.total.balance_total,
        cash_in_total: judged.total.cash_in_total,
        cash_out_total: judged.total.cash_out_total,
        adds_up: judged.holds(),
    })
}

impl Cut {
    fn in_words(&self, context: &Context) -> String {
        let (tone, verdict) = if self.adds_up {
            (Tone::Good, "it adds up")
        } else {
            (Tone::Bad, "IT DOES NOT ADD UP")
        };
        format!(
            "Money of all banks as of {}: {} = cash in {} - cash out {}; {}\n",
            utc(self.time),
            Total(self.balance_total),
            Total(self.cash_in_total),
            Total(self.cash_out_total),
            context.paint.text(tone, verdict)
        )
    }
}

/// PENDING as banks tell it.
#[derive(Deserialize)]
pub struct PendingView {
    /// Its id.
    pub tx: String,
    /// When this bank voted OK.
    pub since: Time,
    /// Banks that it waits for.
    pub waiting_for: Vec<u8>,
    /// What the transaction does.
    pub ops: Option<Vec<OpView>>,
    /// Does an outside coordinator decide it?
    #[serde(default)]
    pub outside: bool,
}

/// HISTORY as banks tell it.
#[derive(Deserialize)]
struct HistoryView {
    tx: String,
    outcome: String,
    time: Time,
    reason: Option<String>,
    ops: Option<Vec<OpView>>,
}

/// An operation as banks tell it; what it has not is empty.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct OpView {
    /// Where.
    pub bank: u8,
    /// What.
    pub op: String,
    /// The account.
    #[serde(default)]
    pub account: String,
    /// The holder that was named.
    #[serde(default)]
    pub cpf: String,
    /// The amount in centavos.
    #[serde(default)]
    pub amount: i64,
    /// The register.
    #[serde(default)]
    pub key: String,
    #[serde(default)]
    value: String,
}

/// Operations in one line: `0/12345-6 debit R$ 1,00 · 1/…`.
fn in_words(paint: Paint, ops: &Option<Vec<OpView>>) -> String {
    let words = ops.iter().flatten().map(|op| match op.op.as_str() {
        "set" => format!("{}: {}={}", op.bank, op.key, op.value),
        word => format!("{}/{} {word} {}", op.bank, op.account, paint.money(op.amount).1),
    });
    words.collect::<Vec<_>>().join(" · ")
}

/// What each bank tells of its undecided transactions.
pub async fn pending_of_all(context: &Context) -> Vec<Answer<Vec<Box<RawValue>>>> {
    let request =
        |after: Option<&str>| Ok(Request::Read(Read::Pending { after: after_tx(after)? }));
    let banks = asking::these_banks(context, None);
    asking::ask_each(context, &banks, |bank| asking::ask_list(context, bank, request)).await
}

/// `pending`
pub async fn pending(context: &Context) -> Shown {
    let answers = pending_of_all(context).await;
    let mut rows = Vec::new();
    for (bank, view) in views::<PendingView>(&answers) {
        let keepers: Vec<String> = view.waiting_for.iter().map(u8::to_string).collect();
        rows.push(vec![
            plain(bank),
            plain(&view.tx),
            context.paint.time(view.since),
            (
                Tone::Open,
                match keepers.is_empty() {
                    false => format!("bank {}", keepers.join(", ")),
                    true if view.outside => "its outside coordinator".into(),
                    true => "its driver".into(),
                },
            ),
            plain(in_words(context.paint, &view.ops)),
        ]);
    }
    let mut text = if rows.is_empty() && !context.paint.is_rows() {
        "no undecided transaction at the banks that answered\n".to_owned()
    } else {
        context.paint.table(&["bank", "transaction", "since", "waits for", "operations"], &[], rows)
    };
    text.push_str(&asking::silent_lines(context, &answers));
    Shown::new(text, &answers_document(&answers)).failing(asking::first_failure(&answers))
}

/// `history`
pub async fn history(context: &Context, count: usize, bank: Option<BankId>) -> Shown {
    let request = |after: Option<&str>| {
        Ok(Request::Read(Read::History { count: Some(count), after: after_tx(after)? }))
    };
    let banks = asking::these_banks(context, bank);
    let mut answers =
        asking::ask_each(context, &banks, |bank| asking::ask_list(context, bank, request)).await;
    for answer in &mut answers {
        if let Ok(items) = &mut answer.said {
            items.truncate(count);
        }
    }
    let mut newest = merged(views::<HistoryView>(&answers));
    newest.sort_by_key(|(view, _)| std::cmp::Reverse(view.time));
    newest.truncate(count);
    let rows = newest.into_iter().map(|(view, banks)| {
        let tone =
            if view.outcome.eq_ignore_ascii_case("committed") { Tone::Good } else { Tone::Bad };
        let banks: Vec<String> = banks.iter().map(BankId::to_string).collect();
        vec![
            context.paint.time(view.time),
            plain(&view.tx),
            (tone, view.outcome),
            plain(view.reason.unwrap_or_default()),
            plain(banks.join(",")),
            plain(in_words(context.paint, &view.ops)),
        ]
    });
    let headings = ["time", "transaction", "outcome", "reason", "banks", "operations"];
    let mut text = context.paint.table(&headings, &[], rows.collect());
    text.push_str(&asking::silent_lines(context, &answers));
    Shown::new(text, &answers_document(&answers)).failing(asking::first_failure(&answers))
}

/// Transactions, each with the banks that told of it.
type Merged = Vec<(HistoryView, Vec<BankId>)>;

/// A transaction stands in one row, with all banks that told the same of it: the same operations,
/// which are at the same banks, and the same outcome. Other operations under its id are another
/// transaction; a bank that was asked to refuse before it knew them tells none.
fn merged(told: impl Iterator<Item = (BankId, HistoryView)>) -> Merged {
    let mut of: BTreeMap<(String, String), Merged> = BTreeMap::new();
    for (bank, view) in told {
        let same_id = of.entry((view.tx.clone(), view.outcome.clone())).or_default();
        let is_same = |known: &HistoryView| match (&known.ops, &view.ops) {
            (Some(known), Some(told)) => known == told,
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

fn after_tx(after: Option<&str>) -> Result<Option<TxId>, Failure> {
    after.map(TxId::new).transpose().map_err(|error| Failure::Own(format!("a page's key: {error}")))
}

/// The items of those lists that were answered, each with its bank.
pub fn views<T: serde::de::DeserializeOwned>(
    answers: &[Answer<Vec<Box<RawValue>>>],
) -> impl Iterator<Item = (BankId, T)> {
    answers.iter().flat_map(|answer| {
        let items = answer.said.iter().flatten();
        items.filter_map(|item| Some((answer.bank, asking::read(answer.bank, item.get()).ok()?)))
    })
}
