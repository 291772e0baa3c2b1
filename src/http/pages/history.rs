//! Histórico: outcomes with their filter and pages; and one transaction with participants, votes and timeline.

use crate::http::answers::{Event, Op, Pending, read_page};
use crate::http::app::{App, unforeseen};
use crate::http::lines;
use crate::http::pages::home::pending_row;
use crate::http::pages::pending::pending_list;
use crate::http::pages::show::{event_row, legs, moved, page, summary, takes, when};
use crate::http::pages::visit::{Visit, encoded};
use crate::http::problem::{Problem, text_of};
use crate::http::timeline;
use crate::ids::{BankId, TxId};
use crate::panel::details;
use crate::panel::frame::Page;
use crate::panel::pages::{History, Transaction};
use crate::panel::texts::{Texts, reason_words};
use crate::panel::views::{State as TxState, TxRow, VoteView};
use crate::trace::{Look, Timeline, duration};
use crate::wire::reply::Reply;
use crate::wire::request::Request;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Transactions on one page.
const PER_PAGE: usize = 50;

/// `GET /painel/historico`
pub async fn history(State(app): State<App>, visit: Visit) -> Response {
    page(list(&app, &visit).await, &app, &visit)
}

async fn list(app: &App, visit: &Visit) -> Result<History, Problem> {
    let (f, _) = visit.frame(app, Page::History).await?;
    let _turn = app.list_turn().await;
    let states = [TxState::Committed, TxState::Aborted, TxState::Undecided];
    let filter = states.into_iter().find(|state| state.class() == visit.query("situacao"));
    let after = TxId::new(visit.query("depois")).ok();
    let first = after.is_none();
    let mut rows: Vec<TxRow> = Vec::new();
    if first && filter != Some(TxState::Committed) && filter != Some(TxState::Aborted) {
        let pending = pending_list(app, visit).await?;
        rows.extend(pending.iter().rev().map(|pending| pending_row(visit.lang, pending)));
    }
    let mut next = None;
    if filter != Some(TxState::Undecided) {
        let wanted = |row: &TxRow| filter.is_none_or(|filter| filter == row.state);
        let mut after = after;
        'pages: loop {
            let request = Request::History { count: None, after };
            // The bank lists its newest thousand; a page that begins behind them is empty.
            let Ok(json) = app.done(visit.peer, request, unforeseen).await else { break };
            let events = read_page::<Event>(&json)?;
            for event in events.items {
                let row = event_row(visit.lang, &event);
                if !wanted(&row) || rows.iter().any(|known| known.tx == row.tx) {
                    continue;
                }
                if rows.len() >= PER_PAGE {
                    next = rows.last().map(|row| row.tx.clone());
                    break 'pages;
                }
                rows.push(row);
            }
            match events.next.map(|next| TxId::new(&next)) {
                Some(Ok(next)) => after = Some(next),
                Some(Err(_)) | None => break,
            }
        }
    }
    let next = next.map(|tx| {
        let filter = filter.map_or(String::new(), |filter| format!("situacao={}&", filter.class()));
        format!("/painel/historico?{filter}depois={}", encoded(&tx))
    });
    Ok(History { f, filter, rows, first, next })
}

/// `GET /painel/transacoes/<tx>`
pub async fn transaction(
    State(app): State<App>,
    visit: Visit,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let given = path.map(|Path(given)| given).unwrap_or_default();
    page(details(&app, &visit, &given).await, &app, &visit)
}

