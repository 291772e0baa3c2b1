//! What became of transactions: all that this bank remembers, those that are undecided, and a
//! single one.

use crate::answers::read_page;
use crate::app::{App, unforeseen};
use crate::call::Reader;
use crate::fields::{TX_RULE, given_number};
use crate::key::Key;
use crate::lines;
use crate::list_permit::ListPermit;
use crate::moves::about;
use crate::problem::{Problem, json};
use crate::reais::Reais;
use crate::timeline;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use consorcio_core::ids::{BankId, RegisterKey, RegisterValue, TaxId, Time, TxId};
use consorcio_core::limits::{HTTP_PENDING_PAGE_MAX, TX_ID_BYTES_MAX};
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::{
    AnswerPage, HistoryAnswer, HistoryOutcome, InfoAnswer, OpAnswer, PendingAnswer,
};
use consorcio_core::wire::claims::{self, Claim, Refusal};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Read, Request};
use consorcio_core::wire::token::Digest;
use consorcio_panel::details;
use consorcio_panel::texts::Lang;
use serde::Serialize;
use std::borrow::Cow;
use std::net::SocketAddr;

/// How many outcomes the bank has, also where it lists its newest only.
const TOTAL_HEADER: HeaderName = HeaderName::from_static("x-total");

#[derive(Serialize)]
struct Line {
    status: &'static str,
    detalhes: String,
    transacao: Transacao,
}

#[derive(Serialize)]
struct Transacao {
    id: TxId,
    participantes: Vec<Participante>,
}

/// A part of a transaction: one operation at one bank.
#[derive(Serialize)]
struct Participante {
    banco: BankId,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpf: Option<TaxId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    numero: Option<String>,
    operacao: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    valor: Option<Reais>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chave: Option<RegisterKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conteudo: Option<RegisterValue>,
}

/// `GET /historico`: oldest first; what is undecided is the newest.
pub async fn history(State(app): State<App>, reader: Reader) -> Result<Response, Problem> {
    let turn = ListPermit::wait(&app).await?;
    // Undecided ones first: one that is decided between the two questions is then among the
    // outcomes, too.
    let page = pending_page(&app, reader.peer, None, HTTP_PENDING_PAGE_MAX).await?;
    let (mut pending, next) = (page.items, page.next);
    pending.sort_by_key(|pending| pending.since);
    let info: InfoAnswer<'static> = app.read(reader.peer, Request::Read(Read::Info)).await?;
    let mut events = events(&app, reader.peer).await?;
    events.reverse();
    let undecided =
        |pending: &PendingAnswer<'static>| !events.iter().any(|event| event.tx == pending.tx);
    let pending: Vec<Line> = pending.into_iter().filter(undecided).map(under_way).collect();
    let lines: Vec<Line> =
        events.into_iter().map(|event| ended(&app, event)).chain(pending).collect();
    let mut response = with_next(turn.json(&lines, &reader.place), next.as_deref());
    // How many outcomes there are, of which the newest stand in the list.
    response.headers_mut().insert(TOTAL_HEADER, HeaderValue::from(info.committed + info.aborted));
    Ok(response)
}

/// `GET /pendentes`: the participants of each undecided transaction, one page of them.
pub async fn pending(
    State(app): State<App>,
    reader: Reader,
    uri: Uri,
) -> Result<Response, Problem> {
    let turn = ListPermit::wait(&app).await?;
    let after = match query(&uri, "depois") {
        Some(after) => {
            Some(TxId::new(&after).map_err(|_| Problem::bad(format!("`depois` {TX_RULE}")))?)
        }
        None => None,
    };
    let page = pending_page(&app, reader.peer, after, HTTP_PENDING_PAGE_MAX).await?;
    let lists: Vec<_> = page.items.into_iter().map(|pending| participants(pending.ops)).collect();
    Ok(with_next(turn.json(&lists, &reader.place), page.next.as_deref()))
}

