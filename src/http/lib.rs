//! HTTP: the JSON routes and the panel of a bank, on a thread of their own.
//!
//! Architecture invariant: HTTP adds no state and no second way to move money. Every route makes
//! the same request that a line would make, on the same queue (`node::Asker`); nothing here
//! accesses the bank, its journal or a link. So a slow page, a flood of requests or a long list
//! never stops the bank.
//!
//! `serve` accepts connections; `guard` checks hosts and origins; `call`, `fields` and `reais`
//! parse requests; `routes` lists the routes; `problem` formats refusals; `pages` has the panel.

#![warn(unreachable_pub)]

mod answers;
mod app;
mod asker;
mod call;
mod clients;
mod connections;
mod counts;
mod fields;
mod guard;
mod health;
mod history;
mod host;
mod key;
mod late;
mod lines;
mod list_permit;
mod login;
mod moves;
mod openapi;
mod outcome;
mod outside;
mod pages;
mod problem;
mod reais;
mod rights;
mod routes;
mod serve;
mod timeline;
mod write_timeout;

use app::App;
use axum::http::HeaderValue;
use consorcio_core::ids::BankId;
use consorcio_core::limits::{
    HTTP_BODY_MS_MAX, HTTP_CONNECTIONS_MAX, HTTP_HEAD_MS_MAX, HTTP_LISTS_MAX, HTTP_REQUESTS_MAX,
    HTTP_UNREAD_MS_MAX,
};
use consorcio_node::{Ask, SharedAccess, SyncAge, asking};
use consorcio_steps::steplog::StepLog;
use consorcio_tls::BankTls;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use login::LogIns;
pub use pages::{Demo, DemoError};
pub use routes::{Route, all_routes};

/// The parameters of `start`.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// The position of this bank in the consortium.
    pub bank: BankId,
    /// Addresses by position; `-` marks a bank that left.
    pub places: Vec<String>,
    /// Do the names of this machine's loopback reach it?
    pub on_loopback: bool,
    /// Other host names of this server, in lower case.
    pub hosts: Vec<String>,
    /// Origins of other sites whose pages may use the routes (CORS).
    pub origins: Vec<HeaderValue>,
    /// The step log of this bank.
    pub steplog: StepLog,
    /// The age of the sync under way.
    pub sync_age: Arc<SyncAge>,
    /// The folder of this bank's step log; on one machine also of the others'.
    pub log_dir: PathBuf,
    /// The demonstration whose processes the panel may control.
    pub demo: Option<Demo>,
    /// Bounds; tests use smaller ones.
    pub bounds: HttpBounds,
    /// Serves over TLS and dials other banks so, in closed mode.
    pub tls: Option<BankTls>,
    /// What names may do, in closed mode.
    pub access: SharedAccess,
    /// Tokens, passwords and sessions, in closed mode.
    pub log_ins: Option<LogIns>,
}

/// The bounds of HTTP, which tests may lower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpBounds {
    /// The maximum number of connections.
    pub connections: usize,
    /// Lists of the whole bank that are made at once.
    pub lists: usize,
    /// Time-out of a request's head, and of the wait for the next request.
    pub head_ms: u64,
    /// Time-out of a request's body.
    pub body_ms: u64,
    /// Write-stall timeout: a connection whose client reads nothing for this long is closed.
    pub unread_ms: u64,
}

impl Default for HttpBounds {
    fn default() -> HttpBounds {
        HttpBounds {
            connections: HTTP_CONNECTIONS_MAX,
            lists: HTTP_LISTS_MAX,
            head_ms: HTTP_HEAD_MS_MAX,
            body_ms: HTTP_BODY_MS_MAX,
            unread_ms: HTTP_UNREAD_MS_MAX,
        }
    }
}

/// The running HTTP thread.
pub struct HttpThread {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl HttpThread {
    /// Ends the thread: it accepts nothing more, ends open streams, and answers pending requests.
    /// Returns when it has ended, within `HTTP_SHUTDOWN_MS_MAX`.
    pub async fn end(self) {
        self.stop.cancel();
        // An error means that the thread is gone already.
        let _ = self.ended.await;
    }
}

/// Starts the thread on `listener`. The caller must serve the receiver, which gets the requests to
/// the bank.
///
/// # Errors
/// When the system gives no thread, no runtime or no randomness.
pub fn start(
    listener: TcpListener,
    options: HttpOptions,
) -> io::Result<(HttpThread, mpsc::Receiver<Ask>)> {
    let (asker, asks) = asking(HTTP_REQUESTS_MAX);
    let stop = CancellationToken::new();
    let (ending, ended) = oneshot::channel();
    let others = lines::client(&options.places, options.tls.as_ref()).map_err(io::Error::other)?;
    let app = App::new(asker, others, options, stop.clone()).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    listener.set_nonblocking(true)?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        runtime.block_on(serve::serve(app, listener));
        // The remaining connections end here.
        drop(runtime);
        let _ = ending.send(());
    })?;
    Ok((HttpThread { stop, ended }, asks))
}
