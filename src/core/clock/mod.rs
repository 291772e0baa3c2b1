//! How far a bank follows its machine's wall clock: a pure filter over readings of the machine's
//! clocks.
//!
//! Commit times are logical. They need to be near the wall clock only because people read them; but
//! a single vote with a clock that is years ahead moves the clock of every bank, permanently. So a
//! wall clock is followed only up to a limit, which advances with the machine's uptime, including
//! suspensions. A small step of the wall clock moves the limit, a jump of up to a day is caught up
//! slowly, and a larger jump is ignored until a restart, which has rules of its own.
//!
//! No clock is read here: `systime` reads it, and the node passes the readings in.

#[cfg(test)]
mod tests;

use crate::ids::Time;
use crate::limits::{
    CLOCK_CATCH_UP_RATE, CLOCK_FOLLOWED_US_MAX, CLOCK_NEW_JOURNAL_US_MAX, CLOCK_READ_EVERY_US_MAX,
    CLOCK_REPORTED_US_MIN, CLOCK_STEP_US_MAX, CLOCK_UNUSED_US_MAX,
};
use std::fmt;

/// A date before the release of this version, in microseconds since 1970: 2026-01-01. A wall clock
/// before it is not set.
pub const RELEASED_US: i64 = 1_767_225_600_000_000;

/// A reading of the machine's two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// The wall clock, in microseconds since 1970. It can be set to anything.
    pub wall_us: i64,
    /// Microseconds since the machine was started, including suspensions. It never goes back.
    pub uptime_us: u64,
}

/// The result of one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// The wall clock as far as it is followed; never ahead of it.
    pub now_us: i64,
    /// How the wall clock differs from that, and what the bank does about it.
    pub gap: Gap,
}

/// How far the wall clock is ahead of what is followed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The wall clock is followed without a correction.
    None,
    /// It shows a date before the release of this version.
    NotSet,
    /// It is so many microseconds ahead, and is being caught up.
    CaughtUp(i64),
    /// It is so many microseconds ahead, and ignored until a restart.
    NotFollowed(i64),
}

/// The filter, with the limit up to which it follows the wall clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockFilter {
    limit_us: i64,
    /// The uptime at the last reading.
    at_us: u64,
    /// A reading was accepted under the rules of a start.
    started: bool,
    released_us: i64,
}

/// A wall clock with which a bank refuses to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absurd {
    wall_us: i64,
    /// The bank's clock, if its journal was used by this version or a later one.
    used: Option<Time>,
    latest_us: i64,
}

impl ClockFilter {
    /// Starts the filter; `clock` is the last time that the bank gave or received. A wall clock
    /// that is not set is accepted, and with `accepted` any wall clock is.
    ///
    /// # Errors
    /// If the wall clock is too far ahead of all known times.
    pub fn start(
        machine: Machine,
        clock: Time,
        released_us: i64,
        accepted: bool,
    ) -> Result<ClockFilter, Absurd> {
        let latest_us = latest_start(clock, released_us);
        if machine.wall_us > latest_us && !accepted {
            let used = (clock.0 >= released_us).then_some(clock);
            return Err(Absurd { wall_us: machine.wall_us, used, latest_us });
        }
        Ok(ClockFilter {
            limit_us: machine.wall_us.max(clock.0),
            at_us: machine.uptime_us,
            started: machine.wall_us >= released_us,
            released_us,
        })
    }

    /// Processes a reading of the clocks; `clock` is the last time that the bank gave or received.
    pub fn read(&mut self, machine: Machine, clock: Time) -> Followed {
        let Machine { wall_us, uptime_us } = machine;
        let elapsed_us = signed(uptime_us.saturating_sub(self.at_us));
        self.at_us = self.at_us.max(uptime_us);
        self.limit_us = self.limit_us.saturating_add(elapsed_us);
        if !self.started
            && (self.released_us..=latest_start(clock, self.released_us)).contains(&wall_us)
        {
            // The clock has now been set: the rules of a start apply, except that nothing is
            // refused.
            self.started = true;
            self.limit_us = self.limit_us.max(wall_us);
        }
        let reached_us = self.limit_us.max(clock.0);
        let gap_us = wall_us.saturating_sub(reached_us);
        if (1..=CLOCK_STEP_US_MAX).contains(&gap_us) {
            self.limit_us = wall_us;
        } else if (1..=CLOCK_FOLLOWED_US_MAX).contains(&gap_us) {
            let caught_up_us = CLOCK_CATCH_UP_RATE * elapsed_us.min(CLOCK_READ_EVERY_US_MAX);
            self.limit_us = wall_us.min(reached_us.saturating_add(caught_up_us));
        }
        Followed { now_us: wall_us.min(self.limit_us), gap: self.gap(wall_us, clock) }
    }

