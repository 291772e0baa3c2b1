//! The JSON body of a request, read field by field: each that is wrong is named, and none is read
//! as a float.
//!
//! Fields that nobody asks for are ignored. One that stands twice is refused, because nobody can
//! say which is meant.

use crate::problem::Problem;
use crate::reais::{self, BadReais};
use consorcio_core::ids::fit::Unfit;
use consorcio_core::ids::{AccountNumber, BadName, TaxId, TxId};
use consorcio_core::money::Money;
use consorcio_core::wire::json::{self, BadObject};
use consorcio_core::wire::text::excerpt;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The fields of a JSON object, and where it stands in the body.
#[derive(Debug)]
pub struct Fields<'a> {
    path: String,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// The fields of a body.
    ///
    /// # Errors
    /// When it is no JSON object, or a field stands twice.
    pub fn of_body(text: &'a str) -> Result<Fields<'a>, Problem> {
        Fields::read("o corpo", String::new(), text)
    }

    /// The fields of the object at `path`, such as `participantes[1]`.
    ///
    /// # Errors
    /// When it is no JSON object, or a field stands twice.
    pub fn of_item(path: &str, item: &'a RawValue) -> Result<Fields<'a>, Problem> {
        Fields::read(&format!("`{path}`"), format!("{path}."), item.get())
    }

    fn read(what: &str, path: String, text: &'a str) -> Result<Fields<'a>, Problem> {
        let fields = json::fields(text).map_err(|bad| {
            Problem::bad(match bad {
                BadObject::Other => format!("{what} deve ser um objeto JSON"),
                BadObject::Broken { line, column } => {
                    format!("{what} não é JSON válido (linha {line}, coluna {column})")
                }
                BadObject::Twice(name) => format!("`{path}{}` aparece duas vezes", excerpt(&name)),
            })
        })?;
        Ok(Fields { path, fields })
    }

    /// An error about one field.
    pub fn wrong(&self, name: &str, what: &str) -> Problem {
        Problem::bad(format!("`{}{name}` {what}", self.path))
    }

    /// The JSON of a field, where it is given and not null.
    pub fn find(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    /// The JSON of a field that must be given.
    ///
    /// # Errors
    /// When it is not.
    pub fn get(&self, name: &str) -> Result<&'a RawValue, Problem> {
        self.find(name).ok_or_else(|| self.wrong(name, "falta"))
    }

    /// A text.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn text(&self, name: &str) -> Result<String, Problem> {
        let value = self.get(name)?;
        serde_json::from_str(value.get()).map_err(|_| self.wrong(name, "deve ser um texto"))
    }

    /// A text that must be a legal name; `rule` says what that is.
    ///
    /// # Errors
    /// When it is missing, something else, or not legal.
    pub fn name<T>(
        &self,
        name: &str,
        rule: &str,
        read: impl FnOnce(&str) -> Result<T, BadName>,
    ) -> Result<T, Problem> {
        read(&self.text(name)?).map_err(|_| self.wrong(name, rule))
    }

    /// A CPF, or a company's CNPJ.
    ///
    /// # Errors
    /// When it is missing, or neither a CPF nor a CNPJ.
    pub fn cpf(&self, name: &str) -> Result<TaxId, Problem> {
        let text = self.text(name)?;
        cpf(&text).ok_or_else(|| self.wrong(name, CPF_RULE))
    }

    /// The number of an account. A space in it is kept as `␣`.
    ///
    /// # Errors
    /// When it is missing, or can't be one.
    pub fn account(&self, name: &str) -> Result<AccountNumber, Problem> {
        number(&self.text(name)?).ok_or_else(|| self.wrong(name, NUMBER_RULE))
    }

    /// The number of an account that is to be opened.
    ///
    /// # Errors
    /// When it is missing, or is no good as a new one.
    pub fn new_account(&self, name: &str) -> Result<AccountNumber, Problem> {
        let number = self.account(name)?;
        self.fit(name, number.check_new())?;
        Ok(number)
    }

    /// A new text must show all that it has.
    ///
    /// # Errors
    /// When it does not, naming the field.
    pub fn fit(&self, name: &str, checked: Result<(), Unfit>) -> Result<(), Problem> {
        checked.map_err(|unfit| match unfit {
            Unfit::Invisible(_) => {
                self.wrong(name, &format!("não pode ter o caractere invisível {unfit}"))
            }
            Unfit::Untrimmed => self.wrong(name, "não pode começar nem terminar com espaço"),
            Unfit::Dots => self.wrong(name, "não pode ser `.` nem `..`"),
        })
    }

    /// The id of a transaction.
    ///
    /// # Errors
    /// When it is missing, or can't be one.
    pub fn tx(&self, name: &str) -> Result<TxId, Problem> {
        self.name(name, TX_RULE, TxId::new)
    }

    /// An amount from zero on.
    ///
    /// # Errors
    /// When it is missing, or none.
    pub fn amount_or_zero(&self, name: &str) -> Result<Money, Problem> {
        let value = self.get(name)?;
        reais::read(value.get()).map_err(|bad: BadReais| self.wrong(name, bad.as_str()))
    }

    /// An amount above zero.
    ///
    /// # Errors
    /// When it is missing, or none.
    pub fn amount(&self, name: &str) -> Result<Money, Problem> {
        let amount = self.amount_or_zero(name)?;
        if amount == Money::ZERO {
            Err(self.wrong(name, "deve ser maior que zero"))
        } else {
            Ok(amount)
        }
    }

    /// True or false; false where it is not given.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        let Some(value) = self.find(name) else { return Ok(false) };
        serde_json::from_str(value.get()).map_err(|_| self.wrong(name, "deve ser true ou false"))
    }

    /// A whole number that fits `u8`.
    ///
    /// # Errors
    /// When it is missing, or something else.
    pub fn small(&self, name: &str) -> Result<u8, Problem> {
        let value = self.get(name)?;
        serde_json::from_str(value.get()).map_err(|_| {
            self.wrong(name, "deve ser a posição de um banco, um número inteiro de 0 em diante")
        })
    }

    /// A list.
    ///
    /// # Errors
    /// When it is missing, or something else.
    pub fn list(&self, name: &str) -> Result<Vec<&'a RawValue>, Problem> {
        let value = self.get(name)?;
        serde_json::from_str(value.get()).map_err(|_| self.wrong(name, "deve ser uma lista"))
    }
}

