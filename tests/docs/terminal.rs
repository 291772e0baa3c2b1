//! Replays the examples of `docs/TERMINAL.md` against three real banks, each on a terminal of its
//! own, in the order of the page: what is typed there is typed here, and what it shows is seen.
//!
//! In the page `...` at the end of a line stands for its rest, and alone for any lines.

use crate::protocol::tour::{self, Tour, TourCommand};
use crate::support::DEADLINE;
use crate::support::terminal::{Terminal, plain_text};
use std::time::Instant;

const PAGE: &str = include_str!("../../docs/TERMINAL.md");
/// Wide enough for the tables of the page.
const COLUMNS: u16 = 160;
const PROMPT: &str = "cliente> ";

/// What README has done before: two accounts, one with money.
const BEFORE: [&str; 4] = [
    "cliente client add --bank 0 --cpf 11111111111 --name \"Maria Souza\"",
    "cliente client add --bank 2 --cpf 33333333333 --name \"Clara Dias\"",
    "cliente account open 0/12345-6 --cpf 11111111111 --deposit 1000",
    "cliente account open 2/78910-0 --cpf 33333333333",
];

/// The first line of the page that is not among the shown ones, in their order.
fn missing<'a>(tour: &Tour, expected: &[&'a str], shown: &str) -> Option<&'a str> {
    let shown: Vec<String> = shown.lines().map(|line| tour.normalised(line)).collect();
    let mut shown = shown.iter();
    let mut wanted = expected.iter().filter(|line| !line.trim().is_empty() && **line != "...");
    wanted
        .find(|line| {
            let plain = tour::plain(line);
            match plain.strip_suffix("...") {
                Some(begin) => !shown.any(|found| found.starts_with(begin.trim_end())),
                None => !shown.any(|found| *found == plain),
            }
        })
        .copied()
}

/// Waits until the terminal has shown these lines.
fn wait_for(tour: &Tour, terminal: &mut Terminal, expected: &[&str]) {
    let until = Instant::now() + DEADLINE;
    loop {
        // A round of --watch is written into a screen, line by line, without ends of lines.
        let shown = plain_text(terminal.seen());
        let lines = missing(tour, expected, &terminal.screen());
        match lines.and_then(|_| missing(tour, expected, &shown)) {
            None => return,
            Some(line) => assert!(
                Instant::now() < until && terminal.wait_more(),
                "TERMINAL.md shows {line:?}, and the terminal:\n{shown}"
            ),
        }
    }
}

/// Starts a command of the page in place of its shell, which Ctrl-C would end as well.
fn on_terminal(tour: &Tour, command: &str) -> Terminal {
    Terminal::start(&tour.command(&format!("exec {command}")), COLUMNS)
}

/// Types the lines of the page's shell, and waits for the output of each.
fn replay_shell(tour: &Tour, typed: &TourCommand<'_>) {
    let mut terminal = on_terminal(tour, typed.command);
    let mut expected: Vec<&str> = Vec::new();
    let mut lines = 0;
    for line in &typed.prints {
        let Some(keys) = line.strip_prefix(PROMPT) else {
            expected.push(line);
            continue;
        };
        wait_for(tour, &mut terminal, &expected);
        expected.clear();
        terminal.expect(PROMPT);
        terminal.type_keys(&format!("{keys}\r"));
        lines += 1;
    }
    assert!(lines >= 3, "{typed:?}");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn the_examples_of_the_terminal_page_are_true() {
    let tour = Tour::start();
    for command in BEFORE {
        let (code, printed) = tour.run(command);
        assert_eq!(code, Some(0), "{command}: {printed}");
    }
    let mut replayed = 0;
    for typed in tour::commands(PAGE) {
        replayed += 1;
        match typed.command {
            "cliente shell" => replay_shell(&tour, &typed),
            "cat pay.txt" => tour.write("pay.txt", &typed.prints.join("\n")),
            command if command.starts_with("cliente shell -f") => {
                let (code, printed) = tour.run(&format!("{command} 2>&1"));
                assert_eq!(code, Some(4), "{printed}");
                assert_eq!(missing(&tour, &typed.prints, &printed), None, "{printed}");
            }
            command => {
                let mut terminal = on_terminal(&tour, command);
                if command.starts_with("cliente monitor") {
                    wait_for(&tour, &mut terminal, &typed.prints[..1]);
                    let pay = "cliente transfer --from 0/12345-6=1 --to 2/78910-0 --tx t2";
                    assert_eq!(tour.run(pay).0, Some(0));
                }
                wait_for(&tour, &mut terminal, &typed.prints);
                terminal.type_keys("\x03");
                assert_eq!(terminal.end().0, Some(0), "{command}");
            }
        }
    }
    assert_eq!(replayed, 5, "commands of the page");
}