    fn gap(&self, wall_us: i64, clock: Time) -> Gap {
        let ahead_us = wall_us.saturating_sub(self.limit_us.max(clock.0));
        if wall_us < self.released_us {
            Gap::NotSet
        } else if ahead_us <= CLOCK_STEP_US_MAX {
            Gap::None
        } else if ahead_us <= CLOCK_FOLLOWED_US_MAX {
            Gap::CaughtUp(ahead_us)
        } else {
            Gap::NotFollowed(ahead_us)
        }
    }
}

/// The latest wall clock with which a bank starts. A journal that was last used before the release,
/// such as a new one, does not show how long ago that was.
fn latest_start(clock: Time, released_us: i64) -> i64 {
    if clock.0 < released_us {
        released_us.saturating_add(CLOCK_NEW_JOURNAL_US_MAX)
    } else {
        clock.0.saturating_add(CLOCK_UNUSED_US_MAX)
    }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

impl fmt::Display for Absurd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this machine's clock shows {}, ", date(self.wall_us))?;
        match self.used {
            Some(used) => {
                write!(f, "but the newest time in this bank's journal is {}", date(used.0))?
            }
            None => write!(f, "later than any that a new bank of this version is started by")?,
        }
        write!(
            f,
            " (the latest believed is {}): set the clock, or give --accept-clock if it is right",
            date(self.latest_us)
        )
    }
}

impl std::error::Error for Absurd {}

impl fmt::Display for Gap {
    /// A sentence for the operator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gap::None => f.write_str("the wall clock is followed"),
            Gap::NotSet => f.write_str(
                "the wall clock is not set: it shows a date before this version was released",
            ),
            Gap::CaughtUp(us) => write!(
                f,
                "the wall clock jumped {} ahead of this bank's; it is caught up at an hour a \
                 minute",
                span(*us)
            ),
            Gap::NotFollowed(us) => write!(
                f,
                "the wall clock jumped {} ahead of this bank's, and is not followed until a \
                 restart",
                span(*us)
            ),
        }
    }
}

/// How far a bank's commit times are from its machine's wall clock, if too far to pass for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// So many microseconds ahead: times in the history are later than true time.
    Leads(i64),
    /// So many microseconds behind a wall clock that jumped.
    Lags(i64),
}

/// How far commit times, which have reached `clock`, are from the wall clock; `None` if they are
/// near.
pub fn apart(clock: Time, wall: Time) -> Option<Apart> {
    match clock.0.saturating_sub(wall.0) {
        us if us > CLOCK_REPORTED_US_MIN => Some(Apart::Leads(us)),
        us if us < -CLOCK_REPORTED_US_MIN => Some(Apart::Lags(us.saturating_neg())),
        _ => None,
    }
}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Apart::Leads(us) => write!(f, "commit times are {} ahead of its wall clock", span(*us)),
            Apart::Lags(us) => {
                let then = if *us > CLOCK_FOLLOWED_US_MAX {
                    "that is not followed until a restart"
                } else {
                    "it is caught up at an hour a minute"
                };
                write!(f, "its wall clock jumped {} ahead of commit times; {then}", span(*us))
            }
        }
    }
}

/// A time in UTC, to the minute.
fn date(us: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(us).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A duration in its two largest units: `1.500 s`, `2 h 5 min`, `400 d 3 h`.
pub fn span(us: i64) -> String {
    const SECOND: i64 = 1_000_000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let us = us.saturating_abs();
    let two = |unit: i64, name: &str, part: i64, part_name: &str| {
        format!("{} {name} {} {part_name}", us / unit, us % unit / part)
    };
    if us < MINUTE {
        format!("{}.{:03} s", us / SECOND, us % SECOND / 1_000)
    } else if us < HOUR {
        two(MINUTE, "min", SECOND, "s")
    } else if us < DAY {
        two(HOUR, "h", MINUTE, "min")
    } else {
        two(DAY, "d", HOUR, "h")
    }
}
