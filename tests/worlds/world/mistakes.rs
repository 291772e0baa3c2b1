//! Mistakes of other implementations of two-phase commit, planted around the shipped core, which
//! stays unchanged: each changes what such a bank would receive, send or record. `Around` is the
//! environment of a core, of the simulator and of the exhaustive checker.

use super::World;
use consorcio_core::bank::io::{After, Input, Now, Outcome, Output, OwnVote, Start};
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, Identity};
use consorcio_core::commit::message::{PeerVerb, RequestKey};
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Token, TokenKind, Vote};
use consorcio_core::wire::transaction::Transaction;
use std::borrow::Borrow;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// An OK is sent before its sync.
    OkBeforeSync,
    /// A read is answered before what it shows is synced.
    ReadBeforeSync,
    /// A bank aborts its own OK after a time-out.
    OkTimedOut,
    /// A bank that does not know a transaction replies so to RESOLVE without refusing it, and
    /// counts as one that aborted.
    UnknownTakenForAborted,
    /// A silent bank counts as one that aborted.
    SilenceTakenForAborted,
    /// A bank that does not know a transaction replies ABORTED and does not record it.
    TombstoneNotKept,
    /// ABORT is accepted without a token.
    AbortAccepted,
    /// COMMITTED is accepted for any bytes.
    CommittedAccepted,
    /// A `duplicate-id` NOK carries another token than that of the vote.
    DuplicateIdToken,
    /// The token of a bank that the transaction does not name is accepted.
    UnnamedToken,
    /// A hold is released twice.
    HoldReleasedTwice,
    /// The advance of the clock for a cut is lost in a crash.
    CutClockLost,
    /// A commit is refused because its time is ahead of the bank's clock.
    CommitRefusedForTime,
    /// An outcome is forgotten.
    OutcomeForgotten,
    /// A synced record that others depend on is lost in a crash.
    SyncedRecordLost,
}

impl Mistake {
    pub const ALL: [Mistake; 15] = [
        Mistake::OkBeforeSync,
        Mistake::ReadBeforeSync,
        Mistake::OkTimedOut,
        Mistake::UnknownTakenForAborted,
        Mistake::SilenceTakenForAborted,
        Mistake::TombstoneNotKept,
        Mistake::AbortAccepted,
        Mistake::CommittedAccepted,
        Mistake::DuplicateIdToken,
        Mistake::UnnamedToken,
        Mistake::HoldReleasedTwice,
        Mistake::CutClockLost,
        Mistake::CommitRefusedForTime,
        Mistake::OutcomeForgotten,
        Mistake::SyncedRecordLost,
    ];
}

/// Applies a mistake to the synced records of a bank that crashes; `true` if it changed them.
pub fn crashed<R: Borrow<Record> + From<Record>>(
    mistake: Option<Mistake>,
    journal: &mut Vec<R>,
) -> bool {
    let before = journal.len();
    let mut changed = false;
    match mistake {
        Some(Mistake::CutClockLost) => {
            // Later records keep their numbers.
            for record in journal.iter_mut() {
                if let Record::ClockMoved { time: Time(1..) } = (*record).borrow() {
                    *record = R::from(Record::ClockMoved { time: Time(0) });
                    changed = true;
                }
            }
        }
        Some(Mistake::SyncedRecordLost) => {
            let last =
                journal.iter().rposition(|record| matches!(record.borrow(), Record::Voted { .. }));
            if let Some(last) = last.filter(|last| last + 1 == journal.len()) {
                journal.truncate(last);
            }
        }
        _ => {}
    }
    changed || journal.len() < before
}

/// The environment of a bank's core, as far as a mistake reads or changes it.
pub trait Around {
    fn mistake(&self) -> Option<Mistake>;
    fn identity_of(&self, bank: usize) -> Identity;
    fn now_of(&self, bank: usize) -> Now;
    /// The journal, from the first record that `first_core` lacks.
    fn records_of(&self, bank: usize) -> Vec<&Record>;
    /// The bank without any record of `records_of`.
    fn first_core(&self, bank: usize) -> Core;
    fn core_mut(&mut self, bank: usize) -> Option<&mut Core>;

    fn token(&self, bank: usize, said: impl Into<TokenKind>, tx: &TxId, like: &Token) -> Token {
        let id = self.identity_of(bank);
        id.seal.token(id.bank, said, tx, like.digest, like.time)
    }

