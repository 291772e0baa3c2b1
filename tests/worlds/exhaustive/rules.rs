//! The invariants of every state, and those after healing. `times` has those of cuts and patience;
//! `lost` replaces the others when a bank runs on an old copy of its journal, as a promise is
//! broken then.

mod banks;
mod lost;
mod outside;
mod times;

pub use lost::Lost;
pub use times::Cuts;

use crate::exhaustive::state::{ModelState, bank};
use crate::world::{Around, Mistake};
use consorcio_core::bank::Core;
use consorcio_core::bank::io::{Caller, Input, Origin, Outcome, Past, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::commit::message::PeerVerb;
use consorcio_core::ids::{BankId, RegisterKey, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Read, Request};
use consorcio_core::wire::token::{Digest, Token, Vote};
use consorcio_core::wire::transaction::{Action, Flow, Transaction};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A bank's vote on an id in its journal: the token's content, and the bytes if it is an OK.
struct HeldVote {
    granted: Option<Digest>,
    token: (Vote, Time, Option<Digest>),
}

/// The vote in a token.
pub fn vote_of(token: &Token) -> (Vote, Time, Option<Digest>) {
    (if token.is_refusal() { Vote::No } else { Vote::Ok }, token.time, token.digest)
}

fn vote_in(record: &Record, tx: &TxId) -> Option<HeldVote> {
    let held = |verdict, time, digest: Option<Digest>| {
        let granted = digest.filter(|_| verdict == Vote::Ok);
        Some(HeldVote { granted, token: (verdict, time, digest) })
    };
    match record {
        Record::Voted { tx: of, time, transaction, refusal } if of == tx => {
            let verdict = if refusal.is_none() { Vote::Ok } else { Vote::No };
            held(verdict, *time, Some(*transaction.digest()))
        }
        Record::Executed { tx: of, time, transaction, .. } if of == tx => {
            held(Vote::Ok, *time, Some(*transaction.digest()))
        }
        Record::Refused { tx: of, time, .. } if of == tx => held(Vote::No, *time, None),
        Record::Voted { .. }
        | Record::Executed { .. }
        | Record::Refused { .. }
        | Record::Decided { .. }
        | Record::Consortium { .. }
        | Record::ClientAdded { .. }
        | Record::AccountOpened { .. }
        | Record::KeyKnown { .. }
        | Record::RegistersLearned { .. }
        | Record::Founded { .. }
        | Record::Met { .. }
        | Record::Registered { .. }
        | Record::Introduced { .. }
        | Record::ClockMoved { .. }
        | Record::Stopped { .. }
        | Record::Drove { .. }
        | Record::OutsideVoted { .. } => None,
    }
}

/// The end of a transaction.
struct RecordedEnd<'a> {
    tx: &'a TxId,
    /// The bytes that ended; a bank that refused the id alone never had them.
    digest: Option<Digest>,
    /// The commit time; `None` if it is aborted.
    committed: Option<Time>,
}

/// The end that this record holds, if any.
fn recorded_end(record: &Record) -> Option<RecordedEnd<'_>> {
    let (tx, digest, committed) = match record {
        Record::Decided { tx, own, outcome: Outcome::Committed(time), .. } => {
            (tx, own.digest, Some(*time))
        }
        Record::Decided { tx, own, outcome: Outcome::Aborted(..), .. } => (tx, own.digest, None),
        Record::Executed { tx, committed, transaction, .. } => {
            (tx, Some(*transaction.digest()), Some(*committed))
        }
        Record::OutsideVoted { tx, own, time, refusal } => {
            (tx, own.digest, refusal.is_none().then_some(*time))
        }
        Record::Voted { .. }
        | Record::Refused { .. }
        | Record::Consortium { .. }
        | Record::ClientAdded { .. }
        | Record::AccountOpened { .. }
        | Record::KeyKnown { .. }
        | Record::RegistersLearned { .. }
        | Record::Founded { .. }
        | Record::Met { .. }
        | Record::Registered { .. }
        | Record::Introduced { .. }
        | Record::ClockMoved { .. }
        | Record::Stopped { .. }
        | Record::Drove { .. } => return None,
    };
    Some(RecordedEnd { tx, digest, committed })
}

/// Whether this record commits or aborts a transaction of these bytes; `None` if neither.
fn end_in(record: &Record, tx: &TxId, digest: Digest) -> Option<bool> {
    let end = recorded_end(record)?;
    (end.tx == tx && end.digest == Some(digest)).then_some(end.committed.is_some())
}

