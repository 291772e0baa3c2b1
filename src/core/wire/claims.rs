//! The outcome of an id, derived from all banks' answers to STATUS, for readers without the key:
//! `cliente` and the routes of HTTP.
//!
//! Without the key a reader trusts the connection that it opened to each bank. An id may have been
//! used for different transactions at different banks, and a bank that the transaction does not
//! name may refuse the id. So answers are grouped by the digest in their tokens, and a token
//! without a digest (a tombstone) counts for no transaction. A bank that holds OK on some bytes is
//! named by them; the answers do not say which other banks are.

use crate::ids::{BankId, Time};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Token, TokenKind};
use std::collections::BTreeMap;

/// The outcome of one id, as far as the answers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Committed at this time.
    Committed(Time),
    /// Aborted by this refusal.
    Aborted(Refusal),
    /// A bank holds OK, and no answer carries the outcome.
    Undecided,
    /// The id was used for several transactions, each with an outcome of its own.
    Several(Vec<(Digest, Claim)>),
    /// A bank refused the id and none that answered holds OK, but some banks did not answer.
    NotKnown(Refusal),
    /// No bank that answered has voted on it.
    Unknown,
}

/// The refusal that aborted a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The bank whose vote refuses, where the answers name it.
    pub by: Option<BankId>,
    /// The reason beside the token.
    pub reason: Reason,
    /// The time in the token.
    pub time: Time,
}

/// Combines the answers of all banks of a consortium about one id; `None` for a bank that did not
/// answer. For a bank that holds OK and then answers DOUBT, pass its OK.
pub fn claim<'a>(answers: impl IntoIterator<Item = (BankId, Option<&'a Reply>)>) -> Claim {
    let mut groups: BTreeMap<Digest, Claim> = BTreeMap::new();
    let (mut holds_ok, mut all_answer, mut refusal) = (false, true, None);
    for (bank, reply) in answers {
        let (digest, claim) = match reply {
            Some(Reply::Committed(_, time, token, _)) => (token.digest, Claim::Committed(*time)),
            Some(Reply::Aborted(_, token, reason, statement)) => {
                aborted(bank, token, *reason, statement)
            }
            Some(Reply::Ok(_, token)) => (token.digest, Claim::Undecided),
            Some(Reply::Unknown(_)) => continue,
            Some(
                Reply::Nok(..)
                | Reply::Doubt(..)
                | Reply::Done(_)
                | Reply::Refused(..)
                | Reply::Err(..)
                | Reply::Pong
                | Reply::Help(_)
                | Reply::Bye,
            )
            | None => {
                all_answer = false;
                continue;
            }
        };
        match &claim {
            Claim::Aborted(one) if one.by == Some(bank) => {
                refusal = refusal.or(Some(*one));
            }
            Claim::Committed(_)
            | Claim::Aborted(_)
            | Claim::Undecided
            | Claim::Several(_)
            | Claim::NotKnown(_)
            | Claim::Unknown => holds_ok = true,
        }
        if let Some(digest) = digest {
            let known = groups.entry(digest).or_insert(Claim::Undecided);
            if weight(&claim) > weight(known) {
                *known = claim;
            }
        }
    }
    match (holds_ok, refusal) {
        (false, None) => Claim::Unknown,
        (false, Some(refusal)) if all_answer => Claim::Aborted(refusal),
        (false, Some(refusal)) => Claim::NotKnown(refusal),
        (true, _) if groups.len() > 1 => Claim::Several(groups.into_iter().collect()),
        (true, _) => groups.into_values().next().unwrap_or(Claim::Unknown),
    }
}

/// The claim of an ABORTED from `bank`, with the digest that it holds OK on or that its own vote
/// refused; a tombstone has no digest.
fn aborted(
    bank: BankId,
    token: &Token,
    reason: Reason,
    statement: &Option<Token>,
) -> (Option<Digest>, Claim) {
    let by = |token: &Token| (token.kind != TokenKind::Aborted).then_some(token.bank);
    let own = token.bank == bank && token.is_refusal();
    match statement {
        Some(statement) => {
            let refuses = statement.digest.as_ref().is_some_and(|digest| token.refuses(digest));
            let by = by(token).filter(|_| refuses);
            (statement.digest, Claim::Aborted(Refusal { by, reason, time: token.time }))
        }
        None if own => {
            (token.digest, Claim::Aborted(Refusal { by: Some(bank), reason, time: token.time }))
        }
        // Another bank's refusal, without the digest of the bytes that it refuses.
        None => (None, Claim::Aborted(Refusal { by: Some(bank), reason, time: token.time })),
    }
}

