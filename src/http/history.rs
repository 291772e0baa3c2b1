//! The routes `/historico` and `/pendentes`: outcomes in memory, and undecided transactions.

use crate::answers::read_page;
use crate::app::{App, unforeseen};
use crate::call::Requester;
use crate::fields::{TX_RULE, given_number};
use crate::list_permit::ListPermit;
use crate::problem::Problem;
use crate::reais::Reais;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::Response;
use consorcio_core::access::Privilege;
use consorcio_core::ids::{BankId, RegisterKey, RegisterValue, TaxId, TxId};
use consorcio_core::limits::{HTTP_PENDING_PAGE_MAX, TX_ID_BYTES_MAX};
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::{
    AnswerPage, HistoryAnswer, HistoryOutcome, InfoAnswer, OpAnswer, PendingAnswer,
};
use consorcio_core::wire::request::{Read, Request};
use consorcio_panel::texts::Lang;
use consorcio_panel::{details, reasons};
use serde::Serialize;
use std::borrow::Cow;
use std::net::SocketAddr;

/// The number of all outcomes; the list has only the newest ones.
const TOTAL_HEADER: HeaderName = HeaderName::from_static("x-total");

#[derive(Serialize)]
struct HistoryLine {
    status: &'static str,
    detalhes: String,
    transacao: Transacao,
}

#[derive(Serialize)]
struct Transacao {
    id: TxId,
    participantes: Vec<Participante>,
}

/// A participant of a transaction: one operation at one bank.
#[derive(Serialize)]
pub(crate) struct Participante {
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

/// `GET /historico`: outcomes, oldest first, then undecided transactions.
pub(crate) async fn history(
    State(app): State<App>,
    reader: Requester,
) -> Result<Response, Problem> {
    let permit = ListPermit::wait(&app).await?;
    // Undecided transactions are read first: one that is decided between the two reads is then
    // among the outcomes.
    let page = pending_page(&app, reader.peer, None, HTTP_PENDING_PAGE_MAX).await?;
    let (mut pending, next) = (page.items, page.next);
    pending.sort_by_key(|pending| pending.since);
    // Whoever sees only its own is told how many of those there are.
    let all = if app.sees_all(Privilege::History) {
        let info: InfoAnswer<'static> = app.read(reader.peer, Request::Read(Read::Info)).await?;
        Some(info.committed + info.aborted)
    } else {
        None
    };
    let mut events = events(&app, reader.peer).await?;
    let all = all.unwrap_or_else(|| u64::try_from(events.len()).unwrap_or(u64::MAX));
    events.reverse();
    let undecided =
        |pending: &PendingAnswer<'static>| !events.iter().any(|event| event.tx == pending.tx);
    let pending: Vec<HistoryLine> = pending.into_iter().filter(undecided).map(under_way).collect();
    let lines: Vec<HistoryLine> =
        events.into_iter().map(|event| ended(&app, event)).chain(pending).collect();
    let mut response = with_next(permit.json(&lines, &reader.slot), next.as_deref());
    response.headers_mut().insert(TOTAL_HEADER, HeaderValue::from(all));
    Ok(response)
}

/// `GET /pendentes`: the participants of each undecided transaction, by pages.
pub(crate) async fn pending(
    State(app): State<App>,
    reader: Requester,
    uri: Uri,
) -> Result<Response, Problem> {
    let permit = ListPermit::wait(&app).await?;
    let after = match query(&uri, "depois") {
        Some(after) => {
            Some(TxId::new(&after).map_err(|_| Problem::bad(format!("`depois` {TX_RULE}")))?)
        }
        None => None,
    };
    let page = pending_page(&app, reader.peer, after, HTTP_PENDING_PAGE_MAX).await?;
    let lists: Vec<_> = page.items.into_iter().map(|pending| participants(pending.ops)).collect();
    Ok(with_next(permit.json(&lists, &reader.slot), page.next.as_deref()))
}

/// Adds the `Link` (RFC 8288) to the next page of undecided transactions.
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

/// At most `most` undecided transactions after `after`, ordered by id. Ids that banks made are
/// ordered by age.
///
/// # Errors
/// 503 when the bank does not answer.
pub(crate) async fn pending_page(
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

/// The transaction `tx`, if it is undecided here.
///
/// # Errors
/// 503 when the bank does not answer.
pub(crate) async fn pending_one(
    app: &App,
    peer: SocketAddr,
    tx: &TxId,
) -> Result<Option<PendingAnswer<'static>>, Problem> {
    let page = pending_page(app, peer, before(tx), 1).await?;
    Ok(page.items.into_iter().find(|pending| *pending.tx == *tx))
}

/// The greatest id less than `tx`: the list after it begins with `tx`.
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

fn under_way(pending: PendingAnswer<'static>) -> HistoryLine {
    let detalhes = match pending.waiting_for.as_slice() {
        [] if pending.outside => "Transação em andamento: espera o coordenador externo".to_owned(),
        [] => "Transação em andamento".to_owned(),
        [bank] => format!("Transação em andamento: espera o banco {bank}"),
        banks => format!("Transação em andamento: espera os bancos {}", joined(banks)),
    };
    let transacao =
        Transacao { id: pending.tx.into_owned(), participantes: participants(pending.ops) };
    HistoryLine { status: "Andamento", detalhes, transacao }
}

fn joined(banks: &[BankId]) -> String {
    banks.iter().map(BankId::to_string).collect::<Vec<_>>().join(", ")
}

fn ended(app: &App, event: HistoryAnswer<'static>) -> HistoryLine {
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
        // Its driver or another bank asked to refuse it, or it timed out.
        (HistoryOutcome::Aborted, Some(reason @ (Reason::Refused | Reason::Expired))) => {
            ("Abortada", format!("Transação abortada{by}: {}", words(reason)))
        }
        (HistoryOutcome::Aborted, Some(reason)) => {
            ("Falha", format!("Transação falhou{by}: {}", words(reason)))
        }
        (HistoryOutcome::Aborted, None) => ("Abortada", format!("Transação abortada{by}")),
    };
    let transacao = Transacao { id: event.tx.into_owned(), participantes: participants(event.ops) };
    HistoryLine { status, detalhes, transacao }
}

/// A reason, and the words that the bank which refused had beside it.
pub(crate) fn refusal(reason: Reason, text: &str) -> String {
    let more = details::first_words(Lang::Pt, text);
    if more.is_empty() {
        reasons::phrase(reason).to_owned()
    } else {
        format!("{} ({more})", reasons::phrase(reason))
    }
}

/// The participants of a transaction; none if its operations are unknown.
pub(crate) fn participants(ops: Option<Vec<OpAnswer<'static>>>) -> Vec<Participante> {
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

/// The outcomes in memory, newest first.
///
/// # Errors
/// 503 when the bank does not answer.
pub(crate) async fn events(
    app: &App,
    peer: SocketAddr,
) -> Result<Vec<HistoryAnswer<'static>>, Problem> {
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
        /// No id lies between an id and the one before it.
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
