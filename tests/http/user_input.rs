//! User input: CNPJs, numbers with a space, texts with invisible characters, and unknown paths.

use crate::http::{ANA, BIA, HttpCluster};
use serde_json::json;

const COMPANY: &str = "12ABC34501DE35";

#[test]
fn a_cnpj_is_accepted_wherever_a_cpf_is() {
    let cluster = HttpCluster::start(2);
    cluster.open(0, COMPANY, "pj-1", "100");
    cluster.open(0, ANA, "1", "0");
    cluster.open(1, BIA, "2", "0");
    let mut http = cluster.connect(0);
    let success = r#"{"success":true}"#;
    http.get(&format!("/contas/{COMPANY}")).is(200, r#"[{"numero":"pj-1","saldo":100}]"#);
    let own = json!({"cpf": COMPANY, "numero": "pj-1", "valor": 10}).to_string();
    for path in ["/depositar", "/sacar", "/creditar"] {
        http.post(path, &own).is(200, success);
    }
    let transfer = json!({"cpf_origem": COMPANY, "numero_origem": "pj-1", "cpf_destino": ANA,
                          "numero_destino": "1", "valor": 5});
    http.post("/transferir", &transfer.to_string()).is(200, success);
    let composite = json!({"participantes": [
        {"banco": 0, "cpf": COMPANY, "numero": "pj-1", "valor": 5},
        {"banco": 1, "cpf": BIA, "numero": "2"}]});
    http.post("/transferencia_composta", &composite.to_string()).is(200, success);
    let hold = json!({"id": "e1", "participantes": [{
        "banco": 0, "cpf": COMPANY, "numero": "pj-1", "valor": 1,
        "banco_destino": 1, "cpf_destino": BIA, "numero_destino": "2"}]});
    http.post("/prepare", &hold.to_string()).is(200, r#"{"prepared":true}"#);
    // `saldo` is what is available, and `reservado` what is held.
    http.get(&format!("/contas/{COMPANY}"))
        .is(200, r#"[{"numero":"pj-1","saldo":99,"reservado":1}]"#);
    http.post("/commit", r#"{"id":"e1"}"#).is(200, r#"{"committed":true}"#);
    http.get(&format!("/contas/{COMPANY}")).is(200, r#"[{"numero":"pj-1","saldo":99}]"#);
    for wrong in ["12abc34501de35", "12ABC34501DE3", "12.ABC.345/01DE-35", "123"] {
        let body = json!({"cpf": wrong, "nome": "Padaria", "tipo": "Jurídico"}).to_string();
        http.post("/criar_cliente", &body)
            .is_error(400, "`cpf` deve ser um texto: CPF de 11 dígitos, ou CNPJ");
    }
}

#[test]
fn a_number_may_have_a_space_in_it() {
    let cluster = HttpCluster::start(1);
    cluster.open(0, ANA, "12345 6", "10");
    let mut http = cluster.connect(0);
    http.get(&format!("/contas/{ANA}")).is(200, r#"[{"numero":"12345 6","saldo":10}]"#);
    let deposit = json!({"cpf": ANA, "numero": "12345 6", "valor": 1}).to_string();
    http.post("/depositar", &deposit).is(200, r#"{"success":true}"#);
    let history = http.get("/historico").json();
    assert_eq!(history[0]["transacao"]["participantes"][0]["numero"], "12345 6", "{history}");
    // In the line protocol `␣` stands for a space within a word.
    let reply = cluster.banks.connect(0).ask("BALANCE 12345␣6");
    assert!(reply.contains("\"balance\":1100"), "{reply}");
    let page = http.get("/painel/contas/12345%206");
    assert!(page.status == 200 && page.body.contains("12345␣6"), "{page:?}");
    for bad in [" 1", "1 ", "1\t2", "."] {
        let body = json!({"cpf": ANA, "numero": bad}).to_string();
        http.post("/criar_conta", &body).is_error(400, "`numero`");
    }
}

/// Texts with invisible characters are refused, over HTTP and the line protocol, without any
/// change.
#[test]
fn texts_with_invisible_characters_are_refused() {
    let cluster = HttpCluster::start(2);
    cluster.open(0, ANA, "1", "10");
    let mut http = cluster.connect(0);
    for (name, words) in [
        ("Ana\u{202e}Z", "`nome` não pode ter o caractere invisível U+202E"),
        ("Ana\u{200b}", "`nome` não pode ter o caractere invisível U+200B"),
        ("Ana\u{2028}Z", "U+2028"),
        (" Ana", "`nome` não pode começar nem terminar com espaço"),
    ] {
        let body = json!({"cpf": BIA, "nome": name, "tipo": "Físico"}).to_string();
        http.post("/criar_cliente", &body).is_error(400, words);
    }
    let body = json!({"cpf": BIA, "nome": "Bia", "tipo": "F\u{ad}"}).to_string();
    http.post("/criar_cliente", &body)
        .is_error(400, "`tipo` não pode ter o caractere invisível U+00AD");
    let mut wire = cluster.banks.connect(0);
    let op = |account: &str| {
        format!(r#"{{"ops":[{{"bank":0,"op":"deposit","account":"{account}","amount":1}}]}}"#)
    };
    let set = |key: &str, value: &str| {
        format!(
            r#"{{"ops":[{{"bank":0,"op":"set","key":"{key}","value":"{value}"}},{{"bank":1,"op":"set","key":"{key}","value":"{value}"}}]}}"#
        )
    };
    for (line, words) in [
        (
            format!(r#"CLIENT {{"cpf":"{BIA}","name":"Bia\u202e","kind":"F"}}"#),
            "`name` must not hold",
        ),
        (
            format!(r#"CLIENT {{"cpf":"{BIA}","name":"Bia","kind":" F"}}"#),
            "`kind` must not begin or end",
        ),
        (
            format!(r#"ACCOUNT {{"number":"..","holders":["{ANA}"]}}"#),
            "`number` must not be `.` or `..`",
        ),
        (format!("EXECUTE . {}", op("1")), "`id` must not be `.` or `..`"),
        (format!("PREPARE .. {}", op("1")), "`id` must not be `.` or `..`"),
        (
            format!("EXECUTE x1 {}", op("1\\u200b")),
            "`account` must not hold the invisible character U+200B",
        ),
        (
            format!("PREPARE x1 {}", set("k\\u2066", "v")),
            "`key` must not hold the invisible character U+2066",
        ),
        (
            format!("EXECUTE x1 {}", set("k", " v")),
            "`value` must not begin or end with white space",
        ),
    ] {
        let reply = wire.ask(&line);
        assert!(reply.starts_with("ERR malformed ") && reply.contains(words), "{line}: {reply}");
    }
    assert!(wire.ask("STATUS x1").starts_with("UNKNOWN "), "nothing was recorded");
    // Such ids exist in old journals, so they can still be queried.
    assert!(wire.ask("STATUS .").starts_with("UNKNOWN "));
    let reply = wire.ask("RESOLVE .");
    assert!(reply.starts_with("ABORTED . "), "{reply}");
    http.get("/clientes").is(
        200,
        &format!(
            r#"[{{"cpf":"{ANA}","nome":"Pessoa {ANA}","tipo":"Físico","contas":[{{"numero":"1","saldo":10}}]}}]"#
        ),
    );
}

#[test]
fn errors_for_browsers_are_pages_and_redirects_stay_on_this_site() {
    let cluster = HttpCluster::start(1);
    let mut http = cluster.connect(0);
    let page = http.get("/painel/conta5");
    assert_eq!(page.status, 404);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
    let page = http.ask("GET", "/contaz", &[("accept", "text/html,*/*;q=0.8")], "");
    assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    http.get("/contaz").is_error(404, "Caminho desconhecido: /contaz");
    let page = http.post("/painel/caixa", "{}");
    assert_eq!((page.status, page.header("content-type")), (415, Some("text/html; charset=utf-8")));
    for (back, location) in [
        ("/painel/contas%3Fbusca=x", "/painel/contas?busca=x"),
        ("/%09/evil.example", "/"),
        ("//evil.example", "/"),
        ("/%5Cevil.example", "/"),
        ("https://evil.example", "/"),
    ] {
        let answer = http.get(&format!("/painel/idioma?para=en&volta={back}"));
        assert_eq!((answer.status, answer.header("location")), (303, Some(location)), "{back}");
    }
    let stream = http.ask("GET", "/painel/eventos", &[], "");
    assert_eq!(stream.header("x-accel-buffering"), Some("no"), "{stream:?}");
}
