//! Parses the line of a request, word by word.

use super::{Hello, Local, NewAccount, NewClient, Read, Request, SnapshotKey};
use crate::ids::{AccountNumber, BadName, BankId, RegisterKey, TaxId, Time, TxId};
use crate::limits::TOKENS_MAX;
use crate::wire::reading::Reading;
use crate::wire::text::{excerpt, read_decimal, split_word, trim};
use crate::wire::token::Token;
use crate::wire::transaction::{KEY_DEFAULT, Transaction};
use crate::wire::verb::Verb;
use crate::wire::{Fault, Reason};
use std::sync::Arc;

impl Request {
    /// Reads a request from its line, without the line's end.
    ///
    /// # Errors
    /// `malformed` or `limit`, naming what is wrong; the reply to it is `ERR`.
    #[expect(clippy::too_many_lines, reason = "a flat table: one arm a verb")]
    pub fn parse(line: &str) -> Result<Request, Fault> {
        let (word, rest) = split_word(trim(line));
        let Some(verb) = Verb::read(word) else {
            return Err(if word.is_empty() {
                malformed("empty line; HELP lists the verbs")
            } else {
                unknown_verb(word)
            });
        };
        match verb {
            Verb::Prepare => {
                let (tx, transaction) = read_transaction("PREPARE", rest)?;
                Ok(Request::Prepare(tx, transaction))
            }
            Verb::Commit => read_commit(rest),
            Verb::Abort => {
                let mut words = VerbArguments::new("ABORT", rest);
                let tx = words.tx()?;
                let token = words.next().and_then(Token::parse);
                words.end(Request::Abort(tx, token))
            }
            Verb::Resolve => {
                let mut words = VerbArguments::new("RESOLVE", rest);
                let tx = words.tx()?;
                words.end(Request::Resolve(tx))
            }
            Verb::Status => {
                let mut words = VerbArguments::new("STATUS", rest);
                let tx = words.tx()?;
                words.end(Request::Status(tx))
            }
            Verb::Execute => {
                let (tx, transaction) = read_transaction("EXECUTE", rest)?;
                Ok(Request::Execute(tx, transaction))
            }
            Verb::Client => NewClient::parse(rest).map(Request::Client),
            Verb::Account => NewAccount::parse(rest).map(Request::Account),
            Verb::Clients => {
                let mut words = VerbArguments::new("CLIENTS", rest);
                let after = words.after(TaxId::new)?;
                words.end(Request::Read(Read::Clients { after }))
            }
            Verb::Accounts => {
                let mut words = VerbArguments::new("ACCOUNTS", rest);
                let cpf = words.optional(TaxId::new)?;
                let after = words.after(AccountNumber::new)?;
                words.end(Request::Read(Read::Accounts { cpf, after }))
            }
            Verb::Balance => {
                let mut words = VerbArguments::new("BALANCE", rest);
                let number =
                    words.next().ok_or_else(|| malformed("BALANCE needs an account number"))?;
                let number = AccountNumber::new(number).map_err(|bad| bad_word("BALANCE", &bad))?;
                words.end(Request::Read(Read::Balance(number)))
            }
            Verb::Value => {
                let mut words = VerbArguments::new("VALUE", rest);
                let key = words.next().unwrap_or(KEY_DEFAULT);
                let key = RegisterKey::new(key).map_err(|bad| bad_word("VALUE", &bad))?;
                words.end(Request::Read(Read::Value(key)))
            }
            Verb::History => read_history(rest),
            Verb::Pending => {
                let mut words = VerbArguments::new("PENDING", rest);
                let after = words.after(TxId::new)?;
                words.end(Request::Read(Read::Pending { after }))
            }
            Verb::Banks => VerbArguments::new("BANKS", rest).end(Request::Local(Local::Banks)),
            Verb::Info => VerbArguments::new("INFO", rest).end(Request::Read(Read::Info)),
            Verb::Snapshot => read_snapshot(rest),
            Verb::Registers => {
                let mut words = VerbArguments::new("REGISTERS", rest);
                let asker =
                    words.next().and_then(read_decimal).and_then(|bank| usize::try_from(bank).ok());
                let asker = asker.and_then(BankId::new);
                let asker =
                    asker.ok_or_else(|| malformed("REGISTERS needs the asking bank's position"))?;
                let nonce = words.tx()?;
                let after = words.after(RegisterKey::new)?;
                words.end(Request::Registers { asker, nonce, after })
            }
            Verb::Peer if rest.is_empty() => {
                Err(malformed("PEER needs what a bank tells of itself"))
            }
            Verb::Peer => Ok(Request::Local(Local::Peer(rest.to_owned()))),
            Verb::Hello => Hello::parse(rest).map(|hello| Request::Local(Local::Hello(hello))),
            Verb::Ping => VerbArguments::new("PING", rest).end(Request::Local(Local::Ping)),
            Verb::Help => read_help(rest),
            Verb::Quit => VerbArguments::new("QUIT", rest).end(Request::Local(Local::Quit)),
        }
    }
}

