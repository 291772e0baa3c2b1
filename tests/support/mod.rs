//! Shared by tests of whole programs: a consortium of real `servidor` processes, runs of `cliente`,
//! raw connections.
//!
//! Every wait has a deadline, and every process is killed when its owner is dropped.

#![allow(dead_code, reason = "each test program uses a part of this")]

mod cluster;
pub mod terminal;

pub use cluster::Cluster;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than any step of a test takes, even on a busy machine with two cores.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The environment variable that names the crash point at which a program kills itself.
pub const CRASH_VARIABLE: &str = "CONSORCIO_CRASH";

/// The environment variable that names the file whose offsets are added to a program's clocks.
pub const CLOCK_VARIABLE: &str = "CONSORCIO_CLOCK";

/// The exit code and the output of a program.
#[derive(Debug)]
pub struct ProgramRun {
    pub arguments: Vec<String>,
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl ProgramRun {
    /// The result of a program that was run with `arguments`.
    pub fn of(arguments: &[&str], output: &Output) -> ProgramRun {
        ProgramRun {
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> ProgramRun {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Fails unless its standard output contains `text`.
    #[track_caller]
    pub fn expect(self, text: &str) -> ProgramRun {
        assert!(self.stdout.contains(text), "no {text:?} in {self:#?}");
        self
    }
}

/// A program that runs in the background; dropping this kills it.
pub struct Process {
    child: Child,
    /// Lines, each with the number of its stream: 0 is standard output, 1 standard error.
    lines: Receiver<(usize, String)>,
    seen: Vec<String>,
    /// For each stream, the lines after the last one that `wait_for` returned.
    unread: [Vec<String>; 2],
}

impl Process {
    /// Starts it, with both output streams captured.
    pub fn start(command: &mut Command) -> Process {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        #[expect(clippy::disallowed_methods, reason = "a program must never wait for its test")]
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

    /// Waits for a line that contains `text`, and returns it. On each stream it searches the lines
    /// after the last one that it returned from there, as lines of two streams have no order.
    pub fn wait_for(&mut self, text: &str) -> Result<String, String> {
        let until = Instant::now() + DEADLINE;
        loop {
            for unread in &mut self.unread {
                if let Some(at) = unread.iter().position(|line| line.contains(text)) {
                    return Ok(unread.drain(..=at).next_back().expect("the line at `at`"));
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

    /// As `wait_for`, but fails if the line does not come.
    #[track_caller]
    pub fn expect_line(&mut self, text: &str) -> String {
        self.wait_for(text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Writes a line to its standard input.
    pub fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("standard input is a pipe");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("it still reads");
    }

    /// Sends SIGTERM to the process.
    pub fn terminate(&self) {
        signal("TERM", self.child.id());
    }

    pub fn interrupt(&self) {
        signal("INT", self.child.id());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it SIGKILL, and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits for its end and returns its exit code, or none if a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + DEADLINE;
        // Both streams end with the process, so no polling is needed.
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

    /// The lines that `wait_for` and `wait` have read so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then both calls fail, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name, such as `TERM`.
pub fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.expect("kill runs").success(), "SIG{name} to {pid}");
}

/// A raw connection that sends and receives lines, as `nc` does.
pub struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    pub fn connect(address: &str) -> Wire {
        Wire::try_connect(address).unwrap_or_else(|| panic!("{address}: no connection"))
    }

    /// Connects; none if no process listens there.
    pub fn try_connect(address: &str) -> Option<Wire> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Wire { stream: BufReader::new(stream) })
    }

    /// A second handle of this connection, to send while another thread waits for replies.
    pub fn try_clone(&self) -> Wire {
        Wire { stream: BufReader::new(self.stream.get_ref().try_clone().expect("a socket")) }
    }

    pub fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the bank reads");
    }

    /// The next line without its line break; none at the end of the stream.
    pub fn receive(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).expect("a line within the deadline");
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Sends a line and returns the reply.
    pub fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.receive().unwrap_or_else(|| panic!("{line}: the bank closed the connection"))
    }

    /// As `ask`, but none if the bank closes the connection before it replies.
    pub fn try_ask(&mut self, line: &str) -> Option<String> {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).ok()?;
        self.try_receive()
    }

    /// The next whole line; none if the bank closes the connection before it.
    pub fn try_receive(&mut self) -> Option<String> {
        let mut reply = String::new();
        match self.stream.read_line(&mut reply) {
            Ok(_) => reply.strip_suffix('\n').map(str::to_owned),
            Err(error) if is_closed(&error) => None,
            Err(error) => panic!("no reply within the deadline: {error}"),
        }
    }

    /// Closes this side for writing; replies may still come.
    pub fn finish(&self) {
        self.stream.get_ref().shutdown(std::net::Shutdown::Write).expect("an open connection");
    }
}

/// Whether the error means that the other end closed the connection.
fn is_closed(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
}

/// Waits until `check` returns something; at the deadline it fails with `what`.
#[track_caller]
pub fn wait_until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < until, "timed out: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Ports that nothing listens on, outside of those that the system gives to outgoing connections.
pub fn free_ports(count: usize) -> Vec<u16> {
    (0..count).map(|_| free_ports_in_a_row(1)).collect()
}

/// The first of this many ports in a row that nothing listens on. No other test of this program
/// gets one of them.
pub fn free_ports_in_a_row(count: u16) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u16 = 10_000;
    const SPAN: u32 = 22_000;
    // Test programs that run at the same time begin at different places.
    let start = std::process::id().wrapping_mul(97);
    loop {
        let step = NEXT.fetch_add(count.into(), Ordering::Relaxed);
        let first = FIRST + u16::try_from(start.wrapping_add(step) % SPAN).unwrap_or(0);
        if (first..first + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
}

/// The `servidor` under test.
pub fn servidor_path() -> &'static str {
    env!("CARGO_BIN_EXE_servidor")
}

/// The `cliente` under test.
pub fn cliente_path() -> &'static str {
    env!("CARGO_BIN_EXE_cliente")
}
