//! Replays the examples of `docs/HTTP.md` against three real banks, in the order of the page.
//!
//! `0> POST /sacar {…}` is sent to bank 0, with an optional `Idempotency-Key:<id>` before the body;
//! `0< 200 {…}` is the expected response.

#[path = "../support/examples.rs"]
mod examples;

use crate::http::HttpCluster;
use crate::http::client::HttpResponse;
use consorcio::http::all_routes;
use examples::{ExampleAction, ExampleLine, Placeholders, examples_of};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Every bank learns an outcome within this time, even on a busy machine.
const LEARNED_WITHIN: Duration = Duration::from_secs(10);

const PAGE: &str = include_str!("../../docs/HTTP.md");

/// A response as the page shows it: its status and the first line of its body.
fn shown(response: &HttpResponse) -> String {
    let shown = format!("{} {}", response.status, response.body.trim_end());
    shown.split('\n').next().unwrap_or("").to_owned()
}

#[test]
fn every_example_of_the_page_matches() {
    let blocks = examples_of(PAGE, "http").unwrap();
    let cluster = HttpCluster::start(3);
    let mut seen = BTreeMap::new();
    for block in &blocks {
        let mut values = Placeholders::default();
        let mut last = None;
        for ExampleLine { number, connection, action } in block {
            let fail = |cause: String| -> ! { panic!("docs/HTTP.md, line {number}: {cause}") };
            let bank = usize::from(connection.as_bytes()[0] - b'0');
            match action {
                ExampleAction::Sent(line) => {
                    let line = values.fill(line).unwrap_or_else(|cause| fail(cause));
                    let (method, rest) =
                        line.split_once(' ').unwrap_or_else(|| fail("no method".to_owned()));
                    let (path, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                    let (headers, body) = match rest.strip_prefix("Idempotency-Key:") {
                        Some(rest) => {
                            let (key, body) = rest.split_once(' ').unwrap_or((rest, ""));
                            (vec![("idempotency-key", key)], body)
                        }
                        None => (vec![], rest),
                    };
                    let response = cluster.connect(bank).ask(method, path, &headers, body);
                    let succeeded = response.status < 400;
                    let outcomes: &mut [bool; 2] =
                        seen.entry(format!("{method} {path}")).or_default();
                    outcomes[usize::from(succeeded)] = true;
                    last = Some((shown(&response), line.strip_prefix("GET ").map(str::to_owned)));
                }
                ExampleAction::Received(expected) => {
                    let (mut found, get) =
                        last.take().unwrap_or_else(|| fail("nothing was sent".to_owned()));
                    // Another bank may learn an outcome a moment later, so GET is retried.
                    let until = Instant::now() + LEARNED_WITHIN;
                    while let Some(path) = &get
                        && values.clone().match_line(expected, &found).is_err()
                        && Instant::now() < until
                    {
                        found = shown(&cluster.connect(bank).ask("GET", path, &[], ""));
                    }
                    values.match_line(expected, &found).unwrap_or_else(|cause| fail(cause));
                }
                ExampleAction::Closed => fail("only PROTOCOL.md closes connections".to_owned()),
            }
        }
    }
    for route in all_routes() {
        let (method, fixed) = (route.method.as_str(), route.path.split('{').next().unwrap_or(""));
        let has_example = |outcome: usize| {
            seen.iter().any(|(sent, outcomes)| {
                sent.starts_with(&format!("{method} {fixed}")) && outcomes[outcome]
            })
        };
        assert!(has_example(1), "no example of {method} {}", route.path);
        assert!(method == "GET" || has_example(0), "no example of a refusal of {}", route.path);
        assert!(
            PAGE.contains(&format!("### `{method} {}`", route.path)),
            "no heading for {method} {}",
            route.path
        );
    }
}
