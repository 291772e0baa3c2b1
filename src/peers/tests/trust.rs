//! Tests of the handshake's proofs, without a socket: what is forged, reflected or repeated opens
//! no link.

use super::super::acceptor::{Acceptor, Answered, Own};
use super::super::handshake::{Dialling, LinkHello, LinkProof, LinkWelcome, News, read, write};
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::{Input, Origin};
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::ids::{BankId, Time, TxId};
use consorcio_core::wire::token::{Digest, Seal, Token, Vote};

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

/// A vote of `bank`, to be shown to it.
fn vote(bank: BankId, time: i64) -> (TxId, Token) {
    let tx = TxId::new(&format!("t{time}")).unwrap();
    let seal = Seal::keyed([7; 32]);
    let token = seal.token(bank, Vote::Ok, &tx, Some(Digest::of(b"{}")), Time(time));
    (tx, token)
}

/// The journal of the bank at this position.
fn founding(bank: BankId) -> FoundingId {
    FoundingId::new([bank.as_u8(); 16])
}

fn begin(dialler: &Identity, peer: BankId) -> Result<(Dialling<'_>, String), String> {
    Dialling::begin(dialler, founding(dialler.bank), peer)
}

/// A session at `dialled`, which knows nothing of votes and has met nobody.
fn answer(acceptor: &mut Acceptor, dialled: &Identity, json: &str) -> Result<Answered, String> {
    let own = Own { identity: dialled, founding: founding(dialled.bank) };
    acceptor.answer(&own, |_| News::default(), |_| None, json)
}

fn news(votes: &[(TxId, Token)]) -> News {
    News::of(votes, None)
}

/// The whole handshake: what the dialled bank says of it, or who refused and why.
fn shake(dialler: &Identity, dialled: &Identity) -> Result<Answered, String> {
    let mut acceptor = Acceptor::default();
    let (dialling, hello) = begin(dialler, dialled.bank)?;
    let Answered::Told(welcome) = answer(&mut acceptor, dialled, &hello)? else {
        panic!("a hello opens no link");
    };
    assert_eq!((acceptor.origin(), acceptor.bank()), (Origin::Client, None));
    let (proof, told) = dialling.prove(&welcome, news(&[vote(dialled.bank, 50)]))?;
    assert_eq!(told, founding(dialled.bank));
    let own = Own { identity: dialled, founding: founding(dialled.bank) };
    let opened = acceptor.answer(&own, |bank| news(&[vote(bank, 41)]), |_| None, &proof)?;
    assert_eq!((acceptor.origin(), acceptor.bank()), (Origin::Link, Some(dialler.bank)));
    Ok(opened)
}

#[test]
fn both_sides_prove_themselves_and_show_what_they_know() {
    let opened = shake(&keyed(0), &keyed(1)).unwrap();
    let told = write(&news(&[vote(bank(0), 41)]));
    assert_eq!(
        opened,
        Answered::Opened(told, bank(0), founding(bank(0)), news(&[vote(bank(1), 50)]))
    );
}

#[test]
fn one_key_is_needed_on_both_sides() {
    let other = identity(1, Seal::keyed([8; 32]));
    let refused = shake(&keyed(0), &other).unwrap_err();
    let (ours, theirs) = (other.seal.key_id(), keyed(0).seal.key_id());
    assert_eq!(refused, format!("bank 0 has another key: {theirs}, and bank 1 has {ours}"));
    assert_ne!(ours, theirs);
}

