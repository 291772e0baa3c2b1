//! Checks one cut of all banks: each bank's equation, transfers that cancel over all banks, and
//! equal registers.

use consorcio_core::ids::{BankId, BankSet, Time};
use consorcio_core::money::Money;
use consorcio_core::wire::answer::{CutAccount, CutAnswer, RegisterAnswer};
use serde::Serialize;
use std::collections::BTreeMap;

/// A bank's sums from SNAPSHOT, in centavos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Sums {
    /// The sum of all balances.
    pub balance_total: i128,
    /// All deposits, first deposits included.
    pub cash_in_total: i128,
    /// The sum of all withdrawals.
    pub cash_out_total: i128,
    /// Credits of transactions of several banks, in centavos.
    pub transfers_in_total: i128,
    /// Debits of transactions of several banks, in centavos.
    pub transfers_out_total: i128,
}

impl Sums {
    /// The balance that results from all movements.
    pub fn expected_balance(&self) -> i128 {
        self.cash_in_total - self.cash_out_total + self.transfers_in_total
            - self.transfers_out_total
    }

    /// Does `balances = cash in - cash out + transfers in - transfers out` hold?
    pub fn holds(&self) -> bool {
        self.balance_total == self.expected_balance()
    }

    /// The sums of two banks together.
    #[must_use]
    pub fn plus(&self, other: &Sums) -> Sums {
        Sums {
            balance_total: self.balance_total + other.balance_total,
            cash_in_total: self.cash_in_total + other.cash_in_total,
            cash_out_total: self.cash_out_total + other.cash_out_total,
            transfers_in_total: self.transfers_in_total + other.transfers_in_total,
            transfers_out_total: self.transfers_out_total + other.transfers_out_total,
        }
    }
}

impl Sums {
    /// The bank's sums, which are on every page of its cut.
    fn of(page: &CutAnswer) -> Sums {
        Sums {
            balance_total: page.balance_total,
            cash_in_total: page.cash_in_total,
            cash_out_total: page.cash_out_total,
            transfers_in_total: page.transfers_in_total,
            transfers_out_total: page.transfers_out_total,
        }
    }
}

/// One bank's part of a cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankCut {
    /// The bank that answered.
    pub bank: BankId,
    /// The commit time of the cut.
    pub time: Time,
    /// The sums in the bank's answer.
    pub sums: Sums,
    /// Its accounts, by number.
    pub accounts: Vec<CutAccount<'static>>,
    /// Its registers, by key.
    pub registers: BTreeMap<String, String>,
    /// Whether the bank knew its registers at that time. A bank that joined later does not at
    /// first, which is no fault.
    pub registers_known: bool,
}

impl BankCut {
    /// The part that a first page contains.
    pub fn of(page: CutAnswer) -> BankCut {
        let sums = Sums::of(&page);
        let CutAnswer { bank, time, accounts, registers, registers_known, .. } = page;
        let registers = values(registers).collect();
        let accounts = accounts.unwrap_or_default();
        BankCut { bank, time, sums, accounts, registers, registers_known }
    }

    /// Adds the next page.
    ///
    /// # Errors
    /// If it is of another bank or cut, or has other sums.
    pub fn add(&mut self, page: CutAnswer) -> Result<(), String> {
        if (page.bank, page.time, Sums::of(&page)) != (self.bank, self.time, self.sums) {
            return Err(format!(
                "a page of bank {}'s cut at {} is of another cut",
                self.bank, self.time
            ));
        }
        self.registers_known &= page.registers_known;
        self.accounts.extend(page.accounts.unwrap_or_default());
        self.registers.extend(values(page.registers));
        Ok(())
    }

    /// The sum of the balances of its accounts.
    pub fn accounts_total(&self) -> i128 {
        self.accounts.iter().map(|account| account.balance.wide()).sum()
    }
}

/// The key and the value of each register.
fn values(
    registers: Option<Vec<RegisterAnswer<'static>>>,
) -> impl Iterator<Item = (String, String)> {
    let lines = registers.unwrap_or_default().into_iter();
    lines.map(|line| (line.key.to_string(), line.value.into_owned()))
}

/// The result of checking the cuts of all banks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The sums of all banks that answered.
    pub total: Sums,
    /// The faults, one sentence each; unknown facts are not among them.
    pub faults: Vec<String>,
    /// Banks whose cut is missing, so that there is no verdict over all banks.
    pub missing: BankSet,
    /// How many registers there are.
    pub registers: usize,
    /// Banks that did not know their registers at that time.
    pub registers_unknown: BankSet,
    /// Transfers do not cancel, but a bank that left the consortium may hold the difference, so
    /// there is no verdict.
    pub left_may_hold: bool,
}

