//! Clients that drive transactions: the shipped coordinator over connections that carry lines in
//! order, get lost, or are half open.

mod losses;

use crate::simulation::run::{Simulation, bank};
use crate::world::links::request_of;
use crate::world::path::Attacker;
use consorcio_core::bank::io::{Origin, SessionId};
use consorcio_core::commit::coordinator::{Answer, Coordinator, Do, Event, Strategy, Verdict};
use consorcio_core::commit::message::{Message, RequestKey};
use consorcio_core::ids::{BankSet, Time};
use consorcio_core::limits::VOTE_TIMEOUT_MS;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Sessions of clients that drive or call have this number or a greater one; smaller ones belong to
/// the simulation.
const FIRST_SESSION: u64 = 100;
/// The session of clients that repeat a line of another one.
pub const REPEATER: u64 = 9;

/// All clients that drive, and their connections.
pub struct Clients {
    pub drivers: BTreeMap<u64, SimulatedDriver>,
    next_driver: u64,
    pub connections: BTreeMap<u64, SimConnection>,
    next_session: u64,
    /// Directions of connections with lines in flight.
    busy: Vec<(u64, Direction)>,
}

pub struct SimulatedDriver {
    pub coordinator: Coordinator,
    /// Its connection to each bank, by position.
    connections: Vec<Option<u64>>,
    deadline_us: u64,
    pub verdict: Option<Verdict>,
    /// It received a forged reply. A driver has no key, and can't detect it.
    deceived: bool,
}

/// A client's connection to a bank. Either end may be gone without the other's knowledge.
pub struct SimConnection {
    driver: Option<u64>,
    bank: usize,
    /// Requests without a reply yet, by slot.
    asked: Vec<(u64, RequestKey)>,
    bank_end: bool,
    up: VecDeque<ToBank>,
    down: VecDeque<ToClient>,
}

enum ToBank {
    Line(Message),
    End,
}

enum ToClient {
    Reply(RequestKey, Reply),
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
    pub fn new_session(&mut self) -> u64 {
        self.next_session += 1;
        self.next_session
    }

    /// No line is in flight.
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

    /// Sends a reply to the client, if this session is a driver's.
    pub fn replied(&mut self, session: u64, slot: u64, reply: Reply) {
        let Some(connection) = self.connections.get_mut(&session) else { return };
        let Some(at) = connection.asked.iter().position(|(of, _)| *of == slot) else { return };
        if connection.driver.is_some() {
            let (_, asked) = connection.asked.remove(at);
            self.down(session, ToClient::Reply(asked, reply));
        }
    }

    /// The requests that a connection's client still waits for.
    fn owed(connection: &mut SimConnection) -> Vec<RequestKey> {
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
        if self.clients.drivers.len() >= self.environment.load {
            return self.deliver_to_clients();
        }
        let (tx, transaction) = self.new_or_shared_id();
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
        self.coverage.peak("clients that drive at a time", self.clients.drivers.len() as u64);
        // Mostly a client detects a dead bank only by its next request.
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
                Do::Report(verdict) => self.verdict_received(id, verdict),
                Do::VoteSelf | Do::RefuseSelf(_) => panic!("a client has no vote"),
            }
        }
        if self.clients.drivers.get(&id).is_some_and(|driver| driver.coordinator.is_done()) {
            self.leave(id);
        }
    }

    fn verdict_received(&mut self, id: u64, verdict: Verdict) {
        self.coverage.count(match verdict {
            Verdict::Committed(_) => "driver reports committed",
            Verdict::Aborted { .. } => "driver reports aborted",
            Verdict::Doubt(_) => "driver reports doubt",
            Verdict::Unreached => "driver reached no bank",
        });
        let now_us = self.world.mono_us;
        let Some(driver) = self.clients.drivers.get_mut(&id) else { return };
        // It waits for the last replies, with a time-out.
        driver.deadline_us = now_us + VOTE_TIMEOUT_MS * 1_000;
        driver.verdict = Some(verdict.clone());
        let (tx, transaction) =
            (driver.coordinator.tx().clone(), driver.coordinator.transaction().clone());
        if driver.deceived {
            return self.coverage.count("driver deceived");
        }
        match verdict {
            Verdict::Committed(time) => self.commit_received(&tx, &transaction, time),
            Verdict::Aborted { .. } => {
                self.facts(&tx).reported.push((Some(*transaction.digest()), false));
            }
            Verdict::Doubt(_) | Verdict::Unreached => {}
        }
    }

    /// A client received this commit: later reads must see it.
    pub fn commit_received(
        &mut self,
        tx: &consorcio_core::ids::TxId,
        transaction: &consorcio_core::wire::transaction::Transaction,
        time: Time,
    ) {
        self.facts(tx).reported.push((Some(*transaction.digest()), true));
        self.reads.acknowledged(transaction, time);
    }

    /// Sends a line to a bank, over a new connection if needed.
    fn send(&mut self, id: u64, to: usize, message: Message) {
        let Some(driver) = self.clients.drivers.get(&id) else { return };
        let session = match driver.connections[to] {
            Some(session) => session,
            None => {
                let session = self.clients.new_session();
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

    /// A finished driver closes its connections.
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

    /// Delivers all lines in flight, in any order.
    pub fn deliver_all_to_clients(&mut self) {
        while !self.clients.is_quiet() {
            self.deliver_to_clients();
            self.check_events();
        }
    }

    fn deliver_lane(&mut self, at: usize) -> bool {
        let (session, direction) = self.clients.busy[at];
        let Some(connection) = self.clients.connections.get_mut(&session) else {
            self.clients.busy.swap_remove(at);
            return false;
        };
        match direction {
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
                let asked = message.key();
                if !bank_end {
                    // The other end is gone, silently.
                    self.coverage.count("line lost");
                    let nowhere = u64::MAX;
                    connection.asked.push((nowhere, asked));
                } else if !self.world.is_up(bank) {
                    self.coverage.count("line lost");
                    let nowhere = u64::MAX;
                    connection.asked.push((nowhere, asked));
                    self.lose_for_client(session);
                } else {
                    let slot = self.world.next_slot(SessionId(session));
                    connection.asked.push((slot, asked));
                    let request = request_of(message);
                    if self.random.chance(2) {
                        self.coverage.count("line repeated");
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
        let (tx, transaction) = self.new_or_shared_id();
        let at = self.random.below(self.banks());
        if !transaction.banks().has(bank(at)) {
            self.coverage.count("execute for others");
        }
        self.call(at, Request::Execute(tx, transaction));
    }

    /// Sends an EXECUTE; its caller may be gone before the reply.
    pub fn call(&mut self, at: usize, request: Request) {
        let session = self.clients.new_session();
        if let Request::Execute(tx, transaction) = &request {
            self.callers
                .insert(session, (crate::simulation::facts::number(tx), Arc::clone(transaction)));
        }
        let waited_us = if self.random.chance(2) { 600_000 } else { 0 };
        self.world.request(at, SessionId(session), Origin::Client, request, waited_us);
        if self.random.chance(3) {
            self.coverage.count("caller lost");
            self.callers.remove(&session);
            self.world.close(at, session);
        }
    }
}
