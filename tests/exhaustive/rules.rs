//! What must always hold, and what must hold once all is healed. `times` has what cuts and patience
//! promise, `lost` what holds when a bank works on an old copy of its journal: then the rules here
//! do not, a promise is broken.

mod lost;
mod outside;
mod times;

pub use lost::Lost;
pub use times::Cuts;

use crate::exhaustive::state::{ModelState, bank};
use crate::world::{Around, Mistake};
use consorcio::bank::Core;
use consorcio::bank::io::{Caller, Input, Origin, Outcome, Past, SessionId};
use consorcio::bank::record::Record;
use consorcio::commit::coordinator::Verdict;
use consorcio::commit::message::AskedVerb;
use consorcio::ids::{BankId, RegisterKey, TxId};
use consorcio::wire::Reason;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::{Read, Request};
use consorcio::wire::token::{Digest, Token, Verdict as Vote};
use consorcio::wire::transaction::{Action, Flow, Transaction};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A bank's vote on an id, as its journal holds it: the bytes it is OK with, if it is.
struct HeldVote {
    granted: Option<Digest>,
    token: (Vote, consorcio::ids::Time, Option<Digest>),
}

/// The vote that a token of one is.
pub fn vote_of(token: &Token) -> (Vote, consorcio::ids::Time, Option<Digest>) {
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
        | Record::Introduced { .. }
        | Record::ClockMoved { .. }
        | Record::Stopped { .. }
        | Record::Drove { .. }
        | Record::OutsideVoted { .. } => None,
    }
}

/// Does this record end a transaction of these bytes, and how?
fn end_in(record: &Record, tx: &TxId, digest: Digest) -> Option<bool> {
    match record {
        Record::Decided { tx: of, own, outcome, .. } if of == tx && own.digest == Some(digest) => {
            Some(matches!(outcome, Outcome::Committed(_)))
        }
        Record::Executed { tx: of, transaction, .. }
            if of == tx && *transaction.digest() == digest =>
        {
            Some(true)
        }
        Record::OutsideVoted { tx: of, own, refusal, .. }
            if of == tx && own.digest == Some(digest) =>
        {
            Some(refusal.is_none())
        }
        Record::Decided { .. }
        | Record::Executed { .. }
        | Record::Voted { .. }
        | Record::Refused { .. }
        | Record::Consortium { .. }
        | Record::ClientAdded { .. }
        | Record::AccountOpened { .. }
        | Record::KeyKnown { .. }
        | Record::RegistersLearned { .. }
        | Record::Founded { .. }
        | Record::Met { .. }
        | Record::Introduced { .. }
        | Record::ClockMoved { .. }
        | Record::Stopped { .. }
        | Record::Drove { .. }
        | Record::OutsideVoted { .. } => None,
    }
}

impl ModelState {
    /// The vote of a bank that no crash can take from it.
    fn durable_vote(&self, at: usize, tx: &TxId) -> Option<HeldVote> {
        let node = &self.nodes[at];
        node.journal[..node.synced].iter().find_map(|record| vote_in(record, tx))
    }

    fn bytes_of(&self, tx: &TxId, digest: Digest) -> &Arc<Transaction> {
        let at = self.base.txs.iter().position(|known| known == tx).unwrap();
        let bytes = self.base.bytes[at].iter().find(|bytes| *bytes.digest() == digest);
        bytes.unwrap_or_else(|| panic!("{tx} of bytes that nobody sent"))
    }

    /// Holds every named bank, but for `but`, a durable OK on these bytes?
    fn granted_by_all(&self, tx: &TxId, digest: Digest, but: Option<usize>) -> bool {
        let named = self.bytes_of(tx, digest).banks();
        named
            .iter()
            .map(BankId::index)
            .filter(|at| Some(*at) != but)
            .all(|at| self.durable_vote(at, tx).is_some_and(|vote| vote.granted == Some(digest)))
    }

    /// Can some named bank never vote OK on these bytes?
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

