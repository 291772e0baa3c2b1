//! The handshake between two banks: its messages and proofs. No socket here.
//!
//! The dialling bank sends its position, the position that it means to dial, and a new nonce: `PEER
//! {hello}`. The dialled bank answers with the same fields and its proof, a MAC over both nonces
//! and all fields. Then the dialler sends its own proof: `PEER {proof}`. Each MAC covers the role
//! that made it, so neither a reflected nor a replayed proof is valid. News over an open link is
//! tokens, which prove themselves. The dialled side is in `acceptor`.

use consorcio_core::bank::Identity;
use consorcio_core::bank::io::Input;
use consorcio_core::commit::founding::{FoundingId, Meeting};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::{CLOCK_REPORTED_US_MIN, PEER_VOTES_SENT_MAX};
use consorcio_core::wire::token::Token;
use serde::{Deserialize, Serialize};

/// The first line of the dialler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinkHello {
    pub(super) bank: BankId,
    /// The length of its list.
    pub(super) places: usize,
    /// The bank that it means to dial.
    pub(super) to: BankId,
    /// The id of its key, in hex.
    pub(super) key: String,
    /// 32 random bytes in hex.
    pub(super) nonce: String,
    /// The founding id of its journal.
    pub(super) founding: String,
}

/// The answer of the dialled bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinkWelcome {
    pub(super) bank: BankId,
    /// The length of its list.
    pub(super) places: usize,
    /// The bank that it takes the dialler for.
    pub(super) to: BankId,
    /// The id of its key, in hex.
    pub(super) key: String,
    /// 32 random bytes in hex.
    pub(super) nonce: String,
    /// The founding id of its journal.
    pub(super) founding: String,
    pub(super) mac: String,
    /// Its machine's wall clock, in microseconds since 1970. It is only compared and reported, so
    /// no MAC covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wall: Option<i64>,
}

/// How far the wall clock in a welcome is ahead of this machine's, which showed `before_us` when
/// the hello was sent and shows `after_us` now. `None` if the difference is small, or the welcome
/// has no clock.
pub(super) fn clock_apart(welcome: &str, before_us: i64, after_us: i64) -> Option<i64> {
    let welcome: LinkWelcome = read(welcome).ok()?;
    let round_trip_us = after_us.saturating_sub(before_us).max(0);
    let apart_us = welcome.wall?.saturating_sub(before_us.saturating_add(round_trip_us / 2));
    let least_us = CLOCK_REPORTED_US_MIN.saturating_add(round_trip_us);
    (apart_us.saturating_abs() > least_us).then_some(apart_us)
}

/// The second line of the dialler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinkProof {
    pub(super) mac: String,
    /// The first news, sent with the proof.
    #[serde(flatten)]
    pub(super) news: News,
}

/// News that either side sends over an open link. It has no MAC: each token in it proves itself, or
/// has no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct News {
    /// Votes of the receiver that the sender knows.
    pub(super) seen: Vec<ShownVote>,
    /// The statement with which journal the sender has met the receiver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) met: Option<String>,
}

/// A vote of the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShownVote {
    tx: String,
    token: String,
}

impl News {
    /// News with these votes and this statement.
    pub(super) fn of(votes: &[(TxId, Token)], met: Option<&Meeting>) -> News {
        let shown = |(tx, token): &(TxId, Token)| ShownVote {
            tx: tx.to_string(),
            token: token.to_string(),
        };
        News { seen: votes.iter().map(shown).collect(), met: met.map(Meeting::to_string) }
    }

    /// The inputs for the node, where `peer` sent this news.
    pub(super) fn inputs(&self, peer: BankId) -> impl Iterator<Item = Input> {
        let met = self.met.as_deref().and_then(Meeting::parse);
        let met = met.map(|meeting| Input::PeerMet { peer, meeting });
        let votes = self.votes().into_iter().map(move |(tx, token)| Input::PeerShows {
            peer,
            tx,
            token,
            past: None,
        });
        met.into_iter().chain(votes)
    }

    /// The votes that can be parsed, at most as many as a bank ever sends.
    pub(super) fn votes(&self) -> Vec<(TxId, Token)> {
        let read =
            |shown: &ShownVote| Some((TxId::new(&shown.tx).ok()?, Token::parse(&shown.token)?));
        self.seen.iter().take(PEER_VOTES_SENT_MAX).filter_map(read).collect()
    }
}

/// The side that made a proof. The MAC covers it, so that a proof can't be reflected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandshakeRole {
    Dialler,
    Dialled,
}

/// All that both sides of one handshake agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HandshakePair {
    pub(super) dialler: BankId,
    pub(super) dialled: BankId,
    /// The length of each list; lists differ while a consortium grows.
    pub(super) dialler_places: usize,
    pub(super) dialled_places: usize,
    pub(super) dialler_nonce: blake3::Hash,
    pub(super) dialled_nonce: blake3::Hash,
    pub(super) dialler_founding: FoundingId,
    pub(super) dialled_founding: FoundingId,
}

impl HandshakePair {
    /// The proof of `role`.
    pub(super) fn mac(&self, identity: &Identity, role: HandshakeRole) -> blake3::Hash {
        let role: &[u8] = match role {
            HandshakeRole::Dialler => b"dialler",
            HandshakeRole::Dialled => b"dialled",
        };
        let places = |number: usize| u64::try_from(number).unwrap_or(u64::MAX).to_le_bytes();
        identity.seal.mac(
            "consorcio link 3",
            &[
                role,
                &[self.dialler.as_u8(), self.dialled.as_u8()],
                &places(self.dialler_places),
                &places(self.dialled_places),
                self.dialler_nonce.as_bytes(),
                self.dialled_nonce.as_bytes(),
                self.dialler_founding.as_bytes(),
                self.dialled_founding.as_bytes(),
            ],
        )
    }

