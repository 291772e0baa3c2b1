//! `docs/HTTP.md` is true: its examples are replayed over HTTP against three real banks, in the
//! order of the page.
//!
//! `0> POST /sacar {…}` is sent to bank 0 (with `Idempotency-Key:<id>` before the body where that
//! is given), `0< 200 {…}` must come back.

#[path = "../support/examples.rs"]
mod examples;

use crate::http::HttpCluster;
use crate::http::client::Answer;
use consorcio::http::routes;
use examples::{Bound, Line, What, examples_of};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// No bank learns an outcome later than this, not even on a busy machine.
const LATE: Duration = Duration::from_secs(10);

const PAGE: &str = include_str!("../../docs/HTTP.md");

/// An answer as the page has it: its status and the first line of its body.
fn told(answer: &Answer) -> String {
    let told = format!("{} {}", answer.status, answer.body.trim_end());
    told.split('\n').next().unwrap_or("").to_owned()
}

#[test]
fn every_example_of_the_page_is_true() {
    let blocks = examples_of(PAGE, "http").unwrap();
    let cluster = HttpCluster::start(3);
    let mut seen = BTreeMap::new();
    for block in &blocks {
        let mut bound = Bound::default();
        let mut last = None;
        for Line { number, connection, what } in block {
            let fail = |why: String| -> ! { panic!("docs/HTTP.md, line {number}: {why}") };
            let bank = usize::from(connection.as_bytes()[0] - b'0');
            match what {
                What::Sent(line) => {
                    let line = bound.fill(line).unwrap_or_else(|why| fail(why));
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
                    let answer = cluster.connect(bank).ask(method, path, &headers, body);
                    let succeeded = answer.status < 400;
                    let outcomes: &mut [bool; 2] =
                        seen.entry(format!("{method} {path}")).or_default();
                    outcomes[usize::from(succeeded)] = true;
                    last = Some((told(&answer), line.strip_prefix("GET ").map(str::to_owned)));
                }
                What::Received(expected) => {
                    let (mut found, get) =
                        last.take().unwrap_or_else(|| fail("nothing was sent".to_owned()));
                    // What one bank says is committed another one may learn a moment later.
                    let until = Instant::now() + LATE;
                    while let Some(path) = &get
                        && bound.clone().meet(expected, &found).is_err()
                        && Instant::now() < until
                    {
                        found = told(&cluster.connect(bank).ask("GET", path, &[], ""));
                    }
                    bound.meet(expected, &found).unwrap_or_else(|why| fail(why));
                }
                What::Closed => fail("a connection is not told to end here".to_owned()),
            }
        }
    }
    for route in routes::all() {
        let (method, fixed) = (route.method.as_str(), route.path.split('{').next().unwrap_or(""));
        let asked = |outcome: usize| {
            seen.iter().any(|(asked, outcomes)| {
                asked.starts_with(&format!("{method} {fixed}")) && outcomes[outcome]
            })
        };
        assert!(asked(1), "no example of {method} {}", route.path);
        assert!(method == "GET" || asked(0), "no example of a refusal of {}", route.path);
        assert!(
            PAGE.contains(&format!("### `{method} {}`", route.path)),
            "no heading for {method} {}",
            route.path
        );
    }
}
