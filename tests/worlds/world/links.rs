//! Links between banks: messages in flight, half-open links, and partitions in one or both
//! directions.
//!
//! On one link messages in one direction arrive in order. Each end of a link may be gone without
//! the other end's knowledge: messages to it are then lost silently, until the silence is noticed.

use super::{Around as _, FIRST_LINK, ProofMistake, World};
use consorcio_core::bank::io::{Input, Origin, SessionId};
use consorcio_core::commit::founding::Meeting;
use consorcio_core::commit::message::{Message, RequestKey};
use consorcio_core::ids::BankId;
use consorcio_core::limits::PEER_SILENCE_MS_MAX;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::collections::{BTreeMap, VecDeque};

use super::Seen;

/// A message in flight between banks.
#[derive(Debug, Clone)]
pub enum Flight {
    Request {
        to: usize,
        link: u64,
        message: Message,
    },
    Answer {
        to: usize,
        link: u64,
        asked: RequestKey,
        reply: Reply,
    },
    /// A bank's statement that it has met the other one.
    Met {
        to: usize,
        link: u64,
        meeting: Meeting,
    },
    /// There was no link for the message.
    NoLink {
        to: usize,
        peer: usize,
        asked: RequestKey,
    },
}

impl Flight {
    /// Flights of one lane arrive in order.
    pub fn lane(&self) -> (u64, usize) {
        match self {
            Flight::Request { to, link, .. }
            | Flight::Answer { to, link, .. }
            | Flight::Met { to, link, .. } => (*link, *to),
            Flight::NoLink { to, .. } => (0, *to),
        }
    }
}

/// Which ends of a link exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Both,
    /// The dialler has lost the link; the dialled bank has not noticed.
    DiallerGone,
    /// The dialled bank has lost the link; the dialler has not noticed.
    DialledGone,
}

/// A link that `dialler` opened to `dialled`.
#[derive(Clone)]
pub struct Link {
    pub dialler: usize,
    pub dialled: usize,
    pub ends: Ends,
    /// Requests without a reply yet, with the time they were sent.
    pub(super) owed: VecDeque<(RequestKey, u64)>,
    /// The request in each slot.
    pub(super) slots: BTreeMap<u64, RequestKey>,
    /// When the dialled end was lost.
    quiet_since_us: u64,
}

impl World {
    /// Opens every missing link between banks that run and reach each other.
    pub fn connect_all(&mut self) {
        for dialler in 0..self.nodes.len() {
            for dialled in 0..self.nodes.len() {
                if dialler != dialled {
                    self.connect(dialler, dialled);
                }
            }
        }
    }

    pub fn connect(&mut self, dialler: usize, dialled: usize) {
        let blocked = self.is_blocked(dialler, dialled)
            || self.is_blocked(dialled, dialler)
            || !self.know_each_other(dialler, dialled);
        if blocked
            || !self.is_up(dialler)
            || !self.is_up(dialled)
            || self.link(dialler, dialled).is_some()
        {
            return;
        }
        if self.is_replaced(dialler, dialled) {
            return;
        }
        let id = self.next_link;
        self.next_link += 1;
        assert!(id >= FIRST_LINK);
        let link = Link {
            dialler,
            dialled,
            ends: Ends::Both,
            owed: VecDeque::new(),
            slots: BTreeMap::new(),
            quiet_since_us: 0,
        };
        self.links.insert(id, link);
        self.meet(dialler, dialled);
        // Each sends the other the votes of that other bank that it knows.
        for (from, to) in [(dialled, dialler), (dialler, dialled)] {
            let Some(core) = &self.nodes[from].core else { continue };
            for (tx, token) in core.votes_to_send(peer(to)) {
                self.show(to, from, tx, token);
            }
        }
        if self.is_up(dialler) && self.is_up(dialled) {
            self.input(dialler, &Input::PeerUp(peer(dialled)));
        }
    }

