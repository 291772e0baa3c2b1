//! What may leave only after a sync, and waits for it. Pure.
//!
//! At most one batch is under sync and one is being filled, so whatever waits, waits for one of the
//! two.

use consorcio_core::bank::io::Seq;

/// Holds things until the record that they rest on is durable.
#[derive(Debug)]
pub struct Release<T> {
    /// Every record up to this one is synced.
    durable: Seq,
    /// Every record up to this one is synced or under sync.
    under_sync: Seq,
    /// Waits for the sync under way.
    soon: Vec<T>,
    /// Waits for the batch that is being filled.
    later: Vec<T>,
}

impl<T> Release<T> {
    /// Nothing waits, and all records up to `durable` are synced.
    pub fn new(durable: Seq) -> Release<T> {
        Release { durable, under_sync: durable, soon: Vec::new(), later: Vec::new() }
    }

    /// Every record up to this one is synced.
    pub fn durable(&self) -> Seq {
        self.durable
    }

    /// Puts `thing` into `out` if all records up to `after` are durable, and else keeps it until
    /// they are.
    pub fn leave(&mut self, after: Seq, thing: T, out: &mut Vec<T>) {
        if after <= self.durable {
            out.push(thing);
        } else if after <= self.under_sync {
            self.soon.push(thing);
        } else {
            self.later.push(thing);
        }
    }

    /// Does anything wait for records that no sync is under way for?
    pub fn needs_sync(&self) -> bool {
        !self.later.is_empty()
    }

    /// Says whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.soon.is_empty() && self.later.is_empty()
    }

    /// A sync of all records up to `seq` began.
    pub fn began(&mut self, seq: Seq) {
        assert!(self.soon.is_empty() && self.durable == self.under_sync, "one sync at a time");
        assert!(seq >= self.durable, "records are only added");
        self.under_sync = seq;
        std::mem::swap(&mut self.soon, &mut self.later);
    }

    /// That sync is done: what waited for it goes to `out`, in the order in which it came.
    pub fn ended(&mut self, out: &mut Vec<T>) {
        self.durable = self.under_sync;
        out.append(&mut self.soon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(release: &mut Release<&'static str>, after: Seq, thing: &'static str) -> bool {
        let mut out = Vec::new();
        release.leave(after, thing, &mut out);
        out == [thing]
    }

    fn ended(release: &mut Release<&'static str>) -> Vec<&'static str> {
        let mut out = Vec::new();
        release.ended(&mut out);
        out
    }

    #[test]
    fn nothing_leaves_before_its_record_is_durable() {
        let mut release = Release::new(10);
        assert!(left(&mut release, 0, "ping") && left(&mut release, 10, "old"));
        assert!(!left(&mut release, 11, "a"));
        assert!(release.needs_sync());
        release.began(12);
        assert!(!release.needs_sync() && !release.is_empty());
        assert!(!left(&mut release, 12, "b"), "under sync is not durable");
        assert!(!left(&mut release, 11, "c"));
        assert!(!left(&mut release, 13, "later"));
        assert!(left(&mut release, 10, "old"));
        assert_eq!(release.durable(), 10);
        assert_eq!(ended(&mut release), ["a", "b", "c"]);
        assert_eq!(release.durable(), 12);
        assert!(left(&mut release, 12, "b again") && release.needs_sync());
        release.began(13);
        assert_eq!(ended(&mut release), ["later"]);
        assert!(release.is_empty());
    }

    #[test]
    fn a_sync_without_anyone_waiting_moves_on_too() {
        let mut release = Release::new(0);
        release.began(5);
        assert_eq!(ended(&mut release), [""; 0]);
        assert_eq!(release.durable(), 5);
    }

    #[test]
    #[should_panic(expected = "one sync at a time")]
    fn there_is_one_sync_at_a_time() {
        let mut release = Release::<()>::new(0);
        release.began(1);
        release.began(2);
    }
}
