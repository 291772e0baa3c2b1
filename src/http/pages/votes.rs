//! The votes by bank on a transaction's page, and which bank refused by its own vote.
//!
//! After one bank has refused, other banks that have not voted refuse as well: the driver, to
//! record the outcome, and banks that were asked to end the transaction. STATUS shows all refusals
//! alike; the HISTORY of a bank has the cause of its own.

use consorcio_core::ids::BankId;
use consorcio_core::wire::reply::Reply;
use consorcio_panel::texts::Texts;
use std::collections::BTreeMap;

/// The reply of each bank to STATUS; `None` if it does not answer.
pub(crate) type StatusReplies = [(BankId, Option<Reply>)];

/// A bank's part in the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ballot {
    /// It voted OK, whatever the outcome is.
    Ok,
    /// It refused by its own vote.
    Refused,
    /// It had not voted when it learned of another bank's refusal.
    Followed,
    /// It refuses; whether by its own vote is not known any more.
    Aborted,
    /// It has not voted.
    Waiting,
    /// It does not answer.
    Silent,
}

impl Ballot {
    /// The text for the visitor; `is_over` once the transaction is decided.
    pub(crate) fn words(self, t: &Texts, is_over: bool) -> &'static str {
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

    /// The CSS class of the text.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Ballot::Ok => "ok",
            Ballot::Refused | Ballot::Aborted => "nok",
            Ballot::Followed | Ballot::Waiting | Ballot::Silent => "espera",
        }
    }
}

/// Does `reply` show a refusal by this bank, whatever its cause?
pub(crate) fn refuses(bank: BankId, reply: Option<&Reply>) -> bool {
    match reply {
        Some(Reply::Aborted(_, token, _, _)) => token.bank == bank && token.is_refusal(),
        _ => false,
    }
}

/// The part of each bank. `by` has the bank that refused, by the HISTORY of each bank, if known.
pub(crate) fn ballots(
    replies: &StatusReplies,
    by: &BTreeMap<BankId, BankId>,
) -> Vec<(BankId, Ballot)> {
    let by_itself = |bank: BankId| by.get(&bank).map(|refuser| *refuser == bank);
    let voted = |reply: &Option<Reply>| match reply {
        Some(Reply::Aborted(_, token, _, _)) => token.digest.is_some(),
        _ => false,
    };
    // Did another bank refuse these bytes by its own vote? Unknown counts as no if `certainly`.
    let another = |bank: BankId, certainly: bool| {
        replies.iter().any(|(other, reply)| {
            *other != bank
                && refuses(*other, reply.as_ref())
                && voted(reply)
                && by_itself(*other).unwrap_or(!certainly)
        })
    };
    let ballot = |bank: BankId, reply: &Option<Reply>| match reply {
        Some(Reply::Ok(..) | Reply::Committed(..)) => Ballot::Ok,
        // Its OK was aborted by another bank's vote, or by an outside coordinator.
        Some(Reply::Aborted(..)) if !refuses(bank, reply.as_ref()) => Ballot::Ok,
        Some(Reply::Aborted(..)) => match by_itself(bank) {
            Some(false) => Ballot::Followed,
            // It was asked to end a transaction that it had not voted on.
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
            | Reply::Help(_)
            | Reply::Bye,
        )
        | None => Ballot::Silent,
    };
    replies.iter().map(|(bank, reply)| (*bank, ballot(*bank, reply))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    /// Checks the ballots for the replies of banks 0, 1, ..., as lines with `#` for a digest; `by`
    /// has pairs of a bank and the bank that refused by its HISTORY.
    #[track_caller]
    fn check(lines: &[&str], by: &[(usize, usize)], expected: &[Ballot]) {
        let digest = "5e".repeat(32);
        let read = |line: &&str| Reply::parse(&line.replace('#', &digest)).ok();
        let replies: Vec<_> =
            lines.iter().enumerate().map(|(at, line)| (bank(at), read(line))).collect();
        let by = by.iter().map(|(of, by)| (bank(*of), bank(*by))).collect();
        let found: Vec<Ballot> =
            ballots(&replies, &by).into_iter().map(|(_, ballot)| ballot).collect();
        assert_eq!(found, expected, "{replies:?}");
    }

    const NOK_0: &str = "ABORTED t N0.7.#. insufficient-funds";
    const NOK_1: &str = "ABORTED t N1.7.#. insufficient-funds";

    #[test]
    fn the_refusal_of_the_driver_follows_anothers() {
        check(&[NOK_0, NOK_1], &[(0, 1), (1, 1)], &[Ballot::Followed, Ballot::Refused]);
        check(&[NOK_0, NOK_1], &[(0, 0), (1, 1)], &[Ballot::Refused, Ballot::Refused]);
        // Bank 0's HISTORY has no entry any more.
        check(&[NOK_0, NOK_1], &[(1, 1)], &[Ballot::Aborted, Ballot::Refused]);
        check(&[NOK_0, NOK_1], &[], &[Ballot::Refused, Ballot::Refused]);
    }

    #[test]
    fn an_ok_that_was_aborted_is_no_refusal() {
        let ended = "ABORTED t N1.7.#. refused";
        check(
            &[ended, NOK_1, "OK t O2.7.#."],
            &[(0, 1), (1, 1)],
            &[Ballot::Ok, Ballot::Refused, Ballot::Ok],
        );
        // An outside coordinator refused; the reply has the bank's own OK.
        check(&["ABORTED t O0.7.#. refused"], &[], &[Ballot::Ok]);
        check(
            &["COMMITTED t 8 O0.7.#.", "UNKNOWN t", ""],
            &[],
            &[Ballot::Ok, Ballot::Waiting, Ballot::Silent],
        );
    }

    #[test]
    fn a_refused_id_counts_as_refusal_only_without_a_refusing_vote() {
        let tombstone = "ABORTED t N0.7.. refused";
        check(&[tombstone, NOK_1], &[(0, 0), (1, 1)], &[Ballot::Followed, Ballot::Refused]);
        check(
            &[tombstone, "ABORTED t N0.7.. refused"],
            &[(0, 0), (1, 0)],
            &[Ballot::Refused, Ballot::Ok],
        );
        check(
            &[tombstone, "ABORTED t N1.9.. expired"],
            &[(0, 0), (1, 1)],
            &[Ballot::Refused, Ballot::Refused],
        );
    }
}
