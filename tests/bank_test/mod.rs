//! The bank test, after Jepsen's: real `servidor` processes behind proxies; a nemesis that kills,
//! pauses and partitions them, damages their journals and fills their disks; clients that transfer
//! money and read cuts; and a checker over the recorded history.
//!
//! 8 accounts over 3 banks hold 100 in total; half of the tellers' requests are transfers of 1 to
//! 5, half are reads of all accounts by a consistent cut. Beside them, registers are set and read
//! at any bank. `audit` holds the checks, `nemesis` the faults, `proxy` the network, and `linear`
//! the linearizability checker for registers.
//!
//! `scripts/bank-test.sh` runs it for minutes. A seed determines the faults and each client's
//! requests, but not their timing, as these are real processes.

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
use history::ClientOp;
use load::RunPhase;
use nemesis::{Nemesis, NemesisPlan, NemesisReport};
use proxy::{NetworkState, Proxies};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::sync::watch;

const BANKS: usize = 3;
/// The banks, and all clients together as one more node of the network.
const NODES: usize = BANKS + 1;
/// The index of the clients among the nodes.
const CLIENTS: usize = BANKS;
const ACCOUNTS: usize = 8;
/// The first deposit into each account, in centavos.
const OPENED_WITH: [i64; ACCOUNTS] = [13, 13, 13, 13, 12, 12, 12, 12];
/// The sum of all deposits, in centavos.
const TOTAL: i64 = 100;

/// The bank of an account, by its number among all accounts.
fn bank_of(account: usize) -> usize {
    account % BANKS
}

/// An account's number at its bank.
fn account(account: usize) -> String {
    format!("1000-{account}")
}

/// A run: its seed, its plan, and the folder for its result.
struct Run {
    seed: u64,
    plan: NemesisPlan,
    out: PathBuf,
}

impl Run {
    /// Runs it, writes its result and picture, and fails on any violation.
    fn run(&self) -> report::NamedCounts {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let proxies = runtime.block_on(Proxies::bind());
        let network_counts = proxies.counts();
        let mut cluster = ProxiedCluster::new(&proxies);
        let ports = cluster.ports();
        let (network, network_seen) = watch::channel(NetworkState::default());
        let (phase, phases) = watch::channel(RunPhase::Prepare);
        let (done, ops) = sync_channel(1);
        // The sender is dropped when the thread ends, even by a panic; that stops the nemesis.
        let (alive, stop) = sync_channel::<()>(0);
        let seed = self.seed;
        let load = std::thread::spawn(move || {
            let _alive = alive;
            load::run(seed, proxies, &runtime, ports, &network_seen, phases, &done);
        });
        (0..BANKS).for_each(|bank| cluster.start(bank));
        cluster.open_accounts();
        phase.send_replace(RunPhase::Load);
        let mut nemesis = Nemesis::new(seed, &mut cluster, &network, &stop).run(self.plan);
        phase.send_replace(RunPhase::Drain);
        let mut ops: Vec<ClientOp> =
            ops.recv_timeout(crate::support::DEADLINE).expect("the clients stop in time");
        nemesis.network = network_counts.read();
        let violations = audit::audit(&cluster, &mut ops);
        phase.send_replace(RunPhase::Finished);
        load.join().expect("the clients and proxies end without a panic");
        self.write(&cluster, &ops, &nemesis, &violations);
        let shown = &violations[..violations.len().min(10)];
        let folder = self.out.display();
        assert!(
            violations.is_empty(),
            "seed {seed}: {} violations (see {folder}):\n{}",
            violations.len(),
            shown.join("\n")
        );
        report::counts(&ops, &nemesis)
    }

    fn write(
        &self,
        cluster: &ProxiedCluster,
        ops: &[ClientOp],
        nemesis: &NemesisReport,
        violations: &[String],
    ) {
        std::fs::create_dir_all(&self.out).unwrap();
        let result = report::result(self.seed, ops, nemesis, violations);
        std::fs::write(self.out.join("result.json"), format!("{result:#}\n")).unwrap();
        let picture = picture::picture(self.seed, ops, nemesis, violations.is_empty());
        std::fs::write(self.out.join("run.svg"), picture).unwrap();
        let history: Vec<String> = ops.iter().map(|op| format!("{op:?}\n")).collect();
        std::fs::write(self.out.join("history.txt"), history.concat()).unwrap();
        if !violations.is_empty() || std::env::var_os("BANK_TEST_LOGS").is_some() {
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
fn faults_neither_make_nor_lose_money() {
    let plan = NemesisPlan {
        fault_ms: (200, 500),
        calm_ms: (400, 800),
        load: Duration::from_secs(12),
        pairs: false,
    };
    let counts = Run { seed: 1, plan, out: out_folder("short") }.run();
    for (name, count) in &counts {
        // Unanswered reads may occur, but need not.
        assert!(
            *count > 0 || name == "reads without an answer",
            "no {name} in this run: {counts:?}"
        );
    }
}

/// A long run; `scripts/bank-test.sh` sets the duration and the seed.
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
    let plan = NemesisPlan {
        fault_ms: (400, 5_000),
        calm_ms: (200, 1_500),
        load: Duration::from_secs(number("BANK_TEST_SECONDS", 60)),
        pairs: true,
    };
    Run { seed, plan, out: out.clone() }.run();
    println!("seed {seed}: no violation; result and picture in {}", out.display());
}
