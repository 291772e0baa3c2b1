//! What a bank says by tokens, and what it believes of the statements of others.

use crate::bank::io::{KnownVote, Outcome, OwnVote};
use crate::bank::state::Bank;
use crate::commit::founding::Meeting;
use crate::ids::{BankId, TxId};
use crate::wire::reading::Reading;
use crate::wire::token::{Said, Token, Verdict};

impl Bank {
    /// The token of a vote of this bank.
    pub(super) fn own_token(&self, tx: &TxId, own: &OwnVote) -> Token {
        self.identity.seal.token(self.me(), own.verdict, tx, own.digest, own.time)
    }

    /// Is it the statement of a bank of this consortium?
    pub(super) fn proves_reading(&self, reading: &Reading) -> bool {
        self.members.has(reading.bank) && self.identity.seal.proves_reading(reading)
    }

    /// Is it the statement of another bank of this consortium, about this bank?
    pub(super) fn proves_meeting(&self, meeting: &Meeting) -> bool {
        let by_another = self.members.without(self.me()).has(meeting.by);
        by_another && meeting.bank == self.me() && self.identity.seal.proves_meeting(meeting)
    }

    /// What this bank states of the outcome of a transaction that it holds OK on: `C` or `A`. Made
    /// anew for each answer, so always under the newest key. A bank that refused needs no
    /// statement: its vote says it all.
    pub(super) fn own_statement(
        &self,
        tx: &TxId,
        own: &OwnVote,
        outcome: &Outcome,
    ) -> Option<Token> {
        let (said, time) = match outcome {
            Outcome::Committed(time) => (Said::Committed, *time),
            Outcome::Aborted(..) => (Said::Aborted, own.time),
        };
        let holds_ok = own.verdict == Verdict::Ok;
        holds_ok.then(|| self.identity.seal.token(self.me(), said, tx, own.digest, time))
    }

    /// The token of another bank's vote, sealed as it would.
    pub(super) fn token_of(&self, bank: BankId, known: &KnownVote) -> Token {
        let KnownVote { tx, vote } = known;
        self.identity.seal.token(bank, vote.verdict, tx, vote.digest, vote.time)
    }
}
