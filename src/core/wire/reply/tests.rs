//! Each reply is written as the documented line and parsed back from it.

use super::*;
use crate::ids::BankId;
use crate::wire::token::{Digest, Seal, TokenKind, Vote};
use proptest::prelude::*;

fn written(reply: &Reply) -> String {
    let mut out = Vec::new();
    reply.write_to(&mut out);
    let mut text = String::from_utf8(out).unwrap();
    assert_eq!(text.pop(), Some('\n'));
    assert!(!text.contains(['\n', '\r']), "{text:?}");
    assert!(text.len() < LINE_BYTES_MAX);
    text
}

fn tx() -> TxId {
    TxId::new("t1").unwrap()
}

fn token() -> Token {
    Token {
        kind: TokenKind::No,
        bank: BankId::new(1).unwrap(),
        time: Time(7),
        digest: None,
        mac: None,
    }
}

const STATEMENT: &str = "A2.9.0000000000000000000000000000000000000000000000000000000000000000.";

fn statement() -> Token {
    let digest = Some(Digest([0; 32]));
    Token {
        kind: TokenKind::Aborted,
        bank: BankId::new(2).unwrap(),
        time: Time(9),
        digest,
        mac: None,
    }
}

#[test]
fn words_that_a_later_version_adds_are_ignored() {
    let aborted = Ok(Reply::Aborted(tx(), token(), Reason::Refused, Some(statement())));
    for line in [
        format!("ABORTED t1 N1.7.. refused {STATEMENT}"),
        format!("ABORTED t1 N1.7.. refused {STATEMENT} Z1.2.3.4 more"),
        format!("ABORTED t1 N1.7.. refused more {STATEMENT}"),
        // A reason that this version does not know is one of them.
        format!("ABORTED t1 N1.7.. full-moon {STATEMENT}"),
    ] {
        assert_eq!(Reply::parse(&line), aborted, "{line}");
    }
    let nok = Ok(Reply::Nok(tx(), token(), Reason::Refused, "tonight".into()));
    assert_eq!(Reply::parse("NOK t1 N1.7.. full-moon tonight"), nok);
    assert_eq!(
        Reply::parse("ABORTED t1 N1.7.. refused"),
        Ok(Reply::Aborted(tx(), token(), Reason::Refused, None))
    );
}

#[test]
fn replies_are_written_and_parsed_as_documented() {
    for (reply, line) in [
        (Reply::Ok(tx(), token()), "OK t1 N1.7.."),
        (Reply::Nok(tx(), token(), Reason::Locked, "by t2".into()), "NOK t1 N1.7.. locked by t2"),
        (Reply::Nok(tx(), token(), Reason::Locked, String::new()), "NOK t1 N1.7.. locked"),
        (Reply::Committed(tx(), Time(12), token(), None), "COMMITTED t1 12 N1.7.."),
        (Reply::Aborted(tx(), token(), Reason::Refused, None), "ABORTED t1 N1.7.. refused"),
        (
            Reply::Committed(tx(), Time(12), token(), Some(statement())),
            &format!("COMMITTED t1 12 N1.7.. {STATEMENT}"),
        ),
        (
            Reply::Aborted(tx(), token(), Reason::Refused, Some(statement())),
            &format!("ABORTED t1 N1.7.. refused {STATEMENT}"),
        ),
        (Reply::Doubt(tx(), "bank 2 is silent".into()), "DOUBT t1 bank 2 is silent"),
        (Reply::Unknown(tx()), "UNKNOWN t1"),
        (Reply::Done("{\"a\":1}".into()), "DONE {\"a\":1}"),
        (Reply::Refused(Reason::UnknownAccount, "1-1".into()), "REFUSED unknown-account 1-1"),
        (Reply::Err(Reason::Malformed, "no verb".into()), "ERR malformed no verb"),
        (Reply::Pong, "PONG"),
        (Reply::Bye, "BYE"),
    ] {
        assert_eq!(written(&reply), line);
        assert_eq!(Reply::parse(line), Ok(reply));
    }
}

#[test]
fn texts_stay_on_one_line_within_the_bound() {
    let reply = Reply::Err(Reason::Malformed, "a\r\nOK t1 x\u{85}".into());
    assert_eq!(written(&reply), "ERR malformed a  OK t1 x");
    for filler in ["x", "é", "€", "🦀"] {
        let line = written(&Reply::Doubt(tx(), filler.repeat(LINE_BYTES_MAX)));
        assert!(line.len() > LINE_BYTES_MAX - 5, "{}", line.len());
    }
    assert_eq!(written(&Reply::Done("[1,\n2]".into())), "DONE [1, 2]");
}