/// The arguments of a verb, taken word by word.
struct VerbArguments<'a> {
    verb: &'static str,
    rest: &'a str,
}

impl<'a> VerbArguments<'a> {
    fn new(verb: &'static str, rest: &'a str) -> VerbArguments<'a> {
        VerbArguments { verb, rest }
    }

    fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = split_word(self.rest);
        self.rest = rest;
        Some(word).filter(|word| !word.is_empty())
    }

    fn tx(&mut self) -> Result<TxId, Fault> {
        let verb = self.verb;
        let word =
            self.next().ok_or_else(|| malformed(format!("{verb} needs a transaction id")))?;
        read_tx(verb, word)
    }

    /// The next word, unless it begins with `after=` or there is none.
    fn optional<T>(
        &mut self,
        new: impl FnOnce(&str) -> Result<T, BadName>,
    ) -> Result<Option<T>, Fault> {
        if self.rest.is_empty() || self.rest.starts_with("after=") {
            return Ok(None);
        }
        let word = self.next().unwrap_or("");
        new(word).map(Some).map_err(|bad| bad_word(self.verb, &bad))
    }

    /// The key in `after=<key>`, if that is the next word.
    fn after<T>(
        &mut self,
        new: impl FnOnce(&str) -> Result<T, BadName>,
    ) -> Result<Option<T>, Fault> {
        if !self.rest.starts_with("after=") {
            return Ok(None);
        }
        let word = self.next().and_then(|word| word.strip_prefix("after=")).unwrap_or("");
        new(word).map(Some).map_err(|bad| malformed(format!("{} after=: {bad}", self.verb)))
    }

    /// Checks that no word is left.
    fn end(mut self, request: Request) -> Result<Request, Fault> {
        match self.next() {
            None => Ok(request),
            Some(word) => {
                let (verb, word) = (self.verb, excerpt(word));
                Err(malformed(format!("{verb} does not take `{word}`; see HELP {verb}")))
            }
        }
    }
}

/// Reads the verb that HELP is asked about, in any case.
fn read_help(rest: &str) -> Result<Request, Fault> {
    let mut words = VerbArguments::new("HELP", rest);
    let verb = match words.next() {
        None => None,
        Some(word) => Some(Verb::read(&word.to_ascii_uppercase()).ok_or_else(|| {
            malformed(format!("there is no verb `{}`; HELP lists them", excerpt(word)))
        })?),
    };
    words.end(Request::Local(Local::Help(verb)))
}

fn malformed(text: impl Into<String>) -> Fault {
    Fault::new(Reason::Malformed, text)
}

fn limit(text: impl Into<String>) -> Fault {
    Fault::new(Reason::Limit, text)
}

fn bad_word(verb: &str, bad: &BadName) -> Fault {
    malformed(format!("{verb}: {bad}"))
}

fn unknown_verb(verb: &str) -> Fault {
    let upper = verb.to_ascii_uppercase();
    let hint = if Verb::read(&upper).is_some() { "verbs are typed in capitals; " } else { "" };
    malformed(format!("unknown verb `{}`; {hint}HELP lists them", excerpt(verb)))
}

