//! The transactions of clients: transfers, composites, cash, registers, and some that must be
//! refused.

use crate::simulation::facts::Facts;
use crate::simulation::plan::Variant;
use crate::simulation::run::{Simulation, bank, holder};
use consorcio_core::ids::{AccountNumber, RegisterKey, RegisterValue, TaxId, TxId};
use consorcio_core::money::Money;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use std::sync::Arc;

/// Registers that clients write.
pub const KEYS: [&str; 2] = ["storage", "rate"];

impl Simulation<'_> {
    pub fn money(&mut self, flow: Flow, at: usize, amount: i64) -> Op {
        let account = match self.random.below(200) {
            0 => AccountNumber::new("none-0").unwrap(),
            _ => self.random.of(&self.accounts[at]).clone(),
        };
        let cpf = match self.random.below(100) {
            0 => Some(TaxId::new("99999999999").unwrap()),
            1..20 if !account.as_str().starts_with('n') => {
                Some(TaxId::new(&holder(&account)).unwrap())
            }
            _ => None,
        };
        Op { bank: bank(at), action: Action::Money { flow, account, cpf, amount: Money(amount) } }
    }

    fn set(&mut self, ops: &mut Vec<Op>) {
        let key = *self.random.of(&KEYS);
        let key = RegisterKey::new(key).unwrap();
        // Each set writes a distinct value, so that a read identifies its writer.
        let value = RegisterValue::new(&self.reads.new_value()).unwrap();
        for at in 0..self.banks() {
            let action = Action::Set { key: key.clone(), value: value.clone() };
            ops.push(Op { bank: bank(at), action });
        }
    }

    pub fn transaction(&mut self) -> Arc<Transaction> {
        let amount = i64::try_from(1 + self.random.below(600)).unwrap();
        let banks = self.banks();
        let first = self.random.below(banks);
        let (second, third) = ((first + 1) % banks, (first + 2) % banks);
        let mut ops = match self.random.below(20) {
            0..9 => vec![
                self.money(Flow::Debit, first, amount),
                self.money(Flow::Credit, second, amount),
            ],
            9..12 => vec![
                self.money(Flow::Debit, first, amount),
                self.money(Flow::Debit, second, amount),
                self.money(Flow::Credit, third, 2 * amount),
            ],
            12 => vec![self.money(Flow::Deposit, first, amount)],
            13 => vec![
                self.money(Flow::Withdraw, first, amount),
                self.money(Flow::Deposit, second, amount),
            ],
            14..17 => Vec::new(),
            _ => self.composite(amount),
        };
        if ops.is_empty() {
            self.set(&mut ops);
        }
        let patience = self.random.chance(10).then_some(5_000);
        if patience.is_some() {
            self.coverage.count("patience");
        }
        Arc::new(Transaction::from_ops(ops, patience).unwrap())
    }

    /// Several operations of each kind: transfers, cash, perhaps a register.
    fn composite(&mut self, amount: i64) -> Vec<Op> {
        self.coverage.count("composite");
        let mut ops = Vec::new();
        for part in 0..1 + self.random.below(4) {
            let (from, to) = (self.random.below(self.banks()), self.random.below(self.banks()));
            let part = amount / 4 + 1 + i64::try_from(part).unwrap();
            ops.push(self.money(Flow::Debit, from, part));
            ops.push(self.money(Flow::Credit, to, part));
        }
        if self.random.chance(30) {
            let at = self.random.below(self.banks());
            ops.push(self.money(Flow::Withdraw, at, 1));
        }
        if self.random.chance(30) {
            let at = self.random.below(self.banks());
            ops.push(self.money(Flow::Deposit, at, amount));
        }
        if self.random.chance(20) {
            self.set(&mut ops);
        }
        if self.random.chance(5) {
            // It does not balance, so every bank must refuse it.
            let at = self.random.below(self.banks());
            ops.push(self.money(Flow::Credit, at, 1));
        }
        ops
    }

    /// A new transaction under a new id.
    pub fn new_transaction(&mut self) -> (TxId, Arc<Transaction>) {
        let transaction = self.transaction();
        (self.named(&transaction), transaction)
    }

    /// A new transaction; with shared ids often under an id that is in use.
    pub fn new_or_shared_id(&mut self) -> (TxId, Arc<Transaction>) {
        let used = self.facts.len() - 1;
        if self.plan.variant != Variant::SharedIds || used == 0 || self.random.chance(50) {
            return self.new_transaction();
        }
        let number = used - self.random.below(used.min(3));
        let tx = TxId::new(&format!("t{number}")).unwrap();
        if self.random.chance(25) {
            self.coverage.count("the same bytes driven again");
            let versions = &self.facts[number].versions;
            let transaction = Arc::clone(&versions[self.random.below(versions.len())].transaction);
            if !transaction.has_outside() {
                return (tx, transaction);
            }
        }
        let transaction = self.transaction();
        let banks = transaction.banks();
        let before = self.facts[number].versions[0].transaction.banks();
        self.coverage.count(if before == banks {
            "other bytes, the same banks"
        } else if before.minus(banks) == before {
            "other bytes, other banks"
        } else {
            "other bytes, some of the banks"
        });
        self.add_version(&tx, &transaction);
        (tx, transaction)
    }

    pub fn named(&mut self, transaction: &Arc<Transaction>) -> TxId {
        self.coverage.count("transactions");
        if self.environment.disks.is_some() {
            self.coverage.count("transactions on disks");
        }
        let tx = TxId::new(&format!("t{}", self.facts.len())).unwrap();
        self.facts.push(Facts::default());
        self.add_version(&tx, transaction);
        tx
    }

    pub fn deposit(&mut self) {
        let at = self.random.below(self.banks());
        let account = self.random.of(&self.accounts[at]).clone();
        let action = Action::Money { flow: Flow::Deposit, account, cpf: None, amount: Money(1) };
        let op = Op { bank: bank(at), action };
        let transaction = Arc::new(Transaction::from_ops([op], None).unwrap());
        let tx = self.named(&transaction);
        self.call(at, Request::Execute(tx, transaction));
    }
}
