//! A timeline as a sequence diagram in SVG: a lane for each node, arrows for messages, bars for
//! what took time. Time runs down; long waits are drawn short, and say so. Which event belongs
//! where was settled before.

use super::timeline::{
    Call, Event, LaneKind, LegKind, Span, SpanKind, Timeline, Verdict, duration,
};
use std::fmt::Write;

/// What the colours are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embedding {
    /// A picture on its own: fixed colours on white.
    Alone,
    /// Inside of a page: its text colour, and its variables `--trace-ok`, `--trace-bad`,
    /// `--trace-open`, `--trace-ask`, `--trace-sync`, `--trace-quiet` and `--trace-paper`.
    Page,
}

const MARGIN: i64 = 24;
/// Where the first lane stands; times are left of it.
const FIRST_LANE: i64 = 190;
const LANE_GAP: i64 = 250;
/// Room for the words beside the last lane.
const LAST_ROOM: i64 = 270;
const LANES_TOP: i64 = 150;
const ROW: i64 = 20;
/// More rows than anybody looks at.
const ROWS_MAX: usize = 600;
/// A wait from this on is told in the margin.
const LONG_US: i64 = 50_000;
/// Characters that fit between two lanes.
const WORDS_MAX: usize = 36;

impl Timeline {
    /// The drawing.
    pub fn svg(&self, embedding: Embedding) -> String {
        Drawing::of(self).draw(embedding)
    }
}

struct Drawing<'a> {
    timeline: &'a Timeline,
    /// Each drawn event's row, and its height on the page.
    y_of: Vec<Option<i64>>,
    /// Times and heights, both growing.
    scale: Vec<(i64, i64)>,
    hidden: usize,
    bottom: i64,
    out: String,
}

