//! Checks of `Host` and `Origin`: pages of this bank may use the routes, and pages of the origins
//! that the operator configured.
//!
//! A browser sends the requests of any page. So a request that changes something, or opens a
//! stream, is refused if its headers show that another site made it (CSRF). Every request is
//! refused whose host is a name that the operator did not configure, since anyone can make a name
//! resolve to this address (DNS rebinding). Programs other than browsers send no such headers, and
//! need none.

use crate::app::App;
use crate::host::{bare_host, is_own};
use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use axum::response::Response;

/// The route of the event stream, which takes a permit for as long as it is open.
pub(crate) const EVENTS_PATH: &str = "/painel/eventos";

/// How long a browser may cache a preflight response, in seconds.
const PREFLIGHT_CACHED_S: &str = "600";

/// The CORS headers for the response to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CorsHeaders {
    /// The other origin, if it is one that the operator configured.
    origin: Option<HeaderValue>,
}

/// The response to a request that reaches no route.
pub(crate) enum EarlyResponse {
    /// The request is refused.
    Refused(Problem),
    /// A CORS preflight that allows the request.
    Preflight(CorsHeaders),
}

/// Checks a request before it is routed.
///
/// # Errors
/// The response, if the request must not be routed.
pub(crate) fn check<B>(app: &App, request: &Request<B>) -> Result<CorsHeaders, EarlyResponse> {
    let headers = request.headers();
    let host = match named_host(request) {
        Ok(host) => host,
        Err(error) => return Err(EarlyResponse::Refused(Problem::bad(error))),
    };
    if let Some(host) = host
        && !is_own(host, app.options().on_loopback, &app.options().hosts)
    {
        let error = "O cabeçalho `Host` não é um endereço nem um nome deste banco (--http-host)";
        return Err(EarlyResponse::Refused(Problem::new(StatusCode::FORBIDDEN, error)));
    }
    if app.is_closed() && is_of_panel(request.uri().path()) {
        check_panel(request, host, &app.options().hosts)?;
    }
    let origin = headers.get(header::ORIGIN);
    let allowed =
        origin.filter(|origin| app.options().origins.iter().any(|named| named == *origin));
    let cors = CorsHeaders { origin: allowed.cloned() };
    if request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return Err(if allowed.is_some() {
            EarlyResponse::Preflight(cors)
        } else {
            EarlyResponse::Refused(foreign())
        });
    }
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && request.uri().path() != EVENTS_PATH;
    let same = origin.is_none_or(|origin| is_same(origin, headers));
    if !safe && allowed.is_none() && !(same && is_same_site(headers)) {
        return Err(EarlyResponse::Refused(foreign()));
    }
    Ok(cors)
}

/// Checks a request for the panel in closed mode, where a cookie says who somebody is: the panel
/// has host names of its own, as cookies know no ports, and what changes something comes from its
/// own pages.
fn check_panel<B>(
    request: &Request<B>,
    host: Option<&str>,
    own: &[String],
) -> Result<(), EarlyResponse> {
    let refused =
        |error: String| EarlyResponse::Refused(Problem::new(StatusCode::FORBIDDEN, error));
    let host = host.filter(|host| own.contains(&bare_host(host))).ok_or_else(|| {
        refused(format!(
            "O painel deste banco só responde por seus nomes, e cada painel tem os seus: {}",
            own.join(", ")
        ))
    })?;
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let origin = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let authority = origin.and_then(|origin| origin.strip_prefix("https://"));
    if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    Err(EarlyResponse::Refused(foreign()))
}

fn is_of_panel(path: &str) -> bool {
    path == "/" || path == "/painel" || path.starts_with("/painel/")
}

impl CorsHeaders {
    /// The response to a CORS preflight.
    pub(crate) fn preflight(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        let value = HeaderValue::from_static;
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, value("GET, POST"));
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            value("authorization, content-type, idempotency-key"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, value(PREFLIGHT_CACHED_S));
        self.add_to(&mut response);
        response
    }

    /// Adds the headers to `response`.
    pub(crate) fn add_to(self, response: &mut Response) {
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

/// Does the page come from the host that the request is for?
fn is_same(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let origin = origin.to_str().unwrap_or("null");
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    authority.is_some_and(|authority| host.is_some_and(|host| authority.eq_ignore_ascii_case(host)))
}

/// Does `Sec-Fetch-Site` allow the request? Without that header only the origin is checked.
fn is_same_site(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin" || site == "none",
        None => true,
    }
}

/// The host that a request is for: from an absolute target, else from the `Host` header. `None` for
/// HTTP/1.0 without one.
///
/// # Errors
/// When the header is missing, repeated, or not text.
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
    fn a_request_has_one_host() {
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
        // The target precedes the header, as RFC 9112 says.
        assert_eq!(
            host("http://evil.example/", &["127.0.0.1"]),
            Ok(Some("evil.example".to_owned()))
        );
        assert!(host("/", &[]).is_err() && host("/", &["127.0.0.1", "evil.example"]).is_err());
        assert_eq!(named_host(&request("/", Version::HTTP_10, &[])), Ok(None));
    }

    #[test]
    fn the_origin_must_be_the_host() {
        let same = |origin: &'static str| {
            is_same(&HeaderValue::from_static(origin), &headers(&[("host", "127.0.0.1:5030")]))
        };
        assert!(same("http://127.0.0.1:5030") && same("https://127.0.0.1:5030"));
        for no in ["http://127.0.0.1:5031", "http://127.0.0.1", "null", "", "http://evil.example"] {
            assert!(!same(no), "{no}");
        }
        let site = |site: &'static str| is_same_site(&headers(&[("sec-fetch-site", site)]));
        assert!(site("same-origin") && site("none") && is_same_site(&headers(&[])));
        assert!(!site("cross-site") && !site("same-site"));
    }
}
