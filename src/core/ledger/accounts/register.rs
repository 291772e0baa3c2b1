//! Registering clients and opening accounts: the checks, in their order.

use super::*;

impl Accounts {
    pub(in crate::ledger) fn check_client(
        &self,
        client: &NewClient,
    ) -> Result<RegistrationState, Fault> {
        match self.client(&client.cpf) {
            Some(known) if known == client => Ok(RegistrationState::Same),
            Some(_) => {
                let detail = Detail::OtherClient { cpf: client.cpf.clone() };
                Err(Fault::of(Reason::AlreadyExists, &detail))
            }
            None => check_capacity(self.clients.len(), |most| Detail::ClientsFull { most }),
        }
    }

    pub(in crate::ledger) fn check_account(
        &self,
        account: &NewAccount,
    ) -> Result<RegistrationState, Fault> {
        let NewAccount { number, holders, deposit } = account;
        if let Some(slot) = self.find(number) {
            let known = self.accounts.at(slot.index());
            // The order of the two holders makes no difference.
            let same = known.deposit == *deposit
                && holders.len() == self.holders(slot).iter().count()
                && self.holders(slot).iter().all(|holder| holders.contains(holder));
            return if same {
                Ok(RegistrationState::Same)
            } else {
                Err(Fault::of(
                    Reason::AlreadyExists,
                    &Detail::OtherAccount { number: number.clone() },
                ))
            };
        }
        if holders.is_empty() || holders.len() > HOLDERS_MAX || holders[1..].contains(&holders[0]) {
            return Err(Fault::of(
                Reason::Malformed,
                &Detail::BadHolders { number: number.clone() },
            ));
        }
        if *deposit < Money::ZERO {
            return Err(Fault::of(
                Reason::Malformed,
                &Detail::BadDeposit { deposit: deposit.wide() },
            ));
        }
        for cpf in holders {
            let Some(held) = self.by_cpf.get(cpf).map(|client| self.held.at(*client as usize))
            else {
                return Err(Fault::of(
                    Reason::UnknownClient,
                    &Detail::NoClient { cpf: cpf.clone() },
                ));
            };
            if let (1, Some(slot)) = (holders.len(), held.individual) {
                let detail =
                    Detail::OneIndividual { cpf: cpf.clone(), number: self.number(slot).clone() };
                return Err(Fault::of(Reason::Refused, &detail));
            }
        }
        check_capacity(self.accounts.len(), |most| Detail::AccountsFull { most })
    }

    pub(in crate::ledger) fn add_client(&mut self, client: &NewClient, time: Time) {
        let known = self.check_client(client);
        assert_eq!(known, Ok(RegistrationState::New), "client {} is to be added", client.cpf);
        self.by_cpf.insert(client.cpf.clone(), index_of_next(self.clients.len()));
        self.clients.push(ClientEntry { data: client.clone(), added: time });
        self.held.push(HeldAccounts::default());
    }

    pub(in crate::ledger) fn open(&mut self, account: &NewAccount, time: Time) -> AccountSlot {
        let NewAccount { number, holders, deposit } = account;
        let known = self.check_account(account);
        assert_eq!(known, Ok(RegistrationState::New), "account {number} is to be opened");
        let holders = match holders.as_slice() {
            [one] => HolderSlots::One(self.by_cpf[one]),
            [one, other] => HolderSlots::Joint(self.by_cpf[one], self.by_cpf[other]),
            [] | [_, _, ..] => {
                panic!("account {number} is to be opened for {} holders", holders.len())
            }
        };
        let slot = AccountSlot(index_of_next(self.accounts.len()));
        let figures =
            AccountFigures { balance: *deposit, held: Money::ZERO, incoming: Money::ZERO };
        let (number, deposit) = (number.clone(), *deposit);
        self.accounts.push(AccountEntry { opened: time, holders, number, deposit });
        self.figures.push(figures);
        let number = &account.number;
        self.by_number.insert(number.clone(), slot);
        if let Some(number) = short(number) {
            self.by_short_number.insert(number, slot);
        }
        for client in holders.iter() {
            let accounts = &self.accounts;
            let held = self.held.at_mut(client as usize);
            held.all.insert(slot, |held| accounts.at(held.index()).number < *number);
        }
        if let HolderSlots::One(client) = holders {
            self.held.at_mut(client as usize).individual = Some(slot);
        }
        slot
    }
}
