//! The routes of an outside coordinator, which asks each bank alone and which no bank can ask.
//!
//! For the bank it is one more voter, and the money that it takes is cash out. `/prepare` is a
//! PREPARE of this bank's operations, `/commit` the coordinator's OK, and `/abort` its NOK. Both
//! votes are recorded before they are answered.

use crate::app::{App, unexpected};
use crate::asker;
use crate::call::JsonRequest;
use crate::fields::BodyFields;
use crate::moves::{Holder, bank};
use crate::problem::{Problem, about, text_of};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use consorcio_core::ids::TxId;
use consorcio_core::limits::OPS_MAX;
use consorcio_core::money::Money;
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::{Flow, Op, Transaction};
use std::sync::Arc;

/// `POST /prepare`: this bank's vote.
pub(crate) async fn prepare(
    State(app): State<App>,
    call: JsonRequest,
) -> Result<Response, Problem> {
    let fields = call.fields()?;
    let tx = id(&call, &fields)?;
    let ops = held_here(&app, &fields).map_err(|problem| problem.under(&tx))?;
    let transaction = match Transaction::with_outside(app.bank(), ops) {
        Ok(transaction) => Arc::new(transaction),
        Err(fault) => return Ok(answer("prepared", Err(Some(fault.reason)), &tx)),
    };
    let reply = ask(&app, &call, &tx, Request::Prepare(tx.clone(), transaction)).await?;
    let vote = match reply {
        Reply::Ok(..) => Ok(()),
        Reply::Nok(_, _, reason, _) | Reply::Err(reason, _) => Err(Some(reason)),
        other @ (Reply::Committed(..)
        | Reply::Aborted(..)
        | Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye) => return Err(unexpected(&other)),
    };
    Ok(answer("prepared", vote, &tx))
}

/// `POST /commit`: the coordinator's OK.
pub(crate) async fn commit(State(app): State<App>, call: JsonRequest) -> Result<Response, Problem> {
    let tx = id(&call, &call.fields()?)?;
    let reply = ask(&app, &call, &tx, Request::Commit(tx.clone(), Vec::new())).await?;
    let committed = match reply {
        Reply::Committed(..) => Ok(()),
        Reply::Aborted(_, _, reason, _) | Reply::Err(reason, _) => Err(Some(reason)),
        // This bank has not voted on it.
        Reply::Doubt(..) => Err(None),
        other @ (Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye) => return Err(unexpected(&other)),
    };
    Ok(answer("committed", committed, &tx))
}

/// `POST /abort`: the coordinator's NOK. The participants in the body are ignored.
pub(crate) async fn abort(State(app): State<App>, call: JsonRequest) -> Result<Response, Problem> {
    let tx = id(&call, &call.fields()?)?;
    let reply = ask(&app, &call, &tx, Request::Abort(tx.clone(), None)).await?;
    let aborted = match reply {
        Reply::Aborted(..) => Ok(()),
        Reply::Err(reason, _) => Err(Some(reason)),
        Reply::Committed(..) | Reply::Doubt(..) => Err(None),
        other @ (Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye) => return Err(unexpected(&other)),
    };
    Ok(answer("aborted", aborted, &tx))
}

/// The bank's reply to the coordinator; a problem gets the id of the transaction.
async fn ask(app: &App, call: &JsonRequest, tx: &TxId, request: Request) -> Result<Reply, Problem> {
    app.ask_as_outside(call.peer, request).await.map_err(|problem| problem.under(tx))
}

/// The id of the transaction; an idempotency key must equal it.
fn id(call: &JsonRequest, fields: &BodyFields<'_>) -> Result<TxId, Problem> {
    let given = fields.tx("id")?;
    let tx = asker::owned(&given).ok_or_else(|| fields.wrong("id", "é longo demais"))?;
    match &call.key {
        Some(key) if *key.first() != tx => {
            Err(fields.wrong("id", "difere do cabeçalho `Idempotency-Key`").under(&tx))
        }
        Some(_) | None => Ok(tx),
    }
}

/// The operations of this bank: its participants without the destination.
///
/// Each participant names the destination. The last participant equal to it is the destination, so
/// an account may be source and destination.
fn held_here(app: &App, fields: &BodyFields<'_>) -> Result<Vec<Op>, Problem> {
    let items = fields.list("participantes")?;
    if items.len() > OPS_MAX {
        return Err(fields.wrong("participantes", &format!("tem mais de {OPS_MAX} participantes")));
    }
    let mut participants = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let participant = BodyFields::of_item(&format!("participantes[{at}]"), item)?;
        let named = bank(app, &participant, "banco")?;
        let holder = Holder::read(&participant, named, "cpf", "numero")?;
        let to = bank(app, &participant, "banco_destino")?;
        let is_destination =
            holder == Holder::read(&participant, to, "cpf_destino", "numero_destino")?;
        if participant.find("valor_total").is_some() {
            participant.amount_or_zero("valor_total")?;
        }
        participants.push((participant, named, holder, is_destination));
    }
    let destination = participants.iter().rposition(|(.., is_destination)| *is_destination);
    let mut ops = Vec::new();
    for (at, (participant, named, holder, _)) in participants.into_iter().enumerate() {
        if Some(at) == destination {
            continue;
        }
        let amount = participant.amount_or_zero("valor")?;
        if named == app.bank() && amount > Money::ZERO {
            ops.push(holder.op(Flow::Withdraw, amount));
        }
    }
    Ok(ops)
}

/// `{"prepared":true}`, or false with the reason, if there is one, and the id.
fn answer(field: &str, done: Result<(), Option<Reason>>, tx: &TxId) -> Response {
    // Neither a reason nor an id needs escaping.
    let (status, text) = match done {
        Ok(()) => (StatusCode::OK, format!(r#"{{"{field}":true}}"#)),
        Err(None) => (StatusCode::BAD_REQUEST, format!(r#"{{"{field}":false,"id":"{tx}"}}"#)),
        Err(Some(reason)) => (
            StatusCode::BAD_REQUEST,
            format!(r#"{{"{field}":false,"motivo":"{reason}","id":"{tx}"}}"#),
        ),
    };
    about(text_of(status, "application/json", text), tx)
}