#[test]
fn a_liar_about_the_key_gets_no_further() {
    // A dialler without the key that knows its id is welcomed, and can't go on.
    let (dialled, mut acceptor) = (keyed(1), Acceptor::default());
    let (_, hello) = begin(&keyed(0), bank(1)).unwrap();
    answer(&mut acceptor, &dialled, &hello).unwrap();
    for proof in [
        r#"{"seen":[]}"#.to_owned(),
        format!(r#"{{"seen":[],"mac":"{}"}}"#, "0".repeat(64)),
        r#"{"seen":[],"mac":"x"}"#.to_owned(),
    ] {
        answer(&mut acceptor, &dialled, &hello).unwrap();
        assert!(answer(&mut acceptor, &dialled, &proof).is_err());
        assert_eq!(acceptor.origin(), Origin::Client);
    }
}

#[test]
fn a_welcome_without_proof_does_not_count() {
    let dialler = keyed(0);
    let (_, hello) = begin(&dialler, bank(1)).unwrap();
    let Answered::Told(welcome) = answer(&mut Acceptor::default(), &keyed(1), &hello).unwrap()
    else {
        panic!("a hello opens no link");
    };
    // The same welcome for another dialling is a replay: its nonce is not the one of this dialling.
    let (again, _) = begin(&dialler, bank(1)).unwrap();
    assert!(again.prove(&welcome, News::default()).unwrap_err().contains("not proved"));
    let mut told: LinkWelcome = read(&welcome).unwrap();
    let nonce: LinkHello = read(&hello).unwrap();
    let nonce = blake3::Hash::from_hex(&nonce.nonce).unwrap();
    let dialling =
        |identity| Dialling { identity, founding: founding(bank(0)), peer: bank(1), nonce };
    assert!(dialling(&dialler).prove(&write(&told), News::default()).is_ok());
    told.mac = "0".repeat(64);
    assert!(dialling(&dialler).prove(&write(&told), News::default()).is_err());
    told.mac = String::new();
    assert!(dialling(&dialler).prove(&write(&told), News::default()).is_err());
}

#[test]
fn a_reflected_proof_fails() {
    // Someone without the key dials bank 1 as bank 0, while bank 0 dials it, and passes the proofs
    // around.
    let (one, mut acceptor) = (keyed(1), Acceptor::default());
    let (_, hello) = begin(&keyed(0), bank(1)).unwrap();
    let Answered::Told(welcome) = answer(&mut acceptor, &one, &hello).unwrap() else {
        panic!("a hello opens no link");
    };
    // The dialled bank's own proof, sent back to it as the dialler's.
    let welcome: LinkWelcome = read(&welcome).unwrap();
    let reflected = write(&LinkProof { mac: welcome.mac, news: News::default() });
    assert!(answer(&mut acceptor, &one, &reflected).is_err());
    // A bank that is dialled by its own hello refuses it.
    let zero = keyed(0);
    assert!(answer(&mut Acceptor::default(), &zero, &hello).is_err());
}

#[test]
fn a_replayed_handshake_fails() {
    let (zero, one) = (keyed(0), keyed(1));
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let mut acceptor = Acceptor::default();
    let Answered::Told(welcome) = answer(&mut acceptor, &one, &hello).unwrap() else {
        panic!("a hello opens no link");
    };
    let (proof, _) = dialling.prove(&welcome, News::default()).unwrap();
    let mut later = Acceptor::default();
    answer(&mut later, &one, &hello).unwrap();
    assert!(answer(&mut later, &one, &proof).is_err());
    assert_eq!(later.origin(), Origin::Client);
    assert!(answer(&mut acceptor, &one, &proof).is_ok(), "where it belongs it fits");
}

#[test]
fn numbers_and_places_must_agree() {
    let dialler = keyed(0);
    let refused = |change: &dyn Fn(&mut LinkHello)| {
        let (_, hello) = begin(&dialler, bank(1)).unwrap();
        let mut hello: LinkHello = read(&hello).unwrap();
        change(&mut hello);
        answer(&mut Acceptor::default(), &keyed(1), &write(&hello)).unwrap_err()
    };
    assert!(refused(&|hello| hello.to = bank(2)).contains("this is bank 1, not 2"));
    assert!(refused(&|hello| hello.bank = bank(1)).contains("both sides"));
    assert!(refused(&|hello| hello.bank = bank(3)).contains("has left"));
    assert!(
        refused(&|hello| hello.bank = bank(9))
            .contains("bank 9 is not in its own list of 4 places")
    );
    assert!(
        refused(&|hello| hello.places = 1).contains("bank 1 is not in bank 0's list of 1 places")
    );
    assert!(refused(&|hello| hello.nonce = "12".to_owned()).contains("nonce"));
    // The dialler looks as closely.
    let (dialling, _) = begin(&dialler, bank(2)).unwrap();
    let (_, hello) = begin(&dialler, bank(1)).unwrap();
    let Answered::Told(welcome) = answer(&mut Acceptor::default(), &keyed(1), &hello).unwrap()
    else {
        panic!("a hello opens no link");
    };
    assert!(
        dialling.prove(&welcome, News::default()).unwrap_err().contains("there is bank 1, not 2")
    );
}

/// The same bank with a list of so many places, of which the last are new.
fn with_places(position: usize, places: usize) -> Identity {
    let mut identity = keyed(position);
    identity.places = (0..places).map(|place| format!("127.0.0.1:{}", place + 1)).collect();
    identity
}

#[test]
fn lists_may_differ_by_banks_at_the_end() {
    for (dialler, dialled) in [(3, 4), (4, 3), (3, 16), (16, 3)] {
        let opened = shake(&with_places(0, dialler), &with_places(1, dialled));
        assert!(matches!(&opened, Ok(Answered::Opened(_, to, ..)) if *to == bank(0)), "{opened:?}");
    }
    // A bank that the other side's list does not have yet is told what to do.
    let refused = shake(&with_places(3, 4), &with_places(0, 3)).unwrap_err();
    let told = "bank 3 is not in bank 0's list of 3 places: restart bank 0 with the longer list";
    assert_eq!(refused, told);
    // The dialler looks as closely: a welcome of a bank whose list does not have it does not count.
    let three = with_places(3, 4);
    let (dialling, hello) = begin(&three, bank(0)).unwrap();
    let welcome = answer(&mut Acceptor::default(), &with_places(0, 4), &hello).unwrap();
    let Answered::Told(welcome) = welcome else { panic!("a hello opens no link") };
    let mut shorter: LinkWelcome = read(&welcome).unwrap();
    shorter.places = 3;
    assert_eq!(dialling.prove(&write(&shorter), News::default()).unwrap_err(), told);
}

#[test]
fn both_numbers_of_places_stand_in_the_proofs() {
    // Somebody on the way changes what the dialler tells: the dialled bank's proof does not fit.
    let (zero, one) = (with_places(0, 3), with_places(1, 4));
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let mut changed: LinkHello = read(&hello).unwrap();
    changed.places = 4;
    let Answered::Told(welcome) = answer(&mut Acceptor::default(), &one, &write(&changed)).unwrap()
    else {
        panic!("a hello opens no link");
    };
    assert!(dialling.prove(&welcome, News::default()).unwrap_err().contains("not proved"));
    // ... and what the dialled bank tells: likewise.
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let Answered::Told(welcome) = answer(&mut Acceptor::default(), &one, &hello).unwrap() else {
        panic!("a hello opens no link");
    };
    let mut changed: LinkWelcome = read(&welcome).unwrap();
    changed.places = 3;
    assert!(dialling.prove(&write(&changed), News::default()).unwrap_err().contains("not proved"));
}

#[test]
fn news_count_only_on_a_proved_link() {
    let shown = write(&news(&[vote(bank(1), 9)]));
    let mut acceptor = Acceptor::default();
    assert!(answer(&mut acceptor, &keyed(1), &shown).is_err());
    let (zero, one) = (keyed(0), keyed(1));
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let Answered::Told(welcome) = answer(&mut acceptor, &one, &hello).unwrap() else {
        panic!("a hello opens no link");
    };
    answer(&mut acceptor, &one, &dialling.prove(&welcome, News::default()).unwrap().0).unwrap();
    let told = answer(&mut acceptor, &one, &shown).unwrap();
    let nothing = r#"{"seen":[]}"#.to_owned();
    assert_eq!(told, Answered::News(nothing.clone(), bank(0), news(&[vote(bank(1), 9)])));
    // What is no vote is no news; a later version may tell more.
    let later = concat!(
        r#"{"seen":[{"tx":"t1","token":"x"},{"tx":"","token":"N1.1.."}],"#,
        r#""head":"H1","met":"M1.0.x."}"#
    );
    let Answered::News(told, from, later) = answer(&mut acceptor, &one, later).unwrap() else {
        panic!("news")
    };
    assert_eq!((told, from, later.inputs(bank(0)).count()), (nothing, bank(0), 0));
    for junk in ["", "{}", r#"{"seen":-1}"#, r#"{"seen":5}"#, r#"{"seen":[5]}"#, &hello] {
        assert!(answer(&mut acceptor, &one, junk).is_err(), "{junk}");
        assert_eq!(acceptor.bank(), Some(bank(0)), "an open link stays one");
    }
}

#[test]
fn a_changed_founding_id_opens_no_link() {
    let (zero, one) = (keyed(0), keyed(1));
    let other = founding(bank(9)).to_string();
    // On the way to the bank dialled: its proof is over what it read, and not over what was said.
    let mut acceptor = Acceptor::default();
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let mut changed: LinkHello = read(&hello).unwrap();
    changed.founding.clone_from(&other);
    let Answered::Told(welcome) = answer(&mut acceptor, &one, &write(&changed)).unwrap() else {
        panic!("a welcome")
    };
    assert!(dialling.prove(&welcome, News::default()).unwrap_err().contains("not proved"));
    // On the way back.
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let Answered::Told(welcome) = answer(&mut acceptor, &one, &hello).unwrap() else {
        panic!("a welcome")
    };
    let mut changed: LinkWelcome = read(&welcome).unwrap();
    changed.founding = other;
    assert!(dialling.prove(&write(&changed), News::default()).unwrap_err().contains("not proved"));
    for text in ["", "12", "x"] {
        changed.founding = text.to_owned();
        let (dialling, _) = begin(&zero, bank(1)).unwrap();
        assert!(
            dialling.prove(&write(&changed), News::default()).unwrap_err().contains("founding id")
        );
    }
}

#[test]
fn a_bank_with_another_journal_than_it_was_met_with_gets_no_link_and_is_told_why() {
    let (zero, one) = (keyed(0), keyed(1));
    let met = FoundingId::new([9; 16]);
    let statement = one.seal.meeting(bank(1), bank(0), met);
    let own = Own { identity: &one, founding: founding(bank(1)) };
    let told = |_: BankId| News::of(&[], Some(&statement));
    let mut acceptor = Acceptor::default();
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let Answered::Told(welcome) = acceptor.answer(&own, told, |_| Some(met), &hello).unwrap()
    else {
        panic!("a welcome")
    };
    let (proof, _) = dialling.prove(&welcome, News::default()).unwrap();
    let Answered::Told(news) = acceptor.answer(&own, told, |_| Some(met), &proof).unwrap() else {
        panic!("no link")
    };
    let news: News = read(&news).unwrap();
    assert_eq!(
        news.inputs(bank(1)).collect::<Vec<_>>(),
        [Input::PeerMet { peer: bank(1), meeting: statement }]
    );
    assert_eq!((acceptor.origin(), acceptor.bank()), (Origin::Client, None));
}
