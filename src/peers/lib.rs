//! Links between banks: each bank dials every other bank, and sends its messages over that link.
//!
//! The pure core decides what to ask, and when to ask again. A link sends messages in order and
//! receives answers in order. When it is lost, each message without an answer is answered with
//! nothing, exactly once. `link` has the task and its backoff, `open` the socket, `handshake` and
//! `acceptor` the proofs. The answering side of a link is a session of the server, which passes its
//! PEER lines to `Peers::answer`.
//!
//! Architecture invariant: nothing here knows what a vote means.

#![warn(unreachable_pub)]

mod acceptor;
mod backoff;
mod due;
mod handshake;
mod link;
mod open;
#[cfg(test)]
mod tests;

pub use acceptor::Acceptor;

use acceptor::{OwnBank, PeerAnswer};
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::Input;
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::commit::message::{Message, RequestKey};
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::limits::{
    BACKOFF_MS_MAX, BACKOFF_MS_MIN, BANKS_MAX, PEER_DIAL_WAIT_MS_MAX, PEER_NOTIFY_MS, PEER_PING_MS,
    PEER_QUEUE_MAX, PEER_SILENCE_MS_MAX, PEER_STEP_MS_MAX, PEER_STOP_MS_MAX,
};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::token::Token;
use consorcio_steps::steplog::StepLog;
use consorcio_tls::BankTls;
use handshake::News;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The links of one bank. Clones share them.
#[derive(Debug, Clone)]
pub struct Peers(Arc<LinkTable>);

/// The state of the link to a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The bank at the other end.
    pub bank: BankId,
    /// Is the link that this bank dialled open?
    pub online: bool,
    /// The newest round trip, in microseconds, while it is open.
    pub latency_us: Option<u64>,
    /// How far its wall clock was ahead of this machine's when the link was opened, if they
    /// differed by more than a second.
    pub clock_us: Option<i64>,
    /// Why it is not open, after a dial has failed or the link was lost.
    pub why: Option<String>,
}

/// The time-outs and intervals of links. `limits` has their values; tests use shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Timing {
    /// For each step of the handshake.
    step: Duration,
    /// How long messages wait for a link that is being dialled.
    wait: Duration,
    /// How long an open link waits for answers when the process ends.
    stop: Duration,
    silence: Duration,
    backoff_min: Duration,
    backoff_max: Duration,
    ping: Duration,
    news: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            step: Duration::from_millis(PEER_STEP_MS_MAX),
            wait: Duration::from_millis(PEER_DIAL_WAIT_MS_MAX),
            stop: Duration::from_millis(PEER_STOP_MS_MAX),
            silence: Duration::from_millis(PEER_SILENCE_MS_MAX),
            backoff_min: Duration::from_millis(BACKOFF_MS_MIN),
            backoff_max: Duration::from_millis(BACKOFF_MS_MAX),
            ping: Duration::from_millis(PEER_PING_MS),
            news: Duration::from_millis(PEER_NOTIFY_MS),
        }
    }
}

#[derive(Debug)]
struct LinkTable {
    identity: Identity,
    steplog: StepLog,
    /// Dials over TLS, in closed mode.
    tls: Option<BankTls>,
    timing: Timing,
    /// The time of the last vote known of each bank, by position ...
    known: [AtomicI64; BANKS_MAX],
    /// ... and the votes that are shown to that bank.
    votes: [Mutex<Vec<(TxId, Token)>>; BANKS_MAX],
    /// The founding id of this bank's journal.
    founding: FoundingId,
    /// The journal with which this bank has met each other bank, once that record is durable.
    met: [Mutex<Option<FoundingId>>; BANKS_MAX],
    /// By position; `None` for this bank itself.
    links: Vec<Option<Arc<PeerLink>>>,
    /// Cancelled to end the links.
    stop: CancellationToken,
}

/// The state that the task of a link shares with its senders.
#[derive(Debug)]
struct PeerLink {
    bank: BankId,
    /// `None` if the bank left the consortium.
    address: Option<String>,
    queue: Mutex<SendQueue>,
    /// Wakes the task after a change.
    wake: Notify,
    /// The peer has just dialled this bank, so it is up: dial it now.
    poked: AtomicBool,
    online: AtomicBool,
    /// Why the link is down.
    why: Mutex<Option<String>>,
    /// An answer over the open link proves nothing: close it.
    broken: AtomicBool,
    /// This bank has met the peer, and the peer was not notified yet.
    meeting_unsent: AtomicBool,
    /// `u64::MAX` while not measured.
    latency_us: AtomicU64,
    /// How far the peer's wall clock is ahead; 0 if the difference is small.
    clock_us: AtomicI64,
}

