//! The memory of all sessions: each has a part of its own, and all share the rest, with a FIFO
//! queue of waiters. Pure.
//!
//! Memory that a session returns is granted to the waiters in their order, as far as it suffices; a
//! waiter is woken only with a full grant. Grants are FIFO, so a large request cannot starve: while
//! a session waits, no later one gets shared memory.

use consorcio_core::limits::{LINE_BYTES_WHOLE, SESSION_BYTES_OWN};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Waker;

/// The shared memory: what sessions hold beyond their own parts.
#[derive(Debug)]
pub struct SharedBytes {
    left: Cell<usize>,
    /// The waiters in FIFO order, by increasing numbers.
    waiting: RefCell<BTreeMap<u64, MemoryWaiter>>,
    next: Cell<u64>,
}

/// A session that waits for memory.
#[derive(Debug)]
struct MemoryWaiter {
    /// The bytes that it needs beyond those that it holds.
    bytes: usize,
    /// Where the grant is stored.
    granted: Rc<Cell<usize>>,
    waker: Waker,
}

impl SharedBytes {
    /// The rest of `bytes_max` after each of `sessions_max` sessions has its own part.
    pub(crate) fn new(bytes_max: usize, sessions_max: usize) -> SharedBytes {
        SharedBytes::of(bytes_max.saturating_sub(sessions_max * SESSION_BYTES_OWN))
    }

    fn of(bytes: usize) -> SharedBytes {
        SharedBytes { left: Cell::new(bytes), waiting: RefCell::default(), next: Cell::new(0) }
    }

    /// Does a session wait, or is too little left for a long line?
    pub fn is_short(&self) -> bool {
        !self.waiting.borrow().is_empty() || self.left.get() + SESSION_BYTES_OWN < LINE_BYTES_WHOLE
    }

    /// Grants free memory to the waiters, in their order and as far as it suffices.
    fn serve(&self) {
        while let Some(waker) = self.serve_first() {
            waker.wake();
        }
    }

    fn serve_first(&self) -> Option<Waker> {
        let mut waiting = self.waiting.borrow_mut();
        let first = waiting.first_entry().filter(|first| first.get().bytes <= self.left.get())?;
        let MemoryWaiter { bytes, granted, waker } = first.remove();
        self.left.set(self.left.get() - bytes);
        granted.set(granted.get() + bytes);
        Some(waker)
    }
}

/// The shared memory that one session holds; returned when dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    of: Rc<SharedBytes>,
    taken: usize,
    /// Bytes granted since the last `update`.
    granted: Rc<Cell<usize>>,
    /// Its number among the waiters, if it waited at the last `update`.
    number: Option<u64>,
}

impl MemoryShare {
    /// A share that holds nothing yet.
    pub(crate) fn of(shared: &Rc<SharedBytes>) -> MemoryShare {
        MemoryShare { of: Rc::clone(shared), taken: 0, granted: Rc::default(), number: None }
    }

    /// May the session hold `bytes`? It may keep what it holds; it gets more only if no other
    /// session waits before it.
    pub(crate) fn may_hold(&self, bytes: usize) -> bool {
        let more =
            bytes.saturating_sub(SESSION_BYTES_OWN).saturating_sub(self.taken + self.granted.get());
        more == 0 || (more <= self.of.left.get() && self.is_next())
    }

    /// Records that the session holds `bytes` now. If it `wants` more bytes than it may hold yet,
    /// it waits, and is woken once it may hold them; otherwise it stops waiting.
    pub(crate) fn update(&mut self, bytes: usize, wants: Option<(usize, &Waker)>) {
        let had = self.taken + self.granted.take();
        let left = self.of.left.get() + had;
        let needed = bytes.saturating_sub(SESSION_BYTES_OWN);
        self.taken = needed.min(left);
        self.of.left.set(left - self.taken);
        match wants {
            Some((wanted, waker)) => self.wait(wanted, waker),
            None => self.stop_waiting(),
        }
        self.of.serve();
    }

    /// Does the session hold more than its own part?
    pub(crate) fn is_borrowing(&self) -> bool {
        self.taken > 0
    }

    fn wait(&mut self, wanted: usize, waker: &Waker) {
        let mut waiting = self.of.waiting.borrow_mut();
        // It keeps its number for as long as it waits.
        let number =
            self.number.filter(|number| waiting.contains_key(number)).unwrap_or_else(|| {
                let number = self.of.next.get();
                self.of.next.set(number + 1);
                number
            });
        self.number = Some(number);
        let bytes = wanted.saturating_sub(SESSION_BYTES_OWN).saturating_sub(self.taken);
        waiting.insert(
            number,
            MemoryWaiter { bytes, granted: Rc::clone(&self.granted), waker: waker.clone() },
        );
    }

    fn stop_waiting(&mut self) {
        if let Some(number) = self.number.take() {
            self.of.waiting.borrow_mut().remove(&number);
        }
    }

