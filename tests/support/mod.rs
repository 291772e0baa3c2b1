//! What tests of whole programs share: a consortium of real `servidor` processes, `cliente` runs,
//! raw lines.
//!
//! Every wait has a deadline, and everything that is started here is killed when its owner goes.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes this long, not even on a busy machine with two cores.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The environment variable that names the crash point at which a program dies.
pub const CRASH_VARIABLE: &str = "CONSORCIO_CRASH";

/// The environment variable that names the file whose numbers are added to a program's clocks.
pub const CLOCK_VARIABLE: &str = "CONSORCIO_CLOCK";

/// Banks in processes of their own, in a folder of their own, that know each other.
pub struct Cluster {
    dir: TempDir,
    ports: Vec<u16>,
    banks: Vec<Option<Process>>,
    /// Are they given a key file?
    keyed: bool,
    /// Each bank's further switches.
    switches: Vec<Vec<String>>,
    /// Does a bank with a new journal wait until the others have met it?
    introduces: bool,
    /// Places behind those of the banks.
    more_places: Vec<String>,
}

impl Cluster {
    /// `count` banks with a fresh key, all of them ready.
    pub fn start(count: usize) -> Cluster {
        Cluster::start_with(count, true)
    }

    /// `count` banks with a key file that they are given, or with one that the first of them makes;
    /// all of them ready.
    pub fn start_with(count: usize, keyed: bool) -> Cluster {
        // Another process may take a port between its choice and its use; then others are chosen.
        for _ in 0..5 {
            let mut cluster = Cluster::new(count, keyed);
            cluster.introduces = true;
            if (0..count).all(|bank| cluster.try_start(bank).is_ok()) {
                (0..count).for_each(|bank| cluster.wait_introduced(bank));
                return cluster;
            }
        }
        panic!("no consortium came up in five attempts");
    }

    /// The same, but none of the banks runs yet.
    pub fn new(count: usize, keyed: bool) -> Cluster {
        let dir = TempDir::new().expect("a temporary folder");
        let cluster = Cluster {
            dir,
            ports: free_ports(count),
            banks: (0..count).map(|_| None).collect(),
            keyed,
            switches: vec![Vec::new(); count],
            introduces: false,
            more_places: Vec::new(),
        };
        if keyed {
            let made =
                Command::new(servidor_path()).arg("key").arg(cluster.key_file()).output().unwrap();
            assert!(made.status.success(), "servidor key: {made:?}");
        }
        cluster
    }

    /// From now on a bank with a new journal waits until the others have met it. Banks that are
    /// started one by one do not.
    pub fn introduce(&mut self) {
        self.introduces = true;
    }

