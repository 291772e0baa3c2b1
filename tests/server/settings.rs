//! Settings of both programs from a file, `servidor --check` and `--health`, its man pages and
//! completions.

use super::run;
use super::start::{refused, servidor};
use crate::support::{
    Cluster, Process, ProgramRun, cliente_path, free_ports, servidor_path, signal, wait_until,
};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const FILE: &str = "consorcio.toml";

/// A folder with a settings file for three banks on free ports.
struct SettingsFolder {
    dir: tempfile::TempDir,
    ports: Vec<u16>,
}

impl SettingsFolder {
    fn new(more: &str) -> SettingsFolder {
        let folder =
            SettingsFolder { dir: tempfile::tempdir().expect("a folder"), ports: free_ports(3) };
        let text = format!("consortium = {:?}\n{more}", folder.list());
        std::fs::write(folder.path().join(FILE), text).expect("a file");
        folder
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn list(&self) -> String {
        self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
    }

    /// `servidor` in this folder, without variables of the test run.
    fn servidor(&self, arguments: &str) -> Command {
        servidor(self.path(), arguments)
    }

    /// The address that a bank is ready on.
    fn ready(&self, command: &mut Command) -> Process {
        let mut process = Process::start(command);
        process.expect_line("ready on");
        process
    }
}

/// The files of a folder with their lengths, at any depth.
fn files(folder: &Path) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map_while(Result::ok) {
        let (path, meta) = (entry.path(), entry.metadata().expect("a file"));
        found.insert((path.display().to_string(), if meta.is_dir() { 0 } else { meta.len() }));
        if meta.is_dir() {
            found.extend(files(&path));
        }
    }
    found
}

/// A switch outweighs a variable, that outweighs the file, and that outweighs the default.
#[test]
fn each_setting_comes_from_the_nearest_place() {
    let folder = SettingsFolder::new("[servidor]\nlog-keep = 7\n");
    let [first, second, third] = folder.ports[..] else { panic!("three ports") };
    let text = std::fs::read_to_string(folder.path().join(FILE)).expect("a file");
    std::fs::write(folder.path().join(FILE), format!("{text}port = {first}\n")).expect("a file");
    let ready = |switches: &str, variable: Option<u16>| {
        let mut command = folder.servidor(switches);
        if let Some(port) = variable {
            command.env("CONSORCIO_PORT", port.to_string());
        }
        folder.ready(&mut command).seen().join("\n")
    };
    let on = |port: u16| format!("ready on 127.0.0.1:{port} (3 places");
    for (switches, variable, port) in [
        (String::new(), None, first),
        (String::new(), Some(second), second),
        (format!("--port {third}"), Some(second), third),
    ] {
        let seen = ready(&switches, variable);
        assert!(seen.contains(&on(port)), "{switches:?} {variable:?}: {seen}");
    }
    // The same as text: each setting with the place that it comes from.
    let rows = |command: &mut Command| -> Vec<Vec<String>> {
        let ran = run(command).expect_code(0);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        ran.stdout.lines().map(words).collect()
    };
    let mut command = folder.servidor("--check --log-keep 3");
    let found = rows(command.env("CONSORCIO_PORT", second.to_string()));
    for row in [["port", &second.to_string(), "CONSORCIO_PORT"], ["log-keep", "3", "--log-keep"]] {
        assert!(found.iter().any(|found| found == &row), "no {row:?} in {found:#?}");
    }
    assert!(found.iter().any(|row| row[0] == "consortium" && row[2] == "consorcio.toml:1"));
    // No file is beside another data folder.
    let switches = format!("--check --port {third} --consortium {}", folder.list());
    let found = rows(folder.servidor(&switches).env("CONSORCIO_DATA_DIR", "elsewhere/data"));
    assert!(found.iter().any(|row| row == &["data-dir", "elsewhere/data", "CONSORCIO_DATA_DIR"]));
    assert!(!found.iter().any(|row| row[0] == "log-keep"), "{found:#?}");
}

/// The file is found beside the data folder, or named; its paths are relative to its folder.
#[test]
fn a_file_is_found_beside_the_data_or_by_its_name() {
    let folder = SettingsFolder::new("log-dir = \"steps\"\n[servidor]\ndata-dir = \"money\"\n");
    std::fs::create_dir(folder.path().join("below")).expect("a folder");
    let port = folder.ports[0];
    let mut command = folder.servidor(&format!("--config ../{FILE} --port {port}"));
    command.current_dir(folder.path().join("below"));
    let process = folder.ready(&mut command);
    let made = |line: &String| line.contains("data ../money/bank-0");
    assert!(process.seen().iter().any(made), "{:?}", process.seen());
    assert!(folder.path().join(format!("steps/servidor-{port}.log")).exists());
    drop(process);
    // Beside a data folder that a variable names.
    let mut command = servidor(Path::new("/"), &format!("--check --port {port}"));
    let ran = run(command.env("CONSORCIO_DATA_DIR", folder.path().join("data"))).expect_code(0);
    let line = format!("{}:1", folder.path().join(FILE).display());
    ran.expect(&line).expect("it is bank 0 at 127.0.0.1");
}

