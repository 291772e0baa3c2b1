//! The thread that writes standard error, so that a terminal or a pipe that blocks stops neither
//! the program nor its exit.

use super::STEP_TARGET;
use consorcio_core::limits::{LIVE_STEP_LINES_MAX, OPERATOR_LINES_MAX};
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Passes the line of each event to the thread.
pub(super) struct ToStderr;

/// Writes one line. Steps have a bound of their own, so they never displace warnings.
pub(super) struct LineWriter {
    is_step: bool,
}

impl<'a> MakeWriter<'a> for ToStderr {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { is_step: false }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> LineWriter {
        LineWriter { is_step: event.target() == STEP_TARGET }
    }
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        stderr_thread().add(self.is_step, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until all lines are written, at most for `within`.
pub fn flush(within: Duration) {
    // Without any line the thread was never started.
    let Some(thread) = THREAD.get() else { return };
    let waiting = |queue: &mut LineQueue| queue.is_writing || !queue.lines.is_empty();
    // The caller exits whether or not they were written in time.
    let _ = thread.changed.wait_timeout_while(thread.lock(), within, waiting);
}

/// Erases what a terminal shows of the line under the cursor, such as the `^C` of an interrupt,
/// before the next line is written there.
pub fn erase_line() {
    if io::stderr().is_terminal() {
        stderr_thread().add(false, b"\r\x1b[K");
    }
}

#[derive(Default)]
struct StderrThread {
    queue: Mutex<LineQueue>,
    /// Notified when lines were added or written.
    changed: Condvar,
}

#[derive(Default)]
struct LineQueue {
    lines: VecDeque<Vec<u8>>,
    steps: LineRoom,
    others: LineRoom,
    /// The thread took lines and has not written all of them.
    is_writing: bool,
}

#[derive(Default)]
struct LineRoom {
    waiting: usize,
    dropped: usize,
}

impl LineQueue {
    fn add(&mut self, is_step: bool, line: &[u8]) {
        let (room, most) = if is_step {
            (&mut self.steps, LIVE_STEP_LINES_MAX)
        } else {
            (&mut self.others, OPERATOR_LINES_MAX)
        };
        if room.waiting >= most {
            room.dropped += 1;
            return;
        }
        room.waiting += 1;
        self.lines.push_back(line.to_vec());
    }

    /// All lines, and how many steps and other lines were dropped since the last call.
    fn take(&mut self) -> (VecDeque<Vec<u8>>, usize, usize) {
        self.is_writing = true;
        let dropped = (self.steps.dropped, self.others.dropped);
        (self.steps, self.others) = (LineRoom::default(), LineRoom::default());
        (std::mem::take(&mut self.lines), dropped.0, dropped.1)
    }
}

impl StderrThread {
    fn lock(&self) -> MutexGuard<'_, LineQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, is_step: bool, line: &[u8]) {
        self.lock().add(is_step, line);
        self.changed.notify_all();
    }

    fn write_lines(&self) {
        loop {
            let queue = self.lock();
            let queue = self.changed.wait_while(queue, |queue| queue.lines.is_empty());
            let (lines, steps, others) = queue.unwrap_or_else(PoisonError::into_inner).take();
            let mut stderr = io::stderr().lock();
            for line in lines {
                // If standard error is closed, the line is lost.
                let _ = stderr.write_all(&line);
            }
            drop(stderr);
            self.lock().is_writing = false;
            self.changed.notify_all();
            if others > 0 {
                tracing::warn!(lines = others, "{others} lines could not be written here");
            }
            if steps > 0 {
                tracing::warn!(steps, "{steps} steps could not be shown here");
            }
        }
    }
}

static THREAD: OnceLock<&'static StderrThread> = OnceLock::new();

fn stderr_thread() -> &'static StderrThread {
    THREAD.get_or_init(|| {
        let thread: &'static StderrThread = Box::leak(Box::default());
        // If no thread can be started, lines are queued up to their bound and never written.
        let _ =
            std::thread::Builder::new().name("stderr".to_owned()).spawn(|| thread.write_lines());
        thread
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_do_not_use_the_room_of_other_lines() {
        let mut queue = LineQueue::default();
        (0..LIVE_STEP_LINES_MAX + 3).for_each(|_| queue.add(true, b"step\n"));
        (0..OPERATOR_LINES_MAX + 2).for_each(|_| queue.add(false, b"line\n"));
        let (lines, steps, others) = queue.take();
        assert_eq!((steps, others), (3, 2));
        assert_eq!(lines.len(), LIVE_STEP_LINES_MAX + OPERATOR_LINES_MAX);
        queue.add(true, b"step\n");
        assert_eq!(queue.take().0.len(), 1, "there is room again");
    }
}
