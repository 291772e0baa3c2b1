//! The client's step log: what it sent and received, in `logs/cliente-<name>.log`.

use super::language::say;
use super::output::CommandOutput;
use consorcio_client::{ClientEvent, Observer, RequestNumber};
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::ids::TxId;
use consorcio_core::limits::STEP_TEXT_BYTES_MAX;
use consorcio_steps::steplog::{
    OkCount, OpenError, OtherEnd, RequestId, Step, StepLog, StepLogOptions,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// An observer that records the events of a client in its step log.
#[derive(Debug, Clone)]
pub(crate) struct StepObserver {
    log: StepLog,
    interrupt_notice: InterruptNotice,
}

/// What a signal that ends a command does: the sentence to print, which says what is known so far,
/// and the transaction that the banks are then to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct InterruptNotice {
    text: Arc<Mutex<Option<String>>>,
    driven: Arc<Mutex<Option<TxId>>>,
}

impl InterruptNotice {
    pub(crate) fn set(&self, text: String) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// The sentence, if any.
    pub(crate) fn take(&self) -> Option<String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Sets the transaction for whose driver the banks wait longer than usual, or none.
    pub(crate) fn drive(&self, tx: Option<TxId>) {
        *self.driven.lock().unwrap_or_else(PoisonError::into_inner) = tx;
    }

