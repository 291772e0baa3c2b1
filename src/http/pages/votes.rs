//! Votes by bank, as a transaction's page tells them: what each bank says, and which of them
//! refused by itself.
//!
//! Once one bank has refused, others that have not voted refuse for ever as well: the bank that
//! drove it, so that the outcome is known there too, and banks that were asked to end it. STATUS
//! tells all refusals alike. What led to one stands in that bank's HISTORY.

use consorcio_core::ids::BankId;
use consorcio_core::wire::reply::Reply;
use consorcio_panel::texts::Texts;
use std::collections::BTreeMap;

/// What each bank says of a transaction; `None` where it does not answer.
pub type Said = [(BankId, Option<Reply>)];

/// A bank's part in the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ballot {
    /// It voted OK, whatever became of it.
    Ok,
    /// It refused.
    Refused,
    /// It had not voted when another bank's refusal came to it.
    Followed,
    /// It refuses, and whether by itself is not told any more.
    Aborted,
    /// It has not voted.
    Waiting,
    /// It does not answer.
    Silent,
}

impl Ballot {
    /// In the visitor's words; `is_over` once the transaction is decided.
    pub fn words(self, t: &Texts, is_over: bool) -> &'static str {
        match self {
            Ballot::Ok => t.vote_ok,
            Ballot::Refused => t.vote_nok,
            Ballot::Followed => t.vote_followed,
            Ballot::Aborted => t.aborted,
            Ballot::Waiting if is_over => t.vote_none,
            Ballot::Waiting => t.vote_waiting,
            Ballot::Silent => t.vote_silent,
        }
    }

    /// The class that colours it.
    pub fn class(self) -> &'static str {
        match self {
            Ballot::Ok => "ok",
            Ballot::Refused | Ballot::Aborted => "nok",
            Ballot::Followed | Ballot::Waiting | Ballot::Silent => "espera",
        }
    }
}

/// Does this bank hold a refusal of its own, whatever led to it?
pub fn refuses(bank: BankId, reply: Option<&Reply>) -> bool {
    match reply {
        Some(Reply::Aborted(_, token, _, _)) => token.bank == bank && token.is_refusal(),
        _ => false,
    }
}

/// Each bank's part. `by` is who refused by each bank's own HISTORY, as far as it is known.
pub fn ballots(said: &Said, by: &BTreeMap<BankId, BankId>) -> Vec<(BankId, Ballot)> {
    let own_doing = |bank: BankId| by.get(&bank).map(|refuser| *refuser == bank);
    let voted = |reply: &Option<Reply>| match reply {
        Some(Reply::Aborted(_, token, _, _)) => token.digest.is_some(),
        _ => false,
    };
    // Is there another bank that certainly, or for all that is known, refused these bytes by its
    // own vote?
    let another = |bank: BankId, certainly: bool| {
        said.iter().any(|(other, reply)| {
            *other != bank
                && refuses(*other, reply.as_ref())
                && voted(reply)
                && own_doing(*other).unwrap_or(!certainly)
        })
    };
    let ballot = |bank: BankId, reply: &Option<Reply>| match reply {
        Some(Reply::Ok(..) | Reply::Committed(..)) => Ballot::Ok,
        // It shows what ended its OK: another bank's vote, or its own where an outside coordinator
        // refused.
        Some(Reply::Aborted(..)) if !refuses(bank, reply.as_ref()) => Ballot::Ok,
        Some(Reply::Aborted(..)) => match own_doing(bank) {
            Some(false) => Ballot::Followed,
            // It was asked to end what it had not voted on.
            Some(true) | None if !voted(reply) && another(bank, false) => Ballot::Followed,
            None if another(bank, true) => Ballot::Aborted,
            Some(true) | None => Ballot::Refused,
        },
        Some(Reply::Unknown(_)) => Ballot::Waiting,
        Some(
            Reply::Nok(..)
            | Reply::Doubt(..)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Bye,
        )
        | None => Ballot::Silent,
    };
    said.iter().map(|(bank, reply)| (*bank, ballot(*bank, reply))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    /// What banks 0, 1, ... say, in the words of lines with `#` for a digest, and who refused by
    /// whose HISTORY.
    #[track_caller]
    fn is(said: &[&str], by: &[(usize, usize)], expected: &[Ballot]) {
        let digest = "5e".repeat(32);
        let read = |line: &&str| Reply::parse(&line.replace('#', &digest)).ok();
        let said: Vec<_> =
            said.iter().enumerate().map(|(at, line)| (bank(at), read(line))).collect();
        let by = by.iter().map(|(of, by)| (bank(*of), bank(*by))).collect();
        let found: Vec<Ballot> =
            ballots(&said, &by).into_iter().map(|(_, ballot)| ballot).collect();
        assert_eq!(found, expected, "{said:?}");
    }

    const NOK_0: &str = "ABORTED t N0.7.#. insufficient-funds";
    const NOK_1: &str = "ABORTED t N1.7.#. insufficient-funds";

    #[test]
    fn a_bank_that_drove_only_follows() {
        is(&[NOK_0, NOK_1], &[(0, 1), (1, 1)], &[Ballot::Followed, Ballot::Refused]);
        is(&[NOK_0, NOK_1], &[(0, 0), (1, 1)], &[Ballot::Refused, Ballot::Refused]);
        // Too long ago for a bank's HISTORY: nothing is claimed of it.
        is(&[NOK_0, NOK_1], &[(1, 1)], &[Ballot::Aborted, Ballot::Refused]);
        is(&[NOK_0, NOK_1], &[], &[Ballot::Refused, Ballot::Refused]);
    }

    #[test]
    fn who_voted_ok_did_not_refuse() {
        let ended = "ABORTED t N1.7.#. refused";
        is(
            &[ended, NOK_1, "OK t O2.7.#."],
            &[(0, 1), (1, 1)],
            &[Ballot::Ok, Ballot::Refused, Ballot::Ok],
        );
        // An outside coordinator refused; the bank shows its own OK.
        is(&["ABORTED t O0.7.#. refused"], &[], &[Ballot::Ok]);
        is(
            &["COMMITTED t 8 O0.7.#.", "UNKNOWN t", ""],
            &[],
            &[Ballot::Ok, Ballot::Waiting, Ballot::Silent],
        );
    }

    #[test]
    fn a_tombstone_refuses_where_nobody_voted_so() {
        let tombstone = "ABORTED t N0.7.. refused";
        is(&[tombstone, NOK_1], &[(0, 0), (1, 1)], &[Ballot::Followed, Ballot::Refused]);
        is(
            &[tombstone, "ABORTED t N0.7.. refused"],
            &[(0, 0), (1, 0)],
            &[Ballot::Refused, Ballot::Ok],
        );
        is(
            &[tombstone, "ABORTED t N1.9.. expired"],
            &[(0, 0), (1, 1)],
            &[Ballot::Refused, Ballot::Refused],
        );
    }
}
