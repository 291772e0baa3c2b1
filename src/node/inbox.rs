//! Where sessions and links put what the bank is to decide, and the clock that its timers run on.

use crate::queue::Queue;
use consorcio_core::bank::io::Input;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;
use tokio::sync::Notify;

/// The bank's monotonic clock, which timers run on.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
}

impl Clock {
    /// It counts from now on.
    pub fn start() -> Clock {
        Clock { began: Instant::now() }
    }

    /// The monotonic clock in microseconds.
    pub fn mono_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The moment at which the monotonic clock shows `mono_us`.
    pub fn instant(&self, mono_us: u64) -> Instant {
        self.began + std::time::Duration::from_micros(mono_us)
    }
}

/// The way to the bank, for all tasks of the thread that it lives on.
#[derive(Debug)]
pub struct Inbox {
    queue: RefCell<Queue>,
    wake: Arc<Notify>,
    /// Sessions that found the queue full.
    waiting: RefCell<Vec<Waker>>,
    stop: Cell<bool>,
    clock: Clock,
}

impl Inbox {
    /// An empty inbox; `wake` tells the node that something came.
    pub fn new(clock: Clock, wake: Arc<Notify>) -> Inbox {
        Inbox {
            queue: RefCell::default(),
            wake,
            waiting: RefCell::default(),
            stop: Cell::new(false),
            clock,
        }
    }

    /// The bank's monotonic clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Adds something that no bound of the queue is for: what peers tell, and sessions that end.
    pub fn offer(&self, input: Input) {
        self.queue.borrow_mut().push(self.clock.mono_us(), input);
        self.wake.notify_one();
    }

    /// Adds many of them, in their order.
    pub fn offer_all(&self, inputs: &mut Vec<Input>) {
        let since_us = self.clock.mono_us();
        self.fill(|queue| inputs.drain(..).for_each(|input| queue.push(since_us, input)));
    }

    /// Lets `fill` add what it has, within the queue's room, and wakes the node if it did.
    pub fn fill<T>(&self, fill: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue.borrow_mut();
        let before = queue.len();
        let result = fill(&mut queue);
        if queue.len() > before {
            self.wake.notify_one();
        }
        result
    }

    /// `waker` is told once when the queue has room again.
    pub fn wait_for_room(&self, waker: &Waker) {
        self.waiting.borrow_mut().push(waker.clone());
    }

    /// All that waits is to be decided and synced, and then the node ends.
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

    /// Lets `take` take what waits, and wakes whoever waited for room if there is some now.
    pub(super) fn take<T>(&self, take: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue.borrow_mut();
        let result = take(&mut queue);
        if queue.room() > 0 {
            self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
        }
        result
    }
}
