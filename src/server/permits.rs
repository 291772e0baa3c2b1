//! Who may have a session: so many places, some of them kept for banks. Pure.

use consorcio_core::limits::{SESSIONS_FOR_BANKS, SESSIONS_MAX};

/// What a session's place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// One that any client may take.
    Client,
    /// All places for clients are taken: it must show soon that it is a bank.
    Probation,
    /// One that is kept for banks.
    Bank,
}

/// The places of one server.
#[derive(Debug)]
pub struct Permits {
    max: usize,
    /// ... of which these are kept for banks.
    for_banks: usize,
    clients: usize,
    /// Banks, and those who must show that they are one.
    banks: usize,
}

impl Default for Permits {
    fn default() -> Permits {
        Permits::new(SESSIONS_MAX, SESSIONS_FOR_BANKS)
    }
}

impl Permits {
    /// `max` places, of which `for_banks` are kept for banks.
    pub fn new(max: usize, for_banks: usize) -> Permits {
        assert!(for_banks < max, "there are places for clients");
        Permits { max, for_banks, clients: 0, banks: 0 }
    }

    /// A place for a new connection, if there is one.
    pub fn enter(&mut self) -> Option<Permit> {
        if self.clients < self.max - self.for_banks {
            self.clients += 1;
            Some(Permit::Client)
        } else if self.banks < self.for_banks {
            self.banks += 1;
            Some(Permit::Probation)
        } else {
            None
        }
    }

    /// A session showed that it is a bank; returns its place from now on, a bank's unless all of
    /// those are taken.
    pub fn is_bank(&mut self, place: Permit) -> Permit {
        match place {
            Permit::Client if self.banks < self.for_banks => {
                self.clients -= 1;
                self.banks += 1;
                Permit::Bank
            }
            Permit::Client => Permit::Client,
            Permit::Probation | Permit::Bank => Permit::Bank,
        }
    }

    /// Gives back the permit of a session that ended.
    pub fn leave(&mut self, place: Permit) {
        match place {
            Permit::Client => self.clients -= 1,
            Permit::Probation | Permit::Bank => self.banks -= 1,
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
        let mut places = Permits::new(4, 2);
        assert_eq!(places.enter(), Some(Permit::Client));
        assert!(!places.is_full());
        assert_eq!(places.enter(), Some(Permit::Client));
        assert!(places.is_full());
        assert_eq!(places.enter(), Some(Permit::Probation));
        assert_eq!(places.enter(), Some(Permit::Probation));
        assert_eq!(places.enter(), None);
        assert_eq!(places.is_bank(Permit::Probation), Permit::Bank);
        places.leave(Permit::Probation);
        assert_eq!(
            places.is_bank(Permit::Client),
            Permit::Bank,
            "a bank gives its client's place back"
        );
        assert_eq!(places.enter(), Some(Permit::Client));
        assert_eq!(places.enter(), None);
        assert_eq!(
            places.is_bank(Permit::Client),
            Permit::Client,
            "all places for banks are taken"
        );
        places.leave(Permit::Bank);
        assert_eq!(places.enter(), Some(Permit::Probation));
    }
}
