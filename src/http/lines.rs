//! Requests to the other banks over the line protocol, made like those of any client.

use crate::app::App;
use consorcio_client::{Client, ClientError, ClientOptions};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::HTTP_LINE_MS_MAX;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_system::config::BadConsortium;
use consorcio_tls::BankTls;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// The best reply to STATUS of the other banks that `include` selects: an outcome, else a vote,
/// else any. `None` if no bank answers.
pub(crate) async fn status_elsewhere(
    app: &App,
    tx: &TxId,
    include: impl Fn(BankId) -> bool,
) -> Option<Reply> {
    let replies = ask_those(app, &Request::Status(tx.clone()), include).await;
    replies.into_iter().filter_map(|(_, reply)| reply).max_by_key(weight)
}

/// The reply of each other bank to `request`, by position; `None` if it does not arrive in time.
pub(crate) async fn ask_others(app: &App, request: &Request) -> Vec<(BankId, Option<Reply>)> {
    ask_those(app, request, |_| true).await
}

/// The same for the other banks that `include` selects.
pub(crate) async fn ask_those(
    app: &App,
    request: &Request,
    include: impl Fn(BankId) -> bool,
) -> Vec<(BankId, Option<Reply>)> {
    let client = app.client();
    let others = client.banks().into_iter().filter(|bank| *bank != app.bank() && include(*bank));
    let others: Vec<BankId> = others.collect();
    let answers = client.ask_each(&others, |bank| ask(client, bank, request)).await;
    answers.into_iter().map(|answer| (answer.bank, answer.result.ok())).collect()
}

/// The reply of every bank to STATUS, this one included, by position.
pub(crate) async fn statuses(
    app: &App,
    peer: SocketAddr,
    tx: &TxId,
) -> Vec<(BankId, Option<Reply>)> {
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
        | Reply::Help(_)
        | Reply::Bye => 0,
    }
}

/// The reply of another bank to one request, with a time-out.
async fn ask(client: &Client, bank: BankId, request: &Request) -> Result<Reply, ClientError> {
    let within = Duration::from_millis(HTTP_LINE_MS_MAX);
    let reply = async { client.connection(bank).await?.ask(request).await };
    timeout(within, reply).await.unwrap_or_else(|_| {
        let address = client.list().address(bank).unwrap_or("-").to_owned();
        Err(ClientError::Unreachable { bank, address, why: "no answer in time".into() })
    })
}

/// A client of the banks at these addresses, by position; in closed mode it shows the certificate
/// of this bank.
///
/// # Errors
/// When they are no valid list.
pub(crate) fn client(places: &[String], tls: Option<&BankTls>) -> Result<Client, BadConsortium> {
    let options = ClientOptions {
        answer_within: Duration::from_millis(HTTP_LINE_MS_MAX),
        idle_connections_max: 0,
        tls: tls.map(BankTls::dialer),
        ..ClientOptions::default()
    };
    Ok(Client::new(places.join(",").parse()?, options))
}
