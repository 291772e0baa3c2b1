//! Routes that move money: each makes one transaction, and the bank executes it.

use crate::app::{App, unexpected};
use crate::call::JsonRequest;
use crate::fields::BodyFields;
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

/// The error of a refused `/depositar`.
pub(crate) const DEPOSIT_REFUSED: &str = "Cliente ou conta nao encontrado";
/// The error of a refused `/sacar`.
pub(crate) const WITHDRAW_REFUSED: &str = "Saldo insuficiente ou conta não encontrada";
/// The error of a refused `/transferir`.
pub(crate) const TRANSFER_REFUSED: &str = "Transferência falhou";
/// The error of a refused `/transferencia_composta`.
pub(crate) const COMPOSITE_REFUSED: &str = "Transferência composta falhou";
/// The error of a refused `/creditar`.
pub(crate) const CREDIT_REFUSED: &str = "Crédito falhou";

/// `POST /depositar`: a deposit of cash.
pub(crate) async fn deposit(
    State(app): State<App>,
    call: JsonRequest,
) -> Result<Response, Problem> {
    under_key(&call, cash(&app, &call, Flow::Deposit, DEPOSIT_REFUSED).await)
}

/// `POST /sacar`: a withdrawal of cash.
pub(crate) async fn withdraw(
    State(app): State<App>,
    call: JsonRequest,
) -> Result<Response, Problem> {
    under_key(&call, cash(&app, &call, Flow::Withdraw, WITHDRAW_REFUSED).await)
}

/// `POST /creditar`: money from an outside coordinator, which is a deposit in the books.
pub(crate) async fn credit(State(app): State<App>, call: JsonRequest) -> Result<Response, Problem> {
    under_key(&call, cash(&app, &call, Flow::Deposit, CREDIT_REFUSED).await)
}

/// Adds the id of the request to a refusal, even if no transaction was begun under it.
fn under_key(call: &JsonRequest, answer: Result<Response, Problem>) -> Result<Response, Problem> {
    answer.map_err(|problem| match &call.key {
        Some(key) => problem.under(key.first()),
        None => problem,
    })
}

async fn cash(
    app: &App,
    call: &JsonRequest,
    flow: Flow,
    refused: &'static str,
) -> Result<Response, Problem> {
    let fields = call.fields()?;
    let holder = Holder::read(&fields, app.bank(), "cpf", "numero")?;
    let ops = vec![holder.op(flow, fields.amount("valor")?)];
    execute(app, call, ops, refused).await
}

/// `POST /transferir`: from one account of this bank to another.
pub(crate) async fn transfer(
    State(app): State<App>,
    call: JsonRequest,
) -> Result<Response, Problem> {
    under_key(&call, between_two(&app, &call).await)
}

async fn between_two(app: &App, call: &JsonRequest) -> Result<Response, Problem> {
    let fields = call.fields()?;
    let from = Holder::read(&fields, app.bank(), "cpf_origem", "numero_origem")?;
    let to = Holder::read(&fields, app.bank(), "cpf_destino", "numero_destino")?;
    let amount = fields.amount("valor")?;
    let ops = vec![from.op(Flow::Debit, amount), to.op(Flow::Credit, amount)];
    execute(app, call, ops, TRANSFER_REFUSED).await
}

/// `POST /transferencia_composta`: from accounts of any banks to the last one named.
pub(crate) async fn composite(
    State(app): State<App>,
    call: JsonRequest,
) -> Result<Response, Problem> {
    let ops = call.fields().and_then(|fields| composite_ops(&app, &fields));
    let answer = match ops {
        Ok(ops) => execute(&app, &call, ops, COMPOSITE_REFUSED).await,
        Err(problem) => Err(problem),
    };
    under_key(&call, answer)
}

/// The operations of a composite transfer. A source with amount zero is parsed and left out.
fn composite_ops(app: &App, fields: &BodyFields<'_>) -> Result<Vec<Op>, Problem> {
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
        let participant = BodyFields::of_item(&format!("participantes[{at}]"), item)?;
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

/// The bank whose position this field of a participant has.
///
/// # Errors
/// When the field is missing or invalid, or the position has no bank.
pub(crate) fn bank(
    app: &App,
    participant: &BodyFields<'_>,
    field: &str,
) -> Result<BankId, Problem> {
    let position = usize::from(participant.small(field)?);
    let known =
        app.places().get(position).is_some_and(|address| address != consorcio_system::config::LEFT);
    BankId::new(position).filter(|_| known).ok_or_else(|| {
        let banks: Vec<String> = app
            .places()
            .iter()
            .enumerate()
            .filter(|(_, address)| *address != consorcio_system::config::LEFT)
            .map(|(position, _)| position.to_string())
            .collect();
        participant
            .wrong(field, &format!("{position} não existe: os bancos são {}", banks.join(", ")))
    })
}

/// An account, and the client that must hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    bank: BankId,
    cpf: TaxId,
    account: AccountNumber,
}

impl Holder {
    /// Reads both from `fields`.
    ///
    /// # Errors
    /// When one is missing or invalid; the text names it.
    pub(crate) fn read(
        fields: &BodyFields<'_>,
        bank: BankId,
        cpf: &str,
        account: &str,
    ) -> Result<Holder, Problem> {
        Ok(Holder { bank, cpf: fields.cpf(cpf)?, account: fields.account(account)? })
    }

    /// The operation of this flow and amount on the account.
    pub(crate) fn op(self, flow: Flow, amount: Money) -> Op {
        let Holder { bank, cpf, account } = self;
        Op { bank, action: Action::Money { flow, account, cpf: Some(cpf), amount } }
    }
}

/// Executes a transaction of these operations, under the id of the caller's key or a new one.
async fn execute(
    app: &App,
    call: &JsonRequest,
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
            Err(Problem::refused(error_of(refused, reason), reason).about(&tx))
        }
        // It may have been executed before.
        Reply::Err(reason @ Reason::Unreadable, text) => {
            Err(Problem::unavailable(reasons::error(reason))
                .because(reason)
                .with_details(&text)
                .about(&tx))
        }
        Reply::Err(reason, text) => {
            Err(Problem::refused(error_of(refused, reason), reason).with_details(&text).about(&tx))
        }
        Reply::Doubt(tx, _) => Ok(pending(&tx, None)),
        other @ (Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Refused(..)
        | Reply::Pong
        | Reply::Help(_)
        | Reply::Bye) => Err(unexpected(&other)),
    }
}

/// The error of a refusal: the route's own if it is true of this reason, else the reason's.
fn error_of(refused: &'static str, reason: Reason) -> &'static str {
    let books = [Reason::UnknownAccount, Reason::UnknownClient, Reason::NotHolder];
    match refused {
        DEPOSIT_REFUSED => error_for(refused, &books, reason),
        WITHDRAW_REFUSED if reason == Reason::InsufficientFunds => refused,
        WITHDRAW_REFUSED => error_for(refused, &books, reason),
        // "It failed" is true of every reason; `motivo` has the reason.
        _ => refused,
    }
}

/// 202: not decided in time. `Location` has the route of the outcome, `detalhes` the cause if
/// known.
fn pending(tx: &TxId, late: Option<&Problem>) -> Response {
    let mut body = serde_json::json!({ "id": tx.as_str(), "status": "pendente" });
    if let Some(late) = late {
        body["detalhes"] = late.words(Lang::Pt).into();
    }
    let mut response = about(json(StatusCode::ACCEPTED, &body), tx);
    if let Ok(location) = HeaderValue::from_str(&format!("/transacoes/{tx}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
