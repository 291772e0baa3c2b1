//! The plan of a run, drawn from its seed: length, number of banks, and the odds of each step.

use crate::world::clocks::ClockMistake;
use crate::world::disk::DiskSizes;
use crate::world::{Mistake, ProofMistake};

/// A small generator (splitmix64): the same seed gives the same run on every machine.
pub struct SeededRandom(pub u64);

impl SeededRandom {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// A whole number from -`most` to `most`.
    pub fn around(&mut self, most: i64) -> i64 {
        i64::try_from(self.next() % (2 * u64::try_from(most).unwrap() + 1)).unwrap() - most
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// The parameters of a run.
#[derive(Debug, Clone, Copy)]
pub struct RunPlan {
    pub seed: u64,
    pub mistake: Option<Mistake>,
    pub clock_mistake: Option<ClockMistake>,
    pub proof_mistake: Option<ProofMistake>,
    pub variant: Variant,
    /// Kinds of faults that are left out.
    pub without: [bool; FAULT_KINDS.len()],
    pub steps: usize,
}

/// An addition to the ordinary steps of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    None,
    /// An attacker without the key, between banks and between drivers and banks.
    Attacker,
    /// Drivers use the id of another transaction for other bytes, which name the same banks, some
    /// of them, or others.
    SharedIds,
}

/// Kinds of faults that shrinking may leave out.
pub const FAULT_KINDS: [&str; 14] = [
    "lies",
    "crashes",
    "lost drivers",
    "lost lines",
    "cut links",
    "partitions",
    "failing disks",
    "cuts",
    "reads",
    "registrations",
    "outsiders",
    "clocks",
    "time",
    "the attacker",
];

/// One seed in this number is long: thousands of transactions, so that histories outgrow memory and
/// segments.
const LONG_EVERY: u64 = 50;
const STEPS: usize = 1_500;
const STEPS_LONG: usize = 60_000;

impl RunPlan {
    /// The plan of a seed.
    pub fn of(seed: u64, mistake: Option<Mistake>) -> RunPlan {
        let steps = if RunPlan::is_long(seed, mistake) { STEPS_LONG } else { STEPS };
        RunPlan {
            seed,
            mistake,
            clock_mistake: None,
            proof_mistake: None,
            variant: Variant::None,
            without: [false; FAULT_KINDS.len()],
            steps,
        }
    }

    /// The plan with a variant, and perhaps a mistake in what proves an outcome.
    pub fn with_variant(seed: u64, variant: Variant, mistake: Option<ProofMistake>) -> RunPlan {
        let all = RunPlan::of(seed, None);
        let steps = if mistake.is_some() { STEPS } else { all.steps };
        RunPlan { proof_mistake: mistake, variant, steps, ..all }
    }

    /// The plan with a mistake about clocks and cuts.
    pub fn of_clocks(seed: u64, mistake: ClockMistake) -> RunPlan {
        RunPlan { clock_mistake: Some(mistake), steps: STEPS, ..RunPlan::of(seed, None) }
    }

    fn is_long(seed: u64, mistake: Option<Mistake>) -> bool {
        mistake.is_none() && seed % LONG_EVERY == LONG_EVERY - 1
    }

    pub fn leaves_out(&self, kind: &str) -> bool {
        FAULT_KINDS.iter().zip(self.without).any(|(name, without)| without && *name == kind)
    }
}

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Next {
    /// A client starts to drive a transaction.
    Begin,
    /// A client sends EXECUTE.
    Execute,
    /// Cash into one account: vote and commit are one record of one bank.
    Deposit,
    /// A line arrives at a client or a bank.
    DeliverToClients,
    /// A message arrives between two banks.
    DeliverBetweenBanks,
    Sync,
    SyncAll,
    Pass,
    LoseDriver,
    LoseConnection,
    Lie,
    Crash,
    Restart,
    FailDisk,
    MendDisk,
    CutLink,
    Connect,
    Block,
    Unblock,
    Notice,
    Clock,
    Cut,
    Read,
    Register,
    /// An outside coordinator sends a request.
    Outside,
    /// The attacker changes a message in flight.
    Tamper,
}

impl Next {
    /// The kind of fault that shrinking leaves out with this step.
    pub fn fault_kind(self) -> Option<&'static str> {
        match self {
            Next::Lie => Some("lies"),
            Next::Crash => Some("crashes"),
            Next::LoseDriver => Some("lost drivers"),
            Next::LoseConnection => Some("lost lines"),
            Next::CutLink => Some("cut links"),
            Next::Block => Some("partitions"),
            Next::FailDisk => Some("failing disks"),
            Next::Clock => Some("clocks"),
            Next::Cut => Some("cuts"),
            Next::Read => Some("reads"),
            Next::Register => Some("registrations"),
            Next::Outside => Some("outsiders"),
            Next::Pass => Some("time"),
            Next::Tamper => Some("the attacker"),
            Next::Begin
            | Next::Execute
            | Next::Deposit
            | Next::DeliverToClients
            | Next::DeliverBetweenBanks
            | Next::Sync
            | Next::SyncAll
            | Next::Restart
            | Next::MendDisk
            | Next::Connect
            | Next::Unblock
            | Next::Notice => None,
        }
    }
}

