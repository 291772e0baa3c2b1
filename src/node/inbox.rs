//! Where sessions and links enqueue inputs for the bank; and the clock of its timers.

use crate::queue::Queue;
use consorcio_core::bank::io::Input;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;
use tokio::sync::Notify;

/// The bank's monotonic clock, for timers.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock {
    began: Instant,
}

impl MonotonicClock {
    /// A clock that counts from now.
    pub fn start() -> MonotonicClock {
        MonotonicClock { began: Instant::now() }
    }

    /// The present time in microseconds.
    pub fn mono_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The moment at which this clock shows `mono_us`.
    pub fn instant(&self, mono_us: u64) -> Instant {
        self.began + std::time::Duration::from_micros(mono_us)
    }
}

/// The queue of the bank, shared by all tasks on its thread.
#[derive(Debug)]
pub struct Inbox {
    queue: RefCell<Queue>,
    wake: Arc<Notify>,
    /// Sessions that wait for room in the queue.
    waiting: RefCell<Vec<Waker>>,
    stop: Cell<bool>,
    clock: MonotonicClock,
}

impl Inbox {
    /// An empty inbox; it notifies `wake` of new inputs.
    pub fn new(clock: MonotonicClock, wake: Arc<Notify>) -> Inbox {
        Inbox {
            queue: RefCell::default(),
            wake,
            waiting: RefCell::default(),
            stop: Cell::new(false),
            clock,
        }
    }

    /// The monotonic clock that timers use.
    pub fn clock(&self) -> MonotonicClock {
        self.clock
    }

    /// Enqueues an input that does not count against the bound: from a peer, or the end of a
    /// session.
    pub fn offer(&self, input: Input) {
        self.queue.borrow_mut().push(self.clock.mono_us(), input);
        self.wake.notify_one();
    }

    /// Enqueues several such inputs in their order.
    pub fn offer_all(&self, inputs: &mut Vec<Input>) {
        let since_us = self.clock.mono_us();
        self.fill(|queue| inputs.drain(..).for_each(|input| queue.push(since_us, input)));
    }

    /// Runs `fill`, which may push as much as the queue has room for; wakes the node if it did.
    pub fn fill<T>(&self, fill: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue.borrow_mut();
        let before = queue.len();
        let result = fill(&mut queue);
        if queue.len() > before {
            self.wake.notify_one();
        }
        result
    }

    /// How many more requests the queue takes now.
    pub fn room(&self) -> usize {
        self.queue.borrow().room(self.clock.mono_us())
    }

    /// Wakes `waker` once, as soon as the queue has room again.
    pub fn wait_for_room(&self, waker: &Waker) {
        self.waiting.borrow_mut().push(waker.clone());
    }

    /// Makes the node end once everything in the queue is decided and synced.
    pub fn stop(&self) {
        self.stop.set(true);
        self.wake.notify_one();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.get()
    }

    pub(super) async fn notified(&self) {
        self.wake.notified().await;
    }

    /// Runs `take`, which may pop inputs; wakes the sessions that wait for room if there is some.
    pub(super) fn take<T>(&self, take: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue.borrow_mut();
        let result = take(&mut queue);
        if queue.room(self.clock.mono_us()) > 0 {
            self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
        }
        result
    }
}
