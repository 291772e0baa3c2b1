//! `scripts/instructions.sh` compares counts with a table: a slowdown must not pass. The counts of
//! these tests are made up; those of the real rows need valgrind, and `.ci/run` makes them.

use super::root;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const TABLE: &str = "# Explains the table.\n# tools: rustc 1, valgrind-1\n\
                     parse.prepare             1000  a first reason\n\
                     reply.commit              2000  another reason\n";

/// Counts as the script makes them, with a planted row that is slower by a twentieth.
fn counts(tools: &str, parse: u32, reply: u32) -> String {
    format!(
        "tools {tools}\nparse.prepare {parse}\nplanted.parse_prepare {}\nreply.commit {reply}\n",
        parse + parse / 20
    )
}

struct Guard(TempDir);

impl Guard {
    fn new(table: &str) -> Guard {
        let guard = Guard(tempfile::tempdir().unwrap());
        fs::write(guard.path("table"), table).unwrap();
        guard
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The exit code and all output for these counts.
    fn run(&self, counts: &str, more: &[&str]) -> (Option<i32>, String) {
        fs::write(self.path("counts"), counts).unwrap();
        let paths: [&Path; 2] = [&self.path("table"), &self.path("counts")];
        let mut script = Command::new(root().join("scripts/instructions.sh"));
        script.arg("--table").arg(paths[0]).arg("--counts").arg(paths[1]).args(more);
        let run = script.output().unwrap();
        let output = [run.stdout, run.stderr].concat();
        (run.status.code(), String::from_utf8_lossy(&output).into_owned())
    }
}

const TOOLS: &str = "rustc 1, valgrind-1";

#[test]
fn a_row_may_grow_by_two_percent_and_no_more() {
    let guard = Guard::new(TABLE);
    let (code, output) = guard.run(&counts(TOOLS, 1_020, 1_000), &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("shrank"), "{output}");
    let (code, output) = guard.run(&counts(TOOLS, 1_021, 2_000), &[]);
    assert_eq!(code, Some(1), "{output}");
    let grew: Vec<&str> = output.lines().filter(|line| line.ends_with("grew")).collect();
    assert!(grew.len() == 1 && grew[0].starts_with("parse.prepare"), "{output}");
    assert!(output.contains("--update"), "{output}");
}

#[test]
fn a_planted_slowdown_that_is_not_found_fails() {
    let blind = counts(TOOLS, 1_000, 2_000).replace("prepare 1050", "prepare 1020");
    let (code, output) = Guard::new(TABLE).run(&blind, &[]);
    assert!(code == Some(1) && output.contains("planted slowdown is not found"), "{output}");
}

#[test]
fn every_row_has_a_line_and_every_line_a_row() {
    let guard = Guard::new(TABLE);
    let (code, output) = guard.run(&(counts(TOOLS, 1_000, 2_000) + "log.vote 7\n"), &[]);
    assert!(code == Some(1) && output.contains("no line in the table"), "{output}");
    let without = counts(TOOLS, 1_000, 2_000).replace("reply.commit 2000\n", "");
    let (code, output) = guard.run(&without, &[]);
    assert!(code == Some(1) && output.contains("it was not counted"), "{output}");
}

#[test]
fn an_update_keeps_the_lines_that_did_not_change() {
    let guard = Guard::new(TABLE);
    let grown = counts("rustc 2, valgrind-1", 1_100, 2_001);
    let (code, output) = guard.run(&grown, &["--update", "tokens are longer"]);
    assert_eq!(code, Some(0), "{output}");
    let table = fs::read_to_string(guard.path("table")).unwrap();
    assert_eq!(
        table,
        "# Explains the table.\n# tools: rustc 2, valgrind-1\n\
         parse.prepare             1100  tokens are longer\n\
         reply.commit              2000  another reason\n"
    );
    assert_eq!(guard.run(&grown, &[]).0, Some(0));
}

/// Another compiler makes other code, so a difference says nothing about the change.
#[test]
fn counts_of_other_tools_are_not_compared() {
    let guard = Guard::new(TABLE);
    let (code, output) = guard.run(&counts("rustc 2, valgrind-1", 1_100, 2_000), &[]);
    assert!(code == Some(3) && output.contains("can not be compared"), "{output}");
    let (code, output) = guard.run(&counts("rustc 2, valgrind-1", 1_010, 2_000), &[]);
    assert!(code == Some(0) && output.contains("rustc 2"), "{output}");
}

#[test]
fn the_script_checks_its_arguments() {
    for (arguments, named) in [
        (&["--no-such-switch"][..], "unknown: --no-such-switch"),
        (&["--update"], "--update needs a value"),
        (&["--update", ""], "--update needs a value"),
    ] {
        let (code, output) = Guard::new(TABLE).run("", arguments);
        assert!(code == Some(2) && output.starts_with(named), "{arguments:?}: {output}");
    }
}
