//! The rule for texts of new transactions, clients and accounts. A text that breaks it gets ERR,
//! and nothing is recorded; it is looked at only where this bank knows nothing of the thing yet.

use crate::bank::decide::Deciding;
use crate::ids::TxId;
use crate::ids::fit::Unfit;
use crate::wire::detail::{Detail, Word};
use crate::wire::request::{NewAccount, NewClient};
use crate::wire::transaction::{Action, Op, Transaction};

impl Deciding<'_> {
    /// What is wrong with the texts of a transaction that this bank knows nothing of. Runs over its
    /// operations.
    pub(super) fn unfit_transaction(&self, tx: &TxId, transaction: &Transaction) -> Option<Detail> {
        let in_op = |op: &Op| match &op.action {
            Action::Money { account, .. } => {
                let unfit = told("account", account.check_new())?;
                // One that is there by an older rule goes on to be used, so that its money is not
                // stuck.
                let is_there =
                    op.bank == self.bank.me() && self.bank.ledger.account(account).is_some();
                (!is_there).then_some(unfit)
            }
            Action::Set { key, value } => {
                told("key", key.check_new()).or_else(|| told("value", value.check_new()))
            }
        };
        told("id", tx.check_new()).or_else(|| transaction.ops().iter().find_map(in_op))
    }
}

/// What is wrong with the texts of a new client.
pub(super) fn unfit_client(client: &NewClient) -> Option<Detail> {
    told("name", client.name.check_new()).or_else(|| told("kind", client.kind.check_new()))
}

/// What is wrong with the number of a new account.
pub(super) fn unfit_account(account: &NewAccount) -> Option<Detail> {
    told("number", account.number.check_new())
}

fn told(field: &str, checked: Result<(), Unfit>) -> Option<Detail> {
    let field = Word(format!("`{field}`"));
    Some(match checked.err()? {
        Unfit::Invisible(c) => {
            Detail::Invisible { field, character: Word(Unfit::Invisible(c).to_string()) }
        }
        Unfit::Untrimmed => Detail::Untrimmed { field },
        Unfit::Dots => Detail::Dots { field },
    })
}
