//! Polls a driver: writes queued messages, reads replies, and checks timers.

use super::link::{LinkChange, OwedReply};
use super::votes::LossCause;
use super::{Driver, DriverEvent};
use crate::error::ClientError;
use crate::observe::ClientEvent;
use consorcio_core::commit::coordinator::{Answer, Coordinator, Event, Standing};
use consorcio_core::commit::message::{PeerVerb, RequestKey};
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::wire::reply::Reply;
use consorcio_system::crash;
use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, timeout, timeout_at};

impl<T: Copy> Driver<T> {
    /// Reads and writes until there is an event; `next_event` returns it. Cancel-safe: a dropped
    /// call loses nothing.
    pub async fn wait(&mut self) {
        poll_fn(|task| self.poll_events(task)).await
    }

    /// As `wait`, but returns at `until` at the latest. Queued messages are written even if no
    /// reply is owed.
    pub async fn wait_until(&mut self, until: Instant) {
        let _ = timeout_at(until, self.wait()).await;
    }

    /// Awaits `other`, and reads and writes meanwhile. Events stay for `next_event`.
    pub(crate) async fn wait_for(&mut self, other: impl Future<Output = ()>) {
        let mut other = pin!(other);
        poll_fn(|task| {
            while self.poll_links(task) {}
            other.as_mut().poll(task)
        })
        .await;
    }

