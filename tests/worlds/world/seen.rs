//! The observable events of a world.

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A reply left a bank for a client.
    Reply {
        bank: usize,
        caller: Caller,
        reply: Reply,
    },
    /// A message left a bank for another.
    Sent {
        from: usize,
        to: usize,
        message: Message,
    },
    Answered {
        from: usize,
        to: usize,
        asked: RequestKey,
        reply: Option<Reply>,
    },
    /// A record was written.
    Recorded {
        bank: usize,
        seq: Seq,
        record: Record,
    },
    /// A step inside the core.
    Step {
        bank: usize,
        step: CoreStep,
    },
    /// A bank stopped itself.
    Stopped {
        bank: usize,
        why: String,
    },
    /// A crash took records that were not synced.
    Lost {
        bank: usize,
        records: Vec<Record>,
    },
    /// A write or sync failed, and the process stopped.
    DiskFailed {
        bank: usize,
    },
}
