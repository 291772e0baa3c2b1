//! The parts of a request that routes use: the client, the idempotency key, and the body. Reading
//! the body is bounded in bytes and in time.

use crate::app::App;
use crate::connections::ConnectionSlot;
use crate::fields::BodyFields;
use crate::key::IdempotencyKey;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use consorcio_core::limits::{
    HTTP_BODY_BYTES_MAX, HTTP_DRAINED_BYTES_MAX, HTTP_DRAINED_MS_MAX, HTTP_KEY_BYTES_MAX,
};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The header whose value determines the transaction's id.
pub(crate) const KEY_HEADER: &str = "idempotency-key";

/// The client address and the slot of a connection; an extension of each request.
#[derive(Debug, Clone)]
pub(crate) struct ClientConnection(pub SocketAddr, pub Arc<ConnectionSlot>);

/// The client that sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    /// The address of the client.
    pub peer: SocketAddr,
    /// The slot of its connection.
    pub slot: Arc<ConnectionSlot>,
}

impl FromRequestParts<App> for Requester {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Requester, Infallible> {
        let ClientConnection(peer, slot) = of_connection(parts);
        Ok(Requester { peer: *peer, slot: slot.clone() })
    }
}

/// A request with a JSON body, which may change the bank.
#[derive(Debug)]
pub(crate) struct JsonRequest {
    /// The address of the client.
    pub peer: SocketAddr,
    /// The value of `Idempotency-Key`, if there is one.
    pub key: Option<IdempotencyKey>,
    text: String,
}

impl JsonRequest {
    /// The fields of its body.
    ///
    /// # Errors
    /// When it is no JSON object, or has a field twice.
    pub(crate) fn fields(&self) -> Result<BodyFields<'_>, Problem> {
        BodyFields::of_body(&self.text)
    }
}

impl FromRequest<App> for JsonRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<JsonRequest, Problem> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        let key = read_key(&parts.headers)?;
        let bytes = body_within(body, app).await?;
        let text = String::from_utf8(bytes).map_err(|_| Problem::bad("o corpo não é UTF-8"))?;
        Ok(JsonRequest { peer: peer(&parts), key, text })
    }
}

/// Reads a body within its bounds of bytes and time.
///
/// # Errors
/// 413 or 408 past a bound, 400 if it is incomplete.
pub(crate) async fn body_within(body: Body, app: &App) -> Result<Vec<u8>, Problem> {
    let within = Duration::from_millis(app.options().bounds.body_ms);
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "O corpo não chegou a tempo");
    timeout(within, read_body(body)).await.map_err(late)?
}

/// The address of the client that sent a request.
pub(crate) fn peer(parts: &Parts) -> SocketAddr {
    of_connection(parts).0
}

fn of_connection(parts: &Parts) -> &ClientConnection {
    parts.extensions.get().expect("`serve` adds this to each request")
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

fn read_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad("o cabeçalho `Idempotency-IdempotencyKey` aparece duas vezes"));
    }
    let bytes = value.as_bytes();
    if bytes.is_empty() || bytes.len() > HTTP_KEY_BYTES_MAX {
        let rule = format!("deve ter de 1 a {HTTP_KEY_BYTES_MAX} bytes");
        return Err(Problem::bad(format!("o cabeçalho `Idempotency-IdempotencyKey` {rule}")));
    }
    Ok(Some(IdempotencyKey::new(bytes)))
}

async fn read_body(mut body: Body) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad("o corpo não chegou inteiro"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > HTTP_BODY_BYTES_MAX {
            // Whether the rest arrives or not, the response is the same.
            let within = Duration::from_millis(HTTP_DRAINED_MS_MAX);
            let _ = timeout(within, drain(body)).await;
            let error = format!("O corpo tem mais de {HTTP_BODY_BYTES_MAX} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

async fn drain(mut body: Body) {
    let mut drained = 0;
    while drained < HTTP_DRAINED_BYTES_MAX
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
    fn only_json_in_utf8_is_accepted() {
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
    fn a_key_is_any_bytes_within_the_bound() {
        assert_eq!(read_key(&HeaderMap::new()), Ok(None));
        for key in ["t-1", "a b", "\"8e03978e\"", "a:b", "Zm9v+/==", &"x".repeat(255)] {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(KEY_HEADER), key.parse().unwrap())]);
            assert_eq!(read_key(&headers), Ok(Some(IdempotencyKey::new(key.as_bytes()))), "{key}");
        }
        let long = [(HeaderName::from_static(KEY_HEADER), "x".repeat(256).parse().unwrap())];
        assert!(read_key(&HeaderMap::from_iter(long)).is_err());
        assert!(read_key(&with(KEY_HEADER, &[""])).is_err());
        assert!(read_key(&with(KEY_HEADER, &["a", "b"])).is_err());
    }
}
