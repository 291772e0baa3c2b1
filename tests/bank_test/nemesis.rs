//! The nemesis: which faults there are, in what order they come, and how each begins and ends.
//!
//! All kinds are dealt like cards: each comes once before any comes again.

use super::cluster::ProxiedCluster;
use super::disks::Flipped;
use super::history::now_us;
use super::proxy::{Way, Weather};
use super::random::Random;
use super::{BANKS, CLIENTS, NODES};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What can be done to banks and to what is between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Kill,
    /// SIGKILL, and what a torn write could leave behind the journal.
    Tear,
    /// SIGKILL, and the next batch of the journal, cut off or with a bit of it wrong: it was being
    /// written.
    Cut,
    /// SIGKILL, and a bit flips of what was synced before: the bank refuses to start until it flips
    /// back.
    Flip,
    /// SIGKILL to all banks at once.
    KillAll,
    Pause,
    /// A bank and the others don't hear each other; clients reach all.
    Split,
    /// Nobody hears a bank, and it hears nobody.
    Isolate,
    /// One bank does not hear one other, which hears it.
    OneWay,
    /// Clients don't reach a bank, or don't hear it.
    ClientsCut,
    /// All that goes between a bank and the others comes late, and sometimes what goes to and from
    /// clients too.
    Slow,
    /// What a bank sends to one node is lost; the other end of each connection learns of it later,
    /// or never.
    HalfOpen,
    /// All connections of a bank are reset.
    Reset,
    /// There is no room left for a bank's files.
    DiskFull,
}

impl Kind {
    pub const ALL: [Kind; 14] = [
        Kind::Kill,
        Kind::Tear,
        Kind::Cut,
        Kind::Flip,
        Kind::KillAll,
        Kind::Pause,
        Kind::Split,
        Kind::Isolate,
        Kind::OneWay,
        Kind::ClientsCut,
        Kind::Slow,
        Kind::HalfOpen,
        Kind::Reset,
        Kind::DiskFull,
    ];

    /// Its name in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Tear => "kill-torn-tail",
            Kind::Cut => "kill-cut-batch",
            Kind::Flip => "kill-flipped",
            Kind::KillAll => "kill-all",
            Kind::Pause => "pause",
            Kind::Split => "split",
            Kind::Isolate => "isolate",
            Kind::OneWay => "one-way",
            Kind::ClientsCut => "clients-cut",
            Kind::Slow => "slow",
            Kind::HalfOpen => "half-open",
            Kind::Reset => "reset",
            Kind::DiskFull => "disk-full",
        }
    }

    /// Does it need the bank's process for itself?
    fn is_of_the_process(self) -> bool {
        match self {
            Kind::Kill
            | Kind::Tear
            | Kind::Cut
            | Kind::Flip
            | Kind::KillAll
            | Kind::Pause
            | Kind::DiskFull => true,
            Kind::Split
            | Kind::Isolate
            | Kind::OneWay
            | Kind::ClientsCut
            | Kind::Slow
            | Kind::HalfOpen
            | Kind::Reset => false,
        }
    }
}

/// A fault that was made.
#[derive(Debug, Clone)]
pub struct Fault {
    pub kind: Kind,
    /// To which bank above all.
    pub bank: usize,
    /// Towards which other node, where that matters.
    pub other: usize,
    /// Milliseconds, where that matters.
    pub late_ms: u64,
    /// When it began; microseconds of this run.
    pub began_us: u64,
    pub ended_us: u64,
}

/// How hard and how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// A fault lasts so many milliseconds, at least and at most.
    pub fault_ms: (u64, u64),
    /// Between faults it is quiet for so long.
    pub calm_ms: (u64, u64),
    /// No fault begins after so long; but each kind comes once whatever the time.
    pub load: Duration,
    /// Two faults at a time, once each was made alone.
    pub pairs: bool,
}

