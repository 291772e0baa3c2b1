//! Registers that one bank tells another, page by page: what a bank that comes later begins with.
//!
//! A page has a MAC over who tells it to whom, over the question's own id, and over all that it
//! tells. So nobody on the way can change one, and none can be shown again: its asker never uses an
//! id twice.

use crate::ids::{BankId, RegisterKey, RegisterValue, Time, TxId};
use crate::wire::token::Seal;
use serde::{Deserialize, Serialize};

/// A register, and the commit time that set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRegister {
    /// Its key.
    pub key: RegisterKey,
    /// Its value.
    pub value: RegisterValue,
    /// When it was set.
    pub time: Time,
}

/// The question that a page answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageAsked<'a> {
    /// Who tells.
    pub teller: BankId,
    /// Who asked.
    pub asker: BankId,
    /// The question's own id.
    pub nonce: &'a TxId,
    /// The last key of the page before.
    pub after: Option<&'a RegisterKey>,
}

/// One page, as `DONE` carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistersPage {
    /// Registers by key.
    pub registers: Vec<SetRegister>,
    /// Where the next page begins, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RegisterKey>,
    /// The proof of it, 32 bytes in hex.
    pub mac: String,
}

impl RegistersPage {
    /// A page with its proof.
    pub fn sealed(
        seal: &Seal,
        asked: PageAsked<'_>,
        registers: Vec<SetRegister>,
        next: Option<RegisterKey>,
    ) -> RegistersPage {
        let mac = mac(seal, asked, &registers, next.as_ref()).to_hex().to_string();
        RegistersPage { registers, next, mac }
    }

    /// Reads what a bank told; nothing for what is no page, has no proof, or does not go on from
    /// where it was asked to.
    pub fn read(seal: &Seal, asked: PageAsked<'_>, json: &str) -> Option<RegistersPage> {
        let page: RegistersPage = serde_json::from_str(json).ok()?;
        let told = blake3::Hash::from_hex(&page.mac).ok()?;
        let RegistersPage { registers, next, .. } = &page;
        // `Hash` compares in constant time.
        let proves = told == mac(seal, asked, registers, next.as_ref());
        let goes_on = registers.iter().map(|register| &register.key);
        let goes_on =
            asked.after.into_iter().chain(goes_on).is_sorted_by(|before, key| before < key);
        let last = registers.last().map(|register| &register.key);
        let ends = next.is_none() || next.as_ref() == last;
        let times = registers.iter().all(|register| (Time(0)..=Time::MAX).contains(&register.time));
        (proves && goes_on && ends && times).then_some(page)
    }
}

fn mac(
    seal: &Seal,
    asked: PageAsked<'_>,
    registers: &[SetRegister],
    next: Option<&RegisterKey>,
) -> blake3::Hash {
    let text = |key: Option<&RegisterKey>| key.map_or("", RegisterKey::as_str).to_owned();
    let (after, next) = (text(asked.after), text(next));
    let times: Vec<[u8; 8]> =
        registers.iter().map(|register| register.time.0.to_le_bytes()).collect();
    let banks = [asked.teller.as_u8(), asked.asker.as_u8()];
    let mut parts: Vec<&[u8]> =
        vec![b"R", &banks, asked.nonce.as_str().as_bytes(), after.as_bytes()];
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
    fn a_page_counts_only_for_the_question_that_it_answers_and_as_it_was_told() {
        let (seal, nonce, other) =
            (Seal::keyed([7; 32]), TxId::new("run-1").unwrap(), TxId::new("run-2").unwrap());
        let after = key("a");
        let asked =
            PageAsked { teller: bank(0), asker: bank(3), nonce: &nonce, after: Some(&after) };
        let told = || vec![set("b", "1", 5), set("c", "", 4)];
        let page = RegistersPage::sealed(&seal, asked, told(), Some(key("c")));
        let json = serde_json::to_string(&page).unwrap();
        assert_eq!(RegistersPage::read(&seal, asked, &json), Some(page.clone()));
        assert_eq!(
            RegistersPage::read(&Seal::keyed([8; 32]), asked, &json),
            None,
            "its own key only"
        );
        for other in [
            PageAsked { teller: bank(1), ..asked },
            PageAsked { asker: bank(2), ..asked },
            PageAsked { nonce: &other, ..asked },
            PageAsked { after: None, ..asked },
        ] {
            assert_eq!(RegistersPage::read(&seal, other, &json), None, "{other:?}");
        }
        // Any other byte in it changes nothing but silence.
        for at in 0..json.len() {
            for byte in [b'0', b'b', b'"'] {
                let mut changed = json.clone().into_bytes();
                if std::mem::replace(&mut changed[at], byte) != byte {
                    let changed = String::from_utf8(changed).unwrap();
                    assert_eq!(RegistersPage::read(&seal, asked, &changed), None, "{changed}");
                }
            }
        }
    }

    #[test]
    fn a_page_goes_on_from_where_it_was_asked_to() {
        let (seal, nonce, after) = (Seal::keyed([7; 32]), TxId::new("run-1").unwrap(), key("b"));
        let asked =
            PageAsked { teller: bank(0), asker: bank(3), nonce: &nonce, after: Some(&after) };
        let read = |registers: Vec<SetRegister>, next: Option<&str>| {
            let page = RegistersPage::sealed(&seal, asked, registers, next.map(key));
            RegistersPage::read(&seal, asked, &serde_json::to_string(&page).unwrap()).is_some()
        };
        assert!(read(vec![set("c", "1", 1), set("d", "1", 1)], Some("d")) && read(vec![], None));
        assert!(!read(vec![set("b", "1", 1)], None), "it was told before");
        assert!(!read(vec![set("d", "1", 1), set("c", "1", 1)], None), "keys go up");
        assert!(!read(vec![set("c", "1", 1)], Some("d")), "what is between would be left out");
        assert!(!read(vec![], Some("c")), "a page that goes on tells something");
        assert!(
            !read(vec![set("c", "1", -1)], None)
                && !read(vec![set("c", "1", Time::MAX.0 + 1)], None)
        );
    }
}
