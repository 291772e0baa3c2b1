//! Registering clients and opening accounts: the checks, in their order.

use super::*;

impl Accounts {
    pub(in crate::ledger) fn check_client(
        &self,
        client: &NewClient,
    ) -> Result<RegistrationState, Fault> {
        match self.client(&client.cpf) {
            Some(known) if known.is(client) => Ok(RegistrationState::Same),
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
            let Some(client) = self.find_client(cpf) else {
                return Err(Fault::of(
                    Reason::UnknownClient,
                    &Detail::NoClient { cpf: cpf.clone() },
                ));
            };
            if holders.len() == 1
                && let Some(slot) = self.held.at(client as usize).individual(&self.accounts)
            {
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
        let slot = index_of_next(self.clients.len());
        self.client_table.insert(client.cpf.as_str(), slot);
        let clients = &self.clients;
        let cpf_of = |client: u32| &clients.at(client as usize).cpf;
        self.client_order.insert(&client.cpf, slot, cpf_of);
        self.clients.push(ClientRow::new(client.clone(), time, &mut self.kinds));
        self.held.push(HeldAccounts::default());
    }

    pub(in crate::ledger) fn open(&mut self, account: &NewAccount, time: Time) -> AccountSlot {
        let NewAccount { number, holders, deposit } = account;
        let known = self.check_account(account);
        assert_eq!(known, Ok(RegistrationState::New), "account {number} is to be opened");
        let client = |cpf: &TaxId| self.find_client(cpf).expect("it was just found");
        let holders = match holders.as_slice() {
            [one] => HolderSlots::One(client(one)),
            [one, other] => HolderSlots::Joint(client(one), client(other)),
            [] | [_, _, ..] => {
                panic!("account {number} is to be opened for {} holders", holders.len())
            }
        };
        let slot = AccountSlot(index_of_next(self.accounts.len()));
        self.account_table.insert(number.as_str(), slot.0);
        let accounts = &self.accounts;
        let number_of = |slot: u32| &accounts.at(slot as usize).number;
        self.account_order.insert(number, slot.0, number_of);
        self.accounts.push(AccountEntry::new(number.clone(), time, *deposit, holders));
        self.figures.push(AccountFigures {
            balance: *deposit,
            held: Money::ZERO,
            incoming: Money::ZERO,
        });
        for client in holders.iter() {
            self.held.at_mut(client as usize).add(slot, &self.accounts);
        }
        slot
    }
}
