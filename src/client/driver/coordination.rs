//! Runs the coordinators of a driver: events in, messages and verdicts out.

use super::flight::InFlight;
use super::link::QueuedRequest;
use super::votes::{LossCause, oks, take_standings};
use super::{DriveMode, Driver, DriverEvent};
use crate::observe::ClientEvent;
use consorcio_core::commit::coordinator::{Coordinator, Do, Event, Verdict};
use consorcio_core::ids::BankId;
use consorcio_system::crash::{self, Step};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

impl<T: Copy> Driver<T> {
    /// Requests votes once every bank is connected or known to be out of reach. If one of them is
    /// another bank than listed, the whole list may be wrong, and nothing is sent to any.
    pub(super) fn start_if_opened(&mut self, slot: usize, now: Instant) {
        let Some(flight) = &mut self.under_way[slot] else { return };
        if !flight.opening.is_empty() {
            return;
        }
        flight.began = now;
        if flight.mode != DriveMode::Verdict {
            crash::step(Step::ClientReady);
        }
        let unreachable = flight.unreachable;
        if !flight.votes.iter().any(|vote| vote.nothing_done.is_some()) {
            self.event(slot, Event::Begin { unreachable }, now);
            return;
        }
        let Some(flight) = self.remove(slot) else { return };
        self.open -= 1;
        let (tag, verdict) = (flight.tag, Verdict::Unreached);
        if let Some(coordinator) = &flight.coordinator {
            let (tx, banks) = (coordinator.tx(), flight.votes.len());
            let ended = ClientEvent::Ended { tx, verdict: &verdict, oks: 0, banks };
            self.dialer.observe(&ended);
        }
        let took = Duration::ZERO;
        self.events.push_back(DriverEvent::Verdict { tag, verdict, unreachable, took });
        self.events.push_back(DriverEvent::Finished { tag, votes: flight.votes });
    }

    /// Passes an event to the coordinator of a transaction, and performs what follows.
    pub(super) fn event(&mut self, slot: usize, event: Event, now: Instant) {
        let mut events = VecDeque::new();
        self.take(slot, event, &mut events, now);
        self.go_on(slot, events, now);
    }

    pub(super) fn go_on(&mut self, slot: usize, mut events: VecDeque<Event>, now: Instant) {
        while let Some(event) = events.pop_front() {
            self.take(slot, event, &mut events, now);
        }
        let is_done = |flight: &InFlight<T>| {
            flight.held.is_empty() && flight.coordinator.as_ref().is_some_and(Coordinator::is_done)
        };
        if self.under_way[slot].as_ref().is_some_and(is_done)
            && let Some(mut flight) = self.remove(slot)
            && flight.mode != DriveMode::Verdict
        {
            if let Some(coordinator) = &flight.coordinator {
                take_standings(&mut flight.votes, coordinator);
            }
            self.events.push_back(DriverEvent::Finished { tag: flight.tag, votes: flight.votes });
        }
    }

    pub(super) fn take(
        &mut self,
        slot: usize,
        event: Event,
        events: &mut VecDeque<Event>,
        now: Instant,
    ) {
        let Some(flight) = &mut self.under_way[slot] else { return };
        let Some(coordinator) = &mut flight.coordinator else { return };
        let (answered, before) = (answered(&event), oks(coordinator).0);
        let todo = coordinator.on(event);
        if let Some(bank) = answered
            && let (oks, banks) = oks(coordinator)
            && oks > before
        {
            let tx = coordinator.tx();
            self.dialer.observe(&ClientEvent::Counted { tx, bank, oks, banks });
        }
        if flight.mode != DriveMode::Verdict {
            let outcome = outcome(&todo);
            if matches!(outcome, Some(Verdict::Committed(_))) {
                crash::step(Step::ClientAllOk);
            }
            let is_held = !flight.held.is_empty();
            if flight.mode == DriveMode::HeldOutcome && (is_held || outcome.is_some()) {
                if let Some(verdict) = outcome.cloned() {
                    self.events.push_back(DriverEvent::Held { tag: flight.tag, verdict });
                }
                // A vote may come while the outcome is held; what follows from it waits, too.
                flight.held.extend(todo);
                self.observe_standing(slot);
                return;
            }
        }
        self.perform(slot, todo, events, now);
        self.observe_standing(slot);
    }

