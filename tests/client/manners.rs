//! `cliente` as a command-line program: rows in pipes, JSON, suggestions, help, logs, `ping`.

use crate::support::{Cluster, ProgramRun, cliente_path, free_ports, wait_until};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MARIA: &str = "11111111111";

/// Runs `cliente` in a pipe, as a script does, with the default form of its output.
fn piped(cluster: &Cluster, arguments: &[&str]) -> ProgramRun {
    let mut command = cluster.cliente(arguments);
    let output =
        command.env_remove("CONSORCIO_OUTPUT").stdin(Stdio::null()).output().expect("cliente runs");
    ProgramRun::of(arguments, &output)
}

/// The rows of a table in a pipe; checks and removes the headings.
#[track_caller]
fn rows(ran: &ProgramRun, headings: &str) -> Vec<Vec<String>> {
    let mut lines =
        ran.stdout.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let first = lines.next().unwrap_or_default();
    assert_eq!(first, headings.split(' ').collect::<Vec<_>>(), "{ran:?}");
    let rows: Vec<_> = lines.collect();
    assert!(rows.iter().all(|row| row.len() == first.len()), "{ran:?}");
    rows
}

/// Runs `cliente` without any bank.
pub(super) fn run_alone(arguments: &[&str], folder: &std::path::Path) -> ProgramRun {
    let output = Command::new(cliente_path())
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("cliente runs");
    ProgramRun::of(arguments, &output)
}

#[test]
fn in_a_pipe_the_output_is_rows_only() {
    let mut cluster = Cluster::start(3);
    cluster.open_account(0, "12345-6", MARIA, "1234,56");
    cluster.open_account(2, "78910-0", MARIA, "0");
    let votes = "transaction verdict committed_at bank address vote reason time_ms";
    let transfer = ["transfer", "--from", "0/12345-6=200,50", "--to", "2/78910-0"];
    let ran = piped(&cluster, &[&transfer[..], &["--tx", "t1"]].concat()).expect_code(0);
    let cells = rows(&ran, votes);
    assert_eq!((cells.len(), ran.stderr.as_str()), (2, ""));
    for (row, bank) in cells.iter().zip(["0", "2"]) {
        assert_eq!(
            (&row[0][..], &row[1][..], &row[3][..], &row[5][..]),
            ("t1", "committed", bank, "OK")
        );
        assert!(row[2].contains('T') && row[2].ends_with('Z'), "{row:?}");
        assert!(row[7].split_once('.').is_some_and(|(_, us)| us.len() == 3), "{row:?}");
    }
    let via = piped(&cluster, &[&transfer[..], &["--via", "1"]].concat()).expect_code(0);
    let cells = rows(&via, "transaction verdict committed_at bank address reason time_ms");
    assert_eq!((cells.len(), &cells[0][1][..], &cells[0][3][..]), (1, "committed", "1"));

    let accounts = piped(&cluster, &["contas"]).expect_code(0);
    let cells = rows(&accounts, "account balance held available incoming holders");
    assert_eq!(cells[0], ["0/12345-6", "833.56", "0.00", "833.56", "0.00", MARIA]);
    assert_eq!(cells.len(), 2);
    let refused = ["transfer", "--from", "0/12345-6=5000", "--to", "2/78910-0"];
    let ran = piped(&cluster, &refused).expect_code(4);
    assert!(rows(&ran, votes)[0][6].contains("insufficient-funds"), "{ran:?}");
    assert!(ran.stderr.starts_with("cliente: aborted: bank 0 refused"), "{ran:?}");

    let history = piped(&cluster, &["history", "1"]).expect_code(0);
    assert_eq!(rows(&history, "time transaction outcome reason banks operations").len(), 1);
    let ran = piped(&cluster, &["resolve", "t1"]).expect_code(0);
    assert_eq!(rows(&ran, "bank address says detail")[0][2], "committed");
    let ran = piped(&cluster, &["pending"]).expect_code(0);
    assert_eq!(rows(&ran, "bank transaction since waits_for operations").len(), 0);
    let add = ["client", "add", "--bank", "1", "--cpf", MARIA, "--name", "Maria Souza"];
    let ran = piped(&cluster, &add).expect_code(0);
    assert_eq!(rows(&ran, "bank cpf name kind"), [["1", MARIA, "Maria Souza", "Físico"]]);
    assert_eq!(rows(&piped(&cluster, &["get"]), "bank address storage").len(), 3);

    cluster.kill(1);
    let ran = piped(&cluster, &["status"]).expect_code(3);
    let headings =
        "bank address state links undecided committed aborted clients accounts held balance";
    let cells = rows(&ran, headings);
    assert_eq!((cells[0][10].as_str(), cells[1][2].as_str()), ("833.56", "offline"));
    assert!(ran.stderr.contains(&cluster.address(1)), "{ran:?}");
}

