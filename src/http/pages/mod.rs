//! The panel over HTTP: a page reads the bank and passes a view to `panel`, which renders it.
//!
//! Architecture invariant: pages and forms make the same requests as lines and routes. The only
//! state is the language of the visitor, in a cookie, and in closed mode who logged in.

mod accounts;
mod audit;
mod demo;
mod forms;
mod history;
mod home;
mod live;
mod login;
mod pending;
mod process;
mod register;
mod session;
mod show;
mod transact;
mod visit;
mod votes;

pub use process::{Demo, DemoError};
pub(crate) use show::failed;
pub(crate) use visit::Visit;

use crate::app::App;
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use consorcio_core::access::Privilege;
use consorcio_panel::ASSETS;
use session::{GuardedPage, page};

/// How long a browser may cache an asset; a bank of another version serves others.
const ASSET_CACHE: &str = "max-age=300";

/// The router of all pages, forms and assets. In closed mode each page needs a session, and the
/// privilege that stands beside it.
pub(crate) fn router(app: &App) -> Router<App> {
    let pages: [(&str, Privilege, MethodRouter<App>); 14] = [
        ("/", Privilege::Talk, get(home::home)),
        ("/painel/contas", Privilege::Account, get(accounts::accounts)),
        ("/painel/contas/{numero}", Privilege::Account, get(accounts::statement)),
        ("/painel/historico", Privilege::History, get(history::history)),
        ("/painel/transacoes/{tx}", Privilege::Status, get(history::transaction)),
        ("/painel/transacoes/{tx}/passos.svg", Privilege::Steps, get(history::picture)),
        (
            "/painel/cliente",
            Privilege::Cashier,
            get(register::client_form).post(register::add_client),
        ),
        (
            "/painel/conta",
            Privilege::Cashier,
            get(register::account_form).post(register::open_account),
        ),
        ("/painel/caixa", Privilege::Move, get(register::cash_form).post(register::cash)),
        ("/painel/transacao", Privilege::Move, get(transact::form).post(transact::step)),
        ("/painel/pendentes", Privilege::History, get(pending::pending).post(pending::resolve)),
        ("/painel/auditoria", Privilege::Audit, get(audit::audit)),
        ("/painel/demo", Privilege::Audit, get(demo::demo).post(demo::act)),
        ("/painel/eventos", Privilege::Audit, get(live::events)),
    ];
    let mut router = Router::new().route("/painel/idioma", get(visit::language));
    for (path, needs, answer) in pages {
        let answer = match app.is_closed() {
            true => answer.layer(from_fn_with_state(GuardedPage { app: app.clone(), needs }, page)),
            false => answer,
        };
        router = router.route(path, answer);
    }
    if app.is_closed() {
        router = router
            .route("/painel/entrar", get(login::form).post(login::log_in))
            .route("/painel/sair", post(login::log_out));
    }
    for asset in ASSETS {
        let answer = move || async move { file(asset.media_type, asset.bytes) };
        router = router.route(&format!("/painel/{}", asset.name), get(answer));
    }
    router
}

fn file(media_type: &'static str, bytes: &'static [u8]) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, ASSET_CACHE)];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), bytes).into_response()
}
