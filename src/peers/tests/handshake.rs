//! Tests of the handshake's proofs, without a socket: a forged, reflected or replayed one opens no
//! link.

use super::super::acceptor::{Acceptor, OwnBank, PeerAnswer};
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

/// A vote of `bank`, as its peers show it.
fn vote(bank: BankId, time: i64) -> (TxId, Token) {
    let tx = TxId::new(&format!("t{time}")).unwrap();
    let seal = Seal::keyed([7; 32]);
    let token = seal.token(bank, Vote::Ok, &tx, Some(Digest::of(b"{}")), Time(time));
    (tx, token)
}

/// The founding id of this bank's journal.
fn founding(bank: BankId) -> FoundingId {
    FoundingId::new([bank.as_u8(); 16])
}

fn begin(dialler: &Identity, peer: BankId) -> Result<(Dialling<'_>, String), String> {
    Dialling::begin(dialler, founding(dialler.bank), peer)
}

/// Answers a PEER line at `dialled`, which knows no votes and has met no bank.
fn answer(acceptor: &mut Acceptor, dialled: &Identity, json: &str) -> Result<PeerAnswer, String> {
    let own = OwnBank { identity: dialled, founding: founding(dialled.bank) };
    acceptor.answer(&own, |_| News::default(), |_| None, json)
}

fn news(votes: &[(TxId, Token)]) -> News {
    News::of(votes, None)
}

/// Runs the whole handshake; returns the last answer of the dialled bank, or the refusal.
fn shake(dialler: &Identity, dialled: &Identity) -> Result<PeerAnswer, String> {
    let mut acceptor = Acceptor::default();
    let (dialling, hello) = begin(dialler, dialled.bank)?;
    let PeerAnswer::NotOpen(welcome) = answer(&mut acceptor, dialled, &hello)? else {
        panic!("a hello opens no link");
    };
    assert_eq!((acceptor.origin(), acceptor.bank()), (Origin::Client, None));
    let (proof, id) = dialling.prove(&welcome, news(&[vote(dialled.bank, 50)]))?;
    assert_eq!(id, founding(dialled.bank));
    let own = OwnBank { identity: dialled, founding: founding(dialled.bank) };
    let opened = acceptor.answer(&own, |bank| news(&[vote(bank, 41)]), |_| None, &proof)?;
    assert_eq!((acceptor.origin(), acceptor.bank()), (Origin::Link, Some(dialler.bank)));
    Ok(opened)
}

#[test]
fn both_sides_prove_themselves_and_show_known_votes() {
    let opened = shake(&keyed(0), &keyed(1)).unwrap();
    let answer = write(&news(&[vote(bank(0), 41)]));
    assert_eq!(
        opened,
        PeerAnswer::Opened(answer, bank(0), founding(bank(0)), news(&[vote(bank(1), 50)]))
    );
}

#[test]
fn both_sides_need_the_same_key() {
    let other = identity(1, Seal::keyed([8; 32]));
    let refused = shake(&keyed(0), &other).unwrap_err();
    let (ours, theirs) = (other.seal.key_id(), keyed(0).seal.key_id());
    assert_eq!(refused, format!("bank 0 has another key: {theirs}, and bank 1 has {ours}"));
    assert_ne!(ours, theirs);
}

