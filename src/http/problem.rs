//! The response of a route to a request that it can't carry out: always JSON.

use crate::late::Late;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use consorcio_core::ids::TxId;
use consorcio_core::limits::HTTP_RETRY_AFTER_S;
use consorcio_core::wire::Reason;
use consorcio_panel::details::in_words;
use consorcio_panel::reasons;
use consorcio_panel::texts::{Lang, texts, translated};
use serde::Serialize;
use std::borrow::Cow;

/// Each response about a transaction has its id in this header.
pub(crate) const TX_HEADER: HeaderName = HeaderName::from_static("x-transacao");

/// Why a request was not carried out, or is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    body: Body,
    /// The original text that `detalhes` shows in Portuguese.
    text: Box<str>,
    late: Option<Box<Late>>,
    /// The id of the transaction that the request was for.
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
    /// A problem with this status and error.
    pub(crate) fn new(status: StatusCode, error: impl Into<Cow<'static, str>>) -> Problem {
        let body = Body { error: error.into(), motivo: None, detalhes: None, id: None };
        Problem { status, body, text: Box::default(), late: None, tx: None }
    }

    /// 400: the request is invalid; the error names the field.
    pub(crate) fn bad(error: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, error)
    }

    /// 400: the bank refused, with the error of the route and the reason of the protocol.
    pub(crate) fn refused(error: &'static str, reason: Reason) -> Problem {
        Problem::bad(error).because(reason)
    }

    /// 503: the process ends, or is too busy.
    pub(crate) fn unavailable(error: &'static str) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// The bank did not answer in time: 503, or 504 if it may still carry out the request.
    pub(crate) fn late(late: Late) -> Problem {
        let status = if late.may_be_done {
            StatusCode::GATEWAY_TIMEOUT
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        Problem { late: Some(Box::new(late)), ..Problem::new(status, late.words(Lang::Pt)) }
    }

    /// Did the bank not answer in time, and may it still carry out the request?
    pub(crate) fn may_be_done(&self) -> bool {
        self.late.as_ref().is_some_and(|late| late.may_be_done)
    }

    /// 503: the bank answered something that this program does not expect.
    pub(crate) fn unexpected(answer: &str) -> Problem {
        Problem::unavailable(texts(Lang::Pt).answer_unexpected).with_details(answer)
    }

    /// Adds the reason of the protocol. A right that is missing has a status of its own, 403.
    pub(crate) fn because(mut self, reason: Reason) -> Problem {
        self.body.motivo = Some(reason.as_str());
        if reason == Reason::NotAllowed {
            self.status = StatusCode::FORBIDDEN;
        }
        self
    }

    /// Adds details: a text of the bank, which is translated, or of the route.
    pub(crate) fn with_details(mut self, text: &str) -> Problem {
        self.body.detalhes = (!text.is_empty()).then(|| in_words(Lang::Pt, text).into());
        self.text = text.into();
        self
    }

    /// Adds the transaction, to the body and the header.
    pub(crate) fn about(mut self, tx: &TxId) -> Problem {
        self.body.id = Some(tx.as_str().into());
        self.tx = Some(Box::new(tx.clone()));
        self
    }

    /// Adds the id of the request to the header, unless one is there.
    pub(crate) fn under(mut self, tx: &TxId) -> Problem {
        self.tx.get_or_insert_with(|| Box::new(tx.clone()));
        self
    }

    /// The status of the response.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The error and its details as one text for a page.
    pub(crate) fn words(&self, lang: Lang) -> String {
        if let Some(late) = &self.late {
            return late.words(lang);
        }
        let error = translated(lang, &self.body.error);
        match in_words(lang, &self.text).as_str() {
            "" => error.to_owned(),
            details => format!("{error}: {details}"),
        }
    }

    /// The error without details.
    #[cfg(test)]
    pub(crate) fn error(&self) -> &str {
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

/// Adds `Retry-After` to a response with status 503 or 504.
pub(crate) fn retry_later(response: &mut Response) {
    if matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(HTTP_RETRY_AFTER_S));
    }
}

/// A response with a JSON body.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let text = serde_json::to_string(value).expect("answers are plain JSON");
    text_of(status, "application/json", text)
}

/// A response with a text body of this type.
pub(crate) fn text_of(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
    (status, headers, text).into_response()
}

/// Adds the id of a transaction to the header of `response`.
pub(crate) fn about(mut response: Response, tx: &TxId) -> Response {
    if let Ok(id) = HeaderValue::from_str(tx.as_str()) {
        response.headers_mut().insert(TX_HEADER, id);
    }
    response
}

/// The error of a refusal: `words`, the route's own, if the reason is one of `of`; else the
/// reason's.
pub(crate) fn error_for(words: &'static str, of: &[Reason], reason: Reason) -> &'static str {
    if of.contains(&reason) { words } else { reasons::error(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_given_parts() {
        let body = |problem: Problem| serde_json::to_string(&problem.body).unwrap();
        assert_eq!(body(Problem::bad("`valor`: falta")), r#"{"error":"`valor`: falta"}"#);
        let tx = TxId::new("t1").unwrap();
        let refused = Problem::refused("Crédito falhou", Reason::NotHolder).about(&tx);
        assert_eq!(body(refused), r#"{"error":"Crédito falhou","motivo":"not-holder","id":"t1"}"#);
        let refused =
            Problem::unavailable(texts(Lang::Pt).question_refused).with_details("no account 1");
        assert_eq!(refused.words(Lang::En), "The bank refused the question: no account 1");
        assert_eq!(refused.words(Lang::Pt), "O banco recusou a consulta: a conta 1 não existe");
    }
}
