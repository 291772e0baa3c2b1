//! An outside coordinator, which sends `/prepare` and `/commit` to each bank over HTTP.

use crate::http::{ANA, BIA, CAIO, HttpCluster};
use crate::support::wait_until;
use serde_json::{Value, json};

/// A participant of a transaction whose destination is account 3 of bank 2.
fn participant(bank: usize, cpf: &str, number: &str, valor: &str) -> Value {
    let valor: Value = serde_json::from_str(valor).unwrap();
    json!({
        "banco": bank, "cpf": cpf, "numero": number, "valor": valor,
        "banco_destino": 2, "numero_destino": "3", "cpf_destino": CAIO, "valor_total": 150,
    })
}

fn prepare(id: &str, participants: &[Value]) -> String {
    json!({ "id": id, "participantes": participants }).to_string()
}

fn cluster() -> HttpCluster {
    let cluster = HttpCluster::start(3);
    cluster.open(0, ANA, "1", "1000");
    cluster.open(1, BIA, "2", "500");
    cluster.open(2, CAIO, "3", "0");
    cluster
}

const PREPARED: &str = r#"{"prepared":true}"#;
const COMMITTED: &str = r#"{"committed":true}"#;
const ABORTED: &str = r#"{"aborted":true}"#;

#[test]
fn a_transaction_of_an_outside_coordinator() {
    let cluster = cluster();
    let all = [
        participant(0, ANA, "1", "100"),
        participant(1, BIA, "2", "50"),
        participant(2, CAIO, "3", "0"),
    ];
    let body = prepare("e1", &all);
    for bank in 0..3 {
        cluster.connect(bank).post("/prepare", &body).is(200, PREPARED);
        cluster.connect(bank).post("/prepare", &body).is(200, PREPARED);
    }
    let mut http = cluster.connect(0);
    assert_eq!(cluster.balance(0, ANA), "900", "held money is not available");
    http.post("/sacar", r#"{"cpf":"11111111111","numero":"1","valor":900.01}"#)
        .is_error(400, "Saldo");
    let pending = http.get("/pendentes").json();
    assert_eq!(
        pending,
        json!([[{"banco": 0, "cpf": ANA, "numero": "1", "operacao": "saque", "valor": 100}]])
    );
    let history = http.get("/historico").json();
    let last = history.as_array().unwrap().last().unwrap();
    assert_eq!(
        last["detalhes"], "Transação em andamento: espera o coordenador externo",
        "{history}"
    );
    for _ in 0..2 {
        for bank in 0..3 {
            cluster.connect(bank).post("/commit", r#"{"id":"e1"}"#).is(200, COMMITTED);
        }
    }
    cluster
        .connect(2)
        .post("/creditar", r#"{"cpf":"33333333333","numero":"3","valor":150}"#)
        .is(200, r#"{"success":true}"#);
    assert_eq!(
        [cluster.balance(0, ANA), cluster.balance(1, BIA), cluster.balance(2, CAIO)],
        ["900", "450", "150"]
    );
    let json = http.post("/abort", &body).json();
    assert_eq!(json, json!({"aborted": false, "id": "e1"}), "a commit is final");
    http.get("/pendentes").is(200, "[]");
    // Every cut adds up: the debits count as cash out, the credit as cash in.
    let cut = cluster.banks.connect(0).ask("SNAPSHOT");
    assert!(cut.contains(r#""cash_in_total":100000,"cash_out_total":10000,"#), "{cut}");
}

#[test]
fn votes_tombstones_and_repeated_requests() {
    let cluster = cluster();
    let mut http = cluster.connect(0);
    let of_ana = |id: &str, valor: &str| prepare(id, &[participant(0, ANA, "1", valor)]);
    http.post("/prepare", &of_ana("a1", "10")).is(200, PREPARED);
    for _ in 0..2 {
        http.post("/abort", r#"{"id":"a1","participantes":[]}"#).is(200, ABORTED);
    }
    http.post("/commit", r#"{"id":"a1"}"#)
        .is(400, r#"{"committed":false,"motivo":"refused","id":"a1"}"#);
    // An abort that arrives before the prepare makes that prepare fail.
    http.post("/abort", r#"{"id":"a2"}"#).is(200, ABORTED);
    http.post("/prepare", &of_ana("a2", "10"))
        .is(400, r#"{"prepared":false,"motivo":"refused","id":"a2"}"#);
    http.post("/commit", r#"{"id":"a3"}"#).is(400, r#"{"committed":false,"id":"a3"}"#);
    http.post("/prepare", &of_ana("a3", "10")).is(200, PREPARED);
    http.post("/commit", r#"{"id":"a3"}"#).is(200, COMMITTED);
    for (id, participant, reason) in [
        ("n1", participant(0, ANA, "1", "990.01"), "insufficient-funds"),
        ("n2", participant(0, ANA, "9", "1"), "unknown-account"),
        ("n3", participant(0, BIA, "1", "1"), "not-holder"),
    ] {
        let refused = json!({"prepared": false, "motivo": reason, "id": id});
        assert_eq!(http.post("/prepare", &prepare(id, &[participant])).json(), refused);
        assert_eq!(http.post("/commit", &json!({"id": id}).to_string()).json()["committed"], false);
        http.post("/abort", &json!({"id": id}).to_string()).is(200, ABORTED);
    }
    // The coordinator cannot use the id of another transaction.
    http.post_as("d1", "/depositar", r#"{"cpf":"11111111111","numero":"1","valor":1}"#)
        .is(200, r#"{"success":true}"#);
    for path in ["/commit", "/abort"] {
        assert_eq!(http.post(path, r#"{"id":"d1"}"#).json()["motivo"], "duplicate-id");
    }
    assert_eq!(http.post("/prepare", &of_ana("d1", "1")).json()["motivo"], "duplicate-id");
    assert_eq!(cluster.balance(0, ANA), "991");
    http.get("/pendentes").is(200, "[]");
}

#[test]
fn only_the_coordinator_or_an_abort_ends_its_hold() {
    let mut cluster = cluster();
    let body = prepare("h1", &[participant(0, ANA, "1", "10")]);
    let mut http = cluster.connect(0);
    http.post("/prepare", &body).is(200, PREPARED);
    drop(http);
    cluster.banks.kill(0);
    cluster.banks.start_bank(0);
    let mut wire = cluster.banks.connect(0);
    assert!(wire.ask("RESOLVE h1").starts_with("OK h1"));
    assert!(wire.ask("COMMIT h1").starts_with("DOUBT h1"));
    let mut http = cluster.connect(0);
    assert_eq!(http.get("/transacoes/h1").json()["status"], "pendente");
    http.post("/commit", r#"{"id":"h1"}"#).is(200, COMMITTED);
    let body = prepare("h2", &[participant(0, ANA, "1", "10")]);
    http.post("/prepare", &body).is(200, PREPARED);
    assert!(wire.ask("ABORT h2").starts_with("ABORTED h2"));
    http.post("/commit", r#"{"id":"h2"}"#)
        .is(400, r#"{"committed":false,"motivo":"refused","id":"h2"}"#);
    wait_until("nothing is pending", || (http.get("/pendentes").body == "[]").then_some(()));
    assert_eq!(cluster.balance(0, ANA), "990");
}

#[test]
fn an_account_may_be_a_source_and_the_destination() {
    let cluster = cluster();
    let mut http = cluster.connect(2);
    http.post("/depositar", r#"{"cpf":"33333333333","numero":"3","valor":20}"#)
        .is(200, r#"{"success":true}"#);
    let list = [
        participant(2, CAIO, "3", "5"),
        participant(0, ANA, "1", "7"),
        participant(2, CAIO, "3", "0"),
    ];
    http.post("/prepare", &prepare("s1", &list)).is(200, PREPARED);
    http.post("/commit", r#"{"id":"s1"}"#).is(200, COMMITTED);
    assert_eq!(
        (cluster.balance(2, CAIO), cluster.balance(0, ANA)),
        ("15".into(), "1000".into()),
        "each bank holds only its own debits"
    );
}

#[test]
fn an_invalid_field_is_named() {
    let cluster = cluster();
    let mut http = cluster.connect(0);
    let good = participant(0, ANA, "1", "1");
    for name in
        ["banco", "cpf", "numero", "valor", "banco_destino", "numero_destino", "cpf_destino"]
    {
        for wrong in [Value::Null, json!([1]), json!(" x y")] {
            let mut bad = good.clone();
            bad[name] = wrong;
            http.post("/prepare", &prepare("w1", &[bad]))
                .is_error(400, &format!("`participantes[0].{name}`"));
        }
    }
    let mut bad = good.clone();
    bad["valor_total"] = json!(-1);
    http.post("/prepare", &prepare("w1", &[bad])).is_error(400, "`participantes[0].valor_total`");
    http.post("/prepare", &json!({"id": "w1"}).to_string()).is_error(400, "`participantes` falta");
    http.post("/prepare", &prepare("a b", &[])).is_error(400, "`id`");
    http.post("/prepare", &prepare("w1", &vec![good; 65])).is_error(400, "`participantes`");
    for path in ["/commit", "/abort"] {
        http.post(path, "{}").is_error(400, "`id` falta");
        http.post(path, r#"{"id":1}"#).is_error(400, "`id`");
        http.post_as("w2", path, r#"{"id":"w1"}"#).is_error(400, "Idempotency-Key");
    }
    assert_eq!(cluster.banks.connect(0).ask("STATUS w1"), "UNKNOWN w1");
}
