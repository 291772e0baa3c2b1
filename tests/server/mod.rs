//! `servidor` as a process, over raw sockets: malformed input, bounds, refused starts, shutdown,
//! clocks, growing lists, settings, logs and traces.

mod bounds;
#[cfg(debug_assertions)]
mod clocks;
mod full;
mod growing;
mod introduction;
mod limits;
mod lines;
mod logging;
mod namespaces;
mod old_records;
mod operator;
mod otel;
mod other_protocols;
mod packaging;
mod portuguese;
mod refused_start;
mod settings;
mod shutdown;
mod start;
mod tampering;
mod tls;
mod unread;
mod verify;

use crate::support::{Cluster, Process, ProgramRun, Wire};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// A bank that is alone in its consortium.
struct SoloBank {
    cluster: Cluster,
    process: Process,
}

impl SoloBank {
    fn start(switches: &[&str]) -> SoloBank {
        let cluster = Cluster::new(1, true);
        let process = start_with(&cluster, 0, switches);
        SoloBank { cluster, process }
    }

    fn connect(&self) -> Wire {
        self.cluster.connect(0)
    }

    /// Sends SIGTERM and returns the exit code.
    fn stop(mut self) -> Option<i32> {
        self.process.terminate();
        self.process.wait()
    }
}

/// Starts `bank` with additional switches, and waits until it is ready.
fn start_with(cluster: &Cluster, bank: usize, switches: &[&str]) -> Process {
    let mut process = Process::start(cluster.servidor(bank).args(switches));
    process.wait_for("ready on").expect("it starts");
    process
}

/// Runs a `servidor` command that ends by itself.
fn run(command: &mut Command) -> ProgramRun {
    ProgramRun::of(&[], &command.stdin(Stdio::null()).output().expect("servidor runs"))
}

/// Whether tests run with full sizes and durations, as in `scripts/scale.sh`.
fn is_full() -> bool {
    std::env::var("CONSORCIO_SCALE").is_ok_and(|size| size == "full")
}

/// Raises the limit of open files to at least `count`. The limit is that of the whole program, so
/// tests raise it one at a time, and never lower it for each other.
fn allow_open_files(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().expect("no panic under the lock");
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), ..limit })
            .expect("it is allowed");
    }
}

/// The lines until the end of the stream.
fn rest(wire: &mut Wire) -> Vec<String> {
    std::iter::from_fn(|| wire.receive()).collect()
}
