//! The connection of an open link: dialled, proved, written and read. What its answers mean is not
//! known here.

use super::Shared;
use super::handshake::{Dialling, News, clock_apart, read, replaced};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::commit::message::Asked;
use consorcio_core::ids::{BankId, Time};
use consorcio_core::wire::codec::Lines;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::verb::Verb;
use consorcio_steps::steplog::wall_us;
use consorcio_system::crash::{self, Inquiry, Step};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

/// Room for what one read may bring.
const READ_BYTES: usize = 64 * 1024;

/// An open link.
pub(super) struct Open {
    pub(super) stream: TcpStream,
    pub(super) lines: Lines,
    pub(super) out: Vec<u8>,
    /// Up to here `out` is written.
    written: usize,
    pub(super) leaving: crash::Leaving,
    /// What was written, or will be, and is not answered yet; in order.
    pub(super) under_way: VecDeque<UnderWay>,
    /// When its dial began.
    pub(super) began: Instant,
    /// When the peer last sent anything.
    pub(super) heard: Instant,
    /// When the next ping is due; `None` while one is under way.
    pub(super) ping: Option<Instant>,
    /// The last vote of the peer that it was told of, and when it may be told the next.
    pub(super) told: Time,
    pub(super) tell_at: Instant,
    /// How far the peer's wall clock is ahead of this machine's, where they are apart.
    pub(super) clock_us: Option<i64>,
    /// What the peer told when the link was opened.
    pub(super) news: News,
    /// Its journal.
    pub(super) founding: FoundingId,
}

/// Something that the peer was asked.
pub(super) struct UnderWay {
    pub(super) what: What,
    pub(super) since: Instant,
}

/// What its answer is for.
pub(super) enum What {
    Message(Asked),
    Ping,
    Seen,
}

impl Open {
    /// Dials the bank at `address`, and opens the link by both proofs.
    pub(super) async fn dial(shared: &Shared, bank: BankId, address: &str) -> Result<Open, String> {
        let began = Instant::now();
        let step = shared.timing.step;
        let late = |what: &str| format!("{what} did not come within {} ms", step.as_millis());
        let stream = timeout(step, connect(address));
        let stream = stream.await.map_err(|_| late(&format!("a connection to {address}")))??;
        crash::step(Step::LinkDialled);
        let now = Instant::now();
        let mut open = Open {
            stream,
            lines: Lines::new(),
            out: Vec::new(),
            written: 0,
            leaving: crash::Leaving::default(),
            under_way: VecDeque::new(),
            began,
            heard: now,
            ping: Some(now),
            told: Time(0),
            tell_at: now,
            clock_us: None,
            news: News::default(),
            founding: shared.founding,
        };
        let (dialling, hello) = Dialling::begin(&shared.identity, shared.founding, bank)?;
        let asked_us = wall_us();
        let welcome = timeout(step, open.ask(Inquiry::Line(Verb::Peer), &hello)).await;
        let welcome = welcome.map_err(|_| late("the answer to its first line"))??;
        open.clock_us = clock_apart(&welcome, asked_us, wall_us());
        if let Some(Some(line)) = shared.links.get(bank.index()) {
            line.untold.store(false, Relaxed); // It is told with the proof.
        }
        let (told, news) = shared.news_to(bank);
        let (proof, founding) = dialling.prove(&welcome, news)?;
        let answer = timeout(step, open.ask(Inquiry::Proof, &proof)).await;
        let news: News = read(&answer.map_err(|_| late("the answer to its proof"))??)?;
        // It was told so with the proof.
        if let Some(met) = shared.met(bank).filter(|met| *met != founding) {
            return Err(replaced(bank, met, founding));
        }
        (open.told, open.news, open.founding) = (told, news, founding);
        Ok(open)
    }

    /// Sends a PEER line and gives the JSON that it is answered with.
    async fn ask(&mut self, verb: Inquiry, json: &str) -> Result<String, String> {
        self.say(verb, "PEER ", json, What::Seen, Instant::now());
        loop {
            self.write().map_err(|error| error.to_string())?;
            if let Some(answer) = self.lines.next() {
                self.under_way.clear();
                crash::heard(verb);
                return match answer.map_err(|error| error.to_string()).map(Reply::parse)? {
                    Ok(Reply::Done(json)) => Ok(json),
                    Ok(Reply::Refused(_, why)) => Err(format!("it refuses: {why}")),
                    Ok(other) => Err(format!("it answers the hello with {}", other.to_line())),
                    Err(fault) => Err(format!("it answers the hello with no reply: {fault}")),
                };
            }
            tokio::select! {
                ready = self.stream.readable() => ready.map_err(|error| error.to_string())?,
                ready = self.stream.writable(), if self.written < self.out.len() => {
                    ready.map_err(|error| error.to_string())?;
                    continue;
                }
            }
            self.read()?;
        }
    }

    pub(super) fn say(&mut self, verb: Inquiry, word: &str, rest: &str, what: What, now: Instant) {
        crash::saying(verb);
        self.out.extend_from_slice(word.as_bytes());
        self.out.extend_from_slice(rest.as_bytes());
        self.out.push(b'\n');
        self.leaving.said(verb);
        self.under_way.push_back(UnderWay { what, since: now });
    }

    /// Reads what is there, into `lines`.
    pub(super) fn read(&mut self) -> Result<(), String> {
        match self.stream.try_read_buf(self.lines.space(READ_BYTES)) {
            Ok(0) => Err("it closed the connection".to_owned()),
            Ok(_) => {
                self.heard = Instant::now();
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes as much as the socket takes now.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while !self.is_written() {
            match self.stream.try_write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.leaving.written();
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    pub(super) fn is_written(&self) -> bool {
        self.written == self.out.len()
    }

    /// Since when the peer owes an answer, or anything.
    pub(super) fn owes(&self) -> Option<Instant> {
        self.under_way.front().map(|waiting| waiting.since.max(self.heard))
    }
}

async fn connect(address: &str) -> Result<TcpStream, String> {
    let failed = |error: io::Error| format!("{address}: {error}");
    let usable: Vec<SocketAddr> = lookup_host(address).await.map_err(failed)?.collect();
    let stream = TcpStream::connect(&usable[..]).await.map_err(failed)?;
    // Where nobody listens, a port of the range for outgoing connections may connect to itself.
    if stream.local_addr().map_err(failed)? == stream.peer_addr().map_err(failed)? {
        return Err(format!("{address}: nobody listens"));
    }
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}
