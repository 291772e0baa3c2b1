//! Delays requests that concern other banks: after a start until the links are open, and at a bank
//! with a new journal until it is introduced or has learned its registers.
//!
//! A bank that was restored from an old copy must learn of a vote that its journal lacks before it
//! votes or refuses again; a link shows such votes as it opens. A bank with a new journal takes
//! part once it is introduced, which is quick if all banks are up. Each delay is bounded;
//! afterwards the bank itself answers.

use consorcio_core::bank::Identity;
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::{INTRODUCTION_WAIT_MS_MAX, LINKS_WAIT_MS_MAX};
use consorcio_core::wire::request::{Read, Request};
use consorcio_system::config::LEFT;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

/// Decides whether requests that concern other banks may be enqueued.
#[derive(Debug)]
pub(crate) struct Gate {
    me: BankId,
    /// Banks whose links have not opened since the start; empty once the wait is over.
    unlinked: Cell<BankSet>,
    introduced: Cell<bool>,
    knows_registers: Cell<bool>,
    /// Sessions that wait or have waited, and since when, in monotonic microseconds. Cleared after
    /// the introduction.
    waiting: RefCell<BTreeMap<u64, (u64, Option<Waker>)>>,
    /// The number of tickets issued.
    tickets: Cell<u64>,
}

impl Gate {
    /// A gate that is closed until the links to all other banks have opened.
    pub(crate) fn new(identity: &Identity) -> Gate {
        let present = identity.places.iter().enumerate().filter(|(_, place)| *place != LEFT);
        let present: BankSet = present.filter_map(|(position, _)| BankId::new(position)).collect();
        Gate {
            me: identity.bank,
            unlinked: Cell::new(present.without(identity.bank)),
            introduced: Cell::new(true),
            knows_registers: Cell::new(true),
            waiting: RefCell::default(),
            tickets: Cell::new(0),
        }
    }

    /// Sets whether the bank is introduced and knows its registers. Both hold initially.
    pub(crate) fn set(&self, introduced: bool, knows_registers: bool) {
        let introduced_before = self.introduced.replace(introduced);
        let known_before = self.knows_registers.replace(knows_registers);
        if introduced != introduced_before || knows_registers != known_before {
            self.wake_all();
        }
    }

    /// A link to or from `bank` is open, and the node has the votes that it showed.
    pub(crate) fn link_opened(&self, bank: BankId) {
        if self.unlinked.get().has(bank) {
            self.unlinked.set(self.unlinked.get().without(bank));
            if self.unlinked.get().is_empty() {
                self.wake_all();
            }
        }
    }

    /// Opens the gate after a bounded time, whatever links are open. Returns once no request has to
    /// wait any more.
    pub(crate) async fn open_in_time(&self) {
        tokio::time::sleep(Duration::from_millis(LINKS_WAIT_MS_MAX)).await;
        self.unlinked.set(BankSet::EMPTY);
        self.wake_all();
        while !(self.introduced.get() && self.knows_registers.get()) {
            tokio::time::sleep(Duration::from_millis(INTRODUCTION_WAIT_MS_MAX / 4)).await;
            self.wake_all();
        }
    }

    /// Must this request of `session` wait now? Only requests that may lead to a vote or refusal
    /// for other banks wait, and reads of registers.
    pub(crate) fn holds(&self, session: u64, request: &Request, now_us: u64) -> bool {
        let unlinked = !self.unlinked.get().is_empty();
        let reads = matches!(request, Request::Read(Read::Value(_)));
        let unlinked = unlinked && !reads;
        let ready = self.introduced.get() && (!reads || self.knows_registers.get());
        if (ready && !unlinked) || !(reads || self.concerns_others(request)) {
            return false;
        }
        let mut waiting = self.waiting.borrow_mut();
        let (since_us, _) = waiting.entry(session).or_insert((now_us, None));
        unlinked || now_us.saturating_sub(*since_us) < INTRODUCTION_WAIT_MS_MAX * 1_000
    }

