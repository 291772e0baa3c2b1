//! The answers of banks to HELLO, and what they reveal about the client's list.

use crate::error::ClientError;
use consorcio_core::ids::BankId;
use consorcio_core::wire::answer::HelloAnswer;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The latest answer of each bank to HELLO.
#[derive(Debug, Default)]
pub(crate) struct HelloAnswers(Mutex<BTreeMap<BankId, HelloAnswer<'static>>>);

impl HelloAnswers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<BankId, HelloAnswer<'static>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the answer of a bank.
    pub(crate) fn add(&self, answer: HelloAnswer<'static>) {
        self.lock().insert(answer.bank, answer);
    }

    /// The error if a bank's list has more positions than the `listed` ones of this client's list.
    pub(crate) fn short_list(&self, listed: usize) -> Option<ClientError> {
        let hello_answers = self.lock();
        let longer = hello_answers.values().filter(|answer| answer.places > listed);
        let longest = longer.max_by_key(|answer| answer.places)?;
        Some(ClientError::ShortList { bank: longest.bank, listed, known: longest.places })
    }

    /// The error if two banks have different keys.
    pub(crate) fn two_keys(&self) -> Option<ClientError> {
        let hello_answers = self.lock();
        let mut keyed = hello_answers.values().filter(|answer| !answer.key.is_empty());
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

    fn hello_answers(of: &[(usize, usize, &'static str)]) -> HelloAnswers {
        let hello_answers = HelloAnswers::default();
        for (bank, places, key) in of {
            let bank = BankId::new(*bank).unwrap();
            hello_answers.add(HelloAnswer {
                bank,
                places: *places,
                version: 1,
                key: (*key).into(),
            });
        }
        hello_answers
    }

    #[test]
    fn the_longest_list_and_the_first_other_key_are_named() {
        let one = hello_answers(&[(0, 3, "a"), (1, 5, ""), (2, 4, "a")]);
        assert!(matches!(
            one.short_list(3),
            Some(ClientError::ShortList { listed: 3, known: 5, .. })
        ));
        assert_eq!((one.short_list(5), one.two_keys()), (None, None));
        let two = hello_answers(&[(0, 3, "a"), (2, 3, "b")]);
        let other = BankId::new(2).unwrap();
        assert!(
            matches!(two.two_keys(), Some(ClientError::TwoKeys { other: o, .. }) if o == other)
        );
    }
}
