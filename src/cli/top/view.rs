//! Draws the screen: the banks, the throughput of the last minutes, the undecided transactions.

use super::columns::{age, fitting, heading_of, side};
use super::figures::{TopFigures, TopTransaction};
use super::sorting::SortOrder;
use crate::language::{say, word};
use crate::table::wrapped;
use consorcio_core::ids::{BankId, Time};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};
use std::time::Duration;

/// The columns that the table of undecided transactions needs.
const UNDECIDED_WIDTH: u16 = 66;

/// The figures, and how the person wants to see them.
pub(super) struct TopScreen<'a> {
    pub figures: &'a TopFigures,
    pub order: SortOrder,
    pub every: Duration,
    pub paused: bool,
    pub scrolled: usize,
    /// Whether step logs are read.
    pub has_steps: bool,
    pub colours: bool,
    pub now_us: i64,
}

impl TopScreen<'_> {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let banks = u16::try_from(self.figures.banks.len()).unwrap_or(u16::MAX);
        let width = usize::from(frame.area().width);
        let (head, notes, keys) = (self.head(width), self.notes(width), self.keys(width));
        let title = self.chart_title(width);
        let height = |lines: &[Line<'_>]| u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let [at_head, table, at_notes, at_title, chart, undecided, at_keys] = Layout::vertical([
            Constraint::Length(height(&head)),
            Constraint::Length(banks.saturating_add(2)),
            Constraint::Length(height(&notes)),
            Constraint::Length(height(&title)),
            Constraint::Length(4),
            Constraint::Min(3),
            Constraint::Length(height(&keys)),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(head), at_head);
        self.draw_banks(frame, table);
        frame.render_widget(Paragraph::new(notes), at_notes);
        frame.render_widget(Paragraph::new(title), at_title);
        self.draw_chart(frame, chart);
        self.draw_undecided(frame, undecided);
        frame.render_widget(Paragraph::new(keys), at_keys);
    }

    fn keys(&self, width: usize) -> Vec<Line<'static>> {
        let text = word!(
            "q ends  p pauses  s sorts by the next column  r reverses  ↑↓ scroll"
                / "q encerra  p pausa  s ordena pela próxima coluna  r inverte  ↑↓ rolam"
        );
        lines(text, width, self.dim())
    }

    fn head(&self, width: usize) -> Vec<Line<'static>> {
        let every = crate::watch::every_in_words(self.every);
        let now = crate::output::utc(Time(self.now_us));
        let now = now.split('.').next().unwrap_or_default();
        let banks = self.figures.banks.len();
        let text = say!(
            "{banks} banks · every {every} · {now} UTC"
                / "{banks} bancos · a cada {every} · {now} UTC"
        );
        let mut head = lines(&text, width, Style::default());
        if self.paused {
            let paused = word!("PAUSED" / "PAUSADO");
            let paused = Span::styled(paused, self.coloured(Color::Yellow));
            match head.last_mut() {
                Some(last) if last.width() + 2 + paused.width() <= width => {
                    last.push_span("  ");
                    last.push_span(paused);
                }
                Some(_) | None => head.push(Line::from(paused)),
            }
        }
        head
    }

    fn draw_banks(&self, frame: &mut Frame<'_>, area: Rect) {
        let shown = fitting(area.width);
        let headings = shown.iter().map(|column| {
            let is_sorted = column.sorts == Some(self.order.by);
            let mark = match (is_sorted, self.order.is_reversed) {
                (false, _) => "",
                (true, false) => "▾",
                (true, true) => "▴",
            };
            let heading = heading_of(column);
            Cell::from(Line::from(format!("{heading}{mark}")).alignment(side(column)))
        });
        let rows = self.order.sorted(&self.figures.banks).into_iter().map(|bank| {
            Row::new(shown.iter().map(|column| {
                let text = (column.cell)(bank, self.now_us);
                let style = match (column.heading, bank.is_online, bank.undecided) {
                    ("state", true, _) => self.coloured(Color::Green),
                    ("state", false, _) => self.coloured(Color::Red),
                    ("open" | "oldest", _, 1..) => self.coloured(Color::Yellow),
                    _ => Style::default(),
                };
                Cell::from(Line::from(text).alignment(side(column))).style(style)
            }))
        });
        let widths = shown.iter().map(|column| Constraint::Length(column.width));
        let bold = Style::default().add_modifier(Modifier::BOLD);
        let table = Table::new(rows, widths).header(Row::new(headings).style(bold));
        frame.render_widget(table.column_spacing(1), area);
    }

    /// Why banks do not answer, and which figures are missing.
    fn notes(&self, width: usize) -> Vec<Line<'static>> {
        let why = self.figures.banks.iter().filter_map(|bank| bank.why.as_deref());
        let mut notes: Vec<Line<'static>> =
            why.flat_map(|why| lines(why, width, self.coloured(Color::Red))).collect();
        if !self.has_steps {
            let why = word!(
                "no step log here: --logs names the folders, for latency, queue and syncs"
                    / "não há logs aqui: --logs dá as pastas, para tempo, fila e gravações"
            );
            notes.extend(lines(why, width, self.dim()));
        }
        notes
    }

    /// The newest commits a second, as many as the chart has columns.
    fn newest(&self, width: usize) -> Vec<u64> {
        let skipped = self.figures.history.len().saturating_sub(width);
        self.figures.history.iter().skip(skipped).copied().collect()
    }

    fn chart_title(&self, width: usize) -> Vec<Line<'static>> {
        let newest = self.newest(width);
        let now = newest.last().copied().unwrap_or(0);
        let most = newest.iter().max().copied().unwrap_or(0);
        let text = say!(
            "commits a second at the busiest bank: {now}, at most {most}"
                / "efetivadas por segundo no banco mais ativo: {now}, no máximo {most}"
        );
        lines(&text, width, Style::default())
    }

    fn draw_chart(&self, frame: &mut Frame<'_>, area: Rect) {
        let newest = self.newest(usize::from(area.width));
        let chart_of = Sparkline::default().data(&newest).style(self.coloured(Color::Green));
        frame.render_widget(chart_of, area);
    }

    fn draw_undecided(&self, frame: &mut Frame<'_>, area: Rect) {
        let all = &self.figures.undecided;
        let bold = Style::default().add_modifier(Modifier::BOLD);
        if all.is_empty() {
            let none = word!(
                "no undecided transaction at the banks that answered"
                    / "nenhuma transação em aberto nos bancos que responderam"
            );
            let none = lines(none, usize::from(area.width), Style::default());
            frame.render_widget(Paragraph::new(none), area);
            return;
        }
        let scrolled = self.scrolled.min(all.len() - 1);
        let (at, count) = (scrolled + 1, all.len());
        let first = say!("undecided ({at} of {count})" / "em aberto ({at} de {count})");
        let cells = all.iter().skip(scrolled).map(|open| self.undecided_cells(open));
        if area.width < UNDECIDED_WIDTH {
            // Each with its figures on a line below it.
            let below = |[tx, age, held_by, waits_for]: [String; 4]| {
                [Line::from(tx), Line::from(format!("  {age} · {held_by} → {waits_for}"))]
            };
            let all = [Line::styled(first, bold)].into_iter().chain(cells.flat_map(below));
            frame.render_widget(Paragraph::new(all.collect::<Vec<_>>()), area);
            return;
        }
        let rows = cells.map(Row::new);
        let widths = [
            Constraint::Length(27),
            Constraint::Length(9),
            Constraint::Length(16),
            Constraint::Min(10),
        ];
        let (age, held_by) = (word!("age" / "idade"), word!("held by" / "reservada por"));
        let waits_for = word!("waits for" / "espera");
        let head = Row::new([first.as_str(), age, held_by, waits_for]);
        let table = Table::new(rows, widths).header(head.style(bold));
        frame.render_widget(table, area);
    }

    fn undecided_cells(&self, open: &TopTransaction) -> [String; 4] {
        let waits_for = match open.waits_for.is_empty() {
            true => word!("its driver" / "o seu cliente").to_owned(),
            false => positions(&open.waits_for),
        };
        let age = age(open.since, self.now_us);
        [open.tx.clone(), age, positions(&open.held_by), waits_for]
    }

    fn coloured(&self, colour: Color) -> Style {
        if self.colours { Style::default().fg(colour) } else { Style::default() }
    }

    fn dim(&self) -> Style {
        Style::default().add_modifier(Modifier::DIM)
    }
}

