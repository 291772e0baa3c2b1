//! The network of a run: each directed pair of nodes has a port of its own here, and what passes it
//! meets the weather. No bank and no client knows of it.
//!
//! It does what a network does to TCP: bytes that are held come later, in order, with the end of
//! the stream after them; bytes that are lost end the connection, though one side may learn of it
//! much later; nothing is altered.

use super::{BANKS, CLIENTS, NODES};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to bytes from one node to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Way {
    #[default]
    Open,
    /// They come up to so many milliseconds later; how late, each connection has its own way.
    Slow(u64),
    /// They wait, as behind a cable that is out and will be put back.
    Held,
    /// They are gone, and their connection with them, but the sender is not told before this is
    /// over.
    Lost,
}

/// The state of all ways, `[from][to]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// What happens to bytes.
    pub ways: [[Way; NODES]; NODES],
    /// A connection of which either end's number changes is reset.
    pub resets: [u64; NODES],
}

impl Weather {
    /// The worse of what is and `way`, from one node to another.
    pub fn worsen(&mut self, from: usize, to: usize, way: Way) {
        let old = &mut self.ways[from][to];
        *old = way.max(*old);
    }
}

/// What the weather did, so that a run can tell that it met it.
#[derive(Debug, Default)]
pub struct Damage {
    held: AtomicU64,
    late: AtomicU64,
    lost: AtomicU64,
    reset: AtomicU64,
}

impl Damage {
    /// How often each thing happened.
    pub fn counts(&self) -> [(&'static str, u64); 4] {
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
    damage: Arc<Damage>,
}

impl Proxies {
    /// Binds a port for each bank as each other node sees it.
    pub async fn bind() -> Proxies {
        let mut listeners = Vec::new();
        for from in 0..NODES {
            for to in (0..BANKS).filter(|to| *to != from) {
                listeners.push((from, to, TcpListener::bind("127.0.0.1:0").await.unwrap()));
            }
        }
        Proxies { listeners, damage: Arc::default() }
    }

    /// What the weather will have done.
    pub fn damage(&self) -> Arc<Damage> {
        Arc::clone(&self.damage)
    }

    /// Where `from` finds bank `to`.
    pub fn port(&self, from: usize, to: usize) -> u16 {
        let found = self.listeners.iter().find(|(f, t, _)| (*f, *t) == (from, to));
        found.expect("each pair has a port").2.local_addr().unwrap().port()
    }

    /// Where the clients find each bank.
    pub fn for_clients(&self) -> [u16; BANKS] {
        std::array::from_fn(|bank| self.port(CLIENTS, bank))
    }

    /// Serves all pairs; `ports` are the banks' own.
    pub fn serve(self, ports: [u16; BANKS], weather: &watch::Receiver<Weather>) {
        for (from, to, listener) in self.listeners {
            let (weather, damage) = (weather.clone(), Arc::clone(&self.damage));
            tokio::spawn(async move {
                loop {
                    // A shortage of file descriptors passes; the run would fail by itself if it did
                    // not.
                    let Ok((dialler, _)) = listener.accept().await else { continue };
                    let way = (from, to);
                    tokio::spawn(carry(
                        dialler,
                        ports[to],
                        way,
                        weather.clone(),
                        Arc::clone(&damage),
                    ));
                }
            });
        }
    }
}

/// One connection, until either side ends it or a reset does.
async fn carry(
    dialler: TcpStream,
    port: u16,
    (from, to): (usize, usize),
    mut weather: watch::Receiver<Weather>,
    damage: Arc<Damage>,
) {
    let born = weather.borrow().resets;
    let same = move |now: &Weather| (now.resets[from], now.resets[to]) == (born[from], born[to]);
    let passes =
        move |now: &Weather| now.ways[from][to] < Way::Held && now.ways[to][from] < Way::Held;
    let mut dial_weather = weather.clone();
    // A dial that is held arrives later, even where its dialler has given up: as a late packet
    // would.
    if dial_weather.wait_for(|now| passes(now) || !same(now)).await.is_err()
        || !same(&weather.borrow())
    {
        return;
    }
    // Were all equally late, nobody would ever overtake anyone.
    let quarters = dialler.peer_addr().map_or(4, |address| 1 + u64::from(address.port()) % 4);
    let Ok(dialled) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let _ = (dialler.set_nodelay(true), dialled.set_nodelay(true));
    let (dialler_in, dialler_out) = dialler.into_split();
    let (dialled_in, dialled_out) = dialled.into_split();
    let forth = pump(dialler_in, dialled_out, weather.clone(), (from, to), quarters, &damage);
    let back = pump(dialled_in, dialler_out, weather.clone(), (to, from), quarters, &damage);
    tokio::select! {
        _ = async { tokio::try_join!(forth, back) } => {}
        gone = weather.wait_for(|now| !same(now)) => {
            if gone.is_ok() {
                damage.reset.fetch_add(1, Relaxed);
            }
        }
    }
}

/// One direction of a connection. An error ends both.
async fn pump(
    mut input: OwnedReadHalf,
    mut output: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    (from, to): (usize, usize),
    quarters: u64,
    damage: &Damage,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = input.read(&mut buffer).await?;
        let way = weather.borrow().ways[from][to];
        match way {
            Way::Open => {}
            Way::Slow(ms) => {
                damage.late.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_millis(ms * quarters / 4)).await;
            }
            Way::Held => {
                damage.held.fetch_add(1, Relaxed);
            }
            Way::Lost => {}
        }
        let now = weather
            .wait_for(|now| now.ways[from][to] != Way::Held)
            .await
            .map(|now| now.ways[from][to]);
        if now.map_err(io::Error::other)? == Way::Lost {
            damage.lost.fetch_add(1, Relaxed);
            // The sender may go on to send into the void; it learns of it when this is over.
            let over = weather.wait_for(|now| now.ways[from][to] < Way::Held);
            over.await.map_err(io::Error::other)?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if read == 0 {
            return output.shutdown().await;
        }
        output.write_all(&buffer[..read]).await?;
    }
}
