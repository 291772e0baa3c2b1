//! Responses with pages, and the formatting of times, CPFs and operations.

use crate::app::App;
use crate::pages::visit::Visit;
use crate::problem::{Problem, retry_later};
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consorcio_core::ids::{AccountNumber, BankId, RegisterKey, RegisterValue, Time};
use consorcio_core::money::{Money, Total};
use consorcio_core::wire::answer::{HistoryAnswer, OpAnswer};
use consorcio_panel::CONTENT_SECURITY_POLICY;
use consorcio_panel::frame::Page;
use consorcio_panel::pages::Failed;
use consorcio_panel::reasons;
use consorcio_panel::texts::{Lang, Texts};
use consorcio_panel::views::{LegView, TxRow, TxState};

/// The page, or the page of the problem.
pub(crate) fn page<T: Template>(result: Result<T, Problem>, app: &App, visit: &Visit) -> Response {
    match result {
        Ok(view) => html(StatusCode::OK, &view),
        Err(problem) => failed(&problem, app, visit),
    }
}

/// The page of a problem.
pub(crate) fn failed(problem: &Problem, app: &App, visit: &Visit) -> Response {
    let t = visit.t();
    let title =
        if problem.status() == StatusCode::NOT_FOUND { t.page_missing } else { t.went_wrong };
    let f = visit.bare_frame(app, Page::Home);
    let failed = Failed { f, title: title.to_owned(), words: problem.words(visit.lang) };
    let mut response = html(problem.status(), &failed);
    retry_later(&mut response);
    response
}

/// A response with this status and page.
pub(crate) fn html<T: Template>(status: StatusCode, view: &T) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let text = view.render().expect("the templates format only texts and numbers");
    (status, headers.map(|(name, value)| (name, HeaderValue::from_static(value))), text)
        .into_response()
}

/// A commit time to the second, in UTC.
pub(crate) fn when(lang: Lang, time: Time) -> String {
    format_time(
        time,
        match lang {
            Lang::Pt => "%d/%m/%Y %H:%M:%S UTC",
            Lang::En => "%Y-%m-%d %H:%M:%S UTC",
        },
    )
}

/// A commit time to the microsecond, in UTC.
pub(crate) fn exactly(lang: Lang, time: Time) -> String {
    format_time(
        time,
        match lang {
            Lang::Pt => "%d/%m/%Y %H:%M:%S%.6f UTC",
            Lang::En => "%Y-%m-%d %H:%M:%S%.6f UTC",
        },
    )
}

fn format_time(time: Time, form: &str) -> String {
    jiff::Timestamp::from_microsecond(time.0)
        .map_or_else(|_| format!("{} µs", time.0), |at| at.strftime(form).to_string())
}

/// A CPF or CNPJ with its dots.
pub(crate) fn tax_id(digits: &str) -> String {
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or("");
    match digits.len() {
        11 => format!("{}.{}.{}-{}", part(0, 3), part(3, 6), part(6, 9), part(9, 11)),
        14 => {
            format!("{}.{}.{}/{}-{}", part(0, 2), part(2, 5), part(5, 8), part(8, 12), part(12, 14))
        }
        _ => digits.to_owned(),
    }
}

/// The name of an operation.
pub(crate) fn op_words(lang: Lang, op: &str) -> &'static str {
    match (lang, op) {
        (Lang::Pt, "debit") => "débito",
        (Lang::Pt, "credit") => "crédito",
        (Lang::Pt, "deposit") => "depósito",
        (Lang::Pt, "withdraw") => "saque",
        (Lang::Pt, _) => "registro",
        (Lang::En, "debit") => "debit",
        (Lang::En, "credit") => "credit",
        (Lang::En, "deposit") => "deposit",
        (Lang::En, "withdraw") => "withdrawal",
        (Lang::En, _) => "register",
    }
}

/// Does the operation take money from its account?
pub(crate) fn takes(op: &OpAnswer<'_>) -> bool {
    matches!(&*op.op, "debit" | "withdraw")
}

/// The change of the balance by an operation: negative if it takes money.
pub(crate) fn change(op: &OpAnswer<'_>) -> Option<Total> {
    let amount = op.amount?.wide();
    Some(Total(if takes(op) { -amount } else { amount }))
}

fn account<'a>(op: &'a OpAnswer<'_>) -> Option<&'a str> {
    op.account.as_deref().map(AccountNumber::as_str)
}

fn key<'a>(op: &'a OpAnswer<'_>) -> Option<&'a str> {
    op.key.as_deref().map(RegisterKey::as_str)
}

fn value<'a>(op: &'a OpAnswer<'_>) -> Option<&'a str> {
    op.value.as_deref().map(RegisterValue::as_str)
}

