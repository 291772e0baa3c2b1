//! `cliente` on a terminal of 80 columns: nothing is wider, waits are named, refusals are told
//! once, in reais and in the user's language.

use super::faults::with_accounts;
use crate::support::terminal::{Terminal, plain_text};
use crate::support::{Cluster, cliente_path, signal, wait_until};
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs a command on a terminal of 80 columns; returns its exit code and the text of the screen.
#[track_caller]
fn on_screen(cluster: &Cluster, arguments: &[&str]) -> (Option<i32>, String) {
    let (code, screen) = Terminal::start(&cluster.cliente(arguments), 80).end();
    let text = plain_text(&screen);
    for line in text.lines() {
        let width = line.chars().count();
        assert!(width <= 80, "{arguments:?}: {width} columns: {line}\n{text}");
    }
    (code, text)
}

#[test]
fn every_table_fits_eighty_columns() {
    let mut cluster = with_accounts();
    cluster.run(&["deposit", "0/12345-6", "20000000"]).expect_code(0);
    let transfer = ["transfer", "--from", "0/12345-6=1234567,89", "--to", "2/78910-0"];
    let (code, text) = on_screen(&cluster, &transfer);
    assert_eq!(code, Some(0), "{text}");
    let mut by_hand = cluster.connect(0);
    let open = concat!(
        r#"PREPARE open {"ops":[{"bank":0,"op":"debit","account":"12345-6","amount":100},"#,
        r#"{"bank":2,"op":"credit","account":"78910-0","amount":100}],"patience_ms":60000}"#
    );
    assert!(by_hand.ask(open).starts_with("OK open "));
    for (arguments, shown) in [
        (&["status"][..], "a wider terminal also shows"),
        (&["ping"], "online"),
        (&["accounts"], "R$ 18.766.432,11"),
        (&["clients"], "11111111111"),
        (&["balance", "0/12345-6"], "R$ 18.766.432,11"),
        (&["get"], "storage"),
        (&["pending"], "0/12345-6 debit R$ 1,00 · 2/78910-0 credit R$ 1,00"),
        (&["doubt"], "R$ 1,00 of 0/12345-6"),
        (&["history"], "R$ 1.234.567,89"),
        (&["audit"], "No verdict over all banks"),
        (&["resolve", "open"], "bank 2 refused: expired"),
    ] {
        let (_, text) = on_screen(&cluster, arguments);
        assert!(text.contains(shown), "{arguments:?} does not show {shown:?}:\n{text}");
    }
    cluster.kill(1);
    for arguments in [&["status"][..], &["ping"], &["accounts"], &["audit"], &["set", "1"]] {
        let (_, text) = on_screen(&cluster, arguments);
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        assert!(text.contains(&cluster.address(1)), "{arguments:?}: {text}");
    }
}

/// The refusal stands in the row of the bank that refused, once, with amounts in reais.
#[test]
fn a_refusal_is_told_once_in_reais() {
    let cluster = with_accounts();
    let transfer = ["transfer", "--from", "0/12345-6=5000", "--to", "2/78910-0"];
    let (code, text) = on_screen(&cluster, &transfer);
    assert_eq!(code, Some(4), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let why = "account 12345-6 has R$ 1.000,00 available, R$ 5.000,00 are asked";
    assert_eq!(words.matches(why).count(), 1, "{text}");
    assert_eq!(words.matches("insufficient-funds").count(), 1, "{text}");
    assert!(words.ends_with("OKs 1/2 aborted. Nothing changed at any bank."), "{text}");
    // Without a table of votes, the sentence has it; programs get it in full.
    let via = cluster.run(&[&transfer[..], &["--via", "1"]].concat()).expect_code(4);
    assert_eq!(via.stdout.matches("insufficient-funds").count(), 1, "{via:?}");
    let document = cluster.json(4, &transfer);
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains(why), "{document}");
}

