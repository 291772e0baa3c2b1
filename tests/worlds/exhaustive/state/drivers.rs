//! Drivers: clients with a coordinator, and callers of an EXECUTE.

use super::faults::hang_up;
use super::happen::request_of;
use super::{Dialler, ModelState, TransactionDriver, bank};
use consorcio_core::commit::coordinator::{Do, Event, Verdict};
use consorcio_core::wire::request::Request;
use std::rc::Rc;
use std::sync::Arc;

impl ModelState {
    pub(super) fn begin(&mut self, at: usize) {
        let (tx, bytes) = (self.base.txs[at].clone(), Arc::clone(&self.base.bytes[at][0]));
        Rc::make_mut(&mut self.drivers[at]).begun = true;
        match self.setup.transactions[at].2 {
            TransactionDriver::Execute(to) => {
                self.say(Dialler::Driver(at), to, Request::Execute(tx, bytes))
            }
            TransactionDriver::Outside(to) => {
                self.say(Dialler::Driver(at), to, Request::Prepare(tx, bytes))
            }
            TransactionDriver::Client | TransactionDriver::LateClient => {
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
                Do::Send(to, message) => {
                    self.say(Dialler::Driver(at), to.index(), request_of(message))
                }
                Do::StartTimer => Rc::make_mut(&mut self.drivers[at]).armed = true,
                Do::Report(verdict) => {
                    self.reached.push(match verdict {
                        Verdict::Committed(_) => "driver reports committed",
                        Verdict::Aborted { .. } => "driver reports aborted",
                        Verdict::Doubt(_) => "driver reports doubt",
                        Verdict::Unreached => "driver reached no bank",
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

    /// A driver closes its connections: its lines still arrive, unless `lost`.
    pub(super) fn leave(&mut self, at: usize, lost: bool) {
        let driver = Rc::make_mut(&mut self.drivers[at]);
        (driver.gone, driver.armed, driver.coordinator) = (true, false, None);
        for conn in self.conns.iter_mut().filter(|conn| conn.dialler == Dialler::Driver(at)) {
            hang_up(Rc::make_mut(conn), lost);
        }
    }
}
