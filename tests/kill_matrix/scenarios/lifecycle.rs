//! Events in a bank's life beside votes and outcomes: restarts, full segments, registrations, cuts,
//! a new list or key, an old journal, a new journal.

use super::{ClientReport, all_vote, driven, finish};
use crate::kill_matrix::cases::Case;
use crate::kill_matrix::cluster::{AccountCluster, BANKS, Effect, ReportedOutcome, account};
use crate::support::{Process, wait_until};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far ahead of the clock a cut is. A bank that lost the cut in its crash would vote earlier.
const AHEAD_US: i64 = 900_000;

/// The banks `voted` voted OK; the first of them is restarted, and crashes while it recovers.
pub fn restart(
    cluster: &mut AccountCluster,
    case: &Case,
    effect: &Effect,
    voted: &[usize],
) -> ClientReport {
    let victim = case.bank();
    cluster.wait_linked();
    let _open = all_vote(cluster, voted, case, effect);
    cluster.cluster.kill(victim);
    cluster.start_until_crash(case);
    cluster.cluster.start_bank(victim);
    // A restarted bank resolves at once, but the crash may lose what it learned, and the other
    // banks resolve only when a client sends COMMIT.
    finish(cluster, case, voted);
    (ReportedOutcome::NoReply, voted.to_vec())
}

/// Banks 0 and 1 voted OK, and one fills segments.
pub fn fill(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let victim = case.bank();
    // Otherwise the bank may still be creating it when it is restarted with its crash point.
    let data = cluster.data(victim);
    wait_until("the second segment", || data.join("segment-0000000002").exists().then_some(()));
    write_until_crash(cluster, case, effect)
}

/// Banks 0 and 1 voted OK, and one writes until it crashes.
pub fn write_until_crash(
    cluster: &mut AccountCluster,
    case: &Case,
    effect: &Effect,
) -> ClientReport {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, &[0, 1], case, effect);
    // The journal keeps a transaction's text as received, blanks included.
    let blanks = " ".repeat(60_000);
    let number = account(victim);
    let mut wire = cluster.cluster.connect(victim);
    let mut sent = 0;
    // Enough for every crash point, even when a busy machine delays the journal's own threads.
    while sent < 1_000 {
        let line = format!(
            r#"EXECUTE cash-{sent} {{"ops":[{{"bank":{victim},"op":"deposit","account":"{number}","amount":1}}]{blanks}}}"#
        );
        sent += 1;
        match wire.try_ask(&line) {
            Some(reply) => assert!(reply.starts_with("COMMITTED"), "{reply}"),
            None => break,
        }
    }
    cluster.wait_crash(case);
    cluster.cluster.start_bank(victim);
    let mut wire = cluster.cluster.connect(victim);
    for number in 0..sent {
        let status = wire.ask(&format!("STATUS cash-{number}"));
        let committed = status.starts_with("COMMITTED");
        // Only the last one was not acknowledged.
        assert!(
            committed || (number + 1 == sent && status.starts_with("UNKNOWN")),
            "cash-{number}: {status}"
        );
        cluster.expect_deposit(victim, i64::from(committed));
    }
    (ReportedOutcome::NoReply, vec![0, 1])
}