#[test]
#[cfg(not(debug_assertions))]
fn an_answer_longer_than_a_line_is_refused() {
    let line = written(&Reply::Done("x".repeat(LINE_BYTES_MAX)));
    assert!(line.starts_with("REFUSED limit"), "{line}");
}

#[test]
fn a_line_that_is_no_reply_is_rejected_with_its_fault() {
    for (line, named) in [
        ("", "begins with"),
        ("ok t1", "begins with `ok`"),
        ("OK", "no transaction id"),
        ("OK t1", "no token"),
        ("OK t1 xyz", "no token in `xyz`"),
        ("OK t1 N1.7.. more", "too many words at `more`"),
        ("COMMITTED t1 x N1.7..", "no time in `x`"),
        ("COMMITTED t1 9007199254740992 N1.7..", "no time"),
        ("ABORTED t1 N1.7.. Because", "no reason in `Because`"),
        ("ABORTED t1 N1.7..", "no reason in"),
        ("PONG x", "too many words"),
    ] {
        let fault = Reply::parse(line).unwrap_err();
        assert_eq!(fault.reason, Reason::Malformed);
        assert!(fault.text.contains(named), "{line}: {fault}");
    }
}

fn tokens() -> impl Strategy<Value = Token> {
    (
        any::<bool>(),
        0usize..16,
        0..=Time::MAX.0,
        any::<Option<[u8; 8]>>(),
        any::<Option<[u8; 32]>>(),
    )
        .prop_map(|(ok, bank, time, bytes, key)| {
            let digest = bytes.map(|bytes| Digest::of(&bytes));
            let verdict = if ok && digest.is_some() { Vote::Ok } else { Vote::No };
            let seal = Seal::keyed(key.unwrap_or_default());
            let token = seal.token(BankId::new(bank).unwrap(), verdict, &tx(), digest, Time(time));
            Token { mac: token.mac.filter(|_| key.is_some()), ..token }
        })
}

fn replies() -> impl Strategy<Value = Reply> {
    let ids = || "[A-Za-z0-9._-]{1,64}".prop_map(|id| TxId::new(&id).unwrap());
    let reasons = || prop::sample::select(Reason::ALL.to_vec());
    let texts = || "\\PC{0,30}|[\\x00-\\x7f]{0,30}";
    prop_oneof![
        (ids(), tokens()).prop_map(|(tx, token)| Reply::Ok(tx, token)),
        (ids(), tokens(), reasons(), texts())
            .prop_map(|(tx, token, r, text)| Reply::Nok(tx, token, r, text)),
        (ids(), 0..=Time::MAX.0, tokens(), any::<bool>()).prop_map(|(tx, time, token, says)| {
            Reply::Committed(tx, Time(time), token, Some(statement()).filter(|_| says))
        }),
        (ids(), tokens(), reasons(), any::<bool>()).prop_map(|(tx, token, reason, says)| {
            Reply::Aborted(tx, token, reason, Some(statement()).filter(|_| says))
        }),
        (ids(), texts()).prop_map(|(tx, text)| Reply::Doubt(tx, text)),
        ids().prop_map(Reply::Unknown),
        (reasons(), texts()).prop_map(|(reason, text)| Reply::Refused(reason, text)),
        (reasons(), texts()).prop_map(|(reason, text)| Reply::Err(reason, text)),
    ]
}

proptest! {
    /// Texts come back as one line; everything else comes back exactly.
    #[test]
    fn a_reply_is_parsed_back_from_its_line(reply in replies()) {
        let line = written(&reply);
        let back = Reply::parse(&line).unwrap();
        prop_assert_eq!(written(&back), line);
        let plain = |text: &str| {
            let mut out = Vec::new();
            write_one_line(&mut out, text, LINE_BYTES_MAX);
            String::from_utf8(out).unwrap()
        };
        let expected = match reply {
            Reply::Nok(tx, token, reason, text) => Reply::Nok(tx, token, reason, plain(&text)),
            Reply::Doubt(tx, text) => Reply::Doubt(tx, plain(&text)),
            Reply::Refused(reason, text) => Reply::Refused(reason, plain(&text)),
            Reply::Err(reason, text) => Reply::Err(reason, plain(&text)),
            other => other,
        };
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn tokens_are_parsed_back_from_their_text(token in tokens()) {
        prop_assert_eq!(Token::parse(&token.to_string()), Some(token));
    }

    #[test]
    fn parsing_never_panics(line in "(OK|NOK|COMMITTED|ABORTED|ERR|DONE)?[ -~é]{0,40}|\\PC{0,40}") {
        let _ = Reply::parse(&line);
    }
}
