//! What the banks tell of themselves, asked all at once.

use crate::Context;
use crate::failure::Failure;
use consorcio_client::{Client, ClientError, read, sync_ms_of};
use consorcio_core::ids::{BankId, Time};
use consorcio_core::wire::answer::{AnswerPage, InfoAnswer, PendingAnswer};
use consorcio_core::wire::request::{Local, Read, Request};
use tokio::time::Instant;

/// All banks at one time.
pub(super) struct ConsortiumSample {
    pub at: Instant,
    pub banks: Vec<BankSample>,
}

/// What one bank answered, or why it did not.
pub(super) struct BankSample {
    pub bank: BankId,
    pub answer: Result<BankReport, Failure>,
}

pub(super) struct BankReport {
    pub info: InfoAnswer<'static>,
    /// The age of the sync under way, in milliseconds, if it is slow.
    pub sync_ms: Option<u64>,
    /// The oldest undecided transactions, as many as one page has.
    pub undecided: Vec<UndecidedReport>,
}

/// A transaction that a bank holds undecided.
pub(super) struct UndecidedReport {
    pub tx: String,
    pub since: Time,
    pub waits_for: Vec<BankId>,
}

impl ConsortiumSample {
    /// Asks all banks at once; one that is silent delays the sample by its time-out.
    pub(super) async fn take(context: &Context, client: &Client) -> ConsortiumSample {
        let banks = client.banks();
        let answers = client.ask_each(&banks, async |bank| report(client, bank).await).await;
        let banks = answers.into_iter().map(|answer| BankSample {
            bank: answer.bank,
            answer: answer.result.map_err(|error| context.failure(error)),
        });
        ConsortiumSample { at: Instant::now(), banks: banks.collect() }
    }
}

async fn report(client: &Client, bank: BankId) -> Result<BankReport, ClientError> {
    let mut connection = client.connection(bank).await?;
    // It needs no disk, so it comes first.
    let banks = connection.ask_done(&Request::Local(Local::Banks)).await?;
    let info = connection.ask_done(&Request::Read(Read::Info)).await?;
    let pending = connection.ask_done(&Request::Read(Read::Pending { after: None })).await?;
    let info = read(bank, &info)?;
    let page: Option<AnswerPage<PendingAnswer<'static>>> = AnswerPage::parse(&pending).ok();
    let undecided = page.into_iter().flat_map(|page| page.items).map(|pending| UndecidedReport {
        tx: pending.tx.to_string(),
        since: pending.since,
        waits_for: pending.waiting_for.to_vec(),
    });
    client.keep(connection);
    let (sync_ms, undecided) = (sync_ms_of(bank, &banks), undecided.collect());
    Ok(BankReport { info, sync_ms, undecided })
}