async fn details(app: &App, visit: &Visit, given: &str) -> Result<Transaction, Problem> {
    let (f, _) = visit.frame(app, Page::History).await?;
    let tx = TxId::new(given)
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "Este identificador não é de transação"))?;
    let votes = lines::statuses(app, visit.peer, &tx).await;
    let known = find(app, visit, &tx).await?;
    let ops = known.as_ref().and_then(|known| known.ops.clone());
    let detail = known.as_ref().and_then(|known| known.refusal.clone());
    let mut row = match known {
        Some(known) => known.row,
        None => unlisted(visit, &tx, &votes),
    };
    // Whoever just confirmed it waits for its votes; it is not unknown to him.
    if row.state == TxState::Unknown && visit.query("novo") == "1" {
        row.state = TxState::Undecided;
    }
    let votes = votes_of(app, visit.t(), ops.as_deref(), &votes);
    let told = timeline::of(app, &tx).await;
    let again = ops.as_deref().filter(|_| row.state == TxState::Aborted).and_then(again);
    Ok(Transaction {
        f,
        legs: ops.map(|ops| legs(app, visit.lang, &ops)),
        votes,
        detail,
        picture: told.as_ref().map(|told| picture_path(&tx, told)),
        steps: told.as_ref().map(steps).unwrap_or_default(),
        again,
        row,
    })
}

/// What lists say of a transaction.
struct Known {
    row: TxRow,
    ops: Option<Vec<Op>>,
    /// Who refused, and in which words.
    refusal: Option<String>,
}

/// Looks among this bank's undecided and newest transactions, and where it takes no part, among the others'.
async fn find(app: &App, visit: &Visit, tx: &TxId) -> Result<Option<Known>, Problem> {
    let pending = pending_list(app, visit).await?;
    if let Some(pending) = pending.into_iter().find(|pending| pending.tx == tx.as_str()) {
        return Ok(Some(Known::pending(visit, pending)));
    }
    let request = |after: Option<String>| {
        Ok(Request::History { count: None, after: crate::http::clients::key(after, TxId::new)? })
    };
    let events: Vec<Event> = app.list(visit.peer, request, unforeseen).await?;
    if let Some(event) = events.into_iter().find(|event| event.tx == tx.as_str()) {
        return Ok(Some(Known::event(visit, event)));
    }
    for reply in lines::ask_others(app, &Request::History { count: None, after: None }).await {
        let (_, Some(Reply::Done(json))) = reply else { continue };
        let events = read_page::<Event>(&json)?.items;
        if let Some(event) = events.into_iter().find(|event| event.tx == tx.as_str()) {
            return Ok(Some(Known::event(visit, event)));
        }
    }
    Ok(None)
}

impl Known {
    fn pending(visit: &Visit, pending: Pending) -> Known {
        Known { row: pending_row(visit.lang, &pending), ops: pending.ops, refusal: None }
    }

    fn event(visit: &Visit, event: Event) -> Known {
        let words = details::first_words(visit.lang, &event.text);
        let refusal = event.by.map(|by| {
            let bank = format!("{} {by}", visit.t().bank);
            if words.is_empty() { bank } else { format!("{bank}: {words}") }
        });
        Known { row: event_row(visit.lang, &event), ops: event.ops, refusal }
    }
}

/// What the banks' own words say of a transaction that no list has (any more).
fn unlisted(visit: &Visit, tx: &TxId, votes: &[(BankId, Option<Reply>)]) -> TxRow {
    let mut row = TxRow {
        tx: tx.to_string(),
        when: String::new(),
        state: TxState::Unknown,
        reason: None,
        summary: summary(&[]),
        amount: moved(&[]),
    };
    for (_, reply) in votes {
        match reply {
            Some(Reply::Committed(_, time, _)) => {
                (row.state, row.when) = (TxState::Committed, when(visit.lang, time.0));
                return row;
            }
            Some(Reply::Aborted(_, token, reason)) => {
                row.state = TxState::Aborted;
                row.reason = Some(reason_words(visit.lang, *reason));
                row.when = when(visit.lang, token.time.0);
                return row;
            }
            Some(Reply::Ok(..)) => row.state = TxState::Undecided,
            _ => (),
        }
    }
    row
}

