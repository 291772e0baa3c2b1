//! Bounds of sessions and their sockets.

use super::{LINE_BYTES_MAX, SESSIONS_BYTES_MAX, SESSIONS_MAX};

/// A connection that is closed before all its input was read lingers this long, so that the other
/// end gets the last line and not a reset ...
pub const SESSION_LINGER_MS: u64 = 1_000;
/// ... and so many connections linger at once.
pub const SESSIONS_LINGERING_MAX: usize = 256;
/// The pause after an accept failed for lack of file descriptors or memory.
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// How often sessions that must end are searched for. Sessions that wait for memory are woken when
/// it is returned.
pub const SESSIONS_SWEEP_MS: u64 = 1_000;
/// A connection that uses a slot reserved for banks must authenticate within this time ...
pub const PROBATION_MS_MAX: u64 = 2_000;
/// ... or within this time while others wait for the slot.
pub const PROBATION_MS_MIN: u64 = 200;
/// The memory that each session always gets, so that no session can exhaust it for the others.
pub const SESSION_BYTES_OWN: usize = 16 * 1024;
/// The memory reserved for a long line once it has begun: enough for its read buffer, which may be
/// twice as large, for the parsed request, and for any reply. Otherwise partial lines could use up
/// all memory and wait for each other.
pub const LINE_BYTES_WHOLE: usize = 4 * LINE_BYTES_MAX;
/// So many bytes of a line are read regardless of memory; more only once `LINE_BYTES_WHOLE` is
/// reserved.
pub const LINE_BYTES_BEGUN: usize = SESSION_BYTES_OWN / 2;
/// The room of a session's first read; each read that fills it doubles the next one's, up to a
/// whole line.
pub const SESSION_READ_BYTES_MIN: usize = 4 * 1024;
/// Read buffers up to this size go from a session that has become idle to the next that reads ...
pub const SPARE_BUFFER_BYTES_MAX: usize = SESSION_BYTES_OWN;
/// ... and at most so many of them wait.
pub const SPARE_BUFFERS_MAX: usize = 16;
/// Replies are formatted up to this size before they are written; the others wait in their slots.
pub const SESSION_OUT_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;
/// The output buffer that an idle session may keep.
pub const SESSION_OUT_BYTES_KEPT: usize = 8 * 1024;
/// The allocator's overhead for one allocation, including rounding and gaps (measured, not
/// derived).
pub const ALLOCATION_BYTES: usize = 40;
/// The room of each read of a socket as a stream of lines.
pub const FRAMED_READ_BYTES: usize = 8 * 1024;

/// The file descriptors for everything but sessions, if there are many: journal, logs, links,
/// refused connections ...
pub const FILES_BESIDE_SESSIONS_MAX: u64 = 512;
/// ... and if there are few.
pub const FILES_BESIDE_SESSIONS_MIN: u64 = 64;
/// A server that can serve fewer clients than this does not start.
pub const CLIENTS_MIN: u64 = 8;
/// The sessions for each other bank: two, because it may reconnect before the old one ends.
pub const SESSIONS_OF_BANK_MIN: u64 = 2;
/// HTTP is not served if fewer connections than this are possible: a browser opens six.
pub const HTTP_CONNECTIONS_MIN: u64 = 8;

const _: () = assert!(SESSIONS_MAX * SESSION_BYTES_OWN + LINE_BYTES_WHOLE < SESSIONS_BYTES_MAX);
const _: () = assert!(SESSION_READ_BYTES_MIN <= LINE_BYTES_BEGUN);
