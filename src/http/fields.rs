//! Parses the JSON body of a request field by field: an error names its field, and no number is
//! parsed as a float.
//!
//! Unknown fields are ignored. A repeated field is refused, because it is ambiguous.

use crate::problem::Problem;
use crate::reais::{self, BadReais};
use consorcio_core::ids::fit::Unfit;
use consorcio_core::ids::{AccountNumber, BadName, TaxId, TxId};
use consorcio_core::money::Money;
use consorcio_core::wire::json::{self, BadObject};
use consorcio_core::wire::text::excerpt;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The fields of a JSON object, and the path of that object in the body.
#[derive(Debug)]
pub(crate) struct BodyFields<'a> {
    path: String,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> BodyFields<'a> {
    /// The fields of a body.
    ///
    /// # Errors
    /// When it is no JSON object, or has a field twice.
    pub(crate) fn of_body(text: &'a str) -> Result<BodyFields<'a>, Problem> {
        BodyFields::read("o corpo", String::new(), text)
    }

    /// The fields of the object at `path`, such as `participantes[1]`.
    ///
    /// # Errors
    /// When it is no JSON object, or has a field twice.
    pub(crate) fn of_item(path: &str, item: &'a RawValue) -> Result<BodyFields<'a>, Problem> {
        BodyFields::read(&format!("`{path}`"), format!("{path}."), item.get())
    }

    fn read(what: &str, path: String, text: &'a str) -> Result<BodyFields<'a>, Problem> {
        let fields = json::fields(text).map_err(|bad| {
            Problem::bad(match bad {
                BadObject::Other => format!("{what} deve ser um objeto JSON"),
                BadObject::Broken { line, column } => {
                    format!("{what} não é JSON válido (linha {line}, coluna {column})")
                }
                BadObject::Twice(name) => format!("`{path}{}` aparece duas vezes", excerpt(&name)),
            })
        })?;
        Ok(BodyFields { path, fields })
    }

    /// An error about one field.
    pub(crate) fn wrong(&self, name: &str, what: &str) -> Problem {
        Problem::bad(format!("`{}{name}` {what}", self.path))
    }

    /// The JSON of a field, if it is present and not null.
    pub(crate) fn find(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    /// The JSON of a required field.
    ///
    /// # Errors
    /// When it is missing.
    pub(crate) fn get(&self, name: &str) -> Result<&'a RawValue, Problem> {
        self.find(name).ok_or_else(|| self.wrong(name, "falta"))
    }

    /// A field that is a string.
    ///
    /// # Errors
    /// When it is missing or no string.
    pub(crate) fn text(&self, name: &str) -> Result<String, Problem> {
        let value = self.get(name)?;
        serde_json::from_str(value.get()).map_err(|_| self.wrong(name, "deve ser um texto"))
    }

    /// A string that `read` must accept; `rule` describes a legal value.
    ///
    /// # Errors
    /// When it is missing, no string, or not legal.
    pub(crate) fn name<T>(
        &self,
        name: &str,
        rule: &str,
        read: impl FnOnce(&str) -> Result<T, BadName>,
    ) -> Result<T, Problem> {
        read(&self.text(name)?).map_err(|_| self.wrong(name, rule))
    }

    /// The CPF of a person, or the CNPJ of a company.
    ///
    /// # Errors
    /// When it is missing, or neither a CPF nor a CNPJ.
    pub(crate) fn cpf(&self, name: &str) -> Result<TaxId, Problem> {
        let text = self.text(name)?;
        cpf(&text).ok_or_else(|| self.wrong(name, CPF_RULE))
    }

    /// The number of an account. A space in it is kept as `␣`.
    ///
    /// # Errors
    /// When it is missing or not legal.
    pub(crate) fn account(&self, name: &str) -> Result<AccountNumber, Problem> {
        number(&self.text(name)?).ok_or_else(|| self.wrong(name, NUMBER_RULE))
    }

    /// The number of a new account.
    ///
    /// # Errors
    /// When it is missing, or not legal for a new account.
    pub(crate) fn new_account(&self, name: &str) -> Result<AccountNumber, Problem> {
        let number = self.account(name)?;
        self.fit(name, number.check_new())?;
        Ok(number)
    }

    /// Maps the check of a new text, which must have no invisible characters, to an error of the
    /// field.
    ///
    /// # Errors
    /// When the check failed.
    pub(crate) fn fit(&self, name: &str, checked: Result<(), Unfit>) -> Result<(), Problem> {
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
    /// When it is missing or not legal.
    pub(crate) fn tx(&self, name: &str) -> Result<TxId, Problem> {
        self.name(name, TX_RULE, TxId::new)
    }

    /// An amount of zero or more.
    ///
    /// # Errors
    /// When it is missing or not legal.
    pub(crate) fn amount_or_zero(&self, name: &str) -> Result<Money, Problem> {
        let value = self.get(name)?;
        reais::read(value.get()).map_err(|bad: BadReais| self.wrong(name, bad.as_str()))
    }

    /// An amount above zero.
    ///
    /// # Errors
    /// When it is missing or not legal.
    pub(crate) fn amount(&self, name: &str) -> Result<Money, Problem> {
        let amount = self.amount_or_zero(name)?;
        if amount == Money::ZERO {
            Err(self.wrong(name, "deve ser maior que zero"))
        } else {
            Ok(amount)
        }
    }

    /// A boolean; false if it is missing.
    ///
    /// # Errors
    /// When it is no boolean.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        let Some(value) = self.find(name) else { return Ok(false) };
        serde_json::from_str(value.get()).map_err(|_| self.wrong(name, "deve ser true ou false"))
    }

    /// A whole number that fits `u8`.
    ///
    /// # Errors
    /// When it is missing or no such number.
    pub(crate) fn small(&self, name: &str) -> Result<u8, Problem> {
        let value = self.get(name)?;
        serde_json::from_str(value.get()).map_err(|_| {
            self.wrong(name, "deve ser a posição de um banco, um número inteiro de 0 em diante")
        })
    }

    /// A field that is a list.
    ///
    /// # Errors
    /// When it is missing or no list.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<&'a RawValue>, Problem> {
        let value = self.get(name)?;
        serde_json::from_str(value.get()).map_err(|_| self.wrong(name, "deve ser uma lista"))
    }
}

/// The rule for a CPF, written after the name of its field.
pub(crate) const CPF_RULE: &str =
    "deve ser um texto: CPF de 11 dígitos, ou CNPJ de 14 letras maiúsculas e dígitos";

/// The rule for an account number, written after the name of its field.
pub(crate) const NUMBER_RULE: &str =
    "deve ter de 1 a 64 bytes, sem caracteres de controle e sem espaço no começo ou no fim";

/// Replaces a space in an account number: the line protocol separates words by spaces.
const SPACE: &str = "␣";

/// The rule for the id of a transaction, written after the name of its field.
pub(crate) const TX_RULE: &str = "deve ter de 1 a 64 caracteres entre A-Z a-z 0-9 . _ -";

/// Parses `text` as a CPF or CNPJ.
pub(crate) fn cpf(text: &str) -> Option<TaxId> {
    TaxId::new(text).ok()
}

/// Parses `text` as an account number, in the form that the bank uses.
pub(crate) fn number(text: &str) -> Option<AccountNumber> {
    let trimmed = text.trim() == text;
    AccountNumber::new(&text.replace(' ', SPACE)).ok().filter(|_| trimmed)
}

/// The account number as clients of HTTP wrote it.
pub(crate) fn given_number(number: String) -> String {
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
    fn a_wrong_body_is_described() {
        for (text, expected) in [
            ("", "não é JSON válido"),
            ("{", "não é JSON válido"),
            ("{\"a\":NaN}", "não é JSON válido"),
            ("{\"a\":1}x", "não é JSON válido"),
            ("[]", "deve ser um objeto"),
            ("1", "deve ser um objeto"),
            ("{\"a\":1,\"b\":2,\"a\":3}", "`a` aparece duas vezes"),
        ] {
            let found = problem(BodyFields::of_body(text));
            assert!(found.contains(expected), "{text}: {found}");
        }
    }

    #[test]
    fn a_space_in_a_number_survives_a_round_trip() {
        for text in ["12345-6", "12345 6", "12  3", "conta 1 a"] {
            let known = number(text).unwrap();
            assert!(!known.as_str().contains(' '));
            assert_eq!(given_number(known.to_string()), text);
        }
        // Both spellings are the same account.
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
        let fields = BodyFields::of_body(text).unwrap();
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
        let inside = BodyFields::of_item("participantes[1]", fields.get("o").unwrap()).unwrap();
        assert!(
            problem(inside.amount("valor")).contains("`participantes[1].valor` deve ser um número")
        );
    }
}
