//! What each name was granted at one bank, and which banks this bank trusts: `access.toml` as a
//! value. Its reader is elsewhere; here is only what it says.

use super::Principal;
use super::name::Name;
use super::roles::{Role, Roles};
use crate::ids::{BankId, BankSet, TaxId, Time, TxId};
use crate::ledger::Holders;

/// What one name was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whose grant it is.
    pub name: Name,
    /// Its roles, perhaps none.
    pub roles: Roles,
    /// The tax numbers of which it is the holder.
    pub cpfs: Vec<TaxId>,
    /// What was made before this time (a certificate, a token, a password) does not count.
    pub since: Option<Time>,
    /// Whether the name has ended for ever.
    pub gone: bool,
}

impl Grant {
    /// A name without roles, as one that is not listed.
    pub fn of(name: Name) -> Grant {
        Grant { name, roles: Roles::NONE, cpfs: Vec::new(), since: None, gone: false }
    }

    /// Whether it holds an account that has these holders; one holder of a joint account is
    /// enough.
    pub(crate) fn holds(&self, holders: Holders<'_>) -> bool {
        holders.iter().any(|holder| self.cpfs.contains(holder))
    }
}

/// Why a name is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It has ended for ever.
    #[error("the name {0} has ended at this bank")]
    Gone(Name),
    /// What it shows was made before `since`.
    #[error("the certificate of {0} was made before the day since which those of it count here")]
    Old(Name),
}

/// Who may do what at one bank.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// In the order of their names, each name once.
    grants: Vec<Grant>,
    trust: BankSet,
}

impl Access {
    /// The access of these grants. `trust` are the banks that may move, over their links, whatever
    /// the owner of a transaction may move here.
    ///
    /// # Errors
    /// The first name that has two grants.
    pub fn new(mut grants: Vec<Grant>, trust: BankSet) -> Result<Access, Name> {
        grants.sort_by(|one, other| one.name.cmp(&other.name));
        let twice = grants.windows(2).find(|two| two[0].name == two[1].name);
        match twice {
            Some(two) => Err(two[0].name.clone()),
            None => Ok(Access { grants, trust }),
        }
    }

    /// The grant of `name`; `None` if it is not listed. Searches a sorted list.
    pub fn grant(&self, name: &str) -> Option<&Grant> {
        let at = self.grants.binary_search_by(|grant| grant.name.as_str().cmp(name)).ok()?;
        self.grants.get(at)
    }

    /// All grants, in the order of their names.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Whether the owner's rights here count for debits and the like over the link of `bank`.
    pub fn trusts(&self, bank: BankId) -> bool {
        self.trust.has(bank)
    }

    /// Whether `principal` is admitted with something that was made at this time: a certificate, a
    /// token, a password.
    ///
    /// # Errors
    /// Why it is not.
    pub fn admits(&self, principal: &Principal, made: Time) -> Result<(), Denied> {
        let grant = principal.name().and_then(|name| self.grant(name.as_str()).cloned());
        match grant {
            Some(grant) if grant.gone => Err(Denied::Gone(grant.name)),
            Some(Grant { name, since: Some(since), .. }) if made < since => Err(Denied::Old(name)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether `name` is a teller or an operator here, who act for many.
    pub fn is_staff(&self, name: &str) -> bool {
        self.grant(name).is_some_and(|grant| {
            !grant.gone && (grant.roles.has(Role::Teller) || grant.roles.has(Role::Operator))
        })
    }

    /// Whether `name` is listed, and has not ended.
    pub fn lists(&self, name: &str) -> bool {
        self.grant(name).is_some_and(|grant| !grant.gone)
    }
}

/// The owner of a transaction: the name before the first dot of its id. The text before it may be
/// no legal name.
pub fn owner_of(tx: &TxId) -> Option<&str> {
    tx.as_str().split_once('.').map(|(owner, _)| owner)
}

/// May a link from `bank` begin transactions of `owner`? Not those of a name that another bank
/// made, since it alone knows who that is, nor those of nobody.
pub(super) fn may_pass_on(bank: BankId, owner: &str) -> bool {
    Name::new(owner).is_ok_and(|name| name.made_by().is_none_or(|maker| maker == bank))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(name: &str) -> Grant {
        Grant::of(Name::new(name).expect("a name"))
    }

    #[test]
    fn grants_are_found_by_name_and_no_name_has_two() {
        let access = Access::new(vec![grant("b"), grant("c"), grant("a")], BankSet::EMPTY);
        let access = access.expect("three names");
        for name in ["a", "b", "c"] {
            assert_eq!(access.grant(name), Some(&grant(name)));
        }
        assert_eq!(access.grant("d"), None);
        let twice = Access::new(vec![grant("b"), grant("a"), grant("b")], BankSet::EMPTY);
        assert_eq!(twice, Err(Name::new("b").expect("a name")));
    }

    #[test]
    fn a_name_is_admitted_unless_it_has_ended_or_shows_what_is_too_old() {
        let gone = Grant { gone: true, ..grant("ana") };
        let since = Grant { since: Some(Time(10)), ..grant("rui") };
        let bank = Grant { since: Some(Time(10)), ..grant("bank-1") };
        let access = Access::new(vec![gone, since, bank, grant("eva")], BankSet::EMPTY);
        let access = access.expect("four names");
        let named = |name: &str| Principal::Named(Name::new(name).expect("a name"));
        let admits = |principal: &Principal, made| access.admits(principal, Time(made));
        assert_eq!(admits(&named("ana"), 99), Err(Denied::Gone(grant("ana").name)));
        assert_eq!(admits(&named("rui"), 9), Err(Denied::Old(grant("rui").name)));
        assert_eq!(admits(&named("rui"), 10), Ok(()));
        assert_eq!((admits(&named("eva"), 0), admits(&named("new"), 0)), (Ok(()), Ok(())));
        let bank = Principal::Bank(BankId::new(1).expect("a position"));
        assert!(admits(&bank, 9).is_err() && admits(&bank, 10).is_ok());
        assert_eq!(admits(&Principal::Operator, 0), Ok(()));
    }

    #[test]
    fn the_owner_stands_before_the_first_dot() {
        let owner = |tx: &str| owner_of(&TxId::new(tx).expect("an id")).map(str::to_owned);
        assert_eq!(owner("ana.t1").as_deref(), Some("ana"));
        assert_eq!(owner("ana.b.c").as_deref(), Some("ana"));
        assert_eq!(owner(".t").as_deref(), Some(""));
        assert_eq!(owner("t1"), None);
    }

    #[test]
    fn a_link_passes_on_no_name_that_another_bank_made() {
        let bank = BankId::new(2).expect("a position");
        for (owner, may) in
            [("ana", true), ("ana-2", true), ("bank-2", true), ("ana-1", false), ("", false)]
        {
            assert_eq!(may_pass_on(bank, owner), may, "{owner}");
        }
        assert!(!may_pass_on(bank, "Ana"), "no legal name");
    }
}
