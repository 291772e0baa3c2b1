//! The panel over HTTP: a page reads the bank and passes a view to `panel`, which renders it.
//!
//! Architecture invariant: pages and forms make the same requests as lines and routes. The only
//! state is the language of the visitor, in a cookie.

mod accounts;
mod audit;
mod demo;
mod forms;
mod history;
mod home;
mod live;
mod pending;
mod process;
mod register;
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
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use consorcio_panel::ASSETS;

/// How long a browser may cache an asset; a bank of another version serves others.
const ASSET_CACHE: &str = "max-age=300";

/// The router of all pages, forms and assets.
pub(crate) fn router() -> Router<App> {
    let mut router = Router::new()
        .route("/", get(home::home))
        .route("/painel/contas", get(accounts::accounts))
        .route("/painel/contas/{numero}", get(accounts::statement))
        .route("/painel/historico", get(history::history))
        .route("/painel/transacoes/{tx}", get(history::transaction))
        .route("/painel/transacoes/{tx}/passos.svg", get(history::picture))
        .route("/painel/cliente", get(register::client_form).post(register::add_client))
        .route("/painel/conta", get(register::account_form).post(register::open_account))
        .route("/painel/caixa", get(register::cash_form).post(register::cash))
        .route("/painel/transacao", get(transact::form).post(transact::step))
        .route("/painel/pendentes", get(pending::pending).post(pending::resolve))
        .route("/painel/auditoria", get(audit::audit))
        .route("/painel/demo", get(demo::demo).post(demo::act))
        .route("/painel/idioma", get(visit::language))
        .route("/painel/eventos", get(live::events));
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
