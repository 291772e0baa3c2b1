//! How often somebody may try to log in. Pure: the time comes in.
//!
//! A guesser is slowed by the name that it tries and by the address that it comes from. A name that
//! many addresses try is closed to strangers only: browsers that have logged in as that name
//! before, and certificates, still may, so nobody can lock a person out (a try of theirs counts
//! for their address alone).

use consorcio_core::access::Name;
use consorcio_core::limits::{
    LOGIN_TRIES_ADDRESS_MAX, LOGIN_TRIES_KEPT_MAX, LOGIN_TRIES_MS, LOGIN_TRIES_NAME_MAX,
    LOGIN_TRIES_PAIR_MAX, LOGIN_TRIES_SEARCHED_MS,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The tries of the last minute.
#[derive(Debug, Default)]
pub struct LogInTries {
    windows: BTreeMap<Counted, Window>,
    /// When a full table is searched again.
    searched_again_ms: u64,
}

/// Whose tries are counted together. A name that does not exist counts like one that does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    Pair(Name, IpAddr),
    Address(IpAddr),
    Name(Name),
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began_ms: u64,
    tries: u32,
}

/// Whether the browser that tries is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryWeight {
    /// A browser that has not logged in as this name yet.
    Stranger,
    /// A browser that has.
    KnownBrowser,
}

/// Somebody tried too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many tries: the next one is taken in {after_s} s")]
pub struct TooManyTries {
    /// When the next try is taken, in seconds from now.
    pub after_s: u64,
}

impl LogInTries {
    /// Counts a try of `name` from `address` at `now_ms` of the monotonic clock; `None` is a text
    /// that is no name, which counts for the address alone.
    ///
    /// It looks at three counters. A full table is searched for windows that are over, all
    /// `LOGIN_TRIES_KEPT_MAX` of it, once a second at most: who fills it can't make others search.
    ///
    /// # Errors
    /// If the name, the address or both together have tried too often; then nothing is counted.
    pub fn count(
        &mut self,
        now_ms: u64,
        name: Option<&Name>,
        address: IpAddr,
        weight: TryWeight,
    ) -> Result<(), TooManyTries> {
        let address = network_of(address);
        let mut counted = vec![(Counted::Address(address), LOGIN_TRIES_ADDRESS_MAX)];
        if let Some(name) = name {
            counted.push((Counted::Pair(name.clone(), address), LOGIN_TRIES_PAIR_MAX));
            if weight == TryWeight::Stranger {
                counted.push((Counted::Name(name.clone()), LOGIN_TRIES_NAME_MAX));
            }
        }
        for (whose, most) in &counted {
            let Some(window) = self.windows.get(whose).filter(|window| !window.is_over(now_ms))
            else {
                continue;
            };
            if window.tries >= *most {
                let left_ms = (window.began_ms + LOGIN_TRIES_MS).saturating_sub(now_ms);
                return Err(TooManyTries { after_s: left_ms.div_ceil(1_000).max(1) });
            }
        }
        if !self.has_room(now_ms) {
            return match weight {
                TryWeight::Stranger => {
                    Err(TooManyTries { after_s: LOGIN_TRIES_MS.div_ceil(1_000) })
                }
                TryWeight::KnownBrowser => Ok(()),
            };
        }
        for (whose, _) in &counted {
            let fresh = Window { began_ms: now_ms, tries: 0 };
            let window = self.windows.entry(whose.clone()).or_insert(fresh);
            if window.is_over(now_ms) {
                *window = fresh;
            }
            window.tries += 1;
        }
        Ok(())
    }

    /// Whether three more windows fit, after those that are over are forgotten. A running window is
    /// never forgotten, or a guesser could clear its own count by filling the table.
    fn has_room(&mut self, now_ms: u64) -> bool {
        let fits = |windows: &BTreeMap<_, _>| windows.len() + 3 <= LOGIN_TRIES_KEPT_MAX;
        if !fits(&self.windows) && now_ms >= self.searched_again_ms {
            self.searched_again_ms = now_ms + LOGIN_TRIES_SEARCHED_MS;
            self.windows.retain(|_, window: &mut Window| !window.is_over(now_ms));
        }
        fits(&self.windows)
    }
}