/// Banks 0 and 1 voted OK, and one registers a client and opens an account.
pub fn registers(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, &[0, 1], case, effect);
    let (cpf, number) = (format!("{:011}", case.number), format!("late-{}", case.number));
    let lines = [
        format!(r#"CLIENT {{"cpf":"{cpf}","name":"Pessoa {number}","kind":"Físico"}}"#),
        format!(r#"ACCOUNT {{"number":"{number}","holders":["{cpf}"],"deposit":0}}"#),
    ];
    let mut wire = cluster.cluster.connect(victim);
    let replies: Vec<String> = lines.iter().map_while(|line| wire.try_ask(line)).collect();
    assert!(
        replies.len() < lines.len() && replies.iter().all(|reply| reply.starts_with("DONE")),
        "{replies:?}"
    );
    cluster.wait_crash(case);
    cluster.cluster.start_bank(victim);
    let mut wire = cluster.cluster.connect(victim);
    // An acknowledged registration is durable; any other can be repeated without a duplicate.
    assert!(replies.is_empty() || wire.ask("CLIENTS").contains(&cpf), "{replies:?}");
    for line in &lines {
        let reply = wire.ask(line);
        assert!(reply.starts_with("DONE"), "{reply}");
    }
    assert_eq!(wire.ask("CLIENTS").matches(&cpf).count(), 1);
    assert!(wire.ask(&format!("BALANCE {number}")).contains(r#""balance":0,"#));
    (ReportedOutcome::NoReply, vec![0, 1])
}

/// The victim receives a request for a cut ahead of its clock, then a PREPARE.
pub fn cut(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let victim = case.bank();
    cluster.arm(case);
    let time = now_us() + AHEAD_US;
    let line = format!("SNAPSHOT {time} accounts");
    let first = cluster.cluster.connect(victim).try_ask(&line);
    cluster.wait_crash(case);
    cluster.cluster.start_bank(victim);
    let (report, committed) = driven::without_faults(cluster, case, effect);
    if let Some(first) = first {
        assert!(committed > time, "a commit at {committed} after the cut at {time} was returned");
        let again = cluster.cluster.connect(victim).ask(&line);
        let [first, again] = [&first, &again].map(|reply| without_clock_reading(reply));
        assert_eq!(again, first, "a cut never changes");
    }
    report
}

/// The reply to SNAPSHOT without its clock reading, which differs at each request.
fn without_clock_reading(reply: &str) -> (&str, &str) {
    let (before, rest) = reply.split_once(r#","reading":""#).expect("a cut has a clock reading");
    (before, rest.split_once('"').expect("a text ends").1)
}

/// Banks 0 and 1 voted OK, and the victim receives a request for a cut that waits for the outcome.
pub fn cut_waits(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, &[0, 1], case, effect);
    let time = now_us() + AHEAD_US;
    let line = format!("SNAPSHOT {time} accounts");
    let first = cluster.cluster.connect(victim).try_ask(&format!("{line}\nCOMMIT {}", case.tx()));
    cluster.wait_crash(case);
    cluster.cluster.start_bank(victim);
    finish(cluster, case, &[0, 1]);
    let again = cluster.cluster.connect(victim).ask(&line);
    assert!(again.starts_with("DONE "), "{again}");
    assert!(first.is_none_or(|first| first == again), "a cut never changes: {again}");
    (ReportedOutcome::NoReply, vec![0, 1])
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    i64::try_from(now.as_micros()).expect("and earlier than 292277")
}

/// Banks 0 and 1 voted OK; then all are restarted with a longer list and a new key.
pub fn grows(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let _open = all_vote(cluster, &[0, 1], case, effect);
    let banks = 0..crate::kill_matrix::cluster::BANKS;
    banks.clone().for_each(|bank| cluster.cluster.kill(bank));
    cluster.cluster.add_position("-");
    cluster.cluster.change_key();
    cluster.start_until_crash(case);
    banks.for_each(|bank| cluster.cluster.start_bank(bank));
    finish(cluster, case, &[0, 1]);
    (ReportedOutcome::NoReply, vec![0, 1])
}

/// A bank starts on an old copy of its journal and must stop, as a peer notifies it of a vote that
/// the copy lacks.
pub fn forgets(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let victim = case.bank();
    let (data, folder) = (cluster.data(victim), cluster.cluster.path().to_owned());
    // Not beside the bank's own folder, where it would find them and refuse to start.
    let (old, newest) = (folder.join("old"), folder.join("newest"));
    cluster.cluster.kill(victim);
    copy(&data, &old);
    cluster.cluster.start_bank(victim);
    cluster.wait_linked();
    let (report, _) = driven::without_faults(cluster, case, effect);
    cluster.cluster.kill(victim);
    std::fs::rename(&data, &newest).unwrap();
    std::fs::rename(&old, &data).unwrap();
    cluster.start_until_crash(case);
    // It stops again even where its stop was not durable: a peer notifies it again.
    let mut process = Process::start(&mut cluster.cluster.servidor(victim));
    let cause = process.wait_for("forgot a promise");
    assert_eq!((process.wait(), cause.is_ok()), (Some(1), true), "{cause:?}");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&newest, &data).unwrap();
    cluster.cluster.start_bank(victim);
    report
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// All banks start with new journals; the victim crashes while they are introduced to each other.
pub fn meets(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let banks = 0..crate::kill_matrix::cluster::BANKS;
    banks.clone().for_each(|bank| cluster.cluster.kill(bank));
    banks.clone().for_each(|bank| std::fs::remove_dir_all(cluster.data(bank)).unwrap());
    banks
        .clone()
        .filter(|bank| *bank != case.bank())
        .for_each(|bank| cluster.cluster.start_bank(bank));
    cluster.start_until_crash(case);
    cluster.cluster.start_bank(case.bank());
    banks.for_each(|bank| cluster.cluster.wait_introduced(bank));
    cluster.open_accounts();
    driven::without_faults(cluster, case, effect).0
}

/// A register is set, and banks 0 and 1 voted OK; then a fourth bank joins and learns the register.
pub fn learns(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    let ops = (0..BANKS).map(|bank| format!(r#"{{"bank":{bank},"op":"set","value":"learned"}}"#));
    let set = format!(r#"EXECUTE set {{"ops":[{}]}}"#, ops.collect::<Vec<_>>().join(","));
    cluster.wait_linked();
    let reply = cluster.cluster.connect(0).ask(&set);
    assert!(reply.starts_with("COMMITTED"), "{reply}");
    cluster.expect_register("learned");
    let _open = all_vote(cluster, &[0, 1], case, effect);
    (0..BANKS).for_each(|bank| cluster.cluster.kill(bank));
    cluster.cluster.introduce();
    let last = cluster.cluster.add_bank();
    if case.bank() == last {
        (0..BANKS).for_each(|bank| cluster.cluster.start_bank(bank));
        cluster.start_until_crash(case);
    } else {
        // The new bank must learn from the victim: the other old banks are down and left out.
        let others: Vec<usize> = (0..BANKS).filter(|bank| *bank != case.bank()).collect();
        let without: Vec<String> = others.iter().map(|bank| bank.to_string()).collect();
        cluster.cluster.add_switches(last, &["--introduce-without", &without.join(",")]);
        cluster.cluster.start_bank(last);
        cluster.start_with_crash(case);
        cluster.wait_crash(case);
        others.into_iter().for_each(|bank| cluster.cluster.start_bank(bank));
    }
    cluster.cluster.start_bank(case.bank());
    let mut wire = cluster.cluster.connect(last);
    wait_until("the register at the new bank", || {
        let value = wire.ask("VALUE");
        assert!(
            value.starts_with("REFUSED unreachable")
                || value.starts_with("REFUSED not-introduced")
                || value.contains("learned"),
            "{value}"
        );
        value.starts_with("DONE").then_some(())
    });
    finish(cluster, case, &[0, 1]);
    (ReportedOutcome::NoReply, vec![0, 1])
}
