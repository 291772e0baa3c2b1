//! What the banks' answers to STATUS say together, for those who have no key: `cliente`, and the
//! routes of HTTP.
//!
//! They believe the connections that they opened themselves. But an id may mean other bytes at
//! another bank, and a bank that a transaction does not name may refuse the id: so answers are
//! grouped by the digest in their tokens, and what binds no bytes speaks of none. A bank that holds
//! OK on bytes is named by them; who else is, the answers do not tell.

use crate::ids::{BankId, Time};
use crate::wire::Reason;
use crate::wire::reply::Reply;
use crate::wire::token::{Digest, Said, Token};
use std::collections::BTreeMap;

/// What is claimed of one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Committed.
    Committed(Time),
    /// Aborted.
    Aborted(Refusal),
    /// A bank holds OK, and none knows the outcome.
    Undecided,
    /// The id stands for several transactions, each with its own end.
    Several(Vec<(Digest, Claim)>),
    /// A bank refused the id, and none that answers holds OK; but not every bank answers.
    NotKnown(Refusal),
    /// No bank that answers has voted on it.
    Unknown,
}

/// Who refused, as far as it is told, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The bank whose vote refuses.
    pub by: Option<BankId>,
    /// Why.
    pub reason: Reason,
    /// The time in the token.
    pub time: Time,
}

/// What the banks of a consortium say of an id: all of them, `None` for one that does not answer. A
/// bank that has OK and then answers DOUBT is given with its OK.
pub fn claim<'a>(answers: impl IntoIterator<Item = (BankId, Option<&'a Reply>)>) -> Claim {
    let mut groups: BTreeMap<Digest, Claim> = BTreeMap::new();
    let (mut holds_ok, mut all_answer, mut refusal) = (false, true, None);
    for (bank, reply) in answers {
        let (digest, said) = match reply {
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
                | Reply::Bye,
            )
            | None => {
                all_answer = false;
                continue;
            }
        };
        match &said {
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
            if weight(&said) > weight(known) {
                *known = said;
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

/// An ABORTED of `bank`: of the bytes that it holds OK on, or that its own vote refused; a
/// tombstone is of none.
fn aborted(
    bank: BankId,
    token: &Token,
    reason: Reason,
    statement: &Option<Token>,
) -> (Option<Digest>, Claim) {
    let by = |token: &Token| (token.said != Said::Aborted).then_some(token.bank);
    let own = token.bank == bank && token.is_refusal();
    match statement {
        Some(said) => {
            let refuses = said.digest.as_ref().is_some_and(|digest| token.refuses(digest));
            let by = by(token).filter(|_| refuses);
            (said.digest, Claim::Aborted(Refusal { by, reason, time: token.time }))
        }
        None if own => {
            (token.digest, Claim::Aborted(Refusal { by: Some(bank), reason, time: token.time }))
        }
        // Another bank's refusal, of bytes that it does not tell.
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

    /// What banks 0, 1, ... say in lines with `#` and `+` for two digests; an empty one is silence.
    fn claimed(said: &[&str]) -> Claim {
        let (one, other) = ("5e".repeat(32), "6f".repeat(32));
        let read = |line: &&str| Reply::parse(&line.replace('#', &one).replace('+', &other)).ok();
        let replies: Vec<_> = said.iter().map(read).collect();
        claim(replies.iter().enumerate().map(|(at, reply)| (bank(at), reply.as_ref())))
    }

    fn refused(by: Option<usize>, reason: Reason, time: i64) -> Refusal {
        Refusal { by: by.map(bank), reason, time: Time(time) }
    }

    const TOMBSTONE_2: &str = "ABORTED t N2.7.. expired";
    const UNKNOWN: &str = "UNKNOWN t";

    #[test]
    fn one_transaction_has_one_end() {
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
    fn a_bank_that_the_bytes_do_not_name_says_nothing_of_them() {
        // It refused the id, while one that holds OK waits for another that is away.
        assert_eq!(claimed(&["OK t O0.7.#.", "", TOMBSTONE_2]), Claim::Undecided);
        let committed = "COMMITTED t 9 O1.8.#. C1.9.#.";
        assert_eq!(claimed(&[committed, "", TOMBSTONE_2]), Claim::Committed(Time(9)));
    }

    #[test]
    fn an_id_of_several_transactions_has_several_ends() {
        let ends = claimed(&["OK t O0.7.#.", "", "COMMITTED t 9 O2.9.+. C2.9.+."]);
        let Claim::Several(ends) = ends else { panic!("{ends:?}") };
        let ends: Vec<Claim> = ends.into_iter().map(|(_, end)| end).collect();
        assert_eq!(ends, [Claim::Undecided, Claim::Committed(Time(9))]);
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
    fn a_statement_does_not_say_who_refused() {
        let told = claimed(&["ABORTED t A1.6.#. duplicate-id A0.6.#.", UNKNOWN]);
        assert_eq!(told, Claim::Aborted(refused(None, Reason::DuplicateId, 6)));
    }
}
