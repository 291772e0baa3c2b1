//! Invalid requests: each response is JSON that names the fault, and nothing changes.

use crate::http::client::HttpConnection;
use crate::http::{ANA, BIA, HttpCluster};
use consorcio::http::all_routes;

/// The fields of a valid body for each route that changes something.
const GOOD: [(&str, &[(&str, &str)]); 7] = [
    ("/criar_cliente", &[("cpf", "\"11111111111\""), ("nome", "\"Ana\""), ("tipo", "\"Físico\"")]),
    ("/criar_conta", &[("cpf", "\"11111111111\""), ("numero", "\"77\"")]),
    ("/depositar", &[("cpf", "\"11111111111\""), ("numero", "\"1\""), ("valor", "1")]),
    ("/sacar", &[("cpf", "\"11111111111\""), ("numero", "\"1\""), ("valor", "1")]),
    (
        "/transferir",
        &[
            ("cpf_origem", "\"11111111111\""),
            ("numero_origem", "\"1\""),
            ("cpf_destino", "\"22222222222\""),
            ("numero_destino", "\"2\""),
            ("valor", "1"),
        ],
    ),
    ("/creditar", &[("cpf", "\"11111111111\""), ("numero", "\"1\""), ("valor", "1")]),
    ("/transferencia_composta", &[("participantes", "[]")]),
];

/// Invalid values for a field.
fn invalid(field: &str) -> &'static [&'static str] {
    match field {
        "valor" => &[
            "0",
            "0.00",
            "-1",
            "-0.01",
            "1.005",
            "0.001",
            "\"1\"",
            "\"\"",
            "true",
            "[]",
            "{}",
            "null",
            "1e17",
            "1e999",
            "92233720368547758.08",
            "99999999999999999999999999",
            "1e-3",
            "1e-99999999999",
        ],
        "saldo_inicial" => &["-1", "0.001", "\"1\"", "[1]", "1e400"],
        "cpf" | "cpf_origem" | "cpf_destino" => &[
            "1",
            "11111111111",
            "\"\"",
            "\"1111111111\"",
            "\"111111111111\"",
            "\"1111111111a\"",
            "\"111.111.111-11\"",
            "\"aaaaaaaaaaaaaa\"",
            "\"１１１１１１１１１１１\"",
            "null",
            "{}",
            "[\"11111111111\"]",
        ],
        "numero" | "numero_origem" | "numero_destino" => {
            &["1", "\"\"", "\" a\"", "\"a\\nb\"", "null", "\"\\u0000\"", "false"]
        }
        "nome" | "tipo" => &["1", "\"\"", "\"a\\nb\"", "null", "\"\\u0000\"", "\"\\ud800\""],
        "conjunta" => &["1", "\"true\"", "[]"],
        "titulares" => &[
            "\"11111111111\"",
            "[1]",
            "[\"1\"]",
            "[\"22222222222\"]",
            "[\"11111111111\",\"11111111111\"]",
            "[\"11111111111\",\"22222222222\",\"33333333333\"]",
            "[\"11111111111\",\"22222222222\"]",
            "{}",
        ],
        "participantes" => &["null", "{}", "1", "\"x\"", "[1]", "[[]]", "[null]", "[{}]"],
        "banco" => &["3", "16", "255", "256", "-1", "0.5", "1.0", "\"0\"", "null", "true", "1e400"],
        other => panic!("{other}"),
    }
}

