//! Whether a request is allowed: pure functions over the table, of who asks, what was granted here,
//! and the ledger.
//!
//! `may` looks at the request and its id; `may_operate` at the operations that a vote of this bank
//! is about. Both take the rights as they are when the bank decides.

use super::grants::{Access, Grant, may_pass_on, owner_of};
use super::table::{Privilege, Scope};
use super::{Name, Principal};
use crate::ids::{AccountNumber, BankId, TxId};
use crate::ledger::Ledger;
use crate::wire::detail::{Detail, SingleWord};
use crate::wire::request::{Read, Request};
use crate::wire::transaction::{Action, Op, Transaction};
use crate::wire::{Fault, Reason};

/// How much of a request is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// All that it asks for.
    All,
    /// A list of what belongs to the asker alone.
    Own,
    /// COMMIT or ABORT, if its tokens prove the outcome; without them nobody is asked.
    Proof,
    /// Nothing: it is answered with `not-allowed`, and nothing is recorded.
    No,
}

/// The way by which the operations of a transaction reach a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In open mode: there are no names, and everything is allowed.
    Open,
    /// The owner's own connection.
    Session,
    /// The link of the bank that drives for the owner.
    Link(BankId),
}

impl Way {
    /// The way of requests of `asker`.
    pub fn of(asker: &Principal) -> Way {
        match asker {
            Principal::Operator => Way::Open,
            Principal::Named(_) => Way::Session,
            Principal::Bank(bank) => Way::Link(*bank),
        }
    }
}

/// How much of `request` is carried out for `asker`. Costs one search in the grants, and for a
/// request about one account one in the ledger.
pub fn may(access: &Access, asker: &Principal, request: &Request, ledger: &Ledger) -> Permission {
    let name = match asker {
        Principal::Operator => return Permission::All,
        Principal::Bank(bank) => return may_over_link(*bank, request),
        Principal::Named(name) => name,
    };
    let grant = access.grant(name.as_str());
    let scope = scope_of(grant, Privilege::of(request));
    let of = |is_own: bool| match scope {
        Scope::All => Permission::All,
        Scope::Own | Scope::OwnOrConsent if is_own => Permission::All,
        Scope::No | Scope::Own | Scope::OwnOrConsent | Scope::Consent => Permission::No,
    };
    match request {
        // Nobody begins a transaction in another's name.
        Request::Prepare(tx, _) | Request::Execute(tx, _) if !is_owner(name, tx) => Permission::No,
        Request::Prepare(..) | Request::Execute(..) => of(false),
        Request::Commit(tx, _) | Request::Abort(tx, _) => match of(is_owner(name, tx)) {
            Permission::No => proves(grant),
            allowed => allowed,
        },
        Request::Resolve(tx) | Request::Status(tx) => of(is_owner(name, tx)),
        Request::Read(Read::Balance(number)) => of(is_held(grant, number, ledger)),
        Request::Read(Read::Accounts { cpf: Some(cpf), .. }) => {
            of(grant.is_some_and(|grant| grant.cpfs.contains(cpf)))
        }
        Request::Read(Read::History { .. } | Read::Pending { .. }) => match of(true) {
            Permission::All if scope != Scope::All => Permission::Own,
            permission => permission,
        },
        Request::Read(
            Read::Clients { .. }
            | Read::Accounts { cpf: None, .. }
            | Read::Value(_)
            | Read::Info
            | Read::Snapshot { .. },
        )
        | Request::Client(_)
        | Request::Account(_)
        | Request::Registers { .. }
        | Request::Local(_) => of(false),
    }
}

/// Whether `asker` may send `request` at all, whatever it is about: what a session knows without
/// the bank. The bank's own answer is `may`.
pub fn may_ask(access: &Access, asker: &Principal, request: &Request) -> bool {
    let ends = matches!(request, Request::Commit(..) | Request::Abort(..));
    access.scope(asker, Privilege::of(request)) != Scope::No
        || (ends && access.scope(asker, Privilege::Prove) != Scope::No)
}

