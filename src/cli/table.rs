//! Tables for people, no wider than the terminal.
//!
//! Where a table is too wide, its long text goes below each row, then columns are left out and
//! named, and only then cells are folded.

use super::language::{Lang, lang, say};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter};

/// The blanks between two columns.
const GAP: usize = 2;

/// The blanks before a text below its row.
const INDENT: &str = "      ";

/// The meaning of a text or cell, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    /// Refused, aborted, out of reach.
    Bad,
    Open,
    /// No meaning of its own.
    Plain,
}

/// A cell, with its meaning for its colour.
pub(crate) type ToneCell = (Tone, String);

/// The columns of a table, by their headings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TableLayout<'a> {
    pub headings: &'a [&'a str],
    /// Columns that are aligned to the right.
    pub right: &'a [&'a str],
    /// A column of text. Where the table is too wide, it stands below each row.
    pub below: Option<&'a str>,
    /// Columns that may be left out where the table is too wide, the first one first.
    pub spare: &'a [&'a str],
}

impl TableLayout<'_> {
    /// The table, at most `width` columns wide unless a single word is wider.
    pub(crate) fn draw(&self, has_colours: bool, width: usize, rows: Vec<Vec<ToneCell>>) -> String {
        let mut table = FittedTable { headings: self.headings.to_vec(), rows };
        let mut below = None;
        if table.width() > width
            && let Some(at) = self.below.and_then(|name| table.position(name))
        {
            below = Some(table.take(at));
        }
        let mut left_out = Vec::new();
        for name in self.spare {
            if table.width() > width
                && let Some(at) = table.position(name)
            {
                table.take(at);
                left_out.push(heading(name));
            }
        }
        let fits = table.width() <= width;
        let mut drawn = table.lines(has_colours, self.right, (!fits).then_some(width)).into_iter();
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line.trim_end());
            text.push('\n');
        };
        match below.filter(|_| fits) {
            None => drawn.for_each(|drawn| line(&drawn)),
            Some(below) => {
                drawn.by_ref().take(1).for_each(|drawn| line(&drawn));
                for (drawn, (tone, words)) in drawn.zip(below) {
                    line(&drawn);
                    let words = wrapped(&words, width.saturating_sub(INDENT.len()), "");
                    for words in words.into_iter().filter(|words| !words.is_empty()) {
                        line(&format!("{INDENT}{}", coloured(tone, &words, has_colours)));
                    }
                }
            }
        }
        if !left_out.is_empty() {
            let names = left_out.join(", ");
            line(&say!(
                "(a wider terminal also shows: {names})"
                    / "(um terminal mais largo mostra \
                    também: {names})"
            ));
        }
        text
    }
}

/// Columns and rows, while columns are taken out.
struct FittedTable<'a> {
    headings: Vec<&'a str>,
    rows: Vec<Vec<ToneCell>>,
}

