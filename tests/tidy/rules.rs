//! The rules for a single Rust file: its first line, its length and width, its doc comments, and
//! its bounds.

use crate::tidy::code::{Lexeme, code_of, tokens_of};

/// A longer file does more than one job.
pub const LINES_MAX: usize = 400;

/// Two files fit beside each other on one screen, and a diff needs no scrolling.
pub const COLUMNS_MAX: usize = 100;

/// A doc comment of fewer words only repeats the name of its item.
const DOC_WORDS_MIN: usize = 4;

/// Words in a constant's name that make it a bound.
const BOUNDS: [&str; 10] =
    ["MAX", "MIN", "US", "MS", "BYTES", "WITHIN", "EVERY", "AFTER", "TIMEOUT", "PAUSE"];

/// Files whose numbers are the layout of a journal on disk, and no bounds.
const LAYOUTS: [&str; 4] = [
    "src/journal/filter.rs",
    "src/journal/format.rs",
    "src/journal/index/",
    "src/journal/snapshot.rs",
];

/// A constant that is a point in time, not a bound.
const MOMENT: &str = "RELEASED_US";

/// Checks that the file at `path` begins with its documentation.
pub fn beginning(path: &str, text: &str) -> Vec<String> {
    if text.starts_with("//!") {
        return Vec::new();
    }
    vec![format!("{path}: must begin with `//!` and a description of the file")]
}

/// Checks that the file has at most `lines_max` lines.
pub fn length(path: &str, text: &str, lines_max: usize) -> Vec<String> {
    let lines = text.lines().count();
    if lines <= lines_max {
        return Vec::new();
    }
    vec![format!("{path}: {lines} lines, at most {lines_max}: split it")]
}

/// Lines of the file that are too wide, strings and comments included. A raw format string (`{{`)
/// is exempt: a line break would be part of it, and with `concat!` it could not capture variables.
pub fn columns(path: &str, text: &str) -> Vec<String> {
    let wide = |line: &str| line.chars().count() > COLUMNS_MAX;
    let whole = |line: &str| line.contains("r#\"") && line.contains("{{");
    let lines = text.lines().enumerate().filter(|(_, line)| wide(line) && !whole(line));
    lines.map(|(at, _)| format!("{path}:{}: wider than {COLUMNS_MAX} columns", at + 1)).collect()
}

/// Doc comments with fewer than `DOC_WORDS_MIN` words.
pub fn short_docs(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut doc: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("///"), &mut doc) {
            (Some(more), Some((_, doc))) => doc.push_str(more),
            (Some(more), None) => doc = Some((at + 1, more.to_owned())),
            (None, Some((line, words))) => {
                if words.split_whitespace().count() < DOC_WORDS_MIN {
                    let words = words.trim();
                    faults.push(format!("{path}:{line}: `{words}` only repeats the name"));
                }
                doc = None;
            }
            (None, None) => {}
        }
    }
    faults
}

/// Bounds that the file defines: constants outside of tests that are a `Duration`, or a number with
/// a word of `BOUNDS` in its name, and that have a literal in their value. Values computed from
/// other constants alone are exempt.
pub fn bounds(path: &str, text: &str) -> Vec<String> {
    if LAYOUTS.iter().any(|layout| path.starts_with(layout)) {
        return Vec::new();
    }
    let tokens = tokens_of(&code_of(before_tests(text)));
    let consts = tokens.iter().enumerate().filter(|(_, token)| token.1 == "const");
    consts
        .filter_map(|(at, _)| bound_at(&tokens[at + 1..]))
        .map(|(line, name)| {
            format!("{path}:{line}: {name} is a bound: move it to `consorcio_core::limits`")
        })
        .collect()
}

/// Whether the file at `path` may define bounds.
pub fn is_limits(path: &str) -> bool {
    path == "src/core/limits.rs" || path.starts_with("src/core/limits/")
}

/// Whether the file at `path` holds unit tests only.
pub fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs")
}

/// The part of a file before its unit tests.
pub fn before_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

