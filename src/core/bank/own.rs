//! Reads of what belongs to the asker alone: its own transactions, and those that move money of its
//! accounts.
//!
//! Of a transaction that belongs to another name it sees the operations on its own accounts, and of
//! the others the bank, the kind and the amount.

use crate::access::{Access, Grant, Name, owner_of};
use crate::bank::decide::Deciding;
use crate::ids::{BankId, TxId};
use crate::ledger::Ledger;
use crate::wire::answer::OpAnswer;
use crate::wire::transaction::{Action, Op, Transaction};
use std::borrow::Cow;

/// What one reader may see; `None` as its name if it sees everything.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    name: Option<&'a Name>,
    grant: Option<&'a Grant>,
    me: BankId,
    ledger: &'a Ledger,
}

impl<'a> Deciding<'a> {
    /// The view of a reader that sees only what is its own, or with `None` of one that sees
    /// everything.
    pub(super) fn view<'v>(&self, name: Option<&'v Name>) -> View<'v>
    where
        'a: 'v,
    {
        let access: &'a Access = &self.volatile.access;
        let grant = name.and_then(|name| access.grant(name.as_str()));
        View { name, grant, me: self.bank.me(), ledger: &self.bank.ledger }
    }
}

impl View<'_> {
    /// Does it see this transaction? Costs a search in the ledger for each operation here.
    pub(super) fn sees(&self, tx: &TxId, transaction: Option<&Transaction>) -> bool {
        self.is_whole(tx)
            || transaction.is_some_and(|of| of.ops_of(self.me).any(|op| self.is_own(op)))
    }

    /// Does it see all of this transaction? Its owner wrote it.
    pub(super) fn is_whole(&self, tx: &TxId) -> bool {
        self.name.is_none_or(|name| owner_of(tx) == Some(name.as_str()))
    }

    /// The operations of a transaction that it sees.
    pub(super) fn ops<'t>(&self, tx: &TxId, transaction: &'t Transaction) -> Vec<OpAnswer<'t>> {
        if self.is_whole(tx) {
            return OpAnswer::all_of(transaction);
        }
        let seen = |op| if self.is_own(op) { OpAnswer::of(op) } else { outline(op) };
        transaction.ops().iter().map(seen).collect()
    }

    fn is_own(&self, op: &Op) -> bool {
        let Action::Money { account, .. } = &op.action else { return false };
        let view = self.ledger.account(account).filter(|_| op.bank == self.me);
        self.grant.zip(view).is_some_and(|(grant, view)| grant.holds(view.holders))
    }
}

/// An operation of another party: its bank, kind and amount.
fn outline(op: &Op) -> OpAnswer<'_> {
    let whole = OpAnswer::of(op);
    OpAnswer {
        op: Cow::clone(&whole.op),
        account: None,
        cpf: None,
        key: None,
        value: None,
        ..whole
    }
}