impl Window {
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.began_ms) >= LOGIN_TRIES_MS
    }
}

/// One IPv6 network of 64 bits is one address here: its user has all addresses of it.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(network.into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TryWeight::{KnownBrowser, Stranger};
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    /// How many tries are taken at one moment, up to 1,000.
    fn taken(mut try_once: impl FnMut() -> Result<(), TooManyTries>) -> u32 {
        (0..1_000).take_while(|_| try_once().is_ok()).count().try_into().unwrap()
    }

    #[test]
    fn a_name_from_an_address_an_address_and_a_name_have_bounds_of_their_own() {
        let mut tries = LogInTries::default();
        let ana = name("ana");
        let pair = taken(|| tries.count(5, Some(&ana), address(1), Stranger));
        assert_eq!(pair, LOGIN_TRIES_PAIR_MAX);
        let mut number = 0;
        let others = taken(|| {
            number += 1;
            tries.count(5, Some(&name(&format!("other{number}x"))), address(1), Stranger)
        });
        assert_eq!(pair + others, LOGIN_TRIES_ADDRESS_MAX);
        let mut number = 1;
        let elsewhere = taken(|| {
            number += 1;
            tries.count(5, Some(&ana), address(number), Stranger)
        });
        assert_eq!(pair + elsewhere, LOGIN_TRIES_NAME_MAX);
        // The person behind the name is not locked out by those who try it.
        assert!(tries.count(5, Some(&ana), address(9_999), Stranger).is_err());
        let known = taken(|| tries.count(5, Some(&ana), address(9_999), KnownBrowser));
        assert_eq!(known, LOGIN_TRIES_PAIR_MAX, "a known browser may guess no faster than others");
    }

    #[test]
    fn a_minute_later_all_may_try_again() {
        let mut tries = LogInTries::default();
        let ana = name("ana");
        assert_eq!(
            taken(|| tries.count(0, Some(&ana), address(1), Stranger)),
            LOGIN_TRIES_PAIR_MAX
        );
        let last = tries.count(LOGIN_TRIES_MS - 1, Some(&ana), address(1), Stranger);
        assert_eq!(last, Err(TooManyTries { after_s: 1 }));
        assert_eq!(
            taken(|| tries.count(LOGIN_TRIES_MS, Some(&ana), address(1), Stranger)),
            LOGIN_TRIES_PAIR_MAX
        );
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let mut tries = LogInTries::default();
        let mut number = 0u128;
        let ana = name("ana");
        let of = |number: u128| IpAddr::V6(Ipv6Addr::from((0x2001_0db8 << 96) | number));
        let tried = taken(|| {
            number += 1;
            tries.count(0, Some(&ana), of(number), Stranger)
        });
        assert_eq!(tried, LOGIN_TRIES_PAIR_MAX);
        let mapped = IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        assert_eq!(network_of(mapped), address(1));
    }

    #[test]
    fn a_full_table_takes_no_strangers_and_forgets_no_running_count() {
        let mut tries = LogInTries::default();
        let ana = name("ana");
        assert_eq!(
            taken(|| tries.count(0, Some(&ana), address(0), Stranger)),
            LOGIN_TRIES_PAIR_MAX
        );
        let mut number = 0;
        while tries.count(1, Some(&name(&format!("n{number}x"))), address(number), Stranger).is_ok()
        {
            number += 1;
        }
        assert!(tries.windows.len() <= LOGIN_TRIES_KEPT_MAX);
        assert!(number as usize >= LOGIN_TRIES_KEPT_MAX / 3 - 1, "{number} addresses");
        assert!(tries.count(1, Some(&ana), address(number + 1), Stranger).is_err());
        assert!(tries.count(1, Some(&ana), address(number + 1), KnownBrowser).is_ok());
        assert!(tries.count(1, Some(&ana), address(0), Stranger).is_err());
        assert!(tries.count(1 + LOGIN_TRIES_MS, Some(&ana), address(0), Stranger).is_ok());
        assert!(tries.windows.len() <= 3);
    }
}
