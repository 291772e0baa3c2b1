//! What a bank lives through beside votes and outcomes: restarts, full segments, registrations,
//! cuts, another list, a journal that is missing.

use super::{Heard, all_vote, driven, finish};
use crate::kill_matrix::cases::Case;
use crate::kill_matrix::cluster::{AccountCluster, BANKS, Effect, Told, account};
use crate::support::{Process, wait_until};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A cut is asked for so much ahead of the clock: a bank that forgot it would vote before it.
const AHEAD_US: i64 = 900_000;

/// The banks `voted` voted OK; the first of them is restarted, and dies while it recovers.
pub fn restart(
    cluster: &mut AccountCluster,
    case: &Case,
    effect: &Effect,
    voted: &[usize],
) -> Heard {
    let victim = case.bank();
    cluster.wait_linked();
    let _open = all_vote(cluster, voted, case, effect);
    cluster.cluster.kill(victim);
    cluster.start_into_death(case);
    cluster.cluster.start_bank(victim);
    // The one that was restarted asks at once, but what it learns may have died with it: another
    // one asks when its patience is over, or when somebody wants to know.
    finish(cluster, case, voted);
    (Told::Nothing, voted.to_vec())
}

/// Both voted OK, and one fills segments.
pub fn fill(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let victim = case.bank();
    // Else it may still be made when the bank begins to wait for its death.
    let data = cluster.data(victim);
    wait_until("the second segment", || data.join("segment-0000000002").exists().then_some(()));
    write_until_death(cluster, case, effect)
}

/// Both voted OK, and one writes until it dies.
pub fn write_until_death(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, &[0, 1], case, effect);
    // Bytes of a transaction are kept as they came, blanks included.
    let blanks = " ".repeat(60_000);
    let number = account(victim);
    let mut wire = cluster.cluster.connect(victim);
    let mut sent = 0;
    // More is not needed for any of the deaths. Where the machine is busy, the journal's own
    // threads are behind.
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
    cluster.wait_death(case);
    cluster.cluster.start_bank(victim);
    let mut wire = cluster.cluster.connect(victim);
    for number in 0..sent {
        let status = wire.ask(&format!("STATUS cash-{number}"));
        let committed = status.starts_with("COMMITTED");
        // Only of the last one nobody was told.
        assert!(
            committed || (number + 1 == sent && status.starts_with("UNKNOWN")),
            "cash-{number}: {status}"
        );
        cluster.note_cash(victim, i64::from(committed));
    }
    (Told::Nothing, vec![0, 1])
}

