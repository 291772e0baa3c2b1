//! One link: dial, prove, send in order, read answers in order, and begin again.
//!
//! A link is down, being dialled, or open. While it is being dialled messages wait for it; while it is down after
//! a dial that failed they are answered with nothing at once, so that a driver need not wait for its time-out.

use super::handshake::{Dialling, Seen};
use super::{Line, Shared};
use crate::bank::io::{Asked, Input};
use crate::ids::Time;
use crate::limits::{PEER_WRITE_BYTES_MAX, SESSION_REQUESTS_MAX};
use crate::steplog::{Entry, Step, wall_us};
use crate::wire::codec::Lines;
use crate::wire::reply::Reply;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until, timeout};

/// Room for what one read may bring.
const READ_BYTES: usize = 64 * 1024;

/// Keeps one link until the bank stops.
pub(super) async fn run<F: Fn(&mut Vec<Input>)>(shared: Arc<Shared>, line: Arc<Line>, to_node: F) {
    let mut link = Link { shared, line, to_node, inputs: Vec::new(), steps: Vec::new(), told_why: None };
    let timing = link.shared.timing;
    let mut backoff = Backoff { next: timing.backoff_min, min: timing.backoff_min, max: timing.backoff_max };
    while !link.shared.stopping() {
        link.line.poked.store(false, Relaxed);
        match link.dial().await {
            Ok(mut open) => {
                let since = Instant::now();
                let why = link.serve(&mut open).await;
                link.down(open, why);
                // A link that worked is made anew at once; a peer that takes links and drops them is dialled no
                // faster than one that is not there.
                let worked = link.line.latency_us.swap(u64::MAX, Relaxed) != u64::MAX;
                if worked && since.elapsed() >= backoff.max {
                    backoff.next = backoff.min;
                    continue;
                }
            }
            Err(why) => link.failed(why),
        }
        link.wait(backoff.wait()).await;
    }
    link.lose_waiting();
    link.deliver();
}

/// Doubling waits with jitter, so that banks which lost each other do not dial in step.
struct Backoff {
    next: Duration,
    min: Duration,
    max: Duration,
}

impl Backoff {
    /// The next wait: between half of it and all of it.
    fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.max);
        let mut random = [0];
        // Without random bytes the wait is the longest one, which is right too.
        let part = getrandom::fill(&mut random).map_or(255, |()| u32::from(random[0]));
        whole / 2 + whole * part / 510
    }
}

struct Link<F> {
    shared: Arc<Shared>,
    line: Arc<Line>,
    to_node: F,
    inputs: Vec<Input>,
    steps: Vec<Entry>,
    /// Why the last dial failed, as the step log has it: the same is not told again and again.
    told_why: Option<String>,
}

/// An open link.
struct Open {
    stream: TcpStream,
    lines: Lines,
    out: Vec<u8>,
    /// Up to here `out` is written.
    written: usize,
    /// What was written, or will be, and is not answered yet; in order.
    under_way: VecDeque<UnderWay>,
    /// When the peer last sent anything.
    heard: Instant,
    /// When the next ping is due; `None` while one is under way.
    ping: Option<Instant>,
    /// The last vote of the peer that it was told of, and when it may be told the next.
    told: Time,
    tell_at: Instant,
    /// The last vote of this bank that the peer told of.
    seen: Time,
}

struct UnderWay {
    what: What,
    since: Instant,
}

enum What {
    Message(Asked),
    Ping,
    Seen,
}

impl<F: Fn(&mut Vec<Input>)> Link<F> {
    /// Dials, and opens the link by both proofs.
    async fn dial(&mut self) -> Result<Open, String> {
        let Some(address) = self.line.address.clone() else {
            return Err("it has left the consortium".to_owned());
        };
        let dialled = timeout(self.shared.timing.dial, self.open(&address)).await;
        dialled.unwrap_or_else(|_| Err(format!("no link within {} ms", self.shared.timing.dial.as_millis())))
    }

