//! A request as routes see it: who asks, under which id, and the body. Reading it is bounded in
//! bytes and in time.

use crate::app::App;
use crate::connections::Place;
use crate::fields::Fields;
use crate::key::Key;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use consorcio_core::limits::{HTTP_BODY_BYTES_MAX, HTTP_KEY_BYTES_MAX};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The header whose value makes the transaction's id.
pub const KEY_HEADER: &str = "idempotency-key";

/// Of a body that is too large so much is read before the answer, so that a caller who sends first
/// and then reads gets it.
const DRAINED_BYTES_MAX: usize = 1024 * 1024;
const DRAINED_WITHIN: Duration = Duration::from_secs(1);

/// The other end of a connection; each request carries it.
#[derive(Debug, Clone)]
pub struct Peer(pub SocketAddr, pub Arc<Place>);

/// Who asks.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The other end.
    pub peer: SocketAddr,
    /// Its connection's place.
    pub place: Arc<Place>,
}

impl FromRequestParts<App> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Reader, Infallible> {
        let Peer(peer, place) = of_connection(parts);
        Ok(Reader { peer: *peer, place: place.clone() })
    }
}

/// A request that changes something: its body is JSON.
#[derive(Debug)]
pub struct Call {
    /// The other end.
    pub peer: SocketAddr,
    /// The key that the caller chose.
    pub key: Option<Key>,
    text: String,
}

impl Call {
    /// The fields of its body.
    ///
    /// # Errors
    /// When it is no JSON object, or a field stands twice.
    pub fn fields(&self) -> Result<Fields<'_>, Problem> {
        Fields::of_body(&self.text)
    }
}

impl FromRequest<App> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Call, Problem> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        let key = read_key(&parts.headers)?;
        let bytes = body_within(body, app).await?;
        let text = String::from_utf8(bytes).map_err(|_| Problem::bad("o corpo não é UTF-8"))?;
        Ok(Call { peer: peer(&parts), key, text })
    }
}

/// All of a body, within its bounds of bytes and time.
///
/// # Errors
/// 413 or 408 past a bound, 400 where it breaks off.
pub async fn body_within(body: Body, app: &App) -> Result<Vec<u8>, Problem> {
    let within = Duration::from_millis(app.options().bounds.body_ms);
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "O corpo não chegou a tempo");
    timeout(within, read_body(body)).await.map_err(late)?
}

/// The other end of the connection that a request came over.
pub fn peer(parts: &Parts) -> SocketAddr {
    of_connection(parts).0
}

fn of_connection(parts: &Parts) -> &Peer {
    parts.extensions.get().expect("the server tells each request's peer")
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let (kind, parameters) = given.split_once(';').unwrap_or((given, ""));
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let utf8 = charset.is_none_or(|charset| {
        charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
    });
    if kind.trim().eq_ignore_ascii_case("application/json") && utf8 {
        return Ok(());
    }
    let error = "O corpo deve ser JSON em UTF-8: Content-Type: application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error))
}

fn read_key(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad("o cabeçalho `Idempotency-Key` aparece duas vezes"));
    }
    let bytes = value.as_bytes();
    if bytes.is_empty() || bytes.len() > HTTP_KEY_BYTES_MAX {
        let rule = format!("deve ter de 1 a {HTTP_KEY_BYTES_MAX} bytes");
        return Err(Problem::bad(format!("o cabeçalho `Idempotency-Key` {rule}")));
    }
    Ok(Some(Key::new(bytes)))
}

async fn read_body(mut body: Body) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad("o corpo não chegou inteiro"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > HTTP_BODY_BYTES_MAX {
            // Whether the rest comes or not, the answer is the same.
            let _ = timeout(DRAINED_WITHIN, drain(body)).await;
            let error = format!("O corpo tem mais de {HTTP_BODY_BYTES_MAX} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

async fn drain(mut body: Body) {
    let mut drained = 0;
    while drained < DRAINED_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        drained += frame.data_ref().map_or(0, |data| data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn with(name: &'static str, values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_json_in_utf8_is_read() {
        for yes in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;x=1; charset=\"UTF-8\"",
        ] {
            assert!(check_type(&with("content-type", &[yes])).is_ok(), "{yes}");
        }
        for no in ["", "text/plain", "application/jsonx", "application/json; charset=latin1"] {
            assert!(check_type(&with("content-type", &[no])).is_err(), "{no}");
        }
        assert!(check_type(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_key_is_any_text_within_its_bound() {
        assert_eq!(read_key(&HeaderMap::new()), Ok(None));
        for key in ["t-1", "a b", "\"8e03978e\"", "a:b", "Zm9v+/==", &"x".repeat(255)] {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(KEY_HEADER), key.parse().unwrap())]);
            assert_eq!(read_key(&headers), Ok(Some(Key::new(key.as_bytes()))), "{key}");
        }
        let long = [(HeaderName::from_static(KEY_HEADER), "x".repeat(256).parse().unwrap())];
        assert!(read_key(&HeaderMap::from_iter(long)).is_err());
        assert!(read_key(&with(KEY_HEADER, &[""])).is_err());
        assert!(read_key(&with(KEY_HEADER, &["a", "b"])).is_err());
    }
}
