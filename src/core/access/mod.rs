//! Who is at the other end of a connection, and what they may do: names, the principals that have
//! them, what they were granted, and the table of rights.
//!
//! Nothing here reads a certificate or a file; the transport finds out who it is.

mod grants;
mod may;
mod name;
mod roles;
mod table;

pub use grants::{Access, Denied, Grant, owner_of};
pub use may::{Permission, Way, may, may_ask, no_right, not_allowed};
pub use name::{BadPrincipalName, Name};
pub use roles::{Role, Roles};
pub use table::{Privilege, Scope};

use crate::ids::BankId;
use std::fmt;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Any program of this machine, in open mode: it has no name, and may do everything.
    Operator,
    /// A person or program, in closed mode.
    Named(Name),
    /// Another bank of the consortium, in closed mode.
    Bank(BankId),
}

impl Principal {
    /// Its name; `None` in open mode.
    pub fn name(&self) -> Option<Name> {
        match self {
            Principal::Operator => None,
            Principal::Named(name) => Some(name.clone()),
            Principal::Bank(bank) => Some(Name::of_bank(*bank)),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::Operator => f.write_str("the operator"),
            Principal::Named(name) => name.fmt(f),
            Principal::Bank(bank) => Name::of_bank(*bank).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_a_name_in_closed_mode_only() {
        let bank = BankId::new(2).expect("a position");
        let name = Name::new("titular1").expect("a name");
        assert_eq!(Principal::Operator.name(), None);
        assert_eq!(Principal::Named(name.clone()).name(), Some(name));
        assert_eq!(Principal::Bank(bank).to_string(), "bank-2");
        assert_eq!(Principal::Bank(bank).name(), Some(Name::of_bank(bank)));
    }
}
