//! Reads of one bank. They return the answers of the protocol, from `consorcio_core::wire`.

use crate::client::Client;
use crate::error::ClientError;
use crate::reading::read;
use consorcio_core::ids::{AccountNumber, BadName, BankId, RegisterKey, Time, TxId};
use consorcio_core::wire::answer::{
    AccountAnswer, HistoryAnswer, InfoAnswer, PendingAnswer, RegisterAnswer,
};
use consorcio_core::wire::reading::Reading;
use consorcio_core::wire::request::{Read, Request};

/// A time that some bank's clock has reached, and that bank's statement of it, with which every
/// bank answers a cut at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BankClock {
    /// A commit time, in microseconds since 1970.
    pub time: Time,
    /// The statement; `None` from a bank of a version that makes none.
    pub reading: Option<Reading>,
}

impl BankClock {
    /// The clock of a bank, from its answer to INFO.
    pub fn of(info: &InfoAnswer<'_>) -> BankClock {
        BankClock { time: info.time, reading: info.reading }
    }
}

impl Client {
    /// The account, as its bank holds it now.
    ///
    /// # Errors
    /// As `ask`; `Refused` with `unknown-account` if there is none.
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

    /// The state of `bank` in figures.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn info(&self, bank: BankId) -> Result<InfoAnswer<'static>, ClientError> {
        self.view(bank, &Request::Read(Read::Info)).await
    }

    /// The last decided transactions of `bank`, newest first, at most `count`.
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

/// The request for the page of PENDING after a key.
///
/// # Errors
/// If the text is no key.
pub fn pending_request(after: Option<&str>) -> Result<Request, BadName> {
    Ok(Request::Read(Read::Pending { after: after.map(TxId::new).transpose()? }))
}
