//! `--step`: the phases of a transaction on a terminal, with Enter and with Ctrl-C.

use super::faults::with_accounts;
use crate::support::terminal::{Terminal, plain_text};
use crate::support::{Cluster, Process, cliente_path, free_ports_in_a_row, signal, wait_until};
use std::time::Duration;

/// Starts a command on a terminal of 80 columns.
fn on_terminal(cluster: &Cluster, arguments: &[&str]) -> Terminal {
    Terminal::start(&cluster.cliente(arguments), 80)
}

#[test]
fn enter_commits_phase_by_phase() {
    let cluster = Cluster::start(3);
    let mut terminal = on_terminal(&cluster, &["set", "42", "--step"]);
    terminal.expect("PREPARE to banks 0, 1 and 2");
    for count in 1..=3 {
        terminal.expect(&format!(" {count}/3 bank "));
    }
    terminal.expect("Enter sends COMMIT; Ctrl-C leaves it to the banks.");
    for bank in 0..3 {
        let pending = &cluster.json(0, &["pending"])[bank]["answer"];
        assert_eq!(pending.as_array().map(Vec::len), Some(1), "bank {bank} waits: {pending}");
    }
    terminal.type_keys("\r");
    terminal.expect("COMMIT to banks 0, 1 and 2");
    terminal.expect("3 of 3 banks have confirmed the outcome.");
    let get = cluster.json(0, &["get"]);
    assert_eq!(get[2]["answer"]["value"], "42", "the banks know before the client ends: {get}");
    terminal.type_keys("\r");
    terminal.expect("committed");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    for line in plain_text(&screen).lines() {
        assert!(line.chars().count() <= 80, "wider than the terminal: {line}");
    }
}

#[test]
fn ctrl_c_leaves_it_to_the_banks() {
    let cluster = with_accounts();
    let transfer = ["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t"];
    let mut terminal = on_terminal(&cluster, &[&transfer[..], &["--step"]].concat());
    terminal.expect("Enter sends COMMIT");
    terminal.type_keys("\x03");
    let shown = terminal.wait_screen("transaction t is committed (OKs 2/2)");
    assert!(shown.lines().any(|row| row.starts_with("cliente: interrupted")), "{shown}");
    assert!(!shown.contains("^C"), "{shown}");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(130), "{screen}");
    wait_until("the banks end it", || (cluster.balance("2/78910-0") == 1_000).then_some(()));
    assert_eq!(cluster.balance("0/12345-6"), 99_000);
}

