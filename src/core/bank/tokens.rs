//! The tokens that a bank makes, and the statements of other banks that it accepts.

use crate::bank::io::{KnownVote, Outcome, OwnVote};
use crate::bank::state::Bank;
use crate::commit::founding::Meeting;
use crate::ids::{BankId, TxId};
use crate::wire::reading::Reading;
use crate::wire::token::{Token, TokenKind, Vote};

impl Bank {
    /// The token of a vote of this bank.
    pub(super) fn own_token(&self, tx: &TxId, own: &OwnVote) -> Token {
        self.identity.seal.token(self.me(), own.vote, tx, own.digest, own.time)
    }

    /// Is it a valid statement of a bank of this consortium?
    pub(super) fn proves_reading(&self, reading: &Reading) -> bool {
        self.members.has(reading.bank) && self.identity.seal.proves_reading(reading)
    }

    /// Is it a valid statement of another bank of this consortium, about this bank?
    pub(super) fn proves_meeting(&self, meeting: &Meeting) -> bool {
        let by_another = self.members.without(self.me()).has(meeting.by);
        by_another && meeting.bank == self.me() && self.identity.seal.proves_meeting(meeting)
    }

    /// This bank's statement of the outcome of a transaction that it holds OK on: `C` or `A`. It is
    /// made for each reply, and so always with the newest key. A bank that refused needs no
    /// statement: its vote is enough.
    pub(super) fn own_statement(
        &self,
        tx: &TxId,
        own: &OwnVote,
        outcome: &Outcome,
    ) -> Option<Token> {
        let (kind, time) = match outcome {
            Outcome::Committed(time) => (TokenKind::Committed, *time),
            Outcome::Aborted(..) => (TokenKind::Aborted, own.time),
        };
        let holds_ok = own.vote == Vote::Ok;
        holds_ok.then(|| self.identity.seal.token(self.me(), kind, tx, own.digest, time))
    }

    /// The token of another bank's vote, with the MAC that it would have.
    pub(super) fn token_of(&self, bank: BankId, known: &KnownVote) -> Token {
        let KnownVote { tx, vote } = known;
        self.identity.seal.token(bank, vote.vote, tx, vote.digest, vote.time)
    }
}
