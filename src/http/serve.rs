//! HTTP connections: accepted within a bound, served, and ended in order.
//!
//! Our own loop and not `axum::serve`, which leaves silent and half-sent requests open for ever,
//! and waits for open streams at the end.

use crate::app::App;
use crate::call::Peer;
use crate::connections::AtWork;
use crate::guard::{self, Stop};
use crate::routes;
use crate::write_timeout::WriteTimeout;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use consorcio_core::limits::{
    ACCEPT_PAUSE_MS, HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_SHUTDOWN_MS_MAX,
};
use consorcio_system::crash::{self, Step};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

/// Serves `listener` until the process ends; what is under way then is answered first, within a
/// time.
pub async fn serve(app: App, listener: TcpListener) {
    let bounds = app.options().bounds.clone();
    let places = app.places_of_connections().clone();
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
        let Some(ticket) = places.take(peer.ip().to_canonical()) else {
            tracing::debug!(%peer, "all HTTP connections are taken: {peer} is refused");
            refuse(&stream);
            continue;
        };
        // An answer is one write: waiting for more to send would only add delay.
        let _ = stream.set_nodelay(true);
        let stop = app.stop().clone();
        let (app, router) = (app.clone(), router.clone());
        let place = ticket.place().clone();
        let of = Peer(peer, place.clone());
        let answer = move |request| answer(app.clone(), router.clone(), of.clone(), request);
        let stream =
            WriteTimeout::new(stream, Duration::from_millis(bounds.unread_ms), place.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service_fn(answer));
        connections.spawn(async move {
            let mut connection = pin!(connection);
            let served = async {
                tokio::select! {
                    // How a connection ends, in time or not, is the other end's affair.
                    _ = connection.as_mut() => return,
                    () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
                }
                let _ = connection.await;
            };
            tokio::select! {
                () = served => (),
                () = place.is_given_up() => (),
            }
            drop(ticket);
        });
    }
    drop(listener);
    connections.close();
    // Those that are not done by then are cut off with the process.
    let _ = timeout(Duration::from_millis(HTTP_SHUTDOWN_MS_MAX), connections.wait()).await;
}

async fn answer(
    app: App,
    router: Router,
    of: Peer,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let pass = match guard::check(&app, &request) {
        Ok(pass) => pass,
        Err(stop) => {
            app.counts().add("", stop.status().as_u16());
            return Ok(stop.into_response());
        }
    };
    // While a request comes in, its connection may still be given up for another.
    let incoming = request.body().is_end_stream().then(|| of.1.work());
    let place = of.1.clone();
    request.extensions_mut().insert(of);
    let mut response = TowerToHyperService::new(router).call(request).await?;
    pass.onto(&mut response);
    crash::step(Step::HttpAnswering);
    let work = incoming.unwrap_or_else(|| place.work());
    Ok(response.map(|body| Body::new(Worked { body, _work: work })))
}

/// A body whose connection is at work until it is handed over.
struct Worked {
    body: Body,
    _work: AtWork,
}

impl HttpBody for Worked {
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

impl Stop {
    fn status(&self) -> StatusCode {
        match self {
            Stop::Refused(problem) => problem.status(),
            Stop::Allowed(_) => StatusCode::NO_CONTENT,
        }
    }

    fn into_response(self) -> Response<Body> {
        match self {
            Stop::Refused(problem) => problem.into_response(),
            Stop::Allowed(pass) => pass.preflight(),
        }
    }
}

/// All places are taken: a fresh socket takes these few bytes at once.
fn refuse(stream: &TcpStream) {
    let body = r#"{"error":"Conexões demais, tente mais tarde"}"#;
    let head =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close";
    let _ = stream
        .try_write(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes());
}
