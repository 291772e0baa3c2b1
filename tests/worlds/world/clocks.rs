//! The machines' clocks, how banks follow them, and mistakes planted in that. The checks here use
//! only the readings of a bank.

use super::World;
use consorcio_core::access::Principal;
use consorcio_core::bank::io::{Caller, Input, Now, Origin, SessionId};
use consorcio_core::clock::{ClockFilter, Machine};
use consorcio_core::ids::Time;
use consorcio_core::wire::reading::Reading;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Read, Request};

const STEP_US: i64 = 1_000_000;
const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// A planted mistake about clocks and cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockMistake {
    /// A jump of the wall clock is followed at once.
    JumpFollowed,
    /// The limit is forgotten when the wall clock goes back.
    LimitFalls,
    /// The time of a suspension counts as a jump.
    SuspensionMissed,
    /// A bank sends its machine's wall clock in a reading, not the filtered one.
    ShownClockSealed,
    /// A reading is accepted without its MAC.
    ReadingNotProved,
    /// A valid reading is accepted for any time.
    ReadingOfAnyTime,
    /// A cut far ahead of a bank's clocks is served without a reading.
    AheadWithoutReading,
    /// A reading proves nothing.
    ReadingIgnored,
    /// Cuts are requested at the slowest bank's reading.
    SlowestAsked,
}

impl ClockMistake {
    pub const ALL: [ClockMistake; 9] = [
        ClockMistake::JumpFollowed,
        ClockMistake::LimitFalls,
        ClockMistake::SuspensionMissed,
        ClockMistake::ShownClockSealed,
        ClockMistake::ReadingNotProved,
        ClockMistake::ReadingOfAnyTime,
        ClockMistake::AheadWithoutReading,
        ClockMistake::ReadingIgnored,
        ClockMistake::SlowestAsked,
    ];
}

/// The filtered clock of a running bank.
#[derive(Clone)]
pub struct FollowedClock {
    filter: ClockFilter,
    /// The greatest time that its readings justify so far.
    justified_us: i64,
    at_us: u64,
    pub now_us: i64,
}

impl FollowedClock {
    /// `None` if a bank does not start with such a clock.
    fn start(machine: Machine, clock: Time) -> Option<FollowedClock> {
        let filter = ClockFilter::start(machine, clock, 0, false).ok()?;
        let justified_us = machine.wall_us.max(clock.0);
        Some(FollowedClock {
            filter,
            justified_us,
            at_us: machine.uptime_us,
            now_us: machine.wall_us,
        })
    }

    /// Reads the machine's clocks. `mono_us` is the uptime without suspensions.
    fn read(&mut self, machine: Machine, mono_us: u64, clock: Time, mistake: Option<ClockMistake>) {
        let Machine { wall_us, uptime_us } = machine;
        let passed_us = i64::try_from(uptime_us - self.at_us).expect("a short run");
        let justified_us = self.justified_us + passed_us;
        let reached_us = justified_us.max(clock.0);
        let restarted =
            |clock| ClockFilter::start(machine, clock, 0, true).expect("any clock is accepted");
        let read = match mistake {
            Some(ClockMistake::SuspensionMissed) => Machine { uptime_us: mono_us, ..machine },
            _ => machine,
        };
        match mistake {
            Some(ClockMistake::JumpFollowed) => self.filter = restarted(clock),
            Some(ClockMistake::LimitFalls) if wall_us < justified_us => {
                self.filter = restarted(Time(0))
            }
            _ => {}
        }
        let now_us = self.filter.read(read, clock).now_us;
        assert!(now_us <= wall_us, "a bank is ahead of its wall clock: {now_us} at {wall_us}");
        assert!(
            now_us >= wall_us.min(justified_us),
            "a wall clock of {wall_us} is not followed beyond {now_us}, though {justified_us} was \
             justified"
        );
        let gap_us = wall_us - reached_us;
        let most_us = if gap_us <= STEP_US {
            wall_us
        } else if gap_us <= DAY_US {
            reached_us + 60 * passed_us.min(10_000_000)
        } else {
            reached_us
        };
        assert!(now_us <= most_us, "a wall clock that jumped to {wall_us} is followed to {now_us}");
        (self.justified_us, self.at_us, self.now_us) =
            (justified_us.max(now_us), uptime_us, now_us);
    }
}

