//! Sentences of the programs in Portuguese, each by its English one.
//!
//! Banks, step logs and programs in pipes speak English. Where a person reads a sentence, it is
//! looked up here: a template is the text of the source, with its `{values}`. A sentence that no
//! template fits stays as it is.

mod banks;
mod command_line;
mod journal;
mod login;
mod settings;
mod system;
mod tls;
mod tools;

use super::Lang;
use super::process::lang;

/// English templates with their Portuguese ones; `{}` is the next value, `{name}` one by its name.
type Table = &'static [(&'static str, &'static str)];

const TABLES: [Table; 8] = [
    banks::SENTENCES,
    settings::SENTENCES,
    command_line::SENTENCES,
    journal::SENTENCES,
    login::SENTENCES,
    system::SENTENCES,
    tls::SENTENCES,
    tools::SENTENCES,
];

/// All templates, of all tables.
pub fn templates() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLES.into_iter().flatten().copied()
}

/// `text` in the language of this process.
pub fn told(text: &str) -> String {
    told_in(lang(), text)
}

/// `text`, which is English, in this language.
pub fn told_in(lang: Lang, text: &str) -> String {
    match lang {
        Lang::En => text.to_owned(),
        Lang::Pt => in_portuguese(text),
    }
}

/// A sentence, or a chain of them: an error with its causes, a list of errors.
fn in_portuguese(text: &str) -> String {
    if let Some(known) = whole(text) {
        return known;
    }
    for between in [": ", "; "] {
        // The longest beginning that is a sentence: a text within it may have a colon, too.
        for (at, _) in text.rmatch_indices(between) {
            if let Some(known) = whole(&text[..at]) {
                return known + between + &in_portuguese(&text[at + between.len()..]);
            }
        }
    }
    match text.split_once(": ") {
        Some((first, rest)) => format!("{first}: {}", in_portuguese(rest)),
        None => text.to_owned(),
    }
}

/// The sentence by the template that fits all of it: one that begins with text of its own before
/// one that begins with a value, and that with the most text.
fn whole(text: &str) -> Option<String> {
    let fitting = templates().filter_map(|(english, portuguese)| {
        let template = Template::of(english);
        Some((template.rank(), template.values(text)?, template, portuguese))
    });
    let (_, values, template, portuguese) = fitting.max_by_key(|(rank, ..)| *rank)?;
    Some(template.filled(portuguese, &values))
}

/// A template in parts: `texts` has one more than `names`, which stand between them.
struct Template<'a> {
    texts: Vec<&'a str>,
    names: Vec<&'a str>,
}

impl<'a> Template<'a> {
    fn of(template: &'a str) -> Template<'a> {
        let mut parts = Template { texts: Vec::new(), names: Vec::new() };
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{')
            && let Some((name, after)) = after.split_once('}')
        {
            parts.texts.push(text);
            parts.names.push(name.split(':').next().unwrap_or(name));
            rest = after;
        }
        parts.texts.push(rest);
        parts
    }

    /// Whether it begins with text of its own, and how much it has.
    fn rank(&self) -> (bool, usize) {
        let begins = self.texts.first().is_some_and(|text| !text.is_empty());
        (begins, self.texts.iter().map(|text| text.len()).sum())
    }

    /// The values of `text`, if it fits.
    fn values<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, rest) = self.texts.split_first()?;
        let text = text.strip_prefix(first)?;
        if rest.is_empty() {
            return text.is_empty().then(Vec::new);
        }
        values_between(rest, text)
    }

    /// `other`, a template with the same names, with these values, each in Portuguese as well.
    fn filled(&self, other: &str, values: &[&str]) -> String {
        let other = Template::of(other);
        let mut next = 0;
        let mut filled = String::new();
        let behind = other.texts.iter().skip(1);
        for ((text, name), behind) in other.texts.iter().zip(&other.names).zip(behind) {
            let mut same = self.names.iter().zip(values).filter(|(known, _)| *known == name);
            let value = if name.is_empty() {
                next += 1;
                same.nth(next - 1)
            } else {
                same.next()
            };
            filled.push_str(text);
            let value = value.map_or("", |(_, value)| *value);
            filled.push_str(&value_in_portuguese(value, behind));
        }
        filled + other.texts.last().copied().unwrap_or_default()
    }
}

/// A value within a sentence. A duration has a decimal comma; its unit is a part of the value, or
/// of the text `behind` it. Other numbers may be what somebody typed.
fn value_in_portuguese(value: &str, behind: &str) -> String {
    let is_unit = |unit: &str| unit.starts_with(" s") || unit.starts_with(" ms");
    let end = value.find(' ').unwrap_or(value.len());
    let (number, unit) = value.split_at(end);
    let has_unit = if unit.is_empty() { is_unit(behind) } else { matches!(unit, " s" | " ms") };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match number.split_once('.') {
        Some((whole, part)) if has_unit && is_digits(whole) && is_digits(part) => {
            value.replacen('.', ",", 1)
        }
        Some(_) | None => in_portuguese(value),
    }
}

