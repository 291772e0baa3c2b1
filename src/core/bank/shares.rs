//! What one owner may use of a bank in closed mode, so that no name takes it from the others.

use crate::access::{Way, owner_of};
use crate::bank::decide::Deciding;
use crate::ids::TxId;
use crate::limits::{
    MOVED_CENTAVOS_MAX, OWNER_PATIENCE_MS_MAX, PATIENCE_MS_MAX, UNDECIDED_OF_OWNER_MAX,
    UNDECIDED_OF_STAFF_PART,
};
use crate::wire::detail::{Detail, SingleWord};
use crate::wire::transaction::{Action, Op, Transaction};
use crate::wire::{Fault, Reason};

impl Deciding<'_> {
    /// Checks that one more transaction keeps the bounds of its owner here. By whichever way it
    /// comes, it counts for the owner and not for the link. Costs a search in the shares and one in
    /// the grants; nothing in open mode.
    pub(super) fn within_share(
        &self,
        tx: &TxId,
        transaction: &Transaction,
        way: Way,
    ) -> Result<(), Fault> {
        if way == Way::Open {
            return Ok(());
        }
        let moves_too_much = |op: &Op| match &op.action {
            Action::Money { amount, .. } => amount.wide() > i128::from(MOVED_CENTAVOS_MAX),
            Action::Set { .. } => false,
        };
        if transaction.ops_of(self.bank.me()).any(moves_too_much) {
            let detail = Detail::MovesAtMost { most: MOVED_CENTAVOS_MAX };
            return Err(Fault::of(Reason::Limit, &detail));
        }
        let most = match self.is_staffs(tx) {
            true => self.bank.undecided_bounds.0 / UNDECIDED_OF_STAFF_PART,
            false => UNDECIDED_OF_OWNER_MAX,
        };
        if self.volatile.shares.of_owner(tx) >= most {
            let name = SingleWord(owner_of(tx).unwrap_or(tx.as_str()).to_owned());
            return Err(Fault::of(Reason::Limit, &Detail::ShareFull { name, most }));
        }
        Ok(())
    }

    /// The longest patience that this bank counts for a transaction. Nothing is refused for it: the
    /// bank begins to ask earlier.
    pub(super) fn patience_max(&self, tx: &TxId, way: Way) -> u64 {
        if way == Way::Open || self.is_staffs(tx) {
            u64::from(PATIENCE_MS_MAX)
        } else {
            OWNER_PATIENCE_MS_MAX
        }
    }

    fn is_staffs(&self, tx: &TxId) -> bool {
        owner_of(tx).is_some_and(|owner| self.volatile.access.is_staff(owner))
    }
}