/// `--lang` over CONSORCIO_LANG over the locale; rows and JSON stay what they are.
#[test]
fn messages_follow_the_language() {
    let cluster = with_accounts();
    let transfer = ["transferir", "--de", "0/12345-6=5000", "--para", "2/78910-0"];
    let run = |locale: &str, arguments: &[&str]| {
        let mut command = cluster.cliente(&[arguments, &transfer].concat());
        command.env("LC_ALL", "").env("LC_MESSAGES", "").env("LANG", locale);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (pt, en) = ("são pedidos R$ 5.000,00", "R$ 5.000,00 are asked");
    for (locale, arguments, expected) in [
        ("pt_BR.UTF-8", &[][..], pt),
        ("en_US.UTF-8", &[], en),
        ("de_DE.UTF-8", &[], en),
        ("C", &["--lang", "pt"], pt),
        ("pt_BR.UTF-8", &["--idioma", "en"], en),
    ] {
        let text = run(locale, arguments);
        assert!(text.contains(expected), "{locale} {arguments:?}: {text}");
    }
    let portuguese = run("pt_BR.UTF-8", &[]);
    for word in ["transação ", "banco", "voto", "motivo", "saldo insuficiente", "abortada. Nada"]
    {
        assert!(portuguese.contains(word), "no {word:?} in {portuguese}");
    }
    let document: serde_json::Value =
        serde_json::from_str(&run("pt_BR.UTF-8", &["--json"])).unwrap();
    assert_eq!(document["banks"][0]["reason"], "insufficient-funds", "{document}");
    let rows = run("pt_BR.UTF-8", &["--output", "tsv"]);
    assert!(rows.starts_with("transaction\tverdict\t"), "{rows}");
}

/// The commands for longer work, and the help: each fits 80 columns, and has no English sentence.
#[test]
fn the_tools_speak_portuguese_in_eighty_columns() {
    let cluster = with_accounts();
    let pay = ["transfer", "--from", "0/12345-6=1", "--to", "2/78910-0", "--tx", "t1"];
    cluster.run(&pay).expect_code(0);
    let refused = ["transfer", "--from", "0/12345-6=5000", "--to", "2/78910-0", "--tx", "t2"];
    cluster.run(&refused).expect_code(4);
    std::fs::write(cluster.path().join("lote.txt"), "saldo 0/12345-6\nfoo\nsaldo 0/1\n").unwrap();
    let traced = || (cluster.json(0, &["trace", "t2"])["told_us"].is_i64()).then_some(());
    wait_until("the logs have both transactions", traced);
    let load = ["--clients", "2", "--seconds", "1"];
    for (command, code, words) in [
        (&["--help"][..], 0, &["Uso: cliente", "Move dinheiro entre bancos", "Exemplos:"][..]),
        (&["help", "rastrear"], 0, &["Uso: cliente trace", "A transação a mostrar"]),
        (&["trace", "t1"], 0, &["transação t1", "efetivada", "banco 2", "vota OK", "até o result"]),
        (&["trace", "--slowest"], 0, &["transação", "a maior parte", "cliente rastrear TX"]),
        (&["trace", "--aborted"], 0, &["abortada: saldo insuficiente", "pelo banco 0"]),
        (&[&["contention"], &load[..]].concat(), 0, &["disputa", "efetivadas", "Tudo confere."]),
        (&[&["bench", "--own"], &load[..]].concat(), 0, &["rodada", "efetivadas", "conservado"]),
        (&["shell", "-f", "lote.txt"], 2, &["2 linhas em", "1 feita, 1 com falha", "a linha 2"]),
    ] {
        let (ended, text) = on_screen(&cluster, &[&["--lang", "pt"], command].concat());
        assert_eq!(ended, Some(code), "{command:?}: {text}");
        let prose = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in words {
            assert!(prose.contains(words), "{command:?}: no {words:?} in {text}");
        }
        let english =
            [" bank ", "committed", "aborted", " of ", "servidor:", "votes", "transactions"];
        for word in english.iter().filter(|_| !command[0].ends_with("help")) {
            assert!(!prose.contains(word), "{command:?}: {word:?} in {text}");
        }
    }
}

/// After a second a command says for which bank it waits, and takes that away at the end; a frozen
/// bank costs one time limit.
#[test]
fn a_wait_names_the_bank() {
    let cluster = Cluster::start(3);
    signal("STOP", cluster.pid(1));
    for command in [&["status"][..], &["accounts"], &["set", "1"], &["audit"]] {
        let arguments = [command, &["--timeout", "3s"]].concat();
        let began = Instant::now();
        let mut terminal = Terminal::start(&cluster.cliente(&arguments), 80);
        terminal.expect(&format!("waiting for bank 1 at {} … ", cluster.address(1)));
        let (_, screen) = terminal.end();
        let took = began.elapsed();
        assert!(took < Duration::from_millis(5_500), "one time limit: {took:?} for {command:?}");
        let (_, after) = screen.rsplit_once("waiting for").unwrap();
        assert!(after.contains("\r\x1b[K"), "the line is taken away: {screen:?}");
    }
    // Not where nobody reads it.
    let ran = cluster.run(&["status", "--timeout", "2s"]).expect_code(3);
    assert!(!ran.stderr.contains("waiting"), "{ran:?}");
    signal("CONT", cluster.pid(1));
    wait_until("bank 1 answers again", || {
        (cluster.cliente(&["ping"]).output().unwrap().status.success()).then_some(())
    });
}

/// Help fits 80 columns, of every command.
#[test]
fn help_fits_eighty_columns() {
    let folder = tempfile::TempDir::new().unwrap();
    let help = |words: &[&str]| {
        let mut command = Command::new(cliente_path());
        command.current_dir(folder.path()).args(words).arg("--help");
        let (code, screen) = Terminal::start(&command, 80).end();
        assert_eq!(code, Some(0), "{words:?}");
        plain_text(&screen)
    };
    let top = help(&[]);
    let commands = top.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() >= 18, "{names:?}");
    let mut pages = vec![vec![]];
    pages.extend(names.into_iter().map(|name| vec![name]));
    pages.extend([vec!["account", "open"], vec!["client", "add"]]);
    for words in pages {
        for line in help(&words).lines() {
            assert!(line.chars().count() <= 80, "{words:?}: {line}");
        }
    }
}

/// An account is typed BANK/ACCOUNT wherever one is meant.
#[test]
fn an_account_is_opened_by_its_name() {
    let cluster = Cluster::start(2);
    let add = ["client", "add", "--bank", "1", "--cpf", "11111111111", "--name", "Ana"];
    cluster.run(&add).expect_code(0);
    let open = ["account", "open", "1/12345-6", "--cpf", "11111111111", "--deposit", "10"];
    cluster.run(&open).expect_code(0).expect("1/12345-6");
    assert_eq!(cluster.balance("1/12345-6"), 1_000);
    let both = ["account", "open", "1/2", "--bank", "1", "--number", "2", "--cpf", "11111111111"];
    cluster.run(&both).expect_code(2);
    let neither = cluster.run(&["account", "open", "--cpf", "11111111111"]).expect_code(2);
    assert!(neither.stderr.contains("BANK/ACCOUNT"), "{neither:?}");
}
