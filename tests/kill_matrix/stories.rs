//! What happens up to a death and after it, until all that was begun has an end.

use crate::cases::{Case, Victim};
use crate::support::{CRASH_VARIABLE, Wire, wait_until};
use crate::town::{Effect, Outcome, Told, Town, account};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

/// More than any account has.
const TOO_MUCH: i64 = 500_000_000;
/// Nobody asks before this is over, unless it was restarted.
const PATIENCE_MS: u32 = 300_000;

/// How a transaction is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// `cliente` drives a transfer from bank 0 to bank 1.
    Transfer,
    /// ... from bank 1, which has not so much, to bank 0.
    Refused,
    /// `cliente` sets a register at all banks.
    Set,
    /// Bank 0 voted OK, then bank 1, which knows nothing of it, is told to ABORT.
    GivenUp,
    /// Bank 0 drives a transfer from its own account to banks 1 and 2.
    Via,
    /// Bank 0 drives the setting of a register.
    ViaSet,
    /// Bank 0 drives one that bank 1 refuses.
    ViaRefused,
    /// Bank 0 drives a transfer from bank 1 to bank 2, and takes no part.
    ViaOther,
    /// Banks 0 and 1 voted OK on PREPAREs typed by hand; the connection to bank 0 is closed, so it asks.
    Orphan,
    /// The same with a bank 1 that was never asked, and a bank 2 that voted.
    OrphanShort,
    /// Banks 0 and 1 voted OK; bank 0 is restarted, and dies while it recovers.
    Restart,
    /// The same with a bank 1 that was never asked.
    RestartShort,
    /// Bank 0 voted OK, as bank 1 did, and gets so much to write that it fills segments.
    Fill,
    /// Both voted OK, and one registers a client and opens an account.
    Registers,
}

const NAMES: &[(&str, Story)] = &[
    ("transfer", Story::Transfer),
    ("refused", Story::Refused),
    ("set", Story::Set),
    ("given-up", Story::GivenUp),
    ("via", Story::Via),
    ("via-set", Story::ViaSet),
    ("via-refused", Story::ViaRefused),
    ("via-other", Story::ViaOther),
    ("orphan", Story::Orphan),
    ("orphan-short", Story::OrphanShort),
    ("restart", Story::Restart),
    ("restart-short", Story::RestartShort),
    ("fill", Story::Fill),
    ("registers", Story::Registers),
];

impl Story {
    /// The story with this name.
    pub fn named(name: &str) -> Story {
        NAMES.iter().find(|(named, _)| *named == name).unwrap_or_else(|| panic!("no story: {name}")).1
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, story)| *story == self).expect("every story has a name").0
    }

    /// Does it count on how full the journals are?
    pub fn wants_fresh_banks(self) -> bool {
        self == Story::Fill
    }
}

/// Runs a case to its end and audits the banks.
pub fn run(town: &mut Town, case: &Case) -> (Outcome, Told) {
    let tx = case.tx();
    let effect = effect(case);
    let (told, votes) = match case.story {
        Story::Transfer
        | Story::Refused
        | Story::Set
        | Story::Via
        | Story::ViaSet
        | Story::ViaRefused
        | Story::ViaOther => driven(town, case, &effect),
        Story::GivenUp => given_up(town, case, &effect),
        Story::Orphan | Story::OrphanShort => orphan(town, case, &effect),
        Story::Restart | Story::RestartShort => restart(town, case, &effect),
        Story::Fill => fill(town, case, &effect),
        Story::Registers => registers(town, case, &effect),
    };
    (town.audit(&tx, &effect, told, &votes), told)
}

fn effect(case: &Case) -> Effect {
    let some = 100 + i64::try_from(case.number).unwrap();
    let money = match case.story {
        Story::Transfer
        | Story::GivenUp
        | Story::Orphan
        | Story::Restart
        | Story::RestartShort
        | Story::Fill
        | Story::Registers => vec![(0, -some), (1, some)],
        Story::Refused => vec![(1, -TOO_MUCH), (0, TOO_MUCH)],
        Story::Via | Story::OrphanShort => vec![(0, -2 * some), (1, some), (2, some)],
        Story::ViaRefused => vec![(0, -some), (1, -TOO_MUCH), (2, TOO_MUCH + some)],
        Story::ViaOther => vec![(1, -some), (2, some)],
        Story::Set | Story::ViaSet => {
            return Effect { register: Some(format!("v{}", case.number)), ..Effect::default() };
        }
    };
    Effect { money, register: None }
}