    /// Wakes `waker` when `holds` may have changed. Each session has one waker.
    pub(crate) fn wait(&self, session: u64, waker: &Waker) {
        if let Some((_, waiting)) = self.waiting.borrow_mut().get_mut(&session) {
            *waiting = Some(waker.clone());
        }
    }

    /// Removes `session`, which has ended.
    pub(crate) fn leave(&self, session: u64) {
        self.waiting.borrow_mut().remove(&session);
    }

    /// A number for a request without a session; no session has it as its id.
    pub(crate) fn ticket(&self) -> u64 {
        self.tickets.set(self.tickets.get() + 1);
        u64::MAX - self.tickets.get()
    }

    fn concerns_others(&self, request: &Request) -> bool {
        match request {
            Request::Prepare(_, transaction) | Request::Execute(_, transaction) => {
                !transaction.banks().without(self.me).is_empty()
            }
            Request::Abort(..) | Request::Resolve(_) => true,
            Request::Commit(..)
            | Request::Status(_)
            | Request::Client(_)
            | Request::Account(_)
            | Request::Read(_)
            | Request::Registers { .. }
            | Request::Local(_) => false,
        }
    }

    fn wake_all(&self) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.values_mut().filter_map(|(_, waker)| waker.take()).for_each(Waker::wake);
        if self.introduced.get() && self.knows_registers.get() && self.unlinked.get().is_empty() {
            waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::wire::token::Seal;

    const ALL: &str = concat!(
        r#"PREPARE t {"ops":[{"bank":0,"op":"deposit","account":"1","amount":5},"#,
        r#"{"bank":1,"op":"withdraw","account":"1","amount":5}]}"#
    );
    const OWN: &str = r#"EXECUTE t {"ops":[{"bank":0,"op":"deposit","account":"1","amount":5}]}"#;

    fn gate() -> Gate {
        let places = ["127.0.0.1:1", "127.0.0.1:2", "-", "127.0.0.1:4"].map(str::to_owned).to_vec();
        Gate::new(&Identity { bank: BankId::new(0).unwrap(), places, seal: Seal::keyed([7; 32]) })
    }

    fn holds(gate: &Gate, line: &str, now_us: u64) -> bool {
        gate.holds(1, &Request::parse(line).unwrap(), now_us)
    }

    #[test]
    fn requests_that_concern_others_wait_for_the_links_of_all_banks() {
        let gate = gate();
        for line in [ALL, "RESOLVE t", "ABORT t"] {
            assert!(holds(&gate, line, 0), "{line}");
        }
        for line in [OWN, "COMMIT t", "STATUS t", "INFO", "PING", "VALUE k"] {
            assert!(!holds(&gate, line, 0), "{line}");
        }
        gate.link_opened(BankId::new(3).unwrap());
        assert!(holds(&gate, ALL, 0));
        gate.link_opened(BankId::new(1).unwrap());
        assert!(!holds(&gate, ALL, 0));
    }

    #[test]
    fn a_session_waits_once_for_the_introduction_and_for_a_bounded_time() {
        let gate = gate();
        gate.set(false, false);
        [1, 3].into_iter().filter_map(BankId::new).for_each(|bank| gate.link_opened(bank));
        assert!(holds(&gate, ALL, 1_000));
        let over = 1_000 + INTRODUCTION_WAIT_MS_MAX * 1_000;
        assert!(
            holds(&gate, ALL, over - 1)
                && !holds(&gate, ALL, over)
                && !holds(&gate, "RESOLVE t", over)
        );
        assert!(
            gate.holds(2, &Request::parse(ALL).unwrap(), over),
            "another session has not waited"
        );
        gate.set(true, false);
        assert!(!gate.holds(2, &Request::parse(ALL).unwrap(), over));
        assert!(
            gate.holds(3, &Request::parse("VALUE k").unwrap(), over),
            "the registers are not known yet"
        );
        gate.set(true, true);
        assert!(!gate.holds(3, &Request::parse("VALUE k").unwrap(), over));
        assert!(gate.waiting.borrow().is_empty());
    }
}
