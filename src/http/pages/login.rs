//! The page to log in, and the button to log out.

use crate::app::App;
use crate::call::Requester;
use crate::login::{LogInFailure, LogInProof};
use crate::pages::forms::{BadForm, SentForm};
use crate::pages::show::{failed, html};
use crate::pages::visit::{Visit, is_page, see_other};
use crate::problem::Problem;
use crate::rights::Credential;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consorcio_core::access::{Name, Principal};
use consorcio_core::ids::Time;
use consorcio_core::wire::Reason;
use consorcio_panel::frame::{Frame, Page, Visitor};
use consorcio_panel::pages::LogIn;
use consorcio_panel::views::FormField;
use consorcio_steps::steplog::{OtherEnd, Step};
use std::net::SocketAddr;

/// `GET /painel/entrar`: the form.
pub(crate) async fn form(
    State(app): State<App>,
    visit: Visit,
    Extension(shown): Extension<Credential>,
    headers: HeaderMap,
) -> Response {
    let back = visit.query("volta").to_owned();
    entry(&app, &visit, &shown, &headers, StatusCode::OK, (String::new(), back, None))
}

/// `POST /painel/entrar`: begins a session, and leads back to where the visitor wanted to go.
pub(crate) async fn log_in(
    State(app): State<App>,
    requester: Requester,
    Extension(shown): Extension<Credential>,
    headers: HeaderMap,
    form: Result<SentForm, BadForm>,
) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(bad) => return bad.page(&app),
    };
    let Some(log_ins) = app.log_ins() else { return see_other("/") };
    let (visit, t) = (&form.visit, form.visit.t());
    let back = form.text("volta").to_owned();
    let again = |status, error: String| {
        let name = form.text("nome").to_owned();
        entry(&app, visit, &shown, &headers, status, (name, back.clone(), Some(error)))
    };
    if !log_ins.is_own_entry(&headers, form.text("sessao")) {
        return again(StatusCode::FORBIDDEN, t.log_in_again.to_owned());
    }
    let certificate = named(&shown).filter(|_| form.text("certificado") == "sim");
    let (name, proof) = match certificate {
        Some((name, made)) => (name.as_str(), LogInProof::Certificate(made, shown.ends)),
        None => (form.text("nome"), LogInProof::Password(form.whole("senha"))),
    };
    let (access, now) = (app.access().get(), app.certificate_now());
    let address = requester.peer.ip().to_canonical();
    let logged_in = log_ins.log_in(&headers, address, (name, proof), &access, now).await;
    record(&app, requester.peer, name, logged_in.as_ref().err());
    match logged_in {
        Ok(logged_in) => {
            let mut response = see_other(if is_page(&back) { &back } else { "/" });
            for cookie in &logged_in.cookies {
                add_cookie(&mut response, cookie);
            }
            response
        }
        Err(LogInFailure::Wrong) => again(StatusCode::UNAUTHORIZED, t.log_in_failed.to_owned()),
        Err(LogInFailure::TooMany(too_many)) => {
            let words = format!("{} {} s.", t.log_in_later, too_many.after_s);
            let mut response = again(StatusCode::TOO_MANY_REQUESTS, words);
            response.headers_mut().insert(header::RETRY_AFTER, too_many.after_s.into());
            response
        }
        Err(LogInFailure::Busy) => {
            let mut response = again(StatusCode::TOO_MANY_REQUESTS, t.log_in_busy.to_owned());
            response.headers_mut().insert(header::RETRY_AFTER, 1.into());
            response
        }
        Err(LogInFailure::System) => failed(&Problem::unavailable(t.went_wrong), &app, visit),
    }
}

/// `POST /painel/sair`: ends the session.
pub(crate) async fn log_out(State(app): State<App>, headers: HeaderMap) -> Response {
    let mut response = see_other("/painel/entrar");
    if let Some(log_ins) = app.log_ins() {
        add_cookie(&mut response, &log_ins.log_out(&headers));
    }
    response
}

/// The form with what was typed, the path to lead back to, and why the last try failed.
fn entry(
    app: &App,
    visit: &Visit,
    shown: &Credential,
    headers: &HeaderMap,
    status: StatusCode,
    (name, back, error): (String, String, Option<String>),
) -> Response {
    let Some(log_ins) = app.log_ins() else { return see_other("/") };
    let Ok((form_token, cookie)) = log_ins.entry(headers) else {
        return failed(&Problem::unavailable(visit.t().went_wrong), app, visit);
    };
    let bare = visit.bare_frame(app, Page::LogIn);
    let view = LogIn {
        f: Frame { visitor: Visitor::Stranger, ..bare },
        name: FormField::of(&name),
        password: FormField::default(),
        certificate: named(shown).map(|(name, _)| name.to_string()),
        error,
        form_token,
        back,
    };
    let mut response = html(status, &view).into_response();
    if let Some(cookie) = cookie {
        add_cookie(&mut response, &cookie);
    }
    response
}

/// The person of the browser's certificate, and when it was made.
fn named(shown: &Credential) -> Option<(&Name, Time)> {
    match &shown.principal {
        Some(Principal::Named(name)) => Some((name, shown.made)),
        Some(Principal::Operator | Principal::Bank(_)) | None => None,
    }
}

/// Tells a try in the step log. What is no name may be a password that was typed into the wrong
/// field, and is not told.
fn record(app: &App, peer: SocketAddr, name: &str, failure: Option<&LogInFailure>) {
    let name =
        Name::new(name).map_or_else(|_| "what is no name".to_owned(), |name| name.to_string());
    let end = OtherEnd::Address(peer);
    app.options().steplog.record(match failure {
        None => Step::Fault(format!("{name} has logged in to the panel from {peer}").into()),
        Some(LogInFailure::Wrong) => {
            Step::Bad(end, Reason::NotAllowed, format!("log-in of {name}: wrong").into())
        }
        Some(LogInFailure::TooMany(too_many)) => {
            Step::Bad(end, Reason::Limit, format!("log-in of {name}: {too_many}").into())
        }
        Some(LogInFailure::Busy | LogInFailure::System) => {
            Step::Bad(end, Reason::Limit, format!("log-in of {name}: the bank is busy").into())
        }
    });
}

fn add_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
