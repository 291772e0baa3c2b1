//! What all routes and pages share: the way to the bank, who this bank is, and what the operator
//! allowed.
//!
//! Architecture invariant: HTTP holds no state of the bank. All that a route tells was asked of the
//! bank for this very request, and all that it changes goes through `ask`, the same queue as a
//! line's request.

use crate::Options;
use crate::answers;
use crate::connections::Connections;
use crate::counts::Counts;
use crate::host::bare_host;
use crate::late::{Late, in_time};
use crate::problem::Problem;
use consorcio_client::Client;
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::{HTTP_STREAMS_MAX, HTTP_STREAMS_OF_HOST_MAX, SLOW_SYNC_MS};
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::AnswerPage;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_node::ask::Asker;
use consorcio_panel::texts::Lang;
use consorcio_system::id_generator::IdGenerator;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

/// What all routes share; clones are the same.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    asker: Asker,
    /// Asks the other banks.
    client: Client,
    options: Options,
    ids: Mutex<IdGenerator>,
    /// Held from the look whether a client or account is there to its creation, so that of two
    /// equal requests one finds it there.
    creating: tokio::sync::Mutex<()>,
    /// Lists of the whole bank that are made at once.
    lists: Arc<Semaphore>,
    /// Step logs that are read at once.
    traces: Arc<Semaphore>,
    /// Pages that follow the bank live.
    streams: Arc<Semaphore>,
    /// ... by where they ask from, and which name or address of this bank they ask.
    streams_of: Arc<Mutex<BTreeMap<StreamsOf, usize>>>,
    connections: Connections,
    counts: Counts,
    stop: CancellationToken,
}

