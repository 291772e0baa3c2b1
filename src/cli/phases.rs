//! `--step`: shows the phases of a transaction as they happen, and pauses after each one, so that a
//! person can look at the banks, or stop one, in between.

use super::Context;
use super::failure::reason_in_words;
use super::language::{say, word};
use super::output::{Paint, Tone, columns_of};
use super::table::wrapped_text;
use super::waiting::{WaitObserver, in_words};
use consorcio_client::{BankVote, ClientEvent, DrivePhase, DrivenTransaction, Observer};
use consorcio_core::commit::coordinator::{Standing, Verdict};
use consorcio_core::commit::message::PeerVerb;
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::transaction::Transaction;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Drives a transaction, shows its phases, and waits for a line on standard input after each one.
/// At the end of standard input it goes on without waiting.
pub(crate) async fn drive(
    context: &Context,
    tx: TxId,
    transaction: Arc<Transaction>,
) -> DrivenTransaction {
    let display = Arc::new(PhaseDisplay::new(context, transaction.banks()));
    let banks = in_words(transaction.banks());
    display.line(&say!("transaction {tx}" / "transação {tx}"));
    display.line(&say!("PREPARE to {banks}" / "PREPARE para {banks}"));
    let client = context.client.with_observer(Some(display.clone()));
    let waits = &context.waits;
    let _counts = waits.without_counts();
    // From PREPARE until the outcome is sent, the banks wait for this driver.
    context.interrupt_notice.drive(Some(tx.clone()));
    let pause = |phase: DrivePhase| {
        let (display, notice) = (Arc::clone(&display), context.interrupt_notice.clone());
        if matches!(phase, DrivePhase::Notified(_)) {
            notice.drive(None);
        }
        async move {
            // Until the line is typed, the prompt is the last line on the terminal.
            let _hidden = waits.hidden();
            if display.prompt(&phase) {
                line_typed().await;
                display.go_on(&phase);
            }
        }
    };
    let driven = client.drive_in_phases(tx, transaction, pause).await;
    context.interrupt_notice.drive(None);
    driven
}

/// Shows the replies of the banks one by one, counted, and the state after each phase.
struct PhaseDisplay {
    paint: Paint,
    /// The observer that receives every event, too.
    next: Option<Arc<dyn Observer>>,
    waits: WaitObserver,
    banks: BankSet,
    counts: Mutex<PhaseCounts>,
}

/// How many replies of each kind have come.
#[derive(Debug, Default)]
struct PhaseCounts {
    oks: usize,
    /// Banks to which the outcome is sent; 0 until it is.
    notified: usize,
    /// Banks that confirmed the outcome.
    confirmed: usize,
}

impl PhaseDisplay {
    fn new(context: &Context, banks: BankSet) -> PhaseDisplay {
        let (paint, next) = (context.paint, context.client.options().observer.clone());
        let waits = context.waits.clone();
        PhaseDisplay { paint, next, waits, banks, counts: Mutex::default() }
    }

    /// Writes to standard output among tables, and to standard error beside rows and JSON.
    fn write(&self, text: &str) {
        let mut out: Box<dyn Write> = if self.paint.is_rows() || self.paint.is_json() {
            Box::new(io::stderr().lock())
        } else {
            Box::new(io::stdout().lock())
        };
        self.waits.clear();
        // The reader may have gone; the transaction goes on.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn line(&self, text: &str) {
        self.write(&wrapped_text(text, columns_of(&io::stdout())));
    }

    fn counts(&self) -> MutexGuard<'_, PhaseCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line of a reply.
    fn counted(&self, bank: BankId, verb: PeerVerb, reply: &Reply) -> String {
        let mut counts = self.counts();
        let banks = self.banks.len();
        let (tone, word, count, of) = match (verb, reply) {
            (PeerVerb::Prepare, Reply::Ok(..)) => {
                counts.oks += 1;
                (Tone::Good, "OK", counts.oks, banks)
            }
            (PeerVerb::Commit, Reply::Committed(..)) => {
                counts.confirmed += 1;
                (Tone::Good, "COMMITTED", counts.confirmed, counts.notified)
            }
            (PeerVerb::Abort, Reply::Aborted(..)) if counts.notified > 0 => {
                counts.confirmed += 1;
                (Tone::Bad, "ABORTED", counts.confirmed, counts.notified)
            }
            (_, Reply::Nok(_, _, reason, text)) => {
                let nok = self.paint.text(Tone::Bad, "NOK");
                let why = reason_in_words(*reason, text);
                return say!("{nok} bank {bank}: {why}" / "{nok} banco {bank}: {why}");
            }
            (_, reply) => {
                let reply = beginning(reply);
                return say!("bank {bank}: {reply}" / "banco {bank}: {reply}");
            }
        };
        let word = self.paint.text(tone, word);
        say!("{word} {count}/{of} bank {bank}" / "{word} {count}/{of} banco {bank}")
    }