impl PeerLink {
    /// Stores why the link is down, for `Peers::status`.
    fn keep_why(&self, why: &str) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }
}

#[derive(Debug, Default)]
struct SendQueue {
    messages: VecDeque<Message>,
    /// Messages that a full queue dropped; each must still be answered with nothing.
    dropped: Vec<RequestKey>,
}

impl Peers {
    /// The links of the bank `identity`; they dial once the futures of `links` run. The link to a
    /// position marked `-` answers every message with nothing.
    ///
    /// In closed mode they dial over `tls`. The proofs by the consortium's key stay: they also bind
    /// the journals of both banks.
    pub fn new(
        identity: Identity,
        founding: FoundingId,
        steplog: StepLog,
        tls: Option<BankTls>,
    ) -> Peers {
        Peers::with_timing(identity, founding, steplog, tls, Timing::default())
    }

    fn with_timing(
        identity: Identity,
        founding: FoundingId,
        steplog: StepLog,
        tls: Option<BankTls>,
        timing: Timing,
    ) -> Peers {
        let links = identity.places.iter().enumerate().map(|(position, address)| {
            let bank = BankId::new(position).filter(|bank| *bank != identity.bank)?;
            Some(Arc::new(PeerLink {
                bank,
                address: Some(address.clone()).filter(|address| address != "-"),
                queue: Mutex::default(),
                wake: Notify::new(),
                poked: AtomicBool::new(false),
                online: AtomicBool::new(false),
                why: Mutex::default(),
                broken: AtomicBool::new(false),
                meeting_unsent: AtomicBool::new(false),
                latency_us: AtomicU64::new(u64::MAX),
                clock_us: AtomicI64::new(0),
            }))
        });
        let links = links.collect();
        let known = [const { AtomicI64::new(0) }; BANKS_MAX];
        let votes = [const { Mutex::new(Vec::new()) }; BANKS_MAX];
        let met = [const { Mutex::new(None) }; BANKS_MAX];
        Peers(Arc::new(LinkTable {
            identity,
            steplog,
            tls,
            timing,
            known,
            votes,
            founding,
            met,
            links,
            stop: CancellationToken::new(),
        }))
    }

    /// One future for each other position; the caller runs each until it ends, which it does soon
    /// after `shutdown`. `to_node` gets the inputs for the node in the order of events. It must
    /// take all of them without waiting. Their number is bounded by that of the messages sent, plus
    /// a few for each connection.
    pub fn links<F>(&self, to_node: F) -> Vec<impl Future<Output = ()> + use<F>>
    where
        F: Fn(&mut Vec<Input>) + Clone + 'static,
    {
        let links = self.0.links.iter().flatten();
        links
            .map(|link| link::run(Arc::clone(&self.0), Arc::clone(link), to_node.clone()))
            .collect()
    }

    /// Sends `message` to `peer` without waiting. Exactly one `Input::Answer` follows; it is empty
    /// if the peer can't be reached. A full queue drops its oldest message.
    pub fn send(&self, peer: BankId, message: Message) {
        let link = self.0.links.get(peer.index()).and_then(Option::as_ref);
        debug_assert!(link.is_some(), "a bank sends to other banks only, not to {peer}");
        let Some(link) = link else { return };
        let mut queue = link.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.messages.len() >= PEER_QUEUE_MAX
            && let Some(oldest) = queue.messages.pop_front()
        {
            queue.dropped.push(oldest.key());
        }
        queue.messages.push_back(message);
        let first = queue.messages.len() == 1;
        drop(queue);
        // The task takes all messages, or continues by itself.
        if first {
            link.wake.notify_one();
        }
    }

    /// Updates the time of each bank's last known vote, by position. Where it is newer than before,
    /// the link shows that bank the votes of `shown_to`.
    pub fn update_votes(
        &self,
        times: &[Time; BANKS_MAX],
        shown_to: impl Fn(BankId) -> Vec<(TxId, Token)>,
    ) {
        for (position, vote) in times.iter().enumerate() {
            let (Some(known), Some(bank)) = (self.0.known.get(position), BankId::new(position))
            else {
                continue;
            };
            if bank != self.0.identity.bank && known.load(Relaxed) < vote.0 {
                known.store(vote.0, Relaxed);
                *self.0.votes[position].lock().unwrap_or_else(PoisonError::into_inner) =
                    shown_to(bank);
                if let Some(Some(link)) = self.0.links.get(position) {
                    link.wake.notify_one();
                }
            }
        }
    }

