//! The routes of clients and accounts, and of the list of banks.

use crate::app::{App, unforeseen};
use crate::call::{JsonRequest, Requester};
use crate::fields::{BodyFields, CPF_RULE, cpf, given_number};
use crate::lines;
use crate::list_permit::ListPermit;
use crate::problem::{Problem, error_for, json};
use crate::reais::Reais;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use consorcio_core::ids::{AccountNumber, BankId, ClientKind, ClientName, TaxId};
use consorcio_core::limits::HOLDERS_MAX;
use consorcio_core::money::Money;
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::{AccountAnswer, BankAnswer, ClientAnswer};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, NewAccount, NewClient, Read, Request};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The error of `/contas/<cpf>` for an unknown client.
pub(crate) const UNKNOWN_CLIENT: &str = "Cliente não encontrado";
/// The error of `/criar_cliente` for an existing client.
pub(crate) const CLIENT_EXISTS: &str = "Cliente já existe";
/// The error of `/criar_conta`, for every reason.
pub(crate) const ACCOUNT_REFUSED: &str = "Cliente não encontrado, conta já existe ou não é \
    permitido criar mais de uma conta individual para este cliente";

#[derive(Serialize)]
struct ClientLine {
    cpf: TaxId,
    nome: ClientName,
    tipo: ClientKind,
    contas: Vec<AccountLine>,
}

impl ClientLine {
    /// The client without its accounts.
    fn of(client: ClientAnswer<'static>) -> ClientLine {
        let ClientAnswer { cpf, name, kind, created: _ } = client;
        ClientLine {
            cpf: cpf.into_owned(),
            nome: name.into_owned(),
            tipo: kind.into_owned(),
            contas: Vec::new(),
        }
    }
}

#[derive(Clone, Serialize)]
struct AccountLine {
    numero: String,
    /// The available balance: without holds.
    saldo: Reais,
    /// Money that undecided transactions hold, not included in `saldo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reservado: Option<Reais>,
}

impl AccountLine {
    fn of(account: &AccountAnswer<'static>) -> AccountLine {
        let reservado = (account.held != Money::ZERO).then_some(Reais(account.held));
        let numero = given_number(account.number.to_string());
        AccountLine { numero, saldo: Reais(account.available), reservado }
    }
}

/// `GET /status`: the process is up.
pub(crate) async fn status() -> Response {
    json(StatusCode::OK, &serde_json::json!({ "status": "ok" }))
}

/// `GET /bancos_on`: the HTTP addresses of all banks that are online.
pub(crate) async fn banks_online(
    State(app): State<App>,
    reader: Requester,
) -> Result<Response, Problem> {
    let banks: Vec<BankAnswer<'static>> =
        app.read(reader.peer, Request::Local(Local::Banks)).await?;
    let online = |place: BankId| banks.iter().any(|bank| bank.online && bank.bank == place);
    // Only the bank itself knows the address of its HTTP. All banks are asked concurrently.
    let mut replies = lines::ask_those(&app, &Request::Local(Local::Banks), online).await;
    replies.push((
        app.bank(),
        Some(Reply::Done(app.done(reader.peer, Request::Local(Local::Banks), unforeseen).await?)),
    ));
    replies.sort_by_key(|(bank, _)| *bank);
    let addresses: Vec<String> =
        replies.iter().filter_map(|(bank, reply)| http_of(*bank, reply)).collect();
    Ok(json(StatusCode::OK, &addresses))
}

/// The address of `bank`'s HTTP, from its own answer to BANKS.
fn http_of(bank: BankId, reply: &Option<Reply>) -> Option<String> {
    let Some(Reply::Done(json)) = reply else { return None };
    let banks: Vec<BankAnswer<'static>> = crate::answers::read(json).ok()?;
    banks.into_iter().find(|known| known.bank == bank)?.http.map(Cow::into_owned)
}

