//! Limits of the operating system: open files, the size of files, the accept backlog; and files of
//! a wrong type.

use super::{rest, run};
use crate::support::{Cluster, Process, ProgramRun, Wire, wait_until};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// The command of bank 0 in a shell that sets a limit first.
fn limited(cluster: &Cluster, limit: &str, switches: &[&str]) -> Command {
    let servidor = cluster.servidor(0);
    let mut command = Command::new("sh");
    command.current_dir(cluster.path()).arg("-c").arg(format!("{limit} && exec \"$@\"")).arg("sh");
    command.arg(servidor.get_program()).args(servidor.get_args()).args(switches);
    command
}

/// The usual limit leaves files for clients, banks and HTTP.
#[test]
fn with_1024_open_files_clients_banks_and_http_are_served() {
    let mut cluster = Cluster::new(3, true);
    let http = crate::support::free_ports(1)[0];
    let mut bank =
        Process::start(&mut limited(&cluster, "ulimit -n 1024", &["--http", &http.to_string()]));
    bank.wait_for("only 1024 open files").expect("a warning");
    bank.wait_for("ready on").expect("it starts");
    let mut clients: Vec<Wire> = (0..250).map(|_| cluster.connect(0)).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "PONG");
    }
    cluster.start_bank(1);
    cluster.start_bank(2);
    wait_until("all banks are linked", || {
        (!clients[0].ask("BANKS").contains("false")).then_some(())
    });
    let mut web = Wire::connect(&format!("127.0.0.1:{http}"));
    web.send_bytes(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    assert!(rest(&mut web).first().is_some_and(|line| line.contains(" 200 ")), "HTTP answers");
}

/// With too few files to serve any client, a bank refuses to start, with the cause also in its step
/// log.
#[test]
fn with_too_few_open_files_a_bank_does_not_start() {
    let cluster = Cluster::new(3, true);
    let http = crate::support::free_ports(1)[0].to_string();
    let ran = run(&mut limited(&cluster, "ulimit -n 64", &["--http", &http]));
    assert!(
        ran.stderr.contains("only 64 open files") && ran.stderr.contains("ulimit -n"),
        "{ran:?}"
    );
    assert!(
        cluster.log(0).contains("the start is refused: only 64 open files"),
        "{}",
        cluster.log(0)
    );
    ran.expect_code(1);
}

/// A write past the limit on file sizes is reported, instead of a death by SIGXFSZ.
#[test]
fn a_file_that_cannot_grow_is_reported() {
    let cluster = Cluster::new(1, true);
    let ran = run(&mut limited(&cluster, "ulimit -f 64", &[]));
    assert!(ran.stderr.contains("the limit for the size of a file is reached"), "{ran:?}");
    assert!(
        cluster.log(0).contains("the limit for the size of a file is reached"),
        "{}",
        cluster.log(0)
    );
    ran.expect_code(1);
}

/// A key file that is a pipe would block the start for ever, so only regular files are accepted.
#[test]
fn a_key_file_that_is_no_file_is_refused() {
    let cluster = Cluster::new(1, false);
    let (pipe, folder) = (cluster.path().join("pipe"), cluster.path().join("folder"));
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|made| made.success()));
    std::fs::create_dir(&folder).expect("a folder");
    for path in [pipe, folder] {
        let mut process = Process::start(cluster.servidor(0).arg("--key-file").arg(&path));
        process.expect_line(&format!("key file {} is no regular file; name one", path.display()));
        assert_eq!(process.wait(), Some(1));
    }
}

