//! How one state becomes the next: lines and replies arrive, drivers begin and leave, banks die and come back. What can
//! happen at all is listed in `town`.

use super::{Act, Conn, LIAR, Lie, Node, Town, Way, Who, bank};
use consorcio::bank::io::{
    Asked, AskedVerb, Caller, Input, Message, Now, Origin, Outgoing, Sending, SessionId,
};
use consorcio::commit::coordinator::{Do, Event, Verdict};
use consorcio::commit::token::Digest;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

impl Town {
    pub fn act(&mut self, act: Act) {
        match act {
            Act::Line { session, .. } => self.line(session, false),
            Act::Repeat { session, .. } => {
                self.budget.repeats -= 1;
                self.line(session, true);
            }
            Act::Reply { session, .. } => self.reply(session),
            Act::Sync(at) => self.sync(at),
            Act::Tick(at) => {
                self.budget.ticks -= 1;
                self.tick(at);
            }
            Act::Begin(at) => self.begin(at),
            Act::TimeOut(at) => {
                self.budget.time_outs -= 1;
                self.time_out(at);
            }
            Act::Crash(at) => {
                self.budget.crashes -= 1;
                self.crash(at);
            }
            Act::Restart(at) => self.restart(at),
            Act::Connect(a, b) => self.connect(a, b),
            Act::Cut { session, lost } => {
                self.budget.cuts -= 1;
                let conn = self.conn_mut(session);
                (conn.lines_end, conn.replies_end) = (true, true);
                if lost {
                    conn.lines.clear();
                    conn.replies.clear();
                }
            }
            Act::Gone { driver, lost } => {
                self.budget.gone -= 1;
                self.leave(driver, lost);
            }
            Act::Lie { to, tx, what } => self.lie(to, tx, what),
        }
        self.notice_ends();
        if self.budget.lies == 0 {
            self.tokens.clear();
        }
    }

    pub fn node_mut(&mut self, at: usize) -> &mut Node {
        let node = Rc::make_mut(&mut self.nodes[at]);
        node.print = OnceCell::new();
        node
    }

    pub fn now(&self, at: usize) -> Now {
        Now { wall_us: self.setup.wall_us[at], mono_us: self.nodes[at].mono_us }
    }

    pub(super) fn conn_at(&self, session: u64) -> Option<usize> {
        self.conns.iter().position(|conn| conn.session == session)
    }

    pub(super) fn conn_mut(&mut self, session: u64) -> &mut Conn {
        let at = self.conn_at(session).unwrap();
        Rc::make_mut(&mut self.conns[at])
    }

    /// An open connection, as who dialled sees it.
    pub(super) fn open_conn(&self, who: Who, to: usize) -> Option<u64> {
        let open =
            |conn: &&Rc<Conn>| conn.who == who && conn.to == to && !conn.lines_end && !conn.replies_done;
        self.conns.iter().find(open).map(|conn| conn.session)
    }

