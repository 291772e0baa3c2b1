//! The line on a terminal that says which bank a command waits for, once that takes a second.

use super::language::{say, word};
use super::output::columns_of;
use super::progress::Progress;
use consorcio_client::{ClientEvent, Observer};
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::{WAIT_SHOWN_AFTER_MS, WAIT_SHOWN_EVERY_MS};
use consorcio_system::config::Consortium;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Watches the requests of a client, and shows the banks that do not answer. It passes every event
/// on.
#[derive(Clone)]
pub(crate) struct WaitObserver {
    next: Arc<dyn Observer>,
    waits: Arc<Mutex<WaitedBanks>>,
}

#[derive(Default)]
struct WaitedBanks {
    banks: BTreeMap<BankId, BankWait>,
    /// Whether a terminal shows each OK as it is counted.
    counts: bool,
    /// A prompt stands on the terminal, which the line would overwrite.
    hidden: bool,
    /// The line that stands on the terminal.
    shown: Option<Progress>,
}

/// What one bank owes.
#[derive(Default)]
struct BankWait {
    /// Connections that are being made.
    connecting: usize,
    /// Requests without a reply.
    asked: usize,
    /// When it began to owe something, or last answered.
    since: Option<Instant>,
}

impl WaitObserver {
    /// An observer that passes each event on to `next`; with `counts` it shows each OK.
    pub(crate) fn new(next: Arc<dyn Observer>, counts: bool) -> WaitObserver {
        let waits = WaitedBanks { counts, ..WaitedBanks::default() };
        WaitObserver { next, waits: Arc::new(Mutex::new(waits)) }
    }

    /// Shows no line until the guard is dropped.
    pub(crate) fn hidden(&self) -> impl Drop + use<> {
        let mut waits = self.waits();
        waits.shown = None;
        let before = std::mem::replace(&mut waits.hidden, true);
        let waits = Arc::clone(&self.waits);
        OnDrop(move || waits.lock().unwrap_or_else(PoisonError::into_inner).hidden = before)
    }

    /// Counts no OK until the guard is dropped.
    pub(crate) fn without_counts(&self) -> impl Drop + use<> {
        let before = std::mem::replace(&mut self.waits().counts, false);
        let waits = Arc::clone(&self.waits);
        OnDrop(move || waits.lock().unwrap_or_else(PoisonError::into_inner).counts = before)
    }

    fn waits(&self) -> MutexGuard<'_, WaitedBanks> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the line while a bank of `list` owes an answer, and takes it away once it has come;
    /// shows nothing where standard error is no terminal.
    pub(crate) async fn show(&self, list: &Consortium) -> Infallible {
        if Progress::on_terminal().is_none() {
            return std::future::pending().await;
        }
        let mut ticks = interval(Duration::from_millis(WAIT_SHOWN_EVERY_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut waits = self.waits();
            match waits.line(list, Instant::now()).filter(|_| !waits.hidden) {
                Some(line) => {
                    // A line that wraps could not be taken away again.
                    let columns = columns_of(&std::io::stderr()).saturating_sub(1);
                    let line: String = line.chars().take(columns).collect();
                    waits.shown = waits.shown.take().or_else(Progress::on_terminal);
                    waits.shown.iter().for_each(|shown| shown.show(&line));
                }
                None => waits.shown = None,
            }
        }
    }

    /// Takes the line away, before something else is written.
    pub(crate) fn clear(&self) {
        self.waits().shown = None;
    }
}

/// Undoes a change when it is dropped, as by a signal that ends the command.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl WaitedBanks {
    /// The line about the banks that have owed an answer for long enough.
    fn line(&self, list: &Consortium, now: Instant) -> Option<String> {
        let after = Duration::from_millis(WAIT_SHOWN_AFTER_MS);
        let late = self.banks.iter().filter_map(|(bank, wait)| {
            let waited = now.saturating_duration_since(wait.since?);
            (waited >= after).then_some((*bank, waited))
        });
        let late: Vec<(BankId, Duration)> = late.collect();
        let seconds = late.iter().map(|(_, waited)| waited.as_secs()).max()?;
        Some(match late.as_slice() {
            [(bank, _)] => {
                let address = list.address(*bank).unwrap_or("-");
                say!(
                    "waiting for bank {bank} at {address} … {seconds} s"
                        / "esperando o banco {bank} em {address} … {seconds} s"
                )
            }
            _ => {
                let banks = in_words(late.iter().map(|(bank, _)| *bank).collect());
                say!("waiting for {banks} … {seconds} s" / "esperando os {banks} … {seconds} s")
            }
        })
    }

