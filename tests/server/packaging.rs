//! `packaging`: the Dockerfile and `compose.yaml` are parsed, and their very commands are run, with
//! their variables, host names and ports, in a network of their own.
//!
//! A container engine is not needed: `unshare` gives the programs a network and an `/etc/hosts` in
//! which the services have their names. Where the system does not allow it, a note is printed.

mod dockerfile;

use crate::support::{DEADLINE, Process, ProgramRun, servidor_path, signal, wait_until};
use dockerfile::Dockerfile;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const DOCKERFILE: &str = "packaging/Dockerfile";
const COMPOSE: &str = "packaging/compose.yaml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn dockerfile() -> Dockerfile {
    Dockerfile::parse(&read(DOCKERFILE))
}

/// One service of `compose.yaml`, as the engine would run it.
struct Service {
    name: String,
    words: Vec<String>,
    /// The image's variables, and the service's own.
    variables: BTreeMap<String, String>,
    /// The name of each volume with its path in the container.
    volumes: Vec<(String, String)>,
    value: Value,
}

fn compose() -> Value {
    serde_saphyr::from_str(&read(COMPOSE)).unwrap_or_else(|error| panic!("{COMPOSE}: {error}"))
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| item.as_str().expect("a text").to_owned()).collect()
}

fn services() -> Vec<Service> {
    let (compose, image) = (compose(), dockerfile());
    let services = compose["services"].as_object().expect("services").clone();
    services
        .into_iter()
        .map(|(name, value)| {
            let command = match texts(&value["command"]) {
                words if words.is_empty() => image.json("CMD"),
                words => words,
            };
            let words = [texts(&value["entrypoint"]), command].concat();
            let mut variables = image.variables();
            let own = value["environment"].as_object().into_iter().flatten();
            variables.extend(
                own.map(|(key, value)| (key.clone(), value.as_str().expect("a text").to_owned())),
            );
            let volumes = texts(&value["volumes"]).iter().map(|text| volume(text)).collect();
            Service { name, words, variables, volumes, value }
        })
        .collect()
}

fn volume(text: &str) -> (String, String) {
    let mut parts = text.split(':');
    let part = |part: Option<&str>| part.expect("volume:path").to_owned();
    (part(parts.next()), part(parts.next()))
}

fn banks() -> Vec<Service> {
    services().into_iter().filter(|service| service.name.starts_with("banco-")).collect()
}

#[test]
fn the_image_is_built_in_stages_and_runs_as_a_user_of_its_own() {
    let file = dockerfile();
    assert!(file.stages.len() >= 2, "{:?}", file.stages);
    let last = file.stages.last().expect("a stage");
    assert!(!last.from.starts_with("rust"), "the compiler does not ship: {}", last.from);
    let user = last.word("USER");
    assert!(!["", "root", "0"].contains(&user.as_str()), "USER {user}");
    assert!(last.find("RUN").iter().any(|run| run.contains(&format!(" {user}"))), "{last:?}");
    // The compiler is the one that the workspace requires.
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let version = version.expect("a version").trim_matches('"');
    assert!(
        file.stages[0].from.starts_with(&format!("rust:{version}-")),
        "{}",
        file.stages[0].from
    );
    // What is copied from another stage was installed there.
    let build = file.stages[0].find("RUN").join(" ");
    let copied = last.word("COPY");
    let mut words = copied.split_whitespace();
    assert_eq!(words.next(), Some(format!("--from={}", file.stages[0].name).as_str()));
    for program in ["servidor", "cliente"] {
        assert!(copied.contains(&format!("/out/{program}")), "{copied}");
        assert!(build.contains(&format!("--bin {program}")), "{build}");
    }
}

