//! Draws a timeline in SVG: a column for the driver and for each bank, arrows for messages, bars
//! for activities that took time, and beside them a line of words for each event. Time runs down;
//! long waits are shortened.
//!
//! The drawing has no scale: columns and letters keep their size, and where it is shown narrow (a
//! telephone has 390 pixels) only the words are cut.

mod columns;
mod head;
mod rows;
mod style;

use super::timeline::{SpanKind, Timeline, TracedSpan};
use super::words::duration;
use columns::DrawnColumns;
use consorcio_core::limits::{DRAWING_ROWS_MAX, DRAWING_TEXT_CHARS_MAX, DRAWING_WAIT_US_MIN};
use consorcio_words::Lang;
use std::fmt::Write;
use style::{MARKERS, style};

/// The place that a drawing is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embedding {
    /// A file: its own width, and its own colours, light or dark as the viewer prefers.
    File,
    /// An image of a page, as wide as its box; colours as in a file.
    Image,
    /// A part of a page, with its text colour, and its variables `--trace-ok`, `--trace-bad`,
    /// `--trace-open`, `--trace-ask`, `--trace-sync`, `--trace-quiet` and `--trace-paper`.
    Page,
}

const MARGIN: i64 = 12;
/// The x at which times end.
const TIMES_END: i64 = 62;
/// The height between two lines of words.
const LINE: i64 = 18;
/// The height of an event without words.
const STEP: i64 = 7;
/// The width that words are wrapped for where the picture is narrow.
const NARROW: i64 = 390;
/// The height between two lines of one event.
const NARROW_LINE: i64 = 13;
/// The width of a letter of the narrow picture in tenths of a pixel, on average.
const LETTER_TENTHS: i64 = 63;

impl Timeline {
    /// Draws the timeline as SVG, with its words in this language.
    pub fn svg(&self, embedding: Embedding, lang: Lang) -> String {
        Drawing::of(self, lang).draw(embedding)
    }
}

/// A line of words beside an event.
struct Row {
    class: &'static str,
    words: String,
}

struct Drawing<'a> {
    timeline: &'a Timeline,
    lang: Lang,
    columns: DrawnColumns,
    /// The y of each event; none for one that is not drawn.
    y_of: Vec<Option<i64>>,
    /// The words of each event; none for one that has none.
    rows: Vec<Option<Row>>,
    /// Pairs of a time and its y, both ascending.
    scale: Vec<(i64, i64)>,
    hidden: usize,
    /// The y of the chips above the columns.
    top: i64,
    bottom: i64,
    out: String,
}

