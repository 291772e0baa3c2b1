//! The house rules, as a test: all that can be checked about the project's files without running them.
//!
//! Each rule is tried on something that breaks it, beside the rule itself.

mod code;
mod rules;
mod texts;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use texts::Page;

/// Folders that the project makes and does not keep.
const NOT_OURS: [&str; 5] = [".git", "target", "data", "logs", "proptest-regressions"];

/// Text files that are looked at, by how their names end.
const TEXTS: [&str; 6] = ["rs", "md", "toml", "sh", "yml", "yaml"];

/// Reads the file at `path`, from the project's folder.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder`, both from the project's folder.
fn files_below(folder: &str, found: &mut Vec<String>) {
    let entries = fs::read_dir(root().join(folder)).expect("the project's folders can be read");
    let mut names: Vec<(String, bool)> = entries
        .map(|entry| {
            let entry = entry.expect("... and what is in them");
            (entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir())
        })
        .collect();
    names.sort();
    for (name, is_folder) in names {
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if !is_folder {
            found.push(path);
        } else if !NOT_OURS.contains(&name.as_str()) {
            files_below(&path, found);
        }
    }
}

fn texts() -> Vec<Page> {
    let mut files = Vec::new();
    files_below("", &mut files);
    let is_text = |path: &String| {
        let end = Path::new(path).extension().map(|end| end.to_string_lossy().into_owned());
        end.is_some_and(|end| TEXTS.contains(&end.as_str())) || path.starts_with(".ci/")
    };
    files.into_iter().filter(is_text).map(|path| Page { text: read(&path), path }).collect()
}

#[track_caller]
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_rust_file_keeps_the_rules() {
    let pages = texts();
    let rust: Vec<&Page> = pages.iter().filter(|page| page.path.ends_with(".rs")).collect();
    // A walk that finds nothing finds no fault either.
    for known in ["src/core/bank/mod.rs", "bin/servidor.rs", "tests/tidy/main.rs"] {
        assert!(rust.iter().any(|page| page.path == known), "{known} was not looked at");
    }
    none(rust.iter().flat_map(|page| rules::faults(&page.path, &page.text)).collect());
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let pages = texts();
    assert!(
        pages.iter().any(|page| page.path == "Cargo.toml") && pages.iter().any(|page| page.path == ".ci/run")
    );
    none(pages.iter().flat_map(|page| texts::machine_paths(&page.path, &page.text)).collect());
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let pages: Vec<Page> = texts().into_iter().filter(|page| page.path.ends_with(".md")).collect();
    for known in ["README.md", "docs/ARCHITECTURE.md", "docs/PROTOCOL.md"] {
        assert!(pages.iter().any(|page| page.path == known), "{known} was not looked at");
    }
    none(texts::dead_links(&pages, |path| root().join(path).exists()));
}

/// The commands that README names first are there, and can be run.
#[test]
fn scripts_can_be_run() {
    let mut files = Vec::new();
    files_below("", &mut files);
    let scripts = files.iter().filter(|path| path.starts_with("scripts/") || *path == ".ci/run");
    for script in scripts {
        let mode = fs::metadata(root().join(script)).unwrap().permissions().mode();
        assert!(mode & 0o111 != 0, "{script} can't be executed");
        let text = read(script);
        assert!(text.starts_with("#!"), "{script} does not say what runs it");
    }
}

/// The comparison needs PostgreSQL and minutes; what it takes and refuses needs neither.
#[test]
fn the_comparison_says_what_it_takes() {
    let compare = |arguments: &[&str]| {
        let run = Command::new(root().join("scripts/compare.sh")).args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (run.status.code(), text(run.stdout), text(run.stderr))
    };
    let (code, told, errors) = compare(&["--help"]);
    assert!(
        code == Some(0) && told.contains("scripts/compare.sh --runs 5") && errors.is_empty(),
        "{told}{errors}"
    );
    for (arguments, named) in [
        (&["--no-such-switch"][..], "unknown: --no-such-switch"),
        (&["--runs"], "--runs needs a value"),
        (&["--runs", "0"], "--runs: not a whole number above zero: 0"),
        (&["--seconds", "1.5"], "--seconds: not a whole number above zero: 1.5"),
        (&["--accounts", "9999999"], "--accounts: not a whole number"),
        (&["--cases", "1 cold"], "--cases: a number of clients, or hot: cold"),
    ] {
        let (code, told, errors) = compare(arguments);
        assert_eq!((code, told.as_str()), (Some(2), ""), "{arguments:?}: {errors}");
        assert!(errors.starts_with(named), "{arguments:?}: {errors}");
    }
}

/// README's table of dependencies and Cargo.toml name the same.
#[test]
fn readme_says_what_each_dependency_is_for() {
    let manifest = read("Cargo.toml");
    let readme = read("README.md");
    let named: Vec<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .take_while(|line| !line.starts_with("[profile"))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .collect();
    assert!(named.contains(&"tokio") && named.contains(&"proptest"), "{named:?}");
    for name in named {
        assert!(
            readme.lines().any(|line| line.starts_with(&format!("| `{name}` "))),
            "README does not say what {name} is for"
        );
    }
}
