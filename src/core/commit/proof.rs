//! What tokens prove: the only function that decides it, for a bank in doubt, for a driving bank,
//! for COMMIT and for ABORT.
//!
//! Only tokens are evidence: neither the first word of a reply, nor the id, the number or the
//! reason in it, none of which has a MAC. A token counts if the transaction names its bank and its
//! MAC is valid for the id in question. So bytes that are altered between two banks can at most
//! make an answer count as none.

use crate::ids::{BankId, BankSet, Time, TxId};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Seal, Token, TokenKind, Vote};

/// The transaction that tokens are about, as the verifying bank knows it.
#[derive(Debug, Clone, Copy)]
pub struct Inquiry<'a> {
    /// The seal with the consortium's key.
    pub seal: &'a Seal,
    /// The bank that verifies the tokens.
    pub me: BankId,
    /// The id of the transaction.
    pub tx: &'a TxId,
    /// The banks that its bytes name.
    pub named: BankSet,
    /// The digest of its bytes.
    pub digest: &'a Digest,
    /// When this bank voted OK on these bytes; `None` if it has not.
    pub own_vote: Option<Time>,
}

/// What tokens prove about a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Every named bank holds OK on these bytes.
    Committed {
        /// The time of the commit.
        time: Time,
        /// The votes among the tokens.
        votes: Vec<Token>,
        /// The statement of the commit, if not all votes are among the tokens.
        statement: Option<Token>,
    },
    /// A named bank can never vote OK on these bytes, or states that they are aborted.
    Aborted {
        /// The vote that refuses if it is known, else the statement. It proves the abort to every
        /// bank.
        token: Token,
        /// Votes of other banks on these bytes or on no bytes, with their times.
        votes: Vec<(BankId, Time)>,
    },
    /// These banks hold OK on these bytes, with one token each.
    Granted(Vec<Token>),
    /// The tokens prove nothing.
    Nothing,
}

impl Inquiry<'_> {
    /// Evaluates all `tokens` together.
    pub fn proof(&self, tokens: impl IntoIterator<Item = Token>) -> Proof {
        let counts = |token: &Token| {
            token.bank != self.me && self.named.has(token.bank) && self.seal.proves(self.tx, token)
        };
        let mut granted: Vec<Token> = Vec::new();
        let (mut refusal, mut aborted, mut committed) = (None, None, None);
        for token in tokens.into_iter().filter(counts) {
            if token.refuses(self.digest) {
                refusal = refusal.or(Some(self.vote_of(token)));
                continue;
            }
            match token.kind {
                TokenKind::Committed if self.may_commit_at(token.time) => {
                    committed = committed.or(Some(token))
                }
                TokenKind::Aborted => aborted = aborted.or(Some(token)),
                TokenKind::Ok | TokenKind::No | TokenKind::Committed => {}
            }
            let vote = self.vote_of(token);
            if vote.kind == TokenKind::Ok && granted.iter().all(|other| other.bank != vote.bank) {
                granted.push(vote);
            }
        }
        if let Some(token) = refusal.or(aborted) {
            let mut votes: Vec<(BankId, Time)> =
                granted.iter().filter(|vote| vote.bank != token.bank).map(bank_and_time).collect();
            votes.extend(token.vote_time().map(|time| (token.bank, time)));
            return Proof::Aborted { token, votes };
        }
        let others = self.named.without(self.me);
        let evidence: BankSet = granted.iter().map(|token| token.bank).collect();
        if others.minus(evidence).is_empty() && (self.own_vote.is_some() || others == self.named) {
            let time = granted.iter().map(|token| token.time).chain(self.own_vote).max();
            return Proof::Committed {
                time: time.unwrap_or_default(),
                votes: granted,
                statement: None,
            };
        }
        match committed {
            Some(statement) => Proof::Committed {
                time: statement.time,
                votes: granted,
                statement: Some(statement),
            },
            None if granted.is_empty() => Proof::Nothing,
            None => Proof::Granted(granted),
        }
    }

    /// A named bank that has not voted OK knows that it is not committed; one that has, that it is
    /// not committed before its vote.
    fn may_commit_at(&self, time: Time) -> bool {
        match self.own_vote {
            Some(own) => time >= own,
            None => !self.named.has(self.me),
        }
    }

    /// The vote that a statement implies, with its bank's MAC: an `A` contains all of it.
    fn vote_of(&self, token: Token) -> Token {
        match token.kind {
            TokenKind::Aborted => {
                self.seal.token(token.bank, Vote::Ok, self.tx, token.digest, token.time)
            }
            TokenKind::Ok | TokenKind::No | TokenKind::Committed => token,
        }
    }
}

fn bank_and_time(vote: &Token) -> (BankId, Time) {
    (vote.bank, vote.time)
}