impl World {
    /// From here on banks filter their machines' clocks as the programs do; before, they use them
    /// unfiltered.
    pub fn follow_clocks(&mut self) {
        self.follows_clocks = true;
        for bank in 0..self.nodes.len() {
            let clock = self.core(bank).clock();
            assert!(self.start_clock(bank, clock), "bank {bank} does not start by its clock");
        }
    }

    pub(super) fn machine(&self, bank: usize) -> Machine {
        let node = &self.nodes[bank];
        Machine {
            wall_us: (self.wall_us + node.skew_us).max(0),
            uptime_us: node.mono_us + node.suspended_us,
        }
    }

    /// Starts the bank's clock; `false` if the bank refuses to start with it.
    pub(super) fn start_clock(&mut self, bank: usize, clock: Time) -> bool {
        let machine = self.machine(bank);
        self.nodes[bank].clock = FollowedClock::start(machine, clock);
        self.nodes[bank].clock.is_some()
    }

    /// Reads the clocks, as before each decision.
    pub(super) fn read_clock(&mut self, bank: usize) {
        let (machine, mistake) = (self.machine(bank), self.clock_mistake);
        let node = &mut self.nodes[bank];
        if let (Some(followed), Some(core)) = (&mut node.clock, &node.core) {
            followed.read(machine, node.mono_us, core.clock(), mistake);
        }
    }

    /// The time and the reading that the bank would return to INFO.
    pub fn reading(&mut self, bank: usize) -> (Time, Reading) {
        self.read_clock(bank);
        let mut now = self.now(bank);
        let reached = self.core(bank).clock().max(Time(now.wall_us));
        if self.clock_mistake == Some(ClockMistake::ShownClockSealed) {
            now = Now { wall_us: now.shown_us, ..now };
        }
        let caller = Caller { session: SessionId(0), slot: 0 };
        let request = Request::Read(Read::Info);
        let input = Input::Request {
            caller,
            origin: Origin::Client,
            asker: Principal::Operator,
            request,
            waited_us: 0,
            past: None,
        };
        let output = self.core(bank).decide(now, &input);
        let Some(Reply::Done(json)) = output.replies.first().map(|outgoing| &outgoing.reply) else {
            panic!("no reply to INFO: {output:?}")
        };
        let info: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let reading = info["reading"].as_str().and_then(Reading::parse).expect("a reading");
        assert_eq!(info["time"].as_i64(), Some(reading.time.0), "time and reading differ");
        assert!(
            reading.time <= reached,
            "bank {bank} signs {}, but has reached only {reached}",
            reading.time
        );
        (reading.time, reading)
    }

    pub(super) fn mistaken_reading(&self, bank: usize, request: Request) -> Request {
        let Request::Read(Read::Snapshot { time: Some(time), reading, accounts, after }) = request
        else {
            return request;
        };
        let id = self.identity(bank);
        let reading = match (self.clock_mistake, reading) {
            (Some(ClockMistake::ReadingIgnored), _) => None,
            (Some(ClockMistake::ReadingNotProved), Some(given)) => {
                Some(id.seal.reading(given.bank, given.time))
            }
            (Some(ClockMistake::ReadingOfAnyTime), Some(given))
                if id.seal.proves_reading(&given) =>
            {
                Some(id.seal.reading(given.bank, time))
            }
            (Some(ClockMistake::AheadWithoutReading), None) => Some(id.seal.reading(id.bank, time)),
            (_, reading) => reading,
        };
        Request::Read(Read::Snapshot { time: Some(time), reading, accounts, after })
    }
}
