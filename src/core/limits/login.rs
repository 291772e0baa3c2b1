//! Bounds of log-ins, and of what proves who somebody is over HTTP.

/// The random bytes of a token or of a session's cookie.
pub const SECRET_BYTES: usize = 32;
/// The memory of one hash of a password, in KiB. This and the two numbers below are a choice of
/// OWASP's Password Storage Cheat Sheet for argon2id with little memory.
pub const PASSWORD_HASH_MEMORY_KIB: u32 = 19 * 1024;
/// ... its passes over that memory ...
pub const PASSWORD_HASH_PASSES: u32 = 2;
/// ... and its threads.
pub const PASSWORD_HASH_LANES: u32 = 1;
/// The fewest characters of a password; NIST SP 800-63B-4 wants 15 of one that stands alone.
pub const PASSWORD_CHARACTERS_MIN: usize = 15;
/// ... and its longest text.
pub const PASSWORD_BYTES_MAX: usize = 512;
/// How many passwords wait for their check.
pub const PASSWORD_HASHES_WAITING_MAX: usize = 16;
/// The time in which tries to log in are counted together.
pub const LOGIN_TRIES_MS: u64 = 60_000;
/// Tries of one name from one address in that time.
pub const LOGIN_TRIES_PAIR_MAX: u32 = 5;
/// Tries from one address.
pub const LOGIN_TRIES_ADDRESS_MAX: u32 = 20;
/// Tries of one name by browsers that have not logged in as it before.
pub const LOGIN_TRIES_NAME_MAX: u32 = 100;
/// Counters of tries that are kept: three a name and address.
pub const LOGIN_TRIES_KEPT_MAX: usize = 30_000;
/// The pause between two searches of all of them for those that are over.
pub const LOGIN_TRIES_SEARCHED_MS: u64 = 1_000;
/// How long a session of the panel lasts.
pub const PANEL_SESSION_MS: u64 = 12 * 3_600_000;
/// ... and how long without a request of its person.
pub const PANEL_SESSION_IDLE_MS: u64 = 30 * 60_000;
/// Sessions of one bank's panel.
pub const PANEL_SESSIONS_MAX: usize = 4_096;
/// ... of one name.
pub const PANEL_SESSIONS_NAME_MAX: usize = 16;
/// How long a browser stays known for a name that it logged in as, in seconds.
pub const KNOWN_BROWSER_S: i64 = 90 * 24 * 3_600;
/// Names for which one browser is known.
pub const KNOWN_BROWSER_NAMES_MAX: usize = 8;
/// The longest `Cookie` header in which a cookie is looked for.
pub const COOKIE_HEADER_BYTES_MAX: usize = 8 * 1024;
/// Tokens and passwords of one bank.
pub const CREDENTIALS_MAX: usize = 10_000;
/// The longest file of them.
pub const CREDENTIALS_BYTES_MAX: usize = 4 * 1024 * 1024;
