//! Links between banks: each bank dials every other place, and carries its messages there.
//!
//! What is asked, and when it is asked again, the pure core decides; here messages go out in order,
//! answers come back in order, and what a lost link still owes is answered with nothing, exactly
//! once. Backoff and the task are in `link`, the socket in `open`, the proofs in `handshake` and
//! `acceptor`. The answering side of a link is a session of the server; its PEER lines come to
//! `Peers::answer`.
//!
//! Architecture invariant: nothing here knows what a vote means.

mod acceptor;
mod backoff;
mod due;
mod handshake;
mod link;
mod open;
#[cfg(test)]
mod tests;

pub use acceptor::Acceptor;
pub use handshake::ANOTHER_KEY;

use acceptor::{Answered, Own};
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

/// How the link to a bank stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The bank at the other end.
    pub bank: BankId,
    /// Is the link that this bank dialled open?
    pub online: bool,
    /// The newest round trip, in microseconds, while it is open.
    pub latency_us: Option<u64>,
    /// How far its wall clock was ahead of this machine's when the link was opened, where they were
    /// more than a second apart.
    pub clock_us: Option<i64>,
    /// Why it is not open, once a dial has failed or it was lost.
    pub why: Option<String>,
}

/// The times that links go by; their values are in `limits`, tests have shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Timing {
    /// Each step of making a link.
    step: Duration,
    /// What waits for a link that is being made.
    wait: Duration,
    /// The end of a link that is open.
    stop: Duration,
    silence: Duration,
    backoff_min: Duration,
    backoff_max: Duration,
    ping: Duration,
    tell: Duration,
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
            tell: Duration::from_millis(PEER_NOTIFY_MS),
        }
    }
}

#[derive(Debug)]
struct LinkTable {
    identity: Identity,
    steplog: StepLog,
    timing: Timing,
    /// The last vote known of each bank, by position ...
    known: [AtomicI64; BANKS_MAX],
    /// ... and the votes that are shown to it.
    votes: [Mutex<Vec<(TxId, Token)>>; BANKS_MAX],
    /// The founding id of this bank's journal.
    founding: FoundingId,
    /// The journal of each bank that this bank has met, once the record of it is durable.
    met: [Mutex<Option<FoundingId>>; BANKS_MAX],
    /// By position; none for this bank itself.
    links: Vec<Option<Arc<PeerLink>>>,
    /// Cancelled when the links end.
    stop: CancellationToken,
}

/// What a link's task shares with those who send over it.
#[derive(Debug)]
struct PeerLink {
    bank: BankId,
    /// `None` where the bank left.
    address: Option<String>,
    queue: Mutex<SendQueue>,
    /// Something changed that the task must look at.
    wake: Notify,
    /// The peer has just shown that it is there: dial it now.
    poked: AtomicBool,
    online: AtomicBool,
    /// Why it is down.
    why: Mutex<Option<String>>,
    /// What came over the open link proves nothing: it is to be closed.
    broken: AtomicBool,
    /// The peer was met, and was not told so.
    untold: AtomicBool,
    /// `u64::MAX` while not measured.
    latency_us: AtomicU64,
    /// How far the peer's wall clock is ahead; 0 where it is near.
    clock_us: AtomicI64,
}

impl PeerLink {
    /// Why the link is down, for whoever asks how it stands.
    fn keep_why(&self, why: &str) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }
}

#[derive(Debug, Default)]
struct SendQueue {
    messages: VecDeque<Message>,
    /// What was dropped because the queue was full; still to be answered with nothing.
    dropped: Vec<RequestKey>,
}

impl Peers {
    /// The links of the bank `identity`; nothing is dialled before `links` runs. A place `-` has a
    /// link that answers everything with nothing.
    pub fn new(identity: Identity, founding: FoundingId, steplog: StepLog) -> Peers {
        Peers::with_timing(identity, founding, steplog, Timing::default())
    }

