//! Bounds of sessions and of the sockets that they come from.

use super::{LINE_BYTES_MAX, SESSIONS_BYTES_MAX, SESSIONS_MAX};

/// A connection that is closed before its input was read to the end is kept this long, so that the
/// other end gets the last line and not a reset.
pub const SESSION_LINGER_MS: u64 = 1_000;
/// ... and this many of them at once.
pub const SESSIONS_LINGERING_MAX: usize = 256;
/// After an accept failed for want of something (file descriptors, memory), nothing is accepted for
/// so long.
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// How often sessions that must end are looked for. Sessions that wait for memory are woken by the
/// one that gives it back.
pub const SESSIONS_SWEEP_MS: u64 = 1_000;
/// A connection that got a bank's place must prove to be one within this time.
pub const PROBATION_MS_MAX: u64 = 2_000;
/// ... or within this, when others want the place.
pub const PROBATION_MS_MIN: u64 = 200;
/// What each session may always hold, so that none can take all memory from the others.
pub const SESSION_BYTES_OWN: usize = 16 * 1024;
/// Set aside for a long line that was begun: enough for the buffer that it is read into, which may
/// be twice as large, for the request that it becomes, and for any reply. Halves of lines that used
/// up all memory would wait for each other.
pub const LINE_BYTES_WHOLE: usize = 4 * LINE_BYTES_MAX;
/// So many bytes of a line are read whatever memory is left; more only once enough for the whole
/// line is set aside.
pub const LINE_BYTES_BEGUN: usize = SESSION_BYTES_OWN / 2;
/// The first read of a session has room for this much; each that fills it doubles the next one's,
/// up to a whole line.
pub const SESSION_READ_BYTES_MIN: usize = 4 * 1024;
/// Replies are formatted up to here before they are written; the others wait in their slots.
pub const SESSION_OUT_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;
/// Memory for replies that an idle session may keep.
pub const SESSION_OUT_BYTES_KEPT: usize = 4 * 1024;
/// What the allocator needs beside the bytes that it was asked for, rounding and gaps included
/// (measured, not derived).
pub const ALLOCATION_BYTES: usize = 40;
/// Room for each read of a socket that is a stream of lines.
pub const FRAMED_READ_BYTES: usize = 8 * 1024;

/// File descriptors for all but sessions, where there are many: journal, logs, links, connections
/// that are refused.
pub const FILES_BESIDE_SESSIONS_MAX: u64 = 512;
/// ... and where there are few.
pub const FILES_BESIDE_SESSIONS_MIN: u64 = 64;
/// A server with room for fewer clients than these does not start.
pub const CLIENTS_MIN: u64 = 8;
/// Sessions for each other bank: it may come twice while it links anew.
pub const SESSIONS_OF_BANK_MIN: u64 = 2;
/// HTTP is not served with room for fewer connections than these: a browser opens six.
pub const HTTP_CONNECTIONS_MIN: u64 = 8;

const _: () = assert!(SESSIONS_MAX * SESSION_BYTES_OWN + LINE_BYTES_WHOLE < SESSIONS_BYTES_MAX);
const _: () = assert!(SESSION_READ_BYTES_MIN <= LINE_BYTES_BEGUN);
