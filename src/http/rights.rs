//! Who makes a request, and whether the route is theirs, in closed mode. A program shows a bearer
//! token or a client certificate.
//!
//! A route applies its row of the table; the bank applies the rights to what the request is about,
//! as it does for a line of the same name. The pages of the panel need a log-in, since browsers
//! show a certificate to every site's requests: `session` guards them.

use crate::app::App;
use crate::asker;
use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use consorcio_core::access::{Access, Principal, Privilege, Scope};
use consorcio_core::ids::Time;
use consorcio_core::wire::Reason;
use consorcio_panel::reasons;

/// What a connection has shown: the name of its certificate, if it has one, when that was made, and
/// when it ends.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub principal: Option<Principal>,
    pub made: Time,
    pub ends: Time,
}

impl Credential {
    /// A connection that has shown nothing.
    pub(crate) const NONE: Credential =
        Credential { principal: None, made: Time(0), ends: Time(0) };
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
    let access = route.app.access().get();
    let principal = match route.app.program(&request, &access) {
        Ok(principal) => principal,
        Err(problem) => return *problem,
    };
    match access.scope(&principal, privilege) {
        Scope::No | Scope::Consent => {
            Problem::refused(reasons::error(Reason::NotAllowed), Reason::NotAllowed).into_response()
        }
        Scope::Own | Scope::OwnOrConsent | Scope::All => {
            asker::scope(principal, next.run(request)).await
        }
    }
}

/// A request without a credential that counts.
fn unauthorized(error: &'static str) -> Box<Response> {
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, error).into_response();
    let challenge = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    Box::new(response)
}

impl App {
    /// Who makes a request to a JSON route: by its token, or if it has none by its certificate.
    fn program(&self, request: &Request, access: &Access) -> Result<Principal, Box<Response>> {
        let now = self.certificate_now();
        if request.headers().contains_key(header::AUTHORIZATION) {
            let by_token = self.log_ins().and_then(|known| {
                known.program(request.headers(), access, now).map(Principal::Named)
            });
            return by_token
                .ok_or_else(|| unauthorized("O token não vale: faça outro com servidor token"));
        }
        let shown = request.extensions().get::<Credential>().cloned().unwrap_or(Credential::NONE);
        let Some(principal) = shown.principal else {
            return Err(unauthorized("É preciso um token ou um certificado de cliente"));
        };
        if now >= shown.ends {
            return Err(unauthorized("O certificado desta conexão terminou"));
        }
        if let Err(denied) = access.admits(&principal, shown.made) {
            let problem = Problem::refused(reasons::error(Reason::NotAllowed), Reason::NotAllowed);
            return Err(Box::new(problem.with_details(&denied.to_string()).into_response()));
        }
        Ok(principal)
    }

    /// The present time as certificates and tokens are judged.
    pub(crate) fn certificate_now(&self) -> Time {
        Time(self.options().tls.as_ref().map_or(0, |tls| tls.clock().now_us()))
    }

    /// Does the asker see all that this privilege is about, and not only its own?
    pub(crate) fn sees_all(&self, privilege: Privilege) -> bool {
        self.access().get().scope(&self.asker(), privilege) == Scope::All
    }

    /// Whether the asker has this privilege at least for its own.
    pub(crate) fn has(&self, privilege: Privilege) -> bool {
        self.access().get().scope(&self.asker(), privilege) != Scope::No
    }
}
