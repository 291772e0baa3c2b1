//! 64 HTTP clients transfer money across banks while one bank is killed and restarted; no money is
//! lost.

use crate::http::HttpCluster;
use crate::http::client::HttpConnection;
use crate::support::wait_until;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const CLIENTS: usize = 64;
const ACCOUNTS: usize = 8;
const BANKS: usize = 3;
/// The number of transfers to commit before the kill, and again after the restart.
const ENOUGH: usize = 150;

fn cpf(bank: usize, account: usize) -> String {
    format!("{:011}", 100 * bank + account)
}

fn body(from: (usize, usize), second: (usize, usize), to: (usize, usize), valor: &str) -> String {
    let one = |(bank, account): (usize, usize), valor: &str| {
        format!(
            r#"{{"banco":{bank},"cpf":"{}","numero":"c{account}","valor":{valor}}}"#,
            cpf(bank, account)
        )
    };
    format!(
        r#"{{"participantes":[{},{},{}]}}"#,
        one(from, valor),
        one(second, "0.01"),
        one(to, "0")
    )
}

/// The ids of the transactions with a final response.
#[derive(Default)]
struct LoadAnswers {
    committed: Vec<String>,
    refused: Vec<String>,
}

/// Sends requests until `stop`. A client whose bank is down connects to the next one.
fn client(
    cluster: &[u16],
    number: usize,
    stop: &AtomicBool,
    done: &AtomicUsize,
    answers: &Mutex<LoadAnswers>,
) {
    let mut connection: Option<HttpConnection> = None;
    let mut bank = number % BANKS;
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let Some(http) = &mut connection else {
            connection = HttpConnection::try_open(cluster[bank]);
            bank = (bank + 1) % BANKS;
            continue;
        };
        round += 1;
        let key = format!("c{number}-{round}");
        let pick = |salt: usize| {
            let mixed = number.wrapping_mul(31).wrapping_add(round * 17 + salt * 7);
            (mixed % BANKS, (mixed / BANKS) % ACCOUNTS)
        };
        let valor = format!("{}.{:02}", round % 3, 1 + round % 90);
        let text = body(pick(0), pick(1), pick(2), &valor);
        let answer =
            http.try_ask("POST", "/transferencia_composta", &[("idempotency-key", &key)], &text);
        let mut answers = answers.lock().unwrap();
        match answer.as_ref().map(|answer| answer.status) {
            Some(200) => {
                answers.committed.push(key);
                done.fetch_add(1, Ordering::Relaxed);
            }
            // With `detalhes` the bank reached no participant and recorded nothing, so the id stays
            // unknown.
            Some(400) if answer.as_ref().is_some_and(|answer| answer.body.contains("motivo")) => {
                if !answer.is_some_and(|answer| answer.body.contains("detalhes")) {
                    answers.refused.push(key);
                }
            }
            Some(202) => {}
            Some(other) => panic!("{other}: {answer:?}"),
            None => connection = None,
        }
    }
}

#[test]
fn money_is_conserved_with_64_clients_and_a_killed_bank() {
    let mut cluster = HttpCluster::start(BANKS);
    for bank in 0..BANKS {
        for account in 0..ACCOUNTS {
            cluster.open(bank, &cpf(bank, account), &format!("c{account}"), "100");
        }
    }
    let (stop, done, answers) =
        (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(LoadAnswers::default()));
    let ports = cluster.ports.clone();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (ports, stop, done, answers) = (&ports, &stop, &done, &answers);
            scope.spawn(move || client(ports, number, stop, done, answers));
        }
        let more = |what: &str| {
            let before = done.load(Ordering::Relaxed);
            wait_until(what, || (done.load(Ordering::Relaxed) >= before + ENOUGH).then_some(()));
        };
        more("transfers commit");
        cluster.banks.kill(1);
        let refused = answers.lock().unwrap().refused.len();
        wait_until("transfers are refused while a bank is down", || {
            (answers.lock().unwrap().refused.len() > refused + 20).then_some(())
        });
        cluster.banks.start_bank(1);
        more("transfers commit again");
        stop.store(true, Ordering::Relaxed);
    });
    cluster.linked();
    for bank in 0..BANKS {
        let mut http = cluster.connect(bank);
        wait_until("nothing is pending", || (http.get("/pendentes").body == "[]").then_some(()));
    }
    let mut total = 0;
    for bank in 0..BANKS {
        for account in 0..ACCOUNTS {
            let text = cluster.balance(bank, &cpf(bank, account));
            total += text.replace("R$ ", "").parse::<consorcio::money::Money>().unwrap().0;
        }
    }
    let opened = i64::try_from(BANKS * ACCOUNTS * 100 * 100).unwrap();
    assert_eq!(total, opened, "money is conserved");
    let answers = answers.into_inner().unwrap();
    let mut http = cluster.connect(2);
    for (ids, status) in [(&answers.committed, "completada"), (&answers.refused, "abortada")] {
        for id in ids {
            let outcome = http.get(&format!("/transacoes/{id}?resumo")).json();
            assert_eq!(outcome["status"], status, "{id} had another response: {outcome}");
        }
    }
}
