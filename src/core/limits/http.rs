//! Bounds of HTTP beyond its connections and bodies: lists, live events, and the panel's pages.

/// Bytes of a response that a slow client must read before its write-stall timeout restarts.
pub const HTTP_PROGRESS_BYTES_MIN: usize = 64 * 1024;
/// An HTTP connection whose client reads nothing for this long may be closed in favour of a new
/// one.
pub const HTTP_STALLED_MS: u64 = 1_000;
/// Of a body that is too large this much is read before the response, so that a client which reads
/// only after it has sent everything gets the response.
pub const HTTP_DRAINED_BYTES_MAX: usize = 1024 * 1024;
/// ... and for no longer than this.
pub const HTTP_DRAINED_MS_MAX: u64 = 1_000;
/// A long response is passed to its connection in chunks of this size.
pub const HTTP_CHUNK_BYTES: usize = 64 * 1024;
/// A request waits no longer than this for step logs to be read.
pub const HTTP_TRACE_MS_MAX: u64 = 3_000;
/// Before step logs are read, pending steps are flushed within this time.
pub const HTTP_TRACE_FLUSH_MS_MAX: u64 = 200;

/// Steps within this time are sent as one event, so that load causes few events.
pub const HTTP_EVENT_GATHER_MS: u64 = 150;
/// A silent event stream sends a comment this often; a write error reveals a client that is gone.
pub const HTTP_EVENT_ALIVE_MS: u64 = 15_000;
/// Steps that one event names; further ones only count as a change.
pub const HTTP_EVENT_STEPS_MAX: usize = 64;
/// Events that wait for a slow reader.
pub const HTTP_EVENTS_WAITING_MAX: usize = 4;

/// Accounts on one page of the panel.
pub const PANEL_ACCOUNTS_MAX: usize = 100;
/// Transactions on one page of the panel's history.
pub const PANEL_HISTORY_MAX: usize = 50;
/// ... of which at most this many are undecided where all states are listed.
pub const PANEL_HISTORY_PENDING_MAX: usize = 25;
/// Undecided transactions on one page of the panel.
pub const PANEL_PENDING_MAX: usize = 50;
/// The newest transactions on the panel's first page.
pub const PANEL_NEWEST_MAX: usize = 10;
/// Attempts to read an account and its history as of one moment.
pub const PANEL_STATEMENT_TRIES_MAX: u32 = 5;
/// The file by which a bank joins a demonstration.
pub const DEMO_FILE_BYTES_MAX: u64 = 256 * 1024;

const _: () = assert!(PANEL_HISTORY_PENDING_MAX < PANEL_HISTORY_MAX);
