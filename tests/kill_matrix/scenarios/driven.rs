//! `cliente` runs or resolves a transaction, or registers a client; it crashes, or a bank does.

use super::{ClientReport, all_vote, finish};
use crate::kill_matrix::cases::{Case, Victim};
use crate::kill_matrix::cluster::{AccountCluster, Effect, ReportedOutcome, account};
use crate::kill_matrix::scenarios::Scenario;
use crate::support::CRASH_VARIABLE;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

/// `cliente` runs the transaction, or has bank 0 run it.
pub fn driven(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    if let Victim::Bank(victim) = case.victim {
        cluster.arm(case);
        let mut cliente = cliente(cluster, case, effect);
        let running = cliente.spawn().expect("cliente runs");
        cluster.wait_crash(case);
        // Half of the victims restart while the driver still runs, the others after it has ended.
        let at_once = case.number.is_multiple_of(2);
        if at_once {
            cluster.cluster.start_bank(victim);
        }
        let report = report_of(&running.wait_with_output().expect("cliente ends"));
        if !at_once {
            cluster.cluster.start_bank(victim);
        }
        report
    } else {
        cluster.wait_linked();
        run_until_crash(&mut cliente(cluster, case, effect), case);
        (ReportedOutcome::NoReply, Vec::new())
    }
}

/// The banks `voted` voted OK, and `cliente resolve` is run.
pub fn resolve(
    cluster: &mut AccountCluster,
    case: &Case,
    effect: &Effect,
    voted: &[usize],
) -> ClientReport {
    let tx = case.tx();
    let arguments = ["--json", "resolve", &tx];
    let reported = if let Victim::Bank(victim) = case.victim {
        cluster.arm(case);
        let _open = all_vote(cluster, voted, case, effect);
        let mut cliente = cluster.cluster.cliente(&arguments);
        cliente.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = cliente.spawn().expect("cliente runs");
        cluster.wait_crash(case);
        cluster.cluster.start_bank(victim);
        outcome_of_resolve(&running.wait_with_output().expect("cliente ends"))
    } else {
        cluster.wait_linked();
        let _open = all_vote(cluster, voted, case, effect);
        run_until_crash(&mut cluster.cluster.cliente(&arguments), case);
        // A user whose command was cut off repeats it.
        outcome_of_resolve(&cluster.cluster.cliente(&arguments).output().expect("cliente runs"))
    };
    finish(cluster, case, voted);
    (reported, voted.to_vec())
}

fn outcome_of_resolve(output: &Output) -> ReportedOutcome {
    let (reported, code) = match json(output)["outcome"].as_str() {
        Some("committed") => (ReportedOutcome::Committed, 0),
        Some("aborted") => (ReportedOutcome::Aborted, 4),
        Some("undecided") => (ReportedOutcome::Unknown, 5),
        _ => panic!("no outcome: {output:?}"),
    };
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    reported
}

/// Banks 0 and 1 voted OK, and `cliente` crashes while it registers a client.
pub fn joins(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> ClientReport {
    cluster.wait_linked();
    let _open = all_vote(cluster, &[0, 1], case, effect);
    let cpf = format!("{:011}", case.number);
    let arguments = ["client", "add", "--bank", "1", "--cpf", &cpf, "--name", "Pessoa"];
    run_until_crash(&mut cluster.cluster.cliente(&arguments), case);
    // A user whose command was cut off repeats it; the client is registered once.
    cluster.cluster.run(&arguments).expect_code(0);
    assert_eq!(cluster.cluster.connect(1).ask("CLIENTS").matches(&cpf).count(), 1);
    finish(cluster, case, &[0, 1]);
    (ReportedOutcome::NoReply, vec![0, 1])
}

/// Runs a `cliente` until it crashes.
fn run_until_crash(cliente: &mut Command, case: &Case) {
    let output = cliente
        .env(CRASH_VARIABLE, &case.crash)
        .stdin(Stdio::null())
        .output()
        .expect("cliente runs");
    assert_eq!(output.status.signal(), Some(9), "cliente was not killed: {output:?}");
}

/// Runs a transaction without any fault, so it must commit; returns its time too.
pub fn without_faults(
    cluster: &AccountCluster,
    case: &Case,
    effect: &Effect,
) -> (ClientReport, i64) {
    let output = cliente(cluster, case, effect).output().expect("cliente runs");
    let report = report_of(&output);
    assert_eq!(report.0, ReportedOutcome::Committed, "{output:?}");
    (report, json(&output)["time"].as_i64().expect("a commit has a time"))
}

fn cliente(cluster: &AccountCluster, case: &Case, effect: &Effect) -> Command {
    let mut arguments = vec!["--json".to_owned()];
    match &effect.register {
        Some(value) => arguments.extend(["set".to_owned(), value.clone()]),
        None => {
            arguments.push("transfer".to_owned());
            for (bank, change) in &effect.money {
                let side = if *change < 0 { "--from" } else { "--to" };
                let (reais, centavos) = (change.abs() / 100, change.abs() % 100);
                arguments.extend([
                    side.to_owned(),
                    format!("{bank}/{}={reais}.{centavos:02}", account(*bank)),
                ]);
            }
        }
    }
    match case.scenario {
        Scenario::Via
        | Scenario::ViaSet
        | Scenario::ViaRefused
        | Scenario::ViaOther
        | Scenario::ViaOtherShort => {
            arguments.extend(["--via".to_owned(), "0".to_owned()]);
        }
        _ => {}
    }
    arguments.extend(["--tx".to_owned(), case.tx()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = cluster.cluster.cliente(&arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What `cliente` reported in its JSON document, which its exit code must agree with.
fn report_of(output: &Output) -> ClientReport {
    let document = json(output);
    let (reported, code) = match document["verdict"].as_str() {
        Some("committed") => (ReportedOutcome::Committed, 0),
        Some("aborted") => (ReportedOutcome::Aborted, 4),
        Some("unknown") => (ReportedOutcome::Unknown, 5),
        Some("unreached") => (ReportedOutcome::NotSent, 3),
        Some("refused") => (ReportedOutcome::NotSent, 4),
        _ => panic!("no verdict: {output:?}"),
    };
    assert_eq!(output.status.code(), Some(code), "{document}");
    let no_banks = Vec::new();
    let banks = document["banks"].as_array().unwrap_or(&no_banks);
    let ok = banks.iter().filter(|bank| bank["vote"] == "OK");
    (reported, ok.map(|bank| usize::try_from(bank["bank"].as_u64().unwrap()).unwrap()).collect())
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
