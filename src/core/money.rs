//! Money: whole centavos in an `i64`, with checked arithmetic; and how people type and read it.
//!
//! No float ever holds money. Sums over many accounts are `i128`. On the wire money is a whole
//! number of centavos; the texts here are for people only.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An amount in whole centavos.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Money(pub i64);

impl Money {
    /// No money at all: zero centavos.
    pub const ZERO: Money = Money(0);

    /// The sum; `None` if it does not fit.
    pub fn checked_add(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).map(Money)
    }

    /// The difference; `None` if it does not fit.
    pub fn checked_sub(self, other: Money) -> Option<Money> {
        self.0.checked_sub(other.0).map(Money)
    }

    /// The amount as a wider number, for sums over many accounts.
    pub fn wide(self) -> i128 {
        i128::from(self.0)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Total(self.wide()).fmt(f)
    }
}

/// A sum over many accounts, in whole centavos; formatted like money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Total(pub i128);

impl fmt::Display for Total {
    /// `R$ 1.234,56`, and `-R$ 1,00` below zero. Respects width and alignment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let centavos = self.0.unsigned_abs();
        let reais = (centavos / 100).to_string();
        let mut text = String::from(if self.0 < 0 { "-R$ " } else { "R$ " });
        for (at, digit) in reais.char_indices() {
            if at > 0 && (reais.len() - at).is_multiple_of(3) {
                text.push('.');
            }
            text.push(digit);
        }
        text.push_str(&format!(",{:02}", centavos % 100));
        f.pad(&text)
    }
}

/// Why a typed text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{typed}` is not an amount: {why}")]
pub struct BadMoney {
    /// The text that was typed.
    pub typed: String,
    /// Why it is no amount.
    pub why: &'static str,
}

const FORMS: &str = "type it like 200, 200.50, 200,50 or 1.234,56";
const AMBIGUOUS: &str =
    "with three digits after it, the separator may mean thousands or decimals; type 1234 or 1,23";

impl FromStr for Money {
    type Err = BadMoney;

    /// Reads an amount as people type it: `200`, `200.50`, `200,50`, `1.234,56`, with or without
    /// `R$` before it.
    ///
    /// `1.234` and `1,234` are rejected as ambiguous: they may mean a thousand or one. An amount
    /// has no sign.
    fn from_str(typed: &str) -> Result<Money, BadMoney> {
        let bad = |why| BadMoney { typed: typed.to_owned(), why };
        let text = typed.trim();
        let text = text.strip_prefix("R$").map_or(text, str::trim_start);
        if text.is_empty() {
            return Err(bad(FORMS));
        }
        if text.starts_with(['-', '+']) {
            return Err(bad("an amount has no sign"));
        }
        if !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b',')) {
            return Err(bad(FORMS));
        }
        let (whole, decimals) = match text.rsplit_once([',', '.']) {
            None => (text, ""),
            Some((whole, decimals)) => {
                let alone = !whole.contains([',', '.']);
                match decimals.len() {
                    0 => return Err(bad(FORMS)),
                    1 | 2 => (),
                    3 if alone && is_first_group(whole) => return Err(bad(AMBIGUOUS)),
                    3 if !alone => {
                        return Err(bad("the decimals are missing; type 1.234.567,00 or 1234567"));
                    }
                    _ => return Err(bad("at most two decimals")),
                }
                (whole, decimals)
            }
        };
        let decimal_comma = text.as_bytes().get(whole.len()) == Some(&b',');
        let mut reais: i64 = 0;
        let grouped = whole.contains('.');
        if whole.contains(',') || (grouped && !decimal_comma) {
            return Err(bad("thousands take a dot and decimals a comma, as in 1.234,56"));
        }
        for (at, group) in whole.split('.').enumerate() {
            let fits = match (grouped, at) {
                (false, _) => !group.is_empty(),
                (true, 0) => is_first_group(group),
                (true, _) => group.len() == 3,
            };
            if !fits {
                return Err(bad(if grouped {
                    "its dots do not stand between thousands"
                } else {
                    FORMS
                }));
            }
            for digit in group.bytes() {
                reais = push_digit(reais, digit).ok_or_else(|| bad("too large"))?;
            }
        }
        let mut centavos = reais;
        for digit in decimals.bytes().chain(std::iter::repeat(b'0')).take(2) {
            centavos = push_digit(centavos, digit).ok_or_else(|| bad("too large"))?;
        }
        Ok(Money(centavos))
    }
}