impl FittedTable<'_> {
    fn position(&self, name: &str) -> Option<usize> {
        self.headings.iter().position(|heading| *heading == name)
    }

    /// Takes a column out, and returns its cells.
    fn take(&mut self, at: usize) -> Vec<ToneCell> {
        self.headings.remove(at);
        let cells = self.rows.iter_mut().filter(|row| at < row.len());
        cells.map(|row| row.remove(at)).collect()
    }

    /// The width of its widest line.
    fn width(&self) -> usize {
        let column = |(at, name): (usize, &&str)| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            let cells = cells.map(|(_, text)| display_width(text)).max().unwrap_or(0);
            cells.max(display_width(heading(name)))
        };
        let columns: usize = self.headings.iter().enumerate().map(column).sum();
        columns + GAP * self.headings.len().saturating_sub(1)
    }

    /// Its lines: one a row, or more where cells are folded to `fold` columns.
    fn lines(self, has_colours: bool, right: &[&str], fold: Option<usize>) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        match fold.map(u16::try_from) {
            Some(Ok(width)) => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width)
            }
            Some(Err(_)) | None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if has_colours {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(
            self.headings
                .iter()
                .map(|name| Cell::new(heading(name)).add_attribute(Attribute::Bold)),
        );
        for row in self.rows {
            table.add_row(row.into_iter().map(|(tone, text)| match tone {
                Tone::Good => Cell::new(text).fg(Color::Green),
                Tone::Bad => Cell::new(text).fg(Color::Red),
                Tone::Open => Cell::new(text).fg(Color::Yellow),
                Tone::Plain => Cell::new(text),
            }));
        }
        let last = self.headings.len().saturating_sub(1);
        for (at, name) in self.headings.iter().enumerate() {
            if let Some(column) = table.column_mut(at) {
                column.set_padding((0, if at == last { 0 } else { 2 }));
                if right.contains(name) {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        table.lines().collect()
    }
}

/// `text` in the colour of `tone`, if there are colours.
pub(crate) fn coloured(tone: Tone, text: &str, has_colours: bool) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Open => "33",
        Tone::Plain => return text.to_owned(),
    };
    if has_colours { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// A heading as people read it; programs get the English one.
fn heading(name: &str) -> &str {
    match lang() {
        Lang::En => name,
        Lang::Pt => in_portuguese(name).unwrap_or(name),
    }
}

fn in_portuguese(heading: &str) -> Option<&'static str> {
    let portuguese = match heading {
        "account" => "conta",
        "accounts" => "contas",
        "address" => "endereço",
        "aborted" => "abortadas",
        "available" => "disponível",
        "balance" => "saldo",
        "balances" => "saldos",
        "bank" => "banco",
        "banks" => "bancos",
        "cash in" => "entradas",
        "committed at" => "efetivada em",
        "folder" => "pasta",
        "held by" => "reservada por",
        "records" => "registros",
        "what is held" => "o que reserva",
        "cash out" => "saídas",
        "clients" => "clientes",
        "committed" => "efetivadas",
        "held" => "reservado",
        "held at" => "reservada em",
        "holders" => "titulares",
        "incoming" => "a receber",
        "kind" => "tipo",
        "links" => "ligações",
        "name" => "nome",
        "operations" => "operações",
        "outcome" => "resultado",
        "reason" => "motivo",
        "who" => "quem",
        "says" => "diz",
        "since" => "desde",
        "state" => "estado",
        "time" => "tempo",
        "transaction" => "transação",
        "transfers in" => "recebido",
        "transfers out" => "enviado",
        "undecided" => "pendentes",
        "verdict" => "resultado",
        "vote" => "voto",
        "waits for" => "espera",
        "began" => "início",
        "told after" => "avisada após",
        "settled after" => "em todos após",
        "most of it" => "a maior parte",
        "at" => "quando",
        "node" => "nó",
        "line" => "ligação",
        "step" => "passo",
        "took" => "tempo",
        "share" => "parte",
        "by" => "por",
        "what" => "o quê",
        "run" => "rodada",
        "detail" => "detalhe",
        "value" => "valor",
        _ => return None,
    };
    Some(portuguese)
}

/// The lines of `text`, wrapped between words to `width` columns; all but the first begin with
/// `indent`. A word that is wider stays whole, so that it can be copied.
pub(crate) fn wrapped(text: &str, width: usize, indent: &str) -> Vec<String> {
    let options = Options::new(width.max(1))
        .subsequent_indent(indent)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    // An amount stays on one line.
    let text = text.replace("R$ ", "R$\u{a0}");
    let lines = textwrap::wrap(&text, options).into_iter();
    lines.map(|line| line.replace('\u{a0}', " ")).collect()
}

/// `text` with each line wrapped to `width` columns.
pub(crate) fn wrapped_text(text: &str, width: usize) -> String {
    let mut all = String::new();
    for line in text.lines() {
        if display_width(line) <= width {
            all.push_str(line);
        } else {
            all.push_str(&wrapped(line, width, "  ").join("\n"));
        }
        all.push('\n');
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: TableLayout<'_> = TableLayout {
        headings: &["bank", "address", "vote", "reason", "time"],
        right: &["time"],
        below: Some("reason"),
        spare: &["address"],
    };

    fn rows() -> Vec<Vec<ToneCell>> {
        let long = "insufficient-funds: account 12345-6 has R$ 799,50 available";
        let row = |bank, reason| {
            let cells = [bank, "127.0.0.1:8886", "OK", reason, "0.400 ms"];
            cells.map(|text| (Tone::Plain, text.to_owned())).to_vec()
        };
        vec![row("0", long), row("2", "")]
    }

    #[test]
    fn a_table_that_fits_stays_as_it_is() {
        let text = LAYOUT.draw(false, 200, rows());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("bank  address         vote  reason "), "{text}");
        assert!(lines[1].ends_with("available  0.400 ms"), "{text}");
    }

    #[test]
    fn long_text_goes_below_its_row() {
        let text = LAYOUT.draw(false, 60, rows());
        assert_eq!(
            text,
            "bank  address         vote      time\n\
             0     127.0.0.1:8886  OK    0.400 ms\n      \
                   insufficient-funds: account 12345-6 has R$ 799,50\n      \
                   available\n\
             2     127.0.0.1:8886  OK    0.400 ms\n"
        );
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_and_named() {
        let text = LAYOUT.draw(false, 24, rows());
        assert!(text.starts_with("bank  vote      time\n0     OK    0.400 ms\n"), "{text}");
        assert!(text.ends_with("(a wider terminal also shows: address)\n"), "{text}");
    }

    #[test]
    fn cells_are_folded_where_nothing_else_helps() {
        let layout = TableLayout { below: None, spare: &[], ..LAYOUT };
        let text = layout.draw(false, 60, rows());
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.contains("R$ 799,50") || text.contains("799,50"), "{text}");
    }

    /// Headings that are the same in both languages: abbreviations, and names of the protocol.
    const SAME: [&str; 9] = ["cpf", "p50 ms", "p75", "p90", "p99", "p99.9", "p99.99", "max", "/s"];

    const SUMS: &str = "SUM_HEADINGS: [&str; 6] =\n    [";

    /// The texts between quotes of the list that begins behind `at`.
    fn listed(source: &str) -> Vec<&str> {
        let list = source.split(']').next().unwrap_or_default();
        list.split('"').skip(1).step_by(2).collect()
    }

    #[test]
    fn every_heading_has_its_portuguese() {
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
        let (mut found, mut missing) = (0, Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // Its headings are of rows alone, which are in English.
                if path.ends_with("table.rs") || path.ends_with("bench/report.rs") {
                    continue;
                }
                let source = std::fs::read_to_string(&path).unwrap();
                let lists = ["headings: &[", "headings = [", "HEADINGS: [&str; 4] = [", SUMS];
                let lists = lists.iter().flat_map(|begin| source.split(begin).skip(1));
                for name in lists.flat_map(listed) {
                    found += 1;
                    if in_portuguese(name).is_none() && !SAME.contains(&name) {
                        missing.push(format!("{}: {name}", path.display()));
                    }
                }
            }
        }
        assert!(found > 40, "{found} headings");
        assert_eq!(missing, [""; 0], "add them to in_portuguese, or to SAME");
    }

    #[test]
    fn prose_is_wrapped_between_words() {
        let line = "aborted: bank 0 refused. Nothing changed at any bank.\n";
        assert_eq!(
            wrapped_text(line, 30),
            "aborted: bank 0 refused.\n  Nothing changed at any bank.\n"
        );
        assert_eq!(wrapped_text(&format!("a\n\n{}\n", "x".repeat(50)), 20).lines().count(), 3);
    }
}
