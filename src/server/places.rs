//! Who may have a session: so many places, some of them kept for banks. Pure.

use consorcio_core::limits::{SESSIONS_FOR_BANKS, SESSIONS_MAX};

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

    /// A session showed that it is a bank; returns its place from now on, a bank's unless all of
    /// those are taken.
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(
            places.is_bank(Place::Client),
            Place::Bank,
            "a bank gives its client's place back"
        );
        assert_eq!(places.enter(), Some(Place::Client));
        assert_eq!(places.enter(), None);
        assert_eq!(places.is_bank(Place::Client), Place::Client, "all places for banks are taken");
        places.leave(Place::Bank);
        assert_eq!(places.enter(), Some(Place::Probation));
    }
}
