//! Pages of registers that one bank sends to another which joined later.
//!
//! A page has a MAC over both banks, the id of the request, and its whole content. So it can't be
//! altered on the way, and an old page can't be replayed, since a request's id is never used again.

use crate::ids::{BankId, RegisterKey, RegisterValue, Time, TxId};
use crate::wire::token::Seal;
use serde::{Deserialize, Serialize};

/// A register with the commit time that set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRegister {
    /// The key of the register.
    pub key: RegisterKey,
    /// The value of the register.
    pub value: RegisterValue,
    /// The commit time that set it.
    pub time: Time,
}

/// The request that a page answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery<'a> {
    /// The bank that sends the page.
    pub responder: BankId,
    /// The bank that requested it.
    pub asker: BankId,
    /// The id of the request.
    pub nonce: &'a TxId,
    /// The last key of the page before.
    pub after: Option<&'a RegisterKey>,
}

/// One page, as `DONE` carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistersPage {
    /// The registers, sorted by key.
    pub registers: Vec<SetRegister>,
    /// The last key of this page, if another page follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RegisterKey>,
    /// The MAC, 32 bytes in hex.
    pub mac: String,
}

impl RegistersPage {
    /// Makes a page with its MAC.
    pub fn sealed(
        seal: &Seal,
        query: PageQuery<'_>,
        registers: Vec<SetRegister>,
        next: Option<RegisterKey>,
    ) -> RegistersPage {
        let mac = mac(seal, query, &registers, next.as_ref()).to_hex().to_string();
        RegistersPage { registers, next, mac }
    }

    /// Reads a page from its JSON; `None` if it is malformed, its MAC is wrong, or it does not
    /// continue after the requested key.
    pub fn read(seal: &Seal, query: PageQuery<'_>, json: &str) -> Option<RegistersPage> {
        let page: RegistersPage = serde_json::from_str(json).ok()?;
        let mac_of_page = blake3::Hash::from_hex(&page.mac).ok()?;
        let RegistersPage { registers, next, .. } = &page;
        // `Hash` compares in constant time.
        let proves = mac_of_page == mac(seal, query, registers, next.as_ref());
        let continues = registers.iter().map(|register| &register.key);
        let continues =
            query.after.into_iter().chain(continues).is_sorted_by(|before, key| before < key);
        let last = registers.last().map(|register| &register.key);
        let ends = next.is_none() || next.as_ref() == last;
        let times = registers.iter().all(|register| (Time(0)..=Time::MAX).contains(&register.time));
        (proves && continues && ends && times).then_some(page)
    }
}

fn mac(
    seal: &Seal,
    query: PageQuery<'_>,
    registers: &[SetRegister],
    next: Option<&RegisterKey>,
) -> blake3::Hash {
    let text = |key: Option<&RegisterKey>| key.map_or("", RegisterKey::as_str).to_owned();
    let (after, next) = (text(query.after), text(next));
    let times: Vec<[u8; 8]> =
        registers.iter().map(|register| register.time.0.to_le_bytes()).collect();
    let banks = [query.responder.as_u8(), query.asker.as_u8()];
    let mut parts: Vec<&[u8]> =
        vec![b"R", &banks, query.nonce.as_str().as_bytes(), after.as_bytes()];
    for (register, time) in registers.iter().zip(&times) {
        parts.extend([register.key.as_str().as_bytes(), register.value.as_str().as_bytes(), time]);
    }
    parts.push(next.as_bytes());
    seal.mac("consorcio statement", &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    fn key(text: &str) -> RegisterKey {
        RegisterKey::new(text).unwrap()
    }

    fn set(name: &str, value: &str, time: i64) -> SetRegister {
        SetRegister { key: key(name), value: RegisterValue::new(value).unwrap(), time: Time(time) }
    }

    #[test]
    fn a_page_is_valid_only_for_its_request_and_unaltered() {
        let (seal, nonce, other) =
            (Seal::keyed([7; 32]), TxId::new("run-1").unwrap(), TxId::new("run-2").unwrap());
        let after = key("a");
        let query =
            PageQuery { responder: bank(0), asker: bank(3), nonce: &nonce, after: Some(&after) };
        let registers = || vec![set("b", "1", 5), set("c", "", 4)];
        let page = RegistersPage::sealed(&seal, query, registers(), Some(key("c")));
        let json = serde_json::to_string(&page).unwrap();
        assert_eq!(RegistersPage::read(&seal, query, &json), Some(page.clone()));
        assert_eq!(
            RegistersPage::read(&Seal::keyed([8; 32]), query, &json),
            None,
            "another key proves nothing"
        );
        for other in [
            PageQuery { responder: bank(1), ..query },
            PageQuery { asker: bank(2), ..query },
            PageQuery { nonce: &other, ..query },
            PageQuery { after: None, ..query },
        ] {
            assert_eq!(RegistersPage::read(&seal, other, &json), None, "{other:?}");
        }
        // A page with any other byte is invalid.
        for at in 0..json.len() {
            for byte in [b'0', b'b', b'"'] {
                let mut changed = json.clone().into_bytes();
                if std::mem::replace(&mut changed[at], byte) != byte {
                    let changed = String::from_utf8(changed).unwrap();
                    assert_eq!(RegistersPage::read(&seal, query, &changed), None, "{changed}");
                }
            }
        }
    }

    #[test]
    fn a_page_must_continue_after_the_requested_key() {
        let (seal, nonce, after) = (Seal::keyed([7; 32]), TxId::new("run-1").unwrap(), key("b"));
        let query =
            PageQuery { responder: bank(0), asker: bank(3), nonce: &nonce, after: Some(&after) };
        let read = |registers: Vec<SetRegister>, next: Option<&str>| {
            let page = RegistersPage::sealed(&seal, query, registers, next.map(key));
            RegistersPage::read(&seal, query, &serde_json::to_string(&page).unwrap()).is_some()
        };
        assert!(read(vec![set("c", "1", 1), set("d", "1", 1)], Some("d")) && read(vec![], None));
        assert!(!read(vec![set("b", "1", 1)], None), "the key is not after the requested one");
        assert!(!read(vec![set("d", "1", 1), set("c", "1", 1)], None), "keys are not in order");
        assert!(!read(vec![set("c", "1", 1)], Some("d")), "registers in between would be missing");
        assert!(!read(vec![], Some("c")), "a page that has a next page is not empty");
        assert!(
            !read(vec![set("c", "1", -1)], None)
                && !read(vec![set("c", "1", Time::MAX.0 + 1)], None)
        );
    }
}
