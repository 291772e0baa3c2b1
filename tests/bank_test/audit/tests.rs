//! Tests of the checker: it must find each kind of violation in a history made for it.

use super::*;

fn transfer(result: OpResult) -> ClientOp {
    let kind = OpKind::Transfer { tx: "t".into(), from: 0, to: 1, amount: 5 };
    ClientOp { kind, began_us: 10, ended_us: 20, verdict_us: None, result }
}

fn set(result: OpResult) -> ClientOp {
    let kind = OpKind::Set { tx: "s".into(), key: "r".into(), value: "s".into() };
    ClientOp { kind, began_us: 10, ended_us: 20, verdict_us: None, result }
}

/// A cut as of `time`, after `moved` transfers of 5 from the first account to the second.
fn cut(time: i64, moved: i64, began_us: u64) -> ClientOp {
    let mut balances = OPENED_WITH;
    balances[0] -= 5 * moved;
    balances[1] += 5 * moved;
    let mut cut =
        Cut { time, balances: balances.into_iter().enumerate().collect(), ..Cut::default() };
    for (bank, total) in cut.totals.iter_mut().enumerate() {
        let own =
            |of: &[i64]| (0..of.len()).filter(|at| bank_of(*at) == bank).map(|at| of[at]).sum();
        let went = if bank == bank_of(0) { 5 * moved } else { 0 };
        let came = if bank == bank_of(1) { 5 * moved } else { 0 };
        *total = [own(&balances), own(&OPENED_WITH), 0, came, went];
    }
    let result = OpResult::Cut(Box::new(cut));
    ClientOp {
        kind: OpKind::Cut { clock: Some(0) },
        began_us,
        ended_us: began_us + 5,
        verdict_us: None,
        result,
    }
}

fn violations_of_cuts(ops: &[ClientOp], outcome: Option<i64>) -> Vec<String> {
    let mut violations = Vec::new();
    let outcomes = ops
        .iter()
        .filter_map(ClientOp::tx)
        .map(|tx| (tx.to_owned(), outcome))
        .collect::<Outcomes>();
    check_cuts(ops, &outcomes, &mut violations);
    check_order(ops, &outcomes, &mut violations);
    violations
}

fn change(mut op: ClientOp, change: impl FnOnce(&mut Cut)) -> ClientOp {
    let OpResult::Cut(cut) = &mut op.result else { panic!("{op:?} is no cut") };
    change(cut);
    op
}

#[test]
fn outcomes_that_differ_are_found() {
    let replied = |replies: [&str; 2]| replies.map(str::to_owned).to_vec();
    let (yes, no, never) = ("COMMITTED t 7 Y0.7..", "ABORTED t N1.7.. refused", "UNKNOWN t");
    let unknown = || OpResult::Unknown { left: false };
    assert_eq!(outcome(&transfer(OpResult::Committed(7)), &replied([yes, yes])), Ok(Some(7)));
    assert_eq!(outcome(&transfer(unknown()), &replied([yes, yes])), Ok(Some(7)));
    assert_eq!(outcome(&transfer(unknown()), &replied([no, never])), Ok(None));
    assert_eq!(outcome(&transfer(OpResult::Aborted("x".into())), &replied([no, never])), Ok(None));
    for (result, replies) in [
        (OpResult::Committed(7), [yes, no]),
        (OpResult::Committed(7), [no, no]),
        (OpResult::Committed(7), [yes, never]),
        (OpResult::Committed(8), [yes, yes]),
        (unknown(), [yes, "COMMITTED t 8 Y1.8.."]),
        (unknown(), [yes, no]),
        (unknown(), ["OK t Y0.7..", never]),
        (OpResult::Aborted("x".into()), [yes, yes]),
    ] {
        assert!(
            outcome(&transfer(result.clone()), &replied(replies)).is_err(),
            "{result:?} {replies:?}"
        );
    }
}

#[test]
fn cuts_that_do_not_fit_are_found() {
    let committed = || transfer(OpResult::Committed(50));
    assert_eq!(
        violations_of_cuts(&[committed(), cut(49, 0, 12), cut(50, 1, 30)], Some(50)),
        [""; 0]
    );
    assert_eq!(
        violations_of_cuts(&[transfer(OpResult::Aborted("x".into())), cut(60, 0, 30)], None),
        [""; 0]
    );
    let finds = |ops: &[ClientOp], outcome: Option<i64>, text: &str| {
        let violations = violations_of_cuts(ops, outcome);
        assert!(
            violations.iter().any(|violation| violation.contains(text)),
            "{text:?} not in {violations:?}"
        );
    };
    finds(&[committed(), cut(50, 0, 12)], Some(50), "the commits up to its time make");
    finds(&[committed(), cut(49, 1, 12)], Some(50), "the commits up to its time make");
    finds(&[committed(), cut(49, 0, 30)], Some(50), "lacks t");
    finds(&[transfer(OpResult::Aborted("x".into())), cut(60, 1, 30)], None, "the commits up to");
    let unequal = change(cut(50, 1, 30), |cut| *cut.balances.get_mut(&1).unwrap() -= 1);
    finds(&[committed(), unequal], Some(50), "the sum is 99");
    finds(&[cut(50, 3, 30)], None, "negative");
    finds(&[change(cut(50, 0, 30), |cut| cut.totals[2][0] += 1)], None, "add up");
    finds(&[change(cut(50, 0, 30), |cut| cut.totals[2][3] += 1)], None, "do not cancel");
}

#[test]
fn registers_that_differ_are_found() {
    let with = |cut_op: ClientOp, banks: &[usize]| {
        change(cut_op, |cut| {
            for bank in banks {
                cut.registers[*bank].insert("r".into(), "s".into());
            }
        })
    };
    let committed = || set(OpResult::Committed(50));
    let everywhere = [committed(), with(cut(50, 0, 30), &[0, 1, 2])];
    assert_eq!(violations_of_cuts(&everywhere, Some(50)), [""; 0]);
    let missing_at_1 = [committed(), with(cut(50, 0, 30), &[0, 2])];
    assert_eq!(violations_of_cuts(&missing_at_1, Some(50)).len(), 1);

    let get = |value: &str, began_us| {
        let result = OpResult::Value(value.into());
        ClientOp {
            kind: OpKind::Get { key: "r".into() },
            began_us,
            ended_us: began_us + 1,
            verdict_us: None,
            result,
        }
    };
    let violations = |ops: &[ClientOp]| {
        let mut violations = Vec::new();
        check_registers(ops, &mut violations);
        violations.len()
    };
    assert_eq!(violations(&[committed(), get("0", 5), get("s", 12), get("s", 30)]), 0);
    assert_eq!(violations(&[committed(), get("0", 30)]), 1);
    let early = || ClientOp { verdict_us: Some(12), ..committed() };
    assert_eq!(violations(&[early(), get("0", 11), get("s", 15)]), 0);
    assert_eq!(violations(&[early(), get("0", 15)]), 1, "the driver already knew the verdict");
    assert_eq!(violations(&[committed(), get("s", 5)]), 1);
    assert_eq!(violations(&[set(OpResult::Aborted("x".into())), get("s", 30)]), 1);
    assert_eq!(violations(&[set(OpResult::Unknown { left: true }), get("0", 30), get("s", 40)]), 0);
    assert_eq!(violations(&[set(OpResult::Unknown { left: true }), get("s", 30), get("0", 40)]), 1);
}
