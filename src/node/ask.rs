//! Requests to the bank from other threads, and their replies.
//!
//! An ask is the same request that a line would make, and waits in the same queue: the server gives
//! each ask a session of its own on the node's thread. The number of asks under way is bounded; the
//! next one waits.

use consorcio_core::access::{Access, Principal};
use consorcio_core::bank::io::Origin;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// A request to the bank from another thread.
#[derive(Debug)]
pub struct Ask {
    /// The client that it is made for, as the step log names it.
    pub peer: SocketAddr,
    /// The principal on whose behalf it is made.
    pub asker: Principal,
    /// Whether a client or an outside coordinator makes it.
    pub origin: Origin,
    /// The same request that a line would make.
    pub request: Request,
    /// Receives the reply; the receiver may be gone by then.
    pub reply: oneshot::Sender<Reply>,
    /// Its permit among the asks under way; returned when the ask is dropped.
    pub permit: OwnedSemaphorePermit,
}

/// Sends requests to the bank from any thread; clones share the bound.
#[derive(Debug, Clone)]
pub struct Asker {
    asks: mpsc::Sender<Ask>,
    permits: Arc<Semaphore>,
}

/// An asker and the receiver of its asks. At most `most` asks are under way at once.
pub fn asking(most: usize) -> (Asker, mpsc::Receiver<Ask>) {
    // There are never more asks than permits, so a send with a permit does not wait.
    let (asks, taken) = mpsc::channel(most);
    (Asker { asks, permits: Arc::new(Semaphore::new(most)) }, taken)
}

impl Asker {
    /// Enqueues `request` on behalf of `peer`; the receiver gets the reply. `None` when the bank
    /// ends.
    ///
    /// An enqueued request is carried out even if the caller drops the receiver.
    pub async fn hand_over(
        &self,
        peer: SocketAddr,
        asker: Principal,
        request: Request,
    ) -> Option<oneshot::Receiver<Reply>> {
        self.hand_over_as(Origin::Client, (peer, asker), request).await
    }

    /// Like `hand_over`, for an outside coordinator: its PREPARE, and its votes by COMMIT and
    /// ABORT.
    pub async fn hand_over_as_outside(
        &self,
        peer: SocketAddr,
        asker: Principal,
        request: Request,
    ) -> Option<oneshot::Receiver<Reply>> {
        self.hand_over_as(Origin::Outside, (peer, asker), request).await
    }

    async fn hand_over_as(
        &self,
        origin: Origin,
        (peer, asker): (SocketAddr, Principal),
        request: Request,
    ) -> Option<oneshot::Receiver<Reply>> {
        let permit = self.permits.clone().acquire_owned().await.ok()?;
        let (reply, answered) = oneshot::channel();
        self.asks.send(Ask { peer, asker, origin, request, reply, permit }).await.ok()?;
        Some(answered)
    }
}

/// What this bank grants at present, for the threads that serve it.
#[derive(Debug, Clone, Default)]
pub struct SharedAccess(Arc<RwLock<Arc<Access>>>);

impl SharedAccess {
    /// From here on this is granted.
    pub fn set(&self, access: Arc<Access>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// What is granted now.
    pub fn get(&self) -> Arc<Access> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
