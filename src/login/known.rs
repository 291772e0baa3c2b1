//! Browsers that have logged in before: a signed cookie that says as whom.

use crate::cookie::{CookieNames, set_lasting_cookie};
use consorcio_core::access::Name;
use consorcio_core::ids::Time;
use consorcio_core::limits::{KNOWN_BROWSER_NAMES_MAX, KNOWN_BROWSER_S};

/// What the key for the signatures is made of.
const CONTEXT: &str = "consorcio 2026-11-30 browsers that logged in before";

/// Signs and checks the names that a browser has logged in as. It gives no right: it only tells a
/// person from those who guess at that person's name.
pub struct KnownBrowsers {
    key: [u8; blake3::KEY_LEN],
    bank: u8,
}

/// One name in the cookie, and when it logged in, in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KnownName {
    name: Name,
    at_s: i64,
}

impl KnownBrowsers {
    /// Signs with a key that is derived from `secret`, bytes that only this bank has.
    pub fn new(secret: &[u8], bank: consorcio_core::ids::BankId) -> KnownBrowsers {
        KnownBrowsers { key: blake3::derive_key(CONTEXT, secret), bank: bank.as_u8() }
    }

    /// Whether the browser with this cookie has logged in as `name` in the last 90 days, and since
    /// `since`.
    pub fn knows(&self, cookie: Option<&str>, name: &Name, since: Time, now: Time) -> bool {
        let since_s = since.0.div_euclid(1_000_000);
        self.read(cookie, now).iter().any(|known| known.name == *name && known.at_s >= since_s)
    }

    /// The `Set-Cookie` header after a log-in as `name`. Of older names the newest are kept.
    pub fn remember(
        &self,
        names: &CookieNames,
        cookie: Option<&str>,
        name: &Name,
        now: Time,
    ) -> String {
        let mut all = self.read(cookie, now);
        all.retain(|known| known.name != *name);
        all.insert(0, KnownName { name: name.clone(), at_s: now.0.div_euclid(1_000_000) });
        all.truncate(KNOWN_BROWSER_NAMES_MAX);
        let value: Vec<String> = all.iter().map(|known| self.sign(known)).collect();
        set_lasting_cookie(&names.known, &value.join("."))
    }

    /// What the cookie holds and proves.
    fn read(&self, cookie: Option<&str>, now: Time) -> Vec<KnownName> {
        let now_s = now.0.div_euclid(1_000_000);
        let mut all = Vec::new();
        for part in cookie.unwrap_or("").split('.').take(KNOWN_BROWSER_NAMES_MAX) {
            let mut fields = part.split('_');
            let (Some(name), Some(at_s), Some(_)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let (Ok(name), Ok(at_s)) = (Name::new(name), at_s.parse::<i64>()) else { continue };
            let known = KnownName { name, at_s };
            let is_new = (0..KNOWN_BROWSER_S).contains(&now_s.saturating_sub(at_s));
            // Both are texts of one length only if the name and the time are as they were signed.
            if is_new && is_same(&self.sign(&known), part) {
                all.push(known);
            }
        }
        all
    }

    fn sign(&self, known: &KnownName) -> String {
        let KnownName { name, at_s } = known;
        let mac = blake3::keyed_hash(&self.key, format!("{}|{name}|{at_s}", self.bank).as_bytes());
        format!("{name}_{at_s}_{}", mac.to_hex())
    }
}

impl std::fmt::Debug for KnownBrowsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownBrowsers(key not shown)")
    }
}

/// Are the texts equal? Compares their hashes, which takes a constant time.
fn is_same(one: &str, other: &str) -> bool {
    blake3::hash(one.as_bytes()) == blake3::hash(other.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookie::cookie_value;
    use consorcio_core::ids::BankId;

    const DAY: i64 = 24 * 3_600 * 1_000_000;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    /// The value that a browser keeps of a `Set-Cookie` header.
    fn kept(header: &str) -> String {
        let pair = header.split(';').next().unwrap();
        cookie_value([pair], &CookieNames::of(bank(0)).known).unwrap().to_owned()
    }

    #[test]
    fn a_browser_is_known_for_the_names_that_it_logged_in_as() {
        let (browsers, names) = (KnownBrowsers::new(b"key", bank(0)), CookieNames::of(bank(0)));
        let knows =
            |cookie: &str, of: &str, at| browsers.knows(Some(cookie), &name(of), Time(0), Time(at));
        let one = kept(&browsers.remember(&names, None, &name("ana"), Time(DAY)));
        assert!(knows(&one, "ana", 2 * DAY) && !knows(&one, "bia", 2 * DAY));
        assert!(!knows(&one, "ana", 92 * DAY), "after 90 days");
        assert!(!knows(&one, "ana", 0), "a clock that was set back");
        let two = kept(&browsers.remember(&names, Some(&one), &name("bia"), Time(2 * DAY)));
        assert!(knows(&two, "ana", 3 * DAY) && knows(&two, "bia", 3 * DAY));
        let mut many = two;
        for number in 0..KNOWN_BROWSER_NAMES_MAX - 1 {
            let other = name(&format!("n{number}x"));
            many = kept(&browsers.remember(&names, Some(&many), &other, Time(3 * DAY)));
        }
        assert!(!knows(&many, "ana", 4 * DAY) && knows(&many, "bia", 4 * DAY));
        let since = Time(2 * DAY + 1_000_000);
        assert!(!browsers.knows(Some(&many), &name("bia"), since, Time(4 * DAY)));
    }

    #[test]
    fn a_cookie_that_was_not_signed_here_proves_nothing() {
        let (browsers, names) = (KnownBrowsers::new(b"key", bank(0)), CookieNames::of(bank(0)));
        let cookie = kept(&browsers.remember(&names, None, &name("ana"), Time(DAY)));
        let knows = |browsers: &KnownBrowsers, cookie: &str, of: &str| {
            browsers.knows(Some(cookie), &name(of), Time(0), Time(2 * DAY))
        };
        assert!(knows(&browsers, &cookie, "ana"));
        assert!(!knows(&KnownBrowsers::new(b"another", bank(0)), &cookie, "ana"));
        assert!(!knows(&KnownBrowsers::new(b"key", bank(1)), &cookie, "ana"));
        assert!(!knows(&browsers, &cookie.replacen("ana", "bia", 1), "bia"));
        for at in 0..cookie.len() {
            let mut bytes = cookie.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            assert!(!knows(&browsers, &String::from_utf8(bytes).unwrap(), "ana"), "byte {at}");
        }
        assert!(!knows(&browsers, "", "ana") && !knows(&browsers, "ana", "ana"));
    }
}
