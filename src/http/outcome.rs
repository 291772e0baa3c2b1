//! `/transacoes/<id>`: what became of one transaction, by every bank that can say so.

use crate::app::App;
use crate::call::Reader;
use crate::history::{Participante, events, participants, pending_one, refusal};
use crate::key::Key;
use crate::lines;
use crate::problem::{Problem, about, json};
use crate::timeline;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
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
struct Outcome {
    id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    motivo: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detalhes: Option<String>,
    /// The commit's time, or the refusal's, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    tempo_us: Option<Time>,
    /// The bank that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    banco: Option<BankId>,
    /// The transactions that have this id, where it is used for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    transacoes: Option<Vec<End>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    participantes: Option<Vec<Participante>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passos: Option<Vec<Passo>>,
}

/// What became of one of the transactions that share an id.
#[derive(Serialize)]
struct End {
    /// Of its bytes.
    digest: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    motivo: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detalhes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tempo_us: Option<Time>,
}

/// A line of some node's step log.
#[derive(Serialize)]
struct Passo {
    /// Microseconds since the first one.
    us: i64,
    no: String,
    passo: String,
    detalhes: String,
}

/// `GET /transacoes/<id>`, and `?resumo` for the outcome alone.
pub async fn transaction(
    State(app): State<App>,
    reader: Reader,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    let given = path.map(|Path(given)| given).unwrap_or_default();
    // It may also be the key that the transaction was asked for under.
    let tx = Key::new(given.as_bytes()).newest(&app, reader.peer).await?;
    let told = async {
        let mut outcome = outcome(&app, reader.peer, &tx).await?;
        // Operations and steps are those of one transaction.
        if uri.query() != Some("resumo") && outcome.transacoes.is_none() {
            details(&app, reader.peer, &tx, &mut outcome).await?;
        }
        Ok(about(json(StatusCode::OK, &outcome), &tx))
    };
    told.await.map_err(|problem: Problem| problem.under(&tx))
}

async fn outcome(app: &App, peer: SocketAddr, tx: &TxId) -> Result<Outcome, Problem> {
    let own = app.ask(peer, Request::Status(tx.clone())).await?;
    // A bank that holds no vote on any bytes may only have driven it, or refused the id before its
    // bytes came.
    let mut said = if voted_on_bytes(app.bank(), &own) {
        Vec::new()
    } else {
        lines::ask_others(app, &Request::Status(tx.clone())).await
    };
    let is_undecided_here = matches!(own, Reply::Ok(..));
    let unreadable = match &own {
        Reply::Err(reason, text) => Some((*reason, text.clone())),
        _ => None,
    };
    said.push((app.bank(), Some(own)));
    let claim = claimed(app.bank(), &said);
    let is_decided = match &claim {
        Claim::Committed(_) | Claim::Aborted(_) | Claim::Several(_) => true,
        Claim::Undecided | Claim::NotKnown(_) | Claim::Unknown => is_undecided_here,
    };
    // Whoever drove it without a part in it recorded what was proved to it, and STATUS does not
    // tell that.
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
    Ok(Outcome::of(tx, &claim))
}

/// What `said`, every bank's reply to STATUS, claims of an id. This bank goes by its own vote,
/// where it has one on bytes.
pub fn claimed(own: BankId, said: &[(BankId, Option<Reply>)]) -> Claim {
    let decides = |bank: BankId, reply: Option<&Reply>| {
        bank == own && reply.is_some_and(|reply| voted_on_bytes(own, reply))
    };
    let own_vote = said.iter().find(|(bank, reply)| decides(*bank, reply.as_ref()));
    let counted = own_vote.map_or(said, std::slice::from_ref);
    claims::claim(counted.iter().map(|(bank, reply)| (*bank, reply.as_ref())))
}

/// Does `reply`, this bank's own to STATUS, tell of a vote on the bytes of a transaction that names
/// it?
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
        | Reply::Bye => false,
    }
}

/// The outcome of `tx` that this bank recorded as its driver.
async fn driven(app: &App, peer: SocketAddr, tx: &TxId) -> Result<Option<Outcome>, Problem> {
    let mut events = events(app, peer).await?.into_iter();
    let Some(event) = events.find(|event| *event.tx == *tx && event.driven) else {
        return Ok(None);
    };
    let known = Outcome { tempo_us: Some(event.time), ..Outcome::new(tx, "completada") };
    if event.is_committed() {
        return Ok(Some(known));
    }
    let reason = event.reason();
    let motivo = reason.map(Reason::as_str);
    let detalhes = reason.map(|reason| refusal(reason, &event.text));
    Ok(Some(Outcome { status: "abortada", motivo, detalhes, banco: event.by, ..known }))
}

impl Outcome {
    fn new(tx: &TxId, status: &'static str) -> Outcome {
        Outcome {
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

    fn of(tx: &TxId, claim: &Claim) -> Outcome {
        let new = |status| Outcome::new(tx, status);
        match claim {
            Claim::Committed(time) => Outcome { tempo_us: Some(*time), ..new("completada") },
            Claim::Aborted(Refusal { reason, time, .. }) => Outcome {
                motivo: Some(reason.as_str()),
                detalhes: Some(reasons::phrase(*reason).to_owned()),
                tempo_us: Some(*time),
                ..new("abortada")
            },
            Claim::Undecided | Claim::Unknown => new("pendente"),
            // A bank refused the id, and another, which is silent, may hold OK on bytes that do not
            // name it.
            Claim::NotKnown(_) => Outcome {
                detalhes: Some("resultado desconhecido: nem todos os bancos respondem".to_owned()),
                ..new("pendente")
            },
            Claim::Several(ends) => Outcome {
                motivo: Some(Reason::DuplicateId.as_str()),
                detalhes: Some(
                    "este id é de mais de uma transação, com resultados próprios".to_owned(),
                ),
                transacoes: Some(
                    ends.iter().map(|(digest, end)| End::of(tx, digest, end)).collect(),
                ),
                ..new("varias")
            },
        }
    }
}

impl End {
    fn of(tx: &TxId, digest: &Digest, claim: &Claim) -> End {
        let Outcome { status, motivo, detalhes, tempo_us, .. } = Outcome::of(tx, claim);
        End { digest: format!("{digest:?}"), status, motivo, detalhes, tempo_us }
    }
}

/// Who took part and who refused, where the bank remembers it; and the steps, where logs tell of
/// them.
async fn details(
    app: &App,
    peer: SocketAddr,
    tx: &TxId,
    outcome: &mut Outcome,
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
