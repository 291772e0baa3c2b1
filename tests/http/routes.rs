//! Results and refusals of each route.

use crate::http::{ANA, BIA, CAIO, HttpCluster};
use crate::support::wait_until;

#[test]
fn clients_and_accounts() {
    let cluster = HttpCluster::start(1);
    let mut http = cluster.connect(0);
    http.get("/status").is(200, r#"{"status":"ok"}"#);
    http.get("/clientes").is(200, "[]");
    let ana = r#"{"cpf":"11111111111","nome":"Ana \"Ação\"","tipo":"Físico","extra":[1]}"#;
    http.post("/criar_cliente", ana)
        .is(201, r#"{"cpf":"11111111111","nome":"Ana \"Ação\"","tipo":"Físico","contas":[]}"#);
    let there = r#"{"error":"Cliente já existe","motivo":"already-exists"}"#;
    http.post("/criar_cliente", ana).is(400, there);
    let other = r#"{"cpf":"11111111111","nome":"Outra","tipo":"corrente"}"#;
    assert_eq!(
        http.post("/criar_cliente", other).is_error(400, "Cliente já existe")["motivo"],
        "already-exists"
    );
    http.post("/criar_cliente", r#"{"cpf":"22222222222","nome":"Bia","tipo":"corrente"}"#);

    http.post("/criar_conta", r#"{"cpf":"11111111111","numero":"1-A","saldo_inicial":1000.50}"#)
        .is(201, r#"{"numero":"1-A","saldo":1000.5}"#);
    let refusal = "Cliente não encontrado, conta já existe ou não é permitido criar mais de uma \
                   conta individual para este cliente";
    for (account, reason) in [
        (r#"{"cpf":"11111111111","numero":"1-A","saldo_inicial":1000.50}"#, "already-exists"),
        (r#"{"cpf":"22222222222","numero":"1-A"}"#, "already-exists"),
        (r#"{"cpf":"11111111111","numero":"1-B"}"#, "refused"),
        (r#"{"cpf":"33333333333","numero":"3"}"#, "unknown-client"),
        (
            concat!(
                r#"{"cpf":"11111111111","numero":"9","conjunta":true,"titulares":["11111111111","#,
                r#""33333333333"]}"#
            ),
            "unknown-client",
        ),
    ] {
        let answer = http.post("/criar_conta", account);
        let json = answer.is_error(400, refusal);
        assert_eq!(
            (json["error"].as_str(), json["motivo"].as_str()),
            (Some(refusal), Some(reason)),
            "{account}"
        );
    }
    http.post(
        "/criar_conta",
        concat!(
            r#"{"cpf":"22222222222","numero":"0-J","conjunta":true,"titulares":["11111111111","#,
            r#""22222222222"]}"#
        ),
    )
    .is(201, r#"{"numero":"0-J","saldo":0}"#);

    http.get("/contas/22222222222").is(200, r#"[{"numero":"0-J","saldo":0}]"#);
    http.get("/contas/33333333333")
        .is(404, r#"{"error":"Cliente não encontrado","motivo":"unknown-client"}"#);
    http.get("/contas/123").is_error(400, "`cpf`");
    http.get("/contas/%FF").is_error(400, "`cpf`");
    let clients = http.get("/clientes").json();
    assert_eq!(clients[0]["nome"], "Ana \"Ação\"");
    assert_eq!(clients[1]["contas"], serde_json::json!([{"numero": "0-J", "saldo": 0}]));
    assert_eq!(
        clients[0]["contas"].as_array().unwrap().len(),
        2,
        "a joint account is listed under each holder"
    );
}

#[test]
fn lists_are_in_order_of_creation() {
    let cluster = HttpCluster::start(1);
    for (cpf, number) in [(CAIO, "3"), (ANA, "2"), (BIA, "1")] {
        cluster.open(0, cpf, number, "1");
    }
    let mut http = cluster.connect(0);
    for number in ["9", "8"] {
        let joint = format!(
            r#"{{"cpf":"{ANA}","numero":"{number}","conjunta":true,"titulares":["{ANA}","{BIA}"]}}"#
        );
        assert_eq!(http.post("/criar_conta", &joint).status, 201);
    }
    let clients = http.get("/clientes").json();
    let cpfs: Vec<_> =
        clients.as_array().unwrap().iter().map(|client| client["cpf"].as_str().unwrap()).collect();
    assert_eq!(cpfs, [CAIO, ANA, BIA]);
    http.get(&format!("/contas/{ANA}"))
        .is(200, r#"[{"numero":"2","saldo":1},{"numero":"9","saldo":0},{"numero":"8","saldo":0}]"#);
}

#[test]
fn money_at_one_bank() {
    let cluster = HttpCluster::start(1);
    cluster.open(0, ANA, "1", "0.1");
    cluster.open(0, BIA, "2", "0");
    let mut http = cluster.connect(0);
    let success = r#"{"success":true}"#;
    let answer = http.post("/depositar", r#"{"cpf":"11111111111","numero":"1","valor":0.2}"#);
    answer.is(200, success);
    let id = answer.header("x-transacao").expect("the transaction's id").to_owned();
    assert_eq!(cluster.balance(0, ANA), "0.3");
    let json = http.get(&format!("/transacoes/{id}")).json();
    assert_eq!(
        (&json["id"], &json["status"]),
        (&id.as_str().into(), &"completada".into()),
        "{json}"
    );

    http.post("/sacar", r#"{"cpf":"11111111111","numero":"1","valor":0.05}"#).is(200, success);
    let transfer = |from: &str, number: &str, valor: &str| {
        format!(
            r#"{{"cpf_origem":"{from}","numero_origem":"{number}","cpf_destino":"{BIA}","numero_destino":"2","valor":{valor}}}"#
        )
    };
    http.post("/transferir", &transfer(ANA, "1", "0.2")).is(200, success);
    http.post("/creditar", r#"{"cpf":"22222222222","numero":"2","valor":1e1}"#).is(200, success);
    assert_eq!((cluster.balance(0, ANA), cluster.balance(0, BIA)), ("0.05".into(), "10.2".into()));
    // A transfer from an account to itself succeeds and changes nothing.
    http.post("/transferir", &transfer(BIA, "2", "5")).is(200, success);

    for (path, body, error, reason) in [
        (
            "/depositar",
            r#"{"cpf":"22222222222","numero":"1","valor":1}"#.to_owned(),
            "Cliente ou conta nao encontrado",
            "not-holder",
        ),
        (
            "/depositar",
            r#"{"cpf":"11111111111","numero":"7","valor":1}"#.to_owned(),
            "Cliente ou conta nao encontrado",
            "unknown-account",
        ),
        (
            "/sacar",
            r#"{"cpf":"11111111111","numero":"1","valor":0.06}"#.to_owned(),
            "Saldo insuficiente ou conta não encontrada",
            "insufficient-funds",
        ),
        (
            "/sacar",
            r#"{"cpf":"11111111111","numero":"7","valor":1}"#.to_owned(),
            "Saldo insuficiente ou conta não encontrada",
            "unknown-account",
        ),
        ("/transferir", transfer(ANA, "1", "1"), "Transferência falhou", "insufficient-funds"),
        ("/transferir", transfer(BIA, "1", "0.01"), "Transferência falhou", "not-holder"),
        (
            "/creditar",
            r#"{"cpf":"11111111111","numero":"7","valor":1}"#.to_owned(),
            "Crédito falhou",
            "unknown-account",
        ),
        (
            "/depositar",
            r#"{"cpf":"11111111111","numero":"1","valor":92233720368547758.07}"#.to_owned(),
            "Passa de um limite, ou o banco está ocupado",
            "limit",
        ),
    ] {
        let json = http.post(path, &body).is_error(400, error);
        assert_eq!(
            (json["error"].as_str(), json["motivo"].as_str()),
            (Some(error), Some(reason)),
            "{path} {body}"
        );
        let json = http.get(&format!("/transacoes/{}", json["id"].as_str().unwrap())).json();
        assert_eq!(
            (&json["status"], &json["motivo"]),
            (&"abortada".into(), &reason.into()),
            "{json}"
        );
    }
    assert_eq!((cluster.balance(0, ANA), cluster.balance(0, BIA)), ("0.05".into(), "10.2".into()));
}

#[test]
fn composites_over_banks() {
    let mut cluster = HttpCluster::start(3);
    cluster.open(0, ANA, "1", "1000");
    cluster.open(1, BIA, "2", "500");
    cluster.open(2, CAIO, "3", "0");
    let composite = |list: &[(usize, &str, &str, &str)]| {
        let one = |(bank, cpf, number, valor): &(usize, &str, &str, &str)| {
            format!(r#"{{"banco":{bank},"cpf":"{cpf}","numero":"{number}","valor":{valor}}}"#)
        };
        format!(r#"{{"participantes":[{}]}}"#, list.iter().map(one).collect::<Vec<_>>().join(","))
    };
    let success = r#"{"success":true}"#;
    // Each bank drives once; the destination's amount is ignored.
    let body = composite(&[
        (0, ANA, "1", "100.5"),
        (1, BIA, "2", "50.25"),
        (2, CAIO, "3", "\"o que for\""),
    ]);
    for bank in 0..3 {
        cluster.connect(bank).post("/transferencia_composta", &body).is(200, success);
    }
    let body = composite(&[
        (0, ANA, "1", "0.5"),
        (1, BIA, "2", "0"),
        (0, ANA, "1", "1"),
        (1, BIA, "2", "0"),
    ]);
    cluster.connect(2).post("/transferencia_composta", &body).is(200, success);
    // The destination may lack an amount, and be a source too.
    let body = concat!(
        r#"{"participantes":[{"banco":2,"cpf":"33333333333","numero":"3","valor":2.25},"#,
        r#"{"banco":2,"cpf":"33333333333","numero":"3"}]}"#
    );
    cluster.connect(0).post("/transferencia_composta", body).is(200, success);
    let balances = |cluster: &HttpCluster| {
        [cluster.balance(0, ANA), cluster.balance(1, BIA), cluster.balance(2, CAIO)]
    };
    assert_eq!(balances(&cluster), ["697", "350.75", "452.25"]);

    let error = "Transferência composta falhou";
    let mut http = cluster.connect(0);
    for (list, reason) in [
        (
            composite(&[(0, ANA, "1", "1"), (1, BIA, "2", "351"), (2, CAIO, "3", "0")]),
            "insufficient-funds",
        ),
        (
            composite(&[(0, ANA, "1", "1"), (1, BIA, "9", "1"), (2, CAIO, "3", "0")]),
            "unknown-account",
        ),
        (composite(&[(0, ANA, "1", "1"), (1, ANA, "2", "1"), (2, CAIO, "3", "0")]), "not-holder"),
        (composite(&[(1, BIA, "2", "1"), (2, ANA, "3", "0")]), "not-holder"),
        (composite(&[(0, ANA, "1", "0"), (2, CAIO, "3", "7")]), "refused"),
        (composite(&[(2, CAIO, "3", "7")]), "refused"),
        (composite(&[]), "refused"),
    ] {
        let json = http.post("/transferencia_composta", &list).is_error(400, error);
        assert_eq!(
            (json["error"].as_str(), json["motivo"].as_str()),
            (Some(error), Some(reason)),
            "{list}"
        );
    }
    assert_eq!(balances(&cluster), ["697", "350.75", "452.25"]);
    http.get("/pendentes").is(200, "[]");

    let address = |bank: usize| format!("127.0.0.1:{}", cluster.ports[bank]);
    let all = format!(r#"["{}","{}","{}"]"#, address(0), address(1), address(2));
    http.get("/bancos_on").is(200, &all);
    let without = format!(r#"["{}","{}"]"#, address(0), address(2));
    cluster.banks.kill(1);
    wait_until("bank 1 is offline", || (http.get("/bancos_on").body == without).then_some(()));
    let body = composite(&[(0, ANA, "1", "1"), (1, BIA, "2", "1"), (2, CAIO, "3", "0")]);
    let json = http.post("/transferencia_composta", &body).is_error(400, error);
    assert_eq!(json["motivo"], "unreachable");
}

#[test]
fn health_checks_and_metrics() {
    let cluster = HttpCluster::start(2);
    cluster.open(0, ANA, "1", "10");
    let mut http = cluster.connect(0);
    http.get("/healthz").is(200, r#"{"status":"ok"}"#);
    http.get("/readyz").is(200, r#"{"status":"pronto"}"#);
    assert_eq!(http.get("/openapi.json").json()["openapi"], "3.1.0");
    http.get("/nada");
    let metrics = http.get("/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "consorcio_clients 1",
        "consorcio_balance_centavos 1000",
        "consorcio_bank_online{bank=\"1\"} 1",
        "consorcio_http_responses_total{route=\"/criar_conta\",status=\"201\"} 1",
        "consorcio_http_responses_total{route=\"\",status=\"404\"} 1",
    ] {
        assert!(metrics.body.lines().any(|known| known == line), "no {line:?} in {}", metrics.body);
    }
    for line in metrics.body.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').expect("name and value");
        let is_number =
            value.parse::<i128>().is_ok() || value.parse::<f64>().is_ok_and(f64::is_finite);
        assert!(is_number, "{line}");
    }
}