    pub fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// The link that `dialler` opened and has not lost.
    pub fn link(&self, dialler: usize, dialled: usize) -> Option<u64> {
        let theirs = |(_, link): &(&u64, &Link)| {
            link.dialler == dialler && link.dialled == dialled && link.ends != Ends::DiallerGone
        };
        self.links.iter().find(theirs).map(|(id, _)| *id)
    }

    /// Closes a link: flights on it are lost, and the existing ends notice.
    pub fn cut(&mut self, id: u64) {
        let Some(link) = self.links.remove(&id) else { return };
        self.flights.retain(|flight| flight.lane().0 != id);
        if link.ends != Ends::DiallerGone {
            self.dialler_lost(link.dialler, link.dialled, link.owed);
        }
        if link.ends != Ends::DialledGone {
            self.close(link.dialled, id);
        }
    }

    /// The dialler loses the link. The dialled bank does not notice, and still receives what was
    /// sent.
    pub fn cut_for_dialler(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.ends {
            Ends::DiallerGone => {}
            Ends::DialledGone => self.cut(id),
            Ends::Both => {
                link.ends = Ends::DiallerGone;
                let (dialler, dialled, owed) =
                    (link.dialler, link.dialled, std::mem::take(&mut link.owed));
                let answers =
                    |flight: &Flight| !matches!(flight, Flight::Answer { link, .. } if *link == id);
                self.flights.retain(answers);
                self.dialler_lost(dialler, dialled, owed);
            }
        }
    }

    /// The dialled bank loses the link. The dialler does not notice, and still receives earlier
    /// replies.
    pub fn cut_for_dialled(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.ends {
            Ends::DialledGone => {}
            Ends::DiallerGone => self.cut(id),
            Ends::Both => {
                link.ends = Ends::DialledGone;
                link.quiet_since_us = self.mono_us;
                let dialled = link.dialled;
                self.close(dialled, id);
            }
        }
    }

    fn dialler_lost(&mut self, dialler: usize, dialled: usize, owed: VecDeque<(RequestKey, u64)>) {
        for (asked, _) in owed {
            let reply = self.mistaken_answer(dialler, dialled, &asked, None);
            let past = self.past(dialler, &asked.tx);
            self.input(dialler, &Input::Answer { peer: peer(dialled), asked, reply, past });
        }
        self.input(dialler, &Input::PeerDown(peer(dialled)));
    }

    /// A bank closes the links over which a reply is overdue; each link is pinged every second.
    pub(super) fn close_silent_links(&mut self, dialler: usize) {
        if !self.closes_silent {
            return;
        }
        let (now, silence_us) = (self.mono_us, PEER_SILENCE_MS_MAX * 1_000);
        let is_silent = |link: &Link| match link.ends {
            Ends::Both => link.owed.front().is_some_and(|(_, since)| since + silence_us <= now),
            Ends::DialledGone => link.quiet_since_us + silence_us + 1_000_000 <= now,
            Ends::DiallerGone => false,
        };
        let mine = |(_, link): &(&u64, &Link)| link.dialler == dialler && is_silent(link);
        let silent: Vec<u64> = self.links.iter().filter(mine).map(|(id, _)| *id).collect();
        for id in silent {
            let Some(link) = self.links.get(&id) else { continue };
            if self.is_blocked(dialler, link.dialled) {
                // The close can't reach the other end either.
                self.cut_for_dialler(id);
            } else {
                self.cut(id);
            }
        }
    }

    /// Delivers flights until none is left.
    pub fn deliver_all(&mut self) {
        let mut left = 1_000_000;
        while !self.flights.is_empty() {
            self.deliver(0);
            left -= 1;
            assert!(left > 0, "the banks exchange messages without end");
        }
    }

    /// Delivers the first flight of the lane of the one at `at`; `false` if its direction is
    /// blocked.
    pub fn deliver(&mut self, at: usize) -> bool {
        match self.take_flight(at) {
            Some(flight) => self.arrive(flight),
            None => return false,
        }
        true
    }

