//! Parses arguments: accounts as `BANK/NUMBER`, legs of a transfer, amounts, tax numbers,
//! durations.

use crate::language::say;
use consorcio_core::ids::{AccountNumber, BankId, TaxId, TxId};
use consorcio_core::money::{Money, Total};
use std::time::Duration;

/// An account at a bank, typed `BANK/NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub bank: BankId,
    pub number: AccountNumber,
}

/// Money out of an account, typed `BANK/NUMBER=AMOUNT[@CPF]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FromLeg {
    pub account: Account,
    pub amount: Money,
    /// The bank checks that this is a holder.
    pub cpf: Option<TaxId>,
}

/// Money into an account, typed `BANK/NUMBER[=AMOUNT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ToLeg {
    pub account: Account,
    /// If missing, what the other legs leave.
    pub amount: Option<Money>,
}

impl Account {
    /// Parses `BANK/NUMBER`.
    ///
    /// # Errors
    /// The half that is wrong, and its format.
    pub(crate) fn read(text: &str) -> Result<Account, String> {
        let (bank, number) = text
            .split_once('/')
            .ok_or_else(|| format!("{text:?}: an account is BANK/NUMBER, as in 0/12345-6"))?;
        let number = AccountNumber::new(number).map_err(|error| error.to_string())?;
        Ok(Account { bank: self::bank(bank)?, number })
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.bank, self.number)
    }
}

impl FromLeg {
    /// Parses `BANK/NUMBER=AMOUNT[@CPF]`.
    ///
    /// # Errors
    /// The part that is wrong, and its format.
    pub(crate) fn read(text: &str) -> Result<FromLeg, String> {
        let (account, rest) = text
            .rsplit_once('=')
            .ok_or_else(|| format!("{text:?}: say how much, as in 0/12345-6=200,50"))?;
        let (amount, holder) = match rest.split_once('@') {
            Some((amount, holder)) => (amount, Some(cpf(holder)?)),
            None => (rest, None),
        };
        Ok(FromLeg { account: Account::read(account)?, amount: self::amount(amount)?, cpf: holder })
    }
}

impl ToLeg {
    /// Parses `BANK/NUMBER[=AMOUNT]`.
    ///
    /// # Errors
    /// The part that is wrong, and its format.
    pub(crate) fn read(text: &str) -> Result<ToLeg, String> {
        match text.rsplit_once('=') {
            Some((account, amount)) => {
                Ok(ToLeg { account: Account::read(account)?, amount: Some(self::amount(amount)?) })
            }
            None => Ok(ToLeg { account: Account::read(text)?, amount: None }),
        }
    }
}

/// The credit of each leg; the one leg without an amount gets the rest of the debits.
///
/// # Errors
/// If the amounts do not balance; then every bank would refuse.
pub(crate) fn balance_legs(from: &[FromLeg], to: &[ToLeg]) -> Result<Vec<Money>, String> {
    let out: i128 = from.iter().map(|leg| leg.amount.wide()).sum();
    let named: i128 = to.iter().filter_map(|leg| leg.amount).map(Money::wide).sum();
    let open = to.iter().filter(|leg| leg.amount.is_none()).count();
    let rest = out - named;
    match open {
        0 if rest == 0 => {}
        0 => {
            let (out, named) = (Total(out), Total(named));
            return Err(say!(
                "--from gives {out} in all and --to takes {named}: they must be equal"
                    / "--de dá {out} ao todo e --para toma {named}: devem ser iguais"
            ));
        }
        1 if rest > 0 => {}
        1 => return Err("nothing is left for the --to without an amount".into()),
        _ => return Err("only one --to may stand without an amount".into()),
    }
    let rest = i64::try_from(rest)
        .map_err(|_| "the amounts together are more than an account can hold")?;
    Ok(to.iter().map(|leg| leg.amount.unwrap_or(Money(rest))).collect())
}

/// Parses the position of a bank.
///
/// # Errors
/// If it is none.
pub(crate) fn bank(text: &str) -> Result<BankId, String> {
    let position = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    position.and_then(BankId::new).ok_or_else(|| {
        format!(
            "{text:?}: a bank is its position in the consortium, 0 for the first (not its port)"
        )
    })
}

/// Parses the id of a new transaction.
///
/// # Errors
/// If it is no id, or not allowed for a new transaction.
pub(crate) fn new_tx(text: &str) -> Result<TxId, String> {
    let tx = TxId::new(text).map_err(|error| error.to_string())?;
    match tx.check_new() {
        Ok(()) => Ok(tx),
        Err(why) => Err(format!("a transaction's id can't be {why}; take another one")),
    }
}

