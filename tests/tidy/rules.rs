//! The house rules for one Rust file.

/// A longer file does more than one job.
const LINES_MAX: usize = 700;

/// Files that are longer, and how long they may get. Split them instead of adding to this list.
const LONGER: [(&str, usize); 0] = [];

/// What is wrong with the Rust file at `path` (from the project's folder, with `/`).
pub fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!(
            "{path}: must begin with `//!`, which says what lives here and what does not"
        ));
    }
    let lines_max =
        LONGER.iter().find(|(long, _)| *long == path).map_or(LINES_MAX, |(_, max)| *max);
    if text.lines().count() > lines_max {
        faults.push(format!("{path}: longer than {lines_max} lines"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_what_it_is() {
        let found = faults("src/server/x.rs", "use std::fmt;\n//! Late.\n");
        assert!(found[0].contains("must begin with `//!`"), "{found:?}");
    }

    #[test]
    fn a_file_has_an_end() {
        let lines = |count: usize| "//! x\n".repeat(count);
        assert_eq!(faults("src/server/x.rs", &lines(LINES_MAX)), [""; 0]);
        assert!(faults("src/server/x.rs", &lines(LINES_MAX + 1))[0].contains("longer than 700"));
        for (long, max) in LONGER {
            assert_eq!(faults(long, &lines(max)), [""; 0]);
            assert!(faults(long, &lines(max + 1))[0].contains("longer than"));
        }
    }
}
