//! Reports about transactions: history, pending ones, ids that the client chose, and outcomes that
//! take too long.

use crate::http::client::HttpConnection;
use crate::http::{ANA, BIA, CAIO, HttpCluster};
use crate::support::{Cluster, free_ports, signal, wait_until};
use serde_json::Value;

fn statuses(history: &Value) -> Vec<&str> {
    history.as_array().unwrap().iter().map(|line| line["status"].as_str().unwrap()).collect()
}

const FROM_0_TO_1: &str = concat!(
    r#"{"participantes":[{"banco":0,"cpf":"11111111111","numero":"1","valor":5},"#,
    r#"{"banco":1,"cpf":"22222222222","numero":"2","valor":0}]}"#
);

#[test]
fn history_names_the_driver_and_the_bank_that_refused() {
    let cluster = HttpCluster::start(2);
    cluster.open(0, ANA, "1", "10");
    cluster.open(1, BIA, "2", "0");
    let mut http = cluster.connect(0);
    http.post_as("h1", "/transferencia_composta", FROM_0_TO_1).is(200, r#"{"success":true}"#);
    let too_much = FROM_0_TO_1.replace("\"valor\":5", "\"valor\":50");
    http.post_as("h2", "/transferencia_composta", &too_much).is_error(400, "falhou");
    let unknown_client = FROM_0_TO_1.replace("22222222222", "33333333333");
    http.post_as("h3", "/transferencia_composta", &unknown_client).is_error(400, "falhou");
    cluster.banks.connect(0).ask("ABORT h4");

    let history = http.get("/historico").json();
    assert_eq!(statuses(&history), ["Sucesso", "Falha", "Falha", "Abortada"], "{history}");
    assert_eq!(history[0]["detalhes"], "Transação completada com sucesso");
    assert_eq!(
        history[0]["transacao"],
        serde_json::json!({"id": "h1", "participantes": [
            {"banco": 0, "cpf": ANA, "numero": "1", "operacao": "débito", "valor": 5},
            {"banco": 1, "cpf": BIA, "numero": "2", "operacao": "crédito", "valor": 5},
        ]})
    );
    assert_eq!(
        history[1]["detalhes"],
        "Transação falhou neste banco: saldo insuficiente (a conta 1 tem R$ 5,00 disponíveis, são \
         pedidos R$ 50,00)"
    );
    assert_eq!(
        history[2]["detalhes"],
        "Transação falhou no banco 1: o CPF não é titular da conta (33333333333 não é titular da \
         conta 2)"
    );
    // Bank 0 refused because bank 1 did.
    let json = http.get("/transacoes/h3").json();
    assert_eq!((&json["status"], &json["banco"]), (&"abortada".into(), &1.into()), "{json}");
    let json = http.get("/transacoes/h1").json();
    assert_eq!(json["participantes"], history[0]["transacao"]["participantes"]);
    // Step logs are written asynchronously.
    let steps = wait_until("the steps of both banks", || {
        let json = http.get("/transacoes/h1").json();
        let steps = json["passos"].as_array().cloned().unwrap_or_default();
        let has = |node: &str, step: &str| {
            steps.iter().any(|found| found["no"] == node && found["passo"] == step)
        };
        let all = has("bank 0", "drive") && has("bank 1", "vote") && has("bank 0", "outcome");
        all.then_some(steps)
    });
    let times: Vec<i64> = steps.iter().map(|step| step["us"].as_i64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] >= 0, "{times:?}");
    let brief = http.get("/transacoes/h1?resumo").json();
    assert_eq!(brief["status"], "completada");
    assert!(brief.get("passos").is_none() && brief.get("participantes").is_none(), "{brief}");
    let theirs = cluster.connect(1).get("/historico").json();
    let first =
        theirs.as_array().unwrap().iter().find(|line| line["transacao"]["id"] == "h1").unwrap();
    assert_eq!(first["status"], "Completada");
    assert_eq!(first["detalhes"], "Transação completada e removida das pendências");
}

