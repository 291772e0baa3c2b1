//! What tokens prove: the one place that decides it, for a bank in doubt, a bank that drives,
//! COMMIT and ABORT.
//!
//! It looks at tokens alone: not at the word that an answer begins with, nor at the id, the number
//! or the reason beside them, none of which has a MAC. A token counts when the transaction names
//! its bank and its MAC proves it at the id that was asked about. So bytes that change on the way
//! between two banks change nothing but silence.

use crate::ids::{BankId, BankSet, Time, TxId};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Said, Seal, Token, Verdict};

/// What somebody wants to know of one transaction.
#[derive(Debug, Clone, Copy)]
pub struct Inquiry<'a> {
    /// The consortium's seal.
    pub seal: &'a Seal,
    /// The bank that asks.
    pub me: BankId,
    /// The id that it asks about.
    pub tx: &'a TxId,
    /// The banks that its bytes name.
    pub named: BankSet,
    /// The digest of its bytes.
    pub digest: &'a Digest,
    /// When it voted OK on these bytes; `None` where it has not.
    pub own_vote: Option<Time>,
}

/// What tokens prove of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Every named bank holds OK on these bytes.
    Committed {
        /// The commit's time.
        time: Time,
        /// The votes that were shown.
        votes: Vec<Token>,
        /// The statement that says so, where not all votes were shown.
        statement: Option<Token>,
    },
    /// A named bank can never vote OK on these bytes, or says that they are aborted.
    Aborted {
        /// The vote that refuses where it is known, else the statement. It convinces every other
        /// bank.
        token: Token,
        /// The other banks whose vote on these bytes, or on none, was shown, with its time.
        votes: Vec<(BankId, Time)>,
    },
    /// These banks hold OK on these bytes, one token each.
    Granted(Vec<Token>),
    /// Nothing.
    Nothing,
}

impl Inquiry<'_> {
    /// What `tokens` prove.
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
            match token.said {
                Said::Committed if self.may_commit_at(token.time) => {
                    committed = committed.or(Some(token))
                }
                Said::Aborted => aborted = aborted.or(Some(token)),
                Said::Ok | Said::No | Said::Committed => {}
            }
            let vote = self.vote_of(token);
            if vote.said == Said::Ok && granted.iter().all(|other| other.bank != vote.bank) {
                granted.push(vote);
            }
        }
        if let Some(token) = refusal.or(aborted) {
            let mut votes: Vec<(BankId, Time)> =
                granted.iter().filter(|vote| vote.bank != token.bank).map(told).collect();
            votes.extend(token.vote_time().map(|time| (token.bank, time)));
            return Proof::Aborted { token, votes };
        }
        let others = self.named.without(self.me);
        let shown: BankSet = granted.iter().map(|token| token.bank).collect();
        if others.minus(shown).is_empty() && (self.own_vote.is_some() || others == self.named) {
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

    /// A bank that is named and has not voted OK knows that it is not committed; one that has, not
    /// before its vote.
    fn may_commit_at(&self, time: Time) -> bool {
        match self.own_vote {
            Some(own) => time >= own,
            None => !self.named.has(self.me),
        }
    }

    /// The vote that a statement tells of, sealed as its bank would: `A` carries all of it.
    fn vote_of(&self, token: Token) -> Token {
        match token.said {
            Said::Aborted => {
                self.seal.token(token.bank, Verdict::Ok, self.tx, token.digest, token.time)
            }
            Said::Ok | Said::No | Said::Committed => token,
        }
    }
}

fn told(vote: &Token) -> (BankId, Time) {
    (vote.bank, vote.time)
}