    async fn open(&self, address: &str) -> Result<Open, String> {
        let stream = self.connect(address).await?;
        let now = Instant::now();
        let mut open = Open {
            stream,
            lines: Lines::new(),
            out: Vec::new(),
            written: 0,
            under_way: VecDeque::new(),
            heard: now,
            ping: Some(now),
            told: Time(0),
            tell_at: now,
            seen: Time(0),
        };
        let (dialling, hello) = Dialling::begin(&self.shared.identity, self.line.bank)?;
        let welcome = open.ask(&hello).await?;
        let told = self.shared.known_of(self.line.bank);
        let (seen, proof) = dialling.prove(&welcome, told)?;
        let news: Seen = serde_json::from_str(&open.ask(&proof).await?)
            .map_err(|error| format!("it opened the link with words that are not a bank's: {error}"))?;
        open.told = told;
        open.seen = seen.max(news.seen);
        Ok(open)
    }

    async fn connect(&self, address: &str) -> Result<TcpStream, String> {
        let failed = |error: io::Error| format!("{address}: {error}");
        let all = lookup_host(address).await.map_err(failed)?;
        // Without a key whoever takes the address is believed, so only this machine is dialled.
        let keyed = self.shared.identity.seal.is_keyed();
        let usable: Vec<SocketAddr> = all.filter(|at| keyed || at.ip().is_loopback()).collect();
        if usable.is_empty() {
            return Err(format!("{address}: without a key banks are dialled on loopback only"));
        }
        let stream = TcpStream::connect(&usable[..]).await.map_err(failed)?;
        // Where nobody listens, a port of the range for outgoing connections may connect to itself.
        if stream.local_addr().map_err(failed)? == stream.peer_addr().map_err(failed)? {
            return Err(format!("{address}: nobody listens"));
        }
        stream.set_nodelay(true).map_err(failed)?;
        Ok(stream)
    }