/// What was told, and the banks whose OK was told.
type Heard = (Told, Vec<usize>);

/// `cliente` runs the transaction, or has bank 0 run it.
fn driven(town: &mut Town, case: &Case, effect: &Effect) -> Heard {
    if let Victim::Bank(victim) = case.victim {
        town.arm(victim, case.crash);
        let mut cliente = cliente(town, case, effect);
        let running = cliente.spawn().expect("cliente runs");
        town.cluster.wait_killed(victim);
        // Half of the dead come back while their driver still is there, the others after it left.
        let at_once = case.number.is_multiple_of(2);
        if at_once {
            town.cluster.start_bank(victim);
        }
        let heard = heard(&running.wait_with_output().expect("cliente ends"));
        if !at_once {
            town.cluster.start_bank(victim);
        }
        heard
    } else {
        town.wait_linked();
        let output = cliente(town, case, effect).env(CRASH_VARIABLE, case.crash).output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "cliente ended otherwise: {output:?}");
        (Told::Nothing, Vec::new())
    }
}

fn cliente(town: &Town, case: &Case, effect: &Effect) -> Command {
    let mut arguments = vec!["--json".to_owned()];
    match &effect.register {
        Some(value) => arguments.extend(["set".to_owned(), value.clone()]),
        None => {
            arguments.push("transfer".to_owned());
            for (bank, change) in &effect.money {
                let side = if *change < 0 { "--from" } else { "--to" };
                let (reais, centavos) = (change.abs() / 100, change.abs() % 100);
                arguments
                    .extend([side.to_owned(), format!("{bank}/{}={reais}.{centavos:02}", account(*bank))]);
            }
        }
    }
    match case.story {
        Story::Via | Story::ViaSet | Story::ViaRefused | Story::ViaOther => {
            arguments.extend(["--via".to_owned(), "0".to_owned()]);
        }
        _ => {}
    }
    arguments.extend(["--tx".to_owned(), case.tx()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = town.cluster.cliente(&arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What `cliente` said, in its document and by its exit code.
fn heard(output: &Output) -> Heard {
    let document: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
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

fn given_up(town: &mut Town, case: &Case, effect: &Effect) -> Heard {
    let victim = bank_of(case);
    town.arm(victim, case.crash);
    let asking = prepare(town, 0, case, effect, None);
    let reply = town.cluster.connect(victim).try_ask(&format!("ABORT {}", case.tx()));
    town.cluster.wait_killed(victim);
    town.cluster.start_bank(victim);
    drop(asking);
    match reply.as_deref().map(|reply| reply.split(' ').next().unwrap_or("")) {
        None => (Told::Nothing, vec![0]),
        Some("ABORTED") => (Told::Aborted, vec![0]),
        Some(_) => panic!("ABORT of an unknown id: {reply:?}"),
    }
}

fn orphan(town: &mut Town, case: &Case, effect: &Effect) -> Heard {
    let victim = bank_of(case);
    let other = if case.story == Story::Orphan { 1 } else { 2 };
    town.arm(victim, case.crash);
    let left = prepare(town, 0, case, effect, None);
    let kept = prepare(town, other, case, effect, None);
    drop(left);
    town.cluster.wait_killed(victim);
    town.cluster.start_bank(victim);
    // Half of the drivers are silent, but there until the banks have ended the transaction by themselves.
    let mut kept = Some(kept).filter(|_| (case.number / 2).is_multiple_of(2));
    wait_until("the transaction's end", || {
        let status = town.cluster.connect(other).ask(&format!("STATUS {}", case.tx()));
        (!status.starts_with("OK")).then_some(())
    });
    kept.take();
    (Told::Nothing, vec![0, other])
}

fn restart(town: &mut Town, case: &Case, effect: &Effect) -> Heard {
    let victim = bank_of(case);
    town.wait_linked();
    let mut banks = vec![victim];
    banks.extend((case.story == Story::Restart).then_some(1));
    let _open: Vec<Wire> =
        banks.iter().map(|bank| prepare(town, *bank, case, effect, Some(PATIENCE_MS))).collect();
    town.cluster.kill(victim);
    town.cluster.start_bank_into_death(victim, case.crash);
    town.cluster.start_bank(victim);
    if case.story == Story::RestartShort {
        return (Told::Nothing, banks);
    }
    // The one that was restarted asks at once, but what it learns may have died with it: the other one asks when its
    // patience is over, or when somebody wants to know.
    let mut wire = town.cluster.connect(1);
    let reply = wait_until("an answer that knows", || {
        let reply = wire.ask(&format!("COMMIT {}", case.tx()));
        (!reply.starts_with("DOUBT")).then_some(reply)
    });
    assert!(reply.starts_with("COMMITTED "), "{reply}");
    (Told::Committed, banks)
}

fn fill(town: &mut Town, case: &Case, effect: &Effect) -> Heard {
    let victim = bank_of(case);
    // Else it may still be made when the bank begins to wait for its death.
    let data = town.cluster.path().join(format!("data/{}", town.cluster.port(victim)));
    wait_until("the second segment", || data.join("segment-0000000002").exists().then_some(()));
    town.arm(victim, case.crash);
    let _open = [0, 1].map(|bank| prepare(town, bank, case, effect, Some(PATIENCE_MS)));
    // Bytes of a transaction are kept as they came, blanks included.
    let blanks = " ".repeat(60_000);
    let number = account(victim);
    let mut wire = town.cluster.connect(victim);
    let mut sent = 0;
    loop {
        assert!(sent < 1_000, "so much was written, and it lives");
        let line = format!(
            r#"EXECUTE cash-{sent} {{"ops":[{{"bank":{victim},"op":"deposit","account":"{number}","amount":1}}]{blanks}}}"#
        );
        sent += 1;
        match wire.try_ask(&line) {
            Some(reply) => assert!(reply.starts_with("COMMITTED"), "{reply}"),
            None => break,
        }
    }
    town.cluster.wait_killed(victim);
    town.cluster.start_bank(victim);
    let mut wire = town.cluster.connect(victim);
    for number in 0..sent {
        let status = wire.ask(&format!("STATUS cash-{number}"));
        let committed = status.starts_with("COMMITTED");
        // Only of the last one nobody was told.
        assert!(
            committed || (number + 1 == sent && status.starts_with("UNKNOWN")),
            "cash-{number}: {status}"
        );
        town.note_cash(victim, i64::from(committed));
    }
    (Told::Nothing, vec![0, 1])
}

fn registers(town: &mut Town, case: &Case, effect: &Effect) -> Heard {
    let victim = bank_of(case);
    town.arm(victim, case.crash);
    let _open = [0, 1].map(|bank| prepare(town, bank, case, effect, Some(PATIENCE_MS)));
    let (cpf, number) = (format!("{:011}", case.number), format!("late-{}", case.number));
    let lines = [
        format!(r#"CLIENT {{"cpf":"{cpf}","name":"Pessoa {number}","kind":"Físico"}}"#),
        format!(r#"ACCOUNT {{"number":"{number}","holders":["{cpf}"],"deposit":0}}"#),
    ];
    let mut wire = town.cluster.connect(victim);
    let told: Vec<String> = lines.iter().map_while(|line| wire.try_ask(line)).collect();
    assert!(told.len() < lines.len() && told.iter().all(|reply| reply.starts_with("DONE")), "{told:?}");
    town.cluster.wait_killed(victim);
    town.cluster.start_bank(victim);
    let mut wire = town.cluster.connect(victim);
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

fn bank_of(case: &Case) -> usize {
    match case.victim {
        Victim::Bank(bank) => bank,
        Victim::Client => panic!("no client takes part: {}", case.name()),
    }
}

/// Types PREPARE to `bank`, which must vote OK; gives the connection.
fn prepare(town: &Town, bank: usize, case: &Case, effect: &Effect, patience_ms: Option<u32>) -> Wire {
    let ops: Vec<String> = effect
        .money
        .iter()
        .map(|(bank, change)| {
            let (op, account, amount) =
                (if *change < 0 { "debit" } else { "credit" }, account(*bank), change.abs());
            format!(r#"{{"bank":{bank},"op":"{op}","account":"{account}","amount":{amount}}}"#)
        })
        .collect();
    let patience = patience_ms.map(|ms| format!(r#","patience_ms":{ms}"#)).unwrap_or_default();
    let mut wire = town.cluster.connect(bank);
    let reply = wire.ask(&format!(r#"PREPARE {} {{"ops":[{}]{patience}}}"#, case.tx(), ops.join(",")));
    assert!(reply.starts_with("OK "), "bank {bank}: {reply}");
    wire
}
