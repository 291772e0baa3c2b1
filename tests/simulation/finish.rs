//! What must hold in the end: all banks up, all links open, all messages delivered, everything must
//! be decided.

use crate::simulation::run::{Simulation, bank};
use crate::simulation::transactions::KEYS;
use crate::world::Seen;
use consorcio::wire::reply::Reply;
use consorcio::wire::transaction::{Action, Flow};
use std::collections::BTreeSet;

/// Rounds of the healing, and how long each takes: longer than any patience and any silence.
const ROUNDS: usize = 40;
const ROUND_US: u64 = 500_000;

impl Simulation<'_> {
    /// All banks run and reach each other from now on. Half-open connections stay: nobody may wait
    /// for them.
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
            self.look();
        }
        self.heal_outsiders();
        for _ in 0..ROUNDS {
            self.world.connect_all();
            self.settle_clients();
            self.world.settle();
            self.world.pass(ROUND_US);
            (0..self.banks()).for_each(|bank| self.world.tick(bank));
            self.time_out_drivers();
            self.look();
        }
        self.outsiders_time_ends();
    }

    pub fn verify(&mut self) {
        for at in 0..self.banks() {
            let undecided = self.world.core(at).undecided();
            assert_eq!(undecided, 0, "bank {at} is undecided though all are up");
        }
        assert!(self.clients.drivers.is_empty(), "every driver has told its verdict, and left");
        // One of them in every second seed is enough to find what is not as its journal says.
        let audited = self.random.below(2 * self.banks());
        if audited < self.banks() {
            self.world.audit_bank(audited);
        }
        for node in &self.world.nodes {
            self.met.peak("records of one bank", node.journal.len() as u64);
            if let Some(disk) = &node.disk {
                disk.counts.iter().for_each(|(what, times)| self.met.add(what, *times));
                self.met.add("outcome found by the index", disk.found());
                self.met.peak("full segments of one bank", disk.full_segments());
            }
        }
        self.met.peak("transactions of one seed", self.facts.len() as u64 - 1);
        self.met.add("events", self.world.events);
        self.told_is_so();
        self.committed_everywhere_or_nowhere();
        self.conserved();
        self.cuts_hold_what_was_committed();
    }

    /// What a driver or a caller was told is what is so.
    fn told_is_so(&mut self) {
        for (number, facts) in self.facts.iter_mut().enumerate() {
            for (digest, committed) in std::mem::take(&mut facts.told) {
                let Some(digest) = digest else { continue };
                let so =
                    facts.version(&digest).is_some_and(|version| !version.committed.is_empty());
                let told = if committed { "committed" } else { "aborted" };
                assert_eq!(so, committed, "t{number} was told {told}");
            }
        }
    }

    /// Committed at one bank is committed at every bank that it names.
    fn committed_everywhere_or_nowhere(&self) {
        for (number, facts) in self.facts.iter().enumerate() {
            for version in &facts.versions {
                let named = version.transaction.banks();
                assert!(
                    version.committed.is_empty() || version.committed == named,
                    "t{number} is committed everywhere or nowhere, not at {:?}",
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

    /// The money of the consortium changes by openings, deposits and withdrawals alone, and
    /// registers are equal.
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
            let said: serde_json::Value = serde_json::from_str(&json).unwrap();
            match said["balance_total"].as_i64() {
                Some(balance) => {
                    total += i128::from(balance);
                    let pending = (said["held_total"].as_i64(), said["incoming_total"].as_i64());
                    assert_eq!(pending, (Some(0), Some(0)), "nothing is held at {at}");
                    self.outcomes_are_counted(at, &said);
                }
                None => {
                    values.insert((said["key"].to_string(), said["value"].to_string()));
                }
            }
        }
        assert_eq!(total, expected, "no centavo is lost or made");
        assert_eq!(values.len(), KEYS.len(), "a register has one value everywhere: {values:?}");
    }

    /// A bank's own count of its outcomes is that of an observer.
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