#[test]
fn a_dialler_without_the_key_fails_at_the_proof() {
    // The id of the key is public: with it alone a dialler gets a welcome, and no link.
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
fn a_welcome_without_a_valid_proof_is_rejected() {
    let dialler = keyed(0);
    let (_, hello) = begin(&dialler, bank(1)).unwrap();
    let PeerAnswer::NotOpen(welcome) = answer(&mut Acceptor::default(), &keyed(1), &hello).unwrap()
    else {
        panic!("a hello opens no link");
    };
    // For another handshake the same welcome is a replay: the nonce differs.
    let (again, _) = begin(&dialler, bank(1)).unwrap();
    assert!(again.prove(&welcome, News::default()).unwrap_err().contains("not proved"));
    let mut forged: LinkWelcome = read(&welcome).unwrap();
    let nonce: LinkHello = read(&hello).unwrap();
    let nonce = blake3::Hash::from_hex(&nonce.nonce).unwrap();
    let dialling =
        |identity| Dialling { identity, founding: founding(bank(0)), peer: bank(1), nonce };
    assert!(dialling(&dialler).prove(&write(&forged), News::default()).is_ok());
    forged.mac = "0".repeat(64);
    assert!(dialling(&dialler).prove(&write(&forged), News::default()).is_err());
    forged.mac = String::new();
    assert!(dialling(&dialler).prove(&write(&forged), News::default()).is_err());
}

#[test]
fn a_reflected_proof_fails() {
    // An attacker without the key dials bank 1 in the name of bank 0, and reflects proofs.
    let (one, mut acceptor) = (keyed(1), Acceptor::default());
    let (_, hello) = begin(&keyed(0), bank(1)).unwrap();
    let PeerAnswer::NotOpen(welcome) = answer(&mut acceptor, &one, &hello).unwrap() else {
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
    let PeerAnswer::NotOpen(welcome) = answer(&mut acceptor, &one, &hello).unwrap() else {
        panic!("a hello opens no link");
    };
    let (proof, _) = dialling.prove(&welcome, News::default()).unwrap();
    let mut later = Acceptor::default();
    answer(&mut later, &one, &hello).unwrap();
    assert!(answer(&mut later, &one, &proof).is_err());
    assert_eq!(later.origin(), Origin::Client);
    assert!(answer(&mut acceptor, &one, &proof).is_ok(), "it is valid in its own handshake");
}

#[test]
fn positions_and_lists_must_agree() {
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
    // The dialler checks the same.
    let (dialling, _) = begin(&dialler, bank(2)).unwrap();
    let (_, hello) = begin(&dialler, bank(1)).unwrap();
    let PeerAnswer::NotOpen(welcome) = answer(&mut Acceptor::default(), &keyed(1), &hello).unwrap()
    else {
        panic!("a hello opens no link");
    };
    assert!(
        dialling.prove(&welcome, News::default()).unwrap_err().contains("there is bank 1, not 2")
    );
}

/// The bank at `position`, whose list has so many places.
fn with_places(position: usize, places: usize) -> Identity {
    let mut identity = keyed(position);
    identity.places = (0..places).map(|place| format!("127.0.0.1:{}", place + 1)).collect();
    identity
}

#[test]
fn lists_may_differ_by_banks_at_the_end() {
    for (dialler, dialled) in [(3, 4), (4, 3), (3, 16), (16, 3)] {
        let opened = shake(&with_places(0, dialler), &with_places(1, dialled));
        assert!(
            matches!(&opened, Ok(PeerAnswer::Opened(_, to, ..)) if *to == bank(0)),
            "{opened:?}"
        );
    }
    // The refusal of a bank that the other list does not have yet names the remedy.
    let refused = shake(&with_places(3, 4), &with_places(0, 3)).unwrap_err();
    let remedy = "bank 3 is not in bank 0's list of 3 places: restart bank 0 with the longer list";
    assert_eq!(refused, remedy);
    // The dialler checks the same: it rejects a bank whose list does not have it.
    let three = with_places(3, 4);
    let (dialling, hello) = begin(&three, bank(0)).unwrap();
    let welcome = answer(&mut Acceptor::default(), &with_places(0, 4), &hello).unwrap();
    let PeerAnswer::NotOpen(welcome) = welcome else { panic!("a hello opens no link") };
    let mut shorter: LinkWelcome = read(&welcome).unwrap();
    shorter.places = 3;
    assert_eq!(dialling.prove(&write(&shorter), News::default()).unwrap_err(), remedy);
}

#[test]
fn the_proofs_cover_the_lengths_of_both_lists() {
    // The hello is changed in transit: the dialled bank's proof is invalid.
    let (zero, one) = (with_places(0, 3), with_places(1, 4));
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let mut changed: LinkHello = read(&hello).unwrap();
    changed.places = 4;
    let PeerAnswer::NotOpen(welcome) =
        answer(&mut Acceptor::default(), &one, &write(&changed)).unwrap()
    else {
        panic!("a hello opens no link");
    };
    assert!(dialling.prove(&welcome, News::default()).unwrap_err().contains("not proved"));
    // The welcome is changed in transit.
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let PeerAnswer::NotOpen(welcome) = answer(&mut Acceptor::default(), &one, &hello).unwrap()
    else {
        panic!("a hello opens no link");
    };
    let mut changed: LinkWelcome = read(&welcome).unwrap();
    changed.places = 3;
    assert!(dialling.prove(&write(&changed), News::default()).unwrap_err().contains("not proved"));
}

#[test]
fn news_is_accepted_only_over_an_open_link() {
    let shown = write(&news(&[vote(bank(1), 9)]));
    let mut acceptor = Acceptor::default();
    assert!(answer(&mut acceptor, &keyed(1), &shown).is_err());
    let (zero, one) = (keyed(0), keyed(1));
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let PeerAnswer::NotOpen(welcome) = answer(&mut acceptor, &one, &hello).unwrap() else {
        panic!("a hello opens no link");
    };
    answer(&mut acceptor, &one, &dialling.prove(&welcome, News::default()).unwrap().0).unwrap();
    let accepted = answer(&mut acceptor, &one, &shown).unwrap();
    let nothing = r#"{"seen":[]}"#.to_owned();
    assert_eq!(accepted, PeerAnswer::News(nothing.clone(), bank(0), news(&[vote(bank(1), 9)])));
    // Invalid votes are ignored; a later version may send more fields.
    let later = concat!(
        r#"{"seen":[{"tx":"t1","token":"x"},{"tx":"","token":"N1.1.."}],"#,
        r#""head":"H1","met":"M1.0.x."}"#
    );
    let PeerAnswer::News(json, from, later) = answer(&mut acceptor, &one, later).unwrap() else {
        panic!("news")
    };
    assert_eq!((json, from, later.inputs(bank(0)).count()), (nothing, bank(0), 0));
    for junk in ["", "{}", r#"{"seen":-1}"#, r#"{"seen":5}"#, r#"{"seen":[5]}"#, &hello] {
        assert!(answer(&mut acceptor, &one, junk).is_err(), "{junk}");
        assert_eq!(acceptor.bank(), Some(bank(0)), "the link stays open");
    }
}

#[test]
fn a_changed_founding_id_opens_no_link() {
    let (zero, one) = (keyed(0), keyed(1));
    let other = founding(bank(9)).to_string();
    // Changed in the hello: the dialled bank's proof covers the value that it read.
    let mut acceptor = Acceptor::default();
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let mut changed: LinkHello = read(&hello).unwrap();
    changed.founding.clone_from(&other);
    let PeerAnswer::NotOpen(welcome) = answer(&mut acceptor, &one, &write(&changed)).unwrap()
    else {
        panic!("a hello opens no link")
    };
    assert!(dialling.prove(&welcome, News::default()).unwrap_err().contains("not proved"));
    // Changed in the welcome.
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let PeerAnswer::NotOpen(welcome) = answer(&mut acceptor, &one, &hello).unwrap() else {
        panic!("a hello opens no link")
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
fn a_bank_with_a_replaced_journal_gets_no_link_and_the_news_shows_why() {
    let (zero, one) = (keyed(0), keyed(1));
    let met = FoundingId::new([9; 16]);
    let statement = one.seal.meeting(bank(1), bank(0), met);
    let own = OwnBank { identity: &one, founding: founding(bank(1)) };
    let news_to = |_: BankId| News::of(&[], Some(&statement));
    let mut acceptor = Acceptor::default();
    let (dialling, hello) = begin(&zero, bank(1)).unwrap();
    let PeerAnswer::NotOpen(welcome) =
        acceptor.answer(&own, news_to, |_| Some(met), &hello).unwrap()
    else {
        panic!("a hello opens no link")
    };
    let (proof, _) = dialling.prove(&welcome, News::default()).unwrap();
    let PeerAnswer::NotOpen(news) = acceptor.answer(&own, news_to, |_| Some(met), &proof).unwrap()
    else {
        panic!("the link must not open")
    };
    let news: News = read(&news).unwrap();
    assert_eq!(
        news.inputs(bank(1)).collect::<Vec<_>>(),
        [Input::PeerMet { peer: bank(1), meeting: statement }]
    );
    assert_eq!((acceptor.origin(), acceptor.bank()), (Origin::Client, None));
}
