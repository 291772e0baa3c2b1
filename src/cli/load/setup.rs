//! Opens the clients and accounts of a run, before it begins.

use super::super::Context;
use super::super::failure::Failure;
use consorcio_client::{Client, ClientError, done};
use consorcio_core::ids::BankId;
use consorcio_core::limits::{LOAD_SETUP_TOGETHER, LOAD_SILENCE_MS_MAX};
use consorcio_core::wire::request::Request;
use std::time::Duration;

/// A bank that is silent for this long is given up.
pub(crate) const SILENCE: Duration = Duration::from_millis(LOAD_SILENCE_MS_MAX);

/// Opens `accounts` accounts at each bank, each with its client, by the requests of `requests`.
/// Existing ones stay as they are.
///
/// # Errors
/// If a bank can't be reached or refuses.
pub(crate) async fn open_accounts(
    context: &Context,
    banks: &[BankId],
    accounts: u32,
    requests: impl Fn(u32) -> [Request; 2],
) -> Result<(), Failure> {
    for bank in banks {
        let opened = open_at(&context.client, *bank, accounts, &requests).await;
        opened.map_err(|error| context.failure(error))?;
    }
    Ok(())
}

async fn open_at(
    client: &Client,
    bank: BankId,
    accounts: u32,
    requests: impl Fn(u32) -> [Request; 2],
) -> Result<(), ClientError> {
    let mut connection = client.connection(bank).await?;
    let mut first = 0;
    while first < accounts {
        let last = accounts.min(first + LOAD_SETUP_TOGETHER);
        let lines: Vec<Request> = (first..last).flat_map(&requests).collect();
        for reply in connection.ask_all(&lines, SILENCE).await? {
            done(bank, reply)?;
        }
        first = last;
    }
    Ok(())
}
