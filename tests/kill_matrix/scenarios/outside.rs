//! An outside coordinator, over HTTP: it withdraws money from one bank and decides the outcome.

use super::ClientReport;
use crate::http::client::{HttpConnection, HttpResponse};
use crate::kill_matrix::cases::Case;
use crate::kill_matrix::cluster::{
    AccountCluster, CPF, Effect, FinalOutcome, ReportedOutcome, account,
};

/// A coordinator withdraws money from the victim. It decides `decision` if the victim acknowledged
/// the hold, else it aborts; it repeats its decision until the victim acknowledges it.
pub fn outside(
    cluster: &mut AccountCluster,
    case: &Case,
    effect: &Effect,
    decision: FinalOutcome,
) -> ClientReport {
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
    let (path, word, done) = match decision {
        FinalOutcome::Committed if prepared => ("/commit", "COMMITTED", r#"{"committed":true}"#),
        FinalOutcome::Committed | FinalOutcome::Aborted => {
            ("/abort", "ABORTED", r#"{"aborted":true}"#)
        }
    };
    let ended = prepared && post(path, &id).map(|answer| is(&answer, done)).is_some();
    cluster.wait_crash(case);
    cluster.cluster.start_bank(victim);

    let mut wire = cluster.cluster.connect(victim);
    let status = wire.ask(&format!("STATUS {tx}"));
    let found = status.split(' ').next().unwrap();
    let possible: &[&str] = match (prepared, ended) {
        (false, _) => &["UNKNOWN", "OK"],
        (true, false) => &["OK", word],
        (true, true) => &[word],
    };
    assert!(possible.contains(&found), "prepared: {prepared}, ended: {ended}, but {status}");
    let held = if found == "OK" { centavos } else { 0 };
    let balance = wire.ask(&format!("BALANCE {from}"));
    assert!(balance.contains(&format!(r#""held":{held},"#)), "{status}, {balance}");
    if found == "OK" {
        // Only the coordinator decides: a COMMIT of another client is not enough.
        let reply = wire.ask(&format!("COMMIT {tx}"));
        assert!(reply.starts_with("DOUBT "), "{reply}");
    }
    is(&post(path, &id).expect("a response, as the bank runs again"), done);
    let committed = path == "/commit";
    let reported = if committed { ReportedOutcome::Committed } else { ReportedOutcome::Aborted };
    (reported, if prepared { vec![victim] } else { Vec::new() })
}

fn is(response: &HttpResponse, json: &str) {
    assert_eq!((response.status, response.body.as_str()), (200, json), "{response:?}");
}
