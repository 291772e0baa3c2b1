//! Introduction: a bank with a new journal takes part once every other bank has met it.
//!
//! A bank that lost its disk does not know what it promised; the others may. So each bank records
//! the founding id of every other bank's journal when it first meets it, and says so only after
//! that record is durable. A bank with a new journal that hears its own founding id from all others
//! has no former life that any of them knows of, and every one of them will tell a later life of
//! this one. A bank that hears another id has forgotten what it promised. Until it is introduced a
//! bank works for itself alone: it votes on nothing, and refuses nothing, that concerns others.

use crate::bank::Change;
use crate::bank::decide::Deciding;
use crate::bank::io::{CoreStep, Met};
use crate::bank::learn::knows_registers_at_introduction;
use crate::bank::record::Record;
use crate::bank::state::Bank;
use crate::bank::volatile::Volatile;
use crate::commit::founding::{FoundingId, Meeting};
use crate::ids::{BankId, BankSet};
use crate::wire::detail::{Banks, Detail};
use crate::wire::transaction::Transaction;
use crate::wire::{Fault, Reason};

impl Volatile {
    /// The banks that `bank` waits for before it takes part.
    pub(super) fn unmet(&self, bank: &Bank) -> BankSet {
        bank.members.without(bank.me()).minus(self.introduce_without).minus(self.met_by)
    }
}

impl Deciding<'_> {
    /// A peer has proved itself: its journal is recorded, or compared with the recorded one.
    pub(super) fn peer_founded(&mut self, peer: BankId, founding: &FoundingId) {
        if peer == self.bank.me() || !self.bank.members.has(peer) {
            return;
        }
        match self.bank.met[peer.index()] {
            None => {
                let after = self.record(Record::Met { bank: peer, founding: *founding });
                self.out.met.push(Met { peer, founding: *founding, after });
            }
            Some(met) if met == *founding => {}
            Some(_) => self.out.steps.push(CoreStep::Replaced(peer)),
        }
    }

    /// A peer tells which journal of this bank it has met. What does not prove itself changes
    /// nothing; the link is made anew, and it is told again.
    pub(super) fn peer_met(&mut self, peer: BankId, meeting: &Meeting) {
        let Some(own) = self.bank.founding else { return };
        if !self.bank.proves_meeting(meeting) {
            return self.out.steps.push(CoreStep::Untrue(peer));
        }
        if meeting.founding == own {
            if !self.bank.introduced && !self.volatile.met_by.has(meeting.by) {
                self.change(Change::MetBy(meeting.by));
            }
        } else {
            self.change(Change::Forgot(format!(
                "bank {} met this bank with another journal, {}, and this one is {own}: what was \
                 promised there is \
                 forgotten here. Put the lost journal back, or found a new consortium with a new \
                 key",
                meeting.by, meeting.founding
            )));
        }
    }

    /// Has every bank that is waited for met this one?
    pub(super) fn introduce(&mut self) {
        if !self.bank.introduced && self.volatile.unmet(self.bank).is_empty() {
            let without = self.volatile.introduce_without;
            let me = self.bank.me();
            let others = self.bank.members.without(me);
            let met = others.minus(without);
            // One that met nobody can't tell whether it founds the consortium: then the list
            // decides.
            let known_by = if met.is_empty() { others } else { met };
            let knows_registers = knows_registers_at_introduction(me, known_by);
            self.record(Record::Introduced { without, knows_registers });
        }
    }

    /// The banks that this bank waits for before it takes part.
    pub(super) fn unmet(&self) -> BankSet {
        if self.bank.introduced { BankSet::EMPTY } else { self.volatile.unmet(self.bank) }
    }

    /// Why this bank votes on nothing that concerns others yet, if so.
    pub(super) fn not_introduced(&self) -> Option<Fault> {
        let banks = Banks(self.volatile.unmet(self.bank));
        (!self.bank.introduced)
            .then(|| Fault::of(Reason::NotIntroduced, &Detail::NotIntroduced { banks }))
    }

    /// The same for a transaction: one that names this bank alone is voted on.
    pub(super) fn not_introduced_to(&self, transaction: &Transaction) -> Option<Fault> {
        self.not_introduced().filter(|_| !self.others(transaction).is_empty())
    }
}
