//! The commands about registers, clients and accounts: one request to a bank or to all banks.

use super::Context;
use super::failure::Failure;
use super::language::say;
use super::output::{CommandOutput, ErrorPart, Tone, plain};
use super::requests::{self, AnswerOf};
use super::table::TableLayout;
use super::typed::Account;
use consorcio_client::{Client, read};
use consorcio_core::ids::{AccountNumber, BankId, ClientKind, ClientName, RegisterKey, TaxId};
use consorcio_core::money::Money;
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::{AccountAnswer, ClientAnswer, RegisterAnswer};
use consorcio_core::wire::request::{NewAccount, NewClient, Read, Request};
use serde::Serialize;
use serde_json::value::RawValue;

/// The answer of a bank, for programs: `answer` or `error`.
#[derive(Serialize)]
pub(crate) struct AnswerDocument<'a, T> {
    bank: BankId,
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

/// The answers of all banks, for programs.
pub(crate) fn answers_document<T>(answers: &[AnswerOf<T>]) -> Vec<AnswerDocument<'_, T>> {
    answers.iter().map(AnswerDocument::of).collect()
}

impl<'a, T> AnswerDocument<'a, T> {
    fn of(answer: &'a AnswerOf<T>) -> AnswerDocument<'a, T> {
        AnswerDocument {
            bank: answer.bank,
            address: &answer.address,
            answer: answer.result.as_ref().ok(),
            error: answer.result.as_ref().err().map(ErrorPart::of),
        }
    }
}

/// Parses a bank's answer as a `RawValue`, so that programs get it unchanged.
pub(crate) fn raw(context: &Context, bank: BankId, json: &str) -> Result<Box<RawValue>, Failure> {
    requests::read(context, bank, json)
}

/// `get`: shows the register at each bank.
pub(crate) async fn get(context: &Context, key: RegisterKey) -> CommandOutput {
    let banks = requests::these_banks(context, None);
    let request = &Request::Read(Read::Value(key.clone()));
    let answers: Vec<AnswerOf<Box<RawValue>>> =
        requests::ask_each(context, &banks, async |client: &Client, bank| {
            read(bank, &client.ask(bank, request).await?)
        })
        .await;
    let rows = answers.iter().map(|answer| match &answer.result {
        Ok(json) => {
            match requests::read::<RegisterAnswer<'static>>(context, answer.bank, json.get()) {
                Ok(view) => vec![
                    plain(answer.bank),
                    plain(&answer.address),
                    (Tone::Good, view.value.into_owned()),
                ],
                Err(failure) => requests::silent_row(answer, &failure),
            }
        }
        Err(failure) => requests::silent_row(answer, failure),
    });
    let text = context.paint.table(&["bank", "address", key.as_str()], &[], rows.collect());
    CommandOutput::new(text, &answers_document(&answers))
        .with_failure(requests::first_failure(&answers))
}

/// `client add`: registers a client at a bank.
pub(crate) async fn add_client(
    context: &Context,
    bank: BankId,
    cpf: TaxId,
    name: ClientName,
    kind: ClientKind,
) -> CommandOutput {
    let request = Request::Client(NewClient { cpf, name, kind });
    let asked = requests::ask(context, bank, &request).await;
    match asked.and_then(|json| Ok((raw(context, bank, &json)?, json))) {
        Ok((raw, json)) => match requests::read::<ClientAnswer<'static>>(context, bank, &json) {
            Ok(view) => {
                let ClientAnswer { kind, name, cpf, .. } = &view;
                let done = say!(
                    "bank {bank} knows {kind} {name} ({cpf})"
                        / "o banco {bank} conhece {kind} {name} ({cpf})"
                );
                let text = if context.paint.is_rows() {
                    client_table(context, vec![client_row(bank, view)])
                } else {
                    format!("{done}\n")
                };
                CommandOutput::new(text, &raw).with_done(done)
            }
            Err(failure) => failure.into(),
        },
        Err(failure) => failure.into(),
    }
}