impl Access {
    /// How far a privilege reaches for a principal.
    pub fn scope(&self, principal: &Principal, privilege: Privilege) -> Scope {
        match principal {
            Principal::Operator => Scope::All,
            Principal::Bank(_) => privilege.over_link(),
            Principal::Named(name) => scope_of(self.grant(name.as_str()), privilege),
        }
    }
}

/// The fault of a request that its asker may not make, whatever it is about.
pub fn no_right(asker: &Principal, request: &Request) -> Fault {
    // In open mode nobody is refused.
    let name = asker.name().map_or_else(String::new, |name| name.to_string());
    let verb = SingleWord(request.verb().name().to_owned());
    Fault::of(Reason::NotAllowed, &Detail::NoRight { name: SingleWord(name), verb })
}

/// The first operation of `transaction` at the bank `me` that the owner of `tx` may not do, if it
/// comes this `way`. Costs one search in the grants, and one in the ledger for each operation here
/// whose account must be the owner's.
pub fn not_allowed<'t>(
    access: &Access,
    (tx, way): (&TxId, Way),
    me: BankId,
    transaction: &'t Transaction,
    ledger: &Ledger,
) -> Option<&'t Op> {
    if way == Way::Open {
        return None;
    }
    let owner = owner_of(tx).and_then(|owner| access.grant(owner));
    // A consent to these bytes would count here, for `Scope::Consent` on either way.
    let own = |op: &Op| match scope_of(owner, Privilege::of_action(&op.action)) {
        Scope::All => true,
        Scope::Own | Scope::OwnOrConsent => match &op.action {
            Action::Money { account, .. } => is_held(owner, account, ledger),
            Action::Set { .. } => false,
        },
        Scope::Consent | Scope::No => false,
    };
    let allowed = |op: &Op| match way {
        Way::Open => true,
        Way::Session => own(op),
        Way::Link(bank) => match Privilege::of_action(&op.action).over_link() {
            Scope::All => true,
            Scope::Consent => access.trusts(bank) && own(op),
            Scope::Own | Scope::OwnOrConsent | Scope::No => false,
        },
    };
    transaction.ops_of(me).find(|op| !allowed(op))
}

/// Nothing that ends a transaction is ever refused between banks, whoever owns it.
fn may_over_link(bank: BankId, request: &Request) -> Permission {
    let begins_foreign = match request {
        Request::Prepare(tx, _) => !owner_of(tx).is_some_and(|owner| may_pass_on(bank, owner)),
        Request::Commit(..)
        | Request::Abort(..)
        | Request::Resolve(_)
        | Request::Status(_)
        | Request::Execute(..)
        | Request::Client(_)
        | Request::Account(_)
        | Request::Read(_)
        | Request::Registers { .. }
        | Request::Local(_) => false,
    };
    match Privilege::of(request).over_link() {
        Scope::All if !begins_foreign => Permission::All,
        Scope::All | Scope::No | Scope::Own | Scope::Consent | Scope::OwnOrConsent => {
            Permission::No
        }
    }
}

/// A name that is not listed has no role; one that has ended has no right.
fn scope_of(grant: Option<&Grant>, privilege: Privilege) -> Scope {
    match grant {
        Some(grant) if grant.gone => Scope::No,
        Some(grant) => privilege.for_roles(grant.roles),
        None => privilege.for_roles(super::Roles::NONE),
    }
}

fn proves(grant: Option<&Grant>) -> Permission {
    match scope_of(grant, Privilege::Prove) {
        Scope::All => Permission::Proof,
        Scope::No | Scope::Own | Scope::Consent | Scope::OwnOrConsent => Permission::No,
    }
}

fn is_owner(name: &Name, tx: &TxId) -> bool {
    owner_of(tx) == Some(name.as_str())
}

fn is_held(grant: Option<&Grant>, number: &AccountNumber, ledger: &Ledger) -> bool {
    let view = ledger.account(number);
    grant.zip(view).is_some_and(|(grant, view)| grant.holds(view.holders))
}

#[cfg(test)]
mod tests;