    /// Waits until a bank takes part, and knows its registers.
    #[track_caller]
    pub fn wait_introduced(&self, bank: usize) {
        let mut wire = self.connect(bank);
        wait_until(&format!("bank {bank} is introduced"), || {
            let info = wire.ask("INFO");
            assert!(info.starts_with("DONE "), "{info}");
            (!info.contains(r#""unmet":"#) && !info.contains(r#""registers_known":"#)).then_some(())
        });
    }

    /// From its next start on a bank has these switches besides its own.
    pub fn add_switches(&mut self, bank: usize, switches: &[&str]) {
        self.switches[bank].extend(switches.iter().map(|switch| (*switch).to_owned()));
    }

    /// Another bank, at the end of the list that each bank has from its next start on; it does not
    /// run yet.
    pub fn add_bank(&mut self) -> usize {
        assert!(self.more_places.is_empty(), "banks come before places without one");
        let fresh =
            std::iter::repeat_with(|| free_ports(1)[0]).find(|port| !self.ports.contains(port));
        self.ports.extend(fresh);
        self.banks.push(None);
        self.switches.push(Vec::new());
        self.banks.len() - 1
    }

    /// From its next start on each bank has one more place in its list: an address, or `-`.
    pub fn add_place(&mut self, place: &str) {
        self.more_places.push(place.to_owned());
    }

    /// From its next start on each bank has another key, and accepts it.
    pub fn change_key(&mut self) {
        let own = self.path().join("data/consortium.key");
        let file = if self.keyed { self.key_file() } else { own };
        std::fs::remove_file(&file).unwrap();
        let made = Command::new(servidor_path()).arg("key").arg(&file).output().unwrap();
        assert!(made.status.success(), "servidor key: {made:?}");
        (0..self.banks.len()).for_each(|bank| self.add_switches(bank, &["--new-key"]));
    }

    /// Starts a bank that does not run, on its old data, and waits until it is ready.
    pub fn start_bank(&mut self, bank: usize) {
        self.try_start(bank).unwrap_or_else(|error| panic!("bank {bank} does not start: {error}"));
    }

    /// The same, for those who can choose other ports: another process may have taken these
    /// meanwhile.
    pub fn try_start(&mut self, bank: usize) -> Result<(), String> {
        assert!(self.banks[bank].is_none(), "bank {bank} runs already");
        let mut process = Process::start(&mut self.servidor(bank));
        process.wait_for("ready on")?;
        self.banks[bank] = Some(process);
        Ok(())
    }

    /// Starts a bank that does not run and will die at a crash point (`consorcio::crash`), and
    /// waits until it is ready.
    pub fn start_bank_to_die(&mut self, bank: usize, crash_point: &str) {
        assert!(self.banks[bank].is_none(), "bank {bank} runs already");
        let mut process = Process::start(self.servidor(bank).env(CRASH_VARIABLE, crash_point));
        let ready = process.wait_for("ready on");
        ready.unwrap_or_else(|error| {
            panic!("bank {bank}, to die at {crash_point}, does not start: {error}")
        });
        self.banks[bank] = Some(process);
    }

    /// The same for a point that it may pass before it is ready: waits until it is dead.
    pub fn start_bank_into_death(&mut self, bank: usize, crash_point: &str) {
        assert!(self.banks[bank].is_none(), "bank {bank} runs already");
        self.banks[bank] =
            Some(Process::start(self.servidor(bank).env(CRASH_VARIABLE, crash_point)));
        self.wait_killed(bank);
    }

    /// Waits until a bank is dead; SIGKILL must have ended it.
    #[track_caller]
    pub fn wait_killed(&mut self, bank: usize) {
        let process = self.banks[bank].as_mut().expect("the bank was started");
        let what = format!("the death of bank {bank}");
        let status = wait_until(&what, || process.child.try_wait().expect("it can be waited for"));
        assert_eq!(
            status.signal(),
            Some(9),
            "bank {bank} ended otherwise: {status}, {:?}",
            process.rest()
        );
        self.banks[bank] = None;
    }

    /// From now on, also while it runs, a bank's wall clock and its clock of the uptime show so
    /// much more, in microseconds. A bank whose clock is to be set while it runs has been given one
    /// before its start.
    pub fn set_clock(&self, bank: usize, wall_us: i64, uptime_us: i64) {
        let file = self.clock_file(bank);
        // A reader sees all of it.
        std::fs::write(file.with_extension("tmp"), format!("{wall_us} {uptime_us}\n")).unwrap();
        std::fs::rename(file.with_extension("tmp"), file).unwrap();
    }

    fn clock_file(&self, bank: usize) -> PathBuf {
        self.path().join(format!("clock-{bank}"))
    }

    /// The command that starts `bank`, for tests that add switches.
    pub fn servidor(&self, bank: usize) -> Command {
        let mut command = Command::new(servidor_path());
        command.current_dir(self.path()).args(["--port", &self.ports[bank].to_string()]);
        command.args(["--consortium", &self.consortium(), "--bank", &bank.to_string()]);
        if self.keyed {
            command.arg("--key-file").arg(self.key_file());
        }
        if !self.introduces {
            let others = (0..self.ports.len()).filter(|other| *other != bank);
            let others: Vec<String> = others.map(|other| other.to_string()).collect();
            command.env("CONSORCIO_INTRODUCE_WITHOUT", others.join(","));
        }
        command.args(&self.switches[bank]);
        if self.clock_file(bank).exists() {
            command.env(CLOCK_VARIABLE, self.clock_file(bank));
        }
        command
    }

    /// Kills a bank on the spot, as a power cut would (but for what the operating system still
    /// writes).
    pub fn kill(&mut self, bank: usize) {
        drop(self.banks[bank].take().expect("the bank runs"));
    }

    /// Asks a bank to end in order, and gives its exit code.
    pub fn stop(&mut self, bank: usize) -> Option<i32> {
        let mut process = self.banks[bank].take().expect("the bank runs");
        process.terminate();
        process.wait()
    }

    /// The number of a bank's process.
    pub fn pid(&self, bank: usize) -> u32 {
        self.banks[bank].as_ref().expect("the bank runs").child.id()
    }

    pub fn consortium(&self) -> String {
        let places = self.ports.iter().map(u16::to_string).chain(self.more_places.iter().cloned());
        places.collect::<Vec<_>>().join(",")
    }

    pub fn address(&self, bank: usize) -> String {
        format!("127.0.0.1:{}", self.ports[bank])
    }

    /// The port of `bank`.
    pub fn port(&self, bank: usize) -> u16 {
        self.ports[bank]
    }

    /// The folder that everything lives in.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn key_file(&self) -> PathBuf {
        self.path().join("consortium.key")
    }

    /// The step log of a bank, as it is now.
    pub fn log(&self, bank: usize) -> String {
        let path = self.path().join(format!("logs/servidor-{}.log", self.ports[bank]));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// A `cliente` command with this consortium and these arguments, which shows tables.
    pub fn cliente(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cliente_path());
        command.current_dir(self.path()).args(["--consortium", &self.consortium()]).args(arguments);
        // Tests read what people read, and are no terminal.
        command.env("CONSORCIO_OUTPUT", "table");
        command
    }

    /// Runs `cliente` to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(
            arguments,
            &self.cliente(arguments).stdin(Stdio::null()).output().expect("cliente runs"),
        )
    }

    /// Runs `cliente --json`, expects this exit code, and gives its document.
    pub fn json(&self, code: i32, arguments: &[&str]) -> serde_json::Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let ran = self.run(&all);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Opens an account and its client: account `number` at `bank` with so many reais.
    pub fn open_account(&self, bank: usize, number: &str, cpf: &str, reais: &str) {
        let bank = bank.to_string();
        let client = ["client", "add", "--bank", &bank, "--cpf", cpf, "--name", "Pessoa"];
        self.run(&client).expect_code(0);
        let account = [
            "account",
            "open",
            "--bank",
            &bank,
            "--number",
            number,
            "--cpf",
            cpf,
            "--deposit",
            reais,
        ];
        self.run(&account).expect_code(0);
    }

    /// The balance of an account in centavos.
    pub fn balance(&self, account: &str) -> i64 {
        self.json(0, &["balance", account])["balance"].as_i64().expect("a balance")
    }

    /// A raw connection to a bank.
    pub fn connect(&self, bank: usize) -> Wire {
        Wire::connect(&self.address(bank))
    }
}