    /// Shows the state after a phase, and what Enter and Ctrl-C do. Returns whether to wait.
    fn prompt(&self, phase: &DrivePhase) -> bool {
        let (state, keys) = match phase {
            DrivePhase::Voted { verdict: Verdict::Committed(_), .. } => (
                say!(
                    "Every bank has voted OK: the transaction is committed, and no bank knows it \
                        yet."
                        / "Todos os bancos votaram OK: a transação está efetivada, e nenhum \
                        banco sabe disso."
                ),
                word!(
                    "Enter sends COMMIT; Ctrl-C leaves it to the banks."
                        / "Enter envia COMMIT; Ctrl-C deixa o resto aos bancos."
                ),
            ),
            DrivePhase::Voted { verdict: Verdict::Aborted { by, .. }, votes } => (
                say!(
                    "Bank {by} has refused: the transaction is aborted."
                        / "O banco {by} recusou: a transação está abortada."
                ),
                if to_notify(votes).is_empty() {
                    word!("Enter goes on." / "Enter continua.")
                } else {
                    word!(
                        "Enter sends ABORT; Ctrl-C leaves it to the banks."
                            / "Enter envia ABORT; Ctrl-C deixa o resto aos bancos."
                    )
                },
            ),
            DrivePhase::Voted { .. } => return false,
            DrivePhase::Notified(_) => {
                let PhaseCounts { notified, confirmed, .. } = *self.counts();
                if notified == 0 {
                    return false;
                }
                (
                    say!(
                        "{confirmed} of {notified} banks have confirmed the outcome."
                            / "{confirmed} de {notified} bancos confirmaram o resultado."
                    ),
                    word!("Enter shows the result." / "Enter mostra o resultado."),
                )
            }
        };
        self.line(&state);
        // A terminal shows the end of the line that is typed.
        let end = if io::stdin().is_terminal() { " " } else { "\n" };
        let keys = wrapped_text(keys, columns_of(&io::stdout()).saturating_sub(1));
        self.write(&format!("{}{end}", keys.trim_end()));
        true
    }

    /// Shows what is sent after a pause.
    fn go_on(&self, phase: &DrivePhase) {
        let (verb, banks) = match phase {
            DrivePhase::Voted { verdict: Verdict::Committed(_), .. } => ("COMMIT", self.banks),
            DrivePhase::Voted { votes, .. } => ("ABORT", to_notify(votes)),
            DrivePhase::Notified(_) => return,
        };
        self.counts().notified = banks.len();
        if !banks.is_empty() {
            let banks = in_words(banks);
            self.line(&say!("{verb} to {banks}" / "{verb} para {banks}"));
        }
    }
}

impl Observer for PhaseDisplay {
    fn observe(&self, event: &ClientEvent<'_>) {
        self.next.iter().for_each(|next| next.observe(event));
        match event {
            ClientEvent::Answered(bank, request, reply, _) => {
                self.line(&format!("  {}", self.counted(*bank, request.verb, reply)));
            }
            ClientEvent::NotConnected(bank, why) => {
                self.line(&say!(
                    "  bank {bank} can't be reached: {why}"
                        / "  o banco {bank} não pode ser alcançado: {why}"
                ));
            }
            ClientEvent::Closed(bank, why) => {
                self.line(&say!(
                    "  the connection to bank {bank} ended: {why}"
                        / "  a conexão com o banco {bank} acabou: {why}"
                ));
            }
            ClientEvent::TimedOut(_, banks) => {
                let banks = in_words(*banks);
                self.line(&say!(
                    "  no answer in time from {banks}" / "  sem resposta a tempo de {banks}"
                ));
            }
            ClientEvent::Connecting(_)
            | ClientEvent::Greeted(_)
            | ClientEvent::Connected(..)
            | ClientEvent::Sent(..)
            | ClientEvent::Asked(..)
            | ClientEvent::Replied(..)
            | ClientEvent::Counted { .. }
            | ClientEvent::Standing { .. }
            | ClientEvent::Ended { .. } => {}
        }
    }
}

/// The banks that hold an OK, or may, and so receive ABORT.
fn to_notify(votes: &[BankVote]) -> BankSet {
    let may_hold = |vote: &&BankVote| matches!(vote.standing, Standing::Ok(_) | Standing::Asked);
    votes.iter().filter(may_hold).map(|vote| vote.bank).collect()
}

/// The line of a reply, cut to the width of a terminal.
fn beginning(reply: &Reply) -> String {
    let line = reply.to_line();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// Waits for a line on standard input, or for its end. It reads no further than that line, and
/// nothing once the wait is dropped, so that the rest is left for what reads next: another program,
/// or the shell.
async fn line_typed() {
    let (sender, line) = tokio::sync::oneshot::channel();
    let Ok((dropped, waiting)) = io::pipe() else { return };
    let thread = std::thread::Builder::new().name("pause-line".to_owned());
    let reader = thread.spawn(move || {
        let Ok(own) = io::stdin().as_fd().try_clone_to_owned() else { return };
        let mut byte = [0];
        let mut stdin = File::from(own);
        while has_input(&stdin, &dropped) {
            if !matches!(stdin.read(&mut byte), Ok(1)) || byte == *b"\n" {
                // The program may have ended meanwhile.
                let _ = sender.send(());
                return;
            }
        }
    });
    let _reader =
        reader.ok().map(|reader| LineWait { waiting: Some(waiting), reader: Some(reader) });
    let _ = line.await;
}

/// The thread that waits for a line. Dropping this ends it, whether or not there is one.
struct LineWait {
    waiting: Option<io::PipeWriter>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Drop for LineWait {
    fn drop(&mut self) {
        drop(self.waiting.take());
        // It reads one byte that is there, at most.
        let _ = self.reader.take().map(std::thread::JoinHandle::join);
    }
}

/// Waits for input, or for its end; `false` if the other end of `dropped` is closed.
fn has_input(stdin: &File, dropped: &io::PipeReader) -> bool {
    loop {
        let mut ends =
            [PollFd::new(stdin, PollFlags::IN), PollFd::new(dropped, PollFlags::empty())];
        match poll(&mut ends, None) {
            Ok(_) => return ends[1].revents().is_empty(),
            Err(error) if error == rustix::io::Errno::INTR => {}
            Err(_) => return false,
        }
    }
}
