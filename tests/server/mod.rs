//! `servidor` as a process, over raw sockets: bytes that are no requests, bounds, starts that are
//! refused, ends.

mod bounds;
#[cfg(debug_assertions)]
mod clocks;
mod end;
mod full;
mod growing;
mod introduction;
mod limits;
mod lines;
mod logging;
mod old_texts;
mod otel;
mod refused_start;
mod start;
mod strangers;
mod unread;
mod way;

use crate::support::{Cluster, Process, Ran, Wire};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// A bank alone, with these switches besides its own.
struct Alone {
    cluster: Cluster,
    process: Process,
}

impl Alone {
    fn start(switches: &[&str]) -> Alone {
        let cluster = Cluster::new(1, true);
        let process = start_with(&cluster, 0, switches);
        Alone { cluster, process }
    }

    fn connect(&self) -> Wire {
        self.cluster.connect(0)
    }

    /// The end of the process, asked for.
    fn stop(mut self) -> Option<i32> {
        self.process.terminate();
        self.process.wait()
    }
}

/// Starts `bank` with these switches besides its own, and waits until it is ready.
fn start_with(cluster: &Cluster, bank: usize, switches: &[&str]) -> Process {
    let mut process = Process::start(cluster.servidor(bank).args(switches));
    process.wait_for("ready on").expect("it starts");
    process
}

/// Runs a `servidor` command that ends by itself.
fn run(command: &mut Command) -> Ran {
    Ran::of(&[], &command.stdin(Stdio::null()).output().expect("servidor runs"))
}

/// Are whole sizes and times wanted, as `scripts/scale.sh` does?
fn is_full() -> bool {
    std::env::var("CONSORCIO_SCALE").is_ok_and(|size| size == "full")
}

/// Lets this test have so many open files. The bound is the whole program's: it is only raised, and
/// by one test at a time, or one that wants fewer could take back what another has just got.
fn allow_open_files(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().expect("nobody panics with it");
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })
            .expect("it is allowed");
    }
}

/// The lines until the end of the stream.
fn rest(wire: &mut Wire) -> Vec<String> {
    std::iter::from_fn(|| wire.receive()).collect()
}