impl<'a> Drawing<'a> {
    fn of(timeline: &'a Timeline) -> Drawing<'a> {
        let mut y_of = vec![None; timeline.events.len()];
        let mut scale: Vec<(i64, i64)> = Vec::new();
        let (mut y, mut hidden) = (LANES_TOP + 58, 0);
        for (number, event) in timeline.events.iter().enumerate() {
            if !timeline.is_shown(event) {
                continue;
            }
            if scale.len() >= ROWS_MAX {
                hidden += 1;
                continue;
            }
            if let Some((before, _)) = scale.last() {
                y += height(event.at_us - before);
            }
            y_of[number] = Some(y);
            scale.push((event.at_us, y));
        }
        Drawing { timeline, y_of, scale, hidden, bottom: y + 40, out: String::new() }
    }

    fn width(&self) -> i64 {
        self.x(self.timeline.lanes.len().saturating_sub(1)).max(FIRST_LANE + LANE_GAP) + LAST_ROOM
    }

    fn x(&self, lane: usize) -> i64 {
        FIRST_LANE + LANE_GAP * i64::try_from(lane).unwrap_or(0)
    }

    /// The height of a moment, between those of the events around it.
    fn y_at(&self, at_us: i64) -> i64 {
        let next = self.scale.partition_point(|(time, _)| *time <= at_us);
        match (next.checked_sub(1).and_then(|before| self.scale.get(before)), self.scale.get(next))
        {
            (Some((t0, y0)), Some((t1, y1))) => y0 + (y1 - y0) * (at_us - t0) / (t1 - t0).max(1),
            (Some((_, y)), None) | (None, Some((_, y))) => *y,
            (None, None) => LANES_TOP,
        }
    }

    /// ... but that of the lane's own event at that very moment, if there is one.
    fn y_on(&self, lane: usize, at_us: i64) -> i64 {
        let events = self.timeline.events.iter().zip(&self.y_of);
        let mut own = events.filter(|(event, _)| event.lane == lane && event.at_us == at_us);
        own.find_map(|(_, y)| *y).unwrap_or_else(|| self.y_at(at_us))
    }

    fn draw(mut self, embedding: Embedding) -> String {
        self.lanes();
        self.waits();
        self.bars();
        self.times();
        let calls: Vec<&Call> = self.timeline.calls.iter().collect();
        calls.iter().for_each(|call| self.arrows(call));
        calls.iter().for_each(|call| self.arrow_words(call));
        self.local_events();
        self.headers();
        let mut foot = self.bottom + 30;
        if self.hidden > 0 {
            let words = format!("{} further events are not drawn", self.hidden);
            self.words(MARGIN, foot, "quiet", &words);
            foot += 18;
        }
        for note in self.timeline.notes.clone() {
            self.words(MARGIN, foot, "note", &format!("• {note}"));
            foot += 18;
        }
        let (width, height) = (self.width(), foot + 6);
        let paper = if embedding == Embedding::Alone {
            format!("<rect width=\"{width}\" height=\"{height}\" class=\"paper\"/>\n")
        } else {
            String::new()
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" class=\"trace\" role=\"img\" aria-label=\"{}\">\n<style>{}</style>\n{MARKERS}{paper}{}</svg>\n",
            safe(&self.title()),
            style(embedding),
            self.out
        )
    }

    fn title(&self) -> String {
        format!("transaction {}: {}", self.timeline.tx, self.timeline.verdict.as_str())
    }

    /// The title, the verdict, and where the time went.
    fn headers(&mut self) {
        let timeline = self.timeline;
        self.words(MARGIN, 34, "title", &format!("transaction {}", timeline.tx));
        let class = match timeline.verdict {
            Verdict::Committed => "verdict ok",
            Verdict::Aborted | Verdict::Contradiction => "verdict bad",
            Verdict::Undecided | Verdict::Nothing => "verdict open",
        };
        self.words(MARGIN, 58, class, &timeline.headline());
        let (left, right) = (MARGIN, self.width() - MARGIN);
        let Some(whole) = timeline.told_us.filter(|whole| *whole > 0 && !timeline.path.is_empty())
        else {
            return;
        };
        for leg in &timeline.path {
            let x = left + (right - left) * leg.from_us.max(0) / whole;
            let width = ((right - left) * leg.took_us() / whole).max(1);
            let words = format!("{} · {}", leg.what, duration(leg.took_us()));
            let _ = writeln!(
                self.out,
                "<g><title>{}</title><rect x=\"{x}\" y=\"76\" width=\"{width}\" height=\"20\" class=\"leg {}\"/>",
                safe(&words),
                leg_class(leg.kind)
            );
            let room = usize::try_from(width / 7).unwrap_or(0);
            let short = format!("{} {}", leg.kind.as_str(), duration(leg.took_us()));
            if let Some(fits) = [words, short, leg.kind.as_str().to_owned()]
                .iter()
                .find(|words| words.chars().count() < room)
            {
                self.words(x + 5, 90, "on-leg", fits);
            }
            self.out.push_str("</g>\n");
        }
        if let Some(longest) = timeline.longest_leg() {
            let share = longest.took_us() * 100 / whole;
            let words = format!(
                "where the {} went, from the beginning to the verdict; longest: {}, {} ({share} %)",
                duration(whole),
                longest.what,
                duration(longest.took_us())
            );
            self.words(left, 114, "quiet", &words);
        }
    }

    fn lanes(&mut self) {
        let bottom = self.bottom;
        for (number, lane) in self.timeline.lanes.iter().enumerate() {
            let x = self.x(number);
            let _ = writeln!(
                self.out,
                "<line x1=\"{x}\" y1=\"{LANES_TOP}\" x2=\"{x}\" y2=\"{bottom}\" class=\"lane\"/>"
            );
            let class = if lane.kind == LaneKind::Bank { "head bank" } else { "head client" };
            let _ = writeln!(
                self.out,
                "<rect x=\"{}\" y=\"{}\" width=\"150\" height=\"42\" rx=\"8\" class=\"{class}{}\"/>",
                x - 75,
                LANES_TOP - 12,
                if lane.logged { "" } else { " unknown" }
            );
            self.middle(x, LANES_TOP + 6, "name", &short(&lane.name, 20));
            let below = match (&lane.address, lane.logged) {
                (_, false) => "no log of it".to_owned(),
                (Some(address), true) => address.clone(),
                (None, true) => lane.kind_word().to_owned(),
            };
            self.middle(x, LANES_TOP + 22, "quiet", &short(&below, 24));
        }
    }

    /// Marks waits that are drawn shorter than they were.
    fn waits(&mut self) {
        let right = self.width() - MARGIN;
        for pair in self.scale.clone().windows(2) {
            let ((t0, y0), (t1, y1)) = (pair[0], pair[1]);
            if t1 - t0 >= LONG_US {
                let middle = y0 + (y1 - y0) / 2;
                let _ = writeln!(
                    self.out,
                    "<rect x=\"{MARGIN}\" y=\"{}\" width=\"{}\" height=\"16\" rx=\"8\" class=\"gap\"/>",
                    middle - 8,
                    right - MARGIN
                );
                self.words(
                    MARGIN + 10,
                    middle + 4,
                    "gap-words",
                    &format!("⋮ {} later", duration(t1 - t0)),
                );
            }
        }
    }

    fn bars(&mut self) {
        let timeline = self.timeline;
        for span in &timeline.spans {
            let (class, half) = match span.kind {
                SpanKind::Drive => ("drive", 4),
                SpanKind::Hold => ("hold", 8),
                SpanKind::Doubt => ("doubt", 8),
                SpanKind::Queue => ("queue", 4),
                SpanKind::Batch => ("batch", 4),
                SpanKind::Sync => ("sync", 4),
            };
            let x = self.x(span.lane);
            let from = self.y_on(span.lane, span.from_us);
            // Once a bank asks, that is what it is seen to do.
            let asks = |other: &&Span| other.lane == span.lane && other.kind == SpanKind::Doubt;
            let doubt = timeline
                .spans
                .iter()
                .filter(asks)
                .map(|other| other.from_us)
                .find(|at| *at >= span.from_us);
            let asked =
                doubt.filter(|at| span.kind == SpanKind::Hold && (span.open || *at <= span.to_us));
            let to = if let Some(asked) = asked {
                self.y_on(span.lane, asked)
            } else if span.open {
                self.bottom
            } else {
                self.y_on(span.lane, span.to_us)
            };
            let words = format!("{} {}", span.kind.as_str(), duration(span.to_us - span.from_us));
            let open = if span.open && asked.is_none() { " unending" } else { "" };
            let _ = writeln!(
                self.out,
                "<rect x=\"{}\" y=\"{from}\" width=\"{}\" height=\"{}\" rx=\"3\" class=\"{class}{open}\"><title>{words}</title></rect>",
                x - half,
                2 * half,
                (to - from).max(2)
            );
        }
    }

    fn times(&mut self) {
        let rows: Vec<(i64, i64)> = self.scale.clone();
        let mut told = i64::MIN;
        for (at, y) in rows {
            if at != told {
                let _ = writeln!(
                    self.out,
                    "<text x=\"{}\" y=\"{}\" class=\"time\">{}</text>",
                    96,
                    y + 4,
                    duration(at)
                );
                told = at;
            }
        }
    }

    fn arrows(&mut self, call: &Call) {
        let y = |event: Option<usize>| event.and_then(|event| self.y_of[event]);
        let (sent, received, replied, answered) =
            (y(call.sent), y(call.received), y(call.replied), y(call.answered));
        let lost = call.sent.is_some()
            && call.received.is_none()
            && (call.lost || call.answered.is_none());
        let tone = call.said.as_deref().map_or("quiet", tone_of);
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

    #[expect(clippy::too_many_arguments, reason = "two ends and how it looks")]
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
                "<line x1=\"{x0}\" y1=\"{y0}\" x2=\"{x1}\" y2=\"{y1}\" class=\"arrow {class}{dashed}\" marker-end=\"url(#{})\"/>",
                head_of(class)
            );
        }
    }

    /// A call's words stand beside the lane that was asked, where no other call's words are.
    fn arrow_words(&mut self, call: &Call) {
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
            let words = short(&words, WORDS_MAX);
            // The arrow comes from above: the words stand on it where they begin.
            let width = 6 * i64::try_from(words.chars().count()).unwrap_or(0) + 14;
            let across = (self.x(call.from) - self.x(call.to)).abs().max(1);
            let above = sent.map_or(0, |sent| (y - sent) * width / across).clamp(0, 13);
            self.words(x, y - 4 - above, &format!("on-arrow ask{place}"), &words);
        }
        if let (Some(y), Some(said)) = (answer, &call.said) {
            let words = short(&call.reply_words(), WORDS_MAX);
            self.words(x, y - 4, &format!("on-arrow {}{place}", tone_of(said)), &words);
        }
    }

    /// What a node did by itself: a dot, and words on the right.
    fn local_events(&mut self) {
        let timeline = self.timeline;
        for (event, y) in timeline.events.iter().zip(self.y_of.clone()) {
            let (Some(y), true) = (y, event.call.is_none()) else { continue };
            let x = self.x(event.lane);
            let tone = tone_of_event(event);
            let took =
                event.took_us().map_or(String::new(), |took| format!(", {}", duration(took)));
            let words = event.in_words() + &took;
            let _ =
                writeln!(self.out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" class=\"dot {tone}\"/>");
            self.words(x + 14, y + 4, &format!("local {tone}"), &short(&words, WORDS_MAX));
        }
    }

    fn words(&mut self, x: i64, y: i64, class: &str, words: &str) {
        let _ = writeln!(
            self.out,
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>",
            safe(words)
        );
    }

    fn middle(&mut self, x: i64, y: i64, class: &str, words: &str) {
        let _ = writeln!(
            self.out,
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\" text-anchor=\"middle\">{}</text>",
            safe(words)
        );
    }
}

