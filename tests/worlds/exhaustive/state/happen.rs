//! The transitions between states: lines and replies arrive, banks decide, write, sync and send.
//! `acts` lists the possible actions, `faults` performs faults, `links` handles links between
//! banks.

use super::{Conn, Dialler, MALICIOUS, ModelAction, ModelNode, ModelState, bank};
use crate::exhaustive::plant::Planted;
use crate::world::Around;
use consorcio_core::access::Principal;
use consorcio_core::bank::io::{Caller, Input, Now, Origin, Outgoing, Sending, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Change, Waits};
use consorcio_core::commit::coordinator::{Answer, Event};
use consorcio_core::commit::message::{Message, PeerVerb, RequestKey};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::Digest;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// A bank restarts on an old copy of its journal at least this long after its last vote.
const LATER_US: i64 = 500;

impl ModelState {
    pub fn act(&mut self, act: ModelAction) {
        match act {
            ModelAction::Line { session } => self.line(session, false),
            ModelAction::Repeat { session } => {
                self.budget.repeats -= 1;
                self.line(session, true);
            }
            ModelAction::Reply { session } => self.reply(session),
            ModelAction::Sync(at) => self.sync(at),
            ModelAction::Tick(at) => {
                self.budget.ticks -= 1;
                self.tick(at);
            }
            ModelAction::Begin(at) => self.begin(at),
            ModelAction::TimeOut(at) => {
                self.budget.time_outs -= 1;
                self.time_out(at);
            }
            ModelAction::Crash(at) => {
                self.budget.crashes -= 1;
                self.crash(at);
            }
            ModelAction::Restart(at) => self.restart(at),
            ModelAction::Restore { at, keep } => {
                self.budget.restores -= 1;
                self.restore(at, keep);
            }
            ModelAction::Connect(a, b) => self.connect(a, b),
            ModelAction::Cut { session, lost } => {
                self.budget.cuts -= 1;
                self.cut(session, lost);
            }
            ModelAction::Gone { driver, lost } => {
                self.budget.gone -= 1;
                self.leave(driver, lost);
            }
            ModelAction::Lie { to, tx, what } => {
                self.budget.lies -= 1;
                self.lie(to, tx, what);
            }
            ModelAction::MaliciousLeaves(to) => {
                self.budget.lies -= 1;
                self.input(to, &Input::Closed(SessionId(MALICIOUS)));
            }
            ModelAction::Snapshot(at) => {
                self.budget.snapshots -= 1;
                self.ask_for_cut(at);
            }
            ModelAction::Vote { driver, commit } => {
                self.budget.votes -= 1;
                self.vote_outside(driver, commit);
            }
        }
        self.notice_ends();
        if self.budget.lies == 0 {
            self.tokens.clear();
        }
    }

    pub fn node_mut(&mut self, at: usize) -> &mut ModelNode {
        let node = Rc::make_mut(&mut self.nodes[at]);
        node.print = OnceCell::new();
        node
    }

    pub fn now(&self, at: usize) -> Now {
        let hasty = self.setup.planted == Some(Planted::TimersRunFast);
        let mono_us = self.nodes[at].mono_us * if hasty { 10 } else { 1 };
        let old = self.lost.as_ref().is_some_and(|lost| lost.at == at);
        let wall_us = self.setup.wall_us[at] + if old { LATER_US } else { 0 };
        Now { wall_us, shown_us: wall_us, mono_us }
    }

    pub(super) fn conn_at(&self, session: u64) -> Option<usize> {
        self.conns.iter().position(|conn| conn.session == session)
    }

    pub(super) fn conn_mut(&mut self, session: u64) -> &mut Conn {
        let at = self.conn_at(session).unwrap();
        Rc::make_mut(&mut self.conns[at])
    }

    /// A connection that its dialler has not lost.
    pub(super) fn open_conn(&self, dialler: Dialler, to: usize) -> Option<u64> {
        let open = |conn: &&Rc<Conn>| {
            conn.dialler == dialler && conn.to == to && !conn.lines_end && !conn.replies_done
        };
        self.conns.iter().find(open).map(|conn| conn.session)
    }

    pub(super) fn dial(&mut self, dialler: Dialler, to: usize) -> u64 {
        let first = match dialler {
            Dialler::Bank(from) => 1_000 + 100 * from + 10 * to,
            Dialler::Driver(from) => 2_000 + 100 * from + 10 * to,
        };
        let first = u64::try_from(first).unwrap();
        let session = (first..).find(|session| self.conn_at(*session).is_none()).unwrap();
        let dead = self.nodes[to].core.is_none();
        let conn = Conn {
            session,
            dialler,
            to,
            lines: VecDeque::new(),
            lines_end: dead,
            lines_done: dead,
            replies: VecDeque::new(),
            replies_end: dead,
            replies_done: false,
            owed: Vec::new(),
        };
        let place = self.conns.partition_point(|conn| conn.session < session);
        self.conns.insert(place, Rc::new(conn));
        session
    }