/// How a run of a program ended.
#[derive(Debug)]
pub struct Ran {
    pub arguments: Vec<String>,
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The end of a program that was run with `arguments`.
    pub fn of(arguments: &[&str], output: &Output) -> Ran {
        Ran {
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It ended with this code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// It printed this somewhere.
    #[track_caller]
    pub fn expect(self, text: &str) -> Ran {
        assert!(self.stdout.contains(text), "no {text:?} in {self:#?}");
        self
    }
}

/// A program that runs in the background; it is killed when this goes.
pub struct Process {
    child: Child,
    /// Lines, and on which of its two streams they came.
    lines: Receiver<(usize, String)>,
    seen: Vec<String>,
    /// Of each stream, what came after the line that was found there last.
    unread: [Vec<String>; 2],
}

impl Process {
    /// Starts it; what it prints, on either stream, can be waited for.
    pub fn start(command: &mut Command) -> Process {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for (number, stream) in streams.into_iter().enumerate() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send((number, line)).is_err() {
                        return;
                    }
                }
            });
        }
        Process { child, lines, seen: Vec::new(), unread: Default::default() }
    }

    /// Waits until it prints a line with `text` in it, and gives that line. Of either stream it
    /// looks at what came after the line that was found there last: lines of two streams have no
    /// order among them.
    pub fn wait_for(&mut self, text: &str) -> Result<String, String> {
        let until = Instant::now() + DEADLINE;
        loop {
            for unread in &mut self.unread {
                if let Some(at) = unread.iter().position(|line| line.contains(text)) {
                    return Ok(unread
                        .drain(..=at)
                        .next_back()
                        .expect("at least the line that was found"));
                }
            }
            match self.next_line(until) {
                Ok((stream, line)) => self.unread[stream].push(line),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("no {text:?} in {:?}", self.seen));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("it ended without {text:?}: {:?}", self.seen));
                }
            }
        }
    }

    fn next_line(&mut self, until: Instant) -> Result<(usize, String), RecvTimeoutError> {
        let (stream, line) =
            self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))?;
        self.seen.push(line.clone());
        Ok((stream, line))
    }

    /// The same, for when nothing else may happen.
    #[track_caller]
    pub fn expect_line(&mut self, text: &str) -> String {
        self.wait_for(text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Types a line into it.
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("standard input is a pipe");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("it still reads");
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        signal("TERM", self.child.id());
    }

    pub fn interrupt(&self) {
        signal("INT", self.child.id());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it on the spot (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits for its end and gives its exit code, or none where a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + DEADLINE;
        // The end of both streams comes with the end of the process; then there is nothing to poll
        // for.
        loop {
            match self.next_line(until) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return self.child.wait().expect("it ended").code();
                }
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:?}", self.seen),
            }
        }
    }

    /// All lines of a program that has ended.
    fn rest(&mut self) -> &[String] {
        self.seen.extend(self.lines.iter().map(|(_, line)| line));
        &self.seen
    }

    /// All lines that it has printed so far, as far as they were waited for.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever is gone already can't be killed again, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends the signal of this name.
