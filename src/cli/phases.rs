//! `--step`: shows the phases of a transaction as they happen, and pauses after each one, so that a
//! person can look at the banks, or stop one, in between.

use super::Context;
use super::failure::reason_in_words;
use super::language::{say, word};
use super::output::{Paint, Tone};
use consorcio_client::{BankVote, ClientEvent, DrivePhase, DrivenTransaction, Observer};
use consorcio_core::commit::coordinator::{Standing, Verdict};
use consorcio_core::commit::message::PeerVerb;
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::transaction::Transaction;
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
    let paused = tx.clone();
    let pause = |phase: DrivePhase| {
        let (display, notice) = (Arc::clone(&display), context.interrupt_notice.clone());
        let is_voted = matches!(phase, DrivePhase::Voted { .. });
        let paused = paused.clone();
        async move {
            if display.prompt(&phase) {
                notice.pause(Some(paused).filter(|_| is_voted));
                line_typed().await;
                notice.pause(None);
                display.go_on(&phase);
            }
        }
    };
    client.drive_in_phases(tx, transaction, pause).await
}

/// Shows the replies of the banks one by one, counted, and the state after each phase.
struct PhaseDisplay {
    paint: Paint,
    /// The observer that receives every event, too.
    next: Option<Arc<dyn Observer>>,
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
        PhaseDisplay { paint, next, banks, counts: Mutex::default() }
    }

    /// Writes to standard output among tables, and to standard error beside rows and JSON.
    fn write(&self, text: &str) {
        let mut out: Box<dyn Write> = if self.paint.is_rows() || self.paint.is_json() {
            Box::new(io::stderr().lock())
        } else {
            Box::new(io::stdout().lock())
        };
        // The reader may have gone; the transaction goes on.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn line(&self, text: &str) {
        self.write(&format!("{text}\n"));
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
        self.write(&format!("{keys}{end}"));
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

/// `bank 0`, or `banks 0, 1 and 2`.
pub(crate) fn in_words(banks: BankSet) -> String {
    let names: Vec<String> = banks.iter().map(|bank| bank.to_string()).collect();
    match names.as_slice() {
        [] => word!("no bank" / "nenhum banco").to_owned(),
        [one] => say!("bank {one}" / "banco {one}"),
        [first @ .., last] => {
            let first = first.join(", ");
            say!("banks {first} and {last}" / "bancos {first} e {last}")
        }
    }
}

/// The line of a reply, cut to the width of a terminal.
fn beginning(reply: &Reply) -> String {
    let line = reply.to_line();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// Waits for a line on standard input, or for its end. It reads no further than that line, so that
/// the rest is left for the program that comes next.
async fn line_typed() {
    let (sender, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let Ok(own) = io::stdin().as_fd().try_clone_to_owned() else { return };
        let mut byte = [0];
        let mut stdin = File::from(own);
        while matches!(stdin.read(&mut byte), Ok(1)) && byte != *b"\n" {}
        // The program may have ended meanwhile.
        let _ = sender.send(());
    });
    let _ = line.await;
}
