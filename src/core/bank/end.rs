//! COMMIT, ABORT, RESOLVE, STATUS: what tokens prove about a transaction, and what a bank does that
//! has forgotten a vote.

use crate::access::Principal;
use crate::bank::decide::Deciding;
use crate::bank::io::{After, Caller, CoreStep, DoubtCause, Origin, Outcome, Past};
use crate::bank::known::{Ended, Known, Prepared};
use crate::bank::record::Record;
use crate::bank::volatile::Waits;
use crate::commit::message::{PeerVerb, RequestKey};
use crate::commit::proof::{self, Inquiry, Proof};
use crate::ids::{BankId, Time, TxId};
use crate::wire::Reason;
use crate::wire::detail::Detail;
use crate::wire::reply::Reply;
use crate::wire::token::Token;

/// What a request about a transaction's end asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Requested {
    Commit,
    Abort,
}

/// A COMMIT or ABORT, as it arrived.
#[derive(Clone, Copy)]
pub(super) struct EndRequest {
    pub origin: Origin,
    pub requested: Requested,
    /// Whether its tokens must prove the outcome, because it comes from somebody who may not end
    /// the transaction. Then this bank asks nobody: a bank that has not voted refuses when it is
    /// asked.
    pub needs_proof: bool,
}

impl Deciding<'_> {
    /// COMMIT and ABORT: if the tokens prove the outcome, this bank acts at once; else it asks the
    /// other banks.
    pub(super) fn end(
        &mut self,
        caller: Caller,
        asker: &Principal,
        tx: &TxId,
        tokens: &[Token],
        past: Option<&Past>,
        request: EndRequest,
    ) {
        let EndRequest { origin, requested, needs_proof } = request;
        let known = self.bank.known(tx, past);
        if self.forgot(tx, &known, tokens) {
            return;
        }
        match known {
            // What tokens prove depends on the bytes that this bank voted on.
            Known::New if needs_proof => self.without_proof(caller, asker, tx, requested),
            Known::New => match requested {
                Requested::Commit => {
                    let text = Detail::NotVoted.to_string();
                    self.reply(caller, Reply::Doubt(tx.clone(), text), self.newest());
                }
                Requested::Abort
                    if origin == Origin::Client && self.answer_for_driven(caller, tx) => {}
                Requested::Abort => self.tombstone(caller, tx, Reason::Refused),
            },
            Known::Ended(_) if needs_proof && !self.proves_one(tx, tokens) => {
                self.without_proof(caller, asker, tx, requested);
            }
            Known::Ended(ended) => {
                let after = ended.after;
                let reply = self.outcome_reply(tx, &ended);
                self.reply(caller, reply, after);
            }
            // No token proves the vote of an outside coordinator.
            Known::Prepared(prepared) if needs_proof && prepared.transaction.has_outside() => {
                self.without_proof(caller, asker, tx, requested);
            }
            Known::Prepared(prepared) if prepared.transaction.has_outside() => {
                self.end_of_outside(caller, origin, tx, prepared, requested);
            }
            Known::Prepared(prepared) => match self.judge(tx, prepared, tokens) {
                Some((outcome, votes)) => {
                    let own = prepared.own();
                    self.decided(tx, prepared, outcome, votes);
                    let ended = Ended {
                        own,
                        outcome,
                        text: Box::default(),
                        after: After::Now,
                        outside: false,
                    };
                    let reply = self.outcome_reply(tx, &ended);
                    // The other banks hold the durable proof, so the record of the own vote is
                    // enough; that of the outcome may follow.
                    self.reply(caller, reply, After::Record(prepared.seq));
                }
                None if needs_proof => self.without_proof(caller, asker, tx, requested),
                None => {
                    self.ask(tx, prepared, DoubtCause::Asked);
                    if origin == Origin::Link {
                        let text = Detail::NoTokens.to_string();
                        self.reply(caller, Reply::Doubt(tx.clone(), text), After::Now);
                    } else {
                        self.wait(caller, Waits::Outcome(tx.clone()));
                    }
                }
            },
        }
    }

    /// Replies to a COMMIT or ABORT of a stranger whose tokens prove nothing. The reply is the same
    /// whatever this bank knows.
    fn without_proof(
        &mut self,
        caller: Caller,
        asker: &Principal,
        tx: &TxId,
        requested: Requested,
    ) {
        match requested {
            Requested::Commit => {
                let text = Detail::NoProof.to_string();
                self.reply(caller, Reply::Doubt(tx.clone(), text), After::Now);
            }
            Requested::Abort => self.not_owner(caller, asker, tx),
        }
    }

    /// Is one of these tokens valid for `tx`? Only its owner and those whom the owner told have
    /// one, and they may be told how it ended.
    fn proves_one(&self, tx: &TxId, tokens: &[Token]) -> bool {
        tokens.iter().any(|token| self.bank.identity.seal.proves(tx, token))
    }

    /// The outcome that a driver's tokens prove. A token that proves nothing is ignored.
    pub(super) fn judge(
        &self,
        tx: &TxId,
        prepared: &Prepared,
        tokens: &[Token],
    ) -> Option<(Outcome, Vec<(BankId, Time)>)> {
        match self.inquiry(tx, prepared).proof(tokens.iter().copied()) {
            Proof::Committed { time, votes, .. } => Some((
                Outcome::Committed(time),
                votes.iter().map(|vote| (vote.bank, vote.time)).collect(),
            )),
            Proof::Aborted { token, votes } => {
                Some((Outcome::Aborted(token, proof::reason_of(None, &token)), votes))
            }
            Proof::Granted(_) | Proof::Nothing => None,
        }
    }

    /// The transaction as this bank, which voted OK on it, verifies tokens about it.
    pub(super) fn inquiry<'b>(&'b self, tx: &'b TxId, prepared: &'b Prepared) -> Inquiry<'b> {
        Inquiry {
            seal: &self.bank.identity.seal,
            me: self.bank.me(),
            tx,
            named: prepared.transaction.banks(),
            digest: prepared.transaction.digest(),
            own_vote: Some(prepared.time),
        }
    }

    pub(super) fn resolve(
        &mut self,
        caller: Caller,
        origin: Origin,
        tx: &TxId,
        past: Option<&Past>,
    ) {
        match self.bank.known(tx, past) {
            Known::New if origin == Origin::Client && self.answer_for_driven(caller, tx) => {}
            Known::New => self.tombstone(caller, tx, Reason::Expired),
            Known::Prepared(prepared) => {
                let token = self.bank.own_token(tx, &prepared.own());
                self.reply(caller, Reply::Ok(tx.clone(), token), After::Record(prepared.seq));
            }
            Known::Ended(ended) => {
                let reply = self.outcome_reply(tx, &ended);
                self.reply(caller, reply, ended.after);
            }
        }
    }

    pub(super) fn status(&mut self, caller: Caller, tx: &TxId, past: Option<&Past>) {
        let reply = match self.bank.known(tx, past) {
            Known::New => Reply::Unknown(tx.clone()),
            Known::Prepared(prepared) => {
                Reply::Ok(tx.clone(), self.bank.own_token(tx, &prepared.own()))
            }
            Known::Ended(ended) => self.outcome_reply(tx, &ended),
        };
        self.reply(caller, reply, self.newest());
    }

    /// Records the outcome of a transaction that this bank voted OK on.
    pub(super) fn decided(
        &mut self,
        tx: &TxId,
        prepared: &Prepared,
        outcome: Outcome,
        votes: Vec<(BankId, Time)>,
    ) {
        if let Outcome::Committed(time) = outcome {
            assert!(time >= prepared.time, "{tx} would commit before this bank's own vote");
            self.clock = self.clock.max(time);
        }
        self.record(Record::Decided { tx: tx.clone(), own: prepared.own(), outcome, votes });
    }

    /// The reply for an outcome, with a statement for banks that have not seen all votes.
    pub(crate) fn outcome_reply(&self, tx: &TxId, ended: &Ended) -> Reply {
        let statement = self.bank.own_statement(tx, &ended.own, &ended.outcome);
        match ended.outcome {
            Outcome::Committed(time) => {
                Reply::Committed(tx.clone(), time, self.bank.own_token(tx, &ended.own), statement)
            }
            Outcome::Aborted(token, reason) => Reply::Aborted(tx.clone(), token, reason, statement),
        }
    }

    /// Processes a peer's answer. Tokens of this bank in it are checked like those from a driver.
    pub(super) fn answer(
        &mut self,
        peer: BankId,
        asked: &RequestKey,
        reply: Option<&Reply>,
        past: Option<&Past>,
    ) {
        if asked.verb == PeerVerb::Registers {
            return self.registers_answered(peer, &asked.tx, reply);
        }
        let tokens = reply.map(proof::tokens_of).unwrap_or_default();
        let known = self.bank.known(&asked.tx, past);
        if self.forgot(&asked.tx, &known, &tokens) {
            return;
        }
        match asked.verb {
            PeerVerb::Resolve => self.resolved(peer, &asked.tx, reply, &tokens),
            PeerVerb::Prepare | PeerVerb::Commit | PeerVerb::Abort => {
                self.drive_answered(peer, asked, reply, &tokens);
            }
            PeerVerb::Registers => {}
        }
    }

    /// Closes the link to a peer whose answer has tokens that prove nothing about the id: the key
    /// differs, or the link is tampered with. The answer counts as none.
    pub(super) fn unproved(&mut self, peer: BankId, tx: &TxId) {
        self.out.steps.push(CoreStep::Unproved(tx.clone(), peer));
    }

    /// Checks `tokens` for a valid vote of this bank that its journal does not hold: then it has
    /// forgotten a vote, and stops.
    pub(super) fn forgot(&mut self, tx: &TxId, known: &Known<'_>, tokens: &[Token]) -> bool {
        let own = match known {
            Known::New => None,
            Known::Prepared(prepared) => Some(prepared.own()),
            Known::Ended(ended) => Some(ended.own),
        };
        let own = own.map(|own| (own.vote, own.time, own.digest));
        let (seal, me) = (&self.bank.identity.seal, self.bank.me());
        let Some(token) = proof::forgotten(seal, me, tx, own, tokens) else { return false };
        self.stop(&format!(
            "this bank was shown its own valid vote on {tx} of {}, which its journal does not hold",
            token.time
        ));
        true
    }

    /// Checks a vote of this bank that a peer sent. An invalid token changes nothing.
    pub(super) fn peer_shows(&mut self, tx: &TxId, token: &Token, past: Option<&Past>) {
        let known = self.bank.known(tx, past);
        self.forgot(tx, &known, std::slice::from_ref(token));
    }

    pub(super) fn stop(&mut self, what: &str) {
        let why = format!(
            "{what}: it forgot a promise (restored from an old copy, or wiped while its key lived \
             on). \
             Put its newest journal back, or found a new consortium with a new key"
        );
        self.record(Record::Stopped { why });
    }
}
