//! Registration of clients and accounts: one record each, idempotent by natural key.

use crate::access::Principal;
use crate::bank::decide::Deciding;
use crate::bank::fit::{unfit_account, unfit_client};
use crate::bank::io::{After, Caller};
use crate::bank::record::{Record, Registration};
use crate::ids::Time;
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

    pub(super) fn client(&mut self, caller: Caller, asker: &Principal, client: &NewClient) {
        match self.bank.ledger.check_client(client) {
            Ok(RegistrationState::New) if self.is_at_the_end_of_time() => {
                self.refused_at_the_end(caller)
            }
            Ok(RegistrationState::New) => {
                if let Some(unfit) = unfit_client(client) {
                    return self.unfit(caller, &unfit);
                }
                let time = self.tick_clock();
                let added = Registration::Client(client.clone());
                let seq = self.registered(asker, time, added);
                self.done(caller, &ClientAnswer::of(client), seq);
            }
            Ok(RegistrationState::Same) => {
                self.done(caller, &ClientAnswer::of(client), self.newest())
            }
            Err(fault) => self.refused(caller, fault),
        }
    }

    pub(super) fn account(&mut self, caller: Caller, asker: &Principal, account: &NewAccount) {
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
                let opened = Registration::Account(account.clone());
                let seq = self.registered(asker, time, opened);
                self.done(caller, &AccountView::opened(account).answer(), seq);
            }
            Ok(RegistrationState::Same) => match self.bank.ledger.account(&account.number) {
                Some(view) => self.done(caller, &view.answer(), self.newest()),
                None => unreachable!("an account that is the same exists"),
            },
            Err(fault) => self.refused(caller, fault),
        }
    }

    /// Records what was registered; in closed mode, with who did it. In open mode nobody has a
    /// name, and records are those of earlier versions.
    fn registered(&mut self, asker: &Principal, time: Time, what: Registration) -> After {
        self.record(match (asker.name(), what) {
            (Some(by), what) => Record::Registered { time, by, what },
            (None, Registration::Client(client)) => Record::ClientAdded { time, client },
            (None, Registration::Account(account)) => Record::AccountOpened { time, account },
        })
    }

    /// Rejects a new text that breaks the rules; nothing is recorded.
    pub(super) fn unfit(&mut self, caller: Caller, unfit: &Detail) {
        self.reply(caller, Reply::Err(Reason::Malformed, unfit.to_string()), After::Now);
    }
}
