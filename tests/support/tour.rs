//! The tour of README and `docs/TOUR.md`: its commands with their expected output, and three banks
//! started as it says, on other ports.

use crate::support::{Process, cliente_path, free_ports_in_a_row, servidor_path};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The ports that README names: of the banks, and of their HTTP.
const PORT: u16 = 8886;
const HTTP_PORT: u16 = 5030;

/// A command of the page, from its line `$ …`, and its expected output.
#[derive(Debug)]
pub struct TourCommand<'a> {
    /// In the page, from 1 on.
    pub number: usize,
    pub command: &'a str,
    pub prints: Vec<&'a str>,
}

/// All commands in the page's `text` blocks, in their order.
pub fn commands(page: &str) -> Vec<TourCommand<'_>> {
    let mut all: Vec<TourCommand<'_>> = Vec::new();
    let (mut inside, mut open) = (false, false);
    for (at, line) in page.lines().enumerate() {
        if let Some(marked) = line.strip_prefix("```") {
            inside = !inside && marked == "text";
            open = false;
        } else if let (true, Some(command)) = (inside, line.strip_prefix("$ ")) {
            all.push(TourCommand { number: at + 1, command, prints: Vec::new() });
            open = true;
        } else if inside && open {
            all.last_mut().unwrap().prints.push(line);
        }
    }
    all
}

/// The lines of the page's dialogue by `nc`.
pub fn nc_dialogue(page: &str) -> Vec<&str> {
    let begin = page.lines().position(|line| line.starts_with("PREPARE t1 ")).expect("README's nc");
    page.lines().skip(begin).take_while(|line| !line.starts_with("```")).collect()
}

/// Three banks, started as README shows.
pub struct Tour {
    folder: TempDir,
    first: u16,
    http: u16,
    pub banks: Vec<Process>,
}

impl Tour {
    pub fn start() -> Tour {
        let first = free_ports_in_a_row(6);
        let mut tour =
            Tour { folder: TempDir::new().unwrap(), first, http: first + 3, banks: Vec::new() };
        for bank in 0..3 {
            let mut command = Command::new(servidor_path());
            command.args(["--port", &(first + bank).to_string()]);
            tour.banks.push(Process::start(tour.in_folder(&mut command)));
        }
        tour.banks.iter_mut().for_each(|bank| {
            bank.expect_line("ready on");
        });
        tour
    }

    /// Ends the three banks, and has `scripts/banks.sh` start them again, with HTTP.
    pub fn start_again_by_script(&mut self) -> Process {
        for mut bank in self.banks.drain(..) {
            bank.interrupt();
            assert_eq!(bank.wait(), Some(0));
        }
        let mut command =
            Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/banks.sh"));
        command.env("CONSORCIO_PORT", self.first.to_string());
        command.env("CONSORCIO_HTTP_PORT", self.http.to_string());
        command.env("CONSORCIO_PROGRAMS", Path::new(servidor_path()).parent().unwrap());
        let mut script = Process::start(command.current_dir(self.folder.path()));
        for _ in 0..3 {
            script.expect_line("ready on");
        }
        script
    }

    /// A line of the page with the ports of this test.
    fn with_test_ports(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for bank in 0..3 {
            line = line.replace(&(PORT + bank).to_string(), &(self.first + bank).to_string());
            line = line.replace(&(HTTP_PORT + bank).to_string(), &(self.http + bank).to_string());
        }
        line
    }

    fn in_folder<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let list = format!("{}-{}", self.first, self.first + 2);
        command.current_dir(self.folder.path()).env("CONSORCIO_CONSORTIUM", list)
    }

    /// The address of `bank`.
    pub fn address(&self, bank: u16) -> String {
        format!("127.0.0.1:{}", self.first + bank)
    }

    /// Writes a file that the page shows.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Runs a command of the page; returns its exit code and the output of both streams.
    pub fn run(&self, command: &str) -> (Option<i32>, String) {
        let mut shell = self.command(command);
        let output = shell.env("CONSORCIO_OUTPUT", "table").stdin(Stdio::null()).output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&printed).into_owned())
    }

    /// A command of the page, as a shell runs it.
    pub fn command(&self, command: &str) -> Command {
        let programs = Path::new(cliente_path()).parent().unwrap().display();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &self.with_test_ports(command)])
            .env("PATH", path)
            .env("CONSORCIO_LANG", "en")
            // The history of a shell stays in the folder, too.
            .env("XDG_STATE_HOME", self.folder.path());
        self.in_folder(&mut shell);
        shell
    }

    /// A line of output with the page's ports, normalised as by `plain`.
    pub fn normalised(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for bank in 0..3 {
            line = line.replace(&(self.first + bank).to_string(), &(PORT + bank).to_string());
        }
        plain(&line)
    }
}

/// A line with ids, times and durations replaced by names, and one blank between words.
pub fn plain(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_number =
        |word: &str| word.chars().all(|c| c.is_ascii_digit() || c == '.') && !word.is_empty();
    let shape = |word: &str| -> String {
        word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect::<String>()
    };
    let mut out = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let unit = words
            .get(at + 1)
            .is_some_and(|next| matches!(next.trim_end_matches(':'), "ms" | "µs" | "s"));
        let is_id = word.len() == 22
            && word.starts_with('0')
            && word.chars().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase());
        let shape = shape(word);
        if is_id {
            out.push("ID".to_owned());
        } else if is_number(word) && unit {
            out.push("TOOK".to_owned());
        } else if shape.starts_with("9999-99-99") || shape.starts_with("99:99:99") {
            out.push(format!("TIME{}", if word.ends_with(':') { ":" } else { "" }));
        } else {
            out.push((*word).to_owned());
        }
    }
    out.join(" ")
}

/// As `plain`, with each number replaced by `#`, for lines with measured values.
pub fn loose(line: &str) -> String {
    let mut out = String::new();
    for c in plain(line).chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '.' | ',' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    out
}