    fn take(&mut self, event: &ClientEvent<'_>, now: Instant) {
        let (bank, change): (BankId, fn(&mut BankWait)) = match event {
            ClientEvent::Connecting(bank) => (*bank, |wait| wait.connecting += 1),
            ClientEvent::Greeted(bank) | ClientEvent::NotConnected(bank, _) => {
                (*bank, |wait| wait.connecting = wait.connecting.saturating_sub(1))
            }
            ClientEvent::Closed(bank, _) => (*bank, |wait| *wait = BankWait::default()),
            ClientEvent::Sent(bank, ..) | ClientEvent::Asked(bank, ..) => {
                (*bank, |wait| wait.asked += 1)
            }
            ClientEvent::Answered(bank, ..) | ClientEvent::Replied(bank, ..) => {
                (*bank, |wait| wait.asked = wait.asked.saturating_sub(1))
            }
            ClientEvent::Connected(..)
            | ClientEvent::TimedOut(..)
            | ClientEvent::Counted { .. }
            | ClientEvent::Standing { .. }
            | ClientEvent::Ended { .. } => return,
        };
        let wait = self.banks.entry(bank).or_default();
        let was_idle = wait.connecting + wait.asked == 0;
        let asks = matches!(event, ClientEvent::Sent(..) | ClientEvent::Asked(..));
        change(wait);
        if wait.connecting + wait.asked == 0 {
            wait.since = None;
        } else if was_idle || !asks {
            wait.since = Some(now);
        }
    }
}

impl Observer for WaitObserver {
    fn observe(&self, event: &ClientEvent<'_>) {
        let counts = {
            let mut waits = self.waits();
            waits.take(event, Instant::now());
            waits.shown = None;
            waits.counts
        };
        if let ClientEvent::Counted { bank, oks, banks, .. } = event
            && counts
            && std::io::stderr().is_terminal()
        {
            let line = say!("OK {oks}/{banks} bank {bank}" / "OK {oks}/{banks} banco {bank}");
            // The terminal may have gone; the transaction goes on.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        self.next.observe(event);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_is_named_while_it_owes_an_answer() {
        let list: Consortium = "8886-8888".parse().unwrap();
        let bank = |position| BankId::new(position).unwrap();
        let began = Instant::now();
        let later = |ms| began + Duration::from_millis(ms);
        let mut waits = WaitedBanks::default();
        for position in 0..3 {
            waits.take(&ClientEvent::Connecting(bank(position)), began);
        }
        waits.take(&ClientEvent::Greeted(bank(0)), later(5));
        assert_eq!(waits.line(&list, later(900)), None, "not before a second");
        assert_eq!(waits.line(&list, later(2_100)).unwrap(), "waiting for banks 1 and 2 … 2 s");
        waits.take(&ClientEvent::NotConnected(bank(2), "refused"), later(2_200));
        assert_eq!(
            waits.line(&list, later(2_300)).unwrap(),
            "waiting for bank 1 at 127.0.0.1:8887 … 2 s"
        );
        waits.take(&ClientEvent::Closed(bank(1), "no answer"), later(2_400));
        assert_eq!(waits.line(&list, later(9_000)), None);
    }
}
