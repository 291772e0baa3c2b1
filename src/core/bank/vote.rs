//! Votes: PREPARE, the tombstone, and the refusals of a bank that drives.
//!
//! A vote is durable before it is sent, given once for an id, and never changed.

use crate::access::{Way, not_allowed};
use crate::bank::Change;
use crate::bank::decide::Deciding;
use crate::bank::io::{After, Caller, Outcome, OwnVote, Past, SessionId};
use crate::bank::known::Known;
use crate::bank::record::{Cause, Record};
use crate::bank::rights::no_right;
use crate::bank::volatile::InDoubt;
use crate::commit::coordinator::Event;
use crate::ids::TxId;
use crate::limits::{OUTSIDE_VOTE_MS_MAX, QUEUE_WAIT_MS_MAX, RESOLVE_AFTER_MS};
use crate::wire::detail::Detail;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Token, Vote};
use crate::wire::transaction::Transaction;
use crate::wire::{Fault, Reason};
use std::sync::Arc;

/// How the request for a vote arrived.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// It waited too long in the queue.
    pub late: bool,
    pub way: Way,
}

impl Deciding<'_> {
    pub(super) fn prepare(
        &mut self,
        caller: Caller,
        tx: &TxId,
        transaction: &Arc<Transaction>,
        arrival: Arrival,
        past: Option<&Past>,
    ) {
        if !self.names_me(caller, transaction) {
            return;
        }
        match self.bank.known(tx, past) {
            Known::Prepared(prepared) => {
                let own = prepared.own();
                let token = self.bank.own_token(tx, &own);
                if own.digest == Some(*transaction.digest()) {
                    // After a restart a transaction may not have a timer yet; when it gets one, it
                    // has no session.
                    if let Some(in_doubt) =
                        self.volatile.in_doubt.get(tx).filter(|in_doubt| !in_doubt.has_patience)
                    {
                        let in_doubt =
                            InDoubt { session: Some(caller.session), ..in_doubt.clone() };
                        self.change(Change::InDoubt(tx.clone(), in_doubt));
                    }
                    self.reply(caller, Reply::Ok(tx.clone(), token), After::Record(prepared.seq));
                } else {
                    self.duplicate(caller, tx, token, After::Record(prepared.seq));
                }
            }
            Known::Ended(ended) => {
                let token = self.bank.own_token(tx, &ended.own);
                match (ended.own.digest, &ended.outcome) {
                    (Some(digest), _) if digest != *transaction.digest() => {
                        self.duplicate(caller, tx, token, ended.after);
                    }
                    // The coordinator must not take its old OK for a hold that still exists.
                    (Some(_), Outcome::Aborted(_, reason))
                        if ended.outside && ended.own.vote == Vote::Ok =>
                    {
                        let text = Detail::RefusedForOutside.to_string();
                        let nok = Reply::Nok(tx.clone(), token, *reason, text);
                        self.reply(caller, nok, ended.after);
                    }
                    (Some(_), _) if ended.own.vote == Vote::Ok => {
                        self.reply(caller, Reply::Ok(tx.clone(), token), ended.after);
                    }
                    (_, Outcome::Aborted(_, reason)) => {
                        let text = if ended.own.digest.is_none() {
                            Detail::RefusedBefore.to_string()
                        } else {
                            ended.text.to_string()
                        };
                        let nok = Reply::Nok(tx.clone(), token, *reason, text);
                        self.reply(caller, nok, ended.after);
                    }
                    (_, Outcome::Committed(_)) => unreachable!("{tx} is committed without an OK"),
                }
            }
            Known::New => {
                if let Some(Fault { reason, text }) = self.not_introduced_to(transaction) {
                    return self.reply(caller, Reply::Err(reason, text), After::Now);
                }
                if let Some(unfit) = self.unfit_transaction(tx, transaction) {
                    return self.unfit(caller, &unfit);
                }
                let session = Some(caller.session);
                let (token, refusal, after) = self.vote(tx, transaction, arrival, session);
                let reply = match &refusal {
                    None => Reply::Ok(tx.clone(), token),
                    Some(Fault { reason, text }) => {
                        Reply::Nok(tx.clone(), token, *reason, text.clone())
                    }
                };
                self.reply(caller, reply, after);
                self.own_vote(tx, transaction.digest(), token, refusal);
            }
        }
    }

    pub(super) fn duplicate(&mut self, caller: Caller, tx: &TxId, token: Token, after: After) {
        let text = Detail::OtherBytes.to_string();
        self.reply(caller, Reply::Nok(tx.clone(), token, Reason::DuplicateId, text), after);
    }

    /// Checks that a PREPARE names this bank; otherwise it is an error, and the id stays free.
    pub(crate) fn names_me(&mut self, caller: Caller, transaction: &Transaction) -> bool {
        let named = transaction.banks().has(self.bank.me());
        if !named {
            let text = Detail::NotNamed { bank: self.bank.me() }.to_string();
            self.reply(caller, Reply::Err(Reason::Malformed, text), After::Now);
        }
        named
    }

    /// Checks whether this bank would vote OK: first the rights of the transaction's owner, as they
    /// are now. So an account that is not the owner's and one that does not exist look alike. A
    /// request that waited too long is refused without a check of the ledger: under load,
    /// transactions that have begun come first.
    pub(super) fn check_vote(
        &self,
        tx: &TxId,
        transaction: &Transaction,
        arrival: Arrival,
    ) -> Result<(), Fault> {
        let (access, ledger, me) = (&self.volatile.access, &self.bank.ledger, self.bank.me());
        if let Some(op) = not_allowed(access, (tx, arrival.way), me, transaction, ledger) {
            return Err(no_right(access, tx, arrival.way, &op.action));
        }
        if arrival.late {
            return Err(Fault::of(Reason::Limit, &Detail::WaitedLong { ms: QUEUE_WAIT_MS_MAX }));
        }
        if self.is_at_the_end_of_time() {
            return Err(Fault::of(Reason::Limit, &Detail::ClockAtEnd));
        }
        let bytes = self.bank.undecided_bytes + transaction.memory_bytes();
        let (count_max, bytes_max) = self.bank.undecided_bounds;
        if self.bank.undecided.len() >= count_max || bytes > bytes_max {
            return Err(Fault::of(Reason::Limit, &Detail::TooManyUndecided));
        }
        self.within_share(tx, transaction, arrival.way)?;
        self.bank.ledger.check(self.bank.me(), self.bank.members, transaction)
    }

    /// Votes on an id that this bank does not know.
    pub(super) fn vote(
        &mut self,
        tx: &TxId,
        transaction: &Arc<Transaction>,
        arrival: Arrival,
        session: Option<SessionId>,
    ) -> (Token, Option<Fault>, After) {
        let refusal = self.check_vote(tx, transaction, arrival).err();
        let time = self.tick_clock();
        let vote = if refusal.is_none() { Vote::Ok } else { Vote::No };
        let own = OwnVote { vote, time, digest: Some(*transaction.digest()) };
        let after = self.record(Record::Voted {
            tx: tx.clone(),
            time,
            transaction: Arc::clone(transaction),
            refusal: refusal.as_ref().map(|fault| (fault.reason, fault.text.clone().into())),
        });
        if refusal.is_none() {
            let outside = transaction.has_outside().then_some(OUTSIDE_VOTE_MS_MAX);
            let own_max = self.patience_max(tx, arrival.way);
            let patience = transaction.patience_ms().map(|ms| u64::from(ms).min(own_max));
            let patience = outside.or(patience);
            let wait_ms = patience.unwrap_or(RESOLVE_AFTER_MS);
            let in_doubt = InDoubt::with_deadline(time, self.now.mono_us + wait_ms * 1_000);
            let has_patience = patience.is_some();
            let session = session.filter(|_| !has_patience);
            let is_counted = arrival.way != Way::Open;
            let in_doubt = InDoubt { session, has_patience, is_counted, ..in_doubt };
            self.change(Change::InDoubt(tx.clone(), in_doubt));
        }
        (self.bank.own_token(tx, &own), refusal, after)
    }

    /// Records a refusal of the bytes of a transaction that this bank drives, or of the id alone.
    pub(super) fn refuse(
        &mut self,
        tx: &TxId,
        transaction: Option<&Arc<Transaction>>,
        fault: &Fault,
    ) -> (Token, After) {
        self.refuse_for(tx, transaction, fault.reason, fault.text.clone().into())
    }

    /// As `refuse`, with a cause that may name another bank.
    pub(crate) fn refuse_for(
        &mut self,
        tx: &TxId,
        transaction: Option<&Arc<Transaction>>,
        reason: Reason,
        cause: Cause,
    ) -> (Token, After) {
        let time = self.tick_clock();
        let digest = transaction.map(|transaction| *transaction.digest());
        let own = OwnVote { vote: Vote::No, time, digest };
        let record = match transaction {
            Some(transaction) => Record::Voted {
                tx: tx.clone(),
                time,
                transaction: Arc::clone(transaction),
                refusal: Some((reason, cause)),
            },
            None => Record::Refused { tx: tx.clone(), time, reason },
        };
        let after = self.record(record);
        (self.bank.own_token(tx, &own), after)
    }

    /// Refuses an id that this bank has not voted on, permanently.
    pub(super) fn tombstone(&mut self, caller: Caller, tx: &TxId, reason: Reason) {
        // This bank's former journal may hold an OK on it.
        if let Some(Fault { reason, text }) = self.not_introduced() {
            return self.reply(caller, Reply::Err(reason, text), After::Now);
        }
        let fault = Fault::bare(reason);
        let (token, after) = self.refuse(tx, None, &fault);
        self.reply(caller, Reply::Aborted(tx.clone(), token, reason, None), after);
        if let Some(drive) = self.volatile.drives.get(tx) {
            let digest = *drive.coordinator.transaction().digest();
            self.own_vote(tx, &digest, token, Some(fault));
        }
    }

    /// Passes this bank's new vote to the coordinator of a drive of the same id, on the same bytes
    /// or on others.
    pub(super) fn own_vote(
        &mut self,
        tx: &TxId,
        digest: &Digest,
        token: Token,
        refusal: Option<Fault>,
    ) {
        let Some(drive) = self.volatile.drives.get(tx) else { return };
        let mut refusal = refusal.map(|fault| (fault.reason, fault.text));
        if drive.coordinator.transaction().digest() != digest {
            refusal = Some((Reason::DuplicateId, Detail::OtherBytesMeanwhile.to_string()));
        }
        self.drive_event(tx, Event::OwnVote(token, refusal));
    }
}