/// `text`, wrapped between words.
fn lines(text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    wrapped(text, width, "").into_iter().map(|line| Line::styled(line, style)).collect()
}

fn positions(banks: &[BankId]) -> String {
    let positions: Vec<String> = banks.iter().map(BankId::to_string).collect();
    let positions = positions.join(", ");
    say!("bank {positions}" / "banco {positions}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::figures::BankFigures;
    use crate::top::meter::StepFigures;
    use crate::top::sorting::SortColumn;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    fn figures(position: usize) -> BankFigures {
        BankFigures {
            bank: bank(position),
            state: "online".to_owned(),
            is_online: true,
            why: None,
            committed_per_s: Some(15_400),
            aborted_per_s: Some(12),
            undecided: 100,
            oldest: Some(Time(0)),
            held: 123_456_789,
            steps: Some(StepFigures {
                latency_us: Some((3_812, 19_900)),
                under_way: 64,
                syncs_per_s: 812,
                sync_us: Some(2_045),
            }),
        }
    }

    fn screen(figures: &TopFigures, columns: u16, has_steps: bool) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(columns, 24)).unwrap();
        let screen = TopScreen {
            figures,
            order: SortOrder { by: SortColumn::Latency, is_reversed: false },
            every: Duration::from_secs(1),
            paused: true,
            scrolled: 0,
            has_steps,
            colours: false,
            now_us: 61_000_000,
        };
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |row: u16| (0..columns).map(|at| buffer[(at, row)].symbol()).collect::<String>();
        (0..24).map(|at| row(at).trim_end().to_owned()).collect()
    }

    #[test]
    fn the_screen_fits_80_columns() {
        let open = TopTransaction {
            tx: "01m810pbft57qcb4dp46kr".to_owned(),
            since: Time(1_000_000),
            held_by: vec![bank(0), bank(1)],
            waits_for: vec![bank(2)],
        };
        let mut all = TopFigures::default();
        let offline = BankFigures {
            state: "offline".to_owned(),
            is_online: false,
            why: Some("bank 2 at 127.0.0.1:8888 can't be reached".to_owned()),
            steps: None,
            committed_per_s: None,
            ..figures(2)
        };
        all.banks = vec![figures(0), figures(1), offline];
        all.undecided = vec![open];
        all.history = [10, 20, 15].into();
        let rows = screen(&all, 80, true);
        let all_rows = rows.join("\n");
        assert_eq!(
            rows[1],
            "bank state       tx/s nok/s p99 ms▾  open    oldest queue sync/s            held",
            "{all_rows}"
        );
        assert_eq!(
            rows[2],
            "0    online     15400    12    19.9   100  1 m 01 s    64    812 R$ 1.234.567,89",
            "{all_rows}"
        );
        for text in ["PAUSED", "offline", "can't be reached", "01m810pbft57qcb4dp46kr", "bank 2"] {
            assert!(all_rows.contains(text), "{text}: {all_rows}");
        }
        let narrow = screen(&all, 40, true);
        assert!(narrow.iter().all(|row| row.chars().count() <= 40), "{narrow:#?}");
        let narrow = narrow.join("\n");
        for text in ["PAUSED", "offline", "15400", "reached", "01m810pbft57qcb4dp46kr", "scroll"] {
            assert!(narrow.contains(text), "{text}: {narrow}");
        }
        assert!(narrow.contains("  1 m 00 s · bank 0, 1 → bank 2"), "{narrow}");
        let wide = screen(&all, 120, false).join("\n");
        assert!(wide.contains("p50 ms") && wide.contains("no step log here"), "{wide}");
    }
}
