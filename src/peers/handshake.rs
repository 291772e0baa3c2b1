//! How two banks come to trust a link: what each tells the other, and the proofs. No socket here.
//!
//! The bank that dials says who it is, whom it believes it dials, and a fresh nonce: `PEER {hello}`. The one
//! dialled answers with the same of its own and proves itself: a MAC over both nonces and all that is told. Then
//! the dialler proves itself likewise: `PEER {proof}`. Each proof says in its MAC which role made it, so neither a
//! reflected nor a repeated one fits. What is told counts only with its proof. Without a key there is no proof:
//! then only what the _dialled_ address tells counts, since the dialler chose it.

use crate::bank::Identity;
use crate::bank::io::Origin;
use crate::ids::{BankId, Time};
use serde::{Deserialize, Serialize};

/// What the dialler tells first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Who dials.
    bank: BankId,
    /// How many places its consortium has.
    places: usize,
    /// Whom it believes it dials.
    to: BankId,
    /// Has its consortium a key?
    keyed: bool,
    /// 32 fresh bytes in hex.
    nonce: String,
}

/// What the dialled bank answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Welcome {
    /// Who was dialled.
    bank: BankId,
    /// How many places its consortium has.
    places: usize,
    /// Who it believes dials.
    to: BankId,
    /// 32 fresh bytes in hex.
    nonce: String,
    /// The last vote of the dialler that it knows.
    seen: Time,
    /// Its proof, with a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

/// What the dialler tells then, and what both tell later on an open link, without a MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// The last vote of the other that it knows.
    pub(super) seen: Time,
    /// The dialler's proof, once, with a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

impl Seen {
    /// The news on an open link.
    pub(super) fn news(seen: Time) -> Seen {
        Seen { seen, mac: None }
    }
}

/// Who made a proof. It stands in the MAC, so that a proof can't be sent back to whom it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Dialler,
    Dialled,
}

/// All that both sides of one handshake agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    dialler: BankId,
    dialled: BankId,
    places: usize,
    dialler_nonce: blake3::Hash,
    dialled_nonce: blake3::Hash,
}

impl Pair {
    /// The proof of `role`, which tells `seen`; `None` without a key.
    fn mac(&self, identity: &Identity, role: Role, seen: Time) -> Option<blake3::Hash> {
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
    fn proves(&self, identity: &Identity, role: Role, seen: Time, told: Option<&str>) -> bool {
        match (self.mac(identity, role, seen), told) {
            // `Hash` compares in constant time.
            (Some(ours), Some(told)) => blake3::Hash::from_hex(told).is_ok_and(|told| told == ours),
            (Some(_), None) | (None, Some(_)) => false,
            (None, None) => true,
        }
    }
}

/// 32 fresh bytes.
fn nonce() -> Result<blake3::Hash, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(blake3::Hash::from_bytes(bytes))
}

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| format!("not what a bank tells here: {error}"))
}

fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain structs of numbers and texts always have a JSON")
}

fn time(told: Time) -> Result<Time, String> {
    if (Time(0)..=Time::MAX).contains(&told) { Ok(told) } else { Err(format!("{told} is no time")) }
}