/// A vote of this bank that its journal does not hold, if `tokens` contain one. `own` is the vote
/// that the journal holds. A `C` or `A` is compared by its vote only, because it may be sent before
/// the record of the outcome is durable.
pub fn forgotten(
    seal: &Seal,
    me: BankId,
    tx: &TxId,
    own: Option<(Vote, Time, Option<Digest>)>,
    tokens: &[Token],
) -> Option<Token> {
    let held = |token: &Token| {
        own.is_some_and(|(own_vote, time, digest)| {
            let vote = match token.kind {
                TokenKind::No => Vote::No,
                TokenKind::Ok | TokenKind::Committed | TokenKind::Aborted => Vote::Ok,
            };
            let same_time = token.vote_time().is_none_or(|proved| proved == time);
            own_vote == vote && same_time && digest == token.digest
        })
    };
    let is_forgotten = |token: &&Token| token.bank == me && !held(token) && seal.proves(tx, token);
    tokens.iter().find(is_forgotten).copied()
}

/// The tokens that a reply contains.
pub fn tokens_of(reply: &Reply) -> Vec<Token> {
    match reply {
        Reply::Ok(_, token) | Reply::Nok(_, token, ..) => vec![*token],
        Reply::Committed(_, _, token, statement) | Reply::Aborted(_, token, _, statement) => {
            std::iter::once(*token).chain(*statement).collect()
        }
        Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Err(..)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye => Vec::new(),
    }
}

/// The reason of an abort: the one in the reply if it has one, else what the token implies.
pub fn reason_of(reply: Option<&Reply>, token: &Token) -> Reason {
    match (reply, token.kind) {
        (Some(Reply::Aborted(_, _, reason, _) | Reply::Nok(_, _, reason, _)), _) => *reason,
        (_, TokenKind::No | TokenKind::Aborted) => Reason::Refused,
        (_, TokenKind::Ok | TokenKind::Committed) => Reason::DuplicateId,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: Digest = Digest([5; 32]);

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    /// What tokens on these bytes prove to bank 0 of three, which voted OK at `own_vote`.
    fn proof(own_vote: Option<i64>, evidence: &[(usize, TokenKind, i64)]) -> (Proof, Vec<Token>) {
        let (seal, tx) = (Seal::keyed([7; 32]), TxId::new("t1").unwrap());
        let ok = |of: usize, time| seal.token(bank(of), Vote::Ok, &tx, Some(DIGEST), Time(time));
        let token = |(of, kind, time): &(usize, TokenKind, i64)| match kind {
            TokenKind::Ok => ok(*of, *time),
            TokenKind::No => seal.token(bank(*of), Vote::No, &tx, Some(DIGEST), Time(*time)),
            TokenKind::Committed | TokenKind::Aborted => {
                seal.token(bank(*of), *kind, &tx, Some(DIGEST), Time(*time))
            }
        };
        let tokens: Vec<Token> = evidence.iter().map(token).collect();
        let inquiry = Inquiry {
            seal: &seal,
            me: bank(0),
            tx: &tx,
            named: (0..3).map(bank).collect(),
            digest: &DIGEST,
            own_vote: own_vote.map(Time),
        };
        (inquiry.proof(tokens.iter().copied()), tokens)
    }

    #[test]
    fn two_tokens_of_one_vote_count_once() {
        let (proved, tokens) = proof(Some(3), &[(1, TokenKind::Ok, 4), (1, TokenKind::Ok, 4)]);
        assert_eq!(proved, Proof::Granted(tokens[..1].to_vec()));
        let (proved, tokens) =
            proof(Some(3), &[(1, TokenKind::Ok, 4), (1, TokenKind::Ok, 4), (2, TokenKind::Ok, 6)]);
        let votes = vec![tokens[0], tokens[2]];
        assert_eq!(proved, Proof::Committed { time: Time(6), votes, statement: None });
        let (proved, _) =
            proof(Some(3), &[(1, TokenKind::Ok, 4), (1, TokenKind::Ok, 4), (2, TokenKind::No, 6)]);
        let Proof::Aborted { votes, .. } = proved else { panic!("{proved:?}") };
        assert_eq!(votes, [(bank(1), Time(4)), (bank(2), Time(6))]);
    }

    /// The statement of a commit is no vote: its time is the commit's, and a bank whose own vote
    /// contradicts it does not accept it.
    #[test]
    fn a_statement_of_a_commit_is_no_vote() {
        let (proved, tokens) = proof(Some(3), &[(1, TokenKind::Committed, 9)]);
        let statement = Some(tokens[0]);
        assert_eq!(proved, Proof::Committed { time: Time(9), votes: Vec::new(), statement });
        for own_vote in [None, Some(10)] {
            let (proved, _) =
                proof(own_vote, &[(1, TokenKind::Committed, 9), (2, TokenKind::Committed, 9)]);
            assert_eq!(proved, Proof::Nothing, "own vote at {own_vote:?}");
            let (proved, tokens) =
                proof(own_vote, &[(1, TokenKind::Committed, 9), (2, TokenKind::Ok, 9)]);
            assert_eq!(proved, Proof::Granted(tokens[1..].to_vec()), "own vote at {own_vote:?}");
        }
    }
}
