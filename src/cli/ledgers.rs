//! The commands about registers, clients and accounts: one question to a bank or to all, and its
//! answer shown.

use super::Context;
use super::asking::{self, AnswerOf};
use super::failure::Failure;
use super::output::{ErrorPart, Shown, Tone, plain};
use super::typed::Account;
use consorcio_client::{Client, read};
use consorcio_core::ids::{AccountNumber, BankId, ClientKind, ClientName, RegisterKey, TaxId};
use consorcio_core::money::Money;
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::{AccountAnswer, ClientAnswer, RegisterAnswer};
use consorcio_core::wire::request::{NewAccount, NewClient, Read, Request};
use serde::Serialize;
use serde_json::value::RawValue;

/// What a bank answered, for programs: `answer` where it did, `error` where it did not.
#[derive(Serialize)]
pub struct AnswerDocument<'a, T> {
    bank: BankId,
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

/// What all banks answered, for programs.
pub fn answers_document<T>(answers: &[AnswerOf<T>]) -> Vec<AnswerDocument<'_, T>> {
    answers.iter().map(AnswerDocument::of).collect()
}

impl<'a, T> AnswerDocument<'a, T> {
    fn of(answer: &'a AnswerOf<T>) -> AnswerDocument<'a, T> {
        AnswerDocument {
            bank: answer.bank,
            address: &answer.address,
            answer: answer.said.as_ref().ok(),
            error: answer.said.as_ref().err().map(ErrorPart::of),
        }
    }
}

/// Reads what a bank answered into a `RawValue`, so that it can be shown to programs as it came.
pub fn raw(context: &Context, bank: BankId, json: &str) -> Result<Box<RawValue>, Failure> {
    asking::read(context, bank, json)
}

/// `get`: the register at each bank.
pub async fn get(context: &Context, key: RegisterKey) -> Shown {
    let banks = asking::these_banks(context, None);
    let request = &Request::Read(Read::Value(key.clone()));
    let answers: Vec<AnswerOf<Box<RawValue>>> =
        asking::ask_each(context, &banks, async |client: &Client, bank| {
            read(bank, &client.ask(bank, request).await?)
        })
        .await;
    let rows = answers.iter().map(|answer| match &answer.said {
        Ok(json) => match asking::read::<RegisterAnswer<'static>>(context, answer.bank, json.get())
        {
            Ok(view) => vec![
                plain(answer.bank),
                plain(&answer.address),
                (Tone::Good, view.value.into_owned()),
            ],
            Err(failure) => asking::silent_row(answer, &failure),
        },
        Err(failure) => asking::silent_row(answer, failure),
    });
    let text = context.paint.table(&["bank", "address", key.as_str()], &[], rows.collect());
    Shown::new(text, &answers_document(&answers)).failing(asking::first_failure(&answers))
}

/// `client add`
pub async fn add_client(
    context: &Context,
    bank: BankId,
    cpf: TaxId,
    name: ClientName,
    kind: ClientKind,
) -> Shown {
    let request = Request::Client(NewClient { cpf, name, kind });
    let asked = asking::ask(context, bank, &request).await;
    match asked.and_then(|json| Ok((raw(context, bank, &json)?, json))) {
        Ok((raw, json)) => match asking::read::<ClientAnswer<'static>>(context, bank, &json) {
            Ok(view) => {
                let done = format!("bank {bank} knows {} {} ({})", view.kind, view.name, view.cpf);
                let text = if context.paint.is_rows() {
                    client_table(context, vec![client_row(bank, view)])
                } else {
                    format!("{done}\n")
                };
                Shown::new(text, &raw).having(done)
            }
            Err(failure) => failure.into(),
        },
        Err(failure) => failure.into(),
    }
}

/// `account open`
pub async fn open_account(
    context: &Context,
    bank: BankId,
    number: AccountNumber,
    holders: Vec<TaxId>,
    deposit: Option<Money>,
) -> Shown {
    let deposit = deposit.unwrap_or(Money::ZERO);
    let shown = number.to_string();
    let request = Request::Account(NewAccount { number, holders, deposit });
    let done = format!("account {bank}/{shown} is open");
    let shown = one_account(context, bank, &request).await;
    if shown.failure.is_none() { shown.having(done) } else { shown }
}

