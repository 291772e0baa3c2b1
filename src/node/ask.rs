//! The way to the bank from other threads: a request goes in, its reply comes back.
//!
//! What is asked here is the same request that a line would make, and waits in the same queue.
//! Whoever serves the asks on the node's thread gives each a session of its own. So many are under
//! way at once; the next one waits.

use consorcio_core::bank::io::Origin;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Something that is asked of the bank.
#[derive(Debug)]
pub struct Ask {
    /// For whom, for the step log.
    pub peer: SocketAddr,
    /// As whom: anyone, or an outside coordinator.
    pub origin: Origin,
    /// The request, as a line would make it.
    pub request: Request,
    /// Where its reply goes. Nobody may wait for it any more.
    pub reply: oneshot::Sender<Reply>,
    /// Its place among those under way; given back when this goes.
    pub place: OwnedSemaphorePermit,
}

/// Asks the bank from any thread; clones share the bound.
#[derive(Debug, Clone)]
pub struct Asker {
    asks: mpsc::Sender<Ask>,
    places: Arc<Semaphore>,
}

/// An asker, and where its asks come out. At most `most` are under way at once.
pub fn asking(most: usize) -> (Asker, mpsc::Receiver<Ask>) {
    // There are never more asks than places, so whoever has a place need not wait to send.
    let (asks, taken) = mpsc::channel(most);
    (Asker { asks, places: Arc::new(Semaphore::new(most)) }, taken)
}

impl Asker {
    /// Hands `request` over, which is asked for `peer`; its reply comes out of the receiver. `None`
    /// when the bank ends.
    ///
    /// A request that was handed over is done, also when the caller does not wait for its reply.
    pub async fn hand_over(
        &self,
        peer: SocketAddr,
        request: Request,
    ) -> Option<oneshot::Receiver<Reply>> {
        self.hand_over_as(Origin::Client, peer, request).await
    }

    /// The same for an outside coordinator: its PREPARE, and its votes by COMMIT and ABORT.
    pub async fn hand_over_as_outside(
        &self,
        peer: SocketAddr,
        request: Request,
    ) -> Option<oneshot::Receiver<Reply>> {
        self.hand_over_as(Origin::Outside, peer, request).await
    }

    async fn hand_over_as(
        &self,
        origin: Origin,
        peer: SocketAddr,
        request: Request,
    ) -> Option<oneshot::Receiver<Reply>> {
        let place = self.places.clone().acquire_owned().await.ok()?;
        let (reply, answered) = oneshot::channel();
        self.asks.send(Ask { peer, origin, request, reply, place }).await.ok()?;
        Some(answered)
    }
}
