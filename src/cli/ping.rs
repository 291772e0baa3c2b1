//! `ping`: which banks answer, and how fast; for people, scripts and health checks.

use super::Context;
use super::links::Links;
use super::output::{CommandOutput, ErrorPart, Tone, micros, plain};
use super::requests::{self, AnswerOf};
use super::table::TableLayout;
use consorcio_client::{Client, ClientError};
use consorcio_core::ids::BankId;
use consorcio_core::limits::PING_RETRY_PAUSE_MS;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

const RETRY_PAUSE: Duration = Duration::from_millis(PING_RETRY_PAUSE_MS);

#[derive(Serialize)]
struct PingDocument<'a> {
    banks: Vec<PingBank<'a>>,
    online: usize,
    took_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

#[derive(Serialize)]
struct PingBank<'a> {
    bank: BankId,
    address: &'a str,
    online: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<u64>,
    /// Its links to the other banks, from BANKS.
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

/// `ping`: asks once, or repeatedly for at most `wait`.
pub(crate) async fn ping(
    context: &Context,
    wait: Option<Duration>,
    bank: Option<BankId>,
) -> CommandOutput {
    let began = Instant::now();
    let banks = requests::these_banks(context, bank);
    let deadline = wait.map(|wait| began + wait);
    let answers = requests::ask_each(context, &banks, async |client: &Client, bank| {
        until(client, bank, deadline).await
    })
    .await;
    let rows = answers.iter().map(|answer| match &answer.result {
        Ok((latency, links)) => vec![
            plain(answer.bank),
            plain(&answer.address),
            context.paint.term(Tone::Good, "online"),
            links.cell(),
            context.paint.took(*latency),
            plain(""),
        ],
        Err(failure) => vec![
            plain(answer.bank),
            plain(&answer.address),
            context.paint.term(Tone::Bad, failure.state()),
            plain(""),
            plain(""),
            plain(failure),
        ],
    });
    let time = if context.paint.is_rows() { "time ms" } else { "time" };
    let layout = TableLayout {
        headings: &["bank", "address", "state", "links", time, "reason"],
        right: &[time],
        below: Some("reason"),
        spare: &[],
    };
    let mut text = context.paint.table_of(&layout, rows.collect());
    for (_, links) in answers.iter().filter_map(|answer| answer.result.as_ref().ok()) {
        text.push_str(&links.lines(context.paint));
    }
    let failure = requests::first_failure(&answers);
    let online = answers.iter().filter(|answer| answer.result.is_ok()).count();
    let document = PingDocument {
        banks: answers.iter().map(bank_document).collect(),
        online,
        took_us: micros(began.elapsed()),
        error: failure.as_ref().map(ErrorPart::of),
    };
    CommandOutput::new(text, &document).with_failure(failure)
}

fn bank_document(answer: &AnswerOf<(Duration, Links)>) -> PingBank<'_> {
    PingBank {
        bank: answer.bank,
        address: &answer.address,
        online: answer.result.is_ok(),
        latency_us: answer.result.as_ref().ok().map(|(latency, _)| micros(*latency)),
        links: answer.result.as_ref().ok().map(|(_, links)| &*links.json),
        error: answer.result.as_ref().err().map(ErrorPart::of),
    }
}

/// Asks until the bank answers or the deadline passes; without a deadline, once.
async fn until(
    client: &Client,
    bank: BankId,
    deadline: Option<Instant>,
) -> Result<(Duration, Links), ClientError> {
    let Some(deadline) = deadline else { return once(client, bank).await };
    let mut last = None;
    let answered = timeout_at(deadline, async {
        loop {
            match once(client, bank).await {
                // Retry only a bank that may still be starting, or whose disk hangs.
                Err(error) if may_recover(&error) => last = Some(error),
                other => return other,
            }
            sleep(RETRY_PAUSE).await;
        }
    });
    match answered.await {
        Ok(answered) => answered,
        Err(_) => Err(last.unwrap_or_else(|| {
            let address = client.list().address(bank).unwrap_or("-").to_owned();
            ClientError::Unreachable { bank, address, why: "no answer in time".into() }
        })),
    }
}

fn may_recover(error: &ClientError) -> bool {
    error.is_silence()
        || matches!(
            error,
            ClientError::NoBank { .. }
                | ClientError::NotAsked { .. }
                | ClientError::Unreadable { .. }
        )
}

async fn once(client: &Client, bank: BankId) -> Result<(Duration, Links), ClientError> {
    let mut connection = client.connection(bank).await?;
    let asked = Instant::now();
    match connection.ask(&Request::Local(Local::Ping)).await? {
        Reply::Pong => {
            let took = asked.elapsed();
            let links = Links::ask(&mut connection).await?;
            match links.sync_ms {
                Some(ms) => Err(ClientError::DiskHangs { bank, ms }),
                None => Ok((took, links)),
            }
        }
        Reply::Err(reason, text) | Reply::Refused(reason, text) => {
            Err(ClientError::Declined { bank, reason, text })
        }
        Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Committed(..)
        | Reply::Aborted(..)
        | Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Help(_)
        | Reply::Bye => Err(ClientError::NotAsked { bank }),
    }
}
