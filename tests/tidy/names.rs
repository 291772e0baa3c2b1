//! Type names are unique in the whole workspace, so that a name in a sentence, a search or a
//! backtrace means one thing.

use crate::tidy::code::{Lexeme, code_of, tokens_of};
use std::collections::BTreeMap;

/// For each type name, the paths of the files that define it.
pub type Defined = BTreeMap<String, Vec<String>>;

/// The types that `files` (path and text) define in modules, those of tests too. Types inside
/// functions, which cannot be named outside, and associated types do not count.
pub fn defined<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Defined {
    let mut defined = Defined::new();
    for (path, text) in files {
        for name in types_of(&tokens_of(&code_of(text))) {
            defined.entry(name).or_default().push(path.to_owned());
        }
    }
    defined
}

/// Names that are defined more often than `allowed`, by default once.
pub fn faults(defined: &Defined, allowed: &[(&str, usize)]) -> Vec<String> {
    let allowed_of = |name: &str| {
        allowed.iter().find(|(allowed, _)| *allowed == name).map_or(1, |(_, places)| *places)
    };
    let twice = defined.iter().filter(|(name, places)| places.len() > allowed_of(name));
    twice
        .map(|(name, places)| {
            format!("type {name} is defined {} times: {}", places.len(), places.join(" "))
        })
        .collect()
}

/// Entries of `allowed` that are higher than needed, so that the list only gets shorter.
pub fn stale(defined: &Defined, allowed: &[(&str, usize)]) -> Vec<String> {
    let places = |name: &str| defined.get(name).map_or(0, Vec::len);
    let stale = allowed.iter().filter(|(name, allowed)| places(name) < *allowed);
    stale
        .map(|(name, allowed)| {
            format!("{name} is defined {} times now: lower or remove its {allowed}", places(name))
        })
        .collect()
}

/// The names after `struct`, `enum`, `trait`, `union` or `type` where only braces of modules are
/// open.
fn types_of(tokens: &[Lexeme]) -> Vec<String> {
    let mut names = Vec::new();
    // For each open brace, whether it is a module's.
    let mut braces: Vec<bool> = Vec::new();
    for (at, (_, token)) in tokens.iter().enumerate() {
        let word = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |t| &t.1);
        match token.as_str() {
            "{" => braces.push(word(at.checked_sub(2)) == "mod"),
            "}" => drop(braces.pop()),
            "struct" | "enum" | "trait" | "union" | "type"
                if braces.iter().all(|module| *module) =>
            {
                let name = word(Some(at + 1));
                if name.starts_with(|c: char| c.is_ascii_uppercase()) {
                    names.push(name.to_owned());
                }
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(files: &[(&'static str, &'static str)]) -> Defined {
        defined(files.iter().copied())
    }

    #[test]
    fn a_duplicate_name_is_found() {
        let two = all(&[("a.rs", "pub struct Page;\nenum Other {}"), ("b.rs", "type Page = u8;")]);
        let found = faults(&two, &[]);
        assert_eq!(found, ["type Page is defined 2 times: a.rs b.rs"]);
        assert_eq!(faults(&two, &[("Page", 2)]), [""; 0]);
        let tests = [("a.rs", "trait A {}"), ("b.rs", "mod tests { mod m { union A { a: u8 } } }")];
        assert_eq!(faults(&all(&tests), &[]).len(), 1);
    }

    #[test]
    fn local_and_associated_types_do_not_count() {
        let code = "struct A;\nfn f() { struct A; }\nimpl I for A { type A = u8; }\n// enum A\n\
                    fn g() { mod m { struct A; } }\nmacro_rules! m { () => { enum A {} }; }\n";
        assert_eq!(all(&[("a.rs", code)])["A"].len(), 1);
    }

    #[test]
    fn a_stale_allowance_is_found() {
        let two = all(&[("a.rs", "struct A;"), ("b.rs", "struct A;")]);
        assert_eq!(stale(&two, &[("A", 2)]), [""; 0]);
        assert_eq!(stale(&two, &[("A", 3), ("B", 2)]).len(), 2);
    }
}
