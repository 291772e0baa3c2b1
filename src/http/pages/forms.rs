//! Submitted forms: their fields as typed, and the error of each.

use crate::app::App;
use crate::call::{body_within, peer};
use crate::fields;
use crate::pages::show::failed;
use crate::pages::visit::{Visit, pairs};
use crate::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consorcio_core::ids::{AccountNumber, TaxId};
use consorcio_core::money::Money;
use consorcio_panel::texts::Texts;
use consorcio_panel::views::FormField;
use std::net::SocketAddr;

/// The route of the form to log in.
pub(crate) const LOG_IN_PATH: &str = "/painel/entrar";

/// The fields of a submitted form.
#[derive(Debug)]
pub(crate) struct SentForm {
    /// The address of the client.
    pub peer: SocketAddr,
    /// The request that submitted it.
    pub visit: Visit,
    fields: Vec<(String, String)>,
}

impl FromRequest<App> for SentForm {
    type Rejection = BadForm;

    async fn from_request(request: Request, app: &App) -> Result<SentForm, BadForm> {
        let (mut parts, body) = request.into_parts();
        let Ok(visit) = Visit::from_request_parts(&mut parts, app).await;
        if !is_form(&parts.headers) {
            let error =
                "O corpo deve ser um formulário: Content-Type: application/x-www-form-urlencoded";
            return Err(BadForm {
                visit,
                problem: Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error),
            });
        }
        match body_within(body, app).await {
            Ok(bytes) => {
                let form = SentForm { peer: peer(&parts), visit, fields: pairs(&bytes) };
                // The form to log in has a token of its own.
                if parts.uri.path() == LOG_IN_PATH || app.is_own_form(form.text("sessao")) {
                    return Ok(form);
                }
                let problem = Problem::new(StatusCode::FORBIDDEN, form.visit.t().log_in_again);
                Err(BadForm { visit: form.visit, problem })
            }
            Err(problem) => Err(BadForm { visit, problem }),
        }
    }
}

/// A form that could not be read, and its request.
#[derive(Debug)]
pub(crate) struct BadForm {
    visit: Visit,
    problem: Problem,
}

impl BadForm {
    /// The page with the error.
    pub(crate) fn page(self, app: &App) -> Response {
        failed(&self.problem, app, &self.visit)
    }
}

impl IntoResponse for BadForm {
    fn into_response(self) -> Response {
        self.problem.into_response()
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let given =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = given.split(';').next().unwrap_or("").trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

impl SentForm {
    /// The trimmed text of the field `name`; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// The text of the field `name` as it was sent; empty if there is none.
    pub(crate) fn whole(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The trimmed texts of all fields `name`, in their order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The field `name` for showing it again.
    pub(crate) fn field(&self, name: &str) -> FormField {
        FormField::of(self.text(name))
    }
}

/// Parses a CPF or CNPJ as people type it; sets the field's error if it is not legal.
pub(crate) fn cpf(field: &mut FormField, t: &Texts) -> Option<TaxId> {
    let digits: String =
        field.value.chars().filter(|c| !matches!(c, '.' | '-' | '/' | ' ')).collect();
    let digits = digits.to_ascii_uppercase();
    or_error(
        field,
        fields::cpf(&digits),
        if digits.is_empty() { t.field_required } else { t.field_cpf },
    )
}

/// Parses an account number; sets the field's error if it is not legal.
pub(crate) fn number(field: &mut FormField, t: &Texts) -> Option<AccountNumber> {
    let number = fields::number(&field.value);
    let error = if field.value.is_empty() { t.field_required } else { t.field_number };
    or_error(field, number, error)
}

/// Parses an amount above zero as people type it; sets the field's error if it is not legal.
pub(crate) fn amount(field: &mut FormField, t: &Texts) -> Option<Money> {
    if field.value.is_empty() {
        return or_error(field, None, t.field_required);
    }
    match field.value.parse::<Money>() {
        Ok(Money::ZERO) => or_error(field, None, t.field_amount_positive),
        amount => or_error(field, amount.ok(), t.field_amount),
    }
}

/// Parses an amount; an empty field is zero. Sets the field's error if it is not legal.
pub(crate) fn amount_or_zero(field: &mut FormField, t: &Texts) -> Option<Money> {
    if field.value.is_empty() {
        return Some(Money::ZERO);
    }
    let amount = field.value.parse::<Money>().ok();
    or_error(field, amount, t.field_amount)
}

fn or_error<T>(field: &mut FormField, value: Option<T>, error: &str) -> Option<T> {
    if value.is_none() {
        field.error = Some(error.to_owned());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_panel::texts::{Lang, texts};

    #[test]
    fn an_invalid_field_gets_its_error() {
        let t = texts(Lang::Pt);
        let mut field = FormField::of("123.456.789-00");
        assert_eq!(cpf(&mut field, t).unwrap().as_str(), "12345678900");
        assert!(field.error.is_none());
        for company in ["12.abc.345/01de-35", "12ABC34501DE35"] {
            assert_eq!(cpf(&mut FormField::of(company), t).unwrap().as_str(), "12ABC34501DE35");
        }
        for (typed, error) in
            [("", t.field_required), ("123", t.field_cpf), ("1234567890x", t.field_cpf)]
        {
            let mut field = FormField::of(typed);
            assert!(cpf(&mut field, t).is_none());
            assert_eq!(field.error.as_deref(), Some(error), "{typed}");
        }
        for (typed, error) in [
            ("", t.field_required),
            ("0,00", t.field_amount_positive),
            ("-1", t.field_amount),
            ("1,234", t.field_amount),
            ("x", t.field_amount),
        ] {
            let mut field = FormField::of(typed);
            assert!(amount(&mut field, t).is_none());
            assert_eq!(field.error.as_deref(), Some(error), "{typed}");
        }
        assert_eq!(amount(&mut FormField::of("1.234,56"), t), Some(Money(123_456)));
        assert_eq!(amount_or_zero(&mut FormField::of(""), t), Some(Money::ZERO));
    }
}
