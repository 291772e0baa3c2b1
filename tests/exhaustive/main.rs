//! Every state of small consortiums, over the shipped core and coordinator: two and three banks, transactions that
//! conflict, and any one or two of: a crash that loses what was not synced, a broken connection, lines lost, late or
//! twice, time-outs at any moment, drivers that leave, a driver that lies.
//!
//! Every state is checked against the one rule (`rules`), and from every state all is healed and must be decided.
//! The numbers of states are pinned: a change of the protocol shows here, and whoever makes it looks why. Larger
//! configurations: `scripts/exhaustive.sh`.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod explorer;
mod rules;
mod town;

use explorer::explore;
use town::{Budget, Setup, Way};

/// From bank 0 to bank 1.
const THERE: &str = r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":6},{"bank":1,"op":"credit","account":"b","amount":6}]}"#;
/// The liar's bytes under the same id.
const THERE_OTHER: &str = r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":7},{"bank":1,"op":"credit","account":"b","amount":7}]}"#;
/// Takes from the same account, which has enough for one of them.
const ALSO: &str = r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":5},{"bank":1,"op":"credit","account":"b","amount":5}]}"#;
/// One register at two banks ...
const SET_1: &str = r#"{"ops":[{"bank":0,"op":"set","value":"1"},{"bank":1,"op":"set","value":"1"}]}"#;
const SET_2: &str = r#"{"ops":[{"bank":0,"op":"set","value":"2"},{"bank":1,"op":"set","value":"2"}]}"#;
/// ... and at three.
const SET_1_OF_3: &str = r#"{"ops":[{"bank":0,"op":"set","value":"1"},{"bank":1,"op":"set","value":"1"},{"bank":2,"op":"set","value":"1"}]}"#;
const SET_2_OF_3: &str = r#"{"ops":[{"bank":0,"op":"set","value":"2"},{"bank":1,"op":"set","value":"2"},{"bank":2,"op":"set","value":"2"}]}"#;
/// From two banks into a third.
const COMPOSITE: &str = r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":2},{"bank":1,"op":"debit","account":"b","amount":3},{"bank":2,"op":"credit","account":"c","amount":5}]}"#;

const NONE: Budget = Budget { crashes: 0, cuts: 0, gone: 0, repeats: 0, lies: 0, ticks: 0, time_outs: 0 };

type Driven = (&'static str, &'static str, Way);

fn client(bytes: &'static str) -> Driven {
    (bytes, THERE_OTHER, Way::Client)
}

fn execute(at: usize, bytes: &'static str) -> Driven {
    (bytes, THERE_OTHER, Way::Execute(at))
}

fn of(banks: usize, transactions: Vec<Driven>, budget: Budget) -> Setup {
    let accounts = [vec![("a", 10)], vec![("b", 10)], vec![("c", 10)]];
    Setup {
        banks,
        keyed: true,
        accounts: accounts[..banks].to_vec(),
        transactions,
        budget,
        forgetful: false,
        tick_us: 10_000_000,
        wall_us: vec![100, 10, 1_000],
    }
}

/// Explores, and compares what was seen with what was seen before.
#[track_caller]
fn check(name: &str, setup: Setup, (states, steps): (usize, usize), must_meet: &[&str]) {
    let start = std::time::Instant::now();
    let seen = explore(name, setup);
    println!("{name}: {} states, {} steps, {:?}, {:?}", seen.states, seen.steps, start.elapsed(), seen.met);
    for what in must_meet {
        assert!(seen.met.contains_key(what), "{name} never met: {what}");
    }
    assert_eq!(
        (seen.states, seen.steps),
        (states, steps),
        "{name}: states and steps; look why before pinning them"
    );
}

#[test]
fn nothing_goes_wrong() {
    let setup = of(2, vec![client(THERE)], NONE);
    let met = &["committed", "driver told committed"];
    check("nothing goes wrong", setup, (40, 74), met);
}

