//! The names that the shell completes: banks, accounts and transactions, as the banks last reported
//! them.

use crate::Context;
use consorcio_client::{Client, ClientError, pending_request};
use consorcio_core::ids::{AccountNumber, BadName, BankId};
use consorcio_core::limits::{SHELL_ACCOUNTS_KNOWN_MAX, SHELL_TRANSACTIONS_KNOWN_MAX};
use consorcio_core::wire::answer::{AccountAnswer, AnswerPage, HistoryAnswer, PendingAnswer};
use consorcio_core::wire::request::{Read, Request};
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};

/// Names in the order in which they are offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KnownNames {
    /// Positions in the list.
    pub banks: Vec<String>,
    /// Accounts of all banks that answered, as `BANK/NUMBER`.
    pub accounts: Vec<String>,
    /// Ids of transactions: the undecided ones, then the newest.
    pub transactions: Vec<String>,
}

/// The names, shared by the thread that completes and the task that asks banks.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedNames(Arc<Mutex<KnownNames>>);

impl SharedNames {
    /// The banks of the list; accounts and transactions are not known yet.
    pub(super) fn of(context: &Context) -> SharedNames {
        let banks = context.client.banks().iter().map(BankId::to_string).collect();
        SharedNames(Arc::new(Mutex::new(KnownNames { banks, ..KnownNames::default() })))
    }

    /// The names as they are now.
    pub(super) fn get(&self) -> KnownNames {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks all banks. Names of a bank that does not answer stay away until it does.
    pub(super) async fn refresh(&self, client: &Client) {
        let banks = client.banks();
        let answers = client.ask_each(&banks, async |bank| of_bank(client, bank).await).await;
        let mut known = KnownNames::default();
        let mut newest = Vec::new();
        for answer in answers {
            known.banks.push(answer.bank.to_string());
            let Ok(names) = answer.result else { continue };
            known.accounts.extend(names.accounts);
            known.transactions.extend(names.undecided);
            newest.extend(names.decided);
        }
        newest.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        known.transactions.extend(newest.into_iter().map(|(_, tx)| tx));
        let mut seen = std::collections::HashSet::new();
        known.transactions.retain(|tx| seen.insert(tx.clone()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

/// The names of one bank.
struct BankNames {
    accounts: Vec<String>,
    undecided: Vec<String>,
    decided: Vec<(consorcio_core::ids::Time, String)>,
}

async fn of_bank(client: &Client, bank: BankId) -> Result<BankNames, ClientError> {
    let accounts: Vec<AccountAnswer<'static>> = first(
        client,
        bank,
        |after| {
            let after = after.map(AccountNumber::new).transpose()?;
            Ok(Request::Read(Read::Accounts { cpf: None, after }))
        },
        SHELL_ACCOUNTS_KNOWN_MAX,
    )
    .await?;
    let undecided: Vec<PendingAnswer<'static>> =
        first(client, bank, pending_request, SHELL_TRANSACTIONS_KNOWN_MAX).await?;
    let decided: Vec<HistoryAnswer<'static>> =
        client.history(bank, SHELL_TRANSACTIONS_KNOWN_MAX).await?;
    Ok(BankNames {
        accounts: accounts.iter().map(|account| format!("{bank}/{}", account.number)).collect(),
        undecided: undecided.iter().map(|pending| pending.tx.to_string()).collect(),
        decided: decided.iter().map(|ended| (ended.time, ended.tx.to_string())).collect(),
    })
}

/// The first items of a list of one bank, at most `most` of them.
async fn first<T: DeserializeOwned>(
    client: &Client,
    bank: BankId,
    request: impl Fn(Option<&str>) -> Result<Request, BadName>,
    most: usize,
) -> Result<Vec<T>, ClientError> {
    let mut items = Vec::new();
    let mut next: Option<String> = None;
    while items.len() < most {
        let Ok(asked) = request(next.as_deref()) else { break };
        let Ok(page) = AnswerPage::parse(&client.ask(bank, &asked).await?) else { break };
        items.extend(page.items);
        // A bank that repeats the same key must not make this loop endless.
        if page.next.is_none() || page.next == next {
            break;
        }
        next = page.next;
    }
    items.truncate(most);
    Ok(items)
}
