//! Threads that are waited for, but not for ever: a disk that hangs must not keep a process from
//! its end.

use consorcio_core::limits::THREAD_END_MS_MAX;
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

/// How long a thread's end is waited for before it is left behind.
pub const END_WITHIN: Duration = Duration::from_millis(THREAD_END_MS_MAX);

/// How often it is looked at: often at first, for most threads end at once.
const LOOKS: [Duration; 2] = [Duration::from_micros(200), Duration::from_millis(5)];

/// Waits for the end of `thread`, at most for `within`. Says whether it came; a panic in it was
/// told by the hook.
pub fn join_within<T>(thread: JoinHandle<T>, within: Duration) -> bool {
    let began = Instant::now();
    while !thread.is_finished() {
        let waited = began.elapsed();
        if waited >= within {
            return false;
        }
        sleep(if waited < LOOKS[1] { LOOKS[0] } else { LOOKS[1] });
    }
    let _panicked = thread.join();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn one_that_ends_is_waited_for_and_one_that_hangs_is_left() {
        assert!(join_within(std::thread::spawn(|| ()), Duration::from_secs(60)));
        let (end, ended) = sync_channel::<()>(0);
        let hangs = std::thread::spawn(move || ended.recv());
        let began = Instant::now();
        assert!(!join_within(hangs, Duration::from_millis(50)));
        assert!(began.elapsed() < Duration::from_secs(30));
        drop(end);
    }
}
