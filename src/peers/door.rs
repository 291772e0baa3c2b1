//! The answering side of a link: a session that is a client's until a bank has proved that it is one. No socket here.

use super::handshake::{Hello, Pair, Role, Seen, Welcome, news, nonce, read, same_consortium, time, write};
use crate::bank::Identity;
use crate::bank::io::Origin;
use crate::ids::{BankId, Time};

/// The answering side of a session: a client's until a bank has shown that it is one.
#[derive(Debug, Default)]
pub struct Door(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Client,
    /// Welcomed, but not proved: still a client's.
    Welcomed(Box<Pair>),
    Link {
        bank: BankId,
        /// Without a key nothing that is told here counts.
        proved: bool,
    },
}

/// What the answering side says, and what it has learned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The link is not open yet, or no news: only this JSON.
    Told(String),
    /// The link is open now; with a key, what the bank told.
    Opened(String, BankId, Option<Time>),
    /// News on an open link; with a key, what the bank told.
    News(String, BankId, Option<Time>),
}

impl Door {
    /// What kind of session this is now.
    pub fn origin(&self) -> Origin {
        match self.0 {
            State::Client | State::Welcomed(_) => Origin::Client,
            State::Link { .. } => Origin::Link,
        }
    }

    /// The bank at the other end of an open link. Without a key, only by its own word.
    pub fn bank(&self) -> Option<BankId> {
        match self.0 {
            State::Client | State::Welcomed(_) => None,
            State::Link { bank, .. } => Some(bank),
        }
    }

    /// Answers the JSON of a PEER line; `seen` is the last vote known of each bank.
    ///
    /// # Errors
    /// Why it is refused. An open link stays one; what is not one yet begins anew.
    pub(super) fn answer(
        &mut self,
        identity: &Identity,
        seen: impl Fn(BankId) -> Time,
        json: &str,
    ) -> Result<Answered, String> {
        match std::mem::take(&mut self.0) {
            State::Link { bank, proved } => {
                self.0 = State::Link { bank, proved };
                let told = news(json)?;
                let news = write(&Seen::news(seen(bank)));
                Ok(Answered::News(news, bank, Some(told).filter(|_| proved)))
            }
            // A second hello begins anew; it can't be taken for a proof, which has no nonce.
            State::Welcomed(_) | State::Client if json.contains("\"nonce\"") => {
                let (pair, welcome) = welcome(identity, seen, read(json)?)?;
                self.0 = State::Welcomed(Box::new(pair));
                Ok(Answered::Told(write(&welcome)))
            }
            State::Client => Err("a link begins with {bank, places, to, keyed, nonce}".to_owned()),
            State::Welcomed(pair) => {
                let proof: Seen = read(json)?;
                let told = time(proof.seen)?;
                if !pair.proves(identity, Role::Dialler, told, proof.mac.as_deref()) {
                    return Err("no proof of the consortium's key for this link".to_owned());
                }
                let (bank, proved) = (pair.dialler, identity.seal.is_keyed());
                self.0 = State::Link { bank, proved };
                let news = write(&Seen::news(seen(bank)));
                Ok(Answered::Opened(news, bank, Some(told).filter(|_| proved)))
            }
        }
    }
}

fn welcome(
    identity: &Identity,
    seen: impl Fn(BankId) -> Time,
    hello: Hello,
) -> Result<(Pair, Welcome), String> {
    same_consortium(identity, hello.bank, hello.places)?;
    if hello.to != identity.bank {
        return Err(format!("this is bank {}, not {}", identity.bank, hello.to));
    }
    if hello.keyed != identity.seal.is_keyed() {
        let has = |keyed| if keyed { "has a key" } else { "has none" };
        return Err(format!(
            "bank {} {} and bank {} {}: all banks of a consortium share one key, or none has one",
            identity.bank,
            has(identity.seal.is_keyed()),
            hello.bank,
            has(hello.keyed),
        ));
    }
    let ours = nonce()?;
    let pair = Pair {
        dialler: hello.bank,
        dialled: identity.bank,
        places: hello.places,
        dialler_nonce: blake3::Hash::from_hex(&hello.nonce)
            .map_err(|_| "the nonce is not 64 hex digits".to_owned())?,
        dialled_nonce: ours,
    };
    let seen = seen(hello.bank);
    let welcome = Welcome {
        bank: identity.bank,
        places: identity.places.len(),
        to: hello.bank,
        nonce: ours.to_hex().to_string(),
        seen,
        mac: pair.mac(identity, Role::Dialled, seen).map(|mac| mac.to_hex().to_string()),
    };
    Ok((pair, welcome))
}
