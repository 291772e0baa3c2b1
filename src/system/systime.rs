//! Reads the machine's clocks. The core's `clock` decides how far a bank follows them.
//!
//! In builds with debug assertions, `CONSORCIO_CLOCK=<file>` lets a test set the clocks of a
//! running process: the file has the microseconds to add to the wall clock, and optionally, after a
//! blank, those to add to the uptime. It is read at each reading. Other builds ignore it; the test
//! of a release build searches the programs for the variable's name.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// The environment variable with the name of the file.
#[cfg(debug_assertions)]
pub const VARIABLE: &str = "CONSORCIO_CLOCK";

/// Continues while the machine is suspended, and can't be set.
#[cfg(target_os = "linux")]
const UPTIME: ClockId = ClockId::Boottime;
/// On other systems the monotonic clock is the closest.
#[cfg(not(target_os = "linux"))]
const UPTIME: ClockId = ClockId::Monotonic;

/// The wall clock, in microseconds since 1970; 0 if it shows an earlier time.
pub fn wall_us() -> i64 {
    let (wall_us, _) = offsets();
    micros(clock_gettime(ClockId::Realtime)).saturating_add(wall_us).max(0)
}

/// The time since the machine was started, including suspensions, in microseconds.
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

/// The offsets of the two clocks, set by a test.
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
    fn both_clocks_advance() {
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
