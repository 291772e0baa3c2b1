//! One link: it dials, runs the handshake, sends in order, reads answers in order, and dials again.
//!
//! A link is down, being dialled, or open. While it is being dialled, messages wait for it; while
//! it is down after a failed dial, they are answered with nothing at once, so that a driver need
//! not wait for its time-out.

use super::backoff::Backoff;
use super::due::{earliest, news_due};
use super::handshake::{ANOTHER_KEY, News, read, write};
use super::open::{AnswerTo, OpenLink, UnderWay};
use super::{LinkTable, PeerLink};
use consorcio_core::bank::io::Input;
use consorcio_core::clock::span;
use consorcio_core::commit::message::RequestKey;
use consorcio_core::limits::{PEER_WRITE_BYTES_MAX, SESSION_REQUESTS_MAX};
use consorcio_core::wire::Fault;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::verb::Verb;
use consorcio_steps::steplog::{Entry, RequestId, Step, wall_us};
use consorcio_system::crash::{self, RequestPoint};
use consorcio_system::logging::LIFECYCLE_TARGET;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Runs one link until the bank stops.
pub(super) async fn run<F: Fn(&mut Vec<Input>)>(
    shared: Arc<LinkTable>,
    link: Arc<PeerLink>,
    to_node: F,
) {
    let mut task =
        LinkTask { shared, link, to_node, inputs: Vec::new(), steps: Vec::new(), reported: None };
    let timing = task.shared.timing;
    let mut backoff = Backoff::new(timing.backoff_min, timing.backoff_max);
    while !task.shared.stop.is_cancelled() {
        task.link.poked.store(false, Relaxed);
        match task.dial().await {
            Ok(mut open) => {
                let since = Instant::now();
                let why = task.serve(&mut open).await;
                task.down(open, why);
                // A link that worked is dialled again at once. A peer that accepts links and drops
                // them is dialled as slowly as one that is down.
                let worked = task.link.latency_us.swap(u64::MAX, Relaxed) != u64::MAX;
                if worked && since.elapsed() >= timing.backoff_max {
                    backoff.reset();
                    continue;
                }
            }
            Err(why) => task.failed(why),
        }
        task.wait(backoff.wait()).await;
    }
    task.lose_waiting();
    task.deliver();
}

struct LinkTask<F> {
    shared: Arc<LinkTable>,
    link: Arc<PeerLink>,
    to_node: F,
    inputs: Vec<Input>,
    steps: Vec<Entry>,
    /// Why the last dial failed, as logged: the same reason is not logged twice in a row.
    reported: Option<String>,
}