#[test]
fn the_form_of_the_output_can_be_chosen() {
    let cluster = Cluster::start(1);
    let with = |form: &str| {
        let output = cluster.cliente(&["get"]).env("CONSORCIO_OUTPUT", form).output().unwrap();
        ProgramRun::of(&[form], &output).expect_code(0).stdout
    };
    assert!(with("tsv").starts_with("bank\taddress\tstorage\n"));
    assert!(with("table").starts_with("bank  address"));
    assert!(serde_json::from_str::<Value>(&with("json")).unwrap()[0]["answer"].is_object());
    cluster.run(&["get", "--output", "tsv"]).expect_code(0).expect("bank\taddress");
    let ran = cluster.run(&["get", "--output", "xml"]).expect_code(2);
    assert!(ran.stderr.contains("xml") && ran.stderr.contains("tsv"), "{ran:?}");
}

/// With `--json` every error is one JSON document.
#[test]
fn errors_are_json_too() {
    let folder = tempfile::TempDir::new().unwrap();
    let port = free_ports(1)[0].to_string();
    let codes = [
        (&["--consortium", &port, "status", "--json"][..], 3, "no-connection"),
        (&["--consortium", &port, "ping", "--json"], 3, "no-connection"),
        (&["--consortium", &port, "bench", "--yes", "--kind", "set", "--json"], 3, "no-connection"),
        (&["--consortium", "nowhere", "status", "--json"], 2, "usage"),
        (&["--json", "transfer"], 2, "usage"),
        (&["--json", "trasnfer"], 2, "usage"),
        (&["--output=json", "ping", "--wait", "soon"], 2, "usage"),
        (&["--output", "json", "bench", "--kind", "nothing"], 2, "usage"),
        (&["--json", "conta"], 2, "usage"),
        (&["--json", "man", "nonsense"], 2, "usage"),
        (&["--json", "completions", "tcsh-4"], 2, "usage"),
    ];
    for (arguments, code, word) in codes {
        let ran = run_alone(arguments, folder.path()).expect_code(code);
        let document: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        let error =
            if document["error"].is_null() { &document[0]["error"] } else { &document["error"] };
        assert_eq!(error["code"], word, "{ran:?}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{ran:?}");
        assert_eq!(ran.stderr, "", "{ran:?}");
    }
}

#[test]
fn typing_errors_get_suggestions() {
    let folder = tempfile::TempDir::new().unwrap();
    for (arguments, meant) in [
        (&["tranfer"][..], "transfer"),
        (&["tranferir"], "transferir"),
        (&["sald"], "saldo"),
        (&["statsu"], "status"),
        (&["depositer"], "depositar"),
        (&["conta", "abri"], "abrir"),
        (&["account", "opne"], "open"),
        (&["transfer", "--form", "0/1=2"], "--from"),
        (&["bench", "--client", "7"], "--clients"),
        (&["status", "--jsno"], "--json"),
        (&["bench", "--kind", "transfers"], "transfer"),
        (&["completions", "bsh"], "bash"),
    ] {
        let ran = run_alone(arguments, folder.path()).expect_code(2);
        assert!(ran.stderr.contains("similar") && ran.stderr.contains(meant), "{meant}: {ran:?}");
        let json = run_alone(&[&["--json"], arguments].concat(), folder.path()).expect_code(2);
        let document: Value = serde_json::from_str(&json.stdout).unwrap();
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains("similar") && message.contains(meant), "{meant}: {message}");
    }
}

