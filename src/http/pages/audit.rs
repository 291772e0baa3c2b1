//! The page «Auditoria»: all banks at one commit time, added up to the centavo. It shows which
//! banks are missing, and estimates nothing.

use crate::answers::read;
use crate::app::App;
use crate::lines;
use crate::pages::show::{exactly, page};
use crate::pages::visit::Visit;
use crate::problem::Problem;
use axum::extract::State;
use axum::response::Response;
use consorcio_audit::cut::Sums;
use consorcio_audit::{BankCut, judge};
use consorcio_core::ids::{BankId, Time};
use consorcio_core::money::Total;
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::{CutAnswer, InfoAnswer};
use consorcio_core::wire::reading::Reading;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Read, Request};
use consorcio_panel::details::refusal;
use consorcio_panel::frame::Page;
use consorcio_panel::pages::Audit;
use consorcio_panel::views::{AuditFigures, AuditRow, AuditVerdict};

/// `GET /painel/auditoria`: the cut and its verdict.
pub(crate) async fn audit(State(app): State<App>, visit: Visit) -> Response {
    page(view(&app, &visit).await, &app, &visit)
}

async fn view(app: &App, visit: &Visit) -> Result<Audit, Problem> {
    let (f, info) = visit.frame_and_figures(app, Page::Audit).await?;
    let clocks = lines::ask_others(app, &Request::Read(Read::Info)).await;
    let (time, reading) = latest(&info, &clocks);
    let request =
        Request::Read(Read::Snapshot { time: Some(time), reading, accounts: false, after: None });
    // A bank that did not answer INFO is not asked again.
    let answered =
        |bank: BankId| clocks.iter().any(|(other, reply)| *other == bank && reply.is_some());
    let (own, others) = tokio::join!(
        app.ask(visit.peer, request.clone()),
        lines::ask_those(app, &request, answered)
    );
    let silent = clocks.iter().filter(|(_, reply)| reply.is_none()).map(|(bank, _)| (*bank, None));
    let mut replies: Vec<(BankId, Option<Reply>)> = others.into_iter().chain(silent).collect();
    replies.push((app.bank(), Some(own?)));
    replies.sort_by_key(|(bank, _)| *bank);
    let answers: Vec<(BankId, Result<BankCut, String>)> =
        replies.into_iter().map(|(bank, reply)| (bank, cut(visit, reply))).collect();
    let cuts: Vec<BankCut> =
        answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()).cloned().collect();
    let has_left = app.places().iter().any(|place| place == consorcio_system::config::LEFT);
    let judged = judge(answers.iter().map(|(bank, _)| *bank).collect(), has_left, false, &cuts);
    let verdict = if !judged.faults.is_empty() {
        AuditVerdict::Wrong
    } else if !judged.missing.is_empty() {
        AuditVerdict::Missing
    } else if judged.left_may_hold {
        AuditVerdict::LeftMayHold
    } else {
        AuditVerdict::AddsUp
    };
    let row = |(bank, answer): (BankId, Result<BankCut, String>)| AuditRow {
        bank: bank.as_u8(),
        address: app.places().get(bank.index()).cloned().unwrap_or_default(),
        figures: answer.map(|cut| figures(&cut.sums)),
    };
    let sum = judged.missing.is_empty().then(|| figures(&judged.total));
    Ok(Audit {
        f,
        time: exactly(visit.lang, time),
        verdict,
        rows: answers.into_iter().map(row).collect(),
        sum,
    })
}

/// The latest clock time of any bank, with that bank's proof of it.
fn latest(
    own: &InfoAnswer<'static>,
    others: &[(BankId, Option<Reply>)],
) -> (Time, Option<Reading>) {
    let infos = others.iter().filter_map(|(_, reply)| match reply {
        Some(Reply::Done(json)) => read::<InfoAnswer<'static>>(json).ok(),
        Some(_) | None => None,
    });
    let of = |info: &InfoAnswer<'static>| (info.time, info.reading);
    infos
        .map(|info| of(&info))
        .fold(of(own), |latest, other| if other.0 > latest.0 { other } else { latest })
}

fn figures(sums: &Sums) -> AuditFigures {
    AuditFigures {
        balances: Total(sums.balance_total),
        cash_in: Total(sums.cash_in_total),
        cash_out: Total(sums.cash_out_total),
        transfers_in: Total(sums.transfers_in_total),
        transfers_out: Total(sums.transfers_out_total),
    }
}

/// A bank's part of the cut, or a text why there is none.
fn cut(visit: &Visit, reply: Option<Reply>) -> Result<BankCut, String> {
    let t = visit.t();
    match reply {
        Some(Reply::Done(json)) => {
            let page = read::<CutAnswer>(&json).map_err(|problem| problem.words(visit.lang))?;
            Ok(BankCut::of(page))
        }
        // The text is the id of the transaction that the cut waits for.
        Some(Reply::Refused(Reason::Locked, tx)) => Err(format!("{} {tx}", t.cut_waits)),
        Some(Reply::Refused(reason, text) | Reply::Err(reason, text)) => {
            Err(refusal(visit.lang, reason, &text))
        }
        Some(_) | None => Err(t.vote_silent.to_owned()),
    }
}
