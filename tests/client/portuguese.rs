//! `cliente` in Portuguese: faults of a command line, the words and numbers of tables, sentences of
//! failures. Rows and JSON stay English.

use super::faults::with_accounts;
use crate::support::terminal::{Terminal, plain_text};
use crate::support::{Cluster, ProgramRun, cliente_path};
use std::process::Command;

/// English words that no text for a person may have.
const ENGLISH: [&str; 20] = [
    " the ",
    " bank ",
    " is ",
    " of ",
    " and ",
    " was ",
    "Usage",
    "error:",
    "committed",
    "aborted",
    "debit ",
    "credit ",
    "holds",
    "BROKEN",
    "unknown",
    "undecided",
    "online",
    "offline",
    "refused",
    "[OPTIONS]",
];

/// Runs a command on a terminal of 80 columns in Portuguese: its text is Portuguese, fits, and has
/// these words.
#[track_caller]
fn reads(cluster: &Cluster, line: &str, code: i32, words: &[&str]) -> String {
    let arguments: Vec<&str> = ["--lang", "pt"].into_iter().chain(line.split(' ')).collect();
    let (ended, screen) = Terminal::start(&cluster.cliente(&arguments), 80).end();
    let text = plain_text(&screen);
    assert_eq!(ended, Some(code), "{line}: {text}");
    let prose = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(prose.contains(word), "{line}: no {word:?} in {text}");
    }
    let padded = format!(" {prose} ");
    for word in ENGLISH {
        assert!(!padded.contains(word), "{line}: {word:?} in {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{line}: {text}");
    text
}

#[test]
fn faults_of_the_command_line_are_told_in_portuguese() {
    let cluster = Cluster::new(1, true);
    for (line, words) in [
        ("--foo", &["erro: argumento inesperado: '--foo'", "dica: existe", "Uso: cliente"][..]),
        (
            "--tim",
            &["dica: existe um argumento parecido: '--timeout'", "Para saber mais: '--help'"],
        ),
        ("--timeout", &["erro: '--timeout <TEMPO>' precisa de um valor"]),
        (
            "--timeout 5x status",
            &["valor inválido '5x' para '--timeout <TEMPO>': \"5x\": um tempo"],
        ),
        ("--output xml status", &["valor inválido 'xml'", "[valores: table, tsv, json]"]),
        ("transferir", &["faltam estes argumentos:", "--from <CONTA=VALOR>", "--to <CONTA>"]),
        ("foo", &["erro: comando desconhecido: 'foo'", "Uso: cliente [OPÇÕES] [COMANDO]"]),
        ("trace t --svg x --slowest", &["'[TX]' não pode ser usado junto com '--slowest"]),
        ("set 1 2", &["argumento inesperado: '2'", "Uso: cliente set [OPÇÕES] <VALOR>"]),
        ("bench --clients a", &["--clients não pode ser \"a\": dê um número inteiro"]),
        ("bench --clients 0", &["dê um número inteiro de 1 a 3000"]),
        ("bench --csv=x", &["valor inesperado 'x' para '--csv'"]),
        ("--timeout 1s --timeout 2s status", &["'--timeout <TEMPO>' não pode ser usado mais de"]),
        ("saldo 12345-6", &["uma conta é BANCO/NÚMERO, como em 0/12345-6"]),
        ("depositar 0/1 1.234", &["o separador pode ser de milhares ou de decimais"]),
        ("--lang xx status", &["\"xx\": as mensagens são em pt ou en"]),
    ] {
        if line.starts_with("--lang") {
            let ran = run_in_portuguese(&cluster, line).expect_code(2);
            assert!(ran.stderr.contains(words[0]), "{ran:?}");
        } else {
            reads(&cluster, line, 2, words);
        }
    }
}

fn run_in_portuguese(cluster: &Cluster, line: &str) -> ProgramRun {
    let arguments: Vec<&str> = line.split(' ').collect();
    let mut command = Command::new(cliente_path());
    command.current_dir(cluster.path()).env("LC_ALL", "pt_BR.UTF-8").args(&arguments);
    ProgramRun::of(&arguments, &command.output().expect("cliente runs"))
}

#[test]
fn words_and_numbers_of_tables_are_portuguese() {
    let mut cluster = with_accounts();
    let pay = "transferir --de 0/12345-6=10 --para 2/78910-0 --tx t1";
    let text = reads(&cluster, pay, 0, &["transação t1", "efetivada em"]);
    let times = text.split_whitespace().zip(text.split_whitespace().skip(1));
    let times: Vec<&str> =
        times.filter(|(_, unit)| *unit == "ms").map(|(number, _)| number).collect();
    assert!(times.len() == 2 && times.iter().all(|time| time.contains(',')), "{text}");
    let too_much = "transferir --de 0/12345-6=5000 --para 2/78910-0 --tx t2";
    reads(&cluster, too_much, 4, &["NOK", "saldo insuficiente: a conta 12345-6 tem"]);
    for (line, code, words) in [
        ("estado", 0, &["no ar 0.1.0", "a soma confere"][..]),
        ("sondar", 0, &["no ar", " ms"]),
        ("historico", 0, &["efetivada", "abortada", "saldo insuficiente", "12345-6 débito R$ 10"]),
        ("resolver t1", 0, &["efetivada", "desconhecida", "não votou nela"]),
        ("auditar", 0, &["confere", "todos", "A soma confere"]),
        ("resolver --bank 1", 2, &["argumento inesperado"]),
        ("saldo 99/1", 2, &["um banco é a sua posição no consórcio"]),
        ("saldo 8/1", 2, &["o banco 8 não está no consórcio"]),
        ("rastrear --abortadas", 0, &["abortada: saldo insuficiente pelo banco 0"]),
        ("rastrear zz", 4, &["nenhum log de passos tem a transação zz", "arquivos em logs ("]),
        ("auditar --diarios data", 0, &["confere", "todos", "transações efetivadas", "Toda trans"]),
    ] {
        let with_data =
            line.replace(" data", &format!(" {}", cluster.path().join("data").display()));
        if !with_data.contains("--diarios") || cluster.path().join("data").exists() {
            reads(&cluster, &with_data, code, words);
        }
    }
    cluster.kill(1);
    reads(&cluster, "estado", 3, &["fora do ar", "não pode ser alcançado (conexão recusada)"]);
    reads(&cluster, "definir 1", 4, &["não alcançado", "conexão recusada", "não perguntado"]);
    let rows = run_in_portuguese(&cluster, "--consortium 1 status").stdout;
    assert!(rows.contains("\toffline\t"), "{rows}");
}
