//! Tests of accessibility: names, headings, landmarks, tables and errors for screen readers.
//! `tests/panel` tests the pages in a real browser.

use super::{ASSETS, Lang, pages, values};
use std::collections::BTreeMap;

/// A tag and the text after it.
struct Tag<'a> {
    name: &'a str,
    attributes: BTreeMap<&'a str, &'a str>,
    text: &'a str,
}

impl Tag<'_> {
    fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).copied().unwrap_or("")
    }

    fn has(&self, attribute: &str) -> bool {
        self.attributes.contains_key(attribute)
    }
}

/// All tags in the order of the page; the name of a closing tag begins with a slash.
fn tags(html: &str) -> Vec<Tag<'_>> {
    let tag = |part: &'_ str| -> Option<(usize, usize)> { Some((part.find('>')?, part.len())) };
    let mut found = Vec::new();
    for part in html.split('<').skip(1) {
        let Some((end, length)) = tag(part) else { continue };
        let (inside, text) = (&part[..end], &part[(end + 1).min(length)..]);
        let (name, mut rest) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        let mut attributes = BTreeMap::new();
        loop {
            rest = rest.trim_start();
            let stop = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
            let (attribute, more) = rest.split_at(stop);
            if attribute.is_empty() {
                break;
            }
            rest = more;
            let mut value = "";
            if let Some(quoted) = more.strip_prefix("=\"") {
                (value, rest) = quoted.split_once('"').unwrap_or((quoted, ""));
            }
            attributes.insert(attribute, value);
        }
        found.push(Tag { name, attributes, text });
    }
    found
}