/// What a CPF must be, after the name of its field.
pub const CPF_RULE: &str =
    "deve ser um texto: CPF de 11 dígitos, ou CNPJ de 14 letras maiúsculas e dígitos";

/// What an account's number must be, after the name of its field.
pub const NUMBER_RULE: &str =
    "deve ter de 1 a 64 bytes, sem caracteres de controle e sem espaço no começo ou no fim";

/// What stands for a space in an account's number, which has none at the bank: a line is cut at its
/// spaces.
const SPACE: &str = "␣";

/// What a transaction's id must be, after the name of its field.
pub const TX_RULE: &str = "deve ter de 1 a 64 caracteres entre A-Z a-z 0-9 . _ -";

/// The CPF or CNPJ that `text` is.
pub fn cpf(text: &str) -> Option<TaxId> {
    TaxId::new(text).ok()
}

/// The account's number that `text` is, as the bank has it.
pub fn number(text: &str) -> Option<AccountNumber> {
    let trimmed = text.trim() == text;
    AccountNumber::new(&text.replace(' ', SPACE)).ok().filter(|_| trimmed)
}

/// An account's number as the callers of routes gave it.
pub fn given_number(number: String) -> String {
    if number.contains(SPACE) { number.replace(SPACE, " ") } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::ids::fit::check_text;
    use std::fmt;

    fn problem<T: fmt::Debug>(result: Result<T, Problem>) -> String {
        result.unwrap_err().error().to_owned()
    }

    #[test]
    fn a_wrong_body_is_told() {
        for (text, told) in [
            ("", "não é JSON válido"),
            ("{", "não é JSON válido"),
            ("{\"a\":NaN}", "não é JSON válido"),
            ("{\"a\":1}x", "não é JSON válido"),
            ("[]", "deve ser um objeto"),
            ("1", "deve ser um objeto"),
            ("{\"a\":1,\"b\":2,\"a\":3}", "`a` aparece duas vezes"),
        ] {
            let found = problem(Fields::of_body(text));
            assert!(found.contains(told), "{text}: {found}");
        }
    }

    #[test]
    fn a_space_in_a_number_is_kept_and_comes_back() {
        for text in ["12345-6", "12345 6", "12  3", "conta 1 a"] {
            let known = number(text).unwrap();
            assert!(!known.as_str().contains(' '));
            assert_eq!(given_number(known.to_string()), text);
        }
        // One account has one number, whichever way it is written.
        assert_eq!(number("1 2"), number("1␣2"));
        for bad in ["", " ", " 1", "1 ", "1\t2", "1\u{a0}2", &"1 ".repeat(40)] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        let text = concat!(
            r#"{"cpf":"123","n":1,"valor":0,"v":1.005,"b":true,"s":" x","o":{"valor":"1"},"#,
            r#""nada":null,"e\u0073c":"a"}"#
        );
        let fields = Fields::of_body(text).unwrap();
        assert!(problem(fields.cpf("cpf")).contains("`cpf` deve ser um texto: CPF de 11"));
        assert!(problem(fields.cpf("n")).contains("`n` deve ser um texto"));
        assert!(problem(fields.amount("valor")).contains("`valor` deve ser maior que zero"));
        assert!(problem(fields.amount("v")).contains("`v` deve ter no máximo duas"));
        assert!(
            problem(fields.amount("b"))
                .ends_with("`b` deve ser um número JSON em reais, sem aspas, como 10 ou 10.5")
        );
        assert!(problem(fields.account("s")).contains("`s` deve ter de 1 a 64"));
        assert!(problem(fields.text("nada")).contains("`nada` falta"));
        assert!(problem(fields.text("outro")).contains("`outro` falta"));
        assert!(problem(fields.flag("n")).contains("`n` deve ser true ou false"));
        assert!(problem(fields.list("n")).contains("`n` deve ser uma lista"));
        assert!(problem(fields.fit("s", check_text("a\u{202e}b"))).contains("`s` não pode ter"));
        assert_eq!(fields.text("esc").unwrap(), "a");
        let inside = Fields::of_item("participantes[1]", fields.get("o").unwrap()).unwrap();
        assert!(
            problem(inside.amount("valor")).contains("`participantes[1].valor` deve ser um número")
        );
    }
}
