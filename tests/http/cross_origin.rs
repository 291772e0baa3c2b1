//! Which sites' pages may use the routes (CORS, `Host`, `Sec-Fetch-Site`).

use crate::http::{ANA, HttpCluster};

const DEPOSIT: &str = r#"{"cpf":"11111111111","numero":"1","valor":1}"#;

#[test]
fn other_sites_need_the_operators_permission() {
    let cluster = HttpCluster::start_with(
        1,
        &["--http-origin", "https://painel.example", "--http-origin", "http://b:81"],
    );
    cluster.open(0, ANA, "1", "0");
    let mut http = cluster.connect(0);
    let named = "https://painel.example";
    let preflight = [
        ("origin", named),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let answer = http.ask("OPTIONS", "/depositar", &preflight, "");
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, Some(named)),
        "{answer:?}"
    );
    assert!(answer.header("access-control-allow-headers").unwrap().contains("idempotency-key"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    let answer = http.ask(
        "POST",
        "/depositar",
        &[("origin", named), ("sec-fetch-site", "cross-site")],
        DEPOSIT,
    );
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some(named)),
        "{answer:?}"
    );
    assert!(answer.header("vary").is_some_and(|vary| vary.contains("origin")));
    assert_eq!(
        http.ask("GET", "/clientes", &[("origin", "http://b:81")], "")
            .header("access-control-allow-origin"),
        Some("http://b:81")
    );

    for foreign in [
        "https://evil.example",
        "null",
        "https://painel.example:444",
        "http://painel.example",
        "https://painel.example.evil",
    ] {
        let preflight = [("origin", foreign), ("access-control-request-method", "POST")];
        let answer = http.ask("OPTIONS", "/depositar", &preflight, "");
        answer.is_error(403, "outro site");
        assert_eq!(answer.header("access-control-allow-origin"), None);
        http.ask("POST", "/depositar", &[("origin", foreign)], DEPOSIT).is_error(403, "outro site");
        let read = http.ask("GET", "/clientes", &[("origin", foreign)], "");
        assert_eq!(
            (read.status, read.header("access-control-allow-origin")),
            (200, None),
            "without the header a browser hides the response"
        );
    }
    for site in ["cross-site", "same-site"] {
        http.ask("POST", "/depositar", &[("sec-fetch-site", site)], DEPOSIT)
            .is_error(403, "outro site");
    }
    assert_eq!(cluster.balance(0, ANA), "1");
}

#[test]
fn the_banks_own_pages_and_programs_are_allowed() {
    let cluster = HttpCluster::start(1);
    cluster.open(0, ANA, "1", "0");
    let mut http = cluster.connect(0);
    let host = format!("127.0.0.1:{}", cluster.ports[0]);
    let own = format!("http://{host}");
    for headers in [
        vec![],
        vec![("host", host.as_str()), ("origin", own.as_str()), ("sec-fetch-site", "same-origin")],
        vec![("host", "localhost"), ("origin", "http://localhost")],
        vec![("sec-fetch-site", "none")],
    ] {
        http.ask("POST", "/depositar", &headers, DEPOSIT).is(200, r#"{"success":true}"#);
    }
    let form = [("content-type", "text/plain"), ("origin", "https://evil.example")];
    http.ask("POST", "/depositar", &form, DEPOSIT).is_error(403, "outro site");
    // DNS rebinding: an attacker's name that resolves to this machine.
    let rebound = [
        ("host", "evil.example"),
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "same-origin"),
    ];
    http.ask("POST", "/depositar", &rebound, DEPOSIT).is_error(403, "Host");
    http.ask("GET", "/clientes", &[("host", "evil.example:5030")], "").is_error(403, "Host");
    let answer = http.get("/clientes");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(cluster.balance(0, ANA), "4");
}