    /// The transaction that a bank voted OK on under `tx`, and the time of the vote, from its
    /// journal.
    fn voted(&self, bank: usize, tx: &TxId) -> Option<(Arc<Transaction>, Time)> {
        self.records_of(bank).into_iter().find_map(|record| match record {
            Record::Voted { tx: voted, time, transaction, refusal: None } if voted == tx => {
                Some((Arc::clone(transaction), *time))
            }
            _ => None,
        })
    }

    fn refusal_of_another(&self, bank: usize, tx: &TxId) -> Option<Token> {
        let (transaction, time) = self.voted(bank, tx)?;
        let other = transaction.banks().iter().map(BankId::index).find(|other| *other != bank)?;
        let like = Token {
            kind: TokenKind::No,
            bank: transaction.banks().iter().next()?,
            time,
            digest: None,
            mac: None,
        };
        Some(self.token(other, Vote::No, tx, &like))
    }

    fn mistaken_request(&self, bank: usize, request: Request) -> Request {
        match (self.mistake(), request) {
            (Some(Mistake::AbortAccepted), Request::Abort(tx, token)) => {
                let forged = self.refusal_of_another(bank, &tx);
                Request::Abort(tx, forged.or(token))
            }
            (Some(Mistake::UnnamedToken), Request::Abort(tx, Some(token))) => {
                let unnamed = self.voted(bank, &tx).is_some_and(|(transaction, _)| {
                    !transaction.banks().has(token.bank) && token.is_refusal()
                });
                let forged = if unnamed { self.refusal_of_another(bank, &tx) } else { None };
                Request::Abort(tx, forged.or(Some(token)))
            }
            (Some(Mistake::UnknownTakenForAborted), Request::Resolve(tx)) => Request::Status(tx),
            (Some(Mistake::CommitRefusedForTime), Request::Commit(tx, tokens)) => {
                let tokens =
                    tokens.into_iter().filter(|token| !self.is_ahead(bank, token.time)).collect();
                Request::Commit(tx, tokens)
            }
            (_, request) => request,
        }
    }

    fn is_ahead(&self, bank: usize, time: Time) -> bool {
        time.0 > self.now_of(bank).wall_us + 1_000_000
    }

    fn mistaken_answer(
        &self,
        to: usize,
        peer: usize,
        asked: &RequestKey,
        reply: Option<Reply>,
    ) -> Option<Reply> {
        match (self.mistake(), asked.verb, reply) {
            (Some(Mistake::SilenceTakenForAborted), PeerVerb::Resolve, None)
            | (Some(Mistake::UnknownTakenForAborted), PeerVerb::Resolve, Some(Reply::Unknown(_))) =>
            {
                let like = Token {
                    kind: TokenKind::No,
                    bank: self.identity_of(peer).bank,
                    time: Time(1),
                    digest: None,
                    mac: None,
                };
                let token = self.token(peer, Vote::No, &asked.tx, &like);
                Some(Reply::Aborted(asked.tx.clone(), token, Reason::Unreachable, None))
            }
            (
                Some(Mistake::CommittedAccepted),
                PeerVerb::Resolve,
                Some(Reply::Committed(tx, time, token, _)),
            ) => {
                let own = self.voted(to, &tx);
                let digest = own.map(|(transaction, _)| *transaction.digest());
                let like = Token { digest: digest.or(token.digest), ..token };
                let token = self.token(peer, Vote::Ok, &tx, &like);
                let like = Token { time, ..like };
                let said = Some(self.token(peer, TokenKind::Committed, &tx, &like));
                Some(Reply::Committed(tx, time, token, said))
            }
            (Some(Mistake::CommitRefusedForTime), PeerVerb::Resolve, Some(reply)) => {
                let time = match &reply {
                    Reply::Ok(_, token) => token.time,
                    Reply::Committed(_, time, _, _) => *time,
                    _ => Time::default(),
                };
                if self.is_ahead(to, time) { None } else { Some(reply) }
            }
            (_, _, reply) => reply,
        }
    }

