//! One link: dial, prove, send in order, read answers in order, and begin again.
//!
//! A link is down, being dialled, or open. While it is being dialled messages wait for it; while it
//! is down after a dial that failed they are answered with nothing at once, so that a driver need
//! not wait for its time-out.

use super::handshake::{ANOTHER_KEY, News, read, write};
use super::open::{Open, UnderWay, What};
use super::{Line, Shared};
use consorcio_core::bank::io::Input;
use consorcio_core::clock::span;
use consorcio_core::commit::message::Asked;
use consorcio_core::ids::Time;
use consorcio_core::limits::{PEER_WRITE_BYTES_MAX, SESSION_REQUESTS_MAX};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::verb::Verb;
use consorcio_steps::steplog::{Entry, Step, wall_us};
use consorcio_system::crash::{self, Inquiry};
use std::io::Write as _;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Keeps one link until the bank stops.
pub(super) async fn run<F: Fn(&mut Vec<Input>)>(shared: Arc<Shared>, line: Arc<Line>, to_node: F) {
    let mut link =
        Link { shared, line, to_node, inputs: Vec::new(), steps: Vec::new(), told_why: None };
    let timing = link.shared.timing;
    let mut backoff =
        Backoff { next: timing.backoff_min, min: timing.backoff_min, max: timing.backoff_max };
    while !link.shared.stopping() {
        link.line.poked.store(false, Relaxed);
        match link.dial().await {
            Ok(mut open) => {
                let since = Instant::now();
                let why = link.serve(&mut open).await;
                link.down(open, why);
                // A link that worked is made anew at once; a peer that takes links and drops them
                // is dialled no faster than one that is not there.
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

impl<F: Fn(&mut Vec<Input>)> Link<F> {
    /// Dials, and opens the link by both proofs. Messages wait for it a moment, then they are
    /// answered with nothing.
    async fn dial(&mut self) -> Result<Open, String> {
        let Some(address) = self.line.address.clone() else {
            return Err("it has left the consortium".to_owned());
        };
        let (shared, line) = (Arc::clone(&self.shared), Arc::clone(&self.line));
        let mut dialling = pin!(Open::dial(&shared, line.bank, &address));
        let mut patience = pin!(sleep_until(Instant::now() + shared.timing.wait));
        let mut is_late = false;
        loop {
            tokio::select! {
                biased;
                dialled = &mut dialling => return dialled,
                () = &mut patience, if !is_late => is_late = true,
                () = line.wake.notified() => {}
            }
            if shared.stopping() {
                return Err("this bank stops".to_owned());
            }
            // A driver hears in time that this bank can't be reached now; the link may still come.
            if is_late {
                self.lose_waiting();
                self.deliver();
            }
        }
    }

    /// Works with the open link until it is lost, or until all is done where the bank stops. Says
    /// why it ended.
    #[expect(clippy::too_many_lines, reason = "to be split")]
    async fn serve(&mut self, open: &mut Open) -> String {
        crash::step(crash::Step::LinkOpen);
        self.told_why = None;
        self.line.broken.store(false, Relaxed);
        self.line.online.store(true, Relaxed);
        let news = std::mem::take(&mut open.news);
        if let Some((_, newest)) = news.votes().last() {
            self.step(Step::Known(self.line.bank, newest.time));
        }
        self.line.clock_us.store(open.clock_us.unwrap_or(0), Relaxed);
        if let Some(us) = open.clock_us {
            let side = if us > 0 { "ahead of" } else { "behind" };
            let words = format!(
                "the wall clock of bank {} is {} {side} this bank's",
                self.line.bank,
                span(us)
            );
            self.step(Step::Fault(words.into()));
        }
        self.inputs.push(Input::PeerFounded { peer: self.line.bank, founding: open.founding });
        self.inputs.extend(news.inputs(self.line.bank));
        self.inputs.push(Input::PeerUp(self.line.bank));
        self.step(Step::LinkUp(
            self.line.bank,
            open.began.elapsed().as_micros().try_into().unwrap_or(0),
        ));
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
            if line.broken.swap(false, Relaxed) {
                return "what it answers proves nothing".to_owned();
            }
            if self.shared.stopping() {
                let until = *stop_at.get_or_insert(now + timing.stop);
                if now >= until || (open.is_written() && open.owes().is_none()) {
                    return "this bank stops".to_owned();
                }
            }
            let due = self.next_due(open, now, stop_at);
            // The timer may ring for nothing, never late: it is moved only forward in need, not
            // back.
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
        let silent_from = open.owes().unwrap_or(now);
        if let Some(stop_at) = stop_at {
            return earliest(silent_from, self.shared.timing.silence, [Some(stop_at), None]);
        }
        let tell = news_due(self.shared.knows_up_to(self.line.bank), open.told, open.tell_at);
        earliest(silent_from, self.shared.timing.silence, [open.ping, tell])
    }

    /// Takes what waits into the out buffer, as far as there is room.
    fn fill(&mut self, open: &mut Open, now: Instant) {
        let stopping = self.shared.stopping(); // then only what was sent before goes out
        let news = news_due(self.shared.knows_up_to(self.line.bank), open.told, open.tell_at);
        let due = news.is_some_and(|at| at <= now);
        if !stopping && (due || self.line.untold.load(Relaxed)) {
            self.line.untold.store(false, Relaxed);
            let (known, news) = self.shared.news_to(self.line.bank);
            open.told = known;
            open.tell_at = now + self.shared.timing.tell;
            open.say(Inquiry::News, "PEER ", &write(&news), What::Seen, now);
        }
        if open.ping.is_some_and(|at| at <= now) && !stopping {
            open.ping = None;
            open.say(Inquiry::Line(Verb::Ping), "PING", "", What::Ping, now);
        }
        let at_us = wall_us();
        let mut queue = self.line.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while open.out.len() < PEER_WRITE_BYTES_MAX && open.under_way.len() < SESSION_REQUESTS_MAX {
            let Some(message) = queue.messages.pop_front() else { break };
            crash::sending(&message);
            message.write_to(&mut open.out);
            open.leaving.message(&message);
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
        open.read()?;
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
                None => break Err(format!("an answer to nothing: {}", reply.to_line())),
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
                crash::answered(asked.verb);
                if reply.tx().is_some_and(|tx| *tx != asked.tx) {
                    // Still to be answered, with nothing.
                    open.under_way
                        .push_front(UnderWay { what: What::Message(asked), since: waiting.since });
                    return Err(format!("an answer out of order: {}", reply.to_line()));
                }
                if self.shared.steplog.is_on() {
                    self.steps
                        .push(Entry { at_us, step: Step::of_answer(bank, &asked, Some(&reply)) });
                }
                self.inputs.push(Input::Answer {
                    peer: bank,
                    asked,
                    reply: Some(reply),
                    past: None,
                });
            }
            (What::Ping, Reply::Pong) => {
                crash::heard(Inquiry::Line(Verb::Ping));
                let latency =
                    waiting.since.elapsed().as_micros().try_into().unwrap_or(u64::MAX - 1);
                self.line.latency_us.store(latency, Relaxed);
                open.ping = Some(Instant::now() + self.shared.timing.ping);
            }
            (What::Seen, Reply::Done(json)) => {
                crash::heard(Inquiry::News);
                let news: News = read(&json)?;
                self.inputs.extend(news.inputs(bank));
            }
            (What::Ping | What::Seen, reply) => {
                return Err(format!("not the answer: {}", reply.to_line()));
            }
        }
        Ok(())
    }

    /// The link is lost: nothing more is answered, and then the node hears that it is down.
    fn down(&mut self, open: Open, why: String) {
        self.line.keep_why(&why);
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
    fn failed(&mut self, mut why: String) {
        self.lose_waiting();
        if why.contains(ANOTHER_KEY) {
            why = format!("bank {} has {ANOTHER_KEY} ({why})", self.line.bank);
        }
        if self.told_why.as_ref() != Some(&why) && self.line.address.is_some() {
            if why.contains(ANOTHER_KEY) {
                // No time mends it: who starts banks must see it. Nothing can be done where stderr
                // is gone.
                let _ = writeln!(std::io::stderr(), "servidor: {why}");
            }
            self.line.keep_why(&why);
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
        let queue =
            std::mem::take(&mut *self.line.queue.lock().unwrap_or_else(PoisonError::into_inner));
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

/// When the peer is told what is `known`, of which it was `told` a part: from `at` on, or never
/// where that is all. A moment that is past would wake the link again and again.
fn news_due(known: Time, told: Time, at: Instant) -> Option<Instant> {
    (known > told).then_some(at)
}

/// The end of a silence that began at `from`, or what is due before it.
fn earliest(from: Instant, silence: Duration, due: [Option<Instant>; 2]) -> Instant {
    due.into_iter().flatten().fold(from + silence, Instant::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_over_their_later_half() {
        let ms = Duration::from_millis;
        let mut first = Vec::new();
        for _ in 0..64 {
            let mut backoff = Backoff { next: ms(100), min: ms(100), max: ms(1_000) };
            for whole in [100, 200, 400, 800, 1_000, 1_000, 1_000] {
                assert_eq!(backoff.next, ms(whole));
                let wait = backoff.wait();
                assert!(ms(whole / 2) <= wait && wait <= ms(whole), "{wait:?} of {whole} ms");
                if whole == 800 {
                    first.push(wait);
                }
            }
        }
        // Of 64 random ones some are short and some are long, but for one run in ten millions.
        let (least, most) = (first.iter().min().unwrap(), first.iter().max().unwrap());
        assert!(*least < ms(500) && *most > ms(700), "{least:?} to {most:?}");
    }

    /// A timer that is due too early makes a link look at itself without end.
    #[test]
    fn a_link_is_looked_at_when_something_is_due_and_not_before() {
        let now = Instant::now();
        let (silence, later) = (Duration::from_secs(3), |ms| Some(now + Duration::from_millis(ms)));
        assert_eq!(earliest(now, silence, [None, None]), now + silence);
        assert_eq!(Some(earliest(now, silence, [later(5_000), later(2_000)])), later(2_000));
        assert_eq!(earliest(now, silence, [later(5_000), None]), now + silence);
    }

    #[test]
    fn what_was_told_wakes_nobody() {
        let at = Instant::now();
        assert_eq!(news_due(Time(3), Time(3), at), None);
        assert_eq!(news_due(Time(2), Time(3), at), None);
        assert_eq!(news_due(Time(4), Time(3), at), Some(at));
    }
}
