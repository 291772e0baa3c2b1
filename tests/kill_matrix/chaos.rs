//! Banks are killed with SIGKILL again and again, one or two at a time, while clients and banks
//! drive transfers and a client reads cuts. Every verdict that a driver received must be true at
//! every bank, and every cut must hold all money.

use crate::support::{Cluster, Wire, wait_until};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

const BANKS: usize = 3;
const DRIVERS: usize = 6;
const KILLS: usize = 12;
/// Verdicts that drivers receive between two kills.
const VERDICTS_BETWEEN: usize = 60;
/// The first deposit into each account, in centavos.
const OPENED_WITH: i64 = 1_000_000;

/// A transfer and the verdict that its driver received.
struct DrivenTransfer {
    tx: String,
    from: usize,
    to: usize,
    amount: i64,
    committed: Option<bool>,
}

/// The state that all threads share.
struct Chaos<'a> {
    addresses: &'a [String],
    driven: Mutex<Vec<DrivenTransfer>>,
    verdicts: AtomicUsize,
    over: AtomicBool,
}

#[test]
fn kills_falsify_no_verdict_and_lose_no_money() {
    let mut cluster = Cluster::start(BANKS);
    let addresses: Vec<String> = (0..BANKS).map(|bank| cluster.address(bank)).collect();
    for address in &addresses {
        let mut wire = Wire::connect(address);
        for line in [
            r#"CLIENT {"cpf":"12345678900","name":"Pessoa 1","kind":"Físico"}"#.to_owned(),
            format!(
                r#"ACCOUNT {{"number":"1","holders":["12345678900"],"deposit":{OPENED_WITH}}}"#
            ),
        ] {
            let reply = wire.ask(&line);
            assert!(reply.starts_with("DONE"), "{reply}");
        }
    }
    let chaos = Chaos {
        addresses: &addresses,
        driven: Mutex::default(),
        verdicts: AtomicUsize::new(0),
        over: AtomicBool::new(false),
    };
    let cuts = std::thread::scope(|scope| {
        for number in 0..DRIVERS {
            let chaos = &chaos;
            scope.spawn(move || chaos.drive(number));
        }
        let cutting = scope.spawn(|| chaos.cut());
        let killing = std::panic::AssertUnwindSafe(|| kill_banks(&mut cluster, &chaos));
        let killed = std::panic::catch_unwind(killing);
        chaos.over.store(true, Relaxed);
        let cuts = cutting.join().unwrap();
        killed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        cuts
    });
    audit(&cluster, &chaos.driven.into_inner().unwrap());
    assert!(cuts > 0, "no cut was complete");
}

/// Kills one bank or two whenever drivers have received enough new verdicts.
fn kill_banks(cluster: &mut Cluster, chaos: &Chaos) {
    let mut random = Lcg(42);
    for number in 0..KILLS {
        let enough = chaos.verdicts.load(Relaxed) + VERDICTS_BETWEEN;
        wait_until("more verdicts", || (chaos.verdicts.load(Relaxed) >= enough).then_some(()));
        let first = random.below(BANKS);
        cluster.kill(first);
        if number % 3 == 2 {
            let second = (first + 1 + random.below(BANKS - 1)) % BANKS;
            cluster.kill(second);
            cluster.start_bank(second);
        }
        cluster.start_bank(first);
    }
}

