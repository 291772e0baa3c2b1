//! `cliente` runs a transaction, or asks about one, or registers somebody; it dies, or a bank does.

use super::{Heard, all_vote, finish};
use crate::kill_matrix::cases::{Case, Victim};
use crate::kill_matrix::cluster::{AccountCluster, Effect, Told, account};
use crate::kill_matrix::stories::Story;
use crate::support::CRASH_VARIABLE;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

/// `cliente` runs the transaction, or has bank 0 run it.
pub fn driven(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    if let Victim::Bank(victim) = case.victim {
        cluster.arm(case);
        let mut cliente = cliente(cluster, case, effect);
        let running = cliente.spawn().expect("cliente runs");
        cluster.wait_death(case);
        // Half of the dead come back while their driver still is there, the others after it left.
        let at_once = case.number.is_multiple_of(2);
        if at_once {
            cluster.cluster.start_bank(victim);
        }
        let heard = heard(&running.wait_with_output().expect("cliente ends"));
        if !at_once {
            cluster.cluster.start_bank(victim);
        }
        heard
    } else {
        cluster.wait_linked();
        die(&mut cliente(cluster, case, effect), case);
        (Told::Nothing, Vec::new())
    }
}

/// The banks `voted` voted OK, and `cliente resolve` is run.
pub fn resolve(
    cluster: &mut AccountCluster,
    case: &Case,
    effect: &Effect,
    voted: &[usize],
) -> Heard {
    let tx = case.tx();
    let arguments = ["--json", "resolve", &tx];
    let told = if let Victim::Bank(victim) = case.victim {
        cluster.arm(case);
        let _open = all_vote(cluster, voted, case, effect);
        let mut cliente = cluster.cluster.cliente(&arguments);
        cliente.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = cliente.spawn().expect("cliente runs");
        cluster.wait_death(case);
        cluster.cluster.start_bank(victim);
        told_by_resolve(&running.wait_with_output().expect("cliente ends"))
    } else {
        cluster.wait_linked();
        let _open = all_vote(cluster, voted, case, effect);
        die(&mut cluster.cluster.cliente(&arguments), case);
        // Whoever was cut off asks again.
        told_by_resolve(&cluster.cluster.cliente(&arguments).output().expect("cliente runs"))
    };
    finish(cluster, case, voted);
    (told, voted.to_vec())
}

fn told_by_resolve(output: &Output) -> Told {
    let (told, code) = match json(output)["outcome"].as_str() {
        Some("committed") => (Told::Committed, 0),
        Some("aborted") => (Told::Aborted, 4),
        Some("undecided") => (Told::Unknown, 5),
        _ => panic!("no outcome: {output:?}"),
    };
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    told
}

/// Banks 0 and 1 voted OK, and `cliente` dies while it registers a client.
pub fn joins(cluster: &mut AccountCluster, case: &Case, effect: &Effect) -> Heard {
    cluster.wait_linked();
    let _open = all_vote(cluster, &[0, 1], case, effect);
    let cpf = format!("{:011}", case.number);
    let arguments = ["client", "add", "--bank", "1", "--cpf", &cpf, "--name", "Pessoa"];
    die(&mut cluster.cluster.cliente(&arguments), case);
    // Whoever was cut off asks again, and is there once.
    cluster.cluster.run(&arguments).expect_code(0);
    assert_eq!(cluster.cluster.connect(1).ask("CLIENTS").matches(&cpf).count(), 1);
    finish(cluster, case, &[0, 1]);
    (Told::Nothing, vec![0, 1])
}

/// Runs a `cliente` into its death.
fn die(cliente: &mut Command, case: &Case) {
    let output = cliente
        .env(CRASH_VARIABLE, &case.crash)
        .stdin(Stdio::null())
        .output()
        .expect("cliente runs");
    assert_eq!(output.status.signal(), Some(9), "cliente ended otherwise: {output:?}");
}

/// Runs a transaction that nobody disturbs, which must be committed; gives its time.
pub fn undisturbed(cluster: &AccountCluster, case: &Case, effect: &Effect) -> (Heard, i64) {
    let output = cliente(cluster, case, effect).output().expect("cliente runs");
    let heard = heard(&output);
    assert_eq!(heard.0, Told::Committed, "{output:?}");
    (heard, json(&output)["time"].as_i64().expect("a commit has a time"))
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
    match case.story {
        Story::Via | Story::ViaSet | Story::ViaRefused | Story::ViaOther | Story::ViaOtherShort => {
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

/// What `cliente` said, in its document and by its exit code.
fn heard(output: &Output) -> Heard {
    let document = json(output);
    let (told, code) = match document["verdict"].as_str() {
        Some("committed") => (Told::Committed, 0),
        Some("aborted") => (Told::Aborted, 4),
        Some("unknown") => (Told::Unknown, 5),
        Some("unreached") => (Told::NotSent, 3),
        Some("refused") => (Told::NotSent, 4),
        _ => panic!("no verdict: {output:?}"),
    };
    assert_eq!(output.status.code(), Some(code), "{document}");
    let no_banks = Vec::new();
    let banks = document["banks"].as_array().unwrap_or(&no_banks);
    let ok = banks.iter().filter(|bank| bank["vote"] == "OK");
    (told, ok.map(|bank| usize::try_from(bank["bank"].as_u64().unwrap()).unwrap()).collect())
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