impl Judged {
    /// Are all banks there, and is there no fault?
    pub fn holds(&self) -> bool {
        self.faults.is_empty() && self.is_whole()
    }

    /// Why there is no verdict although all banks are there, if so.
    pub fn left_text(&self) -> Option<&'static str> {
        self.left_may_hold
            .then_some("transfers do not cancel, and a bank that left may hold the rest")
    }

    /// Is everything there that a verdict over all banks needs?
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && !self.left_may_hold
    }
}

/// Checks the `cuts` of the banks `members`; `has_left` means that some bank of the list has left.
/// With `listed`, the cuts contain all accounts and registers, which are checked too.
pub fn judge(members: BankSet, has_left: bool, listed: bool, cuts: &[BankCut]) -> Judged {
    let present: BankSet = cuts.iter().map(|cut| cut.bank).collect();
    let missing = members.minus(present);
    let total = cuts.iter().fold(Sums::default(), |sum, cut| sum.plus(&cut.sums));
    let mut faults = Vec::new();
    for cut in cuts {
        let BankCut { bank, sums, .. } = cut;
        if !sums.holds() {
            faults.push(format!(
                "bank {bank}: its balances are {} centavos, but what moved makes {}: {} too {}",
                sums.balance_total,
                sums.expected_balance(),
                (sums.balance_total - sums.expected_balance()).abs(),
                if sums.balance_total > sums.expected_balance() { "many" } else { "few" },
            ));
        }
        if listed && cut.accounts_total() != sums.balance_total {
            let accounts = cut.accounts_total();
            faults.push(format!(
                "bank {bank}: its accounts hold {accounts} centavos together, but it tells {}",
                sums.balance_total
            ));
        }
        if let Some(account) = cut.accounts.iter().find(|account| account.balance < Money::ZERO) {
            faults.push(format!(
                "bank {bank}: account {} is below zero: {}",
                account.number, account.balance.0
            ));
        }
    }
    let mut left_may_hold = false;
    let off = total.transfers_in_total - total.transfers_out_total;
    if missing.is_empty() && off != 0 {
        if has_left {
            left_may_hold = true;
        } else {
            let what = if off > 0 { "made" } else { "lost" };
            faults.push(format!(
                "transfers do not cancel over all banks: {} centavos in, {} out; {} were {what}",
                total.transfers_in_total,
                total.transfers_out_total,
                off.abs()
            ));
        }
    }
    let registers = unequal_registers(cuts, &mut faults);
    let registers_unknown =
        cuts.iter().filter(|cut| !cut.registers_known).map(|cut| cut.bank).collect();
    Judged { total, faults, missing, registers, registers_unknown, left_may_hold }
}

