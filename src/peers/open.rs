//! The connection of an open link: it dials, runs the handshake, writes and reads. It does not know
//! what answers mean.

use super::LinkTable;
use super::handshake::{Dialling, News, clock_apart, read, replaced};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::commit::message::{Message, RequestKey};
use consorcio_core::ids::{BankId, Time};
use consorcio_core::wire::Fault;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::verb::Verb;
use consorcio_steps::steplog::{RequestId, wall_us};
use consorcio_system::crash::{self, RequestPoint, Step};
use consorcio_system::framed::{LineCodec, framed};
use consorcio_tls::PeerStream;
use futures_util::{Sink, StreamExt};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_util::codec::Framed;

pub(super) struct OpenLink {
    lines: Framed<PeerStream, LineCodec<Result<Reply, Fault>>>,
    /// TLS holds bytes that the socket has not accepted yet.
    unflushed: bool,
    /// When a certificate of the connection ends, in microseconds since 1970.
    pub(super) certificate_end_us: i64,
    pub(super) leaving: crash::BufferedPoints,
    /// Lines that are written or buffered, and not answered yet; in order.
    pub(super) under_way: VecDeque<UnderWay>,
    /// The local port and the number of lines written identify each line in the step log.
    port: u16,
    sent: u64,
    /// When the dial began.
    pub(super) began: Instant,
    /// When the peer last sent anything.
    pub(super) received_at: Instant,
    /// How much of an unfinished line had arrived then.
    begun_bytes: usize,
    /// When the next ping is due; `None` while one is under way.
    pub(super) ping: Option<Instant>,
    /// The last vote of the peer that was shown to it, and when the next may be.
    pub(super) shown_up_to: Time,
    pub(super) news_at: Instant,
    /// How far the peer's wall clock is ahead of this machine's, if they differ.
    pub(super) clock_us: Option<i64>,
    /// The news that the peer sent with its proof.
    pub(super) news: News,
    /// The founding id of the peer's journal.
    pub(super) founding: FoundingId,
}

/// A line that the peer has not answered yet.
pub(super) struct UnderWay {
    pub(super) awaits: AnswerTo,
    pub(super) since: Instant,
    pub(super) id: Option<RequestId>,
}

/// What the answer to a line is for.
pub(super) enum AnswerTo {
    Message(RequestKey),
    Ping,
    News,
}

impl OpenLink {
    /// Dials the bank at `address`, and opens the link by both proofs.
    pub(super) async fn dial(
        shared: &LinkTable,
        bank: BankId,
        address: &str,
    ) -> Result<OpenLink, String> {
        let began = Instant::now();
        let step = shared.timing.step;
        let late = |what: &str| format!("{what} did not come within {} ms", step.as_millis());
        let stream = timeout(step, connect(address));
        let stream = stream.await.map_err(|_| late(&format!("a connection to {address}")))??;
        crash::step(Step::LinkDialled);
        let port = stream.local_addr().map_or(0, |address| address.port());
        let (stream, certificate_end_us) = match &shared.tls {
            None => (PeerStream::Plain(stream), i64::MAX),
            Some(tls) => {
                let dialer = tls.dialer();
                let connected = timeout(step, dialer.connect(bank, stream)).await;
                let connected = connected.map_err(|_| late("the TLS handshake"))?;
                connected.map_err(|error| error.to_string())?
            }
        };
        let now = Instant::now();
        let mut open = OpenLink {
            lines: framed(stream, Reply::parse),
            unflushed: false,
            certificate_end_us,
            leaving: crash::BufferedPoints::default(),
            under_way: VecDeque::new(),
            port,
            sent: 0,
            began,
            received_at: now,
            begun_bytes: 0,
            ping: Some(now),
            shown_up_to: Time(0),
            news_at: now,
            clock_us: None,
            news: News::default(),
            founding: shared.founding,
        };
        let (dialling, hello) = Dialling::begin(&shared.identity, shared.founding, bank)?;
        let asked_us = wall_us();
        let welcome = timeout(step, open.ask(RequestPoint::Line(Verb::Peer), &hello)).await;
        let welcome = welcome.map_err(|_| late("the answer to its first line"))??;
        open.clock_us = clock_apart(&welcome, asked_us, wall_us());
        if let Some(Some(link)) = shared.links.get(bank.index()) {
            link.meeting_unsent.store(false, Relaxed); // The proof notifies the peer.
        }
        let (known, news) = shared.news_to(bank);
        let (proof, founding) = dialling.prove(&welcome, news)?;
        let answer = timeout(step, open.ask(RequestPoint::Proof, &proof)).await;
        let news: News = read(&answer.map_err(|_| late("the answer to its proof"))??)?;
        // The news in the proof has notified the peer.
        if let Some(met) = shared.met(bank).filter(|met| *met != founding) {
            return Err(replaced(bank, met, founding));
        }
        (open.shown_up_to, open.news, open.founding) = (known, news, founding);
        Ok(open)
    }