    /// Does no other session wait before it?
    fn is_next(&self) -> bool {
        self.of
            .waiting
            .borrow()
            .first_key_value()
            .is_none_or(|(first, _)| Some(*first) == self.number)
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.update(0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    const OWN: usize = SESSION_BYTES_OWN;

    /// Counts the wakes of a session.
    #[derive(Debug, Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A session, reduced to its memory.
    struct TestSession {
        share: MemoryShare,
        woken: Arc<Woken>,
    }

    impl TestSession {
        fn of(shared: &Rc<SharedBytes>) -> TestSession {
            TestSession { share: MemoryShare::of(shared), woken: Arc::default() }
        }

        /// Makes it hold `bytes` beyond its own part, without waiting.
        fn holds(&mut self, bytes: usize) {
            self.share.update(OWN + bytes, None);
        }

        /// Makes it hold only its own part, and wait until it may hold `bytes` more.
        fn waits_for(&mut self, bytes: usize) {
            assert!(!self.share.may_hold(OWN + bytes));
            self.share.update(OWN, Some((OWN + bytes, &Waker::from(Arc::clone(&self.woken)))));
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::Relaxed)
        }
    }

    fn sessions<const N: usize>(bytes: usize) -> (Rc<SharedBytes>, [TestSession; N]) {
        let shared = Rc::new(SharedBytes::of(bytes));
        let sessions = std::array::from_fn(|_| TestSession::of(&shared));
        (shared, sessions)
    }

    #[test]
    fn sessions_share_the_memory_beyond_their_own_parts() {
        let (shared, [mut a, mut b]) = sessions(100_000);
        a.share.update(OWN, None);
        assert_eq!(shared.left.get(), 100_000);
        assert!(!a.share.is_borrowing());
        assert!(a.share.may_hold(OWN + 100_000) && !a.share.may_hold(OWN + 100_001));
        a.holds(90_000);
        assert!(a.share.is_borrowing() && shared.is_short());
        assert!(a.share.may_hold(OWN + 100_000));
        assert!(b.share.may_hold(OWN + 10_000) && !b.share.may_hold(OWN + 10_001));
        b.holds(20_000);
        assert_eq!(shared.left.get(), 0);
        assert!(b.share.may_hold(OWN) && !b.share.may_hold(OWN + 10_001));
        a.share.update(10, None);
        assert_eq!(shared.left.get(), 90_000);
        drop(a);
        drop(b);
        assert_eq!(shared.left.get(), 100_000);
    }

    #[test]
    fn a_waiter_is_woken_when_enough_memory_is_free_and_not_before() {
        let (shared, [mut holder, mut waits]) = sessions(100);
        holder.holds(80);
        waits.waits_for(50);
        assert!(shared.is_short(), "a session waits");
        holder.holds(60);
        assert_eq!(waits.woken(), 0, "40 bytes are free");
        holder.holds(30);
        assert_eq!((waits.woken(), shared.left.get()), (1, 20), "the grant is reserved for it");
        assert!(waits.share.may_hold(OWN + 50) && !holder.share.may_hold(OWN + 51));
        waits.holds(50);
        assert_eq!((waits.woken(), shared.left.get()), (1, 20));
    }

    #[test]
    fn a_grant_must_suffice_and_no_waiter_is_overtaken() {
        let (shared, [mut holder, mut first, mut second, mut third, mut late]) = sessions(100);
        holder.holds(100);
        first.waits_for(40);
        second.waits_for(50);
        third.waits_for(10);
        holder.holds(40);
        let woken = [&first, &second, &third].map(TestSession::woken);
        assert_eq!(woken, [1, 0, 0], "20 bytes are free, which would suffice for the third");
        assert_eq!(shared.left.get(), 20);
        assert!(!late.share.may_hold(OWN + 1), "a later session waits behind them");
        late.waits_for(1);
        // A grant that is not used goes to the next waiters.
        first.holds(0);
        assert_eq!([&first, &second, &third, &late].map(TestSession::woken), [1, 1, 1, 0]);
        assert_eq!(shared.left.get(), 0);
        drop(second);
        assert_eq!((late.woken(), shared.left.get()), (1, 49), "it ended before it used the grant");
    }

    #[test]
    fn a_waiter_keeps_its_position_and_may_leave_the_queue() {
        let (shared, [mut holder, mut first, mut second]) = sessions(100);
        holder.holds(100);
        first.waits_for(60);
        second.waits_for(60);
        // Woken by another event, it now needs less.
        first.waits_for(50);
        holder.holds(50);
        assert_eq!([&first, &second].map(TestSession::woken), [1, 0]);
        first.holds(50);
        first.holds(40);
        assert_eq!(second.woken(), 0);
        second.holds(0);
        first.holds(0);
        assert_eq!((second.woken(), shared.left.get()), (0, 50), "it has left the queue");
        assert!(shared.waiting.borrow().is_empty() && second.share.may_hold(OWN + 50));
    }

    /// For random operations: the bound holds, no session waits while the memory suffices for the
    /// first waiter, and each wake has its grant.
    #[test]
    fn random_operations_keep_the_bound_and_strand_no_waiter() {
        const BYTES: usize = 1_000;
        let mut seed = 11u64;
        let mut draw = |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let (mut waited, mut granted) = (0, 0);
        for _ in 0..50 {
            let (shared, mut all) = sessions::<12>(BYTES);
            for _ in 0..400 {
                let session = &mut all[draw(12)];
                let before = session.share.granted.get();
                let wanted = draw(400);
                if draw(10) == 0 {
                    *session = TestSession::of(&shared);
                } else if before > 0 {
                    let is_enough = session.share.may_hold(OWN + before + session.share.taken);
                    assert!(is_enough && session.woken() > 0);
                    granted += 1;
                    session.holds(before);
                } else if session.share.may_hold(OWN + wanted) {
                    session.holds(wanted);
                } else {
                    session.waits_for(wanted);
                    waited += 1;
                }
                let held: usize = all
                    .iter()
                    .map(|session| session.share.taken + session.share.granted.get())
                    .sum();
                assert_eq!(held + shared.left.get(), BYTES);
                let waiting = shared.waiting.borrow();
                let first = waiting.first_key_value().map(|(_, first)| first.bytes);
                assert!(
                    first.is_none_or(|bytes| bytes > shared.left.get()),
                    "{first:?} could be served"
                );
            }
            drop(all);
            assert!(shared.left.get() == BYTES && shared.waiting.borrow().is_empty());
        }
        assert!(waited > 1_000 && granted > 500, "{waited} waits, {granted} grants");
    }
}
