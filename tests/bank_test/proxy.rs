//! The network of a run: each directed pair of nodes has its own port here, and a proxy applies the
//! current `NetworkState` to its bytes. Banks and clients do not know of it.
//!
//! It injects the faults that TCP passes on: delayed bytes arrive later, in order, before the end
//! of the stream; lost bytes end the connection, though one side may notice much later; no byte
//! changes.

use super::{BANKS, CLIENTS, NODES};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The treatment of bytes from one node to another, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ProxyLink {
    #[default]
    Open,
    /// Delayed by up to so many milliseconds; each connection has its own delay.
    Slow(u64),
    /// Kept until the link is better, as behind an unplugged cable.
    Held,
    /// Dropped, and their connection too, but the sender notices only when the link is better.
    Lost,
}

/// The state of all links, `[from][to]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkState {
    pub links: [[ProxyLink; NODES]; NODES],
    /// When a node's number changes, all of its connections are reset.
    pub resets: [u64; NODES],
}

impl NetworkState {
    /// Sets the link from one node to another to `link`, unless it is already worse.
    pub fn worsen(&mut self, from: usize, to: usize, link: ProxyLink) {
        let old = &mut self.links[from][to];
        *old = link.max(*old);
    }
}

/// Counters of injected network faults, so that a run can check that each kind occurred.
#[derive(Debug, Default)]
pub struct NetworkCounts {
    held: AtomicU64,
    late: AtomicU64,
    lost: AtomicU64,
    reset: AtomicU64,
}

impl NetworkCounts {
    /// The counters with their names.
    pub fn read(&self) -> [(&'static str, u64); 4] {
        [
            ("pieces held", &self.held),
            ("pieces late", &self.late),
            ("pieces lost", &self.lost),
            ("connections reset", &self.reset),
        ]
        .map(|(name, count)| (name, count.load(Relaxed)))
    }
}

/// The ports of all directed pairs, bound but not served yet.
pub struct Proxies {
    listeners: Vec<(usize, usize, TcpListener)>,
    counts: Arc<NetworkCounts>,
}

impl Proxies {
    /// Binds a port for each directed pair of a node and a bank.
    pub async fn bind() -> Proxies {
        let mut listeners = Vec::new();
        for from in 0..NODES {
            for to in (0..BANKS).filter(|to| *to != from) {
                listeners.push((from, to, TcpListener::bind("127.0.0.1:0").await.unwrap()));
            }
        }
        Proxies { listeners, counts: Arc::default() }
    }

    /// The counters, which change while the proxies are served.
    pub fn counts(&self) -> Arc<NetworkCounts> {
        Arc::clone(&self.counts)
    }

    /// The port that `from` uses for bank `to`.
    pub fn port(&self, from: usize, to: usize) -> u16 {
        let found = self.listeners.iter().find(|(f, t, _)| (*f, *t) == (from, to));
        found.expect("each pair has a port").2.local_addr().unwrap().port()
    }

    /// The ports that the clients use.
    pub fn for_clients(&self) -> [u16; BANKS] {
        std::array::from_fn(|bank| self.port(CLIENTS, bank))
    }

    /// Starts the proxies of all pairs; `ports` are the banks' own.
    pub fn serve(self, ports: [u16; BANKS], network: &watch::Receiver<NetworkState>) {
        for (from, to, listener) in self.listeners {
            let (network, counts) = (network.clone(), Arc::clone(&self.counts));
            tokio::spawn(async move {
                loop {
                    // A shortage of file descriptors is temporary; otherwise the run fails anyway.
                    let Ok((dialler, _)) = listener.accept().await else { continue };
                    let pair = (from, to);
                    tokio::spawn(forward(
                        dialler,
                        ports[to],
                        pair,
                        network.clone(),
                        Arc::clone(&counts),
                    ));
                }
            });
        }
    }
}

/// Forwards one connection until either side or a reset ends it.
async fn forward(
    dialler: TcpStream,
    port: u16,
    (from, to): (usize, usize),
    mut network: watch::Receiver<NetworkState>,
    counts: Arc<NetworkCounts>,
) {
    let initial = network.borrow().resets;
    let same = move |now: &NetworkState| {
        (now.resets[from], now.resets[to]) == (initial[from], initial[to])
    };
    let passes = move |now: &NetworkState| {
        now.links[from][to] < ProxyLink::Held && now.links[to][from] < ProxyLink::Held
    };
    let mut network_at_dial = network.clone();
    // A held dial arrives later even if the dialler has given up, as a late packet would.
    if network_at_dial.wait_for(|now| passes(now) || !same(now)).await.is_err()
        || !same(&network.borrow())
    {
        return;
    }
    // Each connection has its own delay, so that lines of different connections are reordered.
    let quarters = dialler.peer_addr().map_or(4, |address| 1 + u64::from(address.port()) % 4);
    let Ok(dialled) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let _ = (dialler.set_nodelay(true), dialled.set_nodelay(true));
    let (dialler_in, dialler_out) = dialler.into_split();
    let (dialled_in, dialled_out) = dialled.into_split();
    let there = pump(dialler_in, dialled_out, network.clone(), (from, to), quarters, &counts);
    let back = pump(dialled_in, dialler_out, network.clone(), (to, from), quarters, &counts);
    tokio::select! {
        _ = async { tokio::try_join!(there, back) } => {}
        gone = network.wait_for(|now| !same(now)) => {
            if gone.is_ok() {
                counts.reset.fetch_add(1, Relaxed);
            }
        }
    }
}

/// Forwards one direction of a connection. An error ends both directions.
async fn pump(
    mut input: OwnedReadHalf,
    mut output: OwnedWriteHalf,
    mut network: watch::Receiver<NetworkState>,
    (from, to): (usize, usize),
    quarters: u64,
    counts: &NetworkCounts,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = input.read(&mut buffer).await?;
        let link = network.borrow().links[from][to];
        match link {
            ProxyLink::Open => {}
            ProxyLink::Slow(ms) => {
                counts.late.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_millis(ms * quarters / 4)).await;
            }
            ProxyLink::Held => {
                counts.held.fetch_add(1, Relaxed);
            }
            ProxyLink::Lost => {}
        }
        let now = network
            .wait_for(|now| now.links[from][to] != ProxyLink::Held)
            .await
            .map(|now| now.links[from][to]);
        if now.map_err(io::Error::other)? == ProxyLink::Lost {
            counts.lost.fetch_add(1, Relaxed);
            // The sender notices only when the link is better; until then it writes to nowhere.
            let over = network.wait_for(|now| now.links[from][to] < ProxyLink::Held);
            over.await.map_err(io::Error::other)?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if read == 0 {
            return output.shutdown().await;
        }
        output.write_all(&buffer[..read]).await?;
    }
}
