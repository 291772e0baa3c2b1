//! The accept loop of HTTP: a bounded number of connections, and an orderly end.
//!
//! This replaces `axum::serve`, which keeps silent and unfinished requests open for ever, and waits
//! for open streams at the end.

use crate::app::App;
use crate::call::ClientConnection;
use crate::connections::AtWork;
use crate::guard::{self, EarlyResponse};
use crate::rights::Credential;
use crate::routes;
use crate::write_timeout::WriteTimeout;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use consorcio_core::ids::Time;
use consorcio_core::limits::{
    ACCEPT_PAUSE_MS, CERTIFICATE_EARLY_MINUTES, HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX,
    HTTP_SHUTDOWN_MS_MAX,
};
use consorcio_core::wire::Reason;
use consorcio_steps::steplog::{OtherEnd, Step, StepLog};
use consorcio_system::crash;
use consorcio_tls::{Admitted, BankTls, PeerStream, PortKind, RefusedPeer};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

/// Serves `listener` until the process ends; then answers the requests under way, within
/// `HTTP_SHUTDOWN_MS_MAX`.
pub(crate) async fn serve(app: App, listener: TcpListener) {
    let bounds = app.options().bounds.clone();
    let slots = app.connections().clone();
    let router = routes::router(app.clone());
    let connections = TaskTracker::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(bounds.head_ms))
        .max_headers(HTTP_HEADERS_MAX)
        .max_buf_size(HTTP_HEAD_BYTES_MAX);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = app.stop().cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!("no HTTP connection can be accepted for now: {error}");
                    sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                    continue;
                }
            },
        };
        let Some(permit) = slots.take(peer.ip().to_canonical()) else {
            tracing::debug!(%peer, "all HTTP connections are taken: {peer} is refused");
            if app.options().tls.is_none() {
                refuse(&stream);
            }
            continue;
        };
        // A response is one write, so Nagle's algorithm would only add delay.
        let _ = stream.set_nodelay(true);
        let stop = app.stop().clone();
        let (app, router) = (app.clone(), router.clone());
        let slot = permit.slot().clone();
        let client = ClientConnection(peer, slot.clone());
        let (tls, steplog) = (app.options().tls.clone(), app.options().steplog.clone());
        let (http, unread_ms) = (http.clone(), bounds.unread_ms);
        connections.spawn(async move {
            let served = async {
                let opened = open(stream, peer, tls.as_ref(), &steplog).await;
                let Some((stream, credential)) = opened else { return };
                let answer = move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(credential.clone());
                    answer(app.clone(), router.clone(), client.clone(), request)
                };
                let stream =
                    WriteTimeout::new(stream, Duration::from_millis(unread_ms), slot.clone());
                let connection = http.serve_connection(TokioIo::new(stream), service_fn(answer));
                let mut connection = pin!(connection);
                tokio::select! {
                    // The client may end its connection in any way.
                    _ = connection.as_mut() => return,
                    () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
                }
                let _ = connection.await;
            };
            tokio::select! {
                () = served => (),
                () = slot.wait_evicted() => (),
            }
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    // Connections that are not done by then end with the process.
    let _ = timeout(Duration::from_millis(HTTP_SHUTDOWN_MS_MAX), connections.wait()).await;
}

async fn answer(
    app: App,
    router: Router,
    client: ClientConnection,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let cors = match guard::check(&app, &request) {
        Ok(cors) => cors,
        Err(early) => {
            app.counts().add("", early.status().as_u16());
            return Ok(early.into_response());
        }
    };
    // While the body is still arriving, the connection may be evicted.
    let complete = request.body().is_end_stream().then(|| client.1.work());
    let slot = client.1.clone();
    request.extensions_mut().insert(client);
    let mut response = TowerToHyperService::new(router).call(request).await?;
    cors.add_to(&mut response);
    crash::step(crash::Step::HttpAnswering);
    let work = complete.unwrap_or_else(|| slot.work());
    Ok(response.map(|body| Body::new(TrackedBody { body, _work: work })))
}

/// A body that keeps its connection at work until the socket has it.
struct TrackedBody {
    body: Body,
    _work: AtWork,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl EarlyResponse {
    fn status(&self) -> StatusCode {
        match self {
            EarlyResponse::Refused(problem) => problem.status(),
            EarlyResponse::Preflight(_) => StatusCode::NO_CONTENT,
        }
    }

    fn into_response(self) -> Response<Body> {
        match self {
            EarlyResponse::Refused(problem) => problem.into_response(),
            EarlyResponse::Preflight(cors) => cors.preflight(),
        }
    }
}

/// The connection to serve: over TLS in closed mode, once the handshake is complete.
async fn open(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<&BankTls>,
    steplog: &StepLog,
) -> Option<(PeerStream, Credential)> {
    let Some(tls) = tls else { return Some((PeerStream::Plain(stream), Credential::NONE)) };
    match tls.accept(stream, PortKind::Http).await {
        Ok(Admitted { stream, principal, begin_us, end_us }) => {
            let made = Time(begin_us.saturating_add(CERTIFICATE_EARLY_MINUTES * 60_000_000));
            Some((stream, Credential { principal, made, ends: Time(end_us) }))
        }
        Err(RefusedPeer { why, .. }) => {
            tracing::info!(%peer, "{peer} is refused: {why}");
            steplog.record(Step::Bad(OtherEnd::Address(peer), Reason::Refused, why.into()));
            None
        }
    }
}

/// Refuses a connection because all slots are at work. A new socket accepts these few bytes at
/// once.
fn refuse(stream: &TcpStream) {
    let body = r#"{"error":"Conexões demais, tente mais tarde"}"#;
    let head =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close";
    let _ = stream
        .try_write(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes());
}
