//! The lines of a monitor: for people in aligned columns, coloured by event; for programs as rows
//! or JSON.

use crate::language::say;
use crate::output::{OutputForm, Paint, columns_of, json, plain};
use consorcio_core::ids::Time;
use consorcio_steps::follow::FollowedStep;
use consorcio_system::logging::step_colour;
use serde::Serialize;
use std::io::{self, IsTerminal};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Turns steps into lines of the chosen form.
pub(super) struct StepLines {
    paint: Paint,
    /// Whether lines are cut at the width of the terminal.
    cuts: bool,
}

#[derive(Serialize)]
struct StepDocument<'a> {
    at_us: i64,
    node: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank: Option<u8>,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    /// The bank at the other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<u8>,
    detail: &'a str,
}

const HEADINGS: [&str; 8] =
    ["time", "node", "bank", "event", "transaction", "peer", "other", "detail"];

impl StepLines {
    pub(super) fn new(paint: Paint, wide: bool) -> StepLines {
        StepLines { paint, cuts: !wide && io::stdout().is_terminal() }
    }

    /// The headings of rows.
    pub(super) fn headings(&self) -> String {
        if self.paint.is_rows() {
            self.paint.table(&HEADINGS, &[], Vec::new())
        } else {
            String::new()
        }
    }

    /// Appends the line of a step.
    pub(super) fn write(&self, step: &FollowedStep, text: &mut String) {
        match self.paint.form() {
            OutputForm::Json => {
                text.push_str(&json(&document(step)));
                text.push('\n');
            }
            OutputForm::Tsv => {
                let rows = self.paint.table(&HEADINGS, &[], vec![self.cells(step)]);
                text.push_str(rows.split_once('\n').map_or("", |(_, row)| row));
            }
            OutputForm::Table => {
                let line = line(step);
                let line = if self.cuts { cut(&line, columns_of(&io::stdout())) } else { line };
                text.push_str(&self.coloured(step, &line));
                text.push('\n');
            }
        }
    }

    fn cells(&self, step: &FollowedStep) -> Vec<(crate::output::Tone, String)> {
        let number = |bank: Option<u8>| plain(bank.map_or(String::new(), |bank| bank.to_string()));
        vec![
            self.paint.time(Time(step.at_us)),
            plain(&step.node.name),
            number(step.node.bank),
            plain(&step.event),
            plain(step.tx.as_deref().unwrap_or_default()),
            plain(step.peer.as_deref().unwrap_or_default()),
            number(step.other),
            plain(&step.detail),
        ]
    }

    /// The line with the event in its colour, as `servidor -v` shows it.
    fn coloured(&self, step: &FollowedStep, line: &str) -> String {
        let colour = step_colour(&step.event, &step.detail).filter(|_| self.paint.has_colours());
        let event = line.get(EVENT_AT..).map(|rest| rest.len().min(step.event.len()));
        match (colour, event) {
            (Some(colour), Some(length)) => {
                let (before, rest) = line.split_at(EVENT_AT);
                let (event, rest) = rest.split_at(length);
                format!("{before}\x1b[{colour}m{event}\x1b[0m{rest}")
            }
            (None, _) | (_, None) => line.to_owned(),
        }
    }
}

/// Columns before the event: the time of day, and the node.
const EVENT_AT: usize = 15 + 1 + NODE_WIDTH + 1;
const NODE_WIDTH: usize = 9;

/// A line such as `06:56:56.883189 bank 0    vote      t1 OK …`.
fn line(step: &FollowedStep) -> String {
    let time = crate::output::utc(Time(step.at_us));
    let time = time.split(' ').nth(1).unwrap_or_default();
    let node = step
        .node
        .bank
        .map_or_else(|| step.node.name.clone(), |bank| say!("bank {bank}" / "banco {bank}"));
    // Names of nodes are plain ASCII; a long one keeps its end, which tells it from others.
    let node: String = match node.char_indices().rev().nth(NODE_WIDTH - 1) {
        Some((at, _)) if node.is_ascii() => node[at..].to_owned(),
        Some(_) | None => node,
    };
    let other = match (step.other, &step.peer) {
        (Some(bank), _) => say!("bank {bank}" / "banco {bank}"),
        (None, Some(peer)) => peer.clone(),
        (None, None) => String::new(),
    };
    let rest = [step.tx.as_deref().unwrap_or_default(), &other, &step.detail];
    let rest: Vec<&str> = rest.into_iter().filter(|part| !part.is_empty()).collect();
    let line = format!("{time:15} {node:NODE_WIDTH$} {:10} {}", step.event, rest.join(" "));
    line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The line, or as much of it as fits.
fn cut(line: &str, columns: usize) -> String {
    if line.width() <= columns {
        return line.to_owned();
    }
    let mut width = 1;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width <= columns
    };
    line.chars().take_while(fits).chain(['…']).collect()
}

fn document(step: &FollowedStep) -> StepDocument<'_> {
    StepDocument {
        at_us: step.at_us,
        node: &step.node.name,
        bank: step.node.bank,
        event: &step.event,
        tx: step.tx.as_deref(),
        peer: step.peer.as_deref(),
        other: step.other,
        detail: &step.detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_steps::follow::FollowedNode;
    use std::sync::Arc;

    fn step(name: &str, bank: Option<u8>) -> FollowedStep {
        FollowedStep {
            at_us: 1_795_330_616_832_238,
            node: Arc::new(FollowedNode { name: name.to_owned(), bank }),
            event: "vote".to_owned(),
            tx: Some("t1".to_owned()),
            peer: Some("127.0.0.1:8887".to_owned()),
            other: Some(1),
            detail: "OK seq=10".to_owned(),
        }
    }

    #[test]
    fn people_get_aligned_columns() {
        assert_eq!(
            line(&step("servidor-8886", Some(0))),
            "06:56:56.832238 bank 0    vote       t1 bank 1 OK seq=10"
        );
        assert_eq!(&line(&step("cliente-demo-12", None))[..27], "06:56:56.832238 e-demo-12 v");
        assert_eq!(line(&step("n", Some(0))).find("vote"), Some(EVENT_AT));
    }

    #[test]
    fn long_lines_are_cut_by_columns() {
        assert_eq!(cut("ação", 4), "ação");
        assert_eq!(cut("ações", 4), "açõ…");
        assert_eq!(cut("abc", 1), "…");
    }

    #[test]
    fn programs_get_rows() {
        let lines = StepLines { paint: Paint::ROWS, cuts: false };
        let mut text = lines.headings();
        lines.write(&step("servidor-8886", Some(0)), &mut text);
        assert_eq!(text.lines().next().unwrap(), HEADINGS.join("\t"));
        assert_eq!(
            text.lines().nth(1).unwrap().split('\t').collect::<Vec<_>>(),
            [
                "2026-11-22T06:56:56.832238Z",
                "servidor-8886",
                "0",
                "vote",
                "t1",
                "127.0.0.1:8887",
                "1",
                "OK seq=10"
            ]
        );
    }
}
