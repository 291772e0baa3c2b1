//! Derives the activities of each lane that took time from its events.

use super::path;
use super::timeline::{LaneKind, SpanKind, Timeline, TracedEvent, TracedSpan};
use crate::line::Step;
use consorcio_core::wire::verb::Verb;

fn is_verdict(step: &Step) -> bool {
    matches!(step, Step::Verdict { .. })
}

fn is_outcome(step: &Step) -> bool {
    matches!(step, Step::Outcome { .. })
}

impl Timeline {
    pub(super) fn set_spans(&mut self) {
        let mut spans = Vec::new();
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].kind == LaneKind::Client {
                self.client_spans(lane, &mut spans);
            }
            for (number, event) in self.events.iter().enumerate() {
                if event.lane == lane {
                    self.bank_spans(number, event, &mut spans);
                    self.record_spans(number, event, &mut spans);
                }
            }
        }
        spans.sort_by_key(|span| (span.lane, span.kind, span.from_us, span.to_us));
        spans.dedup();
        self.spans = spans;
    }

    /// A span of a lane; one without an end is open until the last event.
    fn span(&self, lane: usize, kind: SpanKind, from_us: i64, to_us: Option<i64>) -> TracedSpan {
        let end = self.events.last().map_or(0, |event| event.at_us);
        let is_open = to_us.is_none();
        TracedSpan { lane, kind, from_us, to_us: to_us.unwrap_or(end).max(from_us), open: is_open }
    }

    /// The time of the first step of the transaction that `matches`, in the lane of the event
    /// `from`, at or after it.
    fn after(&self, from: usize, matches: fn(&Step) -> bool) -> Option<i64> {
        let lane = self.events[from].lane;
        let mut later =
            self.events[from..].iter().filter(|event| event.lane == lane && event.of_tx);
        later.find(|event| event.step.as_ref().is_some_and(matches)).map(|event| event.at_us)
    }

    /// Adds the spans in which a client drove the transaction.
    fn client_spans(&self, lane: usize, spans: &mut Vec<TracedSpan>) {
        let (prepares, others): (Vec<_>, Vec<_>) = self
            .calls
            .iter()
            .filter(|call| call.from == lane)
            .partition(|call| call.verb == Verb::Prepare);
        if let Some(first) = prepares.iter().filter_map(|call| call.sent).min() {
            // A driver works until its verdict; a killed one has none.
            let from = self.events[first].at_us;
            spans.push(self.span(lane, SpanKind::Drive, from, self.after(first, is_verdict)));
        }
        let times = others.iter().filter_map(|call| {
            let (sent, answered) = (self.events.get(call.sent?)?, self.events.get(call.answered?)?);
            Some((sent.at_us, answered.at_us))
        });
        spans.extend(times.map(|(from, to)| self.span(lane, SpanKind::Drive, from, Some(to))));
    }

    /// Adds the span that begins with an event: a drive, a hold, a doubt.
    fn bank_spans(&self, number: usize, event: &TracedEvent, spans: &mut Vec<TracedSpan>) {
        let later = || self.events[number + 1..].iter().filter(|later| later.lane == event.lane);
        let (kind, to_us) = match event.step {
            Some(Step::Drive(_)) => {
                let is_reply = |event: &&TracedEvent| {
                    let call = event.call.map(|call| &self.calls[call]);
                    matches!(event.step, Some(Step::Reply { .. }))
                        && call.is_some_and(|call| call.verb == Verb::Execute)
                };
                (SpanKind::Drive, later().find(is_reply).map(|event| event.at_us))
            }
            Some(Step::Vote { refusal: None, .. }) => {
                (SpanKind::Hold, self.after(number, is_outcome))
            }
            Some(Step::Doubt(..)) => {
                let is_doubt = |event: &TracedEvent| matches!(event.step, Some(Step::Doubt(..)));
                let ended = self.after(number, is_outcome);
                // The doubt after a restart continues; the one before it ended with the process.
                if later().any(is_doubt) && ended.is_none() {
                    return;
                }
                (SpanKind::Doubt, ended)
            }
            _ => return,
        };
        spans.push(self.span(event.lane, kind, event.at_us, to_us));
    }

    /// Adds the spans of a record: its request in the queue, the record until its sync, the sync.
    fn record_spans(&self, number: usize, event: &TracedEvent, spans: &mut Vec<TracedSpan>) {
        let is_outcome = matches!(event.step, Some(Step::Outcome { .. }));
        let is_vote = matches!(event.step, Some(Step::Vote { .. } | Step::Refuse { .. }));
        if !is_outcome && !is_vote {
            return;
        }
        let lane = event.lane;
        if let Some(request) = path::request_before(self, number) {
            let received = self.events[request].at_us;
            if is_vote && received < event.at_us {
                spans.push(self.span(lane, SpanKind::Queue, received, Some(event.at_us)));
            }
        }
        if let Some(sync) = path::sync_of(self, number) {
            let begin = path::sync_begin(self, sync).max(event.at_us);
            if begin > event.at_us {
                spans.push(self.span(lane, SpanKind::Batch, event.at_us, Some(begin)));
            }
            spans.push(self.span(lane, SpanKind::Sync, begin, Some(self.events[sync].at_us)));
        }
    }
}
