//! Answers of banks as values. Money is in centavos, times are microseconds since 1970; a field
//! that a bank of an older version does not send is empty, and what is not known here is ignored.

use crate::client::{BankAnswer, Client};
use crate::error::ClientError;
use crate::reading::read;
use consorcio_core::ids::{AccountNumber, BadName, BankId, RegisterKey, Time, TxId};
use consorcio_core::wire::reading::Reading;
use consorcio_core::wire::request::{Read, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// An account, by BALANCE and ACCOUNTS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AccountView {
    /// Its number.
    pub number: String,
    /// The documents of its holders.
    pub holders: Vec<String>,
    /// Its balance in centavos.
    pub balance: i64,
    /// What undecided debits hold of it, in centavos.
    pub held: i64,
    /// Its balance without that, in centavos.
    pub available: i64,
    /// What undecided credits would add, in centavos.
    pub incoming: i64,
}

/// A client, by CLIENTS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClientView {
    /// Its document.
    pub cpf: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
}

/// A register, by VALUE.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ValueView {
    /// Its value.
    pub value: String,
}

/// INFO.
#[derive(Debug, Clone, Deserialize)]
pub struct InfoView {
    /// The bank's version.
    pub version: String,
    /// The machine's clock.
    pub wall: Option<Time>,
    /// The bank's clock: no later commit has an earlier time.
    pub time: Time,
    /// The bank's statement of it.
    pub reading: Option<String>,
    /// How many clients it has.
    pub clients: u64,
    /// How many accounts it has.
    pub accounts: u64,
    /// All its balances, in centavos.
    pub balance_total: i128,
    /// All that is held, in centavos.
    pub held_total: i128,
    /// Transactions that it voted OK on and knows no outcome of.
    pub undecided: u64,
    /// Transactions that it committed since its journal began.
    pub committed: u64,
    /// Transactions that it aborted since its journal began.
    pub aborted: u64,
}

/// An undecided transaction, by PENDING.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PendingView {
    /// Its id.
    pub tx: String,
    /// When this bank voted OK.
    pub since: Time,
    /// The positions of the banks that it waits for.
    pub waiting_for: Vec<u8>,
    /// What the transaction does.
    pub ops: Option<Vec<OpView>>,
    /// Does an outside coordinator decide it?
    #[serde(default)]
    pub outside: bool,
}

/// A transaction that has ended, by HISTORY.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HistoryView {
    /// Its id.
    pub tx: String,
    /// `COMMITTED` or `ABORTED`.
    pub outcome: String,
    /// When: its commit time, or that of the refusal.
    pub time: Time,
    /// Why it is aborted.
    pub reason: Option<String>,
    /// What the transaction does; nothing where the bank refused before it knew.
    pub ops: Option<Vec<OpView>>,
}

/// An operation; what it has not is empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OpView {
    /// The position of its bank.
    pub bank: u8,
    /// Its verb: `debit`, `credit`, `deposit`, `withdraw` or `set`.
    pub op: String,
    /// The account.
    #[serde(default)]
    pub account: String,
    /// The holder that was named.
    #[serde(default)]
    pub cpf: String,
    /// The amount in centavos.
    #[serde(default)]
    pub amount: i64,
    /// The register.
    #[serde(default)]
    pub key: String,
    /// Its new value.
    #[serde(default)]
    pub value: String,
}

/// A time that some bank's clock has reached, and that bank's statement of it: every bank gives a
/// cut as of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The time.
    pub time: Time,
    /// The statement; none where that bank is of a version that makes none.
    pub reading: Option<Reading>,
}

impl InfoView {
    /// What the bank's clock has reached.
    pub fn reached(&self) -> Reached {
        let reading = self.reading.as_deref().and_then(Reading::parse);
        Reached { time: self.time, reading }
    }
}

impl Client {
    /// The account, as its bank holds it now.
    ///
    /// # Errors
    /// As `ask`; `Refused` with `unknown-account` where there is none.
    pub async fn balance(
        &self,
        bank: BankId,
        number: &AccountNumber,
    ) -> Result<AccountView, ClientError> {
        self.view(bank, &Request::Read(Read::Balance(number.clone()))).await
    }

    /// The register, as `bank` holds it now.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn value(&self, bank: BankId, key: &RegisterKey) -> Result<String, ClientError> {
        let view: ValueView = self.view(bank, &Request::Read(Read::Value(key.clone()))).await?;
        Ok(view.value)
    }

    /// What `bank` says of itself.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn info(&self, bank: BankId) -> Result<InfoView, ClientError> {
        self.view(bank, &Request::Read(Read::Info)).await
    }

    /// The last transactions of `bank` that have ended, the newest first, `count` at most.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn history(
        &self,
        bank: BankId,
        count: usize,
    ) -> Result<Vec<HistoryView>, ClientError> {
        let request = |after: Option<&str>| {
            let after = after.map(TxId::new).transpose()?;
            Ok(Request::Read(Read::History { count: Some(count), after }))
        };
        let mut items = self.ask_list(bank, request).await?;
        items.truncate(count);
        items.iter().map(|item| read(bank, item.get())).collect()
    }

    /// The transactions that `bank` holds undecided.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn pending(&self, bank: BankId) -> Result<Vec<PendingView>, ClientError> {
        let items = self.ask_list(bank, pending_request).await?;
        items.iter().map(|item| read(bank, item.get())).collect()
    }
}

/// The request for what follows after a key of PENDING.
///
/// # Errors
/// For what is no key.
pub fn pending_request(after: Option<&str>) -> Result<Request, BadName> {
    Ok(Request::Read(Read::Pending { after: after.map(TxId::new).transpose()? }))
}

/// The items of those lists that were answered, each with its bank; what can't be read is left out.
pub fn views<T: DeserializeOwned>(
    answers: &[BankAnswer<Vec<Box<RawValue>>>],
) -> impl Iterator<Item = (BankId, T)> {
    answers.iter().flat_map(|answer| {
        let items = answer.said.iter().flatten();
        items.filter_map(|item| Some((answer.bank, read(answer.bank, item.get()).ok()?)))
    })
}