/// The text of all logs of clients.
fn client_logs(cluster: &Cluster) -> String {
    let entries = std::fs::read_dir(cluster.path().join("logs")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let of_clients =
        paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("cliente"));
    of_clients.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// A terminal that closes, and a request to end, leave it to the banks as Ctrl-C does.
#[test]
fn other_signals_leave_it_to_the_banks() {
    for name in ["HUP", "TERM"] {
        let cluster = with_accounts();
        let transfer = ["transfer", "--from", "0/12345-6=10", "--to", "2/78910-0", "--tx", "t"];
        let mut terminal = on_terminal(&cluster, &[&transfer[..], &["--step"]].concat());
        terminal.expect("Enter sends COMMIT");
        signal(name, terminal.pid());
        terminal.expect("transaction t is committed (OKs 2/2)");
        assert_eq!(terminal.end().0, Some(130), "SIG{name}");
        assert_eq!(cluster.balance("2/78910-0"), 1_000, "SIG{name}: it is ended already");
        let log = client_logs(&cluster);
        assert!(log.contains("stop    interrupted: transaction t is"), "SIG{name}: {log}");
    }
}

/// In the shell Ctrl-C at a pause does the same, and the next line is the shell's.
#[test]
fn ctrl_c_in_the_shell_leaves_it_to_the_banks() {
    let cluster = Cluster::start(3);
    let mut shell = cluster.cliente(&["shell"]);
    shell.env("XDG_STATE_HOME", cluster.path().join("state"));
    let mut terminal = Terminal::start(&shell, 80);
    terminal.expect("cliente> ");
    terminal.type_keys("set 80 --step --tx t\r");
    let phase = plain_text(&terminal.expect("Enter sends COMMIT"));
    assert_eq!(phase.matches("OK 2/3 bank").count(), 1, "each OK is shown once: {phase}");
    terminal.type_keys("\x03");
    terminal.expect("interrupted: transaction t is committed");
    terminal.expect("cliente> ");
    let get = cluster.json(0, &["get"]);
    assert_eq!(get[2]["answer"]["value"], "80", "the banks have ended it: {get}");
    // Each key goes to the shell, the first one included.
    terminal.type_keys("set 81\r");
    terminal.expect("committed");
    terminal.expect("cliente> ");
    terminal.type_keys("\x04");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(cluster.json(0, &["get"])[0]["answer"]["value"], "81");
}

/// While a prompt waits for Enter, no other line overwrites it.
#[test]
fn a_silent_bank_leaves_the_prompt_alone() {
    let cluster = Cluster::start(3);
    let mut terminal = on_terminal(&cluster, &["set", "42", "--step"]);
    terminal.expect("Enter sends COMMIT");
    let frozen = cluster.pid(1);
    signal("STOP", frozen);
    terminal.type_keys("\r");
    terminal.expect("waiting for bank 1 at ");
    terminal.expect("2 of 3 banks have confirmed the outcome.");
    terminal.expect("Enter shows the result.");
    let overwritten = terminal.expect_within("waiting", Duration::from_millis(2_500));
    let screen = terminal.screen();
    signal("CONT", frozen);
    assert_eq!(overwritten, None, "{screen}");
    let rows: Vec<&str> = screen.lines().collect();
    assert!(rows.contains(&"2 of 3 banks have confirmed the outcome."), "{screen}");
    terminal.type_keys("\r");
    terminal.expect("committed");
    assert_eq!(terminal.end().0, Some(0));
}

/// A refusal has its phases, too: the others hold their OK until ABORT, which goes to them alone.
#[test]
fn a_refusal_pauses_before_the_abort() {
    let cluster = with_accounts();
    let transfer = ["transfer", "--from", "0/12345-6=5000", "--to", "2/78910-0", "--step"];
    let mut client = Process::start(&mut cluster.cliente(&transfer));
    client.expect_line("NOK bank 0: insufficient-funds");
    client.expect_line("Bank 0 has refused: the transaction is aborted.");
    client.expect_line("Enter sends ABORT");
    let pending = &cluster.json(0, &["pending"])[2]["answer"];
    assert_eq!(pending.as_array().map(Vec::len), Some(1), "bank 2 holds its OK: {pending}");
    client.type_line("");
    client.expect_line("ABORT to bank 2");
    client.expect_line("ABORTED 1/1 bank 2");
    client.type_line("");
    client.expect_line("aborted. Nothing changed at any bank.");
    assert_eq!(client.wait(), Some(4));
    let pending = &cluster.json(0, &["pending"])[2]["answer"];
    assert_eq!(pending.as_array().map(Vec::len), Some(0), "nothing is held: {pending}");
}

/// Rows and documents stay what they are: the phases go to standard error.
#[test]
fn standard_output_stays_a_document() {
    let cluster = Cluster::start(2);
    let ran = cluster.run(&["set", "7", "--step", "--json"]).expect_code(0);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one document");
    assert_eq!((&document["verdict"], &document["oks"]), (&"committed".into(), &2.into()));
    for part in ["OK 1/2 bank ", "OK 2/2 bank ", "COMMITTED 2/2 bank "] {
        assert!(ran.stderr.contains(part), "no {part:?} in {ran:?}");
    }
}

/// Each pause takes one line of standard input and no more: what follows is for the next program.
#[test]
fn a_pause_takes_one_line() {
    let cluster = Cluster::start(1);
    let mut command = std::process::Command::new("sh");
    let cliente = cluster.cliente(&["set", "1", "--step"]);
    command.current_dir(cluster.path()).args([
        "-c",
        "\"$@\" && read rest && echo rest=$rest",
        "sh",
    ]);
    command.arg(cliente.get_program()).args(cliente.get_args());
    let mut shell = Process::start(&mut command);
    shell.type_line("\n\nmine");
    shell.expect_line("rest=mine");
}

/// Ctrl-C at a pause of the demo is no step that did not hold.
#[test]
fn the_demo_can_be_interrupted() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut terminal = Terminal::start(&demo(free_ports_in_a_row(3), folder.path()), 80);
    terminal.expect("Enter goes on with: One value at three banks");
    terminal.type_keys("\r");
    terminal.expect("Enter sends COMMIT");
    terminal.type_keys("\x03");
    terminal.expect("is committed (OKs 3/3)");
    terminal.expect("Interrupted.");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(130), "{screen}");
    assert!(!screen.contains("did not hold"), "{screen}");
}

/// The command of the demo with `--step`.
fn demo(first: u16, folder: &std::path::Path) -> std::process::Command {
    let programs = std::path::Path::new(cliente_path()).parent().unwrap();
    let mut command = std::process::Command::new("bash");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo.sh"))
        .arg("--step")
        .env("CONSORCIO_PORT", first.to_string())
        .env("CONSORCIO_PROGRAMS", programs)
        .env("TMPDIR", folder);
    command
}

/// The demo waits between chapters and after each phase; at the end of its input it goes on alone.
#[test]
fn the_demo_waits_for_enter() {
    let first = free_ports_in_a_row(3);
    let folder = tempfile::TempDir::new().unwrap();
    let mut terminal = Terminal::start(&demo(first, folder.path()), 80);
    let begin = terminal.expect("Enter goes on with: One value at three banks");
    let (port, list) = (first, format!("{first}-{}", first + 2));
    for shown in [
        "$ servidor key consortium.key".to_owned(),
        format!("$ servidor --port {port} --consortium {list} --key-file consortium.key"),
    ] {
        assert!(plain_text(&begin).contains(&shown), "no {shown:?} in {begin}");
    }
    terminal.type_keys("\r");
    terminal.expect(&format!("cliente --consortium {list} set 1 --step"));
    terminal.expect("Enter sends COMMIT");
    terminal.type_keys("\r");
    terminal.expect("Enter shows the result.");
    terminal.type_keys("\r");
    let chapter = terminal.expect("Enter goes on with: A second client");
    assert!(!chapter.contains("== A second client"), "it waits: {chapter}");
    terminal.type_keys("\x04");
    terminal.expect("Every step held.");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
}
