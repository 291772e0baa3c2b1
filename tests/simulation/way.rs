//! Somebody on the way, without the key: between banks, and between drivers and banks. And records
//! that can't be read for a while.

use crate::simulation::run::Simulation;
use crate::world::path::Liar;
use consorcio::ids::TxId;

/// What enough seeds must have met.
pub const MUST_MEET: &[&str] = &[
    "committed",
    "aborted after OK",
    "answer turned",
    "commit time changed",
    "token changed",
    "old answer shown",
    "answer of another id",
    "token of another id",
    "answer invented",
    "answer out of nothing",
    "byte of an answer changed",
    "byte of a line changed",
    "tokens of a line changed",
    "line invented",
    "tokens of a driver changed",
    "answer to a driver changed",
    "driver deceived",
    "own vote shown",
    "forged vote shown",
    "record unreadable",
    "link closed, nothing proved",
];

/// What must be met where ids have two contents.
pub const CONTENTS_MUST_MEET: &[&str] = &[
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
    /// Something on the way is changed, invented or shown, or a record can't be read.
    pub fn tamper(&mut self) {
        match self.random.below(20) {
            0..12 => self.change_between_banks(),
            12..16 => self.change_a_drivers_line(),
            16..18 => self.show_a_vote(),
            _ => self.lose_a_record(),
        }
    }

    fn change_between_banks(&mut self) {
        let (ids, banks) = (self.facts.len(), self.banks());
        let random = &mut self.random;
        let mut liar = Liar { below: &mut |bound| random.below(bound), ids, banks };
        if let Some(done) = self.world.tamper(&mut liar) {
            self.met.count(done.what);
            if let Some((tx, transaction)) = done.prepared {
                self.put_forward(&tx, &transaction);
            }
        }
    }

    /// A bank is shown a vote or a statement of its own, as it is or changed, by who is no bank.
    fn show_a_vote(&mut self) {
        let (to, peer) = (self.random.below(self.banks()), self.random.below(self.banks()));
        let (ids, banks) = (self.facts.len(), self.banks());
        let random = &mut self.random;
        let mut liar = Liar { below: &mut |bound| random.below(bound), ids, banks };
        let Some((tx, token)) = self.world.path.any_heard(&mut liar, Some(to)) else { return };
        let forged = (liar.below)(2) == 0;
        let token = if forged { liar.forged(token) } else { token };
        if to != peer && self.world.is_up(to) {
            self.met.count(if forged { "forged vote shown" } else { "own vote shown" });
            self.world.show(to, peer, tx, token);
        }
    }

    /// A record of a bank can't be read, or can be again.
    fn lose_a_record(&mut self) {
        let at = self.random.below(self.banks());
        if self.facts.len() < 2 || self.random.chance(40) {
            return self.world.path.unreadable.clear();
        }
        let known = self.facts.len() - 1;
        let tx = TxId::new(&format!("t{}", 1 + self.random.below(known))).unwrap();
        if self.facts(&tx).vote(at).is_some() {
            self.met.count("record unreadable");
            self.world.path.unreadable.insert((at, tx));
        }
    }
}
