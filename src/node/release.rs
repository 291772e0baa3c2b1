//! Holds replies and messages until the records that they depend on are durable. Pure.
//!
//! At most one batch is under sync and one is being filled, so every held item waits for one of the
//! two.

use consorcio_core::bank::io::Seq;

/// Holds items until the record that each depends on is durable.
#[derive(Debug)]
pub(crate) struct Release<T> {
    /// Every record up to this one is synced.
    durable: Seq,
    /// Every record up to this one is synced or under sync.
    under_sync: Seq,
    /// Items that wait for the sync under way.
    soon: Vec<T>,
    /// Items that wait for the batch that is being filled.
    later: Vec<T>,
}

impl<T> Release<T> {
    /// Holds nothing yet; all records up to `durable` are synced.
    pub(crate) fn new(durable: Seq) -> Release<T> {
        Release { durable, under_sync: durable, soon: Vec::new(), later: Vec::new() }
    }

    /// Every record up to this one is synced.
    pub(crate) fn durable(&self) -> Seq {
        self.durable
    }

    /// Puts `item` into `out` if all records up to `after` are durable; else holds it until they
    /// are.
    pub(crate) fn submit(&mut self, after: Seq, item: T, out: &mut Vec<T>) {
        if after <= self.durable {
            out.push(item);
        } else if after <= self.under_sync {
            self.soon.push(item);
        } else {
            self.later.push(item);
        }
    }

    /// Does an item wait for records that are not under sync yet?
    pub(crate) fn needs_sync(&self) -> bool {
        !self.later.is_empty()
    }

    /// Whether it holds no item.
    pub(crate) fn is_empty(&self) -> bool {
        self.soon.is_empty() && self.later.is_empty()
    }

    /// A sync of all records up to `seq` has begun.
    pub(crate) fn began(&mut self, seq: Seq) {
        assert!(self.soon.is_empty() && self.durable == self.under_sync, "one sync at a time");
        assert!(seq >= self.durable, "records are only added");
        self.under_sync = seq;
        std::mem::swap(&mut self.soon, &mut self.later);
    }

    /// That sync is done: items that waited for it go to `out`, in the order of their submission.
    pub(crate) fn ended(&mut self, out: &mut Vec<T>) {
        self.durable = self.under_sync;
        out.append(&mut self.soon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Submits `item`; returns whether it was released at once.
    fn passes(release: &mut Release<&'static str>, after: Seq, item: &'static str) -> bool {
        let mut out = Vec::new();
        release.submit(after, item, &mut out);
        out == [item]
    }

    fn ended(release: &mut Release<&'static str>) -> Vec<&'static str> {
        let mut out = Vec::new();
        release.ended(&mut out);
        out
    }

    #[test]
    fn nothing_is_released_before_its_record_is_durable() {
        let mut release = Release::new(10);
        assert!(passes(&mut release, 0, "ping") && passes(&mut release, 10, "old"));
        assert!(!passes(&mut release, 11, "a"));
        assert!(release.needs_sync());
        release.began(12);
        assert!(!release.needs_sync() && !release.is_empty());
        assert!(!passes(&mut release, 12, "b"), "under sync is not durable");
        assert!(!passes(&mut release, 11, "c"));
        assert!(!passes(&mut release, 13, "later"));
        assert!(passes(&mut release, 10, "old"));
        assert_eq!(release.durable(), 10);
        assert_eq!(ended(&mut release), ["a", "b", "c"]);
        assert_eq!(release.durable(), 12);
        assert!(passes(&mut release, 12, "b again") && release.needs_sync());
        release.began(13);
        assert_eq!(ended(&mut release), ["later"]);
        assert!(release.is_empty());
    }

    #[test]
    fn a_sync_that_nothing_waits_for_counts_too() {
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
