//! Bounds of the node's loop: how much it decides at once.

use super::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, LINE_BYTES_MAX, STEP_BYTES_MAX, STEP_ITEMS_MAX};

/// A batch with this many bytes is full. The rest of `BATCH_BYTES_MAX` is reserved for the records
/// of one decision: a slice of a backlog, or a few records of the longest transactions.
pub const BATCH_BYTES_ENOUGH: usize = BATCH_BYTES_MAX - STEP_BYTES_MAX - 2 * LINE_BYTES_MAX;
/// A batch with this many records is full, for the same reason.
pub const BATCH_RECORDS_ENOUGH: usize = BATCH_RECORDS_MAX - STEP_ITEMS_MAX;
/// Inputs that are decided before sessions and links run again.
pub const DECISIONS_IN_A_SLICE_MAX: usize = 256;
/// Urgent inputs that are decided in a row while new work waits: three quarters at most are urgent.
pub const URGENT_RUN_MAX: u32 = 3;

const _: () = assert!(BATCH_BYTES_ENOUGH > BATCH_BYTES_MAX / 2);
