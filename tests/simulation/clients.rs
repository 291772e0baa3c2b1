//! Clients that drive: the shipped coordinator over connections that carry lines in order, get
//! lost, or are half open.

mod losses;

use crate::simulation::run::{Simulation, bank};
use crate::world::links::request_of;
use crate::world::path::Liar;
use consorcio::bank::io::{Origin, SessionId};
use consorcio::commit::coordinator::{Answer, Coordinator, Do, Event, Strategy, Verdict};
use consorcio::commit::message::{Asked, Message};
use consorcio::ids::{BankSet, Time};
use consorcio::limits::VOTE_TIMEOUT_MS;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Sessions of clients that drive or call begin here; those below are the simulation's own.
const FIRST_SESSION: u64 = 100;
/// Those who repeat a line of somebody else.
pub const REPEATER: u64 = 9;

/// All clients that drive, and their connections.
pub struct Clients {
    pub drivers: BTreeMap<u64, SimulatedDriver>,
    next_driver: u64,
    pub connections: BTreeMap<u64, SimConnection>,
    next_session: u64,
    /// Lanes of connections on which something is under way.
    busy: Vec<(u64, Direction)>,
}

/// A client that drives one transaction.
pub struct SimulatedDriver {
    pub coordinator: Coordinator,
    /// Its connection to each bank, by position.
    connections: Vec<Option<u64>>,
    deadline_us: u64,
    pub verdict: Option<Verdict>,
    /// Was it told what no bank said? It has no key, and believes its connections.
    deceived: bool,
}

/// A client's connection to a bank. Either end may be gone without the other's knowing.
pub struct SimConnection {
    driver: Option<u64>,
    bank: usize,
    /// Asked and not answered yet, by slot.
    asked: Vec<(u64, Asked)>,
    bank_end: bool,
    up: VecDeque<ToBank>,
    down: VecDeque<ToClient>,
}

enum ToBank {
    Line(Message),
    End,
}

enum ToClient {
    Reply(Asked, Reply),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl Default for Clients {
    fn default() -> Clients {
        Clients {
            drivers: BTreeMap::new(),
            next_driver: 0,
            connections: BTreeMap::new(),
            next_session: FIRST_SESSION,
            busy: Vec::new(),
        }
    }
}

impl Clients {
    /// A session that nobody had before.
    pub fn fresh_session(&mut self) -> u64 {
        self.next_session += 1;
        self.next_session
    }

    /// Is nothing under way?
    pub fn is_quiet(&self) -> bool {
        self.busy.is_empty()
    }

    fn up(&mut self, session: u64, line: ToBank) {
        let Some(connection) = self.connections.get_mut(&session) else { return };
        if connection.up.is_empty() {
            self.busy.push((session, Direction::Up));
        }
        connection.up.push_back(line);
    }

    fn down(&mut self, session: u64, line: ToClient) {
        let Some(connection) = self.connections.get_mut(&session) else { return };
        if connection.down.is_empty() {
            self.busy.push((session, Direction::Down));
        }
        connection.down.push_back(line);
    }

    /// A reply goes to the client, if this session is a driver's.
    pub fn replied(&mut self, session: u64, slot: u64, reply: Reply) {
        let Some(connection) = self.connections.get_mut(&session) else { return };
        let Some(at) = connection.asked.iter().position(|(of, _)| *of == slot) else { return };
        if connection.driver.is_some() {
            let (_, asked) = connection.asked.remove(at);
            self.down(session, ToClient::Reply(asked, reply));
        }
    }

