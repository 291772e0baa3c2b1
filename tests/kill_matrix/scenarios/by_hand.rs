//! A client sends single lines, as if typed by hand: lines that make a bank query its peers, or
//! that change nothing. A bank crashes at one of them.

use super::{ClientReport, all_vote, finish, outcome_in, prepare};
use crate::kill_matrix::cases::Case;
use crate::kill_matrix::cluster::{AccountCluster, Effect, ReportedOutcome, account};
use crate::kill_matrix::scenarios::Scenario;
use crate::support::{Wire, wait_until};

/// The banks `voted` voted OK, and the bank `at` receives `verb`.
pub fn typed(
    cluster: &mut AccountCluster,
    case: &Case,
    effect: &Effect,
    voted: &[usize],
    at: usize,
    verb: &str,
) -> ClientReport {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, voted, case, effect);
    let mut wire = cluster.cluster.connect(at);
    let line = format!("{verb} {}", case.tx());
    // A bank that waits for the crashed one replies only once that one is back.
    let reply = std::thread::scope(|scope| {
        let pending = scope.spawn(move || wire.try_ask(&line));
        cluster.wait_crash(case);
        cluster.cluster.start_bank(victim);
        pending.join().expect("the client does not panic")
    });
    finish(cluster, case, voted);
    (outcome_in(reply.as_deref()), voted.to_vec())
}

/// Banks 0 and 1 voted OK, bank 1 is down, and bank 0 receives COMMIT.
pub fn alone(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, &[0, 1], case, effect);
    cluster.cluster.kill(1);
    let reply = cluster.cluster.connect(victim).try_ask(&format!("COMMIT {}", case.tx()));
    assert!(reply.as_deref().is_none_or(|reply| reply.starts_with("DOUBT")), "{reply:?}");
    cluster.wait_crash(case);
    cluster.cluster.start_bank(victim);
    cluster.cluster.start_bank(1);
    finish(cluster, case, &[0, 1]);
    (outcome_in(reply.as_deref()), vec![0, 1])
}

/// Banks 0 and 1 voted OK, and the victim receives every verb that changes nothing until it
/// crashes.
pub fn reads(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let (victim, tx) = (case.bank(), case.tx());
    // Not `arm`: it waits for links with BANKS, which may itself be the crash point.
    cluster.restart_with_crash(case);
    let _open = all_vote(cluster, &[0, 1], case, effect);
    let lines = [
        format!(r#"HELLO {{"bank":{victim},"places":3,"version":1}}"#),
        format!("STATUS {tx}"),
        format!("STATUS no-{tx}"),
        "CLIENTS".to_owned(),
        "ACCOUNTS".to_owned(),
        format!("BALANCE {}", account(victim)),
        "VALUE".to_owned(),
        "HISTORY 3".to_owned(),
        "PENDING".to_owned(),
        "BANKS".to_owned(),
        "INFO".to_owned(),
        "HELP".to_owned(),
        "BALANCE nobody".to_owned(),
        format!("COMMIT no-{tx}"),
        "WHAT".to_owned(),
        "QUIT".to_owned(),
    ];
    let mut wire = cluster.cluster.connect(victim);
    let replies: Vec<String> =
        lines.iter().map_while(|line| last_of(wire.try_ask(line), &mut wire)).collect();
    cluster.wait_crash(case);
    cluster.cluster.start_bank(victim);
    let words: Vec<&str> = replies.iter().filter_map(|reply| reply.split(' ').next()).collect();
    let expected = [
        "DONE", "OK", "UNKNOWN", "DONE", "DONE", "DONE", "DONE", "DONE", "DONE", "DONE", "DONE",
        "DONE", "REFUSED", "DOUBT", "ERR", "BYE",
    ];
    assert_eq!(words, expected[..words.len()], "{replies:?}");
    finish(cluster, case, &[0, 1]);
    (ReportedOutcome::NoReply, vec![0, 1])
}

/// Banks voted OK, and the connection of the first one's driver is closed.
pub fn orphan(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let victim = case.bank();
    let other = if case.scenario == Scenario::Orphan { 1 } else { 2 };
    cluster.arm(case);
    let closed = prepare(cluster, 0, case, effect, None);
    let kept = prepare(cluster, other, case, effect, None);
    drop(closed);
    cluster.wait_crash(case);
    cluster.cluster.start_bank(victim);
    // In half of the cases the other connection stays open, silent, until the banks have decided.
    let mut kept = Some(kept).filter(|_| (case.number / 2).is_multiple_of(2));
    wait_until("the outcome", || {
        let status = cluster.cluster.connect(other).ask(&format!("STATUS {}", case.tx()));
        (!status.starts_with("OK")).then_some(())
    });
    kept.take();
    (ReportedOutcome::NoReply, vec![0, other])
}

/// The last line of a reply that began with `first`; only HELP has several.
fn last_of(first: Option<String>, wire: &mut Wire) -> Option<String> {
    let mut line = first?;
    while line.starts_with("HELP ") {
        line = wire.try_receive()?;
    }
    Some(line)
}
