//! Termination: a bank in doubt asks the other named banks, and any bank can finish the transaction.
//!
//! Each bank that has not voted refuses for ever when it is asked, so an answer always helps (Bernstein, Hadzilacos &
//! Goodman, ch. 7, with the votes as the decision). Only a bank that is down, and may have voted OK, keeps a doubt.

use crate::bank::Note;
use crate::bank::decide::Deciding;
use crate::bank::io::{CoreStep, DoubtCause, Message, Outcome};
use crate::bank::state::Prepared;
use crate::commit::token::Token;
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::limits::{BACKOFF_MS_MAX, QUESTIONS_UNDER_WAY_MAX};
use crate::wire::Reason;
use crate::wire::detail::{Banks, Detail};
use crate::wire::reply::Reply;

impl Deciding<'_> {
    /// Begins to ask about an undecided transaction, unless that goes on already. A transaction of this bank alone
    /// has every OK it needs.
    pub fn ask(&mut self, tx: &TxId, prepared: &Prepared, cause: DoubtCause) {
        let others = self.others(&prepared.transaction);
        let watch = self.desk.watches.get(tx);
        if watch.is_some_and(|watch| watch.asking) || !self.asked.insert(tx.clone()) {
            return;
        }
        if watch.is_none() {
            self.note(Note::Watch(tx.clone(), self.restored_watch(prepared)));
        }
        if prepared.transaction.has_outside() {
            return; // Nobody knows what its coordinator will say, and this bank's OK alone decides nothing.
        }
        self.out.steps.push(CoreStep::Doubt(tx.clone(), cause));
        if others.is_empty() {
            self.decided(tx, prepared, Outcome::Committed(prepared.time), Vec::new());
        } else {
            self.note(Note::Ask(tx.clone(), others));
        }
    }

    /// Sends questions to every peer whose link is open: the oldest first, a bounded number under way.
    pub fn put_questions(&mut self) {
        for (position, peer) in self.desk.peers.iter().enumerate() {
            let Some(bank) = BankId::new(position) else { continue };
            if !peer.can_ask() || peer.paused_until_us > self.now.mono_us {
                continue;
            }
            let room = QUESTIONS_UNDER_WAY_MAX.saturating_sub(peer.under_way.len());
            for (time, tx) in peer.questions.iter().take(room) {
                self.note(Note::Questioned(bank, tx.clone(), *time));
                self.send(bank, Message::Resolve(tx.clone()), 0);
            }
        }
    }

    /// A peer answered RESOLVE, or can't.
    pub fn resolved(&mut self, peer: BankId, tx: &TxId, reply: Option<&Reply>) {
        let again = Some(self.now.mono_us + BACKOFF_MS_MAX * 1_000);
        let asked_about = |prepared: &&Prepared| !prepared.transaction.has_outside();
        let Some(prepared) = self.bank.undecided.get(tx).filter(asked_about) else {
            self.note(Note::Answered(peer, tx.clone(), None));
            return;
        };
        let digest = prepared.transaction.digest();
        let learned = match reply {
            Some(Reply::Ok(_, token)) if token.bank == peer && token.grants(digest) => {
                self.granted(peer, tx, prepared, *token);
                return;
            }
            Some(Reply::Committed(_, time, token)) if token.bank == peer && token.grants(digest) => {
                // The time is the greatest of all votes: less than one of them is no answer.
                let possible = *time >= prepared.time.max(token.time) && *time <= Time::MAX;
                possible.then(|| (Outcome::Committed(*time), vec![*token]))
            }
            // An OK on other bytes: that bank can never vote OK on ours.
            Some(Reply::Ok(_, token) | Reply::Committed(_, _, token)) if token.bank == peer => {
                Some((Outcome::Aborted(*token, Reason::DuplicateId), vec![*token]))
            }
            // A bank that was asked and says ABORTED refuses for ever, whatever token it carries.
            Some(Reply::Aborted(_, token, reason)) => Some((Outcome::Aborted(*token, *reason), vec![*token])),
            Some(
                Reply::Ok(..)
                | Reply::Committed(..)
                | Reply::Nok(..)
                | Reply::Doubt(..)
                | Reply::Unknown(_)
                | Reply::Done(_)
                | Reply::Refused(..)
                | Reply::Err(..)
                | Reply::Pong
                | Reply::Bye,
            )
            | None => None,
        };
        match learned {
            Some((outcome, tokens)) => {
                self.note(Note::Answered(peer, tx.clone(), None));
                self.learned(tx, prepared, outcome, &tokens, peer);
            }
            None => self.note(Note::Answered(peer, tx.clone(), again)),
        }
    }

    /// A peer holds an OK on these bytes. With all of them the transaction is committed.
    fn granted(&mut self, peer: BankId, tx: &TxId, prepared: &Prepared, token: Token) {
        self.note(Note::Answered(peer, tx.clone(), None));
        let before = self.desk.watches.get(tx).map_or(&[][..], |watch| &watch.granted);
        let mut tokens: Vec<Token> = before.iter().filter(|known| known.bank != peer).copied().collect();
        tokens.push(token);
        let granted: BankSet = tokens.iter().map(|token| token.bank).collect();
        if self.others(&prepared.transaction).minus(granted).is_empty() {
            let time = tokens.iter().map(|token| token.time).fold(prepared.time, Time::max);
            self.learned(tx, prepared, Outcome::Committed(time), &tokens, peer);
        } else {
            self.note(Note::Granted(tx.clone(), token));
        }
    }

    /// An outcome learned by asking is recorded, and sent on to the others with what proves it.
    fn learned(&mut self, tx: &TxId, prepared: &Prepared, outcome: Outcome, tokens: &[Token], from: BankId) {
        let me = self.bank.me();
        let votes = tokens.iter().filter(|token| token.bank != me).map(|token| (token.bank, token.time));
        self.decided(tx, prepared, outcome, votes.collect());
        let after = self.last_seq();
        for bank in self.others(&prepared.transaction).iter() {
            let message = match outcome {
                Outcome::Committed(_) => {
                    let mut all = tokens.to_vec();
                    all.push(self.bank.own_token(tx, &prepared.own()));
                    Message::Commit(tx.clone(), all)
                }
                // Who told it knows it.
                Outcome::Aborted(..) if bank == from => continue,
                Outcome::Aborted(token, _) => Message::Abort(tx.clone(), Some(token)),
            };
            self.send(bank, message, after);
        }
    }

    /// The banks that keep a transaction undecided here: no OK of theirs is known.
    pub fn waiting_for(&self, tx: &TxId, prepared: &Prepared) -> BankSet {
        let granted = self.desk.watches.get(tx).map_or(&[][..], |watch| &watch.granted);
        let granted: BankSet = granted.iter().map(|token| token.bank).collect();
        self.others(&prepared.transaction).minus(granted)
    }

    /// Why a transaction is not known yet, for people.
    pub fn doubt_text(&self, tx: &TxId) -> String {
        let silent = match self.bank.undecided.get(tx) {
            Some(prepared) => self.waiting_for(tx, prepared),
            None => match self.desk.drives.get(tx) {
                Some(drive) => self.others(drive.coordinator.transaction()),
                None => BankSet::EMPTY,
            },
        };
        Detail::NoAnswer { banks: Banks(silent) }.to_string()
    }
}
