//! The slots of open connections, and which connection is evicted for a new one.
//!
//! At the bound a new connection evicts one that never sent a request, else one that waits for its
//! next request, else one whose client has not read for a while; among these one of the address
//! with the most connections, and the oldest of it. A new connection is refused only if all are at
//! work.

use consorcio_core::limits::HTTP_STALLED_MS;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// All slots of HTTP connections.
#[derive(Debug, Clone)]
pub(crate) struct Connections(Arc<SlotTable>);

#[derive(Debug)]
struct SlotTable {
    most: usize,
    taken: Mutex<Occupancy>,
}

#[derive(Debug, Default)]
struct Occupancy {
    next: u64,
    slots: BTreeMap<u64, Arc<ConnectionSlot>>,
    /// Unread long responses, oldest first: the slot and the number of bytes.
    unread: BTreeMap<u64, (Arc<ConnectionSlot>, usize)>,
    unread_bytes: usize,
}

/// The slot of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    number: u64,
    peer: IpAddr,
    has_asked: AtomicBool,
    /// Complete requests whose responses have not been passed to the socket yet.
    at_work: AtomicUsize,
    stalled: Mutex<Option<Instant>>,
    evicted: Notify,
}

/// The right to a slot; returned when dropped.
#[derive(Debug)]
pub(crate) struct SlotPermit {
    connections: Connections,
    slot: Arc<ConnectionSlot>,
}

/// Marks a connection as at work until dropped.
#[derive(Debug)]
pub(crate) struct AtWork(Arc<ConnectionSlot>);

/// Counts a long response as unread until dropped.
#[derive(Debug)]
pub(crate) struct UnreadBody {
    connections: Connections,
    number: u64,
}

impl Connections {
    /// A table with `most` slots.
    pub(crate) fn new(most: usize) -> Connections {
        Connections(Arc::new(SlotTable { most, taken: Mutex::default() }))
    }

    /// A slot for a connection of `peer`, if need be an evicted one; `None` if all are at work. At
    /// the bound it runs over all slots.
    pub(crate) fn take(&self, peer: IpAddr) -> Option<SlotPermit> {
        let mut taken = self.taken();
        if taken.slots.len() >= self.0.most {
            let slot = slot_to_evict(&taken.slots)?;
            taken.slots.remove(&slot.number);
            slot.evict();
        }
        taken.next += 1;
        let slot = Arc::new(ConnectionSlot {
            number: taken.next,
            peer,
            has_asked: AtomicBool::new(false),
            at_work: AtomicUsize::new(0),
            stalled: Mutex::default(),
            evicted: Notify::new(),
        });
        taken.slots.insert(slot.number, slot.clone());
        Some(SlotPermit { connections: self.clone(), slot })
    }

    /// Counts a long response of so many bytes on `slot` as unread. While the unread responses
    /// exceed `most` bytes together, the connection of the oldest other one is evicted.
    pub(crate) fn track_unread(
        &self,
        slot: &Arc<ConnectionSlot>,
        bytes: usize,
        most: usize,
    ) -> UnreadBody {
        let mut taken = self.taken();
        while taken.unread_bytes + bytes > most
            && let Some((_, (oldest, freed))) = taken.unread.pop_first()
        {
            taken.unread_bytes -= freed;
            oldest.evict();
        }
        taken.next += 1;
        let number = taken.next;
        taken.unread.insert(number, (slot.clone(), bytes));
        taken.unread_bytes += bytes;
        UnreadBody { connections: self.clone(), number }
    }

