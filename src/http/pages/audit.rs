//! Auditoria: all banks at one commit time, added up to the centavo; what is missing is said, never guessed.

use crate::http::answers::{Cut, read};
use crate::http::app::App;
use crate::http::lines;
use crate::http::pages::show::{exactly, page};
use crate::http::pages::visit::Visit;
use crate::http::problem::Problem;
use crate::ids::Time;
use crate::money::Total;
use crate::panel::details::told;
use crate::panel::frame::Page;
use crate::panel::pages::Audit;
use crate::panel::views::{AuditFigures, AuditRow};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::request::Request;
use axum::extract::State;
use axum::response::Response;

/// `GET /painel/auditoria`
pub async fn audit(State(app): State<App>, visit: Visit) -> Response {
    page(view(&app, &visit).await, &app, &visit)
}

async fn view(app: &App, visit: &Visit) -> Result<Audit, Problem> {
    let (f, info) = visit.frame(app, Page::Audit).await?;
    let time = Time(info.time);
    let request = Request::Snapshot { time: Some(time), accounts: false, after: None };
    let (own, others) = tokio::join!(app.ask(visit.peer, request.clone()), lines::ask_others(app, &request));
    let mut replies = others;
    replies.push((app.bank(), Some(own?)));
    replies.sort_by_key(|(bank, _)| *bank);
    let rows: Vec<AuditRow> = replies
        .into_iter()
        .map(|(bank, reply)| AuditRow {
            bank: bank.as_u8(),
            address: app.places().get(bank.index()).cloned().unwrap_or_default(),
            figures: figures(visit, reply),
        })
        .collect();
    let sum = rows.iter().try_fold(AuditFigures::default(), |sum, row| {
        let row = row.figures.as_ref().ok()?;
        Some(AuditFigures {
            balances: Total(sum.balances.0 + row.balances.0),
            cash_in: Total(sum.cash_in.0 + row.cash_in.0),
            cash_out: Total(sum.cash_out.0 + row.cash_out.0),
            transfers_in: Total(sum.transfers_in.0 + row.transfers_in.0),
            transfers_out: Total(sum.transfers_out.0 + row.transfers_out.0),
        })
    });
    Ok(Audit { f, time: exactly(visit.lang, time.0), rows, sum })
}

/// A bank's figures, or in words why there are none.
fn figures(visit: &Visit, reply: Option<Reply>) -> Result<AuditFigures, String> {
    let t = visit.t();
    match reply {
        Some(Reply::Done(json)) => {
            let cut: Cut = read(&json).map_err(|problem| problem.words())?;
            Ok(AuditFigures {
                balances: Total(cut.balance_total),
                cash_in: Total(cut.cash_in_total),
                cash_out: Total(cut.cash_out_total),
                transfers_in: Total(cut.transfers_in_total),
                transfers_out: Total(cut.transfers_out_total),
            })
        }
        // The transaction that the cut waits for stands in the text.
        Some(Reply::Refused(Reason::Locked, tx)) => Err(format!("{} {tx}", t.cut_waits)),
        Some(Reply::Refused(reason, text) | Reply::Err(reason, text)) => Err(told(visit.lang, reason, &text)),
        Some(_) | None => Err(t.vote_silent.to_owned()),
    }
}