    /// Before a record is written: the one rule.
    pub fn check_record(&mut self, at: usize, record: &Record, cause: &Input) {
        if self.lost.is_some() {
            return;
        }
        let asked =
            matches!(cause, Input::Answer { asked, .. } if asked.verb == AskedVerb::Resolve);
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
            | Record::Introduced { .. } => {
                panic!("nobody asked bank {at} for {record:?}")
            }
        }
        match record {
            Record::Decided { tx, own, outcome: Outcome::Committed(time), .. } => {
                self.check_commit(at, tx, own.digest.unwrap());
                self.check_outside_cuts(at, tx, *time);
                self.met.push(if asked { "commit learned from a peer" } else { "committed" });
            }
            Record::Executed { tx, transaction, committed, .. } => {
                self.check_commit(at, tx, *transaction.digest());
                self.check_outside_cuts(at, tx, *committed);
                self.met.push("executed");
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
                    "{tx} aborts at bank {at}, but nobody durably refused"
                );
                self.met.push(if asked { "abort learned from a peer" } else { "aborted" });
                if *reason == Reason::DuplicateId {
                    self.met.push("aborted for other bytes under its id");
                }
            }
            Record::Voted { refusal: Some((reason, _)), .. } => self.met.push(reason.as_str()),
            Record::Voted { refusal: None, .. } => self.met.push("OK"),
            Record::Refused { reason: Reason::Expired, .. } => {
                self.met.push("tombstone by RESOLVE")
            }
            Record::Refused { .. } => self.met.push("tombstone by ABORT"),
            Record::ClockMoved { .. } => self.met.push("clock moved"),
            Record::Stopped { .. }
            | Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. }
            | Record::Drove { .. }
            | Record::OutsideVoted { .. } => {}
        }
    }

    /// What a bank remembers to have driven for others is so, at the banks that it names.
    fn check_drove(&mut self, at: usize, record: &Record) {
        let Record::Drove { tx, transaction, refusal, .. } = record else { return };
        assert!(!transaction.banks().has(bank(at)), "bank {at} has its own records of {tx}");
        let digest = *transaction.digest();
        if refusal.is_none() {
            assert!(self.granted_by_all(tx, digest, None), "bank {at} says that {tx} is committed");
            self.met.push("drove a commit for others");
        } else {
            assert!(self.refused_by_one(tx, digest), "bank {at} says that {tx} is aborted");
            self.met.push("drove an abort for others");
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

    /// A reply leaves: a vote that is spoken is durable, and a verdict is so. To an EXECUTE it is
    /// about its bytes.
    pub fn check_spoken(&mut self, at: usize, reply: &Reply, executed: Option<Digest>) {
        if self.lost.is_some() {
            return;
        }
        let own = |tx: &TxId, token: &Token| {
            let held = self
                .durable_vote(at, tx)
                .is_some_and(|vote| token.bank == bank(at) && vote.token == vote_of(token));
            assert!(held, "bank {at} speaks a vote on {tx} that it does not durably hold: {token}");
        };
        match reply {
            Reply::Ok(tx, token) => own(tx, token),
            Reply::Nok(tx, token, reason, _) => {
                own(tx, token);
                if *reason == Reason::DuplicateId {
                    self.met.push("duplicate-id");
                } else if token.digest.is_none() {
                    self.met.push("late PREPARE refused");
                }
            }
            Reply::Committed(tx, _, token, _) => {
                let digest = executed.or(token.digest).unwrap();
                assert!(
                    match self.bytes_of(tx, digest).has_outside() {
                        true => self.outside_end(at, tx, digest) == Some(true),
                        false => self.granted_by_all(tx, digest, None),
                    },
                    "bank {at} says that {tx} is committed; it is not"
                );
            }
            Reply::Aborted(tx, token, Reason::DuplicateId, _) if token.bank == bank(at) => {
                own(tx, token)
            }
            Reply::Aborted(tx, _, _, _) => {
                let position = self.base.txs.iter().position(|known| known == tx).unwrap();
                // A bank that the bytes do not name knows nothing of them: only what it drives is
                // told of those.
                let named =
                    self.base.bytes[position].iter().filter(|bytes| bytes.banks().has(bank(at)));
                let mut bytes = named.map(|bytes| *bytes.digest());
                let own = self.nodes[at].journal.iter().find_map(|record| vote_in(record, tx));
                let so = match executed.or(own.and_then(|own| own.granted)) {
                    Some(digest) if self.bytes_of(tx, digest).has_outside() => {
                        self.outside_end(at, tx, digest) == Some(false)
                    }
                    Some(digest) => self.refused_by_one(tx, digest),
                    None => bytes.all(|digest| !self.granted_by_all(tx, digest, None)),
                };
                assert!(so, "bank {at} says that {tx} is aborted, but nobody durably refused");
            }
            Reply::Doubt(..) => self.met.push("DOUBT"),
            // Nobody asks for anything else here that would be answered so.
            Reply::Done(cut) => self.check_cut(at, cut),
            Reply::Refused(..) => self.met.push("cut refused"),
            Reply::Unknown(_) | Reply::Err(..) | Reply::Pong | Reply::Bye => {}
        }
    }

    /// A bank's ledger is what its journal says: balances change by commits alone, holds are its
    /// open votes.
    pub fn check_bank(&self, at: usize) {
        let core = self.nodes[at].core.as_ref().unwrap();
        core.check_invariants();
        let me = bank(at);
        let opened = self.setup.accounts[at].iter().map(|(_, money)| i128::from(*money));
        let (mut balance, mut held) = (opened.sum::<i128>(), 0);
        let journal = &self.nodes[at].journal;
        for record in journal {
            let (Record::Voted { tx, transaction, refusal: None, .. }
            | Record::Executed { tx, transaction, .. }) = &**record
            else {
                continue;
            };
            let end = journal.iter().find_map(|record| end_in(record, tx, *transaction.digest()));
            for op in transaction.ops().iter().filter(|op| op.bank == me) {
                match (&op.action, end) {
                    (Action::Money { flow, amount, .. }, Some(true)) if flow.takes() => {
                        balance -= amount.wide()
                    }
                    (Action::Money { amount, .. }, Some(true)) => balance += amount.wide(),
                    (Action::Money { flow, amount, .. }, None) if flow.takes() => {
                        held += amount.wide()
                    }
                    (Action::Money { .. }, Some(false) | None) | (Action::Set { .. }, _) => {}
                }
            }
        }
        let info = self.read(at, core, Request::Read(Read::Info));
        let figure = |name: &str| i128::from(info[name].as_i64().unwrap());
        assert_eq!(
            (figure("balance_total"), figure("held_total")),
            (balance, held),
            "bank {at}: balance, held"
        );
    }

    fn read(&self, at: usize, core: &Core, request: Request) -> serde_json::Value {
        let caller = Caller { session: SessionId(0), slot: 0 };
        let input =
            Input::Request { caller, origin: Origin::Client, request, waited_us: 0, past: None };
        let output = core.decide(self.now(at), &input);
        let [reply] = &output.replies[..] else { panic!("a read is answered at once") };
        let Reply::Done(json) = &reply.reply else { panic!("{:?}", reply.reply) };
        serde_json::from_str(json).unwrap()
    }

    /// What the journal knows of a transaction that memory does not.
    pub fn past(&self, at: usize, tx: &TxId) -> Option<Past> {
        let node = &self.nodes[at];
        if node.core.as_ref()?.knows(tx) || self.mistake() == Some(Mistake::OutcomeForgotten) {
            return None;
        }
        let record = node.journal.iter().find(|record| record.decides() == Some(tx))?;
        Some(Past { record: (**record).clone() })
    }

    /// All is healed and quiet.
    pub fn verify(&self) {
        if let Some(lost) = &self.lost {
            return self.verify_missed(lost);
        }
        let mut expected: i128 =
            self.setup.accounts.iter().flatten().map(|(_, money)| i128::from(*money)).sum();
        for (position, tx) in self.base.txs.iter().enumerate() {
            for bytes in &self.base.bytes[position] {
                let committed = self.ends(tx, *bytes.digest(), true);
                let named: BTreeSet<usize> = bytes.banks().iter().map(BankId::index).collect();
                assert!(
                    committed.is_empty() || committed == named,
                    "{tx} is committed at {committed:?} alone"
                );
                assert_eq!(
                    !committed.is_empty()
                        || bytes.has_outside() && !self.ends(tx, *bytes.digest(), false).is_empty(),
                    self.granted_by_all(tx, *bytes.digest(), None),
                    "{tx} is committed exactly when every bank holds an OK, and no outside \
                     coordinator refused"
                );
                for op in bytes.ops().iter().filter(|_| !committed.is_empty()) {
                    match &op.action {
                        Action::Money { flow: Flow::Deposit, amount, .. } => {
                            expected += amount.wide()
                        }
                        Action::Money { flow: Flow::Withdraw, amount, .. } => {
                            expected -= amount.wide()
                        }
                        Action::Money { .. } | Action::Set { .. } => {}
                    }
                }
            }
            self.check_told(position, tx);
        }
        let (mut total, mut values) = (0, BTreeSet::new());
        for (at, node) in self.nodes.iter().enumerate() {
            let core = node.core.as_ref().unwrap();
            let info = self.read(at, core, Request::Read(Read::Info));
            let figure = |name: &str| info[name].as_i64().unwrap();
            assert_eq!(
                [figure("held_total"), figure("incoming_total"), figure("undecided")],
                [0; 3],
                "bank {at}"
            );
            total += i128::from(figure("balance_total"));
            let value = self.read(
                at,
                core,
                Request::Read(Read::Value(RegisterKey::new("storage").unwrap())),
            );
            values.insert(value["value"].as_str().unwrap().to_owned());
            let mut replayed = self.base.cores[at].clone();
            node.journal.iter().for_each(|record| replayed.apply(record));
            assert!(core.same_as(&replayed), "bank {at} is not what its journal says");
        }
        assert_eq!(total, expected, "no centavo is lost or made");
        assert_eq!(values.len(), 1, "a register has one value everywhere: {values:?}");
    }

    /// What a driver or a caller was told is what is so.
    fn check_told(&self, position: usize, tx: &TxId) {
        let driver = &self.drivers[position];
        let committed = !self.ends(tx, *self.base.bytes[position][0].digest(), true).is_empty();
        let told = match (&driver.verdict, &driver.told) {
            (Some(Verdict::Committed(_)), _) | (_, Some(Reply::Committed(..))) => Some(true),
            (Some(Verdict::Aborted { .. } | Verdict::Unreached), _)
            | (_, Some(Reply::Aborted(..))) => Some(false),
            (Some(Verdict::Doubt(_)), _) | (None, _) => None,
        };
        if let Some(told) = told {
            let (_, _, way) = self.setup.transactions[position];
            assert_eq!(told, committed, "{tx}, driven by {way:?}, was told otherwise: {driver:?}");
        }
    }
}
