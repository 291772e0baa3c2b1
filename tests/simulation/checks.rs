//! What must hold after each step.

use crate::simulation::facts::OneVote;
use crate::simulation::plan::Beside;
use crate::simulation::run::{Simulation, bank};
use crate::world::Seen;
use consorcio::bank::io::{CoreStep, Outcome, Seq};
use consorcio::bank::record::Record;
use consorcio::commit::message::Message;
use consorcio::ids::{BankId, Time, TxId};
use consorcio::wire::Reason;
use consorcio::wire::reply::Reply;
use consorcio::wire::token::{Digest, Token, Verdict as Vote};
use consorcio::wire::transaction::Transaction;

impl Simulation<'_> {
    /// Takes note of what was seen, and checks what must always hold.
    pub fn look(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            if self.met.wanted {
                self.met.lines.push(crate::world::tell::line(&seen));
            }
            match seen {
                Seen::Recorded { bank, seq, record } => {
                    let durable = self.durable(bank);
                    self.unsynced[bank].clock_told(bank, seq, durable, &record);
                    self.recorded(bank, seq, &record);
                }
                Seen::Reply { bank, caller, reply } => {
                    self.replied(bank, caller.session.0, caller.slot, reply);
                }
                Seen::Stopped { bank, why } => panic!("bank {bank} stopped: {why}"),
                Seen::Lost { bank, records } => self.forget_lost(bank, &records),
                Seen::DiskFailed { bank } => {
                    self.met.count("disk failed");
                    self.clients_lost(bank, false);
                }
                Seen::Step { bank, step } => match step {
                    CoreStep::Doubt(_, cause) => self.met.count(cause.as_str()),
                    CoreStep::Unproved(tx, peer) => {
                        assert!(
                            self.plan.beside == Beside::Path || self.plan.proof_mistake.is_some(),
                            "{tx}: bank {bank} closes its link, as what bank {peer} answers \
                             proves nothing"
                        );
                        self.met.count("link closed, nothing proved");
                    }
                    _ => {}
                },
                Seen::Sent { from, message, .. } => self.sent(from, &message),
                Seen::Answered { .. } => {}
            }
        }
    }

    /// What was not synced is lost with the process: it was never true.
    fn forget_lost(&mut self, at: usize, records: &[Record]) {
        self.unsynced[at].lost(records.len());
        for record in records {
            match record {
                Record::Voted { tx, transaction, .. }
                | Record::Executed { tx, transaction, .. } => {
                    self.forget_outcome(at, tx, transaction.digest());
                    let facts = self.facts(tx);
                    facts.votes.retain(|(of, _)| *of != at);
                    if let Some(version) = facts.version(transaction.digest()) {
                        version.ok = version.ok.without(bank(at));
                    }
                }
                Record::Refused { tx, .. } => self.facts(tx).votes.retain(|(of, _)| *of != at),
                Record::Decided { tx, own, .. } => {
                    if let Some(digest) = own.digest {
                        self.forget_outcome(at, tx, &digest);
                    }
                }
                Record::AccountOpened { account, .. } => {
                    self.openings.remove(&(at, account.number.clone()));
                }
                Record::Consortium { .. }
                | Record::ClientAdded { .. }
                | Record::ClockMoved { .. }
                | Record::KeyKnown { .. }
                | Record::RegistersLearned { .. }
                | Record::Founded { .. }
                | Record::Met { .. }
                | Record::Introduced { .. }
                | Record::Drove { .. }
                | Record::Stopped { .. } => {}
                Record::OutsideVoted { tx, own, .. } => {
                    if let Some(digest) = own.digest {
                        self.forget_outcome(at, tx, &digest);
                    }
                    self.outside_vote_lost(tx);
                }
            }
        }
    }

    fn forget_outcome(&mut self, at: usize, tx: &TxId, digest: &Digest) {
        let Some(version) = self.facts(tx).version(digest) else { return };
        version.committed = version.committed.without(bank(at));
        version.aborted = version.aborted.without(bank(at));
        if version.committed.is_empty() {
            version.time = None;
        }
    }

    fn recorded(&mut self, at: usize, seq: Seq, record: &Record) {
        match record {
            Record::Voted { tx, time, transaction, refusal } => {
                let digest = *transaction.digest();
                let verdict = if refusal.is_none() { Vote::Ok } else { Vote::No };
                self.votes_once(
                    at,
                    tx,
                    OneVote { verdict, digest: Some(digest), time: *time, seq },
                );
                match refusal {
                    None => {
                        self.met.count("OK");
                        self.holds_ok(at, tx, &digest);
                    }
                    Some((reason, _)) => self.met.count(reason.as_str()),
                }
            }
            Record::Refused { tx, time, reason } => {
                self.votes_once(
                    at,
                    tx,
                    OneVote { verdict: Vote::No, digest: None, time: *time, seq },
                );
                self.met.count("tombstone");
                self.met.count(reason.as_str());
            }
            Record::Executed { tx, time, committed, transaction, .. } => {
                let digest = *transaction.digest();
                self.votes_once(
                    at,
                    tx,
                    OneVote { verdict: Vote::Ok, digest: Some(digest), time: *time, seq },
                );
                self.holds_ok(at, tx, &digest);
                self.commits(at, seq, tx, digest, *committed, "executed");
            }
            Record::Decided { tx, own, outcome, .. } => {
                let digest = own.digest.expect("what is decided was voted OK on");
                match outcome {
                    Outcome::Committed(time) => {
                        self.commits(at, seq, tx, digest, *time, "committed")
                    }
                    Outcome::Aborted(..) => {
                        self.met.count("aborted after OK");
                        assert!(
                            self.is_refused(tx, &digest),
                            "{tx} aborts at {at}, and nobody has refused it"
                        );
                        let version = self.facts(tx).version(&digest).expect("somebody's bytes");
                        version.aborted = version.aborted.with(bank(at));
                        assert!(
                            version.committed.is_empty(),
                            "{tx} aborts at {at}, committed elsewhere"
                        );
                    }
                }
            }
            Record::AccountOpened { time, account } => {
                self.met.count("account opened");
                let opening = (*time, account.deposit.wide());
                self.openings.insert((at, account.number.clone()), opening);
                self.unsynced[at].changed(seq, *time, None);
            }
            Record::ClientAdded { .. } => self.met.count("client added"),
            Record::ClockMoved { .. } => self.met.count("clock moved for a cut"),
            Record::OutsideVoted { tx, own, time, refusal } => {
                let digest = own.digest.expect("what is decided was voted OK on");
                self.outside_voted(at, (tx, digest), (seq, *time), *refusal);
            }
            Record::Drove { tx, time, transaction, refusal } => {
                let digest = *transaction.digest();
                assert!(
                    !transaction.banks().has(bank(at)),
                    "bank {at} has its own records of {tx}"
                );
                match refusal {
                    None => self.drove_a_commit(at, tx, &digest, *time),
                    Some((by, ..)) => {
                        self.met.count("drove an abort for others");
                        let vote = self.facts(tx).vote(by.index());
                        let refuses = vote.is_some_and(|vote| {
                            vote.verdict == Vote::No || vote.digest != Some(digest)
                        });
                        assert!(refuses, "bank {at} says that {by} refused {tx}: {vote:?}");
                    }
                }
            }
            Record::Consortium { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. }
            | Record::Stopped { .. } => {}
        }
    }

    /// What a bank says of a transaction that it drove for others is so.
    fn drove_a_commit(&mut self, at: usize, tx: &TxId, digest: &Digest, time: Time) {
        self.met.count("drove a commit for others");
        let version =
            self.facts(tx).version(digest).unwrap_or_else(|| panic!("{tx} of nobody's bytes"));
        let (transaction, known) = (version.transaction.clone(), version.time);
        assert!(
            known.is_none_or(|known| known == time),
            "{tx} commits at {known:?}, bank {at} says {time}"
        );
        for named in transaction.banks().iter().map(BankId::index) {
            let holds = self.durable_ok(named, tx, digest);
            assert!(
                holds,
                "bank {at} drove {tx}, but bank {named} holds no durable OK on these bytes"
            );
        }
    }

    /// A bank votes once for an id, and never takes it back.
    fn votes_once(&mut self, at: usize, tx: &TxId, vote: OneVote) {
        let facts = self.facts(tx);
        let before = facts.vote(at);
        assert_eq!(before, None, "bank {at} votes on {tx} again: {vote:?}");
        facts.votes.push((at, vote));
    }

    fn holds_ok(&mut self, at: usize, tx: &TxId, digest: &Digest) {
        let version = self.facts(tx).version(digest);
        let version =
            version.unwrap_or_else(|| panic!("bank {at} votes OK on {tx}, nobody's bytes"));
        version.ok = version.ok.with(bank(at));
        if self.facts(tx).versions.iter().filter(|version| !version.ok.is_empty()).count() > 1 {
            self.met.count("OK on two bytes of one id");
        }
    }

    /// The one rule: committed exactly when every named bank holds a durable OK on these bytes.
    fn commits(
        &mut self,
        at: usize,
        seq: Seq,
        tx: &TxId,
        digest: Digest,
        time: Time,
        how: &'static str,
    ) {
        self.met.count(how);
        let cut = self.reads.cut_up_to(at);
        assert!(
            time.0 > cut,
            "{tx} commits at {at} with time {time}, but the cut at {cut} was told"
        );
        let version = self.facts(tx).version(&digest);
        let version = version.unwrap_or_else(|| panic!("{tx} of nobody's bytes"));
        let transaction = version.transaction.clone();
        for named in transaction.banks().iter().map(BankId::index) {
            if named == at {
                // Its own vote may still be under the same sync; what a crash takes is told
                // afterwards.
                let own = self.facts(tx).vote(at);
                let voted =
                    own.is_some_and(|own| own.verdict == Vote::Ok && own.digest == Some(digest));
                assert!(voted, "{tx} commits at {at}, which holds no OK on it");
            } else {
                let holds = self.durable_ok(named, tx, &digest);
                assert!(
                    holds,
                    "{tx} commits at {at}, but bank {named} holds no durable OK on these bytes"
                );
            }
        }
        let named = |(of, _): &&(usize, OneVote)| transaction.banks().has(bank(*of));
        let latest = self.facts(tx).votes.iter().filter(named).map(|(_, vote)| vote.time).max();
        assert_eq!(
            Some(time),
            latest,
            "the commit's time of {tx} at {at} is the greatest of its votes'"
        );
        let version = self.facts(tx).version(&digest).expect("it was there");
        version.committed = version.committed.with(bank(at));
        version.time = Some(time);
        assert!(version.aborted.is_empty(), "{tx} commits at {at}, aborted elsewhere");
        self.reads.committed(&transaction, time);
        self.unsynced[at].changed(seq, time, Some(&transaction));
        if self.facts(tx).versions.iter().filter(|version| !version.committed.is_empty()).count()
            > 1
        {
            self.met.count("two bytes of one id committed");
        }
    }

    /// A bank speaks of its own vote only once that is durable, and always of the same.
    fn speaks(&mut self, at: usize, tx: &TxId, token: &Token) {
        if token.bank.index() != at {
            return;
        }
        let vote = self.facts(tx).vote(at);
        let vote = vote
            .unwrap_or_else(|| panic!("bank {at} speaks of a vote on {tx} that it does not hold"));
        let verdict = if token.is_refusal() { Vote::No } else { Vote::Ok };
        // The time of a `C` is the commit's.
        let time = token.vote_time().unwrap_or(vote.time);
        assert_eq!(
            (verdict, token.digest, time),
            (vote.verdict, vote.digest, vote.time),
            "bank {at} has one vote on {tx}, and one token"
        );
        assert!(
            self.is_durable(at, vote.seq),
            "bank {at} speaks of its vote on {tx} before it is synced"
        );
    }

    fn sent(&mut self, from: usize, message: &Message) {
        match message {
            Message::Commit(tx, tokens) => {
                tokens.iter().for_each(|token| self.speaks(from, tx, token))
            }
            Message::Abort(tx, Some(token)) => self.speaks(from, tx, token),
            Message::Abort(_, None)
            | Message::Prepare(..)
            | Message::Resolve(_)
            | Message::Registers { .. } => {}
        }
    }

    fn replied(&mut self, at: usize, session: u64, slot: u64, reply: Reply) {
        match &reply {
            Reply::Ok(tx, token)
            | Reply::Nok(tx, token, ..)
            | Reply::Committed(tx, _, token, _)
            | Reply::Aborted(tx, token, _, _) => {
                self.speaks(at, tx, token);
                let facts = self.facts(tx);
                if !facts.tokens.contains(token) {
                    facts.tokens.push(*token);
                }
            }
            Reply::Doubt(..) => self.met.count("DOUBT"),
            Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Bye => {}
        }
        match &reply {
            Reply::Committed(tx, _, token, _) => self.told_a_commit(at, tx, token),
            Reply::Nok(_, _, Reason::DuplicateId, _)
            | Reply::Aborted(_, _, Reason::DuplicateId, _) => {
                self.met.count("duplicate-id");
            }
            _ => {}
        }
        self.told_from_outside(at, session, &reply);
        if self.read_reply(at, session, &reply) {
            return;
        }
        if let Some((number, transaction)) = self.callers.remove(&session) {
            self.caller_told(number, &transaction, &reply);
        } else {
            self.clients.replied(session, slot, reply);
        }
    }

    /// Nobody hears of a commit before every vote is durable.
    fn told_a_commit(&mut self, at: usize, tx: &TxId, token: &Token) {
        let digest = token.digest.expect("a commit is of some bytes");
        let version = self.facts(tx).version(&digest);
        let version = version.unwrap_or_else(|| panic!("bank {at} tells of {tx}, nobody's bytes"));
        for named in version.transaction.banks().iter().map(BankId::index) {
            let holds = self.durable_ok(named, tx, &digest);
            assert!(
                holds,
                "bank {at} tells that {tx} is committed, but bank {named} holds no durable OK"
            );
        }
    }

    /// What a caller of EXECUTE was told must be so.
    fn caller_told(&mut self, number: usize, transaction: &Transaction, reply: &Reply) {
        match reply {
            Reply::Committed(tx, time, _, _) => self.told_committed(tx, transaction, *time),
            // A bank that the transaction does not name says only that it knows the id for other
            // bytes.
            Reply::Aborted(_, _, Reason::DuplicateId, _) => {}
            Reply::Aborted(..) => {
                self.facts[number].told.push((Some(*transaction.digest()), false))
            }
            _ => {}
        }
    }
}
