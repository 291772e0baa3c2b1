//! Decides what follows from an input, and changes nothing.
//!
//! Here: the inputs and the protocol's verbs. Beside it: `ask` (termination), `backlog` (ends of
//! sessions, restarts, ticks), `drive` (EXECUTE), `read`.

use crate::access::{Permission, Principal, Way, may};
use crate::bank::Change;
use crate::bank::end::{EndRequest, Requested};
use crate::bank::io::{
    After, Caller, CoreStep, Input, Now, Origin, Outgoing, Output, OwnVote, Past, Sending, Seq,
};
use crate::bank::known::{Prepared, Remembered};
use crate::bank::record::Record;
use crate::bank::state::Bank;
use crate::bank::volatile::{Volatile, Waiter, Waits};
use crate::bank::vote::Arrival;
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::limits::{ANSWER_WITHIN_MS, QUEUE_WAIT_MS_MAX};
use crate::wire::detail::{Detail, SingleWord};
use crate::wire::reply::Reply;
use crate::wire::request::Request;
use crate::wire::token::Vote;
use crate::wire::transaction::Transaction;
use crate::wire::{Fault, Reason};
use std::collections::BTreeSet;

/// One decision: the state that it reads, and its results so far.
pub(crate) struct Deciding<'a> {
    pub bank: &'a Bank,
    pub volatile: &'a Volatile,
    pub now: Now,
    pub out: Output,
    /// The clock, after the records decided so far.
    pub clock: Time,
    /// Waiters that already got their reply in this decision, since several events may end one
    /// wait.
    served: BTreeSet<u64>,
    /// Undecided transactions that this decision has started to ask about, or has decided because
    /// no other bank needs to be asked.
    pub asked: BTreeSet<TxId>,
    /// The caller that began to wait in this decision, and for what; a decision is about one
    /// request at most.
    pub waits: Option<(Caller, Waits)>,
    /// The index of the first record that the current transaction may have made.
    pub own_from: usize,
}

