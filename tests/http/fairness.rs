//! Fairness: idle or stalled connections do not keep others out, and lists have pages; which hosts
//! and sites may use the panel.

use crate::http::client::HttpConnection;
use crate::http::{ANA, HttpCluster};
use crate::support::wait_until;
use std::time::{Duration, Instant};

/// The number of undecided transactions, each waiting for a bank that never voted.
const UNDECIDED: usize = 20_000;

#[test]
fn lists_of_undecided_transactions_have_pages() {
    let cluster = HttpCluster::start(2);
    let mut wire = cluster.banks.connect(0);
    let ops = concat!(
        r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":1},"#,
        r#"{"bank":1,"op":"deposit","account":"1","amount":1}],"patience_ms":300000}"#
    );
    cluster.banks.open_account(0, "1", ANA, "0");
    let lines: Vec<String> =
        (0..UNDECIDED).map(|at| format!("PREPARE pend{at:06} {ops}")).collect();
    for some in lines.chunks(250) {
        some.iter().for_each(|line| wire.send(line));
        for _ in some {
            let vote = wire.receive().expect("a reply");
            assert!(vote.starts_with("OK "), "{vote}");
        }
    }
    let mut http = cluster.connect(0);
    for path in [
        "/",
        "/pendentes",
        "/historico",
        "/transacoes/pend010000",
        "/painel/pendentes",
        "/painel/historico",
        "/painel/historico?situacao=aberta",
        "/painel/transacoes/pend010000",
    ] {
        let answer = http.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.body.len() < 200_000, "{path} has {} bytes", answer.body.len());
    }
    assert_eq!(http.get("/transacoes/pend010000").json()["participantes"][0]["banco"], 0);
    // Follow the links from page to page: each transaction comes once.
    let (mut path, mut seen, mut pages) = ("/pendentes".to_owned(), 0, 0);
    loop {
        let answer = http.get(&path);
        let items = answer.json().as_array().unwrap().len();
        assert!((1..=100).contains(&items), "{path}: {items}");
        (seen, pages) = (seen + items, pages + 1);
        let Some(link) = answer.header("link") else { break };
        let next = link.strip_prefix('<').unwrap().split_once(">; rel=\"next\"").unwrap().0;
        path = next.to_owned();
    }
    assert_eq!((seen, pages), (UNDECIDED, UNDECIDED / 100));
    http.get("/pendentes?depois=a%20b").is_error(400, "`depois`");
    let page = http.get("/painel/pendentes");
    assert!(page.body.contains("href=\"/painel/pendentes?depois=pend000049\""), "{}", page.body);
    assert!(page.body.matches("data-tx=").count() == 50);
    let page = http.get("/painel/pendentes?depois=pend000049");
    assert!(
        page.body.contains("data-tx=\"pend000050\"")
            && !page.body.contains("data-tx=\"pend000049\"")
    );
}