/// If standard output cannot be written, standard error reports what was done.
#[cfg(target_os = "linux")]
#[test]
fn with_a_full_standard_output_the_result_is_still_reported() {
    let cluster = Cluster::start(1);
    let run = |arguments: &[&str]| {
        let full = std::fs::File::create("/dev/full").expect("Linux has it");
        let output = cluster.cliente(arguments).stdout(full).output().expect("cliente runs");
        ProgramRun::of(arguments, &output)
    };
    let only = "; only standard output could not be written: ";
    let add = ["client", "add", "--bank", "0", "--cpf", "11111111111", "--name", "Ana"];
    let ran = run(&add).expect_code(1);
    assert!(
        ran.stderr.contains(&format!("bank 0 knows Físico Ana (11111111111){only}")),
        "{ran:?}"
    );
    let open = ["account", "open", "--bank", "0", "--number", "1", "--cpf", "11111111111"];
    assert!(run(&open).expect_code(1).stderr.contains(&format!("account 0/1 is open{only}")));
    for (form, id) in [("table", "d1"), ("tsv", "d2"), ("json", "d3")] {
        let ran = run(&["--output", form, "deposit", "0/1", "10", "--tx", id]).expect_code(1);
        assert!(ran.stderr.contains(&format!("transaction {id} is committed, at ")), "{ran:?}");
        assert!(ran.stderr.contains(only), "{ran:?}");
        let ran = run(&["--output", form, "withdraw", "0/1", "99999", "--tx", &format!("w{id}")])
            .expect_code(4);
        assert!(ran.stderr.contains("insufficient-funds"), "{form}: {ran:?}");
    }
    let ran = run(&["balance", "0/1"]).expect_code(1);
    assert!(ran.stderr.contains("cliente: standard output could not be written: "), "{ran:?}");
    assert_eq!(cluster.balance("0/1"), 3_000);
}

/// The error about an invalid number names the valid range.
#[test]
fn a_number_out_of_its_range_is_refused_with_the_range() {
    let folder = tempfile::TempDir::new().unwrap();
    for (arguments, message) in [
        (
            &["bench", "--clients", "0"][..],
            "--clients can't be \"0\": give a whole number from 1 to 3000",
        ),
        (
            &["set", "1", "--patience", "301"],
            "--patience can't be \"301\": give a whole number from 1 to 300",
        ),
        (&["bench", "--seconds", "many"], "--seconds can't be \"many\": give a whole number"),
    ] {
        let ran = run_alone(arguments, folder.path()).expect_code(2);
        assert!(ran.stderr.contains(message), "{ran:?}");
        let json = run_alone(&[&["--json"], arguments].concat(), folder.path()).expect_code(2);
        let document: Value = serde_json::from_str(&json.stdout).unwrap();
        assert!(
            document["error"]["message"].as_str().is_some_and(|text| text.contains(message)),
            "{document}"
        );
    }
}

/// With too few open files no command begins, and the error names the limit.
#[test]
fn too_few_open_files_are_reported() {
    let cluster = Cluster::new(3, false);
    let cliente = cluster.cliente(&["status"]);
    let mut command = std::process::Command::new("sh");
    command.current_dir(cluster.path()).arg("-c").arg("ulimit -n 10 && exec \"$@\"").arg("sh");
    let output =
        command.arg(cliente.get_program()).args(cliente.get_args()).output().expect("a shell");
    let ran = ProgramRun::of(&["status"], &output).expect_code(1);
    assert!(ran.stderr.contains("only 10 open files are allowed, and cliente needs 22"), "{ran:?}");
    assert!(ran.stderr.contains("ulimit -n 22"), "{ran:?}");
}

