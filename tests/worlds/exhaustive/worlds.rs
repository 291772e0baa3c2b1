//! The parts of configurations, and the check of each.

mod large;
mod outside;
mod small;

pub use large::large;
pub use outside::outside;
pub use small::small;

use crate::exhaustive::explorer::{Order, ReachedEvents, explore};
use crate::exhaustive::state::{Budget, Setup, TransactionDriver};
use std::time::Instant;

/// A transfer from bank 0 to bank 1.
pub const THERE: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":6},"#,
    r#"{"bank":1,"op":"credit","account":"b","amount":6}]}"#
);
/// The malicious client's bytes under the same id ...
const THERE_OTHER: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":7},"#,
    r#"{"bank":1,"op":"credit","account":"b","amount":7}]}"#
);
/// ... and bytes that name one bank alone.
pub const ALONE: &str = r#"{"ops":[{"bank":0,"op":"deposit","account":"a","amount":1}]}"#;
/// Debits the same account, which covers only one of them.
const ALSO: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":5},"#,
    r#"{"bank":1,"op":"credit","account":"b","amount":5}]}"#
);
/// More than the account has.
pub const TOO_MUCH: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":60},"#,
    r#"{"bank":1,"op":"credit","account":"b","amount":60}]}"#
);
/// A transfer with a patience of a minute.
pub const PATIENT: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":6},"#,
    r#"{"bank":1,"op":"credit","account":"b","amount":6}],"patience_ms":60000}"#
);
/// One register at two banks ...
const SET_1: &str =
    r#"{"ops":[{"bank":0,"op":"set","value":"1"},{"bank":1,"op":"set","value":"1"}]}"#;
const SET_2: &str =
    r#"{"ops":[{"bank":0,"op":"set","value":"2"},{"bank":1,"op":"set","value":"2"}]}"#;
/// ... and at three.
const SET_1_OF_3: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"set","value":"1"},{"bank":1,"op":"set","value":"1"},"#,
    r#"{"bank":2,"op":"set","value":"1"}]}"#
);
const SET_2_OF_3: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"set","value":"2"},{"bank":1,"op":"set","value":"2"},"#,
    r#"{"bank":2,"op":"set","value":"2"}]}"#
);
/// From two banks to a third.
const COMPOSITE: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":2},"#,
    r#"{"bank":1,"op":"debit","account":"b","amount":3},"#,
    r#"{"bank":2,"op":"credit","account":"c","amount":5}]}"#
);

pub const NONE: Budget = Budget {
    crashes: 0,
    cuts: 0,
    gone: 0,
    repeats: 0,
    lies: 0,
    ticks: 0,
    time_outs: 0,
    snapshots: 0,
    restores: 0,
    votes: 0,
};

/// Clocks show different times. Cuts are requested at the time of the earliest vote of bank 0,
/// which bank 1 reaches only by an advance of its clock.
pub const WALL_US: [i64; 3] = [1_000_100, 1_000_010, 1_001_000];
const CUT_TIME: i64 = 1_000_100;

/// A configuration, and the expected results of its exploration.
pub struct Configuration {
    pub name: &'static str,
    setup: Setup,
    counts: (usize, usize),
    must_reach: &'static [&'static str],
}

fn configuration(
    name: &'static str,
    setup: Setup,
    counts: (usize, usize),
    must_reach: &'static [&'static str],
) -> Configuration {
    Configuration { name, setup, counts, must_reach }
}

type Driven = (&'static str, &'static str, TransactionDriver);

pub fn client(bytes: &'static str) -> Driven {
    (bytes, THERE_OTHER, TransactionDriver::Client)
}

pub fn late_client(bytes: &'static str) -> Driven {
    (bytes, THERE_OTHER, TransactionDriver::LateClient)
}

fn execute(at: usize, bytes: &'static str) -> Driven {
    (bytes, THERE_OTHER, TransactionDriver::Execute(at))
}

pub fn of(banks: usize, transactions: Vec<Driven>, budget: Budget) -> Setup {
    let accounts = [vec![("a", 10)], vec![("b", 10)], vec![("c", 10)]];
    Setup {
        banks,
        accounts: accounts[..banks].to_vec(),
        transactions,
        budget,
        forgetful: false,
        tick_us: 10_000_000,
        wall_us: WALL_US[..banks].to_vec(),
        cut_time: CUT_TIME,
        acts_max: None,
        planted: None,
    }
}

/// Two ticks take longer than a minute's patience.
pub fn patient(setup: Setup) -> Setup {
    Setup { tick_us: 40_000_000, ..setup }
}

impl Configuration {
    /// Explores the configuration, and compares the numbers of states and steps with the pinned
    /// ones.
    ///
    /// # Errors
    /// As text: the path to a violation, an event that was not reached, or other numbers than the
    /// pinned ones.
    pub fn check(self, order: Order) -> Result<ReachedEvents, String> {
        let Configuration { name, setup, counts, must_reach } = self;
        // `acts_max` requires this order.
        let order = if setup.acts_max.is_some() { Order::FewestEvents } else { order };
        let start = Instant::now();
        let seen = explore(setup, order).map_err(|broken| format!("{name}: {broken}"))?;
        let counted = (seen.states, seen.steps);
        println!("{name}: {counted:?} states and steps, {:?}, {:?}", start.elapsed(), seen.reached);
        if let Some(what) = must_reach.iter().find(|what| !seen.reached.contains_key(*what)) {
            return Err(format!("{name}: never reached: {what}"));
        }
        if counted != counts {
            return Err(format!(
                "{name}: {counted:?} states and steps, not {counts:?}; explain this before pinning"
            ));
        }
        Ok(seen.reached)
    }
}