/// Reports each register that differs among the banks that know theirs; returns how many registers
/// there are.
fn unequal_registers(cuts: &[BankCut], faults: &mut Vec<String>) -> usize {
    let mut held: BTreeMap<&str, Vec<(BankId, &str)>> = BTreeMap::new();
    let cuts: Vec<&BankCut> = cuts.iter().filter(|cut| cut.registers_known).collect();
    for cut in &cuts {
        for (key, value) in &cut.registers {
            held.entry(key).or_default().push((cut.bank, value));
        }
    }
    for (key, banks) in &held {
        let same = banks.len() == cuts.len() && banks.iter().all(|(_, value)| *value == banks[0].1);
        if !same {
            let at = |cut: &&BankCut| match cut.registers.get(*key) {
                Some(value) => format!("{value:?} at bank {}", cut.bank),
                None => format!("never set at bank {}", cut.bank),
            };
            let values: Vec<String> = cuts.iter().map(at).collect();
            faults.push(format!("register {key} differs: {}", values.join(", ")));
        }
    }
    held.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::ids::AccountNumber;
    use std::borrow::Cow;

    fn bank(n: usize) -> BankId {
        BankId::new(n).unwrap()
    }

    fn members(count: usize) -> BankSet {
        (0..count).map(bank).collect()
    }

    fn cut(at: usize, balance: i128, cash_in: i128, in_out: (i128, i128)) -> BankCut {
        let (transfers_in_total, transfers_out_total) = in_out;
        BankCut {
            bank: bank(at),
            time: Time(7),
            sums: Sums {
                balance_total: balance,
                cash_in_total: cash_in,
                cash_out_total: 0,
                transfers_in_total,
                transfers_out_total,
            },
            accounts: vec![],
            registers: BTreeMap::new(),
            registers_known: true,
        }
    }

    fn account(number: &str, centavos: i64) -> CutAccount<'static> {
        let number = AccountNumber::new(number).unwrap();
        CutAccount { number: Cow::Owned(number), balance: Money(centavos) }
    }

    #[track_caller]
    fn one_fault(judged: &Judged, named: &str) {
        assert!(!judged.holds());
        assert!(judged.faults.len() == 1 && judged.faults[0].contains(named), "{judged:?}");
    }

    #[test]
    fn it_holds_only_if_each_equation_holds_and_transfers_cancel() {
        let good = [cut(0, 70, 100, (0, 30)), cut(1, 130, 100, (30, 0))];
        let judged = judge(members(2), false, false, &good);
        assert!(judged.holds() && judged.total.balance_total == 200, "{judged:?}");
        let one_off = [cut(0, 71, 100, (0, 30)), good[1].clone()];
        one_fault(&judge(members(2), false, false, &one_off), "bank 0: its balances are 71");
        let no_credit = [good[0].clone(), cut(1, 100, 100, (0, 0))];
        one_fault(&judge(members(2), false, false, &no_credit), "30 were lost");
    }

    #[test]
    fn without_all_banks_there_is_no_verdict() {
        let judged = judge(members(2), false, false, &[cut(0, 70, 100, (0, 30))]);
        assert!(!judged.holds() && !judged.is_whole() && judged.faults.is_empty(), "{judged:?}");
        assert!(judged.missing.has(bank(1)));
        let left = judge(members(1), true, false, &[cut(0, 70, 100, (0, 30))]);
        assert!(left.left_may_hold && !left.holds() && left.faults.is_empty());
    }

    #[test]
    fn accounts_and_registers_are_checked() {
        let mut cuts = [cut(0, 70, 100, (0, 30)), cut(1, 130, 100, (30, 0))];
        cuts[0].accounts = vec![account("a", 70)];
        cuts[1].accounts = vec![account("b", 129)];
        one_fault(&judge(members(2), false, true, &cuts), "bank 1: its accounts hold 129");
        cuts[1].accounts[0].balance = Money(130);
        cuts[0].registers.insert("storage".into(), "1".into());
        one_fault(&judge(members(2), false, true, &cuts), "never set at bank 1");
        cuts[1].registers.insert("storage".into(), "2".into());
        one_fault(&judge(members(2), false, true, &cuts), "\"1\" at bank 0, \"2\" at bank 1");
        cuts[1].registers.insert("storage".into(), "1".into());
        let judged = judge(members(2), false, true, &cuts);
        assert!(judged.holds() && judged.registers == 1, "{judged:?}");
    }

    #[test]
    fn a_bank_that_does_not_know_its_registers_yet_is_no_fault() {
        let mut cuts = [cut(0, 70, 100, (0, 30)), cut(1, 130, 100, (30, 0)), cut(2, 0, 0, (0, 0))];
        for cut in &mut cuts[..2] {
            cut.registers.insert("storage".into(), "1".into());
        }
        one_fault(&judge(members(3), false, false, &cuts), "never set at bank 2");
        cuts[2].registers_known = false;
        let judged = judge(members(3), false, false, &cuts);
        assert!(judged.holds() && judged.registers == 1, "{judged:?}");
        assert_eq!(judged.registers_unknown, BankSet::EMPTY.with(bank(2)));
        // The other banks are compared nevertheless.
        cuts[1].registers.insert("storage".into(), "2".into());
        one_fault(&judge(members(3), false, false, &cuts), "\"1\" at bank 0, \"2\" at bank 1");
    }

    #[test]
    fn the_pages_of_one_cut_are_combined() {
        let page = |text: &str| serde_json::from_str::<CutAnswer>(text).unwrap();
        let head = concat!(
            r#""bank":1,"time":9,"balance_total":3,"cash_in_total":3,"cash_out_total":0,"#,
            r#""transfers_in_total":0,"transfers_out_total":0"#
        );
        let first = format!(
            r#"{{{head},"accounts":[{{"number":"a","balance":1}}],"registers":[],"next":"a:a"}}"#
        );
        let second = format!(
            r#"{{{head},"accounts":[{{"number":"b","balance":2}}],"registers":[{{"key":"k","value":"v"}}]}}"#
        );
        let mut cut = BankCut::of(page(&first));
        cut.add(page(&second)).unwrap();
        assert_eq!((cut.accounts_total(), cut.registers.len()), (3, 1));
        assert!(cut.registers_known);
        let unknown = second
            .replace(r#""registers":[{"key":"k","value":"v"}]"#, r#""registers_known":false"#);
        cut.add(page(&unknown)).unwrap();
        assert!(!cut.registers_known);
        let other = second.replace("\"time\":9", "\"time\":10");
        assert!(cut.add(page(&other)).unwrap_err().contains("another cut"));
    }
}