/// `account open`: opens an account at a bank.
pub(crate) async fn open_account(
    context: &Context,
    account: Account,
    holders: Vec<TaxId>,
    deposit: Option<Money>,
) -> CommandOutput {
    let deposit = deposit.unwrap_or(Money::ZERO);
    let Account { bank, number } = account;
    let name = number.to_string();
    let request = Request::Account(NewAccount { number, holders, deposit });
    let done = say!("account {bank}/{name} is open" / "a conta {bank}/{name} está aberta");
    let output = one_account(context, bank, &request).await;
    if output.failure.is_none() { output.with_done(done) } else { output }
}

/// `balance`: shows an account.
pub(crate) async fn balance(context: &Context, account: Account) -> CommandOutput {
    one_account(context, account.bank, &Request::Read(Read::Balance(account.number))).await
}

async fn one_account(context: &Context, bank: BankId, request: &Request) -> CommandOutput {
    let answered = requests::ask(context, bank, request).await;
    let read = answered.and_then(|json| {
        let view = requests::read::<AccountAnswer<'static>>(context, bank, &json)?;
        Ok((raw(context, bank, &json)?, view))
    });
    match read {
        Ok((json, view)) => CommandOutput::new(
            account_table(context, vec![account_row(context, bank, view)]),
            &json,
        ),
        Err(failure) => failure.into(),
    }
}

/// `accounts`: lists accounts, of all banks or of one client.
pub(crate) async fn accounts(
    context: &Context,
    bank: Option<BankId>,
    cpf: &Option<TaxId>,
) -> CommandOutput {
    let request = |after: Option<&str>| {
        let after = after.map(AccountNumber::new).transpose()?;
        Ok(Request::Read(Read::Accounts { cpf: cpf.clone(), after }))
    };
    let banks = requests::these_banks(context, bank);
    let mut answers = requests::ask_lists(context, &banks, request).await;
    if bank.is_none() {
        // A person need not be a client of every bank: it is an error only if no bank knows the
        // person.
        let nowhere = answers.iter().all(|answer| is_unknown_client(&answer.result));
        let without =
            answers.iter_mut().filter(|answer| !nowhere && is_unknown_client(&answer.result));
        without.for_each(|answer| answer.result = Ok(Vec::new()));
    }
    let rows = requests::views::<AccountAnswer<'static>>(&answers);
    let rows = rows.map(|(bank, view)| account_row(context, bank, view));
    let mut text = account_table(context, rows.collect());
    text.push_str(&requests::silent_lines(context, &answers));
    CommandOutput::new(text, &answers_document(&answers))
        .with_failure(requests::first_failure(&answers))
}

fn is_unknown_client<T>(result: &Result<T, Failure>) -> bool {
    matches!(result, Err(Failure::Refused { reason: Some(Reason::UnknownClient), .. }))
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
    let layout = TableLayout {
        headings: &["account", "balance", "held", "available", "incoming", "holders"],
        right: &["balance", "held", "available", "incoming"],
        below: Some("holders"),
        spare: &["incoming", "held"],
    };
    context.paint.table_of(&layout, rows)
}

fn client_row(bank: BankId, view: ClientAnswer<'static>) -> Vec<(Tone, String)> {
    vec![plain(bank), plain(view.cpf), plain(view.name), plain(view.kind)]
}

fn client_table(context: &Context, rows: Vec<Vec<(Tone, String)>>) -> String {
    context.paint.table(&["bank", "cpf", "name", "kind"], &[], rows)
}

/// `clients`: lists the clients of banks.
pub(crate) async fn clients(context: &Context, bank: Option<BankId>) -> CommandOutput {
    let request = |after: Option<&str>| {
        let after = after.map(TaxId::new).transpose()?;
        Ok(Request::Read(Read::Clients { after }))
    };
    let banks = requests::these_banks(context, bank);
    let answers = requests::ask_lists(context, &banks, request).await;
    let rows = requests::views::<ClientAnswer<'static>>(&answers)
        .map(|(bank, view)| client_row(bank, view));
    let mut text = client_table(context, rows.collect());
    text.push_str(&requests::silent_lines(context, &answers));
    CommandOutput::new(text, &answers_document(&answers))
        .with_failure(requests::first_failure(&answers))
}
