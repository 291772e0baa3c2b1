//! Joins threads with a time limit, so that a disk that hangs can't prevent the process from
//! exiting; and the priority of threads.

use consorcio_core::limits::THREAD_END_MS_MAX;
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

/// How long to wait for a thread before it is abandoned.
pub const END_WITHIN: Duration = Duration::from_millis(THREAD_END_MS_MAX);

/// The polling interval: short at first, because most threads end at once.
const POLLS: [Duration; 2] = [Duration::from_micros(200), Duration::from_millis(5)];

/// Waits for the end of `thread`, at most for `within`; returns whether it ended. A panic in it was
/// already printed by the panic hook.
pub fn join_within<T>(thread: JoinHandle<T>, within: Duration) -> bool {
    let began = Instant::now();
    while !thread.is_finished() {
        let waited = began.elapsed();
        if waited >= within {
            return false;
        }
        sleep(if waited < POLLS[1] { POLLS[0] } else { POLLS[1] });
    }
    let _panicked = thread.join();
    true
}

/// Gives all other threads priority over this one, by a niceness from 1 to 19.
pub fn lower_priority(niceness: i32) {
    // On Linux each thread has its own niceness; elsewhere this would slow down the whole process.
    #[cfg(target_os = "linux")]
    let _as_before = rustix::process::setpriority_process(None, niceness);
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_thread_that_ends_is_joined_and_one_that_hangs_is_abandoned() {
        assert!(join_within(std::thread::spawn(|| ()), Duration::from_secs(60)));
        let (end, ended) = sync_channel::<()>(0);
        let hangs = std::thread::spawn(move || ended.recv());
        let began = Instant::now();
        assert!(!join_within(hangs, Duration::from_millis(50)));
        assert!(began.elapsed() < Duration::from_secs(30));
        drop(end);
    }
}
