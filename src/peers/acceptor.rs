//! The answering side of a link: a session that is a client's until a bank has proved that it is
//! one. No socket here.

use super::handshake::{
    HandshakePair, HandshakeRole, LinkHello, LinkProof, LinkWelcome, News, nonce, read,
    read_founding, same_consortium, same_key, write,
};
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::Origin;
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::BankId;
use consorcio_steps::steplog::wall_us;

/// The answering side of a session: a client's until a bank has shown that it is one.
#[derive(Debug, Default)]
pub struct Acceptor(AcceptorState);

#[derive(Debug, Default)]
enum AcceptorState {
    #[default]
    Client,
    /// Welcomed, but not proved: still a client's.
    Welcomed(Box<HandshakePair>),
    Link(BankId),
}

/// What a bank tells of itself and of another one.
pub(super) struct Own<'a> {
    pub(super) identity: &'a Identity,
    /// The founding id of its journal.
    pub(super) founding: FoundingId,
}

/// What the answering side says, and what it was shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The link is not open yet, or will not be: only this JSON.
    Told(String),
    /// The link is open now, to a bank with this journal.
    Opened(String, BankId, FoundingId, News),
    /// News on an open link.
    News(String, BankId, News),
}

impl Acceptor {
    /// What kind of session this is now.
    pub fn origin(&self) -> Origin {
        match self.0 {
            AcceptorState::Client | AcceptorState::Welcomed(_) => Origin::Client,
            AcceptorState::Link(_) => Origin::Link,
        }
    }

    /// The bank at the other end of an open link.
    pub fn bank(&self) -> Option<BankId> {
        match self.0 {
            AcceptorState::Client | AcceptorState::Welcomed(_) => None,
            AcceptorState::Link(bank) => Some(bank),
        }
    }

    /// Answers the JSON of a PEER line; `news` is what a bank is told, and `met` the journal of it
    /// that was met.
    ///
    /// # Errors
    /// Why it is refused. An open link stays one; what is not one yet begins anew.
    pub(super) fn answer(
        &mut self,
        own: &Own<'_>,
        news: impl Fn(BankId) -> News,
        met: impl Fn(BankId) -> Option<FoundingId>,
        json: &str,
    ) -> Result<Answered, String> {
        match std::mem::take(&mut self.0) {
            AcceptorState::Link(bank) => {
                self.0 = AcceptorState::Link(bank);
                let told: News = read(json)?;
                Ok(Answered::News(write(&news(bank)), bank, told))
            }
            // A second hello begins anew; it can't be taken for a proof, which has no nonce.
            AcceptorState::Welcomed(_) | AcceptorState::Client if json.contains("\"nonce\"") => {
                let (pair, welcome) = welcome(own, &read(json)?)?;
                self.0 = AcceptorState::Welcomed(Box::new(pair));
                Ok(Answered::Told(write(&welcome)))
            }
            AcceptorState::Client => {
                Err("a link begins with {bank, places, to, key, nonce, founding}".to_owned())
            }
            AcceptorState::Welcomed(pair) => {
                let proof: LinkProof = read(json)?;
                if !pair.proves(own.identity, HandshakeRole::Dialler, &proof.mac) {
                    return Err("no proof of the consortium's key for this link".to_owned());
                }
                let (bank, told) = (pair.dialler, pair.dialler_founding);
                // It learns from the news why nothing of it counts here.
                if met(bank).is_some_and(|met| met != told) {
                    return Ok(Answered::Told(write(&news(bank))));
                }
                self.0 = AcceptorState::Link(bank);
                Ok(Answered::Opened(write(&news(bank)), bank, told, proof.news))
            }
        }
    }
}

fn welcome(own: &Own<'_>, hello: &LinkHello) -> Result<(HandshakePair, LinkWelcome), String> {
    let identity = own.identity;
    same_consortium(identity, hello.bank, hello.places)?;
    if hello.to != identity.bank {
        return Err(format!("this is bank {}, not {}", identity.bank, hello.to));
    }
    same_key(identity, hello.bank, &hello.key)?;
    let ours = nonce()?;
    let pair = HandshakePair {
        dialler_founding: read_founding(&hello.founding)?,
        dialled_founding: own.founding,
        dialler: hello.bank,
        dialled: identity.bank,
        dialler_places: hello.places,
        dialled_places: identity.places.len(),
        dialler_nonce: blake3::Hash::from_hex(&hello.nonce)
            .map_err(|_| "the nonce is not 64 hex digits".to_owned())?,
        dialled_nonce: ours,
    };
    let welcome = LinkWelcome {
        bank: identity.bank,
        places: identity.places.len(),
        to: hello.bank,
        key: identity.seal.key_id().to_string(),
        nonce: ours.to_hex().to_string(),
        founding: own.founding.to_string(),
        mac: pair.mac(identity, HandshakeRole::Dialled).to_hex().to_string(),
        wall: Some(wall_us()),
    };
    Ok((pair, welcome))
}
