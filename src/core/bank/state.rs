//! The durable state of a bank: the ledger, the undecided votes, the newest outcomes, the clock.
//!
//! It changes by `apply` only, live and at recovery. Outcomes that the journal's index finds may be
//! dropped from memory.

use crate::bank::Identity;
use crate::bank::history::History;
use crate::bank::io::{After, KnownVote, Outcome, OwnVote, Seq};
use crate::bank::known::{HistoryEntry, Prepared, Provenance, not_named_by_set};
use crate::bank::newest_outcomes::NewestOutcomes;
use crate::bank::record::{Record, Registration};
use crate::bank::undecided::Undecided;
use crate::commit::founding::FoundingId;
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::ledger::{Ledger, RegistersKnown};
use crate::limits::{BANKS_MAX, UNDECIDED_BYTES_MAX, UNDECIDED_MAX};
use crate::wire::Reason;
use crate::wire::token::{Digest, KeyId, TokenKind, Vote};
use crate::wire::transaction::Transaction;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The durable state of a bank.
#[derive(Debug, Clone)]
pub(crate) struct Bank {
    pub identity: Identity,
    /// The banks that are in the consortium now.
    pub members: BankSet,
    /// This bank's position, and the list, as in the journal.
    pub consortium: Option<(BankId, Vec<String>)>,
    /// The public id of the consortium's key as in the journal; older journals have none.
    pub key: Option<KeyId>,
    /// The founding id of this journal; journals of earlier versions have none.
    pub founding: Option<FoundingId>,
    /// Has every other bank recorded this journal, so that no vote of this bank can contradict one
    /// in a lost journal?
    pub introduced: bool,
    /// The journal of each other bank, as this bank first recorded it.
    pub met: [Option<FoundingId>; 16],
    /// The number of the newest record.
    pub seq: Seq,
    /// The last time that this bank gave or received.
    pub clock: Time,
    /// The time of the last vote known of each bank, this one included.
    pub known_votes: [Time; 16],
    /// The newest vote known of each other bank, with all that its token binds: sent to that bank,
    /// it proves what the bank must hold. Empty if restored from a snapshot of an earlier version.
    pub peers_votes: [Option<KnownVote>; 16],
    pub ledger: Ledger,
    /// Transactions that this bank voted OK on and that have no outcome yet.
    pub undecided: Undecided,
    pub undecided_bytes: usize,
    /// For each bank, provenance many of them set a register and do not name that bank.
    sets_without: [usize; BANKS_MAX],
    /// The bounds on their number and on their memory.
    pub undecided_bounds: (usize, usize),
    /// The newest outcomes; the journal's index has older ones.
    pub outcomes: NewestOutcomes,
    /// The newest outcomes with their operations.
    pub history: History,
    /// Those in the history that this bank drove without a part in them.
    pub drove: BTreeSet<TxId>,
    pub committed: u64,
    pub aborted: u64,
    /// Why this bank must not work any more, if so.
    pub stopped: Option<String>,
}

impl Bank {
    pub(super) fn new(identity: Identity) -> Bank {
        let present = |(position, place): (usize, &String)| {
            if place == "-" { None } else { BankId::new(position) }
        };
        let members = identity.places.iter().enumerate().filter_map(present).collect();
        let seed = identity.seal.hash_seed();
        let ledger = Ledger::seeded(seed);
        Bank {
            identity,
            members,
            consortium: None,
            key: None,
            founding: None,
            introduced: true,
            met: [None; 16],
            seq: 0,
            clock: Time::default(),
            known_votes: [Time::default(); 16],
            peers_votes: [const { None }; 16],
            ledger,
            undecided: Undecided::seeded(seed),
            undecided_bytes: 0,
            sets_without: [0; BANKS_MAX],
            undecided_bounds: (UNDECIDED_MAX, UNDECIDED_BYTES_MAX),
            outcomes: NewestOutcomes::seeded(seed),
            history: History::seeded(seed),
            drove: BTreeSet::new(),
            committed: 0,
            aborted: 0,
            stopped: None,
        }
    }

    pub(super) fn me(&self) -> BankId {
        self.identity.bank
    }

