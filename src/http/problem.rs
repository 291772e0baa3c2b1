//! What a route says when it does not do what was asked: always JSON, in words that name the thing.

use crate::ids::TxId;
use crate::panel::details::in_words;
use crate::panel::texts::{Lang, translated};
use crate::wire::Reason;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::borrow::Cow;

/// A request that was not done, or can't be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    body: Body,
    /// The words that `detalhes` tells in Portuguese.
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Body {
    error: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    motivo: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detalhes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl Problem {
    /// Any problem.
    pub fn new(status: StatusCode, error: impl Into<Cow<'static, str>>) -> Problem {
        let body = Body { error: error.into(), motivo: None, detalhes: None, id: None };
        Problem { status, body, text: String::new() }
    }

    /// The request is wrong: 400, in words that name the field.
    pub fn bad(error: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, error)
    }

    /// The bank refused: 400 with the route's own words, and the protocol's reason beside them.
    pub fn refused(error: &'static str, reason: Reason) -> Problem {
        Problem::bad(error).because(reason)
    }

    /// The process ends, or is too busy to take part: 503.
    pub fn unavailable(error: &'static str) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// The bank answered what this program does not expect; it names the answer.
    pub fn unexpected(what: &str) -> Problem {
        Problem::unavailable(Lang::Pt.texts().answer_unexpected).with_details(what)
    }

    /// With the protocol's reason.
    pub fn because(mut self, reason: Reason) -> Problem {
        self.body.motivo = Some(reason.as_str());
        self
    }

    /// With more words: a bank's, which are told in Portuguese, or the route's own.
    pub fn with_details(mut self, text: &str) -> Problem {
        self.body.detalhes = (!text.is_empty()).then(|| in_words(Lang::Pt, text));
        text.clone_into(&mut self.text);
        self
    }

    /// With the transaction that it is about.
    pub fn about(mut self, tx: &TxId) -> Problem {
        self.body.id = Some(tx.as_str().to_owned());
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What it says, in one text for a page.
    pub fn words(&self, lang: Lang) -> String {
        let error = translated(lang, &self.body.error);
        match in_words(lang, &self.text).as_str() {
            "" => error.to_owned(),
            details => format!("{error}: {details}"),
        }
    }

    /// What it says.
    #[cfg(test)]
    pub fn error(&self) -> &str {
        &self.body.error
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        json(self.status, &self.body)
    }
}

/// A response of JSON.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let text = serde_json::to_string(value).expect("answers are plain JSON");
    text_of(status, "application/json", text)
}

/// A response of text of this type.
pub fn text_of(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
    (status, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_has() {
        let body = |problem: Problem| serde_json::to_string(&problem.body).unwrap();
        assert_eq!(body(Problem::bad("`valor`: falta")), r#"{"error":"`valor`: falta"}"#);
        let tx = TxId::new("t1").unwrap();
        let refused = Problem::refused("Crédito falhou", Reason::NotHolder).about(&tx);
        assert_eq!(body(refused), r#"{"error":"Crédito falhou","motivo":"not-holder","id":"t1"}"#);
        let refused = Problem::unavailable(Lang::Pt.texts().question_refused).with_details("no account 1");
        assert_eq!(refused.words(Lang::En), "The bank refused the question: no account 1");
        assert_eq!(refused.words(Lang::Pt), "O banco recusou a consulta: a conta 1 não existe");
    }
}
