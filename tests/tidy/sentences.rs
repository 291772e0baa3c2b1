//! Every sentence of the programs for people has its Portuguese in `src/words/sentences`.

use std::collections::BTreeSet;

/// The files whose texts people read on a terminal, by the beginnings of their paths.
const SPOKEN: [&str; 16] = [
    "src/audit/",
    "src/cli/",
    "src/client/",
    "src/core/bank/end.rs",
    "src/core/bank/meet.rs",
    "src/core/clock/",
    "src/core/ids.rs",
    "src/core/money.rs",
    "src/journal/",
    "src/node/",
    "src/peers/",
    "src/server/",
    "src/steps/steplog/writer.rs",
    "src/system/",
    "src/steps/steplog/file.rs",
    "src/tls/",
];

/// Files among them whose texts only programs and step logs have, or that have Portuguese of their
/// own.
const SILENT: [&str; 22] = [
    "src/cli/args/help.rs",
    "src/cli/args/mod.rs",
    "src/cli/contention/charts.rs",
    "src/cli/contention/html.rs",
    "src/cli/contention/style.rs",
    "src/cli/language.rs",
    "src/cli/table.rs",
    "src/client/cut.rs",
    "src/client/examples/",
    "src/journal/dump.rs",
    "src/journal/mem_disk",
    "src/server/args.rs",
    "src/server/commands.rs",
    "src/server/help.rs",
    "src/server/session",
    "src/server/step_logger.rs",
    "src/system/crash/names.rs",
    "src/system/switches/help.rs",
    "src/system/switches/print.rs",
    "src/core/clock/tests",
    "src/system/logging/mod.rs",
    "src/journal/index/tiers.rs",
];

/// Texts that stand in no sentence for people: parts of formats, and words of the protocol.
const NO_SENTENCES: [&str; 15] = [
    "a consortium has a bank",
    // In one language beside the other.
    "{verb} lost: the connection broke",
    "{verb} perdido: a conexão caiu",
    "{word}: {reason} pelo banco {bank}",
    "what is held",
    "most of it",
    "Commands of the shell: those of cliente",
    // Parts of formats, of templates, and of what is found in texts.
    "merged index",
    "consorcio index.",
    "consorcio link 3",
    " after a snapshot of {seq}",
    ", {} bytes, {} segments, last record {}",
    "a journal that was opened has a founding id",
    "exit code {code}",
    " is not in ",
];

/// Whether the texts of this file are checked.
pub fn is_spoken(path: &str) -> bool {
    let is_in = |list: &[&str]| list.iter().any(|begin| path.starts_with(begin));
    path.ends_with(".rs")
        && is_in(&SPOKEN)
        && !is_in(&SILENT)
        && !path.contains("/tests")
        && !path.contains("_tests")
}

/// The sentences of a file that no template has.
pub fn missing(path: &str, text: &str, templates: &BTreeSet<&str>) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let sentences =
        literals(&without_both(code)).into_iter().filter(|literal| is_sentence(path, literal));
    let missing = sentences.filter(|literal| {
        let own = literal.trim_end_matches('\n');
        let is_help = ["Examples:\n", "Exemplos:\n", "Raw requests", "Pedidos do"]
            .iter()
            .any(|begin| own.starts_with(begin))
            || own.starts_with(' ');
        !is_help && !templates.contains(own) && !NO_SENTENCES.contains(&own)
    });
    missing.map(|literal| format!("{path}: {literal:?} has no Portuguese")).collect()
}

/// Whether a text has two words of two letters or more outside of its values. In `cliente` headings
/// and cells have two; these have a table of their own.
fn is_sentence(path: &str, text: &str) -> bool {
    let least = if path.starts_with("src/cli/") { 3 } else { 2 };
    let mut depth = 0_usize;
    let own: String = text
        .chars()
        .map(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ if depth == 0 => return c,
                _ => {}
            }
            '-'
        })
        .collect();
    let is_word =
        |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase() || c == '\'');
    let words = own.split(|c: char| c.is_whitespace() || ",.:;()".contains(c));
    own.trim().contains(' ') && words.filter(is_word).count() >= least
}

/// Code without the texts that have both languages side by side: `say!(… / …)`, `word!(… / …)`.
fn without_both(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = ["say!(", "word!("].iter().filter_map(|call| rest.find(call)).min() {
        let (head, call) = rest.split_at(at);
        out.push_str(head);
        rest = &call[end_of_call(call)..];
    }
    out + rest
}

/// The length of a call up to its closing parenthesis.
fn end_of_call(call: &str) -> usize {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, c) in call.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text && depth == 1 => return at,
            ')' if !in_text => depth -= 1,
            _ => {}
        }
    }
    call.len()
}

/// The string literals of code, without those of attributes' reasons, assertions and comments, as
/// the compiler reads them.
fn literals(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    let mut before = "";
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (head, tail) = rest.split_at(at);
        before = if head.trim().is_empty() { before } else { head };
        if tail.starts_with("//") {
            rest = tail.split_once('\n').map_or("", |(_, next)| next);
        } else if let Some(inside) = tail.strip_prefix('"') {
            let (literal, next) = literal(inside);
            let asserts = ["reason = ", "expect(", "unreachable!(", "panic!("];
            let is_own = !asserts.iter().any(|call| before.trim_end().ends_with(call.trim_end()));
            if is_own && !before.contains("assert") {
                found.push(literal);
            }
            rest = next;
            before = "";
        } else if let Some(next) = tail.strip_prefix("'\"'") {
            rest = next;
        } else {
            rest = &tail[1..];
        }
    }
    found
}

/// The literal that begins here, and the code after it. A line's end after a backslash, and the
/// blanks of the next line, are no part of it.
fn literal(inside: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = inside.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, &inside[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, '\n')) => while chars.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                Some((_, other)) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_without_its_portuguese_is_found() {
        let text = "// \"a comment is none\"\nfn f() { bail!(\"the disk \\\n     is {full}\"); \
                    g(\"one\", '\"', \"bank={bank} at={time}\"); h.expect(\"it is there\"); }\n\
                    #[cfg(test)]\nmod tests { \"not in tests\" }\n";
        let none = BTreeSet::new();
        assert_eq!(
            missing("a.rs", text, &none),
            ["a.rs: \"the disk is {full}\" has no Portuguese"]
        );
        assert_eq!(missing("a.rs", text, &BTreeSet::from(["the disk is {full}"])), [""; 0]);
        assert!(is_spoken("src/server/run.rs") && !is_spoken("src/server/help.rs"));
    }
}
