//! Combinations of votes and outcomes in journals: each violation is found, and valid ones pass.

use super::*;
use consorcio_core::bank::io::OwnVote;
use consorcio_core::wire::Reason;
use consorcio_core::wire::token::{Seal, Vote};

const T1: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":5},"#,
    r#"{"bank":1,"op":"credit","account":"b","amount":5}]}"#
);
const T2: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":6},"#,
    r#"{"bank":1,"op":"credit","account":"b","amount":6}]}"#
);
const ALONE: &str = r#"{"ops":[{"bank":2,"op":"deposit","account":"c","amount":6}]}"#;

fn bank(n: usize) -> BankId {
    BankId::new(n).unwrap()
}

fn tx() -> TxId {
    TxId::new("t").unwrap()
}

fn ok(time: i64, text: &str) -> Record {
    let transaction = Arc::new(Transaction::parse(text).unwrap());
    Record::Voted { tx: tx(), time: Time(time), transaction, refusal: None }
}

fn refused(time: i64) -> Record {
    Record::Refused { tx: tx(), time: Time(time), reason: Reason::Expired }
}

fn decided(outcome: Outcome) -> Record {
    let own = OwnVote { vote: Vote::Ok, time: Time(1), digest: None };
    Record::Decided { tx: tx(), own, outcome, votes: vec![] }
}

fn committed(time: i64) -> Record {
    decided(Outcome::Committed(Time(time)))
}

fn aborted() -> Record {
    let token = Seal::keyed([9; 32]).token(bank(1), Vote::No, &tx(), None, Time(9));
    decided(Outcome::Aborted(token, Reason::Expired))
}

fn drove(time: i64, refusal: Option<Reason>) -> Record {
    let transaction = Arc::new(Transaction::parse(T1).unwrap());
    let refusal = refusal.map(|reason| (bank(1), reason, String::new()));
    Record::Drove { tx: tx(), time: Time(time), transaction, refusal }
}

fn judged(records: &[(usize, Record)], whole: &[usize]) -> (BallotCounts, Vec<String>) {
    let mut ballots = Ballots::default();
    let mut faults = Vec::new();
    for (at, record) in records {
        ballots.record(bank(*at), record).unwrap();
    }
    let counts = ballots.judge(whole.iter().map(|at| bank(*at)).collect(), &mut faults);
    (counts, faults.into_iter().map(|fault| fault.text).collect())
}

#[test]
fn the_outcome_that_a_driver_reported_is_compared_with_the_banks() {
    let voted = [(0, ok(1, T1)), (1, ok(2, T1))];
    let with = |more: &[(usize, Record)]| judged(&[&voted, more].concat(), &[0, 1, 2]).1;
    let refused_it = Some(Reason::Locked);
    assert_eq!(with(&[(0, committed(2)), (2, drove(2, None))]), Vec::<String>::new());
    let (_, faults) = judged(
        &[(0, ok(1, T1)), (0, aborted()), (1, refused(9)), (2, drove(9, refused_it))],
        &[0, 1, 2],
    );
    assert_eq!(faults, Vec::<String>::new());
    for (records, expected) in [
        (
            vec![(0, committed(2)), (2, drove(3, None))],
            "reported committed, and bank 0 has committed it",
        ),
        (
            vec![(0, committed(2)), (2, drove(2, refused_it))],
            "reported aborted, and bank 0 has committed it",
        ),
    ] {
        let faults = with(&records);
        assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
    }
    let (_, faults) =
        judged(&[(0, ok(1, T1)), (0, aborted()), (1, refused(9)), (2, drove(2, None))], &[0, 1, 2]);
    assert_eq!(faults.len(), 2, "bank 1 refused it, bank 0 aborted it: {faults:?}");
}

#[test]
fn each_violation_of_atomicity_is_named() {
    for (records, expected) in [
        (
            vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T1)), (1, aborted())],
            "aborted at bank 1",
        ),
        (vec![(0, ok(1, T1)), (0, committed(1))], "bank 1 never voted"),
        (vec![(0, ok(1, T1)), (0, committed(1)), (1, refused(2))], "bank 1 refused it"),
        (vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T2))], "on other bytes"),
        (
            vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T1)), (1, committed(3))],
            "as of 3 at bank 1",
        ),
        (vec![(0, ok(1, T1)), (0, committed(5)), (1, ok(2, T1))], "its last vote is of 2"),
        (
            vec![(0, ok(1, T1)), (0, aborted()), (1, ok(2, T1))],
            "every bank that it names holds an OK",
        ),
        (vec![(0, ok(1, T1)), (0, aborted())], "no bank that it names refused it"),
    ] {
        let (_, faults) = judged(&records, &[0, 1, 2]);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:?}");
        assert!(faults.iter().all(|fault| fault.starts_with("transaction t: ")), "{faults:?}");
    }
}

#[test]
fn valid_combinations_are_no_violation() {
    for (records, ended) in [
        (vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T1)), (1, committed(2))], (1, 0, 0)),
        (vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T1))], (1, 0, 0)),
        (vec![(0, ok(1, T1)), (1, ok(2, T1))], (1, 0, 0)),
        (vec![(0, ok(1, T1)), (0, aborted()), (1, refused(2))], (0, 1, 0)),
        (vec![(0, ok(1, T1)), (0, aborted()), (1, ok(2, T2)), (1, aborted())], (0, 2, 0)),
        (vec![(0, ok(1, T1))], (0, 0, 1)),
        (vec![(1, refused(2))], (0, 1, 0)),
        // The same id was used by two people, at banks that have nothing to do with each other.
        (
            vec![
                (0, ok(1, T1)),
                (1, ok(2, T1)),
                (0, committed(2)),
                (2, ok(7, ALONE)),
                (2, committed(7)),
            ],
            (2, 0, 0),
        ),
    ] {
        let (counts, faults) = judged(&records, &[0, 1, 2]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!((counts.committed, counts.aborted, counts.undecided), ended, "{records:?}");
    }
}

#[test]
fn without_a_journal_its_bank_is_not_judged() {
    let (counts, faults) = judged(&[(0, ok(1, T1)), (0, committed(3))], &[0]);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((counts.committed, counts.unproven), (1, 1));
    let (counts, faults) = judged(&[(0, ok(1, T1)), (0, aborted())], &[0]);
    assert!(faults.is_empty() && counts.aborted == 1, "{faults:?}");
}

#[test]
fn a_bank_votes_once_and_decides_once() {
    let mut ballots = Ballots::default();
    ballots.record(bank(0), &ok(1, T1)).unwrap();
    assert!(ballots.record(bank(0), &ok(2, T1)).unwrap_err().contains("a second time"));
    assert!(ballots.record(bank(0), &refused(2)).unwrap_err().contains("OK before, refused now"));
    ballots.record(bank(0), &committed(2)).unwrap();
    assert!(
        ballots.record(bank(0), &aborted()).unwrap_err().contains("committed before, aborted now")
    );
    assert!(ballots.record(bank(1), &committed(2)).unwrap_err().contains("never voted"));
}