/// Can `group` precede a thousands dot?
fn is_first_group(group: &str) -> bool {
    (1..=3).contains(&group.len()) && !group.starts_with('0')
}

fn push_digit(number: i64, digit: u8) -> Option<i64> {
    number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn typed_amounts_are_read() {
        for (typed, centavos) in [
            ("200", 20_000),
            ("200.50", 20_050),
            ("200,50", 20_050),
            ("200.5", 20_050),
            ("0,01", 1),
            ("0", 0),
            ("1234.56", 123_456),
            ("1.234,56", 123_456),
            ("12.345.678,9", 1_234_567_890),
            ("R$ 1.234,56", 123_456),
            ("R$200", 20_000),
            ("92233720368547758.07", i64::MAX),
        ] {
            assert_eq!(typed.parse(), Ok(Money(centavos)), "{typed}");
        }
    }

    #[test]
    fn a_text_that_is_no_amount_is_rejected_with_its_fault() {
        for (typed, why) in [
            ("1.234", "thousands or decimals"),
            ("1,234", "thousands or decimals"),
            ("123.456", "thousands or decimals"),
            ("0.123", "at most two decimals"),
            ("1234.567", "at most two decimals"),
            ("1.2345", "at most two decimals"),
            ("1.234.567", "decimals are missing"),
            ("1.234,567", "decimals are missing"),
            ("1,234.56", "thousands take a dot"),
            ("1,234,56", "thousands take a dot"),
            ("1.234.56", "thousands take a dot"),
            ("12.34,56", "dots do not stand"),
            ("1234.567,00", "dots do not stand"),
            ("0.123,45", "dots do not stand"),
            (".234,56", "dots do not stand"),
            ("1..234,56", "dots do not stand"),
            ("-1", "no sign"),
            ("+1", "no sign"),
            ("", "type it like"),
            ("R$", "type it like"),
            (".50", "type it like"),
            ("5.", "type it like"),
            ("1e3", "type it like"),
            ("1 000", "type it like"),
            ("dez", "type it like"),
            ("１", "type it like"),
            ("92233720368547758.08", "too large"),
            ("99999999999999999999999", "too large"),
        ] {
            let error = typed.parse::<Money>().unwrap_err();
            assert!(error.why.contains(why), "{typed}: {error}");
            assert!(error.to_string().contains(&format!("`{typed}`")), "{error}");
        }
    }

    #[test]
    fn amounts_are_formatted() {
        assert_eq!(Money(0).to_string(), "R$ 0,00");
        assert_eq!(Money(5).to_string(), "R$ 0,05");
        assert_eq!(Money(99_999).to_string(), "R$ 999,99");
        assert_eq!(Money(100_000).to_string(), "R$ 1.000,00");
        assert_eq!(Money(123_456_789).to_string(), "R$ 1.234.567,89");
        assert_eq!(Money(-100).to_string(), "-R$ 1,00");
        assert_eq!(Money(i64::MIN).to_string(), "-R$ 92.233.720.368.547.758,08");
        assert_eq!(
            Total(i128::MIN).to_string(),
            "-R$ 1.701.411.834.604.692.317.316.873.037.158.841.057,28"
        );
        assert_eq!(format!("{:>10}|", Money(5)), "   R$ 0,05|");
    }

    proptest! {
        #[test]
        fn a_formatted_amount_is_read_back(centavos in 0..=i64::MAX) {
            prop_assert_eq!(Money(centavos).to_string().parse(), Ok(Money(centavos)));
        }

        #[test]
        fn plain_decimals_are_read_exactly(
            reais in 0..=i64::MAX / 100 - 1,
            centavos in 0i64..100,
            comma: bool,
        ) {
            let typed = format!("{reais}{}{centavos:02}", if comma { ',' } else { '.' });
            prop_assert_eq!(typed.parse(), Ok(Money(reais * 100 + centavos)));
        }

        #[test]
        fn parsing_an_amount_never_panics(typed in "\\PC{0,12}|[0-9.,+ -]{0,24}") {
            let _ = typed.parse::<Money>();
        }
    }
}
