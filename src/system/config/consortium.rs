//! The consortium list, as given to `servidor` and `cliente`. `succession` compares it with the one
//! in a journal.

use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::BANKS_MAX;
use std::fmt;
use std::str::FromStr;

/// The banks by position: the address of each, or `None` for a bank that left. Positions are
/// permanent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consortium {
    places: Vec<Option<String>>,
}

/// Why a text is no consortium list: which item, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("consortium: {0}")]
pub struct BadConsortium(String);

impl Consortium {
    /// The three banks of a first run, on this machine.
    pub const DEFAULT: &'static str = "127.0.0.1:8886,127.0.0.1:8887,127.0.0.1:8888";

    /// Reads `host:port,host:port,-`, bare ports (of this machine) and ranges of ports,
    /// `8886-8888`.
    ///
    /// # Errors
    /// If it is no such list: empty or too long, a bad port, an address that occurs twice.
    pub fn parse(text: &str) -> Result<Consortium, BadConsortium> {
        let mut places: Vec<Option<String>> = Vec::new();
        for item in text.split(',').map(str::trim) {
            if item == "-" {
                places.push(None);
            } else {
                read_item(item, &mut places)?;
            }
            if places.len() > BANKS_MAX {
                return Err(BadConsortium(format!("more than {BANKS_MAX} places")));
            }
        }
        for (at, place) in places.iter().enumerate() {
            let Some(address) = place else { continue };
            if let Some(other) = places[..at].iter().position(|p| p.as_ref() == Some(address)) {
                return Err(BadConsortium(format!("{address} stands at places {other} and {at}")));
            }
        }
        if places.iter().all(Option::is_none) {
            return Err(BadConsortium("no bank in it".into()));
        }
        Ok(Consortium { places })
    }

    /// Addresses by position; `None` for a bank that left.
    pub fn places(&self) -> &[Option<String>] {
        &self.places
    }

    /// The address of `bank`, if it is in the consortium.
    pub fn address(&self, bank: BankId) -> Option<&str> {
        self.places.get(bank.index())?.as_deref()
    }

    /// The banks that are in the consortium.
    pub fn banks(&self) -> BankSet {
        (0..self.places.len())
            .filter(|at| self.places[*at].is_some())
            .filter_map(BankId::new)
            .fold(BankSet::EMPTY, BankSet::with)
    }

    /// The same list, with another address for `bank`.
    #[must_use]
    pub fn moved(mut self, bank: BankId, address: &str) -> Consortium {
        if let Some(place) = self.places.get_mut(bank.index()) {
            *place = Some(address.to_owned());
        }
        self
    }

    /// The list as texts, with `-` for a bank that left: the form in journals and on links.
    pub fn to_texts(&self) -> Vec<String> {
        self.places.iter().map(|place| place.clone().unwrap_or_else(|| "-".into())).collect()
    }
}

impl Default for Consortium {
    fn default() -> Self {
        Consortium::parse(Consortium::DEFAULT).expect("the default list is a list")
    }
}

impl FromStr for Consortium {
    type Err = BadConsortium;

    fn from_str(text: &str) -> Result<Self, BadConsortium> {
        Consortium::parse(text)
    }
}

impl fmt::Display for Consortium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_texts().join(","))
    }
}

fn read_item(item: &str, places: &mut Vec<Option<String>>) -> Result<(), BadConsortium> {
    let (host, ports) = item.rsplit_once(':').unwrap_or(("127.0.0.1", item));
    if host.is_empty() || host.chars().any(char::is_whitespace) {
        return Err(BadConsortium(format!("{item:?}: no host before the port")));
    }
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(BadConsortium(format!("{item:?}: an IPv6 address is written [::1]:8886")));
    }
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (port(item, first)?, port(item, last)?),
        None => (port(item, ports)?, port(item, ports)?),
    };
    if first > last || usize::from(last - first) >= BANKS_MAX {
        return Err(BadConsortium(format!("{item:?} is no range of 1 to {BANKS_MAX} ports")));
    }
    places.extend((first..=last).map(|port| Some(format!("{host}:{port}"))));
    Ok(())
}

fn port(item: &str, text: &str) -> Result<u16, BadConsortium> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port > 0);
    port.ok_or_else(|| {
        BadConsortium(format!(
            "{item:?}: a place is host:port, a port from 1 to 65535, a range such as 8886-8888, \
             or - for a \
             bank that left"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &str) -> Vec<String> {
        Consortium::parse(list).unwrap().to_texts()
    }

    #[test]
    fn each_form_of_a_list_is_read() {
        let three = texts(Consortium::DEFAULT);
        assert_eq!(three, ["127.0.0.1:8886", "127.0.0.1:8887", "127.0.0.1:8888"]);
        assert_eq!(texts("8886-8888"), three);
        assert_eq!(texts("8886, 8887 ,127.0.0.1:8888"), three);
        assert_eq!(texts("a.example:1,-,[::1]:3"), ["a.example:1", "-", "[::1]:3"]);
        assert_eq!(texts("[::1]:7-8"), ["[::1]:7", "[::1]:8"]);
        assert_eq!(Consortium::default().to_string(), Consortium::DEFAULT);
    }

    #[test]
    fn a_position_whose_bank_left_is_no_bank() {
        let list = Consortium::parse("8886,-,8888").unwrap();
        let banks: Vec<usize> = list.banks().iter().map(BankId::index).collect();
        assert_eq!(banks, [0, 2]);
        assert_eq!(list.address(BankId::new(1).unwrap()), None);
        assert_eq!(list.address(BankId::new(2).unwrap()), Some("127.0.0.1:8888"));
        assert_eq!(list.address(BankId::new(3).unwrap()), None);
    }

    #[test]
    fn a_text_that_is_no_list_is_rejected_with_its_fault() {
        for (list, expected) in [
            ("", "a place is"),
            ("-", "no bank"),
            ("8886,,8887", "a place is"),
            ("8886,8886", "places 0 and 1"),
            ("8886,127.0.0.1:8886", "places 0 and 1"),
            ("0", "a place is"),
            ("65536", "a place is"),
            ("+80", "a place is"),
            (":8886", "no host"),
            ("::1:8886", "IPv6"),
            ("8888-8886", "no range"),
            ("8000-8016", "no range"),
            ("1-10,20-30", "more than 16"),
            ("host", "a place is"),
        ] {
            let error = Consortium::parse(list).unwrap_err().to_string();
            assert!(error.contains(expected), "{list:?}: {error}");
        }
    }
}