impl<'a> Deciding<'a> {
    pub(super) fn new(bank: &'a Bank, volatile: &'a Volatile, now: Now) -> Deciding<'a> {
        Deciding {
            bank,
            volatile,
            now,
            out: Output::default(),
            clock: bank.clock,
            served: BTreeSet::new(),
            asked: BTreeSet::new(),
            waits: None,
            own_from: 0,
        }
    }

    pub(super) fn input(&mut self, input: &Input) {
        if self.bank.stopped.is_some() || self.volatile.forgot.is_some() {
            return; // Any reply could contradict a vote that it forgot.
        }
        match input {
            Input::Request { caller, origin, asker, request, waited_us, past } => {
                let late = *waited_us >= QUEUE_WAIT_MS_MAX * 1_000;
                self.request(*caller, *origin, (asker, request), late, past.as_ref());
            }
            Input::Closed(session) => self.closed(*session),
            Input::Answer { peer, asked, reply, past } => {
                self.answer(*peer, asked, reply.as_ref(), past.as_ref());
            }
            Input::PeerUp(peer) => self.change(Change::Link(*peer, true)),
            Input::PeerDown(peer) => {
                self.change(Change::Link(*peer, false));
                self.known_at_end(*peer);
            }
            Input::PeerShows { tx, token, past, .. } => self.peer_shows(tx, token, past.as_ref()),
            Input::Tick => self.tick(),
            Input::PeerFounded { peer, founding } => self.peer_founded(*peer, founding),
            Input::PeerMet { peer, meeting } => self.peer_met(*peer, meeting),
            Input::Started(start) => self.started(start),
            Input::AccessChanged(access) => self.access_changed(access),
        }
    }

    /// Derives what follows from applied records and changes: wakes waiters of decided
    /// transactions, and sends questions.
    pub(super) fn follow(&mut self, records: &[Record], changes: &[Change]) {
        for tx in records.iter().filter_map(Record::decides) {
            self.wake(tx);
        }
        if records.iter().any(|record| record.decides().is_some()) {
            self.wake_cuts();
        }
        if changes.iter().any(|change| matches!(change, Change::MetBy(_) | Change::Started(..))) {
            self.introduce();
        }
        let questions = |change: &Change| {
            matches!(change, Change::Ask(..) | Change::Answered(..) | Change::Link(_, true))
        };
        if changes.iter().any(questions) {
            self.put_questions();
        }
        let learns =
            |change: &Change| matches!(change, Change::Link(_, true) | Change::LearnedPage(_));
        let introduced = |record: &Record| matches!(record, Record::Introduced { .. });
        if changes.iter().any(learns) || records.iter().any(introduced) {
            self.learn();
        }
    }

    fn request(
        &mut self,
        caller: Caller,
        origin: Origin,
        (asker, request): (&Principal, &Request),
        late: bool,
        past: Option<&Past>,
    ) {
        let permission = may(&self.volatile.access, asker, request, &self.bank.ledger);
        if permission == Permission::No {
            return self.not_allowed(caller, asker, request);
        }
        let arrival = Arrival { late, way: Way::of(asker) };
        let needs_proof = permission == Permission::Proof;
        let end = |requested| EndRequest { origin, requested, needs_proof };
        match request {
            // An outside coordinator ends its own transactions, and has no proofs.
            Request::Commit(tx, _) | Request::Abort(tx, _)
                if origin == Origin::Outside && needs_proof =>
            {
                self.not_owner(caller, asker, tx);
            }
            request if origin == Origin::Outside => self.outside(caller, request, arrival, past),
            Request::Prepare(_, transaction) | Request::Execute(_, transaction)
                if transaction.has_outside() =>
            {
                let text = Detail::NoOutside { verb: verb_of(request) }.to_string();
                self.reply(caller, Reply::Err(Reason::Refused, text), After::Now);
            }
            Request::Prepare(tx, transaction) => {
                self.prepare(caller, tx, transaction, arrival, past);
            }
            Request::Commit(tx, tokens) => {
                self.end(caller, asker, tx, tokens, past, end(Requested::Commit));
            }
            Request::Abort(tx, token) => {
                self.end(caller, asker, tx, token.as_slice(), past, end(Requested::Abort));
            }
            Request::Resolve(tx) => self.resolve(caller, origin, tx, past),
            Request::Status(tx) => self.status(caller, tx, past),
            Request::Registers { asker, nonce, after } => {
                self.registers(caller, origin, *asker, nonce, after.as_ref());
            }
            other if origin == Origin::Link => {
                let text = Detail::NotOnLink { verb: verb_of(other) }.to_string();
                self.reply(caller, Reply::Err(Reason::Refused, text), After::Now);
            }
            Request::Execute(tx, transaction) => {
                self.execute(caller, tx, transaction, arrival, past);
            }
            Request::Client(client) => self.client(caller, asker, client),
            Request::Account(account) => self.account(caller, asker, account),
            Request::Read(read) => {
                let own = asker.name().filter(|_| permission == Permission::Own);
                self.read((caller, arrival.way), read, own.as_ref());
            }
            Request::Local(_) => {
                let text = Detail::OfSession { verb: verb_of(request) }.to_string();
                self.reply(caller, Reply::Err(Reason::Refused, text), After::Now);
            }
        }
    }

    /// Wakes all that waited for a transaction which is now decided: for its outcome, for its
    /// locks, or with a cut.
    fn wake(&mut self, tx: &TxId) {
        if self.volatile.in_doubt.has(tx) {
            self.change(Change::Ended(tx.clone()));
        }
        if self.volatile.waiters.is_empty() {
            return;
        }
        let Remembered::Ended(ended) = self.bank.remembered(tx) else { return };
        for waiter in self.volatile.waiters_for(&Waits::Outcome(tx.clone())).collect::<Vec<_>>() {
            if self.serve(waiter) {
                let reply = self.outcome_reply(tx, ended);
                self.reply(self.volatile.waiters[&waiter].caller, reply, ended.after);
            }
        }
        self.wake_readers(tx);
    }

    /// Keeps the newest known vote of a peer, even if the peer votes again after its next start.
    pub(super) fn known_at_end(&mut self, peer: BankId) {
        if let Some(vote) = &self.bank.peers_votes[peer.index()] {
            self.change(Change::KnownAtEnd(peer, vote.clone()));
        }
    }

    /// Replies to a waiter whose time is up.
    pub(super) fn wait_timed_out(&mut self, id: u64) {
        let waiter = &self.volatile.waiters[&id];
        if !self.serve(id) {
            return;
        }
        let reply = match &waiter.waits {
            Waits::Outcome(tx) | Waits::Verdict(tx) => {
                self.out.steps.push(CoreStep::GaveUp(tx.clone()));
                Reply::Doubt(tx.clone(), self.doubt_text(tx))
            }
            Waits::Value(key) => {
                let held =
                    |tx: &TxId| Detail::HeldBy { key: key.clone(), tx: tx.clone() }.to_string();
                let holder = self.bank.ledger.locked_by(key).map(held);
                Reply::Refused(Reason::Locked, holder.unwrap_or_else(|| key.to_string()))
            }
            Waits::Cut(_) => {
                let holder = self.bank.undecided.oldest();
                Reply::Refused(
                    Reason::Locked,
                    holder.map(|(_, tx)| tx.to_string()).unwrap_or_default(),
                )
            }
        };
        self.reply(waiter.caller, reply, self.newest());
    }

    /// Ends a wait; returns whether its reply is due, that is unless this decision already gave
    /// one.
    pub(super) fn serve(&mut self, waiter: u64) -> bool {
        let first = self.served.insert(waiter);
        if first {
            self.change(Change::Served(waiter));
        }
        first
    }

    pub(super) fn wait(&mut self, caller: Caller, waits: Waits) {
        let deadline_us = self.now.mono_us + ANSWER_WITHIN_MS * 1_000;
        self.waits = Some((caller, waits.clone()));
        self.change(Change::Wait(Waiter { caller, deadline_us, waits, cut: None }));
    }

    /// Advances this bank's clock: to its wall clock, or one past the last time that it gave or
    /// received. At the end of time it stands still, and only refusals are given.
    pub(super) fn tick_clock(&mut self) -> Time {
        self.clock = self.next_time();
        self.clock
    }

    fn next_time(&self) -> Time {
        Time(self.now.wall_us).max(Time(self.clock.0.saturating_add(1))).min(Time::MAX)
    }

    /// Has this bank given or received the last possible time?
    pub(super) fn has_no_later_time(&self) -> bool {
        self.clock >= Time::MAX
    }

    /// Is it too late to vote OK or to register anything?
    pub(super) fn is_at_the_end_of_time(&self) -> bool {
        self.next_time() > Time::LAST_GRANT
    }

    /// The reading of the clock; no record depends on it.
    pub(super) fn reading(&self) -> Time {
        self.clock.max(Time(self.now.wall_us).min(Time::MAX))
    }

    pub(super) fn move_clock(&mut self, time: Time) {
        self.clock = self.clock.max(time);
        self.record(Record::ClockMoved { time });
    }

    /// Records a change, and returns what a reply about it must wait for.
    pub(super) fn record(&mut self, record: Record) -> After {
        self.out.records.push(record);
        After::Record(self.last_seq())
    }

    /// What a reply waits for that depends on all records of this decision.
    pub(super) fn decision(&self) -> After {
        After::Decision(self.last_seq())
    }

    /// What a reply waits for that depends on everything applied before this decision.
    pub(super) fn newest(&self) -> After {
        After::Newest(self.bank.seq)
    }

    /// The number of the newest record, including those of this decision.
    pub(super) fn last_seq(&self) -> Seq {
        self.bank.seq + u64::try_from(self.out.records.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn change(&mut self, change: Change) {
        self.out.changes.push(change);
    }

    pub(super) fn reply(&mut self, to: Caller, reply: Reply, after: After) {
        self.out.replies.push(Outgoing { to, reply, after });
    }

    pub(super) fn send(
        &mut self,
        peer: BankId,
        message: crate::commit::message::Message,
        after: After,
    ) {
        self.out.sends.push(Sending { peer, message, after });
    }

    pub(super) fn done<T: serde::Serialize>(&mut self, caller: Caller, value: &T, after: After) {
        let json = serde_json::to_string(value).expect("these values are plain JSON");
        self.reply(caller, Reply::Done(json), after);
    }

    pub(super) fn refused(&mut self, caller: Caller, fault: Fault) {
        self.reply(caller, Reply::Refused(fault.reason, fault.text), self.newest());
    }

    /// The banks other than this one that `transaction` names.
    pub(super) fn others(&self, transaction: &Transaction) -> BankSet {
        transaction.banks().without(self.bank.me())
    }
}

pub(super) fn verb_of(request: &Request) -> SingleWord {
    SingleWord(request.verb().name().to_owned())
}

impl Prepared {
    /// This bank's vote, as its token binds it.
    pub(super) fn own(&self) -> OwnVote {
        OwnVote { vote: Vote::Ok, time: self.time, digest: Some(*self.transaction.digest()) }
    }
}
