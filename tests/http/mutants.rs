//! Mutated requests: valid ones with a few bytes changed. Each response must be JSON with a
//! documented status, no connection may hang, and the books must add up.

use crate::http::client::HttpConnection;
use crate::http::{ANA, BIA, HttpCluster};
use serde_json::Value;

const GOOD: [(&str, &str); 9] = [
    ("/criar_cliente", r#"{"cpf":"33333333333","nome":"Caio","tipo":"Jurídico"}"#),
    (
        "/criar_conta",
        concat!(
            r#"{"cpf":"11111111111","numero":"7","saldo_inicial":1.5,"conjunta":true,"#,
            r#""titulares":["11111111111","22222222222"]}"#
        ),
    ),
    ("/depositar", r#"{"cpf":"11111111111","numero":"1","valor":10.25}"#),
    ("/sacar", r#"{"cpf":"22222222222","numero":"2","valor":0.5}"#),
    (
        "/transferir",
        concat!(
            r#"{"cpf_origem":"11111111111","numero_origem":"1","cpf_destino":"22222222222","#,
            r#""numero_destino":"2","valor":3}"#
        ),
    ),
    (
        "/transferencia_composta",
        concat!(
            r#"{"participantes":[{"banco":0,"cpf":"11111111111","numero":"1","valor":1},"#,
            r#"{"banco":0,"cpf":"22222222222","numero":"2","valor":0}]}"#
        ),
    ),
    ("/creditar", r#"{"cpf":"11111111111","numero":"1","valor":1e1}"#),
    (
        "/prepare",
        concat!(
            r#"{"id":"e1","participantes":[{"banco":0,"cpf":"11111111111","numero":"1","#,
            r#""valor":1,"banco_destino":0,"numero_destino":"2","cpf_destino":"22222222222","#,
            r#""valor_total":1}]}"#
        ),
    ),
    ("/commit", r#"{"id":"e1"}"#),
];

/// The texts that replace or separate bytes.
const PIECES: [&str; 20] = [
    "",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "0",
    "9",
    "-",
    ".",
    "e",
    "\\",
    "null",
    "true",
    "99999999999999999999",
    "\u{0}",
    "é",
    "\\u0000",
];

/// A xorshift generator, so that every run sends the same bodies.
struct XorShift(u64);

impl XorShift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

fn mutant(random: &mut XorShift, good: &str) -> String {
    let mut text: Vec<char> = good.chars().collect();
    for _ in 0..random.below(4) {
        let at = random.below(text.len() + 1);
        let until = (at + random.below(3)).min(text.len());
        text.splice(at..until, PIECES[random.below(PIECES.len())].chars());
    }
    text.into_iter().collect()
}

#[test]
fn mutated_requests_get_a_valid_response() {
    let cluster = HttpCluster::start(1);
    cluster.open(0, ANA, "1", "1000");
    cluster.open(0, BIA, "2", "1000");
    let mut random = XorShift(0x5eed_1234_5678_9abc);
    let mut http = cluster.connect(0);
    let (mut done, mut refused) = (0, 0);
    for round in 0..4_000 {
        let (path, good) = GOOD[round % GOOD.len()];
        let body = mutant(&mut random, good);
        let answer = http.try_ask("POST", path, &[], &body).or_else(|| {
            // A refusal may close the connection, so this one is sent again on a new connection.
            http = HttpConnection::open(cluster.ports[0]);
            http.try_ask("POST", path, &[], &body)
        });
        let answer = answer.unwrap_or_else(|| panic!("no response to {path} {body:?}"));
        match answer.status {
            200 | 201 => done += 1,
            400 => refused += 1,
            other => panic!("{other} to {path} {body:?}: {answer:?}"),
        }
        assert!(answer.json().is_object(), "{path} {body:?}: {answer:?}");
    }
    assert!(
        done > 100 && refused > 1_000,
        "{done} done, {refused} refused: too many mutations, or too few"
    );
    http.post("/abort", r#"{"id":"e1"}"#);
    let cut = cluster.banks.connect(0).ask("SNAPSHOT");
    let cut: Value = serde_json::from_str(cut.strip_prefix("DONE ").expect("a cut")).unwrap();
    let total = |name: &str| cut[name].as_i64().unwrap();
    assert_eq!(total("balance_total"), total("cash_in_total") - total("cash_out_total"), "{cut}");
    assert_eq!(total("transfers_in_total"), total("transfers_out_total"), "{cut}");
    let clients = cluster.connect(0).get("/clientes").json();
    assert!(clients.as_array().is_some_and(|clients| clients.len() >= 2));
}
