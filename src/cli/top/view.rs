//! Draws the screen: the banks, the throughput of the last minutes, the undecided transactions.

use super::figures::{BankFigures, TopFigures, TopTransaction};
use super::sorting::{SortColumn, SortOrder};
use crate::language::{Lang, lang, say, word};
use crate::output::decimals;
use consorcio_core::ids::{BankId, Time};
use consorcio_core::money::Total;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table, Wrap};
use std::time::Duration;

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

/// A column of the banks.
struct BankColumn {
    heading: &'static str,
    width: u16,
    /// The column of the keys that sort by it.
    sorts: Option<SortColumn>,
    /// On a narrow terminal it is left out.
    spare: bool,
    cell: fn(&BankFigures, i64) -> String,
}

const COLUMNS: [BankColumn; 12] = [
    column("bank", 4, Some(SortColumn::Position), |bank, _| bank.bank.to_string()),
    column("state", 9, None, |bank, _| bank.state.clone()),
    column("tx/s", 6, Some(SortColumn::Committed), |bank, _| number(bank.committed_per_s)),
    column("nok/s", 5, None, |bank, _| number(bank.aborted_per_s)),
    spare("p50 ms", 7, None, |bank, _| latency(bank, |(half, _)| half)),
    column("p99 ms", 7, Some(SortColumn::Latency), |bank, _| latency(bank, |(_, most)| most)),
    column("open", 5, Some(SortColumn::Undecided), |bank, _| {
        if bank.is_online { bank.undecided.to_string() } else { String::new() }
    }),
    column("oldest", 9, None, |bank, now| {
        bank.oldest.map_or(String::new(), |since| age(since, now))
    }),
    column("queue", 5, Some(SortColumn::UnderWay), |bank, _| {
        bank.steps.map_or(String::new(), |steps| steps.under_way.to_string())
    }),
    column("sync/s", 6, Some(SortColumn::Syncs), |bank, _| {
        bank.steps.map_or(String::new(), |steps| steps.syncs_per_s.to_string())
    }),
    spare("sync ms", 7, None, |bank, _| {
        bank.steps.and_then(|steps| steps.sync_us).map_or(String::new(), millis)
    }),
    column("held", 15, Some(SortColumn::Held), |bank, _| {
        if bank.is_online { Total(bank.held).to_string() } else { String::new() }
    }),
];

const fn column(
    heading: &'static str,
    width: u16,
    sorts: Option<SortColumn>,
    cell: fn(&BankFigures, i64) -> String,
) -> BankColumn {
    BankColumn { heading, width, sorts, spare: false, cell }
}

const fn spare(
    heading: &'static str,
    width: u16,
    sorts: Option<SortColumn>,
    cell: fn(&BankFigures, i64) -> String,
) -> BankColumn {
    BankColumn { heading, width, sorts, spare: true, cell }
}

