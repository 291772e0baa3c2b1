//! The list of all JSON routes, and the router. `openapi` describes the same list.

use crate::app::App;
use crate::late::with_bound;
use crate::pages::Visit;
use crate::problem::Problem;
use crate::rights::{GuardedRoute, guarded};
use crate::{clients, health, history, moves, openapi, outcome, outside, pages};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use consorcio_core::access::Privilege;

/// A route: its method, its path, and its handler.
pub struct Route {
    /// The method: GET or POST.
    pub method: Method,
    /// The path, with `{name}` for each parameter.
    pub path: &'static str,
    /// The privilege that it needs in closed mode; without one it is anybody's.
    pub needs: Option<Privilege>,
    answer: MethodRouter<App>,
}

/// The JSON routes, in the order of docs/HTTP.md.
pub fn all_routes() -> Vec<Route> {
    let read = |path, needs, answer| Route { method: Method::GET, path, needs, answer };
    let change = |path, needs, answer| Route { method: Method::POST, path, needs, answer };
    vec![
        read("/status", None, get(clients::status)),
        read("/bancos_on", Some(Privilege::Talk), get(clients::banks_online)),
        read("/clientes", Some(Privilege::Lists), get(clients::clients)),
        read("/contas/{cpf}", Some(Privilege::Account), get(clients::accounts)),
        change("/criar_cliente", Some(Privilege::Cashier), post(clients::create_client)),
        change("/criar_conta", Some(Privilege::Cashier), post(clients::open_account)),
        change("/depositar", Some(Privilege::Cashier), post(moves::deposit)),
        change("/sacar", Some(Privilege::Move), post(moves::withdraw)),
        change("/transferir", Some(Privilege::Move), post(moves::transfer)),
        change("/transferencia_composta", Some(Privilege::Move), post(moves::composite)),
        change("/creditar", Some(Privilege::Cashier), post(moves::credit)),
        change("/prepare", Some(Privilege::Coordinate), post(outside::prepare)),
        change("/commit", Some(Privilege::Coordinate), post(outside::commit)),
        change("/abort", Some(Privilege::Coordinate), post(outside::abort)),
        read("/historico", Some(Privilege::History), get(history::history)),
        read("/pendentes", Some(Privilege::History), get(history::pending)),
        read("/transacoes/{id}", Some(Privilege::Status), get(outcome::transaction)),
        read("/openapi.json", None, get(openapi::openapi)),
        read("/metrics", Some(Privilege::Audit), get(health::metrics)),
        read("/healthz", None, get(health::healthz)),
        read("/readyz", None, get(health::readyz)),
    ]
}

/// The router of all routes.
pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new();
    for Route { path, needs, answer, .. } in all_routes() {
        let guarded_by = GuardedRoute { app: app.clone(), needs };
        let answer = match app.is_closed() {
            true => answer.layer(from_fn_with_state(guarded_by, guarded)),
            false => answer,
        };
        router = router.route(path, answer);
    }
    let router = router.merge(pages::router(&app));
    let router = router.fallback(unknown_path).method_not_allowed_fallback(wrong_method);
    router.layer(from_fn_with_state(app.clone(), count)).with_state(app)
}

/// Bounds the time of each request, and counts its response under the pattern of its route.
async fn count(
    State(app): State<App>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let response = with_bound(next.run(request)).await;
    app.counts().add(route.as_ref().map_or("", MatchedPath::as_str), response.status().as_u16());
    response
}

async fn unknown_path(
    State(app): State<App>,
    visit: Visit,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let path = consorcio_core::wire::text::excerpt(uri.path());
    let problem = Problem::new(StatusCode::NOT_FOUND, format!("Caminho desconhecido: {path}"));
    failure(&problem, &app, &visit, uri.path(), &headers)
}

async fn wrong_method(
    State(app): State<App>,
    visit: Visit,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let (method, path) = (method.as_str(), consorcio_core::wire::text::excerpt(uri.path()));
    let problem =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} não aceita {method}"));
    failure(&problem, &app, &visit, uri.path(), &headers)
}

/// A page for clients that accept HTML and for paths of the panel, else JSON.
fn failure(
    problem: &Problem,
    app: &App,
    visit: &Visit,
    path: &str,
    headers: &HeaderMap,
) -> Response {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let of_panel = path == "/painel" || path.starts_with("/painel/");
    if of_panel || accepts.into_iter().any(|accept| accept.contains("text/html")) {
        pages::failed(problem, app, visit)
    } else {
        problem.clone().into_response()
    }
}
