//! Three banks with an account each, their expected contents, and the audit after a crash.

use crate::kill_matrix::cases::Case;
use crate::kill_matrix::journal::JournalBaseline;
use crate::support::{Cluster, Wire, free_ports, wait_until};
use serde_json::Value;
use std::path::PathBuf;

pub const BANKS: usize = 3;
/// The first deposit into each account, in centavos.
const OPENED_WITH: i64 = 100_000_000;
/// The holder of each account.
pub const CPF: &str = "12345678900";

/// The outcome of a transaction at all banks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FinalOutcome {
    /// Every bank that it names committed it, at one time.
    Committed,
    /// No bank committed it, and none can any more.
    Aborted,
}

/// The outcome that a client or driver received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportedOutcome {
    Committed,
    Aborted,
    /// No bank received the transaction.
    NotSent,
    /// The transaction is in doubt.
    Unknown,
    /// No reply arrived, or none was awaited.
    NoReply,
}

/// What a transaction changes if it commits.
#[derive(Debug, Clone, Default)]
pub struct Effect {
    /// Banks, and the change of the account there in centavos.
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

/// Three banks, and their expected balances and register.
pub struct AccountCluster {
    pub cluster: Cluster,
    /// Each bank's HTTP port.
    pub http: Vec<u16>,
    balances: [i64; BANKS],
    register: String,
    /// The victim's journal before it was started with a crash point.
    baseline: JournalBaseline,
}

impl AccountCluster {
    pub fn new(keyed: bool) -> AccountCluster {
        let (cluster, http) = start(keyed);
        let cluster = AccountCluster {
            cluster,
            http,
            balances: [OPENED_WITH; BANKS],
            register: "0".to_owned(),
            baseline: JournalBaseline::default(),
        };
        cluster.open_accounts();
        cluster
    }

    /// Opens an account at each bank.
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

    /// Restarts the victim of `case` with its crash point, and waits until all banks are linked.
    pub fn arm(&mut self, case: &Case) {
        self.restart_with_crash(case);
        self.wait_linked();
    }

    /// Restarts the victim of `case` with its crash point, without waiting for links.
    pub fn restart_with_crash(&mut self, case: &Case) {
        self.cluster.kill(case.bank());
        self.start_with_crash(case);
    }

    /// Starts the victim of `case`, which does not run, with its crash point.
    pub fn start_with_crash(&mut self, case: &Case) {
        self.baseline = JournalBaseline::read(&self.data(case.bank()), case);
        self.cluster.start_bank_with_crash(case.bank(), &case.crash);
    }

    /// Starts the victim of `case`, which does not run, and waits for its crash.
    pub fn start_until_crash(&mut self, case: &Case) {
        self.baseline = JournalBaseline::read(&self.data(case.bank()), case);
        self.cluster.start_bank_until_crash(case.bank(), &case.crash);
        self.baseline.check(&self.data(case.bank()), case);
    }

    /// Waits for the crash of the victim of `case`.
    pub fn wait_crash(&mut self, case: &Case) {
        self.cluster.wait_killed(case.bank());
        self.baseline.check(&self.data(case.bank()), case);
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

    /// Records that the default register was set to `value` at all banks.
    pub fn expect_register(&mut self, value: &str) {
        value.clone_into(&mut self.register);
    }

    /// Records a deposit of cash into the account of `bank`.
    pub fn expect_deposit(&mut self, bank: usize, centavos: i64) {
        self.balances[bank] += centavos;
    }

    /// Waits until nothing is undecided anywhere, then checks that all banks that `tx` names have
    /// one outcome, that it agrees with `reported` and with the banks whose OK was received
    /// (`votes`), and that no money is lost, made or held.
    pub fn audit(
        &mut self,
        tx: &str,
        effect: &Effect,
        reported: ReportedOutcome,
        votes: &[usize],
    ) -> FinalOutcome {
        let mut wires: Vec<Wire> = (0..BANKS).map(|bank| self.cluster.connect(bank)).collect();
        for (bank, wire) in wires.iter_mut().enumerate() {
            wait_until(&format!("bank {bank} has nothing undecided"), || {
                (ask(wire, "INFO")["undecided"] == 0 && wire.ask("PENDING") == "DONE []")
                    .then_some(())
            });
        }
        let outcome = outcome(tx, &effect.banks(), votes, &mut wires);
        let implied = match reported {
            ReportedOutcome::Committed => Some(FinalOutcome::Committed),
            ReportedOutcome::Aborted | ReportedOutcome::NotSent => Some(FinalOutcome::Aborted),
            ReportedOutcome::Unknown | ReportedOutcome::NoReply => None,
        };
        assert!(
            implied.is_none_or(|implied| implied == outcome),
            "reported {reported:?}, but the banks have {outcome:?}"
        );
        if outcome == FinalOutcome::Committed {
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
        let (mut balances, mut transfers_in, mut transfers_out) = (0, 0, 0);
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
            transfers_in += total("transfers_in_total");
            transfers_out += total("transfers_out_total");
        }
        assert_eq!(balances, self.balances.iter().sum::<i64>(), "all money, as of one time");
        assert_eq!(transfers_in, transfers_out, "transfers between banks cancel");
    }

    /// The lines about a transaction in the banks' step logs, in order of time.
    pub fn timeline_of(&self, tx: &str) -> String {
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

/// Starts banks that serve HTTP too; returns their HTTP ports.
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

/// The outcome of `tx` at these banks, which must agree.
fn outcome(tx: &str, banks: &[usize], votes: &[usize], wires: &mut [Wire]) -> FinalOutcome {
    let status = |bank: &usize| wires[*bank].ask(&format!("STATUS {tx}"));
    let all: Vec<String> = banks.iter().map(status).collect();
    let all_words: Vec<&str> =
        all.iter().map(|reply| reply.split(' ').next().unwrap_or("")).collect();
    for (bank, word) in banks.iter().zip(&all_words) {
        let known = ["COMMITTED", "ABORTED", "UNKNOWN"].contains(word);
        assert!(known, "bank {bank} is in doubt: {all:?}");
        assert!(
            !votes.contains(bank) || *word != "UNKNOWN",
            "bank {bank} forgot that it voted OK: {all:?}"
        );
    }
    if !all_words.contains(&"COMMITTED") {
        return FinalOutcome::Aborted;
    }
    let times: Vec<Option<&str>> = all.iter().map(|reply| reply.split(' ').nth(2)).collect();
    let one = all_words.iter().all(|word| *word == "COMMITTED")
        && times.iter().all(|time| *time == times[0]);
    assert!(one, "the banks have different outcomes or times: {all:?}");
    FinalOutcome::Committed
}
