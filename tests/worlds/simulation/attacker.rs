//! An attacker without the key, between banks and between drivers and banks; and records that are
//! unreadable for a while.

use crate::simulation::run::Simulation;
use crate::world::path::Attacker;
use consorcio_core::ids::TxId;

/// The events that enough seeds must cover.
pub const MUST_COVER: &[&str] = &[
    "committed",
    "aborted after OK",
    "first word changed",
    "commit time changed",
    "token changed",
    "old reply repeated",
    "reply of another id",
    "token of another id",
    "reply invented",
    "reply without a message",
    "byte of a reply changed",
    "byte of a line changed",
    "tokens of a line changed",
    "line invented",
    "tokens of a driver changed",
    "reply to a driver changed",
    "driver deceived",
    "own vote sent",
    "forged vote sent",
    "record unreadable",
    "link closed for lack of proof",
];

/// The events that runs with shared ids must cover.
pub const SHARED_IDS_MUST_COVER: &[&str] = &[
    "other bytes, the same banks",
    "other bytes, some of the banks",
    "other bytes, other banks",
    "the same bytes driven again",
    "duplicate-id",
    "OK on two bytes of one id",
    "two bytes of one id committed",
    "committed",
    "executed",
    "aborted after OK",
    "drove a commit for others",
    "crash that lost records",
];

impl Simulation<'_> {
    /// Changes, invents or repeats a message, or makes a record unreadable.
    pub fn tamper(&mut self) {
        match self.random.below(20) {
            0..12 => self.change_between_banks(),
            12..16 => self.change_a_drivers_line(),
            16..18 => self.send_a_vote(),
            _ => self.toggle_unreadable_records(),
        }
    }

    fn change_between_banks(&mut self) {
        let (ids, banks) = (self.facts.len(), self.banks());
        let random = &mut self.random;
        let mut attacker = Attacker { below: &mut |bound| random.below(bound), ids, banks };
        if let Some(done) = self.world.tamper(&mut attacker) {
            self.coverage.count(done.what);
            if let Some((tx, transaction)) = done.prepared {
                self.add_version(&tx, &transaction);
            }
        }
    }

    /// Sends a bank one of its own votes or statements, unchanged or forged.
    fn send_a_vote(&mut self) {
        let (to, peer) = (self.random.below(self.banks()), self.random.below(self.banks()));
        let (ids, banks) = (self.facts.len(), self.banks());
        let random = &mut self.random;
        let mut attacker = Attacker { below: &mut |bound| random.below(bound), ids, banks };
        let Some((tx, token)) = self.world.path.any_stored_token(&mut attacker, Some(to)) else {
            return;
        };
        let forged = (attacker.below)(2) == 0;
        let token = if forged { attacker.forged(token) } else { token };
        if to != peer && self.world.is_up(to) {
            self.coverage.count(if forged { "forged vote sent" } else { "own vote sent" });
            self.world.show(to, peer, tx, token);
        }
    }

    /// Makes a record of a bank unreadable, or all records readable.
    fn toggle_unreadable_records(&mut self) {
        let at = self.random.below(self.banks());
        if self.facts.len() < 2 || self.random.chance(40) {
            return self.world.path.unreadable.clear();
        }
        let known = self.facts.len() - 1;
        let tx = TxId::new(&format!("t{}", 1 + self.random.below(known))).unwrap();
        if self.facts(&tx).vote(at).is_some() {
            self.coverage.count("record unreadable");
            self.world.path.unreadable.insert((at, tx));
        }
    }
}