/// A folder in place of a file, or a file in place of a folder, is reported with its name.
#[test]
fn a_path_of_the_wrong_type_is_named() {
    let assert_named = |make: fn(&std::path::Path), path: &str, words: &str| {
        let cluster = Cluster::new(1, true);
        let whole = cluster.path().join(path);
        std::fs::create_dir_all(whole.parent().expect("a folder")).expect("a folder");
        make(&whole);
        let ran = run(&mut cluster.servidor(0)).expect_code(1);
        assert!(ran.stderr.contains(&format!("{path}: this is {words}")), "{ran:?}");
    };
    let folder = |path: &std::path::Path| std::fs::create_dir(path).expect("a folder");
    let file = |path: &std::path::Path| std::fs::write(path, "").expect("a file");
    assert_named(folder, "data/bank-0/lock", "a folder, and a file must be here");
    assert_named(file, "data/bank-0", "no folder, and one must be here");
    assert_named(file, "data", "no folder, and one must be here");
}

/// `servidor journal` ends silently when the reader of its pipe is gone.
#[test]
fn printing_a_journal_ends_with_its_reader() {
    let mut cluster = Cluster::start(1);
    cluster.stop(0);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(crate::support::servidor_path());
    command.current_dir(cluster.path()).args(["journal", "data/bank-0"]).stdout(writer);
    let ran = ProgramRun::of(&["journal"], &command.output().expect("it runs"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let ran = run(Command::new(crate::support::servidor_path()).args(["--port", "99999"]));
    assert!(
        ran.stderr.contains("--port can't be \"99999\": give a whole number from 0 to 65535"),
        "{ran:?}"
    );
}

/// Connects `count` times without a pause; returns the longest time of one connect, too.
fn burst(address: &str, count: usize) -> (Vec<TcpStream>, Duration) {
    let address: SocketAddr = address.parse().expect("an address");
    let mut longest = Duration::ZERO;
    let streams = (0..count).map(|_| {
        let began = Instant::now();
        let stream =
            TcpStream::connect_timeout(&address, Duration::from_secs(20)).expect("it listens");
        longest = longest.max(began.elapsed());
        stream
    });
    (streams.collect(), longest)
}

/// The kernel's bound on the accept backlog, whatever a program requests.
fn somaxconn() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    text.trim().parse().unwrap_or(128)
}

/// A bank that does not accept for a while loses no connection of a burst.
#[test]
fn a_burst_waits_in_the_accept_backlog() {
    let count = 1_000;
    if somaxconn() <= count {
        eprintln!("skipped: this kernel queues only {} connections", somaxconn());
        return;
    }
    super::allow_open_files(2_048);
    let mut cluster = Cluster::start(1);
    let pid = cluster.pid(0).to_string();
    let signal = |name: &str| Command::new("kill").args([name, &pid]).status().expect("kill runs");
    assert!(signal("-STOP").success());
    let (streams, longest) = burst(&cluster.address(0), count);
    assert!(signal("-CONT").success());
    assert!(longest < Duration::from_millis(900), "a SYN was lost: {longest:?}");
    assert_eq!(cluster.connect(0).ask("PING"), "PONG");
    drop(streams);
    assert_eq!(cluster.stop(0), Some(0));
}

/// 5,000 connects at once from many threads, for `scripts/scale.sh`.
#[test]
#[ignore = "for a release build; scripts/scale.sh runs it"]
fn five_thousand_connects_lose_no_syn() {
    assert!(somaxconn() >= 4_096, "this kernel queues only {} connections", somaxconn());
    super::allow_open_files(12_000);
    let mut cluster = Cluster::start(1);
    let address = cluster.address(0);
    let took: Vec<Duration> = std::thread::scope(|scope| {
        let bursts: Vec<_> = (0..8).map(|_| scope.spawn(|| burst(&address, 625))).collect();
        let all: Vec<_> = bursts.into_iter().map(|burst| burst.join().expect("a burst")).collect();
        all.iter().map(|(_, longest)| *longest).collect()
    });
    let longest = took.iter().max().expect("eight bursts");
    println!("5,000 connects: the longest took {longest:?}");
    assert!(*longest < Duration::from_millis(900), "a SYN was lost: {longest:?}");
    assert_eq!(cluster.stop(0), Some(0));
}