fn body(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn cluster() -> HttpCluster {
    let cluster = HttpCluster::start(2);
    cluster.open(0, ANA, "1", "100");
    cluster.open(0, BIA, "2", "100");
    cluster
}

/// Checks that the invalid requests changed nothing.
fn assert_unchanged(cluster: &HttpCluster) {
    let mut http = cluster.connect(0);
    assert_eq!((cluster.balance(0, ANA), cluster.balance(0, BIA)), ("100".into(), "100".into()));
    assert_eq!(http.get("/clientes").json().as_array().unwrap().len(), 2);
    http.get("/historico").is(200, "[]");
}

#[test]
fn each_invalid_or_missing_field_is_named() {
    let cluster = cluster();
    let mut http = cluster.connect(0);
    let mut seen = 0;
    let mut refused = |path: &str, body: &str, named: &str| {
        let json = http.post(path, body).is_error(400, &format!("`{named}"));
        assert!(json.get("id").is_none(), "nothing was begun: {json}");
        seen += 1;
    };
    for (path, fields) in GOOD {
        for (at, (name, _)) in fields.iter().enumerate() {
            let without: Vec<_> =
                fields.iter().filter(|(other, _)| other != name).copied().collect();
            refused(path, &body(&without), name);
            for value in invalid(name) {
                let mut fields = fields.to_vec();
                fields[at].1 = value;
                refused(path, &body(&fields), name);
            }
            let mut twice = fields.to_vec();
            twice.push(fields[at]);
            refused(path, &body(&twice), name);
        }
    }
    let account = [("cpf", "\"11111111111\""), ("numero", "\"77\"")];
    for (name, further) in
        [("saldo_inicial", vec![]), ("conjunta", vec![]), ("titulares", vec![("conjunta", "true")])]
    {
        for value in invalid(name) {
            let mut fields = account.to_vec();
            fields.extend(further.iter().copied());
            fields.push((name, value));
            refused(
                "/criar_conta",
                &body(&fields),
                if *value == "[\"11111111111\",\"22222222222\"]" { continue } else { name },
            );
        }
    }
    refused("/criar_conta", r#"{"cpf":"11111111111","numero":"77","conjunta":true}"#, "titulares");
    refused(
        "/criar_conta",
        r#"{"cpf":"11111111111","numero":"77","titulares":["11111111111","22222222222"]}"#,
        "conjunta",
    );
    let source = [("banco", "0"), ("cpf", "\"11111111111\""), ("numero", "\"1\""), ("valor", "1")];
    let composite = |fields: &[(&str, &str)]| {
        let good = body(&[("banco", "0"), ("cpf", "\"22222222222\""), ("numero", "\"2\"")]);
        format!(r#"{{"participantes":[{},{good}]}}"#, body(fields))
    };
    for (at, (name, _)) in source.iter().enumerate() {
        let named = format!("participantes[0].{name}");
        let without: Vec<_> = source.iter().filter(|(other, _)| other != name).copied().collect();
        refused("/transferencia_composta", &composite(&without), &named);
        // A single source with amount 0 is refused with another error.
        for value in invalid(name).iter().filter(|value| !matches!(**value, "0" | "0.00")) {
            let mut fields = source.to_vec();
            fields[at].1 = value;
            refused("/transferencia_composta", &composite(&fields), &named);
        }
    }
    let many = body(&source);
    let many = format!(r#"{{"participantes":[{}]}}"#, vec![many; 65].join(","));
    refused("/transferencia_composta", &many, "participantes");
    let most = source
        .map(|(name, value)| (name, if name == "valor" { "92233720368547758" } else { value }));
    let sum = format!(r#"{{"participantes":[{0},{0},{0}]}}"#, body(&most));
    refused("/transferencia_composta", &sum, "participantes[1].valor");
    assert!(seen > 150, "{seen}");
    assert_unchanged(&cluster);
}

#[test]
fn bodies_that_are_no_json_object() {
    let cluster = cluster();
    let mut http = cluster.connect(0);
    let deep = format!("{{\"cpf\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for (path, _) in GOOD {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[]",
            "1",
            "null",
            "\"x\"",
            "{\"a\":}",
            "{\"a\" 1}",
            "{'cpf':1}",
            "{\"cpf\":NaN}",
            "{\"valor\":Infinity}",
            "{\"valor\":01}",
            "{\"valor\":+1}",
            "{\"valor\":.5}",
            "{\"valor\":5.}",
            "{\"valor\":0x1}",
            "{} {}",
            "{},",
            "\u{feff}{}",
            "\u{0}",
            "<html>",
            "cpf=1&valor=2",
            &deep,
        ] {
            http.post(path, text).is_error(400, "");
        }
        let mut raw = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: \
                               application/json\r\ncontent-length: 4\r\n\r\n"
        )
        .into_bytes();
        raw.extend(b"{\"\xff}");
        let mut other = cluster.connect(0);
        other.send_bytes(&raw);
        other.receive().expect("an answer").is_error(400, "UTF-8");
    }
    assert_unchanged(&cluster);
}

#[test]
fn paths_methods_types_and_sizes() {
    let cluster = cluster();
    let mut http = cluster.connect(0);
    for path in [
        "/",
        "/nada",
        "/contas",
        "/contas/",
        "/contas/1/2",
        "/status/",
        "/transacoes/",
        "/%00",
        "//status",
        "/..;/status",
    ] {
        // `/` is a page of the panel; an unknown path gets JSON.
        if path != "/" {
            http.get(path).is_error(404, "desconhecido");
        }
    }
    let long = format!("/{}", "x".repeat(3_000));
    let error = http.get(&long).is_error(404, "desconhecido");
    assert!(error["error"].as_str().unwrap().len() < 200, "the path is not repeated in full");
    for route in all_routes() {
        let path = route.path.replace("{cpf}", ANA).replace("{id}", "t1");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            if method == route.method.as_str() {
                continue;
            }
            let answer = http.ask(method, &path, &[], if method == "POST" { "{}" } else { "" });
            answer.is_error(405, "não aceita");
            let allowed = answer.header("allow").unwrap_or_default();
            assert!(allowed.contains(route.method.as_str()), "{method} {path}: {answer:?}");
        }
        if route.method == "POST" {
            for kind in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "application/json; charset=latin1",
            ] {
                http.ask("POST", &path, &[("content-type", kind)], "{}")
                    .is_error(415, "application/json");
            }
            // A body of exactly the limit is read and validated.
            let full = format!("{{\"x\":\"{}\"}}", "x".repeat(64 * 1024 - 8));
            http.post(&path, &full).is_error(400, "falta");
            for bytes in [64 * 1024 + 1, 700 * 1024] {
                let mut other = cluster.connect(0);
                let body = " ".repeat(bytes);
                other.post(&path, &body).is_error(413, "65536");
            }
        }
    }
    assert_unchanged(&cluster);
}

/// Responses to bytes that are no HTTP are empty or JSON, and the bank keeps serving.
#[test]
fn bytes_that_are_no_http() {
    let cluster = cluster();
    let huge =
        format!("GET /status HTTP/1.1\r\nhost: 127.0.0.1\r\nx: {}\r\n\r\n", "x".repeat(64 * 1024));
    let many =
        format!("GET /status HTTP/1.1\r\nhost: 127.0.0.1\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    for bytes in [
        "PING\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET /status HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
        "GET http:// HTTP/1.1\r\n\r\n",
        "POST /depositar HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: \
         application/json\r\ncontent-length: -1\r\n\r\n",
        "POST /depositar HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: \
         application/json\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        "POST /depositar HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: \
         application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        &huge,
        &many,
    ] {
        let mut http = HttpConnection::open(cluster.ports[0]);
        http.send_bytes(bytes.as_bytes());
        // The bank may have closed the connection already, so this may fail.
        let _ = http.stream().shutdown(std::net::Shutdown::Write);
        if let Some(answer) = http.receive() {
            assert!((400..500).contains(&answer.status), "{bytes:?}: {answer:?}");
            assert!(answer.body.is_empty() || answer.json().is_object(), "{bytes:?}: {answer:?}");
        }
    }
    cluster.connect(0).get("/status").is(200, r#"{"status":"ok"}"#);
    assert_unchanged(&cluster);
}

#[test]
fn a_body_in_chunks_and_a_connection_that_stays_open() {
    let cluster = cluster();
    let mut http = cluster.connect(0);
    http.send_bytes(
        b"POST /depositar HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: \
                      application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    let text = r#"{"cpf":"11111111111","numero":"1","valor":1}"#;
    for part in text.as_bytes().chunks(7) {
        http.send_bytes(format!("{:x}\r\n", part.len()).as_bytes());
        http.send_bytes(part);
        http.send_bytes(b"\r\n");
    }
    http.send_bytes(b"0\r\n\r\n");
    http.receive().expect("an answer").is(200, r#"{"success":true}"#);
    // Two requests in one write: two answers, in order.
    http.send_bytes(
        b"GET /status HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\nGET /pendentes HTTP/1.1\r\nhost: \
          127.0.0.1\r\n\r\n",
    );
    http.receive().expect("an answer").is(200, r#"{"status":"ok"}"#);
    http.receive().expect("an answer").is(200, "[]");
    assert_eq!(cluster.balance(0, ANA), "101");
}