#[test]
fn cliente_reads_the_same_file() {
    let folder = SettingsFolder::new(
        "[servidor]\nport = 1\n[cliente]\ntimeout = \"300ms\"\nlog-dir = \"steps\"\n",
    );
    let cliente = |arguments: &[&str]| {
        let mut command = Command::new(cliente_path());
        command.current_dir(folder.path()).args(arguments).stdin(Stdio::null());
        ProgramRun::of(arguments, &command.output().expect("cliente runs"))
    };
    let ran = cliente(&["ping", "--json"]).expect_code(3);
    for port in &folder.ports {
        assert!(ran.stdout.contains(&format!("127.0.0.1:{port}")), "{ran:?}");
    }
    let steps = folder.path().join("steps").read_dir().expect("a folder of step logs");
    assert_eq!(steps.count(), 1);
    let other = free_ports(1)[0].to_string();
    let ran = cliente(&["--consortium", &other, "ping", "--json"]).expect_code(3);
    assert!(ran.stdout.contains(&other) && !ran.stdout.contains(&folder.ports[1].to_string()));
    // What needs no settings works beside a broken file.
    std::fs::write(folder.path().join(FILE), "prot = 1\n").expect("a file");
    cliente(&["man"]).expect_code(0);
    cliente(&["completions", "bash"]).expect_code(0);
    cliente(&["--help"]).expect_code(0);
    let ran = cliente(&["status"]).expect_code(2);
    assert!(ran.stderr.contains("consorcio.toml:1: "), "{ran:?}");
    let ran = cliente(&["status", "--json"]).expect_code(2);
    assert!(ran.stdout.contains("\"usage\"") && ran.stdout.contains("consorcio.toml:1"), "{ran:?}");
}

/// A file that was found and not named decides nothing if others can change it.
#[test]
fn a_found_file_that_others_can_change_is_refused() {
    let folder = SettingsFolder::new("");
    let file = folder.path().join(FILE);
    let check = |more: &str| {
        run(&mut folder.servidor(&format!("--check --port {} {more}", folder.ports[0])))
    };
    check("").expect_code(0);
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode));
    for open in [0o646, 0o666] {
        mode(open).expect("its owner");
        refused(check(""), 2, "consorcio.toml may be changed by other users; make it yours alone");
        check("--config consorcio.toml").expect_code(0);
    }
    // As with a umask of 002.
    mode(0o664).expect("its owner");
    check("").expect_code(0);
    // Only root can give a file away.
    if std::os::unix::fs::chown(&file, Some(12_345), None).is_ok() {
        refused(check(""), 2, "may be changed by other users");
    }
}

/// Each fault of a file is one sentence with its line.
#[test]
fn a_fault_of_the_file_is_named_with_its_line() {
    let folder = SettingsFolder::new("");
    let file = folder.path().join(FILE);
    for (text, line, named) in [
        ("[servidor]\n\nprot = 8886\n", 3, "servidor has no setting prot; it has bank, "),
        ("log-dir = \"a\"\nport = 1\n", 2, "port is a setting of servidor alone: put it below"),
        ("colour = 1\n", 1, "colour is no setting of both programs: those are consortium, "),
        ("[banco]\nport = 1\n", 1, "there is no table [banco]"),
        ("servidor = 1\n", 1, "servidor is no setting of both programs"),
        ("[servidor]\nport = 65536\n", 2, "port can't be \"65536\": give a whole number from"),
        ("[servidor]\nport = \"a\"\n", 2, "port can't be \"a\": give a whole number"),
        ("[servidor]\nlog-steps = \"perhaps\"\n", 2, "log-steps can't be \"perhaps\": give on or"),
        ("[servidor]\nhttp = true\n", 2, "http can't be true: give host:port, like 127.0.0.1:5030"),
        ("consortium = \"8886,8886\"\n", 1, "consortium can't be \"8886,8886\": "),
        ("[servidor]\nport = 1.5\n", 2, "port must be a text, a whole number"),
        ("[servidor]\nport = [1, [2]]\n", 2, "port must be a text, a whole number"),
        ("[servidor]\nport = \n", 2, "this is no TOML: "),
        ("[servidor]\nport = 1\nport = 2\n", 3, "this is no TOML: "),
        ("[servidor]\nmoved = true\n", 2, "servidor has no setting moved"),
        ("[servidor]\ncheck = true\n", 2, "servidor has no setting check"),
        ("[servidor]\nconfig = \"x\"\n", 2, "servidor has no setting config"),
    ] {
        std::fs::write(&file, text).expect("a file");
        let ran = run(&mut folder.servidor("--check"));
        assert_eq!(ran.stderr.lines().count(), 1, "{text:?}: {ran:?}");
        refused(ran, 2, &format!("consorcio.toml:{line}: {named}"));
    }
    std::fs::write(&file, [b'#', 0xff, b'\n']).expect("a file");
    refused(run(&mut folder.servidor("--check")), 2, "no UTF-8");
    std::fs::write(&file, "#".repeat(300_000)).expect("a file");
    refused(run(&mut folder.servidor("--check")), 2, "more than 262144 bytes");
    refused(run(&mut folder.servidor("--check --config none.toml")), 2, "none.toml is not there");
    refused(run(&mut folder.servidor("--check --config .")), 2, "is no regular file");
    let pipe = Command::new("mkfifo").arg(folder.path().join("pipe")).status();
    assert!(pipe.expect("mkfifo runs").success());
    refused(run(&mut folder.servidor("--check --config pipe")), 2, "pipe is no regular file");
}

