//! Banks and clients are killed with SIGKILL at every crash point of `consorcio::crash`, in every
//! role, restarted and audited: no money is lost or made, every bank says the same of the
//! transaction, nothing stays held, and what anyone was told is so.
//!
//! Which deaths there are is in `cases`, how they are run and what may not be missing in `run`, how
//! a transaction is run up to one in `stories`, the banks and their audit in `cluster`, and what is
//! in
//! their journals in `journal`. A release build has no crash points, which is what its only test
//! here says.

#[cfg(debug_assertions)]
mod cases;
#[cfg(debug_assertions)]
mod cluster;
#[cfg(debug_assertions)]
mod journal;
#[cfg(debug_assertions)]
mod run;
#[cfg(debug_assertions)]
mod stories;

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
