//! Money in JSON: a number in reais, with as many decimals as it needs.
//!
//! A number is parsed and formatted as text. It never becomes a float, so 0.1 plus 0.2 is 0.3.

use consorcio_core::money::Money;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Why a JSON value is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadReais {
    /// The JSON is not a number.
    NotANumber,
    /// It is written with more than two decimals.
    Decimals,
    /// The amount is below zero.
    Negative,
    /// The amount is more than an account can hold.
    TooLarge,
}

impl BadReais {
    /// The text of the error, after the name of the field.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            BadReais::NotANumber => "deve ser um número JSON em reais, sem aspas, como 10 ou 10.5",
            BadReais::Decimals => "deve ter no máximo duas casas decimais",
            BadReais::Negative => "não pode ser negativo",
            BadReais::TooLarge => "passa do limite",
        }
    }
}

/// Parses a JSON number in reais.
///
/// An exponent moves the point, so `1.5e2` is 150 without decimals. Decimals count as written:
/// `1.000` has three.
///
/// # Errors
/// When it is no amount of whole centavos, zero or more.
pub(crate) fn read(text: &str) -> Result<Money, BadReais> {
    if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err(BadReais::NotANumber);
    }
    if text.starts_with('-') {
        return Err(BadReais::Negative);
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit()) {
        return Err(BadReais::NotANumber);
    }
    // An exponent that does not fit moves the point further than any amount allows.
    let exponent: i64 =
        exponent.parse().unwrap_or(if exponent.starts_with('-') { -1_000 } else { 1_000 });
    let decimals = i64::try_from(fraction.len()).unwrap_or(i64::MAX).saturating_sub(exponent);
    if decimals > 2 {
        return Err(BadReais::Decimals);
    }
    let mut centavos: i64 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        centavos = push(centavos, byte - b'0').ok_or(BadReais::TooLarge)?;
    }
    // Zero stays zero for any exponent.
    for _ in decimals..if centavos == 0 { decimals } else { 2 } {
        centavos = push(centavos, 0).ok_or(BadReais::TooLarge)?;
    }
    Ok(Money(centavos))
}

fn push(number: i64, digit: u8) -> Option<i64> {
    number.checked_mul(10)?.checked_add(i64::from(digit))
}

/// An amount as a JSON number in reais.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reais(pub Money);

impl Reais {
    /// The number as text: `1000`, `10.5`, `0.05`.
    pub(crate) fn to_text(self) -> String {
        let Money(centavos) = self.0;
        let sign = if centavos < 0 { "-" } else { "" };
        let (reais, rest) = (centavos.unsigned_abs() / 100, centavos.unsigned_abs() % 100);
        match (rest / 10, rest % 10) {
            (0, 0) => format!("{sign}{reais}"),
            (tenths, 0) => format!("{sign}{reais}.{tenths}"),
            (tenths, hundredths) => format!("{sign}{reais}.{tenths}{hundredths}"),
        }
    }
}

impl Serialize for Reais {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_text())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_exact() {
        for (text, centavos) in [
            ("1000", 100_000),
            ("0.1", 10),
            ("0.30", 30),
            ("10.05", 1_005),
            ("0", 0),
            ("0.00", 0),
            ("1e2", 10_000),
            ("1E+2", 10_000),
            ("1.25e1", 1_250),
            ("5e-2", 5),
            ("0e999999999999999999999", 0),
            ("92233720368547758.07", i64::MAX),
        ] {
            assert_eq!(read(text), Ok(Money(centavos)), "{text}");
        }
        assert_eq!(read("0.1").unwrap().0 + read("0.2").unwrap().0, read("0.30").unwrap().0);
    }

    #[test]
    fn other_values_are_refused() {
        for (text, why) in [
            ("\"10\"", BadReais::NotANumber),
            ("null", BadReais::NotANumber),
            ("true", BadReais::NotANumber),
            ("[1]", BadReais::NotANumber),
            ("-1", BadReais::Negative),
            ("-0.01", BadReais::Negative),
            ("1.005", BadReais::Decimals),
            ("1.000", BadReais::Decimals),
            ("1e-3", BadReais::Decimals),
            ("1e-99999999999999999999", BadReais::Decimals),
            ("92233720368547758.08", BadReais::TooLarge),
            ("1e17", BadReais::TooLarge),
            ("1e400", BadReais::TooLarge),
            ("1e99999999999999999999", BadReais::TooLarge),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
    }

    #[test]
    fn amounts_have_only_the_decimals_that_they_need() {
        for (centavos, text) in [
            (100_000, "1000"),
            (1_050, "10.5"),
            (30, "0.3"),
            (5, "0.05"),
            (0, "0"),
            (-1_001, "-10.01"),
        ] {
            assert_eq!(Reais(Money(centavos)).to_text(), text);
        }
        assert_eq!(serde_json::to_string(&[Reais(Money(1_050))]).unwrap(), "[10.5]");
    }

    proptest! {
        #[test]
        fn a_formatted_amount_parses_to_the_same(centavos in 0..=i64::MAX) {
            prop_assert_eq!(read(&Reais(Money(centavos)).to_text()), Ok(Money(centavos)));
        }

        #[test]
        fn parsing_never_panics(text in "-?[0-9]{0,22}(\\.[0-9]{0,4})?([eE][+-]?[0-9]{0,22})?") {
            let _ = read(&text);
        }
    }
}
