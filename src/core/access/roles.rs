//! Roles: what a name may do, in the groups that people know. Roles add up.

use std::fmt;

/// A group of rights. Every name also has the rights of a name without any role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Holds accounts, and moves the money of those alone.
    Holder,
    /// A clerk: registers clients and accounts, and moves the money of all accounts.
    Teller,
    /// A program that sets registers.
    Writer,
    /// Reads everything and changes nothing.
    Auditor,
    /// Runs the bank, and may do everything.
    Operator,
}

impl Role {
    /// All roles, in the order of the table's columns.
    pub const ALL: [Role; 5] =
        [Role::Holder, Role::Teller, Role::Writer, Role::Auditor, Role::Operator];

    /// The word in `access.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Holder => "holder",
            Role::Teller => "teller",
            Role::Writer => "writer",
            Role::Auditor => "auditor",
            Role::Operator => "operator",
        }
    }

    /// The role that `word` names.
    pub fn parse(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }

    fn bit(self) -> u8 {
        match self {
            Role::Holder => 1,
            Role::Teller => 2,
            Role::Writer => 4,
            Role::Auditor => 8,
            Role::Operator => 16,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of roles, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// A name without a role.
    pub const NONE: Roles = Roles(0);

    /// This set and `role`.
    #[must_use]
    pub fn with(self, role: Role) -> Roles {
        Roles(self.0 | role.bit())
    }

    /// Whether `role` is in it.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Its roles, in the order of the table's columns.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Roles {
        roles.into_iter().fold(Roles::NONE, Roles::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_back_from_its_word() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!((Role::parse("Holder"), Role::parse("")), (None, None));
    }

    #[test]
    fn a_set_has_the_roles_that_it_was_made_of() {
        let both: Roles = [Role::Auditor, Role::Holder].into_iter().collect();
        assert_eq!(both.iter().collect::<Vec<_>>(), [Role::Holder, Role::Auditor]);
        assert_eq!(Roles::NONE.iter().count(), 0);
        assert_eq!(Role::ALL.into_iter().collect::<Roles>().iter().count(), Role::ALL.len());
    }
}
