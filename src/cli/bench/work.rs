//! The workload of a benchmark's client: random transactions.

use super::super::args::{BenchArguments, BenchKind};
use super::super::load::{LoadRequest, Workload};
use consorcio_core::access::Name;
use consorcio_core::ids::{AccountNumber, BankId, RegisterKey, RegisterValue};
use consorcio_core::money::Money;
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use consorcio_system::id_generator::{IdGenerator, now_ms};
use std::rc::Rc;
use std::sync::Arc;

/// Generates the transactions of one client.
pub(super) struct BenchWork {
    banks: Vec<BankId>,
    /// The accounts of each bank; all clients share the list.
    accounts: Rc<[AccountNumber]>,
    kind: BenchKind,
    /// Whether the first account of the first bank is part of every transfer.
    hot: bool,
    ids: IdGenerator,
    random: u64,
    register: RegisterKey,
    count: u64,
    ops: Vec<Op>,
}

impl BenchWork {
    /// The workload of client `number`.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub(super) fn new(
        banks: &[BankId],
        accounts: &Rc<[AccountNumber]>,
        arguments: &BenchArguments,
        number: u32,
        owner: Option<Name>,
    ) -> Result<BenchWork, getrandom::Error> {
        Ok(BenchWork {
            banks: banks.to_vec(),
            accounts: Rc::clone(accounts),
            kind: arguments.kind,
            hot: arguments.hot,
            ids: IdGenerator::new()?.owned_by(owner),
            random: getrandom::u64()? | 1,
            register: RegisterKey::new(&format!("bench-{number}")).expect("a legal key"),
            count: 0,
            ops: Vec::new(),
        })
    }

    fn transaction(&mut self) -> LoadRequest {
        self.count += 1;
        self.ops.clear();
        let first = self.below(self.banks.len());
        // Amounts this small never empty an account within a run.
        let amount = 1 + i64::from(u8::try_from(self.below(100)).unwrap_or(0));
        match self.kind {
            BenchKind::Transfer if self.hot => {
                let other = 1 + self.below(self.banks.len() - 1);
                // It is debited or credited at random, so that it is never empty.
                let gives = self.below(2) == 0;
                let (hot, rest) =
                    if gives { (Flow::Debit, Flow::Credit) } else { (Flow::Credit, Flow::Debit) };
                self.money_of(0, hot, amount, 0);
                self.money(other, rest, amount);
            }
            BenchKind::Transfer => {
                let second = self.other(first);
                self.money(first, Flow::Debit, amount);
                self.money(second, Flow::Credit, amount);
            }
            BenchKind::Composite => {
                let (second, third) =
                    ((first + 1) % self.banks.len(), (first + 2) % self.banks.len());
                self.money(first, Flow::Debit, amount);
                self.money(second, Flow::Debit, amount);
                self.money(third, Flow::Credit, 2 * amount);
            }
            BenchKind::Single => {
                let from = self.below(self.accounts.len());
                let to = (from + 1 + self.below(self.accounts.len() - 1)) % self.accounts.len();
                self.money_of(first, Flow::Debit, amount, from);
                self.money_of(first, Flow::Credit, amount, to);
            }
            BenchKind::Set => {
                let value = RegisterValue::new(&self.count.to_string()).expect("digits");
                for bank in &self.banks {
                    let action = Action::Set { key: self.register.clone(), value: value.clone() };
                    self.ops.push(Op { bank: *bank, action });
                }
            }
        }
        let transaction = Transaction::from_ops(&self.ops, None).expect("a legal transaction");
        LoadRequest::Change(self.ids.at(now_ms()), Arc::new(transaction), self.banks[first])
    }

    fn money(&mut self, bank: usize, flow: Flow, amount: i64) {
        let account = self.below(self.accounts.len());
        self.money_of(bank, flow, amount, account);
    }

    fn money_of(&mut self, bank: usize, flow: Flow, amount: i64, account: usize) {
        let account = self.accounts[account].clone();
        let action = Action::Money { flow, account, cpf: None, amount: Money(amount) };
        self.ops.push(Op { bank: self.banks[bank], action });
    }

    fn other(&mut self, than: usize) -> usize {
        (than + 1 + self.below(self.banks.len() - 1)) % self.banks.len()
    }

    /// A random number below `bound`. Xorshift suffices for choosing accounts.
    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from((self.random >> 11) % u64::try_from(bound).unwrap_or(1)).unwrap_or(0)
    }
}

impl Workload for BenchWork {
    fn next(&mut self) -> LoadRequest {
        self.transaction()
    }
}
