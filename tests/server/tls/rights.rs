//! What names may do, from `access.toml` over real connections.

use super::{ACCESS, LINE, SecureBanks, told_by};
use crate::support::{free_ports, signal, wait_until};

const HERS: &str = concat!(
    r#"{"ops":[{"bank":0,"op":"debit","account":"1","amount":5},"#,
    r#"{"bank":1,"op":"credit","account":"3","amount":5}],"patience_ms":60000}"#
);

/// Bank 0 with account 1 of `titular1` and account 2 of somebody else, bank 1 with account 3.
fn opened() -> SecureBanks {
    let banks = SecureBanks::start(2);
    let mut caixa = banks.dial(0, "caixa1", LINE);
    let done = |client: &mut super::TlsClient, cpf: &str, account: &str| {
        for line in [
            format!(r#"CLIENT {{"cpf":"{cpf}","name":"Pessoa","kind":"F"}}"#),
            format!(r#"ACCOUNT {{"number":"{account}","holders":["{cpf}"],"deposit":1000}}"#),
        ] {
            let reply = client.ask(&line).unwrap();
            assert!(reply.starts_with("DONE"), "{line}: {reply}");
        }
    };
    done(&mut caixa, "11111111111", "1");
    done(&mut caixa, "22222222222", "2");
    done(&mut banks.dial(1, "caixa1", LINE), "33333333333", "3");
    banks
}

fn hang_up(banks: &SecureBanks, bank: usize, access: &str) {
    banks.grant(bank, access);
    signal("HUP", banks.cluster.pid(bank));
}

#[test]
fn a_holder_moves_its_own_money_and_no_other() {
    let banks = opened();
    let moved = banks.cliente("titular1", &["transfer", "--from", "0/1=1", "--to", "1/3"]);
    moved.expect_code(0).expect("committed");
    let refused = banks.cliente("titular1", &["transfer", "--from", "0/2=1", "--to", "1/3"]);
    let refused = refused.expect_code(4);
    assert!(told_by(&refused).contains("not-allowed"), "{refused:?}");
    assert!(told_by(&refused).contains("no right to debit account 2 here"), "{refused:?}");
    banks.cliente("titular1", &["balance", "0/1"]).expect_code(0).expect("9,00");
    let refused = banks.cliente("titular1", &["balance", "0/2"]).expect_code(4);
    assert!(told_by(&refused).contains("not-allowed"), "{refused:?}");
    // Who did what is told by the books and by the log.
    let history = banks.cliente("caixa1", &["history", "--who"]).expect_code(0);
    history.expect("titular1").expect("who");
    banks.wait_logged(0, "BALANCE n=2 by=titular1");
    let own = banks.cliente("titular1", &["history"]).expect_code(0);
    assert!(own.stdout.contains("titular1."), "{own:?}");
    // Neither in another's name, nor in nobody's.
    let mut line = banks.dial(0, "titular1", LINE);
    for tx in ["caixa1.1", "t1"] {
        let reply = line.ask(&format!("PREPARE {tx} {HERS}")).unwrap();
        assert!(reply.starts_with("ERR not-allowed"), "{reply}");
    }
    assert_eq!(
        line.ask(r#"CLIENT {"cpf":"44444444444","name":"P","kind":"F"}"#).unwrap(),
        "ERR not-allowed titular1 has no right to CLIENT here"
    );
}

#[test]
fn a_bank_drives_for_a_teller_and_only_credits_go_over_its_link() {
    let banks = opened();
    let credit = concat!(
        r#"{"ops":[{"bank":0,"op":"debit","account":"2","amount":5},"#,
        r#"{"bank":1,"op":"credit","account":"3","amount":5}]}"#
    );
    let debit = credit.replace("debit", "x").replace("credit", "debit").replace("x", "credit");
    let mut caixa = banks.dial(0, "caixa1", LINE);
    let reply = caixa.ask(&format!("EXECUTE caixa1.1 {credit}")).unwrap();
    assert!(reply.starts_with("COMMITTED caixa1.1"), "{reply}");
    let reply = caixa.ask(&format!("EXECUTE caixa1.2 {debit}")).unwrap();
    assert!(reply.starts_with("ABORTED caixa1.2") && reply.ends_with("not-allowed"), "{reply}");
    hang_up(&banks, 1, &format!("trust = [0]\n{ACCESS}"));
    banks.wait_logged(1, "access.toml is read again");
    let reply = caixa.ask(&format!("EXECUTE caixa1.3 {debit}")).unwrap();
    assert!(reply.starts_with("COMMITTED caixa1.3"), "{reply}");
}

#[test]
fn a_name_that_is_taken_out_loses_its_sessions_and_its_doubts_end_at_once() {
    let banks = opened();
    let mut hers = banks.dial(0, "titular1", LINE);
    let reply = hers.ask(&format!("PREPARE titular1.1 {HERS}")).unwrap();
    assert!(reply.starts_with("OK titular1.1"), "{reply}");
    let others: String = ACCESS.split_inclusive("\n\n").skip(1).collect();
    hang_up(&banks, 0, &others);
    let told = hers.receive().expect("it is told why");
    assert!(told.starts_with("ERR not-allowed its name was taken out"), "{told}");
    assert_eq!(hers.receive(), Err("closed".to_owned()));
    banks.wait_logged(0, "doubt   tx=titular1.1 owner-gone");
    let mut caixa = banks.dial(0, "caixa1", LINE);
    let ended = wait_until("the end of titular1.1", || {
        caixa.ask("STATUS titular1.1").ok().filter(|reply| reply.starts_with("ABORTED"))
    });
    assert!(ended.contains("expired"), "{ended}");
    // A valid certificate without a role.
    let mut named = banks.dial(0, "titular1", LINE);
    assert_eq!(named.ask("PING"), Ok("PONG".to_owned()));
    let reply = named.ask("BALANCE 1").unwrap();
    assert!(reply.starts_with("ERR not-allowed"), "{reply}");
    // Ended for ever, and a certificate that is too old.
    hang_up(&banks, 0, "[titular1]\ngone = 2026-01-01\n[caixa1]\nsince = 2999-01-01\n");
    for (name, why) in [
        ("titular1", "the name titular1 has ended"),
        ("caixa1", "certificate of caixa1 was made before"),
    ] {
        wait_until("the end of a name", || {
            let told = banks.dial(0, name, LINE).ask("PING").unwrap_or_default();
            told.contains(why).then_some(())
        });
    }
}

#[test]
fn a_faulty_access_file_changes_nothing_and_is_refused_at_a_start() {
    let mut banks = opened();
    let mut caixa = banks.dial(0, "caixa1", LINE);
    for (access, why) in [
        ("[titular1]\nroles = [\"boss\"]\n", "access.toml:2: there is no role boss"),
        ("[a]\n[b]\n[a]\n", "access.toml:3: this is no TOML"),
        ("[a]\nroles = [\n", "access.toml:2: this is no TOML"),
    ] {
        hang_up(&banks, 0, access);
        banks.wait_logged(0, why);
        let reply = caixa.ask("BALANCE 1").unwrap();
        assert!(reply.starts_with("DONE"), "{reply}");
    }
    banks.wait_logged(0, "what was granted before stays in force");
    assert_eq!(banks.cluster.stop(0), Some(0));
    let ran = banks.cluster.servidor(0).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{told}");
    assert!(told.contains("access.toml:2: this is no TOML"), "{told}");
    std::fs::remove_file(banks.cluster.path().join("tls-0/access.toml")).unwrap();
    let told = banks.cluster.servidor(0).output().unwrap();
    assert!(String::from_utf8_lossy(&told.stderr).contains("tls-0/access.toml can't be read"));
    banks.grant(0, ACCESS);
    banks.cluster.start_bank(0);
}

/// One request over HTTP with the certificate of `name`: the status, and the body.
fn http(banks: &SecureBanks, port: &str, name: Option<&str>, request: &str) -> (u16, String) {
    let address = format!("127.0.0.1:{port}");
    let mut client =
        super::TlsClient::dial(&address, &banks.file(""), name, 0, &[b"http/1.1".as_slice()]);
    let (head, body) = request.split_once('\n').unwrap_or((request, ""));
    let text = format!(
        "{head} HTTP/1.1\r\nHost: bank-0.consorcio.internal\r\nConnection: close\r\n\
         Content-Type: application/json\r\nIdempotency-Key: k1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(text.as_bytes()).unwrap();
    let answer = client.rest();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{request}: {answer}")), answer)
}

#[test]
fn routes_ask_for_a_certificate_and_for_its_rights() {
    let mut banks = SecureBanks::new(1);
    let port = free_ports(1)[0].to_string();
    banks.cluster.add_switches(0, &["--http", &port]);
    banks.cluster.start_bank(0);
    let ask = |name: Option<&str>, request: &str| http(&banks, &port, name, request);
    let caixa = Some("caixa1");
    let hers = Some("titular1");
    for (cpf, account) in [("11111111111", "1"), ("22222222222", "2")] {
        let client = format!(r#"{{"cpf":"{cpf}","nome":"Pessoa","tipo":"F"}}"#);
        let request = format!("POST /criar_cliente\n{client}");
        assert_eq!(ask(hers, &request).0, 403);
        assert_eq!(ask(None, &request).0, 401);
        let (status, answer) = ask(caixa, &request);
        assert!((200..300).contains(&status), "{answer}");
        let mut line = banks.dial(0, "caixa1", LINE);
        let opened =
            format!(r#"ACCOUNT {{"number":"{account}","holders":["{cpf}"],"deposit":1000}}"#);
        assert!(line.ask(&opened).unwrap().starts_with("DONE"));
    }
    for (name, request, status) in [
        (None, "GET /status", 200),
        (None, "GET /healthz", 200),
        (None, "GET /historico", 401),
        (None, "GET /metrics", 401),
        (None, "GET /painel/contas", 303),
        (caixa, "GET /", 303),
        (hers, "GET /contas/11111111111", 200),
        (hers, "GET /contas/22222222222", 403),
        (hers, "GET /clientes", 403),
        (hers, "GET /metrics", 403),
        (hers, "GET /historico", 200),
        (hers, "GET /bancos_on", 200),
        (caixa, "GET /clientes", 200),
        (caixa, "GET /metrics", 200),
    ] {
        let (got, answer) = ask(name, request);
        assert_eq!(got, status, "{name:?} {request}: {answer}");
        assert!(status != 403 || answer.contains("not-allowed"), "{answer}");
    }
    let draw = |cpf: &str, account: &str| {
        let body = format!(r#"{{"cpf":"{cpf}","numero":"{account}","valor":1}}"#);
        format!("POST /sacar\n{body}")
    };
    let (status, answer) = ask(hers, &draw("22222222222", "2"));
    assert!(status == 403 && answer.contains("not-allowed"), "{answer}");
    let (status, answer) = ask(caixa, &draw("22222222222", "2"));
    assert_eq!(status, 200, "{answer}");
    // Two callers with one key do not meet, and a key finds the caller's own.
    assert!(answer.to_lowercase().contains("x-transacao: caixa1.k1"), "{answer}");
    assert_eq!(ask(caixa, "GET /transacoes/k1").0, 200);
    let (status, answer) = ask(hers, "GET /transacoes/k1?resumo");
    assert!(status == 200 && answer.contains("titular1.k1"), "{answer}");
    assert_eq!(ask(hers, "GET /transacoes/caixa1.k1").0, 404);
    assert_eq!(ask(caixa, "GET /transacoes/titular1.k1").0, 200);
    banks.wait_logged(0, "EXECUTE ");
    banks.wait_logged(0, "by=titular1");
}
