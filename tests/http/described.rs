//! Validates responses against `/openapi.json`: the status, and the JSON of the body.
//!
//! The schemas are closed for the check: a field that is not described is a fault, as is one of
//! another type.

use crate::http::client::HttpResponse;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

const DOCUMENT: &str = include_str!("../../src/http/openapi.json");

static DESCRIBED: LazyLock<Value> =
    LazyLock::new(|| closed(serde_json::from_str(DOCUMENT).unwrap()));

/// `schema`, with `additionalProperties` forbidden.
fn closed(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let names_fields = fields.get("properties").is_some_and(Value::is_object)
                && !fields.contains_key("additionalProperties");
            let mut fields: Map<String, Value> =
                fields.into_iter().map(|(name, value)| (name, closed(value))).collect();
            if names_fields {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            Value::Object(fields)
        }
        Value::Array(items) => items.into_iter().map(closed).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

/// The path template that `path` matches.
fn described_path(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or(path);
    let fits = |described: &str| {
        let (mut parts, mut given) = (described.split('/'), path.split('/'));
        loop {
            match (parts.next(), given.next()) {
                (None, None) => return true,
                (Some(part), Some(given)) if part.starts_with('{') && !given.is_empty() => {}
                (Some(part), Some(given)) if part == given => {}
                _ => return false,
            }
        }
    };
    DESCRIBED["paths"].as_object().unwrap().keys().map(String::as_str).find(|path| fits(path))
}

/// The faults of a response; none if its route is not described.
pub fn faults(method: &str, path: &str, answer: &HttpResponse) -> Vec<String> {
    let Some(route) = described_path(path) else { return Vec::new() };
    let Some(described) = DESCRIBED["paths"][route].get(method.to_ascii_lowercase()) else {
        return Vec::new();
    };
    // Error pages for browsers are not described.
    if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
        return Vec::new();
    }
    let request = format!("{method} {path}");
    let Some(response) = described["responses"].get(answer.status.to_string()) else {
        return vec![format!("{request}: status {} is not described", answer.status)];
    };
    let schema = response.pointer("/content/application~1json/schema");
    let body = (answer.header("content-type") == Some("application/json")).then(|| answer.json());
    let (schema, body) = match (schema, body) {
        (Some(schema), Some(body)) => (schema, body),
        (None, None) => return Vec::new(),
        (Some(_), None) => {
            return vec![format!("{request}: JSON is described, but the response has none")];
        }
        (None, Some(_)) => {
            return vec![format!("{request}: the response has JSON that is not described")];
        }
    };
    let mut whole = json!({ "components": DESCRIBED["components"] });
    whole["allOf"] = json!([schema]);
    let validator = jsonschema::draft202012::new(&whole)
        .unwrap_or_else(|error| panic!("{route} {method} {}: no schema: {error}", answer.status));
    let at = |error: jsonschema::ValidationError<'_>| {
        format!("{request}: {} at `{}` of {body}", error, error.instance_path())
    };
    validator.iter_errors(&body).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> HttpResponse {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        HttpResponse { status, headers, body: body.to_owned() }
    }

    #[test]
    fn a_response_that_differs_is_found() {
        const ACCOUNTS: &str = "/contas/11111111111";
        let good = r#"[{"numero":"1","saldo":10.5,"reservado":2}]"#;
        assert_eq!(faults("GET", ACCOUNTS, &answer(200, good)), [""; 0]);
        for (bad, named) in [
            (r#"[{"numero":"1"}]"#, "saldo"),
            (r#"[{"numero":1,"saldo":10.5}]"#, "/0/numero"),
            (r#"[{"numero":"1","saldo":"10.5"}]"#, "/0/saldo"),
            (r#"[{"numero":"1","saldo":10.5,"held":2}]"#, "held"),
            (r#"{"numero":"1","saldo":10.5}"#, "array"),
        ] {
            let found = faults("GET", ACCOUNTS, &answer(200, bad));
            assert!(found.len() == 1 && found[0].contains(named), "{bad}: {found:?}");
        }
        let found = faults("GET", ACCOUNTS, &answer(418, "{}"));
        assert!(found[0].contains("418 is not described"), "{found:?}");
        let error = faults("GET", ACCOUNTS, &answer(404, r#"{"error":"x","reason":"y"}"#));
        assert!(error.len() == 1 && error[0].contains("reason"), "{error:?}");
        assert_eq!(faults("GET", "/contas", &answer(404, "{}")), [""; 0]);
        assert_eq!(faults("PUT", ACCOUNTS, &answer(405, "{}")), [""; 0]);
    }
}
