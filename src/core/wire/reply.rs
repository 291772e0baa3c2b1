//! Replies: one line for each request line.

use super::text::{read_decimal, shown, split_word, trim, write_decimal, write_one_line};
use super::{Fault, Reason};
use crate::ids::{Time, TxId};
use crate::limits::LINE_BYTES_MAX;
use crate::wire::token::Token;

/// A reply, as its line means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `OK <tx> <token>`: voted OK.
    Ok(TxId, Token),
    /// `NOK <tx> <token> <reason> [text]`: voted NOK.
    Nok(TxId, Token, Reason, String),
    /// `COMMITTED <tx> <time> <token> [<statement>]`: the bank's OK, and its `C`.
    Committed(TxId, Time, Token, Option<Token>),
    /// `ABORTED <tx> <token> <reason> [<statement>]`: the vote that refused, and the bank's `A`
    /// where it holds OK.
    Aborted(TxId, Token, Reason, Option<Token>),
    /// `DOUBT <tx> <text>`
    Doubt(TxId, String),
    /// `UNKNOWN <tx>`
    Unknown(TxId),
    /// `DONE <json>`: one line of JSON.
    Done(String),
    /// `REFUSED <reason> [text]`
    Refused(Reason, String),
    /// `ERR <code> <text>`: a bad line.
    Err(Reason, String),
    /// `PONG`
    Pong,
    /// `BYE`
    Bye,
}

impl From<Fault> for Reply {
    /// `ERR`: what a bad line is answered with.
    fn from(fault: Fault) -> Reply {
        Reply::Err(fault.reason, fault.text)
    }
}

impl Reply {
    /// Its line without the end, for people.
    pub fn to_line(&self) -> String {
        let mut line = Vec::new();
        self.write_to(&mut line);
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Appends its line, end included. It is one line of at most `LINE_BYTES_MAX` bytes, whatever
    /// the texts hold.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            Reply::Ok(tx, token) => {
                word_tx(out, b"OK ", tx);
                space_token(out, token);
            }
            Reply::Nok(tx, token, reason, text) => {
                word_tx(out, b"NOK ", tx);
                space_token(out, token);
                space_text(out, start, reason.as_str());
                space_text(out, start, text);
            }
            Reply::Committed(tx, time, token, statement) => {
                word_tx(out, b"COMMITTED ", tx);
                out.push(b' ');
                write_decimal(out, time.0);
                space_token(out, token);
                statement.iter().for_each(|said| space_token(out, said));
            }
            Reply::Aborted(tx, token, reason, statement) => {
                word_tx(out, b"ABORTED ", tx);
                space_token(out, token);
                space_text(out, start, reason.as_str());
                statement.iter().for_each(|said| space_token(out, said));
            }
            Reply::Doubt(tx, text) => {
                word_tx(out, b"DOUBT ", tx);
                space_text(out, start, text);
            }
            Reply::Unknown(tx) => word_tx(out, b"UNKNOWN ", tx),
            Reply::Done(json) => write_done(out, json),
            Reply::Refused(reason, text) => {
                out.extend_from_slice(b"REFUSED");
                space_text(out, start, reason.as_str());
                space_text(out, start, text);
            }
            Reply::Err(reason, text) => {
                out.extend_from_slice(b"ERR");
                space_text(out, start, reason.as_str());
                space_text(out, start, text);
            }
            Reply::Pong => out.extend_from_slice(b"PONG"),
            Reply::Bye => out.extend_from_slice(b"BYE"),
        }
        out.push(b'\n');
    }

    /// Reads a reply from its line, without the line's end.
    ///
    /// # Errors
    /// `malformed`, naming what is wrong, for what is no reply.
    pub fn parse(line: &str) -> Result<Reply, Fault> {
        let (word, rest) = split_word(trim(line));
        match word {
            "OK" => {
                let (tx, rest) = read_tx(rest)?;
                let (token, rest) = read_token(rest)?;
                end(rest, Reply::Ok(tx, token))
            }
            "NOK" => {
                let (tx, rest) = read_tx(rest)?;
                let (token, rest) = read_token(rest)?;
                let (reason, text) = read_reason(rest)?;
                Ok(Reply::Nok(tx, token, reason, text.to_owned()))
            }
            "COMMITTED" => {
                let (tx, rest) = read_tx(rest)?;
                let (time, rest) = read_time(rest)?;
                let (token, rest) = read_token(rest)?;
                Ok(Reply::Committed(tx, time, token, read_statement(rest)))
            }
            "ABORTED" => {
                let (tx, rest) = read_tx(rest)?;
                let (token, rest) = read_token(rest)?;
                let (reason, rest) = read_reason(rest)?;
                Ok(Reply::Aborted(tx, token, reason, read_statement(rest)))
            }
            "DOUBT" => {
                let (tx, text) = read_tx(rest)?;
                Ok(Reply::Doubt(tx, text.to_owned()))
            }
            "UNKNOWN" => {
                let (tx, rest) = read_tx(rest)?;
                end(rest, Reply::Unknown(tx))
            }
            "DONE" => Ok(Reply::Done(rest.to_owned())),
            "REFUSED" => {
                let (reason, text) = read_reason(rest)?;
                Ok(Reply::Refused(reason, text.to_owned()))
            }
            "ERR" => {
                let (reason, text) = read_reason(rest)?;
                Ok(Reply::Err(reason, text.to_owned()))
            }
            "PONG" => end(rest, Reply::Pong),
            "BYE" => end(rest, Reply::Bye),
            other => Err(malformed("begins with", other)),
        }
    }

    /// Memory that its id and text hold, besides its own size.
    pub fn heap_bytes(&self) -> usize {
        let text = match self {
            Reply::Done(text)
            | Reply::Nok(_, _, _, text)
            | Reply::Doubt(_, text)
            | Reply::Refused(_, text)
            | Reply::Err(_, text) => text.capacity(),
            Reply::Ok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Unknown(_)
            | Reply::Pong
            | Reply::Bye => 0,
        };
        text + self.tx().map_or(0, |tx| tx.as_str().len())
    }

    /// Gives back what the making of its text left over, where that is much.
    pub fn shrink(&mut self) {
        match self {
            Reply::Done(text)
            | Reply::Nok(_, _, _, text)
            | Reply::Doubt(_, text)
            | Reply::Refused(_, text)
            | Reply::Err(_, text) => {
                if text.capacity() - text.len() > text.len() / 8 + 256 {
                    text.shrink_to_fit();
                }
            }
            Reply::Ok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Unknown(_)
            | Reply::Pong
            | Reply::Bye => {}
        }
    }

    /// The transaction that it is about.
    pub fn tx(&self) -> Option<&TxId> {
        match self {
            Reply::Ok(tx, _)
            | Reply::Nok(tx, _, _, _)
            | Reply::Committed(tx, _, _, _)
            | Reply::Aborted(tx, _, _, _)
            | Reply::Doubt(tx, _)
            | Reply::Unknown(tx) => Some(tx),
            Reply::Done(_) | Reply::Refused(_, _) | Reply::Err(_, _) | Reply::Pong | Reply::Bye => {
                None
            }
        }
    }
}

