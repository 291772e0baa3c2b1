//! Reads of the ledger: accounts, clients, sums, and cuts.

use super::*;

impl Ledger {
    /// An account with its current figures.
    pub fn account(&self, number: &AccountNumber) -> Option<AccountView<'_>> {
        self.book.accounts.find(number).map(|slot| self.book.accounts.view(slot))
    }

    /// The accounts after `after`, by number; with a `cpf`, only those of that holder.
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

    /// All accounts in the order of their opening; the position of an account never changes.
    pub fn accounts_by_creation(&self) -> impl Iterator<Item = AccountView<'_>> {
        self.book.accounts.slots().map(|slot| self.book.accounts.view(slot))
    }

    /// The client with this CPF or CNPJ.
    pub fn client(&self, cpf: &TaxId) -> Option<ClientView<'_>> {
        self.book.accounts.client(cpf)
    }

    /// When an account was opened.
    pub fn account_opened(&self, number: &AccountNumber) -> Option<Time> {
        self.book.accounts.find(number).map(|slot| self.book.accounts.opened(slot))
    }

    /// The clients after `after`, by cpf.
    pub(crate) fn clients_after<'a>(
        &'a self,
        after: Option<&TaxId>,
    ) -> impl Iterator<Item = ClientView<'a>> + use<'a> {
        self.book.accounts.clients_after(after)
    }

    /// All clients in the order of their registration; the position of a client never changes.
    #[cfg(test)]
    pub(crate) fn clients_by_creation(&self) -> impl Iterator<Item = ClientView<'_>> {
        self.book.accounts.clients()
    }

    /// The sums over all clients and accounts.
    pub fn totals(&self) -> Totals {
        let Book { accounts, registers: _, sums } = &self.book;
        sums.totals(accounts.count_clients(), accounts.slots().len())
    }

    /// Checks the whole ledger.
    ///
    /// # Panics
    /// If something is broken, naming it.
    pub fn check_invariants(&self) {
        let (balance, held, incoming) = self.book.accounts.audit();
        self.book.sums.assert_are(balance, held, incoming);
        self.book.sums.assert_sound();
        self.past.audit();
    }

    /// The totals with exactly the commits up to `time`.
    ///
    /// # Errors
    /// If the history does not reach back to `time`.
    pub fn cut(&self, time: Time) -> Result<CutTotals, Expired> {
        self.past.reaches(time)?;
        Ok(self.book.sums.cut(&self.past.flows_after(time)))
    }

    /// The first `most` accounts after `after`, by number, each with its balance at `time`; without
    /// a balance if it was opened later. Runs over these accounts, and over all changes later than
    /// `time`.
    ///
    /// # Panics
    /// If `cut(time)` is an error.
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

    /// The first `most` registers after `after`, by key, each with its value at `time`; without a
    /// value if it was first set later. Runs over these registers, and over all changes later than
    /// `time`.
    ///
    /// # Panics
    /// If `cut(time)` is an error.
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

    /// Drops the history at or before `up_to`, and more, oldest first, while it takes over
    /// `bytes_max`. Older cuts are `Expired` from now on. Over `CUT_BYTES_MAX` that happens
    /// automatically.
    pub(crate) fn trim_cuts(&mut self, up_to: Time, bytes_max: usize) {
        self.past.trim(up_to, bytes_max);
    }

    /// The oldest time for which a cut is possible.
    pub(crate) fn cut_horizon(&self) -> Time {
        self.past.horizon()
    }

    /// The memory of the history that cuts need, in bytes.
    pub fn cut_bytes(&self) -> usize {
        self.past.bytes()
    }
}
