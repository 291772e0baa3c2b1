//! The forms of one bank: a new client, a new account, cash in and out. An error is shown beside
//! its field.

use crate::app::App;
use crate::pages::forms::{self, BadForm, SentForm};
use crate::pages::show::{failed, html, page};
use crate::pages::visit::{Visit, encoded, see_other};
use crate::problem::Problem;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use consorcio_core::ids::{ClientKind, ClientName, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::detail::Detail;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{
    NewAccount as AccountRequest, NewClient as ClientRequest, Request,
};
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use consorcio_panel::frame::Page;
use consorcio_panel::pages::{Cash, NewAccount, NewClient};
use consorcio_panel::reasons;
use consorcio_panel::views::FormField;
use std::sync::Arc;

/// The result of a form: a redirect to this path, or the form again with its errors.
enum FormResult<T> {
    Done(String),
    Again(T),
}

fn answer<T: Template>(
    result: Result<FormResult<T>, Problem>,
    app: &App,
    visit: &Visit,
) -> Response {
    match result {
        Ok(FormResult::Done(path)) => see_other(&path),
        Ok(FormResult::Again(view)) => html(StatusCode::BAD_REQUEST, &view),
        Err(problem) => failed(&problem, app, visit),
    }
}

/// `GET /painel/cliente`: the form of a new client.
pub(crate) async fn client_form(State(app): State<App>, visit: Visit) -> Response {
    let view = async {
        let f = visit.frame(&app, Page::NewClient).await?;
        Ok(NewClient {
            f,
            cpf: FormField::default(),
            name: FormField::default(),
            kind: FormField::of("Físico"),
        })
    };
    page(view.await, &app, &visit)
}

/// `POST /painel/cliente`: creates the client.
pub(crate) async fn add_client(
    State(app): State<App>,
    form: Result<SentForm, BadForm>,
) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(refused) => return refused.page(&app),
    };
    answer(client_added(&app, &form).await, &app, &form.visit)
}

async fn client_added(app: &App, form: &SentForm) -> Result<FormResult<NewClient>, Problem> {
    let t = form.visit.t();
    let f = form.visit.frame(app, Page::NewClient).await?;
    let mut view =
        NewClient { f, cpf: form.field("cpf"), name: form.field("nome"), kind: form.field("tipo") };
    let cpf = forms::cpf(&mut view.cpf, t);
    let name = ClientName::new(&view.name.value).ok();
    let kind = ClientKind::new(&view.kind.value).ok();
    let name_fits = name.as_ref().map(|name| name.check_new().is_ok());
    let kind_fits = kind.as_ref().map(|kind| kind.check_new().is_ok());
    for (field, fits) in [(&mut view.name, name_fits), (&mut view.kind, kind_fits)] {
        field.error = match fits {
            Some(true) => None,
            Some(false) => Some(t.field_invisible.to_owned()),
            None if field.value.is_empty() => Some(t.field_required.to_owned()),
            None => Some(t.field_too_long.to_owned()),
        };
    }
    if view.name.error.is_some() || view.kind.error.is_some() {
        return Ok(FormResult::Again(view));
    }
    let (Some(cpf), Some(name), Some(kind)) = (cpf, name, kind) else {
        return Ok(FormResult::Again(view));
    };
    let lang = form.visit.lang;
    match app.ask(form.peer, Request::Client(ClientRequest { cpf, name, kind })).await? {
        Reply::Done(_) => Ok(FormResult::Done("/painel/conta?feito=cliente".to_owned())),
        Reply::Refused(reason, _) | Reply::Err(reason, _) => {
            view.cpf.error = Some(reasons::sentence(lang, reason).to_owned());
            Ok(FormResult::Again(view))
        }
        other => Err(crate::app::unexpected(&other)),
    }
}

/// `GET /painel/conta`: the form of a new account.
pub(crate) async fn account_form(State(app): State<App>, visit: Visit) -> Response {
    let view = async {
        let f = visit.frame(&app, Page::NewAccount).await?;
        let empty = FormField::default;
        Ok(NewAccount {
            f,
            cpf: FormField::of(visit.query("cpf")),
            number: empty(),
            second_cpf: empty(),
            deposit: empty(),
        })
    };
    page(view.await, &app, &visit)
}

/// `POST /painel/conta`: opens the account.
pub(crate) async fn open_account(
    State(app): State<App>,
    form: Result<SentForm, BadForm>,
) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(refused) => return refused.page(&app),
    };
    answer(account_opened(&app, &form).await, &app, &form.visit)
}