    /// That transaction, if any, once.
    pub(crate) fn take_driven(&self) -> Option<TxId> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The name of a client that has no log.
pub(crate) const NAME_DEFAULT: &str = "cliente-1";

/// How the command ended: the code of its failure and its sentence, or what it changed, or what it
/// printed; without colours, on one line, bounded.
fn last_words(output: &CommandOutput) -> String {
    // The line is cut at this bound, after tax numbers are: they get shorter.
    let shown = &output.text[..output.text.floor_char_boundary(4 * STEP_TEXT_BYTES_MAX)];
    let shown = in_one_line(shown);
    let line = (!shown.is_empty()).then_some(shown.as_str());
    match (&output.failure, output.done.as_deref().or(line)) {
        (None, Some(words)) => format!("done: {}", in_one_line(words)),
        (None, None) => "done".to_owned(),
        (Some(failure), line) => {
            let (code, mut words) = (failure.code(), in_one_line(&failure.to_string()));
            if let Some(line) = line.filter(|line| !words.contains(line)) {
                words = format!("{words}; {line}");
            }
            if words.starts_with(code) { words } else { format!("{code}: {words}") }
        }
    }
}

/// The lines of `text` in plain text, with `; ` between them and one blank between words.
fn in_one_line(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    let lines = plain.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The request id for the step log.
fn id(request: RequestNumber) -> Option<RequestId> {
    RequestId::new(request.port, request.number)
}

impl Observer for StepObserver {
    fn observe(&self, event: &ClientEvent<'_>) {
        let step = match event {
            ClientEvent::Connecting(_) | ClientEvent::Greeted(_) => return,
            ClientEvent::Connected(bank, from) => Step::Connect(OtherEnd::Bank(*bank), *from),
            ClientEvent::NotConnected(bank, why) => Step::LinkDown(*bank, (*why).into()),
            ClientEvent::Closed(bank, why) => {
                Step::Disconnect(OtherEnd::Bank(*bank), (*why).into())
            }
            ClientEvent::Sent(bank, message, n) => Step::of_message(message, *bank, id(*n)),
            ClientEvent::Answered(bank, asked, reply, n) => {
                Step::of_answer(*bank, asked, Some(reply), id(*n))
            }
            ClientEvent::Asked(bank, request, n) => Step::of_sent_request(request, *bank, id(*n)),
            ClientEvent::Replied(bank, reply, n) => Step::of_received_reply(reply, *bank, id(*n)),
            ClientEvent::TimedOut(tx, silent) => Step::Timeout((*tx).clone(), *silent),
            ClientEvent::Counted { tx, bank, oks, banks } => {
                Step::Count { tx: (*tx).clone(), from: *bank, oks: OkCount(*oks, *banks) }
            }
            ClientEvent::Ended { tx, verdict, oks, banks } => {
                Step::of_verdict(tx, verdict, *oks, *banks)
            }
            ClientEvent::Standing { tx, oks, banks, verdict } => {
                self.interrupt_notice.set(standing_in_words(tx, *oks, *banks, *verdict));
                return;
            }
        };
        self.log.record(step);
    }
}

/// The sentence for a transaction under way.
fn standing_in_words(tx: &TxId, oks: usize, banks: usize, verdict: Option<&Verdict>) -> String {
    // The votes are the decision, whether it is known or not.
    if oks == banks {
        say!(
            "interrupted: transaction {tx} is committed (OKs {oks}/{banks})"
                / "interrompido: a transação {tx} está efetivada (OKs {oks}/{banks})"
        )
    } else if matches!(verdict, Some(Verdict::Aborted { .. })) {
        say!(
            "interrupted: transaction {tx} is aborted (OKs {oks}/{banks})"
                / "interrompido: a transação {tx} está abortada (OKs {oks}/{banks})"
        )
    } else {
        say!(
            "interrupted: the outcome of transaction {tx} is not known yet (OKs {oks}/{banks}); \
             the banks end it by themselves. Ask later with: cliente resolve {tx}"
                / "interrompido: o resultado da transação {tx} ainda não é conhecido (OKs \
             {oks}/{banks}); os bancos a terminam por si. Pergunte depois com: cliente resolver \
             {tx}"
        )
    }
}

impl StepObserver {
    /// An observer that records in `log`.
    pub(crate) fn new(log: StepLog, interrupt_notice: InterruptNotice) -> StepObserver {
        StepObserver { log, interrupt_notice }
    }

    /// An observer that records nothing.
    pub(crate) fn off() -> StepObserver {
        StepObserver { log: StepLog::off(), interrupt_notice: InterruptNotice::default() }
    }

    /// The log file of the client `name`: `cliente-1.log` for both `cliente-1` and `1`.
    pub(crate) fn path(folder: &Path, name: &str) -> PathBuf {
        let short = name.strip_prefix("cliente-").filter(|rest| !rest.is_empty()).unwrap_or(name);
        folder.join(format!("cliente-{short}.log"))
    }

    /// The name of this client, and its log. Without a given name it is the first of `cliente-1`,
    /// `cliente-2` and so on that no other process has.
    ///
    /// # Errors
    /// If the log can't be opened.
    pub(crate) fn open_log(
        folder: &Path,
        name: Option<&str>,
        options: StepLogOptions,
    ) -> Result<(String, StepLog), OpenError> {
        match name {
            Some(name) => {
                let log = StepLog::open(&StepObserver::path(folder, name), options)?;
                Ok((name.to_owned(), log))
            }
            None if !options.on => Ok((NAME_DEFAULT.to_owned(), StepLog::off())),
            None => {
                let (log, number) = StepLog::open_numbered(folder, "cliente", options)?;
                Ok((format!("cliente-{number}"), log))
            }
        }
    }

    /// Records the start of a command with these words: program, version, the client's name, and
    /// the command line.
    pub(crate) fn began<S: AsRef<str>>(&self, name: &str, words: impl IntoIterator<Item = S>) {
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!("cliente {version} {name}");
        for word in words {
            let word = word.as_ref();
            let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '\\');
            text.push(' ');
            if !word.is_empty() && word.chars().all(is_plain) {
                text.push_str(word);
            } else {
                // Only a byte 0 can't be quoted, and no argument has one.
                text.push_str(&shlex::try_quote(word).unwrap_or_default());
            }
        }
        self.log.record(Step::Start(text.into()));
    }

    /// Records the end of a command, and the last words that the user is shown.
    pub(crate) fn ended(&self, output: &CommandOutput) {
        self.log.record(Step::Stop(last_words(output).into()));
    }

    /// Writes all recorded steps and closes the log.
    pub(crate) fn close(&self) {
        self.log.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn output(text: &str, failure: Option<Failure>) -> CommandOutput {
        CommandOutput::new(text.to_owned(), &()).with_failure(failure)
    }

    #[test]
    fn the_end_of_a_command_is_all_that_was_shown_in_plain_text() {
        let table = "bank  state\n0     \x1b[1;32monline\x1b[0m\n\n1     offline\n";
        let said = last_words(&output(table, None));
        assert_eq!(said, "done: bank state; 0 online; 1 offline");
        let failure = Failure::Own("two\nlines".into());
        let said =
            last_words(&output("\x1b[1;31maborted\x1b[0m. Nothing changed.\n", Some(failure)));
        assert!(said.ends_with("two; lines; aborted. Nothing changed."), "{said}");
        assert_eq!(last_words(&output(" \n", None)), "done");
        let long = last_words(&output(&"é row\n".repeat(100_000), None));
        assert!(long.len() <= 8 * STEP_TEXT_BYTES_MAX, "{}", long.len());
    }
}
