//! The connection of an open link: dialled, proved, written and read. What its answers mean is not
//! known here.

use super::LinkTable;
use super::handshake::{Dialling, News, clock_apart, read, replaced};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::commit::message::{Message, RequestKey};
use consorcio_core::ids::{BankId, Time};
use consorcio_core::wire::Fault;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::verb::Verb;
use consorcio_steps::steplog::{RequestId, wall_us};
use consorcio_system::crash::{self, Inquiry, Step};
use consorcio_system::framed::{LineCodec, framed};
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
    lines: Framed<TcpStream, LineCodec<Result<Reply, Fault>>>,
    pub(super) leaving: crash::Leaving,
    /// What was written, or will be, and is not answered yet; in order.
    pub(super) under_way: VecDeque<UnderWay>,
    /// The port of this end, and how many lines were written: the step log's number of each.
    port: u16,
    sent: u64,
    /// When its dial began.
    pub(super) began: Instant,
    /// When the peer last sent anything.
    pub(super) heard: Instant,
    /// How much of a line had come then.
    begun_bytes: usize,
    /// When the next ping is due; `None` while one is under way.
    pub(super) ping: Option<Instant>,
    /// The last vote of the peer that it was told of, and when it may be told the next.
    pub(super) told: Time,
    pub(super) tell_at: Instant,
    /// How far the peer's wall clock is ahead of this machine's, where they are apart.
    pub(super) clock_us: Option<i64>,
    /// What the peer told when the link was opened.
    pub(super) news: News,
    /// The founding id of the peer's journal.
    pub(super) founding: FoundingId,
}

/// Something that the peer was asked.
pub(super) struct UnderWay {
    pub(super) what: AnswerTo,
    pub(super) since: Instant,
    pub(super) id: Option<RequestId>,
}

/// What its answer is for.
pub(super) enum AnswerTo {
    Message(RequestKey),
    Ping,
    Seen,
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
        let now = Instant::now();
        let mut open = OpenLink {
            lines: framed(stream, Reply::parse),
            leaving: crash::Leaving::default(),
            under_way: VecDeque::new(),
            port,
            sent: 0,
            began,
            heard: now,
            begun_bytes: 0,
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
        self.say(verb, "PEER ", json, AnswerTo::Seen, Instant::now());
        let mut answers = Vec::new();
        let result = self.answers(&mut answers).await;
        self.under_way.clear();
        let answer = match answers.into_iter().next() {
            Some(answer) => answer,
            None => return Err(result.err().unwrap_or_default()),
        };
        crash::heard(verb);
        match answer {
            Ok(Reply::Done(json)) => Ok(json),
            Ok(Reply::Refused(_, why)) => Err(format!("it refuses: {why}")),
            Ok(other) => Err(format!("it answers the hello with {}", other.to_line())),
            Err(fault) => Err(format!("it answers the hello with no reply: {fault}")),
        }
    }

    /// Puts a line that is no message into the out buffer.
    pub(super) fn say(
        &mut self,
        verb: Inquiry,
        word: &str,
        rest: &str,
        what: AnswerTo,
        now: Instant,
    ) {
        crash::saying(verb);
        let line = [word, rest, "\n"].concat();
        // Only a codec that can fail would fail here.
        let _ = Pin::new(&mut self.lines).start_send(line.as_bytes());
        self.leaving.said(verb);
        self.await_answer(what, now);
    }

    /// Another line was written, whose answer is still to come. Gives the line's number.
    fn await_answer(&mut self, what: AnswerTo, since: Instant) -> Option<RequestId> {
        self.sent += 1;
        let id = RequestId::new(self.port, self.sent);
        self.under_way.push_back(UnderWay { what, since, id });
        id
    }

    /// Puts a message into the out buffer, and gives its number.
    pub(super) fn send(&mut self, message: &Message, now: Instant) -> Option<RequestId> {
        let _ = Pin::new(&mut self.lines).start_send(message);
        self.leaving.message(message);
        self.await_answer(AnswerTo::Message(message.key()), now)
    }

    /// Bytes that wait in the out buffer.
    pub(super) fn unwritten_bytes(&self) -> usize {
        self.lines.write_buffer().len()
    }

    /// Writes what waits, and gives all answers that have come, at least one. Where the link is
    /// lost, says why; what came before is given all the same.
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
        if self.unwritten_bytes() > 0 {
            match Sink::<&[u8]>::poll_flush(Pin::new(&mut self.lines), cx) {
                Poll::Ready(Ok(())) => self.leaving.written(),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string())),
                Poll::Pending => {}
            }
        }
        // An answer to nothing is one too many, and ends the link.
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
                        self.heard = Instant::now();
                    }
                    break;
                }
            }
        }
        if answers.is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) }
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
