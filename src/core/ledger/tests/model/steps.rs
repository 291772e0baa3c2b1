//! The steps of a random history: any order, mostly with a chance to succeed.

use super::*;

pub(super) fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 1..200i64, 1 => (i64::MAX / 2)..=i64::MAX / 2 + 2]
}

/// Debits have small amounts only, so that the balancing credit elsewhere fits.
pub(super) fn money_op() -> impl Strategy<Value = Op> {
    let account = proptest::sample::select(&ACCOUNTS[..]);
    let flow =
        proptest::sample::select(&[Flow::Debit, Flow::Credit, Flow::Deposit, Flow::Withdraw][..]);
    (flow, account, amount(), 1..100i64).prop_map(|(flow, account, any, small)| match flow {
        Flow::Debit | Flow::Credit => op(0, flow, account, small),
        Flow::Deposit | Flow::Withdraw => op(0, flow, account, any),
    })
}

/// Some operations of money, and perhaps a register that is set at every bank.
pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let register = (proptest::sample::select(&KEYS[..]), 0..5u8);
    let some =
        (proptest::collection::vec(money_op(), 0..5), proptest::option::weighted(0.3, register));
    some.prop_filter_map("an empty transaction", |(mut ops, register)| {
        if let Some((key, value)) = register {
            ops.extend([0, 1, 2].map(|at| set_at(at, key, &value.to_string())));
        }
        (!ops.is_empty()).then_some(ops)
    })
}

pub(super) fn step() -> impl Strategy<Value = LedgerStep> {
    prop_oneof![
        2 => amount().prop_map(LedgerStep::Open),
        8 => ops().prop_map(LedgerStep::Prepare),
        8 => (any::<usize>(), 0..10i64).prop_map(|(which, later)| LedgerStep::Commit(which, later)),
        2 => any::<usize>().prop_map(LedgerStep::Abort),
        1 => Just(LedgerStep::Restart),
        1 => (0..100i64).prop_map(LedgerStep::Trim),
        1 => (0..100usize).prop_map(LedgerStep::Squeeze),
    ]
}
