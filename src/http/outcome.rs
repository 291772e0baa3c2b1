//! `/transacoes/<id>`: the outcome of one transaction, by the replies of all banks.

use crate::app::App;
use crate::call::Requester;
use crate::history::{Participante, events, participants, pending_one, refusal};
use crate::key::IdempotencyKey;
use crate::lines;
use crate::problem::{Problem, about, json};
use crate::timeline;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use consorcio_core::access::{Name, Privilege, owner_of};
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::claims::{self, Claim, Refusal};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::Digest;
use consorcio_panel::reasons;
use serde::Serialize;
use std::net::SocketAddr;

#[derive(Serialize)]
struct OutcomeBody {
    id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    motivo: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detalhes: Option<String>,
    /// The time of the commit or refusal, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    tempo_us: Option<Time>,
    /// The bank that refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    banco: Option<BankId>,
    /// The transactions that share this id, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    transacoes: Option<Vec<SharedIdOutcome>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    participantes: Option<Vec<Participante>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passos: Option<Vec<Passo>>,
}

/// The outcome of one of the transactions that share an id.
#[derive(Serialize)]
struct SharedIdOutcome {
    /// The digest of its bytes.
    digest: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    motivo: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detalhes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tempo_us: Option<Time>,
}

/// A line of the step log of one node.
#[derive(Serialize)]
struct Passo {
    /// Microseconds since the first step.
    us: i64,
    no: String,
    passo: String,
    detalhes: String,
}

/// `GET /transacoes/<id>`; with `?resumo` only the outcome.
pub(crate) async fn transaction(
    State(app): State<App>,
    reader: Requester,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    let given = path.map(|Path(given)| given).unwrap_or_default();
    // The path may also have the idempotency key of the request.
    let key = match named(&app, &given) {
        Some(tx) => IdempotencyKey::of(tx),
        None => IdempotencyKey::new(given.as_bytes()),
    };
    let tx = key.newest(&app, reader.peer).await?;
    let response = async {
        let mut outcome = outcome(&app, reader.peer, &tx).await?;
        // Where several transactions share the id, operations and steps are ambiguous.
        let is_whole = uri.query() != Some("resumo") && app.has(Privilege::Steps);
        if is_whole && outcome.transacoes.is_none() {
            details(&app, reader.peer, &tx, &mut outcome).await?;
        }
        Ok(about(json(StatusCode::OK, &outcome), &tx))
    };
    response.await.map_err(|problem: Problem| problem.under(&tx))
}

/// In closed mode: the id of a transaction of any owner, for an asker who sees them all.
fn named(app: &App, given: &str) -> Option<TxId> {
    let tx =
        TxId::new(given).ok().filter(|_| app.is_closed() && app.sees_all(Privilege::Status))?;
    let has_owner = owner_of(&tx).is_some_and(|owner| Name::new(owner).is_ok());
    has_owner.then_some(tx)
}

async fn outcome(app: &App, peer: SocketAddr, tx: &TxId) -> Result<OutcomeBody, Problem> {
    let own = app.ask(peer, Request::Status(tx.clone())).await?;
    // Without a vote on bytes this bank may only have driven it, or refused the id before the bytes
    // arrived.
    let mut replies = if voted_on_bytes(app.bank(), &own) {
        Vec::new()
    } else {
        lines::ask_others(app, &Request::Status(tx.clone())).await
    };
    let is_undecided_here = matches!(own, Reply::Ok(..));
    let unreadable = match &own {
        Reply::Err(reason, text) => Some((*reason, text.clone())),
        _ => None,
    };
    replies.push((app.bank(), Some(own)));
    let claim = claimed(app.bank(), &replies);
    let is_decided = match &claim {
        Claim::Committed(_) | Claim::Aborted(_) | Claim::Several(_) => true,
        Claim::Undecided | Claim::NotKnown(_) | Claim::Unknown => is_undecided_here,
    };
    // A driver that is no participant has recorded the proved outcome, which STATUS does not show.
    if !is_decided && let Some(outcome) = driven(app, peer, tx).await? {
        return Ok(outcome);
    }
    if let (Claim::Unknown, Some((reason, text))) = (&claim, unreadable) {
        let problem = Problem::unavailable(reasons::error(reason)).because(reason);
        return Err(problem.with_details(&text).about(tx));
    }
    if claim == Claim::Unknown {
        let error = "Transação desconhecida: nenhum banco que responde votou nela";
        return Err(Problem::new(StatusCode::NOT_FOUND, error).about(tx));
    }
    Ok(OutcomeBody::of(tx, &claim))
}

/// The claim that follows from the replies of all banks to STATUS. If this bank has voted on bytes,
/// only its own reply counts.
pub(crate) fn claimed(own: BankId, replies: &[(BankId, Option<Reply>)]) -> Claim {
    let decides = |bank: BankId, reply: Option<&Reply>| {
        bank == own && reply.is_some_and(|reply| voted_on_bytes(own, reply))
    };
    let own_vote = replies.iter().find(|(bank, reply)| decides(*bank, reply.as_ref()));
    let counted = own_vote.map_or(replies, std::slice::from_ref);
    claims::claim(counted.iter().map(|(bank, reply)| (*bank, reply.as_ref())))
}

