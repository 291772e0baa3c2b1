//! Money: whole centavos in an `i64`, always checked.
//!
//! No float ever holds money. Sums over many accounts are `i128`.

use serde::{Deserialize, Serialize};

/// An amount in whole centavos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Money(pub i64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// The sum, unless it does not fit.
    pub fn checked_add(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).map(Money)
    }

    /// The difference, unless it does not fit.
    pub fn checked_sub(self, other: Money) -> Option<Money> {
        self.0.checked_sub(other.0).map(Money)
    }

    /// The amount for sums over many accounts.
    pub fn wide(self) -> i128 {
        i128::from(self.0)
    }
}