impl ModelState {
    /// A bank's durable vote.
    fn durable_vote(&self, at: usize, tx: &TxId) -> Option<HeldVote> {
        let node = &self.nodes[at];
        node.journal[..node.synced].iter().find_map(|record| vote_in(record, tx))
    }

    fn bytes_of(&self, tx: &TxId, digest: Digest) -> &Arc<Transaction> {
        let at = self.base.txs.iter().position(|known| known == tx).unwrap();
        let bytes = self.base.bytes[at].iter().find(|bytes| *bytes.digest() == digest);
        bytes.unwrap_or_else(|| panic!("{tx} has unknown bytes"))
    }

    /// Every named bank except `but` holds a durable OK on these bytes.
    fn granted_by_all(&self, tx: &TxId, digest: Digest, but: Option<usize>) -> bool {
        let named = self.bytes_of(tx, digest).banks();
        named
            .iter()
            .map(BankId::index)
            .filter(|at| Some(*at) != but)
            .all(|at| self.durable_vote(at, tx).is_some_and(|vote| vote.granted == Some(digest)))
    }

    /// Some named bank can never vote OK on these bytes.
    fn refused_by_one(&self, tx: &TxId, digest: Digest) -> bool {
        let named = self.bytes_of(tx, digest).banks();
        named
            .iter()
            .map(BankId::index)
            .any(|at| self.durable_vote(at, tx).is_some_and(|vote| vote.granted != Some(digest)))
    }

    fn ends(&self, tx: &TxId, digest: Digest, committed: bool) -> BTreeSet<usize> {
        let ended = |at: &usize| {
            self.nodes[*at]
                .journal
                .iter()
                .any(|record| end_in(record, tx, digest) == Some(committed))
        };
        (0..self.nodes.len()).filter(ended).collect()
    }

