//! Who may have a session: so many places, some of them kept for banks, and memory for all. Pure.

use crate::limits::{LINE_BYTES_MAX, SESSIONS_BYTES_MAX, SESSIONS_FOR_BANKS, SESSIONS_MAX};
use std::cell::Cell;

/// What a session's place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anyone's.
    Client,
    /// All places for clients are taken: it must show soon that it is a bank.
    Probation,
    /// A bank's.
    Bank,
}

/// The places of one server.
#[derive(Debug)]
pub struct Places {
    /// Places for all.
    max: usize,
    /// ... of which these are kept for banks.
    for_banks: usize,
    clients: usize,
    /// Banks, and those who must show that they are one.
    banks: usize,
}

impl Default for Places {
    fn default() -> Places {
        Places::new(SESSIONS_MAX, SESSIONS_FOR_BANKS)
    }
}

impl Places {
    /// `max` places, of which `for_banks` are kept for banks.
    pub fn new(max: usize, for_banks: usize) -> Places {
        assert!(for_banks < max, "there are places for clients");
        Places { max, for_banks, clients: 0, banks: 0 }
    }

    /// A place for a new connection, if there is one.
    pub fn enter(&mut self) -> Option<Place> {
        if self.clients < self.max - self.for_banks {
            self.clients += 1;
            Some(Place::Client)
        } else if self.banks < self.for_banks {
            self.banks += 1;
            Some(Place::Probation)
        } else {
            None
        }
    }

    /// A session showed that it is a bank; returns its place from now on, a bank's unless all of those are taken.
    pub fn is_bank(&mut self, place: Place) -> Place {
        match place {
            Place::Client if self.banks < self.for_banks => {
                self.clients -= 1;
                self.banks += 1;
                Place::Bank
            }
            Place::Client => Place::Client,
            Place::Probation | Place::Bank => Place::Bank,
        }
    }

    /// A session ended.
    pub fn leave(&mut self, place: Place) {
        match place {
            Place::Client => self.clients -= 1,
            Place::Probation | Place::Bank => self.banks -= 1,
        }
    }

    /// How many may come.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Are all places that clients may have taken?
    pub fn is_full(&self) -> bool {
        self.clients >= self.max - self.for_banks
    }
}

/// What each session may always hold, so that nobody can take all memory from the others.
pub const SESSION_BYTES_OWN: usize = 16 * 1024;

/// Set aside for a long line that was begun: enough for all of it, and for any reply. Halves of lines that used up all
/// memory would wait for each other.
pub const LINE_BYTES_WHOLE: usize = 2 * LINE_BYTES_MAX;

const _: () = assert!(SESSIONS_MAX * SESSION_BYTES_OWN + LINE_BYTES_WHOLE < SESSIONS_BYTES_MAX);

/// The memory that sessions share: what they hold beyond their own part.
#[derive(Debug)]
pub struct SharedBytes {
    left: Cell<usize>,
}

impl SharedBytes {
    /// What is left of `SESSIONS_BYTES_MAX` once each of `sessions_max` sessions has its own part.
    pub fn new(sessions_max: usize) -> SharedBytes {
        SharedBytes { left: Cell::new(SESSIONS_BYTES_MAX.saturating_sub(sessions_max * SESSION_BYTES_OWN)) }
    }

    /// Is there nothing left for a long line?
    pub fn is_short(&self) -> bool {
        self.left.get() + SESSION_BYTES_OWN < LINE_BYTES_WHOLE
    }
}

/// One session's part in it; given back when dropped.
#[derive(Debug)]
pub struct Share {
    of: std::rc::Rc<SharedBytes>,
    taken: usize,
}

impl Share {
    /// Nothing taken yet.
    pub fn of(shared: &std::rc::Rc<SharedBytes>) -> Share {
        Share { of: shared.clone(), taken: 0 }
    }

    /// The session holds `bytes` now; what it holds already is not refused, but counted.
    pub fn set(&mut self, bytes: usize) {
        let wanted = bytes.saturating_sub(SESSION_BYTES_OWN);
        let left = self.of.left.get();
        self.of.left.set((left + self.taken).saturating_sub(wanted));
        self.taken = (left + self.taken).min(wanted);
    }

    /// May it hold `bytes`?
    pub fn may_hold(&self, bytes: usize) -> bool {
        bytes.saturating_sub(SESSION_BYTES_OWN) <= self.of.left.get() + self.taken
    }

    /// Does it hold more than its own part?
    pub fn is_borrowing(&self) -> bool {
        self.taken > 0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.left.set(self.of.left.get() + self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn some_places_are_kept_for_banks() {
        let mut places = Places::new(4, 2);
        assert_eq!(places.enter(), Some(Place::Client));
        assert!(!places.is_full());
        assert_eq!(places.enter(), Some(Place::Client));
        assert!(places.is_full());
        assert_eq!(places.enter(), Some(Place::Probation));
        assert_eq!(places.enter(), Some(Place::Probation));
        assert_eq!(places.enter(), None);
        assert_eq!(places.is_bank(Place::Probation), Place::Bank);
        places.leave(Place::Probation);
        assert_eq!(places.is_bank(Place::Client), Place::Bank, "a bank gives its client's place back");
        assert_eq!(places.enter(), Some(Place::Client));
        assert_eq!(places.enter(), None);
        assert_eq!(places.is_bank(Place::Client), Place::Client, "all places for banks are taken");
        places.leave(Place::Bank);
        assert_eq!(places.enter(), Some(Place::Probation));
    }

    #[test]
    fn memory_is_shared_beyond_each_ones_own() {
        let shared = Rc::new(SharedBytes { left: Cell::new(100_000) });
        let (mut a, mut b) = (Share::of(&shared), Share::of(&shared));
        a.set(SESSION_BYTES_OWN);
        assert_eq!(shared.left.get(), 100_000);
        assert!(!a.is_borrowing());
        assert!(a.may_hold(SESSION_BYTES_OWN + 100_000) && !a.may_hold(SESSION_BYTES_OWN + 100_001));
        a.set(SESSION_BYTES_OWN + 90_000);
        assert!(a.is_borrowing() && shared.is_short());
        assert!(a.may_hold(SESSION_BYTES_OWN + 100_000));
        assert!(b.may_hold(SESSION_BYTES_OWN + 10_000) && !b.may_hold(SESSION_BYTES_OWN + 10_001));
        b.set(SESSION_BYTES_OWN + 20_000);
        assert_eq!(shared.left.get(), 0);
        assert!(b.may_hold(SESSION_BYTES_OWN) && !b.may_hold(SESSION_BYTES_OWN + 10_001));
        a.set(10);
        assert_eq!(shared.left.get(), 90_000);
        drop(a);
        drop(b);
        assert_eq!(shared.left.get(), 100_000);
    }
}