    pub(super) fn dial(&mut self, who: Who, to: usize) -> u64 {
        let first = match who {
            Who::Bank(from) => 1_000 + 100 * from + 10 * to,
            Who::Driver(from) => 2_000 + 100 * from + 10 * to,
        };
        let first = u64::try_from(first).unwrap();
        let session = (first..).find(|session| self.conn_at(*session).is_none()).unwrap();
        let dead = self.nodes[to].core.is_none();
        let conn = Conn {
            session,
            who,
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

    /// A line of a driver, over a new connection if need be.
    pub(super) fn say(&mut self, who: Who, to: usize, request: Request) {
        let session = self.open_conn(who, to).unwrap_or_else(|| self.dial(who, to));
        let slot = self.slot_of(&request);
        let conn = self.conn_mut(session);
        conn.owed.push(slot);
        if !conn.lines_done {
            conn.lines.push_back((slot, request));
        }
    }

    /// A request's place tells what it asked: states that differ in counters alone are one.
    pub(super) fn slot_of(&self, request: &Request) -> u64 {
        let verb = match request {
            Request::Prepare(..) => 0,
            Request::Commit(..) => 1,
            Request::Abort(..) => 2,
            Request::Resolve(_) => 3,
            Request::Execute(..) => 4,
            other => unreachable!("{} is not asked here", other.verb()),
        };
        let tx = request.tx().unwrap();
        u64::try_from(self.base.txs.iter().position(|known| known == tx).unwrap()).unwrap() * 8 + verb
    }

    pub(super) fn asked(&self, slot: u64) -> Asked {
        let verb = match slot % 8 {
            0 => AskedVerb::Prepare,
            1 => AskedVerb::Commit,
            2 => AskedVerb::Abort,
            _ => AskedVerb::Resolve,
        };
        Asked { tx: self.base.txs[usize::try_from(slot / 8).unwrap()].clone(), verb }
    }

    pub(super) fn line(&mut self, session: u64, again: bool) {
        let conn = self.conn_mut(session);
        let (slot, request) = conn.lines.front().unwrap().clone();
        if again {
            conn.owed.push(slot);
        } else {
            conn.lines.pop_front();
        }
        let (to, origin) =
            (conn.to, if matches!(conn.who, Who::Bank(_)) { Origin::Link } else { Origin::Client });
        self.request(to, Caller { session: SessionId(session), slot }, origin, request);
    }

    pub(super) fn request(&mut self, to: usize, caller: Caller, origin: Origin, request: Request) {
        let past = request.tx().and_then(|tx| self.past(to, tx));
        self.input(to, &Input::Request { caller, origin, request, waited_us: 0, past });
    }

    pub(super) fn reply(&mut self, session: u64) {
        let conn = self.conn_mut(session);
        let (slot, reply) = conn.replies.pop_front().unwrap();
        if let Some(place) = conn.owed.iter().position(|owed| *owed == slot) {
            conn.owed.remove(place);
        }
        let (who, to) = (conn.who, conn.to);
        self.answered(who, to, slot, Some(reply));
    }

    pub(super) fn answered(&mut self, who: Who, from: usize, slot: u64, reply: Option<Reply>) {
        let asked = self.asked(slot);
        match who {
            Who::Bank(at) => {
                let past = self.past(at, &asked.tx);
                self.input(at, &Input::Answer { peer: bank(from), asked, reply, past });
            }
            Who::Driver(at) if self.drivers[at].coordinator.is_some() => self.drive(
                at,
                match reply {
                    Some(reply) => Event::Answered(bank(from), asked.verb, reply),
                    None => Event::Lost(bank(from), asked.verb),
                },
            ),
            Who::Driver(at) => {
                Rc::make_mut(&mut self.drivers[at]).told = reply;
                self.leave(at, false);
            }
        }
    }

    pub(super) fn begin(&mut self, at: usize) {
        let (tx, bytes) = (self.base.txs[at].clone(), Arc::clone(&self.base.bytes[at][0]));
        Rc::make_mut(&mut self.drivers[at]).begun = true;
        match self.setup.transactions[at].2 {
            Way::Execute(to) => self.say(Who::Driver(at), to, Request::Execute(tx, bytes)),
            Way::Client | Way::LateClient => {
                let down = |bank: &usize| self.nodes[*bank].core.is_none();
                let unreachable = (0..self.nodes.len()).filter(down).map(bank).collect();
                self.drive(at, Event::Begin { unreachable });
            }
        }
    }

    pub(super) fn drive(&mut self, at: usize, event: Event) {
        let driver = Rc::make_mut(&mut self.drivers[at]);
        if driver.gone {
            return;
        }
        let coordinator = driver.coordinator.as_mut().unwrap();
        let todo = coordinator.on(event);
        let done = coordinator.is_done();
        for todo in todo {
            match todo {
                Do::Send(to, message) => self.say(Who::Driver(at), to.index(), request_of(message)),
                Do::StartTimer => Rc::make_mut(&mut self.drivers[at]).armed = true,
                Do::Tell(verdict) => {
                    self.met.push(match verdict {
                        Verdict::Committed(_) => "driver told committed",
                        Verdict::Aborted { .. } => "driver told aborted",
                        Verdict::Doubt(_) => "driver told doubt",
                        Verdict::Unreached => "driver reached nobody",
                    });
                    let driver = Rc::make_mut(&mut self.drivers[at]);
                    driver.armed = false;
                    driver.verdict = Some(verdict);
                }
                Do::VoteSelf | Do::RefuseSelf(_) => panic!("a client has no vote"),
            }
        }
        if done {
            self.leave(at, false);
        }
    }

    pub(super) fn time_out(&mut self, at: usize) {
        Rc::make_mut(&mut self.drivers[at]).armed = false;
        self.drive(at, Event::TimeOut);
    }

    /// A driver hangs up: what it sent still arrives, unless it is lost.
    pub(super) fn leave(&mut self, at: usize, lost: bool) {
        let driver = Rc::make_mut(&mut self.drivers[at]);
        (driver.gone, driver.armed, driver.coordinator) = (true, false, None);
        for conn in self.conns.iter_mut().filter(|conn| conn.who == Who::Driver(at)) {
            hang_up(Rc::make_mut(conn), lost);
        }
    }

    pub(super) fn tick(&mut self, at: usize) {
        let tick_us = self.setup.tick_us;
        self.node_mut(at).mono_us += tick_us;
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

    pub(super) fn crash(&mut self, at: usize) {
        let node = self.node_mut(at);
        if node.journal.len() > node.synced {
            self.met.push("crash that lost records");
        }
        let node = self.node_mut(at);
        node.core = None;
        node.mono_us = 0;
        node.replies.clear();
        node.sends.clear();
        node.journal.truncate(node.synced);
        for conn in &mut self.conns {
            if conn.who == Who::Bank(at) {
                hang_up(Rc::make_mut(conn), false);
            } else if conn.to == at {
                let conn = Rc::make_mut(conn);
                conn.lines.clear();
                (conn.lines_end, conn.lines_done, conn.replies_end) = (true, true, true);
            }
        }
    }

    pub(super) fn restart(&mut self, at: usize) {
        let mut core = self.base.cores[at].clone();
        let (forgetful, base) = (self.setup.forgetful, core.seq());
        let node = self.node_mut(at);
        node.journal.iter().for_each(|record| core.apply(record));
        if forgetful {
            core.forget_outcomes(base + u64::try_from(node.synced).unwrap(), 0);
        }
        node.core = Some(core);
        self.input(at, &Input::Started);
    }

    pub(super) fn can_connect(&self, a: usize, b: usize) -> bool {
        let up = self.nodes[a].core.is_some() && self.nodes[b].core.is_some();
        let lacks = |from, to| self.dialled(from, to).is_none();
        up && (lacks(a, b) || lacks(b, a))
    }

    /// The link that `from` has not noticed the end of.
    pub(super) fn dialled(&self, from: usize, to: usize) -> Option<u64> {
        let theirs = |conn: &&Rc<Conn>| conn.who == Who::Bank(from) && conn.to == to && !conn.replies_done;
        self.conns.iter().find(theirs).map(|conn| conn.session)
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            if self.dialled(from, to).is_some() {
                continue;
            }
            self.dial(Who::Bank(from), to);
            let knows = |of: usize, about: usize| self.nodes[of].core.as_ref().unwrap().known_votes()[about];
            let (told, tells) = (knows(to, from), knows(from, to));
            self.input(from, &Input::PeerKnows(bank(to), told));
            if self.setup.keyed {
                self.input(to, &Input::PeerKnows(bank(from), tells));
            }
            self.input(from, &Input::PeerUp(bank(to)));
        }
    }

    /// Who reads a connection notices its end once all that came before has been read.
    pub(super) fn notice_ends(&mut self) {
        while let Some(at) = self.conns.iter().position(|conn| {
            conn.lines_end && !conn.lines_done && conn.lines.is_empty()
                || conn.replies_end && !conn.replies_done && conn.replies.is_empty()
        }) {
            let conn = Rc::make_mut(&mut self.conns[at]);
            let (session, who, to) = (conn.session, conn.who, conn.to);
            if conn.lines_end && !conn.lines_done && conn.lines.is_empty() {
                (conn.lines_done, conn.replies_end) = (true, true);
                self.input(to, &Input::Closed(SessionId(session)));
            } else {
                (conn.replies_done, conn.lines_end) = (true, true);
                for slot in std::mem::take(&mut conn.owed) {
                    self.answered(who, to, slot, None);
                }
                if let Who::Bank(from) = who {
                    self.input(from, &Input::PeerDown(bank(to)));
                }
            }
        }
        self.conns.retain(|conn| !(conn.lines_done && conn.replies_done));
    }

    pub(super) fn lie(&mut self, to: usize, tx: usize, what: Lie) {
        self.budget.lies -= 1;
        let id = self.base.txs[tx].clone();
        let [bytes, other] = self.base.bytes[tx].clone();
        let request = match what {
            Lie::Prepare => Request::Prepare(id, bytes),
            Lie::PrepareOther => Request::Prepare(id, other),
            Lie::ExecuteOther => Request::Execute(id, other),
            Lie::Commit => Request::Commit(id, Vec::new()),
            Lie::CommitWithAllSeen => {
                Request::Commit(id, self.tokens.iter().map(|(_, token)| *token).collect())
            }
            Lie::Abort => Request::Abort(id, None),
            Lie::AbortWith(token) => Request::Abort(id, Some(self.tokens[token].1)),
            Lie::Resolve => Request::Resolve(id),
        };
        let slot = self.slot_of(&request);
        self.request(to, Caller { session: SessionId(LIAR), slot }, Origin::Client, request);
    }

    pub(super) fn input(&mut self, at: usize, input: &Input) {
        let now = self.now(at);
        let node = self.node_mut(at);
        let Some(core) = &mut node.core else { return };
        let output = core.step(now, input);
        node.replies.extend(output.replies);
        node.sends.extend(output.sends);
        let recorded = !output.records.is_empty();
        for record in output.records {
            let record = Arc::new(record);
            self.check_record(at, &record, input);
            self.node_mut(at).journal.push(record);
        }
        if recorded {
            self.check_bank(at);
        }
        self.release(at);
    }

    /// What waited for records that are durable leaves.
    pub(super) fn release(&mut self, at: usize) {
        let durable = self.base.cores[at].seq() + u64::try_from(self.nodes[at].synced).unwrap();
        let node = self.node_mut(at);
        let leave: Vec<_> = node.replies.extract_if(.., |out| out.after <= durable).collect();
        let go: Vec<_> = node.sends.extract_if(.., |send| send.after <= durable).collect();
        for Outgoing { to, reply, .. } in leave {
            self.check_spoken(at, &reply, self.executed_bytes(to));
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
            match self.open_conn(Who::Bank(at), peer.index()) {
                Some(_) => self.say(Who::Bank(at), peer.index(), request),
                None => self.answered(Who::Bank(at), peer.index(), self.slot_of(&request), None),
            }
        }
    }

    /// The bytes that the caller of an EXECUTE meant.
    fn executed_bytes(&self, to: Caller) -> Option<Digest> {
        let bytes = &self.base.bytes[usize::try_from(to.slot / 8).unwrap()];
        let meant = &bytes[usize::from(to.session.0 == LIAR)];
        (to.slot % 8 == 4).then(|| *meant.digest())
    }

    pub(super) fn see_token(&mut self, session: SessionId, reply: &Reply) {
        let is_link = (1_000..2_000).contains(&session.0);
        if let Reply::Ok(tx, token)
        | Reply::Nok(tx, token, ..)
        | Reply::Committed(tx, _, token)
        | Reply::Aborted(tx, token, _) = reply
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

fn hang_up(conn: &mut Conn, lost: bool) {
    if lost {
        conn.lines.clear();
    }
    conn.replies.clear();
    conn.owed.clear();
    (conn.lines_end, conn.replies_end, conn.replies_done) = (true, true, true);
}

fn request_of(message: Message) -> Request {
    match message {
        Message::Prepare(tx, transaction) => Request::Prepare(tx, transaction),
        Message::Commit(tx, tokens) => Request::Commit(tx, tokens),
        Message::Abort(tx, token) => Request::Abort(tx, token),
        Message::Resolve(tx) => Request::Resolve(tx),
    }
}
