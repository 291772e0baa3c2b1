//! The columns of the banks on the screen, and which of them fit a terminal.

use super::figures::BankFigures;
use super::sorting::SortColumn;
use crate::language::{Lang, lang};
use crate::output::decimals;
use consorcio_core::ids::Time;
use consorcio_core::money::Total;
use ratatui::layout::Alignment;

/// A column of the banks.
pub(super) struct BankColumn {
    pub heading: &'static str,
    pub width: u16,
    /// The column of the keys that sort by it.
    pub sorts: Option<SortColumn>,
    /// Where not all fit, the columns with the greatest number are left out first; 0 never.
    spare: u8,
    pub cell: fn(&BankFigures, i64) -> String,
}

const COLUMNS: [BankColumn; 12] = [
    column("bank", 4, 0, Some(SortColumn::Position), |bank, _| bank.bank.to_string()),
    column("state", 10, 0, None, |bank, _| bank.state.clone()),
    column("tx/s", 5, 0, Some(SortColumn::Committed), |bank, _| number(bank.committed_per_s)),
    column("nok/s", 5, 4, None, |bank, _| number(bank.aborted_per_s)),
    column("p50 ms", 7, 8, None, |bank, _| latency(bank, |(half, _)| half)),
    column("p99 ms", 7, 3, Some(SortColumn::Latency), |bank, _| latency(bank, |(_, most)| most)),
    column("open", 5, 1, Some(SortColumn::Undecided), |bank, _| {
        if bank.is_online { bank.undecided.to_string() } else { String::new() }
    }),
    column("oldest", 9, 5, None, |bank, now| {
        bank.oldest.map_or(String::new(), |since| age(since, now))
    }),
    column("queue", 5, 6, Some(SortColumn::UnderWay), |bank, _| {
        bank.steps.map_or(String::new(), |steps| steps.under_way.to_string())
    }),
    column("sync/s", 6, 7, Some(SortColumn::Syncs), |bank, _| {
        bank.steps.map_or(String::new(), |steps| steps.syncs_per_s.to_string())
    }),
    column("sync ms", 7, 9, None, |bank, _| {
        bank.steps.and_then(|steps| steps.sync_us).map_or(String::new(), millis)
    }),
    column("held", 15, 2, Some(SortColumn::Held), |bank, _| {
        if bank.is_online { Total(bank.held).to_string() } else { String::new() }
    }),
];

const fn column(
    heading: &'static str,
    width: u16,
    spare: u8,
    sorts: Option<SortColumn>,
    cell: fn(&BankFigures, i64) -> String,
) -> BankColumn {
    BankColumn { heading, width, sorts, spare, cell }
}

/// The columns that fit so many columns of a terminal, in their order.
pub(super) fn fitting(columns: u16) -> Vec<&'static BankColumn> {
    let mut shown: Vec<&BankColumn> = COLUMNS.iter().collect();
    let width = |shown: &[&BankColumn]| shown.iter().map(|column| column.width + 1).sum::<u16>();
    while width(&shown) > columns + 1
        && let Some(spare) =
            shown.iter().map(|column| column.spare).max().filter(|spare| *spare > 0)
    {
        shown.retain(|column| column.spare != spare);
    }
    shown
}

/// The heading of a column, no wider than it.
pub(super) fn heading_of(column: &BankColumn) -> &'static str {
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
pub(super) fn side(column: &BankColumn) -> Alignment {
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
pub(super) fn age(since: Time, now_us: i64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn columns_are_left_out_where_a_terminal_is_narrow() {
        let names = |columns| fitting(columns).iter().map(|it| it.heading).collect::<Vec<_>>();
        assert_eq!(names(120).len(), 12);
        assert_eq!(names(40), ["bank", "state", "tx/s", "open"]);
        assert_eq!(names(20), ["bank", "state", "tx/s"]);
        for columns in [30, 40, 50, 60, 80] {
            let shown = fitting(columns);
            let width: u16 = shown.iter().map(|column| column.width + 1).sum();
            assert!(width <= columns + 1, "{columns}");
            for column in shown {
                assert!(heading_of(column).chars().count() <= usize::from(column.width));
            }
        }
    }
}
