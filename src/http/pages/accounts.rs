//! The pages «Contas»: all accounts of this bank with a search, and the statement of one account
//! with its running balance.

use crate::answers;
use crate::app::{App, unforeseen};
use crate::clients::{accounts_of, key};
use crate::fields::number;
use crate::pages::home::newest_events;
use crate::pages::show::{change, op_words, page, tax_id, when};
use crate::pages::visit::{Visit, encoded};
use crate::problem::Problem;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use consorcio_core::access::Privilege;
use consorcio_core::ids::{AccountNumber, BankId, ClientName, TaxId};
use consorcio_core::limits::{HISTORY_MAX, PANEL_ACCOUNTS_MAX, PANEL_STATEMENT_TRIES_MAX};
use consorcio_core::money::{Money, Total};
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::{AccountAnswer, ClientAnswer, HistoryAnswer};
use consorcio_core::wire::request::{Read, Request};
use consorcio_panel::frame::Page;
use consorcio_panel::pages::{Accounts, Statement};
use consorcio_panel::views::{AccountRow, EntryView};
use std::collections::BTreeMap;

/// `GET /painel/contas`: all accounts, or those that match.
pub(crate) async fn accounts(State(app): State<App>, visit: Visit) -> Response {
    page(list(&app, &visit).await, &app, &visit)
}

async fn list(app: &App, visit: &Visit) -> Result<Accounts, Problem> {
    let f = visit.frame(app, Page::Accounts).await?;
    let _permit = app.list_permit().await?;
    let names = names(app, visit).await?;
    let search = visit.query("busca").trim().to_owned();
    let after = visit.query("depois");
    let mut all = Vec::new();
    for cpf in holders(app) {
        all.extend(accounts_of(app, visit.peer, cpf.as_ref(), unforeseen).await?);
    }
    // A joint account is there for each of its holders.
    all.sort_by(|one, other| one.number.cmp(&other.number));
    all.dedup_by(|one, other| one.number == other.number);
    let mut found: Vec<AccountRow> = all
        .into_iter()
        .filter(|account| after.is_empty() || account.number.as_str() > after)
        .map(|account| row(&account, &names))
        .filter(|row| matches(row, &search))
        .take(PANEL_ACCOUNTS_MAX + 1)
        .collect();
    let next = (found.len() > PANEL_ACCOUNTS_MAX).then(|| {
        found.truncate(PANEL_ACCOUNTS_MAX);
        let last = found.last().map_or("", |row| row.number.as_str());
        format!("/painel/contas?busca={}&depois={}", encoded(&search), encoded(last))
    });
    Ok(Accounts { f, search, rows: found, next })
}

/// Whose accounts the visitor may list: everybody's (`None`), or those of each own CPF.
fn holders(app: &App) -> Vec<Option<TaxId>> {
    if app.has(Privilege::Lists) {
        return vec![None];
    }
    let access = app.access().get();
    let name = app.asker().name();
    let grant = name.and_then(|name| access.grant(name.as_str()).cloned());
    grant.into_iter().flat_map(|grant| grant.cpfs).map(Some).collect()
}

/// The names of this bank's clients, by CPF; none for a visitor who may not list them.
async fn names(app: &App, visit: &Visit) -> Result<BTreeMap<TaxId, ClientName>, Problem> {
    if !app.has(Privilege::Lists) {
        return Ok(BTreeMap::new());
    }
    let request =
        |after: Option<String>| Ok(Request::Read(Read::Clients { after: key(after, TaxId::new)? }));
    let clients: Vec<ClientAnswer<'static>> = app.list(visit.peer, request, unforeseen).await?;
    let named = clients.into_iter();
    Ok(named.map(|client| (client.cpf.into_owned(), client.name.into_owned())).collect())
}

fn row(account: &AccountAnswer<'static>, names: &BTreeMap<TaxId, ClientName>) -> AccountRow {
    let holder = |cpf: &TaxId| {
        (names.get(cpf).map_or_else(String::new, ClientName::to_string), tax_id(cpf.as_str()))
    };
    AccountRow {
        number: account.number.to_string(),
        holders: account.holders.iter().map(holder).collect(),
        balance: account.balance,
        held: account.held,
    }
}

