//! Generates transaction ids: ordered by time, and short enough to be stored inline (24 bytes).

use consorcio_core::access::Name;
use consorcio_core::ids::TxId;
use std::time::{SystemTime, UNIX_EPOCH};

/// Digits in ASCII order, without easily confused ones (Crockford), so that ids sort by time.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Generates ids: ten digits of milliseconds, six random ones of this generator, six of a counter.
///
/// The counter starts at a random number, so two generators with the same random part still hardly
/// ever collide.
#[derive(Debug, Clone)]
pub struct IdGenerator {
    random: u64,
    count: u64,
    /// In closed mode: the name that its ids begin with.
    owner: Option<Name>,
}

impl IdGenerator {
    /// A generator with random parts.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new() -> Result<IdGenerator, getrandom::Error> {
        Ok(IdGenerator::seeded(getrandom::u64()?, getrandom::u64()?))
    }

    /// A generator with these parts: its ids follow from them, for measurements that repeat.
    pub fn seeded(random: u64, count: u64) -> IdGenerator {
        IdGenerator { random, count, owner: None }
    }

    /// The same generator for transactions of `owner`: its ids begin with that name and a dot.
    #[must_use]
    pub fn owned_by(self, owner: Option<Name>) -> IdGenerator {
        IdGenerator { owner, ..self }
    }

    /// The next id, at `ms` since 1970.
    pub fn at(&mut self, ms: u64) -> TxId {
        self.count = self.count.wrapping_add(1);
        let mut text = [0; 22];
        digits(ms, &mut text[..10]);
        digits(self.random, &mut text[10..16]);
        digits(self.count, &mut text[16..]);
        let text = std::str::from_utf8(&text).expect("DIGITS are ASCII");
        let id = match &self.owner {
            None => TxId::new(text),
            Some(owner) => TxId::new(&format!("{owner}.{text}")),
        };
        id.expect("a name, a dot and DIGITS are legal in an id")
    }

    /// The next id, with the current time.
    pub fn now(&mut self) -> TxId {
        self.at(now_ms())
    }
}

/// The wall clock, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Writes the low digits of `number` that fit `text`.
fn digits(mut number: u64, text: &mut [u8]) {
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(number & 31).unwrap_or(0)];
        number >>= 5;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_unique_and_in_order_of_time() {
        let mut generator = IdGenerator::seeded(7, 0);
        let ids = [
            generator.at(1),
            generator.at(2),
            generator.at(1_795_000_000_000),
            generator.at(1_795_000_000_001),
        ];
        assert!(ids.is_sorted());
        assert_ne!(generator.at(5), generator.at(5));
        assert!(ids.iter().all(|id| id.as_str().len() <= 24));
    }

    #[test]
    fn ids_of_an_owner_begin_with_its_name() {
        let longest = Name::new("abcdefghijklmnopqrstuvwx").unwrap();
        let mut generator = IdGenerator::seeded(7, 0).owned_by(Some(longest.clone()));
        let id = generator.at(1_795_000_000_000);
        assert_eq!(consorcio_core::access::owner_of(&id), Some(longest.as_str()));
        assert!(generator.at(1_795_000_000_001) > id);
    }

    #[test]
    fn two_generators_differ() {
        let (mut one, mut two) = (IdGenerator::new().unwrap(), IdGenerator::new().unwrap());
        assert_ne!(one.at(1), two.at(1));
    }
}
