//! Three banks with an account each, what must be in them, and the audit after a death.

use crate::kill_matrix::cases::Case;
use crate::kill_matrix::journal::Before;
use crate::support::{Cluster, Wire, free_ports, wait_until};
use serde_json::Value;
use std::path::PathBuf;

/// Banks in a cluster.
pub const BANKS: usize = 3;
/// In each account at the beginning, in centavos.
const OPENED_WITH: i64 = 100_000_000;
/// Who holds each account.
pub const CPF: &str = "12345678900";

/// What became of a transaction at all banks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Every bank that it names committed it, at one time.
    Committed,
    /// None did, and none may still.
    Aborted,
}

/// What somebody was told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Committed,
    Aborted,
    /// Nothing was sent to anyone.
    NotSent,
    /// It is not known.
    Unknown,
    /// Nobody was there to be told.
    Nothing,
}

/// What a transaction does where it is committed.
#[derive(Debug, Clone, Default)]
pub struct Effect {
    /// By how many centavos the account of which bank changes.
    pub money: Vec<(usize, i64)>,
    pub register: Option<String>,
}

impl Effect {
    fn banks(&self) -> Vec<usize> {
        match self.register {
            Some(_) => (0..BANKS).collect(),
            None => self.money.iter().map(|(bank, _)| *bank).collect(),
        }
    }
}

/// Three banks, and what must be in them.
pub struct AccountCluster {
    pub cluster: Cluster,
    /// Where each bank serves HTTP.
    pub http: Vec<u16>,
    balances: [i64; BANKS],
    register: String,
    /// The journal of the bank that is to die.
    before: Before,
}

impl AccountCluster {
    pub fn new(keyed: bool) -> AccountCluster {
        let (cluster, http) = start(keyed);
        let cluster = AccountCluster {
            cluster,
            http,
            balances: [OPENED_WITH; BANKS],
            register: "0".to_owned(),
            before: Before::default(),
        };
        cluster.open_accounts();
        cluster
    }

