//! `/openapi.json`: the description of all routes, written by hand and checked against their list.

use crate::problem::text_of;
use axum::http::StatusCode;
use axum::response::Response;

const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /openapi.json`: the document itself.
pub(crate) async fn openapi() -> Response {
    text_of(StatusCode::OK, "application/json", DOCUMENT.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::all_routes;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    /// Every `$ref` below `value`.
    fn refs<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| refs(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| refs(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn it_describes_exactly_the_routes() {
        let document = document();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(|method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        let listed: BTreeSet<(String, String)> = all_routes()
            .iter()
            .map(|route| (route.method.to_string(), route.path.to_owned()))
            .collect();
        assert_eq!(described, listed);
    }

    #[test]
    fn every_reference_resolves() {
        let document = document();
        let mut found = Vec::new();
        refs(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_post_has_a_body_and_a_key() {
        let document = document();
        for route in all_routes().iter().filter(|route| route.method == "POST") {
            let described = &document["paths"][route.path]["post"];
            assert!(described["requestBody"].is_object(), "{}", route.path);
            assert_eq!(described["parameters"][0]["name"], "Idempotency-Key", "{}", route.path);
            for status in ["400", "413", "415"] {
                assert!(described["responses"][status].is_object(), "{} {status}", route.path);
            }
        }
    }
}
