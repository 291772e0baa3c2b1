//! What a run is made of, all of it following from its seed: how long, how many banks, what happens
//! how often.

use crate::world::clocks::ClockMistake;
use crate::world::disk::Sizes;
use crate::world::{Mistake, ProofMistake};

/// A small generator (splitmix64): the same seed gives the same run, on every machine.
pub struct Random(pub u64);

impl Random {
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

    /// A whole number on either side of zero.
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

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub mistake: Option<Mistake>,
    pub clock_mistake: Option<ClockMistake>,
    pub proof_mistake: Option<ProofMistake>,
    pub beside: Beside,
    /// Kinds of trouble that are left out.
    pub without: [bool; TROUBLES.len()],
    pub steps: usize,
}

/// What a run has beside all the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    /// Somebody without the key on the way: between banks, and between drivers and banks.
    Path,
    /// Drivers that use the id of another one for other bytes, which name the same banks, some of
    /// them, or others.
    Contents,
}

/// Kinds of trouble, as a shrunk run may leave them out.
pub const TROUBLES: [&str; 14] = [
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
    "the way",
];

/// Every so many seeds one is long: thousands of transactions, so that histories outgrow memory and
/// segments.
const LONG_EVERY: u64 = 50;
const STEPS: usize = 1_500;
const STEPS_LONG: usize = 60_000;

impl Plan {
    /// All of it, as the seed says.
    pub fn of(seed: u64, mistake: Option<Mistake>) -> Plan {
        let steps = if Plan::is_long(seed, mistake) { STEPS_LONG } else { STEPS };
        Plan {
            seed,
            mistake,
            clock_mistake: None,
            proof_mistake: None,
            beside: Beside::Nothing,
            without: [false; TROUBLES.len()],
            steps,
        }
    }

    /// The same with something beside, and perhaps a mistake in what proves an outcome.
    pub fn beside(seed: u64, beside: Beside, mistake: Option<ProofMistake>) -> Plan {
        let all = Plan::of(seed, None);
        let steps = if mistake.is_some() { STEPS } else { all.steps };
        Plan { proof_mistake: mistake, beside, steps, ..all }
    }

    /// The same with a mistake about clocks and cuts.
    pub fn of_clocks(seed: u64, mistake: ClockMistake) -> Plan {
        Plan { clock_mistake: Some(mistake), steps: STEPS, ..Plan::of(seed, None) }
    }

    fn is_long(seed: u64, mistake: Option<Mistake>) -> bool {
        mistake.is_none() && seed % LONG_EVERY == LONG_EVERY - 1
    }

    pub fn leaves_out(&self, trouble: &str) -> bool {
        TROUBLES.iter().zip(self.without).any(|(name, without)| without && *name == trouble)
    }
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Next {
    /// A client begins to drive a transaction.
    Begin,
    /// A client asks a bank to drive one.
    Execute,
    /// Cash into one account: vote and commit are one record of one bank.
    Deposit,
    /// Something arrives between a client and a bank.
    DeliverToClients,
    /// Something arrives between two banks.
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
    /// An outside coordinator says something.
    Outside,
    /// Somebody on the way changes what is under way.
    Tamper,
}

impl Next {
    /// The kind of trouble that it is.
    pub fn trouble(self) -> Option<&'static str> {
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
            Next::Tamper => Some("the way"),
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

/// How this run's world is, and what happens how often in it.
pub struct Weather {
    pub banks: usize,
    pub disks: Option<Sizes>,
    /// Every record is synced at once.
    pub eager_sync: bool,
    /// Outcomes leave memory as soon as the journal finds them.
    pub forgetful: bool,
    /// Little is undecided, so that cuts are answered at once, between crashes.
    pub calm: bool,
    /// Clients that drive at a time.
    pub load: usize,
    /// The longest time that passes at once.
    pub pass_us: usize,
    /// Upper ends of ranges, one a kind.
    odds: Vec<(u32, Next)>,
}

/// How often what happens, in ten thousand.
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

impl Weather {
    pub fn of(plan: &Plan, random: &mut Random) -> Weather {
        let long = Plan::is_long(plan.seed, plan.mistake) && plan.proof_mistake.is_none();
        let load = if long { *random.of(&[30, 300]) } else { *random.of(&[3, 12, 60]) };
        let sizes = if long {
            Sizes { first_segment: 16 * 1024, segment: 128 * 1024 }
        } else {
            Sizes { first_segment: 4 * 1024, segment: 16 * 1024 }
        };
        let disks = plan.mistake.is_none() && (long || random.chance(40));
        let mut odds = Vec::new();
        let mut sum = 0;
        let all = ODDS.into_iter().chain([(150, Next::Cut), (250, Next::Read)]);
        let path = (plan.beside == Beside::Path).then_some((900, Next::Tamper));
        for (odds_of, next) in all.chain(path) {
            // Each kind of trouble has good and bad days; a long run needs peace to get far.
            let odds_of = match next.trouble() {
                Some("time") | None => odds_of,
                Some(_) if long => odds_of / 8,
                Some(_) => odds_of * *random.of(&[0, 1, 2, 2, 4]) / 2,
            };
            sum += odds_of;
            odds.push((sum, next));
        }
        let banks = *random.of(&[2, 3, 3, 3, 3, 3, 4, 5]);
        // Was there a key? It is drawn as ever, so that seeds mean what they meant.
        random.chance(70);
        Weather {
            banks,
            disks: disks.then_some(sizes),
            eager_sync: !long && random.chance(20),
            forgetful: random.chance(50),
            calm: !long && random.chance(25),
            load,
            // Where many drive at once each gets fewer turns while time passes.
            pass_us: 3_000_000 / (load + 3),
            odds,
        }
    }

    pub fn choose(&self, random: &mut Random) -> Next {
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
