//! An outside coordinator, over HTTP: it takes money from one bank, and decides what becomes of
//! that.

use super::Heard;
use crate::http::client::{Answer, HttpConnection};
use crate::kill_matrix::cases::Case;
use crate::kill_matrix::cluster::{AccountCluster, CPF, Effect, Outcome, Told, account};

/// A coordinator takes money from the bank that dies, and wants `wanted` where it was told that the
/// money is held. It aborts where it was told nothing, and repeats itself until it is answered.
pub fn outside(
    cluster: &mut AccountCluster,
    case: &Case,
    effect: &Effect,
    wanted: Outcome,
) -> Heard {
    let (victim, tx) = (case.bank(), case.tx());
    let (id, centavos) = (format!(r#"{{"id":"{tx}"}}"#), -effect.money[0].1);
    let (from, to) = (account(victim), account(2));
    let body = format!(
        r#"{{"id":"{tx}","participantes":[{{"banco":{victim},"cpf":"{CPF}","numero":"{from}","valor":{}.{:02},
            "banco_destino":2,"cpf_destino":"{CPF}","numero_destino":"{to}"}}]}}"#,
        centavos / 100,
        centavos % 100
    );
    cluster.arm(case);
    let port = cluster.http[victim];
    let post =
        |path: &str, body: &str| HttpConnection::try_open(port)?.try_ask("POST", path, &[], body);
    let prepared =
        post("/prepare", &body).map(|answer| is(&answer, r#"{"prepared":true}"#)).is_some();
    let (path, word, done) = match wanted {
        Outcome::Committed if prepared => ("/commit", "COMMITTED", r#"{"committed":true}"#),
        Outcome::Committed | Outcome::Aborted => ("/abort", "ABORTED", r#"{"aborted":true}"#),
    };
    let ended = prepared && post(path, &id).map(|answer| is(&answer, done)).is_some();
    cluster.wait_death(case);
    cluster.cluster.start_bank(victim);

    let mut wire = cluster.cluster.connect(victim);
    let status = wire.ask(&format!("STATUS {tx}"));
    let found = status.split(' ').next().unwrap();
    let possible: &[&str] = match (prepared, ended) {
        (false, _) => &["UNKNOWN", "OK"],
        (true, false) => &["OK", word],
        (true, true) => &[word],
    };
    assert!(possible.contains(&found), "answered {prepared} and {ended}, and then {status}");
    let held = if found == "OK" { centavos } else { 0 };
    let balance = wire.ask(&format!("BALANCE {from}"));
    assert!(balance.contains(&format!(r#""held":{held},"#)), "{status}, {balance}");
    if found == "OK" {
        // Nobody else decides that it is committed.
        let others = wire.ask(&format!("COMMIT {tx}"));
        assert!(others.starts_with("DOUBT "), "{others}");
    }
    is(&post(path, &id).expect("an answer: the bank lives"), done);
    let told = if path == "/commit" { Told::Committed } else { Told::Aborted };
    (told, if prepared { vec![victim] } else { Vec::new() })
}

fn is(answer: &Answer, json: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (200, json), "{answer:?}");
}
