//! Requests that go to a bank as they are typed. A connection to each bank stays open between
//! lines, as in `nc`: a bank ends the transactions of a driver that is gone.

use super::line::RawLine;
use crate::Context;
use crate::failure::{Failure, refused, unreachable};
use crate::language::{say, word};
use crate::output::{CommandOutput, plain};
use consorcio_client::{ClientEvent, RequestNumber};
use consorcio_core::ids::BankId;
use consorcio_core::limits::{ANSWER_WITHIN_MS, LINE_BYTES_MAX, SHELL_REPLY_LINES_MAX};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_system::framed::{LineCodec, framed};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::Framed;

/// The connections of a shell, and the bank of lines that name none.
pub(super) struct RawConnections {
    bank: BankId,
    open: BTreeMap<BankId, RawConnection>,
}

struct RawConnection {
    lines: Framed<TcpStream, LineCodec<String>>,
    port: u16,
    /// Requests that were sent.
    sent: u64,
}

#[derive(Serialize)]
struct RawDocument<'a> {
    bank: BankId,
    replies: &'a [String],
}

impl RawConnections {
    /// No connection yet; lines that name no bank go to the first one of the list.
    pub(super) fn new(context: &Context) -> RawConnections {
        let first = context.client.banks().first().copied();
        let bank = first.or_else(|| BankId::new(0)).expect("0 is a position");
        RawConnections { bank, open: BTreeMap::new() }
    }

    /// Sends a line, and waits for its reply. The reply to a request that is refused is a failure.
    pub(super) async fn send(&mut self, context: &Context, line: &RawLine) -> CommandOutput {
        let bank = line.bank.unwrap_or(self.bank);
        let address = match context.client.address(bank) {
            Ok(address) => address.to_owned(),
            Err(error) => return context.failure(error).into(),
        };
        self.bank = bank;
        if line.text.is_empty() {
            let text = say!(
                "lines that begin with > go to bank {bank} at {address}\n"
                    / "linhas que começam com > vão ao banco {bank} em {address}\n"
            );
            let document = RawDocument { bank, replies: &[] };
            return CommandOutput::new(context.paint.words(text), &document);
        }
        if line.text.len() >= LINE_BYTES_MAX {
            let why = say!(
                "a request has at most {LINE_BYTES_MAX} bytes, its end included"
                    / "um pedido tem no máximo {LINE_BYTES_MAX} bytes, com o seu fim"
            );
            return Failure::Usage(why).into();
        }
        // Taken out of the map, so that an interrupted wait closes it: its reply would be taken for
        // that of the next line.
        let kept = self.open.remove(&bank);
        match exchange(context, bank, &address, kept, &line.text).await {
            Ok((connection, replies)) => {
                self.open.insert(bank, connection);
                output(context, bank, &replies)
            }
            Err(why) => {
                observe(context, &ClientEvent::Closed(bank, &why));
                let text = unreachable(context.client.list(), bank, &address, &why);
                Failure::NoConnection(text).into()
            }
        }
    }
}

/// Sends one line over the connection, or over a new one. Returns the connection for further lines.
async fn exchange(
    context: &Context,
    bank: BankId,
    address: &str,
    kept: Option<RawConnection>,
    text: &str,
) -> Result<(RawConnection, Vec<String>), String> {
    let within = context.client.options().answer_within;
    // The bank may have closed it since; nothing that a bank sends unasked is a reply.
    let kept = kept.and_then(|mut kept| kept.lines.next().now_or_never().is_none().then_some(kept));
    let mut connection = match kept {
        Some(kept) => kept,
        None => connect(context, bank, address, within).await?,
    };
    connection.sent += 1;
    let number = RequestNumber { port: connection.port, number: connection.sent };
    if let Ok(request) = Request::parse(text) {
        observe(context, &ClientEvent::Asked(bank, &request, number));
    }
    // Any line may make the bank wait for others.
    let within = within + Duration::from_millis(ANSWER_WITHIN_MS);
    let lines = &mut connection.lines;
    let exchanged = timeout(within, async {
        lines.send(format!("{text}\n").as_bytes()).await.map_err(|error| words(&error))?;
        let mut replies = Vec::new();
        // Only the reply to HELP has several lines, all but the last marked.
        loop {
            let line = received(lines.next().await)?;
            let is_last = !line.starts_with("HELP ") || replies.len() == SHELL_REPLY_LINES_MAX;
            replies.push(line);
            if is_last {
                return Ok(replies);
            }
        }
    });
    let silence = || say!("no reply within {s} s" / "sem resposta em {s} s", s = within.as_secs());
    let replies = exchanged.await.unwrap_or_else(|_| Err(silence()))?;
    if let Some(Ok(reply)) = replies.last().map(|reply| Reply::parse(reply)) {
        observe(context, &ClientEvent::Replied(bank, &reply, number));
    }
    Ok((connection, replies))
}

