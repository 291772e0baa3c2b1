//! Tests of every page with content, in both languages: text from users can't become markup, each
//! field has its label, and no page needs a looser content security policy.
//!
//! `CONSORCIO_PANEL_PREVIEW=DIR` writes the pages there, for viewing.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use super::frame::{Frame, Page, Visitor};
use super::pages::*;
use super::texts::Lang;
use super::views::*;
use super::{ASSETS, CONTENT_SECURITY_POLICY};
use askama::Template;
use consorcio_core::money::{Money, Total};
use std::collections::BTreeSet;

mod accessibility;
mod fixtures;
mod people;

/// Every page with content, by its name.
fn pages(lang: Lang) -> Vec<(&'static str, String)> {
    [fixtures::pages(lang), people::pages(lang)].concat()
}

/// The values of an attribute, in the order of the page.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    html.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn text_from_users_is_never_markup() {
    for (name, html) in pages(Lang::Pt) {
        assert!(!html.contains("<script>"), "{name}");
        assert!(!html.contains("\"'&"), "{name}");
    }
}

#[test]
fn pages_keep_to_the_content_security_policy() {
    assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
    for (name, html) in pages(Lang::En) {
        for forbidden in
            [" style=", "<style", " onclick=", " onsubmit=", "javascript:", "http://", "https://"]
        {
            assert!(!html.contains(forbidden), "{name} has {forbidden}");
        }
    }
    for asset in ASSETS {
        let text = String::from_utf8_lossy(asset.bytes);
        assert!(!text.contains("@import") && !text.contains("url("), "{}", asset.name);
    }
}

#[test]
fn each_field_has_its_label_and_each_description_exists() {
    for (name, html) in pages(Lang::Pt) {
        let ids = values(&html, "id");
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{name} uses an id twice: {ids:?}");
        for attribute in ["for", "aria-describedby", "aria-labelledby"] {
            for id in values(&html, attribute) {
                assert!(unique.contains(id), "{name}: {attribute}={id} has no target");
            }
        }
        let labelled: BTreeSet<&str> = values(&html, "for").into_iter().collect();
        for field in html.split("<input ").skip(1).chain(html.split("<select ").skip(1)) {
            let field = format!(" {}", field.split('>').next().unwrap());
            let hidden = field.contains("type=\"hidden\"") || field.contains("type=\"radio\"");
            let id = values(&field, "id");
            assert!(
                hidden || id.iter().any(|id| labelled.contains(id)),
                "{name}: no label for {field}"
            );
        }
    }
}

#[test]
fn each_verdict_of_an_audit_has_its_text() {
    let pages = pages(Lang::Pt);
    for (name, words) in [
        ("auditoria", "Confere até o centavo."),
        ("auditoria-errada", "NÃO CONFERE."),
        ("auditoria-falta", "Não dá para dizer: falta Banco 1"),
        ("auditoria-saiu", "Não dá para dizer: um banco que saiu"),
    ] {
        let (_, html) = pages.iter().find(|(page, _)| *page == name).unwrap();
        for other in ["Confere até", "NÃO CONFERE", "Não dá para dizer"] {
            assert_eq!(html.contains(other), words.starts_with(other), "{name}: {other}");
        }
        assert!(html.contains(words), "{name}");
    }
}

#[test]
fn a_page_for_a_person_has_its_pages_only_and_a_token_in_each_form() {
    let cash = |visitor| {
        let frame = Frame { visitor, ..fixtures::frame(Lang::Pt, Page::Cash) };
        let of = FormField::of;
        let page = Cash {
            f: frame,
            number: of("1"),
            cpf: of(""),
            amount: of("1"),
            tx: "t1".into(),
            withdraw: true,
        };
        page.render().unwrap()
    };
    let forms = |html: &str| html.matches("method=\"post\"").count();
    let tokens = |html: &str| html.matches("name=\"sessao\" value=\"").count();
    let pages = |html: &str| html.split("<nav").nth(1).map_or(0, |nav| nav.matches("<li>").count());
    let open = cash(Visitor::Anybody);
    assert_eq!((forms(&open), tokens(&open), pages(&open)), (1, 0, Page::ALL.len()));
    let own = cash(people::person());
    assert_eq!((forms(&own), tokens(&own), pages(&own)), (2, 2, 2), "with the form to log out");
    let stranger = cash(Visitor::Stranger);
    assert_eq!((tokens(&stranger), pages(&stranger)), (0, 0));
}

#[test]
fn every_page_exists_in_both_languages() {
    let preview = std::env::var_os("CONSORCIO_PANEL_PREVIEW").map(std::path::PathBuf::from);
    for ((name, pt), (_, en)) in pages(Lang::Pt).into_iter().zip(pages(Lang::En)) {
        assert!(pt.contains("lang=\"pt-BR\"") && en.contains("lang=\"en\""), "{name}");
        let titles = if name == "entrar" {
            ["Entrar", "Log in"]
        } else {
            ["Fazer transação", "New transaction"]
        };
        assert!(pt.contains(titles[0]) && en.contains(titles[1]), "{name}");
        if let Some(folder) = &preview {
            std::fs::write(folder.join(format!("{name}.html")), pt).unwrap();
        }
    }
    if let Some(folder) = &preview {
        std::fs::create_dir_all(folder.join("painel")).unwrap();
        for asset in ASSETS {
            std::fs::write(folder.join("painel").join(asset.name), asset.bytes).unwrap();
        }
    }
}
