//! How two banks come to trust a link: what each tells the other, and the proofs. No socket here.
//!
//! The bank that dials says who it is, whom it believes it dials, and a fresh nonce: `PEER {hello}`. The one
//! dialled answers with the same of its own and proves itself: a MAC over both nonces and all that is told. Then
//! the dialler proves itself likewise: `PEER {proof}`. Each proof says in its MAC which role made it, so neither a
//! reflected nor a repeated one fits. What is told counts only with its proof. Without a key there is no proof:
//! then only what the _dialled_ address tells counts, since the dialler chose it. The dialled side is in `door`.

use crate::bank::Identity;
use crate::ids::{BankId, Time};
use serde::{Deserialize, Serialize};

/// What the dialler tells first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Who dials.
    pub(super) bank: BankId,
    /// How many places its consortium has.
    pub(super) places: usize,
    /// Whom it believes it dials.
    pub(super) to: BankId,
    /// Has its consortium a key?
    pub(super) keyed: bool,
    /// 32 fresh bytes in hex.
    pub(super) nonce: String,
}

/// What the dialled bank answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Welcome {
    /// Who was dialled.
    pub(super) bank: BankId,
    /// How many places its consortium has.
    pub(super) places: usize,
    /// Who it believes dials.
    pub(super) to: BankId,
    /// 32 fresh bytes in hex.
    pub(super) nonce: String,
    /// The last vote of the dialler that it knows.
    pub(super) seen: Time,
    /// Its proof, with a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mac: Option<String>,
}

/// What the dialler tells then, and what both tell later on an open link, without a MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// The last vote of the other that it knows.
    pub(super) seen: Time,
    /// The dialler's proof, once, with a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mac: Option<String>,
}

impl Seen {
    /// The news on an open link.
    pub(super) fn news(seen: Time) -> Seen {
        Seen { seen, mac: None }
    }
}

/// Who made a proof. It stands in the MAC, so that a proof can't be sent back to whom it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Dialler,
    Dialled,
}

/// All that both sides of one handshake agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) dialler: BankId,
    pub(super) dialled: BankId,
    pub(super) places: usize,
    pub(super) dialler_nonce: blake3::Hash,
    pub(super) dialled_nonce: blake3::Hash,
}

impl Pair {
    /// The proof of `role`, which tells `seen`; `None` without a key.
    pub(super) fn mac(&self, identity: &Identity, role: Role, seen: Time) -> Option<blake3::Hash> {
        let role: &[u8] = match role {
            Role::Dialler => b"dialler",
            Role::Dialled => b"dialled",
        };
        identity.seal.mac(
            "consorcio link 1",
            &[
                role,
                &[self.dialler.as_u8(), self.dialled.as_u8()],
                &u64::try_from(self.places).unwrap_or(u64::MAX).to_le_bytes(),
                self.dialler_nonce.as_bytes(),
                self.dialled_nonce.as_bytes(),
                &seen.0.to_le_bytes(),
            ],
        )
    }

    /// Does `told` prove `role`? Without a key nothing needs a proof, and nothing may pretend to be one.
    pub(super) fn proves(&self, identity: &Identity, role: Role, seen: Time, told: Option<&str>) -> bool {
        match (self.mac(identity, role, seen), told) {
            // `Hash` compares in constant time.
            (Some(ours), Some(told)) => blake3::Hash::from_hex(told).is_ok_and(|told| told == ours),
            (Some(_), None) | (None, Some(_)) => false,
            (None, None) => true,
        }
    }
}

/// 32 fresh bytes.
pub(super) fn nonce() -> Result<blake3::Hash, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(blake3::Hash::from_bytes(bytes))
}

pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| format!("not what a bank tells here: {error}"))
}

pub(super) fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain structs of numbers and texts always have a JSON")
}

/// What is told on an open link.
pub(super) fn news(json: &str) -> Result<Time, String> {
    time(read::<Seen>(json)?.seen)
}

/// `told`, if there can be such a time.
pub(super) fn time(told: Time) -> Result<Time, String> {
    if (Time(0)..=Time::MAX).contains(&told) { Ok(told) } else { Err(format!("{told} is no time")) }
}

/// The dialler's side, up to its proof.
#[derive(Debug)]
pub(super) struct Dialling<'a> {
    pub(super) identity: &'a Identity,
    pub(super) peer: BankId,
    pub(super) nonce: blake3::Hash,
}

impl Dialling<'_> {
    /// A handshake with `peer`, and the JSON of its first line.
    pub(super) fn begin(identity: &Identity, peer: BankId) -> Result<(Dialling<'_>, String), String> {
        let nonce = nonce()?;
        let hello = Hello {
            bank: identity.bank,
            places: identity.places.len(),
            to: peer,
            keyed: identity.seal.is_keyed(),
            nonce: nonce.to_hex().to_string(),
        };
        Ok((Dialling { identity, peer, nonce }, write(&hello)))
    }

    /// What the peer told, if it is the right one and has proved it, and the JSON of the second line, which tells
    /// `seen`.
    pub(super) fn prove(self, welcome: &str, seen: Time) -> Result<(Time, String), String> {
        let welcome: Welcome = read(welcome)?;
        same_consortium(self.identity, welcome.bank, welcome.places)?;
        if welcome.bank != self.peer {
            return Err(format!("there is bank {}, not {}", welcome.bank, self.peer));
        }
        if welcome.to != self.identity.bank {
            return Err(format!("it takes this bank for {}", welcome.to));
        }
        let told = time(welcome.seen)?;
        let pair = Pair {
            dialler: self.identity.bank,
            dialled: self.peer,
            places: self.identity.places.len(),
            dialler_nonce: self.nonce,
            dialled_nonce: blake3::Hash::from_hex(&welcome.nonce).map_err(|_| "no nonce".to_owned())?,
        };
        if !pair.proves(self.identity, Role::Dialled, told, welcome.mac.as_deref()) {
            return Err("it has not proved that it has the consortium's key".to_owned());
        }
        let mac = pair.mac(self.identity, Role::Dialler, seen).map(|mac| mac.to_hex().to_string());
        Ok((told, write(&Seen { seen, mac })))
    }
}

/// Is a bank that says this of itself another place of this consortium?
pub(super) fn same_consortium(identity: &Identity, bank: BankId, places: usize) -> Result<(), String> {
    if places != identity.places.len() {
        let ours = identity.places.len();
        return Err(format!("bank {bank} knows {places} places, bank {} knows {ours}", identity.bank));
    }
    if bank == identity.bank {
        return Err(format!("both sides are bank {bank}"));
    }
    match identity.places.get(bank.index()).map(String::as_str) {
        None => Err(format!("there is no place {bank}")),
        Some("-") => Err(format!("bank {bank} has left the consortium")),
        Some(_) => Ok(()),
    }
}
