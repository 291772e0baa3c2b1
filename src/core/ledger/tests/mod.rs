//! Tests of the ledger: single rules here, random histories against a naive model in `model`.

mod cuts;
mod model;
mod registration;
mod rules;

use super::*;
use crate::ids::{ClientKind, ClientName};
use crate::pieces::PieceWriter;
use crate::wire::transaction::Op;
use std::ops::ControlFlow;

/// The bank under test, one of three.
fn me() -> BankId {
    bank(0)
}

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn consortium() -> BankSet {
    (0..3).map(bank).collect()
}

fn number(text: &str) -> AccountNumber {
    AccountNumber::new(text).unwrap()
}

fn cpf(client: u64) -> TaxId {
    TaxId::new(&format!("{client:011}")).unwrap()
}

fn key(text: &str) -> RegisterKey {
    RegisterKey::new(text).unwrap()
}

fn id(text: &str) -> TxId {
    TxId::new(text).unwrap()
}

fn client(n: u64) -> NewClient {
    NewClient {
        cpf: cpf(n),
        name: ClientName::new("Pessoa").unwrap(),
        kind: ClientKind::new("Físico").unwrap(),
    }
}

fn new_account(text: &str, holders: &[u64], deposit: i64) -> NewAccount {
    let holders = holders.iter().copied().map(cpf).collect();
    NewAccount { number: number(text), holders, deposit: Money(deposit) }
}

/// Accounts `a`, `b`, … at this bank, of clients 0, 1, …, with these first deposits, opened at time
/// 1.
fn with_accounts(deposits: &[i64]) -> Ledger {
    let mut ledger = Ledger::new();
    for ((n, name), deposit) in (0..).zip('a'..='z').zip(deposits) {
        ledger.add_client(&client(n), Time(1));
        ledger.open_account(&new_account(&name.to_string(), &[n], *deposit), Time(1));
    }
    ledger
}

fn op(at: usize, flow: Flow, account: &str, amount: i64) -> Op {
    let action = Action::Money { flow, account: number(account), cpf: None, amount: Money(amount) };
    Op { bank: bank(at), action }
}

fn debit(account: &str, amount: i64) -> Op {
    op(0, Flow::Debit, account, amount)
}

fn credit(account: &str, amount: i64) -> Op {
    op(0, Flow::Credit, account, amount)
}

fn deposit(account: &str, amount: i64) -> Op {
    op(0, Flow::Deposit, account, amount)
}

fn withdraw(account: &str, amount: i64) -> Op {
    op(0, Flow::Withdraw, account, amount)
}

fn set_at(at: usize, register: &str, value: &str) -> Op {
    let value = RegisterValue::new(value).unwrap();
    Op { bank: bank(at), action: Action::Set { key: key(register), value } }
}

/// A transaction that sets one register at every bank.
fn set(register: &str, value: &str) -> Transaction {
    transaction(&[0, 1, 2].map(|at| set_at(at, register, value)))
}

fn transaction(ops: &[Op]) -> Transaction {
    Transaction::from_ops(ops, None).unwrap()
}

/// These operations here, balanced by one on an account of another bank.
fn across(ops: &[Op]) -> Transaction {
    let mut ops = ops.to_vec();
    let out: i64 = ops
        .iter()
        .map(|op| match &op.action {
            Action::Money { flow: Flow::Debit, amount, .. } => amount.0,
            Action::Money { flow: Flow::Credit, amount, .. } => -amount.0,
            Action::Money { flow: Flow::Deposit | Flow::Withdraw, .. } | Action::Set { .. } => 0,
        })
        .sum();
    match out {
        0 => {}
        1.. => ops.push(op(1, Flow::Credit, "far", out)),
        _ => ops.push(op(1, Flow::Debit, "far", -out)),
    }
    transaction(&ops)
}

/// The reason for which the ledger refuses a transaction, if it does.
fn refusal(ledger: &Ledger, transaction: &Transaction) -> Option<Reason> {
    ledger.check(me(), consortium(), transaction).err().map(|fault| fault.reason)
}

fn hold(ledger: &mut Ledger, tx: &str, transaction: &Transaction) {
    assert_eq!(ledger.check(me(), consortium(), transaction), Ok(()), "{tx}");
    ledger.hold(me(), &id(tx), transaction);
    ledger.check_invariants();
}

/// Checks, holds and commits.
fn run(ledger: &mut Ledger, tx: &str, transaction: &Transaction, time: i64) {
    hold(ledger, tx, transaction);
    ledger.commit(me(), &id(tx), transaction, Time(time));
    ledger.check_invariants();
}

/// The account's balance, held, available, incoming.
fn figures(ledger: &Ledger, account: &str) -> [i64; 4] {
    let view = ledger.account(&number(account)).unwrap();
    [view.balance.0, view.held.0, view.available.0, view.incoming.0]
}

/// The ledger as in a snapshot.
fn bytes_of(ledger: &Ledger) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sink = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        ControlFlow::Continue(())
    };
    let mut out = PieceWriter::new(&mut sink);
    assert!(ledger.freeze().write(&mut out).is_continue() && out.flush().is_continue());
    bytes
}

/// The ledger of the bytes of a snapshot.
fn ledger_of(bytes: &[u8]) -> Result<Ledger, String> {
    let stored: StoredLedger = postcard::from_bytes(bytes).map_err(|error| error.to_string())?;
    stored.into_ledger([3, 4])
}
