//! The consortium list over time: which list may follow the one in a journal, and which addresses
//! may be dialled.

use crate::config::Consortium;
use consorcio_core::ids::BankId;
use std::net::IpAddr;

/// The entry of a bank that left.
pub const LEFT: &str = "-";

/// Why a bank can't start with this list on this data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSuccession(String);

/// Can the bank at `me` with the list `new` continue a journal of the bank at `old_me` with the
/// list `old`? `true` if the list differs, and so must be recorded.
///
/// A bank may move to a new address, leave, or be added at the end; a position never refers to
/// another bank. A list without any address of the old one belongs to another consortium, unless
/// all banks `moved`.
///
/// # Errors
/// If any other difference is found, naming the position.
pub fn follows(
    me: BankId,
    new: &Consortium,
    old_me: BankId,
    old: &[String],
    moved: bool,
) -> Result<bool, BadSuccession> {
    let bad = |text: String| Err(BadSuccession(text));
    if me != old_me {
        return bad(format!("this data belongs to bank {old_me}, not to bank {me}"));
    }
    let new = new.to_texts();
    if let Some(missing) = old.get(new.len()) {
        let place = new.len();
        return bad(format!(
            "place {place} ({missing}) is missing: a bank that left leaves `{LEFT}` in its place"
        ));
    }
    for (place, (was, is)) in old.iter().zip(&new).enumerate() {
        if was == LEFT && is != LEFT {
            return bad(format!(
                "place {place} is given to {is}, but its bank left; new banks are added at the end"
            ));
        }
    }
    for (place, is) in new.iter().enumerate().filter(|(_, is)| *is != LEFT) {
        if let Some(other) = old.iter().position(|was| was == is).filter(|other| *other != place) {
            return bad(format!(
                "{is} stands at place {place}, but it is the address of bank {other}"
            ));
        }
    }
    let stays = |(was, is): (&String, &String)| was == is && is != LEFT;
    if !moved && !old.iter().zip(&new).any(stays) {
        return bad(format!(
            "it is that of the consortium {}, and {} shares no address with it: is this another \
             consortium? Give \
             another --data-dir; if all banks moved, give --moved",
            old.join(","),
            new.join(",")
        ));
    }
    Ok(new != old)
}

/// Is the host of `address` (`host:port`) this machine's loopback, without a name server?
pub fn is_loopback(address: &str) -> bool {
    let Some((host, _)) = address.rsplit_once(':') else { return false };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Consortium {
        Consortium::parse(text).unwrap()
    }

    fn bank(n: usize) -> BankId {
        BankId::new(n).unwrap()
    }

    #[test]
    fn a_list_may_grow_move_and_lose_banks() {
        let old = list("1,2,3").to_texts();
        let followed = |new: &str| follows(bank(0), &list(new), bank(0), &old, false);
        assert_eq!(followed("1,2,3"), Ok(false));
        assert_eq!(followed("1,2,3,4"), Ok(true));
        assert_eq!(followed("1,9,3"), Ok(true));
        assert_eq!(followed("1,-,3"), Ok(true));
        assert_eq!(followed("8,2,3"), Ok(true), "this bank itself moved");
    }

    #[test]
    fn a_position_never_refers_to_another_bank() {
        let old = list("1,2,-,4").to_texts();
        let refusal = |new: &str, me| {
            follows(bank(me), &list(new), bank(0), &old, false).unwrap_err().to_string()
        };
        assert!(refusal("1,2,-,4", 1).contains("belongs to bank 0"));
        assert!(refusal("1,2,-", 0).contains("place 3"));
        assert!(refusal("1,2,3,4", 0).contains("place 2"));
        assert!(refusal("1,4,-,2", 0).contains("place 1"));
        assert!(refusal("1,-,-,4,2", 0).contains("place 4"));
    }

    #[test]
    fn a_list_that_shares_no_address_is_another_consortium_unless_all_moved() {
        let old = list("1,2,-").to_texts();
        let follow = |new: &str, moved| follows(bank(0), &list(new), bank(0), &old, moved);
        let refused = follow("5,6,-,7", false).unwrap_err().to_string();
        assert!(
            refused.contains("127.0.0.1:1,127.0.0.1:2,-")
                && refused.contains("127.0.0.1:5,127.0.0.1:6,-,127.0.0.1:7")
                && refused.contains("--moved"),
            "it names both: {refused}"
        );
        assert_eq!(follow("5,6,-,7", true), Ok(true));
        assert_eq!(follow("5,2,-", false), Ok(true), "bank 1 is where it was");
        assert!(follow("5,1,-", true).is_err(), "a position never refers to another bank");
    }

    #[test]
    fn loopback_is_recognised_without_a_name_server() {
        for yes in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["10.0.0.1:1", "0.0.0.0:1", "[::]:1", "example.org:1", "localhost.example:1", "x"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
