//! What a route says when it does not do what was asked: always JSON, in words that name the thing.

use crate::late::Late;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consorcio_core::ids::TxId;
use consorcio_core::limits::HTTP_RETRY_AFTER_S;
use consorcio_core::wire::Reason;
use consorcio_panel::details::in_words;
use consorcio_panel::reasons;
use consorcio_panel::texts::{Lang, translated};
use serde::Serialize;
use std::borrow::Cow;

/// Each answer about a transaction carries its id in this header.
pub const TX_HEADER: HeaderName = HeaderName::from_static("x-transacao");

/// A request that was not done, or can't be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    body: Body,
    /// The words that `detalhes` tells in Portuguese.
    text: Box<str>,
    late: Option<Box<Late>>,
    /// The id that the request was given.
    tx: Option<Box<TxId>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Body {
    error: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    motivo: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detalhes: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Box<str>>,
}

impl Problem {
    /// Any problem.
    pub fn new(status: StatusCode, error: impl Into<Cow<'static, str>>) -> Problem {
        let body = Body { error: error.into(), motivo: None, detalhes: None, id: None };
        Problem { status, body, text: Box::default(), late: None, tx: None }
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

    /// The bank did not answer in time: 503, or 504 where it may still do what was asked.
    pub fn late(late: Late) -> Problem {
        let status = if late.may_be_done {
            StatusCode::GATEWAY_TIMEOUT
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        Problem { late: Some(Box::new(late)), ..Problem::new(status, late.words(Lang::Pt)) }
    }

    /// Did the bank not answer in time, so that it may still do what was asked?
    pub fn may_be_done(&self) -> bool {
        self.late.as_ref().is_some_and(|late| late.may_be_done)
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
        self.body.detalhes = (!text.is_empty()).then(|| in_words(Lang::Pt, text).into());
        self.text = text.into();
        self
    }

    /// With the transaction that it is about.
    pub fn about(mut self, tx: &TxId) -> Problem {
        self.body.id = Some(tx.as_str().into());
        self.tx = Some(Box::new(tx.clone()));
        self
    }

    /// The request was given this id, whatever came of it.
    pub fn under(mut self, tx: &TxId) -> Problem {
        self.tx.get_or_insert_with(|| Box::new(tx.clone()));
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What it says, in one text for a page.
    pub fn words(&self, lang: Lang) -> String {
        if let Some(late) = &self.late {
            return late.words(lang);
        }
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
        let mut response = json(self.status, &self.body);
        retry_later(&mut response);
        match &self.tx {
            Some(tx) => about(response, tx),
            None => response,
        }
    }
}

/// Says when to ask again, where `response` says that nothing can be told now.
pub fn retry_later(response: &mut Response) {
    if matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(HTTP_RETRY_AFTER_S));
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

/// `response` is about a transaction.
pub fn about(mut response: Response, tx: &TxId) -> Response {
    if let Ok(id) = HeaderValue::from_str(tx.as_str()) {
        response.headers_mut().insert(TX_HEADER, id);
    }
    response
}

/// The error of a refusal: the route's own `words` where they are true of this reason, which is
/// then one of `of`; else the reason's.
pub fn error_for(words: &'static str, of: &[Reason], reason: Reason) -> &'static str {
    if of.contains(&reason) { words } else { reasons::error(reason) }
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
        let refused =
            Problem::unavailable(Lang::Pt.texts().question_refused).with_details("no account 1");
        assert_eq!(refused.words(Lang::En), "The bank refused the question: no account 1");
        assert_eq!(refused.words(Lang::Pt), "O banco recusou a consulta: a conta 1 não existe");
    }
}
