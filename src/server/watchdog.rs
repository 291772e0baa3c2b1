//! The watchdog: a thread that handles signals and watches the age of syncs, whatever else hangs.
//!
//! The first SIGTERM or SIGINT goes to the bank, which ends in order. The second one ends the
//! process at once, and so does the deadline of an orderly end. The thread does no I/O of its own,
//! so nothing blocks it.

use consorcio_core::limits::{
    LAST_LINES_AT_ONCE_MS_MAX, SHUTDOWN_MS_MAX, SHUTDOWN_OVERTIME_MS, SIGNALS_MAX, SLOW_SYNC_MS,
    SYNC_AGE_CHECK_MS,
};
use consorcio_node::SyncAge;
use consorcio_steps::steplog::{Step, StepLog};
use consorcio_system::logging;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::warn;

/// How long an immediate end waits for the last lines of the logs.
const LAST_LINES: Duration = Duration::from_millis(LAST_LINES_AT_ONCE_MS_MAX);

/// What a signal requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalAction {
    /// Reopen the step log, and read certificates and keys again.
    Reopen,
    /// End the bank; with the name of the signal.
    End(&'static str),
}

/// The signals for the bank. The watchdog itself handles the second request to end.
pub(crate) struct Signals(Receiver<SignalAction>);

impl Signals {
    /// The next signal; never returns once the thread has ended.
    pub(crate) async fn next(&mut self) -> SignalAction {
        match self.0.recv().await {
            Some(action) => action,
            None => std::future::pending().await,
        }
    }
}

/// Starts the thread. From now on no signal ends this process by default.
///
/// # Errors
/// When the system gives no thread or no signal.
pub(crate) fn start(steplog: StepLog, sync_age: Arc<SyncAge>) -> std::io::Result<Signals> {
    let (actions, signals) = channel(SIGNALS_MAX);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let watch = {
        let _inside = runtime.enter();
        Watchdog {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            on_terminal: std::io::stdin().is_terminal(),
            actions,
            steplog,
            sync_age,
        }
    };
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || runtime.block_on(watch.run()))?;
    Ok(Signals(signals))
}

struct Watchdog {
    term: Signal,
    int: Signal,
    hup: Signal,
    /// A bank that runs in a terminal ends with it; else SIGHUP means: read again what may have
    /// changed, and reopen the log.
    on_terminal: bool,
    actions: Sender<SignalAction>,
    steplog: StepLog,
    sync_age: Arc<SyncAge>,
}

impl Watchdog {
    async fn run(mut self) {
        let mut check = interval(Duration::from_millis(SYNC_AGE_CHECK_MS));
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut slow, mut drops) = (Slow::default(), Drops::default());
        let mut ending = false;
        loop {
            let (name, code) = tokio::select! {
                _ = self.term.recv() => ("SIGTERM", 143),
                _ = self.int.recv() => {
                    logging::erase_line();
                    ("SIGINT", 130)
                }
                _ = self.hup.recv() => {
                    if !(self.on_terminal && terminal_is_gone()) {
                        // A pending request covers this one. The last slot is reserved for `End`.
                        if self.actions.capacity() > 1 {
                            let _ = self.actions.try_send(SignalAction::Reopen);
                        }
                        continue;
                    }
                    // A closing terminal may send several SIGHUPs, which is no second request.
                    if ending {
                        continue;
                    }
                    ("SIGHUP", 129)
                }
                _ = check.tick() => {
                    // The log has their number once it is written again.
                    if drops.begin(self.steplog.dropped()) {
                        warn!("{DROPS_TEXT}");
                    }
                    let age_ms = self.sync_age.ms();
                    if let Some(text) = slow.observe(age_ms) {
                        warn!(age_ms, "{text}");
                        self.steplog.record(Step::Fault(text.into()));
                    }
                    continue;
                }
            };
            if std::mem::replace(&mut ending, true) {
                self.end_now(&format!("{name} again: this bank ends at once"), code);
            }
            // It is sent once, into the reserved slot; a bank that has ended does not need it.
            let _ = self.actions.try_send(SignalAction::End(name));
            let late = self.late();
            tokio::task::spawn(late);
        }
    }

    /// Ends the process if the orderly end takes too long.
    fn late(&self) -> impl Future<Output = ()> + use<> {
        let steplog = self.steplog.clone();
        async move {
            sleep(Duration::from_millis(SHUTDOWN_MS_MAX + SHUTDOWN_OVERTIME_MS)).await;
            end(&steplog, "an orderly end did not come in time: this bank ends", 1);
        }
    }

    fn end_now(&self, why: &str, code: i32) {
        end(&self.steplog, why, code);
    }
}

