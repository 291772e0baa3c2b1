//! Tokens as text, and what their MAC proves.

use super::*;

fn tx(id: &str) -> TxId {
    TxId::new(id).unwrap()
}

fn sample(seal: &Seal) -> Token {
    let bank = BankId::new(2).unwrap();
    seal.token(bank, Vote::Ok, &tx("t1"), Some(Digest::of(b"{}")), Time(1_732_000_000_000_000))
}

#[test]
fn a_token_is_parsed_back_from_its_text() {
    let seal = Seal::keyed([7; 32]);
    let token = sample(&seal);
    for kind in TokenKind::ALL {
        let token = seal.token(token.bank, kind, &tx("t1"), token.digest, token.time);
        assert_eq!(Token::parse(&token.to_string()), Some(token));
        assert!(seal.proves(&tx("t1"), &token));
    }
    let tombstone = seal.token(token.bank, Vote::No, &tx("t1"), None, token.time);
    assert_eq!(Token::parse(&tombstone.to_string()), Some(tombstone));
    for kind in ["O", "C", "A"] {
        assert_eq!(Token::parse(&format!("{kind}2.7..")), None, "{kind} needs a digest");
    }
}

#[test]
fn its_mac_proves_only_the_fields_that_it_binds() {
    let seal = Seal::keyed([7; 32]);
    let token = sample(&seal);
    assert!(seal.proves(&tx("t1"), &token));
    assert!(!seal.proves(&tx("t2"), &token), "another id proves nothing");
    assert!(!Seal::keyed([8; 32]).proves(&tx("t1"), &token), "another key proves nothing");
    let forged = [
        Token { kind: TokenKind::No, ..token },
        Token { kind: TokenKind::Committed, ..token },
        Token { kind: TokenKind::Aborted, ..token },
        Token { bank: BankId::new(1).unwrap(), ..token },
        Token { time: Time(1), ..token },
        Token { digest: Some(Digest::of(b"{ }")), ..token },
        Token { digest: None, ..token },
        Token { mac: None, ..token },
        Token { mac: Some([0; 16]), ..token },
    ];
    for token in forged {
        assert!(!seal.proves(&tx("t1"), &token), "{token}");
    }
}

#[test]
fn a_text_that_is_no_token_is_rejected() {
    let good = sample(&Seal::keyed([7; 32])).to_string();
    for at in 0..good.len() {
        assert_eq!(Token::parse(&good[..at]).filter(|t| t.mac.is_some()), None);
    }
    for junk in [
        "", "O", "O1", "O1.2", "O1.2.3.4", "O99.1..", "O1.1..", "X1.1..", "N1.01..", "N1.-1..",
        "Né.1..",
    ] {
        assert_eq!(Token::parse(junk), None, "{junk}");
    }
    assert!(Token::parse("N1.1..").is_some());
    assert_eq!(Token::parse("N1.99999999999999999..").map(|t| t.time), None);
}

#[test]
fn only_lower_case_hex_digits_are_read() {
    let good = sample(&Seal::keyed([7; 32])).to_string();
    let hex_from = good.match_indices('.').nth(1).unwrap().0 + 1;
    for at in (hex_from..good.len()).filter(|at| &good[*at..=*at] != ".") {
        for junk in ["g", "A", "/", ":", "`", " "] {
            let text = format!("{}{junk}{}", &good[..at], &good[at + 1..]);
            assert_eq!(Token::parse(&text), None, "{text}");
        }
    }
    // Several bad digits must not cancel each other out.
    let mac_from = good.len() - 32;
    for junk in ["gg", "ggzz", "gggggggg"] {
        let text = format!("{}{junk}{}", &good[..mac_from], &good[mac_from + junk.len()..]);
        assert_eq!(Token::parse(&text), None, "{text}");
    }
}

#[test]
fn times_and_banks_are_read_up_to_their_bounds() {
    let time = |time: i64| Token::parse(&format!("N1.{time}..")).map(|token| token.time);
    assert_eq!(time(Time::MAX.0), Some(Time::MAX));
    assert_eq!(time(Time::MAX.0 + 1), None);
    assert_eq!(time(0), Some(Time(0)));
    let bank = |bank: u8| Token::parse(&format!("N{bank}.1..")).map(|token| token.bank.as_u8());
    assert_eq!((bank(0), bank(15), bank(16)), (Some(0), Some(15), None));
}

#[test]
fn a_vote_grants_its_own_bytes_and_refuses_all_others() {
    let (ours, others) = (Digest::of(b"{}"), Digest::of(b"{ }"));
    let ok = sample(&Seal::keyed([7; 32]));
    assert!(ok.grants(&ours) && !ok.refuses(&ours) && !ok.is_refusal());
    assert!(!ok.grants(&others) && ok.refuses(&others), "a bank votes only once for an id");
    for digest in [Some(ours), Some(others), None] {
        let nok = Token { kind: TokenKind::No, digest, ..ok };
        assert!(!nok.grants(&ours) && nok.refuses(&ours) && nok.is_refusal(), "{nok}");
    }
}

#[test]
fn debug_texts_show_digests_but_never_the_key() {
    let seal = Seal::keyed([7; 32]);
    let id = seal.key_id();
    assert_eq!(format!("{seal:?} {id:?} {id}"), format!("Seal({id}) {id} {id}"));
    assert_eq!(KeyId::parse(&id.to_string()), Some(id));
    assert_ne!(id, Seal::keyed([8; 32]).key_id());
    assert!(!"07".repeat(32).contains(&id.to_string()), "it must not be a part of the key: {id}");
    let digest = Digest::of(b"{}");
    let text = format!("{digest:?}");
    assert!(sample(&seal).to_string().contains(&format!(".{text}.")) && text.len() == 64, "{text}");
}