impl<'a> Drawing<'a> {
    fn of(timeline: &'a Timeline, lang: Lang) -> Drawing<'a> {
        let columns = DrawnColumns::of(timeline);
        let mut drawing = Drawing {
            timeline,
            lang,
            y_of: vec![None; timeline.events.len()],
            rows: Vec::new(),
            scale: Vec::new(),
            hidden: 0,
            top: 0,
            bottom: 0,
            out: String::new(),
            columns,
        };
        drawing.top = drawing.head();
        drawing.rows = (0..timeline.events.len()).map(|number| drawing.row(number)).collect();
        drawing.place();
        drawing
    }

    /// Gives each event that is drawn its y.
    fn place(&mut self) {
        let mut y = self.top + 36;
        let mut last_words = i64::MIN / 2;
        for (number, event) in self.timeline.events.iter().enumerate() {
            if !self.timeline.is_shown(event) || !self.columns.has(self.timeline, number) {
                continue;
            }
            if self.scale.len() >= DRAWING_ROWS_MAX {
                self.hidden += 1;
                continue;
            }
            if let Some((before, _)) = self.scale.last() {
                y += height(event.at_us - before);
            }
            if self.rows[number].is_some() {
                y = y.max(last_words + LINE);
                // Where the picture is narrow, words go on in further lines.
                let lines = self.rows[number].as_ref().map_or(0, |row| self.narrow(row).len());
                last_words = y + NARROW_LINE * i64::try_from(lines.saturating_sub(1)).unwrap_or(0);
            }
            self.y_of[number] = Some(y);
            self.scale.push((event.at_us, y));
        }
        self.bottom = y.max(last_words) + 14;
    }

    /// The y of a time, interpolated between the events around it.
    fn y_at(&self, at_us: i64) -> i64 {
        let next = self.scale.partition_point(|(time, _)| *time <= at_us);
        match (next.checked_sub(1).and_then(|before| self.scale.get(before)), self.scale.get(next))
        {
            (Some((t0, y0)), Some((t1, y1))) => y0 + (y1 - y0) * (at_us - t0) / (t1 - t0).max(1),
            (Some((_, y)), None) | (None, Some((_, y))) => *y,
            (None, None) => self.top,
        }
    }

    /// The y of a time in a lane: that of the lane's own event at that time, if there is one.
    fn y_on(&self, lane: usize, at_us: i64) -> i64 {
        let events = self.timeline.events.iter().zip(&self.y_of);
        let mut own = events.filter(|(event, _)| event.lane == lane && event.at_us == at_us);
        own.find_map(|(_, y)| *y).unwrap_or_else(|| self.y_at(at_us))
    }

    fn draw(mut self, embedding: Embedding) -> String {
        self.waits();
        self.columns();
        let timeline = self.timeline;
        timeline.spans.iter().for_each(|span| self.bar(span));
        timeline.calls.iter().for_each(|call| self.arrows(call));
        self.rows();
        let foot = self.foot();
        let width = self.columns.words() + 540;
        let (size, size_max) = match embedding {
            Embedding::File => (width.to_string(), ";max-width:100%"),
            Embedding::Image | Embedding::Page => ("100%".to_owned(), ""),
        };
        let title = format!(
            "{} {}: {}",
            self.word("transaction", "transação"),
            timeline.tx,
            self.outcome()
        );
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{size}\" height=\"{foot}\" \
             class=\"trace\" style=\"display:block{size_max}\" role=\"img\" lang=\"{}\" \
             aria-label=\"{}\">\n<style>{}</style>\n{MARKERS}\
             <rect width=\"100%\" height=\"{foot}\" class=\"paper\"/>\n{}</svg>\n",
            self.lang.code(),
            safe(&title),
            style(embedding),
            self.out
        )
    }

    fn outcome(&self) -> String {
        self.timeline.outcome_in_words(self.lang)
    }

