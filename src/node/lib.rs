//! The node: one writer owns the bank, so there is no lock and no way back to take.
//!
//! `ask` is the way in from other threads, `clock` reads the machine's clocks, `inbox` and `queue`
//! hold what waits, `writer` decides it, `release` keeps what may leave only after a sync, `disk`
//! is the thread that syncs, `run` the loop that ties them. Sockets are elsewhere: what may leave
//! is handed to whoever started the loop. All but the disk lives on one thread.

pub mod ask;
pub mod clock;
pub mod disk;
pub mod inbox;
pub mod queue;
pub mod release;
pub mod run;
#[cfg(test)]
mod tests;
pub mod writer;