/// `balance`
pub async fn balance(context: &Context, account: Account) -> Shown {
    one_account(context, account.bank, &Request::Read(Read::Balance(account.number))).await
}

async fn one_account(context: &Context, bank: BankId, request: &Request) -> Shown {
    let answered = asking::ask(context, bank, request).await;
    let read = answered.and_then(|json| {
        let view = asking::read::<AccountAnswer<'static>>(context, bank, &json)?;
        Ok((raw(context, bank, &json)?, view))
    });
    match read {
        Ok((json, view)) => {
            Shown::new(account_table(context, vec![account_row(context, bank, view)]), &json)
        }
        Err(failure) => failure.into(),
    }
}

/// `accounts`
pub async fn accounts(context: &Context, bank: Option<BankId>, cpf: Option<TaxId>) -> Shown {
    let cpf = &cpf;
    let request = |after: Option<&str>| {
        let after = after.map(AccountNumber::new).transpose()?;
        Ok(Request::Read(Read::Accounts { cpf: cpf.clone(), after }))
    };
    let banks = asking::these_banks(context, bank);
    let mut answers = asking::ask_lists(context, &banks, request).await;
    if bank.is_none() {
        // Nobody is a client of every bank; only to have none at all is an error then.
        let nowhere = answers.iter().all(|answer| is_unknown_client(&answer.said));
        let strangers =
            answers.iter_mut().filter(|answer| !nowhere && is_unknown_client(&answer.said));
        strangers.for_each(|answer| answer.said = Ok(Vec::new()));
    }
    let rows = asking::views::<AccountAnswer<'static>>(&answers);
    let rows = rows.map(|(bank, view)| account_row(context, bank, view));
    let mut text = account_table(context, rows.collect());
    text.push_str(&asking::silent_lines(context, &answers));
    Shown::new(text, &answers_document(&answers)).failing(asking::first_failure(&answers))
}

fn is_unknown_client<T>(said: &Result<T, Failure>) -> bool {
    matches!(said, Err(Failure::Refused { reason: Some(Reason::UnknownClient), .. }))
}

fn account_row(
    context: &Context,
    bank: BankId,
    view: AccountAnswer<'static>,
) -> Vec<(Tone, String)> {
    let money = |Money(centavos)| context.paint.money(centavos);
    vec![
        plain(format!("{bank}/{}", view.number)),
        money(view.balance),
        money(view.held),
        money(view.available),
        money(view.incoming),
        plain(view.holders.iter().map(TaxId::as_str).collect::<Vec<_>>().join(" ")),
    ]
}

fn account_table(context: &Context, rows: Vec<Vec<(Tone, String)>>) -> String {
    let headings = ["account", "balance", "held", "available", "incoming", "holders"];
    context.paint.table(&headings, &["balance", "held", "available", "incoming"], rows)
}

fn client_row(bank: BankId, view: ClientAnswer<'static>) -> Vec<(Tone, String)> {
    vec![plain(bank), plain(view.cpf), plain(view.name), plain(view.kind)]
}

fn client_table(context: &Context, rows: Vec<Vec<(Tone, String)>>) -> String {
    context.paint.table(&["bank", "cpf", "name", "kind"], &[], rows)
}

/// `clients`
pub async fn clients(context: &Context, bank: Option<BankId>) -> Shown {
    let request = |after: Option<&str>| {
        let after = after.map(TaxId::new).transpose()?;
        Ok(Request::Read(Read::Clients { after }))
    };
    let banks = asking::these_banks(context, bank);
    let answers = asking::ask_lists(context, &banks, request).await;
    let rows =
        asking::views::<ClientAnswer<'static>>(&answers).map(|(bank, view)| client_row(bank, view));
    let mut text = client_table(context, rows.collect());
    text.push_str(&asking::silent_lines(context, &answers));
    Shown::new(text, &answers_document(&answers)).failing(asking::first_failure(&answers))
}
