//! Details in both languages.

use super::*;

#[test]
fn amounts_are_formatted_in_both_languages() {
    let text = "account 12345-6 has 79950 centavos available, 500000 are asked";
    for (lang, expected) in [
        (Lang::Pt, "a conta 12345-6 tem R$ 799,50 disponíveis, são pedidos R$ 5.000,00"),
        (Lang::En, "account 12345-6 has R$ 799,50 available, R$ 5.000,00 are asked"),
    ] {
        assert_eq!(in_words(lang, text), expected);
    }
    let twice = format!("bank 1 refused bank 2 refused {text}");
    assert_eq!(
        in_words(Lang::Pt, &twice),
        "o banco 1 recusou: o banco 2 recusou: a conta 12345-6 tem R$ 799,50 disponíveis, são \
         pedidos R$ 5.000,00"
    );
    assert_eq!(
        first_words(Lang::Pt, &twice),
        "a conta 12345-6 tem R$ 799,50 disponíveis, são pedidos R$ 5.000,00"
    );
    assert_eq!(in_words(Lang::Pt, "bank 1 refused"), "o banco 1 recusou");
    assert_eq!(first_words(Lang::Pt, "bank 1 refused"), "");
    assert_eq!(sentence(Lang::Pt, "no account 1"), "A conta 1 não existe.");
    assert_eq!([sentence(Lang::Pt, "t1"), sentence(Lang::Pt, "")], ["t1", ""]);
    assert_eq!(
        in_words(Lang::Pt, "not known yet; no answer from bank 0, 1, 2"),
        "o resultado ainda não é conhecido; faltam as respostas dos bancos 0, 1 e 2"
    );
}

#[test]
fn an_unknown_text_is_shown_unchanged() {
    for text in ["", "the moon is full", "conta estranha", "12345-6"] {
        assert_eq!(in_words(Lang::Pt, text), text);
    }
    // Even if it is nested very deeply.
    let deep = "bank 1 refused ".repeat(4_000);
    assert!(in_words(Lang::Pt, deep.trim_end()).starts_with("o banco 1 recusou: o banco 1"));
}

/// English words that no Portuguese text may contain.
const ENGLISH: [&str; 14] = [
    " the ",
    "bank",
    "account",
    " is ",
    " has ",
    " was ",
    "transaction",
    "more",
    "asked",
    "client ",
    "refuse ",
    "does",
    "this",
    "deposit ",
];

#[test]
fn each_detail_is_translated() {
    for detail in Detail::samples() {
        let text = detail.to_string();
        let words = in_words(Lang::Pt, &text);
        assert!(!words.is_empty() && !words.contains("centavos"), "{text}: {words}");
        if !matches!(detail, Detail::Named { .. }) {
            assert_ne!(words, text);
        }
        let padded = format!(" {words} ");
        assert!(!ENGLISH.iter().any(|word| padded.contains(word)), "{text}: {words}");
        let english = in_words(Lang::En, &text);
        assert!(!english.contains("centavos"), "{english}");
    }
}
