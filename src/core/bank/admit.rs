//! Checks whether a record keeps the invariants, for journals that are not trusted: the offline
//! audit checks each record before `apply`. A bank itself applies only its own decisions.
//!
//! Only rules that hold for every version's records are checked: sums, holds, locks, one vote for
//! an id, the order of times. Rules for texts may become stricter; they apply to new requests when
//! those are parsed, and not to records.

use super::io::{Outcome, OwnVote};
use super::known::Prepared;
use super::record::{Record, Registration};
use super::state::Bank;
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::ledger::RegistrationState;
use crate::wire::request::{NewAccount, NewClient};
use crate::wire::token::Vote;
use crate::wire::transaction::Transaction;

impl Bank {
    /// Checks that `record` may be applied now.
    pub(super) fn admits(&self, record: &Record) -> Result<(), String> {
        match record {
            Record::Consortium { bank, .. } if *bank != self.me() => {
                Err(format!("it names bank {bank} as its owner, which was bank {}", self.me()))
            }
            Record::Voted { tx, time, transaction, refusal } => {
                self.admits_vote(tx, *time, refusal.is_some())?;
                match refusal {
                    None => self.admits_hold(transaction),
                    Some(_) => Ok(()),
                }
            }
            Record::Refused { tx, time, .. } => self.admits_vote(tx, *time, true),
            Record::Decided { tx, own, outcome, .. } => self.admits_end(tx, own, outcome),
            Record::OutsideVoted { tx, own, time, refusal } => {
                self.admits_outside(tx, own, *time, refusal.is_none())
            }
            Record::Executed { tx, time, committed, transaction, .. } => {
                self.admits_vote(tx, *time, false)?;
                if transaction.has_outside() {
                    return Err(format!(
                        "{tx} is executed, and only its outside coordinator decides it"
                    ));
                }
                if committed < time {
                    return Err(format!(
                        "{tx} commits at {committed}, before this bank's own vote at {time}"
                    ));
                }
                self.admits_hold(transaction)
            }
            Record::ClientAdded { client, .. } => self.admits_client(client),
            Record::AccountOpened { account, .. } => self.admits_account(account),
            Record::Registered { what, .. } => match what {
                Registration::Client(client) => self.admits_client(client),
                Registration::Account(account) => self.admits_account(account),
            },
            Record::Drove { tx, transaction, .. } if transaction.banks().has(self.me()) => {
                Err(format!("{tx} is recorded as driven for others, and names this bank"))
            }
            Record::Drove { tx, .. } if self.remembers(tx) => {
                Err(format!("{tx} is recorded as driven for others a second time"))
            }
            Record::RegistersLearned { .. } if self.ledger.knows_registers() => {
                Err("it learns its registers, which it knew".to_owned())
            }
            Record::Founded { .. } if self.founding.is_some() => {
                Err("it is founded a second time".to_owned())
            }
            Record::Met { bank, .. } if *bank == self.me() || self.met[bank.index()].is_some() => {
                Err(format!("bank {bank} is met a second time, or is this one"))
            }
            Record::Introduced { .. } if self.introduced => {
                Err("it is introduced a second time".to_owned())
            }
            Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. }
            | Record::RegistersLearned { .. }
            | Record::Consortium { .. }
            | Record::ClockMoved { .. }
            | Record::Stopped { .. }
            | Record::KeyKnown { .. }
            | Record::Drove { .. } => Ok(()),
        }
    }

    fn admits_client(&self, client: &NewClient) -> Result<(), String> {
        match self.ledger.check_client(client) {
            Ok(RegistrationState::New) => Ok(()),
            Ok(RegistrationState::Same) => Err(format!("client {} is added twice", client.cpf)),
            Err(fault) => Err(fault.text),
        }
    }

    fn admits_account(&self, account: &NewAccount) -> Result<(), String> {
        match self.ledger.check_account(account) {
            Ok(RegistrationState::New) => Ok(()),
            Ok(RegistrationState::Same) => {
                Err(format!("account {} is opened twice", account.number))
            }
            Err(fault) => Err(fault.text),
        }
    }

    fn admits_vote(&self, tx: &TxId, time: Time, refuses: bool) -> Result<(), String> {
        if self.undecided.contains_key(tx) || self.outcomes.has(tx) {
            return Err(format!("this bank votes a second time on {tx}"));
        }
        if !self.is_later(time, refuses) {
            return Err(format!(
                "its vote on {tx} at {time} is not later than its clock, {}",
                self.clock
            ));
        }
        Ok(())
    }

    /// The same check as before an OK vote.
    fn admits_hold(&self, transaction: &Transaction) -> Result<(), String> {
        let checked = self.ledger.check(self.me(), self.listed(), transaction);
        checked.map_err(|fault| format!("it voted OK on what its ledger does not grant: {fault}"))
    }

    fn admits_end(&self, tx: &TxId, own: &OwnVote, outcome: &Outcome) -> Result<(), String> {
        let word = match outcome {
            Outcome::Committed(_) => "committed",
            Outcome::Aborted(..) => "aborted",
        };
        let prepared = self.admits_decision(tx, own, word)?;
        if prepared.transaction.has_outside() {
            return Err(format!(
                "{tx} is {word} here, and only its outside coordinator decides it"
            ));
        }
        match outcome {
            Outcome::Committed(time) if *time < prepared.time => Err(format!(
                "{tx} commits at {time}, before this bank's own vote at {}",
                prepared.time
            )),
            Outcome::Committed(_) | Outcome::Aborted(..) => Ok(()),
        }
    }

    fn admits_outside(
        &self,
        tx: &TxId,
        own: &OwnVote,
        time: Time,
        commits: bool,
    ) -> Result<(), String> {
        let word = if commits { "committed" } else { "aborted" };
        let prepared = self.admits_decision(tx, own, word)?;
        if !prepared.transaction.has_outside() {
            return Err(format!("{tx} is {word} by an outside coordinator, and has none"));
        }
        if !self.is_later(time, !commits) {
            let clock = self.clock;
            return Err(format!(
                "{tx} is {word} at {time}, not later than this bank's clock, {clock}"
            ));
        }
        Ok(())
    }

    /// The undecided transaction that a decision is about.
    fn admits_decision(
        &self,
        tx: &TxId,
        own: &OwnVote,
        outcome: &str,
    ) -> Result<&Prepared, String> {
        let Some(prepared) = self.undecided.get(tx) else {
            return Err(if self.outcomes.has(tx) {
                format!("{tx} is decided a second time, as {outcome}")
            } else {
                format!(
                    "{tx} is decided, as {outcome}, though this bank holds no undecided OK on it"
                )
            });
        };
        let digest = Some(*prepared.transaction.digest());
        if *own != (OwnVote { vote: Vote::Ok, time: prepared.time, digest }) {
            return Err(format!("{tx} is decided with another vote of this bank than it gave"));
        }
        Ok(prepared)
    }

    /// The banks in the list that the journal holds at this point.
    fn listed(&self) -> BankSet {
        let Some((_, places)) = &self.consortium else { return self.members };
        let present = places.iter().enumerate().filter(|(_, place)| *place != "-");
        present.filter_map(|(position, _)| BankId::new(position)).collect()
    }
}
