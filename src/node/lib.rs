//! The node: one writer owns the bank, so no lock guards it.
//!
//! Other threads send requests through `ask`. `clock` reads the machine's clocks; `inbox` and
//! `queue` hold inputs that wait; `writer` decides them; `release` holds replies and messages until
//! their records are durable; `disk` is the thread that syncs; `run` is the loop that connects
//! them. All but `disk` lives on one thread. The sockets belong to the caller: the loop passes it
//! each reply and message that may be sent.

#![warn(unreachable_pub)]

mod ask;
mod clock;
mod disk;
mod inbox;
mod queue;
mod release;
mod run;
#[cfg(test)]
mod tests;
mod writer;

pub use ask::{Ask, Asker, SharedAccess, asking};
pub use clock::{Notice, WallClock, machine};
pub use disk::{JournalThread, SyncAge, SyncDone};
pub use inbox::{Inbox, MonotonicClock};
pub use queue::{Queue, SESSION_INDEX_BITS, WaitingInput};
pub use run::{Fatal, run};
pub use writer::{DecideResult, Released, Writer};
