//! Real banks with wrong or jumping clocks: cuts of all banks, clocks that are followed or not,
//! starts, and warnings.

use super::{run, start_with};
use crate::support::{Cluster, ProgramRun, wait_until};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

const S: i64 = 1_000_000;
const H: i64 = 3_600 * S;
const D: i64 = 24 * H;
const Y: i64 = 365 * D;

fn true_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros().try_into().unwrap()
}

/// Three banks with two accounts and clocks that can be set; that of `bank` is `wall_us` ahead.
fn with_clock(bank: usize, wall_us: i64) -> Cluster {
    for _ in 0..5 {
        let mut cluster = Cluster::new(3, true);
        (0..3).for_each(|bank| cluster.set_clock(bank, 0, 0));
        cluster.set_clock(bank, wall_us, 0);
        if (0..3).all(|bank| cluster.try_start(bank).is_ok()) {
            cluster.open_account(0, "a", "11111111111", "100");
            cluster.open_account(1, "b", "22222222222", "100");
            return cluster;
        }
    }
    panic!("no consortium came up in five attempts");
}

fn info(cluster: &Cluster, bank: usize) -> Value {
    let reply = cluster.connect(bank).ask("INFO");
    serde_json::from_str(reply.strip_prefix("DONE ").expect("a reply to INFO")).expect("JSON")
}

/// How far a bank's commit times are ahead of true time.
fn ahead(cluster: &Cluster, bank: usize) -> i64 {
    info(cluster, bank)["time"].as_i64().unwrap() - true_us()
}

#[track_caller]
fn assert_near(us: i64, expected_us: i64) {
    // On a busy machine the value may have been read a while ago.
    let range = expected_us - 20 * S..=expected_us + 2 * S;
    assert!(range.contains(&us), "{us} is not near {expected_us}");
}

fn transfer(cluster: &Cluster, from: &str, to: &str) {
    cluster.run(&["transfer", "--from", &format!("{from}=0,01"), "--to", to]).expect_code(0);
}

/// Runs every command that takes a cut of all banks; returns `status`.
fn cuts(cluster: &Cluster) -> ProgramRun {
    cluster.run(&["audit"]).expect_code(0).expect("It adds up");
    cluster.run(&["audit", "--accounts"]).expect_code(0);
    let status = cluster.run(&["status"]).expect_code(0).expect("it adds up");
    cluster.run(&["audit"]).expect_code(0);
    status
}

/// Cuts succeed before any traffic, when no bank knows another's clock, and after some.
#[test]
fn cuts_are_possible_whatever_the_clocks_show() {
    for wrong in [1_500_000, -1_500_000, 5 * S, -5 * S, H, -H] {
        let cluster = with_clock(0, wrong);
        let apart = ahead(&cluster, 0) - ahead(&cluster, 2);
        assert!(
            (wrong - S..=wrong + S).contains(&apart),
            "bank 0 is {apart} from bank 2, not {wrong}"
        );
        let status = cuts(&cluster);
        if wrong.abs() == H {
            // The cut moves all banks' commit times to that of the first.
            assert!(status.stdout.contains("commit times are "), "{status:?}");
        }
        for _ in 0..2 {
            transfer(&cluster, "0/a", "1/b");
            cuts(&cluster);
            transfer(&cluster, "1/b", "0/a");
            cuts(&cluster);
        }
    }
}

/// Banks exchange clock readings when they link, for reports only.
#[test]
fn banks_compare_their_clocks_when_they_link() {
    let cluster = with_clock(0, H + 30 * S);
    for (bank, other, words) in
        [(1, 0, "bank 0 is 1 h 0 min ahead of"), (0, 2, "bank 2 is 1 h 0 min behind")]
    {
        let apart = wait_until("the difference of the clocks in BANKS", || {
            let reply = cluster.connect(bank).ask("BANKS");
            let banks: Value = serde_json::from_str(reply.strip_prefix("DONE ").unwrap()).unwrap();
            banks[other]["clock_us"].as_i64()
        });
        assert!((apart.abs() - H - 30 * S).abs() < S && (apart > 0) == (other == 0), "{apart}");
        wait_until("a warning in its step log", || cluster.log(bank).contains(words).then_some(()));
    }
    let banks = cluster.connect(1).ask("BANKS");
    assert_eq!(banks.matches("clock_us").count(), 1, "bank 2's clock is near: {banks}");
}

