//! Standard error of a bank: text or JSON, with `-v` and `RUST_LOG`.

use crate::support::{Cluster, Process};
use serde_json::Value;

/// Registers a client, so that the bank writes a record.
fn register(cluster: &Cluster, number: usize) {
    let client = format!(r#"CLIENT {{"cpf":"123456789{number:02}","name":"Pessoa","kind":"F"}}"#);
    let reply = cluster.connect(0).ask(&client);
    assert!(reply.contains("Pessoa"), "{reply}");
}

/// Runs a bank with these switches and variables, registers the client `number`, stops the bank,
/// and returns the lines of both streams.
fn lines(
    cluster: &Cluster,
    number: usize,
    switches: &[&str],
    variables: &[(&str, &str)],
) -> Vec<String> {
    let mut command = cluster.servidor(0);
    command.args(switches).envs(variables.iter().copied());
    let mut process = Process::start(&mut command);
    process.expect_line("servidor: bank 0 ready on");
    register(cluster, number);
    process.terminate();
    assert_eq!(process.wait(), Some(0), "{:?}", process.seen());
    process.seen().to_vec()
}

#[test]
fn live_steps_are_the_lines_of_the_file() {
    let cluster = Cluster::new(1, true);
    let quiet = lines(&cluster, 0, &[], &[]);
    assert!(quiet.iter().all(|line| line.starts_with("servidor: ")), "{quiet:?}");
    let before = cluster.log(0).lines().count();
    let shown = lines(&cluster, 1, &["-v"], &[]);
    let shown: Vec<&str> =
        shown.iter().map(String::as_str).filter(|line| !line.starts_with("servidor: ")).collect();
    let log = cluster.log(0);
    let written: Vec<&str> = log.lines().skip(before).collect();
    assert!(written.iter().any(|line| line.contains(" sync ")), "{log}");
    assert!(written.iter().any(|line| line.contains(" CLIENT")), "{log}");
    let words = |line: &&str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let [shown, written] =
        [shown, written].map(|lines| lines.iter().map(words).collect::<Vec<_>>());
    assert_eq!(shown, written, "equal except for the width of columns");
}

/// Runs the bank in `script`, which gives it a terminal.
#[test]
fn a_terminal_gets_colours_unless_no_color_is_set() {
    for (plain, colour) in [("", true), ("1", false)] {
        let cluster = Cluster::new(1, true);
        let servidor = cluster.servidor(0);
        let words = std::iter::once(servidor.get_program()).chain(servidor.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let line = format!("NO_COLOR={plain} {} -v", words.join(" "));
        let mut script = std::process::Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]).current_dir(cluster.path());
        let mut terminal = Process::start(&mut script);
        terminal.expect_line("bank 0 ready on");
        register(&cluster, 0);
        let sync = terminal.expect_line("upto=");
        assert_eq!(sync.contains("\u{1b}[35msync "), colour, "{sync:?}");
        assert_eq!(sync.contains('\u{1b}'), colour, "{sync:?}");
        terminal.kill();
    }
}

#[test]
fn as_json_each_event_is_an_object_with_typed_fields() {
    let cluster = Cluster::new(1, true);
    lines(&cluster, 0, &[], &[]);
    let seen = lines(&cluster, 1, &["-v"], &[("CONSORCIO_LOG_FORMAT", "json")]);
    let events = seen.iter().filter(|line| !line.starts_with("servidor: "));
    let events: Vec<Value> = events
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let find = |target: &str, text: &str| {
        let of = |event: &&Value| {
            event["target"] == target
                && event["fields"]["message"].as_str().is_some_and(|message| message.contains(text))
        };
        events.iter().find(of).unwrap_or_else(|| panic!("no {text:?} of {target} in {seen:#?}"))
    };
    let recovered = &find("consorcio_server::opening", "recovered ")["fields"];
    assert_eq!(recovered["undecided"], 0);
    assert!(recovered["records"].as_u64() > Some(0) && recovered["took_us"].is_u64());
    let ready = find("consorcio::lifecycle", "bank 0 ready on ");
    assert_eq!((&ready["level"], &ready["fields"]["bank"]), (&"INFO".into(), &0.into()));
    assert_eq!(ready["fields"]["address"], cluster.address(0));
    assert_eq!(find("consorcio_server::run", "SIGTERM")["fields"]["signal"], "SIGTERM");
    let steps = events.iter().filter(|event| event["target"] == "consorcio::step");
    let sync = steps.map(|event| &event["fields"]).find(|fields| fields["event"] == "sync");
    assert!(sync.is_some_and(|sync| sync["detail"].as_str().unwrap().contains("records=")));
}

#[test]
fn rust_log_filters_and_a_malformed_one_is_reported_once() {
    let cluster = Cluster::new(1, true);
    let seen = lines(&cluster, 0, &[], &[("RUST_LOG", "a=b=c")]);
    let complaints = seen.iter().filter(|line| line.contains("RUST_LOG"));
    let complaints: Vec<&String> = complaints.collect();
    assert_eq!(complaints.len(), 1, "{seen:?}");
    assert!(complaints[0].starts_with("servidor: RUST_LOG=\"a=b=c\" is left out"), "{seen:?}");
    let of = |number, level| {
        let seen = lines(&cluster, number, &[], &[("RUST_LOG", level)]);
        seen.iter().filter(|line| line.starts_with("servidor: recovered ")).count()
    };
    assert_eq!((of(1, "error"), of(2, "warn,consorcio=info")), (0, 1));
}
