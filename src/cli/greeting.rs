//! Whom this client talks to: what it says first on each connection, what banks answer, and what
//! that means for a command that speaks of all banks. A bank at another position executes nothing
//! of what was sent with it.

use super::failure::Failure;
use consorcio_core::ids::BankId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the bank at the other end answers to HELLO.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Welcome {
    /// Its position.
    pub bank: BankId,
    /// How many places its list has.
    pub places: usize,
    /// The public id of its key; empty where it has none.
    #[serde(default)]
    pub key: String,
}

/// What each bank said of itself, the last time it was connected to.
#[derive(Debug, Default)]
pub struct Met(Mutex<BTreeMap<BankId, Welcome>>);

impl Met {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<BankId, Welcome>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a bank said.
    pub fn add(&self, welcome: Welcome) {
        self.lock().insert(welcome.bank, welcome);
    }

    /// A bank knows more places than the `places` of this client's list.
    pub fn short_list(&self, places: usize) -> Option<String> {
        let met = self.lock();
        let longest =
            met.values().filter(|welcome| welcome.places > places).max_by_key(|it| it.places)?;
        let (bank, known) = (longest.bank, longest.places);
        Some(format!(
            "--consortium names {places} of the consortium's places, and bank {bank} knows {known}: name all of them, in \
             the banks' order"
        ))
    }

    /// Two of the banks have different keys.
    pub fn two_keys(&self) -> Option<String> {
        let met = self.lock();
        let mut keyed = met.values().filter(|welcome| !welcome.key.is_empty());
        let first = keyed.next()?;
        let other = keyed.find(|welcome| welcome.key != first.key)?;
        let (bank, key, another, other_key) = (first.bank, &first.key, other.bank, &other.key);
        Some(format!(
            "bank {bank} has the key {key} and bank {another} has {other_key}: they are not one consortium; give both \
             the same key file"
        ))
    }

    /// May a command speak of all banks?
    ///
    /// # Errors
    /// `Usage`, when the list is not all of them, or not one consortium.
    pub fn all_are_named(&self, places: usize) -> Result<(), Failure> {
        match self.short_list(places).or_else(|| self.two_keys()) {
            None => Ok(()),
            Some(why) => Err(Failure::Usage(why)),
        }
    }
}