/// `GET /clientes`: all clients with their accounts.
pub(crate) async fn clients(
    State(app): State<App>,
    reader: Requester,
) -> Result<Response, Problem> {
    let permit = ListPermit::wait(&app).await?;
    let request =
        |after: Option<String>| Ok(Request::Read(Read::Clients { after: key(after, TaxId::new)? }));
    let mut clients: Vec<ClientAnswer<'static>> =
        app.list(reader.peer, request, unforeseen).await?;
    // Accounts are read second: every holder is in the list, or newer than the list.
    let mut accounts = accounts_of(&app, reader.peer, None, unforeseen).await?;
    accounts.sort_by_key(|account| account.created);
    let mut by_holder: BTreeMap<TaxId, Vec<AccountLine>> = BTreeMap::new();
    for account in accounts {
        let line = AccountLine::of(&account);
        for holder in account.holders.iter() {
            by_holder.entry(holder.clone()).or_default().push(line.clone());
        }
    }
    clients.sort_by_key(|client| client.created);
    let line = |client: ClientAnswer<'static>| {
        let contas = by_holder.remove(&*client.cpf).unwrap_or_default();
        ClientLine { contas, ..ClientLine::of(client) }
    };
    Ok(permit.json(&clients.into_iter().map(line).collect::<Vec<_>>(), &reader.slot))
}

/// `GET /contas/<cpf>`: the accounts of one client.
pub(crate) async fn accounts(
    State(app): State<App>,
    reader: Requester,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let given = path.map(|Path(given)| given).unwrap_or_default();
    let cpf = cpf(&given).ok_or_else(|| Problem::bad(format!("`cpf` {CPF_RULE}")))?;
    let refused = |reason: Reason, text: String| match reason {
        Reason::UnknownClient => {
            Problem::new(StatusCode::NOT_FOUND, UNKNOWN_CLIENT).because(reason)
        }
        other => unforeseen(other, text),
    };
    let mut accounts = accounts_of(&app, reader.peer, Some(&cpf), refused).await?;
    accounts.sort_by_key(|account| account.created);
    Ok(json(StatusCode::OK, &accounts.iter().map(AccountLine::of).collect::<Vec<_>>()))
}

/// `POST /criar_cliente`: creates a client.
pub(crate) async fn create_client(
    State(app): State<App>,
    call: JsonRequest,
) -> Result<Response, Problem> {
    let fields = call.fields()?;
    let client = NewClient {
        cpf: fields.cpf("cpf")?,
        name: fields.name(
            "nome",
            "deve ter de 1 a 200 bytes, sem caracteres de controle",
            ClientName::new,
        )?,
        kind: fields.name(
            "tipo",
            "deve ter de 1 a 64 bytes, sem caracteres de controle",
            ClientKind::new,
        )?,
    };
    fields.fit("nome", client.name.check_new())?;
    fields.fit("tipo", client.kind.check_new())?;
    let _creating = app.creating().await?;
    // The bank accepts a repeated CLIENT, this route refuses it. With an idempotency key the repeat
    // returns the first outcome.
    let read = Request::Read(Read::Accounts { cpf: Some(client.cpf.clone()), after: None });
    if call.key.is_none() && exists(&app, call.peer, read, Reason::UnknownClient).await? {
        return Err(Problem::refused(CLIENT_EXISTS, Reason::AlreadyExists));
    }
    let refused = |reason: Reason, text: String| {
        Problem::refused(error_for(CLIENT_EXISTS, &[Reason::AlreadyExists], reason), reason)
            .with_details(&text)
    };
    let created = app.done(call.peer, Request::Client(client), refused).await?;
    Ok(json(StatusCode::CREATED, &ClientLine::of(crate::answers::read(&created)?)))
}

