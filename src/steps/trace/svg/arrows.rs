//! Draws calls as arrows between lanes, with their texts.

use super::super::timeline::TracedCall;
use super::style::{head_of, tone_of};
use super::{DRAWING_TEXT_CHARS_MAX, Drawing, short};
use std::fmt::Write;

impl Drawing<'_> {
    pub(super) fn arrows(&mut self, call: &TracedCall) {
        let y = |event: Option<usize>| event.and_then(|event| self.y_of[event]);
        let (sent, received, replied, answered) =
            (y(call.sent), y(call.received), y(call.replied), y(call.answered));
        let lost = call.sent.is_some()
            && call.received.is_none()
            && (call.lost || call.answered.is_none());
        let tone = call.reply.map_or("quiet", |reply| tone_of(reply.word));
        if let Some(begin) = sent.or(received) {
            let end = received.or(sent).unwrap_or(begin);
            self.arrow(
                call.from,
                begin,
                call.to,
                end,
                "ask",
                lost,
                call.received.is_none() || call.sent.is_none(),
            );
        }
        if call.lost {
            return;
        }
        if let Some(end) = answered.or(replied) {
            let begin = replied.or(answered).unwrap_or(end);
            let unsure = call.replied.is_none() || call.answered.is_none();
            self.arrow(call.to, begin, call.from, end, tone, false, unsure);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "two ends and the style")]
    fn arrow(
        &mut self,
        from: usize,
        y0: i64,
        to: usize,
        y1: i64,
        class: &str,
        lost: bool,
        unsure: bool,
    ) {
        let away = if to >= from { 8 } else { -8 };
        let (x0, x1) = (self.x(from) + away, self.x(to) - away);
        let dashed = if unsure { " unsure" } else { "" };
        if lost {
            let (x, y) = (x0 + (x1 - x0) / 2, y0 + (y1 - y0) / 2);
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
        } else {
            let _ = writeln!(
                self.out,
                "<line x1=\"{x0}\" y1=\"{y0}\" x2=\"{x1}\" y2=\"{y1}\" \
                 class=\"arrow {class}{dashed}\" marker-end=\"url(#{})\"/>",
                head_of(class)
            );
        }
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
