//! Random histories against a naive model, which keeps everything and computes each figure from the
//! beginning.

mod steps;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use steps::step;

const ACCOUNTS: [&str; 4] = ["a", "b", "c", "d"];
const KEYS: [&str; 3] = ["k", "storage", "z"];

/// A step of a history. Numbers select among what exists at that moment.
#[derive(Debug, Clone)]
enum LedgerStep {
    /// Open the next account with this deposit, if one is left.
    Open(i64),
    /// Check a transaction of these operations, and hold it if it is granted.
    Prepare(Vec<Op>),
    /// Commit one of those that are held, so much later than its vote.
    Commit(usize, i64),
    /// Abort one of those that are held.
    Abort(usize),
    /// Write the ledger to bytes and read it back; its history is lost.
    Restart,
    /// Drop this share (in percent) of the history.
    Trim(i64),
    /// Keep this share (in percent) of the memory of the history.
    Squeeze(usize),
}

/// The naive ledger: everything that was opened, is held, and was committed.
#[derive(Default)]
struct Model {
    clock: i64,
    opened: Vec<(i64, &'static str, i64)>,
    held: Vec<(String, i64, Transaction)>,
    committed: Vec<(i64, Transaction)>,
    horizon: i64,
    ids: usize,
}

/// One operation here: the flow, the account and the amount.
type Move<'a> = (Flow, &'a str, i128);

