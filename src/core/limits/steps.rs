//! The bounds of the step log: its memory, its delays, its lines and its files.

use super::NAME_BYTES_MAX;

/// The memory of recorded steps that are not written yet; past it steps are counted and dropped.
pub const STEP_MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// One of the two buffers of recorded steps: the writer takes one while the other fills.
pub const STEP_BUFFER_BYTES_MAX: usize = STEP_MEMORY_BYTES_MAX / 2;
/// How long the recording of a step waits once that memory is full, once; then steps are dropped
/// until some are written.
pub const STEP_ROOM_MS_MAX: u64 = 500;
/// How many steps a subscriber may be behind before it gets a notice that steps were missed.
pub const STEP_FEED_MAX: usize = 1024;
/// The time within which a recorded step is written, so that a reader sees it within 100 ms.
pub const STEP_FLUSH_MS: u64 = 25;
/// A step is written once it is this old, by its own time, because older ones may still arrive.
pub const STEP_HOLD_MS: i64 = 20;
/// No step is held for longer than this, even if its thread still has an older one.
pub const STEP_HELD_MS_MAX: i64 = 1_000;
/// The step log looks this often, at most, whether its file was removed or replaced.
pub const STEP_LOOK_MS: u64 = 1_000;
/// The time within which a session passes a step to the step log.
pub const STEP_HANDOVER_MS_MAX: u64 = 10;
/// The most bytes of lines that the step log writes at once.
pub const STEP_CHUNK_BYTES_MAX: usize = 256 * 1024;
/// The longest text for people in one step.
pub const STEP_TEXT_BYTES_MAX: usize = 400;
/// The operations that one line names, in bytes: enough for 64 with account numbers of 7 bytes.
/// Further ones are counted.
pub const STEP_OPS_BYTES_MAX: usize = 1_400;
/// So many operations fit that, however long their account numbers are.
pub const STEP_OPS_COMPLETE_MAX: usize = 8;
/// The largest difference of two times that a line has in place of the time.
pub const STEP_TIME_DIFFERENCE_US_MAX: u64 = 999_999;
/// The time of a line, text or object, is within this many first bytes.
pub const STEP_TIME_BYTES_MAX: usize = 40;
/// The most bytes of a register's value in a line.
pub const STEP_VALUE_BYTES_MAX: usize = 64;
/// The size at which a step log's file is rotated, by default ...
pub const STEP_LOG_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// ... and how many older files are kept.
pub const STEP_LOG_KEEP_DEFAULT: usize = 64;
/// The newest transactions whose files are kept by default, within that number of files.
pub const STEP_LOG_TRANSACTIONS_DEFAULT: u64 = 1_000_000;
/// The level of zstd for rotated files: they shrink to a tenth, as at level 3, in three quarters of
/// its time ...
pub const STEP_ZSTD_LEVEL: i32 = 1;
/// ... in frames of this many bytes of lines, which a reader begins at.
pub const STEP_ZSTD_BLOCK_BYTES: usize = 1024 * 1024;
/// The niceness of the thread that compresses them: it has the time that nobody else wants.
pub const LOG_KEEPER_NICENESS: i32 = 19;
/// The most frames of a compressed file that are listed in it.
pub const COMPRESSED_FRAMES_MAX: u32 = 1_000_000;
/// The most transactions that are listed in it, so that a search leaves out other files.
pub const COMPRESSED_IDS_MAX: u32 = 4_000_000;

const _: () = assert!(STEP_OPS_COMPLETE_MAX * (NAME_BYTES_MAX + 48) < STEP_OPS_BYTES_MAX);
/// Logs of one name in a folder that processes write at the same time.
pub const STEP_LOG_NUMBERS_MAX: usize = 1_000;
