//! Finds cycles among the modules of a crate, through `crate::` and `super::` paths alike.

use crate::tidy::code::{code_of, paths_of};
use std::collections::{BTreeMap, BTreeSet};

/// For each top module of a crate, the top modules that it uses.
pub type Uses = BTreeMap<String, BTreeSet<String>>;

/// The uses among the top modules of one crate. A file is its path below the crate's folder and its
/// text. Unit tests at the end of a file, and modules named `tests`, are ignored. A name that the
/// crate's root re-exports (`pub use a::A`) belongs to that module, so `crate::A` uses `a`.
pub fn uses<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Uses {
    let (roots, files): (Vec<_>, Vec<_>) = files
        .map(|(path, text)| (module_of(path), text))
        .partition(|(module, _)| module.is_empty());
    let tops: BTreeSet<&str> = files.iter().map(|(module, _)| module[0]).collect();
    let mut shared: BTreeMap<String, String> = BTreeMap::new();
    for path in roots.iter().flat_map(|(_, text)| paths_of(&code_of(text))).map(|(_, path)| path) {
        let inside = path.iter().position(|word| word != "crate" && word != "self");
        if let Some([module, .., name]) = inside.map(|at| &path[at..])
            && tops.contains(module.as_str())
        {
            shared.insert(name.clone(), module.clone());
        }
    }
    let mut uses = Uses::new();
    for (module, text) in &files {
        if module.contains(&"tests") {
            continue;
        }
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
        for (_, path) in paths_of(&code_of(text)) {
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some(used) = top_of(module, &words) else { continue };
            let used = match shared.get(used) {
                Some(owner) if !tops.contains(used) => owner.as_str(),
                _ => used,
            };
            if used != module[0] && tops.contains(used) {
                uses.entry(module[0].to_owned()).or_default().insert(used.to_owned());
            }
        }
    }
    uses
}

/// The path of a file's module from the crate's root; empty for the root itself.
fn module_of(path: &str) -> Vec<&str> {
    let inside = path.strip_suffix(".rs").unwrap_or(path);
    let mut names: Vec<&str> = inside.split('/').collect();
    if matches!(names.last(), Some(&("mod" | "lib"))) {
        names.pop();
    }
    names
}

/// The top module that a path in `module` refers to, if it refers to this crate.
fn top_of<'a>(module: &[&'a str], path: &[&'a str]) -> Option<&'a str> {
    let ups = path.iter().take_while(|word| **word == "super").count();
    match *path.first()? {
        "crate" => path.get(1).copied(),
        "super" if ups < module.len() => Some(module[0]),
        "super" => path.get(ups).copied(),
        _ => None,
    }
}

/// The strongly connected groups of modules, sorted.
pub fn cycles(uses: &Uses) -> Vec<Vec<String>> {
    let reached = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(module) = next.pop() {
            for used in uses.get(&module).into_iter().flatten() {
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        uses.keys().map(|module| (module, reached(module))).collect();
    let groups: BTreeSet<Vec<String>> = reach
        .iter()
        .filter(|(module, reached)| reached.contains(**module))
        .map(|(module, reached)| {
            let back =
                |other: &&String| reach.get(other).is_some_and(|reached| reached.contains(*module));
            reached.iter().filter(back).cloned().collect()
        })
        .collect();
    groups.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&'static str, &'static str)]) -> Vec<Vec<String>> {
        cycles(&uses(files.iter().copied()))
    }

    #[test]
    fn a_cycle_is_found_through_crate_and_super_paths() {
        let cycle = vec![vec!["a".to_owned(), "b".to_owned()]];
        assert_eq!(found(&[("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")]), cycle);
        assert_eq!(
            found(&[("a/deep.rs", "use super::super::b::B;"), ("b.rs", "use super::a;")]),
            cycle
        );
        assert_eq!(
            found(&[
                ("a/deep/deeper.rs", "fn f() { super::super::super::b::g() }"),
                ("b.rs", "use super::a;")
            ]),
            cycle
        );
        let root = "mod a;\nmod b;\npub use a::deep::A;\npub use self::b::{B, C};\n";
        assert_eq!(
            found(&[("lib.rs", root), ("a.rs", "use crate::C;"), ("b.rs", "use super::A;")]),
            cycle
        );
        assert_eq!(
            found(&[("a/mod.rs", "fn f() { super::b::g() }"), ("b.rs", "use crate::{a, c};")]),
            cycle
        );
        assert_eq!(
            found(&[
                ("a.rs", "use crate::b;"),
                ("b.rs", "use crate::c;"),
                ("c.rs", "use crate::a;"),
                ("d.rs", "")
            ]),
            [["a", "b", "c"].map(str::to_owned).to_vec()]
        );
    }

    #[test]
    fn uses_without_a_cycle_pass() {
        assert!(
            found(&[("a.rs", "use crate::b::B;"), ("b.rs", "use super::c;"), ("c.rs", "")])
                .is_empty()
        );
        assert!(found(&[("a/x.rs", "use super::y;"), ("a/y.rs", "use super::x;")]).is_empty());
        let tested = "use crate::b;\n#[cfg(test)]\nmod tests {\n    use crate::c;\n}\n";
        assert!(found(&[("a.rs", tested), ("b.rs", ""), ("c.rs", "use crate::a;")]).is_empty());
        assert!(
            found(&[("lib.rs", "pub mod a;\nuse a::A;"), ("a.rs", "use crate::A;")]).is_empty()
        );
    }
}
