//! What only other banks know, asked over their lines as any client would.

use crate::app::App;
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::{HTTP_LINE_MS_MAX, LINE_BYTES_MAX};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What those other banks that are `wanted` say of `tx`; an outcome goes before a vote, and that
/// before nothing. `None` where no bank answers.
pub async fn status_elsewhere(
    app: &App,
    tx: &TxId,
    wanted: impl Fn(BankId) -> bool,
) -> Option<Reply> {
    let replies = ask_those(app, &Request::Status(tx.clone()), wanted).await;
    replies.into_iter().filter_map(|(_, reply)| reply).max_by_key(weight)
}

/// What each other bank answers to `request`, in the consortium's order; `None` where it does not
/// in time.
pub async fn ask_others(app: &App, request: &Request) -> Vec<(BankId, Option<Reply>)> {
    ask_those(app, request, |_| true).await
}

/// The same of those other banks that are `wanted`.
pub async fn ask_those(
    app: &App,
    request: &Request,
    wanted: impl Fn(BankId) -> bool,
) -> Vec<(BankId, Option<Reply>)> {
    let mut asked = JoinSet::new();
    for (position, address) in app.places().iter().enumerate() {
        let Some(bank) = BankId::new(position).filter(|bank| *bank != app.bank()) else { continue };
        if address != consorcio_system::config::LEFT && wanted(bank) {
            let (address, request) = (address.clone(), request.clone());
            asked.spawn(async move { (bank, ask(&address, &request).await) });
        }
    }
    let mut replies = asked.join_all().await;
    replies.sort_by_key(|(bank, _)| *bank);
    replies
}

/// What every bank says of `tx`, this one included, in the consortium's order.
pub async fn statuses(app: &App, peer: SocketAddr, tx: &TxId) -> Vec<(BankId, Option<Reply>)> {
    let request = Request::Status(tx.clone());
    let (own, mut replies) =
        tokio::join!(app.ask(peer, request.clone()), ask_others(app, &request));
    replies.push((app.bank(), own.ok()));
    replies.sort_by_key(|(bank, _)| *bank);
    replies
}

fn weight(reply: &Reply) -> u8 {
    match reply {
        Reply::Committed(..) => 3,
        Reply::Aborted(..) => 2,
        Reply::Ok(..) => 1,
        Reply::Nok(..)
        | Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Err(..)
        | Reply::Pong
        | Reply::Bye => 0,
    }
}

/// The reply of the bank at `address` to one request; `None` where none comes in time.
pub async fn ask(address: &str, request: &Request) -> Option<Reply> {
    let within = Duration::from_millis(HTTP_LINE_MS_MAX);
    timeout(within, converse(address, request)).await.ok()?
}

async fn converse(address: &str, request: &Request) -> Option<Reply> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let mut bytes = Vec::new();
    request.write_to(&mut bytes);
    stream.write_all(&bytes).await.ok()?;
    let most = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut line = String::new();
    BufReader::new(stream).take(most).read_line(&mut line).await.ok()?;
    Reply::parse(line.strip_suffix('\n')?).ok()
}
