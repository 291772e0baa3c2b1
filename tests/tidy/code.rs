//! A minimal lexer for Rust that finds words and paths in code: it removes comments, strings and
//! characters, and expands `use` trees. It does not resolve paths.

/// `text` without its comments, strings and characters; line numbers stay the same.
pub fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match (chars[at], chars.get(at + 1).copied()) {
            ('/', Some('/')) => find(&chars, at, |c| c == '\n'),
            ('/', Some('*')) => end_of_comment(&chars, at),
            ('"', _) => end_of_string(&chars, at + 1),
            ('r', Some('"' | '#')) if !continues_word(&chars, at) => {
                match end_of_raw_string(&chars, at) {
                    Some(end) => end,
                    None => at,
                }
            }
            ('\'', _) => end_of_char(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            // A blank separates the words before and after.
            out.push(' ');
            out.extend(chars[at..end].iter().filter(|c| **c == '\n'));
            at = end;
        }
    }
    out
}

/// Every path in `code`, as its segments, with its first line (from 1 on). A single word is a path
/// too. `use a::{b, c::d}` yields `a::b` and `a::c::d`; the last segment of a macro's path keeps
/// its `!`.
pub fn paths_of(code: &str) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens_of(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].1 == "use" {
            at = tree(&tokens, at + 1, &[], &mut paths);
        } else if is_word(&tokens[at].1) {
            let (end, path) = plain_path(&tokens, at);
            paths.push((tokens[at].0, path));
            at = end;
        } else {
            at += 1;
        }
    }
    paths
}

/// A token with its line, from 1 on.
pub type Lexeme = (usize, String);

/// The tokens of `code`: words, `::`, and single characters.
pub fn tokens_of(code: &str) -> Vec<Lexeme> {
    let mut tokens: Vec<Lexeme> = Vec::new();
    let mut line = 1;
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        } else if is_word_char(c) {
            let mut word = String::from(c);
            while let Some(next) = chars.next_if(|c| is_word_char(*c)) {
                word.push(next);
            }
            tokens.push((line, word));
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push((line, "::".to_owned()));
        } else if !c.is_whitespace() {
            tokens.push((line, c.to_string()));
        }
    }
    tokens
}

fn plain_path(tokens: &[Lexeme], from: usize) -> (usize, Vec<String>) {
    let mut path = vec![tokens[from].1.clone()];
    let mut at = from + 1;
    while is(tokens, at, "::") && tokens.get(at + 1).is_some_and(|token| is_word(&token.1)) {
        path.push(tokens[at + 1].1.clone());
        at += 2;
    }
    let opens = |at| ["(", "[", "{"].iter().any(|bracket| is(tokens, at, bracket));
    if is(tokens, at, "!")
        && opens(at + 1)
        && let Some(last) = path.last_mut()
    {
        last.push('!');
    }
    (at, path)
}

/// Expands one branch of a `use` tree; returns the index of the token after it.
fn tree(
    tokens: &[Lexeme],
    from: usize,
    before: &[String],
    paths: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut path = before.to_vec();
    let mut at = from;
    while let Some((line, token)) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while at < tokens.len() && !is(tokens, at, "}") {
                    at = tree(tokens, at, &path, paths);
                    if is(tokens, at, ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            word if is_word(word) || word == "*" => {
                path.push(word.to_owned());
                at += 1;
                if !is(tokens, at, "::") {
                    paths.push((*line, path.clone()));
                }
            }
            // `;`, `,` or `}` end the branch; any other token is no part of a `use`.
            ";" | "," | "}" => return at,
            _ => return at + 1,
        }
    }
    at
}

fn is(tokens: &[Lexeme], at: usize, what: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.1 == what)
}

fn is_word(token: &str) -> bool {
    token.chars().next().is_some_and(is_word_char)
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn continues_word(chars: &[char], at: usize) -> bool {
    // The `r` of `br"…"` begins a raw string too.
    let before = |n: usize| at.checked_sub(n).map(|at| chars[at]);
    match before(1) {
        Some('b' | 'c') => before(2).is_some_and(is_word_char),
        Some(c) => is_word_char(c),
        None => false,
    }
}

fn find(chars: &[char], from: usize, what: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|at| what(chars[*at])).unwrap_or(chars.len())
}

fn end_of_comment(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn end_of_string(chars: &[char], from: usize) -> usize {
    let mut at = from;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn end_of_raw_string(chars: &[char], from: usize) -> Option<usize> {
    let open = find(chars, from + 1, |c| c != '#');
    let hashes = open - from - 1;
    if chars.get(open) != Some(&'"') {
        return None; // `r#type`
    }
    let ends = |at: &usize| {
        chars[*at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((open + 1..chars.len()).find(ends).map_or(chars.len(), |at| at + 1 + hashes))
}

/// A character ends with its quote; a lifetime has none.
fn end_of_char(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => find(chars, from + 3, |c| c == '\'') + 1,
        (Some(_), Some('\'')) => from + 3,
        _ => from,
    }
    .min(chars.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        paths_of(&code_of(code)).into_iter().map(|(_, path)| path.join("::")).collect()
    }

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        assert_eq!(paths("a // b\n/* c /* d */ e */ f"), ["a", "f"]);
        assert_eq!(paths(r##"a("b \" c", r#"d " e"#, 'g', '\'', '\u{41}', "\\") h"##), ["a", "h"]);
        assert_eq!(paths("fn a<'b>(c: &'b str) { 'd'; 'e' }"), ["fn", "a", "b", "c", "b", "str"]);
        assert_eq!(paths("for_ r\"x\" rr"), ["for_", "rr"]);
        assert_eq!(paths("\"two\nlines\" a"), ["a"]);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let code = code_of("/*\n*/ a\n\"\n\" b");
        assert_eq!(paths_of(&code), [(2, vec!["a".to_owned()]), (4, vec!["b".to_owned()])]);
    }

    #[test]
    fn use_trees_are_expanded() {
        assert_eq!(paths("use a::b;"), ["a::b"]);
        assert_eq!(
            paths("use a::{self, b::{c, d as e}, *};"),
            ["a::self", "a::b::c", "a::b::d", "a::*"]
        );
        assert_eq!(paths("use ::a::b; c::d(e)"), ["a::b", "c::d", "e"]);
        assert_eq!(paths("pub(crate) use a as b; f"), ["pub", "crate", "a", "f"]);
    }

    #[test]
    fn paths_in_expressions_are_found() {
        assert_eq!(paths("let x = a::b::<c::D>(e.f);"), ["let", "x", "a::b", "c::D", "e", "f"]);
        assert_eq!(paths("if a != b { c::d!(e); !(f) }"), ["if", "a", "b", "c::d!", "e", "f"]);
    }
}
