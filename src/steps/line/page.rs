//! The page `docs/LOGS.md`: its examples are lines that this version writes, one of each event.

use super::{Entry, Formatter, LogLine, Step};
use std::collections::BTreeSet;
use std::path::Path;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/LOGS.md");
    std::fs::read_to_string(path).unwrap()
}

fn rewritten(formatter: &mut Formatter, example: &str) -> (Step, String) {
    let line = LogLine::parse(example.as_bytes()).unwrap_or_else(|| panic!("{example}"));
    let step = line.step().unwrap_or_else(|| panic!("no step: {example}"));
    let mut out = Vec::new();
    formatter.write(&mut out, &Entry { at_us: line.at_us, step: step.clone() });
    (step, String::from_utf8(out).unwrap().trim_end_matches('\n').to_owned())
}

#[test]
fn each_event_has_an_example_that_is_written_like_that() {
    let page = page();
    let mut shown = BTreeSet::new();
    let places: Vec<String> = (8886..8889).map(|port| format!("127.0.0.1:{port}")).collect();
    for example in page.lines().filter(|line| line.starts_with("2026-")) {
        let (step, written) = rewritten(&mut Formatter::new(places.clone()), example);
        assert_eq!(written, example);
        assert!(example.chars().count() <= 100, "wider than 100 columns: {example}");
        shown.insert(step.event());
    }
    let all: BTreeSet<&str> = Step::EVENTS.iter().copied().collect();
    assert_eq!(shown, all, "the events of the page and of the table");
    let objects: Vec<&str> = page.lines().filter(|line| line.starts_with("{\"at\"")).collect();
    assert!(!objects.is_empty());
    for example in objects {
        assert_eq!(rewritten(&mut Formatter::json(places.clone()), example).1, example);
    }
}