    /// Sends a driver's line, over a new connection if needed.
    pub(super) fn say(&mut self, dialler: Dialler, to: usize, request: Request) {
        let session = self.open_conn(dialler, to).unwrap_or_else(|| self.dial(dialler, to));
        let slot = self.slot_of(&request);
        let conn = self.conn_mut(session);
        conn.owed.push(slot);
        if !conn.lines_done {
            conn.lines.push_back((slot, request));
        }
    }

    /// A slot encodes its request, so that states that differ in counters alone coincide.
    pub(super) fn slot_of(&self, request: &Request) -> u64 {
        let verb = match request {
            Request::Prepare(..) => 0,
            Request::Commit(..) => 1,
            Request::Abort(..) => 2,
            Request::Resolve(_) => 3,
            Request::Execute(..) => 4,
            other => unreachable!("{} is not sent here", other.verb()),
        };
        let tx = request.tx().unwrap();
        u64::try_from(self.base.txs.iter().position(|known| known == tx).unwrap()).unwrap() * 8
            + verb
    }

    pub(super) fn asked(&self, slot: u64) -> RequestKey {
        let verb = match slot % 8 {
            0 => PeerVerb::Prepare,
            1 => PeerVerb::Commit,
            2 => PeerVerb::Abort,
            _ => PeerVerb::Resolve,
        };
        RequestKey { tx: self.base.txs[usize::try_from(slot / 8).unwrap()].clone(), verb }
    }

    pub(super) fn line(&mut self, session: u64, again: bool) {
        let conn = self.conn_mut(session);
        let (slot, request) = conn.lines.front().unwrap().clone();
        if again {
            conn.owed.push(slot);
        } else {
            conn.lines.pop_front();
        }
        let (to, dialler) = (conn.to, conn.dialler);
        let origin = match dialler {
            Dialler::Bank(_) => Origin::Link,
            Dialler::Driver(at) if self.outside(at).is_some() => Origin::Outside,
            Dialler::Driver(_) => Origin::Client,
        };
        self.request(to, Caller { session: SessionId(session), slot }, origin, request);
    }

    pub(super) fn request(&mut self, to: usize, caller: Caller, origin: Origin, request: Request) {
        let request = self.mistaken_request(to, request);
        let origin = self.mistaken_origin(origin);
        let past = request.tx().and_then(|tx| self.past(to, tx));
        let must_stop = self.carries_a_forgotten_vote(to, &request);
        let asker = Principal::Operator;
        let input = Input::Request { caller, origin, asker, request, waited_us: 0, past };
        self.input(to, &input);
        assert!(
            !must_stop || self.nodes[to].stopped,
            "bank {to} receives a vote that it forgot, but runs"
        );
    }

    pub(super) fn reply(&mut self, session: u64) {
        let conn = self.conn_mut(session);
        let (slot, reply) = conn.replies.pop_front().unwrap();
        if let Some(place) = conn.owed.iter().position(|owed| *owed == slot) {
            conn.owed.remove(place);
        }
        let (dialler, to) = (conn.dialler, conn.to);
        self.answered(dialler, to, slot, Some(reply));
    }

    pub(super) fn answered(
        &mut self,
        dialler: Dialler,
        from: usize,
        slot: u64,
        reply: Option<Reply>,
    ) {
        let asked = self.asked(slot);
        match dialler {
            Dialler::Bank(at) => {
                let reply = self.mistaken_answer(at, from, &asked, reply);
                let past = self.past(at, &asked.tx);
                self.input(at, &Input::Answer { peer: bank(from), asked, reply, past });
            }
            Dialler::Driver(at) if self.outside(at).is_some() => self.outcome_received(at, reply),
            Dialler::Driver(at) if self.drivers[at].coordinator.is_some() => self.drive(
                at,
                match reply {
                    Some(reply) => Event::Answered(bank(from), asked.verb, Answer::Believed(reply)),
                    None => Event::Lost(bank(from), asked.verb),
                },
            ),
            Dialler::Driver(at) => {
                Rc::make_mut(&mut self.drivers[at]).reply = reply;
                self.leave(at, false);
            }
        }
    }

    pub(super) fn tick(&mut self, at: usize) {
        let tick_us = self.setup.tick_us;
        self.node_mut(at).mono_us += tick_us;
        for output in self.mistaken_tick(at) {
            self.write(at, output.records, &Input::Tick);
        }
        self.input(at, &Input::Tick);
    }

    pub(super) fn sync(&mut self, at: usize) {
        let forgetful = self.setup.forgetful;
        let base = self.base.cores[at].seq();
        let node = self.node_mut(at);
        node.synced = node.journal.len();
        let durable = base + u64::try_from(node.synced).unwrap();
        if let Some(core) = node.core.as_mut().filter(|_| forgetful) {
            core.forget_outcomes(durable, 0);
        }
        self.release(at);
    }