    /// The only function that changes the durable state.
    #[expect(clippy::too_many_lines, reason = "a flat table: one arm a record")]
    pub(super) fn apply(&mut self, record: &Record) {
        self.seq += 1;
        let me = self.me();
        match record {
            Record::Consortium { bank, places } => self.consortium = Some((*bank, places.clone())),
            Record::KeyKnown { key } => self.key = Some(*key),
            Record::RegistersLearned { registers, last } => {
                self.ledger.learn_registers(registers);
                registers.iter().for_each(|register| self.met(register.time));
                if *last {
                    // Later cuts lack no set: one that commits at or before this time was in a
                    // page, or is applied here.
                    self.ledger.set_registers_known(RegistersKnown::From(self.clock));
                }
            }
            Record::Founded { founding, introduced } => {
                assert!(self.founding.is_none(), "a journal is founded once");
                self.founding = Some(*founding);
                self.introduced = *introduced;
                if !introduced {
                    self.ledger.set_registers_known(RegistersKnown::NotYet);
                }
            }
            Record::Met { bank, founding } => {
                assert!(*bank != me, "no bank meets itself");
                let before = self.met[bank.index()].replace(*founding);
                assert!(before.is_none(), "bank {bank} is met for the first time once");
            }
            Record::Introduced { knows_registers, .. } => {
                assert!(!self.introduced, "a bank is introduced once");
                self.introduced = true;
                if *knows_registers {
                    self.ledger.set_registers_known(RegistersKnown::Always);
                }
            }
            Record::Voted { tx, time, transaction, refusal } => {
                self.voted(*time, refusal.is_some());
                match refusal {
                    None => {
                        self.ledger.hold(me, tx, transaction);
                        let prepared = Prepared {
                            transaction: Arc::clone(transaction),
                            time: *time,
                            seq: self.seq,
                        };
                        self.insert_undecided(tx.clone(), prepared);
                    }
                    Some((reason, cause)) => {
                        self.ended(record);
                        let provenance = Provenance::refused_here(me, cause);
                        self.remember(tx, *time, Some(*reason), Some(transaction), provenance);
                    }
                }
            }
            Record::Refused { tx, time, reason } => {
                self.voted(*time, true);
                self.ended(record);
                self.remember(tx, *time, Some(*reason), None, Provenance::refused(me));
            }
            Record::Decided { tx, own, outcome, votes } => {
                let prepared = self.remove_undecided(tx);
                let transaction = &prepared.transaction;
                assert!(!transaction.has_outside(), "only its outside coordinator decides {tx}");
                match outcome {
                    Outcome::Committed(time) => {
                        self.ledger.commit(me, tx, transaction, *time);
                        self.met(*time);
                        self.remember(tx, *time, None, Some(transaction), Provenance::default());
                    }
                    Outcome::Aborted(token, reason) => {
                        self.ledger.release(me, tx, transaction);
                        let time = prepared.time.max(token.time);
                        // A statement proves the abort, but not which bank refused.
                        let refused = token.refuses(transaction.digest());
                        let by = Some(token.bank).filter(|_| refused);
                        let provenance = Provenance { by, ..Provenance::default() };
                        self.remember(tx, time, Some(*reason), Some(transaction), provenance);
                    }
                }
                self.learn_votes(tx, own.digest, votes, Some(outcome));
                self.ended(record);
            }
            Record::Executed { tx, time, committed, transaction, votes } => {
                self.voted(*time, false);
                assert!(!transaction.has_outside(), "only its outside coordinator decides {tx}");
                self.ledger.hold(me, tx, transaction);
                self.ledger.commit(me, tx, transaction, *committed);
                self.met(*committed);
                self.learn_votes(tx, Some(*transaction.digest()), votes, None);
                self.ended(record);
                let provenance = Provenance { driven: true, ..Provenance::default() };
                self.remember(tx, *committed, None, Some(transaction), provenance);
            }
            Record::ClientAdded { time, client } => {
                self.met(*time);
                self.ledger.add_client(client, *time);
            }
            Record::AccountOpened { time, account } => {
                self.met(*time);
                self.ledger.open_account(account, *time);
            }
            Record::Registered { time, what, .. } => {
                self.met(*time);
                match what {
                    Registration::Client(client) => self.ledger.add_client(client, *time),
                    Registration::Account(account) => self.ledger.open_account(account, *time),
                }
            }
            Record::ClockMoved { time } => self.met(*time),
            Record::Stopped { why } => self.stopped = Some(why.clone()),
            Record::OutsideVoted { tx, time, refusal, .. } => {
                let prepared = self.remove_undecided(tx);
                let transaction = &prepared.transaction;
                assert!(transaction.has_outside(), "{tx} has no outside coordinator");
                // So it is later than every cut that was taken.
                self.assert_later(*time, refusal.is_some());
                match refusal {
                    None => self.ledger.commit(me, tx, transaction, *time),
                    Some(_) => self.ledger.release(me, tx, transaction),
                }
                self.met(*time);
                self.remember(tx, *time, *refusal, Some(transaction), Provenance::default());
                self.ended(record);
            }
            Record::Drove { tx, time, transaction, refusal } => {
                assert!(
                    !transaction.banks().has(me),
                    "{tx} names this bank, whose own records have its outcome"
                );
                assert!(!self.remembers(tx), "{tx} is in the history already");
                let by = refusal.as_ref().map(|(bank, ..)| *bank);
                let text = refusal.as_ref().map_or("", |(.., text)| text).into();
                let reason = refusal.as_ref().map(|(_, reason, _)| *reason);
                let provenance = Provenance { driven: true, by, text };
                self.remember(tx, *time, reason, Some(transaction), provenance);
                self.drove.insert(tx.clone());
            }
        }
    }

