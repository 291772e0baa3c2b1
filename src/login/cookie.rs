//! Cookies of the panel.
//!
//! Cookies know no ports: two panels under one host name would take each other's. So each bank has
//! names of its own, and each panel a host name of its own.

use consorcio_core::ids::BankId;
use consorcio_core::limits::{COOKIE_HEADER_BYTES_MAX, KNOWN_BROWSER_S};

/// The names of one bank's cookies. `__Host-` makes browsers refuse them from other hosts, without
/// TLS, or for a part of the site only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieNames {
    /// The session of who logged in.
    pub session: String,
    /// The names that logged in with this browser before.
    pub known: String,
    /// What the form to log in goes with.
    pub entry: String,
}

impl CookieNames {
    /// The names for the panel of `bank`.
    pub fn of(bank: BankId) -> CookieNames {
        let session = format!("__Host-consorcio-{bank}");
        CookieNames {
            known: format!("{session}-known"),
            entry: format!("{session}-entry"),
            session,
        }
    }
}

/// The value of the cookie `name` in the `Cookie` headers of a request. `None` if it is not there,
/// or twice with different values, or the headers are longer than a browser of this panel sends.
pub fn cookie_value<'a>(headers: impl IntoIterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let mut found = None;
    for header in headers {
        if header.len() > COOKIE_HEADER_BYTES_MAX {
            return None;
        }
        for pair in header.split(';') {
            let Some((key, value)) = pair.split_once('=') else { continue };
            if key.trim() != name {
                continue;
            }
            if found.is_some_and(|other| other != value.trim()) {
                return None;
            }
            found = Some(value.trim());
        }
    }
    found
}

/// The `Set-Cookie` header of a session, which ends with the browser.
pub fn set_cookie(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

/// The `Set-Cookie` header that keeps the names of this browser.
pub(crate) fn set_lasting_cookie(name: &str, value: &str) -> String {
    format!("{}; Max-Age={KNOWN_BROWSER_S}", set_cookie(name, value))
}

/// The `Set-Cookie` header that removes a cookie.
pub fn unset_cookie(name: &str) -> String {
    format!("{}; Max-Age=0", set_cookie(name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let bank = |position| CookieNames::of(BankId::new(position).unwrap());
        let names = bank(1);
        assert_eq!(
            (names.session.as_str(), names.known.as_str()),
            ("__Host-consorcio-1", "__Host-consorcio-1-known")
        );
        let header = "a=b; __Host-consorcio-1-known=k; __Host-consorcio-1=s; __Host-consorcio-11=z";
        assert_eq!(cookie_value([header], &names.session), Some("s"));
        assert_eq!(cookie_value(["x=1", header], &names.known), Some("k"));
        assert_eq!(cookie_value([header], &bank(2).session), None);
        assert_eq!(cookie_value([""], &names.session), None);
    }

    #[test]
    fn a_cookie_that_stands_twice_is_none() {
        let name = "__Host-consorcio-1";
        assert_eq!(cookie_value([&*format!("{name}=a; {name}=b")], name), None);
        assert_eq!(cookie_value([&*format!("{name}=a"), &*format!("{name}=b")], name), None);
        assert_eq!(cookie_value([&*format!("{name}=a; {name}=a")], name), Some("a"));
        let long = format!("{name}=a; x={}", "y".repeat(COOKIE_HEADER_BYTES_MAX));
        assert_eq!(cookie_value([&*long], name), None);
    }

    #[test]
    fn pages_and_other_sites_never_get_a_cookie() {
        let set = set_cookie("__Host-a", "b");
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
            assert!(set.contains(attribute), "{set}");
        }
        assert!(!set.contains("Domain") && unset_cookie("__Host-a").contains("Max-Age=0"));
    }
}
