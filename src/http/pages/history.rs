//! The pages «Histórico»: outcomes with filter and pages, and one transaction with its
//! participants, votes and timeline.

use crate::answers::read_page;
use crate::app::{App, unforeseen};
use crate::clients::key;
use crate::history::{pending_one, pending_page};
use crate::lines;
use crate::outcome::claimed;
use crate::pages::home::pending_row;
use crate::pages::show::{event_row, legs, moved, page, summary, takes, when};
use crate::pages::visit::{Visit, encoded};
use crate::pages::votes::{Ballot, StatusReplies, ballots, refuses};
use crate::problem::{Problem, text_of};
use crate::timeline;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use consorcio_core::ids::{AccountNumber, BankId, TaxId, TxId};
use consorcio_core::limits::{HISTORY_MAX, PANEL_HISTORY_MAX, PANEL_HISTORY_PENDING_MAX};
use consorcio_core::wire::answer::{HistoryAnswer, OpAnswer, PendingAnswer};
use consorcio_core::wire::claims::Claim;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Read, Request};
use consorcio_core::wire::token::Digest;
use consorcio_panel::details;
use consorcio_panel::frame::Page;
use consorcio_panel::pages::{History, Transaction};
use consorcio_panel::reasons;
use consorcio_panel::texts::{Lang, Texts};
use consorcio_panel::views::{TxRow, TxState, VoteView};
use consorcio_steps::trace::{Embedding, Timeline, duration};
use std::collections::BTreeMap;

/// `GET /painel/historico`: one page of the list.
pub(crate) async fn history(State(app): State<App>, visit: Visit) -> Response {
    page(list(&app, &visit).await, &app, &visit)
}

async fn list(app: &App, visit: &Visit) -> Result<History, Problem> {
    let (f, info) = visit.frame_and_figures(app, Page::History).await?;
    let _permit = app.list_permit().await?;
    let states = [TxState::Committed, TxState::Aborted, TxState::Undecided];
    let filter = states.into_iter().find(|state| state.class() == visit.query("situacao"));
    let after = TxId::new(visit.query("depois")).ok();
    let first = after.is_none();
    let link = |tx: &str| {
        let filter = filter.map_or(String::new(), |filter| format!("situacao={}&", filter.class()));
        format!("/painel/historico?{filter}depois={}", encoded(tx))
    };
    let mut rows: Vec<TxRow> = Vec::new();
    if filter == Some(TxState::Undecided) {
        let page = pending_page(app, visit.peer, after, PANEL_HISTORY_MAX).await?;
        rows.extend(page.items.iter().map(|pending| pending_row(visit.lang, pending)));
        let next = page.next.as_deref().map(link);
        return Ok(History { f, filter, rows, first, next, more_pending: None, ends_early: false });
    }
    let mut more_pending = None;
    if first && filter.is_none() {
        let page = pending_page(app, visit.peer, None, PANEL_HISTORY_PENDING_MAX).await?;
        let mut pending = page.items;
        pending.sort_by_key(|pending| std::cmp::Reverse(pending.since));
        rows.extend(pending.iter().map(|pending| pending_row(visit.lang, pending)));
        more_pending = page.next.map(|_| "/painel/historico?situacao=aberta".to_owned());
    }
    let next = outcomes(app, visit, filter, after, &mut rows).await?;
    let listed = u64::try_from(HISTORY_MAX).unwrap_or(u64::MAX);
    let ends_early = next.is_none() && info.committed + info.aborted > listed;
    Ok(History {
        f,
        filter,
        rows,
        first,
        next: next.as_deref().map(link),
        more_pending,
        ends_early,
    })
}

/// Adds outcomes after `after` to `rows` until the page is full; returns the id after which the
/// next page begins.
async fn outcomes(
    app: &App,
    visit: &Visit,
    filter: Option<TxState>,
    mut after: Option<TxId>,
    rows: &mut Vec<TxRow>,
) -> Result<Option<String>, Problem> {
    let matches = |row: &TxRow| filter.is_none_or(|filter| filter == row.state);
    loop {
        let request = Request::Read(Read::History { count: None, after });
        // The bank lists its newest thousand outcomes; a page after them is empty.
        let Ok(json) = app.done(visit.peer, request, unforeseen).await else { return Ok(None) };
        let events = read_page::<HistoryAnswer<'static>>(&json)?;
        for event in events.items {
            let row = event_row(visit.lang, &event);
            if !matches(&row) || rows.iter().any(|known| known.tx == row.tx) {
                continue;
            }
            if rows.len() >= PANEL_HISTORY_MAX {
                return Ok(rows.last().map(|row| row.tx.clone()));
            }
            rows.push(row);
        }
        match events.next.map(|next| TxId::new(&next)) {
            Some(Ok(next)) => after = Some(next),
            Some(Err(_)) | None => return Ok(None),
        }
    }
}

