//! What concerns other banks waits: after a start for links, and at a bank with a new journal until
//! they have met it, or it has learned its registers.
//!
//! A bank that was restored from an old copy must hear of a vote that its journal does not hold
//! before it votes, or refuses, anything anew; a link shows such a vote as it opens. A bank with a
//! new journal takes part once the others have met it, which takes a moment where all are there.
//! Nobody waits for long: then the bank itself answers.

use consorcio_core::bank::Identity;
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::{INTRODUCTION_WAIT_MS_MAX, LINKS_WAIT_MS_MAX};
use consorcio_core::wire::request::{Read, Request};
use consorcio_system::config::LEFT;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

/// Whether what concerns others may be handed to the bank.
#[derive(Debug)]
pub struct Gate {
    me: BankId,
    /// Banks that have not shown their votes since the start; none once the wait is over.
    unheard: Cell<BankSet>,
    introduced: Cell<bool>,
    knows_registers: Cell<bool>,
    /// Who waits or has waited, and since when, in monotonic microseconds. Nobody is kept past the
    /// introduction.
    waiting: RefCell<BTreeMap<u64, (u64, Option<Waker>)>>,
    /// How many asked without a session.
    tickets: Cell<u64>,
}

impl Gate {
    /// Closed until all other banks of the list were heard.
    pub fn new(identity: &Identity) -> Gate {
        let present = identity.places.iter().enumerate().filter(|(_, place)| *place != LEFT);
        let present: BankSet = present.filter_map(|(position, _)| BankId::new(position)).collect();
        Gate {
            me: identity.bank,
            unheard: Cell::new(present.without(identity.bank)),
            introduced: Cell::new(true),
            knows_registers: Cell::new(true),
            waiting: RefCell::default(),
            tickets: Cell::new(0),
        }
    }

    /// Is the bank introduced, and does it know its registers? So it is taken to be until something
    /// else is said.
    pub fn set(&self, introduced: bool, knows_registers: bool) {
        let introduced_before = self.introduced.replace(introduced);
        let known_before = self.knows_registers.replace(knows_registers);
        if introduced != introduced_before || knows_registers != known_before {
            self.wake_all();
        }
    }

    /// A link to or from `bank` is open, and the node has what it showed.
    pub fn heard(&self, bank: BankId) {
        if self.unheard.get().has(bank) {
            self.unheard.set(self.unheard.get().without(bank));
            if self.unheard.get().is_empty() {
                self.wake_all();
            }
        }
    }

    /// Opens in time, whoever was not heard. Ends when nobody will have to wait any more.
    pub async fn open_in_time(&self) {
        tokio::time::sleep(Duration::from_millis(LINKS_WAIT_MS_MAX)).await;
        self.unheard.set(BankSet::EMPTY);
        self.wake_all();
        while !(self.introduced.get() && self.knows_registers.get()) {
            tokio::time::sleep(Duration::from_millis(INTRODUCTION_WAIT_MS_MAX / 4)).await;
            self.wake_all();
        }
    }

    /// Must this request of the session `who` wait at this moment, in monotonic microseconds? So it
    /// must when it may vote or refuse for others.
    pub fn holds(&self, who: u64, request: &Request, now_us: u64) -> bool {
        let unheard = !self.unheard.get().is_empty();
        let reads = matches!(request, Request::Read(Read::Value(_)));
        let unheard = unheard && !reads;
        let ready = self.introduced.get() && (!reads || self.knows_registers.get());
        if (ready && !unheard) || !(reads || self.concerns_others(request)) {
            return false;
        }
        let mut waiting = self.waiting.borrow_mut();
        let (since_us, _) = waiting.entry(who).or_insert((now_us, None));
        unheard || now_us.saturating_sub(*since_us) < INTRODUCTION_WAIT_MS_MAX * 1_000
    }

    /// `waker` is woken when it may be worth to ask again. A session is there once, however often
    /// it asks.
    pub fn wait(&self, who: u64, waker: &Waker) {
        if let Some((_, waiting)) = self.waiting.borrow_mut().get_mut(&who) {
            *waiting = Some(waker.clone());
        }
    }

    /// Nobody asks as `who` any more.
    pub fn leave(&self, who: u64) {
        self.waiting.borrow_mut().remove(&who);
    }

    /// A number to ask under for who has no session; no session has it.
    pub fn ticket(&self) -> u64 {
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
        if self.introduced.get() && self.knows_registers.get() && self.unheard.get().is_empty() {
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
    fn what_concerns_others_waits_until_all_that_are_there_were_heard() {
        let gate = gate();
        for line in [ALL, "RESOLVE t", "ABORT t"] {
            assert!(holds(&gate, line, 0), "{line}");
        }
        for line in [OWN, "COMMIT t", "STATUS t", "INFO", "PING", "VALUE k"] {
            assert!(!holds(&gate, line, 0), "{line}");
        }
        gate.heard(BankId::new(3).unwrap());
        assert!(holds(&gate, ALL, 0));
        gate.heard(BankId::new(1).unwrap());
        assert!(!holds(&gate, ALL, 0));
    }

    #[test]
    fn a_session_waits_once_for_the_introduction_and_not_for_long() {
        let gate = gate();
        gate.set(false, false);
        [1, 3].into_iter().filter_map(BankId::new).for_each(|bank| gate.heard(bank));
        assert!(holds(&gate, ALL, 1_000));
        let over = 1_000 + INTRODUCTION_WAIT_MS_MAX * 1_000;
        assert!(
            holds(&gate, ALL, over - 1)
                && !holds(&gate, ALL, over)
                && !holds(&gate, "RESOLVE t", over)
        );
        assert!(gate.holds(2, &Request::parse(ALL).unwrap(), over), "another one has not waited");
        gate.set(true, false);
        assert!(!gate.holds(2, &Request::parse(ALL).unwrap(), over));
        assert!(
            gate.holds(3, &Request::parse("VALUE k").unwrap(), over),
            "it does not know its registers"
        );
        gate.set(true, true);
        assert!(!gate.holds(3, &Request::parse("VALUE k").unwrap(), over));
        assert!(gate.waiting.borrow().is_empty());
    }
}
