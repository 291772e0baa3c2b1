//! The options of a client: time-outs, idle connections, observer.

use crate::hello::HelloAnswers;
use crate::observe::{ClientEvent, Observer};
use consorcio_core::limits::{
    ANSWER_WITHIN_MS, CLIENT_IDLE_CONNECTIONS_MAX, CLIENT_TIMEOUT_MS, CLIENT_WHY_MS_MAX,
    VOTE_TIMEOUT_MS,
};
use consorcio_core::wire::request::Request;
use consorcio_tls::TlsDialer;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A bank that waits for a lock or for other banks replies within this time.
const BANK_WAITS: Duration = Duration::from_millis(ANSWER_WITHIN_MS);

/// The options of a client.
#[derive(Clone)]
pub struct ClientOptions {
    /// A bank that does not accept the connection and reply within this time counts as unreachable.
    /// It gets `ANSWER_WITHIN_MS` more for requests that make the bank itself wait, for locks or
    /// for other banks.
    pub answer_within: Duration,
    /// A bank that has not voted within this time is asked to refuse. If it is silent for as long
    /// again, the outcome is not known. A driver also waits this long for the banks to confirm the
    /// outcome.
    pub vote_within: Duration,
    /// Idle connections to one bank that are kept for reuse; with 0 each request and each
    /// transaction has its own connection.
    pub idle_connections_max: usize,
    /// Receives each event of the client.
    pub observer: Option<Arc<dyn Observer>>,
    /// Connects over TLS, to banks in closed mode; without it, to banks in open mode.
    pub tls: Option<TlsDialer>,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            answer_within: Duration::from_millis(CLIENT_TIMEOUT_MS),
            vote_within: Duration::from_millis(VOTE_TIMEOUT_MS),
            idle_connections_max: CLIENT_IDLE_CONNECTIONS_MAX,
            observer: None,
            tls: None,
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
            .field("tls", &self.tls)
            .finish()
    }
}

/// State shared by all connections of a client.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    pub(crate) options: ClientOptions,
    /// Positions in the consortium's list, banks that left included; HELLO carries the number.
    pub(crate) places: usize,
    /// The answers of banks to HELLO.
    pub(crate) hello_answers: Arc<HelloAnswers>,
}

impl Dialer {
    /// Notifies the observer, if there is one.
    #[inline]
    pub(crate) fn observe(&self, event: &ClientEvent<'_>) {
        if let Some(observer) = &self.options.observer {
            observer.observe(event);
        }
    }

    /// Whether there is an observer.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        self.options.observer.is_some()
    }

    /// How long a bank has to say that its disk hangs: the end of its time to answer.
    pub(crate) fn why_within(&self) -> Duration {
        Duration::from_millis(CLIENT_WHY_MS_MAX).min(self.options.answer_within / 2)
    }
}

/// How much longer than other replies the one to `request` may take, because the bank itself waits
/// for others.
pub(crate) fn bank_may_wait(request: &Request) -> Duration {
    match request {
        Request::Prepare(..)
        | Request::Commit(..)
        | Request::Abort(..)
        | Request::Resolve(_)
        | Request::Execute(..) => BANK_WAITS,
        Request::Read(read) if read.may_wait() => BANK_WAITS,
        Request::Status(_)
        | Request::Client(_)
        | Request::Account(_)
        | Request::Read(_)
        | Request::Registers { .. }
        | Request::Local(_) => Duration::ZERO,
    }
}