/// The line and the name of the constant whose tokens follow `const`, if it is a bound.
fn bound_at(tokens: &[Lexeme]) -> Option<(usize, &str)> {
    let [(line, name), (_, colon), ..] = tokens else { return None };
    if colon != ":" || name == "_" || name == MOMENT {
        return None;
    }
    let end = tokens.iter().position(|token| token.1 == ";")?;
    let begin = tokens[..end].iter().position(|token| token.1 == "=")?;
    let types: Vec<&str> = tokens[2..begin].iter().map(|token| token.1.as_str()).collect();
    let is_bound = match types[..] {
        ["Duration"] => true,
        ["u8" | "u16" | "u32" | "u64" | "usize" | "i64"] => {
            name.split('_').any(|word| BOUNDS.contains(&word))
        }
        _ => false,
    };
    let literal = |token: &Lexeme| token.1.starts_with(|c: char| c.is_ascii_digit());
    (is_bound && tokens[begin..end].iter().any(literal)).then_some((*line, name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_documentation_is_found() {
        assert_eq!(beginning("x.rs", "//! Early.\nuse std::fmt;\n"), [""; 0]);
        let found = beginning("x.rs", "use std::fmt;\n//! Late.\n");
        assert!(found[0].contains("must begin with `//!`"), "{found:?}");
    }

    #[test]
    fn a_long_file_is_found() {
        let lines = |count: usize| "//! x\n".repeat(count);
        assert_eq!(length("x.rs", &lines(LINES_MAX), LINES_MAX), [""; 0]);
        let found = length("x.rs", &lines(LINES_MAX + 1), LINES_MAX);
        assert!(found[0].contains("401 lines, at most 400"), "{found:?}");
    }

    #[test]
    fn width_is_counted_in_characters() {
        let wide = |count: usize| format!("//! x\n// {}\n", "é".repeat(count - 3));
        assert_eq!(columns("x.rs", &wide(COLUMNS_MAX)), [""; 0]);
        let found = columns("x.rs", &wide(COLUMNS_MAX + 1));
        assert!(found.len() == 1 && found[0].starts_with("x.rs:2:"), "{found:?}");
        let raw = |what: &str| format!("//! x\nr#\"{what}{}\"#\n", "a".repeat(COLUMNS_MAX));
        assert_eq!(columns("x.rs", &raw("{{")), [""; 0]);
        assert_eq!(columns("x.rs", &raw("{")).len(), 1);
    }

    #[test]
    fn a_short_doc_comment_is_found() {
        let found = short_docs("x.rs", "struct A {\n    /// The value.\n    value: u8,\n}\n");
        assert!(found.len() == 1 && found[0].starts_with("x.rs:2:"), "{found:?}");
        let fine =
            "/// In whole centavos, at\n/// most 2^53.\nvalue: u8,\n// The value.\nfn f() {}\n";
        assert_eq!(short_docs("x.rs", fine), [""; 0]);
        assert_eq!(short_docs("x.rs", "/// One\n/// two\n/// three four.\nfn f() {}\n"), [""; 0]);
    }

    #[test]
    fn a_bound_outside_of_limits_is_found() {
        for bound in [
            "const FILE_BYTES_MAX: u64 = 256 * 1024;",
            "pub(super) const READ_WITHIN_MS: u32 = 3;",
            "impl A {\n    pub const AFTER: usize = OTHER + 1;\n}",
            "fn f() {\n    const REST: Duration = Duration::from_secs(1);\n}",
        ] {
            assert_eq!(bounds("x.rs", bound).len(), 1, "{bound}");
        }
        for none in [
            "const REST: Duration = Duration::from_millis(REST_MS);",
            "const HALF_BYTES_MAX: usize = A_BYTES_MAX / B;",
            "const MAXIMAL: usize = 3;",
            "const HEADINGS_MAX: [&str; 2] = [\"a\", \"b\"];",
            "const fn a_ms_max() -> u64 { 1 }",
            "const _: () = assert!(A_MAX > 1);",
            "// const A_MAX: u64 = 1;",
            "#[cfg(test)]\nmod tests {\n    const A_MAX: u64 = 1;\n}",
        ] {
            assert_eq!(bounds("x.rs", none), [""; 0], "{none}");
        }
        assert_eq!(bounds("src/journal/format.rs", "const A_BYTES: u64 = 8;"), [""; 0]);
    }
}