    fn mistaken_output(&mut self, bank: usize, output: &mut Output) {
        match self.mistake() {
            Some(Mistake::OkBeforeSync) => {
                for reply in &mut output.replies {
                    if let Reply::Ok(..) = reply.reply {
                        reply.after = After::Now;
                    }
                }
            }
            Some(Mistake::ReadBeforeSync) => {
                for reply in &mut output.replies {
                    if let Reply::Done(_) = reply.reply {
                        reply.after = After::Now;
                    }
                }
            }
            Some(Mistake::TombstoneNotKept) => {
                let kept = |record: &Record| !matches!(record, Record::Refused { .. });
                if output.records.iter().all(kept) {
                    return;
                }
                // Replace the bank by one without the tombstone; the reply remains.
                output.records.retain(kept);
                for reply in &mut output.replies {
                    reply.after = After::Now;
                }
                let mut core = self.first_core(bank);
                self.records_of(bank)
                    .into_iter()
                    .chain(&output.records)
                    .for_each(|record| core.apply(record));
                let started = core.step(self.now_of(bank), &Input::Started(Start::default()));
                if let Some(mistaken) = self.core_mut(bank) {
                    *mistaken = core;
                }
                output.sends.extend(started.sends);
            }
            Some(Mistake::DuplicateIdToken) => {
                for reply in &mut output.replies {
                    if let Reply::Nok(tx, token, Reason::DuplicateId, _) = &mut reply.reply {
                        *token = self.token(bank, Vote::No, tx, token);
                    }
                }
            }
            Some(Mistake::HoldReleasedTwice) => {
                let aborted = |record: &&Record| {
                    matches!(record, Record::Decided { outcome: Outcome::Aborted(..), .. })
                };
                if let (Some(again), Some(core)) =
                    (output.records.iter().find(aborted), self.core_mut(bank))
                {
                    core.apply(again);
                }
            }
            Some(
                Mistake::OkTimedOut
                | Mistake::UnknownTakenForAborted
                | Mistake::SilenceTakenForAborted
                | Mistake::AbortAccepted
                | Mistake::CommittedAccepted
                | Mistake::UnnamedToken
                | Mistake::CutClockLost
                | Mistake::CommitRefusedForTime
                | Mistake::OutcomeForgotten
                | Mistake::SyncedRecordLost,
            )
            | None => {}
        }
    }

    /// A bank that aborts its own OK three seconds after the vote. Each record is an output of its
    /// own.
    fn mistaken_tick(&mut self, bank: usize) -> Vec<Output> {
        if self.mistake() != Some(Mistake::OkTimedOut) || self.core_mut(bank).is_none() {
            return Vec::new();
        }
        let old = self.now_of(bank).wall_us - 3_000_000;
        let mut undecided: Vec<(TxId, Time, Arc<Transaction>)> = Vec::new();
        for record in self.records_of(bank) {
            match record {
                // No other record can end an outside coordinator's transaction; that would be found
                // at once.
                Record::Voted { tx, time, transaction, refusal: None }
                    if !transaction.has_outside() =>
                {
                    undecided.push((tx.clone(), *time, Arc::clone(transaction)));
                }
                Record::Decided { tx, .. } => undecided.retain(|(other, ..)| other != tx),
                _ => {}
            }
        }
        let mut outputs = Vec::new();
        for (tx, time, transaction) in undecided.into_iter().filter(|(_, time, _)| time.0 <= old) {
            let digest = Some(*transaction.digest());
            let own = OwnVote { vote: Vote::Ok, time, digest };
            let Identity { bank: me, seal, .. } = self.identity_of(bank);
            let token = seal.token(me, Vote::No, &tx, digest, time);
            let outcome = Outcome::Aborted(token, Reason::Expired);
            let record = Record::Decided { tx, own, outcome, votes: Vec::new() };
            if let Some(core) = self.core_mut(bank) {
                core.apply(&record);
            }
            outputs.push(Output { records: vec![record], ..Output::default() });
        }
        outputs
    }
}

impl Around for World {
    fn mistake(&self) -> Option<Mistake> {
        self.mistake
    }

    fn identity_of(&self, bank: usize) -> Identity {
        self.identity(bank)
    }

    fn now_of(&self, bank: usize) -> Now {
        self.now(bank)
    }

    fn records_of(&self, bank: usize) -> Vec<&Record> {
        self.nodes[bank].journal.iter().collect()
    }

    fn first_core(&self, bank: usize) -> Core {
        self.core_of(bank)
    }

    fn core_mut(&mut self, bank: usize) -> Option<&mut Core> {
        self.nodes[bank].core.as_mut()
    }
}