/// Traffic between two banks leaves the third bank's commit time behind, or ahead.
#[test]
fn cuts_are_possible_after_traffic_between_two_banks_only() {
    for (wrong, at) in [(H, 0), (H, 2), (-H, 1), (5 * S, 2)] {
        let cluster = with_clock(at, wrong);
        transfer(&cluster, "0/a", "1/b");
        cuts(&cluster);
        transfer(&cluster, "1/b", "0/a");
        cuts(&cluster);
    }
}

#[test]
fn a_cut_ahead_of_a_banks_clocks_needs_the_proof_of_another() {
    let cluster = with_clock(0, H);
    let info = info(&cluster, 0);
    let (time, reading) = (info["time"].as_i64().unwrap(), info["reading"].as_str().unwrap());
    let mut bank = cluster.connect(1);
    let refused = |reply: String| {
        assert!(
            reply.starts_with("REFUSED limit ") && reply.contains("more than a second ahead"),
            "{reply}"
        );
    };
    refused(bank.ask(&format!("SNAPSHOT {time}")));
    refused(bank.ask(&format!("SNAPSHOT {} {reading}", time + 1)));
    let later = reading.replace(&format!(".{time}."), &format!(".{}.", time + 1));
    refused(bank.ask(&format!("SNAPSHOT {} {later}", time + 1)));
    refused(bank.ask(&format!("SNAPSHOT {time} {}", reading.replacen("T0", "T2", 1))));
    refused(bank.ask(&format!("SNAPSHOT {time} T0.{time}..")));
    assert_near(ahead(&cluster, 1), 0);
    let cut = bank.ask(&format!("SNAPSHOT {time} {reading}"));
    assert!(cut.starts_with("DONE ") && cut.contains("\"reading\":\"T1."), "{cut}");
    assert_near(ahead(&cluster, 1), H);
}

#[test]
fn a_jump_of_minutes_is_caught_up() {
    let cluster = with_clock(0, 0);
    cluster.set_clock(0, 600 * S, 0);
    wait_until("a warning of bank 0", || {
        cluster.log(0).contains("ahead of this bank's; it is caught up").then_some(())
    });
    transfer(&cluster, "0/a", "1/b");
    cuts(&cluster);
    wait_until("ten minutes are caught up", || {
        (info(&cluster, 0)["time"].as_i64()
            >= info(&cluster, 0)["wall"].as_i64().map(|wall| wall - S))
        .then_some(())
    });
    wait_until("a message of bank 0", || {
        cluster.log(0).contains("the wall clock is followed").then_some(())
    });
    assert_near(ahead(&cluster, 0), 600 * S);
    cuts(&cluster);
}