#[test]
fn a_bank_dies() {
    let setup = of(2, vec![client(THERE)], Budget { crashes: 1, ticks: 1, ..NONE });
    let met = &[
        "crash that lost records",
        "commit learned from a peer",
        "abort learned from a peer",
        "tombstone by RESOLVE",
        "late PREPARE refused",
        "driver told doubt",
    ];
    check("a bank dies", setup, (13701, 44695), met);
}

#[test]
fn a_driver_leaves_and_a_connection_breaks() {
    let setup = of(2, vec![client(THERE)], Budget { gone: 1, cuts: 1, ..NONE });
    let met =
        &["commit learned from a peer", "tombstone by RESOLVE", "tombstone by ABORT", "late PREPARE refused"];
    check("a driver leaves and a connection breaks", setup, (4234, 12992), met);
}

#[test]
fn a_lie_to_a_clients_banks() {
    let setup = of(2, vec![client(THERE)], Budget { lies: 1, ticks: 1, ..NONE });
    let met = &["duplicate-id", "aborted for other bytes under its id", "tombstone by ABORT", "DOUBT"];
    check("a lie to a clients banks", setup, (18688, 66834), met);
}

#[test]
fn two_lies_to_a_bank_that_drives() {
    let setup = of(2, vec![execute(0, THERE)], Budget { lies: 2, ..NONE });
    let met = &["duplicate-id", "executed", "aborted for other bytes under its id", "expired"];
    check("two lies to a bank that drives", setup, (11092, 39948), met);
}

#[test]
fn a_bank_that_drives_dies() {
    let setup = of(2, vec![execute(0, THERE)], Budget { crashes: 1, ticks: 1, ..NONE });
    let met = &["executed", "DOUBT", "unreachable", "crash that lost records", "tombstone by RESOLVE"];
    check("a bank that drives dies", setup, (1828, 4766), met);
}

#[test]
fn a_bank_that_drives_dies_and_memory_forgets() {
    let setup =
        Setup { forgetful: true, ..of(2, vec![execute(0, THERE)], Budget { crashes: 1, cuts: 1, ..NONE }) };
    let met = &["executed", "crash that lost records"];
    check("a bank that drives dies and memory forgets", setup, (2310, 6301), met);
}

#[test]
fn a_bank_dies_without_a_key() {
    let setup = Setup { keyed: false, ..of(2, vec![client(THERE)], Budget { crashes: 1, ..NONE }) };
    let met = &["commit learned from a peer", "abort learned from a peer"];
    check("a bank dies without a key", setup, (2790, 7429), met);
}

#[test]
fn a_driver_is_impatient() {
    let setup = of(2, vec![client(THERE)], Budget { time_outs: 1, ..NONE });
    let met = &["late PREPARE refused", "driver told aborted"];
    check("a driver is impatient", setup, (4470, 14515), met);
}

#[test]
fn two_clients_and_one_account() {
    let setup = of(2, vec![client(THERE), client(ALSO)], NONE);
    let met = &["insufficient-funds", "aborted", "committed"];
    check("two clients and one account", setup, (4057, 12088), met);
}

#[test]
fn two_banks_drive_and_one_account() {
    let setup = of(2, vec![execute(0, THERE), execute(1, ALSO)], NONE);
    let met = &["insufficient-funds", "executed"];
    check("two banks drive and one account", setup, (580, 1460), met);
}

#[test]
fn two_banks_drive_one_register_and_one_dies() {
    let setup = of(2, vec![execute(0, SET_1), execute(1, SET_2)], Budget { crashes: 1, ..NONE });
    let met = &["locked", "executed", "unreachable", "abort learned from a peer", "tombstone by RESOLVE"];
    check("two banks drive one register and one dies", setup, (15739, 43729), met);
}

#[test]
fn a_client_and_a_bank_drive_and_one_leaves() {
    let setup = of(2, vec![client(THERE), execute(0, ALSO)], Budget { gone: 1, ..NONE });
    let met = &["insufficient-funds", "executed", "commit learned from a peer", "late PREPARE refused"];
    check("a client and a bank drive and one leaves", setup, (11745, 37214), met);
}

