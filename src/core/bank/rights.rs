//! Rights: the replies to those who have none, and what follows when rights change.
//!
//! Who may do what is a pure function of `access`; here is what a bank does with its answers.

use crate::access::{self, Access, Name, Principal, Way, owner_of};
use crate::bank::Change;
use crate::bank::backlog::WorkBudget;
use crate::bank::decide::Deciding;
use crate::bank::io::{After, Caller, DoubtCause};
use crate::ids::TxId;
use crate::limits::OUTCOME_RECORD_BYTES_MAX;
use crate::wire::detail::{Detail, SingleWord};
use crate::wire::reply::Reply;
use crate::wire::request::Request;
use crate::wire::transaction::Action;
use crate::wire::{Fault, Reason};
use std::ops::Bound;
use std::sync::Arc;

impl Deciding<'_> {
    /// Replies to a request that its asker may not make. Nothing is recorded, and nothing is told
    /// of what the request is about.
    pub(super) fn not_allowed(&mut self, caller: Caller, asker: &Principal, request: &Request) {
        let detail = match (asker, request) {
            (Principal::Bank(bank), Request::Prepare(tx, _)) => {
                Detail::ForeignId { bank: *bank, tx: tx.clone() }
            }
            (Principal::Named(name), Request::Prepare(tx, _) | Request::Execute(tx, _))
                if owner_of(tx) != Some(name.as_str()) =>
            {
                let example = SingleWord(format!("{name}.t1"));
                Detail::OwnIdsOnly { name: word(name), example }
            }
            (Principal::Named(name), Request::Resolve(tx) | Request::Status(tx))
                if owner_of(tx) != Some(name.as_str()) =>
            {
                return self.not_owner(caller, asker, tx);
            }
            (Principal::Operator | Principal::Named(_) | Principal::Bank(_), _) => {
                let Fault { reason, text } = access::no_right(asker, request);
                return self.reply(caller, Reply::Err(reason, text), After::Now);
            }
        };
        self.reply(caller, Reply::Err(Reason::NotAllowed, detail.to_string()), After::Now);
    }

    /// Replies to a request about a transaction that belongs to another name.
    pub(super) fn not_owner(&mut self, caller: Caller, asker: &Principal, tx: &TxId) {
        let detail = Detail::NotOwn { tx: tx.clone(), name: word(&name_of(asker)) };
        self.reply(caller, Reply::Err(Reason::NotAllowed, detail.to_string()), After::Now);
    }

    /// Votes stand. The owners of undecided transactions that were taken out of the access can't
    /// end those any more, so the bank asks the others about them, as it does when a driver is
    /// gone. Compares the names of both.
    pub(super) fn access_changed(&mut self, access: &Arc<Access>) {
        let before = self.volatile.access.grants().iter().filter(|grant| !grant.gone);
        let removed = before.filter(|grant| !access.lists(grant.name.as_str()));
        let removed: Vec<Name> = removed.map(|grant| grant.name.clone()).collect();
        self.change(Change::Access(Arc::clone(access), removed));
    }

    /// Asks about transactions of names that were taken out, from where the last decision stopped:
    /// those whose ids begin with the name.
    pub(super) fn owners_gone(&mut self, budget: &mut WorkBudget) {
        let (bank, volatile) = (self.bank, self.volatile);
        for (name, after) in &volatile.removed {
            if budget.is_spent() {
                return;
            }
            let begin = format!("{name}.");
            let Ok(first) = TxId::new(&begin) else { continue };
            let begin_at = after.as_ref().map_or(Bound::Included(&first), Bound::Excluded);
            let theirs = bank.undecided.from(begin_at);
            let mut seen = None;
            let mut is_done = true;
            for (tx, prepared) in theirs.take_while(|(tx, _)| tx.as_str().starts_with(&begin)) {
                if !budget.take(OUTCOME_RECORD_BYTES_MAX) {
                    is_done = false;
                    break;
                }
                self.ask(tx, prepared, DoubtCause::OwnerGone);
                seen = Some(tx.clone());
            }
            match (is_done, seen) {
                (true, _) => self.change(Change::RemovedAsked(name.clone(), None)),
                (false, Some(tx)) => self.change(Change::RemovedAsked(name.clone(), Some(tx))),
                (false, None) => return,
            }
        }
    }
}

/// The refusal of an operation that the owner of `tx` may not do here. It does not tell whether
/// the account exists.
pub(super) fn no_right(access: &Access, tx: &TxId, way: Way, action: &Action) -> Fault {
    let op = match action {
        Action::Money { flow, .. } => flow.as_str(),
        Action::Set { .. } => "set",
    };
    let op = SingleWord(op.to_owned());
    let name = SingleWord(owner_of(tx).unwrap_or(tx.as_str()).to_owned());
    let detail = match (way, action) {
        (Way::Link(bank), _) if !access.trusts(bank) => Detail::LinkCredits { bank, op },
        (Way::Link(_) | Way::Session | Way::Open, Action::Money { account, .. }) => {
            Detail::NoRightToMove { name, op, number: account.clone() }
        }
        (Way::Link(_) | Way::Session | Way::Open, Action::Set { key, .. }) => {
            Detail::NoRightToSet { name, key: key.clone() }
        }
    };
    Fault::of(Reason::NotAllowed, &detail)
}

fn word(name: &impl std::fmt::Display) -> SingleWord {
    SingleWord(name.to_string())
}

/// The asker's name; in open mode, where nobody is refused, there is none.
fn name_of(asker: &Principal) -> String {
    asker.name().map_or_else(|| "the-operator".to_owned(), |name| name.to_string())
}