/// The dialler's side, up to its proof.
#[derive(Debug)]
pub(super) struct Dialling<'a> {
    identity: &'a Identity,
    peer: BankId,
    nonce: blake3::Hash,
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
fn same_consortium(identity: &Identity, bank: BankId, places: usize) -> Result<(), String> {
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
                let told = time(read::<Seen>(json)?.seen)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::token::Seal;

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    fn identity(position: usize, seal: Seal) -> Identity {
        let places = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "-"];
        Identity { bank: bank(position), places: places.map(str::to_owned).to_vec(), seal }
    }

    fn keyed(position: usize) -> Identity {
        identity(position, Seal::keyed([7; 32]))
    }

    fn keyless(position: usize) -> Identity {
        identity(position, Seal::none())
    }

    /// The whole handshake; what each side learned, or who refused and why.
    fn shake(dialler: &Identity, dialled: &Identity) -> Result<(Time, Answered), String> {
        let mut door = Door::default();
        let (dialling, hello) = Dialling::begin(dialler, dialled.bank)?;
        let Answered::Told(welcome) = door.answer(dialled, |_| Time(40), &hello)? else {
            panic!("a hello opens no link");
        };
        assert_eq!((door.origin(), door.bank()), (Origin::Client, None));
        let (told, proof) = dialling.prove(&welcome, Time(50))?;
        let opened = door.answer(dialled, |_| Time(41), &proof)?;
        assert_eq!((door.origin(), door.bank()), (Origin::Link, Some(dialler.bank)));
        Ok((told, opened))
    }

    #[test]
    fn both_sides_prove_themselves_and_learn() {
        let (told, opened) = shake(&keyed(0), &keyed(1)).unwrap();
        assert_eq!(told, Time(40));
        assert_eq!(opened, Answered::Opened("{\"seen\":41}".to_owned(), bank(0), Some(Time(50))));
    }

    #[test]
    fn without_a_key_only_what_the_dialled_address_tells_counts() {
        let (told, opened) = shake(&keyless(0), &keyless(1)).unwrap();
        assert_eq!(told, Time(40));
        assert_eq!(opened, Answered::Opened("{\"seen\":41}".to_owned(), bank(0), None));
    }

    #[test]
    fn one_key_is_needed_on_both_sides() {
        let other = identity(1, Seal::keyed([8; 32]));
        assert!(shake(&keyed(0), &other).unwrap_err().contains("not proved"));
        for (dialler, dialled) in [(keyed(0), keyless(1)), (keyless(0), keyed(1))] {
            let refused = shake(&dialler, &dialled).unwrap_err();
            assert!(refused.contains("share one key"), "{refused}");
        }
    }

    #[test]
    fn a_liar_about_the_key_gets_no_further() {
        // A dialler without the key that says it has one is welcomed, and can't go on.
        let (dialled, mut door) = (keyed(1), Door::default());
        let (_, hello) = Dialling::begin(&keyed(0), bank(1)).unwrap();
        door.answer(&dialled, |_| Time(0), &hello).unwrap();
        for proof in [
            r#"{"seen":5}"#.to_owned(),
            format!(r#"{{"seen":5,"mac":"{}"}}"#, "0".repeat(64)),
            r#"{"seen":5,"mac":"x"}"#.to_owned(),
        ] {
            door.answer(&dialled, |_| Time(0), &hello).unwrap();
            assert!(door.answer(&dialled, |_| Time(0), &proof).is_err());
            assert_eq!(door.origin(), Origin::Client);
        }
    }

    #[test]
    fn a_welcome_without_proof_does_not_count() {
        let dialler = keyed(0);
        let (_, hello) = Dialling::begin(&dialler, bank(1)).unwrap();
        let Answered::Told(welcome) = Door::default().answer(&keyed(1), |_| Time(9), &hello).unwrap() else {
            panic!("a hello opens no link");
        };
        // The same welcome for another dialling is a replay: its nonce is not the one of this dialling.
        let (again, _) = Dialling::begin(&dialler, bank(1)).unwrap();
        assert!(again.prove(&welcome, Time(1)).unwrap_err().contains("not proved"));
        // What is told is in the proof.
        let mut told: Welcome = read(&welcome).unwrap();
        let nonce: Hello = read(&hello).unwrap();
        let dialling = |identity| Dialling {
            identity,
            peer: bank(1),
            nonce: blake3::Hash::from_hex(&nonce.nonce).unwrap(),
        };
        assert!(dialling(&dialler).prove(&write(&told), Time(1)).is_ok());
        told.seen = Time(10);
        assert!(dialling(&dialler).prove(&write(&told), Time(1)).is_err());
        told.seen = Time(9);
        told.mac = None;
        assert!(dialling(&dialler).prove(&write(&told), Time(1)).is_err());
    }

    #[test]
    fn a_reflected_proof_fails() {
        // Someone without the key dials bank 1 as bank 0, while bank 0 dials it, and passes the proofs around.
        let (one, mut door) = (keyed(1), Door::default());
        let (_, hello) = Dialling::begin(&keyed(0), bank(1)).unwrap();
        let Answered::Told(welcome) = door.answer(&one, |_| Time(3), &hello).unwrap() else {
            panic!("a hello opens no link");
        };
        // The dialled bank's own proof, sent back to it as the dialler's.
        let welcome: Welcome = read(&welcome).unwrap();
        let reflected = write(&Seen { seen: welcome.seen, mac: welcome.mac });
        assert!(door.answer(&one, |_| Time(3), &reflected).is_err());
        // A bank that is dialled by its own hello refuses it.
        let zero = keyed(0);
        assert!(Door::default().answer(&zero, |_| Time(0), &hello).is_err());
    }

    #[test]
    fn a_replayed_handshake_fails() {
        let (zero, one) = (keyed(0), keyed(1));
        let (dialling, hello) = Dialling::begin(&zero, bank(1)).unwrap();
        let mut door = Door::default();
        let Answered::Told(welcome) = door.answer(&one, |_| Time(0), &hello).unwrap() else {
            panic!("a hello opens no link");
        };
        let (_, proof) = dialling.prove(&welcome, Time(7)).unwrap();
        let mut later = Door::default();
        later.answer(&one, |_| Time(0), &hello).unwrap();
        assert!(later.answer(&one, |_| Time(0), &proof).is_err());
        assert_eq!(later.origin(), Origin::Client);
        assert!(door.answer(&one, |_| Time(0), &proof).is_ok(), "where it belongs it fits");
    }

    #[test]
    fn numbers_and_places_must_agree() {
        let dialler = keyed(0);
        let refused = |change: &dyn Fn(&mut Hello)| {
            let (_, hello) = Dialling::begin(&dialler, bank(1)).unwrap();
            let mut hello: Hello = read(&hello).unwrap();
            change(&mut hello);
            Door::default().answer(&keyed(1), |_| Time(0), &write(&hello)).unwrap_err()
        };
        assert!(refused(&|hello| hello.places = 5).contains("knows 5 places"));
        assert!(refused(&|hello| hello.to = bank(2)).contains("this is bank 1, not 2"));
        assert!(refused(&|hello| hello.bank = bank(1)).contains("both sides"));
        assert!(refused(&|hello| hello.bank = bank(3)).contains("has left"));
        assert!(refused(&|hello| hello.bank = bank(9)).contains("no place 9"));
        assert!(refused(&|hello| hello.nonce = "12".to_owned()).contains("nonce"));
        // The dialler looks as closely.
        let mut bigger = keyed(1);
        bigger.places.push("127.0.0.1:5".to_owned());
        let (dialling, hello) = Dialling::begin(&dialler, bank(1)).unwrap();
        let mut hello: Hello = read(&hello).unwrap();
        hello.places = 5;
        let Answered::Told(welcome) = Door::default().answer(&bigger, |_| Time(0), &write(&hello)).unwrap()
        else {
            panic!("a hello opens no link");
        };
        assert!(dialling.prove(&welcome, Time(0)).unwrap_err().contains("knows 5 places"));
        let (dialling, _) = Dialling::begin(&dialler, bank(2)).unwrap();
        let (_, hello) = Dialling::begin(&dialler, bank(1)).unwrap();
        let Answered::Told(welcome) = Door::default().answer(&keyed(1), |_| Time(0), &hello).unwrap() else {
            panic!("a hello opens no link");
        };
        assert!(dialling.prove(&welcome, Time(0)).unwrap_err().contains("there is bank 1, not 2"));
    }

    #[test]
    fn news_count_only_on_a_proved_link() {
        let mut door = Door::default();
        assert!(door.answer(&keyed(1), |_| Time(0), r#"{"seen":9}"#).is_err());
        for (seal, counts) in [(Seal::keyed([7; 32]), true), (Seal::none(), false)] {
            let (zero, one) = (identity(0, seal.clone()), identity(1, seal));
            let mut door = Door::default();
            let (dialling, hello) = Dialling::begin(&zero, bank(1)).unwrap();
            let Answered::Told(welcome) = door.answer(&one, |_| Time(0), &hello).unwrap() else {
                panic!("a hello opens no link");
            };
            door.answer(&one, |_| Time(0), &dialling.prove(&welcome, Time(7)).unwrap().1).unwrap();
            let news = door.answer(&one, |_| Time(11), r#"{"seen":9}"#).unwrap();
            let told = Some(Time(9)).filter(|_| counts);
            assert_eq!(news, Answered::News("{\"seen\":11}".to_owned(), bank(0), told));
            for junk in
                ["", "{}", r#"{"seen":-1}"#, r#"{"seen":1.5}"#, r#"{"seen":9007199254740992}"#, &hello]
            {
                assert!(door.answer(&one, |_| Time(0), junk).is_err(), "{junk}");
                assert_eq!(door.bank(), Some(bank(0)), "an open link stays one");
            }
        }
    }
}
