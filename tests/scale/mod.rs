//! Scale: undecided transactions at a close, a restart and a tick, accounts, pages.
//!
//! Plain `cargo test` runs small sizes and counts the work of each step; `scripts/scale.sh` runs
//! the full sizes on a release build, checks time limits, and prints the figures, one a line:
//! `scale: <what>: <figure>`.

mod accounts;
mod backlog;
mod bank;
mod lists;
mod processes;
mod views;

/// Full sizes run, and time limits are checked.
fn is_full() -> bool {
    std::env::var("CONSORCIO_SCALE").is_ok_and(|size| size == "full")
}

/// The size of a test: `small` in plain `cargo test`, `full` from the script.
fn size(small: usize, full: usize) -> usize {
    if is_full() { full } else { small }
}

/// The CPU time of this thread. Limits apply to it and not to the clock, because other load of the
/// machine says nothing about the program.
fn cpu_time() -> std::time::Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("no schedstat");
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    std::time::Duration::from_nanos(nanos.expect("no nanoseconds"))
}

/// Prints a figure, at full sizes.
fn figure(what: &str, figure: impl std::fmt::Display) {
    if is_full() {
        println!("scale: {what}: {figure}");
    }
}