/// Lists whose readers stall do not delay other responses.
#[test]
fn a_stalled_reader_of_a_list_delays_no_other() {
    let cluster = HttpCluster::start(1);
    let mut wire = cluster.banks.connect(0);
    let name = "n".repeat(190);
    for some in (0..12_000_u64).collect::<Vec<_>>().chunks(500) {
        for at in some {
            wire.send(&format!(
                r#"CLIENT {{"cpf":"{:011}","name":"{name}","kind":"F"}}"#,
                70_000_000_000 + at
            ));
        }
        for _ in some {
            assert!(wire.receive().expect("a reply").starts_with("DONE "));
        }
    }
    let stalled: Vec<HttpConnection> = (0..16)
        .map(|_| {
            let mut stalled = cluster.connect(0);
            stalled.send("GET", "/clientes", &[], "");
            // After the head the list is being sent; the rest exceeds the sockets' buffers.
            stalled.receive_head();
            stalled
        })
        .collect();
    let mut http = cluster.connect(0);
    let began = Instant::now();
    for path in ["/historico", "/pendentes", "/painel/contas", "/", "/status", "/clientes"] {
        assert_eq!(http.get(path).status, 200, "{path}");
    }
    // If these waited for the stalled readers, they would take at least their timeout of 30 s.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop(stalled);
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    let cluster = HttpCluster::start_with(1, &["--http-connections-max", "64"]);
    let mut working = cluster.connect(0);
    working.send("GET", "/painel/eventos", &[], "");
    working.receive_head();
    let silent: Vec<HttpConnection> = (0..200).map(|_| cluster.connect(0)).collect();
    let half = |mut connection: HttpConnection| {
        connection.send_bytes(
            b"POST /depositar HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: \
                                application/json\r\ncontent-length: 9\r\n\r\n{",
        );
        connection
    };
    let half: Vec<HttpConnection> = (0..100).map(|_| half(cluster.connect(0))).collect();
    for _ in 0..20 {
        cluster.connect(0).get("/status").is(200, r#"{"status":"ok"}"#);
    }
    assert!(!working.is_closed_within(Duration::from_millis(10)), "a stream in use is not evicted");
    drop((silent, half));
}

/// Pages of other sites cannot open event streams, and the streams of one host have a bound.
#[test]
fn event_streams_are_for_the_banks_own_pages() {
    let cluster = HttpCluster::start(1);
    let mut http = cluster.connect(0);
    for headers in [
        [("sec-fetch-site", "cross-site"), ("accept", "text/event-stream")],
        [("sec-fetch-site", "same-site"), ("host", "a.localhost")],
        [("origin", "http://evil.example"), ("accept", "text/event-stream")],
    ] {
        http.ask("GET", "/painel/eventos", &headers, "").is_error(403, "outro site");
    }
    let open = |at: usize| {
        let mut stream = cluster.connect(0);
        let host = format!("n{at}.localhost");
        stream.send(
            "GET",
            "/painel/eventos",
            &[("host", &host), ("sec-fetch-site", "same-origin")],
            "",
        );
        (stream.receive_head(), stream)
    };
    let streams: Vec<_> = (0..40).map(open).collect();
    let served = streams.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(served, 32, "all names of loopback count as one");
    drop(streams);
    wait_until("a free slot", || (open(0).0 == 200).then_some(()));
}

/// `Host` must be loopback, on every listening address; names need closed mode.
#[test]
fn a_host_is_checked_on_every_address() {
    let cluster = HttpCluster::start_with(1, &[]);
    let mut http = cluster.connect(0);
    for (host, status) in [
        ("painel.localhost", 200),
        ("LOCALHOST:443", 200),
        ("127.0.0.1:1", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
    ] {
        assert_eq!(http.ask("GET", "/clientes", &[("host", host)], "").status, status, "{host}");
    }
    http.send_bytes(b"GET /clientes HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: evil.example\r\n\r\n");
    http.receive().unwrap().is_error(400, "Host");
    let mut bare = cluster.connect(0);
    bare.send_bytes(b"GET http://evil.example/clientes HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    bare.receive().unwrap().is_error(403, "Host");
    let mut mapped = crate::support::Cluster::new(1, true);
    let port = crate::support::free_ports(1)[0];
    mapped.add_switches(0, &["--http", &format!("[::ffff:127.0.0.1]:{port}")]);
    mapped.start_bank(0);
    let mut http = HttpConnection::open(port);
    http.ask("GET", "/clientes", &[("host", "evil.example")], "").is_error(403, "Host");
    assert_eq!(http.ask("GET", "/clientes", &[("host", "localhost")], "").status, 200);
}

/// `--demo` can stop and start processes, so it needs a private folder and loopback.
#[test]
fn a_demonstration_needs_a_private_folder_and_loopback() {
    use std::os::unix::fs::PermissionsExt;
    let mut cluster = crate::support::Cluster::new(1, true);
    let port = crate::support::free_ports(1)[0];
    let folder = cluster.path().join("shared");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let http = port.to_string();
    let run = |switches: &[&str]| {
        let output = cluster.servidor(0).args(switches).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, stderr) = run(&["--http", &http, "--demo", "shared"]);
    assert!(
        code == Some(1) && stderr.contains("chmod 700") && stderr.contains("shared"),
        "{code:?} {stderr}"
    );
    let (code, stderr) = run(&["--http", &format!("0.0.0.0:{port}"), "--demo", "own"]);
    assert!(
        code == Some(2) && stderr.contains("--demo") && stderr.contains("0.0.0.0"),
        "{code:?} {stderr}"
    );
    cluster.add_switches(0, &["--http", &http, "--demo", "own"]);
    cluster.start_bank(0);
    let mode = std::fs::metadata(cluster.path().join("own")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    // A page cannot freeze its own bank, which could then not thaw itself.
    let mut http = HttpConnection::open(port);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = http.ask("POST", "/painel/demo", &form, "banco=0&acao=congelar");
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.body.contains("congele-o pelo painel de outro banco"), "{answer:?}");
    assert_eq!(http.get("/status").status, 200);
}
