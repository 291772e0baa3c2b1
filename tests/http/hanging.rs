//! A data disk that hangs: what needs no disk is answered at once, and all else ends in time, with
//! the cause in words.

use crate::http::ANA;
use crate::http::client::{Answer, HttpConnection};
use crate::support::{CRASH_VARIABLE, Cluster, Process, Wire, free_ports, wait_until};
use std::time::{Duration, Instant};

/// Longer than any request waits, on however busy a machine.
const BOUND: Duration = Duration::from_secs(12);
const CLIENT: &str = r#"CLIENT {"cpf":"11111111111","name":"Ana","kind":"Físico"}"#;

/// One bank whose disk hangs for so long with the first client that it registers.
struct Hung {
    /// Its folder lives as long as this.
    _cluster: Cluster,
    process: Process,
    port: u16,
    waits: Wire,
}

impl Hung {
    fn start(hang_ms: u64) -> Hung {
        let cluster = Cluster::new(1, true);
        let port = free_ports(1)[0];
        let mut command = cluster.servidor(0);
        command.args(["--http", &port.to_string()]);
        command.env(CRASH_VARIABLE, format!("hang:{hang_ms}@client.written"));
        let mut process = Process::start(&mut command);
        process.expect_line("ready on");
        let mut waits = cluster.connect(0);
        waits.send(CLIENT);
        process.expect_line("has not finished a sync for");
        Hung { _cluster: cluster, process, port, waits }
    }
}

/// All of them at once, each with how long it took.
fn ask_all(
    port: u16,
    requests: Vec<(&'static str, String, &'static str)>,
) -> Vec<(String, Answer, Duration)> {
    let ask = |(method, path, body): (&'static str, String, &'static str)| {
        std::thread::spawn(move || {
            let began = Instant::now();
            let key = [("idempotency-key", "k1")];
            let answer = HttpConnection::open(port).ask(method, &path, &key, body);
            (format!("{method} {path}"), answer, began.elapsed())
        })
    };
    let asked: Vec<_> = requests.into_iter().map(ask).collect();
    asked.into_iter().map(|asked| asked.join().expect("an answer")).collect()
}

#[test]
fn routes_and_pages_end_in_time_and_say_why() {
    let hung = Hung::start(600_000);
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
    assert_eq!(figure("consorcio_clients"), None, "the bank tells nothing that is not durable");

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
    let changes_asked = changes.iter().map(|(path, body, _)| ("POST", (*path).to_owned(), *body));
    let answers = ask_all(hung.port, reads.chain(changes_asked).collect());
    for (what, answer, took) in &answers {
        assert!(*took < BOUND, "{what} took {took:?}");
        assert!([503, 504].contains(&answer.status), "{what}: {answer:?}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{what}: {answer:?}");
        assert!(answer.body.contains("banco 0: o disco não responde há "), "{what}: {answer:?}");
    }
    let longest = answers.iter().map(|(_, _, took)| *took).max().expect("answers");
    println!("{} routes and pages ended within {longest:?}", answers.len());
    drop(hung.process);
}

/// A transaction that was handed over may still commit: 202, and its id.
#[test]
fn a_transaction_is_told_as_undecided() {
    let hung = Hung::start(600_000);
    let body = r#"{"cpf":"11111111111","numero":"1","valor":1}"#;
    // Without a key nothing is looked up first.
    let answer = HttpConnection::open(hung.port).post("/depositar", body);
    assert_eq!(answer.status, 202, "{answer:?}");
    let told = answer.json();
    assert_eq!(told["status"], "pendente");
    assert_eq!(answer.header("x-transacao"), told["id"].as_str());
    assert!(
        told["detalhes"].as_str().is_some_and(|words| words.contains("o disco não responde há")),
        "{told}"
    );
}

/// What was waited for is there once the disk answers again, and nobody was told of it before.
#[test]
fn a_disk_that_comes_back_serves_all_of_it() {
    let mut hung = Hung::start(7_000);
    let mut http = HttpConnection::open(hung.port);
    let early = http.get("/clientes");
    assert!(early.status == 503 || early.body.contains(ANA), "{early:?}");
    assert!(hung.waits.receive().is_some_and(|reply| reply.starts_with("DONE")));
    assert!(http.get("/clientes").body.contains(ANA));
    assert_eq!(http.get("/readyz").status, 200);
    let age = wait_until("no sync is under way", || {
        let metrics = http.get("/metrics").body;
        metrics
            .lines()
            .find(|line| line.starts_with("consorcio_sync_age_seconds 0."))
            .map(str::to_owned)
    });
    println!("{age}");
    hung.process.expect_line("syncs again");
}
