//! Whose pages may use the routes: this bank's own, and those of the origins that the operator
//! named.
//!
//! A browser sends what any page asks it to. So what changes something, and a stream that stays
//! open, is refused when the browser says that another site asks; and every request is refused that
//! calls this bank by a name which the operator did not give: anybody may make a name lead to any
//! address (DNS rebinding). Programs that are no browsers say nothing of where they come from, and
//! are not asked to.

use crate::app::App;
use crate::host::is_own;
use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use axum::response::Response;

/// The stream of events: it takes one of few places for as long as it is open.
pub const EVENTS_PATH: &str = "/painel/eventos";

/// How long a browser may remember what it was allowed, in seconds.
const REMEMBERED_S: &str = "600";

/// What was found out about a request, for its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Another origin, which the operator named.
    origin: Option<HeaderValue>,
}

/// A request that goes no further: it is refused, or was only a question whether it may come.
pub enum Stop {
    /// It is refused.
    Refused(Problem),
    /// It may come.
    Allowed(Pass),
}

/// Looks at a request before any route does.
///
/// # Errors
/// When it goes no further.
pub fn check<B>(app: &App, request: &Request<B>) -> Result<Pass, Stop> {
    let headers = request.headers();
    let host = match named_host(request) {
        Ok(host) => host,
        Err(error) => return Err(Stop::Refused(Problem::bad(error))),
    };
    if let Some(host) = host
        && !is_own(host, app.options().on_loopback, &app.options().hosts)
    {
        let error = "O cabeçalho `Host` não é um endereço nem um nome deste banco (--http-host)";
        return Err(Stop::Refused(Problem::new(StatusCode::FORBIDDEN, error)));
    }
    let origin = headers.get(header::ORIGIN);
    let allowed =
        origin.filter(|origin| app.options().origins.iter().any(|named| named == *origin));
    let pass = Pass { origin: allowed.cloned() };
    if request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return Err(if allowed.is_some() { Stop::Allowed(pass) } else { Stop::Refused(foreign()) });
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && request.uri().path() != EVENTS_PATH;
    let same = origin.is_none_or(|origin| is_same(origin, headers));
    if !safe && allowed.is_none() && !(same && asked_from_here(headers)) {
        return Err(Stop::Refused(foreign()));
    }
    Ok(pass)
}

impl Pass {
    /// The answer to the question whether a request may come.
    pub fn preflight(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        let value = HeaderValue::from_static;
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, value("GET, POST"));
        headers
            .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, value("content-type, idempotency-key"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, value(REMEMBERED_S));
        self.onto(&mut response);
        response
    }

    /// Adds what a browser must know of the response.
    pub fn onto(self, response: &mut Response) {
        let headers = response.headers_mut();
        let value = HeaderValue::from_static;
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, value("nosniff"));
        headers.entry(header::CACHE_CONTROL).or_insert(value("no-store"));
        if let Some(origin) = self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                value("x-transacao, location, retry-after"),
            );
        }
        headers.append(header::VARY, value("origin"));
    }
}

fn foreign() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "Pedido de outro site: a origem não é permitida (--http-origin)",
    )
}

/// Is the page that asks one of the very host that is asked?
fn is_same(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let origin = origin.to_str().unwrap_or("null");
    let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    place.is_some_and(|place| host.is_some_and(|host| place.eq_ignore_ascii_case(host)))
}

/// What browsers say of who asks; where they say nothing, the origin is all there is.
fn asked_from_here(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin" || site == "none",
        None => true,
    }
}

/// The host that a request is for: that of its target where it names one, else of its `Host`
/// header. None where an old program (HTTP/1.0) sends none.
///
/// # Errors
/// When it is missing, stands twice, or can't be read.
fn named_host<B>(request: &Request<B>) -> Result<Option<&str>, &'static str> {
    if let Some(authority) = request.uri().authority() {
        return Ok(Some(authority.as_str()));
    }
    let mut given = request.headers().get_all(header::HOST).iter();
    match (given.next(), given.next()) {
        (None, _) if request.version() == Version::HTTP_10 => Ok(None),
        (None, _) => Err("falta o cabeçalho `Host`"),
        (Some(_), Some(_)) => Err("o cabeçalho `Host` aparece duas vezes"),
        (Some(host), None) => {
            host.to_str().map(Some).map_err(|_| "o cabeçalho `Host` não pode ser lido")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_request_names_one_host() {
        let request = |target: &str, version: Version, hosts: &[&str]| {
            let builder = Request::builder().uri(target).version(version);
            hosts
                .iter()
                .fold(builder, |builder, host| builder.header("host", *host))
                .body(())
                .unwrap()
        };
        let host = |target: &str, hosts: &[&str]| {
            named_host(&request(target, Version::HTTP_11, hosts))
                .map(|host| host.map(str::to_owned))
        };
        assert_eq!(host("/", &["a:1"]), Ok(Some("a:1".to_owned())));
        // The target goes before the header, as RFC 9112 says.
        assert_eq!(
            host("http://evil.example/", &["127.0.0.1"]),
            Ok(Some("evil.example".to_owned()))
        );
        assert!(host("/", &[]).is_err() && host("/", &["127.0.0.1", "evil.example"]).is_err());
        assert_eq!(named_host(&request("/", Version::HTTP_10, &[])), Ok(None));
    }

    #[test]
    fn an_origin_is_the_host_or_not() {
        let same = |origin: &'static str| {
            is_same(&HeaderValue::from_static(origin), &headers(&[("host", "127.0.0.1:5030")]))
        };
        assert!(same("http://127.0.0.1:5030") && same("https://127.0.0.1:5030"));
        for no in ["http://127.0.0.1:5031", "http://127.0.0.1", "null", "", "http://evil.example"] {
            assert!(!same(no), "{no}");
        }
        let site = |site: &'static str| asked_from_here(&headers(&[("sec-fetch-site", site)]));
        assert!(site("same-origin") && site("none") && asked_from_here(&headers(&[])));
        assert!(!site("cross-site") && !site("same-site"));
    }
}