/// Both voted OK, and one registers a client and opens an account.
pub fn registers(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, &[0, 1], case, effect);
    let (cpf, number) = (format!("{:011}", case.number), format!("late-{}", case.number));
    let lines = [
        format!(r#"CLIENT {{"cpf":"{cpf}","name":"Pessoa {number}","kind":"Físico"}}"#),
        format!(r#"ACCOUNT {{"number":"{number}","holders":["{cpf}"],"deposit":0}}"#),
    ];
    let mut wire = cluster.cluster.connect(victim);
    let told: Vec<String> = lines.iter().map_while(|line| wire.try_ask(line)).collect();
    assert!(
        told.len() < lines.len() && told.iter().all(|reply| reply.starts_with("DONE")),
        "{told:?}"
    );
    cluster.wait_death(case);
    cluster.cluster.start_bank(victim);
    let mut wire = cluster.cluster.connect(victim);
    // What was told is there; what was not may be asked again, and is there once.
    assert!(told.is_empty() || wire.ask("CLIENTS").contains(&cpf), "{told:?}");
    for line in &lines {
        let reply = wire.ask(line);
        assert!(reply.starts_with("DONE"), "{reply}");
    }
    assert_eq!(wire.ask("CLIENTS").matches(&cpf).count(), 1);
    assert!(wire.ask(&format!("BALANCE {number}")).contains(r#""balance":0,"#));
    (Told::Nothing, vec![0, 1])
}

/// A cut ahead of the clock is asked for, and then a vote.
pub fn cut(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let victim = case.bank();
    cluster.arm(case);
    let time = now_us() + AHEAD_US;
    let line = format!("SNAPSHOT {time} accounts");
    let told = cluster.cluster.connect(victim).try_ask(&line);
    cluster.wait_death(case);
    cluster.cluster.start_bank(victim);
    let (heard, committed) = driven::undisturbed(cluster, case, effect);
    if let Some(told) = told {
        assert!(committed > time, "it committed at {committed}, and a cut at {time} had been told");
        let again = cluster.cluster.connect(victim).ask(&line);
        assert_eq!(without_reading(&again), without_reading(&told), "a cut that was told stays so");
    }
    heard
}

/// A cut's answer but for the reading beside it: the clock runs on.
fn without_reading(answer: &str) -> (&str, &str) {
    let (before, rest) = answer.split_once(r#","reading":""#).expect("a cut tells a reading");
    (before, rest.split_once('"').expect("a text ends").1)
}

/// A cut waits for an outcome.
pub fn cut_waits(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let victim = case.bank();
    cluster.arm(case);
    let _open = all_vote(cluster, &[0, 1], case, effect);
    let time = now_us() + AHEAD_US;
    let line = format!("SNAPSHOT {time} accounts");
    let told = cluster.cluster.connect(victim).try_ask(&format!("{line}\nCOMMIT {}", case.tx()));
    cluster.wait_death(case);
    cluster.cluster.start_bank(victim);
    finish(cluster, case, &[0, 1]);
    let again = cluster.cluster.connect(victim).ask(&line);
    assert!(again.starts_with("DONE "), "{again}");
    assert!(told.is_none_or(|told| told == again), "a cut that was told stays so: {again}");
    (Told::Nothing, vec![0, 1])
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    i64::try_from(now.as_micros()).expect("and earlier than 292277")
}

/// Banks 0 and 1 voted OK; then all are restarted with a longer list and a new key.
pub fn grows(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let _open = all_vote(cluster, &[0, 1], case, effect);
    let banks = 0..crate::kill_matrix::cluster::BANKS;
    banks.clone().for_each(|bank| cluster.cluster.kill(bank));
    cluster.cluster.add_place("-");
    cluster.cluster.change_key();
    cluster.start_into_death(case);
    banks.for_each(|bank| cluster.cluster.start_bank(bank));
    finish(cluster, case, &[0, 1]);
    (Told::Nothing, vec![0, 1])
}

/// A bank starts on an old copy of its journal, is told of a vote that it forgot, and so must not
/// work any more.
pub fn forgets(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let victim = case.bank();
    let (data, folder) = (cluster.data(victim), cluster.cluster.path().to_owned());
    // Out of the bank's sight: beside its own folder it would find them.
    let (old, newest) = (folder.join("old"), folder.join("newest"));
    cluster.cluster.kill(victim);
    copy(&data, &old);
    cluster.cluster.start_bank(victim);
    cluster.wait_linked();
    let (heard, _) = driven::undisturbed(cluster, case, effect);
    cluster.cluster.kill(victim);
    std::fs::rename(&data, &newest).unwrap();
    std::fs::rename(&old, &data).unwrap();
    cluster.start_into_death(case);
    // Whether or not the stop was durable, it does not work: it hears of that vote again.
    let mut process = Process::start(&mut cluster.cluster.servidor(victim));
    let why = process.wait_for("forgot a promise");
    assert_eq!((process.wait(), why.is_ok()), (Some(1), true), "{why:?}");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&newest, &data).unwrap();
    cluster.cluster.start_bank(victim);
    heard
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// All begin anew without a journal; the one of the case dies while they meet each other.
pub fn meets(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let banks = 0..crate::kill_matrix::cluster::BANKS;
    banks.clone().for_each(|bank| cluster.cluster.kill(bank));
    banks.clone().for_each(|bank| std::fs::remove_dir_all(cluster.data(bank)).unwrap());
    banks
        .clone()
        .filter(|bank| *bank != case.bank())
        .for_each(|bank| cluster.cluster.start_bank(bank));
    cluster.start_into_death(case);
    cluster.cluster.start_bank(case.bank());
    banks.for_each(|bank| cluster.cluster.wait_introduced(bank));
    cluster.open_accounts();
    driven::undisturbed(cluster, case, effect).0
}

/// A register is set, and banks 0 and 1 voted OK; then a fourth bank comes, which learns the
/// register.
pub fn learns(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    let ops = (0..BANKS).map(|bank| format!(r#"{{"bank":{bank},"op":"set","value":"learned"}}"#));
    let set = format!(r#"EXECUTE set {{"ops":[{}]}}"#, ops.collect::<Vec<_>>().join(","));
    cluster.wait_linked();
    let reply = cluster.cluster.connect(0).ask(&set);
    assert!(reply.starts_with("COMMITTED"), "{reply}");
    cluster.note_register("learned");
    let _open = all_vote(cluster, &[0, 1], case, effect);
    (0..BANKS).for_each(|bank| cluster.cluster.kill(bank));
    cluster.cluster.introduce();
    let last = cluster.cluster.add_bank();
    if case.bank() == last {
        (0..BANKS).for_each(|bank| cluster.cluster.start_bank(bank));
        cluster.start_into_death(case);
    } else {
        // The other old banks are away and left out, so that no other one can be asked.
        let others: Vec<usize> = (0..BANKS).filter(|bank| *bank != case.bank()).collect();
        let without: Vec<String> = others.iter().map(|bank| bank.to_string()).collect();
        cluster.cluster.add_switches(last, &["--introduce-without", &without.join(",")]);
        cluster.cluster.start_bank(last);
        cluster.start_to_die_anew(case);
        cluster.wait_death(case);
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
    (Told::Nothing, vec![0, 1])
}