fn weight(claim: &Claim) -> u8 {
    match claim {
        Claim::Committed(_) => 2,
        Claim::Aborted(_) => 1,
        Claim::Undecided | Claim::Several(_) | Claim::NotKnown(_) | Claim::Unknown => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    /// The claim from the lines of banks 0, 1, ..., with `#` and `+` for two digests; an empty line
    /// means no answer.
    fn claimed(lines: &[&str]) -> Claim {
        let (one, other) = ("5e".repeat(32), "6f".repeat(32));
        let read = |line: &&str| Reply::parse(&line.replace('#', &one).replace('+', &other)).ok();
        let replies: Vec<_> = lines.iter().map(read).collect();
        claim(replies.iter().enumerate().map(|(at, reply)| (bank(at), reply.as_ref())))
    }

    fn refused(by: Option<usize>, reason: Reason, time: i64) -> Refusal {
        Refusal { by: by.map(bank), reason, time: Time(time) }
    }

    const TOMBSTONE_2: &str = "ABORTED t N2.7.. expired";
    const UNKNOWN: &str = "UNKNOWN t";

    #[test]
    fn one_transaction_has_one_outcome() {
        let committed = "COMMITTED t 9 O1.8.#. C1.9.#.";
        assert_eq!(claimed(&["OK t O0.7.#.", committed, UNKNOWN]), Claim::Committed(Time(9)));
        assert_eq!(claimed(&["OK t O0.7.#.", "", UNKNOWN]), Claim::Undecided);
        assert_eq!(claimed(&[UNKNOWN, "", UNKNOWN]), Claim::Unknown);
        let aborted = "ABORTED t N1.7.#. locked A0.6.#.";
        let by_1 = Claim::Aborted(refused(Some(1), Reason::Locked, 7));
        assert_eq!(claimed(&[aborted, "", UNKNOWN]), by_1);
        assert_eq!(claimed(&[aborted, "ABORTED t N1.7.#. locked", "OK t O2.3.#."]), by_1);
    }

    #[test]
    fn a_refusal_by_a_bank_that_is_not_named_does_not_abort() {
        // It refused the id, while a bank that holds OK waits for one that is unreachable.
        assert_eq!(claimed(&["OK t O0.7.#.", "", TOMBSTONE_2]), Claim::Undecided);
        let committed = "COMMITTED t 9 O1.8.#. C1.9.#.";
        assert_eq!(claimed(&[committed, "", TOMBSTONE_2]), Claim::Committed(Time(9)));
    }

    #[test]
    fn an_id_of_several_transactions_has_several_outcomes() {
        let outcomes = claimed(&["OK t O0.7.#.", "", "COMMITTED t 9 O2.9.+. C2.9.+."]);
        let Claim::Several(outcomes) = outcomes else { panic!("{outcomes:?}") };
        let outcomes: Vec<Claim> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(outcomes, [Claim::Undecided, Claim::Committed(Time(9))]);
    }

    #[test]
    fn without_an_ok_it_is_aborted_only_where_every_bank_answers() {
        let refusal = refused(Some(2), Reason::Expired, 7);
        assert_eq!(claimed(&[UNKNOWN, UNKNOWN, TOMBSTONE_2]), Claim::Aborted(refusal));
        assert_eq!(claimed(&[UNKNOWN, "", TOMBSTONE_2]), Claim::NotKnown(refusal));
        let nok = "ABORTED t N0.5.#. locked";
        assert_eq!(
            claimed(&[nok, "", UNKNOWN]),
            Claim::NotKnown(refused(Some(0), Reason::Locked, 5))
        );
        assert_eq!(
            claimed(&[nok, UNKNOWN, UNKNOWN]),
            Claim::Aborted(refused(Some(0), Reason::Locked, 5))
        );
    }

    #[test]
    fn a_statement_does_not_name_the_refusing_bank() {
        let claim = claimed(&["ABORTED t A1.6.#. duplicate-id A0.6.#.", UNKNOWN]);
        assert_eq!(claim, Claim::Aborted(refused(None, Reason::DuplicateId, 6)));
    }
}
