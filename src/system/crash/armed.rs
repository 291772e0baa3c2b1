//! The point at which this process dies or hangs, if any. Only in builds with debug assertions.

use super::{Point, VARIABLE};
use rustix::process::{Signal, getpid, kill_process};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

struct Armed {
    point: Point,
    /// How many passes are left, including the last one.
    left: AtomicU64,
    /// For how long the thread hangs there; `None` if the process dies.
    hang: Option<Duration>,
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    let read = || {
        let text = std::env::var(VARIABLE).ok()?;
        // A test with a wrong name would wait forever.
        Some(read(&text).unwrap_or_else(|| panic!("{VARIABLE}={text}: no such crash point")))
    };
    ARMED.get_or_init(read).as_ref()
}

fn read(text: &str) -> Option<Armed> {
    let (hang, text) = match text.strip_prefix("hang:").and_then(|text| text.split_once('@')) {
        Some((ms, text)) => (Some(Duration::from_millis(ms.parse().ok()?)), text),
        None => (None, text),
    };
    let (name, passings) = match text.split_once(':') {
        Some((name, passings)) => (name, passings.parse().ok().filter(|passings| *passings > 0)?),
        None => (text, 1),
    };
    Some(Armed { point: Point::named(name)?, left: AtomicU64::new(passings), hang })
}

/// Is this process to die or hang at any point?
pub(super) fn is_armed() -> bool {
    armed().is_some()
}

/// Passes `point`; at the last pass it runs `last` and kills the process, or hangs.
pub(super) fn pass(point: Point, last: impl FnOnce()) {
    let Some(armed) = armed().filter(|armed| armed.point == point) else { return };
    // Not below zero, because a second thread may pass while the first one dies.
    let left = armed.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
    if left == Ok(1) {
        if let Some(hang) = armed.hang {
            return std::thread::sleep(hang);
        }
        last();
        kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
        loop {
            std::thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RecordKind, Stage, Step};
    use super::*;

    #[test]
    fn a_point_is_read_with_or_without_a_number() {
        let hang = read("hang:1500@voted-ok.written:3").expect("a point");
        assert_eq!(hang.point, Point::Batch(RecordKind::VotedOk, Stage::Written));
        assert_eq!((hang.left.into_inner(), hang.hang), (3, Some(Duration::from_millis(1_500))));
        let read = |text| read(text).map(|armed| (armed.point, armed.left.into_inner()));
        assert_eq!(read("started"), Some((Point::Step(Step::Started), 1)));
        assert_eq!(
            read("voted-ok.synced:2"),
            Some((Point::Batch(RecordKind::VotedOk, Stage::Synced), 2))
        );
        for wrong in [
            "",
            "nowhere",
            "voted-ok",
            "started:",
            "started:0",
            "started:x",
            "started:1:1",
            "hang:@started",
            "hang:5",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
