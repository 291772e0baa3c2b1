//! A data disk that hangs: requests that need no disk are answered at once, and all others fail in
//! time, with the cause.

use crate::http::ANA;
use crate::http::client::{HttpConnection, HttpResponse};
use crate::support::{CRASH_VARIABLE, Cluster, Process, Wire, free_ports, wait_until};
use std::time::{Duration, Instant};

/// Longer than any request waiting, even on a busy machine.
const BOUND: Duration = Duration::from_secs(12);
const CLIENT: &str = r#"CLIENT {"cpf":"11111111111","name":"Ana","kind":"Físico"}"#;

/// One bank whose disk hangs for `hang_ms` when it registers its first client.
struct HungBank {
    /// Keeps the temporary folder.
    _cluster: Cluster,
    process: Process,
    port: u16,
    /// The connection whose registration waiting for the disk.
    waiting: Wire,
}

impl HungBank {
    fn start(hang_ms: u64) -> HungBank {
        let cluster = Cluster::new(1, true);
        let port = free_ports(1)[0];
        let mut command = cluster.servidor(0);
        command.args(["--http", &port.to_string()]);
        command.env(CRASH_VARIABLE, format!("hang:{hang_ms}@client.written"));
        let mut process = Process::start(&mut command);
        process.expect_line("ready on");
        let mut waiting = cluster.connect(0);
        waiting.send(CLIENT);
        process.expect_line("has not finished a sync for");
        HungBank { _cluster: cluster, process, port, waiting }
    }
}

/// Sends all requests at once; returns each response with its duration.
fn ask_all(
    port: u16,
    requests: Vec<(&'static str, String, &'static str)>,
) -> Vec<(String, HttpResponse, Duration)> {
    let ask = |(method, path, body): (&'static str, String, &'static str)| {
        std::thread::spawn(move || {
            let began = Instant::now();
            let key = [("idempotency-key", "k1")];
            let answer = HttpConnection::open(port).ask(method, &path, &key, body);
            (format!("{method} {path}"), answer, began.elapsed())
        })
    };
    let threads: Vec<_> = requests.into_iter().map(ask).collect();
    threads.into_iter().map(|thread| thread.join().expect("a response")).collect()
}

#[test]
fn routes_and_pages_fail_in_time_with_the_cause() {
    let hung = HungBank::start(600_000);
    let mut http = HttpConnection::open(hung.port);
    let began = Instant::now();
    http.get("/healthz").is(200, r#"{"status":"ok"}"#);
    http.get("/status").is(200, r#"{"status":"ok"}"#);
    let ready = http.get("/readyz");
    ready.is_error(503, "banco 0: o disco não responde há ");
    assert_eq!(ready.header("retry-after"), Some("5"));
    let metrics = http.get("/metrics");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(metrics.status, 200);
    let figure = |name: &str| {
        let line = metrics.body.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    assert!(figure("consorcio_sync_age_seconds").is_some_and(|age| age >= 1.0), "{}", metrics.body);
    assert_eq!(figure("consorcio_answered"), Some(0.0), "{}", metrics.body);
    assert_eq!(figure("consorcio_bank_online"), Some(1.0), "{}", metrics.body);
    assert_eq!(figure("consorcio_clients"), None, "the bank reports nothing that is not durable");

    let reads = [
        "/clientes",
        "/contas/11111111111",
        "/historico",
        "/pendentes",
        "/transacoes/t1",
        "/",
        "/painel/contas",
        "/painel/contas/1",
        "/painel/historico",
        "/painel/transacoes/t1",
        "/painel/cliente",
        "/painel/conta",
        "/painel/caixa",
        "/painel/transacao",
        "/painel/pendentes",
        "/painel/auditoria",
    ];
    let reads = reads.iter().map(|path| ("GET", (*path).to_owned(), ""));
    let deposit = r#"{"cpf":"11111111111","numero":"1","valor":1}"#;
    let changes = [
        ("/criar_cliente", r#"{"cpf":"22222222222","nome":"Bia","tipo":"Físico"}"#, 504),
        ("/criar_conta", r#"{"cpf":"11111111111","numero":"1"}"#, 503),
        ("/depositar", deposit, 503),
        ("/abort", r#"{"id":"k1"}"#, 504),
    ];
    let changes = changes.iter().map(|(path, body, _)| ("POST", (*path).to_owned(), *body));
    let answers = ask_all(hung.port, reads.chain(changes).collect());
    for (request, answer, took) in &answers {
        assert!(*took < BOUND, "{request} took {took:?}");
        assert!([503, 504].contains(&answer.status), "{request}: {answer:?}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{request}: {answer:?}");
        let cause = "banco 0: o disco não responde há ";
        assert!(answer.body.contains(cause), "{request}: {answer:?}");
    }
    let longest = answers.iter().map(|(_, _, took)| *took).max().expect("answers");
    println!("{} routes and pages ended within {longest:?}", answers.len());
    drop(hung.process);
}

/// A transaction that was submitted may still commit, so the response is 202 with its id.
#[test]
fn a_transaction_is_reported_as_undecided() {
    let hung = HungBank::start(600_000);
    let body = r#"{"cpf":"11111111111","numero":"1","valor":1}"#;
    // Without an idempotency key there is no lookup before the submission.
    let answer = HttpConnection::open(hung.port).post("/depositar", body);
    assert_eq!(answer.status, 202, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["status"], "pendente");
    assert_eq!(answer.header("x-transacao"), json["id"].as_str());
    assert!(
        json["detalhes"].as_str().is_some_and(|words| words.contains("o disco não responde há")),
        "{json}"
    );
}

/// When the disk answers again, the record is durable and visible, and not before.
#[test]
fn a_disk_that_recovers_serves_everything() {
    let mut hung = HungBank::start(7_000);
    let mut http = HttpConnection::open(hung.port);
    let early = http.get("/clientes");
    assert!(early.status == 503 || early.body.contains(ANA), "{early:?}");
    assert!(hung.waiting.receive().is_some_and(|reply| reply.starts_with("DONE")));
    assert!(http.get("/clientes").body.contains(ANA));
    assert_eq!(http.get("/readyz").status, 200);
    let age = wait_until("no sync in progress", || {
        let metrics = http.get("/metrics").body;
        metrics
            .lines()
            .find(|line| line.starts_with("consorcio_sync_age_seconds 0."))
            .map(str::to_owned)
    });
    println!("{age}");
    hung.process.expect_line("syncs again");
}
