//! Banks are killed with SIGKILL again and again, one or two at a time, while drivers of both kinds
//! move money, and cuts are asked for meanwhile: every verdict that was told is so at every bank,
//! and no cut lacks a centavo.

use crate::support::{Cluster, Wire, wait_until};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

const BANKS: usize = 3;
const DRIVERS: usize = 6;
const KILLS: usize = 12;
/// Verdicts told between two kills.
const VERDICTS_BETWEEN: usize = 60;
/// In each account at the beginning, in centavos.
const OPENED_WITH: i64 = 1_000_000;

/// A transfer and what its driver knows of it.
struct DrivenTransfer {
    tx: String,
    from: usize,
    to: usize,
    amount: i64,
    committed: Option<bool>,
}

/// What all threads share.
struct Chaos<'a> {
    /// Where the banks listen.
    addresses: &'a [String],
    driven: Mutex<Vec<DrivenTransfer>>,
    verdicts: AtomicUsize,
    over: AtomicBool,
}

#[test]
fn no_kill_breaks_a_promise() {
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
    assert!(cuts > 0, "no cut was answered by all banks");
}

/// Kills one bank, or two, when some more verdicts were told.
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
    /// Moves money until all is over; every second transfer is driven by a bank, the others from
    /// here.
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

    /// Has a bank drive.
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

    /// Drives from here: all votes are asked for, and the last OK is the decision.
    fn two_phases(&self, banks: [usize; 2], tx: &str, json: &str) -> Option<bool> {
        let [mut one, mut other] = [self.open(banks[0])?, self.open(banks[1])?];
        let votes =
            [&mut one, &mut other].map(|wire| wire.try_ask(&format!("PREPARE {tx} {json}")));
        let said = votes.iter().flatten().find(|reply| word(reply) == "NOK");
        if let Some(refusal) = said {
            for wire in [&mut one, &mut other] {
                wire.try_ask(&format!("ABORT {tx} {}", token(refusal)));
            }
            return Some(false);
        }
        let [Some(first), Some(second)] = &votes else { return None };
        assert!(word(first) == "OK" && word(second) == "OK", "{first} {second}");
        // The verdict stands now, whatever becomes of what follows.
        for wire in [&mut one, &mut other] {
            let reply = wire.try_ask(&format!("COMMIT {tx} {} {}", token(first), token(second)));
            assert!(reply.as_deref().is_none_or(|reply| word(reply) == "COMMITTED"), "{reply:?}");
        }
        Some(true)
    }

    /// Asks all banks for the same time, again and again; how often all of them answered.
    fn cut(&self) -> usize {
        let mut answered = 0;
        while !self.over.load(Relaxed) {
            let Some(totals) = self.cut_once() else { continue };
            assert_eq!(
                totals,
                [OPENED_WITH; BANKS].iter().sum::<i64>(),
                "all money as of one time"
            );
            answered += 1;
        }
        answered
    }

    fn cut_once(&self) -> Option<i64> {
        let ask = |bank: usize, line: &str| -> Option<serde_json::Value> {
            let reply = self.open(bank)?.try_ask(line)?;
            // A cut that must wait too long for a bank that is down is refused.
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

/// Waits for the end of all doubts, and compares every bank with every verdict and with what all of
/// them make.
fn audit(cluster: &Cluster, driven: &[DrivenTransfer]) {
    let mut wires: Vec<Wire> = (0..BANKS).map(|bank| cluster.connect(bank)).collect();
    for wire in &mut wires {
        wait_until("the end of all doubts", || (wire.ask("PENDING") == "DONE []").then_some(()));
    }
    let mut balances = [OPENED_WITH; BANKS];
    let (mut committed, mut aborted, mut unknown) = (0, 0, 0);
    for DrivenTransfer { tx, from, to, amount, committed: told } in driven {
        let status = [*from, *to].map(|bank| wires[bank].ask(&format!("STATUS {tx}")));
        let is = status.each_ref().map(|reply| word(reply) == "COMMITTED");
        assert_eq!(is[0], is[1], "{status:?}");
        assert!(told.is_none_or(|told| told == is[0]), "{tx}: told {told:?}, and it is {status:?}");
        match told {
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
    println!("told: {committed} committed, {aborted} aborted, {unknown} not known");
    for (wire, balance) in wires.iter_mut().zip(balances) {
        let expected =
            format!(r#""balance":{balance},"held":0,"available":{balance},"incoming":0"#);
        let account = wire.ask("BALANCE 1");
        assert!(account.contains(&expected), "{account}: {expected}");
    }
    assert!(committed > 0 && unknown > 0, "some were told, and some drivers lost their bank");
}

fn word(reply: &str) -> &str {
    reply.split(' ').next().unwrap_or("")
}

fn token(reply: &str) -> &str {
    reply.split(' ').nth(2).unwrap_or("")
}

/// A small generator, so that the same banks are killed in the same order.
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