/// Lists and words of the file are those of the switches.
#[test]
fn a_file_has_lists_numbers_and_words() {
    let folder = SettingsFolder::new("");
    let text = format!(
        "consortium = [{}]\nlog-format = \"json\"\n[servidor]\nport = \"{}\"\nlog-steps = false\n\
         introduce-without = [1, 2]\nhttp = 0\n\
         http-origin = \"http://a.example,http://b.example\"\n",
        folder.list(),
        folder.ports[0]
    );
    std::fs::write(folder.path().join(FILE), text).expect("a file");
    let ran = run(&mut folder.servidor("--check")).expect_code(0);
    for line in [
        "introduce-without  1,2",
        "log-steps          off",
        "http-origin        http://a.example,http://b.example",
        "http               0",
        "log-format         json",
    ] {
        assert!(ran.stdout.contains(line), "no {line:?} in {ran:#?}");
    }
    let mut process = folder.ready(&mut folder.servidor(""));
    process.terminate();
    assert_eq!(process.wait(), Some(0));
    let json =
        |line: &&String| line.contains("settings of consorcio.toml") && line.starts_with('{');
    assert!(process.seen().iter().any(|line| json(&line)), "{:?}", process.seen());
    assert!(!folder.path().join("logs").exists());
    // A demonstration needs HTTP wherever the two are given.
    let text = std::fs::read_to_string(folder.path().join(FILE)).expect("a file");
    std::fs::write(folder.path().join(FILE), text.replace("http = 0\n", "demo = \"d\"\n"))
        .expect("a file");
    refused(run(&mut folder.servidor("")), 2, "--demo needs --http");
}

#[test]
fn a_check_reports_what_a_start_would_and_writes_nothing() {
    let mut cluster = Cluster::new(1, false);
    let check = |cluster: &Cluster, switches: &[&str]| {
        run(cluster.servidor(0).arg("--check").args(switches))
    };
    let before = files(cluster.path());
    let ran = check(&cluster, &[]).expect_code(0);
    for line in ["yes it is bank 0 at ", "yes no key yet", "yes no journal yet", "This bank can"] {
        assert!(ran.stdout.contains(line), "no {line:?} in {ran:#?}");
    }
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    assert_eq!(files(cluster.path()), before, "nothing is made");

    cluster.start_bank(0);
    check(&cluster, &[]).expect_code(0).expect("a bank runs on the journal in data/bank-0");
    // Other data, so it is another program that has the port.
    let ran = check(&cluster, &["--data-dir", "other", "--http", &cluster.port(0).to_string()]);
    for line in ["no  port: port ", "no  HTTP: HTTP can't listen", "This bank can't start so."] {
        assert!(ran.stdout.contains(line), "no {line:?} in {ran:#?}");
    }
    ran.expect_code(1);
    assert_eq!(cluster.stop(0), Some(0));

    let stopped = files(cluster.path());
    check(&cluster, &[]).expect_code(0).expect(" records, intact").expect("key ");
    let ran = check(&cluster, &["--consortium", "1,2", "--log-dir", "data/consortium.key"]);
    for line in ["no  journal: data/bank-0: it does not fit the consortium: ", "no  step log: "] {
        assert!(ran.stdout.contains(line), "no {line:?} in {ran:#?}");
    }
    ran.expect_code(1);
    run(Command::new(servidor_path()).arg("key").arg(cluster.key_file())).expect_code(0);
    check(&cluster, &["--key-file", "consortium.key"]).expect_code(1).expect("knows");
    let data = ["--key-file", "consortium.key", "--data-dir", "consortium.key"];
    let ran = check(&cluster, &data);
    let why = "no  journal: consortium.key/bank-0: consortium.key is no folder; see --data-dir";
    ran.expect_code(1).expect(why);
    let key = cluster.path().join("consortium.key");
    std::fs::remove_file(&key).expect("a key");
    assert_eq!(files(cluster.path()), stopped, "nothing is changed");

    let segment = cluster.path().join("data/bank-0/segment-0000000001");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    bytes[110] ^= 1;
    std::fs::write(&segment, bytes).expect("a segment");
    check(&cluster, &[]).expect_code(1).expect("no  journal: damaged: ");
    // Which bank it is must be clear, as for a start.
    let mut command = servidor(cluster.path(), "--check --port 9000");
    refused(run(&mut command), 2, "127.0.0.1:9000 is not in the consortium");
}