/// Does this bank's own `reply` to STATUS show a vote on the bytes of a transaction that names it?
fn voted_on_bytes(own: BankId, reply: &Reply) -> bool {
    match reply {
        Reply::Ok(..) | Reply::Committed(..) | Reply::Aborted(_, _, _, Some(_)) => true,
        Reply::Aborted(_, token, _, None) => token.bank == own && token.digest.is_some(),
        Reply::Nok(..)
        | Reply::Doubt(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Err(..)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye => false,
    }
}

/// The outcome of `tx` that this bank recorded as its driver.
async fn driven(app: &App, peer: SocketAddr, tx: &TxId) -> Result<Option<OutcomeBody>, Problem> {
    let mut events = events(app, peer).await?.into_iter();
    let Some(event) = events.find(|event| *event.tx == *tx && event.driven) else {
        return Ok(None);
    };
    let known = OutcomeBody { tempo_us: Some(event.time), ..OutcomeBody::new(tx, "completada") };
    if event.is_committed() {
        return Ok(Some(known));
    }
    let reason = event.reason();
    let motivo = reason.map(Reason::as_str);
    let detalhes = reason.map(|reason| refusal(reason, &event.text));
    Ok(Some(OutcomeBody { status: "abortada", motivo, detalhes, banco: event.by, ..known }))
}

impl OutcomeBody {
    fn new(tx: &TxId, status: &'static str) -> OutcomeBody {
        OutcomeBody {
            id: tx.to_string(),
            status,
            motivo: None,
            detalhes: None,
            tempo_us: None,
            banco: None,
            transacoes: None,
            participantes: None,
            passos: None,
        }
    }

    fn of(tx: &TxId, claim: &Claim) -> OutcomeBody {
        let new = |status| OutcomeBody::new(tx, status);
        match claim {
            Claim::Committed(time) => OutcomeBody { tempo_us: Some(*time), ..new("completada") },
            Claim::Aborted(Refusal { reason, time, .. }) => OutcomeBody {
                motivo: Some(reason.as_str()),
                detalhes: Some(reasons::phrase(*reason).to_owned()),
                tempo_us: Some(*time),
                ..new("abortada")
            },
            Claim::Undecided | Claim::Unknown => new("pendente"),
            // A bank refused the id, and a silent one may have voted OK on bytes that do not name
            // it.
            Claim::NotKnown(_) => OutcomeBody {
                detalhes: Some("resultado desconhecido: nem todos os bancos respondem".to_owned()),
                ..new("pendente")
            },
            Claim::Several(ends) => OutcomeBody {
                motivo: Some(Reason::DuplicateId.as_str()),
                detalhes: Some(
                    "este id é de mais de uma transação, com resultados próprios".to_owned(),
                ),
                transacoes: Some(
                    ends.iter().map(|(digest, end)| SharedIdOutcome::of(tx, digest, end)).collect(),
                ),
                ..new("varias")
            },
        }
    }
}

impl SharedIdOutcome {
    fn of(tx: &TxId, digest: &Digest, claim: &Claim) -> SharedIdOutcome {
        let OutcomeBody { status, motivo, detalhes, tempo_us, .. } = OutcomeBody::of(tx, claim);
        SharedIdOutcome { digest: format!("{digest:?}"), status, motivo, detalhes, tempo_us }
    }
}

/// Adds the participants and the bank that refused, if they are in memory, and the steps, if the
/// logs have them.
async fn details(
    app: &App,
    peer: SocketAddr,
    tx: &TxId,
    outcome: &mut OutcomeBody,
) -> Result<(), Problem> {
    let event = events(app, peer).await?.into_iter().find(|event| *event.tx == *tx);
    if let Some(event) = event {
        if let Some(reason) = event.reason() {
            outcome.detalhes = Some(refusal(reason, &event.text));
        }
        outcome.banco = event.by;
        outcome.participantes = event.ops.map(|ops| participants(Some(ops)));
    } else {
        let pending = pending_one(app, peer, tx).await?;
        outcome.participantes = pending.map(|pending| participants(pending.ops));
    }
    let Some(timeline) = timeline::of(app, tx).await else { return Ok(()) };
    outcome.banco = outcome.banco.or(timeline.refused_by.and_then(|by| BankId::new(by.into())));
    let shown = timeline.events.iter().filter(|event| timeline.is_shown(event));
    let step = |event: &consorcio_steps::trace::TracedEvent| Passo {
        us: event.at_us,
        no: timeline.name(event.lane).to_owned(),
        passo: event.event.clone(),
        detalhes: event.detail.clone(),
    };
    outcome.passos = Some(shown.map(step).collect());
    Ok(())
}
