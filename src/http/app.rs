//! The state that all routes and pages share: requests to the bank, the operator's options, and the
//! permits of bounded resources.
//!
//! Architecture invariant: HTTP holds no state of the bank. A route reads the bank for each
//! request, and changes it only through `ask`, the same queue as a line's request.

use crate::HttpOptions;
use crate::answers;
use crate::asker;
use crate::connections::Connections;
use crate::counts::ResponseCounts;
use crate::host::bare_host;
use crate::late::{Late, in_time};
use crate::login::LogIns;
use crate::problem::Problem;
use consorcio_client::Client;
use consorcio_core::access::{Name, Principal};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::{HTTP_STREAMS_MAX, HTTP_STREAMS_OF_HOST_MAX, SLOW_SYNC_MS};
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::AnswerPage;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_node::{Asker, SharedAccess};
use consorcio_panel::texts::{Lang, texts};
use consorcio_system::id_generator::IdGenerator;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

/// The state that all routes share; clones refer to the same one.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<AppState>);

#[derive(Debug)]
struct AppState {
    asker: Asker,
    /// For requests to the other banks.
    client: Client,
    options: HttpOptions,
    ids: Mutex<IdGenerator>,
    /// Held from the check whether a client or account exists to its creation, so that the second
    /// of two equal requests finds it.
    creating: tokio::sync::Mutex<()>,
    /// Permits for making lists of the whole bank.
    lists: Arc<Semaphore>,
    /// The permit to read step logs.
    traces: Arc<Semaphore>,
    /// Permits for live event streams.
    streams: Arc<Semaphore>,
    /// Streams by the address of their client and the host name that it used.
    streams_of: Arc<Mutex<BTreeMap<StreamsOf, usize>>>,
    connections: Connections,
    counts: ResponseCounts,
    stop: CancellationToken,
}

