//! The page «Início»: figures of this bank, the state of all banks, the newest transactions.

use crate::answers::read_page;
use crate::app::{App, unforeseen};
use crate::pages::show::{event_row, moved, page, summary, when};
use crate::pages::visit::{Visit, see_other};
use crate::problem::Problem;
use axum::extract::State;
use axum::response::Response;
use consorcio_core::access::Privilege;
use consorcio_core::limits::PANEL_NEWEST_MAX;
use consorcio_core::money::Total;
use consorcio_core::wire::answer::{BankAnswer, HistoryAnswer, PendingAnswer};
use consorcio_core::wire::request::{Local, Read, Request};
use consorcio_panel::frame::Page;
use consorcio_panel::pages::Home;
use consorcio_panel::texts::Lang;
use consorcio_panel::views::{BankView, TxRow, TxState};

/// `GET /`: the first page of the panel.
pub(crate) async fn home(State(app): State<App>, visit: Visit) -> Response {
    if !app.has(Privilege::Lists) {
        // Somebody who may not see the bank's figures begins with what is their own.
        let own = if app.has(Privilege::Account) { "/painel/contas" } else { "/painel/historico" };
        return see_other(own);
    }
    page(view(&app, &visit).await, &app, &visit)
}

async fn view(app: &App, visit: &Visit) -> Result<Home, Problem> {
    let (f, info) = visit.frame_and_figures(app, Page::Home).await?;
    let mut newest: Vec<TxRow> = first_pending(app, visit).await?;
    newest.truncate(PANEL_NEWEST_MAX);
    for event in newest_events(app, visit, PANEL_NEWEST_MAX).await? {
        // It may have been decided between the two reads.
        newest.retain(|row| row.tx != event.tx.as_str());
        newest.push(event_row(visit.lang, &event));
    }
    newest.truncate(PANEL_NEWEST_MAX);
    Ok(Home {
        f,
        clients: info.clients,
        accounts: info.accounts,
        money: Total(info.balance_total),
        held: Total(info.held_total),
        banks: banks(app, visit).await?,
        newest,
    })
}

/// All banks with the state of their links.
pub(crate) async fn banks(app: &App, visit: &Visit) -> Result<Vec<BankView>, Problem> {
    let banks: Vec<BankAnswer<'static>> =
        app.read(visit.peer, Request::Local(Local::Banks)).await?;
    let view = |bank: BankAnswer<'static>| {
        let this = bank.bank == app.bank();
        BankView {
            position: bank.bank.as_u8(),
            address: bank.address.into_owned(),
            online: bank.online,
            this,
            latency: bank
                .latency_us
                .filter(|_| bank.online && !this)
                .map(|us| milliseconds(visit.lang, us)),
        }
    };
    Ok(banks.into_iter().map(view).collect())
}

fn milliseconds(lang: Lang, us: u64) -> String {
    let comma = match lang {
        Lang::Pt => ',',
        Lang::En => '.',
    };
    format!("{}{comma}{:03} ms", us / 1000, us % 1000)
}

/// The newest outcomes, newest first.
pub(crate) async fn newest_events(
    app: &App,
    visit: &Visit,
    count: usize,
) -> Result<Vec<HistoryAnswer<'static>>, Problem> {
    let request = Request::Read(Read::History { count: Some(count), after: None });
    let json = app.done(visit.peer, request, unforeseen).await?;
    Ok(read_page(&json)?.items)
}

/// The first page of undecided transactions as rows, newest first.
async fn first_pending(app: &App, visit: &Visit) -> Result<Vec<TxRow>, Problem> {
    let json =
        app.done(visit.peer, Request::Read(Read::Pending { after: None }), unforeseen).await?;
    let mut pending: Vec<PendingAnswer<'static>> = read_page(&json)?.items;
    pending.sort_by_key(|pending| std::cmp::Reverse(pending.since));
    Ok(pending.iter().map(|pending| pending_row(visit.lang, pending)).collect())
}

/// An undecided transaction as a row.
pub(crate) fn pending_row(lang: Lang, pending: &PendingAnswer<'_>) -> TxRow {
    let ops = pending.ops.as_deref().unwrap_or_default();
    TxRow {
        tx: pending.tx.to_string(),
        when: when(lang, pending.since),
        state: TxState::Undecided,
        reason: None,
        summary: summary(ops),
        amount: moved(ops),
    }
}