/// `GET /painel/transacoes/<tx>`: one transaction.
pub(crate) async fn transaction(
    State(app): State<App>,
    visit: Visit,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let given = path.map(|Path(given)| given).unwrap_or_default();
    page(details(&app, &visit, &given).await, &app, &visit)
}

async fn details(app: &App, visit: &Visit, given: &str) -> Result<Transaction, Problem> {
    let f = visit.frame(app, Page::History).await?;
    let tx =
        TxId::new(given).map_err(|_| Problem::new(StatusCode::NOT_FOUND, visit.t().no_such_id))?;
    let replies = lines::statuses(app, visit.peer, &tx).await;
    let claim = claimed(app.bank(), &replies);
    let mut listed = listed(app, visit, &tx, &replies).await?;
    // The lists of other banks do not show which of the transactions they mean.
    if matches!(claim, Claim::Several(_)) {
        listed.events.retain(|(bank, _)| *bank == app.bank());
    }
    let ops = listed.ops();
    let (mut row, several) = match listed.row(visit) {
        Some(row) => (row, None),
        None => unlisted(visit, &tx, &claim),
    };
    // The visitor has just confirmed it; no bank may have seen it yet.
    if row.state == TxState::Unknown && visit.query("novo") == "1" {
        row.state = TxState::Undecided;
    }
    let ballots = ballots(&replies, &listed.refusers());
    let detail = several.or_else(|| listed.refusals(visit, &ballots));
    let votes = votes_of(app, visit.t(), ops.as_deref(), &ballots, row.state);
    let timeline = timeline::of(app, &tx).await;
    let again = ops.as_deref().filter(|_| row.state == TxState::Aborted).and_then(again);
    Ok(Transaction {
        f,
        legs: ops.map(|ops| legs(app, visit.lang, &ops)),
        votes,
        detail,
        picture: timeline.as_ref().map(|timeline| picture_path(&tx, timeline, visit.lang)),
        steps: timeline.as_ref().map(|timeline| steps(timeline, visit.lang)).unwrap_or_default(),
        again,
        row,
    })
}