async fn account_opened(app: &App, form: &SentForm) -> Result<FormResult<NewAccount>, Problem> {
    let t = form.visit.t();
    let f = form.visit.frame(app, Page::NewAccount).await?;
    let mut view = NewAccount {
        f,
        cpf: form.field("cpf"),
        number: form.field("numero"),
        second_cpf: form.field("cpf2"),
        deposit: form.field("deposito"),
    };
    let first = forms::cpf(&mut view.cpf, t);
    let number = forms::number(&mut view.number, t).filter(|number| number.check_new().is_ok());
    if number.is_none() && view.number.error.is_none() {
        view.number.error = Some(t.field_number.to_owned());
    }
    let deposit = forms::amount_or_zero(&mut view.deposit, t);
    let second =
        if view.second_cpf.value.is_empty() { None } else { forms::cpf(&mut view.second_cpf, t) };
    if second.is_some() && second == first {
        view.second_cpf.error = Some(t.field_same_holder.to_owned());
    }
    let (Some(first), Some(number), Some(deposit)) = (first, number, deposit) else {
        return Ok(FormResult::Again(view));
    };
    if view.second_cpf.error.is_some() {
        return Ok(FormResult::Again(view));
    }
    let shown = number.to_string();
    let holders = std::iter::once(first).chain(second.clone()).collect();
    let words = |reason| reasons::sentence(form.visit.lang, reason).to_owned();
    match app.ask(form.peer, Request::Account(AccountRequest { number, holders, deposit })).await? {
        Reply::Done(_) => {
            Ok(FormResult::Done(format!("/painel/contas/{}?feito=conta", encoded(&shown))))
        }
        Reply::Refused(reason, text) | Reply::Err(reason, text) => {
            let unknown = match Detail::parse(&text) {
                Some(Detail::NoClient { cpf }) => Some(cpf),
                _ => None,
            };
            let second_named = unknown.is_some() && unknown == second;
            match reason {
                Reason::UnknownClient if second_named => {
                    view.second_cpf.error = Some(words(reason))
                }
                Reason::UnknownClient => view.cpf.error = Some(words(reason)),
                Reason::Refused => view.cpf.error = Some(t.field_one_individual.to_owned()),
                Reason::AlreadyExists => view.number.error = Some(words(reason)),
                Reason::Limit => view.deposit.error = Some(words(reason)),
                Reason::InsufficientFunds
                | Reason::UnknownAccount
                | Reason::NotHolder
                | Reason::Locked
                | Reason::Unbalanced
                | Reason::DuplicateId
                | Reason::Malformed
                | Reason::Expired
                | Reason::Unreachable
                | Reason::NotIntroduced
                | Reason::DiskFull
                | Reason::Unreadable
                | Reason::NotAllowed => view.number.error = Some(words(reason)),
            }
            Ok(FormResult::Again(view))
        }
        other => Err(crate::app::unexpected(&other)),
    }
}

/// `GET /painel/caixa`: the form of cash in and out.
pub(crate) async fn cash_form(State(app): State<App>, visit: Visit) -> Response {
    let view = async {
        let f = visit.frame(&app, Page::Cash).await?;
        let field = |name| FormField::of(visit.query(name));
        Ok(Cash {
            f,
            tx: app.fresh_id().to_string(),
            withdraw: visit.query("operacao") == "sacar",
            cpf: field("cpf"),
            number: field("numero"),
            amount: FormField::default(),
        })
    };
    page(view.await, &app, &visit)
}

/// `POST /painel/caixa`: executes the deposit or withdrawal.
pub(crate) async fn cash(State(app): State<App>, form: Result<SentForm, BadForm>) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(refused) => return refused.page(&app),
    };
    answer(cash_moved(&app, &form).await, &app, &form.visit)
}

async fn cash_moved(app: &App, form: &SentForm) -> Result<FormResult<Cash>, Problem> {
    let t = form.visit.t();
    let f = form.visit.frame(app, Page::Cash).await?;
    let withdraw = form.text("operacao") == "sacar";
    let mut view = Cash {
        f,
        tx: app.fresh_id().to_string(),
        withdraw,
        cpf: form.field("cpf"),
        number: form.field("numero"),
        amount: form.field("valor"),
    };
    let cpf = forms::cpf(&mut view.cpf, t);
    let account = forms::number(&mut view.number, t);
    let amount = forms::amount(&mut view.amount, t);
    let (Some(cpf), Some(account), Some(amount)) = (cpf, account, amount) else {
        return Ok(FormResult::Again(view));
    };
    // The form has the id, so that a form sent twice is executed once. A form shown again has a new
    // id.
    let tx = TxId::new(form.text("tx")).unwrap_or_else(|_| app.fresh_id());
    let shown = account.to_string();
    let flow = if withdraw { Flow::Withdraw } else { Flow::Deposit };
    let op =
        Op { bank: app.bank(), action: Action::Money { flow, account, cpf: Some(cpf), amount } };
    let transaction =
        Transaction::from_ops([op], None).map_err(|fault| Problem::bad(fault.text))?;
    match app.ask(form.peer, Request::Execute(tx.clone(), Arc::new(transaction))).await? {
        Reply::Committed(..) => {
            let done = if withdraw { "sacar" } else { "depositar" };
            Ok(FormResult::Done(format!("/painel/contas/{}?feito={done}", encoded(&shown))))
        }
        Reply::Aborted(_, _, reason, _) | Reply::Err(reason, _) => {
            let error = Some(reasons::sentence(form.visit.lang, reason).to_owned());
            match reason {
                Reason::UnknownAccount => view.number.error = error,
                Reason::NotHolder | Reason::UnknownClient => view.cpf.error = error,
                Reason::InsufficientFunds
                | Reason::Locked
                | Reason::Unbalanced
                | Reason::DuplicateId
                | Reason::AlreadyExists
                | Reason::Malformed
                | Reason::Limit
                | Reason::Expired
                | Reason::Refused
                | Reason::Unreachable
                | Reason::NotIntroduced
                | Reason::DiskFull
                | Reason::Unreadable
                | Reason::NotAllowed => view.amount.error = error,
            }
            Ok(FormResult::Again(view))
        }
        Reply::Doubt(..) => Ok(FormResult::Done(format!("/painel/transacoes/{tx}"))),
        other => Err(crate::app::unexpected(&other)),
    }
}