fn votes_of(
    app: &App,
    t: &'static Texts,
    ops: Option<&[Op]>,
    votes: &[(BankId, Option<Reply>)],
) -> Vec<VoteView> {
    let named = |bank: BankId| ops.is_none_or(|ops| ops.iter().any(|op| op.bank == bank.as_u8()));
    let shown = votes
        .iter()
        .filter(|(bank, reply)| named(*bank) && (ops.is_some() || !matches!(reply, Some(Reply::Unknown(_)))));
    shown
        .map(|(bank, reply)| {
            let (words, class) = match reply {
                Some(Reply::Ok(..) | Reply::Committed(..)) => (t.vote_ok, "ok"),
                Some(Reply::Aborted(_, token, _)) if token.bank == *bank => (t.vote_nok, "nok"),
                Some(Reply::Aborted(..)) => (t.aborted, "nok"),
                Some(Reply::Unknown(_)) => (t.vote_waiting, "espera"),
                Some(_) | None => (t.vote_silent, "espera"),
            };
            let address = app.places().get(bank.index()).cloned().unwrap_or_default();
            VoteView { bank: bank.as_u8(), address, words, class }
        })
        .collect()
}

/// The form with the same participants, where the transaction is one that the form makes.
fn again(ops: &[Op]) -> Option<String> {
    let (destination, sources) = ops.split_last()?;
    let fits = destination.op == "credit"
        && !sources.is_empty()
        && sources.iter().all(|op| op.op == "debit" && takes(op));
    if !fits {
        return None;
    }
    let mut query = String::from("/painel/transacao?");
    let text = |value: &Option<String>| encoded(value.as_deref().unwrap_or(""));
    for op in sources {
        let amount = crate::money::Total(i128::from(op.amount?)).to_string();
        let amount = encoded(amount.trim_start_matches("R$ "));
        query.push_str(&format!(
            "banco={}&cpf={}&numero={}&valor={amount}&",
            op.bank,
            text(&op.cpf),
            text(&op.account)
        ));
    }
    let (bank, cpf, account) = (destination.bank, text(&destination.cpf), text(&destination.account));
    query.push_str(&format!("destino_banco={bank}&destino_cpf={cpf}&destino_numero={account}"));
    Some(query)
}

/// Where the picture is. It has more to show with each event, so its path says how many there are: a page that looks
/// again shows the new one.
fn picture_path(tx: &TxId, told: &Timeline) -> String {
    format!("/painel/transacoes/{tx}/passos.svg?eventos={}", told.events.len())
}

/// The events as text: when since the beginning, where, what.
fn steps(told: &Timeline) -> Vec<(String, String, String)> {
    let of_tx = told.events.iter().filter(|event| event.of_tx);
    let step = |event: &crate::trace::Event| {
        let lane = told.lanes.get(event.lane).map_or("", |lane| lane.name.as_str());
        (duration(event.at_us), lane.to_owned(), format!("{} {}", event.event, event.detail))
    };
    of_tx.map(step).collect()
}

/// `GET /painel/transacoes/<tx>/passos.svg`: the picture of its steps.
pub async fn picture(
    State(app): State<App>,
    visit: Visit,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let _ = visit;
    let given = path.map(|Path(given)| given).unwrap_or_default();
    let missing = || Problem::new(StatusCode::NOT_FOUND, "Não há passos desta transação").into_response();
    let Ok(tx) = TxId::new(&given) else { return missing() };
    match timeline::of(&app, &tx).await {
        Some(told) => {
            let mut response = text_of(StatusCode::OK, "image/svg+xml", told.svg(Look::Alone));
            let policy =
                axum::http::HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
            response.headers_mut().insert(axum::http::header::CONTENT_SECURITY_POLICY, policy);
            response
        }
        None => missing(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_form_makes_can_be_tried_again() {
        let op = |word: &str, account: &str, amount| Op {
            bank: 1,
            op: word.into(),
            account: Some(account.into()),
            cpf: Some("11111111111".into()),
            amount: Some(amount),
            key: None,
            value: None,
        };
        let link = again(&[op("debit", "1 2", 123_456), op("credit", "3", 123_456)]).unwrap();
        assert_eq!(
            link,
            "/painel/transacao?banco=1&cpf=11111111111&numero=1+2&valor=1.234%2C56&destino_banco=1&destino_cpf=11111111111&destino_numero=3"
        );
        assert_eq!(again(&[op("deposit", "1", 5)]), None);
        assert_eq!(again(&[op("credit", "1", 5), op("debit", "2", 5)]), None);
        assert_eq!(again(&[]), None);
    }
}
