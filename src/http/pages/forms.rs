//! A form that was sent: its fields as typed, and what can be wrong with each, in words.

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
use consorcio_panel::views::Field;
use std::net::SocketAddr;

/// A form that was sent.
#[derive(Debug)]
pub struct Form {
    /// The other end.
    pub peer: SocketAddr,
    /// Who sends it.
    pub visit: Visit,
    fields: Vec<(String, String)>,
}

impl FromRequest<App> for Form {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &App) -> Result<Form, Refused> {
        let (mut parts, body) = request.into_parts();
        let Ok(visit) = Visit::from_request_parts(&mut parts, app).await;
        if !is_form(&parts.headers) {
            let error =
                "O corpo deve ser um formulário: Content-Type: application/x-www-form-urlencoded";
            return Err(Refused {
                visit,
                problem: Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error),
            });
        }
        match body_within(body, app).await {
            Ok(bytes) => Ok(Form { peer: peer(&parts), visit, fields: pairs(&bytes) }),
            Err(problem) => Err(Refused { visit, problem }),
        }
    }
}

/// A form that could not be read, and who sent it.
#[derive(Debug)]
pub struct Refused {
    visit: Visit,
    problem: Problem,
}

impl Refused {
    /// The page that says so.
    pub fn page(self, app: &App) -> Response {
        failed(&self.problem, app, &self.visit)
    }
}

impl IntoResponse for Refused {
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

impl Form {
    /// What was typed into `name`, without the space around it; empty where nothing was.
    pub fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// All that was typed into fields of that name, in their order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The field `name` as it was typed.
    pub fn field(&self, name: &str) -> Field {
        Field::of(self.text(name))
    }
}

/// Reads a CPF or CNPJ as people type it, and tells the field where it is none.
pub fn cpf(field: &mut Field, t: &Texts) -> Option<TaxId> {
    let digits: String =
        field.value.chars().filter(|c| !matches!(c, '.' | '-' | '/' | ' ')).collect();
    let digits = digits.to_ascii_uppercase();
    told(
        field,
        fields::cpf(&digits),
        if digits.is_empty() { t.field_required } else { t.field_cpf },
    )
}

/// Reads an account's number, and tells the field where it is none.
pub fn number(field: &mut Field, t: &Texts) -> Option<AccountNumber> {
    let number = fields::number(&field.value);
    let error = if field.value.is_empty() { t.field_required } else { t.field_number };
    told(field, number, error)
}

/// Reads an amount above zero as people type it, and tells the field where it is none.
pub fn amount(field: &mut Field, t: &Texts) -> Option<Money> {
    if field.value.is_empty() {
        return told(field, None, t.field_required);
    }
    match field.value.parse::<Money>() {
        Ok(Money::ZERO) => told(field, None, t.field_amount_positive),
        amount => told(field, amount.ok(), t.field_amount),
    }
}

/// Reads an amount that may be left empty, which is zero.
pub fn amount_or_zero(field: &mut Field, t: &Texts) -> Option<Money> {
    if field.value.is_empty() {
        return Some(Money::ZERO);
    }
    let amount = field.value.parse::<Money>().ok();
    told(field, amount, t.field_amount)
}

fn told<T>(field: &mut Field, value: Option<T>, error: &str) -> Option<T> {
    if value.is_none() {
        field.error = Some(error.to_owned());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_panel::texts::Lang;

    #[test]
    fn fields_say_what_is_wrong_with_them() {
        let t = Lang::Pt.texts();
        let mut field = Field::of("123.456.789-00");
        assert_eq!(cpf(&mut field, t).unwrap().as_str(), "12345678900");
        assert!(field.error.is_none());
        for company in ["12.abc.345/01de-35", "12ABC34501DE35"] {
            assert_eq!(cpf(&mut Field::of(company), t).unwrap().as_str(), "12ABC34501DE35");
        }
        for (typed, error) in
            [("", t.field_required), ("123", t.field_cpf), ("1234567890x", t.field_cpf)]
        {
            let mut field = Field::of(typed);
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
            let mut field = Field::of(typed);
            assert!(amount(&mut field, t).is_none());
            assert_eq!(field.error.as_deref(), Some(error), "{typed}");
        }
        assert_eq!(amount(&mut Field::of("1.234,56"), t), Some(Money(123_456)));
        assert_eq!(amount_or_zero(&mut Field::of(""), t), Some(Money::ZERO));
    }
}
