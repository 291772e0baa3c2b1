//! A program on a pseudo-terminal, as a person runs it: keys go in, what the screen gets comes out.

use super::DEADLINE;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A program with a terminal of its own, on which Ctrl-C and the size of the window work. Dropping
/// this kills it.
pub struct Terminal {
    child: Child,
    keys: File,
    output: Receiver<Vec<u8>>,
    seen: String,
    /// The same as bytes, of which one text may begin within a character.
    raw: Vec<u8>,
    columns: u16,
    /// The bytes of `seen` that `expect` has passed.
    passed: usize,
}

impl Terminal {
    /// Starts `command` on a new terminal of this many columns, with 24 rows.
    pub fn start(command: &Command, columns: u16) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("its other end can be opened");
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).expect("it takes a size");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let end = || OpenOptions::new().read(true).write(true).open(path).expect("its other end");
        // setsid makes it the controlling terminal, without which Ctrl-C is a character.
        let mut on_terminal = Command::new("setsid");
        on_terminal.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => on_terminal.env(name, value),
                None => on_terminal.env_remove(name),
            };
        }
        on_terminal.env("TERM", "xterm-256color").env_remove("CONSORCIO_OUTPUT");
        command.get_current_dir().map(|folder| on_terminal.current_dir(folder));
        let child = on_terminal.stdin(end()).stdout(end()).stderr(end()).spawn();
        let child = child.unwrap_or_else(|error| panic!("setsid {command:?}: {error}"));
        drop(on_terminal);
        let keys = File::from(master);
        let mut screen = keys.try_clone().expect("a second handle");
        #[expect(clippy::disallowed_methods, reason = "a program must never wait for its test")]
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails once no program has the terminal open.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, keys, output, seen: String::new(), raw: Vec::new(), columns, passed: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        // A character that is cut stays out until its rest has come.
        let rest = self.raw.get(self.seen.len()..).unwrap_or_default();
        let whole = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
        };
        self.seen.push_str(whole);
    }

    /// Waits for `text` after what the last call found; returns what came up to its end.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.seen[self.passed..].find(text) {
                let end = self.passed + at + text.len();
                let found = self.seen[self.passed..end].to_owned();
                self.passed = end;
                return found;
            }
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in {}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without {text:?}: {}", self.seen)
                }
            }
        }
    }

    /// All that the screen has got so far.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// Waits for more output; returns whether any came before the deadline or the end.
    pub fn wait_more(&mut self) -> bool {
        let more = self.output.recv_timeout(DEADLINE);
        more.is_ok_and(|bytes| {
            self.take(&bytes);
            true
        })
    }

    /// As `expect`, but gives up after this time.
    pub fn expect_within(&mut self, text: &str, within: Duration) -> Option<String> {
        let until = Instant::now() + within;
        loop {
            if let Some(at) = self.seen[self.passed..].find(text) {
                let end = self.passed + at + text.len();
                let found = self.seen[self.passed..end].to_owned();
                self.passed = end;
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            let bytes = self.output.recv_timeout(left).ok()?;
            self.take(&bytes);
        }
    }

    /// Waits until the screen, as a person sees it, has this text; returns all of it.
    #[track_caller]
    pub fn wait_screen(&mut self, text: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(error) => panic!("no {text:?} ({error}) on the screen:\n{screen}"),
            }
        }
    }

    /// The screen, as a person sees it now.
    pub fn screen(&self) -> String {
        let mut screen = vt100::Parser::new(24, self.columns, 0);
        screen.process(&self.raw);
        screen.screen().contents()
    }

    /// The process of the program itself.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types these keys; Enter is `\r`, Ctrl-C `\x03`, Ctrl-D `\x04`.
    pub fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits for the end; returns the exit code and all that the screen got.
    pub fn end(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.seen),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let code = self.child.wait().expect("it ended").code();
        (code, std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already; then both calls fail, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of a screen without the codes for colours and the like, with `\n` as the end of a line.
pub fn plain_text(screen: &str) -> String {
    let mut text = String::new();
    let mut rest = screen.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => {
                // A control sequence ends with a letter; `[` begins it.
                let _ = rest.by_ref().skip_while(|c| *c == '[').find(char::is_ascii_alphabetic);
            }
            // The terminal itself puts it before each end of a line; a program, to overwrite one.
            '\r' if rest.clone().next() != Some('\n') => {
                text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
            }
            '\r' => {}
            c => text.push(c),
        }
    }
    text
}