/// The values that stand before each of `texts`; the last of these ends `text`.
fn values_between<'t>(texts: &[&str], text: &'t str) -> Option<Vec<&'t str>> {
    let (first, rest) = texts.split_first()?;
    if rest.is_empty() {
        return text.strip_suffix(first).map(|value| vec![value]);
    }
    let split_at = |at: usize| {
        let mut values = values_between(rest, &text[at + first.len()..])?;
        values.insert(0, &text[..at]);
        Some(values)
    };
    if !first.is_empty() {
        return text.match_indices(first).find_map(|(at, _)| split_at(at));
    }
    // Of two values side by side the second one is a sentence of its own, or empty.
    let splits = || text.char_indices().map(|(at, _)| at).chain([text.len()]).filter_map(split_at);
    let is_known = |values: &Vec<&str>| values.get(1).is_some_and(|value| whole(value).is_some());
    splits().find(is_known).or_else(|| splits().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_sentence_is_found_by_its_template() {
        for (english, portuguese) in [
            (
                "bank 1 is up: the link to it is open",
                "o banco 1 está no ar: a ligação com ele está aberta",
            ),
            (
                "port 8886 is taken; another one is given by --port (and --consortium): Address \
                 already in use (os error 98)",
                "a porta 8886 está ocupada; --port (e --consortium) dá outra: endereço já em uso \
                 (erro 98)",
            ),
            (
                "bank 2 is down: 127.0.0.1:8888: nobody listens",
                "o banco 2 está fora do ar: 127.0.0.1:8888: ninguém escuta ali",
            ),
            (
                "recovered 5 records, 264 bytes, 1 segments, last record 5; 0 undecided",
                "recuperados 5 registros, 264 bytes, 1 segmentos, último registro 5; 0 pendentes",
            ),
            (
                "the data disk syncs again, after more than 12.3 s",
                "o disco dos dados grava de novo, após mais de 12,3 s",
            ),
            (
                "bank 0 ready on a:1 (2 places, key k, data d, new)",
                "banco 0 pronto em a:1 (2 lugares, chave k, dados d, novos)",
            ),
            (
                "bank 0 ready on a:1 (2 places, key k, data d)",
                "banco 0 pronto em a:1 (2 lugares, chave k, dados d)",
            ),
            ("invalid value '1.234' for 'x'", "valor inválido '1.234' para 'x'"),
            (
                "bank 1 at 127.0.0.1:8887 can't be reached (connection refused)",
                "o banco 1 em 127.0.0.1:8887 não pode ser alcançado (conexão recusada)",
            ),
            (
                "consorcio.toml:7: log-keep can't be \"many\": give a whole number",
                "consorcio.toml:7: log-keep não pode ser \"many\": dê um número inteiro",
            ),
            (
                "a.toml:2: output can't be \"xml\": give table, tsv or json",
                "a.toml:2: output não pode ser \"xml\": dê table, tsv ou json",
            ),
            ("the moon is full: no, it is not", "the moon is full: no, it is not"),
        ] {
            assert_eq!(told_in(Lang::Pt, english), portuguese);
            assert_eq!(told_in(Lang::En, english), english);
        }
    }

    #[test]
    fn templates_have_the_same_values() {
        let mut seen = BTreeSet::new();
        for (english, portuguese) in templates() {
            assert!(seen.insert(english), "twice: {english}");
            let [mut names, mut theirs] =
                [english, portuguese].map(|text| Template::of(text).names);
            names.sort_unstable();
            names.dedup();
            theirs.sort_unstable();
            theirs.dedup();
            assert_eq!(names, theirs, "{english}");
            assert_ne!(english, portuguese);
            // One without words would take any text apart, times and addresses included.
            let own = Template::of(english).texts.concat();
            assert!(own.chars().any(char::is_alphabetic), "no words: {english}");
        }
        assert!(seen.len() > 250, "{}", seen.len());
    }

    /// English words that no Portuguese text may have, each between spaces.
    const ENGLISH: [&str; 16] = [
        "the", "bank", "is", "are", "was", "of", "it", "this", "not", "that", "and", "to", "with",
        "has", "can't", "by",
    ];

    #[test]
    fn no_english_is_left() {
        for (english, portuguese) in templates() {
            let own = Template::of(portuguese).texts.join(" ");
            let words = own.split(|c: char| !c.is_alphanumeric() && !"-'./[]".contains(c));
            let left: Vec<&str> = words.filter(|word| ENGLISH.contains(word)).collect();
            assert!(left.is_empty(), "{left:?} in {portuguese:?} of {english:?}");
        }
    }
}