    pub(super) fn perform(
        &mut self,
        slot: usize,
        todo: Vec<Do>,
        events: &mut VecDeque<Event>,
        now: Instant,
    ) {
        let Some(flight) = &mut self.under_way[slot] else { return };
        for one in todo {
            match one {
                Do::Send(bank, message) => {
                    let verb = message.verb();
                    if let Some(vote) = flight.vote(bank) {
                        vote.sent(verb);
                    }
                    let Some(link) = &mut self.links[bank.index()] else { continue };
                    let sending = QueuedRequest::Message(message);
                    let (writes, dialer) = (self.options.writes, &self.dialer);
                    if let Err(why) = link.send(sending, slot, now, writes, dialer) {
                        flight.lost(bank, &LossCause { why, nothing_done: None });
                        events.push_back(Event::Lost(bank, verb));
                    }
                }
                Do::StartTimer => {
                    if flight.coordinator.as_ref().is_none_or(Coordinator::has_reported) {
                        continue;
                    }
                    let due = now + flight.answer_within(self.dialer.options.vote_within);
                    flight.timer = Some(due);
                    self.timers.add(due, slot);
                }
                Do::Report(verdict) => {
                    self.open -= 1;
                    flight.timer = None;
                    let (tag, unreachable) = (flight.tag, flight.unreachable);
                    if self.dialer.is_observed()
                        && let Some(coordinator) = &flight.coordinator
                    {
                        let (oks, banks) = oks(coordinator);
                        let tx = coordinator.tx();
                        let ended = ClientEvent::Ended { tx, verdict: &verdict, oks, banks };
                        self.dialer.observe(&ended);
                    }
                    let took = now.saturating_duration_since(flight.began);
                    let verdict = DriverEvent::Verdict { tag, verdict, unreachable, took };
                    self.events.push_back(verdict);
                }
                // Only a bank's own coordinator has a vote of its own.
                Do::VoteSelf | Do::RefuseSelf(_) => {}
            }
        }
    }

    /// Notifies the observer of the state of a transaction whose votes are reported.
    pub(super) fn observe_standing(&self, slot: usize) {
        let Some(flight) = &self.under_way[slot] else { return };
        if flight.mode != DriveMode::Verdict
            && self.dialer.is_observed()
            && let Some(coordinator) = &flight.coordinator
        {
            let (oks, banks) = oks(coordinator);
            let (tx, verdict) = (coordinator.tx(), coordinator.verdict());
            self.dialer.observe(&ClientEvent::Standing { tx, oks, banks, verdict });
        }
    }

    /// Reports that a request will not be answered.
    pub(super) fn unanswered(&mut self, slot: usize, was_sent: bool) {
        if let Some(flight) = self.remove(slot) {
            self.open -= 1;
            self.events.push_back(DriverEvent::NotReplied { tag: flight.tag, was_sent });
        }
    }
}

/// The bank whose answer this is.
fn answered(event: &Event) -> Option<BankId> {
    match event {
        Event::Answered(bank, ..) => Some(*bank),
        _ => None,
    }
}

/// The outcome that `todo` reports, if it is known.
fn outcome(todo: &[Do]) -> Option<&Verdict> {
    todo.iter().find_map(|one| match one {
        Do::Report(verdict @ (Verdict::Committed(_) | Verdict::Aborted { .. })) => Some(verdict),
        Do::Report(Verdict::Doubt(_) | Verdict::Unreached)
        | Do::Send(..)
        | Do::StartTimer
        | Do::VoteSelf
        | Do::RefuseSelf(_) => None,
    })
}