/// What the nemesis did.
#[derive(Debug, Default)]
pub struct Deeds {
    /// All faults in order.
    pub faults: Vec<Fault>,
    /// Torn tails that banks told to have cut off.
    pub tails_cut: usize,
    /// Starts that a flipped bit had a bank refuse.
    pub flips_refused: u64,
    /// Banks that ended by themselves because their disk was full.
    pub full_disks: u64,
    /// What the network did.
    pub damage: [(&'static str, u64); 4],
}

pub struct Nemesis<'a> {
    cluster: &'a mut ProxiedCluster,
    weather: &'a watch::Sender<Weather>,
    random: Random,
    active: BTreeMap<u64, Fault>,
    begun: u64,
    resets: [u64; NODES],
    deeds: Deeds,
    /// A bit that is flipped now.
    flipped: Option<Flipped>,
    /// Closed or told something when the run is to end early.
    stop: &'a Receiver<()>,
}

impl<'a> Nemesis<'a> {
    /// One for these banks.
    pub fn new(
        seed: u64,
        cluster: &'a mut ProxiedCluster,
        weather: &'a watch::Sender<Weather>,
        stop: &'a Receiver<()>,
    ) -> Nemesis<'a> {
        let (active, resets) = (BTreeMap::new(), [0; NODES]);
        let random = Random::new(seed, 0);
        Nemesis {
            cluster,
            weather,
            random,
            active,
            begun: 0,
            resets,
            deeds: Deeds::default(),
            flipped: None,
            stop,
        }
    }

