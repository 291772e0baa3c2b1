//! The page «Pendentes»: undecided transactions, the banks that they wait for, and «resolver
//! agora», which runs the termination.

use crate::app::{App, unexpected};
use crate::history::pending_page;
use crate::pages::forms::{BadForm, SentForm};
use crate::pages::show::{bank_name, failed, html, legs, page, when};
use crate::pages::visit::{Visit, encoded};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use consorcio_core::ids::TxId;
use consorcio_core::limits::PANEL_PENDING_MAX;
use consorcio_core::wire::answer::PendingAnswer;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_panel::details;
use consorcio_panel::frame::Page;
use consorcio_panel::pages::Pending;
use consorcio_panel::reasons;
use consorcio_panel::views::{PendingRow, Resolved, TxState};

/// `GET /painel/pendentes`: one page of undecided transactions.
pub(crate) async fn pending(State(app): State<App>, visit: Visit) -> Response {
    page(view(&app, &visit, None).await, &app, &visit)
}

async fn view(app: &App, visit: &Visit, resolved: Option<Resolved>) -> Result<Pending, Problem> {
    let f = visit.frame(app, Page::Pending).await?;
    let after = TxId::new(visit.query("depois")).ok();
    let first = after.is_none();
    let page = pending_page(app, visit.peer, after, PANEL_PENDING_MAX).await?;
    let row = |pending: PendingAnswer<'static>| PendingRow {
        since: when(visit.lang, pending.since),
        kept_by: kept_by(app, visit, &pending),
        legs: legs(app, visit.lang, pending.ops.as_deref().unwrap_or_default()),
        tx: pending.tx.to_string(),
    };
    let next = page.next.map(|tx| format!("/painel/pendentes?depois={}", encoded(&tx)));
    Ok(Pending { f, rows: page.items.into_iter().map(row).collect(), resolved, first, next })
}

fn kept_by(app: &App, visit: &Visit, pending: &PendingAnswer<'_>) -> Vec<String> {
    let t = visit.t();
    let mut names: Vec<String> =
        pending.waiting_for.iter().map(|bank| bank_name(app, t, *bank)).collect();
    if pending.outside {
        names.push(t.outside.to_owned());
    }
    if names.is_empty() {
        names.push(t.driver.to_owned());
    }
    names
}

/// `POST /painel/pendentes`: runs the termination of one transaction, and shows its result.
pub(crate) async fn resolve(State(app): State<App>, form: Result<SentForm, BadForm>) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(refused) => return refused.page(&app),
    };
    let view = async {
        let tx =
            TxId::new(form.text("tx")).map_err(|_| Problem::bad("`tx` não é um identificador"))?;
        let resolved = resolved(&app, &form, &tx).await?;
        view(&app, &form.visit, Some(resolved)).await
    };
    match view.await {
        Ok(view) => html(StatusCode::OK, &view),
        Err(problem) => failed(&problem, &app, &form.visit),
    }
}

async fn resolved(app: &App, form: &SentForm, tx: &TxId) -> Result<Resolved, Problem> {
    let (t, lang) = (form.visit.t(), form.visit.lang);
    // COMMIT without tokens asks the other banks, whose answers decide the transaction.
    let (state, words) = match app.ask(form.peer, Request::Commit(tx.clone(), Vec::new())).await? {
        Reply::Committed(..) => (TxState::Committed, t.resolved_committed.to_owned()),
        Reply::Aborted(_, token, reason, _) => {
            let bank = bank_name(app, t, token.bank);
            (
                TxState::Aborted,
                format!("{} {bank}: {}", t.resolved_aborted, reasons::sentence(lang, reason)),
            )
        }
        Reply::Doubt(_, text) => {
            (TxState::Undecided, format!("{} {}", t.resolved_doubt, details::sentence(lang, &text)))
        }
        other => return Err(unexpected(&other)),
    };
    Ok(Resolved { tx: tx.to_string(), state, words })
}
