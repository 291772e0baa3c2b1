//! Bounds of undecided transactions, and of one owner in closed mode.

use super::{ANSWER_WITHIN_MS, PATIENCE_MS_MAX, RESOLVE_AFTER_MS};

/// The most centavos that one operation moves, so that a stranger's credit does not fill an
/// account.
pub const MOVED_CENTAVOS_MAX: u64 = 10_000_000_000_000;
/// The longest patience that a bank counts for owners who are no tellers or operators there.
pub const OWNER_PATIENCE_MS_MAX: u64 = 10_000;
/// A bank asks about the votes that a cut has waited for this long.
pub const CUT_ASKS_AFTER_MS: u64 = 2_000;
/// The most undecided transactions of one bank ...
pub const UNDECIDED_MAX: usize = 1_000_000;
/// ... and their memory.
pub const UNDECIDED_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// The most undecided transactions of one owner ...
pub const UNDECIDED_OF_OWNER_MAX: usize = 1_024;
/// ... or, of a teller or operator, this part of all.
pub const UNDECIDED_OF_STAFF_PART: usize = 4;

const _: () = {
    assert!(RESOLVE_AFTER_MS <= OWNER_PATIENCE_MS_MAX);
    assert!(OWNER_PATIENCE_MS_MAX <= PATIENCE_MS_MAX as u64);
    assert!(CUT_ASKS_AFTER_MS < ANSWER_WITHIN_MS, "the bank asks while the cut waits");
};