/// The operations as rows of a table.
pub(crate) fn legs(app: &App, lang: Lang, ops: &[OpAnswer<'_>]) -> Vec<LegView> {
    let leg = |op: &OpAnswer<'_>| LegView {
        bank: op.bank.as_u8(),
        address: app.places().get(op.bank.index()).cloned().unwrap_or_default(),
        what: op_words(lang, &op.op),
        on: account(op).or(key(op)).unwrap_or_default().to_owned(),
        cpf: op.cpf.as_deref().map(|cpf| tax_id(cpf.as_str())),
        amount: change(op),
        value: value(op).map(str::to_owned),
    };
    ops.iter().map(leg).collect()
}

/// The amount that moves: all debits and withdrawals, or if there are none, all credits and
/// deposits.
pub(crate) fn moved(ops: &[OpAnswer<'_>]) -> Option<Total> {
    let sum = |taking: bool| -> i128 {
        let of = ops.iter().filter(|op| takes(op) == taking);
        of.filter_map(|op| op.amount).map(Money::wide).sum()
    };
    let taken = sum(true);
    let moved = if taken > 0 { taken } else { sum(false) };
    (moved > 0).then_some(Total(moved))
}

/// A short form of the transaction: the accounts that pay, and those that receive.
pub(crate) fn summary(ops: &[OpAnswer<'_>]) -> String {
    let side = |taking: bool| {
        let of = ops.iter().filter(|op| op.account.is_some() && takes(op) == taking);
        let name = |op: &OpAnswer<'_>| format!("{}/{}", op.bank, account(op).unwrap_or(""));
        of.map(name).collect::<Vec<_>>().join(" + ")
    };
    let (from, to) = (side(true), side(false));
    let register = ops.iter().find_map(|op| Some(format!("{} = {}", key(op)?, value(op)?)));
    match (from.is_empty(), to.is_empty()) {
        (false, false) => format!("{from} → {to}"),
        (false, true) => format!("{from} →"),
        (true, false) => format!("→ {to}"),
        (true, true) => register.unwrap_or_default(),
    }
}

/// A decided transaction as a row.
pub(crate) fn event_row(lang: Lang, event: &HistoryAnswer<'_>) -> TxRow {
    let ops = event.ops.as_deref().unwrap_or_default();
    let reason = event.reason();
    TxRow {
        tx: event.tx.to_string(),
        when: when(lang, event.time),
        state: if event.is_committed() { TxState::Committed } else { TxState::Aborted },
        reason: reason.map(|reason| reasons::sentence(lang, reason)),
        summary: summary(ops),
        amount: moved(ops),
    }
}

/// A bank by position and address.
pub(crate) fn bank_name(app: &App, t: &Texts, bank: BankId) -> String {
    let address = app.places().get(bank.index()).map_or("", String::as_str);
    format!("{} {bank} ({address})", t.bank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn op(bank: usize, word: &'static str, account: &str, amount: i64) -> OpAnswer<'static> {
        OpAnswer {
            bank: BankId::new(bank).unwrap(),
            op: word.into(),
            account: AccountNumber::new(account).ok().map(Cow::Owned),
            cpf: None,
            amount: Some(Money(amount)),
            key: None,
            value: None,
        }
    }

    #[test]
    fn a_summary_has_accounts_and_amount() {
        let transfer = [op(0, "debit", "1", 20), op(1, "debit", "2", 30), op(2, "credit", "3", 50)];
        assert_eq!(
            (summary(&transfer).as_str(), moved(&transfer)),
            ("0/1 + 1/2 → 2/3", Some(Total(50)))
        );
        let deposit = [op(0, "deposit", "1", 7)];
        assert_eq!((summary(&deposit).as_str(), moved(&deposit)), ("→ 0/1", Some(Total(7))));
        let set = [OpAnswer {
            account: None,
            amount: None,
            key: RegisterKey::new("storage").ok().map(Cow::Owned),
            value: RegisterValue::new("42").ok().map(Cow::Owned),
            ..op(0, "set", "", 0)
        }];
        assert_eq!((summary(&set).as_str(), moved(&set)), ("storage = 42", None));
        assert_eq!(summary(&[]), "");
    }

    #[test]
    fn times_and_cpfs_are_formatted() {
        assert_eq!(when(Lang::Pt, Time(1_795_330_028_810_507)), "22/11/2026 06:47:08 UTC");
        assert_eq!(
            exactly(Lang::En, Time(1_795_330_028_810_507)),
            "2026-11-22 06:47:08.810507 UTC"
        );
        assert_eq!(tax_id("12345678900"), "123.456.789-00");
        assert_eq!(tax_id("12345678000199"), "12.345.678/0001-99");
        assert_eq!(tax_id("x"), "x");
    }
}
