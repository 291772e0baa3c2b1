//! Bounds of TLS.

/// A handshake that takes longer ends.
pub const TLS_HANDSHAKE_MS_MAX: u64 = 5_000;
/// The handshakes under way at the port for lines and links ...
pub const TLS_HANDSHAKES_MAX: usize = 1_024;
/// ... and of one address among them.
pub const TLS_HANDSHAKES_OF_ADDRESS_MAX: usize = 64;
/// The largest file of certificates or of a key.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 256 * 1024;
/// How long before its end a certificate is warned of.
pub const CERTIFICATE_WARNED_DAYS: i64 = 30;
/// A day, in which certificates are counted.
pub const DAY_US: i64 = 24 * 3_600 * 1_000_000;
/// How often a bank looks when its certificates end.
pub const CERTIFICATE_CHECK_MS: u64 = 24 * 3_600 * 1_000;
/// A certificate counts from so long before it is made: clocks differ.
pub const CERTIFICATE_EARLY_MINUTES: i64 = 60;
/// How long a CA's certificate counts ...
pub const CERTIFICATE_CA_DAYS: i64 = 10 * 365;
/// ... a bank's, for lines, links and HTTP ...
pub const CERTIFICATE_BANK_DAYS: i64 = 2 * 365;
/// ... and that of a person or program.
pub const CERTIFICATE_CLIENT_DAYS: i64 = 365;