    fn with_timing(
        identity: Identity,
        founding: FoundingId,
        steplog: StepLog,
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
                untold: AtomicBool::new(false),
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
            timing,
            known,
            votes,
            founding,
            met,
            links,
            stop: CancellationToken::new(),
        }))
    }

    /// One future for each other place, to be run until it ends, which it does some time after
    /// `shutdown`. What happens goes to `to_node` in the order in which it happened; it must empty
    /// what it is given, and not wait. There is never more of it than messages were sent, and a
    /// little.
    pub fn links<F>(&self, to_node: F) -> Vec<impl Future<Output = ()> + use<F>>
    where
        F: Fn(&mut Vec<Input>) + Clone + 'static,
    {
        let lines = self.0.links.iter().flatten();
        lines
            .map(|line| link::run(Arc::clone(&self.0), Arc::clone(line), to_node.clone()))
            .collect()
    }

    /// Sends `message` to `peer`; never waits. Its answer comes as an `Input::Answer`, exactly one.
    /// A peer that can't be reached answers nothing at once. Where too many messages wait, the
    /// oldest is dropped.
    pub fn send(&self, peer: BankId, message: Message) {
        let line = self.0.links.get(peer.index()).and_then(Option::as_ref);
        debug_assert!(line.is_some(), "a bank sends to the other places only, not to {peer}");
        let Some(line) = line else { return };
        let mut queue = line.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.messages.len() >= PEER_QUEUE_MAX
            && let Some(oldest) = queue.messages.pop_front()
        {
            queue.dropped.push(oldest.key());
        }
        queue.messages.push_back(message);
        let first = queue.messages.len() == 1;
        drop(queue);
        // Whoever takes messages takes all, or looks again by itself.
        if first {
            line.wake.notify_one();
        }
    }

    /// Tells the links when each bank's last known vote was given, by position, and what votes are
    /// shown to one of which a newer one is known; they show them to the banks themselves.
    pub fn know(&self, times: &[Time; BANKS_MAX], shown_to: impl Fn(BankId) -> Vec<(TxId, Token)>) {
        for (position, vote) in times.iter().enumerate() {
            let (Some(known), Some(bank)) = (self.0.known.get(position), BankId::new(position))
            else {
                continue;
            };
            if bank != self.0.identity.bank && known.load(Relaxed) < vote.0 {
                known.store(vote.0, Relaxed);
                *self.0.votes[position].lock().unwrap_or_else(PoisonError::into_inner) =
                    shown_to(bank);
                if let Some(Some(line)) = self.0.links.get(position) {
                    line.wake.notify_one();
                }
            }
        }
    }

    /// This bank has met `peer` with this journal, and the record of it is durable: now the peer is
    /// told.
    pub fn met(&self, peer: BankId, founding: FoundingId) {
        let Some(met) = self.0.met.get(peer.index()) else { return };
        *met.lock().unwrap_or_else(PoisonError::into_inner) = Some(founding);
        if let Some(Some(line)) = self.0.links.get(peer.index()) {
            line.untold.store(true, Relaxed);
            line.wake.notify_one();
        }
    }

    /// Closes the open link to `peer`, whose answers prove nothing; it is dialled anew.
    pub fn close(&self, peer: BankId) {
        if let Some(Some(line)) = self.0.links.get(peer.index()) {
            line.broken.store(true, Relaxed);
            line.wake.notify_one();
        }
    }

    /// How each link stands, in the order of the places; this bank itself and places that were left
    /// are not among them.
    pub fn status(&self) -> Vec<PeerStatus> {
        let lines = self.0.links.iter().flatten().filter(|line| line.address.is_some());
        lines
            .map(|line| {
                let online = line.online.load(Relaxed);
                let latency = line.latency_us.load(Relaxed);
                let latency_us = Some(latency).filter(|us| online && *us != u64::MAX);
                let why = line.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let clock_us = Some(line.clock_us.load(Relaxed)).filter(|us| online && *us != 0);
                PeerStatus {
                    bank: line.bank,
                    online,
                    latency_us,
                    clock_us,
                    why: why.filter(|_| !online),
                }
            })
            .collect()
    }

    /// Answers a PEER line of the session behind `acceptor`, and gives the inputs of the node that
    /// follow from it.
    pub fn answer(&self, acceptor: &mut Acceptor, json: &str) -> (Reply, Vec<Input>) {
        let own = Own { identity: &self.0.identity, founding: self.0.founding };
        match acceptor.answer(&own, |bank| self.0.news_to(bank).1, |bank| self.0.met(bank), json) {
            Ok(Answered::Told(json)) => (Reply::Done(json), Vec::new()),
            Ok(Answered::Opened(json, bank, founding, news)) => {
                if let Some(Some(line)) = self.0.links.get(bank.index()) {
                    line.poked.store(true, Relaxed);
                    line.wake.notify_one();
                }
                let founded = Input::PeerFounded { peer: bank, founding };
                (Reply::Done(json), std::iter::once(founded).chain(news.inputs(bank)).collect())
            }
            Ok(Answered::News(json, bank, news)) => {
                (Reply::Done(json), news.inputs(bank).collect())
            }
            Err(why) => (Reply::Refused(Reason::Refused, why), Vec::new()),
        }
    }

    /// Ends the links: what was sent before still goes out, and is waited for a moment.
    pub fn shutdown(&self) {
        self.0.stop.cancel();
    }
}

impl LinkTable {
    /// When the last vote that is known of `bank` was given.
    fn knows_up_to(&self, bank: BankId) -> Time {
        self.known.get(bank.index()).map_or(Time(0), |known| Time(known.load(Relaxed)))
    }

    /// The same, and what the bank is told: votes of it, and which journal of it this bank has met.
    fn news_to(&self, bank: BankId) -> (Time, News) {
        let votes = self.votes.get(bank.index());
        let votes = votes.map(|votes| votes.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let meeting = self
            .met(bank)
            .map(|founding| self.identity.seal.meeting(self.identity.bank, bank, founding));
        (self.knows_up_to(bank), News::of(&votes.unwrap_or_default(), meeting.as_ref()))
    }

    /// The journal of `bank` that this bank has met.
    fn met(&self, bank: BankId) -> Option<FoundingId> {
        self.met
            .get(bank.index())
            .and_then(|met| *met.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
