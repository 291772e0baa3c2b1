//! How a client connects, how long it waits, and which observer gets its events.

use crate::greetings::Greetings;
use crate::observe::{ClientEvent, Observer};
use consorcio_core::limits::{CLIENT_IDLE_CONNECTIONS_MAX, CLIENT_TIMEOUT_MS, VOTE_TIMEOUT_MS};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What may be chosen for a client beside the list of banks.
#[derive(Clone)]
pub struct ClientOptions {
    /// A bank that has not connected and answered within this time counts as unreachable. To
    /// requests for which a bank itself waits, for locks or for other banks, it gets
    /// `ANSWER_WITHIN_MS` more.
    pub answer_within: Duration,
    /// A bank that has not voted within this time is asked to refuse. It may be silent for so long
    /// once more, then the outcome is not known. Also how long a driver waits for the
    /// banks to confirm the outcome.
    pub vote_within: Duration,
    /// Connections to one bank that are kept for later requests; with 0 each request and each
    /// transaction has its own.
    pub idle_connections_max: usize,
    /// Is given each event.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            answer_within: Duration::from_millis(CLIENT_TIMEOUT_MS),
            vote_within: Duration::from_millis(VOTE_TIMEOUT_MS),
            idle_connections_max: CLIENT_IDLE_CONNECTIONS_MAX,
            observer: None,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("answer_within", &self.answer_within)
            .field("vote_within", &self.vote_within)
            .field("idle_connections_max", &self.idle_connections_max)
            .field("observer", &self.observer.is_some())
            .finish()
    }
}

/// What all connections of a client share.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    pub(crate) options: ClientOptions,
    /// Places of the consortium's list, banks that left included; HELLO carries it.
    pub(crate) places: usize,
    /// What banks said of themselves.
    pub(crate) greetings: Arc<Greetings>,
}

impl Dialer {
    /// Tells the observer, if there is one.
    #[inline]
    pub(crate) fn observe(&self, event: &ClientEvent<'_>) {
        if let Some(observer) = &self.options.observer {
            observer.observe(event);
        }
    }

    /// Is there an observer?
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.options.observer.is_some()
    }
}
