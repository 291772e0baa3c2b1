//! Cross-bank read-your-writes for HTTP: COMMITTED is delayed until every peer has acknowledged the
//! commit, and a read waits for outcomes that its bank is asking for.
//!
//! Each message to a bank gets exactly one answer, which is empty if the link is lost. So counting
//! is enough; the content of an answer does not matter. A bank answers a COMMIT once it knows the
//! outcome, or, if it rejects the tokens, once it is asking for the outcome; a later read there
//! waits for that.

use consorcio_core::bank::io::Input;
use consorcio_core::commit::message::{Message, PeerVerb};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::BANKS_MAX;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Counts messages under way that a client may wait for.
#[derive(Debug, Default)]
pub(crate) struct ReadBarrier {
    /// The transactions whose COMMITs are watched.
    watched: RefCell<BTreeMap<TxId, Watched>>,
    /// The number of RESOLVEs ever sent to each bank.
    asked: [Cell<u64>; BANKS_MAX],
    /// ... and the number of those that are answered.
    answered: [Cell<u64>; BANKS_MAX],
    readers: RefCell<Vec<Waker>>,
}

#[derive(Debug, Default)]
struct Watched {
    watches: usize,
    /// COMMITs without an answer.
    under_way: usize,
    wakers: Vec<Waker>,
}

/// The RESOLVEs that were under way at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Questions([u64; BANKS_MAX]);

impl ReadBarrier {
    /// Counts the COMMITs of `tx` until the watch is dropped.
    pub(crate) fn watch(self: &Rc<ReadBarrier>, tx: &TxId) -> CommitWatch {
        self.watched.borrow_mut().entry(tx.clone()).or_default().watches += 1;
        CommitWatch { barrier: self.clone(), tx: tx.clone() }
    }

    /// Counts `message`, which is sent to the bank `to`.
    pub(crate) fn sent(&self, to: BankId, message: &Message) {
        match message {
            Message::Commit(tx, _) => {
                if let Some(watched) = self.watched.borrow_mut().get_mut(tx) {
                    watched.under_way += 1;
                }
            }
            Message::Resolve(_) => step(&self.asked, to),
            Message::Prepare(..) | Message::Abort(..) | Message::Registers { .. } => {}
        }
    }

    /// Counts the answers among `inputs`, which arrived over the links.
    pub(crate) fn answers_arrived(&self, inputs: &[Input]) {
        for input in inputs {
            let Input::Answer { peer, asked, .. } = input else { continue };
            match asked.verb {
                PeerVerb::Commit => self.commit_answered(&asked.tx),
                PeerVerb::Resolve => {
                    step(&self.answered, *peer);
                    self.readers.borrow_mut().drain(..).for_each(Waker::wake);
                }
                PeerVerb::Prepare | PeerVerb::Abort | PeerVerb::Registers => {}
            }
        }
    }

    fn commit_answered(&self, tx: &TxId) {
        if let Some(watched) = self.watched.borrow_mut().get_mut(tx) {
            // A COMMIT sent before the watch began was not counted.
            watched.under_way = watched.under_way.saturating_sub(1);
            if watched.under_way == 0 {
                watched.wakers.drain(..).for_each(Waker::wake);
            }
        }
    }

    /// The RESOLVEs under way now; `None` if there is none.
    pub(crate) fn questions(&self) -> Option<Questions> {
        let asked = self.asked.each_ref().map(Cell::get);
        (asked != self.answered.each_ref().map(Cell::get)).then_some(Questions(asked))
    }

    /// Waits until all of them are answered.
    pub(crate) async fn answered(&self, Questions(asked): Questions) {
        poll_fn(|cx| {
            if asked.iter().zip(&self.answered).all(|(asked, answered)| answered.get() >= *asked) {
                return Poll::Ready(());
            }
            self.readers.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

fn step(counts: &[Cell<u64>; BANKS_MAX], bank: BankId) {
    if let Some(count) = counts.get(bank.index()) {
        count.set(count.get() + 1);
    }
}

/// Watches the COMMITs of one transaction.
#[derive(Debug)]
pub(crate) struct CommitWatch {
    barrier: Rc<ReadBarrier>,
    tx: TxId,
}

impl CommitWatch {
    /// Waits until each COMMIT sent since is answered.
    pub(crate) async fn answered(&self) {
        poll_fn(|cx| match self.barrier.watched.borrow_mut().get_mut(&self.tx) {
            Some(watched) if watched.under_way > 0 => {
                watched.wakers.push(cx.waker().clone());
                Poll::Pending
            }
            Some(_) | None => Poll::Ready(()),
        })
        .await;
    }
}

impl Drop for CommitWatch {
    fn drop(&mut self) {
        let mut watched = self.barrier.watched.borrow_mut();
        if let Some(of) = watched.get_mut(&self.tx) {
            of.watches -= 1;
            if of.watches == 0 {
                watched.remove(&self.tx);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::commit::message::RequestKey;
    use consorcio_core::ids::BankId;
    use std::pin::pin;
    use std::task::Context;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    fn tx(name: &str) -> TxId {
        TxId::new(name).unwrap()
    }

    fn answer(name: &str, verb: PeerVerb) -> Input {
        Input::Answer {
            peer: bank(1),
            asked: RequestKey { tx: tx(name), verb },
            reply: None,
            past: None,
        }
    }

    fn is_answered(watch: &CommitWatch) -> bool {
        pin!(watch.answered()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_watch_waits_for_one_answer_for_each_commit() {
        let barrier = Rc::new(ReadBarrier::default());
        let (one, same) = (barrier.watch(&tx("a")), barrier.watch(&tx("a")));
        assert!(is_answered(&one), "no COMMIT was sent");
        barrier.sent(bank(1), &Message::Commit(tx("a"), Vec::new()));
        barrier.sent(bank(1), &Message::Commit(tx("a"), Vec::new()));
        barrier.sent(bank(1), &Message::Commit(tx("b"), Vec::new()));
        barrier.sent(bank(1), &Message::Resolve(tx("a")));
        barrier.answers_arrived(&[answer("a", PeerVerb::Commit), answer("b", PeerVerb::Commit)]);
        barrier.answers_arrived(&[answer("a", PeerVerb::Resolve)]);
        assert!(!is_answered(&one) && !is_answered(&same));
        drop(same);
        barrier.answers_arrived(&[answer("a", PeerVerb::Commit)]);
        assert!(is_answered(&one));
        drop(one);
        assert!(barrier.watched.borrow().is_empty());
    }

    #[test]
    fn a_read_waits_for_the_questions_under_way_and_no_later_ones() {
        let barrier = ReadBarrier::default();
        assert!(barrier.questions().is_none());
        barrier.sent(bank(1), &Message::Resolve(tx("a")));
        barrier.sent(bank(2), &Message::Resolve(tx("a")));
        let questions = barrier.questions().expect("two RESOLVEs are under way");
        let is_answered = || {
            pin!(barrier.answered(questions))
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        };
        barrier.sent(bank(2), &Message::Resolve(tx("b")));
        barrier.answers_arrived(&[answer("a", PeerVerb::Resolve), answer("a", PeerVerb::Commit)]);
        assert!(!is_answered(), "bank 2 has not answered");
        let asked = RequestKey { tx: tx("a"), verb: PeerVerb::Resolve };
        barrier.answers_arrived(&[Input::Answer { peer: bank(2), asked, reply: None, past: None }]);
        assert!(is_answered() && barrier.questions().is_some());
    }
}