/// The height of a wait: more for a longer one, but never in proportion.
fn height(took_us: i64) -> i64 {
    let doublings = (took_us / 20).max(1).ilog2();
    let longer = if took_us >= LONG_US { 16 } else { 0 };
    ROW + longer + 3 * i64::from(doublings.min(12))
}

fn leg_class(kind: LegKind) -> &'static str {
    match kind {
        LegKind::Network => "leg-network",
        LegKind::Queue => "leg-queue",
        LegKind::Batch => "leg-batch",
        LegKind::Sync => "leg-sync",
        LegKind::Release | LegKind::Bank => "leg-bank",
        LegKind::Driver => "leg-driver",
        LegKind::Wait => "leg-wait",
    }
}

/// The colour of an answer.
fn tone_of(said: &str) -> &'static str {
    match said.split(' ').next().unwrap_or("") {
        "OK" | "COMMITTED" => "ok",
        "NOK" | "ABORTED" | "ERR" | "REFUSED" => "bad",
        "DOUBT" => "open",
        _ => "quiet",
    }
}

fn head_of(class: &str) -> &'static str {
    match class {
        "ok" => "head-ok",
        "bad" => "head-bad",
        "open" => "head-open",
        "quiet" => "head-quiet",
        _ => "head-ask",
    }
}

