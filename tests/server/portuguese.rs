//! `servidor` in Portuguese: its help, the faults of a command line, its checks, and its lines for
//! the operator. The step log and lines of JSON stay English.

use super::run;
use crate::support::terminal::{Terminal, plain_text};
use crate::support::{Cluster, Process, free_ports, servidor_path};
use std::process::Command;

/// English words that no line for a person may have.
const ENGLISH: [&str; 11] = [
    " the ", " is ", " of ", "Usage", "Options", "[default", "error:", "ready", "link ", "with ",
    "Print ",
];

#[track_caller]
fn is_portuguese(text: &str, words: &[&str]) {
    let prose = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(prose.contains(word), "no {word:?} in {text}");
    }
    for word in ENGLISH {
        assert!(!prose.contains(word), "{word:?} in {text}");
    }
}

fn servidor(words: &[&str]) -> Command {
    let mut command = Command::new(servidor_path());
    command.args(["--lang", "pt"]).args(words);
    command
}

#[test]
fn help_and_faults_of_the_command_line() {
    let folder = tempfile::TempDir::new().expect("a folder");
    for (line, code, words) in [
        ("--help", 0, &["Uso: servidor [OPÇÕES]", "Opções:", "Comandos:", "[padrão: 8886]"][..]),
        ("journal --help", 0, &["Uso: servidor journal [OPÇÕES] <PASTA>", "Argumentos:"]),
        ("--foo", 2, &["erro: argumento inesperado: '--foo'", "Uso: servidor", "Para saber mais"]),
        ("--porto 1", 2, &["dica: existe um argumento parecido: '--port'"]),
        ("--port x", 2, &["erro: --port não pode ser \"x\": dê um número inteiro"]),
        ("--port", 2, &["erro: '--port <PORTA>' precisa de um valor"]),
        (
            "--log-steps maybe",
            2,
            &["valor inválido 'maybe' para '--log-steps", "[valores: on, off]"],
        ),
        ("--check --health", 2, &["'--check' não pode ser usado junto com '--health'"]),
        ("journal", 2, &["faltam estes argumentos: <PASTA>"]),
        ("--http x", 2, &["valor inválido 'x' para '--http <ENDEREÇO>': dê máquina:porta"]),
        ("--port 9", 2, &["servidor: 127.0.0.1:9 não está no consórcio"]),
        ("man foo", 2, &["servidor: não há o comando \"foo\"; servidor --help os lista"]),
        ("journal none", 1, &["servidor: none: esta pasta não pode ser lida: não existe"]),
        ("--key-file none", 1, &["o arquivo de chave none não existe; nomeie o que todos"]),
    ] {
        let words_of_line: Vec<&str> = line.split_whitespace().collect();
        let ran = run(servidor(&words_of_line).current_dir(folder.path()));
        assert_eq!(ran.code, Some(code), "{line}: {ran:?}");
        is_portuguese(&(ran.stdout + &ran.stderr), words);
    }
}

#[test]
fn what_an_operator_reads() {
    let mut cluster = Cluster::start(2);
    cluster.stop(1);
    cluster.stop(0);
    let with = |cluster: &Cluster, bank: usize, words: &[&str]| {
        let mut command = cluster.servidor(bank);
        command.env("LC_ALL", "pt_BR.UTF-8").args(words);
        command
    };
    let ran = run(&mut with(&cluster, 0, &["--check"])).expect_code(0);
    is_portuguese(
        &ran.stdout,
        &["sim é o banco 0 em", "sim diário em", "intacto", "Este banco pode iniciar."],
    );
    let mut zero = Process::start(&mut with(&cluster, 0, &[]));
    let ready = zero.expect_line("servidor: banco 0 pronto em ");
    is_portuguese(&ready, &["(2 lugares, chave ", ", dados data/bank-0)"]);
    let ran = run(&mut with(&cluster, 0, &[])).expect_code(1);
    is_portuguese(&ran.stderr, &["está ocupada; --port (e --consortium) dá outra"]);
    let ran = run(&mut with(&cluster, 0, &["--health"])).expect_code(0);
    is_portuguese(&ran.stdout, &["o banco 0 trabalha em ", " pendentes, resposta após "]);
    cluster.start_bank(1);
    zero.expect_line("servidor: o banco 1 está no ar: a ligação com ele está aberta");
    cluster.stop(1);
    zero.expect_line("servidor: o banco 1 está fora do ar: ");
    zero.terminate();
    zero.expect_line("servidor: SIGTERM: o que foi pedido é respondido, e depois este banco");
    assert_eq!(zero.wait(), Some(0));
    is_portuguese(&zero.seen().join("\n"), &["servidor: recuperados ", " registros, "]);
    let log = cluster.log(0);
    assert!(log.contains("bank 0 ready on") && !log.contains("pronto"), "{log}");
}

#[test]
fn lines_of_json_stay_english() {
    let cluster = Cluster::new(1, true);
    let mut command = cluster.servidor(0);
    let mut bank = Process::start(command.args(["--lang", "pt", "--log-format", "json"]));
    bank.expect_line("\"message\":\"bank 0 ready on ");
    bank.expect_line("servidor: banco 0 pronto em ");
}

/// A line that is wider than the terminal is broken between words.
#[test]
fn lines_for_an_operator_are_broken_between_words() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let ports = free_ports(2);
    let mut command = Command::new(servidor_path());
    let list = format!("{},{}", ports[0], ports[1]);
    command.args(["--port", &ports[0].to_string(), "--consortium", &list]);
    let mut terminal = Terminal::start(command.current_dir(folder.path()), 80);
    terminal.expect("that is down");
    let text = plain_text(terminal.seen());
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("until it has met bank 1;\n") || text.contains("met\n"), "{text}");
    let mut command = Command::new(servidor_path());
    command.args(["--consortium", "8886,8887,8888,nowhere"]);
    let (code, screen) = Terminal::start(&command, 60).end();
    let text = plain_text(&screen);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    assert!(text.contains("a place is\n  host:port, a port from"), "{text}");
}
