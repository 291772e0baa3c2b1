//! Money that moves: each route makes one transaction, and the bank executes it.

use crate::app::{App, unexpected};
use crate::call::Call;
use crate::fields::Fields;
use crate::problem::{Problem, about, error_for, json};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use consorcio_core::ids::{AccountNumber, BankId, TaxId, TxId};
use consorcio_core::limits::OPS_MAX;
use consorcio_core::money::Money;
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use consorcio_panel::reasons;
use consorcio_panel::texts::Lang;
use std::sync::Arc;

/// What `/depositar` says when it is refused.
pub const DEPOSIT_REFUSED: &str = "Cliente ou conta nao encontrado";
/// What `/sacar` says when it is refused.
pub const WITHDRAW_REFUSED: &str = "Saldo insuficiente ou conta não encontrada";
/// What `/transferir` says when it is refused.
pub const TRANSFER_REFUSED: &str = "Transferência falhou";
/// What `/transferencia_composta` says when it is refused.
pub const COMPOSITE_REFUSED: &str = "Transferência composta falhou";
/// What `/creditar` says when it is refused.
pub const CREDIT_REFUSED: &str = "Crédito falhou";

/// `POST /depositar`
pub async fn deposit(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    under_key(&call, cash(&app, &call, Flow::Deposit, DEPOSIT_REFUSED).await)
}

/// `POST /sacar`
pub async fn withdraw(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    under_key(&call, cash(&app, &call, Flow::Withdraw, WITHDRAW_REFUSED).await)
}

/// `POST /creditar`: to the books a deposit, whatever outside coordinator brings it.
pub async fn credit(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    under_key(&call, cash(&app, &call, Flow::Deposit, CREDIT_REFUSED).await)
}

/// A refusal tells the id that its request was given, also where nothing was begun under it.
fn under_key(call: &Call, answer: Result<Response, Problem>) -> Result<Response, Problem> {
    answer.map_err(|problem| match &call.key {
        Some(key) => problem.under(key.first()),
        None => problem,
    })
}

async fn cash(
    app: &App,
    call: &Call,
    flow: Flow,
    refused: &'static str,
) -> Result<Response, Problem> {
    let fields = call.fields()?;
    let holder = Holder::read(&fields, app.bank(), "cpf", "numero")?;
    let ops = vec![holder.op(flow, fields.amount("valor")?)];
    execute(app, call, ops, refused).await
}

/// `POST /transferir`: from one account of this bank to another.
pub async fn transfer(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    under_key(&call, between_two(&app, &call).await)
}

async fn between_two(app: &App, call: &Call) -> Result<Response, Problem> {
    let fields = call.fields()?;
    let from = Holder::read(&fields, app.bank(), "cpf_origem", "numero_origem")?;
    let to = Holder::read(&fields, app.bank(), "cpf_destino", "numero_destino")?;
    let amount = fields.amount("valor")?;
    let ops = vec![from.op(Flow::Debit, amount), to.op(Flow::Credit, amount)];
    execute(app, call, ops, TRANSFER_REFUSED).await
}

/// `POST /transferencia_composta`: from accounts of any banks to the last one named.
pub async fn composite(State(app): State<App>, call: Call) -> Result<Response, Problem> {
    let ops = call.fields().and_then(|fields| composite_ops(&app, &fields));
    let answer = match ops {
        Ok(ops) => execute(&app, &call, ops, COMPOSITE_REFUSED).await,
        Err(problem) => Err(problem),
    };
    under_key(&call, answer)
}

/// The operations of a composite. A source that gives nothing is checked as far as its text goes,
/// and left out.
fn composite_ops(app: &App, fields: &Fields<'_>) -> Result<Vec<Op>, Problem> {
    let items = fields.list("participantes")?;
    if items.len() > OPS_MAX {
        return Err(fields.wrong("participantes", &format!("tem mais de {OPS_MAX} participantes")));
    }
    let refused = |what: &str| {
        let text = format!("`participantes` {what}");
        Problem::refused(COMPOSITE_REFUSED, Reason::Refused).with_details(&text)
    };
    let (mut ops, mut total, mut destination) = (Vec::new(), Money::ZERO, None);
    for (at, item) in items.iter().enumerate() {
        let participant = Fields::of_item(&format!("participantes[{at}]"), item)?;
        let bank = bank(app, &participant, "banco")?;
        let holder = Holder::read(&participant, bank, "cpf", "numero")?;
        if at + 1 == items.len() {
            destination = Some(holder);
            break;
        }
        let amount = participant.amount_or_zero("valor")?;
        total = total
            .checked_add(amount)
            .ok_or_else(|| participant.wrong("valor", "leva a soma além do limite"))?;
        if amount > Money::ZERO {
            ops.push(holder.op(Flow::Debit, amount));
        }
    }
    let destination = destination.ok_or_else(|| refused("está vazia"))?;
    if items.len() < 2 {
        return Err(refused("não tem origem: o último é o destino"));
    }
    if ops.is_empty() {
        return Err(refused("não move nada: nenhuma origem paga"));
    }
    ops.push(destination.op(Flow::Credit, total));
    Ok(ops)
}

