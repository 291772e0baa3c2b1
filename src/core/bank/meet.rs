//! Introduction: a bank with a new journal takes part once every other bank has recorded it.
//!
//! A bank that lost its disk does not know its votes; the other banks may. So each bank records the
//! founding id of every other bank's journal when it first connects, and sends a statement of that
//! only after the record is durable. If all other banks state the founding id of this bank's own
//! journal, none of them knows an earlier journal, and each of them will detect a later one. If one
//! states another id, this bank has forgotten votes. Until it is introduced, a bank works alone: it
//! neither votes on nor refuses anything that concerns other banks.

use crate::bank::Change;
use crate::bank::decide::Deciding;
use crate::bank::io::{CoreStep, MeetingNotice};
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
    /// The banks whose introduction `bank` waits for.
    pub(super) fn unmet(&self, bank: &Bank) -> BankSet {
        bank.members.without(bank.me()).minus(self.introduce_without).minus(self.met_by)
    }
}

impl Deciding<'_> {
    /// Records the journal of a peer that proved its identity, or compares it with the recorded
    /// one.
    pub(super) fn peer_founded(&mut self, peer: BankId, founding: &FoundingId) {
        if peer == self.bank.me() || !self.bank.members.has(peer) {
            return;
        }
        match self.bank.met[peer.index()] {
            None => {
                let after = self.record(Record::Met { bank: peer, founding: *founding });
                self.out.met.push(MeetingNotice { peer, founding: *founding, after });
            }
            Some(met) if met == *founding => {}
            Some(_) => self.out.steps.push(CoreStep::Replaced(peer)),
        }
    }

    /// Processes a peer's statement of which journal of this bank it has recorded. An invalid one
    /// changes nothing; the link is opened again, and the peer sends it again.
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

    /// Records the introduction, once no bank is waited for.
    pub(super) fn introduce(&mut self) {
        if !self.bank.introduced && self.volatile.unmet(self.bank).is_empty() {
            let without = self.volatile.introduce_without;
            let me = self.bank.me();
            let others = self.bank.members.without(me);
            let met = others.minus(without);
            // A bank that was introduced without any other can't tell whether it founds the
            // consortium, so the list decides.
            let known_by = if met.is_empty() { others } else { met };
            let knows_registers = knows_registers_at_introduction(me, known_by);
            self.record(Record::Introduced { without, knows_registers });
        }
    }

    /// The banks whose introduction this bank waits for.
    pub(super) fn unmet(&self) -> BankSet {
        if self.bank.introduced { BankSet::EMPTY } else { self.volatile.unmet(self.bank) }
    }

    /// Why this bank does not vote yet on what concerns other banks, if so.
    pub(super) fn not_introduced(&self) -> Option<Fault> {
        let banks = Banks(self.volatile.unmet(self.bank));
        (!self.bank.introduced)
            .then(|| Fault::of(Reason::NotIntroduced, &Detail::NotIntroduced { banks }))
    }

    /// As `not_introduced`, for one transaction: a bank always votes on those that name it alone.
    pub(super) fn not_introduced_to(&self, transaction: &Transaction) -> Option<Fault> {
        self.not_introduced().filter(|_| !self.others(transaction).is_empty())
    }
}