/// Does the account's number, or a holder's name or CPF contain `search`, in any case?
fn matches(row: &AccountRow, search: &str) -> bool {
    let search = search.to_lowercase();
    let digits: String = search.chars().filter(|c| !matches!(c, '.' | '-' | '/' | ' ')).collect();
    let plain = |cpf: &str| {
        cpf.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    row.number.to_lowercase().contains(&search)
        || row.holders.iter().any(|(name, cpf)| {
            name.to_lowercase().contains(&search)
                || (!digits.is_empty() && plain(cpf).contains(&digits))
        })
}

/// `GET /painel/contas/<numero>`: the statement of an account.
pub(crate) async fn statement(
    State(app): State<App>,
    visit: Visit,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let given = path.map(|Path(given)| given).unwrap_or_default();
    page(statement_of(&app, &visit, &given).await, &app, &visit)
}

async fn statement_of(app: &App, visit: &Visit, given: &str) -> Result<Statement, Problem> {
    let f = visit.frame(app, Page::Accounts).await?;
    let missing = || Problem::new(StatusCode::NOT_FOUND, visit.t().no_such_account);
    let number = number(given).ok_or_else(missing)?;
    let names = names(app, visit).await?;
    let (account, events) = account_and_events(app, visit, &number, missing).await?;
    let AccountAnswer { available, incoming, balance, .. } = account;
    let complete = events.len() < HISTORY_MAX;
    let (mut entries, rest) = entries(visit, app.bank(), &number, balance, &events);
    if complete && rest.0 != 0 {
        // The rest is the deposit with which the account was opened.
        let t = visit.t();
        let when = account.created.map_or_else(String::new, |opened| when(visit.lang, opened));
        entries.push(EntryView { when, tx: None, what: t.opening, amount: rest, after: rest });
    }
    let before = (!complete).then_some(rest);
    Ok(Statement { f, account: row(&account, &names), available, incoming, entries, before })
}

/// The account and its newest outcomes as of one moment: no transaction was decided between the two
/// reads.
async fn account_and_events(
    app: &App,
    visit: &Visit,
    number: &AccountNumber,
    missing: impl Fn() -> Problem,
) -> Result<(AccountAnswer<'static>, Vec<HistoryAnswer<'static>>), Problem> {
    let refused = |reason: Reason, text: String| match reason {
        Reason::UnknownAccount => missing(),
        other => unforeseen(other, text),
    };
    let mut tries = 0;
    loop {
        let events = newest_history(app, visit).await?;
        let json =
            app.done(visit.peer, Request::Read(Read::Balance(number.clone())), refused).await?;
        let newest = newest_events(app, visit, 1).await?;
        tries += 1;
        let same = newest.first().map(|event| &event.tx) == events.first().map(|event| &event.tx);
        // Under steady load the two reads never agree. Then the balance is right, and the entries
        // are slightly older.
        if same || tries == PANEL_STATEMENT_TRIES_MAX {
            return Ok((answers::read(&json)?, events));
        }
    }
}

/// All outcomes in memory, newest first.
async fn newest_history(app: &App, visit: &Visit) -> Result<Vec<HistoryAnswer<'static>>, Problem> {
    let request = |after: Option<String>| {
        Ok(Request::Read(Read::History {
            count: None,
            after: key(after, consorcio_core::ids::TxId::new)?,
        }))
    };
    app.list(visit.peer, request, unforeseen).await
}

/// The entries of the account, newest first, and the balance before the oldest of them.
fn entries(
    visit: &Visit,
    bank: BankId,
    number: &AccountNumber,
    balance: Money,
    events: &[HistoryAnswer<'static>],
) -> (Vec<EntryView>, Total) {
    let mut after = Total(balance.wide());
    let mut entries = Vec::new();
    for event in events.iter().filter(|event| event.is_committed()) {
        let ops = event.ops.as_deref().unwrap_or_default();
        let own = ops.iter().filter(|op| op.bank == bank && op.account.as_deref() == Some(number));
        // The last operation is the newest.
        for op in own.rev() {
            let Some(amount) = change(op) else { continue };
            entries.push(EntryView {
                when: when(visit.lang, event.time),
                tx: Some(event.tx.to_string()),
                what: op_words(visit.lang, &op.op),
                amount,
                after,
            });
            after = Total(after.0 - amount.0);
        }
    }
    (entries, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_numbers_names_and_cpfs() {
        let row = AccountRow {
            number: "12345-6".into(),
            holders: vec![("Maria Souza".into(), "111.222.333-44".into())],
            balance: Money(0),
            held: Money(0),
        };
        for found in ["", "345", "12345-6", "maria", "SOUZA", "111.222", "11122233344", "333-44"] {
            assert!(matches(&row, found), "{found}");
        }
        for not in ["x", "99", "maria x", "--"] {
            assert!(!matches(&row, not), "{not}");
        }
    }
}