/// Where the next page of undecided transactions is, as RFC 8288 has it.
fn with_next(mut response: Response, next: Option<&str>) -> Response {
    let link = next.and_then(|next| {
        HeaderValue::from_str(&format!("</pendentes?depois={next}>; rel=\"next\"")).ok()
    });
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

fn query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
    pairs.into_owned().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// At most `most` undecided transactions behind `after`, in the order of their ids, which is that
/// of their age where a bank made them.
///
/// # Errors
/// 503.
pub async fn pending_page(
    app: &App,
    peer: SocketAddr,
    after: Option<TxId>,
    most: usize,
) -> Result<AnswerPage<PendingAnswer<'static>>, Problem> {
    let (mut items, mut after): (Vec<PendingAnswer<'static>>, _) = (Vec::new(), after);
    loop {
        let json = app.done(peer, Request::Read(Read::Pending { after }), unforeseen).await?;
        let page = read_page(&json)?;
        items.extend(page.items);
        if items.len() > most {
            items.truncate(most);
            let next = items.last().map(|last| last.tx.to_string());
            return Ok(AnswerPage { items, next });
        }
        match page.next {
            Some(_) if items.len() == most => return Ok(AnswerPage { items, next: page.next }),
            Some(next) => after = tx_key(Some(next))?,
            None => return Ok(AnswerPage { items, next: None }),
        }
    }
}

/// The undecided transaction `tx`, if it is one here.
///
/// # Errors
/// 503.
pub async fn pending_one(
    app: &App,
    peer: SocketAddr,
    tx: &TxId,
) -> Result<Option<PendingAnswer<'static>>, Problem> {
    let page = pending_page(app, peer, before(tx), 1).await?;
    Ok(page.items.into_iter().find(|pending| *pending.tx == *tx))
}

/// The greatest id that is less than `tx`, so that a list which begins behind it begins with `tx`.
fn before(tx: &TxId) -> Option<TxId> {
    const LETTERS: &[u8] = b"-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    let (rest, last) = tx.as_str().split_at(tx.as_str().len() - 1);
    let at = LETTERS.iter().position(|letter| last.as_bytes() == [*letter])?;
    let Some(lower) = at.checked_sub(1).map(|at| char::from(LETTERS[at])) else {
        return TxId::new(rest).ok();
    };
    let filled = TX_ID_BYTES_MAX - rest.len() - 1;
    TxId::new(&format!("{rest}{lower}{}", "z".repeat(filled))).ok()
}

fn tx_key(after: Option<String>) -> Result<Option<TxId>, Problem> {
    let read =
        |after: String| TxId::new(&after).map_err(|error| Problem::unexpected(&error.to_string()));
    after.map(read).transpose()
}

fn under_way(pending: PendingAnswer<'static>) -> Line {
    let waits = match pending.waiting_for.as_slice() {
        [] if pending.outside => "Transação em andamento: espera o coordenador externo".to_owned(),
        [] => "Transação em andamento".to_owned(),
        [bank] => format!("Transação em andamento: espera o banco {bank}"),
        banks => format!("Transação em andamento: espera os bancos {}", joined(banks)),
    };
    let transacao =
        Transacao { id: pending.tx.into_owned(), participantes: participants(pending.ops) };
    Line { status: "Andamento", detalhes: waits, transacao }
}

fn joined(banks: &[BankId]) -> String {
    banks.iter().map(BankId::to_string).collect::<Vec<_>>().join(", ")
}

fn ended(app: &App, event: HistoryAnswer<'static>) -> Line {
    let reason = event.reason();
    let by = match event.by {
        Some(bank) if bank == app.bank() => " neste banco".to_owned(),
        Some(bank) => format!(" no banco {bank}"),
        None if event.outside => " pelo coordenador externo".to_owned(),
        None => String::new(),
    };
    let words = |reason: Reason| refusal(reason, &event.text);
    let (status, detalhes) = match (event.outcome, reason) {
        (HistoryOutcome::Committed, _) if event.driven => {
            ("Sucesso", "Transação completada com sucesso".to_owned())
        }
        (HistoryOutcome::Committed, _) => {
            ("Completada", "Transação completada e removida das pendências".to_owned())
        }
        // Somebody asked to refuse it, or nobody finished it in time.
        (HistoryOutcome::Aborted, Some(reason @ (Reason::Refused | Reason::Expired))) => {
            ("Abortada", format!("Transação abortada{by}: {}", words(reason)))
        }
        (HistoryOutcome::Aborted, Some(reason)) => {
            ("Falha", format!("Transação falhou{by}: {}", words(reason)))
        }
        (HistoryOutcome::Aborted, None) => ("Abortada", format!("Transação abortada{by}")),
    };
    let transacao = Transacao { id: event.tx.into_owned(), participantes: participants(event.ops) };
    Line { status, detalhes, transacao }
}

/// A reason, and the words that the bank which refused had beside it.
fn refusal(reason: Reason, text: &str) -> String {
    let more = details::first_words(Lang::Pt, text);
    if more.is_empty() {
        in_words(reason).to_owned()
    } else {
        format!("{} ({more})", in_words(reason))
    }
}