impl<F: Fn(&mut Vec<Input>)> LinkTask<F> {
    /// Dials and runs the handshake. Messages wait for a moment, then they are answered with
    /// nothing.
    async fn dial(&mut self) -> Result<OpenLink, String> {
        let Some(address) = self.link.address.clone() else {
            return Err("it has left the consortium".to_owned());
        };
        let (shared, link) = (Arc::clone(&self.shared), Arc::clone(&self.link));
        let mut dialling = pin!(OpenLink::dial(&shared, link.bank, &address));
        let mut wait = pin!(sleep_until(Instant::now() + shared.timing.wait));
        let mut is_late = false;
        loop {
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return Err("this bank stops".to_owned()),
                dialled = &mut dialling => return dialled,
                () = &mut wait, if !is_late => is_late = true,
                () = link.wake.notified() => {}
            }
            // A driver learns early that this bank can't be reached now; the dial goes on.
            if is_late {
                self.lose_waiting();
                self.deliver();
            }
        }
    }

    /// Runs the open link until it is lost, or until all is answered when the bank stops. Returns
    /// why it ended.
    async fn serve(&mut self, open: &mut OpenLink) -> String {
        self.opened(open);
        let shared = Arc::clone(&self.shared);
        let (timing, link) = (shared.timing, Arc::clone(&self.link));
        let mut stop = pin!(shared.stop.cancelled());
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut stop_at: Option<Instant> = None;
        let mut answers = Vec::new();
        loop {
            let now = Instant::now();
            self.fill(open, now, stop_at.is_some());
            if link.broken.swap(false, Relaxed) {
                return "what it answers proves nothing".to_owned();
            }
            if let Some(until) = stop_at
                && (now >= until || open.owes().is_none())
            {
                return "this bank stops".to_owned();
            }
            let due = self.next_due(open, now, stop_at);
            // The timer may fire early, never late: postponing it at each event would cost more.
            if due < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                // Bytes from the peer are read before its silence is checked.
                biased;
                read = open.answers(&mut answers) => {
                    if let Err(why) = self.take_answers(open, &mut answers).and(read) {
                        return why;
                    }
                }
                () = link.wake.notified() => {}
                () = stop.as_mut(), if stop_at.is_none() => {
                    stop_at = Some(Instant::now() + timing.stop);
                }
                () = timer.as_mut() => {
                    if open.certificate_end_us < shared.now_us() {
                        return "a certificate of it has ended".to_owned();
                    }
                    if let Some(since) = open.owes()
                        && since + timing.silence <= Instant::now()
                    {
                        return format!("silent for {} ms", timing.silence.as_millis());
                    }
                }
            }
        }
    }

    /// The link is open: passes the news from the handshake to the node.
    fn opened(&mut self, open: &mut OpenLink) {
        crash::step(crash::Step::LinkOpen);
        let bank = self.link.bank;
        self.reported = None;
        self.link.broken.store(false, Relaxed);
        self.link.online.store(true, Relaxed);
        let news = std::mem::take(&mut open.news);
        if let Some((_, newest)) = news.votes().last() {
            self.step(Step::Known(bank, newest.time));
        }
        self.link.clock_us.store(open.clock_us.unwrap_or(0), Relaxed);
        if let Some(us) = open.clock_us {
            let side = if us > 0 { "ahead of" } else { "behind" };
            let words = format!("the wall clock of bank {bank} is {} {side} this bank's", span(us));
            tracing::info!(target: LIFECYCLE_TARGET, bank = bank.as_u8(), clock_us = us, "{words}");
            self.step(Step::Fault(words.into()));
        }
        self.inputs.push(Input::PeerFounded { peer: bank, founding: open.founding });
        self.inputs.extend(news.inputs(bank));
        self.inputs.push(Input::PeerUp(bank));
        let took_us = open.began.elapsed().as_micros().try_into().unwrap_or(0);
        tracing::info!(bank = bank.as_u8(), took_us, "bank {bank} is up: the link to it is open");
        self.step(Step::LinkUp(bank, took_us));
        self.deliver();
    }

    /// When the link must wake by itself.
    fn next_due(&self, open: &OpenLink, now: Instant, stop_at: Option<Instant>) -> Instant {
        let silent_from = open.owes().unwrap_or(now);
        if let Some(stop_at) = stop_at {
            return earliest(silent_from, self.shared.timing.silence, [Some(stop_at), None]);
        }
        let known = self.shared.knows_up_to(self.link.bank);
        let news = news_due(known, open.shown_up_to, open.news_at);
        earliest(silent_from, self.shared.timing.silence, [open.ping, news])
    }

    /// Moves news, pings and messages into the write buffer, as far as there is room. While it is
    /// `stopping`, only messages are sent.
    fn fill(&mut self, open: &mut OpenLink, now: Instant, stopping: bool) {
        let known = self.shared.knows_up_to(self.link.bank);
        let news = news_due(known, open.shown_up_to, open.news_at);
        let due = news.is_some_and(|at| at <= now);
        if !stopping && (due || self.link.meeting_unsent.load(Relaxed)) {
            self.link.meeting_unsent.store(false, Relaxed);
            let (known, news) = self.shared.news_to(self.link.bank);
            open.shown_up_to = known;
            open.news_at = now + self.shared.timing.news;
            open.send_line(RequestPoint::News, "PEER ", &write(&news), AnswerTo::News, now);
        }
        if open.ping.is_some_and(|at| at <= now) && !stopping {
            open.ping = None;
            open.send_line(RequestPoint::Line(Verb::Ping), "PING", "", AnswerTo::Ping, now);
        }
        let at_us = wall_us();
        let mut queue = self.link.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while open.unwritten_bytes() < PEER_WRITE_BYTES_MAX
            && open.under_way.len() < SESSION_REQUESTS_MAX
        {
            let Some(message) = queue.messages.pop_front() else { break };
            crash::sending(&message);
            let id = open.send(&message, now);
            if self.shared.steplog.is_on() {
                let step = Step::of_message(&message, self.link.bank, id);
                self.steps.push(Entry { at_us, step });
            }
        }
        let dropped = std::mem::take(&mut queue.dropped);
        drop(queue);
        if !dropped.is_empty() {
            dropped.into_iter().for_each(|asked| self.lose(asked, None));
            self.deliver();
        }
        self.shared.steplog.append(&mut self.steps);
    }

    /// Passes on all answers that arrived together.
    fn take_answers(
        &mut self,
        open: &mut OpenLink,
        answers: &mut Vec<Result<Reply, Fault>>,
    ) -> Result<(), String> {
        let at_us = wall_us();
        let result = answers.drain(..).try_for_each(|answer| {
            let reply = answer.map_err(|fault| format!("not an answer: {fault}"))?;
            match open.under_way.pop_front() {
                Some(waiting) => self.answered(open, waiting, reply, at_us),
                None => Err(format!("an answer to nothing: {}", reply.to_line())),
            }
        });
        self.deliver();
        result
    }

    fn answered(
        &mut self,
        open: &mut OpenLink,
        waiting: UnderWay,
        reply: Reply,
        at_us: i64,
    ) -> Result<(), String> {
        let bank = self.link.bank;
        match (waiting.awaits, reply) {
            (AnswerTo::Message(asked), reply) => {
                crash::answered(asked.verb);
                if reply.tx().is_some_and(|tx| *tx != asked.tx) {
                    // Its own answer, with nothing, follows when the link ends.
                    open.under_way
                        .push_front(UnderWay { awaits: AnswerTo::Message(asked), ..waiting });
                    return Err(format!("an answer out of order: {}", reply.to_line()));
                }
                if self.shared.steplog.is_on() {
                    let step = Step::of_answer(bank, &asked, Some(&reply), waiting.id);
                    self.steps.push(Entry { at_us, step });
                }
                self.inputs.push(Input::Answer {
                    peer: bank,
                    asked,
                    reply: Some(reply),
                    past: None,
                });
            }
            (AnswerTo::Ping, Reply::Pong) => {
                crash::answer_received(RequestPoint::Line(Verb::Ping));
                let latency =
                    waiting.since.elapsed().as_micros().try_into().unwrap_or(u64::MAX - 1);
                self.link.latency_us.store(latency, Relaxed);
                open.ping = Some(Instant::now() + self.shared.timing.ping);
            }
            (AnswerTo::News, Reply::Done(json)) => {
                crash::answer_received(RequestPoint::News);
                let news: News = read(&json)?;
                self.inputs.extend(news.inputs(bank));
            }
            (AnswerTo::Ping | AnswerTo::News, reply) => {
                return Err(format!("not the answer: {}", reply.to_line()));
            }
        }
        Ok(())
    }

    /// The link is lost: answers all messages with nothing, then reports the link as down.
    fn down(&mut self, open: OpenLink, why: String) {
        self.link.keep_why(&why);
        self.link.online.store(false, Relaxed);
        for waiting in open.under_way {
            match waiting.awaits {
                AnswerTo::Message(asked) => self.lose(asked, waiting.id),
                AnswerTo::Ping | AnswerTo::News => {}
            }
        }
        self.lose_waiting();
        let bank = self.link.bank;
        self.inputs.push(Input::PeerDown(bank));
        // At the end of this bank its links end, too.
        if !self.shared.stop.is_cancelled() {
            tracing::info!(bank = bank.as_u8(), "bank {bank} is down: {why}");
        }
        self.step(Step::LinkDown(bank, why.into()));
        self.deliver();
    }

    /// A dial or handshake failed.
    fn failed(&mut self, mut why: String) {
        self.lose_waiting();
        if why.contains(ANOTHER_KEY) {
            why = format!("bank {} has {ANOTHER_KEY} ({why})", self.link.bank);
        }
        if self.reported.as_ref() != Some(&why) && self.link.address.is_some() {
            let bank = self.link.bank.as_u8();
            if why.contains(ANOTHER_KEY) {
                // Waiting does not help: the operator must act.
                tracing::error!(bank, "{why}");
            } else {
                tracing::info!(
                    target: LIFECYCLE_TARGET,
                    bank,
                    "bank {bank} can't be reached: {why}"
                );
            }
            self.link.keep_why(&why);
            self.step(Step::LinkDown(self.link.bank, why.as_str().into()));
            self.reported = Some(why);
        }
        self.deliver();
    }

    /// Waits, or returns early if the peer dials. Messages are answered with nothing meanwhile.
    async fn wait(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        let link = Arc::clone(&self.link);
        let stop = self.shared.stop.clone();
        while !link.poked.load(Relaxed) {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = link.wake.notified() => {
                    self.lose_waiting();
                    self.deliver();
                }
                () = sleep_until(until), if link.address.is_some() => return,
            }
        }
    }

    /// Answers all unsent messages with nothing.
    fn lose_waiting(&mut self) {
        let queue =
            std::mem::take(&mut *self.link.queue.lock().unwrap_or_else(PoisonError::into_inner));
        queue.dropped.into_iter().for_each(|asked| self.lose(asked, None));
        queue.messages.iter().for_each(|message| self.lose(message.key(), None));
    }

    /// Answers `asked` with nothing; `id` is the number of its line, if it was sent.
    fn lose(&mut self, asked: RequestKey, id: Option<RequestId>) {
        if self.shared.steplog.is_on() {
            self.step(Step::of_answer(self.link.bank, &asked, None, id));
        }
        self.inputs.push(Input::Answer { peer: self.link.bank, asked, reply: None, past: None });
    }

    fn step(&mut self, step: Step) {
        self.steps.push(Entry { at_us: wall_us(), step });
    }

    /// Passes steps to the step log, then inputs to the node.
    fn deliver(&mut self) {
        self.shared.steplog.append(&mut self.steps);
        if !self.inputs.is_empty() {
            (self.to_node)(&mut self.inputs);
            debug_assert!(self.inputs.is_empty(), "the node takes all inputs");
            self.inputs.clear();
        }
    }
}
