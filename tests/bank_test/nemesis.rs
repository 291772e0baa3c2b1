//! The nemesis: the kinds of faults, their order, and how each begins and ends.
//!
//! It shuffles all kinds and injects each once, then shuffles again.

use super::cluster::ProxiedCluster;
use super::disks::FlippedBit;
use super::history::now_us;
use super::proxy::{NetworkState, ProxyLink};
use super::random::SeededRng;
use super::{BANKS, CLIENTS, NODES};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The kinds of faults, in processes, disks and the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    Kill,
    /// SIGKILL, and random bytes after the journal's last batch, as after a torn write.
    Tear,
    /// SIGKILL, and an unfinished batch at the end of the journal, cut off or with a flipped bit.
    Cut,
    /// SIGKILL, and a flipped bit in a synced batch: the bank refuses to start until its repair.
    Flip,
    /// SIGKILL to all banks at once.
    KillAll,
    Pause,
    /// A partition between a bank and the other banks; clients reach all of them.
    Split,
    /// A partition between a bank and all other nodes.
    Isolate,
    /// One bank receives nothing from one other bank, but reaches it.
    OneWay,
    /// A bank receives nothing from clients, or they receive nothing from it, or both.
    ClientsCut,
    /// Bytes between a bank and the other banks are delayed, sometimes those of clients too.
    Slow,
    /// Bytes from a bank to one node are lost; the other end of each connection notices later, or
    /// never.
    HalfOpen,
    /// All connections of a bank are reset.
    Reset,
    /// A bank's files cannot grow any more.
    DiskFull,
}

impl FaultKind {
    pub const ALL: [FaultKind; 14] = [
        FaultKind::Kill,
        FaultKind::Tear,
        FaultKind::Cut,
        FaultKind::Flip,
        FaultKind::KillAll,
        FaultKind::Pause,
        FaultKind::Split,
        FaultKind::Isolate,
        FaultKind::OneWay,
        FaultKind::ClientsCut,
        FaultKind::Slow,
        FaultKind::HalfOpen,
        FaultKind::Reset,
        FaultKind::DiskFull,
    ];

    /// Its name in results.
    pub fn as_str(self) -> &'static str {
        match self {
            FaultKind::Kill => "kill",
            FaultKind::Tear => "kill-torn-tail",
            FaultKind::Cut => "kill-cut-batch",
            FaultKind::Flip => "kill-flipped",
            FaultKind::KillAll => "kill-all",
            FaultKind::Pause => "pause",
            FaultKind::Split => "split",
            FaultKind::Isolate => "isolate",
            FaultKind::OneWay => "one-way",
            FaultKind::ClientsCut => "clients-cut",
            FaultKind::Slow => "slow",
            FaultKind::HalfOpen => "half-open",
            FaultKind::Reset => "reset",
            FaultKind::DiskFull => "disk-full",
        }
    }

    /// Whether it acts on a bank's process; two such faults exclude each other.
    fn needs_the_process(self) -> bool {
        match self {
            FaultKind::Kill
            | FaultKind::Tear
            | FaultKind::Cut
            | FaultKind::Flip
            | FaultKind::KillAll
            | FaultKind::Pause
            | FaultKind::DiskFull => true,
            FaultKind::Split
            | FaultKind::Isolate
            | FaultKind::OneWay
            | FaultKind::ClientsCut
            | FaultKind::Slow
            | FaultKind::HalfOpen
            | FaultKind::Reset => false,
        }
    }
}

/// One fault; times are microseconds of this run.
#[derive(Debug, Clone)]
pub struct InjectedFault {
    pub kind: FaultKind,
    pub bank: usize,
    /// The other node of `OneWay` and `HalfOpen`.
    pub other: usize,
    /// The delay of `Slow`; it also chooses the variants of `Slow` and `ClientsCut`.
    pub late_ms: u64,
    pub began_us: u64,
    pub ended_us: u64,
}

/// The durations of faults and pauses.
#[derive(Debug, Clone, Copy)]
pub struct NemesisPlan {
    /// The minimum and maximum duration of a fault.
    pub fault_ms: (u64, u64),
    /// The minimum and maximum pause between faults.
    pub calm_ms: (u64, u64),
    /// No fault begins after this time, except that each kind is injected once.
    pub load: Duration,
    /// Whether it injects two faults at a time, after each kind was injected alone.
    pub pairs: bool,
}