    /// Is `mac`, in hex, the proof of `role`?
    pub(super) fn proves(&self, identity: &Identity, role: HandshakeRole, mac: &str) -> bool {
        // `Hash` compares in constant time.
        blake3::Hash::from_hex(mac).is_ok_and(|mac| mac == self.mac(identity, role))
    }
}

pub(super) fn nonce() -> Result<blake3::Hash, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(blake3::Hash::from_bytes(bytes))
}

pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| format!("not what a bank tells here: {error}"))
}

pub(super) fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain structs of numbers and texts always have a JSON")
}

/// The dialler's side, up to its proof.
#[derive(Debug)]
pub(super) struct Dialling<'a> {
    pub(super) identity: &'a Identity,
    /// The founding id of this bank's journal.
    pub(super) founding: FoundingId,
    pub(super) peer: BankId,
    pub(super) nonce: blake3::Hash,
}

impl Dialling<'_> {
    /// A handshake with `peer`, and the JSON of its first line.
    pub(super) fn begin(
        identity: &Identity,
        founding: FoundingId,
        peer: BankId,
    ) -> Result<(Dialling<'_>, String), String> {
        let nonce = nonce()?;
        let hello = LinkHello {
            bank: identity.bank,
            places: identity.places.len(),
            to: peer,
            key: identity.seal.key_id().to_string(),
            nonce: nonce.to_hex().to_string(),
            founding: founding.to_string(),
        };
        Ok((Dialling { identity, founding, peer, nonce }, write(&hello)))
    }

    /// Checks the peer's position and proof; returns the JSON of the second line, with `news`, and
    /// the founding id of the peer's journal.
    pub(super) fn prove(self, welcome: &str, news: News) -> Result<(String, FoundingId), String> {
        let welcome: LinkWelcome = read(welcome)?;
        same_consortium(self.identity, welcome.bank, welcome.places)?;
        if welcome.bank != self.peer {
            return Err(format!("there is bank {}, not {}", welcome.bank, self.peer));
        }
        if welcome.to != self.identity.bank {
            return Err(format!("it takes this bank for {}", welcome.to));
        }
        same_key(self.identity, welcome.bank, &welcome.key)?;
        let founding = read_founding(&welcome.founding)?;
        let pair = HandshakePair {
            dialler_founding: self.founding,
            dialled_founding: founding,
            dialler: self.identity.bank,
            dialled: self.peer,
            dialler_places: self.identity.places.len(),
            dialled_places: welcome.places,
            dialler_nonce: self.nonce,
            dialled_nonce: blake3::Hash::from_hex(&welcome.nonce)
                .map_err(|_| "no nonce".to_owned())?,
        };
        if !pair.proves(self.identity, HandshakeRole::Dialled, &welcome.mac) {
            return Err("it has not proved that it has the consortium's key".to_owned());
        }
        let mac = pair.mac(self.identity, HandshakeRole::Dialler).to_hex().to_string();
        Ok((write(&LinkProof { mac, news }), founding))
    }
}

pub(super) fn read_founding(text: &str) -> Result<FoundingId, String> {
    FoundingId::parse(text).ok_or_else(|| "the founding id is not 32 hex digits".to_owned())
}

/// Why a bank refuses a peer that now has another journal than when they met.
pub(super) fn replaced(bank: BankId, met: FoundingId, now: FoundingId) -> String {
    format!(
        "bank {bank} has another journal, {now}, than the one that this bank has met, {met}: it \
         has forgotten what it promised"
    )
}

/// The words that mark a refusal because of the key.
pub(super) const ANOTHER_KEY: &str = "another key";

/// Checks that the id of another bank's key is that of ours. The proof of the key itself follows.
pub(super) fn same_key(identity: &Identity, bank: BankId, key: &str) -> Result<(), String> {
    let ours = identity.seal.key_id().to_string();
    if key == ours {
        return Ok(());
    }
    let shown = consorcio_core::wire::text::excerpt(key);
    Err(format!("bank {bank} has {ANOTHER_KEY}: {shown}, and bank {} has {ours}", identity.bank))
}

/// Checks that `bank`, whose list has so many `places`, is another bank of this consortium. The two
/// lists may differ in length: new banks are added at the end, and each bank gets the longer list
/// by a restart of its own.
pub(super) fn same_consortium(
    identity: &Identity,
    bank: BankId,
    places: usize,
) -> Result<(), String> {
    let (me, ours) = (identity.bank, identity.places.len());
    if bank == me {
        return Err(format!("both sides are bank {bank}"));
    }
    if bank.index() >= places {
        return Err(format!("bank {bank} is not in its own list of {places} places"));
    }
    if me.index() >= places {
        return Err(not_in_list(me, bank, places));
    }
    match identity.places.get(bank.index()).map(String::as_str) {
        None => Err(not_in_list(bank, me, ours)),
        Some("-") => Err(format!("bank {bank} has left the consortium")),
        Some(_) => Ok(()),
    }
}

fn not_in_list(bank: BankId, of: BankId, places: usize) -> String {
    format!(
        "bank {bank} is not in bank {of}'s list of {places} places: restart bank {of} with the \
         longer list"
    )
}
