//! Draws a timeline as a sequence diagram in SVG: a lane for each node, arrows for messages, bars
//! for activities that took time. Time runs down; long waits are shortened and marked.

mod arrows;
mod style;

use super::timeline::{LaneKind, SpanKind, Timeline, TraceVerdict, TracedCall, TracedSpan};
use super::words::duration;
use consorcio_core::limits::{DRAWING_ROWS_MAX, DRAWING_TEXT_CHARS_MAX, DRAWING_WAIT_US_MIN};
use std::fmt::Write;
use style::{MARKERS, leg_class, style, tone_of_event};

/// The source of the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embedding {
    /// A standalone picture: fixed colours on white.
    Alone,
    /// Part of a page: its text colour, and its variables `--trace-ok`, `--trace-bad`,
    /// `--trace-open`, `--trace-ask`, `--trace-sync`, `--trace-quiet` and `--trace-paper`.
    Page,
}

const MARGIN: i64 = 24;
/// The x of the first lane; times are left of it.
const FIRST_LANE: i64 = 190;
const LANE_GAP: i64 = 250;
/// Room for texts beside the last lane.
const LAST_ROOM: i64 = 270;
const LANES_TOP: i64 = 150;
const ROW: i64 = 20;

impl Timeline {
    /// Draws the timeline as SVG.
    pub fn svg(&self, embedding: Embedding) -> String {
        Drawing::of(self).draw(embedding)
    }
}

struct Drawing<'a> {
    timeline: &'a Timeline,
    /// The y of each event; none for one that is not drawn.
    y_of: Vec<Option<i64>>,
    /// Pairs of a time and its y, both ascending.
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
            if scale.len() >= DRAWING_ROWS_MAX {
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

    /// The y of a time, interpolated between the events around it.
    fn y_at(&self, at_us: i64) -> i64 {
        let next = self.scale.partition_point(|(time, _)| *time <= at_us);
        match (next.checked_sub(1).and_then(|before| self.scale.get(before)), self.scale.get(next))
        {
            (Some((t0, y0)), Some((t1, y1))) => y0 + (y1 - y0) * (at_us - t0) / (t1 - t0).max(1),
            (Some((_, y)), None) | (None, Some((_, y))) => *y,
            (None, None) => LANES_TOP,
        }
    }

    /// The y of a time in a lane: that of the lane's own event at that time, if there is one.
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
        let calls: Vec<&TracedCall> = self.timeline.calls.iter().collect();
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
            "<svg xmlns=\"http://www.w3.org/2000/svg\" \
             viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" class=\"trace\" role=\"img\" aria-label=\"{}\">\n\
             <style>{}</style>\n{MARKERS}{paper}{}</svg>\n",
            safe(&self.title()),
            style(embedding),
            self.out
        )
    }

    fn title(&self) -> String {
        format!("transaction {}: {}", self.timeline.tx, self.timeline.verdict.as_str())
    }

    /// Draws the title, the verdict, and the critical path.
    fn headers(&mut self) {
        let timeline = self.timeline;
        self.words(MARGIN, 34, "title", &format!("transaction {}", timeline.tx));
        let class = match timeline.verdict {
            TraceVerdict::Committed => "verdict ok",
            TraceVerdict::Aborted | TraceVerdict::Contradiction => "verdict bad",
            TraceVerdict::Undecided | TraceVerdict::Nothing => "verdict open",
        };
        self.words(MARGIN, 58, class, &timeline.headline());
        let (left, right) = (MARGIN, self.width() - MARGIN);
        let Some(whole) = timeline.known_us.filter(|whole| *whole > 0 && !timeline.path.is_empty())
        else {
            return;
        };
        for leg in &timeline.path {
            let x = left + (right - left) * leg.from_us.max(0) / whole;
            let width = ((right - left) * leg.took_us() / whole).max(1);
            let words = format!("{} · {}", leg.label, duration(leg.took_us()));
            let _ = writeln!(
                self.out,
                "<g><title>{}</title><rect x=\"{x}\" y=\"76\" \
                 width=\"{width}\" height=\"20\" class=\"leg {}\"/>",
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
                longest.label,
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
                "<rect x=\"{}\" y=\"{}\" width=\"150\" height=\"42\" rx=\"8\" \
                 class=\"{class}{}\"/>",
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

    /// Marks waits that are drawn shortened.
    fn waits(&mut self) {
        let right = self.width() - MARGIN;
        for pair in self.scale.clone().windows(2) {
            let ((t0, y0), (t1, y1)) = (pair[0], pair[1]);
            if t1 - t0 >= DRAWING_WAIT_US_MIN {
                let middle = y0 + (y1 - y0) / 2;
                let _ = writeln!(
                    self.out,
                    "<rect x=\"{MARGIN}\" y=\"{}\" width=\"{}\" height=\"16\" rx=\"8\" \
                     class=\"gap\"/>",
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
            // Once a bank asks, the bar of the doubt replaces that of the hold.
            let asks =
                |other: &&TracedSpan| other.lane == span.lane && other.kind == SpanKind::Doubt;
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
                "<rect x=\"{}\" y=\"{from}\" width=\"{}\" height=\"{}\" rx=\"3\" \
                 class=\"{class}{open}\"><title>{words}</title></rect>",
                x - half,
                2 * half,
                (to - from).max(2)
            );
        }
    }

    fn times(&mut self) {
        let rows: Vec<(i64, i64)> = self.scale.clone();
        let mut printed = i64::MIN;
        for (at, y) in rows {
            if at != printed {
                let _ = writeln!(
                    self.out,
                    "<text x=\"{}\" y=\"{}\" class=\"time\">{}</text>",
                    96,
                    y + 4,
                    duration(at)
                );
                printed = at;
            }
        }
    }

    /// Draws events of a node that belong to no call: a dot, and a text on the right.
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
            self.words(
                x + 14,
                y + 4,
                &format!("local {tone}"),
                &short(&words, DRAWING_TEXT_CHARS_MAX),
            );
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

/// The height of a wait: logarithmic in its duration.
fn height(took_us: i64) -> i64 {
    let doublings = (took_us / 20).max(1).ilog2();
    let longer = if took_us >= DRAWING_WAIT_US_MIN { 16 } else { 0 };
    ROW + longer + 3 * i64::from(doublings.min(12))
}

/// The text, cut to `most` characters.
fn short(words: &str, most: usize) -> String {
    if words.chars().count() <= most {
        return words.to_owned();
    }
    words.chars().take(most - 1).chain(['…']).collect()
}

/// The text, escaped for XML.
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