impl App {
    /// What routes share of a bank that `asker` leads to; `client` leads to the others. `stop` is
    /// cancelled when the process ends.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new(
        asker: Asker,
        client: Client,
        options: Options,
        stop: CancellationToken,
    ) -> Result<App, getrandom::Error> {
        Ok(App(Arc::new(Inner {
            asker,
            client,
            ids: Mutex::new(IdGenerator::new()?),
            creating: tokio::sync::Mutex::new(()),
            lists: Arc::new(Semaphore::new(options.bounds.lists)),
            traces: Arc::new(Semaphore::new(1)),
            streams: Arc::new(Semaphore::new(HTTP_STREAMS_MAX)),
            streams_of: Arc::default(),
            connections: Connections::new(options.bounds.connections),
            counts: Counts::default(),
            stop,
            options,
        })))
    }

    /// This bank's position.
    pub fn bank(&self) -> BankId {
        self.0.options.bank
    }

    /// Addresses by position; `-` where a bank left.
    pub fn places(&self) -> &[String] {
        &self.0.options.places
    }

    /// Asks the other banks over their lines.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// What the operator chose.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// What was answered so far, in numbers.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// A fresh id for a transaction.
    pub fn fresh_id(&self) -> TxId {
        self.0.ids.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    /// Cancelled when the process ends: whatever would stay open ends then.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Only one at a time may look whether something is there, and then create it.
    ///
    /// # Errors
    /// 503 when it is not this one's turn in time.
    pub async fn creating(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Problem> {
        in_time(self.0.creating.lock()).await.ok_or_else(|| Problem::late(self.late(false)))
    }

    /// A turn at making a list of the whole bank.
    ///
    /// # Errors
    /// 503 when none comes in time.
    pub async fn list_turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = in_time(self.0.lists.clone().acquire_owned()).await;
        turn.and_then(Result::ok).ok_or_else(|| Problem::late(self.late(false)))
    }

    /// A turn at reading step logs.
    pub async fn trace_turn(&self) -> Option<OwnedSemaphorePermit> {
        self.0.traces.clone().acquire_owned().await.ok()
    }

    /// The places of connections.
    pub fn places_of_connections(&self) -> &Connections {
        &self.0.connections
    }

    /// A place for one more page that follows the bank live; `None` where all are taken, or the
    /// share of this peer and `host`. All names and addresses of loopback are one.
    pub fn stream_place(&self, peer: SocketAddr, host: &str) -> Option<StreamPlace> {
        let permit = self.0.streams.clone().try_acquire_owned().ok()?;
        let of = (peer.ip().to_canonical(), host_of_streams(host));
        let mut taken = self.0.streams_of.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(of.clone()).or_default();
        if *count >= HTTP_STREAMS_OF_HOST_MAX {
            return None;
        }
        *count += 1;
        Some(StreamPlace { _permit: permit, of, all: self.0.streams_of.clone() })
    }

    /// How long the data disk has not finished a sync, where that takes long.
    pub fn slow_disk_ms(&self) -> Option<u64> {
        self.0.options.sync_age.ms().filter(|age| *age >= SLOW_SYNC_MS)
    }

    /// What is said of a bank that does not answer in time.
    pub fn late(&self, may_be_done: bool) -> Late {
        Late { bank: self.bank(), disk_ms: self.slow_disk_ms(), may_be_done }
    }

    /// Hands `request` to the bank, which does it whether or not anybody waits for the reply.
    ///
    /// # Errors
    /// 503 when this process ends, or takes no more requests.
    pub async fn hand_over(&self, peer: SocketAddr, request: Request) -> Result<(), Problem> {
        self.handed(self.0.asker.hand_over(peer, request)).await.map(drop)
    }

    /// The bank's reply to `request`, which is asked for the connection of `peer`.
    ///
    /// # Errors
    /// 503 when this process ends, or its reply does not come in time: 504 where it may still be
    /// done.
    pub async fn ask(&self, peer: SocketAddr, request: Request) -> Result<Reply, Problem> {
        let changes = changes(&request);
        let answered = self.handed(self.0.asker.hand_over(peer, request)).await?;
        self.answered(answered, changes).await
    }

    /// The bank's reply to an outside coordinator's `request`.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn ask_as_outside(
        &self,
        peer: SocketAddr,
        request: Request,
    ) -> Result<Reply, Problem> {
        let answered = self.handed(self.0.asker.hand_over_as_outside(peer, request)).await?;
        self.answered(answered, true).await
    }

    async fn handed(
        &self,
        handing: impl Future<Output = Option<oneshot::Receiver<Reply>>>,
    ) -> Result<oneshot::Receiver<Reply>, Problem> {
        let handed = in_time(handing).await.ok_or_else(|| Problem::late(self.late(false)))?;
        handed.ok_or_else(|| Problem::unavailable(Lang::Pt.texts().bank_ends))
    }

    async fn answered(
        &self,
        answered: oneshot::Receiver<Reply>,
        may_be_done: bool,
    ) -> Result<Reply, Problem> {
        let reply = in_time(answered).await.ok_or_else(|| Problem::late(self.late(may_be_done)))?;
        reply.map_err(|_| Problem::unavailable(Lang::Pt.texts().bank_ends))
    }

    /// The JSON of the bank's DONE to `request`; `refused` says what a REFUSED means.
    ///
    /// # Errors
    /// What `refused` makes of it, or 503.
    pub async fn done(
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
            | Reply::Bye) => Err(unexpected(&other)),
        }
    }

    /// What the bank answers to a request that it does not refuse.
    ///
    /// # Errors
    /// 503.
    pub async fn read<T: DeserializeOwned>(
        &self,
        peer: SocketAddr,
        request: Request,
    ) -> Result<T, Problem> {
        let json = self.done(peer, request, unforeseen).await?;
        answers::read(&json)
    }

    /// A whole list, page after page; `request` makes the request that begins after a key.
    ///
    /// # Errors
    /// What `refused` makes of a refusal of the first page, or 503. A later page that the bank no
    /// longer has ends the list.
    pub async fn list<T: DeserializeOwned>(
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

/// A place of a page that follows the bank live; free again when this goes.
#[derive(Debug)]
pub struct StreamPlace {
    _permit: OwnedSemaphorePermit,
    of: StreamsOf,
    all: Arc<Mutex<BTreeMap<StreamsOf, usize>>>,
}

impl Drop for StreamPlace {
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

/// Does it change something at the bank?
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

/// A reply that no route expects.
pub fn unexpected(reply: &Reply) -> Problem {
    Problem::unexpected(&reply.to_line())
}

/// A refusal of what is never refused.
#[expect(clippy::needless_pass_by_value, reason = "it stands where a refusal is handed over")]
pub fn unforeseen(reason: Reason, text: String) -> Problem {
    Problem::unavailable(Lang::Pt.texts().question_refused).because(reason).with_details(&text)
}