    /// Sends a PEER line; returns the JSON of its answer.
    async fn ask(&mut self, verb: RequestPoint, json: &str) -> Result<String, String> {
        self.send_line(verb, "PEER ", json, AnswerTo::News, Instant::now());
        let mut answers = Vec::new();
        let result = self.answers(&mut answers).await;
        self.under_way.clear();
        let answer = match answers.into_iter().next() {
            Some(answer) => answer,
            None => return Err(result.err().unwrap_or_default()),
        };
        crash::answer_received(verb);
        match answer {
            Ok(Reply::Done(json)) => Ok(json),
            Ok(Reply::Refused(_, why)) => Err(format!("it refuses: {why}")),
            Ok(other) => Err(format!("it answers the hello with {}", other.to_line())),
            Err(fault) => Err(format!("it answers the hello with no reply: {fault}")),
        }
    }

    /// Puts a line that is no message into the write buffer.
    pub(super) fn send_line(
        &mut self,
        verb: RequestPoint,
        verb_text: &str,
        rest: &str,
        awaits: AnswerTo,
        now: Instant,
    ) {
        crash::sending_request(verb);
        let line = [verb_text, rest, "\n"].concat();
        // This codec never fails.
        let _ = Pin::new(&mut self.lines).start_send(line.as_bytes());
        self.leaving.request(verb);
        self.await_answer(awaits, now);
    }

    /// Records a line whose answer is still to come; returns its number.
    fn await_answer(&mut self, awaits: AnswerTo, since: Instant) -> Option<RequestId> {
        self.sent += 1;
        let id = RequestId::new(self.port, self.sent);
        self.under_way.push_back(UnderWay { awaits, since, id });
        id
    }

    /// Puts a message into the write buffer; returns its number.
    pub(super) fn send(&mut self, message: &Message, now: Instant) -> Option<RequestId> {
        let _ = Pin::new(&mut self.lines).start_send(message);
        self.leaving.message(message);
        self.await_answer(AnswerTo::Message(message.key()), now)
    }

    /// Bytes in the write buffer.
    pub(super) fn unwritten_bytes(&self) -> usize {
        self.lines.write_buffer().len()
    }

    /// Flushes the write buffer, and adds all answers that have arrived, at least one. When the
    /// link is lost, returns the reason; answers that arrived before it are added all the same.
    pub(super) async fn answers(
        &mut self,
        answers: &mut Vec<Result<Reply, Fault>>,
    ) -> Result<(), String> {
        poll_fn(|cx| self.poll_answers(cx, answers)).await
    }

    fn poll_answers(
        &mut self,
        cx: &mut Context<'_>,
        answers: &mut Vec<Result<Reply, Fault>>,
    ) -> Poll<Result<(), String>> {
        if self.unwritten_bytes() > 0 || self.unflushed {
            match Sink::<&[u8]>::poll_flush(Pin::new(&mut self.lines), cx) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    self.leaving.written();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string())),
                Poll::Pending => self.unflushed = true,
            }
        }
        // One answer more than lines under way: the caller ends the link.
        while answers.len() <= self.under_way.len() {
            match self.lines.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(Ok(answer)))) => answers.push(answer),
                Poll::Ready(Some(Ok(Err(error)))) => {
                    return Poll::Ready(Err(format!("not an answer: {error}")));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.to_string())),
                Poll::Ready(None) => {
                    return Poll::Ready(Err("it closed the connection".to_owned()));
                }
                Poll::Pending => {
                    let begun_bytes = self.lines.codec().waiting_bytes();
                    if begun_bytes != self.begun_bytes || !answers.is_empty() {
                        self.begun_bytes = begun_bytes;
                        self.received_at = Instant::now();
                    }
                    break;
                }
            }
        }
        if answers.is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Since when the peer has owed an answer and sent nothing.
    pub(super) fn owes(&self) -> Option<Instant> {
        self.under_way.front().map(|waiting| waiting.since.max(self.received_at))
    }
}

async fn connect(address: &str) -> Result<TcpStream, String> {
    let failed = |error: io::Error| format!("{address}: {error}");
    let usable: Vec<SocketAddr> = lookup_host(address).await.map_err(failed)?.collect();
    let stream = TcpStream::connect(&usable[..]).await.map_err(failed)?;
    // Without a listener, a port of the ephemeral range may connect to itself.
    if stream.local_addr().map_err(failed)? == stream.peer_addr().map_err(failed)? {
        return Err(format!("{address}: nobody listens"));
    }
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}