/// The colour of what a node did by itself.
fn tone_of_event(event: &Event) -> &'static str {
    match event.event.as_str() {
        "vote" | "outcome" | "verdict" | "drove" => tone_of(&event.detail),
        "refuse" | "answer" | "link-down" | "fault" => "bad",
        "doubt" | "timeout" | "gave-up" | "start" | "stop" => "open",
        "drive" => "ask",
        _ => "quiet",
    }
}

/// Words cut to a length.
fn short(words: &str, most: usize) -> String {
    if words.chars().count() <= most {
        return words.to_owned();
    }
    words.chars().take(most - 1).chain(['…']).collect()
}

/// Text as XML takes it.
fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            char if char.is_control() => safe.push(' '),
            char => safe.push(char),
        }
    }
    safe
}

const MARKERS: &str = "<defs>\
<marker id=\"head-ask\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-ask\"/></marker>\
<marker id=\"head-ok\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-ok\"/></marker>\
<marker id=\"head-bad\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-bad\"/></marker>\
<marker id=\"head-open\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-open\"/></marker>\
<marker id=\"head-quiet\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" class=\"fill-quiet\"/></marker>\
</defs>\n";

/// The style sheet; names of colours stand for what they are in this embedding.
fn style(embedding: Embedding) -> String {
    let colours = [
        ("INK", "#1f2933", "currentColor"),
        ("PAPER", "#ffffff", "var(--trace-paper, Canvas)"),
        ("OK", "#15803d", "var(--trace-ok, #15803d)"),
        ("BAD", "#c2251d", "var(--trace-bad, #c2251d)"),
        ("OPEN", "#b45309", "var(--trace-open, #b45309)"),
        ("ASK", "#1d4ed8", "var(--trace-ask, #1d4ed8)"),
        ("SYNC", "#7c3aed", "var(--trace-sync, #7c3aed)"),
        ("QUIET", "#64748b", "var(--trace-quiet, #64748b)"),
    ];
    let mut style = STYLE.to_owned();
    for (name, alone, page) in colours {
        let colour = if embedding == Embedding::Alone { alone } else { page };
        style = style.replace(&format!("[{name}]"), colour);
    }
    style
}

