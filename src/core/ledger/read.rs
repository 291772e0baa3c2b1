//! What a ledger holds: accounts, clients, sums, and cuts of the past.

use super::*;

impl Ledger {
    /// An account as it stands.
    pub fn account(&self, number: &AccountNumber) -> Option<AccountView<'_>> {
        self.book.accounts.find(number).map(|slot| self.book.accounts.view(slot))
    }

    /// Accounts by number, those after `after`; with a `cpf` only that holder's.
    pub(crate) fn accounts_after<'a>(
        &'a self,
        cpf: Option<&TaxId>,
        after: Option<&AccountNumber>,
    ) -> impl Iterator<Item = AccountView<'a>> + use<'a> {
        let all = cpf.is_none().then(|| self.book.accounts.slots_after(after));
        let theirs = cpf.map(|cpf| self.book.accounts.slots_of_after(cpf, after));
        let slots = all.into_iter().flatten().chain(theirs.into_iter().flatten());
        slots.map(|slot| self.book.accounts.view(slot))
    }

    /// Accounts in the order of their opening; an account's place in it never changes.
    pub fn accounts_by_creation(&self) -> impl Iterator<Item = AccountView<'_>> {
        self.book.accounts.slots().map(|slot| self.book.accounts.view(slot))
    }

    /// The client with this CPF or CNPJ.
    pub fn client(&self, cpf: &TaxId) -> Option<&NewClient> {
        self.book.accounts.client(cpf)
    }

    /// When a client was registered.
    pub fn client_added(&self, cpf: &TaxId) -> Option<Time> {
        self.book.accounts.client_added(cpf)
    }

    /// When an account was opened.
    pub fn account_opened(&self, number: &AccountNumber) -> Option<Time> {
        self.book.accounts.find(number).map(|slot| self.book.accounts.opened(slot))
    }

    /// Clients by cpf, those after `after`.
    pub(crate) fn clients_after<'a>(
        &'a self,
        after: Option<&TaxId>,
    ) -> impl Iterator<Item = &'a NewClient> + use<'a> {
        self.book.accounts.clients_after(after)
    }

    /// Clients in the order of their registration; a client's place in it never changes.
    #[cfg(test)]
    pub(crate) fn clients_by_creation(&self) -> impl Iterator<Item = &NewClient> {
        self.book.accounts.clients()
    }

    /// Sums over all that this bank holds.
    pub fn totals(&self) -> Totals {
        let Book { accounts, registers: _, sums } = &self.book;
        sums.totals(accounts.clients().len(), accounts.slots().len())
    }

    /// Goes through everything.
    ///
    /// # Panics
    /// Naming what is broken.
    pub fn check_invariants(&self) {
        let (balance, held, incoming) = self.book.accounts.audit();
        self.book.sums.assert_are(balance, held, incoming);
        self.book.sums.assert_sound();
        self.past.audit();
    }

    /// The totals with exactly the commits up to `time`.
    ///
    /// # Errors
    /// When what is needed for it is no longer kept.
    pub fn cut(&self, time: Time) -> Result<CutTotals, Expired> {
        self.past.reaches(time)?;
        Ok(self.book.sums.cut(&self.past.flows_after(time)))
    }

    /// Accounts by number, the first `most` of those after `after`, each with its balance at
    /// `time`; without one where it was opened later. Goes through these accounts, and through all
    /// that moved later than `time`.
    ///
    /// # Panics
    /// When `cut(time)` is an error.
    pub(crate) fn cut_accounts_after(
        &self,
        time: Time,
        after: Option<&AccountNumber>,
        most: usize,
    ) -> Vec<(&AccountNumber, Option<Money>)> {
        self.assert_reaches(time);
        let accounts = &self.book.accounts;
        let slots: Vec<AccountSlot> = accounts.slots_after(after).take(most).collect();
        let since = self.past.balances_since(time, &slots);
        slots.iter().zip(since).map(|(slot, since)| accounts.at(*slot, time, since)).collect()
    }

    /// Registers by key, the first `most` of those after `after`, each with its value at `time`;
    /// without one where it was set later for the first time. Goes through these registers, and
    /// through all that changed later than `time`.
    ///
    /// # Panics
    /// When `cut(time)` is an error.
    pub(crate) fn cut_registers_after(
        &self,
        time: Time,
        after: Option<&RegisterKey>,
        most: usize,
    ) -> Vec<(&RegisterKey, Option<&RegisterValue>)> {
        self.assert_reaches(time);
        let now: Vec<_> = self.book.registers.values_after(after).take(most).collect();
        let (Some((first, _)), Some((last, _))) = (now.first(), now.last()) else {
            return Vec::new();
        };
        let then = self.past.registers_then(time, first..=last);
        let value = |(key, now)| (key, then.get(key).copied().unwrap_or(Some(now)));
        now.iter().copied().map(value).collect()
    }

    /// Drops the past at or before `up_to`, and more, oldest first, while it takes over
    /// `bytes_max`. Cuts older than what was dropped are `Expired` from now on. Over
    /// `CUT_BYTES_MAX` that happens by itself.
    pub(crate) fn trim_cuts(&mut self, up_to: Time, bytes_max: usize) {
        self.past.trim(up_to, bytes_max);
    }

    /// The oldest time that a cut can be made for.
    pub(crate) fn cut_horizon(&self) -> Time {
        self.past.horizon()
    }

    /// Memory of the past that cuts need, in bytes.
    pub fn cut_bytes(&self) -> usize {
        self.past.bytes()
    }
}
