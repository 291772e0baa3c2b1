//! Accepts connections, evicts sessions for new ones, and ends all sessions.

use crate::ServerState;
use crate::handshakes::Handshakes;
use crate::permits::Permit;
use crate::session;
use crate::session_table::{SessionEnd, SessionEntry, SessionPeer, SessionTable};
use consorcio_core::limits::{
    ACCEPT_PAUSE_MS, PROBATION_MS_MAX, PROBATION_MS_MIN, SESSION_LINGER_MS, SESSIONS_LINGERING_MAX,
    SESSIONS_SWEEP_MS,
};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_steps::steplog::{OtherEnd, Step};
use consorcio_tls::PeerStream;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{interval, sleep, timeout};

impl ServerState {
    /// Accepts connections until the server ends.
    pub async fn accept(self: Rc<ServerState>, listener: TcpListener) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    // Short lines are answered one by one, so Nagle's algorithm would only add
                    // delay.
                    let _ = stream.set_nodelay(true);
                    match &self.handshakes {
                        None => self.admit(PeerStream::Plain(stream), SessionPeer::open_mode(peer)),
                        Some(handshakes) => self.shake_hands(handshakes, stream, peer),
                    }
                }
                // The client closed the connection before it was accepted.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let text = format!("no connection can be accepted for now: {error}");
                    tracing::debug!("{text}");
                    self.step_logger.record(|| Step::Fault(text.into()));
                    sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                }
            }
        }
    }

    /// Ends sessions that exceed a bound; runs until it is cancelled.
    pub(crate) async fn sweep(self: Rc<ServerState>) {
        let mut due = interval(Duration::from_millis(SESSIONS_SWEEP_MS));
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            let now_us = self.now_us();
            let older = |since_us: u64, ms: u64| now_us.saturating_sub(since_us) >= ms * 1_000;
            let certificates_at_us = self.handshakes.as_ref().map_or(0, Handshakes::now_us);
            let short = self.bytes.is_short();
            for entry in self.sessions.borrow().iter() {
                let state = entry.state.borrow();
                let silent = |ms| older(state.last_input_us, ms);
                let end = if state
                    .unread_since_us
                    .is_some_and(|since| older(since, self.bounds.unread_ms))
                {
                    Some(SessionEnd::Unread)
                } else if state.permit == Some(Permit::Probation) && silent(PROBATION_MS_MAX) {
                    Some(SessionEnd::NoPlace)
                } else if short
                    && state.borrows
                    && state.slots.is_empty()
                    && silent(self.bounds.unread_ms)
                {
                    Some(SessionEnd::Hoarding)
                } else if entry.certificate_end_us < certificates_at_us {
                    Some(SessionEnd::CertificateEnded)
                } else {
                    None
                };
                drop(state);
                if let Some(end) = end {
                    entry.end(end);
                }
            }
        }
    }

    /// Ends all sessions: they read nothing more and answer pending requests. Returns when all have
    /// ended.
    pub(crate) async fn end_sessions(&self) {
        self.stop.cancel();
        for entry in self.sessions.borrow().iter() {
            entry.end(SessionEnd::Shutdown);
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Shuts down our side of a connection whose input was not read to its end, and waits briefly
    /// for the client to close it.
    pub(crate) async fn linger(&self, mut stream: PeerStream) {
        if self.lingering.get() >= SESSIONS_LINGERING_MAX || self.stop.is_cancelled() {
            return;
        }
        self.lingering.set(self.lingering.get() + 1);
        let drain = async {
            stream.shutdown().await?;
            let mut scratch = [0; 1024];
            while stream.read(&mut scratch).await? > 0 {}
            io::Result::Ok(())
        };
        // Whatever the result is, the connection is closed now.
        let _ = self
            .stop
            .run_until_cancelled(timeout(Duration::from_millis(SESSION_LINGER_MS), drain))
            .await;
        self.lingering.set(self.lingering.get() - 1);
    }

    /// Gives a connection a session, if there is a place for it.
    pub(crate) fn admit(self: &Rc<ServerState>, mut stream: PeerStream, end: SessionPeer) {
        let peer = end.address;
        let Some(permit) = self.find_permit() else {
            self.step_logger.record(|| {
                Step::Bad(OtherEnd::Address(peer), Reason::Limit, "no place left".into())
            });
            let mut line = Vec::new();
            Reply::Err(Reason::Limit, SessionEnd::NoPlace.as_str().to_owned()).write_to(&mut line);
            // A new socket accepts one line at once.
            stream.write_now(&line);
            let shared = self.clone();
            self.tasks.spawn_local(async move { shared.linger(stream).await });
            return;
        };
        self.step_logger.record(|| Step::Connect(OtherEnd::Address(peer), None));
        let entry = self.sessions.borrow_mut().open(end, Some(permit), self.now_us());
        self.tasks.spawn_local(session::run(self.clone(), entry, stream));
    }

    /// A permit for a new connection: a free one, that of an evicted idle session, or on probation
    /// one of those for banks.
    fn find_permit(&self) -> Option<Permit> {
        let now_us = self.now_us();
        let mut sessions = self.sessions.borrow_mut();
        if sessions.permits.is_full() && now_us >= self.none_idle_before_us.get() {
            let idle_us = self.bounds.idle_ms * 1_000;
            if let Some(entry) = longest_silent(&sessions, Permit::Client, now_us, idle_us) {
                sessions.vacate(&entry);
                entry.end(SessionEnd::Idle);
            } else {
                // Bounds how often refused connections make this scan all sessions.
                self.none_idle_before_us.set(now_us + (idle_us / 8).min(1_000_000));
            }
        }
        if let Some(permit) = sessions.permits.enter() {
            return Some(permit);
        }
        let entry = longest_silent(&sessions, Permit::Probation, now_us, PROBATION_MS_MIN * 1_000)?;
        sessions.vacate(&entry);
        entry.end(SessionEnd::NoPlace);
        sessions.permits.enter()
    }
}

/// The session to evict: among those with such a permit and no open request, the one that has sent
/// nothing for longest, and for at least `silent_us`.
fn longest_silent(
    sessions: &SessionTable,
    permit: Permit,
    now_us: u64,
    silent_us: u64,
) -> Option<Rc<SessionEntry>> {
    let silent = sessions.iter().filter_map(|entry| {
        let state = entry.state.borrow();
        let idle = state.permit == Some(permit) && state.end.is_none() && state.slots.is_empty();
        let since_us = state.last_input_us;
        (idle && now_us.saturating_sub(since_us) >= silent_us).then_some((since_us, entry))
    });
    silent.min_by_key(|(since_us, _)| *since_us).map(|(_, entry)| entry.clone())
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