    /// What a connection's client waits for.
    fn owed(connection: &mut SimConnection) -> Vec<Asked> {
        let down = connection.down.drain(..).filter_map(|line| match line {
            ToClient::Reply(asked, _) => Some(asked),
            ToClient::End => None,
        });
        let asked = connection.asked.drain(..).map(|(_, asked)| asked);
        down.chain(asked).collect()
    }
}

impl Simulation<'_> {
    pub fn begin(&mut self) {
        if self.clients.drivers.len() >= self.weather.load {
            return self.deliver_to_clients();
        }
        let (tx, transaction) = self.fresh_or_again();
        let driver = SimulatedDriver {
            coordinator: Coordinator::new(tx, transaction, Strategy::Parallel),
            connections: vec![None; self.banks()],
            deadline_us: u64::MAX,
            verdict: None,
            deceived: false,
        };
        self.clients.next_driver += 1;
        let id = self.clients.next_driver;
        self.clients.drivers.insert(id, driver);
        self.met.peak("clients that drive at a time", self.clients.drivers.len() as u64);
        // Mostly a client learns of a dead bank only by asking it.
        let knows = self.random.chance(30);
        let unreachable: BankSet =
            (0..self.banks()).filter(|b| knows && !self.world.is_up(*b)).map(bank).collect();
        self.drive(id, Event::Begin { unreachable });
    }

    fn drive(&mut self, id: u64, event: Event) {
        let Some(driver) = self.clients.drivers.get_mut(&id) else { return };
        for todo in driver.coordinator.on(event) {
            match todo {
                Do::Send(to, message) => self.send(id, to.index(), message),
                Do::StartTimer => {
                    let deadline_us = self.world.mono_us + VOTE_TIMEOUT_MS * 1_000;
                    if let Some(driver) = self.clients.drivers.get_mut(&id) {
                        driver.deadline_us = deadline_us;
                    }
                }
                Do::Tell(verdict) => self.told_verdict(id, verdict),
                Do::VoteSelf | Do::RefuseSelf(_) => panic!("a client has no vote"),
            }
        }
        if self.clients.drivers.get(&id).is_some_and(|driver| driver.coordinator.is_done()) {
            self.leave(id);
        }
    }

    fn told_verdict(&mut self, id: u64, verdict: Verdict) {
        self.met.count(match verdict {
            Verdict::Committed(_) => "driver told committed",
            Verdict::Aborted { .. } => "driver told aborted",
            Verdict::Doubt(_) => "driver told doubt",
            Verdict::Unreached => "driver reached nobody",
        });
        let now_us = self.world.mono_us;
        let Some(driver) = self.clients.drivers.get_mut(&id) else { return };
        // It waits for the last answers, but not for ever.
        driver.deadline_us = now_us + VOTE_TIMEOUT_MS * 1_000;
        driver.verdict = Some(verdict.clone());
        let (tx, transaction) =
            (driver.coordinator.tx().clone(), driver.coordinator.transaction().clone());
        if driver.deceived {
            return self.met.count("driver deceived");
        }
        match verdict {
            Verdict::Committed(time) => self.told_committed(&tx, &transaction, time),
            Verdict::Aborted { .. } => {
                self.facts(&tx).told.push((Some(*transaction.digest()), false));
            }
            Verdict::Doubt(_) | Verdict::Unreached => {}
        }
    }

    /// Somebody was told that this is committed: whoever reads from now on sees it.
    pub fn told_committed(
        &mut self,
        tx: &consorcio::ids::TxId,
        transaction: &consorcio::wire::transaction::Transaction,
        time: Time,
    ) {
        self.facts(tx).told.push((Some(*transaction.digest()), true));
        self.reads.acknowledged(transaction, time);
    }

    /// A line to a bank, over a new connection if need be.
    fn send(&mut self, id: u64, to: usize, message: Message) {
        let Some(driver) = self.clients.drivers.get(&id) else { return };
        let session = match driver.connections[to] {
            Some(session) => session,
            None => {
                let session = self.clients.fresh_session();
                let connection = SimConnection {
                    driver: Some(id),
                    bank: to,
                    asked: Vec::new(),
                    bank_end: true,
                    up: VecDeque::new(),
                    down: VecDeque::new(),
                };
                self.clients.connections.insert(session, connection);
                if let Some(driver) = self.clients.drivers.get_mut(&id) {
                    driver.connections[to] = Some(session);
                }
                session
            }
        };
        self.clients.up(session, ToBank::Line(message));
    }

    /// A driver that is done closes its connections.
    fn leave(&mut self, id: u64) {
        let Some(driver) = self.clients.drivers.remove(&id) else { return };
        for session in driver.connections.into_iter().flatten() {
            if let Some(connection) = self.clients.connections.get_mut(&session) {
                connection.driver = None;
                self.clients.up(session, ToBank::End);
            }
        }
    }

