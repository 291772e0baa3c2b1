//! Somebody types a line that a bank must ask others about, or that changes nothing, and a bank
//! dies over it.

use super::{Heard, all_vote, finish, prepare, told_by};
use crate::kill_matrix::cases::Case;
use crate::kill_matrix::cluster::{AccountCluster, Effect, Told, account};
use crate::kill_matrix::stories::Story;
use crate::support::wait_until;

/// The banks `voted` voted OK, and `verb` is typed to the bank `at`.
pub fn typed(
    cluster: &mut AccountCluster,
    case: &Case,
    effect: &Effect,
    voted: &[usize],
    at: usize,
    verb: &str,
) -> Heard {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, voted, case, effect);
    let mut wire = cluster.cluster.connect(at);
    let line = format!("{verb} {}", case.tx());
    // Where it waits for the dead one, its answer comes when that one is back.
    let reply = std::thread::scope(|scope| {
        let asking = scope.spawn(move || wire.try_ask(&line));
        cluster.wait_death(case);
        cluster.cluster.start_bank(victim);
        asking.join().expect("the answer, or none")
    });
    finish(cluster, case, voted);
    (told_by(reply.as_deref()), voted.to_vec())
}

/// Banks 0 and 1 voted OK, bank 1 is away, and bank 0 is told to COMMIT.
pub fn alone(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, &[0, 1], case, effect);
    cluster.cluster.kill(1);
    let reply = cluster.cluster.connect(victim).try_ask(&format!("COMMIT {}", case.tx()));
    assert!(reply.as_deref().is_none_or(|reply| reply.starts_with("DOUBT")), "{reply:?}");
    cluster.wait_death(case);
    cluster.cluster.start_bank(victim);
    cluster.cluster.start_bank(1);
    finish(cluster, case, &[0, 1]);
    (told_by(reply.as_deref()), vec![0, 1])
}

/// Banks 0 and 1 voted OK, and one of them is asked everything that changes nothing, until it dies.
pub fn asks(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let (victim, tx) = (case.bank(), case.tx());
    // Whether its links are open is not asked: that is one of the questions over which it may die.
    cluster.start_to_die(case);
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
    let told: Vec<String> = lines.iter().map_while(|line| wire.try_ask(line)).collect();
    cluster.wait_death(case);
    cluster.cluster.start_bank(victim);
    let words: Vec<&str> = told.iter().filter_map(|reply| reply.split(' ').next()).collect();
    let expected = [
        "DONE", "OK", "UNKNOWN", "DONE", "DONE", "DONE", "DONE", "DONE", "DONE", "DONE", "DONE",
        "DONE", "REFUSED", "DOUBT", "ERR", "BYE",
    ];
    assert_eq!(words, expected[..words.len()], "{told:?}");
    finish(cluster, case, &[0, 1]);
    (Told::Nothing, vec![0, 1])
}

/// Banks voted OK, and the connection of the first one's driver is closed.
pub fn orphan(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let victim = case.bank();
    let other = if case.story == Story::Orphan { 1 } else { 2 };
    cluster.arm(case);
    let left = prepare(cluster, 0, case, effect, None);
    let kept = prepare(cluster, other, case, effect, None);
    drop(left);
    cluster.wait_death(case);
    cluster.cluster.start_bank(victim);
    // Half of the drivers are silent, but there until the banks have ended the transaction by
    // themselves.
    let mut kept = Some(kept).filter(|_| (case.number / 2).is_multiple_of(2));
    wait_until("the transaction's end", || {
        let status = cluster.cluster.connect(other).ask(&format!("STATUS {}", case.tx()));
        (!status.starts_with("OK")).then_some(())
    });
    kept.take();
    (Told::Nothing, vec![0, other])
}
