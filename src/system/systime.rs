//! The machine's clocks, read. What a bank believes of them is `clock`'s.
//!
//! In builds with debug assertions `CONSORCIO_CLOCK=<file>` lets a test set a running process's
//! clocks: the file holds microseconds that are added to the wall clock, and after a blank, where
//! it holds two numbers, those that are added to the clock of the uptime. It is read at each
//! reading. In all other builds there is nothing of it; the test of a release build looks for the
//! variable's name in the programs.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// The environment variable that names the file.
#[cfg(debug_assertions)]
pub const VARIABLE: &str = "CONSORCIO_CLOCK";

/// Runs on while the machine is suspended, and is not set by anybody.
#[cfg(target_os = "linux")]
const UPTIME: ClockId = ClockId::Boottime;
/// Elsewhere the monotonic clock is the nearest to it.
#[cfg(not(target_os = "linux"))]
const UPTIME: ClockId = ClockId::Monotonic;

/// The wall clock, in microseconds since 1970; 0 where it shows less.
pub fn wall_us() -> i64 {
    let (wall_us, _) = offsets();
    micros(clock_gettime(ClockId::Realtime)).saturating_add(wall_us).max(0)
}

/// The time since the machine was started, suspensions included, in microseconds.
pub fn uptime_us() -> u64 {
    let (_, uptime_us) = offsets();
    u64::try_from(micros(clock_gettime(UPTIME)).saturating_add(uptime_us)).unwrap_or(0)
}

fn micros(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

#[cfg(not(debug_assertions))]
#[inline]
fn offsets() -> (i64, i64) {
    (0, 0)
}

/// What a test adds to the two clocks.
#[cfg(debug_assertions)]
fn offsets() -> (i64, i64) {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from)) else {
        return (0, 0);
    };
    let text = std::fs::read_to_string(file);
    let text = text.unwrap_or_else(|error| panic!("{VARIABLE}={}: {error}", file.display()));
    read(&text).unwrap_or_else(|| panic!("{VARIABLE}: {text:?} is not one or two numbers"))
}

#[cfg(debug_assertions)]
fn read(text: &str) -> Option<(i64, i64)> {
    let mut words = text.split_whitespace();
    let wall = words.next()?.parse().ok()?;
    let uptime = words.next().map_or(Ok(0), str::parse).ok()?;
    words.next().is_none().then_some((wall, uptime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run() {
        let (wall, uptime) = (wall_us(), uptime_us());
        assert!(wall > 0 && uptime > 0);
        assert!(uptime_us() >= uptime);
    }

    #[cfg(debug_assertions)]
    #[test]
    fn offsets_are_one_or_two_numbers() {
        assert_eq!(read("-5\n"), Some((-5, 0)));
        assert_eq!(read("7 3600000000"), Some((7, 3_600_000_000)));
        for wrong in ["", "x", "1.5", "1 2 3"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
