//! The format on disk: the bytes of each record, and of every enum in one. Journals of all older
//! versions must remain readable, so these bytes never change; each new variant gets a row.

use super::*;
use crate::ids::{AccountNumber, ClientKind, ClientName, TaxId};
use crate::limits::{OUTCOME_RECORD_BYTES_MAX, TX_ID_BYTES_MAX};
use crate::money::Money;
use crate::wire::token::{Digest, Token, TokenKind, Vote};

const TEXT: &str = r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":5}]}"#;

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn tx() -> TxId {
    TxId::new("t").unwrap()
}

fn transaction() -> Arc<Transaction> {
    Arc::new(Transaction::parse(TEXT).unwrap())
}

fn own(vote: Vote, digest: Option<Digest>) -> OwnVote {
    OwnVote { vote, time: Time(1), digest }
}

/// Checks that the record has these bytes and is read back from them.
fn check(record: &Record, parts: &[&[u8]]) {
    let bytes = parts.concat();
    assert_eq!(postcard::to_stdvec(record).unwrap(), bytes, "{record:?}");
    assert_eq!(&postcard::from_bytes::<Record>(&bytes).unwrap(), record);
}

#[test]
fn the_bytes_of_each_record() {
    // Times are zigzag-encoded: 1 is 2, 2 is 4. Texts and lists are prefixed with their length.
    let (t, text) = ([1, b't'], [&[60][..], TEXT.as_bytes()].concat());
    assert_eq!(TEXT.len(), 60);
    let (digest, mac) = ([9; 32], [8; 16]);
    let token =
        Token { kind: TokenKind::No, bank: bank(1), time: Time(2), digest: None, mac: Some(mac) };
    let voted =
        |refusal| Record::Voted { tx: tx(), time: Time(1), transaction: transaction(), refusal };
    let places = vec!["a".to_owned(), "-".to_owned()];
    check(&Record::Consortium { bank: bank(1), places }, &[&[0, 1, 2, 1, b'a', 1, b'-']]);
    check(&voted(None), &[&[1], &t, &[2], &text, &[0]]);
    check(&voted(Some((Reason::Limit, "x".into()))), &[&[1], &t, &[2], &text, &[1, 9, 1, b'x']]);
    let follows = Cause::follows(bank(1), "x".to_owned());
    check(&voted(Some((Reason::Limit, follows))), &[&[1], &t, &[2], &text, &[2, 9, 1, b'x', 1]]);
    check(
        &Record::Refused { tx: tx(), time: Time(1), reason: Reason::Expired },
        &[&[2], &t, &[2, 10]],
    );
    let ok = own(Vote::Ok, Some(Digest(digest)));
    let own_bytes = [&[0, 2, 1][..], &digest].concat();
    let votes = vec![(bank(1), Time(2))];
    check(
        &Record::Decided {
            tx: tx(),
            own: ok,
            outcome: Outcome::Committed(Time(2)),
            votes: votes.clone(),
        },
        &[&[3], &t, &own_bytes, &[0, 4], &[1, 1, 4]],
    );
    check(
        &Record::Decided {
            tx: tx(),
            own: own(Vote::No, None),
            outcome: Outcome::Aborted(token, Reason::Refused),
            votes: Vec::new(),
        },
        &[&[3], &t, &[1, 2, 0], &[1, 1, 1, 4, 0, 1], &mac, &[11], &[0]],
    );
    let executed = Record::Executed {
        tx: tx(),
        time: Time(1),
        committed: Time(2),
        transaction: transaction(),
        votes,
    };
    check(&executed, &[&[4], &t, &[2, 4], &text, &[1, 1, 4]]);
    let client = NewClient::parse(r#"{"cpf":"12345678900","name":"P","kind":"F"}"#).unwrap();
    let (cpf, name) = ([&[11][..], b"12345678900"].concat(), [1, b'P', 1, b'F']);
    check(&Record::ClientAdded { time: Time(1), client }, &[&[5, 2], &cpf, &name]);
    let account =
        NewAccount::parse(r#"{"number":"1","holders":["12345678900"],"deposit":3}"#).unwrap();
    check(
        &Record::AccountOpened { time: Time(1), account },
        &[&[6, 2], &[1, b'1'], &[1], &cpf, &[6]],
    );
    check(&Record::ClockMoved { time: Time(1) }, &[&[7, 2]]);
    check(&Record::Stopped { why: "w".to_owned() }, &[&[8, 1, b'w']]);
    let outside = |refusal| Record::OutsideVoted { tx: tx(), own: ok, time: Time(2), refusal };
    check(&outside(None), &[&[9], &t, &own_bytes, &[4, 0]]);
    check(&outside(Some(Reason::Expired)), &[&[9], &t, &own_bytes, &[4, 1, 10]]);
    let drove =
        |refusal| Record::Drove { tx: tx(), time: Time(1), transaction: transaction(), refusal };
    check(&drove(None), &[&[10], &t, &[2], &text, &[0]]);
    let refusal = Some((bank(1), Reason::Limit, "x".to_owned()));
    check(&drove(refusal), &[&[10], &t, &[2], &text, &[1, 1, 9, 1, b'x']]);
}

#[test]
fn a_registration_names_who_made_it() {
    let (time, by) = (Time(3), Name::new("caixa").unwrap());
    let client = NewClient {
        cpf: TaxId::new("12345678900").unwrap(),
        name: ClientName::new("P").unwrap(),
        kind: ClientKind::new("F").unwrap(),
    };
    let account = NewAccount {
        number: AccountNumber::new("1").unwrap(),
        holders: vec![client.cpf.clone()],
        deposit: Money(3),
    };
    let cpf = [&[11][..], b"12345678900"].concat();
    let head = [&[16, 6, 5][..], b"caixa"].concat();
    let what = Registration::Client(client);
    let added = Record::Registered { time, by: by.clone(), what };
    check(&added, &[&head, &[0], &cpf, &[1, b'P', 1, b'F']]);
    let opened = Record::Registered { time, by, what: Registration::Account(account) };
    check(&opened, &[&head, &[1, 1, b'1', 1], &cpf, &[6]]);
}

#[test]
fn the_code_of_each_reason() {
    let codes = [
        (Reason::InsufficientFunds, 0),
        (Reason::UnknownAccount, 1),
        (Reason::UnknownClient, 2),
        (Reason::NotHolder, 3),
        (Reason::Locked, 4),
        (Reason::Unbalanced, 5),
        (Reason::DuplicateId, 6),
        (Reason::AlreadyExists, 7),
        (Reason::Malformed, 8),
        (Reason::Limit, 9),
        (Reason::Expired, 10),
        (Reason::Refused, 11),
        (Reason::Unreachable, 12),
        (Reason::NotIntroduced, 13),
        (Reason::DiskFull, 14),
        (Reason::Unreadable, 15),
        (Reason::NotAllowed, 16),
    ];
    assert_eq!(
        codes.map(|(reason, _)| reason)[..],
        Reason::ALL[..],
        "a new reason gets a row here, at the end"
    );
    for (reason, code) in codes {
        assert_eq!(postcard::to_stdvec(&reason).unwrap(), [code], "{reason}");
    }
}

/// In journals of the first format, only the text names the bank whose refusal was taken over.
#[test]
fn the_record_names_the_bank_that_refused() {
    let follows = Cause::follows(bank(2), "any text".to_owned());
    assert_eq!(follows.refuser(), Some(bank(2)));
    for (old, refuser) in [
        ("bank 1 refused", Some(1)),
        ("bank 15 refused no account 1-1", Some(15)),
        ("bank 16 refused", None),
        ("bank 1 refusedly", None),
        ("bank 1 is not in the consortium", None),
        ("no account 1-1", None),
    ] {
        assert_eq!(Cause::from(old).refuser(), refuser.map(bank), "{old}");
    }
}

/// The size that a batch reserves for an outcome.
#[test]
fn the_longest_record_of_an_outcome_fits_its_reserve() {
    let id = TxId::new(&"t".repeat(TX_ID_BYTES_MAX)).unwrap();
    let digest = Some(Digest([255; 32]));
    let token = Token {
        kind: TokenKind::No,
        bank: bank(15),
        time: Time(i64::MAX),
        digest,
        mac: Some([255; 16]),
    };
    let own = OwnVote { vote: Vote::Ok, time: Time(i64::MAX), digest };
    let votes: Vec<_> = (0..15).map(|position| (bank(position), Time(i64::MAX))).collect();
    let outcome = Outcome::Aborted(token, Reason::Unreachable);
    let bytes =
        postcard::to_stdvec(&Record::Decided { tx: id, own, outcome, votes }).unwrap().len();
    assert!(bytes + 16 <= OUTCOME_RECORD_BYTES_MAX, "{bytes} bytes, and their frame");
}