    pub fn deliver_to_clients(&mut self) {
        while !self.clients.busy.is_empty() {
            let at = self.random.below(self.clients.busy.len());
            if self.deliver_lane(at) {
                return;
            }
        }
    }

    /// Everything that is under way arrives, in any order.
    pub fn settle_clients(&mut self) {
        while !self.clients.is_quiet() {
            self.deliver_to_clients();
            self.look();
        }
    }

    fn deliver_lane(&mut self, at: usize) -> bool {
        let (session, way) = self.clients.busy[at];
        let Some(connection) = self.clients.connections.get_mut(&session) else {
            self.clients.busy.swap_remove(at);
            return false;
        };
        match way {
            Direction::Up => {
                let line = connection.up.pop_front();
                if connection.up.is_empty() {
                    self.clients.busy.swap_remove(at);
                }
                line.is_some_and(|line| self.arrived_at_bank(session, line))
            }
            Direction::Down => {
                let line = connection.down.pop_front();
                if connection.down.is_empty() {
                    self.clients.busy.swap_remove(at);
                }
                line.is_some_and(|line| self.arrived_at_client(session, line))
            }
        }
    }

    fn arrived_at_bank(&mut self, session: u64, line: ToBank) -> bool {
        let Some(connection) = self.clients.connections.get_mut(&session) else { return false };
        let (bank, bank_end) = (connection.bank, connection.bank_end);
        match line {
            ToBank::End => {
                self.clients.connections.remove(&session);
                if bank_end {
                    self.world.close(bank, session);
                }
            }
            ToBank::Line(message) => {
                let asked = message.asked();
                if !bank_end {
                    // Nobody is there any more, and nobody says so.
                    self.met.count("line lost");
                    let nowhere = u64::MAX;
                    connection.asked.push((nowhere, asked));
                } else if !self.world.is_up(bank) {
                    self.met.count("line lost");
                    let nowhere = u64::MAX;
                    connection.asked.push((nowhere, asked));
                    self.lose_for_client(session);
                } else {
                    let slot = self.world.next_slot(SessionId(session));
                    connection.asked.push((slot, asked));
                    let request = request_of(message);
                    if self.random.chance(2) {
                        self.met.count("line repeated");
                        let again = request.clone();
                        self.world.request(bank, SessionId(REPEATER), Origin::Client, again, 0);
                    }
                    let waited_us = if self.random.chance(2) { 600_000 } else { 0 };
                    self.world.request(
                        bank,
                        SessionId(session),
                        Origin::Client,
                        request,
                        waited_us,
                    );
                }
            }
        }
        true
    }

    fn arrived_at_client(&mut self, session: u64, line: ToClient) -> bool {
        self.world.events += 1;
        match line {
            ToClient::Reply(asked, reply) => {
                let Some(connection) = self.clients.connections.get(&session) else { return false };
                let at = bank(connection.bank);
                if let Some(driver) = connection.driver {
                    self.drive(driver, Event::Answered(at, asked.verb, Answer::Believed(reply)));
                }
            }
            ToClient::End => self.lose_for_client(session),
        }
        true
    }

    pub fn execute(&mut self) {
        let (tx, transaction) = self.fresh_or_again();
        let at = self.random.below(self.banks());
        if !transaction.banks().has(bank(at)) {
            self.met.count("execute for others");
        }
        self.call(at, Request::Execute(tx, transaction));
    }

    /// An EXECUTE; its caller may be gone before it is answered.
    pub fn call(&mut self, at: usize, request: Request) {
        let session = self.clients.fresh_session();
        if let Request::Execute(tx, transaction) = &request {
            self.callers
                .insert(session, (crate::simulation::facts::number(tx), Arc::clone(transaction)));
        }
        let waited_us = if self.random.chance(2) { 600_000 } else { 0 };
        self.world.request(at, SessionId(session), Origin::Client, request, waited_us);
        if self.random.chance(3) {
            self.met.count("caller lost");
            self.callers.remove(&session);
            self.world.close(at, session);
        }
    }
}
