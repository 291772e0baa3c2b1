//! The answering side of a link: a session counts as a client's until the other end has proved that
//! it is a bank. No socket here.

use super::handshake::{
    HandshakePair, HandshakeRole, LinkHello, LinkProof, LinkWelcome, News, nonce, read,
    read_founding, same_consortium, same_key, write,
};
use consorcio_core::access::Principal;
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::Origin;
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::BankId;
use consorcio_steps::steplog::wall_us;

/// The handshake of one session, which counts as a client's until the proof of a bank.
#[derive(Debug, Default)]
pub struct Acceptor {
    state: AcceptorState,
    /// Whom its certificate names, in closed mode: the proof must be of the same bank.
    certified: Certified,
}

/// What the certificate of the other end says about links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Certified {
    /// There is no certificate, in open mode.
    #[default]
    Any,
    /// It is of a client, which has no link.
    Client,
    /// It is of this bank.
    Bank(BankId),
}

#[derive(Debug, Default)]
enum AcceptorState {
    #[default]
    Client,
    /// A hello was answered, and the proof has not arrived: still a client's.
    Welcomed(Box<HandshakePair>),
    Link(BankId),
}

/// The bank that answers.
pub(super) struct OwnBank<'a> {
    pub(super) identity: &'a Identity,
    /// The founding id of this bank's journal.
    pub(super) founding: FoundingId,
}

/// The JSON of the answer to a PEER line, and what the line proved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PeerAnswer {
    /// The link is not open yet, or will not open.
    NotOpen(String),
    /// The link is open now, to a bank with this journal and this news.
    Opened(String, BankId, FoundingId, News),
    /// News arrived over an open link.
    News(String, BankId, News),
}

impl Acceptor {
    /// The handshake of a session of `principal`.
    pub fn of(principal: &Principal) -> Acceptor {
        let certified = match principal {
            Principal::Operator => Certified::Any,
            Principal::Named(_) => Certified::Client,
            Principal::Bank(bank) => Certified::Bank(*bank),
        };
        Acceptor { state: AcceptorState::Client, certified }
    }

    /// Whether the session is a client's or a link now.
    pub fn origin(&self) -> Origin {
        match self.state {
            AcceptorState::Client | AcceptorState::Welcomed(_) => Origin::Client,
            AcceptorState::Link(_) => Origin::Link,
        }
    }

    /// The bank at the other end of an open link.
    pub fn bank(&self) -> Option<BankId> {
        match self.state {
            AcceptorState::Client | AcceptorState::Welcomed(_) => None,
            AcceptorState::Link(bank) => Some(bank),
        }
    }

    /// Answers the JSON of a PEER line. `news` returns the news for a bank, `met` the journal with
    /// which this bank has met it.
    ///
    /// # Errors
    /// Why it is refused. An open link stays open; an unfinished handshake must start again.
    pub(super) fn answer(
        &mut self,
        own: &OwnBank<'_>,
        news: impl Fn(BankId) -> News,
        met: impl Fn(BankId) -> Option<FoundingId>,
        json: &str,
    ) -> Result<PeerAnswer, String> {
        match std::mem::take(&mut self.state) {
            AcceptorState::Link(bank) => {
                self.state = AcceptorState::Link(bank);
                let received: News = read(json)?;
                Ok(PeerAnswer::News(write(&news(bank)), bank, received))
            }
            // A second hello restarts the handshake. A proof has no nonce.
            AcceptorState::Welcomed(_) | AcceptorState::Client if json.contains("\"nonce\"") => {
                let hello: LinkHello = read(json)?;
                self.certified.allows(hello.bank)?;
                let (pair, welcome) = welcome(own, &hello)?;
                self.state = AcceptorState::Welcomed(Box::new(pair));
                Ok(PeerAnswer::NotOpen(write(&welcome)))
            }
            AcceptorState::Client => {
                Err("a link begins with {bank, places, to, key, nonce, founding}".to_owned())
            }
            AcceptorState::Welcomed(pair) => {
                let proof: LinkProof = read(json)?;
                if !pair.proves(own.identity, HandshakeRole::Dialler, &proof.mac) {
                    return Err("no proof of the consortium's key for this link".to_owned());
                }
                let (bank, founding) = (pair.dialler, pair.dialler_founding);
                // The news shows that bank why its link is not accepted.
                if met(bank).is_some_and(|met| met != founding) {
                    return Ok(PeerAnswer::NotOpen(write(&news(bank))));
                }
                self.state = AcceptorState::Link(bank);
                Ok(PeerAnswer::Opened(write(&news(bank)), bank, founding, proof.news))
            }
        }
    }
}

impl Certified {
    /// Whether `bank` may have a link here.
    fn allows(self, bank: BankId) -> Result<(), String> {
        match self {
            Certified::Any => Ok(()),
            Certified::Bank(of) if of == bank => Ok(()),
            Certified::Bank(of) => {
                Err(format!("its certificate is of bank {of}, and it says that it is bank {bank}"))
            }
            Certified::Client => Err("a link needs the certificate of a bank".to_owned()),
        }
    }
}

fn welcome(own: &OwnBank<'_>, hello: &LinkHello) -> Result<(HandshakePair, LinkWelcome), String> {
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