const STYLE: &str = "\
.trace text{font-family:ui-sans-serif,system-ui,'Segoe UI','DejaVu Sans',sans-serif;font-size:12px;fill:[INK]}\
.trace .paper{fill:[PAPER]}\
.trace .title{font-size:19px;font-weight:700}\
.trace .verdict{font-size:14px;font-weight:600}\
.trace text.quiet,.trace .time,.trace .gap-words{fill:[QUIET];font-size:11px}\
.trace .time{text-anchor:end;font-variant-numeric:tabular-nums}\
.trace text.note{fill:[OPEN]}\
.trace .name{font-weight:700;font-size:13px}\
.trace text.ok{fill:[OK]}.trace text.bad{fill:[BAD]}.trace text.open{fill:[OPEN]}.trace text.ask{fill:[ASK]}\
.trace .on-arrow,.trace .local{font-size:11px;stroke:[PAPER];stroke-width:3px;stroke-linejoin:round;paint-order:stroke}\
.trace .local{font-weight:600}\
.trace .end{text-anchor:end}\
.trace .on-leg{fill:#fff;font-size:11px}\
.trace .lane{stroke:[QUIET];stroke-opacity:.45;stroke-width:1}\
.trace .head{stroke-width:1.5;fill:[PAPER]}\
.trace .head.bank{stroke:[SYNC]}.trace .head.client{stroke:[ASK]}.trace .head.unknown{stroke-dasharray:4 3;stroke:[QUIET]}\
.trace .gap{fill:[QUIET];fill-opacity:.1}\
.trace .arrow{fill:none;stroke-width:1.4}\
.trace .arrow.ask{stroke:[ASK]}.trace .arrow.ok{stroke:[OK]}.trace .arrow.bad{stroke:[BAD]}\
.trace .arrow.open{stroke:[OPEN]}.trace .arrow.quiet{stroke:[QUIET]}\
.trace .unsure{stroke-dasharray:5 4}\
.trace .fill-ask{fill:[ASK]}.trace .fill-ok{fill:[OK]}.trace .fill-bad{fill:[BAD]}\
.trace .fill-open{fill:[OPEN]}.trace .fill-quiet{fill:[QUIET]}\
.trace .dot{stroke:[PAPER];stroke-width:1.5}\
.trace .dot.ok{fill:[OK]}.trace .dot.bad{fill:[BAD]}.trace .dot.open{fill:[OPEN]}.trace .dot.ask{fill:[ASK]}.trace .dot.quiet{fill:[QUIET]}\
.trace .drive{fill:[ASK];fill-opacity:.3}\
.trace .hold{fill:[OK];fill-opacity:.16}\
.trace .doubt{fill:[OPEN];fill-opacity:.3}\
.trace .queue{fill:[QUIET]}\
.trace .batch{fill:[SYNC];fill-opacity:.3}\
.trace .sync{fill:[SYNC]}\
.trace .unending{stroke:[OPEN];stroke-dasharray:3 3}\
.trace .leg{stroke:[PAPER];stroke-width:1}\
.trace .leg-network{fill:[ASK]}.trace .leg-queue{fill:[QUIET]}.trace .leg-batch{fill:[SYNC];fill-opacity:.6}\
.trace .leg-sync{fill:[SYNC]}.trace .leg-bank{fill:[OK]}.trace .leg-driver{fill:[INK];fill-opacity:.6}.trace .leg-wait{fill:[OPEN]}";