    /// Makes faults until the plan's end; all of them are over then.
    pub fn run(mut self, plan: Plan) -> Deeds {
        let end = Instant::now() + plan.load;
        let mut dealt = 0;
        while dealt == 0 || Instant::now() < end {
            let mut deck = Kind::ALL;
            self.random.shuffle(&mut deck);
            for kind in deck {
                if dealt >= deck.len() && Instant::now() >= end {
                    break;
                }
                dealt += 1;
                let first = self.begin(kind);
                self.wait(plan.fault_ms);
                if plan.pairs && dealt > deck.len() && self.random.percent(50) {
                    let kind = deck[self.random.below(deck.len())];
                    if !(kind.is_of_the_process() && self.active[&first].kind.is_of_the_process()) {
                        let second = self.begin(kind);
                        self.wait(plan.fault_ms);
                        // Either may outlast the other.
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
        // The load goes on in calm for what is left of its time.
        while Instant::now() < end && self.wait(plan.calm_ms) {}
        self.deeds.tails_cut = self.cluster.tails_cut();
        self.deeds
    }

    /// Waits so many milliseconds; false if the run is to end.
    fn wait(&mut self, (least, most): (u64, u64)) -> bool {
        let time = Duration::from_millis(self.random.between(least, most));
        match self.stop.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => true,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                panic!("the clients ended before their time")
            }
        }
    }

    fn begin(&mut self, kind: Kind) -> u64 {
        let bank = self.random.below(BANKS);
        let other = (bank + 1 + self.random.below(NODES - 1)) % NODES;
        let late_ms = self.random.between(20, 400);
        let fault = Fault { kind, bank, other, late_ms, began_us: now_us(), ended_us: 0 };
        self.begun += 1;
        self.active.insert(self.begun, fault);
        match kind {
            Kind::Kill => self.cluster.kill(bank),
            Kind::Tear => {
                self.cluster.kill(bank);
                self.cluster.newest(bank).tear(&mut self.random);
            }
            Kind::Cut => {
                self.cluster.kill(bank);
                self.cluster.newest(bank).begin_next(&mut self.random);
            }
            Kind::Flip => self.flip(bank),
            Kind::KillAll => (0..BANKS).for_each(|bank| self.cluster.kill(bank)),
            Kind::Pause => self.cluster.freeze(bank, true),
            Kind::DiskFull => {
                self.cluster.kill(bank);
                let end = self.cluster.newest(bank).end();
                let room_kib = self.random.between(1, 8);
                self.cluster
                    .start_on_a_full_disk(bank, u64::try_from(end / 1024).unwrap() + room_kib);
            }
            Kind::Reset => {
                self.resets[bank] += 1;
                self.tell_weather();
            }
            Kind::Split
            | Kind::Isolate
            | Kind::OneWay
            | Kind::ClientsCut
            | Kind::Slow
            | Kind::HalfOpen => self.tell_weather(),
        }
        self.begun
    }

    fn end(&mut self, number: u64) {
        let mut fault = self.active.remove(&number).expect("a fault ends once");
        let bank = fault.bank;
        match fault.kind {
            Kind::Kill => self.cluster.start(bank),
            Kind::Tear | Kind::Cut => self.cluster.start_torn(bank),
            Kind::Flip => {
                let flipped = self.flipped.take().expect("a bit is flipped");
                assert!(flipped.is_untouched(), "a journal that is refused is left alone");
                flipped.mend();
                self.cluster.start(bank);
            }
            Kind::KillAll => (0..BANKS).for_each(|bank| self.cluster.start(bank)),
            Kind::Pause => self.cluster.freeze(bank, false),
            Kind::DiskFull => {
                if let Some((code, said)) = self.cluster.fill_disk(bank) {
                    assert_eq!(
                        code,
                        Some(1),
                        "a bank without room ends with its own error: {said:?}"
                    );
                    let names_it =
                        said.iter().any(|line| line.contains("the limit for the size of a file"));
                    assert!(names_it, "it says why it ends: {said:?}");
                    self.deeds.full_disks += 1;
                }
                self.cluster.start(bank);
            }
            Kind::Split
            | Kind::Isolate
            | Kind::OneWay
            | Kind::ClientsCut
            | Kind::Slow
            | Kind::HalfOpen
            | Kind::Reset => self.tell_weather(),
        }
        fault.ended_us = now_us();
        self.deeds.faults.push(fault);
    }

    /// Kills a bank and flips a bit of what it promised; it must not work with what is left, and
    /// say why.
    fn flip(&mut self, bank: usize) {
        self.cluster.make_batches(bank);
        self.cluster.kill(bank);
        let flipped = self.cluster.newest(bank).flip(&mut self.random).expect("there are batches");
        let (code, said) = self.cluster.start_in_vain(bank);
        assert_eq!(code, Some(1), "bank {bank} starts on a flipped bit ({flipped}): {said:?}");
        assert!(flipped.is_named(&said), "bank {bank} does not say where ({flipped}): {said:?}");
        self.deeds.flips_refused += 1;
        self.flipped = Some(flipped);
    }

    /// The weather that all faults under way make together.
    fn tell_weather(&self) {
        let mut weather = Weather { resets: self.resets, ..Weather::default() };
        for fault in self.active.values() {
            fault.make(&mut weather);
        }
        self.weather.send_replace(weather);
    }
}

impl Fault {
    fn make(&self, weather: &mut Weather) {
        let bank = self.bank;
        let mut both = |other: usize, way| {
            weather.worsen(bank, other, way);
            weather.worsen(other, bank, way);
        };
        let others = (0..NODES).filter(|other| *other != bank);
        match self.kind {
            Kind::Split => {
                others.filter(|other| *other != CLIENTS).for_each(|other| both(other, Way::Held))
            }
            Kind::Isolate => others.for_each(|other| both(other, Way::Held)),
            // Often clients are faster than banks, so that they ask a bank that has not heard yet.
            Kind::Slow => others
                .filter(|other| *other != CLIENTS || self.late_ms.is_multiple_of(4))
                .for_each(|other| both(other, Way::Slow(self.late_ms))),
            Kind::ClientsCut => match self.late_ms % 3 {
                0 => weather.worsen(CLIENTS, bank, Way::Held),
                1 => weather.worsen(bank, CLIENTS, Way::Held),
                _ => both(CLIENTS, Way::Held),
            },
            Kind::OneWay => {
                let other = if self.other == CLIENTS { (bank + 1) % BANKS } else { self.other };
                weather.worsen(other, bank, Way::Held);
            }
            Kind::HalfOpen => weather.worsen(bank, self.other, Way::Lost),
            Kind::Kill
            | Kind::Tear
            | Kind::Cut
            | Kind::Flip
            | Kind::KillAll
            | Kind::Pause
            | Kind::Reset
            | Kind::DiskFull => {}
        }
    }
}
