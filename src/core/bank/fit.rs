//! The rules for texts of new transactions, clients and accounts. A text that breaks them gets an
//! ERR and nothing is recorded; it is checked only if this bank does not know the thing yet.

use crate::bank::decide::Deciding;
use crate::ids::TxId;
use crate::ids::fit::Unfit;
use crate::wire::detail::{Detail, SingleWord};
use crate::wire::request::{NewAccount, NewClient};
use crate::wire::transaction::{Action, Op, Transaction};

impl Deciding<'_> {
    /// The fault of a transaction that this bank does not know, if it has one. Runs over its
    /// operations.
    pub(super) fn unfit_transaction(&self, tx: &TxId, transaction: &Transaction) -> Option<Detail> {
        let in_op = |op: &Op| match &op.action {
            Action::Money { account, .. } => {
                let unfit = unfit_field("account", account.check_new())?;
                // An account that was opened under an older rule remains usable, so its money is
                // not stuck.
                let exists =
                    op.bank == self.bank.me() && self.bank.ledger.account(account).is_some();
                (!exists).then_some(unfit)
            }
            Action::Set { key, value } => unfit_field("key", key.check_new())
                .or_else(|| unfit_field("value", value.check_new())),
        };
        unfit_field("id", tx.check_new()).or_else(|| transaction.ops().iter().find_map(in_op))
    }
}

/// The fault of a new client, if it has one.
pub(super) fn unfit_client(client: &NewClient) -> Option<Detail> {
    unfit_field("name", client.name.check_new())
        .or_else(|| unfit_field("kind", client.kind.check_new()))
}

/// The fault of a new account's number, if it has one.
pub(super) fn unfit_account(account: &NewAccount) -> Option<Detail> {
    unfit_field("number", account.number.check_new())
}

fn unfit_field(field: &str, checked: Result<(), Unfit>) -> Option<Detail> {
    let unfit = checked.err()?;
    let field = SingleWord(format!("`{field}`"));
    Some(match unfit {
        Unfit::Invisible(c) => {
            Detail::Invisible { field, character: SingleWord(Unfit::Invisible(c).to_string()) }
        }
        Unfit::Untrimmed => Detail::Untrimmed { field },
        Unfit::Dots => Detail::Dots { field },
    })
}