    /// An account at each bank.
    pub fn open_accounts(&self) {
        for bank in 0..BANKS {
            let mut wire = self.cluster.connect(bank);
            let client =
                wire.ask(&format!(r#"CLIENT {{"cpf":"{CPF}","name":"Pessoa 1","kind":"Físico"}}"#));
            assert!(client.starts_with("DONE"), "{client}");
            let number = account(bank);
            let line = format!(
                r#"ACCOUNT {{"number":"{number}","holders":["{CPF}"],"deposit":{OPENED_WITH}}}"#
            );
            let opened = wire.ask(&line);
            assert!(opened.starts_with("DONE"), "{opened}");
        }
    }

    /// Starts the bank of `case` anew, to die where it says, and waits until all banks are linked.
    pub fn arm(&mut self, case: &Case) {
        self.start_to_die(case);
        self.wait_linked();
    }

    /// The same, and waits for no link.
    pub fn start_to_die(&mut self, case: &Case) {
        self.cluster.kill(case.bank());
        self.before = Before::look(&self.data(case.bank()), case);
        self.cluster.start_bank_to_die(case.bank(), &case.crash);
    }

    /// The same for one that does not run.
    pub fn start_to_die_anew(&mut self, case: &Case) {
        self.before = Before::look(&self.data(case.bank()), case);
        self.cluster.start_bank_to_die(case.bank(), &case.crash);
    }

    /// Starts the bank of `case`, which does not run, and waits for its death.
    pub fn start_into_death(&mut self, case: &Case) {
        self.before = Before::look(&self.data(case.bank()), case);
        self.cluster.start_bank_into_death(case.bank(), &case.crash);
        self.before.check(&self.data(case.bank()), case);
    }

    /// Waits for the death of the bank of `case`.
    pub fn wait_death(&mut self, case: &Case) {
        self.cluster.wait_killed(case.bank());
        self.before.check(&self.data(case.bank()), case);
    }

    /// The folder of a bank's journal.
    pub fn data(&self, bank: usize) -> PathBuf {
        self.cluster.path().join(format!("data/bank-{bank}"))
    }

    /// Waits until every bank's links to all others are open.
    pub fn wait_linked(&self) {
        for bank in 0..BANKS {
            let mut wire = self.cluster.connect(bank);
            wait_until(&format!("links of bank {bank}"), || {
                (!wire.ask("BANKS").contains(r#""online":false"#)).then_some(())
            });
        }
    }

    /// `storage` was set to this at all banks.
    pub fn note_register(&mut self, value: &str) {
        value.clone_into(&mut self.register);
    }

    /// Cash was brought into the account of `bank`.
    pub fn note_cash(&mut self, bank: usize, centavos: i64) {
        self.balances[bank] += centavos;
    }

    /// Waits until nothing is undecided anywhere, and checks everything: one outcome at all banks
    /// that `tx` names, `told` and the `votes` that were told are so, no money is lost, made or
    /// held.
    pub fn audit(&mut self, tx: &str, effect: &Effect, told: Told, votes: &[usize]) -> Outcome {
        let mut wires: Vec<Wire> = (0..BANKS).map(|bank| self.cluster.connect(bank)).collect();
        for (bank, wire) in wires.iter_mut().enumerate() {
            wait_until(&format!("the end of all doubts at bank {bank}"), || {
                (ask(wire, "INFO")["undecided"] == 0 && wire.ask("PENDING") == "DONE []")
                    .then_some(())
            });
        }
        let outcome = outcome(tx, &effect.banks(), votes, &mut wires);
        match told {
            Told::Committed => assert_eq!(outcome, Outcome::Committed, "told that it is committed"),
            Told::Aborted => assert_eq!(outcome, Outcome::Aborted, "told that it is aborted"),
            Told::NotSent => assert_eq!(outcome, Outcome::Aborted, "told that nothing was sent"),
            Told::Unknown | Told::Nothing => {}
        }
        if outcome == Outcome::Committed {
            for (bank, change) in &effect.money {
                self.balances[*bank] += change;
            }
            if let Some(value) = &effect.register {
                self.register.clone_from(value);
            }
        }
        self.check_ledgers(&mut wires);
        outcome
    }

    fn check_ledgers(&self, wires: &mut [Wire]) {
        let time = ask(&mut wires[0], "SNAPSHOT")["time"].as_i64().expect("a cut has a time");
        let (mut balances, mut came, mut went) = (0, 0, 0);
        for (bank, wire) in wires.iter_mut().enumerate() {
            let expected = self.balances[bank];
            let account = ask(wire, &format!("BALANCE {}", account(bank)));
            for (field, value) in
                [("balance", expected), ("held", 0), ("available", expected), ("incoming", 0)]
            {
                assert_eq!(account[field], value, "{field} at bank {bank}: {account}");
            }
            let info = ask(wire, "INFO");
            for (field, value) in
                [("balance_total", expected), ("held_total", 0), ("incoming_total", 0)]
            {
                assert_eq!(info[field], value, "{field} at bank {bank}: {info}");
            }
            let value = ask(wire, "VALUE");
            assert_eq!(value["value"], self.register.as_str(), "bank {bank}");
            let cut = ask(wire, &format!("SNAPSHOT {time}"));
            let total =
                |field: &str| cut[field].as_i64().unwrap_or_else(|| panic!("{field} in {cut}"));
            let cash = total("cash_in_total") - total("cash_out_total");
            let transfers = total("transfers_in_total") - total("transfers_out_total");
            assert_eq!(total("balance_total"), cash + transfers, "bank {bank}: {cut}");
            balances += total("balance_total");
            came += total("transfers_in_total");
            went += total("transfers_out_total");
        }
        assert_eq!(balances, self.balances.iter().sum::<i64>(), "all money, as of one time");
        assert_eq!(came, went, "what left a bank came to another");
    }

    /// What the banks' step logs tell of a transaction, in order of time.
    pub fn story_of(&self, tx: &str) -> String {
        let mark = format!("tx={tx} ");
        let logs: Vec<String> = (0..BANKS).map(|bank| self.cluster.log(bank)).collect();
        let lines = logs.iter().enumerate().flat_map(|(bank, log)| {
            let about = |line: &&str| {
                line.contains(&mark)
                    || [" start ", " ready ", " recover "].iter().any(|word| line.contains(word))
            };
            log.lines().filter(about).map(move |line| format!("    {line}  [bank {bank}]\n"))
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        lines[lines.len().saturating_sub(60)..].concat()
    }
}

/// Banks that serve HTTP, too, and where.
fn start(keyed: bool) -> (Cluster, Vec<u16>) {
    // Another process may take a port between its choice and its use; then others are chosen.
    for _ in 0..5 {
        let mut cluster = Cluster::new(BANKS, keyed);
        let http = free_ports(BANKS);
        for (bank, port) in http.iter().enumerate() {
            cluster.add_switches(bank, &["--http", &port.to_string()]);
        }
        if (0..BANKS).all(|bank| cluster.try_start(bank).is_ok()) {
            return (cluster, http);
        }
    }
    panic!("no consortium came up in five attempts");
}

/// The number of the account at `bank`.
pub fn account(bank: usize) -> String {
    format!("100{bank}")
}

fn ask(wire: &mut Wire, line: &str) -> Value {
    let reply = wire.ask(line);
    let json = reply.strip_prefix("DONE ").unwrap_or_else(|| panic!("{line}: {reply}"));
    serde_json::from_str(json).unwrap()
}

/// What the named banks say of `tx`; they must not contradict each other.
fn outcome(tx: &str, banks: &[usize], votes: &[usize], wires: &mut [Wire]) -> Outcome {
    let status = |bank: &usize| wires[*bank].ask(&format!("STATUS {tx}"));
    let all: Vec<String> = banks.iter().map(status).collect();
    let all_words: Vec<&str> =
        all.iter().map(|reply| reply.split(' ').next().unwrap_or("")).collect();
    for (bank, word) in banks.iter().zip(&all_words) {
        let known = ["COMMITTED", "ABORTED", "UNKNOWN"].contains(word);
        assert!(known, "bank {bank} has an outcome, or never voted: {all:?}");
        assert!(
            !votes.contains(bank) || *word != "UNKNOWN",
            "bank {bank} forgot that it voted OK: {all:?}"
        );
    }
    if !all_words.contains(&"COMMITTED") {
        return Outcome::Aborted;
    }
    let times: Vec<Option<&str>> = all.iter().map(|reply| reply.split(' ').nth(2)).collect();
    let one = all_words.iter().all(|word| *word == "COMMITTED")
        && times.iter().all(|time| *time == times[0]);
    assert!(one, "one outcome, at one time: {all:?}");
    Outcome::Committed
}