    fn taken(&self) -> MutexGuard<'_, Occupancy> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slot to evict first; `None` if all are at work.
fn slot_to_evict(slots: &BTreeMap<u64, Arc<ConnectionSlot>>) -> Option<Arc<ConnectionSlot>> {
    let mut of_peer: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for slot in slots.values() {
        *of_peer.entry(slot.peer).or_default() += 1;
    }
    let rank = |slot: &&Arc<ConnectionSlot>| {
        let idle = slot.at_work.load(Ordering::Relaxed) == 0;
        let class = match (idle, slot.has_asked.load(Ordering::Relaxed)) {
            (true, false) => 3,
            (true, true) => 2,
            (false, _) if slot.is_stalled() => 1,
            (false, _) => 0,
        };
        (class, of_peer[&slot.peer], std::cmp::Reverse(slot.number))
    };
    let best = slots.values().max_by_key(rank)?;
    (rank(&best).0 > 0).then(|| best.clone())
}

impl SlotPermit {
    /// The slot that it holds.
    pub(crate) fn slot(&self) -> &Arc<ConnectionSlot> {
        &self.slot
    }
}

impl Drop for SlotPermit {
    fn drop(&mut self) {
        self.connections.taken().slots.remove(&self.slot.number);
    }
}

impl Drop for UnreadBody {
    fn drop(&mut self) {
        let mut taken = self.connections.taken();
        if let Some((_, bytes)) = taken.unread.remove(&self.number) {
            taken.unread_bytes -= bytes;
        }
    }
}

impl ConnectionSlot {
    /// A request is complete: the connection is at work until the returned value is dropped.
    pub(crate) fn work(self: &Arc<ConnectionSlot>) -> AtWork {
        self.has_asked.store(true, Ordering::Relaxed);
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(self.clone())
    }

    /// Records whether the client has stopped reading.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        let mut since = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        *since = stalled.then(|| since.unwrap_or_else(Instant::now));
    }

    fn is_stalled(&self) -> bool {
        let since = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() >= Duration::from_millis(HTTP_STALLED_MS))
    }

    fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Waits until the connection is evicted.
    pub(crate) async fn wait_evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

    fn is_evicted(permit: &SlotPermit) -> bool {
        !permit.connections.taken().slots.contains_key(&permit.slot.number)
    }

    #[test]
    fn silent_connections_are_evicted_first_and_those_at_work_never() {
        let connections = Connections::new(3);
        let [idle, silent, working] = [(); 3].map(|()| connections.take(HERE).unwrap());
        drop(idle.slot().work());
        let work = working.slot().work();
        let new = connections.take(HERE).unwrap();
        assert!(is_evicted(&silent) && !is_evicted(&idle));
        let _working_too = new.slot().work();
        let newer = connections.take(HERE).unwrap();
        assert!(is_evicted(&idle));
        let _all_work = newer.slot().work();
        assert!(connections.take(HERE).is_none(), "all are at work");
        drop(work);
        assert!(connections.take(HERE).is_some() && is_evicted(&working));
    }

    #[test]
    fn the_address_with_the_most_connections_loses_one() {
        let connections = Connections::new(3);
        let lone = connections.take(THERE).unwrap();
        let many = [(); 2].map(|()| connections.take(HERE).unwrap());
        let _new = connections.take(THERE).unwrap();
        assert!(is_evicted(&many[0]) && !is_evicted(&lone) && !is_evicted(&many[1]));
    }

    #[tokio::test]
    async fn the_unread_bytes_of_all_responses_are_bounded() {
        let connections = Connections::new(3);
        let [a, b, c] = [(); 3].map(|()| connections.take(HERE).unwrap());
        let _first = connections.track_unread(a.slot(), 60, 100);
        let second = connections.track_unread(b.slot(), 40, 100);
        assert_eq!(connections.taken().unread_bytes, 100);
        let third = connections.track_unread(c.slot(), 50, 100);
        a.slot().wait_evicted().await;
        assert_eq!(connections.taken().unread_bytes, 90);
        drop((second, third));
        assert_eq!(connections.taken().unread_bytes, 0);
        // A response larger than the bound evicts all others.
        let _large = connections.track_unread(b.slot(), 1_000, 100);
        assert_eq!(connections.taken().unread.len(), 1);
    }
}
