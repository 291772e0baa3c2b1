//! Tests of the handshake's proofs, without a socket: what is forged, reflected or repeated opens no link.

use super::super::door::{Answered, Door};
use super::super::handshake::{Dialling, Hello, Seen, Welcome, read, write};
use crate::bank::Identity;
use crate::bank::io::Origin;
use crate::commit::token::Seal;
use crate::ids::{BankId, Time};

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
    let dialling =
        |identity| Dialling { identity, peer: bank(1), nonce: blake3::Hash::from_hex(&nonce.nonce).unwrap() };
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
        for junk in ["", "{}", r#"{"seen":-1}"#, r#"{"seen":1.5}"#, r#"{"seen":9007199254740992}"#, &hello] {
            assert!(door.answer(&one, |_| Time(0), junk).is_err(), "{junk}");
            assert_eq!(door.bank(), Some(bank(0)), "an open link stays one");
        }
    }
}
