//! The languages that people may choose.

/// A language of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// Portuguese, which is the default.
    #[default]
    Pt,
    /// English, by the language switch.
    En,
}

impl Lang {
    /// Its code for `lang` in HTML.
    pub fn code(self) -> &'static str {
        match self {
            Lang::Pt => "pt-BR",
            Lang::En => "en",
        }
    }

    /// Its short code in the cookie and in links.
    pub fn short(self) -> &'static str {
        match self {
            Lang::Pt => "pt",
            Lang::En => "en",
        }
    }

    /// The name of the language in itself.
    pub fn own_name(self) -> &'static str {
        match self {
            Lang::Pt => "Português",
            Lang::En => "English",
        }
    }

    /// The language that the switch selects.
    pub fn other(self) -> Lang {
        match self {
            Lang::Pt => Lang::En,
            Lang::En => Lang::Pt,
        }
    }

    /// The language of a short code.
    pub fn of(short: &str) -> Option<Lang> {
        match short {
            "pt" => Some(Lang::Pt),
            "en" => Some(Lang::En),
            _ => None,
        }
    }

    /// The language of a locale, such as `pt_BR.UTF-8` or `en-GB`; `None` for any other one.
    pub fn of_locale(locale: &str) -> Option<Lang> {
        let language = locale.split(['_', '-', '.', '@']).next().unwrap_or(locale);
        match language.to_ascii_lowercase().as_str() {
            "pt" => Some(Lang::Pt),
            // POSIX: the programs' own language.
            "en" | "c" | "posix" => Some(Lang::En),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_its_short_code() {
        for lang in [Lang::Pt, Lang::En] {
            assert_eq!(Lang::of(lang.short()), Some(lang));
        }
        assert_eq!(Lang::of("de"), None);
    }

    #[test]
    fn a_locale_begins_with_its_language() {
        for (locale, lang) in [
            ("pt_BR.UTF-8", Some(Lang::Pt)),
            ("pt", Some(Lang::Pt)),
            ("PT-br", Some(Lang::Pt)),
            ("en_US.UTF-8", Some(Lang::En)),
            ("C.UTF-8", Some(Lang::En)),
            ("POSIX", Some(Lang::En)),
            ("de_DE@euro", None),
            ("", None),
        ] {
            assert_eq!(Lang::of_locale(locale), lang, "{locale}");
        }
    }
}
