//! What tests of whole programs share: a consortium of real `servidor` processes, `cliente` runs,
//! raw lines.
//!
//! Every wait has a deadline, and everything that is started here is killed when its owner goes.

#![allow(dead_code, reason = "each test file uses its own part of this")]

mod cluster;

pub use cluster::Cluster;

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