impl App {
    /// The shared state. `asker` reaches this bank, `client` the others. `stop` is cancelled when
    /// the process ends.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn new(
        asker: Asker,
        client: Client,
        options: HttpOptions,
        stop: CancellationToken,
    ) -> Result<App, getrandom::Error> {
        Ok(App(Arc::new(AppState {
            asker,
            client,
            ids: Mutex::new(IdGenerator::new()?),
            creating: tokio::sync::Mutex::new(()),
            lists: Arc::new(Semaphore::new(options.bounds.lists)),
            traces: Arc::new(Semaphore::new(1)),
            streams: Arc::new(Semaphore::new(HTTP_STREAMS_MAX)),
            streams_of: Arc::default(),
            connections: Connections::new(options.bounds.connections),
            counts: ResponseCounts::default(),
            stop,
            options,
        })))
    }

    /// The position of this bank.
    pub(crate) fn bank(&self) -> BankId {
        self.0.options.bank
    }

    /// Addresses by position; `-` marks a bank that left.
    pub(crate) fn places(&self) -> &[String] {
        &self.0.options.places
    }

    /// A client of the other banks.
    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    /// The options of this HTTP server.
    pub(crate) fn options(&self) -> &HttpOptions {
        &self.0.options
    }

    /// The number of responses so far.
    pub(crate) fn counts(&self) -> &ResponseCounts {
        &self.0.counts
    }

    /// A new id for a transaction.
    pub(crate) fn fresh_id(&self) -> TxId {
        let id = self.0.ids.lock().unwrap_or_else(PoisonError::into_inner).now();
        asker::owned(&id).unwrap_or(id)
    }

    /// What this bank grants.
    pub(crate) fn access(&self) -> &SharedAccess {
        &self.0.options.access
    }

    /// Tokens, passwords and sessions, in closed mode.
    pub(crate) fn log_ins(&self) -> Option<&LogIns> {
        self.0.options.log_ins.as_ref()
    }

    /// Who makes the request that this task handles. In closed mode a task of no request is nobody.
    pub(crate) fn asker(&self) -> Principal {
        let nobody = || match Name::new("nobody") {
            Ok(name) if self.is_closed() => Principal::Named(name),
            Ok(_) | Err(_) => Principal::Operator,
        };
        asker::current().unwrap_or_else(nobody)
    }

    /// Whether requests need a credential.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.options.tls.is_some()
    }

    /// Cancelled when the process ends; open streams end then.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// The lock around checking whether a client or account exists, and creating it.
    ///
    /// # Errors
    /// 503 when the lock is not free in time.
    pub(crate) async fn creating(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Problem> {
        in_time(self.0.creating.lock()).await.ok_or_else(|| Problem::late(self.late(false)))
    }

    /// A permit to make a list of the whole bank.
    ///
    /// # Errors
    /// 503 when none is free in time.
    pub(crate) async fn list_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let permit = in_time(self.0.lists.clone().acquire_owned()).await;
        permit.and_then(Result::ok).ok_or_else(|| Problem::late(self.late(false)))
    }

    /// A permit to read step logs.
    pub(crate) async fn trace_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.0.traces.clone().acquire_owned().await.ok()
    }

    /// The slots of all connections.
    pub(crate) fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// A permit for one more live event stream; `None` if all are taken, or the share of this
    /// client address and `host`. All names and addresses of loopback count as one host.
    pub(crate) fn stream_permit(&self, peer: SocketAddr, host: &str) -> Option<StreamPermit> {
        let permit = self.0.streams.clone().try_acquire_owned().ok()?;
        let of = (peer.ip().to_canonical(), host_of_streams(host));
        let mut taken = self.0.streams_of.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(of.clone()).or_default();
        if *count >= HTTP_STREAMS_OF_HOST_MAX {
            return None;
        }
        *count += 1;
        Some(StreamPermit { _permit: permit, of, all: self.0.streams_of.clone() })
    }

    /// The age of the sync under way, if it is slow.
    pub(crate) fn slow_disk_ms(&self) -> Option<u64> {
        self.0.options.sync_age.ms().filter(|age| *age >= SLOW_SYNC_MS)
    }

    /// Describes that this bank did not answer in time.
    pub(crate) fn late(&self, may_be_done: bool) -> Late {
        Late { bank: self.bank(), disk_ms: self.slow_disk_ms(), may_be_done }
    }

    /// Enqueues `request` at the bank, which carries it out; the reply is dropped.
    ///
    /// # Errors
    /// 503 when this process ends, or its queue stays full.
    pub(crate) async fn hand_over(
        &self,
        peer: SocketAddr,
        request: Request,
    ) -> Result<(), Problem> {
        let asker = self.asker();
        self.handed(self.0.asker.hand_over(peer, asker, request)).await.map(drop)
    }

    /// The bank's reply to `request`, made on behalf of the client at `peer`.
    ///
    /// # Errors
    /// 503 when this process ends, or the reply does not arrive in time: 504 if the request may
    /// still be carried out.
    pub(crate) async fn ask(&self, peer: SocketAddr, request: Request) -> Result<Reply, Problem> {
        let changes = changes(&request);
        let asker = self.asker();
        let answered = self.handed(self.0.asker.hand_over(peer, asker, request)).await?;
        self.answered(answered, changes).await
    }

    /// The bank's reply to an outside coordinator's `request`.
    ///
    /// # Errors
    /// The same as for `ask`.
    pub(crate) async fn ask_as_outside(
        &self,
        peer: SocketAddr,
        request: Request,
    ) -> Result<Reply, Problem> {
        let asker = self.asker();
        let handing = self.0.asker.hand_over_as_outside(peer, asker, request);
        let answered = self.handed(handing).await?;
        self.answered(answered, true).await
    }

    async fn handed(
        &self,
        handing: impl Future<Output = Option<oneshot::Receiver<Reply>>>,
    ) -> Result<oneshot::Receiver<Reply>, Problem> {
        let handed = in_time(handing).await.ok_or_else(|| Problem::late(self.late(false)))?;
        handed.ok_or_else(|| Problem::unavailable(texts(Lang::Pt).bank_ends))
    }

    async fn answered(
        &self,
        answered: oneshot::Receiver<Reply>,
        may_be_done: bool,
    ) -> Result<Reply, Problem> {
        let reply = in_time(answered).await.ok_or_else(|| Problem::late(self.late(may_be_done)))?;
        reply.map_err(|_| Problem::unavailable(texts(Lang::Pt).bank_ends))
    }

    /// The JSON of the bank's DONE to `request`.
    ///
    /// # Errors
    /// `refused` of a REFUSED or ERR; or 503.
    pub(crate) async fn done(
        &self,
        peer: SocketAddr,
        request: Request,
        refused: impl FnOnce(Reason, String) -> Problem,
    ) -> Result<String, Problem> {
        match self.ask(peer, request).await? {
            Reply::Done(json) => Ok(json),
            Reply::Refused(reason, text) | Reply::Err(reason, text) => Err(refused(reason, text)),
            other @ (Reply::Ok(..)
            | Reply::Nok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Doubt(..)
            | Reply::Unknown(_)
            | Reply::Pong
            | Reply::Help(_)
            | Reply::Bye) => Err(unexpected(&other)),
        }
    }

    /// The bank's answer to a request that it never refuses.
    ///
    /// # Errors
    /// 503 when there is none.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        peer: SocketAddr,
        request: Request,
    ) -> Result<T, Problem> {
        let json = self.done(peer, request, unforeseen).await?;
        answers::read(&json)
    }

    /// A whole list, page by page; `request` makes the request for the page after a key.
    ///
    /// # Errors
    /// `refused` of a refusal of the first page; or 503. A later page that the bank no longer has
    /// ends the list.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        peer: SocketAddr,
        request: impl Fn(Option<String>) -> Result<Request, Problem>,
        refused: impl Fn(Reason, String) -> Problem,
    ) -> Result<Vec<T>, Problem> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let first = after.is_none();
            let json = match self.done(peer, request(after)?, &refused).await {
                Ok(json) => json,
                Err(problem) if first => return Err(problem),
                Err(_) => return Ok(all),
            };
            let AnswerPage { items, next } = answers::read_page(&json)?;
            all.extend(items);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }
}