    pub(super) fn input(&mut self, at: usize, input: &Input) {
        let now = self.now(at);
        let node = self.node_mut(at);
        let Some(core) = &mut node.core else { return };
        let before = core.known_votes();
        let mut output = core.step(now, input);
        self.mistaken_output(at, &mut output);
        self.mistaken_votes(&mut output);
        for step in &output.steps {
            self.check_step(at, step);
        }
        let waits = |change: &Change| match change {
            Change::Wait(waiter) => matches!(waiter.waits, Waits::Cut(_)),
            _ => false,
        };
        if output.changes.iter().any(waits) {
            self.reached.push("cut waits");
        }
        let node = self.node_mut(at);
        node.replies.append(&mut output.replies);
        node.sends.append(&mut output.sends);
        if self.write(at, output.records, input) {
            self.release(at);
            self.send_known_votes(at, before);
        }
    }

    /// Writes records; `false` if the last one stops the bank.
    pub(super) fn write(&mut self, at: usize, records: Vec<Record>, cause: &Input) -> bool {
        let recorded = !records.is_empty();
        let mono_us = self.nodes[at].mono_us;
        for record in records {
            let record = Arc::new(record);
            self.check_record(at, &record, cause);
            let node = self.node_mut(at);
            node.journal.push(Arc::clone(&record));
            match &*record {
                Record::Voted { tx, refusal: None, .. } => {
                    node.voted_us.push((tx.clone(), mono_us))
                }
                Record::Stopped { .. } => {
                    self.stop(at);
                    return false;
                }
                Record::Voted { .. }
                | Record::Refused { .. }
                | Record::Executed { .. }
                | Record::Decided { .. }
                | Record::ClockMoved { .. }
                | Record::Consortium { .. }
                | Record::ClientAdded { .. }
                | Record::OutsideVoted { .. }
                | Record::Drove { .. }
                | Record::AccountOpened { .. }
                | Record::RegistersLearned { .. }
                | Record::KeyKnown { .. }
                | Record::Founded { .. }
                | Record::Met { .. }
                | Record::Registered { .. }
                | Record::Introduced { .. } => {}
            }
        }
        if recorded {
            self.check_bank(at);
        }
        true
    }

    /// Sends what waited for durable records.
    pub(super) fn release(&mut self, at: usize) {
        let durable = self.base.cores[at].seq() + u64::try_from(self.nodes[at].synced).unwrap();
        let node = self.node_mut(at);
        let leave: Vec<_> = node.replies.extract_if(.., |out| out.after.is_met(durable)).collect();
        let go: Vec<_> = node.sends.extract_if(.., |send| send.after.is_met(durable)).collect();
        for Outgoing { to, reply, .. } in leave {
            self.check_reply(at, &reply, self.executed_bytes(to));
            self.see_token(to.session, &reply);
            if let Some(conn) = self.conn_at(to.session.0) {
                let conn = Rc::make_mut(&mut self.conns[conn]);
                if !conn.replies_end {
                    conn.replies.push_back((to.slot, reply));
                }
            }
        }
        for Sending { peer, message, .. } in go {
            let request = request_of(message);
            match self.open_conn(Dialler::Bank(at), peer.index()) {
                Some(_) => self.say(Dialler::Bank(at), peer.index(), request),
                None => {
                    self.answered(Dialler::Bank(at), peer.index(), self.slot_of(&request), None)
                }
            }
        }
    }

    /// The bytes in the EXECUTE of a caller.
    fn executed_bytes(&self, to: Caller) -> Option<Digest> {
        let bytes = &self.base.bytes[usize::try_from(to.slot / 8).unwrap()];
        let meant = &bytes[usize::from(to.session.0 == MALICIOUS)];
        (to.slot % 8 == 4).then(|| *meant.digest())
    }

    pub(super) fn see_token(&mut self, session: SessionId, reply: &Reply) {
        let is_link = (1_000..2_000).contains(&session.0);
        if let Reply::Ok(tx, token)
        | Reply::Nok(tx, token, ..)
        | Reply::Committed(tx, _, token, _)
        | Reply::Aborted(tx, token, _, _) = reply
            && !is_link
            && self.budget.lies > 0
        {
            let seen = (tx.clone(), *token);
            if !self.tokens.contains(&seen) {
                self.tokens.push(seen);
                self.tokens.sort_by_key(|(tx, token)| (tx.clone(), token.to_string()));
            }
        }
    }
}

pub(super) fn request_of(message: Message) -> Request {
    match message {
        Message::Prepare(tx, transaction) => Request::Prepare(tx, transaction),
        Message::Commit(tx, tokens) => Request::Commit(tx, tokens),
        Message::Abort(tx, token) => Request::Abort(tx, token),
        Message::Resolve(tx) => Request::Resolve(tx),
        Message::Registers { .. } => {
            unreachable!("every bank of these configurations knows its registers")
        }
    }
}