impl Model {
    fn moves(transaction: &Transaction) -> impl Iterator<Item = Move<'_>> {
        transaction.ops().iter().filter(|op| op.bank == me()).filter_map(|op| match &op.action {
            Action::Money { flow, account, amount, .. } => {
                Some((*flow, account.as_str(), amount.wide()))
            }
            Action::Set { .. } => None,
        })
    }

    fn sets(transaction: &Transaction) -> impl Iterator<Item = (&RegisterKey, &RegisterValue)> {
        transaction.ops().iter().filter(|op| op.bank == me()).filter_map(|op| match &op.action {
            Action::Money { .. } => None,
            Action::Set { key, value } => Some((key, value)),
        })
    }

    /// All that moved up to a time, openings first.
    fn past(&self, time: i64) -> impl Iterator<Item = Move<'_>> {
        let opened = self.opened.iter().filter(move |(t, ..)| *t <= time);
        let openings =
            opened.map(|(_, name, deposit)| (Flow::Deposit, *name, i128::from(*deposit)));
        let committed = self.committed.iter().filter(move |(t, _)| *t <= time);
        openings.chain(committed.flat_map(|(_, transaction)| Model::moves(transaction)))
    }

    fn sum<'a>(
        moves: impl Iterator<Item = Move<'a>>,
        selected: impl Fn(Flow, &str) -> bool,
    ) -> i128 {
        moves.filter(|(flow, name, _)| selected(*flow, name)).map(|(_, _, amount)| amount).sum()
    }

    fn balance(&self, account: &str, time: i64) -> i128 {
        Model::sum(self.past(time), |flow, name| name == account && !flow.takes())
            - Model::sum(self.past(time), |flow, name| name == account && flow.takes())
    }

    fn reserved(&self, account: &str, takes: bool) -> i128 {
        let moves = self.held.iter().flat_map(|(_, _, transaction)| Model::moves(transaction));
        Model::sum(moves, |flow, name| name == account && flow.takes() == takes)
    }

    fn totals_at(&self, time: i64) -> CutTotals {
        let of = |selected: Flow| Model::sum(self.past(time), |flow, _| flow == selected);
        let opened = self.opened.iter().filter(|(t, ..)| *t <= time);
        CutTotals {
            balance_total: opened.map(|(_, name, _)| self.balance(name, time)).sum(),
            cash_in_total: of(Flow::Deposit),
            cash_out_total: of(Flow::Withdraw),
            transfers_in_total: of(Flow::Credit),
            transfers_out_total: of(Flow::Debit),
        }
    }

    fn registers_at(&self, time: i64) -> BTreeMap<String, String> {
        let mut commits: Vec<_> = self.committed.iter().filter(|(t, _)| *t <= time).collect();
        commits.sort_by_key(|(t, _)| *t);
        let sets = commits.into_iter().flat_map(|(_, transaction)| Model::sets(transaction));
        sets.map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    /// The expected result of `check`. The rules for the whole transaction are left out: it is
    /// always balanced and uniform here.
    fn refusal(&self, transaction: &Transaction) -> Option<Reason> {
        let is_open = |account: &str| self.opened.iter().any(|(_, name, _)| *name == account);
        for op in transaction.ops().iter().filter(|op| op.bank == me()) {
            match &op.action {
                Action::Money { account, .. } if !is_open(account.as_str()) => {
                    return Some(Reason::UnknownAccount);
                }
                Action::Money { .. } => {}
                Action::Set { key, .. } => {
                    let mut locks = self.held.iter().flat_map(|(_, _, held)| Model::sets(held));
                    if locks.any(|(locked, _)| locked == key) {
                        return Some(Reason::Locked);
                    }
                }
            }
        }
        for (_, account, _) in Model::moves(transaction) {
            let sum = |takes: bool| {
                Model::sum(Model::moves(transaction), |flow, name| {
                    name == account && flow.takes() == takes
                })
            };
            let balance = self.balance(account, i64::MAX);
            if sum(true) > balance - self.reserved(account, true) {
                return Some(Reason::InsufficientFunds);
            }
            if balance + self.reserved(account, false) + sum(false) > i128::from(i64::MAX) {
                return Some(Reason::Limit);
            }
        }
        None
    }

    /// Compares every figure of the ledger, now and in every cut, and every page of them.
    fn assert_same(&self, ledger: &Ledger) {
        ledger.check_invariants();
        let now = self.totals_at(i64::MAX);
        let held = |takes| self.opened.iter().map(|(_, name, _)| self.reserved(name, takes)).sum();
        let totals = Totals {
            balance: now.balance_total,
            held: held(true),
            incoming: held(false),
            cash_in: now.cash_in_total,
            cash_out: now.cash_out_total,
            transfers_in: now.transfers_in_total,
            transfers_out: now.transfers_out_total,
            clients: self.opened.len(),
            accounts: self.opened.len(),
        };
        assert_eq!(ledger.totals(), totals);
        for (_, name, _) in &self.opened {
            let [balance, held, available, incoming] = figures(ledger, name).map(i128::from);
            assert_eq!(balance, self.balance(name, i64::MAX), "{name}");
            assert_eq!(
                (held, incoming),
                (self.reserved(name, true), self.reserved(name, false)),
                "{name}"
            );
            assert_eq!(available, balance - held, "{name}");
        }
        for name in KEYS {
            let value = self.registers_at(i64::MAX).remove(name);
            assert_eq!(ledger.value(&key(name)), value.as_deref().unwrap_or("0"), "{name}");
            let holder = self
                .held
                .iter()
                .find(|(_, _, held)| Model::sets(held).any(|(k, _)| k.as_str() == name));
            assert_eq!(
                ledger.locked_by(&key(name)).map(TxId::as_str),
                holder.map(|(tx, ..)| tx.as_str()),
                "{name}"
            );
        }
        self.assert_same_cuts(ledger);
    }

    fn assert_same_cuts(&self, ledger: &Ledger) {
        assert_eq!(ledger.cut_horizon(), Time(self.horizon));
        assert_eq!(
            ledger.cut(Time(self.horizon - 1)),
            Err(Expired { horizon: Time(self.horizon) })
        );
        let times = self
            .committed
            .iter()
            .map(|(time, _)| *time)
            .chain(self.opened.iter().map(|(time, ..)| *time));
        let around = times.flat_map(|time| [time - 1, time]).chain([self.horizon, self.clock + 5]);
        for time in around.filter(|time| *time >= self.horizon) {
            assert_eq!(ledger.cut(Time(time)), Ok(self.totals_at(time)), "at {time}");
            let mut accounts: Vec<(String, i128)> = self
                .opened
                .iter()
                .filter(|(opened, ..)| *opened <= time)
                .map(|(_, name, _)| ((*name).to_string(), self.balance(name, time)))
                .collect();
            accounts.sort();
            let registers: Vec<_> = self.registers_at(time).into_iter().collect();
            for after in [None, Some("a"), Some("bb"), Some("storage")] {
                let rest = |name: &str| after.is_none_or(|after| name > after);
                let page: Vec<_> = ledger
                    .cut_accounts_after(Time(time), after.map(number).as_ref(), usize::MAX)
                    .into_iter()
                    .filter_map(|(number, balance)| Some((number.to_string(), balance?.wide())))
                    .collect();
                let expected: Vec<_> =
                    accounts.iter().filter(|(name, _)| rest(name)).cloned().collect();
                assert_eq!(page, expected, "accounts at {time} after {after:?}");
                let page: Vec<_> = ledger
                    .cut_registers_after(Time(time), after.map(key).as_ref(), usize::MAX)
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_string(), value?.to_string())))
                    .collect();
                let expected: Vec<_> =
                    registers.iter().filter(|(name, _)| rest(name)).cloned().collect();
                assert_eq!(page, expected, "registers at {time} after {after:?}");
            }
        }
    }

    fn apply(&mut self, ledger: &mut Ledger, step: &LedgerStep) {
        match step {
            LedgerStep::Open(deposit) => {
                let Some(name) = ACCOUNTS.get(self.opened.len()) else { return };
                self.clock += 1;
                let n = u64::try_from(self.opened.len()).unwrap();
                ledger.add_client(&client(n), Time(self.clock));
                ledger.open_account(&new_account(name, &[n], *deposit), Time(self.clock));
                self.opened.push((self.clock, name, *deposit));
            }
            LedgerStep::Prepare(ops) => {
                let transaction = across(ops);
                let refusal = refusal(ledger, &transaction);
                assert_eq!(refusal, self.refusal(&transaction), "{}", transaction.text());
                if refusal.is_none() {
                    self.clock += 1;
                    self.ids += 1;
                    let tx = format!("t{}", self.ids);
                    ledger.hold(me(), &id(&tx), &transaction);
                    self.held.push((tx, self.clock, transaction));
                }
            }
            LedgerStep::Commit(which, later) => {
                if self.held.is_empty() {
                    return;
                }
                let (tx, voted, transaction) = self.held.remove(which % self.held.len());
                let time = voted + later;
                self.clock = self.clock.max(time);
                ledger.commit(me(), &id(&tx), &transaction, Time(time));
                self.committed.push((time, transaction));
            }
            LedgerStep::Abort(which) => {
                if self.held.is_empty() {
                    return;
                }
                let (tx, _, transaction) = self.held.remove(which % self.held.len());
                ledger.release(me(), &id(&tx), &transaction);
            }
            LedgerStep::Restart => {
                let mut read = ledger_of(&bytes_of(ledger)).unwrap();
                assert_eq!(read, *ledger);
                read.begin_cuts_at(Time(self.clock));
                *ledger = read;
                self.horizon = self.clock;
            }
            LedgerStep::Trim(percent) => {
                self.horizon += (self.clock - self.horizon) * percent / 100;
                ledger.trim_cuts(Time(self.horizon), usize::MAX);
            }
            LedgerStep::Squeeze(percent) => {
                let bytes_max = ledger.cut_bytes() * percent / 100;
                ledger.trim_cuts(Time(0), bytes_max);
                assert!(ledger.cut_bytes() <= bytes_max);
                let horizon = ledger.cut_horizon().0;
                assert!((self.horizon..=self.clock).contains(&horizon), "{horizon}");
                self.horizon = horizon;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_agrees_with_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut ledger, mut model) = (Ledger::new(), Model::default());
        for step in [LedgerStep::Open(500), LedgerStep::Open(0)].iter().chain(&steps) {
            model.apply(&mut ledger, step);
            model.assert_same(&ledger);
        }
    }

    /// The creation of clients and accounts agrees with a plain list of all that exist.
    #[test]
    fn any_creation_agrees_with_a_list(
        selected in proptest::collection::vec(
            (
                0..8u64,
                proptest::sample::select(&ACCOUNTS[..]),
                proptest::collection::vec(0..5u64, 0..4),
                0..2i64,
            ),
            1..40,
        )
    ) {
        let mut ledger = Ledger::new();
        let mut accounts: Vec<NewAccount> = Vec::new();
        for (new, name, holders, deposit) in selected {
            if new < 5 && ledger.check_client(&client(new)) == Ok(RegistrationState::New) {
                ledger.add_client(&client(new), Time(1));
            }
            let account = new_account(name, &holders, deposit);
            let mut sorted = account.holders.clone();
            sorted.sort();
            let alone = |other: &NewAccount| {
                other.holders.len() == 1 && other.holders == account.holders
            };
            let expected = match accounts.iter().find(|other| other.number == account.number) {
                Some(other) => {
                    let mut theirs = other.holders.clone();
                    theirs.sort();
                    let same = theirs == sorted && other.deposit == account.deposit;
                    if same { Ok(RegistrationState::Same) } else { Err(Reason::AlreadyExists) }
                }
                None if !matches!(&sorted[..], [_]) && !matches!(&sorted[..], [a, b] if a != b) => {
                    Err(Reason::Malformed)
                }
                None if sorted.iter().any(|cpf| ledger.client(cpf).is_none()) => {
                    Err(Reason::UnknownClient)
                }
                None if accounts.iter().any(alone) => Err(Reason::Refused),
                None => Ok(RegistrationState::New),
            };
            prop_assert_eq!(ledger.check_account(&account).map_err(|fault| fault.reason), expected);
            if expected == Ok(RegistrationState::New) {
                ledger.open_account(&account, Time(1));
                accounts.push(account);
            }
            ledger.check_invariants();
            for n in 0..5 {
                let mut theirs: Vec<_> =
                    accounts.iter().filter(|account| account.holders.contains(&cpf(n))).collect();
                theirs.sort_by_key(|account| &account.number);
                let listed: Vec<_> = ledger.accounts_after(Some(&cpf(n)), None).collect();
                prop_assert_eq!(listed.len(), theirs.len());
                for (view, account) in listed.iter().zip(theirs) {
                    prop_assert_eq!(view.number, &account.number);
                    prop_assert!(view.holders.iter().eq(&account.holders));
                }
            }
        }
        let created = ledger.accounts_by_creation().map(|view| view.number.clone());
        prop_assert!(created.eq(accounts.iter().map(|account| account.number.clone())));
    }
}
