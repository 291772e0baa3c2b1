//! Which steps a monitor shows.

use crate::args::MonitorArguments;
use crate::typed::Account;
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::MONITOR_TRANSACTIONS_MAX;
use consorcio_steps::follow::FollowedStep;
use std::collections::{HashSet, VecDeque};

/// Filters of four kinds; a kind without a value admits all.
pub(super) struct StepFilter {
    banks: Vec<BankId>,
    accounts: Vec<Account>,
    events: Vec<String>,
    transactions: Vec<TxId>,
    /// Transactions that a step named together with one of the accounts.
    of_accounts: RecentTransactions,
}

/// The newest ids, so many of them.
#[derive(Default)]
struct RecentTransactions {
    all: HashSet<String>,
    oldest: VecDeque<String>,
}

impl StepFilter {
    pub(super) fn new(arguments: &MonitorArguments) -> StepFilter {
        StepFilter {
            banks: arguments.bank.clone(),
            accounts: arguments.account.clone(),
            events: arguments.event.clone(),
            transactions: arguments.tx.clone(),
            of_accounts: RecentTransactions::default(),
        }
    }

    /// Whether the step is shown. Steps must come in order: the first one that names an account
    /// admits the further ones of its transaction.
    pub(super) fn admits(&mut self, step: &FollowedStep) -> bool {
        // Asked first, as a step that another kind leaves out may name the account.
        let account = self.concerns_an_account(step);
        let bank = step.node.bank;
        let tx = step.tx.as_deref();
        account
            && (self.banks.is_empty() || self.banks.iter().any(|one| bank == Some(one.as_u8())))
            && (self.events.is_empty() || self.events.contains(&step.event))
            && (self.transactions.is_empty()
                || self.transactions.iter().any(|one| tx == Some(one.as_str())))
    }

    fn concerns_an_account(&mut self, step: &FollowedStep) -> bool {
        if self.accounts.is_empty() {
            return true;
        }
        let named = self.accounts.iter().any(|account| names(step, account));
        match &step.tx {
            Some(tx) if named => {
                self.of_accounts.add(tx);
                true
            }
            Some(tx) => self.of_accounts.all.contains(tx),
            None => named,
        }
    }
}

/// Whether a step names the account: `0/12345-6`, or its number at its own bank.
fn names(step: &FollowedStep, account: &Account) -> bool {
    let whole = account.to_string();
    let is_own = step.node.bank == Some(account.bank.as_u8());
    let number = format!("number={}", account.number);
    let words = step.detail.split(' ').map(|word| word.trim_matches(['[', ']']));
    words.into_iter().any(|word| word == whole || (is_own && word == number))
}

impl RecentTransactions {
    fn add(&mut self, tx: &str) {
        if self.all.insert(tx.to_owned()) {
            self.oldest.push_back(tx.to_owned());
        }
        if self.oldest.len() > MONITOR_TRANSACTIONS_MAX
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_steps::follow::FollowedNode;
    use std::sync::Arc;

    fn step(bank: Option<u8>, event: &str, tx: &str, detail: &str) -> FollowedStep {
        FollowedStep {
            at_us: 0,
            node: Arc::new(FollowedNode { name: "n".to_owned(), bank }),
            event: event.to_owned(),
            tx: Some(tx.to_owned()).filter(|tx| !tx.is_empty()),
            peer: None,
            other: None,
            detail: detail.to_owned(),
        }
    }

    fn filter() -> StepFilter {
        StepFilter {
            banks: Vec::new(),
            accounts: Vec::new(),
            events: Vec::new(),
            transactions: Vec::new(),
            of_accounts: RecentTransactions::default(),
        }
    }

    #[test]
    fn kinds_are_combined() {
        let mut all = filter();
        assert!(all.admits(&step(None, "sync", "", "")));
        all.banks = vec![BankId::new(0).unwrap(), BankId::new(2).unwrap()];
        all.events = vec!["vote".to_owned()];
        assert!(all.admits(&step(Some(2), "vote", "t1", "")));
        assert!(!all.admits(&step(Some(1), "vote", "t1", "")), "another bank");
        assert!(!all.admits(&step(None, "vote", "t1", "")), "a client");
        assert!(!all.admits(&step(Some(0), "sync", "t1", "")), "another event");
        all.transactions = vec![TxId::new("t2").unwrap()];
        assert!(!all.admits(&step(Some(0), "vote", "t1", "")), "another transaction");
        assert!(all.admits(&step(Some(0), "vote", "t2", "")));
    }

    #[test]
    fn an_account_admits_the_steps_of_its_transactions() {
        let mut all = filter();
        all.accounts = vec![Account::read("0/12345-6").unwrap()];
        assert!(!all.admits(&step(Some(1), "outcome", "t1", "COMMITTED")));
        assert!(!all.admits(&step(Some(0), "vote", "t1", "0/12345-67 -5,00")), "a longer number");
        assert!(all.admits(&step(Some(0), "vote", "t1", "OK [0/12345-6 -5,00 · 1/7 +5,00]")));
        assert!(all.admits(&step(Some(1), "outcome", "t1", "COMMITTED")));
        assert!(!all.admits(&step(Some(1), "outcome", "t2", "COMMITTED")));
        assert!(all.admits(&step(Some(0), "account", "", "number=12345-6 seq=4")));
        assert!(!all.admits(&step(Some(1), "account", "", "number=12345-6 seq=4")));
    }

    #[test]
    fn the_oldest_transactions_are_forgotten() {
        let mut recent = RecentTransactions::default();
        for number in 0..=MONITOR_TRANSACTIONS_MAX {
            recent.add(&number.to_string());
            recent.add(&number.to_string());
        }
        assert_eq!(recent.all.len(), MONITOR_TRANSACTIONS_MAX);
        assert!(!recent.all.contains("0") && recent.all.contains("1"));
    }
}
