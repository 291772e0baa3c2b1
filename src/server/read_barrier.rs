//! Cross-bank read-your-writes for HTTP: COMMITTED is delayed until every peer has acknowledged the
//! commit, and a read waits for outcomes that its bank is just asking for.
//!
//! Each message to a bank comes back as one answer, or as none where its link is lost. So it is
//! enough to count. A COMMIT is answered once that bank knows the outcome, or, where it believes no
//! token, once it asks for it; and what it asks is answered before it reads again. What an answer
//! says does not matter.

use consorcio_core::bank::io::Input;
use consorcio_core::commit::message::{Message, PeerVerb};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::BANKS_MAX;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Messages that are under way, as far as somebody may wait for them.
#[derive(Debug, Default)]
pub struct ReadBarrier {
    /// The transactions whose COMMITs somebody waits for.
    watched: RefCell<BTreeMap<TxId, Watched>>,
    /// How many RESOLVEs were ever sent to each bank.
    asked: [Cell<u64>; BANKS_MAX],
    /// ... and how many of them have their answer.
    answered: [Cell<u64>; BANKS_MAX],
    readers: RefCell<Vec<Waker>>,
}

#[derive(Debug, Default)]
struct Watched {
    watches: usize,
    /// COMMITs that have no answer yet.
    under_way: usize,
    wakers: Vec<Waker>,
}

/// The questions that were under way at some moment.
#[derive(Debug, Clone, Copy)]
pub struct Questions([u64; BANKS_MAX]);

impl ReadBarrier {
    /// Counts the COMMITs of `tx` from now on, until the watch is dropped.
    pub fn watch(self: &Rc<ReadBarrier>, tx: &TxId) -> CommitWatch {
        self.watched.borrow_mut().entry(tx.clone()).or_default().watches += 1;
        CommitWatch { barrier: self.clone(), tx: tx.clone() }
    }

    /// `message` leaves for the bank `to`.
    pub fn sent(&self, to: BankId, message: &Message) {
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

    /// This is what the links have to tell.
    pub fn heard(&self, inputs: &[Input]) {
        for input in inputs {
            let Input::Answer { peer, asked, .. } = input else { continue };
            match asked.verb {
                PeerVerb::Commit => self.commit_heard(&asked.tx),
                PeerVerb::Resolve => {
                    step(&self.answered, *peer);
                    self.readers.borrow_mut().drain(..).for_each(Waker::wake);
                }
                PeerVerb::Prepare | PeerVerb::Abort | PeerVerb::Registers => {}
            }
        }
    }

    fn commit_heard(&self, tx: &TxId) {
        if let Some(watched) = self.watched.borrow_mut().get_mut(tx) {
            // One that left before the watch began is not among those that are counted.
            watched.under_way = watched.under_way.saturating_sub(1);
            if watched.under_way == 0 {
                watched.wakers.drain(..).for_each(Waker::wake);
            }
        }
    }

    /// What this bank is asking the others at this moment; `None` where it is nothing.
    pub fn questions(&self) -> Option<Questions> {
        let asked = self.asked.each_ref().map(Cell::get);
        (asked != self.answered.each_ref().map(Cell::get)).then_some(Questions(asked))
    }

    /// Waits until these have their answers, or can have none any more.
    pub async fn answered(&self, Questions(asked): Questions) {
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

/// Somebody who will wait for a transaction's COMMITs.
#[derive(Debug)]
pub struct CommitWatch {
    barrier: Rc<ReadBarrier>,
    tx: TxId,
}

impl CommitWatch {
    /// Waits until each COMMIT that has left since has its answer, or can have none any more.
    pub async fn answered(&self) {
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
    fn it_waits_for_as_many_answers_as_commits_left() {
        let barrier = Rc::new(ReadBarrier::default());
        let (one, same) = (barrier.watch(&tx("a")), barrier.watch(&tx("a")));
        assert!(is_answered(&one), "nothing has left");
        barrier.sent(bank(1), &Message::Commit(tx("a"), Vec::new()));
        barrier.sent(bank(1), &Message::Commit(tx("a"), Vec::new()));
        barrier.sent(bank(1), &Message::Commit(tx("b"), Vec::new()));
        barrier.sent(bank(1), &Message::Resolve(tx("a")));
        barrier.heard(&[answer("a", PeerVerb::Commit), answer("b", PeerVerb::Commit)]);
        barrier.heard(&[answer("a", PeerVerb::Resolve)]);
        assert!(!is_answered(&one) && !is_answered(&same));
        drop(same);
        barrier.heard(&[answer("a", PeerVerb::Commit)]);
        assert!(is_answered(&one));
        drop(one);
        assert!(barrier.watched.borrow().is_empty());
    }

    #[test]
    fn a_reader_waits_for_the_questions_of_its_moment_and_no_later_ones() {
        let barrier = ReadBarrier::default();
        assert!(barrier.questions().is_none());
        barrier.sent(bank(1), &Message::Resolve(tx("a")));
        barrier.sent(bank(2), &Message::Resolve(tx("a")));
        let questions = barrier.questions().expect("two of them");
        let is_answered = || {
            pin!(barrier.answered(questions))
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        };
        barrier.sent(bank(2), &Message::Resolve(tx("b")));
        barrier.heard(&[answer("a", PeerVerb::Resolve), answer("a", PeerVerb::Commit)]);
        assert!(!is_answered(), "bank 2 has not answered");
        let asked = RequestKey { tx: tx("a"), verb: PeerVerb::Resolve };
        barrier.heard(&[Input::Answer { peer: bank(2), asked, reply: None, past: None }]);
        assert!(is_answered() && barrier.questions().is_some());
    }
}
