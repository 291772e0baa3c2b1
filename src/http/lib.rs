//! HTTP: the JSON routes of a bank, on a thread of their own beside the bank's.
//!
//! Architecture invariant: HTTP adds no state and no second way to move money. Every route is the
//! same request that a line would make, on the same queue (`node::ask`); nothing here sees the
//! bank, its journal or a peer's link. So a slow page, a flood of requests or a long list never
//! stops the bank.
//!
//! `serve` has the connections, `guard` whose pages may ask, `call`, `fields` and `reais` read what
//! is asked, `routes` lists who answers, `problem` is how a refusal looks.

mod answers;
mod app;
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
mod moves;
mod openapi;
mod outcome;
mod outside;
mod pages;
mod problem;
mod reais;
pub mod routes;
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
use consorcio_node::ask::{Ask, asking};
use consorcio_node::disk::SyncAge;
use consorcio_steps::steplog::StepLog;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use pages::{Demo, DemoError};

/// What HTTP is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// This bank's position.
    pub bank: BankId,
    /// Addresses by position; `-` where a bank left.
    pub places: Vec<String>,
    /// Do names of this machine's loopback lead to it?
    pub on_loopback: bool,
    /// Other names by which it may be called, in lower case.
    pub hosts: Vec<String>,
    /// Origins of other sites whose pages may use the routes.
    pub origins: Vec<HeaderValue>,
    /// What this bank tells of its steps.
    pub steplog: StepLog,
    /// How long the data disk has been syncing.
    pub sync_age: Arc<SyncAge>,
    /// Where this bank's step log is; the others' too, on one machine.
    pub log_dir: PathBuf,
    /// The demonstration whose processes the panel may act on.
    pub demo: Option<Demo>,
    /// Bounds; tests use smaller ones.
    pub bounds: Bounds,
}

/// The bounds of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// Lists of the whole bank at once.
    pub lists: usize,
    /// A request's head comes within this time, and the next one after it.
    pub head_ms: u64,
    /// A request's body comes within this time.
    pub body_ms: u64,
    /// A connection that has not taken a byte for so long is closed.
    pub unread_ms: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            connections: HTTP_CONNECTIONS_MAX,
            lists: HTTP_LISTS_MAX,
            head_ms: HTTP_HEAD_MS_MAX,
            body_ms: HTTP_BODY_MS_MAX,
            unread_ms: HTTP_UNREAD_MS_MAX,
        }
    }
}

/// The running HTTP thread.
pub struct Running {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl Running {
    /// Ends it: nothing more is accepted, open streams end, what was asked is answered. Returns
    /// when it has ended, which has a time limit.
    pub async fn end(self) {
        self.stop.cancel();
        // A thread that is gone has ended, too.
        let _ = self.ended.await;
    }
}

/// Starts the thread on `listener`. What it asks of the bank comes out of the receiver, which
/// somebody must serve.
///
/// # Errors
/// When the system gives no thread, no runtime or no randomness.
pub fn start(
    listener: TcpListener,
    options: Options,
) -> io::Result<(Running, mpsc::Receiver<Ask>)> {
    let (asker, asks) = asking(HTTP_REQUESTS_MAX);
    let stop = CancellationToken::new();
    let (ending, ended) = oneshot::channel();
    let others = lines::client(&options.places).map_err(io::Error::other)?;
    let app = App::new(asker, others, options, stop.clone()).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    listener.set_nonblocking(true)?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    std::thread::Builder::new().name("http".to_owned()).spawn(move || {
        runtime.block_on(serve::serve(app, listener));
        // Connections that are left end here.
        drop(runtime);
        let _ = ending.send(());
    })?;
    Ok((Running { stop, ended }, asks))
}
