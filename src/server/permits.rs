//! The permits of sessions, some of them reserved for banks. Pure.

use consorcio_core::limits::{SESSIONS_FOR_BANKS, SESSIONS_MAX};

/// The kind of permit that a session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    /// A permit that any client may get.
    Client,
    /// A permit for a bank, given while none for clients is free: the session must soon prove to be
    /// a bank.
    Probation,
    /// A permit that is reserved for banks.
    Bank,
}

/// The permits of one server.
#[derive(Debug)]
pub(crate) struct Permits {
    max: usize,
    /// ... of which this many are reserved for banks.
    for_banks: usize,
    clients: usize,
    /// Sessions with a permit for a bank, those on probation included.
    banks: usize,
}

impl Default for Permits {
    fn default() -> Permits {
        Permits::new(SESSIONS_MAX, SESSIONS_FOR_BANKS)
    }
}

impl Permits {
    /// `max` permits, of which `for_banks` are reserved for banks.
    pub(crate) fn new(max: usize, for_banks: usize) -> Permits {
        assert!(for_banks < max, "some permits are for clients");
        Permits { max, for_banks, clients: 0, banks: 0 }
    }

    /// A permit for a new connection, if one is free.
    pub(crate) fn enter(&mut self) -> Option<Permit> {
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

    /// A session has proved to be a bank; returns its new permit, which is a bank's unless all of
    /// those are taken.
    pub(crate) fn promote(&mut self, permit: Permit) -> Permit {
        match permit {
            Permit::Client if self.banks < self.for_banks => {
                self.clients -= 1;
                self.banks += 1;
                Permit::Bank
            }
            Permit::Client => Permit::Client,
            Permit::Probation | Permit::Bank => Permit::Bank,
        }
    }

    /// Returns the permit of a session that ended.
    pub(crate) fn leave(&mut self, permit: Permit) {
        match permit {
            Permit::Client => self.clients -= 1,
            Permit::Probation | Permit::Bank => self.banks -= 1,
        }
    }

    /// Are all permits for clients taken?
    pub(crate) fn is_full(&self) -> bool {
        self.clients >= self.max - self.for_banks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_permits_are_reserved_for_banks() {
        let mut permits = Permits::new(4, 2);
        assert_eq!(permits.enter(), Some(Permit::Client));
        assert!(!permits.is_full());
        assert_eq!(permits.enter(), Some(Permit::Client));
        assert!(permits.is_full());
        assert_eq!(permits.enter(), Some(Permit::Probation));
        assert_eq!(permits.enter(), Some(Permit::Probation));
        assert_eq!(permits.enter(), None);
        assert_eq!(permits.promote(Permit::Probation), Permit::Bank);
        permits.leave(Permit::Probation);
        assert_eq!(
            permits.promote(Permit::Client),
            Permit::Bank,
            "a bank returns its client's permit"
        );
        assert_eq!(permits.enter(), Some(Permit::Client));
        assert_eq!(permits.enter(), None);
        assert_eq!(
            permits.promote(Permit::Client),
            Permit::Client,
            "all permits for banks are taken"
        );
        permits.leave(Permit::Bank);
        assert_eq!(permits.enter(), Some(Permit::Probation));
    }
}
