//! The connections that are open, and which one is closed for a new one: an idle connection, or one
//! that does not read its answer, keeps nobody out.
//!
//! At the bound a new connection replaces the one that is needed least: one that never sent a
//! request, then one that waits for its next request, then one that has not read for a while; of
//! these one of the address that has most, and the oldest. A new one is refused only where all are
//! at work.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A connection that has not taken a byte for so long may be given up for another.
const STALLED: Duration = Duration::from_secs(1);

/// All places.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    taken: Mutex<Occupancy>,
}

#[derive(Debug, Default)]
struct Occupancy {
    next: u64,
    places: BTreeMap<u64, Arc<Place>>,
    /// Long answers that are not read yet, by their order: whose, and how many bytes.
    unread: BTreeMap<u64, (Arc<Place>, usize)>,
    unread_bytes: usize,
}

/// A connection's place.
#[derive(Debug)]
pub struct Place {
    number: u64,
    peer: IpAddr,
    has_asked: AtomicBool,
    /// Requests that are whole, until their answers have been handed to the socket.
    at_work: AtomicUsize,
    stalled: Mutex<Option<Instant>>,
    gone: Notify,
}

/// A place that is taken; free again when this goes.
#[derive(Debug)]
pub struct Ticket {
    places: Connections,
    place: Arc<Place>,
}

/// A request is being answered on a place, until this goes.
#[derive(Debug)]
pub struct AtWork(Arc<Place>);

/// A long answer waits to be read, until this goes.
#[derive(Debug)]
pub struct Unread {
    places: Connections,
    number: u64,
}

impl Connections {
    /// `most` places.
    pub fn new(most: usize) -> Connections {
        Connections(Arc::new(Inner { most, taken: Mutex::default() }))
    }

    /// A place for a connection of `peer`; `None` where all are at work. Where all are taken it
    /// runs over them.
    pub fn take(&self, peer: IpAddr) -> Option<Ticket> {
        let mut taken = self.taken();
        if taken.places.len() >= self.0.most {
            let spared = spared(&taken.places)?;
            taken.places.remove(&spared.number);
            spared.give_up();
        }
        taken.next += 1;
        let place = Arc::new(Place {
            number: taken.next,
            peer,
            has_asked: AtomicBool::new(false),
            at_work: AtomicUsize::new(0),
            stalled: Mutex::default(),
            gone: Notify::new(),
        });
        taken.places.insert(place.number, place.clone());
        Some(Ticket { places: self.clone(), place })
    }

    /// A long answer of so many bytes is to be read on `place`. Where unread ones together are more
    /// than `most`, the oldest others are given up, connection and all.
    pub fn unread(&self, place: &Arc<Place>, bytes: usize, most: usize) -> Unread {
        let mut taken = self.taken();
        while taken.unread_bytes + bytes > most
            && let Some((_, (oldest, freed))) = taken.unread.pop_first()
        {
            taken.unread_bytes -= freed;
            oldest.give_up();
        }
        taken.next += 1;
        let number = taken.next;
        taken.unread.insert(number, (place.clone(), bytes));
        taken.unread_bytes += bytes;
        Unread { places: self.clone(), number }
    }

    fn taken(&self) -> MutexGuard<'_, Occupancy> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place that can best be spared; `None` where all are at work.
fn spared(places: &BTreeMap<u64, Arc<Place>>) -> Option<Arc<Place>> {
    let mut of_peer: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for place in places.values() {
        *of_peer.entry(place.peer).or_default() += 1;
    }
    let rank = |place: &&Arc<Place>| {
        let idle = place.at_work.load(Ordering::Relaxed) == 0;
        let class = match (idle, place.has_asked.load(Ordering::Relaxed)) {
            (true, false) => 3,
            (true, true) => 2,
            (false, _) if place.is_stalled() => 1,
            (false, _) => 0,
        };
        (class, of_peer[&place.peer], std::cmp::Reverse(place.number))
    };
    let best = places.values().max_by_key(rank)?;
    (rank(&best).0 > 0).then(|| best.clone())
}

impl Ticket {
    /// The place.
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.places.taken().places.remove(&self.place.number);
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some((_, bytes)) = taken.unread.remove(&self.number) {
            taken.unread_bytes -= bytes;
        }
    }
}

impl Place {
    /// A request came whole: until what this gives goes, the connection is at work.
    pub fn work(self: &Arc<Place>) -> AtWork {
        self.has_asked.store(true, Ordering::Relaxed);
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(self.clone())
    }

    /// Its other end takes nothing, or goes on to take.
    pub fn set_stalled(&self, stalled: bool) {
        let mut since = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        *since = stalled.then(|| since.unwrap_or_else(Instant::now));
    }

    fn is_stalled(&self) -> bool {
        let since = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() >= STALLED)
    }

    fn give_up(&self) {
        self.gone.notify_one();
    }

    /// Waits until another connection needs this place.
    pub async fn is_given_up(&self) {
        self.gone.notified().await;
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

    fn is_gone(ticket: &Ticket) -> bool {
        !ticket.places.taken().places.contains_key(&ticket.place.number)
    }

    #[test]
    fn who_never_asked_goes_first_and_who_is_at_work_stays() {
        let places = Connections::new(3);
        let [idle, silent, working] = [(); 3].map(|()| places.take(HERE).unwrap());
        drop(idle.place().work());
        let work = working.place().work();
        let new = places.take(HERE).unwrap();
        assert!(is_gone(&silent) && !is_gone(&idle));
        let _working_too = new.place().work();
        let newer = places.take(HERE).unwrap();
        assert!(is_gone(&idle));
        let _all_work = newer.place().work();
        assert!(places.take(HERE).is_none(), "all are at work");
        drop(work);
        assert!(places.take(HERE).is_some() && is_gone(&working));
    }

    #[test]
    fn the_peer_that_has_most_gives_one() {
        let places = Connections::new(3);
        let lone = places.take(THERE).unwrap();
        let many = [(); 2].map(|()| places.take(HERE).unwrap());
        let _new = places.take(THERE).unwrap();
        assert!(is_gone(&many[0]) && !is_gone(&lone) && !is_gone(&many[1]));
    }

    #[tokio::test]
    async fn unread_answers_have_a_bound_together() {
        let places = Connections::new(3);
        let [a, b, c] = [(); 3].map(|()| places.take(HERE).unwrap());
        let _first = places.unread(a.place(), 60, 100);
        let second = places.unread(b.place(), 40, 100);
        assert_eq!(places.taken().unread_bytes, 100);
        let third = places.unread(c.place(), 50, 100);
        a.place().is_given_up().await;
        assert_eq!(places.taken().unread_bytes, 90);
        drop((second, third));
        assert_eq!(places.taken().unread_bytes, 0);
        // One that is larger than the bound is alone.
        let _large = places.unread(b.place(), 1_000, 100);
        assert_eq!(places.taken().unread.len(), 1);
    }
}
