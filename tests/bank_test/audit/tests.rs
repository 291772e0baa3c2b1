//! A checker that finds nothing proves nothing: each thing that it must find is shown to it once.

use super::*;

fn transfer(told: Told) -> Op {
    let what = What::Transfer { tx: "t".into(), from: 0, to: 1, amount: 5 };
    Op { what, began_us: 10, ended_us: 20, told_us: None, told }
}

fn set(told: Told) -> Op {
    let what = What::Set { tx: "s".into(), key: "r".into(), value: "s".into() };
    Op { what, began_us: 10, ended_us: 20, told_us: None, told }
}

/// A cut as of `time` of accounts from which 5 went from the first to the second, as often as
/// `moved` says.
fn cut(time: i64, moved: i64, began_us: u64) -> Op {
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
    let told = Told::Cut(Box::new(cut));
    Op { what: What::Cut { clock: Some(0) }, began_us, ended_us: began_us + 5, told_us: None, told }
}

fn cut_faults(ops: &[Op], outcome: Option<i64>) -> Vec<String> {
    let mut faults = Vec::new();
    let outcomes =
        ops.iter().filter_map(Op::tx).map(|tx| (tx.to_owned(), outcome)).collect::<Outcomes>();
    check_cuts(ops, &outcomes, &mut faults);
    check_order(ops, &outcomes, &mut faults);
    faults
}

fn change(mut op: Op, change: impl FnOnce(&mut Cut)) -> Op {
    let Told::Cut(cut) = &mut op.told else { panic!("{op:?} is no cut") };
    change(cut);
    op
}

#[test]
fn outcomes_that_differ_are_found() {
    let says = |replies: [&str; 2]| replies.map(str::to_owned).to_vec();
    let (yes, no, never) = ("COMMITTED t 7 Y0.7..", "ABORTED t N1.7.. refused", "UNKNOWN t");
    let unknown = || Told::Unknown { left: false };
    assert_eq!(outcome(&transfer(Told::Committed(7)), &says([yes, yes])), Ok(Some(7)));
    assert_eq!(outcome(&transfer(unknown()), &says([yes, yes])), Ok(Some(7)));
    assert_eq!(outcome(&transfer(unknown()), &says([no, never])), Ok(None));
    assert_eq!(outcome(&transfer(Told::Aborted("x".into())), &says([no, never])), Ok(None));
    for (told, replies) in [
        (Told::Committed(7), [yes, no]),
        (Told::Committed(7), [no, no]),
        (Told::Committed(7), [yes, never]),
        (Told::Committed(8), [yes, yes]),
        (unknown(), [yes, "COMMITTED t 8 Y1.8.."]),
        (unknown(), [yes, no]),
        (unknown(), ["OK t Y0.7..", never]),
        (Told::Aborted("x".into()), [yes, yes]),
    ] {
        assert!(outcome(&transfer(told.clone()), &says(replies)).is_err(), "{told:?} {replies:?}");
    }
}

#[test]
fn cuts_that_do_not_fit_are_found() {
    let committed = || transfer(Told::Committed(50));
    assert_eq!(cut_faults(&[committed(), cut(49, 0, 12), cut(50, 1, 30)], Some(50)), [""; 0]);
    assert_eq!(cut_faults(&[transfer(Told::Aborted("x".into())), cut(60, 0, 30)], None), [""; 0]);
    let finds = |ops: &[Op], outcome: Option<i64>, what: &str| {
        let faults = cut_faults(ops, outcome);
        assert!(faults.iter().any(|fault| fault.contains(what)), "{what:?} not in {faults:?}");
    };
    finds(&[committed(), cut(50, 0, 12)], Some(50), "the commits up to its time make");
    finds(&[committed(), cut(49, 1, 12)], Some(50), "the commits up to its time make");
    finds(&[committed(), cut(49, 0, 30)], Some(50), "later than t");
    finds(&[transfer(Told::Aborted("x".into())), cut(60, 1, 30)], None, "the commits up to");
    let lost = change(cut(50, 1, 30), |cut| *cut.balances.get_mut(&1).unwrap() -= 1);
    finds(&[committed(), lost], Some(50), "the sum is 99");
    finds(&[cut(50, 3, 30)], None, "negative");
    finds(&[change(cut(50, 0, 30), |cut| cut.totals[2][0] += 1)], None, "add up");
    finds(&[change(cut(50, 0, 30), |cut| cut.totals[2][3] += 1)], None, "did not come");
}

#[test]
fn registers_that_differ_are_found() {
    let with = |cut_op: Op, banks: &[usize]| {
        change(cut_op, |cut| {
            for bank in banks {
                cut.registers[*bank].insert("r".into(), "s".into());
            }
        })
    };
    let told = || set(Told::Committed(50));
    assert_eq!(cut_faults(&[told(), with(cut(50, 0, 30), &[0, 1, 2])], Some(50)), [""; 0]);
    assert_eq!(cut_faults(&[told(), with(cut(50, 0, 30), &[0, 2])], Some(50)).len(), 1);

    let get = |value: &str, began_us| {
        let told = Told::Value(value.into());
        Op {
            what: What::Get { key: "r".into() },
            began_us,
            ended_us: began_us + 1,
            told_us: None,
            told,
        }
    };
    let faults = |ops: &[Op]| {
        let mut faults = Vec::new();
        check_registers(ops, &mut faults);
        faults.len()
    };
    assert_eq!(faults(&[told(), get("0", 5), get("s", 12), get("s", 30)]), 0);
    assert_eq!(faults(&[told(), get("0", 30)]), 1);
    let early = || Op { told_us: Some(12), ..told() };
    assert_eq!(faults(&[early(), get("0", 11), get("s", 15)]), 0);
    assert_eq!(faults(&[early(), get("0", 15)]), 1, "its client knew the verdict already");
    assert_eq!(faults(&[told(), get("s", 5)]), 1);
    assert_eq!(faults(&[set(Told::Aborted("x".into())), get("s", 30)]), 1);
    assert_eq!(faults(&[set(Told::Unknown { left: true }), get("0", 30), get("s", 40)]), 0);
    assert_eq!(faults(&[set(Told::Unknown { left: true }), get("s", 30), get("0", 40)]), 1);
}
