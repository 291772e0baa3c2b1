//! The head of a drawing: the outcome, where the time went, and the chips above the columns.

use super::super::timeline::{LaneKind, Leg, TraceVerdict};
use super::super::words::duration;
use super::style::leg_class;
use super::{Drawing, MARGIN, NARROW, letters, safe, short, wrapped};
use consorcio_words::Lang;
use std::fmt::Write;

impl Drawing<'_> {
    /// Draws all above the chips, and returns their y.
    pub(super) fn head(&mut self) -> i64 {
        let timeline = self.timeline;
        let title = format!("{} {}", self.word("transaction", "transação"), timeline.tx);
        self.words(MARGIN, 26, "title", &short(&title, 38));
        let class = match timeline.verdict {
            TraceVerdict::Committed => "verdict ok",
            TraceVerdict::Aborted | TraceVerdict::Contradiction => "verdict bad",
            TraceVerdict::Undecided | TraceVerdict::Nothing => "verdict open",
        };
        let mut y = 46;
        for line in wrapped(&self.outcome()) {
            self.words(MARGIN, y, class, &line);
            y += 17;
        }
        let times = timeline.times_in_words(self.lang);
        let together = times.join(" · ");
        let fits = together.chars().count() <= letters(NARROW - 2 * MARGIN);
        for line in if fits { vec![together] } else { times } {
            self.words(MARGIN, y, "quiet", &line);
            y += 16;
        }
        self.shares(y + 4) + 10
    }

    /// Draws where the time until the verdict went, each kind with its share and its colour.
    fn shares(&mut self, top: i64) -> i64 {
        let timeline = self.timeline;
        let whole: i64 = timeline.path.iter().map(Leg::took_us).sum();
        if whole <= 0 {
            return top;
        }
        let mut from_us = 0;
        for leg in &timeline.path {
            // In hundredths of a per cent of the width that is left by the margins.
            let (x, width) = (from_us * 9_400 / whole, leg.took_us() * 9_400 / whole);
            from_us += leg.took_us();
            let _ = writeln!(
                self.out,
                "<rect x=\"{}.{:02}%\" y=\"{top}\" width=\"{}.{:02}%\" height=\"12\" \
                 class=\"leg {}\"><title>{} {}</title></rect>",
                3 + x / 100,
                x % 100,
                width / 100,
                width % 100,
                leg_class(leg.kind),
                leg.kind.in_words(self.lang),
                duration(leg.took_us(), self.lang),
            );
        }
        let first = match self.lang {
            Lang::En => format!("{} until the outcome:", duration(whole, self.lang)),
            Lang::Pt => format!("{} até o resultado:", duration(whole, self.lang)),
        };
        let mut y = top + 28;
        let mut used = first.chars().count();
        let mut line = safe(&first);
        let room = letters(NARROW - 2 * MARGIN);
        for share in timeline.shares().iter().filter(|share| share.percent > 0) {
            let words = format!("{} {} %", share.kind.in_words(self.lang), share.percent);
            if used + words.chars().count() + 4 > room {
                let _ = writeln!(self.out, "<text x=\"{MARGIN}\" y=\"{y}\">{line}</text>");
                (line, used) = (String::new(), 0);
                y += 17;
            }
            used += words.chars().count() + 4;
            let _ = write!(
                line,
                " <tspan class=\"{}\">■</tspan> {}",
                leg_class(share.kind),
                safe(&words)
            );
        }
        let _ = writeln!(self.out, "<text x=\"{MARGIN}\" y=\"{y}\">{line}</text>");
        y
    }

    /// Draws the columns with their chips, and names the driver beside them.
    pub(super) fn columns(&mut self) {
        let (top, bottom) = (self.top, self.bottom);
        let half = (self.columns.gap / 2 - 2).min(11);
        for (column, lane) in self.columns.lanes.clone().into_iter().enumerate() {
            let lane = &self.timeline.lanes[lane];
            let x = self.columns.place(column);
            let class = if lane.kind == LaneKind::Bank { "bank" } else { "client" };
            let unknown = if lane.logged { "" } else { " unknown" };
            let word = lane.bank.map_or("C".to_owned(), |bank| bank.to_string());
            let address = lane.address.as_deref().unwrap_or("");
            let _ = writeln!(
                self.out,
                "<g><title>{} {}</title>\
                 <line x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{bottom}\" class=\"lane\"/>\
                 <rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"20\" rx=\"5\" \
                 class=\"head {class}{unknown}\"/>\
                 <text x=\"{x}\" y=\"{}\" class=\"name\">{word}</text></g>",
                safe(&lane.name_in(self.lang)),
                safe(address),
                top + 20,
                x - half,
                2 * half,
                top + 14,
            );
        }
        let driver = self.columns.lanes.first().map(|lane| &self.timeline.lanes[*lane]);
        if let Some(driver) = driver.filter(|lane| lane.kind == LaneKind::Client) {
            let words = format!("C: {}", driver.name_in(self.lang));
            let x = self.columns.words();
            self.words(x, top + 14, "quiet", &short(&words, letters(NARROW - x - 4).max(8)));
        }
    }
}
