//! The bank test, as Jepsen runs it: real `servidor` processes behind proxies, a nemesis that
//! kills, stops, parts and fills them, clients that move money and read all of it meanwhile, and a
//! checker that believes nobody.
//!
//! 8 accounts over 3 banks hold 100 in total; half of the tellers' requests are transfers of 1 to
//! 5, half are reads of all accounts by a consistent cut. Beside them, registers are set and read
//! at any bank. What must hold is in `audit`; the faults are in `nemesis`, the network in `proxy`,
//! the checker for registers in `linear`.
//!
//! `scripts/bank-test.sh` runs it for minutes. A seed fixes the faults and what each client asks
//! for, but not the moment at which each happens: these are real processes.

mod audit;
mod client;
mod cluster;
mod disks;
mod history;
mod linear;
mod load;
mod nemesis;
mod picture;
mod proxy;
mod random;
mod report;

use cluster::ProxiedCluster;
use history::Op;
use load::Phase;
use nemesis::{Deeds, Nemesis, Plan};
use proxy::{Proxies, Weather};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::sync::watch;

/// Banks in a run.
const BANKS: usize = 3;
/// Banks, and all clients as one more node of the network.
const NODES: usize = BANKS + 1;
/// The clients' place among the nodes.
const CLIENTS: usize = BANKS;
/// Accounts in a run.
const ACCOUNTS: usize = 8;
/// What the accounts are opened with, in centavos.
const OPENED_WITH: [i64; ACCOUNTS] = [13, 13, 13, 13, 12, 12, 12, 12];
/// All money there is.
const TOTAL: i64 = 100;

/// The bank of an account, by its number among all accounts.
fn bank_of(account: usize) -> usize {
    account % BANKS
}

/// An account's number at its bank.
fn account(account: usize) -> String {
    format!("1000-{account}")
}

/// A run: its seed, its plan, and where its result goes.
struct Run {
    seed: u64,
    plan: Plan,
    out: PathBuf,
}

impl Run {
    /// Runs it, writes result and picture, and fails if anything does not hold.
    fn run(&self) -> report::Counts {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let proxies = runtime.block_on(Proxies::bind());
        let damage = proxies.damage();
        let mut cluster = ProxiedCluster::new(&proxies);
        let ports = cluster.ports();
        let (weather, seen) = watch::channel(Weather::default());
        let (phase, phases) = watch::channel(Phase::Prepare);
        let (done, ops) = channel();
        // It ends, by a panic too, together with its end of this channel, which the nemesis looks
        // at.
        let (alive, stop) = channel::<()>();
        let seed = self.seed;
        let world = std::thread::spawn(move || {
            let _alive = alive;
            load::run(seed, proxies, &runtime, ports, &seen, phases, &done);
        });
        (0..BANKS).for_each(|bank| cluster.start(bank));
        cluster.open_accounts();
        phase.send_replace(Phase::Load);
        let mut deeds = Nemesis::new(seed, &mut cluster, &weather, &stop).run(self.plan);
        phase.send_replace(Phase::Settle);
        let mut ops: Vec<Op> =
            ops.recv_timeout(crate::support::DEADLINE).expect("the clients come to an end");
        deeds.damage = damage.counts();
        let faults = audit::audit(&cluster, &mut ops);
        phase.send_replace(Phase::Over);
        world.join().expect("the clients and proxies end in order");
        self.write(&cluster, &ops, &deeds, &faults);
        let shown = &faults[..faults.len().min(10)];
        let place = self.out.display();
        assert!(
            faults.is_empty(),
            "seed {seed}: {} things do not hold (see {place}):\n{}",
            faults.len(),
            shown.join("\n")
        );
        report::counts(&ops, &deeds)
    }

    fn write(&self, cluster: &ProxiedCluster, ops: &[Op], deeds: &Deeds, faults: &[String]) {
        std::fs::create_dir_all(&self.out).unwrap();
        let result = report::result(self.seed, ops, deeds, faults);
        std::fs::write(self.out.join("result.json"), format!("{result:#}\n")).unwrap();
        let picture = picture::picture(self.seed, ops, deeds, faults.is_empty());
        std::fs::write(self.out.join("run.svg"), picture).unwrap();
        let history: Vec<String> = ops.iter().map(|op| format!("{op:?}\n")).collect();
        std::fs::write(self.out.join("history.txt"), history.concat()).unwrap();
        if !faults.is_empty() || std::env::var_os("BANK_TEST_LOGS").is_some() {
            copy_logs(&cluster.path().join("logs"), &self.out);
        }
        println!("{}", serde_json::to_string_pretty(&result["counts"]).unwrap());
    }
}

fn copy_logs(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Results go below the build's own folder.
fn out_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bank-test").join(name)
}

/// A short run with every kind of fault.
#[test]
fn no_fault_makes_or_loses_money() {
    let plan = Plan {
        fault_ms: (200, 500),
        calm_ms: (400, 800),
        load: Duration::from_secs(12),
        pairs: false,
    };
    let counts = Run { seed: 1, plan, out: out_folder("short") }.run();
    for (name, count) in &counts {
        // A read that comes to nothing is nobody's wish.
        assert!(
            *count > 0 || name == "reads without an answer",
            "no {name} in this run: {counts:?}"
        );
    }
}

/// A run as long as one likes; `scripts/bank-test.sh` says how long.
#[test]
#[ignore = "it takes minutes: scripts/bank-test.sh runs it"]
fn for_minutes() {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: not a number")),
        Err(_) => default,
    };
    let seed = number("BANK_TEST_SEED", 1);
    let out = std::env::var_os("BANK_TEST_OUT")
        .map_or_else(|| out_folder(&format!("seed-{seed}")), PathBuf::from);
    let plan = Plan {
        fault_ms: (400, 5_000),
        calm_ms: (200, 1_500),
        load: Duration::from_secs(number("BANK_TEST_SECONDS", 60)),
        pairs: true,
    };
    Run { seed, plan, out: out.clone() }.run();
    println!("seed {seed}: all holds; result and picture in {}", out.display());
}
