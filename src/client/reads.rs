//! Reads of one bank. What comes back are the answers of the protocol, `consorcio_core::wire`'s.

use crate::client::Client;
use crate::error::ClientError;
use crate::reading::read;
use consorcio_core::ids::{AccountNumber, BadName, BankId, RegisterKey, Time, TxId};
use consorcio_core::wire::answer::{
    AccountAnswer, HistoryAnswer, InfoAnswer, PendingAnswer, RegisterAnswer,
};
use consorcio_core::wire::reading::Reading;
use consorcio_core::wire::request::{Read, Request};

/// A time that some bank's clock has reached, and that bank's statement of it: every bank gives a
/// cut as of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// A commit time, in microseconds since 1970.
    pub time: Time,
    /// The statement; none where that bank is of a version that makes none.
    pub reading: Option<Reading>,
}

impl Reached {
    /// What the clock of a bank has reached that answered INFO so.
    pub fn of(info: &InfoAnswer<'_>) -> Reached {
        Reached { time: info.time, reading: info.reading }
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
    ) -> Result<AccountAnswer<'static>, ClientError> {
        self.view(bank, &Request::Read(Read::Balance(number.clone()))).await
    }

    /// The register, as `bank` holds it now.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn value(&self, bank: BankId, key: &RegisterKey) -> Result<String, ClientError> {
        let register: RegisterAnswer<'static> =
            self.view(bank, &Request::Read(Read::Value(key.clone()))).await?;
        Ok(register.value.into_owned())
    }

    /// What `bank` says of itself.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn info(&self, bank: BankId) -> Result<InfoAnswer<'static>, ClientError> {
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
    ) -> Result<Vec<HistoryAnswer<'static>>, ClientError> {
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
    pub async fn pending(&self, bank: BankId) -> Result<Vec<PendingAnswer<'static>>, ClientError> {
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
