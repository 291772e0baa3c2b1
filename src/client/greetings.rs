//! What banks say of themselves when they are connected to, and what that means for a client that
//! speaks of all banks.

use crate::error::ClientError;
use consorcio_core::ids::BankId;
use consorcio_core::wire::answer::HelloAnswer;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What each bank said of itself, the last time it was connected to.
#[derive(Debug, Default)]
pub(crate) struct Greetings(Mutex<BTreeMap<BankId, HelloAnswer<'static>>>);

impl Greetings {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<BankId, HelloAnswer<'static>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a bank said.
    pub(crate) fn add(&self, answer: HelloAnswer<'static>) {
        self.lock().insert(answer.bank, answer);
    }

    /// Does a bank know more places than the `listed` ones of this client's list?
    pub(crate) fn short_list(&self, listed: usize) -> Option<ClientError> {
        let greetings = self.lock();
        let longer = greetings.values().filter(|answer| answer.places > listed);
        let longest = longer.max_by_key(|answer| answer.places)?;
        Some(ClientError::ShortList { bank: longest.bank, listed, known: longest.places })
    }

    /// Do two of the banks have different keys?
    pub(crate) fn two_keys(&self) -> Option<ClientError> {
        let greetings = self.lock();
        let mut keyed = greetings.values().filter(|answer| !answer.key.is_empty());
        let first = keyed.next()?;
        let other = keyed.find(|answer| answer.key != first.key)?;
        Some(ClientError::TwoKeys {
            bank: first.bank,
            key: first.key.to_string(),
            other: other.bank,
            other_key: other.key.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greetings(of: &[(usize, usize, &'static str)]) -> Greetings {
        let greetings = Greetings::default();
        for (bank, places, key) in of {
            let bank = BankId::new(*bank).unwrap();
            greetings.add(HelloAnswer { bank, places: *places, version: 1, key: (*key).into() });
        }
        greetings
    }

    #[test]
    fn the_longest_list_and_the_first_other_key_are_named() {
        let one = greetings(&[(0, 3, "a"), (1, 5, ""), (2, 4, "a")]);
        assert!(matches!(
            one.short_list(3),
            Some(ClientError::ShortList { listed: 3, known: 5, .. })
        ));
        assert_eq!((one.short_list(5), one.two_keys()), (None, None));
        let two = greetings(&[(0, 3, "a"), (2, 3, "b")]);
        let other = BankId::new(2).unwrap();
        assert!(
            matches!(two.two_keys(), Some(ClientError::TwoKeys { other: o, .. }) if o == other)
        );
    }
}
