//! The invariants at the end, with all banks up, all links open and all messages delivered:
//! everything must be decided.

use crate::simulation::run::{Simulation, bank};
use crate::simulation::transactions::KEYS;
use crate::world::Seen;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::transaction::{Action, Flow};
use std::collections::BTreeSet;

/// Rounds after the faults are healed, and the length of each: longer than any patience and any
/// silence.
const ROUNDS: usize = 40;
const ROUND_US: u64 = 500_000;

impl Simulation<'_> {
    /// All banks run and reach each other. Half-open connections stay: nothing may wait for them.
    pub fn heal(&mut self) {
        self.world.eager_sync = true;
        self.world.blocked.clear();
        self.world.path.unreadable.clear();
        for at in 0..self.banks() {
            if let Some(disk) = &mut self.world.nodes[at].disk {
                disk.works();
            }
            if !self.world.is_up(at) {
                self.start_by_clock(at);
            }
            self.world.sync(at);
            self.check_events();
        }
        self.heal_outsiders();
        for _ in 0..ROUNDS {
            self.world.connect_all();
            self.deliver_all_to_clients();
            self.world.deliver_all();
            self.world.pass(ROUND_US);
            (0..self.banks()).for_each(|bank| self.world.tick(bank));
            self.time_out_drivers();
            self.check_events();
        }
        self.outsiders_time_ends();
    }

    pub fn verify(&mut self) {
        for at in 0..self.banks() {
            let undecided = self.world.core(at).undecided();
            assert_eq!(undecided, 0, "bank {at} is undecided although all banks are up");
        }
        assert!(self.clients.drivers.is_empty(), "a driver has not finished");
        // Auditing one bank in every second seed finds any difference from the journals.
        let audited = self.random.below(2 * self.banks());
        if audited < self.banks() {
            self.world.audit_bank(audited);
        }
        for node in &self.world.nodes {
            self.coverage.peak("records of one bank", node.journal.len() as u64);
            if let Some(disk) = &node.disk {
                disk.counts.iter().for_each(|(what, times)| self.coverage.add(what, *times));
                self.coverage.add("outcome found by the index", disk.found());
                self.coverage.peak("full segments of one bank", disk.full_segments());
            }
        }
        self.coverage.peak("transactions of one seed", self.facts.len() as u64 - 1);
        self.coverage.add("events", self.world.events);
        self.reports_are_true();
        self.committed_everywhere_or_nowhere();
        self.conserved();
        self.cuts_hold_what_was_committed();
    }

    /// Every outcome that a driver or a caller received is true.
    fn reports_are_true(&mut self) {
        for (number, facts) in self.facts.iter_mut().enumerate() {
            for (digest, committed) in std::mem::take(&mut facts.reported) {
                let Some(digest) = digest else { continue };
                let so =
                    facts.version(&digest).is_some_and(|version| !version.committed.is_empty());
                let reported = if committed { "committed" } else { "aborted" };
                assert_eq!(so, committed, "t{number} was reported {reported}");
            }
        }
    }

    fn committed_everywhere_or_nowhere(&self) {
        for (number, facts) in self.facts.iter().enumerate() {
            for version in &facts.versions {
                let named = version.transaction.banks();
                assert!(
                    version.committed.is_empty() || version.committed == named,
                    "t{number} is committed at some of its banks only: {:?}",
                    version.committed
                );
                let outside = version.transaction.has_outside();
                assert!(
                    named.minus(version.ok).is_empty()
                        == (version.committed == named || outside && version.aborted == named),
                    "t{number} is committed exactly when all say OK, and no outside coordinator \
                     refused"
                );
            }
        }
    }

    /// The consortium's money changes by openings, deposits and withdrawals alone, and registers
    /// are equal.
    fn conserved(&mut self) {
        let mut expected: i128 = self.openings.values().map(|(_, deposit)| deposit).sum();
        let all = self.facts.iter().flat_map(|facts| &facts.versions);
        for version in all.filter(|version| !version.committed.is_empty()) {
            for op in version.transaction.ops() {
                match &op.action {
                    Action::Money { flow: Flow::Deposit, amount, .. } => expected += amount.wide(),
                    Action::Money { flow: Flow::Withdraw, amount, .. } => expected -= amount.wide(),
                    Action::Money { .. } | Action::Set { .. } => {}
                }
            }
        }
        self.world.seen.clear();
        for at in 0..self.banks() {
            self.world.line(at, 3, "INFO");
            KEYS.iter().for_each(|key| {
                self.world.line(at, 3, &format!("VALUE {key}"));
            });
        }
        let (mut total, mut values) = (0, BTreeSet::new());
        for seen in std::mem::take(&mut self.world.seen) {
            let Seen::Reply { bank: at, reply: Reply::Done(json), .. } = seen else { continue };
            let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
            match answer["balance_total"].as_i64() {
                Some(balance) => {
                    total += i128::from(balance);
                    let pending =
                        (answer["held_total"].as_i64(), answer["incoming_total"].as_i64());
                    assert_eq!(pending, (Some(0), Some(0)), "money is held at {at}");
                    self.outcomes_are_counted(at, &answer);
                }
                None => {
                    values.insert((answer["key"].to_string(), answer["value"].to_string()));
                }
            }
        }
        assert_eq!(total, expected, "money was lost or created");
        assert_eq!(values.len(), KEYS.len(), "a register has several values: {values:?}");
    }

    /// A bank's own count of its outcomes equals the observer's.
    fn outcomes_are_counted(&self, at: usize, info: &serde_json::Value) {
        let all = || self.facts.iter().flat_map(|facts| &facts.versions);
        let committed = all().filter(|version| version.committed.has(bank(at))).count();
        let votes = self.facts.iter().filter(|facts| facts.vote(at).is_some()).count();
        assert_eq!(info["committed"].as_u64(), Some(committed as u64), "commits of bank {at}");
        assert_eq!(
            info["aborted"].as_u64(),
            Some((votes - committed) as u64),
            "aborts of bank {at}"
        );
    }
}
