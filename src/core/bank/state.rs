//! What a bank's journal holds: the ledger, the votes without an outcome, the newest outcomes, the
//! clock.
//!
//! Changed by `apply` alone, live and at recovery. Outcomes that are in the journal's index may be
//! forgotten.

use crate::bank::Identity;
use crate::bank::history::History;
use crate::bank::io::{After, KnownVote, Outcome, OwnVote, Seq};
use crate::bank::known::{Ended, Event, How, Prepared, not_named_by_set};
use crate::bank::record::Record;
use crate::commit::founding::FoundingId;
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::ledger::{Ledger, RegistersKnown};
use crate::limits::{BANKS_MAX, UNDECIDED_BYTES_MAX, UNDECIDED_MAX};
use crate::wire::Reason;
use crate::wire::token::{Digest, KeyId, Said, Verdict};
use crate::wire::transaction::Transaction;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The durable part of a bank.
#[derive(Debug, Clone)]
pub(crate) struct Bank {
    pub identity: Identity,
    /// The banks that are in the consortium now.
    pub members: BankSet,
    /// Position and places as the journal has them.
    pub consortium: Option<(BankId, Vec<String>)>,
    /// The consortium's key as the journal knows it; those of the time without a key know none.
    pub key: Option<KeyId>,
    /// What tells this journal from every other one of this bank; those of earlier versions have
    /// none.
    pub founding: Option<FoundingId>,
    /// Has every other bank met this one, so that what it says to them can't break a promise of a
    /// lost journal?
    pub introduced: bool,
    /// The journal of each other bank as this one first met it.
    pub met: [Option<FoundingId>; 16],
    /// The newest record's number.
    pub seq: Seq,
    /// The last time that this bank gave or met.
    pub clock: Time,
    /// The time of the last vote known of each bank, this one included.
    pub known_votes: [Time; 16],
    /// The newest vote known of each other bank, with what its token binds: shown to that bank, it
    /// tells it what it must hold. What a snapshot of an earlier version held says nothing of it.
    pub peers_votes: [Option<KnownVote>; 16],
    pub ledger: Ledger,
    /// Voted OK, outcome unknown.
    pub undecided: BTreeMap<TxId, Prepared>,
    /// Those of them that may commit at the time of this bank's vote, by that time: what cuts wait
    /// for.
    pub undecided_by_time: BTreeSet<(Time, TxId)>,
    pub undecided_bytes: usize,
    /// How many of them set a register and do not name a bank, by its position.
    sets_without: [usize; BANKS_MAX],
    /// How many may be undecided, and in how much memory.
    pub undecided_bounds: (usize, usize),
    /// The newest outcomes; older ones are in the journal's index.
    pub outcomes: BTreeMap<TxId, Ended>,
    /// The same, oldest first, with the number of the deciding record.
    pub outcomes_in_order: VecDeque<(Seq, TxId)>,
    /// The newest outcomes with their operations.
    pub history: History,
    /// Those of them that this bank drove without a part in them.
    drove: BTreeSet<TxId>,
    pub committed: u64,
    pub aborted: u64,
    /// Why this bank must not work any more.
    pub stopped: Option<String>,
}