#[test]
fn help_begins_with_examples_and_names_the_aliases() {
    let folder = tempfile::TempDir::new().unwrap();
    let help = run_alone(&["--help"], folder.path()).expect_code(0).stdout;
    assert!(help.starts_with("Examples:\n"), "{help}");
    for alias in
        ["transferir", "depositar", "sacar", "saldo", "contas", "medir", "sondar", "historico"]
    {
        assert!(
            help.lines().any(|line| line.contains("[alias") && line.contains(alias)),
            "{alias}: {help}"
        );
    }
    let transfer = run_alone(&["transferir", "--help"], folder.path()).expect_code(0).stdout;
    assert!(transfer.starts_with("Examples:\n  cliente transfer "), "{transfer}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "help leaves no log: {left:?}");
}

#[test]
fn ping_shows_which_banks_answer() {
    let mut cluster = Cluster::start(3);
    let ran = cluster.run(&["ping"]).expect_code(0);
    assert_eq!(
        ran.stdout.lines().filter(|line| line.contains("online") && line.contains(" ms")).count(),
        3
    );
    cluster.kill(2);
    let ran = piped(&cluster, &["sondar"]).expect_code(3);
    let cells = rows(&ran, "bank address state links time_ms reason");
    assert_eq!(
        cells.iter().map(|row| row[2].as_str()).collect::<Vec<_>>(),
        ["online", "online", "offline"]
    );
    assert!(
        ran.stderr.contains(&cluster.address(2)) && ran.stderr.contains("servidor --port"),
        "{ran:?}"
    );
    let document = cluster.json(3, &["ping"]);
    assert_eq!(
        (&document["online"], &document["error"]["code"]),
        (&2.into(), &"no-connection".into())
    );
    assert!(document["banks"][0]["latency_us"].as_u64().unwrap() > 0, "{document}");
    cluster.run(&["ping", "--bank", "0"]).expect_code(0);
    cluster.run(&["ping", "--bank", "7"]).expect_code(2);
}

#[test]
fn ping_waits_for_banks_that_start() {
    let mut cluster = Cluster::start(2);
    cluster.kill(1);
    let began = Instant::now();
    let ran = cluster.run(&["ping", "--wait", "300ms"]).expect_code(3);
    assert!(began.elapsed() >= Duration::from_millis(300), "{ran:?}");
    let mut waiting = cluster.cliente(&["ping", "--wait", "60s", "--json"]);
    let waiting = waiting.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    // It has failed to connect to bank 1 at least once before that restarts.
    let log = cluster.path().join("logs/cliente-1.log");
    let refusals =
        |text: &str| text.lines().filter(|line| line.contains(&cluster.address(1))).count();
    let before = refusals(&std::fs::read_to_string(&log).unwrap());
    wait_until("a failed connect", || {
        (refusals(&std::fs::read_to_string(&log).ok()?) > before).then_some(())
    });
    cluster.start_bank(1);
    let output = waiting.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["online"]), (Some(0), &2.into()), "{document}");
}

/// A step log has names, numbers and amounts, so only its owner can read it, whatever the umask.
#[test]
fn only_their_owner_can_read_logs() {
    use std::os::unix::fs::PermissionsExt;
    let cluster = Cluster::start(1);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let logs = cluster.path().join("logs");
    let run = |umask: &str, folder: &str| {
        let mut command = Command::new("sh");
        command
            .current_dir(cluster.path())
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
        command.arg(cliente_path()).args(["--consortium", &cluster.consortium()]);
        command.args(["--log-dir", folder, "get"]);
        ProgramRun::of(&["get"], &command.output().unwrap()).expect_code(0)
    };
    for (umask, folder) in [("000", "open/deep"), ("077", "closed"), ("0777", "none")] {
        assert_eq!(run(umask, folder).stderr, "");
        let folder = cluster.path().join(folder);
        assert_eq!(
            (mode(&folder), mode(&folder.join("cliente-1.log"))),
            (0o700, 0o600),
            "umask {umask}"
        );
    }
    let bank = logs.join(format!("servidor-{}.log", cluster.port(0)));
    assert_eq!((mode(&logs), mode(&bank)), (0o700, 0o600), "the bank's log");
    // A log with wider permissions causes a warning with the remedy, and is not changed.
    let own = cluster.path().join("open/deep/cliente-1.log");
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o644)).unwrap();
    let stderr = run("022", "open/deep").stderr;
    let warnings: Vec<&str> = stderr.lines().collect();
    assert!(
        warnings.len() == 1 && warnings[0].contains("chmod 600 open/deep/cliente-1.log"),
        "{stderr}"
    );
    assert_eq!(mode(&own), 0o644);
}

/// `status` and `ping` show the links between banks, and why a link is down.
#[test]
fn links_between_banks_are_shown() {
    let mut cluster = Cluster::start(3);
    let linked = |cell: &str, ran: &ProgramRun| ran.stdout.matches(&format!(" {cell} ")).count();
    wait_until("all banks are linked", || {
        let ran = cluster.run(&["ping"]).expect_code(0);
        (linked("2/2", &ran) == 3).then_some(())
    });
    assert_eq!(linked("2/2", &cluster.run(&["status"]).expect_code(0)), 3);
    cluster.kill(1);
    let ran = wait_until("the links to bank 1 are lost", || {
        let ran = cluster.run(&["status"]).expect_code(3);
        (linked("1/2", &ran) == 2).then_some(ran)
    });
    let expected = format!("bank 0 has no link to bank 1 at {}: ", cluster.address(1));
    assert!(ran.stdout.contains(&expected), "no {expected:?} in {ran:?}");
    let document = cluster.json(3, &["ping"]);
    let link = &document["banks"][2]["links"][1];
    assert_eq!((&link["bank"], &link["online"]), (&1.into(), &false.into()));
    assert!(link["why"].as_str().is_some_and(|why| !why.is_empty()), "{document}");
}
