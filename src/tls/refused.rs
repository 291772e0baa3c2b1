//! A peer that was refused.

use crate::stream::PeerStream;

/// A peer that was refused in the handshake, or right after it.
#[derive(Debug)]
pub struct RefusedPeer {
    /// Why, as a sentence about the other end.
    pub why: String,
    /// The connection, if its other end may still read why.
    pub stream: Option<PeerStream>,
    /// False if it sent something else than TLS, and may be told so in plain text. On a plain
    /// connection to who speaks TLS an alert was sent already.
    pub speaks_tls: bool,
}
