//! Who makes a request, and whether the route is theirs, in closed mode. A client certificate is
//! the credential.
//!
//! A route applies its row of the table; the bank applies the rights to what the request is about,
//! as it does for a line of the same name. The pages of the panel need a log-in, since browsers
//! show a certificate to every site's requests, and are closed until there is one.

use crate::app::App;
use crate::asker;
use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use consorcio_core::access::{Principal, Privilege, Scope};
use consorcio_core::ids::Time;
use consorcio_core::wire::Reason;
use consorcio_panel::reasons;

/// What a connection has shown: the name of its certificate, if it has one, and when that was made.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub principal: Option<Principal>,
    pub made: Time,
}

impl Credential {
    /// A connection that has shown nothing.
    pub(crate) const NONE: Credential = Credential { principal: None, made: Time(0) };
}

/// A route, and the privilege that it needs; without one it is anybody's.
#[derive(Debug, Clone)]
pub(crate) struct GuardedRoute {
    pub app: App,
    pub needs: Option<Privilege>,
}

/// Lets a request pass to its route if the route is theirs.
pub(crate) async fn guarded(
    State(route): State<GuardedRoute>,
    request: Request,
    next: Next,
) -> Response {
    let Some(privilege) = route.needs else {
        // What it shows is nobody's secret.
        return asker::scope(Principal::Operator, next.run(request)).await;
    };
    let shown = request.extensions().get::<Credential>().cloned().unwrap_or(Credential::NONE);
    let Some(principal) = shown.principal else {
        let error = "É preciso um certificado de cliente deste consórcio";
        return Problem::new(StatusCode::UNAUTHORIZED, error).into_response();
    };
    let access = route.app.access().get();
    if let Err(denied) = access.admits(&principal, shown.made) {
        let problem = Problem::refused(reasons::error(Reason::NotAllowed), Reason::NotAllowed);
        return problem.with_details(&denied.to_string()).into_response();
    }
    match access.scope(&principal, privilege) {
        Scope::No | Scope::Consent => {
            Problem::refused(reasons::error(Reason::NotAllowed), Reason::NotAllowed).into_response()
        }
        Scope::Own | Scope::OwnOrConsent | Scope::All => {
            asker::scope(principal, next.run(request)).await
        }
    }
}

/// Refuses every page of the panel, and says why.
pub(crate) async fn closed() -> Response {
    let error = "O painel pede um login, que ainda não existe no modo fechado (--tls)";
    Problem::new(StatusCode::FORBIDDEN, error).into_response()
}

impl App {
    /// Does the asker see all that this privilege is about, and not only its own?
    pub(crate) fn sees_all(&self, privilege: Privilege) -> bool {
        self.access().get().scope(&self.asker(), privilege) == Scope::All
    }

    /// Whether the asker has this privilege at least for its own.
    pub(crate) fn has(&self, privilege: Privilege) -> bool {
        self.access().get().scope(&self.asker(), privilege) != Scope::No
    }
}
