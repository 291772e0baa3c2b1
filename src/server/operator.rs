//! What an operator sees of a running bank without `-v`: a line when something changes that matters
//! to a person, and nothing for single requests. Links, slow syncs and the end have their lines
//! where they happen.

use consorcio_core::bank::Core;
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::{
    DOUBT_CHECK_EVERY_MS, DOUBT_REPORTED_MS_MIN, NEW_CLIENTS_REPORTED_MAX,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use tracing::{info, warn};

/// What was reported to the operator.
#[derive(Debug)]
pub(crate) struct OperatorNotices {
    bank: BankId,
    /// The addresses that clients have connected from, at most one more than
    /// `NEW_CLIENTS_REPORTED_MAX`.
    clients: RefCell<BTreeSet<IpAddr>>,
    doubt: RefCell<DoubtWatch>,
    /// The next look at undecided transactions, in monotonic microseconds.
    doubt_due_us: Cell<u64>,
}

impl OperatorNotices {
    /// Nothing was reported yet.
    pub(crate) fn new(bank: BankId) -> OperatorNotices {
        OperatorNotices {
            bank,
            clients: RefCell::default(),
            doubt: RefCell::default(),
            doubt_due_us: Cell::new(0),
        }
    }

    /// A client sent its first request. Reports each address once.
    pub(crate) fn client(&self, peer: SocketAddr) {
        let (bank, client) = (self.bank.as_u8(), peer.ip().to_canonical());
        let mut clients = self.clients.borrow_mut();
        if clients.len() > NEW_CLIENTS_REPORTED_MAX || !clients.insert(client) {
            return;
        }
        if clients.len() > NEW_CLIENTS_REPORTED_MAX {
            info!(bank, "clients connect from more addresses; further ones are not reported");
        } else {
            info!(bank, %client, "a client connects from {client} for the first time");
        }
    }

    /// Looks at the oldest undecided transaction, at most every `DOUBT_CHECK_EVERY_MS`.
    pub(crate) fn undecided(&self, core: &Core, now_us: u64) {
        if now_us < self.doubt_due_us.get() {
            return;
        }
        self.doubt_due_us.set(now_us + DOUBT_CHECK_EVERY_MS * 1_000);
        let (bank, undecided) = (self.bank.as_u8(), core.undecided());
        let notice = self.doubt.borrow_mut().observe(core.oldest_undecided(), undecided, now_us);
        match notice {
            Some(DoubtNotice::Lasts(text)) => warn!(bank, undecided, "{text}"),
            Some(DoubtNotice::Over) => info!(bank, "every transaction is decided again"),
            None => {}
        }
    }
}

/// Decides when a transaction that stays undecided is reported: after a while, each time its age
/// has doubled, and when nothing is undecided any more.
#[derive(Debug, Default)]
struct DoubtWatch {
    /// The oldest undecided transaction, and since when it was seen as such.
    oldest: Option<(TxId, u64)>,
    /// Its age when it was reported last; 0 before that.
    reported_ms: u64,
    /// Whether the operator was informed of one since all were decided.
    is_open: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum DoubtNotice {
    Lasts(String),
    Over,
}

impl DoubtWatch {
    fn observe(
        &mut self,
        oldest: Option<&TxId>,
        undecided: usize,
        now_us: u64,
    ) -> Option<DoubtNotice> {
        let Some(tx) = oldest else {
            self.oldest = None;
            return std::mem::take(&mut self.is_open).then_some(DoubtNotice::Over);
        };
        let Some((_, since_us)) = self.oldest.as_ref().filter(|(seen, _)| seen == tx) else {
            self.oldest = Some((tx.clone(), now_us));
            self.reported_ms = 0;
            return None;
        };
        let age_ms = now_us.saturating_sub(*since_us) / 1_000;
        if age_ms < DOUBT_REPORTED_MS_MIN.max(2 * self.reported_ms) {
            return None;
        }
        (self.reported_ms, self.is_open) = (age_ms, true);
        let more = match undecided.saturating_sub(1) {
            0 => String::new(),
            more => format!(", and {more} more are"),
        };
        Some(DoubtNotice::Lasts(format!(
            "transaction {tx} has been in doubt for {} s{more}; cliente doubt shows which bank it \
             waits for",
            age_ms / 1_000
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_doubt_is_reported_when_its_age_doubles_and_when_all_is_decided() {
        let (first, second) = (TxId::new("t1").unwrap(), TxId::new("t2").unwrap());
        let mut watch = DoubtWatch::default();
        let at = |times: u64, ms: u64| (times * DOUBT_REPORTED_MS_MIN + ms) * 1_000;
        assert_eq!(watch.observe(Some(&first), 1, 0), None);
        assert_eq!(watch.observe(Some(&first), 1, at(1, 0) - 1), None);
        let Some(DoubtNotice::Lasts(text)) = watch.observe(Some(&first), 3, at(1, 0)) else {
            panic!("it is reported");
        };
        assert!(text.starts_with("transaction t1 has been in doubt for 5 s, and 2 more"), "{text}");
        assert_eq!(watch.observe(Some(&first), 3, at(1, 1)), None);
        assert!(watch.observe(Some(&first), 3, at(2, 0)).is_some());
        // Another one is the oldest now: it has its own time.
        assert_eq!(watch.observe(Some(&second), 1, at(3, 0)), None);
        assert_eq!(watch.observe(None, 0, at(3, 1)), Some(DoubtNotice::Over));
        assert_eq!(watch.observe(None, 0, at(3, 2)), None);
        // Neither a transaction that is decided in time is reported, nor its end.
        assert_eq!(watch.observe(Some(&first), 1, at(4, 0)), None);
        assert_eq!(watch.observe(None, 0, at(4, 1)), None);
    }

    #[test]
    fn each_address_is_kept_once_and_only_so_many() {
        let notices = OperatorNotices::new(BankId::new(0).unwrap());
        for port in [1, 2] {
            for host in 0..=u8::MAX {
                for net in 0..4 {
                    notices.client(SocketAddr::from(([10, 0, net, host], port)));
                }
            }
        }
        assert_eq!(notices.clients.borrow().len(), NEW_CLIENTS_REPORTED_MAX + 1);
    }
}