impl TopScreen<'_> {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let banks = u16::try_from(self.figures.banks.len()).unwrap_or(u16::MAX);
        let [head, table, notes, chart, undecided, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(banks.saturating_add(2)),
            Constraint::Length(self.notes_height()),
            Constraint::Length(5),
            Constraint::Min(3),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.head(), head);
        self.draw_banks(frame, table);
        frame.render_widget(Paragraph::new(self.notes()).wrap(Wrap { trim: true }), notes);
        self.draw_chart(frame, chart);
        self.draw_undecided(frame, undecided);
        let text = word!(
            "q ends  p pauses  s sorts by the next column  r reverses  ↑↓ scroll"
                / "q encerra  p pausa  s ordena pela próxima coluna  r inverte  ↑↓ rolam"
        );
        frame.render_widget(Paragraph::new(text).style(self.dim()), keys);
    }

    fn head(&self) -> Paragraph<'static> {
        let every = crate::watch::every_in_words(self.every);
        let now = crate::output::utc(Time(self.now_us));
        let now = now.split('.').next().unwrap_or_default();
        let banks = self.figures.banks.len();
        let text = say!(
            "{banks} banks · every {every} · {now} UTC"
                / "{banks} bancos · a cada {every} · {now} UTC"
        );
        let mut spans = vec![Span::raw(text)];
        if self.paused {
            spans.push(Span::styled(word!("  PAUSED" / "  PAUSADO"), self.coloured(Color::Yellow)));
        }
        Paragraph::new(Line::from(spans))
    }

    fn draw_banks(&self, frame: &mut Frame<'_>, area: Rect) {
        let all: u16 = COLUMNS.iter().map(|column| column.width + 1).sum();
        let shown: Vec<&BankColumn> =
            COLUMNS.iter().filter(|column| !column.spare || all <= area.width + 1).collect();
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
    fn notes(&self) -> Vec<Line<'static>> {
        let why = self.figures.banks.iter().filter_map(|bank| bank.why.clone());
        let mut lines: Vec<Line<'static>> =
            why.map(|why| Line::styled(why, self.coloured(Color::Red))).collect();
        if !self.has_steps {
            let why = word!(
                "no step log here: --logs names the folders, for latency, queue and syncs"
                    / "não há logs aqui: --logs dá as pastas, para tempo, fila e gravações"
            );
            lines.push(Line::styled(why, self.dim()));
        }
        lines
    }

    fn notes_height(&self) -> u16 {
        // A sentence about a bank may take two rows.
        let silent = self.figures.banks.iter().filter(|bank| bank.why.is_some()).count();
        u16::try_from(2 * silent + usize::from(!self.has_steps)).unwrap_or(u16::MAX)
    }

    fn draw_chart(&self, frame: &mut Frame<'_>, area: Rect) {
        let [title, chart] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
        let newest: Vec<u64> = {
            let width = usize::from(chart.width);
            let skipped = self.figures.history.len().saturating_sub(width);
            self.figures.history.iter().skip(skipped).copied().collect()
        };
        let now = newest.last().copied().unwrap_or(0);
        let most = newest.iter().max().copied().unwrap_or(0);
        let text = say!(
            "commits a second at the busiest bank: {now}, at most {most}"
                / "efetivadas por segundo no banco mais ativo: {now}, no máximo {most}"
        );
        frame.render_widget(Paragraph::new(text), title);
        let chart_of = Sparkline::default().data(&newest).style(self.coloured(Color::Green));
        frame.render_widget(chart_of, chart);
    }

    fn draw_undecided(&self, frame: &mut Frame<'_>, area: Rect) {
        let all = &self.figures.undecided;
        let bold = Style::default().add_modifier(Modifier::BOLD);
        if all.is_empty() {
            let none = word!(
                "no undecided transaction at the banks that answered"
                    / "nenhuma transação em aberto nos bancos que responderam"
            );
            frame.render_widget(Paragraph::new(none), area);
            return;
        }
        let scrolled = self.scrolled.min(all.len() - 1);
        let (at, count) = (scrolled + 1, all.len());
        let first = say!("undecided ({at} of {count})" / "em aberto ({at} de {count})");
        let rows = all.iter().skip(scrolled).map(|open| self.undecided_row(open));
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

    fn undecided_row(&self, open: &TopTransaction) -> Row<'static> {
        let waits_for = match open.waits_for.is_empty() {
            true => word!("its driver" / "o seu cliente").to_owned(),
            false => positions(&open.waits_for),
        };
        let age = age(open.since, self.now_us);
        Row::new([open.tx.clone(), age, positions(&open.held_by), waits_for])
    }

    fn coloured(&self, colour: Color) -> Style {
        if self.colours { Style::default().fg(colour) } else { Style::default() }
    }

    fn dim(&self) -> Style {
        Style::default().add_modifier(Modifier::DIM)
    }
}

/// The heading of a column, no wider than it.
fn heading_of(column: &BankColumn) -> &'static str {
    if lang() == Lang::En {
        return column.heading;
    }
    match column.heading {
        "bank" => "bco",
        "state" => "estado",
        "open" => "pend",
        "oldest" => "mais ant",
        "queue" => "fila",
        "held" => "reservado",
        other => other,
    }
}

/// Words begin at the left, figures end at the right.
fn side(column: &BankColumn) -> Alignment {
    if matches!(column.heading, "bank" | "state") { Alignment::Left } else { Alignment::Right }
}

fn number(value: Option<u64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn latency(bank: &BankFigures, of: fn((u64, u64)) -> u64) -> String {
    let latency = bank.steps.and_then(|steps| steps.latency_us);
    latency.map_or(String::new(), |latency| millis(of(latency)))
}

/// Milliseconds to a tenth, more exactly below 10.
fn millis(us: u64) -> String {
    decimals(&match us {
        0..10_000 => format!("{}.{:02}", us / 1_000, us % 1_000 / 10),
        _ => format!("{}.{}", us / 1_000, us % 1_000 / 100),
    })
}

/// Two units at most, so that it fits its column.
fn age(since: Time, now_us: i64) -> String {
    let ms = (now_us - since.0).max(0) / 1_000;
    let (s, m, h) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match (h, m, s) {
        (0, 0, 0) => format!("{ms} ms"),
        (0, 0, _) => decimals(&format!("{s}.{} s", ms % 1_000 / 100)),
        (0, _, _) => format!("{m} m {:02} s", s % 60),
        (..100, _, _) => format!("{h} h {:02} m", m % 60),
        _ => format!("{} d", h / 24),
    }
}

fn positions(banks: &[BankId]) -> String {
    let positions: Vec<String> = banks.iter().map(BankId::to_string).collect();
    let positions = positions.join(", ");
    say!("bank {positions}" / "banco {positions}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::meter::StepFigures;
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
    fn ages_fit_their_column() {
        for (seconds, text) in [
            (0, "570 ms"),
            (59, "59.5 s"),
            (3_599, "59 m 59 s"),
            (359_999, "99 h 59 m"),
            (360_000, "4 d"),
        ] {
            assert_eq!(age(Time(5), seconds * 1_000_000 + 570_005), text);
        }
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
        let wide = screen(&all, 120, false).join("\n");
        assert!(wide.contains("p50 ms") && wide.contains("no step log here"), "{wide}");
    }
}
