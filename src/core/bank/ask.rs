//! Termination: a bank in doubt asks the other named banks, so any bank can finish the transaction.
//!
//! A bank that has not voted refuses permanently when it is asked, so every answer helps
//! (Bernstein, Hadzilacos & Goodman, ch. 7, with the votes as the decision). Only a bank that is
//! down and may have voted OK leaves the transaction in doubt.

use crate::bank::Change;
use crate::bank::decide::Deciding;
use crate::bank::io::{After, CoreStep, DoubtCause, Outcome};
use crate::bank::known::Prepared;
use crate::commit::message::Message;
use crate::commit::proof::{self, Proof};
use crate::ids::{BankId, BankSet, TxId};
use crate::limits::{BACKOFF_MS_MAX, QUESTIONS_UNDER_WAY_MAX};
use crate::wire::detail::{Banks, Detail};
use crate::wire::reply::Reply;
use crate::wire::token::Token;

impl Deciding<'_> {
    /// Starts to ask the other banks about an undecided transaction, unless that has already
    /// started. A transaction of this bank alone needs no other OK.
    pub(super) fn ask(&mut self, tx: &TxId, prepared: &Prepared, cause: DoubtCause) {
        let others = self.others(&prepared.transaction);
        let in_doubt = self.volatile.in_doubt.get(tx);
        if in_doubt.is_some_and(|in_doubt| in_doubt.asking) || !self.asked.insert(tx.clone()) {
            return;
        }
        if in_doubt.is_none() {
            self.change(Change::InDoubt(tx.clone(), self.restored_in_doubt(prepared)));
        }
        if prepared.transaction.has_outside() {
            // This bank can't ask the outside coordinator, and its own OK alone decides nothing.
            return;
        }
        self.out.steps.push(CoreStep::Doubt(tx.clone(), cause));
        if others.is_empty() {
            self.decided(tx, prepared, Outcome::Committed(prepared.time), Vec::new());
        } else {
            self.change(Change::Ask(tx.clone(), others));
        }
    }

    /// Sends questions to every peer whose link is open: the oldest first, a bounded number at a
    /// time.
    pub(super) fn put_questions(&mut self) {
        for (position, peer) in self.volatile.peers.iter().enumerate() {
            let Some(bank) = BankId::new(position) else { continue };
            if !peer.can_ask() || peer.paused_until_us > self.now.mono_us {
                continue;
            }
            let room = QUESTIONS_UNDER_WAY_MAX.saturating_sub(peer.under_way.len());
            for (time, tx) in peer.questions.iter().take(room) {
                self.change(Change::Questioned(bank, tx.clone(), *time));
                self.send(bank, Message::Resolve(tx.clone()), After::Now);
            }
        }
    }

    /// Processes a peer's answer to RESOLVE; `reply` is `None` if it can't answer.
    pub(super) fn resolved(
        &mut self,
        peer: BankId,
        tx: &TxId,
        reply: Option<&Reply>,
        tokens: &[Token],
    ) {
        let again = Some(self.now.mono_us + BACKOFF_MS_MAX * 1_000);
        let asked_about = |prepared: &&Prepared| !prepared.transaction.has_outside();
        let Some(prepared) = self.bank.undecided.get(tx).filter(asked_about) else {
            self.change(Change::Answered(peer, tx.clone(), None));
            return;
        };
        let before = self.volatile.in_doubt.get(tx).map_or(&[][..], |in_doubt| &in_doubt.granted);
        let inquiry = self.inquiry(tx, prepared);
        let answer = inquiry.proof(tokens.iter().copied());
        let (outcome, votes, known) = match inquiry.proof(before.iter().chain(tokens).copied()) {
            Proof::Committed { time, votes, statement } => {
                let times = votes.iter().map(|vote| (vote.bank, vote.time)).collect();
                (Outcome::Committed(time), times, (votes, statement))
            }
            Proof::Aborted { token, votes } => {
                let outcome = Outcome::Aborted(token, proof::reason_of(reply, &token));
                (outcome, votes, (Vec::new(), None))
            }
            Proof::Granted(granted) => {
                let has_own = granted.iter().any(|vote| vote.bank == peer);
                for vote in granted.into_iter().filter(|vote| !before.contains(vote)) {
                    self.change(Change::Granted(tx.clone(), vote));
                }
                self.change(Change::Answered(peer, tx.clone(), again.filter(|_| !has_own)));
                return self.fault_of(answer, peer, tx, tokens);
            }
            Proof::Nothing => {
                self.change(Change::Answered(peer, tx.clone(), again));
                return self.fault_of(answer, peer, tx, tokens);
            }
        };
        self.change(Change::Answered(peer, tx.clone(), None));
        self.decided(tx, prepared, outcome, votes);
        self.pass_on(tx, prepared, outcome, known, peer);
    }

    /// Closes the link if the answer has tokens and none of them proves anything. An answer without
    /// tokens is no fault.
    fn fault_of(&mut self, answer: Proof, peer: BankId, tx: &TxId, tokens: &[Token]) {
        if answer == Proof::Nothing && !tokens.is_empty() {
            self.unproved(peer, tx);
        }
    }

    /// Sends an outcome that was learned by asking on to the other banks, with its proof: all
    /// votes, the vote that refused, or this bank's own statement.
    fn pass_on(
        &mut self,
        tx: &TxId,
        prepared: &Prepared,
        outcome: Outcome,
        (mut known, statement): (Vec<Token>, Option<Token>),
        from: BankId,
    ) {
        let own = prepared.own();
        let own_statement = self.bank.own_statement(tx, &own, &outcome);
        known.push(self.bank.own_token(tx, &own));
        known.extend(own_statement.filter(|_| statement.is_some()));
        let after = self.decision();
        for bank in self.others(&prepared.transaction).iter() {
            let message = match outcome {
                Outcome::Committed(_) => Message::Commit(tx.clone(), known.clone()),
                // To the bank whose token it is, that token proves nothing new; and if it holds OK
                // on other bytes, it may be in doubt about those.
                Outcome::Aborted(token, _) if bank == token.bank && !token.is_refusal() => {
                    Message::Abort(tx.clone(), own_statement)
                }
                // The bank that sent the outcome knows it, and so does the one that refused.
                Outcome::Aborted(token, _) if bank == from || bank == token.bank => continue,
                Outcome::Aborted(token, _) => Message::Abort(tx.clone(), Some(token)),
            };
            self.send(bank, message, after);
        }
    }

    /// The banks that keep a transaction undecided here: those without a known OK.
    pub(super) fn waiting_for(&self, tx: &TxId, prepared: &Prepared) -> BankSet {
        let granted = self.volatile.in_doubt.get(tx).map_or(&[][..], |in_doubt| &in_doubt.granted);
        let granted: BankSet = granted.iter().map(|token| token.bank).collect();
        self.others(&prepared.transaction).minus(granted)
    }

    /// The text of DOUBT: which banks did not answer.
    pub(super) fn doubt_text(&self, tx: &TxId) -> String {
        let silent = match self.bank.undecided.get(tx) {
            Some(prepared) => self.waiting_for(tx, prepared),
            None => match self.volatile.drives.get(tx) {
                Some(drive) => self.others(drive.coordinator.transaction()),
                None => BankSet::EMPTY,
            },
        };
        Detail::NoAnswer { banks: Banks(silent) }.to_string()
    }
}