    /// Removes the first flight of the lane of the one at `at`, unless its direction is blocked.
    pub(super) fn take_flight(&mut self, at: usize) -> Option<Flight> {
        let lane = self.flights[at].lane();
        if let Some(link) = self.links.get(&lane.0) {
            let from = if lane.1 == link.dialled { link.dialler } else { link.dialled };
            if self.is_blocked(from, lane.1) {
                return None;
            }
        }
        let first = self.flights.iter().position(|flight| flight.lane() == lane).unwrap_or(at);
        self.flights.remove(first)
    }

    pub(super) fn arrive(&mut self, flight: Flight) {
        match flight {
            Flight::Request { to, link, message } => {
                let is_there =
                    self.links.get(&link).is_some_and(|open| open.ends != Ends::DialledGone);
                if is_there && !self.mistaken_registers_reply(to, link, &message) {
                    let asked = message.key();
                    self.arrive_request(to, link, asked, request_of(message));
                }
            }
            Flight::Answer { to, link, asked, reply } => {
                let Some(open) = self.links.get_mut(&link) else { return };
                let accepts_other_id = self.path.mistake == Some(ProofMistake::IdOfTheAnswer);
                let owed = open.owed.iter().position(|(owed, _)| *owed == asked);
                let is_due = accepts_other_id || reply.tx().is_none_or(|tx| *tx == asked.tx);
                match owed.filter(|_| is_due) {
                    Some(owed) => {
                        open.owed.remove(owed);
                        let dialled = open.dialled;
                        self.answered(to, dialled, asked, Some(reply));
                    }
                    // A reply to no request, or to another one: an attacker changed it.
                    None => {
                        assert!(self.path.is_attacked, "a reply without a request");
                        self.cut(link);
                    }
                }
            }
            Flight::Met { to, link, meeting } => {
                let ends =
                    self.links.get(&link).map_or(to, |link| link.dialler + link.dialled - to);
                self.input(to, &Input::PeerMet { peer: peer(ends), meeting });
            }
            Flight::NoLink { to, peer, asked } => self.answered(to, peer, asked, None),
        }
    }

    /// A line arrives over a link; its reply is for `asked`.
    pub(super) fn arrive_request(
        &mut self,
        to: usize,
        link: u64,
        asked: RequestKey,
        request: Request,
    ) {
        let slot = self.next_slot(SessionId(link));
        if let Some(open) = self.links.get_mut(&link)
            && open.ends != Ends::DialledGone
        {
            open.slots.insert(slot, asked);
            self.request(to, SessionId(link), Origin::Link, request, 0);
        }
    }

    fn answered(&mut self, to: usize, from: usize, asked: RequestKey, reply: Option<Reply>) {
        let reply = self.mistaken_answer(to, from, &asked, reply);
        let reply = self.mistaken_proof(to, from, &asked, reply);
        let reply = self.refused_over_link(from, &asked, reply);
        let reply = self.registers_arrive(&asked, reply);
        if self.reports_answers {
            self.seen.push(Seen::Answered { from, to, asked: asked.clone(), reply: reply.clone() });
        }
        let past = self.past(to, &asked.tx);
        self.input(to, &Input::Answer { peer: peer(from), asked, reply, past });
    }
}

/// The request that a message becomes at the receiver.
pub fn request_of(message: Message) -> Request {
    match message {
        Message::Prepare(tx, transaction) => Request::Prepare(tx, transaction),
        Message::Commit(tx, tokens) => Request::Commit(tx, tokens),
        Message::Abort(tx, token) => Request::Abort(tx, token),
        Message::Resolve(tx) => Request::Resolve(tx),
        Message::Registers { asker, nonce, after } => Request::Registers { asker, nonce, after },
    }
}

fn peer(bank: usize) -> BankId {
    BankId::new(bank).expect("few banks")
}