impl Bank {
    pub(super) fn new(identity: Identity) -> Bank {
        let present = |(position, place): (usize, &String)| {
            if place == "-" { None } else { BankId::new(position) }
        };
        let members = identity.places.iter().enumerate().filter_map(present).collect();
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
            ledger: Ledger::new(),
            undecided: BTreeMap::new(),
            undecided_by_time: BTreeSet::new(),
            undecided_bytes: 0,
            sets_without: [0; BANKS_MAX],
            undecided_bounds: (UNDECIDED_MAX, UNDECIDED_BYTES_MAX),
            outcomes: BTreeMap::new(),
            outcomes_in_order: VecDeque::new(),
            history: History::default(),
            drove: BTreeSet::new(),
            committed: 0,
            aborted: 0,
            stopped: None,
        }
    }

    pub(super) fn me(&self) -> BankId {
        self.identity.bank
    }

    /// The one function that changes the durable part.
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
                    // No later cut lacks a set: what commits at or before this time was told, or is
                    // applied here.
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
                        let how = How::refused_here(me, cause);
                        self.remember(tx, *time, Some(*reason), Some(transaction), how);
                    }
                }
            }
            Record::Refused { tx, time, reason } => {
                self.voted(*time, true);
                self.ended(record);
                self.remember(tx, *time, Some(*reason), None, How::refused(me));
            }
            Record::Decided { tx, own, outcome, votes } => {
                let prepared = self.remove_undecided(tx);
                let transaction = &prepared.transaction;
                assert!(!transaction.has_outside(), "only its outside coordinator decides {tx}");
                match outcome {
                    Outcome::Committed(time) => {
                        self.ledger.settle(me, tx, transaction, *time);
                        self.met(*time);
                        self.remember(tx, *time, None, Some(transaction), How::default());
                    }
                    Outcome::Aborted(token, reason) => {
                        self.ledger.release(me, tx, transaction);
                        let time = prepared.time.max(token.time);
                        // A statement tells that it is aborted, and not who refused.
                        let refused = token.refuses(transaction.digest());
                        let by = Some(token.bank).filter(|_| refused);
                        let how = How { by, ..How::default() };
                        self.remember(tx, time, Some(*reason), Some(transaction), how);
                    }
                }
                self.learn_votes(tx, own.digest, votes, Some(outcome));
                self.ended(record);
            }
            Record::Executed { tx, time, committed, transaction, votes } => {
                self.voted(*time, false);
                assert!(!transaction.has_outside(), "only its outside coordinator decides {tx}");
                self.ledger.hold(me, tx, transaction);
                self.ledger.settle(me, tx, transaction, *committed);
                self.met(*committed);
                self.learn_votes(tx, Some(*transaction.digest()), votes, None);
                self.ended(record);
                let how = How { driven: true, ..How::default() };
                self.remember(tx, *committed, None, Some(transaction), how);
            }
            Record::ClientAdded { time, client } => {
                self.met(*time);
                self.ledger.add_client(client, *time);
            }
            Record::AccountOpened { time, account } => {
                self.met(*time);
                self.ledger.open_account(account, *time);
            }
            Record::ClockMoved { time } => self.met(*time),
            Record::Stopped { why } => self.stopped = Some(why.clone()),
            Record::OutsideVoted { tx, time, refusal, .. } => {
                let prepared = self.remove_undecided(tx);
                let transaction = &prepared.transaction;
                assert!(transaction.has_outside(), "{tx} has no outside coordinator");
                // So it falls under no cut that was told.
                self.assert_later(*time, refusal.is_some());
                match refusal {
                    None => self.ledger.settle(me, tx, transaction, *time),
                    Some(_) => self.ledger.release(me, tx, transaction),
                }
                self.met(*time);
                self.remember(tx, *time, *refusal, Some(transaction), How::default());
                self.ended(record);
            }
            Record::Drove { tx, time, transaction, refusal } => {
                assert!(
                    !transaction.banks().has(me),
                    "{tx} names this bank, whose own records tell of it"
                );
                assert!(!self.remembers(tx), "{tx} stands in the history already");
                let by = refusal.as_ref().map(|(bank, ..)| *bank);
                let text = refusal.as_ref().map_or("", |(.., text)| text).into();
                let reason = refusal.as_ref().map(|(_, reason, _)| *reason);
                self.remember(tx, *time, reason, Some(transaction), How { driven: true, by, text });
                self.drove.insert(tx.clone());
            }
        }
    }

    /// Does the history tell that this bank drove `tx` without a part in it?
    pub(super) fn drove(&self, tx: &TxId) -> bool {
        self.drove.contains(tx)
    }

    /// Does `tx` stand in the history?
    pub(super) fn remembers(&self, tx: &TxId) -> bool {
        self.history.get(tx).is_some()
    }

    /// Takes the history of a snapshot.
    pub(super) fn restore_history(&mut self, history: Vec<Event>) {
        let me = self.me();
        let no_part = |event: &&Event| {
            event.how.driven && event.transaction.as_ref().is_some_and(|of| !of.banks().has(me))
        };
        self.drove = history.iter().filter(no_part).map(|event| event.tx.clone()).collect();
        self.history = History::of(history);
    }

    /// Lets memory forget outcomes that the journal's index finds, `most` of them; are there more?
    pub(super) fn forget_outcomes(&mut self, indexed: Seq, keep: usize, most: usize) -> bool {
        let mut left = most;
        while self.outcomes_in_order.len() > keep
            && let Some((_, tx)) = self.outcomes_in_order.pop_front_if(|(seq, _)| *seq <= indexed)
        {
            self.outcomes.remove(&tx);
            left -= 1;
            if left == 0 {
                return true;
            }
        }
        false
    }

    pub(super) fn insert_undecided(&mut self, tx: TxId, prepared: Prepared) {
        self.undecided_bytes += prepared.transaction.memory_bytes();
        not_named_by_set(&prepared.transaction)
            .for_each(|bank| self.sets_without[bank.index()] += 1);
        // What an outside coordinator decides commits at its own vote's time, after every cut that
        // was told by then.
        if !prepared.transaction.has_outside() {
            self.undecided_by_time.insert((prepared.time, tx.clone()));
        }
        let before = self.undecided.insert(tx, prepared);
        assert!(before.is_none(), "a bank votes once for an id");
    }

    /// How many undecided transactions set a register and do not name `bank`?
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
        self.undecided_by_time.remove(&(prepared.time, tx.clone()));
        prepared
    }

    /// The clock meets a time: it never goes back.
    fn met(&mut self, time: Time) {
        self.clock = self.clock.max(time);
    }

    /// A vote's time is later than all that this bank gave or met; refusals at the end of time
    /// share the last one.
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

    /// Votes of others on a transaction: OKs on its bytes, but for the one that refused, which the
    /// outcome tells.
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
            let ok = OwnVote { verdict: Verdict::Ok, time: *time, digest };
            let vote = match outcome {
                Some(Outcome::Aborted(token, _)) if token.bank == *bank => match token.said {
                    Said::No => OwnVote { verdict: Verdict::No, digest: token.digest, ..ok },
                    Said::Ok | Said::Aborted => OwnVote { digest: token.digest, ..ok },
                    // It binds no vote's time.
                    Said::Committed => continue,
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
        self.outcomes_in_order.push_back((self.seq, tx.clone()));
        let before = self.outcomes.insert(tx.clone(), ended);
        assert!(before.is_none(), "{tx} has one outcome");
    }

    fn remember(
        &mut self,
        tx: &TxId,
        time: Time,
        reason: Option<Reason>,
        of: Option<&Arc<Transaction>>,
        how: How,
    ) {
        // A vote says more than that this bank once drove other bytes under the same id.
        if self.drove.remove(tx) {
            self.history.remove(tx);
        }
        let event = Event { tx: tx.clone(), time, reason, transaction: of.cloned(), how };
        if let Some(oldest) = self.history.push(event) {
            self.drove.remove(&oldest.tx);
        }
    }
}