impl Chaos<'_> {
    /// Transfers money until the test is over. A bank drives every second transfer, this client the
    /// others.
    fn drive(&self, number: usize) {
        let mut random = Lcg(number as u64 + 1);
        for count in 0.. {
            if self.over.load(Relaxed) {
                return;
            }
            let (from, to) = random.two_banks();
            let amount = 1 + i64::try_from(random.below(100)).unwrap();
            let tx = format!("chaos-{number}-{count}");
            let op = |bank: usize, op: &str| {
                format!(r#"{{"bank":{bank},"op":"{op}","account":"1","amount":{amount}}}"#)
            };
            let json = format!(r#"{{"ops":[{},{}]}}"#, op(from, "debit"), op(to, "credit"));
            let committed = if count % 2 == 0 {
                self.execute(random.below(BANKS), &tx, &json)
            } else {
                self.two_phases([from, to], &tx, &json)
            };
            self.verdicts.fetch_add(usize::from(committed.is_some()), Relaxed);
            self.driven.lock().unwrap().push(DrivenTransfer { tx, from, to, amount, committed });
        }
    }

    /// Lets a bank drive the transaction.
    fn execute(&self, bank: usize, tx: &str, json: &str) -> Option<bool> {
        let reply = self.open(bank)?.try_ask(&format!("EXECUTE {tx} {json}"))?;
        match word(&reply) {
            "COMMITTED" => Some(true),
            "ABORTED" => Some(false),
            "DOUBT" => None,
            "ERR" if reply.starts_with("ERR unreachable") => Some(false),
            _ => panic!("{tx}: {reply}"),
        }
    }

    /// Drives the transaction: sends PREPARE to both banks, then COMMIT or ABORT.
    fn two_phases(&self, banks: [usize; 2], tx: &str, json: &str) -> Option<bool> {
        let [mut one, mut other] = [self.open(banks[0])?, self.open(banks[1])?];
        let votes =
            [&mut one, &mut other].map(|wire| wire.try_ask(&format!("PREPARE {tx} {json}")));
        let nok = votes.iter().flatten().find(|reply| word(reply) == "NOK");
        if let Some(refusal) = nok {
            for wire in [&mut one, &mut other] {
                wire.try_ask(&format!("ABORT {tx} {}", token(refusal)));
            }
            return Some(false);
        }
        let [Some(first), Some(second)] = &votes else { return None };
        assert!(word(first) == "OK" && word(second) == "OK", "{first} {second}");
        // The transaction is committed from here on, even if no COMMIT arrives.
        for wire in [&mut one, &mut other] {
            let reply = wire.try_ask(&format!("COMMIT {tx} {} {}", token(first), token(second)));
            assert!(reply.as_deref().is_none_or(|reply| word(reply) == "COMMITTED"), "{reply:?}");
        }
        Some(true)
    }

    /// Requests cuts of all banks until the test is over; returns how many were complete.
    fn cut(&self) -> usize {
        let mut complete = 0;
        while !self.over.load(Relaxed) {
            let Some(totals) = self.cut_once() else { continue };
            assert_eq!(
                totals,
                [OPENED_WITH; BANKS].iter().sum::<i64>(),
                "all money as of one time"
            );
            complete += 1;
        }
        complete
    }

    fn cut_once(&self) -> Option<i64> {
        let ask = |bank: usize, line: &str| -> Option<serde_json::Value> {
            let reply = self.open(bank)?.try_ask(line)?;
            // A cut that waits too long for a bank that is down is refused.
            serde_json::from_str(reply.strip_prefix("DONE ")?).ok()
        };
        let time = ask(0, "SNAPSHOT")?["time"].as_i64()?;
        let mut sum = 0;
        for bank in 0..BANKS {
            sum += ask(bank, &format!("SNAPSHOT {time}"))?["balance_total"].as_i64()?;
        }
        Some(sum)
    }

    /// A connection to `bank`, unless it is down.
    fn open(&self, bank: usize) -> Option<Wire> {
        Wire::try_connect(&self.addresses[bank])
    }
}

/// Waits until nothing is undecided, and checks every verdict at the banks of its transfer, and
/// each balance against the sum of all committed transfers.
fn audit(cluster: &Cluster, driven: &[DrivenTransfer]) {
    let mut wires: Vec<Wire> = (0..BANKS).map(|bank| cluster.connect(bank)).collect();
    for wire in &mut wires {
        wait_until("nothing undecided", || (wire.ask("PENDING") == "DONE []").then_some(()));
    }
    let mut balances = [OPENED_WITH; BANKS];
    let (mut committed, mut aborted, mut unknown) = (0, 0, 0);
    for DrivenTransfer { tx, from, to, amount, committed: verdict } in driven {
        let status = [*from, *to].map(|bank| wires[bank].ask(&format!("STATUS {tx}")));
        let is = status.each_ref().map(|reply| word(reply) == "COMMITTED");
        assert_eq!(is[0], is[1], "{status:?}");
        assert!(
            verdict.is_none_or(|verdict| verdict == is[0]),
            "{tx}: the verdict was {verdict:?}, but the banks report {status:?}"
        );
        match verdict {
            Some(true) => committed += 1,
            Some(false) => aborted += 1,
            None => unknown += 1,
        }
        if is[0] {
            let times = status.each_ref().map(|reply| reply.split(' ').nth(2));
            assert_eq!(times[0], times[1], "{status:?}");
            balances[*from] -= amount;
            balances[*to] += amount;
        }
    }
    println!("verdicts: {committed} committed, {aborted} aborted, {unknown} unknown");
    for (wire, balance) in wires.iter_mut().zip(balances) {
        let expected =
            format!(r#""balance":{balance},"held":0,"available":{balance},"incoming":0"#);
        let account = wire.ask("BALANCE 1");
        assert!(account.contains(&expected), "{account}: {expected}");
    }
    assert!(committed > 0 && unknown > 0, "no driver lost its bank, or none got a verdict");
}

fn word(reply: &str) -> &str {
    reply.split(' ').next().unwrap_or("")
}

fn token(reply: &str) -> &str {
    reply.split(' ').nth(2).unwrap_or("")
}

/// A linear congruential generator with a fixed seed: each run kills the same banks in order.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn two_banks(&mut self) -> (usize, usize) {
        let from = self.below(BANKS);
        (from, (from + 1 + self.below(BANKS - 1)) % BANKS)
    }
}