async fn connect(
    context: &Context,
    bank: BankId,
    address: &str,
    within: Duration,
) -> Result<RawConnection, String> {
    let connected = match timeout(within, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(|error| words(&error)),
        Err(_) => Err(word!("no connection in time" / "sem conexão a tempo").to_owned()),
    };
    let socket = connected?;
    let from = socket.local_addr().ok();
    observe(context, &ClientEvent::Connected(bank, from));
    let port = from.map_or(0, |from| from.port());
    Ok(RawConnection { lines: framed(socket, str::to_owned), port, sent: 0 })
}

/// A line of the bank, or why there is none.
fn received<E: std::fmt::Debug>(
    line: Option<io::Result<Result<String, E>>>,
) -> Result<String, String> {
    match line {
        None => Err(word!("it closed the connection" / "ele fechou a conexão").to_owned()),
        Some(Err(error)) => Err(words(&error)),
        Some(Ok(Err(_))) => {
            Err(word!("it sent what is no line" / "ele enviou o que não é linha").to_owned())
        }
        Some(Ok(Ok(line))) => Ok(line),
    }
}

fn words(error: &io::Error) -> String {
    error.kind().to_string()
}

fn observe(context: &Context, event: &ClientEvent<'_>) {
    if let Some(observer) = &context.client.options().observer {
        observer.observe(event);
    }
}

fn output(context: &Context, bank: BankId, replies: &[String]) -> CommandOutput {
    let text = if context.paint.is_rows() {
        let rows = replies.iter().map(|reply| vec![plain(bank), plain(reply)]).collect();
        context.paint.table(&["bank", "reply"], &[], rows)
    } else {
        replies.iter().map(|reply| format!("{reply}\n")).collect()
    };
    let failure = replies.last().and_then(|reply| failure(bank, reply));
    CommandOutput::new(text, &RawDocument { bank, replies }).with_failure(failure)
}

/// The failure that a reply reports, if any. A line that is no reply reports none.
fn failure(bank: BankId, reply: &str) -> Option<Failure> {
    match Reply::parse(reply).ok()? {
        Reply::Nok(tx, _, reason, text) => {
            let text = say!(
                "bank {bank} voted NOK on {tx}: {reason} {text}"
                    / "o banco {bank} votou NOK em {tx}: {reason} {text}"
            );
            Some(Failure::Refused { reason: Some(reason), text: text.trim_end().to_owned() })
        }
        Reply::Aborted(tx, token, reason, _) => Some(Failure::Aborted(format!(
            "transaction {tx} is aborted: bank {} refused: {reason}",
            token.bank
        ))),
        Reply::Doubt(tx, text) => Some(Failure::Doubt(say!(
            "the outcome of {tx} is not known yet: {text}"
                / "o resultado de {tx} ainda não é conhecido: {text}"
        ))),
        Reply::Refused(reason, text) | Reply::Err(reason, text) => {
            Some(refused(bank, reason, &text))
        }
        Reply::Ok(..)
        | Reply::Committed(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Help(_)
        | Reply::Pong
        | Reply::Bye => None,
    }
}
