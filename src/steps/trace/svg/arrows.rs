//! Draws calls as arrows between lanes, with their texts.

use super::super::timeline::TracedCall;
use super::style::{head_of, tone_of};
use super::{DRAWING_TEXT_CHARS_MAX, Drawing, short};
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
        let away = if to >= from { 8 } else { -8 };
        let (x0, x1) = (self.x(from) + away, self.x(to) - away);
        let dashed = match certainty {
            Certainty::BothEnds => "",
            Certainty::OneEnd => " unsure",
            Certainty::Lost => {
                self.lost_arrow((x0, y0), (x0 + (x1 - x0) / 2, y0 + (y1 - y0) / 2));
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

    /// Draws a message that ends in a cross between its lanes.
    fn lost_arrow(&mut self, (x0, y0): (i64, i64), (x, y): (i64, i64)) {
        let _ = writeln!(
            self.out,
            "<line x1=\"{x0}\" y1=\"{y0}\" x2=\"{x}\" y2=\"{y}\" class=\"arrow bad unsure\"/>"
        );
        let _ = writeln!(
            self.out,
            "<path d=\"M{} {}l10 10m0 -10l-10 10\" class=\"arrow bad\"/>",
            x - 5,
            y - 5
        );
    }

    /// The texts of a call are beside the lane of its receiver, where no other call has its texts.
    pub(super) fn arrow_words(&mut self, call: &TracedCall) {
        let y = |event: Option<usize>| event.and_then(|event| self.y_of[event]);
        let (sent, received) = (y(call.sent), y(call.received));
        let answer = if call.lost { None } else { y(call.replied).or(y(call.answered)) };
        let right = call.from > call.to;
        let x = self.x(call.to) + if right { 14 } else { -14 };
        let place = if right { "" } else { " end" };
        if let Some(y) = received.or(sent) {
            let mut words = call.request_words();
            if call.lost && call.received.is_none() {
                words.push_str(": lost");
            }
            let words = short(&words, DRAWING_TEXT_CHARS_MAX);
            // The arrow comes from above: place the text on top of it where it begins.
            let width = 6 * i64::try_from(words.chars().count()).unwrap_or(0) + 14;
            let across = (self.x(call.from) - self.x(call.to)).abs().max(1);
            let above = sent.map_or(0, |sent| (y - sent) * width / across).clamp(0, 13);
            self.words(x, y - 4 - above, &format!("on-arrow ask{place}"), &words);
        }
        if let (Some(y), Some(reply)) = (answer, call.reply) {
            let words = short(&call.reply_words(), DRAWING_TEXT_CHARS_MAX);
            self.words(x, y - 4, &format!("on-arrow {}{place}", tone_of(reply.word)), &words);
        }
    }
}