fn read_tx(verb: &str, word: &str) -> Result<TxId, Fault> {
    TxId::new(word).map_err(|bad| malformed(format!("{verb} `{}`: {bad}", excerpt(word))))
}

/// Reads `<tx> <transaction>`. The transaction's bytes are those from the first `{` to the last `}`
/// of the line.
fn read_transaction(verb: &'static str, rest: &str) -> Result<(TxId, Arc<Transaction>), Fault> {
    let mut words = VerbArguments::new(verb, rest);
    let tx = words.tx()?;
    let text = words.rest;
    if text.is_empty() {
        return Err(malformed(format!("{verb} needs a transaction after its id")));
    }
    if !text.starts_with('{') {
        let (word, _) = split_word(text);
        return Err(malformed(format!(
            "{verb}: `{}` stands between id and transaction",
            excerpt(word)
        )));
    }
    let end = memchr::memrchr(b'}', text.as_bytes()).map_or(0, |at| at + 1);
    let after = trim(&text[end..]);
    if end > 0 && !after.is_empty() {
        return Err(malformed(format!(
            "{verb}: `{}` stands after the transaction",
            excerpt(after)
        )));
    }
    Ok((tx, Arc::new(Transaction::parse(&text[..end])?)))
}

fn read_commit(rest: &str) -> Result<Request, Fault> {
    let mut words = VerbArguments::new("COMMIT", rest);
    let tx = words.tx()?;
    let mut tokens = Vec::new();
    let mut given = 0;
    while let Some(word) = words.next() {
        given += 1;
        if given > TOKENS_MAX {
            return Err(limit(format!("COMMIT takes at most {TOKENS_MAX} tokens")));
        }
        tokens.extend(Token::parse(word));
    }
    Ok(Request::Commit(tx, tokens))
}

fn read_history(rest: &str) -> Result<Request, Fault> {
    let mut words = VerbArguments::new("HISTORY", rest);
    let count = match words.rest {
        rest if rest.is_empty() || rest.starts_with("after=") => None,
        _ => {
            let word = words.next().unwrap_or("");
            // A greater count means all of them too; it is capped so that it can be written again.
            let count = read_decimal(word).map(|count| count.min(i64::MAX.unsigned_abs()));
            let count = count.and_then(|count| usize::try_from(count).ok());
            let count = count.filter(|count| *count > 0);
            Some(count.ok_or_else(|| {
                malformed(format!("HISTORY takes a number from 1 on, not `{}`", excerpt(word)))
            })?)
        }
    };
    let after = words.after(TxId::new)?;
    words.end(Request::Read(Read::History { count, after }))
}

fn read_snapshot(rest: &str) -> Result<Request, Fault> {
    let mut words = VerbArguments::new("SNAPSHOT", rest);
    let mut time = None;
    if words.rest.starts_with(|c: char| c.is_ascii_digit()) {
        let word = words.next().unwrap_or("");
        if !word.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed(format!(
                "SNAPSHOT: `{}` is no time in microseconds",
                excerpt(word)
            )));
        }
        let read = read_decimal(word).and_then(|time| i64::try_from(time).ok()).map(Time);
        let read = read.filter(|time| *time <= Time::MAX);
        time = Some(read.ok_or_else(|| {
            limit(format!("SNAPSHOT: time {} is past {}", excerpt(word), Time::MAX))
        })?);
    }
    let mut reading = None;
    if time.is_some() && words.rest.starts_with('T') {
        let word = words.next().unwrap_or("");
        let read = Reading::parse(word);
        reading = Some(read.ok_or_else(|| {
            malformed(format!(
                "SNAPSHOT: `{}` is no bank's reading of its clock; INFO tells one",
                excerpt(word)
            ))
        })?);
    }
    let accounts = split_word(words.rest).0 == "accounts";
    if accounts {
        words.next();
    }
    let after = words.after(SnapshotKey::new)?;
    words.end(Request::Read(Read::Snapshot { time, reading, accounts, after }))
}