    /// This bank has met `peer` with this journal, and that record is durable: notifies the peer.
    pub fn met(&self, peer: BankId, founding: FoundingId) {
        let Some(met) = self.0.met.get(peer.index()) else { return };
        *met.lock().unwrap_or_else(PoisonError::into_inner) = Some(founding);
        if let Some(Some(link)) = self.0.links.get(peer.index()) {
            link.meeting_unsent.store(true, Relaxed);
            link.wake.notify_one();
        }
    }

    /// Closes the open link to `peer`, because its answers prove nothing; the link is dialled
    /// again.
    pub fn close(&self, peer: BankId) {
        if let Some(Some(link)) = self.0.links.get(peer.index()) {
            link.broken.store(true, Relaxed);
            link.wake.notify_one();
        }
    }

    /// The state of each link by position, without this bank and banks that left.
    pub fn status(&self) -> Vec<PeerStatus> {
        let links = self.0.links.iter().flatten().filter(|link| link.address.is_some());
        links
            .map(|link| {
                let online = link.online.load(Relaxed);
                let latency = link.latency_us.load(Relaxed);
                let latency_us = Some(latency).filter(|us| online && *us != u64::MAX);
                let why = link.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let clock_us = Some(link.clock_us.load(Relaxed)).filter(|us| online && *us != 0);
                PeerStatus {
                    bank: link.bank,
                    online,
                    latency_us,
                    clock_us,
                    why: why.filter(|_| !online),
                }
            })
            .collect()
    }

    /// Answers a PEER line of the session of `acceptor`; also returns the inputs for the node that
    /// follow from the line.
    pub fn answer(&self, acceptor: &mut Acceptor, json: &str) -> (Reply, Vec<Input>) {
        let own = OwnBank { identity: &self.0.identity, founding: self.0.founding };
        match acceptor.answer(&own, |bank| self.0.news_to(bank).1, |bank| self.0.met(bank), json) {
            Ok(PeerAnswer::NotOpen(json)) => (Reply::Done(json), Vec::new()),
            Ok(PeerAnswer::Opened(json, bank, founding, news)) => {
                if let Some(Some(link)) = self.0.links.get(bank.index()) {
                    link.poked.store(true, Relaxed);
                    link.wake.notify_one();
                }
                let founded = Input::PeerFounded { peer: bank, founding };
                (Reply::Done(json), std::iter::once(founded).chain(news.inputs(bank)).collect())
            }
            Ok(PeerAnswer::News(json, bank, news)) => {
                (Reply::Done(json), news.inputs(bank).collect())
            }
            Err(why) => (Reply::Refused(Reason::Refused, why), Vec::new()),
        }
    }

    /// Ends the links: messages sent before still leave, and their answers are awaited for a
    /// moment.
    pub fn shutdown(&self) {
        self.0.stop.cancel();
    }
}

impl LinkTable {
    /// The time by which certificates are judged, in microseconds since 1970; 0 in open mode.
    fn now_us(&self) -> i64 {
        self.tls.as_ref().map_or(0, |tls| tls.clock().now_us())
    }

    /// The time of the last vote known of `bank`.
    fn knows_up_to(&self, bank: BankId) -> Time {
        self.known.get(bank.index()).map_or(Time(0), |known| Time(known.load(Relaxed)))
    }

    /// The same, and the news for that bank: votes of its own, and with which of its journals this
    /// bank has met it.
    fn news_to(&self, bank: BankId) -> (Time, News) {
        let votes = self.votes.get(bank.index());
        let votes = votes.map(|votes| votes.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let meeting = self
            .met(bank)
            .map(|founding| self.identity.seal.meeting(self.identity.bank, bank, founding));
        (self.knows_up_to(bank), News::of(&votes.unwrap_or_default(), meeting.as_ref()))
    }

    /// The journal with which this bank has met `bank`.
    fn met(&self, bank: BankId) -> Option<FoundingId> {
        self.met
            .get(bank.index())
            .and_then(|met| *met.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
