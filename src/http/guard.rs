//! Whose pages may use the routes: this bank's own, and those of the origins that the operator named.
//!
//! A browser sends what any page asks it to. So what changes something is refused when the browser says that
//! another site asks, and when a loopback bank is called by a name that is not this machine's (a name may be made
//! to lead here). Programs that are no browsers say nothing of the sort, and are not asked to.

use crate::http::app::App;
use crate::http::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use std::net::IpAddr;

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
    if app.options().is_loopback && !host_is_here(headers) {
        let error = "O cabeçalho `Host` não é um nome desta máquina";
        return Err(Stop::Refused(Problem::new(StatusCode::FORBIDDEN, error)));
    }
    let origin = headers.get(header::ORIGIN);
    let allowed = origin.filter(|origin| app.options().origins.iter().any(|named| named == *origin));
    let pass = Pass { origin: allowed.cloned() };
    if request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return Err(if allowed.is_some() { Stop::Allowed(pass) } else { Stop::Refused(foreign()) });
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
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
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, value("content-type, idempotency-key"));
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
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, value("x-transacao, location"));
        }
        headers.append(header::VARY, value("origin"));
    }
}

fn foreign() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "Pedido de outro site: a origem não é permitida (--http-origin)")
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

/// Is the host an address, or a name that every machine has for itself?
fn host_is_here(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let lower = name.to_ascii_lowercase();
    lower == "localhost" || lower.ends_with(".localhost") || lower.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_name_of_this_machine() {
        for yes in
            ["localhost", "LOCALHOST:5030", "127.0.0.1:5030", "[::1]:5030", "10.0.0.7", "a.localhost:1"]
        {
            assert!(host_is_here(&headers(&[("host", yes)])), "{yes}");
        }
        for no in ["evil.example", "evil.example:5030", "localhost.evil.example", ""] {
            assert!(!host_is_here(&headers(&[("host", no)])), "{no}");
        }
        assert!(host_is_here(&headers(&[])));
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