/// The environment of a run, and the odds of each step.
pub struct Environment {
    pub banks: usize,
    pub disks: Option<DiskSizes>,
    /// Each record is synced at once.
    pub eager_sync: bool,
    /// Outcomes leave memory as soon as the journal's index finds them.
    pub forgetful: bool,
    /// Few transactions are undecided, so that cuts are answered at once, between crashes.
    pub calm: bool,
    /// Clients that drive at a time.
    pub load: usize,
    /// The longest time that passes in one step.
    pub pass_us: usize,
    /// Cumulative odds, one entry a kind of step.
    odds: Vec<(u32, Next)>,
}

/// Odds of each step, in ten thousand.
const ODDS: [(u32, Next); 21] = [
    (700, Next::Begin),
    (450, Next::Execute),
    (3_200, Next::DeliverToClients),
    (2_400, Next::DeliverBetweenBanks),
    (1_350, Next::Sync),
    (550, Next::Pass),
    (150, Next::LoseDriver),
    (120, Next::LoseConnection),
    (400, Next::Lie),
    (50, Next::Crash),
    (200, Next::Restart),
    (40, Next::FailDisk),
    (30, Next::MendDisk),
    (70, Next::CutLink),
    (120, Next::Connect),
    (30, Next::Block),
    (60, Next::Unblock),
    (40, Next::Notice),
    (30, Next::Clock),
    (90, Next::Register),
    (250, Next::Outside),
];

impl Environment {
    pub fn of(plan: &RunPlan, random: &mut SeededRandom) -> Environment {
        let long = RunPlan::is_long(plan.seed, plan.mistake) && plan.proof_mistake.is_none();
        let load = if long { *random.of(&[30, 300]) } else { *random.of(&[3, 12, 60]) };
        let sizes = if long {
            DiskSizes { first_segment: 16 * 1024, segment: 128 * 1024 }
        } else {
            DiskSizes { first_segment: 4 * 1024, segment: 16 * 1024 }
        };
        let disks = plan.mistake.is_none() && (long || random.chance(40));
        let mut odds = Vec::new();
        let mut sum = 0;
        let all = ODDS.into_iter().chain([(150, Next::Cut), (250, Next::Read)]);
        let attacker = (plan.variant == Variant::Attacker).then_some((900, Next::Tamper));
        for (odds_of, next) in all.chain(attacker) {
            // The odds of faults vary by run; a long run needs few faults to get far.
            let odds_of = match next.fault_kind() {
                Some("time") | None => odds_of,
                Some(_) if long => odds_of / 8,
                Some(_) => odds_of * *random.of(&[0, 1, 2, 2, 4]) / 2,
            };
            sum += odds_of;
            odds.push((sum, next));
        }
        let banks = *random.of(&[2, 3, 3, 3, 3, 3, 4, 5]);
        // A draw without use, so that seeds keep their meaning.
        random.chance(70);
        Environment {
            banks,
            disks: disks.then_some(sizes),
            eager_sync: !long && random.chance(20),
            forgetful: random.chance(50),
            calm: !long && random.chance(25),
            load,
            // With many drivers each takes fewer steps while time passes.
            pass_us: 3_000_000 / (load + 3),
            odds,
        }
    }

    pub fn choose(&self, random: &mut SeededRandom) -> Next {
        if self.calm && random.chance(80) {
            return match random.below(40) {
                0..12 => Next::Deposit,
                12..24 => Next::Cut,
                24 => Next::Crash,
                25..28 => Next::Restart,
                _ => Next::SyncAll,
            };
        }
        let sum = self.odds.last().map_or(1, |(sum, _)| *sum);
        let at = u32::try_from(random.below(usize::try_from(sum).unwrap())).unwrap();
        let found = self.odds.partition_point(|(end, _)| *end <= at);
        self.odds[found].1
    }
}
