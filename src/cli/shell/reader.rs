//! Reads the shell's lines on a thread of its own, one whenever it is asked for one: reading a
//! terminal or a pipe blocks.

use super::completion::Completions;
use super::history::ShellHistory;
use consorcio_core::limits::SHELL_LINE_BYTES_MAX;
use rustyline::config::{BellStyle, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{SyncSender, sync_channel};
use tokio::sync::mpsc;

/// What the reader got instead of, or as, the next line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ShellInput {
    Line(String),
    /// Ctrl-C was typed at the prompt; what stood there is dropped.
    Interrupted,
    /// The input has ended.
    End,
    /// It can't be read, for this reason.
    Failed(String),
}

/// A thread that reads lines. It ends with the program, as it may wait for a line for ever.
pub(super) struct LineReader {
    prompts: SyncSender<String>,
    lines: mpsc::Receiver<ShellInput>,
}

impl LineReader {
    /// Lines of a terminal, with editing, completion and history.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn of_terminal(completions: Completions) -> io::Result<LineReader> {
        LineReader::start(move || {
            let config = Config::builder()
                .completion_type(CompletionType::List)
                .bell_style(BellStyle::None)
                // Pasted lines run one by one, as if they were typed.
                .bracketed_paste(false)
                .build();
            let mut editor = Editor::with_history(config, MemHistory::new()).map_err(io_error)?;
            editor.set_helper(Some(completions));
            let mut history = ShellHistory::open();
            for line in history.take_lines() {
                let _ = editor.add_history_entry(line);
            }
            Ok(move |prompt: &str| match editor.readline(prompt) {
                Ok(line) => {
                    if !line.trim().is_empty() {
                        let _ = editor.add_history_entry(line.as_str());
                        history.append(&line);
                    }
                    ShellInput::Line(line)
                }
                Err(ReadlineError::Interrupted) => ShellInput::Interrupted,
                Err(ReadlineError::Eof) => ShellInput::End,
                Err(error) => ShellInput::Failed(error.to_string()),
            })
        })
    }

    /// Lines of a file. A line that is too long, or no text, ends them.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn of_file(file: File) -> io::Result<LineReader> {
        let mut file = BufReader::new(file);
        LineReader::start(move || {
            let mut first = FirstLine::default();
            Ok(move |_: &str| first.without_mark(read_line(&mut file)))
        })
    }

    /// Lines of standard input. It is locked for one line at a time, so a command may read it, too.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn of_stdin() -> io::Result<LineReader> {
        LineReader::start(|| {
            let mut first = FirstLine::default();
            Ok(move |_: &str| first.without_mark(read_line(&mut io::stdin().lock())))
        })
    }

    fn start<R: FnMut(&str) -> ShellInput>(
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<LineReader> {
        let (prompts, asked) = sync_channel::<String>(1);
        let (sender, lines) = mpsc::channel(1);
        std::thread::Builder::new().name("shell-lines".to_owned()).spawn(move || {
            let mut read = match open() {
                Ok(read) => read,
                Err(error) => {
                    let _ = sender.blocking_send(ShellInput::Failed(error.to_string()));
                    return;
                }
            };
            while let Ok(prompt) = asked.recv() {
                if sender.blocking_send(read(&prompt)).is_err() {
                    return;
                }
            }
        })?;
        Ok(LineReader { prompts, lines })
    }

    /// Waits for the next line. Dropping the wait loses that line.
    pub(super) async fn next(&mut self, prompt: &str) -> ShellInput {
        // A thread that has ended takes no prompt; then its last word is still in the channel.
        let _ = self.prompts.try_send(prompt.to_owned());
        self.lines.recv().await.unwrap_or(ShellInput::End)
    }
}

fn io_error(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// Takes the byte order mark away that editors of other systems write before the first line.
#[derive(Default)]
struct FirstLine {
    is_past: bool,
}

impl FirstLine {
    fn without_mark(&mut self, input: ShellInput) -> ShellInput {
        let is_first = !std::mem::replace(&mut self.is_past, true);
        match input {
            ShellInput::Line(line) if is_first => {
                ShellInput::Line(line.strip_prefix('\u{feff}').unwrap_or(&line).to_owned())
            }
            other => other,
        }
    }
}

fn read_line(stream: &mut impl BufRead) -> ShellInput {
    let mut bytes = Vec::new();
    let most = u64::try_from(SHELL_LINE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    match stream.take(most).read_until(b'\n', &mut bytes) {
        Ok(0) => return ShellInput::End,
        Ok(_) => {}
        Err(error) => return ShellInput::Failed(error.to_string()),
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if bytes.len() > SHELL_LINE_BYTES_MAX {
        return ShellInput::Failed(format!("a line is longer than {SHELL_LINE_BYTES_MAX} bytes"));
    }
    match String::from_utf8(bytes) {
        Ok(line) => ShellInput::Line(line),
        Err(_) => ShellInput::Failed("a line is not UTF-8 text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut stream: &[u8]) -> Vec<ShellInput> {
        let mut seen = Vec::new();
        loop {
            let input = read_line(&mut stream);
            if input == ShellInput::End {
                return seen;
            }
            seen.push(input);
            assert!(seen.len() < 10, "it ends");
        }
    }

    #[test]
    fn the_last_line_needs_no_end() {
        let lines = ["a", "", "b"].map(|line| ShellInput::Line(line.to_owned()));
        assert_eq!(all(b"a\n\nb"), lines);
        assert_eq!(all(b"a\n\nb\n"), lines);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn what_is_no_line_says_why() {
        let longest = [vec![b'x'; SHELL_LINE_BYTES_MAX], b"\nb\n".to_vec()].concat();
        let lines = all(&longest);
        assert!(matches!(&lines[..], [ShellInput::Line(_), ShellInput::Line(b)] if b == "b"));
        let longer = [vec![b'x'; SHELL_LINE_BYTES_MAX + 1], b"\n".to_vec()].concat();
        assert!(matches!(&all(&longer)[0], ShellInput::Failed(why) if why.contains("longer")));
        assert!(matches!(&all(b"\xff\n")[0], ShellInput::Failed(why) if why.contains("UTF-8")));
    }
}
