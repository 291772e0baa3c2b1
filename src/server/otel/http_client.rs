//! The HTTP client for collectors: one request a connection, without TLS.

use async_trait::async_trait;
use bytes::Bytes;
use consorcio_core::limits::{OTEL_ANSWER_BYTES_MAX, OTEL_EXPORT_MS_MAX};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use std::time::Duration;
use tokio::net::TcpStream;

/// A client for `http://` URLs.
#[derive(Debug)]
pub(super) struct PlainHttp;

#[async_trait]
impl HttpClient for PlainHttp {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let within = Duration::from_millis(OTEL_EXPORT_MS_MAX);
        tokio::time::timeout(within, send(request)).await?
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri();
    if uri.scheme_str() != Some("http") {
        return Err(format!("{uri}: only http:// is spoken here; put a collector nearby").into());
    }
    let host = uri.host().ok_or("the collector's address names no host")?;
    let address = (host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80));
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let (mut head, body) = request.into_parts();
    head.uri = path.parse()?;
    head.headers.insert(hyper::header::HOST, authority.parse()?);
    let request = Request::from_parts(head, Full::new(body));
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, OTEL_ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    tokio::select! {
        biased;
        answer = answer => answer,
        ended = connection => {
            Err(ended.map_or_else(Into::into, |()| "it closed the connection".into()))
        }
    }
}