/// `POST /criar_conta`: opens an account.
pub(crate) async fn open_account(
    State(app): State<App>,
    call: JsonRequest,
) -> Result<Response, Problem> {
    let fields = call.fields()?;
    let account = NewAccount {
        number: fields.new_account("numero")?,
        holders: holders(&fields)?,
        deposit: match fields.find("saldo_inicial") {
            Some(_) => fields.amount_or_zero("saldo_inicial")?,
            None => Money::ZERO,
        },
    };
    let numero = given_number(account.number.to_string());
    let opened = AccountLine { numero, saldo: Reais(account.deposit), reservado: None };
    let _creating = app.creating().await?;
    let read = Request::Read(Read::Balance(account.number.clone()));
    if call.key.is_none() && exists(&app, call.peer, read, Reason::UnknownAccount).await? {
        return Err(Problem::refused(ACCOUNT_REFUSED, Reason::AlreadyExists));
    }
    let own_error = [Reason::UnknownClient, Reason::AlreadyExists, Reason::Refused];
    let refused = |reason: Reason, text: String| {
        Problem::refused(error_for(ACCOUNT_REFUSED, &own_error, reason), reason).with_details(&text)
    };
    app.done(call.peer, Request::Account(account), refused).await?;
    Ok(json(StatusCode::CREATED, &opened))
}

/// The holders of a new account: one, or two different ones for a joint account.
fn holders(fields: &BodyFields<'_>) -> Result<Vec<TaxId>, Problem> {
    let own = fields.cpf("cpf")?;
    let joint = fields.flag("conjunta")?;
    let mut holders = Vec::new();
    if fields.find("titulares").is_some() {
        for (at, item) in fields.list("titulares")?.into_iter().enumerate() {
            let text: Option<String> = serde_json::from_str(item.get()).ok();
            let holder = text.as_deref().and_then(cpf);
            let holder =
                holder.ok_or_else(|| fields.wrong(&format!("titulares[{at}]"), CPF_RULE))?;
            if holders.contains(&holder) {
                return Err(fields.wrong("titulares", "tem o mesmo CPF duas vezes"));
            }
            holders.push(holder);
        }
    }
    if holders.is_empty() {
        holders.push(own.clone());
    }
    if holders.len() > HOLDERS_MAX {
        Err(fields.wrong("titulares", "tem mais de dois titulares"))
    } else if !holders.contains(&own) {
        Err(fields.wrong("titulares", "deve conter o `cpf` da conta"))
    } else if joint && holders.len() < 2 {
        Err(fields.wrong("titulares", "deve ter dois titulares quando `conjunta` é true"))
    } else if !joint && holders.len() > 1 {
        Err(fields.wrong("conjunta", "deve ser true para uma conta de dois titulares"))
    } else {
        Ok(holders)
    }
}

/// Does the client or account that `read` asks for exist? The bank refuses with `missing` if not.
async fn exists(
    app: &App,
    peer: SocketAddr,
    read: Request,
    missing: Reason,
) -> Result<bool, Problem> {
    match app.ask(peer, read).await? {
        Reply::Done(_) => Ok(true),
        Reply::Refused(reason, _) if reason == missing => Ok(false),
        Reply::Refused(reason, text) | Reply::Err(reason, text) => Err(unforeseen(reason, text)),
        other @ (Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Committed(..)
        | Reply::Aborted(..)
        | Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye) => Err(crate::app::unexpected(&other)),
    }
}

/// All accounts of this bank, or of one holder.
///
/// # Errors
/// `refused` of a refusal; or 503.
pub(crate) async fn accounts_of(
    app: &App,
    peer: SocketAddr,
    cpf: Option<&TaxId>,
    refused: impl Fn(Reason, String) -> Problem,
) -> Result<Vec<AccountAnswer<'static>>, Problem> {
    let request = |after: Option<String>| {
        Ok(Request::Read(Read::Accounts {
            cpf: cpf.cloned(),
            after: key(after, AccountNumber::new)?,
        }))
    };
    app.list(peer, request, refused).await
}

/// Parses the key after which the next page begins, from the bank's answer.
///
/// # Errors
/// When it is not a legal key.
pub(crate) fn key<T, E: std::fmt::Display>(
    after: Option<String>,
    read: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Problem> {
    after
        .map(|after| read(&after).map_err(|error| Problem::unexpected(&error.to_string())))
        .transpose()
}