/// `words` where they are true of this reason, which is then one of `of`; else the reason in words.
pub fn cause(words: &'static str, of: &[Reason], reason: Reason) -> &'static str {
    if of.contains(&reason) {
        return words;
    }
    match reason {
        Reason::InsufficientFunds => "Saldo insuficiente",
        Reason::UnknownAccount => "Conta não encontrada",
        Reason::UnknownClient => "Cliente não encontrado",
        Reason::NotHolder => "O CPF não é titular da conta",
        Reason::Locked => "O registro espera outra transação; tente de novo",
        Reason::Unbalanced => "Débitos e créditos não batem",
        Reason::DuplicateId => "O id já foi usado por outra transação",
        Reason::AlreadyExists => "Já existe",
        Reason::Malformed => "Pedido malformado",
        Reason::Limit => "Passa de um limite, ou o banco está ocupado",
        Reason::Expired => "O tempo acabou; tente de novo",
        Reason::Refused => "Recusada a pedido",
        Reason::Unreachable => "Um banco não pôde ser alcançado; tente de novo",
        Reason::NotIntroduced => "O banco ainda trabalha sozinho; nada foi registrado",
        Reason::DiskFull => "O disco do banco está cheio; nada foi registrado",
        Reason::Unreadable => "O que o banco registrou deste id não pode ser lido agora",
    }
}

/// A reason in the words of the people who use the routes.
pub fn in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::InsufficientFunds => "saldo insuficiente",
        Reason::UnknownAccount => "conta não encontrada",
        Reason::UnknownClient => "cliente não encontrado",
        Reason::NotHolder => "o CPF não é titular da conta",
        Reason::Locked => "o registro espera outra transação",
        Reason::Unbalanced => "débitos e créditos não batem",
        Reason::DuplicateId => "o id já foi usado por outra transação",
        Reason::AlreadyExists => "já existe",
        Reason::Malformed => "pedido malformado",
        Reason::Limit => "passa de um limite, ou o banco está ocupado",
        Reason::Expired => "o tempo acabou",
        Reason::Refused => "recusada a pedido",
        Reason::Unreachable => "um banco não pôde ser alcançado",
        Reason::NotIntroduced => "o banco ainda trabalha sozinho",
        Reason::DiskFull => "o disco do banco está cheio",
        Reason::Unreadable => "o que o banco registrou deste id não pode ser lido agora",
    }
}

fn participants(ops: Option<Vec<OpAnswer<'static>>>) -> Vec<Participante> {
    ops.unwrap_or_default().into_iter().map(participant).collect()
}

fn participant(op: OpAnswer<'static>) -> Participante {
    let operacao = match &*op.op {
        "debit" => "débito",
        "credit" => "crédito",
        "deposit" => "depósito",
        "withdraw" => "saque",
        _ => "registro",
    };
    Participante {
        banco: op.bank,
        cpf: op.cpf.map(Cow::into_owned),
        numero: op.account.map(|number| given_number(number.to_string())),
        operacao,
        valor: op.amount.map(Reais),
        chave: op.key.map(Cow::into_owned),
        conteudo: op.value.map(Cow::into_owned),
    }
}

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
        let problem = Problem::unavailable(cause("", &[], reason)).because(reason);
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
                detalhes: Some(in_words(*reason).to_owned()),
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
    let step = |event: &consorcio_steps::trace::Event| Passo {
        us: event.at_us,
        no: timeline.name(event.lane).to_owned(),
        passo: event.event.clone(),
        detalhes: event.detail.clone(),
    };
    outcome.passos = Some(shown.map(step).collect());
    Ok(())
}

/// The outcomes that this bank remembers, newest first.
async fn events(app: &App, peer: SocketAddr) -> Result<Vec<HistoryAnswer<'static>>, Problem> {
    let request = |after: Option<String>| {
        Ok(Request::Read(Read::History { count: None, after: tx_key(after)? }))
    };
    app.list(peer, request, unforeseen).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Nothing lies between an id and the one before it.
        #[test]
        fn a_list_behind_the_id_before_begins_with_the_id(
            tx in "[-A-Za-z0-9._]{1,64}",
            other in "[-A-Za-z0-9._]{1,64}",
        ) {
            let (tx, other) = (TxId::new(&tx).unwrap(), TxId::new(&other).unwrap());
            let before = before(&tx);
            prop_assert!(before.as_ref().is_none_or(|before| *before < tx));
            prop_assert!(other >= tx || before.is_some_and(|before| other <= before));
        }
    }

    #[test]
    fn the_id_before() {
        let of = |tx: &str| before(&TxId::new(tx).unwrap()).map(|tx| tx.to_string());
        assert_eq!(of("-"), None);
        assert_eq!(of("a-"), Some("a".to_owned()));
        assert_eq!(of("a0"), Some(format!("a.{}", "z".repeat(62))));
    }
}
