//! Registration of clients and accounts: one record each, idempotent by natural key.

use crate::bank::decide::Deciding;
use crate::bank::fit::{unfit_account, unfit_client};
use crate::bank::io::{After, Caller};
use crate::bank::record::Record;
use crate::ledger::{AccountView, RegistrationState};
use crate::wire::answer::ClientAnswer;
use crate::wire::detail::Detail;
use crate::wire::reply::Reply;
use crate::wire::request::{NewAccount, NewClient};
use crate::wire::{Fault, Reason};

impl Deciding<'_> {
    fn refused_at_the_end(&mut self, caller: Caller) {
        self.refused(caller, Fault::of(Reason::Limit, &Detail::ClockAtEnd));
    }

    pub(super) fn client(&mut self, caller: Caller, client: &NewClient) {
        match self.bank.ledger.check_client(client) {
            Ok(RegistrationState::New) if self.is_at_the_end_of_time() => {
                self.refused_at_the_end(caller)
            }
            Ok(RegistrationState::New) => {
                if let Some(unfit) = unfit_client(client) {
                    return self.unfit(caller, &unfit);
                }
                let time = self.tick_clock();
                let seq = self.record(Record::ClientAdded { time, client: client.clone() });
                self.done(caller, &ClientAnswer::of(client), seq);
            }
            Ok(RegistrationState::Same) => {
                self.done(caller, &ClientAnswer::of(client), self.newest())
            }
            Err(fault) => self.refused(caller, fault),
        }
    }

    pub(super) fn account(&mut self, caller: Caller, account: &NewAccount) {
        if self.bank.ledger.account(&account.number).is_none()
            && let Some(unfit) = unfit_account(account)
        {
            return self.unfit(caller, &unfit);
        }
        match self.bank.ledger.check_account(account) {
            Ok(RegistrationState::New) if self.is_at_the_end_of_time() => {
                self.refused_at_the_end(caller)
            }
            Ok(RegistrationState::New) => {
                let time = self.tick_clock();
                let seq = self.record(Record::AccountOpened { time, account: account.clone() });
                self.done(caller, &AccountView::opened(account).answer(), seq);
            }
            Ok(RegistrationState::Same) => match self.bank.ledger.account(&account.number) {
                Some(view) => self.done(caller, &view.answer(), self.newest()),
                None => unreachable!("an account that is the same exists"),
            },
            Err(fault) => self.refused(caller, fault),
        }
    }

    /// Rejects a new text that breaks the rules; nothing is recorded.
    pub(super) fn unfit(&mut self, caller: Caller, unfit: &Detail) {
        self.reply(caller, Reply::Err(Reason::Malformed, unfit.to_string()), After::Now);
    }
}
