//! What grows, at the size that it may have: undecided transactions at a close, a restart and a
//! tick, accounts, pages.
//!
//! Plain `cargo test` runs small sizes and counts the work of each step; `scripts/scale.sh` runs
//! the whole sizes on a release build, holds them to times, and prints the figures. Each figure is
//! one line: `scale: <what>: <figure>`.

mod accounts;
mod backlog;
mod bank;
mod lists;
mod processes;

/// Are whole sizes run, and times held?
fn is_full() -> bool {
    std::env::var("CONSORCIO_SCALE").is_ok_and(|size| size == "full")
}

/// The size of a test: `small` in plain `cargo test`, `full` from the script.
fn size(small: usize, full: usize) -> usize {
    if is_full() { full } else { small }
}

/// What this thread has computed so far. Times are held by it, and not by the clock: what else a
/// machine does beside a test says nothing of the program.
fn computed() -> std::time::Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel tells it");
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    std::time::Duration::from_nanos(nanos.expect("nanoseconds come first"))
}

/// Tells a figure, where whole sizes are run.
fn figure(what: &str, figure: impl std::fmt::Display) {
    if is_full() {
        println!("scale: {what}: {figure}");
    }
}