#[test]
fn jumps_of_days_and_years_are_reported_and_not_followed() {
    let mut cluster = with_clock(0, 0);
    for wrong in [2 * D, 3 * Y, 300 * Y] {
        cluster.set_clock(0, wrong, 0);
        wait_until("the clock has jumped", || {
            (info(&cluster, 0)["wall"].as_i64().unwrap() > true_us() + wrong - 60 * S).then_some(())
        });
        transfer(&cluster, "0/a", "1/b");
        transfer(&cluster, "1/b", "0/a");
        let status = cuts(&cluster);
        let line = "bank 0: its wall clock jumped ";
        assert!(
            status.stdout.contains(line) && status.stdout.contains("not followed until"),
            "{status:?}"
        );
        (0..3).for_each(|bank| assert_near(ahead(&cluster, bank), 0));
        cluster.set_clock(0, 0, 0);
        wait_until("the clock is right again", || {
            (info(&cluster, 0)["wall"].as_i64().unwrap() < true_us() + 60 * S).then_some(())
        });
        let status = cuts(&cluster);
        assert!(!status.stdout.contains("wall clock"), "{status:?}");
        assert_near(ahead(&cluster, 0), 0);
    }
    assert!(cluster.log(0).contains("and is not followed until a restart"), "{}", cluster.log(0));
    // A restart follows the clock, but with an absurd one only if the operator accepts it.
    assert_eq!(cluster.stop(0), Some(0));
    cluster.set_clock(0, 3 * Y, 0);
    let refused = run(&mut cluster.servidor(0)).expect_code(1);
    assert!(refused.stdout.is_empty(), "{refused:?}");
    assert!(
        refused.stderr.contains("this machine's clock shows ")
            && refused.stderr.contains("--accept-clock"),
        "{refused:?}"
    );
    let accepted = start_with(&cluster, 0, &["--accept-clock"]);
    assert_near(ahead(&cluster, 0), 3 * Y);
    drop(accepted);
    cluster.set_clock(0, 0, 0);
    cluster.start_bank(0);
    assert_near(ahead(&cluster, 0), 0);
}

/// After a clock went back, commit times continue from the old time until the clock catches up.
#[test]
fn a_clock_that_goes_back_stops_nothing() {
    let cluster = with_clock(0, 0);
    for wrong in [-5 * S, -H, -Y, -true_us() + 5 * S] {
        cluster.set_clock(0, wrong, 0);
        transfer(&cluster, "0/a", "1/b");
        transfer(&cluster, "1/b", "0/a");
        cuts(&cluster);
        cluster.set_clock(0, 0, 0);
        wait_until("the clock is right again", || {
            let info = info(&cluster, 0);
            ((info["wall"].as_i64().unwrap() - true_us()).abs() < 20 * S).then_some(())
        });
        cuts(&cluster);
        assert_near(ahead(&cluster, 0), 0);
    }
}

/// A machine that boots in 1970 and gets the time over the network, with a new journal and with an
/// existing one.
#[test]
fn a_clock_that_is_set_after_the_start_is_followed_at_once() {
    let mut cluster = with_clock(0, -true_us() + 5 * S);
    wait_until("a message of bank 0", || {
        cluster.log(0).contains("the wall clock is not set").then_some(())
    });
    for _ in 0..2 {
        transfer(&cluster, "0/a", "1/b");
        cuts(&cluster);
        cluster.set_clock(0, 0, 0);
        wait_until("the clock is set and followed", || {
            let info = info(&cluster, 0);
            let (wall, time) = (info["wall"].as_i64().unwrap(), info["time"].as_i64().unwrap());
            (wall > true_us() - 20 * S && wall - time < S).then_some(())
        });
        cuts(&cluster);
        assert_eq!(cluster.stop(0), Some(0));
        cluster.set_clock(0, -true_us() + 5 * S, 0);
        cluster.start_bank(0);
    }
}

/// While a machine is suspended, its wall clock and uptime advance, but the monotonic clock does
/// not. The bank follows without a warning.
#[test]
fn a_suspended_machine_is_followed_without_a_warning() {
    let cluster = with_clock(0, 0);
    for slept in [8 * H, 90 * D] {
        (0..3).for_each(|bank| cluster.set_clock(bank, slept, slept));
        wait_until("the machine is awake", || {
            (0..3).all(|bank| ahead(&cluster, bank) > slept - 20 * S).then_some(())
        });
        transfer(&cluster, "0/a", "1/b");
        let status = cuts(&cluster);
        assert!(!status.stdout.contains("wall clock"), "{status:?}");
    }
    assert!((0..3).all(|bank| !cluster.log(bank).contains("the wall clock")), "no warning");
}
