//! Kills banks and clients with SIGKILL at every crash point of `consorcio::crash`, in every role,
//! then restarts and audits them: no money is lost or made, all banks report one outcome, nothing
//! stays held, and every reply that a client received is true.
//!
//! `cases` lists the crashes, `run` runs them and checks the coverage, `scenarios` drives a
//! transaction up to the crash, `cluster` holds the banks and their audit, and `journal` checks the
//! victim's journal. A release build has no crash points; its only test here checks that.

#[cfg(debug_assertions)]
mod cases;
#[cfg(debug_assertions)]
mod cluster;
#[cfg(debug_assertions)]
mod journal;
#[cfg(debug_assertions)]
mod run;
#[cfg(debug_assertions)]
mod scenarios;

#[cfg(debug_assertions)]
#[test]
fn killed_at_every_point() {
    run::all();
}

#[cfg(not(debug_assertions))]
#[test]
fn a_release_has_no_crash_point_and_no_other_clock() {
    for program in [crate::support::servidor_path(), crate::support::cliente_path()] {
        let bytes = std::fs::read(program).unwrap();
        for name in
            [crate::support::CRASH_VARIABLE, crate::support::CLOCK_VARIABLE].map(str::as_bytes)
        {
            assert!(
                bytes.windows(name.len()).all(|window| window != name),
                "{program} has a hook for tests"
            );
        }
    }
}