/// The bank that a participant names by its position in this field.
///
/// # Errors
/// When it is missing or wrong, or no bank is there.
pub fn bank(app: &App, participant: &Fields<'_>, field: &str) -> Result<BankId, Problem> {
    let position = usize::from(participant.small(field)?);
    let known =
        app.places().get(position).is_some_and(|place| place != consorcio_system::config::LEFT);
    BankId::new(position).filter(|_| known).ok_or_else(|| {
        let banks: Vec<String> = app
            .places()
            .iter()
            .enumerate()
            .filter(|(_, place)| *place != consorcio_system::config::LEFT)
            .map(|(position, _)| position.to_string())
            .collect();
        participant
            .wrong(field, &format!("{position} não existe: os bancos são {}", banks.join(", ")))
    })
}

/// An account, and who must hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    bank: BankId,
    cpf: TaxId,
    account: AccountNumber,
}

impl Holder {
    /// Reads both from `fields`.
    ///
    /// # Errors
    /// When one is missing or wrong, naming it.
    pub fn read(
        fields: &Fields<'_>,
        bank: BankId,
        cpf: &str,
        account: &str,
    ) -> Result<Holder, Problem> {
        Ok(Holder { bank, cpf: fields.cpf(cpf)?, account: fields.account(account)? })
    }

    /// What moves on it.
    pub fn op(self, flow: Flow, amount: Money) -> Op {
        let Holder { bank, cpf, account } = self;
        Op { bank, action: Action::Money { flow, account, cpf: Some(cpf), amount } }
    }
}

/// Has the bank execute a transaction of these operations, under the caller's id or a fresh one.
async fn execute(
    app: &App,
    call: &Call,
    ops: Vec<Op>,
    refused: &'static str,
) -> Result<Response, Problem> {
    let transaction = Transaction::from_ops(ops, None)
        .map_err(|fault| Problem::refused(refused, fault.reason).with_details(&fault.text))?;
    let tx = match &call.key {
        Some(key) => key.next(app, call.peer, &transaction).await?,
        None => app.fresh_id(),
    };
    let reply = match app.ask(call.peer, Request::Execute(tx.clone(), Arc::new(transaction))).await
    {
        Err(late) if late.may_be_done() => return Ok(pending(&tx, Some(&late))),
        Err(problem) => return Err(problem),
        Ok(reply) => reply,
    };
    match reply {
        Reply::Committed(tx, ..) => {
            Ok(about(json(StatusCode::OK, &serde_json::json!({ "success": true })), &tx))
        }
        Reply::Aborted(tx, _, reason, _) => {
            Err(Problem::refused(told(refused, reason), reason).about(&tx))
        }
        // It may have been done before.
        Reply::Err(reason @ Reason::Unreadable, text) => {
            Err(Problem::unavailable(reasons::error(reason))
                .because(reason)
                .with_details(&text)
                .about(&tx))
        }
        Reply::Err(reason, text) => {
            Err(Problem::refused(told(refused, reason), reason).with_details(&text).about(&tx))
        }
        Reply::Doubt(tx, _) => Ok(pending(&tx, None)),
        other @ (Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Pong
        | Reply::Bye) => Err(unexpected(&other)),
    }
}

/// The words of a refusal: the route's own where they are true of this reason, else the reason's.
fn told(refused: &'static str, reason: Reason) -> &'static str {
    let books = [Reason::UnknownAccount, Reason::UnknownClient, Reason::NotHolder];
    match refused {
        DEPOSIT_REFUSED => error_for(refused, &books, reason),
        WITHDRAW_REFUSED if reason == Reason::InsufficientFunds => refused,
        WITHDRAW_REFUSED => error_for(refused, &books, reason),
        // "It failed" is true whatever the reason, which stands in `motivo`.
        _ => refused,
    }
}

/// Not decided in time: 202, where its outcome will be told, and why, where that is known.
fn pending(tx: &TxId, late: Option<&Problem>) -> Response {
    let mut body = serde_json::json!({ "id": tx.as_str(), "status": "pendente" });
    if let Some(late) = late {
        body["detalhes"] = late.words(Lang::Pt).into();
    }
    let mut response = about(json(StatusCode::ACCEPTED, &body), tx);
    if let Ok(place) = HeaderValue::from_str(&format!("/transacoes/{tx}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}
