//! The events of a drawing: their times, dots and words, and the arrows of messages.

use super::super::timeline::{LaneKind, TracedCall};
use super::super::words::duration;
use super::style::{head_of, tone_of, tone_of_event};
use super::{Drawing, Row, TIMES_END};
use crate::line::Step;
use std::fmt::Write;

/// What the logs show of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// Both ends are in the logs.
    BothEnds,
    /// Only one end is in the logs.
    OneEnd,
    /// It was sent and never received.
    Lost,
}

impl Drawing<'_> {
    /// The words of an event. A message has them where it arrives, or where it was sent if its
    /// arrival is in no log.
    pub(super) fn row(&self, number: usize) -> Option<Row> {
        let event = &self.timeline.events[number];
        if matches!(event.step, Some(Step::Count { .. })) {
            // The arrival of the OK itself is drawn already.
            return None;
        }
        let Some(call) = event.call.map(|call| &self.timeline.calls[call]) else {
            let name = self.timeline.lanes[event.lane].name_in(self.lang);
            let took = event.took_us().map_or(String::new(), |us| {
                // The unit stays beside its number.
                format!(", {}", duration(us, self.lang).replace(' ', "\u{a0}"))
            });
            let words = format!("{name}: {}{took}", event.in_words(self.lang));
            return Some(Row { class: tone_of_event(event), words });
        };
        let is = |end: Option<usize>| end == Some(number);
        if is(call.received.or(call.sent)) {
            let words = format!("{}: {}", self.way(call, "→"), call.request_words(self.lang));
            return Some(Row { class: "ask", words });
        }
        if call.lost && is(call.answered) {
            let lost = self.word("the connection broke", "a conexão caiu");
            let words = format!("{}: {} – {lost}", self.way(call, "→"), call.verb);
            return Some(Row { class: "bad", words });
        }
        if is(call.answered.or(call.replied)) {
            let words = format!("{}: {}", self.way(call, "←"), call.reply_words());
            return Some(Row {
                class: call.reply.map_or("quiet", |reply| tone_of(reply.word)),
                words,
            });
        }
        None
    }

    /// The two ends of a call: the driver's is left out.
    fn way(&self, call: &TracedCall, arrow: &str) -> String {
        let name = |lane: usize| self.timeline.lanes[lane].name_in(self.lang);
        match self.timeline.lanes[call.from].kind {
            LaneKind::Client => format!("{arrow} {}", name(call.to)),
            LaneKind::Bank => format!("{} {arrow} {}", name(call.from), name(call.to)),
        }
    }

    /// Draws the words of each event, with its time, and a dot on its column.
    pub(super) fn rows(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let words_at = self.columns.words();
        for (number, row) in rows.iter().enumerate() {
            let (Some(y), Some(row)) = (self.y_of[number], row) else { continue };
            let event = &self.timeline.events[number];
            let Some(x) = self.columns.x(event.lane) else { continue };
            self.words(TIMES_END, y + 4, "time", &duration(event.at_us, self.lang));
            let class = row.class;
            let _ =
                writeln!(self.out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" class=\"dot {class}\"/>");
            let narrow = self.narrow(row);
            self.fitted_words(words_at, y + 4, class, &row.words, &narrow);
        }
    }

    pub(super) fn arrows(&mut self, call: &TracedCall) {
        let y = |event: Option<usize>| event.and_then(|event| self.y_of[event]);
        let (sent, received, replied, answered) =
            (y(call.sent), y(call.received), y(call.replied), y(call.answered));
        let lost = call.sent.is_some()
            && call.received.is_none()
            && (call.lost || call.answered.is_none());
        let certainty = |ends: [Option<usize>; 2]| {
            if ends.iter().all(Option::is_some) { Certainty::BothEnds } else { Certainty::OneEnd }
        };
        if let Some(begin) = sent.or(received) {
            let end = received.or(sent).unwrap_or(begin);
            let certainty =
                if lost { Certainty::Lost } else { certainty([call.sent, call.received]) };
            self.arrow((call.from, begin), (call.to, end), "ask", certainty);
        }
        if call.lost {
            return;
        }
        if let Some(end) = answered.or(replied) {
            let begin = replied.or(answered).unwrap_or(end);
            let tone = call.reply.map_or("quiet", |reply| tone_of(reply.word));
            let certainty = certainty([call.replied, call.answered]);
            self.arrow((call.to, begin), (call.from, end), tone, certainty);
        }
    }

    /// Draws a message from a lane at a y to another lane at a y.
    fn arrow(
        &mut self,
        (from, y0): (usize, i64),
        (to, y1): (usize, i64),
        class: &str,
        certainty: Certainty,
    ) {
        let (Some(x0), Some(x1)) = (self.columns.x(from), self.columns.x(to)) else { return };
        let away = if x1 >= x0 { 5 } else { -5 };
        let (x0, x1) = (x0 + away, x1 - away);
        let dashed = match certainty {
            Certainty::BothEnds => "",
            Certainty::OneEnd => " unsure",
            Certainty::Lost => {
                let (x, y) = (x0 + (x1 - x0) / 2, y0 + (y1 - y0) / 2);
                let _ = writeln!(
                    self.out,
                    "<path d=\"M{x0} {y0}L{x} {y}M{} {}l8 8m0 -8l-8 8\" class=\"arrow bad\"/>",
                    x - 4,
                    y - 4
                );
                return;
            }
        };
        let _ = writeln!(
            self.out,
            "<line x1=\"{x0}\" y1=\"{y0}\" x2=\"{x1}\" y2=\"{y1}\" \
             class=\"arrow {class}{dashed}\" marker-end=\"url(#{})\"/>",
            head_of(class)
        );
    }
}