/// Whether the terminal was closed: it has no settings any more. A person may send SIGHUP as well.
fn terminal_is_gone() -> bool {
    matches!(rustix::termios::tcgetattr(std::io::stdin()), Err(rustix::io::Errno::IO))
}

fn end(steplog: &StepLog, why: &str, code: i32) -> ! {
    warn!("{why}");
    steplog.record(Step::Stop(why.into()));
    steplog.flush(LAST_LINES);
    logging::flush(LAST_LINES);
    std::process::exit(code)
}

/// Decides when a slow sync is logged: once it is slow, each time its age has doubled, and its end.
#[derive(Debug, Default)]
struct Slow {
    /// The age that was logged last; 0 while no sync is slow.
    reported_ms: u64,
}

impl Slow {
    fn observe(&mut self, age_ms: Option<u64>) -> Option<String> {
        match age_ms {
            Some(age) if age >= SLOW_SYNC_MS.max(2 * self.reported_ms) => {
                self.reported_ms = age;
                Some(format!(
                    "the data disk has not finished a sync for {} s; nothing is acknowledged \
                     meanwhile",
                    Seconds(age)
                ))
            }
            Some(age) if age >= self.reported_ms => None,
            None | Some(_) => {
                let reported = std::mem::take(&mut self.reported_ms);
                (reported > 0).then(|| {
                    format!("the data disk syncs again, after more than {} s", Seconds(reported))
                })
            }
        }
    }
}

const DROPS_TEXT: &str = "the step log is not written: its disk, or the reader of its pipe, hangs; \
                          steps are dropped and counted until it is written again, and the bank \
                          goes on";

/// Whether steps are being dropped.
#[derive(Debug, Default)]
struct Drops {
    dropping: bool,
}

impl Drops {
    /// Has dropping just begun? `dropped` counts the steps since the log was last written.
    fn begin(&mut self, dropped: u64) -> bool {
        let before = std::mem::replace(&mut self.dropping, dropped > 0);
        self.dropping && !before
    }
}

/// Milliseconds, shown as seconds.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 1_000, self.0 % 1_000 / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_sync_is_logged_when_its_age_doubles_and_when_it_ends() {
        let mut slow = Slow::default();
        let mut logged = |age| slow.observe(age).is_some();
        assert!(!logged(None) && !logged(Some(SLOW_SYNC_MS - 1)));
        assert!(
            logged(Some(1_000))
                && !logged(Some(1_500))
                && logged(Some(2_000))
                && !logged(Some(3_999))
        );
        assert!(logged(Some(4_100)));
        assert!(logged(None), "its end");
        assert!(!logged(None) && !logged(Some(10)));
        // The next sync may begin between two checks.
        assert!(logged(Some(1_200)) && logged(Some(5)) && !logged(Some(300)));
    }

    #[test]
    fn dropped_steps_are_logged_once_each_time() {
        let mut drops = Drops::default();
        let logged = [0, 7, 9, 0, 0, 1, 5].map(|dropped| drops.begin(dropped));
        assert_eq!(logged, [false, true, false, false, false, true, false]);
    }

    #[test]
    fn the_text_has_the_age() {
        let text = Slow::default().observe(Some(12_345)).unwrap();
        assert!(text.contains("for 12.3 s"), "{text}");
    }
}