    pub(super) fn insert_undecided(&mut self, tx: TxId, prepared: Prepared) {
        self.undecided_bytes += prepared.transaction.memory_bytes();
        not_named_by_set(&prepared.transaction)
            .for_each(|bank| self.sets_without[bank.index()] += 1);
        self.undecided.insert(tx, prepared);
    }

    /// Provenance many undecided transactions set a register and do not name `bank`.
    pub(super) fn sets_without(&self, bank: BankId) -> usize {
        self.sets_without[bank.index()]
    }

    fn remove_undecided(&mut self, tx: &TxId) -> Prepared {
        let prepared = self.undecided.remove(tx);
        let prepared =
            prepared.unwrap_or_else(|| panic!("{tx} is decided, but this bank holds no OK for it"));
        self.undecided_bytes -= prepared.transaction.memory_bytes();
        not_named_by_set(&prepared.transaction)
            .for_each(|bank| self.sets_without[bank.index()] -= 1);
        prepared
    }

    /// Advances the clock to a time that it received; it never goes back.
    fn met(&mut self, time: Time) {
        self.clock = self.clock.max(time);
    }

    /// Is `time` later than all that this bank gave or received? Refusals at the end of time share
    /// the last one.
    pub(super) fn is_later(&self, time: Time, refuses: bool) -> bool {
        time > self.clock || (refuses && time == Time::MAX && self.clock == Time::MAX)
    }

    fn assert_later(&self, time: Time, refuses: bool) {
        let clock = self.clock;
        assert!(
            self.is_later(time, refuses),
            "a vote at {time} is not later than this bank's clock, {clock}"
        );
    }

    fn voted(&mut self, time: Time, refuses: bool) {
        self.assert_later(time, refuses);
        self.clock = time;
        self.known_votes[self.identity.bank.index()] = time;
    }

    /// Records the votes of other banks on a transaction: OKs on its bytes, except for the vote
    /// that refused, which the outcome contains.
    fn learn_votes(
        &mut self,
        tx: &TxId,
        digest: Option<Digest>,
        votes: &[(BankId, Time)],
        outcome: Option<&Outcome>,
    ) {
        for (bank, time) in votes.iter().filter(|(bank, _)| *bank != self.identity.bank) {
            let known = &mut self.known_votes[bank.index()];
            if *time < *known {
                continue;
            }
            *known = *time;
            let ok = OwnVote { vote: Vote::Ok, time: *time, digest };
            let vote = match outcome {
                Some(Outcome::Aborted(token, _)) if token.bank == *bank => match token.kind {
                    TokenKind::No => OwnVote { vote: Vote::No, digest: token.digest, ..ok },
                    TokenKind::Ok | TokenKind::Aborted => OwnVote { digest: token.digest, ..ok },
                    // It does not contain the time of the vote.
                    TokenKind::Committed => continue,
                },
                Some(_) | None => ok,
            };
            self.peers_votes[bank.index()] = Some(KnownVote { tx: tx.clone(), vote });
        }
    }

    fn ended(&mut self, record: &Record) {
        let (Some(tx), Some(ended)) =
            (record.decides(), self.ended_of(record, After::Record(self.seq)))
        else {
            return;
        };
        match ended.outcome {
            Outcome::Committed(_) => self.committed += 1,
            Outcome::Aborted(..) => self.aborted += 1,
        }
        self.outcomes.insert(self.seq, tx, ended);
    }

    fn remember(
        &mut self,
        tx: &TxId,
        time: Time,
        reason: Option<Reason>,
        of: Option<&Arc<Transaction>>,
        provenance: Provenance,
    ) {
        // A vote replaces the entry that this bank drove other bytes under this id.
        if self.drove.remove(tx) {
            self.history.remove(tx);
        }
        let event =
            HistoryEntry { tx: tx.clone(), time, reason, transaction: of.cloned(), provenance };
        if let Some(oldest) = self.history.push(event) {
            self.drove.remove(&oldest);
        }
    }
}
