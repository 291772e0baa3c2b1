//! The house rules, as a test: all that can be checked about the project's files without running
//! them.
//!
//! Each rule is tried on something that breaks it, beside the rule itself.

mod allowed;
mod code;
mod crates;
mod modules;
mod names;
mod rules;
mod texts;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use texts::TextFile;

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

fn texts() -> Vec<TextFile> {
    let mut files = Vec::new();
    files_below("", &mut files);
    let is_text = |path: &String| {
        let end = Path::new(path).extension().map(|end| end.to_string_lossy().into_owned());
        end.is_some_and(|end| TEXTS.contains(&end.as_str())) || path.starts_with(".ci/")
    };
    files.into_iter().filter(is_text).map(|path| TextFile { text: read(&path), path }).collect()
}

#[track_caller]
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The project's Rust files.
fn rust() -> Vec<TextFile> {
    let rust: Vec<TextFile> =
        texts().into_iter().filter(|page| page.path.ends_with(".rs")).collect();
    // A walk that finds nothing finds no fault either.
    for known in ["src/core/bank/mod.rs", "bin/servidor.rs", "tests/tidy/mod.rs"] {
        assert!(rust.iter().any(|page| page.path == known), "{known} was not looked at");
    }
    rust
}

/// The faults that `rule` finds in the files whose paths begin with none of `but`.
#[track_caller]
fn none_found(rule: impl Fn(&str, &str) -> Vec<String>, but: &[&str]) {
    let files = rust();
    let bound = files.iter().filter(|page| !but.iter().any(|but| page.path.starts_with(but)));
    none(bound.flat_map(|page| rule(&page.path, &page.text)).collect());
}

#[test]
fn every_file_begins_with_what_it_is() {
    none_found(rules::beginning, &[]);
}

#[test]
fn no_file_is_longer_than_its_bound() {
    let longer = |path: &str| allowed::LONGER.iter().find(|(longer, _)| *longer == path);
    let most = |path: &str| longer(path).map_or(rules::LINES_MAX, |(_, lines)| *lines);
    none_found(|path, text| rules::length(path, text, most(path)), &[]);
    let short = |page: &TextFile| page.text.lines().count() <= rules::LINES_MAX;
    let files = rust();
    let split = files.iter().filter(|page| longer(&page.path).is_some() && short(page));
    none(split.map(|page| format!("{}: is short, and need not be listed", page.path)).collect());
}

#[test]
fn no_line_is_wider_than_the_bound() {
    none_found(rules::columns, allowed::WIDE);
}

#[test]
fn no_comment_repeats_a_name() {
    none_found(rules::short_docs, allowed::SHORT_DOCS);
}

#[test]
fn no_bound_stands_outside_of_limits() {
    let files = rust();
    let shipped = files.iter().filter(|page| {
        page.path.starts_with("src/")
            && !rules::is_limits(&page.path)
            && !rules::is_test(&page.path)
    });
    let bound =
        shipped.filter(|page| !allowed::BOUNDS.iter().any(|but| page.path.starts_with(but)));
    none(bound.flat_map(|page| rules::bounds(&page.path, &page.text)).collect());
}

#[test]
fn no_type_name_stands_twice() {
    let files = rust();
    let defined = names::defined(files.iter().map(|page| (page.path.as_str(), page.text.as_str())));
    none(names::faults(&defined, allowed::TWICE));
    none(names::stale(&defined, allowed::TWICE));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let pages = texts();
    assert!(
        pages.iter().any(|page| page.path == "Cargo.toml")
            && pages.iter().any(|page| page.path == ".ci/run")
    );
    none(pages.iter().flat_map(|page| texts::machine_paths(&page.path, &page.text)).collect());
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let pages: Vec<TextFile> =
        texts().into_iter().filter(|page| page.path.ends_with(".md")).collect();
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

/// The crates below `src`, by their folders.
fn crates() -> Vec<String> {
    let mut files = Vec::new();
    files_below("src", &mut files);
    let manifests = files.iter().filter_map(|path| path.strip_suffix("/Cargo.toml"));
    manifests.map(|folder| folder["src/".len()..].to_owned()).collect()
}

fn manifest(name: &str) -> crates::Manifest {
    crates::read(&read(&format!("src/{name}/Cargo.toml")))
}

/// The picture of ARCHITECTURE is what the manifests say.
#[test]
fn the_table_of_crates_is_what_their_manifests_say() {
    let mut said = crates::table(&read("docs/ARCHITECTURE.md"));
    said.sort();
    let found: Vec<(String, Vec<String>)> =
        crates().into_iter().map(|name| (name.clone(), manifest(&name).ours)).collect();
    assert!(found.len() > 5, "{found:?}");
    assert_eq!(said, found);
}

/// The core can't do I/O: no crate that could is among those that it uses. A new one must be looked
/// at, and named here.
#[test]
fn the_core_uses_nothing_that_does_io() {
    let core = manifest("core");
    assert_eq!(core.ours, [""; 0]);
    let pure = [
        "blake3",
        "bytes",
        "compact_str",
        "jiff",
        "memchr",
        "postcard",
        "serde",
        "serde_json",
        "thiserror",
        "unicode-properties",
    ];
    assert_eq!(core.others, pure);
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    for name in crates() {
        let folder = format!("src/{name}");
        let mut files = Vec::new();
        files_below(&folder, &mut files);
        files.retain(|path| path.ends_with(".rs"));
        let texts: Vec<(&str, String)> =
            files.iter().map(|path| (&path[folder.len() + 1..], read(path))).collect();
        let uses = modules::uses(texts.iter().map(|(path, text)| (*path, text.as_str())));
        assert!(name != "core" || uses["bank"].contains("ledger"), "{uses:?}");
        let circles = modules::circles(&uses);
        assert!(circles.is_empty(), "{name}: {circles:?}");
    }
}

/// README's table of dependencies and the workspace's name the same.
#[test]
fn readme_says_what_each_dependency_is_for() {
    let manifest = read("Cargo.toml");
    let readme = read("README.md");
    let named: Vec<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .take_while(|line| *line != "[package]")
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .filter(|name| !name.starts_with("consorcio-"))
        .collect();
    assert!(named.contains(&"tokio") && named.contains(&"proptest"), "{named:?}");
    for name in named {
        assert!(
            readme.lines().any(|line| line.starts_with(&format!("| `{name}` "))),
            "README does not say what {name} is for"
        );
    }
}
