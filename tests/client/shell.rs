//! `cliente shell`: at a terminal, and as a batch from a file or a pipe.

use crate::support::terminal::{Terminal, plain_text};
use crate::support::{Cluster, Process, ProgramRun, wait_until};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

const MARIA: &str = "11111111111";

/// The command `cliente shell`, whose history is in the folder of the test.
fn shell(cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut command = cluster.cliente(&[&["shell"], arguments].concat());
    command.env("XDG_STATE_HOME", cluster.path().join("state"));
    command
}

/// Runs lines as a batch from standard input.
fn batch(cluster: &Cluster, arguments: &[&str], lines: &str) -> ProgramRun {
    let file = cluster.path().join("lines");
    std::fs::write(&file, lines).unwrap();
    let stdin = Stdio::from(std::fs::File::open(file).unwrap());
    let output = shell(cluster, arguments).stdin(stdin).output().unwrap();
    ProgramRun::of(arguments, &output)
}

fn two_accounts(count: usize) -> Cluster {
    let cluster = Cluster::start(count);
    cluster.open_account(0, "12345-6", MARIA, "100");
    cluster.open_account(1, "78910-0", MARIA, "0");
    cluster
}

#[test]
fn a_person_types_commands() {
    let cluster = two_accounts(2);
    let mut terminal = Terminal::start(&shell(&cluster, &[]), 80);
    terminal.expect("2 banks: ");
    terminal.expect("cliente> ");
    terminal.type_keys("transfer --from 0/12345-6=30 --to 1/78910-0 --tx t1\r");
    terminal.expect("committed");
    terminal.expect("cliente> ");
    terminal.type_keys("trasnfer\r");
    terminal.expect("transfer");
    terminal.expect("cliente> ");
    // A wrong line ends nothing; a copied one begins with the program's name.
    terminal.type_keys("cliente balance 1/78910-0\r");
    terminal.expect("R$ 30,00");
    terminal.expect("cliente> ");
    terminal.type_keys("help balance\r");
    terminal.expect("cliente balance 0/12345-6");
    terminal.expect("cliente> ");
    // Ctrl-C at the prompt drops what is typed, and nothing else.
    terminal.type_keys("set 99\x03");
    terminal.expect("cliente> ");
    terminal.type_keys("get\r");
    terminal.expect("storage");
    terminal.expect("cliente> ");
    terminal.type_keys("\x04");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{}", plain_text(&screen));
    assert!(!plain_text(&screen).contains("storage\n0     127.0.0.1:  99"), "{screen}");
    let log = std::fs::read_dir(cluster.path().join("logs")).unwrap();
    let logs: Vec<String> = log
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("cliente"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(logs.iter().any(|log| log.contains("tx=t1 ")), "the step log has it: {logs:?}");
}

#[test]
fn tab_completes_commands_accounts_and_ids() {
    let cluster = two_accounts(2);
    cluster.run(&["set", "7", "--tx", "pay-77"]).expect_code(0);
    let mut terminal = Terminal::start(&shell(&cluster, &[]), 80);
    terminal.expect("cliente> ");
    terminal.type_keys("bal\t");
    terminal.expect("balance ");
    // The names arrive while the person types; until then there is nothing to complete.
    terminal.type_keys("1/");
    wait_until("the account is completed", || {
        terminal.type_keys("\t");
        terminal.expect_within("1/78910-0", Duration::from_millis(50))
    });
    terminal.type_keys("\r");
    terminal.expect("R$ 0,00");
    terminal.expect("cliente> ");
    terminal.type_keys("resol\tpay\t");
    terminal.expect("resolve pay-77 ");
    terminal.type_keys("\r");
    terminal.expect("committed");
    terminal.expect("cliente> ");
    terminal.type_keys("transferir --de 0/1\t5 --para 1/7\t\r");
    terminal.expect("committed");
    terminal.expect("cliente> ");
    terminal.type_keys("exit\r");
    assert_eq!(terminal.end().0, Some(0));
    cluster.run(&["balance", "1/78910-0"]).expect("R$ 5,00");
}

#[test]
fn the_next_shell_has_the_history() {
    let cluster = Cluster::start(1);
    let add = format!("client add --bank 0 --cpf {MARIA} --name Maria");
    let mut terminal = Terminal::start(&shell(&cluster, &[]), 80);
    for line in ["set 41 --key cor", &add] {
        terminal.expect("cliente> ");
        terminal.type_keys(&format!("{line}\r"));
    }
    terminal.expect("knows");
    terminal.expect("cliente> ");
    terminal.type_keys("\x04");
    terminal.end();
    let history =
        std::fs::read_to_string(cluster.path().join("state/consorcio/cliente-history")).unwrap();
    assert_eq!(history, "set 41 --key cor\n", "no tax number");
    let mut terminal = Terminal::start(&shell(&cluster, &[]), 80);
    terminal.expect("cliente> ");
    // The key Up.
    terminal.type_keys("\x1b[A");
    terminal.expect("set 41 --key cor");
    terminal.type_keys("\r");
    terminal.expect("committed");
    // Until the prompt, the terminal itself takes Ctrl-D.
    terminal.expect("cliente> ");
    terminal.type_keys("\x04");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn raw_lines_go_to_a_bank_over_one_connection() {
    let cluster = two_accounts(2);
    let mut terminal = Terminal::start(&shell(&cluster, &[]), 200);
    let lines = [
        ("> PING", "PONG"),
        (">1 STATUS t9", "UNKNOWN t9"),
        ("> BALANCE 78910-0", "DONE "),
        (">0", "lines that begin with > go to bank 0"),
        ("> BALANCE 12345-6", "DONE "),
        ("> ping", "ERR malformed"),
        (">7 PING", "bank 7 is not in the consortium"),
    ];
    for (line, reply) in lines {
        terminal.expect("cliente> ");
        terminal.type_keys(&format!("{line}\r"));
        terminal.expect("\n");
        terminal.expect(reply);
    }
    // Its connection stays open, so its vote stands until the next line.
    let transaction = "{\"ops\":[{\"bank\":0,\"op\":\"withdraw\",\"account\":\"12345-6\",\
                       \"amount\":100}],\"patience_ms\":60000}";
    for (line, reply) in [
        (format!("> PREPARE t5 {transaction}"), "OK t5 "),
        ("> COMMIT t5".to_owned(), "COMMITTED t5 "),
        ("> HELP".to_owned(), "DONE "),
    ] {
        terminal.expect("cliente> ");
        terminal.type_keys(&format!("{line}\r"));
        terminal.expect(reply);
    }
    terminal.expect("cliente> ");
    terminal.type_keys("\x04");
    assert_eq!(terminal.end().0, Some(0));
    cluster.run(&["balance", "0/12345-6"]).expect("R$ 99,00");
}

#[test]
fn ctrl_c_ends_a_command_and_not_the_shell() {
    let cluster = two_accounts(2);
    let mut terminal = Terminal::start(&shell(&cluster, &[]), 80);
    terminal.expect("cliente> ");
    terminal.type_keys("accounts --watch 50ms\r");
    terminal.expect("every 50 ms");
    terminal.type_keys("\x03");
    terminal.expect("cliente> ");
    // A command that does not expect it.
    terminal.type_keys("contention --clients 2 --seconds 60\r");
    let mut wire = cluster.connect(0);
    wait_until("the run has begun", || {
        (!wire.ask("INFO").contains("\"accounts\":1,")).then_some(())
    });
    terminal.type_keys("\x03");
    terminal.expect("cliente> ");
    terminal.type_keys("balance 0/12345-6\r");
    terminal.expect("R$ 100,00");
    terminal.expect("cliente> ");
    terminal.type_keys("\x04");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn a_batch_stops_at_the_first_failure_or_goes_on() {
    let cluster = two_accounts(2);
    let pay = |amount: &str| format!("transfer --from 0/12345-6={amount} --to 1/78910-0\n");
    let lines = format!("# payments\n\n{}{}{}", pay("10"), pay("5000"), pay("20"));
    let ran = batch(&cluster, &["--output", "table"], &lines).expect_code(4);
    let out: Vec<&str> = ran.stdout.lines().collect();
    assert!(out[0].starts_with("3: transaction ") && out[0].contains("is committed"), "{ran:#?}");
    assert!(out[1].starts_with("2 lines in ") && out[1].contains("1 done, 1 failed"), "{ran:#?}");
    assert!(out[1].contains("line 4; later lines were not run"), "{ran:#?}");
    assert!(ran.stderr.starts_with("cliente: standard input, line 4: aborted: "), "{ran:#?}");
    assert_eq!(ran.stderr.lines().count(), 1, "said once: {ran:#?}");
    cluster.run(&["balance", "1/78910-0"]).expect("R$ 10,00");

    let ran = batch(&cluster, &["--keep-going", "--output", "table"], &lines).expect_code(4);
    assert!(
        ran.stdout.contains("3 lines in ") && ran.stdout.contains("2 done, 1 failed"),
        "{ran:#?}"
    );
    cluster.run(&["balance", "1/78910-0"]).expect("R$ 40,00");
    let ran = batch(&cluster, &["--output", "table"], "get\nstatsu\n").expect_code(2);
    assert!(ran.stderr.contains("line 2: ") && ran.stderr.contains("status"), "{ran:#?}");
    // As editors of other systems write it, with a byte order mark.
    let marked = "\u{feff}# a comment\r\nget\r\n";
    let ran = batch(&cluster, &["--output", "table"], marked).expect_code(0);
    assert!(ran.stdout.contains("1 line in ") && ran.stdout.contains("1 done"), "{ran:#?}");
    // A line that can't be read is no line that failed.
    let ran = batch(&cluster, &["--output", "table"], &"x".repeat(1 << 20)).expect_code(2);
    assert!(ran.stdout.contains("0 done, 0 failed; it ended at line 1"), "{ran:#?}");
}

#[test]
fn a_batch_is_read_by_programs() {
    let cluster = two_accounts(2);
    let file = cluster.path().join("pay.txt");
    let pay = "transfer --from 0/12345-6=1 --to 1/78910-0";
    let lines = format!("{pay} --tx a\n{pay} --tx b\n> STATUS a\n{pay} --tx a --json\nexit\nget\n");
    std::fs::write(&file, lines).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = shell(&cluster, &[&["-f", file.to_str().unwrap()], arguments].concat());
        let output = command.env_remove("CONSORCIO_OUTPUT").stdin(Stdio::null()).output().unwrap();
        ProgramRun::of(arguments, &output)
    };
    let rows = run(&[]);
    let headings = rows.stdout.lines().filter(|line| line.starts_with("transaction\t")).count();
    assert_eq!(headings, 1, "for both transfers: {rows:#?}");
    assert!(rows.stdout.contains("\nbank\treply\n0\tCOMMITTED a "), "{rows:#?}");
    assert!(rows.stderr.contains("4 lines in "), "the summary is no row: {rows:#?}");
    let json = run(&["--json"]);
    let documents: Vec<Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 5, "{json:#?}");
    assert_eq!(documents[0]["verdict"], "committed", "under its id it ran once: {json:#?}");
    assert_eq!(documents[4]["lines"], 4, "{json:#?}");
    cluster.run(&["balance", "1/78910-0"]).expect("R$ 2,00");
    let missing = shell(&cluster, &["-f", "nothing.txt"]).output().unwrap();
    let missing = ProgramRun::of(&[], &missing).expect_code(1);
    assert!(missing.stderr.contains("nothing.txt can't be read"), "{missing:?}");
}

#[test]
fn a_batch_says_that_its_output_was_lost() {
    let cluster = Cluster::start(1);
    let file = cluster.path().join("lines");
    std::fs::write(&file, "set 1\nset 2\n").unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = shell(&cluster, &["-f", file.to_str().unwrap(), "--keep-going"]);
    command.env("CONSORCIO_OUTPUT", "tsv");
    let output = command.stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let ran = ProgramRun::of(&[], &output.wait_with_output().unwrap()).expect_code(1);
    let said = "cliente: standard output could not be written: No space left";
    assert!(ran.stderr.contains(said), "{ran:#?}");
    assert!(ran.stderr.contains("1 done, 0 failed; later lines were not run"), "{ran:#?}");
    cluster.run(&["get"]).expect("  1");
}

#[test]
fn a_batch_that_waits_for_its_input_ends_in_order() {
    let cluster = Cluster::start(1);
    let mut running = Process::start(&mut shell(&cluster, &["--output", "table"]));
    running.type_line("set 5");
    running.expect_line("1: transaction ");
    running.interrupt();
    running.expect_line("1 line in ");
    assert_eq!(running.wait(), Some(130));
}
