//! Ends: COMMIT, ABORT, RESOLVE, STATUS, what tokens prove, and what a bank does that has forgotten a promise.

use crate::bank::decide::Deciding;
use crate::bank::desk::Waits;
use crate::bank::io::{Asked, AskedVerb, Caller, DoubtCause, Origin, Outcome, Past};
use crate::bank::record::Record;
use crate::bank::state::{Ended, Known, Prepared};
use crate::commit::coordinator::Event;
use crate::commit::token::{Token, Verdict};
use crate::ids::{BankId, Time, TxId};
use crate::limits::UNPROVED_AHEAD_MS_MAX;
use crate::wire::Reason;
use crate::wire::detail::Detail;
use crate::wire::reply::Reply;

/// What COMMIT and ABORT want.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Commit,
    Abort,
}

impl Deciding<'_> {
    /// COMMIT and ABORT: told with tokens that convince, this bank acts at once; told less, it asks.
    pub(super) fn end(
        &mut self,
        caller: Caller,
        origin: Origin,
        tx: &TxId,
        tokens: &[Token],
        past: Option<&Past>,
        wanted: Wanted,
    ) {
        let known = self.bank.known(tx, past);
        if self.forgot(tx, &known, tokens) {
            return;
        }
        match known {
            Known::New => match wanted {
                Wanted::Commit => {
                    let text = Detail::NotVoted.to_string();
                    self.reply(caller, Reply::Doubt(tx.clone(), text), self.bank.seq);
                }
                Wanted::Abort => self.tombstone(caller, tx, Reason::Refused),
            },
            Known::Ended(ended) => {
                let after = ended.seq;
                let reply = self.outcome_reply(tx, &ended);
                self.reply(caller, reply, after);
            }
            Known::Prepared(prepared) if prepared.transaction.has_outside() => {
                self.end_of_outside(caller, origin, tx, prepared, wanted);
            }
            Known::Prepared(prepared) => match self.judge(tx, prepared, tokens) {
                Some((outcome, votes)) => {
                    let own = prepared.own();
                    self.decided(tx, prepared, outcome, votes);
                    let ended = Ended { own, outcome, text: Box::default(), seq: 0, outside: false };
                    let reply = self.outcome_reply(tx, &ended);
                    // Its proof is durable at the others; here the own vote suffices, the record may follow.
                    self.reply(caller, reply, prepared.seq);
                }
                None => {
                    self.ask(tx, prepared, DoubtCause::Asked);
                    if origin == Origin::Link {
                        let text = Detail::NoTokens.to_string();
                        self.reply(caller, Reply::Doubt(tx.clone(), text), 0);
                    } else {
                        self.wait(caller, Waits::Outcome(tx.clone()));
                    }
                }
            },
        }
    }

    /// What tokens from a driver prove: each counts only at its own id, from a bank that the transaction names,
    /// and for a COMMIT only with the digest of these bytes. Any other is as if it had not been given.
    pub(super) fn judge(
        &self,
        tx: &TxId,
        prepared: &Prepared,
        tokens: &[Token],
    ) -> Option<(Outcome, Vec<(BankId, Time)>)> {
        let (transaction, me) = (&prepared.transaction, self.bank.me());
        let mut missing = transaction.banks().without(me);
        let mut time = prepared.time;
        let mut votes = Vec::with_capacity(missing.len());
        for token in tokens {
            let named = token.bank != me && transaction.banks().has(token.bank);
            if !named || !self.bank.identity.seal.proves(tx, token) {
                continue;
            }
            if token.refuses(transaction.digest()) {
                let reason = match token.verdict {
                    Verdict::Ok => Reason::DuplicateId,
                    Verdict::No => Reason::Refused,
                };
                return Some((Outcome::Aborted(*token, reason), vec![(token.bank, token.time)]));
            }
            if missing.has(token.bank) {
                missing = missing.without(token.bank);
                time = time.max(token.time);
                votes.push((token.bank, token.time));
            }
        }
        missing.is_empty().then_some((Outcome::Committed(time), votes))
    }

    pub(super) fn resolve(&mut self, caller: Caller, tx: &TxId, past: Option<&Past>) {
        match self.bank.known(tx, past) {
            Known::New => self.tombstone(caller, tx, Reason::Expired),
            Known::Prepared(prepared) => {
                let token = self.bank.own_token(tx, &prepared.own());
                self.reply(caller, Reply::Ok(tx.clone(), token), prepared.seq);
            }
            Known::Ended(ended) => {
                let reply = self.outcome_reply(tx, &ended);
                self.reply(caller, reply, ended.seq);
            }
        }
    }

    pub(super) fn status(&mut self, caller: Caller, tx: &TxId, past: Option<&Past>) {
        let reply = match self.bank.known(tx, past) {
            Known::New => Reply::Unknown(tx.clone()),
            Known::Prepared(prepared) => Reply::Ok(tx.clone(), self.bank.own_token(tx, &prepared.own())),
            Known::Ended(ended) => self.outcome_reply(tx, &ended),
        };
        self.reply(caller, reply, self.bank.seq);
    }

    /// Records an outcome of a transaction that this bank voted OK on.
    pub fn decided(&mut self, tx: &TxId, prepared: &Prepared, outcome: Outcome, votes: Vec<(BankId, Time)>) {
        if let Outcome::Committed(time) = outcome {
            assert!(time >= prepared.time, "{tx} would commit before this bank's own vote");
            self.clock = self.clock.max(time);
        }
        self.record(Record::Decided { tx: tx.clone(), own: prepared.own(), outcome, votes });
    }

    pub fn outcome_reply(&self, tx: &TxId, ended: &Ended) -> Reply {
        match ended.outcome {
            Outcome::Committed(time) => {
                Reply::Committed(tx.clone(), time, self.bank.own_token(tx, &ended.own))
            }
            Outcome::Aborted(token, reason) => Reply::Aborted(tx.clone(), token, reason),
        }
    }

    /// What peers' answers say about this bank's own votes is looked at like a driver's tokens.
    pub(super) fn answer(&mut self, peer: BankId, asked: &Asked, reply: Option<&Reply>, past: Option<&Past>) {
        let reply = reply.filter(|reply| self.can_be_a_banks(reply));
        let shown = match reply {
            Some(Reply::Aborted(_, token, _) | Reply::Ok(_, token) | Reply::Nok(_, token, ..)) => Some(token),
            Some(_) | None => None,
        };
        let known = self.bank.known(&asked.tx, past);
        if self.forgot(&asked.tx, &known, shown.map_or(&[], std::slice::from_ref)) {
            return;
        }
        match asked.verb {
            AskedVerb::Resolve => self.resolved(peer, &asked.tx, reply),
            AskedVerb::Prepare | AskedVerb::Commit | AskedVerb::Abort => {
                if self.desk.drives.contains_key(&asked.tx) {
                    let event = match reply {
                        Some(reply) => Event::Answered(peer, asked.verb, reply.clone()),
                        None => Event::Lost(peer, asked.verb),
                    };
                    self.drive_event(&asked.tx, event);
                }
            }
        }
    }

    /// Without a key anyone who has got a bank's port answers in its name. All such banks are on one machine, so a time
    /// years past its wall clock is no bank's; believed, it would move this bank's clock to where it can't vote any
    /// more. It counts as silence. With a key banks are trusted, and no commit is refused for its time.
    fn can_be_a_banks(&self, reply: &Reply) -> bool {
        let told = match reply {
            Reply::Ok(_, token) | Reply::Nok(_, token, ..) | Reply::Aborted(_, token, _) => token.time,
            Reply::Committed(_, time, token) => (*time).max(token.time),
            Reply::Doubt(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Bye => return true,
        };
        let ahead_us = i64::try_from(UNPROVED_AHEAD_MS_MAX * 1_000).unwrap_or(i64::MAX);
        self.bank.identity.seal.is_keyed() || told.0 <= self.now.wall_us.saturating_add(ahead_us)
    }

    /// Shown its own valid token for a vote that it does not hold, a bank has forgotten a promise: it stops.
    pub(super) fn forgot(&mut self, tx: &TxId, known: &Known<'_>, tokens: &[Token]) -> bool {
        let own = match known {
            Known::New => None,
            Known::Prepared(prepared) => Some(prepared.own()),
            Known::Ended(ended) => Some(ended.own),
        };
        let me = self.bank.me();
        let held = |token: &Token| {
            own.is_some_and(|own| {
                (own.verdict, own.time, own.digest) == (token.verdict, token.time, token.digest)
            })
        };
        let forgotten = tokens
            .iter()
            .find(|token| token.bank == me && !held(token) && self.bank.identity.seal.proves(tx, token));
        let Some(token) = forgotten else { return false };
        self.stop(&format!(
            "this bank was shown its own valid vote on {tx} of {}, which its journal does not hold",
            token.time
        ));
        true
    }

    /// A peer tells the last vote of this bank that it knows. One later than all that this bank holds is forgotten;
    /// so is one between its last vote before its start and the first one since.
    pub(super) fn peer_knows(&mut self, peer: BankId, time: Time) {
        let own = self.bank.known_votes[self.bank.me().index()];
        let before = self.desk.vote_before;
        if time > own {
            self.stop(&format!(
                "bank {peer} knows of a vote of this bank at {time}, but its journal ends with {own}"
            ));
        } else if let Some(first) = self.desk.first_vote.filter(|first| before < time && time < *first) {
            self.stop(&format!(
                "bank {peer} knows of a vote of this bank at {time}, but it started with its last one at {before}, \
                 and gave its next one at {first}"
            ));
        }
    }

    pub(super) fn stop(&mut self, what: &str) {
        let why = format!(
            "{what}: it forgot a promise (restored from an old copy, or wiped while its key lived on). \
             Put its newest journal back, or found a new consortium with a new key"
        );
        self.record(Record::Stopped { why });
    }
}