/// The text between a tag and its closing tag.
fn words(tags: &[Tag<'_>], at: usize) -> String {
    let end = format!("/{}", tags[at].name);
    let inside = tags[at..].iter().take_while(|tag| tag.name != end);
    inside.map(|tag| tag.text.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn every_page(check: impl Fn(&str, &[Tag<'_>])) {
    for lang in [Lang::Pt, Lang::En] {
        for (name, html) in pages(lang) {
            check(&format!("{name} ({})", lang.code()), &tags(&html));
        }
    }
}

#[test]
fn headings_and_landmarks_are_in_order() {
    every_page(|page, tags| {
        let levels: Vec<u32> =
            tags.iter().filter_map(|tag| tag.name.strip_prefix('h')?.parse().ok()).collect();
        assert_eq!(levels.first(), Some(&1), "{page}: {levels:?}");
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{page}");
        assert!(
            levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
            "{page} skips a level: {levels:?}"
        );
        for (landmark, name) in
            [("main", ""), ("nav", "aria-label"), ("html", "lang"), ("title", "")]
        {
            let found: Vec<&Tag<'_>> = tags.iter().filter(|tag| tag.name == landmark).collect();
            if landmark == "nav" && page.starts_with("entrar ") {
                assert!(found.is_empty(), "{page}: there is a menu only after the log-in");
                continue;
            }
            assert_eq!(found.len(), 1, "{page}: {landmark}");
            assert!(
                name.is_empty() || !found[0].get(name).is_empty(),
                "{page}: {landmark} without {name}"
            );
        }
        // The first link skips the menu.
        let first = tags.iter().find(|tag| tag.name == "a").unwrap();
        assert_eq!(first.get("href"), "#conteudo", "{page}");
        assert!(tags.iter().any(|tag| tag.name == "main" && tag.get("id") == "conteudo"), "{page}");
    });
}

#[test]
fn every_control_and_picture_has_a_name() {
    every_page(|page, tags| {
        let mut actions: BTreeMap<String, &str> = BTreeMap::new();
        for (at, tag) in tags.iter().enumerate() {
            let name = if tag.has("aria-label") {
                tag.get("aria-label").to_owned()
            } else {
                words(tags, at)
            };
            match tag.name {
                "a" | "button" | "summary" | "th" | "legend" | "label" | "option" => {
                    assert!(
                        name.contains(char::is_alphanumeric),
                        "{page}: a nameless {}",
                        tag.name
                    );
                    assert!(
                        !name.chars().all(char::is_numeric) || tag.name == "option",
                        "{page}: {name} alone"
                    );
                }
                "img" => assert!(tag.has("alt"), "{page}: a picture without a text"),
                "table" => assert!(!tag.get("aria-label").is_empty(), "{page}: a nameless table"),
                _ => (),
            }
            // Buttons with the same name must act on the same thing.
            if tag.name == "button" && tag.has("data-key") {
                let other = actions.insert(name.clone(), tag.get("data-key"));
                assert!(
                    other.is_none_or(|other| other == tag.get("data-key")),
                    "{page}: two buttons are named {name:?}"
                );
            }
            if tag.get("class").split(' ').any(|class| matches!(class, "badge" | "state")) {
                assert!(!words(tags, at).is_empty(), "{page}: a colour alone");
            }
        }
    });
}

/// A table that becomes cards by CSS `display` loses its semantics, unless roles restore it.
#[test]
fn tables_keep_the_roles_of_their_cells() {
    every_page(|page, tags| {
        let mut table: Option<&Tag<'_>> = None;
        for tag in tags {
            let is_cards = table.is_some_and(|table| table.get("class") == "cards");
            let role = match tag.name {
                "table" => {
                    table = Some(tag);
                    continue;
                }
                "/table" => {
                    table = None;
                    continue;
                }
                "thead" | "tbody" | "tfoot" => "rowgroup",
                "tr" => "row",
                "td" => "cell",
                "th" => match tag.get("scope") {
                    "col" => "columnheader",
                    "row" => "rowheader",
                    scope => panic!("{page}: a header of scope {scope:?}"),
                },
                _ => continue,
            };
            assert!(table.is_some(), "{page}: a {} outside of a table", tag.name);
            assert!(
                !is_cards || tag.get("role") == role,
                "{page}: {} is no {role} on a narrow screen",
                tag.name
            );
        }
        let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
        assert_eq!(count("table"), count("thead"), "{page}: a table without a head");
    });
}

#[test]
fn errors_are_linked_to_their_fields() {
    let mut wrong = 0;
    for (page, html) in pages(Lang::Pt) {
        let tags = tags(&html);
        for tag in tags.iter().filter(|tag| tag.has("aria-invalid")) {
            wrong += 1;
            let id = tag.get("aria-describedby");
            let error = tags.iter().find(|tag| tag.get("id") == id && tag.get("class") == "erro");
            assert!(error.is_some_and(|error| !error.text.trim().is_empty()), "{page}: {id}");
            assert!(tag.has("autofocus"), "{page}: no focus on the field of {id}");
        }
        let errors = values(&html, "class").into_iter().filter(|class| *class == "erro").count();
        assert_eq!(errors, tags.iter().filter(|tag| tag.has("aria-invalid")).count(), "{page}");
    }
    assert!(wrong > 3, "no page has an error: {wrong}");
}

/// Live parts are not announced, except for the outcome of the transaction on its page.
#[test]
fn live_parts_are_not_announced() {
    every_page(|page, tags| {
        for tag in tags.iter().filter(|tag| tag.has("data-live")) {
            assert!(
                !tag.has("aria-live") && !tag.has("role"),
                "{page}: {} would be announced whole",
                tag.get("id")
            );
            assert!(!tag.get("id").is_empty(), "{page}: a live part without an id");
        }
        assert!(!tags.iter().any(|tag| tag.has("aria-live")), "{page}");
        let status =
            |id: &str| tags.iter().any(|tag| tag.get("id") == id && tag.get("role") == "status");
        assert!(status("anuncio") && status("ao-vivo"), "{page}");
        let announced = tags.iter().filter(|tag| tag.has("data-anunciar")).count();
        assert_eq!(announced, usize::from(page.starts_with("detalhes")), "{page}");
    });
}

#[test]
fn the_focus_is_visible() {
    let css = ASSETS.iter().find(|asset| asset.name == "painel.css").unwrap();
    let css = String::from_utf8_lossy(css.bytes);
    assert!(css.contains(":focus-visible { outline: 3px solid"));
    for hidden in ["outline: none", "outline: 0", "outline:0", "outline:none"] {
        assert!(!css.contains(hidden), "{hidden}");
    }
}