type StreamsOf = (IpAddr, String);

/// The permit of one live event stream; returned when dropped.
#[derive(Debug)]
pub(crate) struct StreamPermit {
    _permit: OwnedSemaphorePermit,
    of: StreamsOf,
    all: Arc<Mutex<BTreeMap<StreamsOf, usize>>>,
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut taken = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get(&self.of).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.of);
        } else {
            taken.insert(self.of.clone(), left);
        }
    }
}

fn host_of_streams(host: &str) -> String {
    let name = bare_host(host);
    let is_loopback = name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    if is_loopback { "localhost".to_owned() } else { name }
}

/// Does the request change the bank?
fn changes(request: &Request) -> bool {
    match request {
        Request::Prepare(..)
        | Request::Commit(..)
        | Request::Abort(..)
        | Request::Resolve(_)
        | Request::Execute(..)
        | Request::Client(_)
        | Request::Account(_) => true,
        Request::Status(_) | Request::Read(_) | Request::Local(_) | Request::Registers { .. } => {
            false
        }
    }
}

/// The problem of a reply that no route expects.
pub(crate) fn unexpected(reply: &Reply) -> Problem {
    Problem::unexpected(&reply.to_line())
}

/// The problem of a refusal that no route expects.
#[expect(clippy::needless_pass_by_value, reason = "passed as the function that maps refusals")]
pub(crate) fn unforeseen(reason: Reason, text: String) -> Problem {
    Problem::unavailable(texts(Lang::Pt).question_refused).because(reason).with_details(&text)
}