/// A vote of this bank that its journal does not hold, if `tokens` show one. `own` is the vote that
/// it holds. Of `C` and `A` only the vote is looked for: the record of an outcome may follow its
/// answer.
pub fn forgotten(
    seal: &Seal,
    me: BankId,
    tx: &TxId,
    own: Option<(Verdict, Time, Option<Digest>)>,
    tokens: &[Token],
) -> Option<Token> {
    let held = |token: &Token| {
        own.is_some_and(|(verdict, time, digest)| {
            let vote = match token.said {
                Said::No => Verdict::No,
                Said::Ok | Said::Committed | Said::Aborted => Verdict::Ok,
            };
            let same_time = token.vote_time().is_none_or(|told| told == time);
            verdict == vote && same_time && digest == token.digest
        })
    };
    let is_forgotten = |token: &&Token| token.bank == me && !held(token) && seal.proves(tx, token);
    tokens.iter().find(is_forgotten).copied()
}

/// The tokens that a reply carries.
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
        | Reply::Bye => Vec::new(),
    }
}

/// Why it is aborted: the answer's word where it has one for that, else what the token itself says.
pub fn reason_of(reply: Option<&Reply>, token: &Token) -> Reason {
    match (reply, token.said) {
        (Some(Reply::Aborted(_, _, reason, _) | Reply::Nok(_, _, reason, _)), _) => *reason,
        (_, Said::No | Said::Aborted) => Reason::Refused,
        (_, Said::Ok | Said::Committed) => Reason::DuplicateId,
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
    fn proof(own_vote: Option<i64>, shown: &[(usize, Said, i64)]) -> (Proof, Vec<Token>) {
        let (seal, tx) = (Seal::keyed([7; 32]), TxId::new("t1").unwrap());
        let ok = |of: usize, time| seal.token(bank(of), Verdict::Ok, &tx, Some(DIGEST), Time(time));
        let token = |(of, said, time): &(usize, Said, i64)| match said {
            Said::Ok => ok(*of, *time),
            Said::No => seal.token(bank(*of), Verdict::No, &tx, Some(DIGEST), Time(*time)),
            Said::Committed | Said::Aborted => {
                seal.token(bank(*of), *said, &tx, Some(DIGEST), Time(*time))
            }
        };
        let tokens: Vec<Token> = shown.iter().map(token).collect();
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
    fn a_bank_that_shows_its_ok_twice_is_one_vote() {
        let (told, tokens) = proof(Some(3), &[(1, Said::Ok, 4), (1, Said::Ok, 4)]);
        assert_eq!(told, Proof::Granted(tokens[..1].to_vec()));
        let (told, tokens) =
            proof(Some(3), &[(1, Said::Ok, 4), (1, Said::Ok, 4), (2, Said::Ok, 6)]);
        let votes = vec![tokens[0], tokens[2]];
        assert_eq!(told, Proof::Committed { time: Time(6), votes, statement: None });
        let (told, _) = proof(Some(3), &[(1, Said::Ok, 4), (1, Said::Ok, 4), (2, Said::No, 6)]);
        let Proof::Aborted { votes, .. } = told else { panic!("{told:?}") };
        assert_eq!(votes, [(bank(1), Time(4)), (bank(2), Time(6))]);
    }

    /// A commit's statement is no vote: its time is the commit's, and it convinces nobody whose own
    /// vote contradicts it.
    #[test]
    fn a_statement_of_a_commit_is_no_vote() {
        let (told, tokens) = proof(Some(3), &[(1, Said::Committed, 9)]);
        let statement = Some(tokens[0]);
        assert_eq!(told, Proof::Committed { time: Time(9), votes: Vec::new(), statement });
        for own_vote in [None, Some(10)] {
            let (told, _) = proof(own_vote, &[(1, Said::Committed, 9), (2, Said::Committed, 9)]);
            assert_eq!(told, Proof::Nothing, "own vote at {own_vote:?}");
            let (told, tokens) = proof(own_vote, &[(1, Said::Committed, 9), (2, Said::Ok, 9)]);
            assert_eq!(told, Proof::Granted(tokens[1..].to_vec()), "own vote at {own_vote:?}");
        }
    }
}