/// Parses a CPF or CNPJ, with or without dots, dashes and slashes.
///
/// # Errors
/// If it is neither.
pub(crate) fn cpf(text: &str) -> Result<TaxId, String> {
    let plain: String = text.chars().filter(|c| !matches!(c, '.' | '-' | '/')).collect();
    TaxId::new(&plain.to_ascii_uppercase()).map_err(|error| error.to_string())
}

/// Parses a positive amount: `200`, `200.50` or `200,50`.
///
/// # Errors
/// If it is none; the error quotes the text.
pub(crate) fn amount(text: &str) -> Result<Money, String> {
    let money = amount_or_zero(text)?;
    if money == Money::ZERO {
        Err(format!("{text:?}: an amount is more than zero"))
    } else {
        Ok(money)
    }
}

/// Parses an amount that may be zero.
///
/// # Errors
/// If it is none; the error quotes the text.
pub(crate) fn amount_or_zero(text: &str) -> Result<Money, String> {
    text.parse::<Money>().map_err(|error| error.to_string())
}

/// Parses a duration: `10s`, `500ms`, `2m` or `1h`; a bare number is seconds.
///
/// # Errors
/// If it is no duration, zero, or longer than a day.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit_ms = match &text[digits..] {
        "ms" => Some(1),
        "s" | "" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let count = text[..digits].parse::<u64>().ok();
    let ms = count.zip(unit_ms).and_then(|(count, unit)| count.checked_mul(unit));
    ms.filter(|ms| (1..=86_400_000).contains(ms)).map(Duration::from_millis).ok_or_else(|| {
        format!(
            "{text:?}: a duration is typed 10s, 500ms or 2m, and is 1ms at least, a day at most"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credits(from: &[&str], to: &[&str]) -> Result<Vec<i64>, String> {
        let from: Vec<FromLeg> = from.iter().map(|text| FromLeg::read(text).unwrap()).collect();
        let to: Vec<ToLeg> = to.iter().map(|text| ToLeg::read(text).unwrap()).collect();
        balance_legs(&from, &to).map(|credits| credits.iter().map(|money| money.0).collect())
    }

    #[test]
    fn durations_are_parsed() {
        for (typed, ms) in
            [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("7", 7_000)]
        {
            assert_eq!(duration(typed), Ok(Duration::from_millis(ms)), "{typed}");
        }
        for typed in ["", "s", "-1s", "1.5s", "0s", "25h", "10 s", "99999999999999999999s", "1µs"]
        {
            let error = duration(typed).unwrap_err();
            assert!(error.contains("10s"), "{typed}: {error}");
        }
    }

    #[test]
    fn legs_are_parsed() {
        let leg = FromLeg::read("1/45678-0=300,10@111.111.111-11").unwrap();
        assert_eq!((leg.account.to_string().as_str(), leg.amount), ("1/45678-0", Money(30_010)));
        assert_eq!(leg.cpf.unwrap().as_str(), "11111111111");
        let odd = FromLeg::read("1/a=b/c=2").unwrap();
        assert_eq!(odd.account.number.as_str(), "a=b/c", "the first / and the last = count");
        assert_eq!(ToLeg::read("2/78910-0").unwrap().amount, None);
    }

    #[test]
    fn errors_name_the_wrong_part() {
        for (typed, named) in [
            ("12345-6=2", "BANK/NUMBER"),
            ("16/1=2", "position"),
            ("8886/1=2", "position"),
            ("+1/1=2", "position"),
            ("0/1", "how much"),
            ("0/=1", "account number"),
            ("0/1=0", "more than zero"),
            ("0/1=1.234", "1.234"),
            ("0/1=-5", "-5"),
            ("0/1=5@123", "cpf"),
        ] {
            let error = FromLeg::read(typed).unwrap_err();
            assert!(error.contains(named), "{typed}: {error}");
        }
    }

    #[test]
    fn the_leg_without_an_amount_gets_the_rest() {
        assert_eq!(credits(&["0/a=200", "1/b=300"], &["2/c"]), Ok(vec![50_000]));
        assert_eq!(credits(&["0/a=200"], &["2/c=50", "1/b"]), Ok(vec![5_000, 15_000]));
        assert_eq!(credits(&["0/a=200"], &["2/c=200"]), Ok(vec![20_000]));
        assert!(credits(&["0/a=200"], &["2/c=100"]).unwrap_err().contains("equal"));
        assert!(credits(&["0/a=200"], &["2/c", "1/b"]).unwrap_err().contains("only one"));
        assert!(
            credits(&["0/a=200"], &["2/c=200", "1/b"]).unwrap_err().contains("nothing is left")
        );
    }
}