    /// Checks a record before it is written.
    pub fn check_record(&mut self, at: usize, record: &Record, cause: &Input) {
        if self.lost.is_some() {
            return;
        }
        let asked = matches!(cause, Input::Answer { asked, .. } if asked.verb == PeerVerb::Resolve);
        match record {
            Record::Voted { tx, .. } | Record::Refused { tx, .. } | Record::Executed { tx, .. } => {
                let before = self.nodes[at].journal.iter().find_map(|record| vote_in(record, tx));
                assert!(before.is_none(), "bank {at} votes twice on {tx}");
            }
            Record::Decided { .. } | Record::ClockMoved { .. } => {}
            Record::Drove { .. } => self.check_drove(at, record),
            Record::OutsideVoted { .. } => self.check_outside_vote(at, record, cause),
            Record::Stopped { why } => panic!("bank {at} stopped: {why}"),
            Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::RegistersLearned { .. }
            | Record::KeyKnown { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Registered { .. }
            | Record::Introduced { .. } => {
                panic!("bank {at} writes an unexpected {record:?}")
            }
        }
        match record {
            Record::Decided { tx, own, outcome: Outcome::Committed(time), .. } => {
                self.check_commit(at, tx, own.digest.unwrap());
                self.check_outside_cuts(at, tx, *time);
                self.reached.push(if asked { "commit learned from a peer" } else { "committed" });
            }
            Record::Executed { tx, transaction, committed, .. } => {
                self.check_commit(at, tx, *transaction.digest());
                self.check_outside_cuts(at, tx, *committed);
                self.reached.push("executed");
            }
            Record::Decided { tx, own, outcome: Outcome::Aborted(_, reason), .. } => {
                let digest = own.digest.unwrap();
                let committed = self.ends(tx, digest, true);
                assert!(
                    committed.is_empty(),
                    "{tx} aborts at bank {at}, and is committed at {committed:?}"
                );
                assert!(
                    self.refused_by_one(tx, digest),
                    "{tx} aborts at bank {at}, without a durable refusal"
                );
                self.reached.push(if asked { "abort learned from a peer" } else { "aborted" });
                if *reason == Reason::DuplicateId {
                    self.reached.push("aborted for other bytes under its id");
                }
            }
            Record::Voted { refusal: Some((reason, _)), .. } => self.reached.push(reason.as_str()),
            Record::Voted { refusal: None, .. } => self.reached.push("OK"),
            Record::Refused { reason: Reason::Expired, .. } => {
                self.reached.push("tombstone by RESOLVE")
            }
            Record::Refused { .. } => self.reached.push("tombstone by ABORT"),
            Record::ClockMoved { .. } => self.reached.push("clock moved"),
            Record::Stopped { .. }
            | Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Registered { .. }
            | Record::Introduced { .. }
            | Record::Drove { .. }
            | Record::OutsideVoted { .. } => {}
        }
    }

    /// A bank's record of a transaction that it drove for others agrees with the banks that it
    /// names.
    fn check_drove(&mut self, at: usize, record: &Record) {
        let Record::Drove { tx, transaction, refusal, .. } = record else { return };
        assert!(!transaction.banks().has(bank(at)), "bank {at} has its own records of {tx}");
        let digest = *transaction.digest();
        if refusal.is_none() {
            assert!(
                self.granted_by_all(tx, digest, None),
                "bank {at} records that {tx} is committed"
            );
            self.reached.push("drove a commit for others");
        } else {
            assert!(self.refused_by_one(tx, digest), "bank {at} records that {tx} is aborted");
            self.reached.push("drove an abort for others");
        }
    }

    fn check_commit(&self, at: usize, tx: &TxId, digest: Digest) {
        assert!(
            !self.bytes_of(tx, digest).has_outside(),
            "bank {at} commits {tx} for its outside coordinator"
        );
        let all = self.granted_by_all(tx, digest, Some(at));
        assert!(
            all,
            "{tx} commits at bank {at}, but not every other named bank holds a durable OK on its \
             bytes"
        );
        let aborted = self.ends(tx, digest, false);
        assert!(aborted.is_empty(), "{tx} commits at bank {at}, and is aborted at {aborted:?}");
    }

    /// Checks a reply that is sent: its vote is durable, and its outcome true. A reply to an
    /// EXECUTE is about `executed`.
    pub fn check_reply(&mut self, at: usize, reply: &Reply, executed: Option<Digest>) {
        if self.lost.is_some() {
            return;
        }
        let own = |tx: &TxId, token: &Token| {
            let held = self
                .durable_vote(at, tx)
                .is_some_and(|vote| token.bank == bank(at) && vote.token == vote_of(token));
            assert!(held, "bank {at} sends a vote on {tx} that it does not durably hold: {token}");
        };
        match reply {
            Reply::Ok(tx, token) => own(tx, token),
            Reply::Nok(tx, token, reason, _) => {
                own(tx, token);
                if *reason == Reason::DuplicateId {
                    self.reached.push("duplicate-id");
                } else if token.digest.is_none() {
                    self.reached.push("late PREPARE refused");
                }
            }
            Reply::Committed(tx, _, token, _) => {
                let digest = executed.or(token.digest).unwrap();
                assert!(
                    match self.bytes_of(tx, digest).has_outside() {
                        true => self.outside_end(at, tx, digest) == Some(true),
                        false => self.granted_by_all(tx, digest, None),
                    },
                    "bank {at} reports that {tx} is committed; it is not"
                );
            }
            Reply::Aborted(tx, token, Reason::DuplicateId, _) if token.bank == bank(at) => {
                own(tx, token)
            }
            Reply::Aborted(tx, _, _, _) => {
                let position = self.base.txs.iter().position(|known| known == tx).unwrap();
                // A bank that the bytes do not name knows only those that it drives.
                let named =
                    self.base.bytes[position].iter().filter(|bytes| bytes.banks().has(bank(at)));
                let mut bytes = named.map(|bytes| *bytes.digest());
                let own = self.nodes[at].journal.iter().find_map(|record| vote_in(record, tx));
                let aborted = match executed.or(own.and_then(|own| own.granted)) {
                    Some(digest) if self.bytes_of(tx, digest).has_outside() => {
                        self.outside_end(at, tx, digest) == Some(false)
                    }
                    Some(digest) => self.refused_by_one(tx, digest),
                    None => bytes.all(|digest| !self.granted_by_all(tx, digest, None)),
                };
                assert!(
                    aborted,
                    "bank {at} reports that {tx} is aborted, without a durable refusal"
                );
            }
            Reply::Doubt(..) => self.reached.push("DOUBT"),
            // SNAPSHOT is the only read in these configurations.
            Reply::Done(cut) => self.check_cut(at, cut),
            Reply::Refused(..) => self.reached.push("cut refused"),
            Reply::Unknown(_) | Reply::Err(..) | Reply::Pong | Reply::Help(_) | Reply::Bye => {}
        }
    }
}
