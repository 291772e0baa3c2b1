//! The invariants that are checked after each step.

use crate::simulation::facts::ObservedVote;
use crate::simulation::plan::Variant;
use crate::simulation::run::{Simulation, bank};
use crate::world::Seen;
use consorcio_core::bank::io::{CoreStep, Outcome, Seq};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::Message;
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::wire::token::{Digest, Token, Vote};
use consorcio_core::wire::{Reason, reply::Reply, transaction::Transaction};

impl Simulation<'_> {
    /// Notes all events since the last call, and checks the invariants.
    pub fn check_events(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            if self.coverage.keeps_lines {
                self.coverage.lines.push(crate::world::text::line(&seen));
            }
            match seen {
                Seen::Recorded { bank, seq, record } => {
                    let durable = self.durable(bank);
                    self.unsynced[bank].clock_recorded(bank, seq, durable, &record);
                    self.recorded(bank, seq, &record);
                }
                Seen::Reply { bank, caller, reply } => {
                    self.replied(bank, caller.session.0, caller.slot, reply);
                }
                Seen::Stopped { bank, why } => panic!("bank {bank} stopped: {why}"),
                Seen::Lost { bank, records } => self.forget_lost(bank, &records),
                Seen::DiskFailed { bank } => {
                    self.coverage.count("disk failed");
                    self.clients_lost(bank, false);
                }
                Seen::Step { bank, step } => match step {
                    CoreStep::Doubt(_, cause) => self.coverage.count(cause.as_str()),
                    CoreStep::Unproved(tx, peer) => {
                        assert!(
                            self.plan.variant == Variant::Attacker
                                || self.plan.proof_mistake.is_some(),
                            "{tx}: bank {bank} closes its link: no proof from bank {peer}"
                        );
                        self.coverage.count("link closed for lack of proof");
                    }
                    _ => {}
                },
                Seen::Sent { from, message, .. } => self.sent(from, &message),
                Seen::Answered { .. } => {}
            }
        }
    }

    /// Un-synced records are lost with the process: they never counted.
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
                | Record::Registered { .. }
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
                let vote = if refusal.is_none() { Vote::Ok } else { Vote::No };
                self.votes_once(
                    at,
                    tx,
                    ObservedVote { vote, digest: Some(digest), time: *time, seq },
                );
                match refusal {
                    None => {
                        self.coverage.count("OK");
                        self.holds_ok(at, tx, &digest);
                    }
                    Some((reason, _)) => self.coverage.count(reason.as_str()),
                }
            }
            Record::Refused { tx, time, reason } => {
                self.votes_once(
                    at,
                    tx,
                    ObservedVote { vote: Vote::No, digest: None, time: *time, seq },
                );
                self.coverage.count("tombstone");
                self.coverage.count(reason.as_str());
            }
            Record::Executed { tx, time, committed, transaction, .. } => {
                let digest = *transaction.digest();
                self.votes_once(
                    at,
                    tx,
                    ObservedVote { vote: Vote::Ok, digest: Some(digest), time: *time, seq },
                );
                self.holds_ok(at, tx, &digest);
                self.commits(at, seq, tx, digest, *committed, "executed");
            }
            Record::Decided { tx, own, outcome, .. } => {
                let digest = own.digest.expect("a decided transaction has an OK");
                match outcome {
                    Outcome::Committed(time) => {
                        self.commits(at, seq, tx, digest, *time, "committed")
                    }
                    Outcome::Aborted(..) => {
                        self.coverage.count("aborted after OK");
                        assert!(
                            self.is_refused(tx, &digest),
                            "{tx} aborts at {at}, and no bank has refused it"
                        );
                        let version = self.facts(tx).version(&digest).expect("known bytes");
                        version.aborted = version.aborted.with(bank(at));
                        assert!(
                            version.committed.is_empty(),
                            "{tx} aborts at {at}, committed elsewhere"
                        );
                    }
                }
            }
            Record::AccountOpened { time, account } => {
                self.coverage.count("account opened");
                let opening = (*time, account.deposit.wide());
                self.openings.insert((at, account.number.clone()), opening);
                self.unsynced[at].changed(seq, *time, None);
            }
            Record::ClientAdded { .. } => self.coverage.count("client added"),
            Record::ClockMoved { .. } => self.coverage.count("clock moved for a cut"),
            Record::OutsideVoted { tx, own, time, refusal } => {
                let digest = own.digest.expect("a decided transaction has an OK");
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
                        self.coverage.count("drove an abort for others");
                        let vote = self.facts(tx).vote(by.index());
                        let refuses = vote.is_some_and(|vote| {
                            vote.vote == Vote::No || vote.digest != Some(digest)
                        });
                        assert!(refuses, "bank {at} records that {by} refused {tx}: {vote:?}");
                    }
                }
            }
            Record::Consortium { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Registered { .. }
            | Record::Introduced { .. }
            | Record::Stopped { .. } => {}
        }
    }

    /// The report of a bank that drove a transaction without taking part is true.
    fn drove_a_commit(&mut self, at: usize, tx: &TxId, digest: &Digest, time: Time) {
        self.coverage.count("drove a commit for others");
        let version =
            self.facts(tx).version(digest).unwrap_or_else(|| panic!("{tx} has unknown bytes"));
        let (transaction, known) = (version.transaction.clone(), version.time);
        assert!(
            known.is_none_or(|known| known == time),
            "{tx} commits at {known:?}, bank {at} reports {time}"
        );
        for named in transaction.banks().iter().map(BankId::index) {
            let holds = self.durable_ok(named, tx, digest);
            assert!(
                holds,
                "bank {at} drove {tx}, but bank {named} holds no durable OK on these bytes"
            );
        }
    }

    /// A bank votes once for an id, and never withdraws its vote.
    fn votes_once(&mut self, at: usize, tx: &TxId, vote: ObservedVote) {
        let facts = self.facts(tx);
        let before = facts.vote(at);
        assert_eq!(before, None, "bank {at} votes on {tx} again: {vote:?}");
        facts.votes.push((at, vote));
    }

    fn holds_ok(&mut self, at: usize, tx: &TxId, digest: &Digest) {
        let version = self.facts(tx).version(digest);
        let version =
            version.unwrap_or_else(|| panic!("bank {at} votes OK on {tx}, unknown bytes"));
        version.ok = version.ok.with(bank(at));
        if self.facts(tx).versions.iter().filter(|version| !version.ok.is_empty()).count() > 1 {
            self.coverage.count("OK on two bytes of one id");
        }
    }

    /// The main invariant: committed exactly when every named bank holds a durable OK on these
    /// bytes.
    fn commits(
        &mut self,
        at: usize,
        seq: Seq,
        tx: &TxId,
        digest: Digest,
        time: Time,
        how: &'static str,
    ) {
        self.coverage.count(how);
        let cut = self.reads.cut_up_to(at);
        assert!(
            time.0 > cut,
            "{tx} commits at {at} with time {time}, but the cut at {cut} was served"
        );
        let version = self.facts(tx).version(&digest);
        let version = version.unwrap_or_else(|| panic!("{tx} has unknown bytes"));
        let transaction = version.transaction.clone();
        for named in transaction.banks().iter().map(BankId::index) {
            if named == at {
                // Its own vote may still wait for the same sync; a crash reports lost records
                // later.
                let own = self.facts(tx).vote(at);
                let voted =
                    own.is_some_and(|own| own.vote == Vote::Ok && own.digest == Some(digest));
                assert!(voted, "{tx} commits at {at}, which holds no OK on it");
            } else {
                let holds = self.durable_ok(named, tx, &digest);
                assert!(
                    holds,
                    "{tx} commits at {at}, but bank {named} holds no durable OK on these bytes"
                );
            }
        }
        let named = |(of, _): &&(usize, ObservedVote)| transaction.banks().has(bank(*of));
        let latest = self.facts(tx).votes.iter().filter(named).map(|(_, vote)| vote.time).max();
        assert_eq!(
            Some(time),
            latest,
            "the commit time of {tx} at {at} is not the greatest of its votes"
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
            self.coverage.count("two bytes of one id committed");
        }
    }

    /// A bank sends its own vote only once it is durable, and always the same one.
    fn sends_token(&mut self, at: usize, tx: &TxId, token: &Token) {
        if token.bank.index() != at {
            return;
        }
        let vote = self.facts(tx).vote(at);
        let vote =
            vote.unwrap_or_else(|| panic!("bank {at} sends a vote on {tx} that it does not hold"));
        let verdict = if token.is_refusal() { Vote::No } else { Vote::Ok };
        // The time of a `C` is the commit time.
        let time = token.vote_time().unwrap_or(vote.time);
        assert_eq!(
            (verdict, token.digest, time),
            (vote.vote, vote.digest, vote.time),
            "bank {at} sends another vote on {tx} than it recorded"
        );
        assert!(
            self.is_durable(at, vote.seq),
            "bank {at} sends its vote on {tx} before it is synced"
        );
    }

    fn sent(&mut self, from: usize, message: &Message) {
        match message {
            Message::Commit(tx, tokens) => {
                tokens.iter().for_each(|token| self.sends_token(from, tx, token))
            }
            Message::Abort(tx, Some(token)) => self.sends_token(from, tx, token),
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
                self.sends_token(at, tx, token);
                let facts = self.facts(tx);
                if !facts.tokens.contains(token) {
                    facts.tokens.push(*token);
                }
            }
            Reply::Doubt(..) => self.coverage.count("DOUBT"),
            Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Help(_)
            | Reply::Bye => {}
        }
        match &reply {
            Reply::Committed(tx, _, token, _) => self.reports_a_commit(at, tx, token),
            Reply::Nok(_, _, Reason::DuplicateId, _)
            | Reply::Aborted(_, _, Reason::DuplicateId, _) => {
                self.coverage.count("duplicate-id");
            }
            _ => {}
        }
        self.outcome_reported(at, session, &reply);
        if self.read_reply(at, session, &reply) {
            return;
        }
        if let Some((number, transaction)) = self.callers.remove(&session) {
            self.caller_received(number, &transaction, &reply);
        } else {
            self.clients.replied(session, slot, reply);
        }
    }

    /// No reply reports a commit before every vote is durable.
    fn reports_a_commit(&mut self, at: usize, tx: &TxId, token: &Token) {
        let digest = token.digest.expect("a commit is of some bytes");
        let version = self.facts(tx).version(&digest);
        let version = version.unwrap_or_else(|| panic!("bank {at} reports {tx}, unknown bytes"));
        for named in version.transaction.banks().iter().map(BankId::index) {
            let holds = self.durable_ok(named, tx, &digest);
            assert!(
                holds,
                "bank {at} reports that {tx} is committed, but bank {named} holds no durable OK"
            );
        }
    }

    /// The reply to an EXECUTE is true.
    fn caller_received(&mut self, number: usize, transaction: &Transaction, reply: &Reply) {
        match reply {
            Reply::Committed(tx, time, _, _) => self.commit_received(tx, transaction, *time),
            // A bank that is not named reports only that it knows other bytes of the id.
            Reply::Aborted(_, _, Reason::DuplicateId, _) => {}
            Reply::Aborted(..) => {
                self.facts[number].reported.push((Some(*transaction.digest()), false))
            }
            _ => {}
        }
    }
}