    fn word(&self, english: &'static str, portuguese: &'static str) -> &'static str {
        match self.lang {
            Lang::En => english,
            Lang::Pt => portuguese,
        }
    }

    /// Draws the notes, and returns the height of the whole drawing.
    fn foot(&mut self) -> i64 {
        let mut notes = Vec::new();
        if self.hidden > 0 {
            let words = self.word("further events are not drawn", "outros eventos não desenhados");
            notes.push(("quiet", format!("{} {words}", self.hidden)));
        }
        if self.columns.left_out > 0 {
            let words = self.word(
                "further clients asked about it, and are not drawn",
                "outros clientes perguntaram por ela, e não são desenhados",
            );
            notes.push(("quiet", format!("{} {words}", self.columns.left_out)));
        }
        for note in &self.timeline.notes {
            notes.push(("note", note.in_words(self.lang)));
        }
        let mut foot = self.bottom + 24;
        for (class, note) in notes {
            for line in wrapped(&note) {
                self.words(MARGIN, foot, class, &line);
                foot += 16;
            }
        }
        foot
    }

    /// Marks waits that are drawn shortened.
    fn waits(&mut self) {
        for pair in self.scale.clone().windows(2) {
            let ((t0, y0), (t1, y1)) = (pair[0], pair[1]);
            if t1 - t0 >= DRAWING_WAIT_US_MIN {
                let (y, height) = (y0 + 10, (y1 - y0 - 20).max(2));
                let words = format!(
                    "⋮ {} {}",
                    duration(t1 - t0, self.lang),
                    self.word("pass", "se passam")
                );
                let _ = writeln!(
                    self.out,
                    "<rect y=\"{y}\" width=\"100%\" height=\"{height}\" class=\"gap\"/>"
                );
                self.words(self.columns.words(), y0 + (y1 - y0) / 2 + 4, "quiet", &words);
            }
        }
    }

    /// Draws the bar of an activity on its node's column.
    fn bar(&mut self, span: &TracedSpan) {
        let Some(x) = self.columns.x(span.lane) else { return };
        let (class, half) = match span.kind {
            SpanKind::Drive => ("drive", 4),
            SpanKind::Hold => ("hold", 6),
            SpanKind::Doubt => ("doubt", 6),
            SpanKind::Queue => ("queue", 3),
            SpanKind::Batch => ("batch", 3),
            SpanKind::Sync => ("sync", 3),
        };
        let from = self.y_on(span.lane, span.from_us);
        // Once a bank asks, the bar of the doubt replaces that of the hold.
        let doubts = self.timeline.spans.iter().filter(|other| {
            other.lane == span.lane
                && other.kind == SpanKind::Doubt
                && other.from_us >= span.from_us
                && (span.open || other.from_us <= span.to_us)
        });
        let asked = doubts.map(|other| other.from_us).next();
        let asked = asked.filter(|_| span.kind == SpanKind::Hold);
        let to = match asked {
            Some(asked) => self.y_on(span.lane, asked),
            None if span.open => self.bottom,
            None => self.y_on(span.lane, span.to_us),
        };
        let took = duration(span.to_us - span.from_us, self.lang);
        let open = if span.open && asked.is_none() { " unending" } else { "" };
        let _ = writeln!(
            self.out,
            "<rect x=\"{}\" y=\"{from}\" width=\"{}\" height=\"{}\" rx=\"2\" \
             class=\"{class}{open}\"><title>{} {took}</title></rect>",
            x - half,
            2 * half,
            (to - from).max(2),
            span.kind.in_words(self.lang),
        );
    }

    fn words(&mut self, x: i64, y: i64, class: &str, words: &str) {
        let _ = writeln!(
            self.out,
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{}</text>",
            safe(words)
        );
    }

    /// The words of a row in lines that fit where the picture is narrow.
    fn narrow(&self, row: &Row) -> Vec<String> {
        lines_within(&row.words, letters(NARROW - self.columns.words() - 4).max(8))
    }

    /// Words from `x` to the right border, with the lines that they take where the picture is
    /// narrow.
    fn fitted_words(&mut self, x: i64, y: i64, class: &str, words: &str, narrow: &[String]) {
        if narrow.len() <= 1 {
            self.words(x, y, class, words);
            return;
        }
        for (line, at) in narrow.iter().zip((0..).map(|line| y + NARROW_LINE * line)) {
            self.words(x, at, &format!("{class} narrow"), line);
        }
        self.words(x, y, &format!("{class} wide"), &short(words, DRAWING_TEXT_CHARS_MAX));
    }
}

/// The height of a wait: logarithmic in its duration.
fn height(took_us: i64) -> i64 {
    let doublings = (took_us / 20).max(1).ilog2();
    let longer = if took_us >= DRAWING_WAIT_US_MIN { 14 } else { 0 };
    STEP + longer + 2 * i64::from(doublings.min(12))
}

/// The text, cut to `most` characters.
fn short(words: &str, most: usize) -> String {
    if words.chars().count() <= most {
        return words.to_owned();
    }
    words.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The number of letters of the narrow picture that fit into a width.
fn letters(width: i64) -> usize {
    usize::try_from(width * 10 / LETTER_TENTHS).unwrap_or(0)
}

/// The text in lines that fit where the picture is narrow; a word that is too long is cut.
fn wrapped(text: &str) -> Vec<String> {
    lines_within(text, letters(NARROW - 2 * MARGIN))
}

/// The text in lines of so many letters at most; a word that is too long is cut.
fn lines_within(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(short(word, room)),
        }
    }
    lines
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