/// A transaction in the lists of the banks.
#[derive(Default)]
struct ListedOutcomes {
    /// The undecided transaction at this bank.
    pending: Option<PendingAnswer<'static>>,
    /// Its outcome in the history of each bank, this one first.
    events: Vec<(BankId, HistoryAnswer<'static>)>,
}

/// Finds the transaction among this bank's undecided and newest ones. If it is not there, all banks
/// are asked, else the banks that refused it, for their reason.
async fn listed(
    app: &App,
    visit: &Visit,
    tx: &TxId,
    replies: &StatusReplies,
) -> Result<ListedOutcomes, Problem> {
    let is_it = |known: &TxId| known == tx;
    let pending = pending_one(app, visit.peer, tx).await?;
    let request = |after: Option<String>| {
        Ok(Request::Read(Read::History { count: None, after: key(after, TxId::new)? }))
    };
    let own: Vec<HistoryAnswer<'static>> = app.list(visit.peer, request, unforeseen).await?;
    let own = own.into_iter().find(|event| is_it(&event.tx)).map(|event| (app.bank(), event));
    let is_unknown = pending.is_none() && own.is_none();
    let mut events: Vec<(BankId, HistoryAnswer<'static>)> = own.into_iter().collect();
    let refusing = |bank: BankId| {
        replies.iter().any(|(other, reply)| *other == bank && refuses(bank, reply.as_ref()))
    };
    let history = Request::Read(Read::History { count: None, after: None });
    for (bank, reply) in lines::ask_those(app, &history, |bank| is_unknown || refusing(bank)).await
    {
        let Some(Reply::Done(json)) = reply else { continue };
        let theirs = read_page::<HistoryAnswer<'static>>(&json)?.items;
        events.extend(theirs.into_iter().find(|event| is_it(&event.tx)).map(|event| (bank, event)));
    }
    Ok(ListedOutcomes { pending, events })
}

impl ListedOutcomes {
    fn row(&self, visit: &Visit) -> Option<TxRow> {
        match (&self.pending, self.events.first()) {
            // It may have been decided between the two reads.
            (_, Some((_, event))) => Some(event_row(visit.lang, event)),
            (Some(pending), None) => Some(pending_row(visit.lang, pending)),
            (None, None) => None,
        }
    }

    fn ops(&self) -> Option<Vec<OpAnswer<'static>>> {
        let pending = self.pending.as_ref().and_then(|pending| pending.ops.clone());
        pending.or_else(|| self.events.iter().find_map(|(_, event)| event.ops.clone()))
    }

    /// The bank that refused, by the history of each bank.
    fn refusers(&self) -> BTreeMap<BankId, BankId> {
        self.events.iter().filter_map(|(bank, event)| Some((*bank, event.by?))).collect()
    }

    /// The text of each bank that refused by its own vote.
    fn refusals(&self, visit: &Visit, ballots: &[(BankId, Ballot)]) -> Option<String> {
        let refused = ballots.iter().filter(|(_, ballot)| *ballot == Ballot::Refused);
        let texts = refused.map(|(bank, _)| {
            // The text of that bank, or its copy at another bank.
            let by = |event: &HistoryAnswer<'_>| event.by == Some(*bank) && !event.text.is_empty();
            let own = self.events.iter().find(|(of, event)| of == bank && by(event));
            let event = own.or_else(|| self.events.iter().find(|(_, event)| by(event)));
            let words = event.map_or_else(String::new, |(_, event)| {
                details::first_words(visit.lang, &event.text)
            });
            let name = format!("{} {bank}", visit.t().bank);
            if words.is_empty() { name } else { format!("{name}: {words}") }
        });
        let texts: Vec<String> = texts.collect();
        (!texts.is_empty()).then(|| texts.join(" · "))
    }
}

/// The row of a transaction that no list has, from the votes of the banks; also a text if the votes
/// are on several transactions.
fn unlisted(visit: &Visit, tx: &TxId, claim: &Claim) -> (TxRow, Option<String>) {
    let mut row = TxRow {
        tx: tx.to_string(),
        when: String::new(),
        state: state_of(claim),
        reason: None,
        summary: summary(&[]),
        amount: moved(&[]),
    };
    match claim {
        Claim::Committed(time) => row.when = when(visit.lang, *time),
        Claim::Aborted(refusal) => {
            row.reason = Some(reasons::sentence(visit.lang, refusal.reason));
            row.when = when(visit.lang, refusal.time);
        }
        Claim::Several(ends) => {
            let end = |(digest, end): &(Digest, Claim)| {
                let digest = format!("{digest:?}");
                let state = state_of(end).words(visit.t());
                format!("{}… {state}", digest.get(..8).unwrap_or(&digest))
            };
            let ends: Vec<String> = ends.iter().map(end).collect();
            return (row, Some(format!("{} {}.", visit.t().several, ends.join("; "))));
        }
        Claim::Undecided | Claim::NotKnown(_) | Claim::Unknown => (),
    }
    (row, None)
}

fn state_of(claim: &Claim) -> TxState {
    match claim {
        Claim::Committed(_) => TxState::Committed,
        Claim::Aborted(_) => TxState::Aborted,
        Claim::Undecided => TxState::Undecided,
        Claim::Several(_) | Claim::NotKnown(_) | Claim::Unknown => TxState::Unknown,
    }
}

/// The votes of the banks that the transaction names; if its operations are unknown, of all banks
/// that have a vote or do not answer.
fn votes_of(
    app: &App,
    t: &'static Texts,
    ops: Option<&[OpAnswer<'static>]>,
    ballots: &[(BankId, Ballot)],
    state: TxState,
) -> Vec<VoteView> {
    let is_over = matches!(state, TxState::Committed | TxState::Aborted);
    let shown = ballots.iter().filter(|(bank, ballot)| match ops {
        Some(ops) => ops.iter().any(|op| op.bank == *bank),
        None => *ballot != Ballot::Waiting,
    });
    let view = |(bank, ballot): &(BankId, Ballot)| {
        let address = app.places().get(bank.index()).cloned().unwrap_or_default();
        VoteView {
            bank: bank.as_u8(),
            address,
            words: ballot.words(t, is_over),
            class: ballot.class(),
        }
    };
    shown.map(view).collect()
}

/// The link to the form with the same participants, if the form can make this transaction.
fn again(ops: &[OpAnswer<'_>]) -> Option<String> {
    let (destination, sources) = ops.split_last()?;
    let fits = destination.op == "credit"
        && !sources.is_empty()
        && sources.iter().all(|op| op.op == "debit" && takes(op));
    if !fits {
        return None;
    }
    let mut query = String::from("/painel/transacao?");
    let text = |value: Option<&str>| encoded(value.unwrap_or(""));
    let cpf = |op: &OpAnswer<'_>| text(op.cpf.as_deref().map(TaxId::as_str));
    let account = |op: &OpAnswer<'_>| text(op.account.as_deref().map(AccountNumber::as_str));
    for op in sources {
        let amount = op.amount?.to_string();
        let amount = encoded(amount.trim_start_matches("R$ "));
        query.push_str(&format!(
            "banco={}&cpf={}&numero={}&valor={amount}&",
            op.bank,
            cpf(op),
            account(op)
        ));
    }
    let (bank, cpf, account) = (destination.bank, cpf(destination), account(destination));
    query.push_str(&format!("destino_banco={bank}&destino_cpf={cpf}&destino_numero={account}"));
    Some(query)
}

/// The path of the picture, with the number of events and the language, so that a reloaded page
/// shows the new picture.
fn picture_path(tx: &TxId, timeline: &Timeline, lang: Lang) -> String {
    let version = format!("eventos={}&idioma={}", timeline.events.len(), lang.short());
    format!("/painel/transacoes/{tx}/passos.svg?{version}")
}

/// The events as text: the time since the first one, the node, and what happened.
fn steps(timeline: &Timeline, lang: Lang) -> Vec<(String, String, String)> {
    let of_tx = timeline.events.iter().filter(|event| event.of_tx);
    let step = |event: &consorcio_steps::trace::TracedEvent| {
        let lane = timeline.lanes.get(event.lane).map_or("", |lane| lane.name.as_str());
        (duration(event.at_us, lang), lane.to_owned(), format!("{} {}", event.event, event.detail))
    };
    of_tx.map(step).collect()
}

/// `GET /painel/transacoes/<tx>/passos.svg`: the picture of its steps.
pub(crate) async fn picture(
    State(app): State<App>,
    visit: Visit,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let given = path.map(|Path(given)| given).unwrap_or_default();
    let missing =
        || Problem::new(StatusCode::NOT_FOUND, "Não há passos desta transação").into_response();
    let Ok(tx) = TxId::new(&given) else { return missing() };
    match timeline::of(&app, &tx).await {
        Some(timeline) => {
            let svg = timeline.svg(Embedding::Image, visit.lang);
            let mut response = text_of(StatusCode::OK, "image/svg+xml", svg);
            let policy = "default-src 'none'; style-src 'unsafe-inline'";
            let policy = axum::http::HeaderValue::from_static(policy);
            response.headers_mut().insert(axum::http::header::CONTENT_SECURITY_POLICY, policy);
            response
        }
        None => missing(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::money::Money;
    use std::borrow::Cow;

    #[test]
    fn only_a_transaction_of_the_form_can_be_repeated() {
        let op = |word: &'static str, account: &str, amount| OpAnswer {
            bank: BankId::new(1).unwrap(),
            op: word.into(),
            account: AccountNumber::new(account).ok().map(Cow::Owned),
            cpf: TaxId::new("11111111111").ok().map(Cow::Owned),
            amount: Some(Money(amount)),
            key: None,
            value: None,
        };
        let link = again(&[op("debit", "1/2", 123_456), op("credit", "3", 123_456)]).unwrap();
        assert_eq!(
            link,
            "/painel/transacao?banco=1&cpf=11111111111&numero=1%2F2&valor=1.234%2C56\
             &destino_banco=1&destino_cpf=11111111111&destino_numero=3"
        );
        assert_eq!(again(&[op("deposit", "1", 5)]), None);
        assert_eq!(again(&[op("credit", "1", 5), op("debit", "2", 5)]), None);
        assert_eq!(again(&[]), None);
    }
}