    /// Waits until no bank owes a vote on a transaction whose outcome is held; at most
    /// `vote_within`.
    pub(crate) async fn wait_for_votes(&mut self, slot: usize) {
        let within = self.dialer.options.vote_within;
        let all_in = poll_fn(|task| {
            while self.poll_links(task) {}
            let owes = |(_, standing): (BankId, &Standing)| *standing == Standing::Asked;
            let flight = self.under_way.get(slot).and_then(Option::as_ref);
            let coordinator = flight.and_then(|flight| flight.coordinator.as_ref());
            if coordinator.is_some_and(|coordinator| coordinator.standings().any(owes)) {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        let _ = timeout(within, all_in).await;
    }

    /// Connects to every bank.
    ///
    /// # Errors
    /// The error of the first bank that can't be reached, or is another one than listed.
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        let now = Instant::now();
        for link in self.links.iter_mut().flatten() {
            if let Err(why) = link.dial(now, &self.dialer) {
                return Err(unreachable(link.bank, &link.address, why));
            }
        }
        poll_fn(|task| {
            let mut waits = false;
            for link in self.links.iter_mut().flatten() {
                let options = (self.options.writes, self.options.redial);
                if link.is_up() {
                    continue;
                }
                match link.poll(task, options, &self.dialer, |_, _, _| ()) {
                    Some(LinkChange::Opened(Ok(()))) => {}
                    Some(LinkChange::Opened(Err(cause))) => {
                        let error = unreachable(link.bank, &link.address, cause.why);
                        return Poll::Ready(Err(cause.nothing_done.unwrap_or(error)));
                    }
                    Some(LinkChange::Lost(error, _)) => return Poll::Ready(Err(error)),
                    None => waits = true,
                }
            }
            if waits { Poll::Pending } else { Poll::Ready(Ok(())) }
        })
        .await
    }

    fn poll_events(&mut self, task: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.events.is_empty() {
                return Poll::Ready(());
            }
            let arrived = self.poll_links(task);
            let is_due = self.poll_timers(task);
            if !arrived && !is_due {
                return if self.events.is_empty() { Poll::Pending } else { Poll::Ready(()) };
            }
        }
    }

    /// Returns whether a reply was received, or a connection opened or closed.
    fn poll_links(&mut self, task: &mut Context<'_>) -> bool {
        let mut replies = mem::take(&mut self.replies);
        let mut changes = Vec::new();
        let options = (self.options.writes, self.options.redial);
        for link in self.links.iter_mut().flatten() {
            let take = |bank, owed, reply| replies.push((bank, owed, reply));
            if let Some(change) = link.poll(task, options, &self.dialer, take) {
                changes.push((link.bank, change));
            }
        }
        let has_changed = !replies.is_empty() || !changes.is_empty();
        if has_changed {
            let now = Instant::now();
            for (bank, owed, reply) in replies.drain(..) {
                self.replied(bank, owed, reply, now);
            }
            for (bank, change) in changes {
                self.changed(bank, change, now);
            }
        }
        self.replies = replies;
        has_changed
    }

    fn replied(&mut self, bank: BankId, owed: OwedReply, reply: Reply, now: Instant) {
        let Some(verb) = owed.verb else {
            if let Some(flight) = self.remove(owed.slot) {
                self.open -= 1;
                self.events.push_back(DriverEvent::Replied { tag: flight.tag, reply });
            }
            return;
        };
        let Some(flight) = &mut self.under_way[owed.slot] else { return };
        let Some(tx) = flight.coordinator.as_ref().map(Coordinator::tx) else { return };
        if self.dialer.is_observed()
            && let Some(number) = owed.number
        {
            let asked = RequestKey { tx: tx.clone(), verb };
            self.dialer.observe(&ClientEvent::Answered(bank, &asked, &reply, number));
        }
        crash::client_answered(verb);
        // A reply about another transaction counts as silence.
        let event = if reply.tx().is_none_or(|about| about == tx) {
            if let Some(vote) = flight.vote(bank) {
                vote.answered(verb, &reply, now.saturating_duration_since(owed.since));
            }
            Event::Answered(bank, verb, Answer::Believed(reply))
        } else {
            let why = "it answered about another transaction".to_owned();
            flight.lost(bank, &LossCause { why, nothing_done: None });
            Event::Lost(bank, verb)
        };
        self.event(owed.slot, event, now);
    }

    /// Handles a connection that opened or closed.
    pub(super) fn changed(&mut self, bank: BankId, change: LinkChange, now: Instant) {
        let (cause, was_sent) = match change {
            LinkChange::Opened(Ok(())) => {
                self.opened(bank, None, now);
                return;
            }
            LinkChange::Opened(Err(cause)) => {
                self.opened(bank, Some(&cause), now);
                (cause, false)
            }
            LinkChange::Lost(error, cause) => {
                self.events.push_back(DriverEvent::Closed { bank, error });
                let nothing_done = cause.nothing_done.is_some();
                (cause, !nothing_done)
            }
        };
        let Some(link) = &mut self.links[bank.index()] else { return };
        for owed in mem::take(&mut link.owed) {
            match owed.verb {
                Some(verb) => self.lost(owed.slot, bank, verb, &cause, now),
                None => self.unanswered(owed.slot, was_sent),
            }
        }
    }

    fn lost(&mut self, slot: usize, bank: BankId, verb: PeerVerb, cause: &LossCause, now: Instant) {
        if let Some(flight) = &mut self.under_way[slot] {
            flight.lost(bank, cause);
            self.event(slot, Event::Lost(bank, verb), now);
        }
    }

    /// Continues the transactions that waited for a connection to `bank`, with it or without.
    fn opened(&mut self, bank: BankId, cause: Option<&LossCause>, now: Instant) {
        for slot in 0..self.under_way.len() {
            let Some(flight) = &mut self.under_way[slot] else { continue };
            if !flight.opening.has(bank) {
                continue;
            }
            flight.opening = flight.opening.without(bank);
            if let Some(cause) = cause {
                flight.not_opened(bank, cause);
            }
            self.start_if_opened(slot, now);
        }
    }

    /// Returns whether the time-out of a transaction passed.
    fn poll_timers(&mut self, task: &mut Context<'_>) -> bool {
        let mut passed = false;
        loop {
            while let Some((due, slot)) = self.timers.first()
                && self.timer_of(slot) != Some(due)
            {
                self.timers.remove_first();
            }
            let Some(slot) = self.timers.poll_first(task) else { return passed };
            passed = true;
            self.timed_out(slot, Instant::now());
        }
    }

    fn timer_of(&self, slot: usize) -> Option<Instant> {
        self.under_way[slot].as_ref().and_then(|flight| flight.timer)
    }

    fn timed_out(&mut self, slot: usize, now: Instant) {
        let Some(flight) = &mut self.under_way[slot] else { return };
        let Some(coordinator) = &flight.coordinator else { return };
        if self.dialer.is_observed() {
            let asked = |(_, standing): &(BankId, &Standing)| **standing == Standing::Asked;
            let silent = coordinator.standings().filter(asked).map(|(bank, _)| bank);
            let silent: BankSet = silent.collect();
            self.dialer.observe(&ClientEvent::TimedOut(coordinator.tx(), silent));
        }
        flight.is_late = true;
        let due = now + flight.answer_within(self.dialer.options.vote_within);
        flight.timer = Some(due);
        self.timers.add(due, slot);
        self.event(slot, Event::TimeOut, now);
    }
}

fn unreachable(bank: BankId, address: &str, why: String) -> ClientError {
    ClientError::Unreachable { bank, address: address.to_owned(), why }
}
