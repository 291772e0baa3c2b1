//! Pages of closed mode: the one to log in, and one for somebody who has.

use super::fixtures::{NASTY, frame};
use super::*;

/// Somebody who logged in and may open two pages.
pub(super) fn person() -> Visitor {
    Visitor::Person {
        name: NASTY.into(),
        form_token: NASTY.into(),
        pages: vec![Page::Home, Page::Transact],
    }
}

/// Each with its name.
pub(super) fn pages(lang: Lang) -> Vec<(&'static str, String)> {
    let of = |here| frame(lang, here);
    vec![
        (
            "entrar",
            LogIn {
                f: Frame { visitor: Visitor::Stranger, done: None, ..of(Page::LogIn) },
                name: FormField::of(NASTY),
                password: FormField::default(),
                certificate: Some(NASTY.into()),
                error: Some(NASTY.into()),
                form_token: NASTY.into(),
                back: NASTY.into(),
            }
            .render()
            .unwrap(),
        ),
        (
            "pendentes-pessoa",
            Pending {
                f: Frame { visitor: person(), ..of(Page::Pending) },
                rows: vec![],
                resolved: None,
                first: true,
                next: None,
            }
            .render()
            .unwrap(),
        ),
    ]
}