fn word_tx(out: &mut Vec<u8>, word: &[u8], tx: &TxId) {
    out.extend_from_slice(word);
    out.extend_from_slice(tx.as_str().as_bytes());
}

fn space_token(out: &mut Vec<u8>, token: &Token) {
    out.push(b' ');
    token.write_to(out);
}

/// Appends a text, if there is one, in what is left of the line that began at `start`.
fn space_text(out: &mut Vec<u8>, start: usize, text: &str) {
    let used = out.len() - start + " \n".len();
    let before = out.len();
    out.push(b' ');
    write_one_line(out, text, LINE_BYTES_MAX.saturating_sub(used));
    if out.len() == before + 1 {
        out.truncate(before);
    }
}

/// JSON can't be cut, so who makes it keeps it short enough; a line that loses the framing would be
/// worse than a refusal.
fn write_done(out: &mut Vec<u8>, json: &str) {
    let fits = "DONE ".len() + json.len() < LINE_BYTES_MAX;
    debug_assert!(fits, "a DONE of {} bytes is longer than a line", json.len());
    if !fits {
        return out.extend_from_slice(b"REFUSED limit the answer is longer than a line");
    }
    out.extend_from_slice(b"DONE ");
    let from = out.len();
    out.extend_from_slice(json.as_bytes());
    // In JSON a line end can only stand between values, where a space means the same.
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_some() {
        for byte in out[from..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
}

fn malformed(what: &str, found: &str) -> Fault {
    Fault::new(Reason::Malformed, format!("not a reply: {what} `{}`", shown(found)))
}

fn end(rest: &str, reply: Reply) -> Result<Reply, Fault> {
    if rest.is_empty() { Ok(reply) } else { Err(malformed("too many words at", rest)) }
}

fn read_tx(text: &str) -> Result<(TxId, &str), Fault> {
    let (word, rest) = split_word(text);
    let tx = TxId::new(word).map_err(|_| malformed("no transaction id in", word))?;
    Ok((tx, rest))
}

fn read_token(text: &str) -> Result<(Token, &str), Fault> {
    let (word, rest) = split_word(text);
    let token = Token::parse(word).ok_or_else(|| malformed("no token in", word))?;
    Ok((token, rest))
}

fn read_time(text: &str) -> Result<(Time, &str), Fault> {
    let (word, rest) = split_word(text);
    let time = read_decimal(word).and_then(|time| i64::try_from(time).ok()).map(Time);
    let time =
        time.filter(|time| *time <= Time::MAX).ok_or_else(|| malformed("no time in", word))?;
    Ok((time, rest))
}

/// A later version may know more reasons; what they have in common is that something was refused.
fn read_reason(text: &str) -> Result<(Reason, &str), Fault> {
    let (word, rest) = split_word(text);
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let reason = Reason::parse(word).or(is_word.then_some(Reason::Refused));
    Ok((reason.ok_or_else(|| malformed("no reason in", word))?, rest))
}

/// The statement among the words that are left. Those that a later version adds are not known here.
fn read_statement(rest: &str) -> Option<Token> {
    rest.split([' ', '\t']).find_map(Token::parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BankId;
    use crate::wire::token::{Digest, Said, Seal, Verdict};
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
            said: Said::No,
            bank: BankId::new(1).unwrap(),
            time: Time(7),
            digest: None,
            mac: None,
        }
    }

    const STATEMENT: &str =
        "A2.9.0000000000000000000000000000000000000000000000000000000000000000.";

    fn said() -> Token {
        let digest = Some(Digest([0; 32]));
        Token {
            said: Said::Aborted,
            bank: BankId::new(2).unwrap(),
            time: Time(9),
            digest,
            mac: None,
        }
    }

    #[test]
    fn words_that_a_later_version_adds_are_not_minded() {
        let aborted = Ok(Reply::Aborted(tx(), token(), Reason::Refused, Some(said())));
        for line in [
            format!("ABORTED t1 N1.7.. refused {STATEMENT}"),
            format!("ABORTED t1 N1.7.. refused {STATEMENT} Z1.2.3.4 more"),
            format!("ABORTED t1 N1.7.. refused more {STATEMENT}"),
            // A reason that is not known here is one of them too.
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
    fn lines_as_the_protocol_has_them() {
        for (reply, line) in [
            (Reply::Ok(tx(), token()), "OK t1 N1.7.."),
            (
                Reply::Nok(tx(), token(), Reason::Locked, "by t2".into()),
                "NOK t1 N1.7.. locked by t2",
            ),
            (Reply::Nok(tx(), token(), Reason::Locked, String::new()), "NOK t1 N1.7.. locked"),
            (Reply::Committed(tx(), Time(12), token(), None), "COMMITTED t1 12 N1.7.."),
            (Reply::Aborted(tx(), token(), Reason::Refused, None), "ABORTED t1 N1.7.. refused"),
            (
                Reply::Committed(tx(), Time(12), token(), Some(said())),
                &format!("COMMITTED t1 12 N1.7.. {STATEMENT}"),
            ),
            (
                Reply::Aborted(tx(), token(), Reason::Refused, Some(said())),
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
    fn what_is_no_reply_is_named() {
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
                let verdict = if ok && digest.is_some() { Verdict::Ok } else { Verdict::No };
                let seal = Seal::keyed(key.unwrap_or_default());
                let token =
                    seal.token(BankId::new(bank).unwrap(), verdict, &tx(), digest, Time(time));
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
            (ids(), 0..=Time::MAX.0, tokens(), any::<bool>()).prop_map(
                |(tx, time, token, says)| {
                    Reply::Committed(tx, Time(time), token, Some(said()).filter(|_| says))
                }
            ),
            (ids(), tokens(), reasons(), any::<bool>()).prop_map(|(tx, token, reason, says)| {
                Reply::Aborted(tx, token, reason, Some(said()).filter(|_| says))
            }),
            (ids(), texts()).prop_map(|(tx, text)| Reply::Doubt(tx, text)),
            ids().prop_map(Reply::Unknown),
            (reasons(), texts()).prop_map(|(reason, text)| Reply::Refused(reason, text)),
            (reasons(), texts()).prop_map(|(reason, text)| Reply::Err(reason, text)),
        ]
    }

    proptest! {
        /// Texts come back as they look on one line; everything else exactly.
        #[test]
        fn a_reply_comes_back(reply in replies()) {
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
        fn tokens_come_back(token in tokens()) {
            prop_assert_eq!(Token::parse(&token.to_string()), Some(token));
        }

        #[test]
        fn reading_never_panics(line in "(OK|NOK|COMMITTED|ABORTED|ERR|DONE)?[ -~é]{0,40}|\\PC{0,40}") {
            let _ = Reply::parse(&line);
        }
    }
}
