//! The page «Demonstração»: the processes of the banks, and buttons that control them. It exists
//! only with `--demo`.

use crate::app::App;
use crate::pages::forms::{BadForm, SentForm};
use crate::pages::process::{DemoError, ProcessAction, ProcessStatus};
use crate::pages::show::{failed, page};
use crate::pages::visit::{Visit, see_other};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use consorcio_panel::frame::Page;
use consorcio_panel::pages::Demo;
use consorcio_panel::texts::Texts;
use consorcio_panel::views::{ProcessRow, ProcessState};

/// `GET /painel/demo`: the state of each process.
pub(crate) async fn demo(State(app): State<App>, visit: Visit) -> Response {
    page(view(&app, &visit).await, &app, &visit)
}

fn no_demo(t: &Texts) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, t.no_demo)
}

async fn view(app: &App, visit: &Visit) -> Result<Demo, Problem> {
    let demo = app.options().demo.as_ref().ok_or_else(|| no_demo(visit.t()))?;
    let f = visit.frame(app, Page::Demo).await?;
    let banks = app
        .places()
        .iter()
        .enumerate()
        .filter(|(_, address)| *address != consorcio_system::config::LEFT);
    let row = |(position, address): (usize, &String)| {
        let bank = u8::try_from(position).ok()?;
        let state = match demo.status(bank)? {
            ProcessStatus::Running => ProcessState::Running,
            ProcessStatus::Frozen => ProcessState::Paused,
            ProcessStatus::Down => ProcessState::Down,
        };
        Some(ProcessRow { bank, address: address.clone(), state, this: bank == app.bank().as_u8() })
    };
    Ok(Demo { f, rows: banks.filter_map(row).collect() })
}

/// `POST /painel/demo`: what a button does to a process.
pub(crate) async fn act(State(app): State<App>, form: Result<SentForm, BadForm>) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(refused) => return refused.page(&app),
    };
    match acted(&app, &form) {
        Ok(()) => see_other("/painel/demo?feito=acao"),
        Err(problem) => failed(&problem, &app, &form.visit),
    }
}

fn acted(app: &App, form: &SentForm) -> Result<(), Problem> {
    let t = form.visit.t();
    let demo = app.options().demo.as_ref().ok_or_else(|| no_demo(t))?;
    let bank: u8 =
        form.text("banco").parse().map_err(|_| Problem::bad("`banco` não é um banco"))?;
    let act = ProcessAction::of(form.text("acao"))
        .ok_or_else(|| Problem::bad("`acao` não é uma ação"))?;
    if bank == app.bank().as_u8() && act == ProcessAction::Freeze {
        // The page of a frozen process could not thaw it.
        return Err(Problem::new(StatusCode::CONFLICT, t.no_own_freeze));
    }
    demo.act(bank, act).map_err(|error| {
        let words = match error {
            DemoError::Unknown(bank) => format!("{} {bank} {}", t.bank, t.not_in_demo),
            DemoError::NotRunning(bank) => format!("{} {bank} {}", t.bank, t.not_running),
            DemoError::Running(bank) => format!("{} {bank} {}", t.bank, t.already_running),
            DemoError::Refused(bank, error) => format!("{} {bank}: {error}", t.bank),
            DemoError::File(..) | DemoError::Unsafe(..) => error.to_string(),
        };
        Problem::new(StatusCode::CONFLICT, words)
    })
}