#[test]
fn three_banks() {
    let setup = of(3, vec![client(COMPOSITE)], NONE);
    let met = &["committed"];
    check("three banks", setup, (188, 519), met);
}

#[test]
fn three_banks_and_the_one_that_drives_or_another_dies() {
    let setup = of(3, vec![execute(0, COMPOSITE)], Budget { crashes: 1, ..NONE });
    let met = &[
        "executed",
        "late PREPARE refused",
        "tombstone by RESOLVE",
        "tombstone by ABORT",
        "commit learned from a peer",
    ];
    check("three banks and the one that drives or another dies", setup, (26979, 95027), met);
}

#[test]
fn three_banks_two_drive_one_register() {
    let setup = of(3, vec![execute(0, SET_1_OF_3), execute(1, SET_2_OF_3)], NONE);
    let met = &["locked", "executed"];
    check("three banks two drive one register", setup, (20697, 83956), met);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn large_time_outs() {
    let setup = of(2, vec![client(THERE)], Budget { ticks: 1, time_outs: 2, ..NONE });
    let met = &["driver told doubt"];
    check("large time outs", setup, (60041, 238766), met);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn large_late_lines() {
    let setup = of(2, vec![client(THERE)], Budget { repeats: 1, gone: 1, time_outs: 1, ..NONE });
    let met = &["late PREPARE refused"];
    check("large late lines", setup, (79322, 412555), met);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn large_two_lies() {
    let setup = of(2, vec![client(THERE)], Budget { lies: 2, ..NONE });
    let met = &["duplicate-id", "executed"];
    check("large two lies", setup, (40680, 154380), met);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn large_two_crashes() {
    let setup = of(2, vec![execute(0, THERE)], Budget { crashes: 2, cuts: 1, ticks: 2, ..NONE });
    let met = &["crash that lost records"];
    check("large two crashes", setup, (125871, 580823), met);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn large_two_clients_and_one_register() {
    let setup = of(2, vec![client(SET_1), client(SET_2)], Budget { gone: 1, ..NONE });
    let met = &["locked"];
    check("large two clients and one register", setup, (29043, 95616), met);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn large_three_banks_and_one_dies() {
    let setup = of(3, vec![client(COMPOSITE)], Budget { crashes: 1, ..NONE });
    let met = &["tombstone by ABORT", "tombstone by RESOLVE", "driver told doubt"];
    check("large three banks and one dies", setup, (88225, 334007), met);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn large_a_client_and_a_bank_drive_and_one_dies() {
    let setup = of(2, vec![client(THERE), execute(0, ALSO)], Budget { crashes: 1, ..NONE });
    let met = &["insufficient-funds", "executed", "crash that lost records"];
    check("large a client and a bank drive and one dies", setup, (221846, 833820), met);
}

#[test]
#[ignore = "takes minutes; scripts/exhaustive.sh runs it"]
fn large_a_lie_and_a_bank_dies() {
    let setup = of(2, vec![client(THERE)], Budget { lies: 1, crashes: 1, ..NONE });
    let met = &["duplicate-id", "crash that lost records"];
    check("large a lie and a bank dies", setup, (48953, 172823), met);
}

#[test]
fn a_lie_to_three_banks() {
    let setup = of(3, vec![execute(0, COMPOSITE)], Budget { lies: 1, ..NONE });
    let met = &["duplicate-id", "executed"];
    check("a lie to three banks", setup, (33729, 138476), met);
}

#[test]
fn a_lie_to_a_bank_that_drives_for_others() {
    let setup = of(3, vec![execute(2, THERE)], Budget { lies: 1, ..NONE });
    let met = &["duplicate-id", "tombstone by ABORT", "tombstone by RESOLVE"];
    check("a lie to a bank that drives for others", setup, (3881, 12559), met);
}
