//! The guard of the panel's pages in closed mode: only somebody who has logged in, and whose roles
//! the page is for.

use crate::app::App;
use crate::asker;
use crate::login::Person;
use crate::pages::show::failed;
use crate::pages::visit::{Visit, encoded, see_other};
use crate::problem::Problem;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use consorcio_core::access::{Principal, Privilege, Scope};
use consorcio_panel::frame::{Page, Visitor};

/// The header of what a page fetches by itself to stay up to date.
const REFETCH_HEADER: &str = "x-painel";

tokio::task_local! {
    /// Who logged in with the browser whose request this task handles.
    static PERSON: Person;
}

/// A page, and the privilege that it needs.
#[derive(Debug, Clone)]
pub(crate) struct GuardedPage {
    pub app: App,
    pub needs: Privilege,
}

/// Lets a request pass to its page if somebody has logged in who may see it.
pub(crate) async fn page(
    State(GuardedPage { app, needs }): State<GuardedPage>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(visit) = Visit::from_request_parts(&mut parts, &app).await;
    let (access, is_stream) = (app.access().get(), parts.uri.path() == crate::guard::EVENTS_PATH);
    // A page that is only open must not keep its session.
    let by_itself = is_stream || parts.headers.contains_key(REFETCH_HEADER);
    let now = app.certificate_now();
    let person =
        app.log_ins().and_then(|known| known.person(&parts.headers, (&access, now), !by_itself));
    let Some(person) = person else {
        if parts.method == Method::GET && !by_itself {
            return see_other(&format!("/painel/entrar?volta={}", encoded(&visit.path)));
        }
        let words = visit.t().log_in_again;
        return failed(&Problem::new(StatusCode::UNAUTHORIZED, words), &app, &visit);
    };
    let principal = Principal::Named(person.name.clone());
    let scope = access.scope(&principal, needs);
    let passed = async {
        match scope {
            Scope::No | Scope::Consent => {
                let words = visit.t().not_allowed;
                failed(&Problem::new(StatusCode::FORBIDDEN, words), &app, &visit)
            }
            Scope::Own | Scope::OwnOrConsent | Scope::All => {
                next.run(Request::from_parts(parts, body)).await
            }
        }
    };
    PERSON.scope(person, asker::scope(principal, passed)).await
}

/// The privilege without which a page is not in the menu.
fn needed_for(page: Page) -> Privilege {
    match page {
        Page::Home => Privilege::Lists,
        Page::Accounts => Privilege::Account,
        Page::History | Page::Pending => Privilege::History,
        Page::Transact | Page::Cash => Privilege::Move,
        Page::NewClient | Page::NewAccount => Privilege::Cashier,
        Page::Audit | Page::Demo => Privilege::Audit,
        Page::LogIn => Privilege::Talk,
    }
}

impl App {
    /// Who the page is for whose request this task handles.
    pub(crate) fn visitor(&self) -> Visitor {
        if !self.is_closed() {
            return Visitor::Anybody;
        }
        let of = |person: &Person| Visitor::Person {
            name: person.name.to_string(),
            form_token: person.form_token.clone(),
            pages: Page::ALL.into_iter().filter(|page| self.has(needed_for(*page))).collect(),
        };
        PERSON.try_with(of).unwrap_or(Visitor::Stranger)
    }

    /// Was a form with this token made for the session whose request this task handles? In open
    /// mode there are no sessions.
    pub(crate) fn is_own_form(&self, token: &str) -> bool {
        !self.is_closed() || PERSON.try_with(|person| person.has_form_token(token)).unwrap_or(false)
    }
}
