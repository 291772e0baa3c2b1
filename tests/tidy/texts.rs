//! The rules for any text file: no path of one machine, and no dead link.

use std::collections::BTreeSet;
use std::path::Path;

/// Prefixes of paths that exist on one machine only. They are assembled here so that this file
/// passes its own check.
fn machine_folders() -> [String; 5] {
    ["home", "root", "Users", "work", "tmp"].map(|folder| format!("/{folder}/"))
}

/// Paths of one machine in the file at `path`.
pub fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (line, content) in text.lines().enumerate() {
        for folder in machine_folders() {
            let own = content.match_indices(&folder).any(|(at, _)| begins_a_path(&content[..at]));
            if own {
                faults.push(format!("{path}:{}: {folder} is a path of one machine", line + 1));
            }
        }
    }
    faults
}

/// Whether a `/` after this text begins a path.
fn begins_a_path(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}'))
}

/// A text file of the project.
pub struct TextFile {
    /// Relative to the project's folder, with `/`.
    pub path: String,
    pub text: String,
}

/// Dead links between `pages`. `exists` returns whether a path is a file or a folder.
pub fn dead_links(pages: &[TextFile], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for page in pages {
        for (line, link) in links_of(&page.text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.path.clone() } else { beside(&page.path, file) };
            let other = pages.iter().find(|other| other.path == target);
            let fault = if other.is_none() && !exists(&target) {
                "there is no such file"
            } else if !anchor.is_empty()
                && !other.is_some_and(|page| anchors_of(&page.text).contains(anchor))
            {
                "there is no such heading"
            } else {
                continue;
            };
            faults.push(format!("{}:{line}: {link}: {fault}", page.path));
        }
    }
    faults
}

/// The targets of `[…](target)` outside of code blocks, with their lines.
fn links_of(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (line, content) in prose_of(text) {
        for (at, _) in content.match_indices("](") {
            let rest = &content[at + 2..];
            if let Some(end) = rest.find(')') {
                links.push((line, rest[..end].to_owned()));
            }
        }
    }
    links
}

/// The anchors that code hosts generate for headings.
fn anchors_of(text: &str) -> BTreeSet<String> {
    let headings = prose_of(text).into_iter().filter(|(_, line)| line.starts_with('#'));
    headings
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept =
                title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The lines outside of fenced blocks, with their numbers.
fn prose_of(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((at + 1, line));
        }
    }
    lines
}

/// The path that `link`, in the file at `path`, refers to.
fn beside(path: &str, link: &str) -> String {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut parts: Vec<String> =
        folder.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part.to_owned()),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found() {
        for folder in machine_folders() {
            let found = machine_paths("x.md", &format!("fine\nsee {folder}me/x\n"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("x.md:2:"), "{found:?}");
        }
        let fine = ["a/", "./", "~/"]
            .map(|before| machine_folders().map(|f| format!("{before}x{f}y")).join("\n"));
        assert_eq!(machine_paths("x.md", &fine.join("\n")), [""; 0]);
        assert_eq!(machine_paths("x.sh", "${TMPDIR:-/tmp}/x"), [""; 0]);
    }

    fn page(path: &str, text: &str) -> TextFile {
        TextFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn dead(text: &str) -> Vec<String> {
        let pages =
            [page("docs/A.md", text), page("README.md", "# Read me\n## 2. What it's *not*\n")];
        dead_links(&pages, |path| ["src/core/bank", "src/core/bank/mod.rs"].contains(&path))
    }

    #[test]
    fn dead_links_are_found() {
        for (text, named) in [
            ("see [b](B.md)", "docs/A.md:1: B.md: there is no such file"),
            ("\n[r](README.md)", "docs/A.md:2: README.md: there is no such file"),
            ("[r](../README.md#none)", "no such heading"),
            ("[m](../src/core/bank/mod.rs#none)", "no such heading"),
            ("# Here\n[h](#there)", "no such heading"),
            ("[a](../src/core/bank) [b](../src/banc)", "../src/banc: there is no such file"),
        ] {
            let found = dead(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains(named), "{found:?}");
        }
        let fine = "# Here it is\n[a](#here-it-is) [b](../README.md) \
                    [c](../README.md#2-what-its-not)\n\
                    [d](../src/core/bank/mod.rs) \
                    [e](https://example.org/none)\n```\n[f](none)\n```\n";
        assert_eq!(dead(fine), [""; 0]);
    }
}
