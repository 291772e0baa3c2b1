//! What the operator is told on standard error, by a thread of its own: a terminal or a pipe that
//! takes nothing stops neither the bank nor its end.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Lines that wait to be written; more are dropped, and their number is told.
const WAITING_MAX: usize = 256;

struct Operator {
    lines: SyncSender<String>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Lines handed over and not written yet.
    waiting: usize,
    /// Lines for which there was no room.
    dropped: usize,
}

/// One line for the operator. It never waits; nothing can be done where standard error is gone.
pub fn tell(text: &str) {
    let operator = operator();
    let mut state = operator.counts.state.lock().unwrap_or_else(PoisonError::into_inner);
    match operator.lines.try_send(format!("servidor: {text}\n")) {
        Ok(()) => state.waiting += 1,
        Err(_) => state.dropped += 1,
    }
}

/// Waits until all that was told is written, at most for `within`.
pub fn flush(within: Duration) {
    let counts = &operator().counts;
    let state = counts.state.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = counts.changed.wait_timeout_while(state, within, |state| state.waiting > 0);
}

fn operator() -> &'static Operator {
    static OPERATOR: OnceLock<Operator> = OnceLock::new();
    OPERATOR.get_or_init(|| {
        let (lines, waiting) = sync_channel(WAITING_MAX);
        let counts = Arc::new(Counts::default());
        let theirs = counts.clone();
        // Where the system gives no thread the receiver is gone, and each line counts as dropped.
        let _ = std::thread::Builder::new()
            .name("operator".to_owned())
            .spawn(move || write_lines(&waiting, &theirs));
        Operator { lines, counts }
    })
}

fn write_lines(lines: &Receiver<String>, counts: &Counts) {
    for line in lines {
        let _ = std::io::stderr().write_all(line.as_bytes());
        let mut state = counts.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        let dropped = std::mem::take(&mut state.dropped);
        drop(state);
        counts.changed.notify_all();
        if dropped > 0 {
            let _ =
                writeln!(std::io::stderr(), "servidor: {dropped} lines could not be written here");
        }
    }
}
