//! Checks of the source tree: every rule about files that needs no run of the programs.
//!
//! Each rule has a unit test, beside it, on text that breaks it.

mod allowed;
mod code;
mod comparison;
mod crates;
mod growth;
mod instructions;
mod modules;
mod names;
mod rules;
mod sentences;
mod texts;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use texts::TextFile;

/// Folders that are generated, and not part of the repository.
const GENERATED: [&str; 5] = [".git", "target", "data", "logs", "proptest-regressions"];

/// The extensions of text files.
const TEXTS: [&str; 6] = ["rs", "md", "toml", "sh", "yml", "yaml"];

/// Reads the file at `path`, relative to the project's folder.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Appends every file below `folder`; paths are relative to the project's folder.
fn files_below(folder: &str, found: &mut Vec<String>) {
    let entries = fs::read_dir(root().join(folder)).expect("a readable folder");
    let mut names: Vec<(String, bool)> = entries
        .map(|entry| {
            let entry = entry.expect("a readable folder");
            (entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir())
        })
        .collect();
    names.sort();
    for (name, is_folder) in names {
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if !is_folder {
            found.push(path);
        } else if !GENERATED.contains(&name.as_str()) {
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
        texts().into_iter().filter(|file| file.path.ends_with(".rs")).collect();
    // Guards against a walk that misses files and so finds no fault.
    for known in ["src/core/bank/mod.rs", "bin/servidor.rs", "tests/tidy/mod.rs"] {
        assert!(rust.iter().any(|file| file.path == known), "{known} was not found");
    }
    rust
}

/// Fails with the faults that `rule` finds in the files whose paths begin with none of `exempt`.
#[track_caller]
fn check(rule: impl Fn(&str, &str) -> Vec<String>, exempt: &[&str]) {
    let files = rust();
    let checked =
        files.iter().filter(|file| !exempt.iter().any(|path| file.path.starts_with(path)));
    none(checked.flat_map(|file| rule(&file.path, &file.text)).collect());
}

#[test]
fn every_file_begins_with_its_documentation() {
    check(rules::beginning, &[]);
}

#[test]
fn no_file_is_longer_than_its_bound() {
    let longer = |path: &str| allowed::LONGER.iter().find(|(longer, _)| *longer == path);
    let most = |path: &str| longer(path).map_or(rules::LINES_MAX, |(_, lines)| *lines);
    check(|path, text| rules::length(path, text, most(path)), &[]);
    let short = |file: &TextFile| file.text.lines().count() <= rules::LINES_MAX;
    let files = rust();
    let stale = files.iter().filter(|file| longer(&file.path).is_some() && short(file));
    none(stale.map(|file| format!("{}: remove it from LONGER", file.path)).collect());
}

#[test]
fn no_line_is_wider_than_the_bound() {
    check(rules::columns, allowed::WIDE);
}

#[test]
fn no_doc_comment_is_too_short() {
    check(rules::short_docs, allowed::SHORT_DOCS);
}

#[test]
fn no_bound_stands_outside_of_limits() {
    let files = rust();
    let shipped = files.iter().filter(|file| {
        file.path.starts_with("src/")
            && !rules::is_limits(&file.path)
            && !rules::is_test(&file.path)
    });
    let checked =
        shipped.filter(|file| !allowed::BOUNDS.iter().any(|path| file.path.starts_with(path)));
    none(checked.flat_map(|file| rules::bounds(&file.path, &file.text)).collect());
}

#[test]
fn every_type_name_is_unique() {
    let files = rust();
    let defined = names::defined(files.iter().map(|file| (file.path.as_str(), file.text.as_str())));
    none(names::faults(&defined, allowed::TWICE));
    none(names::stale(&defined, allowed::TWICE));
}

#[test]
fn no_file_contains_a_path_of_one_machine() {
    let files = texts();
    assert!(
        files.iter().any(|file| file.path == "Cargo.toml")
            && files.iter().any(|file| file.path == ".ci/run")
    );
    none(files.iter().flat_map(|file| texts::machine_paths(&file.path, &file.text)).collect());
}

#[test]
fn no_link_between_the_pages_is_dead() {
    let pages: Vec<TextFile> =
        texts().into_iter().filter(|page| page.path.ends_with(".md")).collect();
    for known in ["README.md", "docs/ARCHITECTURE.md", "docs/PROTOCOL.md"] {
        assert!(pages.iter().any(|page| page.path == known), "{known} was not found");
    }
    none(texts::dead_links(&pages, |path| root().join(path).exists()));
}

/// README's first commands are scripts, so they must be executable.
#[test]
fn scripts_are_executable() {
    let mut files = Vec::new();
    files_below("", &mut files);
    let scripts = files.iter().filter(|path| path.starts_with("scripts/") || *path == ".ci/run");
    for script in scripts {
        let mode = fs::metadata(root().join(script)).unwrap().permissions().mode();
        assert!(mode & 0o111 != 0, "{script} is not executable");
        let text = read(script);
        assert!(text.starts_with("#!"), "{script} names no interpreter");
    }
}

/// README's recording is of the demo as it is now, small, and of no particular machine.
#[test]
fn the_recording_shows_the_demo() {
    let (demo, picture) = (read("scripts/demo.sh"), read("docs/images/demo.svg"));
    let chapters = demo.lines().filter_map(|line| line.trim().strip_prefix("chapter \""));
    let chapters: Vec<&str> =
        chapters.map(|rest| rest.trim_end_matches('"')).filter(|title| *title != "Build").collect();
    let shown: Vec<&str> =
        picture.split(">== ").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert!(chapters.len() > 10);
    assert_eq!(shown, chapters, "scripts/record-demo.py records it again");
    assert!(picture.len() < 300_000, "{} bytes", picture.len());
    none(texts::machine_paths("docs/images/demo.svg", &picture));
    for words in ["prefers-color-scheme:dark", "prefers-reduced-motion", "Before: 180000 centavos"]
    {
        assert!(picture.contains(words), "no {words:?} in the recording");
    }
}

/// The folders of the crates below `src`.
fn crates() -> Vec<String> {
    let mut files = Vec::new();
    files_below("src", &mut files);
    let manifests = files.iter().filter_map(|path| path.strip_suffix("/Cargo.toml"));
    manifests.map(|folder| folder["src/".len()..].to_owned()).collect()
}

fn manifest(name: &str) -> crates::Manifest {
    crates::read(&read(&format!("src/{name}/Cargo.toml")))
}

/// ARCHITECTURE's table of crates lists the dependencies of their manifests.
#[test]
fn the_table_of_crates_matches_their_manifests() {
    let mut table = crates::table(&read("docs/ARCHITECTURE.md"));
    table.sort();
    let found: Vec<(String, Vec<String>)> =
        crates().into_iter().map(|name| (name.clone(), manifest(&name).ours)).collect();
    assert!(found.len() > 5, "{found:?}");
    assert_eq!(table, found);
}

/// A `pub` item of a crate is part of its interface: what others can't reach is `pub(crate)`. The
/// lint is on in each crate and not for the workspace, since in test programs nothing is reachable.
#[test]
fn every_crate_checks_that_public_items_are_reachable() {
    let lint = "#![warn(unreachable_pub)]";
    let without = crates().into_iter().map(|name| format!("src/{name}/lib.rs"));
    none(without.filter(|path| !read(path).lines().any(|line| line == lint)).collect());
}

/// The core does no I/O, so none of its dependencies may. A new dependency must be reviewed and
/// added here.
#[test]
fn the_core_uses_nothing_that_does_io() {
    let core = manifest("core");
    assert_eq!(core.ours, [""; 0]);
    let pure = [
        "blake3",
        "bytes",
        "compact_str",
        "hashbrown",
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
fn modules_form_no_cycle() {
    for name in crates() {
        let folder = format!("src/{name}");
        let mut files = Vec::new();
        files_below(&folder, &mut files);
        files.retain(|path| path.ends_with(".rs"));
        let texts: Vec<(&str, String)> =
            files.iter().map(|path| (&path[folder.len() + 1..], read(path))).collect();
        let uses = modules::uses(texts.iter().map(|(path, text)| (*path, text.as_str())));
        assert!(name != "core" || uses["bank"].contains("ledger"), "{uses:?}");
        let cycles = modules::cycles(&uses);
        assert!(cycles.is_empty(), "{name}: {cycles:?}");
    }
}

/// What a bank and its tools say to people is in the table of Portuguese sentences, word for word:
/// `told` finds a sentence by its template there.
#[test]
fn every_sentence_has_its_portuguese() {
    let templates: BTreeSet<&str> =
        consorcio_words::sentences::templates().map(|(english, _)| english).collect();
    let files = rust();
    let spoken: Vec<&TextFile> =
        files.iter().filter(|file| sentences::is_spoken(&file.path)).collect();
    assert!(spoken.len() > 80, "{}", spoken.len());
    let missing = |file: &&TextFile| sentences::missing(&file.path, &file.text, &templates);
    none(spoken.iter().flat_map(missing).collect());
}

/// The table of dependencies lists every dependency of the workspace.
#[test]
fn each_dependency_is_explained() {
    let manifest = read("Cargo.toml");
    let page = read("docs/DEPENDENCIES.md");
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
            page.lines().any(|line| line.starts_with(&format!("| `{name}` "))),
            "docs/DEPENDENCIES.md does not list {name}"
        );
    }
}