/// The injected faults and their effects.
#[derive(Debug, Default)]
pub struct NemesisReport {
    /// All faults, in the order of their ends.
    pub faults: Vec<InjectedFault>,
    /// Torn tails that banks reported as cut off.
    pub tails_cut: usize,
    /// Starts that a bank refused because of a flipped bit.
    pub flips_refused: u64,
    /// Banks that ended because their disk was full.
    pub full_disks: u64,
    /// The counters of the network's faults.
    pub network: [(&'static str, u64); 4],
}

pub struct Nemesis<'a> {
    cluster: &'a mut ProxiedCluster,
    network: &'a watch::Sender<NetworkState>,
    random: SeededRng,
    active: BTreeMap<u64, InjectedFault>,
    begun: u64,
    resets: [u64; NODES],
    report: NemesisReport,
    /// The bit that is flipped now, if any.
    flipped: Option<FlippedBit>,
    /// Closed when the clients have ended, which they must not do before the nemesis.
    stop: &'a Receiver<()>,
}

impl<'a> Nemesis<'a> {
    pub fn new(
        seed: u64,
        cluster: &'a mut ProxiedCluster,
        network: &'a watch::Sender<NetworkState>,
        stop: &'a Receiver<()>,
    ) -> Nemesis<'a> {
        let (active, resets) = (BTreeMap::new(), [0; NODES]);
        let random = SeededRng::new(seed, 0);
        Nemesis {
            cluster,
            network,
            random,
            active,
            begun: 0,
            resets,
            report: NemesisReport::default(),
            flipped: None,
            stop,
        }
    }

    /// Injects faults until the plan's end, and ends all of them.
    pub fn run(mut self, plan: NemesisPlan) -> NemesisReport {
        let end = Instant::now() + plan.load;
        let mut injected = 0;
        while injected == 0 || Instant::now() < end {
            let mut kinds = FaultKind::ALL;
            self.random.shuffle(&mut kinds);
            for kind in kinds {
                if injected >= kinds.len() && Instant::now() >= end {
                    break;
                }
                injected += 1;
                let first = self.begin(kind);
                self.wait(plan.fault_ms);
                if plan.pairs && injected > kinds.len() && self.random.percent(50) {
                    let kind = kinds[self.random.below(kinds.len())];
                    if !(kind.needs_the_process() && self.active[&first].kind.needs_the_process()) {
                        let second = self.begin(kind);
                        self.wait(plan.fault_ms);
                        // Either fault may end first.
                        if self.random.percent(50) {
                            self.end(first);
                            self.wait(plan.fault_ms);
                            self.end(second);
                        } else {
                            self.end(second);
                            self.wait(plan.fault_ms);
                            self.end(first);
                        }
                        self.wait(plan.calm_ms);
                        continue;
                    }
                }
                self.end(first);
                self.wait(plan.calm_ms);
            }
        }
        // The load runs without faults for the rest of its time.
        while Instant::now() < end {
            self.wait(plan.calm_ms);
        }
        self.report.tails_cut = self.cluster.tails_cut();
        self.report
    }