#[test]
fn a_health_check_asks_the_bank_itself() {
    let mut cluster = Cluster::new(2, true);
    let health = |cluster: &Cluster, bank: usize, switches: &[&str]| {
        run(cluster.servidor(bank).arg("--health").args(switches))
    };
    let ran = health(&cluster, 0, &[]);
    refused(ran, 1, "bank 0 at 127.0.0.1:");
    cluster.start_bank(0);
    let works = format!("bank 0 works on 127.0.0.1:{}: 0 undecided", cluster.port(0));
    health(&cluster, 0, &[]).expect_code(0).expect(&works);
    health(&cluster, 0, &["--host", "0.0.0.0"]).expect_code(0).expect(&works);
    let port = cluster.port(0).to_string();
    refused(health(&cluster, 1, &["--port", &port]), 1, "bank 0 listens on");
    signal("STOP", cluster.pid(0));
    refused(health(&cluster, 0, &[]), 1, "no answer within 2 s");
    signal("CONT", cluster.pid(0));
    wait_until("it works again", || (health(&cluster, 0, &[]).code == Some(0)).then_some(()));
    refused(run(cluster.servidor(0).args(["--check", "--health"])), 2, "--health");
}

#[test]
fn servidor_has_a_version_man_pages_and_completions_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let ran = |arguments: &str| run(&mut servidor(folder.path(), arguments));
    let version = ran("-V").expect_code(0).stdout;
    assert_eq!(version, format!("servidor {}\n", env!("CARGO_PKG_VERSION")));
    let page = ran("man").expect_code(0).stdout;
    for part in [".TH servidor 1", ".SH SYNOPSIS", ".SH EXAMPLES", "\\-\\-config", "\\-\\-check"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    ran("manual journal").expect_code(0).expect(".TH servidor-journal 1");
    refused(ran("man banco"), 2, "there is no command \"banco\"; servidor --help lists them");
    ran("man --dir pages").expect_code(0).expect("pages/servidor-key.1");
    assert_eq!(std::fs::read_to_string(folder.path().join("pages/servidor.1")).unwrap(), page);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = ran(&format!("completions {shell}")).expect_code(0).stdout;
        assert!(script.contains("consortium") && script.contains("journal"), "{shell}: {script}");
    }
    std::fs::write(folder.path().join("s.bash"), ran("completar bash").stdout).expect("a file");
    let line = "source ./s.bash; COMP_WORDS=(servidor --con); COMP_CWORD=1; \
                _servidor servidor --con servidor; echo \"${COMPREPLY[@]}\"";
    let bash = Command::new("bash").args(["-c", line]).current_dir(folder.path()).output().unwrap();
    let found = String::from_utf8_lossy(&bash.stdout).trim().to_owned();
    assert!(found.contains("--consortium") && found.contains("--config"), "{bash:?}");
}

/// The example of the page on operating is a file that both programs take.
#[test]
fn the_example_of_the_documentation_is_a_settings_file() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATING.md"))
            .expect("the page");
    let block = |begin: &str| {
        let rest = page.split(begin).nth(1).unwrap_or_else(|| panic!("no {begin:?}"));
        rest.split("\n```").next().expect("its end").to_owned()
    };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(FILE), block("```toml\n")).expect("a file");
    // The ports of the example may be taken on this machine, so only the settings are compared.
    let ran = run(&mut servidor(folder.path(), "--check --port 8887"));
    let documented = block("$ servidor --check --port 8887\n");
    let settings = |text: &str| {
        let lines = text.lines().take_while(|line| !line.starts_with("yes no journal"));
        // How many connections there is room for depends on the machine.
        let lines = lines.filter(|line| !line.contains("open files") && !line.contains("room for"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(settings(&documented).len() > 5, "{documented}");
    assert_eq!(settings(&ran.stdout), settings(&documented), "{ran:#?}");
    let mut command = Command::new(cliente_path());
    let output = command.current_dir(folder.path()).args(["balance", "x"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains(FILE) && stderr.contains('x'), "{output:?}");
}
