//! Idempotency keys: any text can be one, a request is done once, and a temporary refusal can be
//! retried.

use crate::http::{ANA, BIA, HttpCluster};
use crate::support::{signal, wait_until};

const DEPOSIT: &str = r#"{"cpf":"11111111111","numero":"1","valor":1}"#;
const FROM_0_TO_1: &str = concat!(
    r#"{"participantes":[{"banco":0,"cpf":"11111111111","numero":"1","valor":5},"#,
    r#"{"banco":1,"cpf":"22222222222","numero":"2"}]}"#
);

#[test]
fn any_text_up_to_its_bound_is_a_key() {
    let cluster = HttpCluster::start(1);
    cluster.open(0, ANA, "1", "0");
    let mut http = cluster.connect(0);
    let long = "x".repeat(255);
    let mut ids = std::collections::BTreeSet::new();
    let keys = [
        "\"8e03978e-40d5\"",
        "pedido:7",
        "Zm9v+/==",
        "a b",
        "não",
        ".",
        "..",
        &long,
        "8e03978e-40d5",
    ];
    for key in keys {
        let mut ids_of_key = Vec::new();
        for _ in 0..2 {
            let answer = http.post_as(key, "/depositar", DEPOSIT);
            answer.is(200, r#"{"success":true}"#);
            ids_of_key.push(answer.header("x-transacao").unwrap().to_owned());
        }
        let [id, again] = &ids_of_key[..] else { panic!("two responses") };
        assert_eq!(id, again, "{key}");
        assert!(ids.insert(id.clone()), "{key}");
        let summary = http.get(&format!("/transacoes/{id}?resumo")).json();
        assert_eq!(summary["status"], "completada");
    }
    assert_eq!(cluster.balance(0, ANA), keys.len().to_string(), "each was done once");
    // The transaction can be looked up by its key too.
    let found = http.get("/transacoes/pedido:7?resumo").json();
    assert_eq!(found["status"], "completada", "{found}");
    let other =
        http.post_as("a b", "/depositar", r#"{"cpf":"11111111111","numero":"1","valor":2}"#);
    let json = other.is_error(400, "O id já foi usado por outra transação");
    assert_eq!(json["motivo"], "duplicate-id");
    http.post_as(&"x".repeat(256), "/depositar", DEPOSIT).is_error(400, "de 1 a 255 bytes");
    let withdraw = http.post_as("a b", "/sacar", DEPOSIT);
    withdraw.is_error(400, "O id já foi usado por outra transação");
}

/// A request that was refused because a bank was down can be retried under its key until it
/// succeeds, and only once.
#[test]
fn a_key_can_be_retried_after_a_temporary_refusal() {
    let mut cluster = HttpCluster::start(2);
    cluster.open(0, ANA, "1", "100");
    cluster.open(1, BIA, "2", "0");
    let mut http = cluster.connect(0);
    cluster.banks.kill(1);
    let refused = wait_until("a refusal that is recorded", || {
        let answer = http.post_as("pedido:1", "/transferencia_composta", FROM_0_TO_1);
        let json = answer.is_error(400, "falhou");
        assert_eq!(json["motivo"], "unreachable", "{json}");
        let id = json["id"].as_str()?.to_owned();
        // If this bank recorded its refusal, the transaction is aborted, though the other bank does
        // not answer.
        let found = http.try_ask("GET", &format!("/transacoes/{id}?resumo"), &[], "")?;
        (found.status == 200 && found.json()["status"] == "abortada").then_some(id)
    });
    // A request with another content is no retry.
    let other = FROM_0_TO_1.replace("\"valor\":5", "\"valor\":6");
    let json = http
        .post_as("pedido:1", "/transferencia_composta", &other)
        .is_error(400, "O id já foi usado");
    assert_eq!(json["motivo"], "duplicate-id");
    cluster.banks.start_bank(1);
    cluster.linked();
    let mut done = Vec::new();
    wait_until("the retry succeeds", || {
        let answer = http.post_as("pedido:1", "/transferencia_composta", FROM_0_TO_1);
        done.push(answer.header("x-transacao").unwrap().to_owned());
        (answer.status == 200).then_some(())
    });
    assert_ne!(done.last(), Some(&refused), "an abort is final");
    for _ in 0..2 {
        let again = http.post_as("pedido:1", "/transferencia_composta", FROM_0_TO_1);
        again.is(200, r#"{"success":true}"#);
        assert_eq!(again.header("x-transacao"), done.last().map(String::as_str));
    }
    assert_eq!(
        (cluster.balance(0, ANA), cluster.balance(1, BIA)),
        ("95".into(), "5".into()),
        "once"
    );
    let found = http.get("/transacoes/pedido:1?resumo").json();
    assert_eq!(found["status"], "completada", "the newest attempt counts: {found}");
    // A permanent refusal is returned again.
    let much = r#"{"cpf":"11111111111","numero":"1","valor":1000}"#;
    let first = http.post_as("w", "/sacar", much);
    first.is_error(400, "Saldo insuficiente");
    assert_eq!(http.post_as("w", "/sacar", much).body, first.body);
}

/// After a driver gave up on a frozen bank, a retry under the key at any bank is done once.
#[test]
fn a_key_is_done_once_across_all_banks() {
    let cluster = HttpCluster::start(3);
    cluster.open(0, ANA, "1", "100");
    cluster.open(1, BIA, "2", "0");
    for (round, drives) in [0, 2].into_iter().enumerate() {
        let key = format!("pay-{round}");
        let post =
            |bank| cluster.connect(bank).post_as(&key, "/transferencia_composta", FROM_0_TO_1);
        signal("STOP", cluster.banks.pid(1));
        let first = post(drives);
        assert!(first.status != 200, "{}", first.body);
        signal("CONT", cluster.banks.pid(1));
        cluster.linked();
        let done = wait_until("the key is done", || {
            let answer = post(drives);
            (answer.status == 200).then(|| answer.header("x-transacao").unwrap().to_owned())
        });
        for bank in [1, 2, 0] {
            let again = post(bank);
            again.is(200, r#"{"success":true}"#);
            assert_eq!(again.header("x-transacao"), Some(&*done), "bank {bank}");
            let found = cluster.connect(bank).get(&format!("/transacoes/{key}?resumo")).json();
            assert_eq!(found["status"], "completada", "bank {bank}: {found}");
        }
        assert_eq!(cluster.balance(1, BIA), (5 * (round + 1)).to_string(), "once");
    }
}

/// A bank that is no participant and refused the id, as `cliente resolve` may make it do, must not
/// start another attempt.
#[test]
fn a_refusal_at_a_bank_that_is_no_participant_moves_no_money_twice() {
    let cluster = HttpCluster::start(3);
    cluster.open(0, ANA, "1", "100");
    cluster.open(1, BIA, "2", "0");
    let post = |bank| cluster.connect(bank).post_as("pay", "/transferencia_composta", FROM_0_TO_1);
    post(0).is(200, r#"{"success":true}"#);
    assert!(cluster.banks.connect(2).ask("RESOLVE pay").starts_with("ABORTED pay "));
    let again = post(2);
    assert_eq!(
        (cluster.balance(1, BIA), again.header("x-transacao")),
        ("5".into(), Some("pay")),
        "{}",
        again.body
    );
    again.is(200, r#"{"success":true}"#);
}

/// If the participants answer only after the timeout, the bank must repeat the same attempt, not
/// start the next one.
#[test]
fn a_refusal_at_a_bank_that_is_no_participant_is_no_proof_while_the_others_are_silent() {
    let cluster = HttpCluster::start(4);
    cluster.open(0, ANA, "1", "100");
    cluster.open(1, BIA, "2", "0");
    let post = |bank| cluster.connect(bank).post_as("pay", "/transferencia_composta", FROM_0_TO_1);
    post(0).is(200, r#"{"success":true}"#);
    for bank in [2, 3] {
        assert!(cluster.banks.connect(bank).ask("RESOLVE pay").starts_with("ABORTED pay "));
    }
    let frozen = [0, 1].map(|bank| cluster.banks.pid(bank));
    for pid in frozen {
        signal("STOP", pid);
    }
    let mut http = cluster.connect(2);
    let again =
        std::thread::spawn(move || http.post_as("pay", "/transferencia_composta", FROM_0_TO_1));
    // Bank 2 has given up on their answers: it executes an attempt, or looks up the next one.
    wait_until("bank 2 gives up on the others", || {
        let log = cluster.banks.log(2);
        (log.contains(" EXECUTE") || log.contains(" tx=k-")).then_some(())
    });
    for pid in frozen {
        signal("CONT", pid);
    }
    let again = again.join().unwrap();
    assert_eq!(cluster.balance(1, BIA), "5", "{} {}", again.status, again.body);
    post(2).is(200, r#"{"success":true}"#);
    assert_eq!(cluster.balance(1, BIA), "5");
}

#[test]
fn reading_a_transaction_adds_no_steps() {
    let cluster = HttpCluster::start(2);
    cluster.open(0, ANA, "1", "10");
    cluster.open(1, BIA, "2", "0");
    let mut http = cluster.connect(0);
    http.post_as("l1", "/transferencia_composta", FROM_0_TO_1).is(200, r#"{"success":true}"#);
    let steps = |http: &mut crate::http::client::HttpConnection| {
        let json = http.get("/transacoes/l1").json();
        let steps =
            json["passos"].as_array().unwrap_or_else(|| panic!("no steps in {json}")).clone();
        let nodes = steps.iter().map(|step| step["no"].as_str().unwrap().to_owned());
        (nodes.collect::<std::collections::BTreeSet<String>>(), json.to_string())
    };
    let banks = ["bank 0", "bank 1"].map(str::to_owned).into();
    wait_until("both banks have written steps", || (steps(&mut http).0 == banks).then_some(()));
    for _ in 0..5 {
        assert_eq!(http.get("/painel/transacoes/l1").status, 200);
        assert_eq!(http.get("/painel/transacoes/l1/passos.svg").status, 200);
    }
    let (nodes, json) = steps(&mut http);
    assert!(nodes == banks && !json.contains("STATUS"), "{json}");
    // The picture has columns for the driver and each bank alone, and the visitor's language.
    for (cookie, words) in [("idioma=pt", "banco 1: vota OK"), ("idioma=en", "bank 1: votes OK")] {
        let path = "/painel/transacoes/l1/passos.svg";
        let svg = http.ask("GET", path, &[("cookie", cookie)], "").body;
        assert!(svg.contains(words) && svg.contains(" %</text>"), "{svg}");
        assert_eq!(svg.matches("class=\"head ").count(), 3, "{svg}");
    }
}