/// The build has all files that cargo needs, and no others get into its context.
#[test]
fn the_build_has_the_files_that_it_needs() {
    let file = dockerfile();
    let folder = tempfile::tempdir().expect("a folder");
    let ignored = read("packaging/Dockerfile.dockerignore");
    for line in file.stages[0].find("COPY") {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (to, from) = words.split_last().expect("sources and a target");
        for from in from {
            assert!(ignored.lines().any(|line| line == format!("!{from}")), "{from}: {ignored}");
            let to = folder.path().join(to);
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            let mut cp = Command::new("cp");
            cp.arg("-r").arg(root().join(from)).arg(to);
            let copied = cp.status().expect("cp runs");
            assert!(copied.success(), "COPY {line}");
        }
    }
    let allowed = ignored.lines().filter(|line| line.starts_with('!')).count();
    let sources = |line: &String| line.split_whitespace().count() - 1;
    let copied: usize = file.stages[0].find("COPY").iter().map(sources).sum();
    assert_eq!(allowed, copied, "each exception is copied: {ignored}");
    let build = file.stages[0].find("RUN").join(" ");
    let flags: Vec<&str> = build
        .split("cargo build ")
        .nth(1)
        .expect("cargo build")
        .split("&&")
        .next()
        .expect("a command")
        .split_whitespace()
        .collect();
    assert_eq!(flags[..2], ["--release", "--locked"]);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
    let output = cargo.current_dir(folder.path()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let targets = metadata["packages"].as_array().into_iter().flatten();
    let targets = targets.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let bins: BTreeSet<&str> = targets
        .filter(|target| target["kind"][0] == "bin")
        .filter_map(|target| target["name"].as_str())
        .collect();
    for pair in flags.windows(2).filter(|pair| pair[0] == "--bin") {
        assert!(bins.contains(pair[1]), "{pair:?}: {bins:?}");
    }
    if std::env::var("CONSORCIO_PACKAGING").is_ok_and(|value| value == "build") {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.arg("build").args(&flags).current_dir(folder.path());
        assert!(cargo.status().expect("cargo runs").success());
    }
}

#[test]
fn each_volume_and_each_port_is_one_of_the_image_and_its_bank() {
    let (compose, image) = (compose(), dockerfile());
    let last = image.stages.last().expect("a stage");
    let named: BTreeSet<&String> =
        compose["volumes"].as_object().expect("volumes").keys().collect();
    let places: BTreeSet<String> = image.json("VOLUME").into_iter().collect();
    let mut data = BTreeSet::new();
    assert_eq!(banks().len(), 3);
    for service in services() {
        for (volume, path) in &service.volumes {
            assert!(named.contains(volume), "{}: {volume}", service.name);
            assert!(places.contains(path), "{}: {path}", service.name);
            assert!(path.starts_with(&format!("{}/", last.word("WORKDIR"))), "{path}");
            // A journal has one bank.
            assert!(!path.ends_with("/data") || data.insert(volume.clone()), "{volume} twice");
        }
        assert_eq!(service.value["build"]["dockerfile"], DOCKERFILE, "{}", service.name);
        assert_eq!(service.value["build"]["context"], "..", "{}", service.name);
    }
    for bank in banks() {
        let own = [
            bank.variables["CONSORCIO_PORT"].clone(),
            bank.variables["CONSORCIO_HTTP"].replace("0.0.0.0:", ""),
        ];
        let published = texts(&bank.value["ports"]);
        let expected = own.map(|port| format!("127.0.0.1:{port}:{port}"));
        assert_eq!(published, expected, "{}: on this machine alone", bank.name);
        let address = format!("{}:{}", bank.name, bank.variables["CONSORCIO_PORT"]);
        let list = &bank.variables["CONSORCIO_CONSORTIUM"];
        assert!(list.split(',').any(|place| place == address), "{address} in {list}");
    }
    let grace = compose["x-bank"]["stop_grace_period"].as_str().expect("a time");
    let grace_s: u64 = grace.trim_end_matches('s').parse().expect("seconds");
    assert!(grace_s * 1_000 > consorcio::limits::SHUTDOWN_MS_MAX, "an orderly end is waited for");
}

/// A network and an `/etc/hosts` for all services, until it is dropped.
struct ServiceNetwork {
    holder: Process,
    dir: tempfile::TempDir,
}

impl ServiceNetwork {
    /// `None` where the system does not allow it.
    fn new(services: &[Service]) -> Option<ServiceNetwork> {
        let dir = tempfile::tempdir().expect("a folder");
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        let hosts = format!("127.0.0.1 localhost {}\n", names.join(" "));
        std::fs::write(dir.path().join("hosts"), hosts).expect("a file");
        let mut command = Command::new("unshare");
        let script = "ip link set lo up && mount --bind hosts /etc/hosts && echo ready && cat";
        command.args(["-r", "-m", "-n", "sh", "-c", script]).current_dir(dir.path());
        let mut holder = Process::start(&mut command);
        match holder.wait_for("ready") {
            Ok(_) => Some(ServiceNetwork { holder, dir }),
            Err(error) => {
                eprintln!("unshare is not allowed here, so no container is imitated: {error}");
                None
            }
        }
    }

    /// The working folder of a service, with its volumes in it.
    fn folder(&self, service: &Service) -> PathBuf {
        let folder = self.dir.path().join("containers").join(&service.name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for (volume, path) in &service.volumes {
            let shared = self.dir.path().join("volumes").join(volume);
            std::fs::create_dir_all(&shared).expect("a folder");
            // As a new volume, which has the mode of the image's folder.
            let own = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(&shared, own).expect("a mode");
            let name = Path::new(path).file_name().expect("a name");
            // It is there from the second command on.
            let _ = std::os::unix::fs::symlink(&shared, folder.join(name));
        }
        folder
    }

    /// A command of a service, with its variables and no others.
    fn command(&self, service: &Service, words: &[String]) -> Command {
        let pid = self.holder.pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-U", "-m", "-n", "--preserve-credentials"]);
        command.arg(format!("--wd={}", self.folder(service).display()));
        let programs = Path::new(servidor_path()).parent().expect("a folder").display();
        command.args(["env", "-i", &format!("PATH={programs}:/usr/bin:/bin")]);
        command.args(service.variables.iter().map(|(name, value)| format!("{name}={value}")));
        // The image's paths are below its working folder, so all of them are relative.
        assert!(!words.iter().any(|word| word.starts_with('/')), "{words:?}");
        command.args(words);
        command
    }

    /// Waits until the health check of a bank holds.
    #[track_caller]
    fn wait_healthy(&self, bank: &Service, health: &[String]) {
        let until = Instant::now() + DEADLINE;
        loop {
            let ran = self.run(bank, health);
            if ran.code == Some(0) {
                return;
            }
            assert!(Instant::now() < until, "{} is not healthy: {ran:#?}", bank.name);
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn run(&self, service: &Service, words: &[String]) -> ProgramRun {
        let output = self.command(service, words).stdin(Stdio::null()).output().expect("it runs");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        ProgramRun::of(&words, &output)
    }
}

/// `docker compose up`, `run` and `down`, command by command.
#[test]
fn the_commands_of_the_consortium_work_as_they_stand() {
    let (services, image) = (services(), dockerfile());
    let Some(network) = ServiceNetwork::new(&services) else { return };
    let service = |name: &str| services.iter().find(|service| service.name == name).expect(name);
    let (certs, cliente) = (service("certs"), service("cliente"));
    let banks: Vec<&Service> = ["banco-0", "banco-1", "banco-2"].into_iter().map(service).collect();
    let health = image.health();
    let passwords = RefCell::new(Vec::new());
    let start = || -> Vec<Process> {
        // A second `up` runs it again, and what it made stays.
        let made = network.run(certs, &certs.words).expect_code(0);
        passwords.borrow_mut().push(made.stdout.lines().last().map(str::to_owned));
        let started: Vec<Process> = banks
            .iter()
            .map(|bank| Process::start(&mut network.command(bank, &bank.words)))
            .collect();
        banks.iter().for_each(|bank| network.wait_healthy(bank, &health));
        started
    };
    let stop = |started: Vec<Process>| {
        let stop = image.stages.last().expect("a stage").word("STOPSIGNAL");
        for mut bank in started {
            signal(stop.trim_start_matches("SIG"), bank.pid());
            assert_eq!(bank.wait(), Some(0), "{:?}", bank.seen());
        }
    };
    let ran = network.run(banks[0], &health).expect_code(1);
    assert!(ran.stderr.contains("tls/ca-banks.crt is not there"), "{ran:?}");
    let started = start();
    network.run(cliente, &cliente.words).expect_code(0);
    let words = |line: &str| {
        let words = texts(&cliente.value["entrypoint"]).into_iter();
        words.chain(line.split_whitespace().map(str::to_owned)).collect::<Vec<_>>()
    };
    // Banks with new journals take part once they have met.
    wait_until("the banks have met", || {
        (network.run(cliente, &words("set 42")).code == Some(0)).then_some(())
    });
    for bank in &banks {
        let port = bank.variables["CONSORCIO_HTTP"].replace("0.0.0.0:", "");
        let page = format!("https://{}.localhost:{port}/", bank.name.replace("banco-", "bank"));
        let curl = ["curl", "-sSL", "--cacert", "tls/ca-banks.crt", &page].map(str::to_owned);
        network.run(cliente, &curl).expect_code(0).expect("<html");
    }
    signal("STOP", started[1].pid());
    network.run(banks[1], &health).expect_code(1);
    signal("CONT", started[1].pid());
    stop(started);
    let ran = network.run(banks[0], &health).expect_code(1);
    assert!(ran.stderr.contains("bank 0 at 127.0.0.1:8886 does not work"), "{ran:?}");
    let started = start();
    network.run(cliente, &words("get --json")).expect_code(0).expect("\"42\"");
    network.run(cliente, &words("trace --slowest")).expect_code(0);
    stop(started);
    // The password is shown at the first start alone, and no key of a CA reaches a bank.
    let passwords = passwords.into_inner();
    let first = passwords[0].clone().expect("a line");
    assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(passwords[1], None);
    let given = network.folder(banks[0]).join("tls");
    assert!(given.join("bank-0.key").exists() && !given.join("ca-banks.key").exists());
}