    /// Waits a random time between two numbers of milliseconds.
    fn wait(&mut self, (min_ms, max_ms): (u64, u64)) {
        let time = Duration::from_millis(self.random.between(min_ms, max_ms));
        match self.stop.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                panic!("the clients ended before the load did")
            }
        }
    }

    fn begin(&mut self, kind: FaultKind) -> u64 {
        let bank = self.random.below(BANKS);
        let other = (bank + 1 + self.random.below(NODES - 1)) % NODES;
        let late_ms = self.random.between(20, 400);
        let fault = InjectedFault { kind, bank, other, late_ms, began_us: now_us(), ended_us: 0 };
        self.begun += 1;
        self.active.insert(self.begun, fault);
        match kind {
            FaultKind::Kill => self.cluster.kill(bank),
            FaultKind::Tear => {
                self.cluster.kill(bank);
                self.cluster.newest(bank).tear(&mut self.random);
            }
            FaultKind::Cut => {
                self.cluster.kill(bank);
                self.cluster.newest(bank).begin_next(&mut self.random);
            }
            FaultKind::Flip => self.flip(bank),
            FaultKind::KillAll => (0..BANKS).for_each(|bank| self.cluster.kill(bank)),
            FaultKind::Pause => self.cluster.freeze(bank, true),
            FaultKind::DiskFull => {
                self.cluster.kill(bank);
                let end = self.cluster.newest(bank).end();
                let room_kib = self.random.between(1, 8);
                self.cluster
                    .start_on_a_full_disk(bank, u64::try_from(end / 1024).unwrap() + room_kib);
            }
            FaultKind::Reset => {
                self.resets[bank] += 1;
                self.publish_network();
            }
            FaultKind::Split
            | FaultKind::Isolate
            | FaultKind::OneWay
            | FaultKind::ClientsCut
            | FaultKind::Slow
            | FaultKind::HalfOpen => self.publish_network(),
        }
        self.begun
    }

    fn end(&mut self, number: u64) {
        let mut fault = self.active.remove(&number).expect("each fault ends once");
        let bank = fault.bank;
        match fault.kind {
            FaultKind::Kill => self.cluster.start(bank),
            FaultKind::Tear | FaultKind::Cut => self.cluster.start_torn(bank),
            FaultKind::Flip => {
                let flipped = self.flipped.take().expect("a bit is flipped");
                assert!(flipped.is_untouched(), "a refused start changed the journal");
                flipped.repair();
                self.cluster.start(bank);
            }
            FaultKind::KillAll => (0..BANKS).for_each(|bank| self.cluster.start(bank)),
            FaultKind::Pause => self.cluster.freeze(bank, false),
            FaultKind::DiskFull => {
                if let Some((code, output)) = self.cluster.fill_disk(bank) {
                    assert_eq!(code, Some(1), "a bank on a full disk ends: {output:?}");
                    let cause = "the limit for the size of a file";
                    let is_named = output.iter().any(|line| line.contains(cause));
                    assert!(is_named, "no cause in {output:?}");
                    self.report.full_disks += 1;
                }
                self.cluster.start(bank);
            }
            FaultKind::Split
            | FaultKind::Isolate
            | FaultKind::OneWay
            | FaultKind::ClientsCut
            | FaultKind::Slow
            | FaultKind::HalfOpen
            | FaultKind::Reset => self.publish_network(),
        }
        fault.ended_us = now_us();
        self.report.faults.push(fault);
    }

    /// Kills a bank and flips a bit of a synced batch. The bank must refuse to start, and name the
    /// batch.
    fn flip(&mut self, bank: usize) {
        self.cluster.make_batches(bank);
        self.cluster.kill(bank);
        let flipped = self.cluster.newest(bank).flip(&mut self.random).expect("there are batches");
        let (code, output) = self.cluster.start_refused(bank);
        assert_eq!(code, Some(1), "bank {bank} starts on a flipped bit ({flipped}): {output:?}");
        assert!(flipped.is_named(&output), "{flipped} of bank {bank} is not named: {output:?}");
        self.report.flips_refused += 1;
        self.flipped = Some(flipped);
    }

    /// Publishes the state of the network that follows from all active faults.
    fn publish_network(&self) {
        let mut network = NetworkState { resets: self.resets, ..NetworkState::default() };
        for fault in self.active.values() {
            fault.apply_to(&mut network);
        }
        self.network.send_replace(network);
    }
}

impl InjectedFault {
    fn apply_to(&self, network: &mut NetworkState) {
        let bank = self.bank;
        let mut both = |other: usize, link| {
            network.worsen(bank, other, link);
            network.worsen(other, bank, link);
        };
        let others = (0..NODES).filter(|other| *other != bank);
        match self.kind {
            FaultKind::Split => others
                .filter(|other| *other != CLIENTS)
                .for_each(|other| both(other, ProxyLink::Held)),
            FaultKind::Isolate => others.for_each(|other| both(other, ProxyLink::Held)),
            // Mostly clients are not delayed, so that they reach a bank before its peers do.
            FaultKind::Slow => others
                .filter(|other| *other != CLIENTS || self.late_ms.is_multiple_of(4))
                .for_each(|other| both(other, ProxyLink::Slow(self.late_ms))),
            FaultKind::ClientsCut => match self.late_ms % 3 {
                0 => network.worsen(CLIENTS, bank, ProxyLink::Held),
                1 => network.worsen(bank, CLIENTS, ProxyLink::Held),
                _ => both(CLIENTS, ProxyLink::Held),
            },
            FaultKind::OneWay => {
                let other = if self.other == CLIENTS { (bank + 1) % BANKS } else { self.other };
                network.worsen(other, bank, ProxyLink::Held);
            }
            FaultKind::HalfOpen => network.worsen(bank, self.other, ProxyLink::Lost),
            FaultKind::Kill
            | FaultKind::Tear
            | FaultKind::Cut
            | FaultKind::Flip
            | FaultKind::KillAll
            | FaultKind::Pause
            | FaultKind::Reset
            | FaultKind::DiskFull => {}
        }
    }
}