#[test]
fn a_driver_that_is_no_participant_remembers_its_transactions() {
    let mut cluster = HttpCluster::start(3);
    cluster.open(0, ANA, "1", "10");
    cluster.open(1, BIA, "2", "0");
    let mut http = cluster.connect(2);
    http.post_as("d1", "/transferencia_composta", FROM_0_TO_1).is(200, r#"{"success":true}"#);
    let too_much = FROM_0_TO_1.replace("\"valor\":5", "\"valor\":50");
    http.post_as("d2", "/transferencia_composta", &too_much).is_error(400, "falhou");
    // A repeated request is the same transaction, and one entry.
    http.post_as("d1", "/transferencia_composta", FROM_0_TO_1).is(200, r#"{"success":true}"#);
    let history = http.get("/historico").json();
    assert_eq!(statuses(&history), ["Sucesso", "Falha"], "{history}");
    assert_eq!(history[0]["transacao"]["id"], "d1");
    assert_eq!(history[0]["transacao"]["participantes"][0]["valor"], 5);
    let words = "Transação falhou no banco 0: saldo insuficiente (a conta 1 tem R$ 5,00 \
                 disponíveis, são pedidos R$ 50,00)";
    assert_eq!(history[1]["detalhes"], words);
    let json = http.get("/transacoes/d1").json();
    assert_eq!(json["participantes"], history[0]["transacao"]["participantes"]);

    // The reply did not wait for the record of the drive.
    wait_until("its record is synced", || {
        let log = cluster.banks.log(2);
        let record = log.lines().rfind(|line| line.contains(" drove "))?;
        let number =
            |line: &str, key| line.split(key).nth(1)?.split(' ').next()?.parse::<u64>().ok();
        let (seq, upto) =
            (number(record, "seq=")?, log.lines().filter_map(|line| number(line, "upto=")).max()?);
        (seq <= upto).then_some(())
    });
    cluster.banks.kill(2);
    cluster.banks.start_bank(2);
    assert_eq!(cluster.connect(2).get("/historico").json(), history);
}

#[test]
fn the_same_key_returns_the_first_outcome() {
    let cluster = HttpCluster::start(2);
    let mut http = cluster.connect(0);
    let client = r#"{"cpf":"11111111111","nome":"Ana","tipo":"Físico"}"#;
    let account = r#"{"cpf":"11111111111","numero":"1","saldo_inicial":10}"#;
    for _ in 0..2 {
        assert_eq!(http.post_as("c1", "/criar_cliente", client).status, 201);
        http.post_as("a1", "/criar_conta", account).is(201, r#"{"numero":"1","saldo":10}"#);
    }
    cluster.open(1, BIA, "2", "0");
    let success = r#"{"success":true}"#;
    let deposit = r#"{"cpf":"11111111111","numero":"1","valor":5}"#;
    for body in [deposit, r#"{ "numero":"1", "valor":5.00, "cpf":"11111111111" }"#] {
        let answer = http.post_as("d1", "/depositar", body);
        answer.is(200, success);
        assert_eq!(answer.header("x-transacao"), Some("d1"));
    }
    http.post_as("x1", "/transferencia_composta", FROM_0_TO_1).is(200, success);
    http.post_as("x1", "/transferencia_composta", FROM_0_TO_1).is(200, success);
    let withdraw = r#"{"cpf":"11111111111","numero":"1","valor":100}"#;
    let first = http.post_as("w1", "/sacar", withdraw);
    assert_eq!(first.is_error(400, "Saldo")["id"], "w1");
    http.post_as("d2", "/depositar", r#"{"cpf":"11111111111","numero":"1","valor":1000}"#)
        .is(200, success);
    let again = http.post_as("w1", "/sacar", withdraw);
    assert_eq!(
        (again.status, again.body),
        (first.status, first.body),
        "although the funds would suffice by now"
    );
    let other = http.post_as("d1", "/depositar", r#"{"cpf":"11111111111","numero":"1","valor":6}"#);
    assert_eq!(other.is_error(400, "O id já foi usado")["motivo"], "duplicate-id");
    assert_eq!(cluster.balance(0, ANA), "1010");
    assert_eq!(cluster.balance(1, BIA), "5");
}

#[test]
fn a_transaction_not_decided_in_time_is_pending_and_its_outcome_found_later() {
    let cluster = HttpCluster::start(3);
    cluster.open(0, ANA, "1", "10");
    cluster.open(1, BIA, "2", "0");
    cluster.open(2, CAIO, "3", "0");
    // Bank 2 drives and is no participant; bank 1 is frozen.
    signal("STOP", cluster.banks.pid(1));
    let mut http = cluster.connect(2);
    let answer = http.post_as("p1", "/transferencia_composta", FROM_0_TO_1);
    answer.is(202, r#"{"id":"p1","status":"pendente"}"#);
    assert_eq!(answer.header("location"), Some("/transacoes/p1"));
    let json = http.get("/transacoes/p1").json();
    assert_eq!(json["status"], "pendente", "{json}");
    let mut zero = cluster.connect(0);
    let history = zero.get("/historico").json();
    assert_eq!(statuses(&history), ["Andamento"], "{history}");
    let pending = zero.get("/pendentes").json();
    assert_eq!(
        pending[0][0],
        serde_json::json!({"banco": 0, "cpf": ANA, "numero": "1", "operacao": "débito", "valor": 5})
    );
    signal("CONT", cluster.banks.pid(1));
    let ended = wait_until("the outcome", || {
        let json = http.get("/transacoes/p1").json();
        (json["status"] != "pendente").then_some(json)
    });
    wait_until("nothing is pending", || (zero.get("/pendentes").body == "[]").then_some(()));
    let expected = if ended["status"] == "completada" { "5" } else { "10" };
    assert_eq!(cluster.balance(0, ANA), expected, "{ended}");
}

#[test]
fn an_unknown_transaction_is_404() {
    let cluster = HttpCluster::start(2);
    let mut http = cluster.connect(0);
    assert_eq!(http.get("/transacoes/nada").is_error(404, "desconhecida")["id"], "nada");
    http.get("/transacoes/n%20a").is_error(404, "desconhecida");
    http.get(&format!("/transacoes/{}", "x".repeat(65))).is_error(404, "desconhecida");
}

/// If one id belongs to different transactions at different banks, all of them are listed.
#[test]
fn an_id_of_several_transactions_lists_all() {
    let cluster = HttpCluster::start(3);
    cluster.open(0, ANA, "1", "10");
    cluster.open(1, BIA, "2", "0");
    for (bank, account, amount) in [(0, "1", 5), (1, "2", 7)] {
        let op =
            format!(r#"{{"bank":{bank},"op":"deposit","account":"{account}","amount":{amount}}}"#);
        let reply = cluster.banks.connect(bank).ask(&format!(r#"EXECUTE same {{"ops":[{op}]}}"#));
        assert!(reply.starts_with("COMMITTED same"), "{reply}");
    }
    let answer = cluster.connect(2).get("/transacoes/same");
    assert_eq!(answer.header("x-transacao"), Some("same"));
    let json = answer.json();
    assert_eq!(
        (&json["status"], &json["motivo"]),
        (&"varias".into(), &"duplicate-id".into()),
        "{json}"
    );
    let ends = json["transacoes"].as_array().expect("a list");
    assert_eq!(ends.len(), 2, "{json}");
    assert_ne!(ends[0]["digest"], ends[1]["digest"]);
    assert!(
        ends.iter().all(|end| end["status"] == "completada" && end["tempo_us"].is_u64()),
        "{json}"
    );
    assert!(json.get("participantes").is_none() && json.get("tempo_us").is_none(), "{json}");
    let page = cluster.connect(2).get("/painel/transacoes/same").body;
    assert!(
        page.contains("mais de uma transação") && page.matches("… Efetivada").count() == 2,
        "{page}"
    );
    assert!(!page.contains("R$ 0,05") && !page.contains("R$ 0,07"), "one of them: {page}");
    // A participant shows its own transaction.
    let own = cluster.connect(1).get("/transacoes/same").json();
    assert_eq!(
        (&own["status"], &own["participantes"][0]["valor"]),
        (&"completada".into(), &0.07.into()),
        "{own}"
    );
}

/// An abort that the driving bank recorded is final, even while a participant is down.
#[test]
fn an_abort_is_reported_while_a_participant_is_down() {
    let mut cluster = HttpCluster::start(3);
    cluster.open(0, ANA, "1", "10");
    cluster.open(1, BIA, "2", "0");
    cluster.banks.kill(1);
    // Bank 0 is a participant and votes last; bank 2 is none.
    for (driver, id) in [(0, "down-0"), (2, "down-2")] {
        let mut http = cluster.connect(driver);
        let refused = http.post_as(id, "/transferencia_composta", FROM_0_TO_1);
        refused.is_error(400, "falhou");
        for path in [format!("/transacoes/{id}"), format!("/transacoes/{id}?resumo")] {
            let json = http.get(&path).json();
            assert_eq!(json["status"], "abortada", "bank {driver}: {json}, after {refused:?}");
            assert_eq!(json["motivo"], refused.json()["motivo"], "{json}");
            assert!(json["tempo_us"].is_u64(), "{json}");
        }
    }
    let page = cluster.connect(0).get("/painel/transacoes/down-0").body;
    assert!(page.contains("Abortada"), "{page}");
}

/// Each response carries the transaction's id, whether the client or the bank chose it.
#[test]
fn each_response_carries_the_id_of_its_transaction() {
    let cluster = HttpCluster::start(2);
    cluster.open(0, ANA, "1", "10");
    let mut http = cluster.connect(0);
    let mut check = |path: &str, body: &str, status: u16, id: &str| {
        let answer = http.post_as("x-1", path, body);
        assert_eq!(
            (answer.status, answer.header("x-transacao")),
            (status, Some(id)),
            "{path} {body}: {answer:?}"
        );
    };
    let route = "/depositar";
    check(route, r#"{"cpf":"11111111111","numero":"1","valor":0.001}"#, 400, "x-1");
    check(route, r#"{"cpf":"11111111111","numero":"1"}"#, 400, "x-1");
    check(route, "{", 400, "x-1");
    check("/transferir", r#"{"cpf_origem":"11111111111"}"#, 400, "x-1");
    check("/transferencia_composta", r#"{"participantes":[]}"#, 400, "x-1");
    check("/prepare", r#"{"id":"x-1","participantes":[{"banco":7}]}"#, 400, "x-1");
    check("/prepare", r#"{"id":"x-2","participantes":[]}"#, 400, "x-2");
    check(route, r#"{"cpf":"11111111111","numero":"9","valor":1}"#, 400, "x-1");
    check("/commit", r#"{"id":"x-1"}"#, 400, "x-1");
    let made = http.post(route, r#"{"cpf":"11111111111","numero":"9","valor":1}"#);
    assert_eq!((made.status, made.header("x-transacao")), (400, made.json()["id"].as_str()));
    assert_eq!(http.get("/transacoes/nada").header("x-transacao"), Some("nada"));
    assert_eq!(http.get("/transacoes/x-1").header("x-transacao"), Some("x-1"));
}

/// A bank that is not introduced refuses with that cause, and records nothing.
#[test]
fn a_bank_that_is_not_introduced_records_nothing() {
    let mut cluster = Cluster::new(2, true);
    cluster.introduce();
    let port = free_ports(1)[0];
    cluster.add_switches(0, &["--http", &port.to_string()]);
    cluster.start_bank(0);
    let mut http = HttpConnection::open(port);
    let refused = http.post_as("n-1", "/transferencia_composta", FROM_0_TO_1);
    let json = refused.is_error(400, "falhou");
    assert_eq!((&json["motivo"], &json["id"]), (&"not-introduced".into(), &"n-1".into()), "{json}");
    assert!(
        json["detalhes"]
            .as_str()
            .is_some_and(|words| words.contains("o diário deste banco é novo")),
        "{json}"
    );
    http.get("/transacoes/n-1").is_error(404, "desconhecida");
}