pub fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.expect("kill runs").success(), "SIG{name} to {pid}");
}

/// A raw connection: lines out, lines in, as with `nc`.
pub struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    pub fn connect(address: &str) -> Wire {
        Wire::try_connect(address).unwrap_or_else(|| panic!("{address}: no connection"))
    }

    /// Connects, unless nobody listens.
    pub fn try_connect(address: &str) -> Option<Wire> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Wire { stream: BufReader::new(stream) })
    }

    /// The same connection once more, to send while another thread waits for replies.
    pub fn second_hand(&self) -> Wire {
        Wire { stream: BufReader::new(self.stream.get_ref().try_clone().expect("a socket")) }
    }

    pub fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the bank reads");
    }

    /// The next line, without its end; none at the end of the stream.
    pub fn receive(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).expect("a line within the deadline");
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Sends a line and gives the reply to it.
    pub fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.receive().unwrap_or_else(|| panic!("{line}: the bank closed the connection"))
    }

    /// The same, but none where the bank is gone, or goes meanwhile.
    pub fn try_ask(&mut self, line: &str) -> Option<String> {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).ok()?;
        let mut reply = String::new();
        match self.stream.read_line(&mut reply) {
            Ok(_) => reply.strip_suffix('\n').map(str::to_owned),
            Err(error) if is_gone(&error) => None,
            Err(error) => panic!("{line}: no reply within the deadline: {error}"),
        }
    }

    /// Closes this side for writing; replies may still come.
    pub fn finish(&self) {
        self.stream.get_ref().shutdown(std::net::Shutdown::Write).expect("an open connection");
    }
}

/// Is the other end of a connection gone?
fn is_gone(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
}

/// Waits until `check` gives something, and fails with `what` if it never does.
#[track_caller]
pub fn wait_until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < until, "it never came: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Ports that nobody listens on, outside of those that the system gives to outgoing connections.
pub fn free_ports(count: usize) -> Vec<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const SPAN: u16 = 22_000;
    // Test programs that run at the same time begin at different places.
    let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(SPAN)).unwrap_or(0);
    let mut ports = Vec::new();
    while ports.len() < count {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST
            + u16::try_from((u32::from(start) + u32::from(step)) % u32::from(SPAN)).unwrap_or(0);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
    }
    ports
}

/// The `servidor` under test.
pub fn servidor_path() -> &'static str {
    env!("CARGO_BIN_EXE_servidor")
}

/// The `cliente` under test.
pub fn cliente_path() -> &'static str {
    env!("CARGO_BIN_EXE_cliente")
}