    /// Works with the open link until it is lost, or until all is done where the bank stops. Says why it ended.
    async fn serve(&mut self, open: &mut Open) -> String {
        self.told_why = None;
        self.line.online.store(true, Relaxed);
        if open.seen > Time(0) {
            self.inputs.push(Input::PeerKnows(self.line.bank, open.seen));
            self.step(Step::Known(self.line.bank, open.seen));
        }
        self.inputs.push(Input::PeerUp(self.line.bank));
        self.step(Step::LinkUp(self.line.bank, open.heard.elapsed().as_micros().try_into().unwrap_or(0)));
        self.deliver();

        let timing = self.shared.timing;
        let line = Arc::clone(&self.line);
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut stop_at: Option<Instant> = None;
        loop {
            let now = Instant::now();
            self.fill(open, now);
            if let Err(error) = open.write() {
                return error.to_string();
            }
            if self.shared.stopping() {
                let until = *stop_at.get_or_insert(now + timing.dial);
                if now >= until || (open.is_written() && open.owes().is_none()) {
                    return "this bank stops".to_owned();
                }
            }
            let due = self.next_due(open, now, stop_at);
            // The timer may ring for nothing, never late: it is moved only forward in need, not back.
            if due < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                // What the peer sent is read before its silence is judged.
                biased;
                ready = open.stream.readable() => {
                    if let Err(why) = ready.map_err(|error| error.to_string()).and_then(|()| self.read(open)) {
                        return why;
                    }
                }
                ready = open.stream.writable(), if !open.is_written() => {
                    if let Err(error) = ready {
                        return error.to_string();
                    }
                }
                () = line.wake.notified() => {}
                () = timer.as_mut() => {
                    if let Some(since) = open.owes()
                        && since + timing.silence <= Instant::now()
                    {
                        return format!("silent for {} ms", timing.silence.as_millis());
                    }
                }
            }
        }
    }

    /// When the link must be looked at again though nothing happens.
    fn next_due(&self, open: &Open, now: Instant, stop_at: Option<Instant>) -> Instant {
        let silent = open.owes().unwrap_or(now) + self.shared.timing.silence;
        if let Some(stop_at) = stop_at {
            return silent.min(stop_at);
        }
        let tell = Some(open.tell_at).filter(|_| self.shared.known_of(self.line.bank) > open.told);
        [open.ping, tell].into_iter().flatten().fold(silent, Instant::min)
    }

    /// Takes what waits into the out buffer, as far as there is room.
    fn fill(&mut self, open: &mut Open, now: Instant) {
        let stopping = self.shared.stopping(); // then only what was sent before goes out
        let known = self.shared.known_of(self.line.bank);
        if known > open.told && open.tell_at <= now && !stopping {
            open.told = known;
            open.tell_at = now + self.shared.timing.tell;
            open.say("PEER ", &json(&Seen::news(known)), What::Seen, now);
        }
        if open.ping.is_some_and(|at| at <= now) && !stopping {
            open.ping = None;
            open.say("PING", "", What::Ping, now);
        }
        let at_us = wall_us();
        let mut queue = self.line.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while open.out.len() < PEER_WRITE_BYTES_MAX && open.under_way.len() < SESSION_REQUESTS_MAX {
            let Some(message) = queue.messages.pop_front() else { break };
            message.write_to(&mut open.out);
            open.under_way.push_back(UnderWay { what: What::Message(message.asked()), since: now });
            if self.shared.steplog.is_on() {
                self.steps.push(Entry { at_us, step: Step::of_message(&message, self.line.bank) });
            }
        }
        let dropped = std::mem::take(&mut queue.dropped);
        drop(queue);
        if !dropped.is_empty() {
            dropped.into_iter().for_each(|asked| self.lose(asked));
            self.deliver();
        }
        self.shared.steplog.append(&mut self.steps);
    }

    /// Reads once, and hands over all answers that came with it.
    fn read(&mut self, open: &mut Open) -> Result<(), String> {
        match open.stream.try_read_buf(open.lines.space(READ_BYTES)) {
            Ok(0) => return Err("it closed the link".to_owned()),
            Ok(_) => open.heard = Instant::now(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
        let at_us = wall_us();
        let result = loop {
            let reply = match open.lines.next() {
                None => break Ok(()),
                Some(Err(error)) => break Err(format!("not an answer: {error}")),
                Some(Ok(text)) => match Reply::parse(text) {
                    Ok(reply) => reply,
                    Err(fault) => break Err(format!("not an answer: {fault}")),
                },
            };
            match open.under_way.pop_front() {
                Some(waiting) => {
                    if let Err(why) = self.answered(open, waiting, reply, at_us) {
                        break Err(why);
                    }
                }
                None => break Err(format!("an answer to nothing: {}", shown(&reply))),
            }
        };
        self.deliver();
        result
    }

    fn answered(
        &mut self,
        open: &mut Open,
        waiting: UnderWay,
        reply: Reply,
        at_us: i64,
    ) -> Result<(), String> {
        let bank = self.line.bank;
        match (waiting.what, reply) {
            (What::Message(asked), reply) => {
                if reply.tx().is_some_and(|tx| *tx != asked.tx) {
                    // Still to be answered, with nothing.
                    open.under_way.push_front(UnderWay { what: What::Message(asked), since: waiting.since });
                    return Err(format!("an answer out of order: {}", shown(&reply)));
                }
                if self.shared.steplog.is_on() {
                    self.steps.push(Entry { at_us, step: Step::of_answer(bank, &asked, Some(&reply)) });
                }
                self.inputs.push(Input::Answer { peer: bank, asked, reply: Some(reply), past: None });
            }
            (What::Ping, Reply::Pong) => {
                let latency = waiting.since.elapsed().as_micros().try_into().unwrap_or(u64::MAX - 1);
                self.line.latency_us.store(latency, Relaxed);
                open.ping = Some(Instant::now() + self.shared.timing.ping);
            }
            (What::Seen, Reply::Done(json)) => {
                let news: Seen = serde_json::from_str(&json).map_err(|error| format!("no news: {error}"))?;
                if news.seen > open.seen {
                    open.seen = news.seen;
                    self.inputs.push(Input::PeerKnows(bank, news.seen));
                }
            }
            (What::Ping | What::Seen, reply) => return Err(format!("not the answer: {}", shown(&reply))),
        }
        Ok(())
    }

    /// The link is lost: nothing more is answered, and then the node hears that it is down.
    fn down(&mut self, open: Open, why: String) {
        self.line.online.store(false, Relaxed);
        for waiting in open.under_way {
            match waiting.what {
                What::Message(asked) => self.lose(asked),
                What::Ping | What::Seen => {}
            }
        }
        self.lose_waiting();
        self.inputs.push(Input::PeerDown(self.line.bank));
        self.step(Step::LinkDown(self.line.bank, why.into()));
        self.deliver();
    }

    /// The link could not be made.
    fn failed(&mut self, why: String) {
        self.lose_waiting();
        if self.told_why.as_ref() != Some(&why) && self.line.address.is_some() {
            self.step(Step::LinkDown(self.line.bank, why.as_str().into()));
            self.told_why = Some(why);
        }
        self.deliver();
    }

    /// Waits, unless the peer shows that it is there. Messages meanwhile are answered with nothing.
    async fn wait(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        let line = Arc::clone(&self.line);
        while !self.shared.stopping() && !line.poked.load(Relaxed) {
            tokio::select! {
                () = line.wake.notified() => {
                    self.lose_waiting();
                    self.deliver();
                }
                () = sleep_until(until), if line.address.is_some() => return,
            }
        }
    }

    /// Answers with nothing what is not sent yet.
    fn lose_waiting(&mut self) {
        let queue = std::mem::take(&mut *self.line.queue.lock().unwrap_or_else(PoisonError::into_inner));
        queue.dropped.into_iter().for_each(|asked| self.lose(asked));
        queue.messages.iter().for_each(|message| self.lose(message.asked()));
    }

    fn lose(&mut self, asked: Asked) {
        if self.shared.steplog.is_on() {
            self.step(Step::of_answer(self.line.bank, &asked, None));
        }
        self.inputs.push(Input::Answer { peer: self.line.bank, asked, reply: None, past: None });
    }

    fn step(&mut self, step: Step) {
        self.steps.push(Entry { at_us: wall_us(), step });
    }

    /// Hands over what happened; the step log hears of it first.
    fn deliver(&mut self) {
        self.shared.steplog.append(&mut self.steps);
        if !self.inputs.is_empty() {
            (self.to_node)(&mut self.inputs);
            debug_assert!(self.inputs.is_empty(), "the node takes all");
            self.inputs.clear();
        }
    }
}

impl Open {
    /// Sends a PEER line and gives the JSON that it is answered with.
    async fn ask(&mut self, json: &str) -> Result<String, String> {
        self.say("PEER ", json, What::Seen, Instant::now());
        loop {
            self.write().map_err(|error| error.to_string())?;
            if let Some(answer) = self.lines.next() {
                self.under_way.clear();
                return match answer.map_err(|error| error.to_string()).map(Reply::parse)? {
                    Ok(Reply::Done(json)) => Ok(json),
                    Ok(Reply::Refused(_, why)) => Err(format!("it refuses: {why}")),
                    Ok(other) => Err(format!("it answers the hello with {}", shown(&other))),
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
            match self.stream.try_read_buf(self.lines.space(READ_BYTES)) {
                Ok(0) => return Err("it closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn say(&mut self, verb: &str, rest: &str, what: What, now: Instant) {
        self.out.extend_from_slice(verb.as_bytes());
        self.out.extend_from_slice(rest.as_bytes());
        self.out.push(b'\n');
        self.under_way.push_back(UnderWay { what, since: now });
    }

    /// Writes as much as the socket takes now.
    fn write(&mut self) -> io::Result<()> {
        while !self.is_written() {
            match self.stream.try_write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    fn is_written(&self) -> bool {
        self.written == self.out.len()
    }

    /// Since when the peer owes an answer, or anything.
    fn owes(&self) -> Option<Instant> {
        self.under_way.front().map(|waiting| waiting.since.max(self.heard))
    }
}

fn json(news: &Seen) -> String {
    serde_json::to_string(news).expect("plain structs of numbers and texts always have a JSON")
}

/// The reply's line, for the step log.
fn shown(reply: &Reply) -> String {
    let mut line = Vec::new();
    reply.write_to(&mut line);
    String::from_utf8_lossy(&line).trim_end().to_owned()
}
