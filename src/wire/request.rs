//! Requests: one line each. Reading and writing them; what they do is the bank's business.

use super::json::{self, Field, Reader};
use super::text::{read_decimal, shown, split_word, trim, write_decimal};
use super::transaction::{KEY_DEFAULT, Transaction, read_name, unknown_field};
use super::{Fault, Reason};
use crate::commit::token::Token;
use crate::ids::{AccountNumber, BadName, ClientKind, ClientName, RegisterKey, TaxId, Time, TxId};
use crate::limits::{CLIENT_NAME_BYTES_MAX, HOLDERS_MAX, NAME_BYTES_MAX, TOKENS_MAX};
use crate::money::Money;
use std::sync::Arc;

/// The verbs, as they are typed.
pub const VERBS: [&str; 21] = [
    "PREPARE", "COMMIT", "ABORT", "RESOLVE", "STATUS", "EXECUTE", "CLIENT", "ACCOUNT", "CLIENTS", "ACCOUNTS",
    "BALANCE", "VALUE", "HISTORY", "PENDING", "BANKS", "INFO", "SNAPSHOT", "PEER", "PING", "HELP", "QUIT",
];

/// A request, as its line means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `PREPARE <tx> <transaction>`
    Prepare(TxId, Arc<Transaction>),
    /// `COMMIT <tx> [<token> …]`; what is no token is left out, as if it had not been given.
    Commit(TxId, Vec<Token>),
    /// `ABORT <tx> [<token>]`
    Abort(TxId, Option<Token>),
    /// `RESOLVE <tx>`
    Resolve(TxId),
    /// `STATUS <tx>`
    Status(TxId),
    /// `EXECUTE <tx> <transaction>`
    Execute(TxId, Arc<Transaction>),
    /// `CLIENT {"cpf","name","kind"}`
    Client(NewClient),
    /// `ACCOUNT {"number","holders","deposit"}`
    Account(NewAccount),
    /// `CLIENTS [after=<cpf>]`
    Clients {
        /// The last key of the page before.
        after: Option<TaxId>,
    },
    /// `ACCOUNTS [cpf] [after=<number>]`
    Accounts {
        /// Only this holder's.
        cpf: Option<TaxId>,
        /// The last key of the page before.
        after: Option<AccountNumber>,
    },
    /// `BALANCE <number>`
    Balance(AccountNumber),
    /// `VALUE [key]`
    Value(RegisterKey),
    /// `HISTORY [n] [after=<tx>]`
    History {
        /// How many, newest first.
        count: Option<usize>,
        /// The last key of the page before.
        after: Option<TxId>,
    },
    /// `PENDING [after=<tx>]`
    Pending {
        /// The last key of the page before.
        after: Option<TxId>,
    },
    /// `BANKS`
    Banks,
    /// `INFO`
    Info,
    /// `SNAPSHOT [time] [accounts] [after=<key>]`
    Snapshot {
        /// The cut's commit time; the bank's own clock where none is given.
        time: Option<Time>,
        /// Also each balance and register.
        accounts: bool,
        /// The last key of the page before: `a:<number>` or `r:<key>`.
        after: Option<SnapshotKey>,
    },
    /// `PEER …`: opens a link between banks; its JSON is read by the links' own code.
    Peer(String),
    /// `PING`
    Ping,
    /// `HELP`
    Help,
    /// `QUIT`
    Quit,
}

/// Where the next page of a SNAPSHOT begins: accounts come first, then registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotKey {
    /// After this account: `a:<number>`.
    Account(AccountNumber),
    /// After this register: `r:<key>`.
    Register(RegisterKey),
}

/// A client to register.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewClient {
    /// CPF or CNPJ, its natural key.
    pub cpf: TaxId,
    /// Kept as given.
    pub name: ClientName,
    /// Kept as given.
    pub kind: ClientKind,
}

/// An account to open.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewAccount {
    /// Its natural key, unique at its bank.
    pub number: AccountNumber,
    /// One, or two different ones when it is joint.
    pub holders: Vec<TaxId>,
    /// Cash brought in at the opening; zero or more.
    pub deposit: Money,
}

impl Request {
    /// Reads a request from its line, without the line's end.
    ///
    /// # Errors
    /// `malformed` or `limit`, naming what is wrong; it is answered with `ERR`.
    pub fn parse(line: &str) -> Result<Request, Fault> {
        let (verb, rest) = split_word(trim(line));
        match verb {
            "PREPARE" => {
                let (tx, transaction) = read_transaction("PREPARE", rest)?;
                Ok(Request::Prepare(tx, transaction))
            }
            "COMMIT" => read_commit(rest),
            "ABORT" => {
                let mut words = Words::new("ABORT", rest);
                let tx = words.tx()?;
                let token = words.next().and_then(Token::parse);
                words.end(Request::Abort(tx, token))
            }
            "RESOLVE" => {
                let mut words = Words::new("RESOLVE", rest);
                let tx = words.tx()?;
                words.end(Request::Resolve(tx))
            }
            "STATUS" => {
                let mut words = Words::new("STATUS", rest);
                let tx = words.tx()?;
                words.end(Request::Status(tx))
            }
            "EXECUTE" => {
                let (tx, transaction) = read_transaction("EXECUTE", rest)?;
                Ok(Request::Execute(tx, transaction))
            }
            "CLIENT" => read_client(rest).map(Request::Client),
            "ACCOUNT" => read_account(rest).map(Request::Account),
            "CLIENTS" => {
                let mut words = Words::new("CLIENTS", rest);
                let after = words.after(TaxId::new)?;
                words.end(Request::Clients { after })
            }
            "ACCOUNTS" => {
                let mut words = Words::new("ACCOUNTS", rest);
                let cpf = words.optional(TaxId::new)?;
                let after = words.after(AccountNumber::new)?;
                words.end(Request::Accounts { cpf, after })
            }
            "BALANCE" => {
                let mut words = Words::new("BALANCE", rest);
                let number = words.next().ok_or_else(|| malformed("BALANCE needs an account number"))?;
                let number = AccountNumber::new(number).map_err(|bad| bad_word("BALANCE", &bad))?;
                words.end(Request::Balance(number))
            }
            "VALUE" => {
                let mut words = Words::new("VALUE", rest);
                let key = words.next().unwrap_or(KEY_DEFAULT);
                let key = RegisterKey::new(key).map_err(|bad| bad_word("VALUE", &bad))?;
                words.end(Request::Value(key))
            }
            "HISTORY" => read_history(rest),
            "PENDING" => {
                let mut words = Words::new("PENDING", rest);
                let after = words.after(TxId::new)?;
                words.end(Request::Pending { after })
            }
            "BANKS" => Words::new("BANKS", rest).end(Request::Banks),
            "INFO" => Words::new("INFO", rest).end(Request::Info),
            "SNAPSHOT" => read_snapshot(rest),
            "PEER" if rest.is_empty() => Err(malformed("PEER needs what a bank tells of itself")),
            "PEER" => Ok(Request::Peer(rest.to_owned())),
            "PING" => Words::new("PING", rest).end(Request::Ping),
            "HELP" => Words::new("HELP", rest).end(Request::Help),
            "QUIT" => Words::new("QUIT", rest).end(Request::Quit),
            "" => Err(malformed("empty line; HELP lists the verbs")),
            other => Err(unknown_verb(other)),
        }
    }

    /// Appends its line, end included.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Request::Prepare(tx, transaction) => return write_prepare(out, tx, transaction.text()),
            Request::Commit(tx, tokens) => return write_commit(out, tx, tokens),
            Request::Abort(tx, token) => return write_abort(out, tx, token.as_ref()),
            Request::Resolve(tx) => return write_resolve(out, tx),
            Request::Status(tx) => write_words(out, "STATUS", &[tx.as_str()]),
            Request::Execute(tx, transaction) => return write_execute(out, tx, transaction.text()),
            Request::Client(client) => client.write_to(out),
            Request::Account(account) => account.write_to(out),
            Request::Clients { after } => {
                write_words(out, "CLIENTS", &[]);
                write_after(out, after.as_ref().map(TaxId::as_str));
            }
            Request::Accounts { cpf, after } => {
                write_words(out, "ACCOUNTS", cpf.as_ref().map(TaxId::as_str).as_slice());
                write_after(out, after.as_ref().map(AccountNumber::as_str));
            }
            Request::Balance(number) => write_words(out, "BALANCE", &[number.as_str()]),
            Request::Value(key) => write_words(out, "VALUE", &[key.as_str()]),
            Request::History { count, after } => {
                write_words(out, "HISTORY", &[]);
                if let Some(count) = count {
                    out.push(b' ');
                    write_decimal(out, i64::try_from(*count).unwrap_or(i64::MAX));
                }
                write_after(out, after.as_ref().map(TxId::as_str));
            }
            Request::Pending { after } => {
                write_words(out, "PENDING", &[]);
                write_after(out, after.as_ref().map(TxId::as_str));
            }
            Request::Banks => write_words(out, "BANKS", &[]),
            Request::Info => write_words(out, "INFO", &[]),
            Request::Snapshot { time, accounts, after } => {
                write_words(out, "SNAPSHOT", &[]);
                if let Some(time) = time {
                    out.push(b' ');
                    write_decimal(out, time.0);
                }
                if *accounts {
                    out.extend_from_slice(b" accounts");
                }
                write_after(out, after.as_ref().map(SnapshotKey::to_text).as_deref());
            }
            Request::Peer(json) => write_words(out, "PEER", &[json]),
            Request::Ping => write_words(out, "PING", &[]),
            Request::Help => write_words(out, "HELP", &[]),
            Request::Quit => write_words(out, "QUIT", &[]),
        }
        out.push(b'\n');
    }

    /// The transaction that it is about.
    pub fn tx(&self) -> Option<&TxId> {
        match self {
            Request::Prepare(tx, _)
            | Request::Commit(tx, _)
            | Request::Abort(tx, _)
            | Request::Resolve(tx)
            | Request::Status(tx)
            | Request::Execute(tx, _) => Some(tx),
            Request::Client(_)
            | Request::Account(_)
            | Request::Clients { .. }
            | Request::Accounts { .. }
            | Request::Balance(_)
            | Request::Value(_)
            | Request::History { .. }
            | Request::Pending { .. }
            | Request::Banks
            | Request::Info
            | Request::Snapshot { .. }
            | Request::Peer(_)
            | Request::Ping
            | Request::Help
            | Request::Quit => None,
        }
    }

    /// Its verb, as it is typed.
    pub fn verb(&self) -> &'static str {
        match self {
            Request::Prepare(..) => "PREPARE",
            Request::Commit(..) => "COMMIT",
            Request::Abort(..) => "ABORT",
            Request::Resolve(_) => "RESOLVE",
            Request::Status(_) => "STATUS",
            Request::Execute(..) => "EXECUTE",
            Request::Client(_) => "CLIENT",
            Request::Account(_) => "ACCOUNT",
            Request::Clients { .. } => "CLIENTS",
            Request::Accounts { .. } => "ACCOUNTS",
            Request::Balance(_) => "BALANCE",
            Request::Value(_) => "VALUE",
            Request::History { .. } => "HISTORY",
            Request::Pending { .. } => "PENDING",
            Request::Banks => "BANKS",
            Request::Info => "INFO",
            Request::Snapshot { .. } => "SNAPSHOT",
            Request::Peer(_) => "PEER",
            Request::Ping => "PING",
            Request::Help => "HELP",
            Request::Quit => "QUIT",
        }
    }
}

/// Appends a PREPARE's line, end included.
pub fn write_prepare(out: &mut Vec<u8>, tx: &TxId, transaction: &str) {
    write_words(out, "PREPARE", &[tx.as_str(), transaction]);
    out.push(b'\n');
}

/// Appends an EXECUTE's line, end included.
pub fn write_execute(out: &mut Vec<u8>, tx: &TxId, transaction: &str) {
    write_words(out, "EXECUTE", &[tx.as_str(), transaction]);
    out.push(b'\n');
}

/// Appends a COMMIT's line, end included.
pub fn write_commit(out: &mut Vec<u8>, tx: &TxId, tokens: &[Token]) {
    write_words(out, "COMMIT", &[tx.as_str()]);
    for token in tokens {
        out.push(b' ');
        token.write_to(out);
    }
    out.push(b'\n');
}

/// Appends an ABORT's line, end included.
pub fn write_abort(out: &mut Vec<u8>, tx: &TxId, token: Option<&Token>) {
    write_words(out, "ABORT", &[tx.as_str()]);
    if let Some(token) = token {
        out.push(b' ');
        token.write_to(out);
    }
    out.push(b'\n');
}

/// Appends a RESOLVE's line, end included.
pub fn write_resolve(out: &mut Vec<u8>, tx: &TxId) {
    write_words(out, "RESOLVE", &[tx.as_str()]);
    out.push(b'\n');
}

impl SnapshotKey {
    /// Its text: `a:<number>` or `r:<key>`.
    pub fn to_text(&self) -> String {
        match self {
            SnapshotKey::Account(number) => format!("a:{number}"),
            SnapshotKey::Register(key) => format!("r:{key}"),
        }
    }

    /// Reads its text.
    ///
    /// # Errors
    /// When it is neither.
    pub fn new(text: &str) -> Result<SnapshotKey, BadName> {
        match text.split_once(':') {
            Some(("a", number)) => AccountNumber::new(number).map(SnapshotKey::Account),
            Some(("r", key)) => RegisterKey::new(key).map(SnapshotKey::Register),
            Some(_) | None => Err(BadName { what: "key", rule: "a:<account number> or r:<register key>" }),
        }
    }
}

impl NewClient {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"CLIENT {\"cpf\":");
        json::write_string(out, self.cpf.as_str());
        out.extend_from_slice(b",\"name\":");
        json::write_string(out, self.name.as_str());
        out.extend_from_slice(b",\"kind\":");
        json::write_string(out, self.kind.as_str());
        out.push(b'}');
    }
}

impl NewAccount {
    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"ACCOUNT {\"number\":");
        json::write_string(out, self.number.as_str());
        out.extend_from_slice(b",\"holders\":[");
        for (at, holder) in self.holders.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::write_string(out, holder.as_str());
        }
        out.extend_from_slice(b"],\"deposit\":");
        write_decimal(out, self.deposit.0);
        out.push(b'}');
    }
}

/// The words after a verb, taken one by one.
struct Words<'a> {
    verb: &'static str,
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn new(verb: &'static str, rest: &'a str) -> Words<'a> {
        Words { verb, rest }
    }

    fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = split_word(self.rest);
        self.rest = rest;
        Some(word).filter(|word| !word.is_empty())
    }

    fn tx(&mut self) -> Result<TxId, Fault> {
        let verb = self.verb;
        let word = self.next().ok_or_else(|| malformed(format!("{verb} needs a transaction id")))?;
        read_tx(verb, word)
    }

    /// The next word, unless it is an `after=` or there is none.
    fn optional<T>(&mut self, new: impl FnOnce(&str) -> Result<T, BadName>) -> Result<Option<T>, Fault> {
        if self.rest.is_empty() || self.rest.starts_with("after=") {
            return Ok(None);
        }
        let word = self.next().unwrap_or("");
        new(word).map(Some).map_err(|bad| bad_word(self.verb, &bad))
    }

    /// What `after=` names, if the next word is one.
    fn after<T>(&mut self, new: impl FnOnce(&str) -> Result<T, BadName>) -> Result<Option<T>, Fault> {
        if !self.rest.starts_with("after=") {
            return Ok(None);
        }
        let word = self.next().and_then(|word| word.strip_prefix("after=")).unwrap_or("");
        new(word).map(Some).map_err(|bad| malformed(format!("{} after=: {bad}", self.verb)))
    }

    /// No word may be left.
    fn end(mut self, request: Request) -> Result<Request, Fault> {
        match self.next() {
            None => Ok(request),
            Some(word) => Err(malformed(format!("{} does not take `{}`; see HELP", self.verb, shown(word)))),
        }
    }
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
    let hint = if VERBS.contains(&upper.as_str()) { "verbs are typed in capitals; " } else { "" };
    malformed(format!("unknown verb `{}`; {hint}HELP lists them", shown(verb)))
}

fn read_tx(verb: &str, word: &str) -> Result<TxId, Fault> {
    TxId::new(word).map_err(|bad| malformed(format!("{verb} `{}`: {bad}", shown(word))))
}

/// Reads `<tx> <transaction>`. The transaction's bytes are those from the first `{` to the last `}` of the line.
fn read_transaction(verb: &'static str, rest: &str) -> Result<(TxId, Arc<Transaction>), Fault> {
    let mut words = Words::new(verb, rest);
    let tx = words.tx()?;
    let text = words.rest;
    if text.is_empty() {
        return Err(malformed(format!("{verb} needs a transaction after its id")));
    }
    if !text.starts_with('{') {
        let (word, _) = split_word(text);
        return Err(malformed(format!("{verb}: `{}` stands between id and transaction", shown(word))));
    }
    let end = memchr::memrchr(b'}', text.as_bytes()).map_or(0, |at| at + 1);
    let after = trim(&text[end..]);
    if end > 0 && !after.is_empty() {
        return Err(malformed(format!("{verb}: `{}` stands after the transaction", shown(after))));
    }
    Ok((tx, Arc::new(Transaction::parse(&text[..end])?)))
}

fn read_commit(rest: &str) -> Result<Request, Fault> {
    let mut words = Words::new("COMMIT", rest);
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
    let mut words = Words::new("HISTORY", rest);
    let count = match words.rest {
        rest if rest.is_empty() || rest.starts_with("after=") => None,
        _ => {
            let word = words.next().unwrap_or("");
            let count = read_decimal(word).and_then(|count| usize::try_from(count).ok());
            let count = count.filter(|count| *count > 0);
            Some(count.ok_or_else(|| {
                malformed(format!("HISTORY takes a number from 1 on, not `{}`", shown(word)))
            })?)
        }
    };
    let after = words.after(TxId::new)?;
    words.end(Request::History { count, after })
}

fn read_snapshot(rest: &str) -> Result<Request, Fault> {
    let mut words = Words::new("SNAPSHOT", rest);
    let mut time = None;
    if words.rest.starts_with(|c: char| c.is_ascii_digit()) {
        let word = words.next().unwrap_or("");
        if !word.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed(format!("SNAPSHOT: `{}` is no time in microseconds", shown(word))));
        }
        let read = read_decimal(word).and_then(|time| i64::try_from(time).ok()).map(Time);
        let read = read.filter(|time| *time <= Time::MAX);
        time =
            Some(read.ok_or_else(|| limit(format!("SNAPSHOT: time {} is past {}", shown(word), Time::MAX)))?);
    }
    let accounts = split_word(words.rest).0 == "accounts";
    if accounts {
        words.next();
    }
    let after = words.after(SnapshotKey::new)?;
    words.end(Request::Snapshot { time, accounts, after })
}

fn read_client(text: &str) -> Result<NewClient, Fault> {
    let (mut cpf, mut name, mut kind) = (None, None, None);
    let mut reader = Reader::new(text);
    reader.object(Field::top("CLIENT"), |reader, key| match key {
        "cpf" => {
            let field = Field::top("cpf");
            json::once(&mut cpf, field, read_name(reader, field, usize::MAX, TaxId::new)?)
        }
        "name" => {
            let field = Field::top("name");
            json::once(&mut name, field, read_name(reader, field, CLIENT_NAME_BYTES_MAX, ClientName::new)?)
        }
        "kind" => {
            let field = Field::top("kind");
            json::once(&mut kind, field, read_name(reader, field, NAME_BYTES_MAX, ClientKind::new)?)
        }
        unknown => Err(unknown_field("CLIENT", unknown)),
    })?;
    reader.end()?;
    let missing = |name| move || Field::top(name).malformed("is missing");
    Ok(NewClient {
        cpf: cpf.ok_or_else(missing("cpf"))?,
        name: name.ok_or_else(missing("name"))?,
        kind: kind.ok_or_else(missing("kind"))?,
    })
}

fn read_account(text: &str) -> Result<NewAccount, Fault> {
    let (mut number, mut holders, mut deposit) = (None, None, None);
    let mut reader = Reader::new(text);
    reader.object(Field::top("ACCOUNT"), |reader, key| match key {
        "number" => {
            let field = Field::top("number");
            json::once(&mut number, field, read_name(reader, field, NAME_BYTES_MAX, AccountNumber::new)?)
        }
        "holders" => json::once(&mut holders, Field::top("holders"), read_holders(reader)?),
        "deposit" => json::once(&mut deposit, Field::top("deposit"), read_deposit(reader)?),
        unknown => Err(unknown_field("ACCOUNT", unknown)),
    })?;
    reader.end()?;
    let missing = |name| move || Field::top(name).malformed("is missing");
    Ok(NewAccount {
        number: number.ok_or_else(missing("number"))?,
        holders: holders.ok_or_else(missing("holders"))?,
        deposit: deposit.unwrap_or(Money::ZERO),
    })
}

fn read_holders(reader: &mut Reader<'_>) -> Result<Vec<TaxId>, Fault> {
    let field = Field::top("holders");
    let mut holders = Vec::new();
    reader.list(field, |reader, at| {
        if at == HOLDERS_MAX {
            return Err(field.limit(format_args!("has more than {HOLDERS_MAX} holders")));
        }
        let holder = read_name(reader, Field::inside("holders", at, ""), usize::MAX, TaxId::new)?;
        if holders.contains(&holder) {
            return Err(field.malformed(format_args!("names {holder} twice")));
        }
        holders.push(holder);
        Ok(())
    })?;
    if holders.is_empty() { Err(field.malformed("is empty")) } else { Ok(holders) }
}

fn read_deposit(reader: &mut Reader<'_>) -> Result<Money, Fault> {
    let field = Field::top("deposit");
    match reader.whole(field)? {
        centavos @ 0.. => Ok(Money(centavos)),
        other => Err(field.malformed(format_args!("must not be negative, not {other}"))),
    }
}

fn write_words(out: &mut Vec<u8>, verb: &str, words: &[&str]) {
    out.extend_from_slice(verb.as_bytes());
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
    }
}

fn write_after(out: &mut Vec<u8>, key: Option<&str>) {
    if let Some(key) = key {
        out.extend_from_slice(b" after=");
        out.extend_from_slice(key.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::token::{Digest, Seal, Verdict};
    use crate::ids::BankId;
    use crate::limits::LINE_BYTES_MAX;
    use proptest::prelude::*;

    const SET: &str = r#"{"ops":[{"bank":0,"op":"set","value":"1"}]}"#;

    fn tx(id: &str) -> TxId {
        TxId::new(id).unwrap()
    }

    fn token() -> Token {
        let seal = Seal::keyed([1; 32]);
        seal.token(BankId::new(1).unwrap(), Verdict::Ok, &tx("t1"), Some(Digest::of(b"{}")), Time(7))
    }

    fn written(request: &Request) -> String {
        let mut out = Vec::new();
        request.write_to(&mut out);
        let mut text = String::from_utf8(out).unwrap();
        assert_eq!(text.pop(), Some('\n'));
        assert!(!text.contains('\n') && text.len() < LINE_BYTES_MAX);
        text
    }

    #[test]
    fn a_line_of_each_verb_and_back() {
        let token = token().to_string();
        for line in [
            &format!("PREPARE t1 {SET}"),
            &format!("EXECUTE t1 {SET}"),
            "COMMIT t1",
            &format!("COMMIT t1 {token} {token}"),
            "ABORT t1",
            &format!("ABORT t1 {token}"),
            "RESOLVE t1",
            "STATUS t1",
            r#"CLIENT {"cpf":"12345678900","name":"Pessoa \"1\"","kind":"Físico"}"#,
            r#"ACCOUNT {"number":"12345-6","holders":["12345678900","12ABC345678900"],"deposit":100000}"#,
            "CLIENTS",
            "CLIENTS after=12345678900",
            "ACCOUNTS",
            "ACCOUNTS 12345678900",
            "ACCOUNTS after=12345-6",
            "ACCOUNTS 12345678900 after=12345-6",
            "BALANCE 12345-6",
            "VALUE storage",
            "HISTORY",
            "HISTORY 5",
            "HISTORY after=t9",
            "HISTORY 5 after=t9",
            "PENDING",
            "PENDING after=t9",
            "BANKS",
            "INFO",
            "SNAPSHOT",
            "SNAPSHOT 17",
            "SNAPSHOT accounts",
            "SNAPSHOT 17 accounts after=a:12345-6",
            "SNAPSHOT 17 accounts after=r:storage",
            "PEER {\"bank\": 1}",
            "PING",
            "HELP",
            "QUIT",
        ] {
            let request = Request::parse(line).unwrap_or_else(|fault| panic!("{line}: {fault}"));
            assert_eq!(written(&request), line);
            assert_eq!(Request::parse(&format!(" \t{} ", line.replacen(' ', "   ", 1))), Ok(request.clone()));
            let verb = line.split(' ').next().unwrap();
            assert_eq!(request.verb(), verb);
            assert!(VERBS.contains(&verb));
            assert_eq!(request.tx().is_some(), line.contains(" t1"), "{line}");
        }
    }

    #[test]
    fn what_may_be_left_out() {
        assert_eq!(written(&Request::parse("VALUE").unwrap()), "VALUE storage");
        match Request::parse(r#"ACCOUNT {"holders":["12345678900"],"number":"1"}"#) {
            Ok(Request::Account(account)) => assert_eq!(account.deposit, Money::ZERO),
            other => panic!("{other:?}"),
        }
    }

    /// A transaction's bytes are those from the first `{` to the last `}` of its line, blanks inside included.
    #[test]
    fn the_bytes_of_a_transaction() {
        for spaced in [SET.to_owned(), SET.replace(':', " : "), SET.replace(',', "\t,")] {
            match Request::parse(&format!("PREPARE  t1 \t {spaced}  ")) {
                Ok(Request::Prepare(id, transaction)) => {
                    assert_eq!((id, transaction.text()), (tx("t1"), spaced.as_str()));
                    assert_eq!(transaction.digest(), &Digest::of(spaced.as_bytes()));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn tokens_that_are_none_count_as_not_given() {
        let good = token();
        assert_eq!(
            Request::parse(&format!("COMMIT t1 junk {good} O1")),
            Ok(Request::Commit(tx("t1"), vec![good]))
        );
        assert_eq!(Request::parse("ABORT t1 junk"), Ok(Request::Abort(tx("t1"), None)));
        let most = format!("COMMIT t1{}", format!(" {good}").repeat(TOKENS_MAX));
        assert_eq!(Request::parse(&most), Ok(Request::Commit(tx("t1"), vec![good; TOKENS_MAX])));
    }

    #[test]
    fn what_is_refused_is_named() {
        let many = format!("COMMIT t1{}", " x".repeat(TOKENS_MAX + 1));
        let long_id = format!("STATUS {}", "x".repeat(65));
        let long_name = format!(r#"CLIENT {{"name":"{}"}}"#, "x".repeat(201));
        let account = |fields: &str| format!(r#"ACCOUNT {{"number":"1",{fields}}}"#);
        for (line, reason, named) in [
            ("", Reason::Malformed, "empty line"),
            ("  ", Reason::Malformed, "empty line"),
            ("ping", Reason::Malformed, "`ping`; verbs are typed in capitals; HELP"),
            ("JUMP x", Reason::Malformed, "unknown verb `JUMP`; HELP"),
            ("PING x", Reason::Malformed, "PING does not take `x`"),
            ("STATUS", Reason::Malformed, "STATUS needs a transaction id"),
            ("STATUS é", Reason::Malformed, "STATUS `é`: transaction id"),
            (&long_id, Reason::Malformed, "transaction id: 1 to 64"),
            ("STATUS t1 t2", Reason::Malformed, "STATUS does not take `t2`"),
            ("RESOLVE t1 t2", Reason::Malformed, "RESOLVE does not take `t2`"),
            ("ABORT t1 x y", Reason::Malformed, "ABORT does not take `y`"),
            (&many, Reason::Limit, "COMMIT takes at most 16 tokens"),
            ("PREPARE", Reason::Malformed, "PREPARE needs a transaction id"),
            ("PREPARE t1", Reason::Malformed, "PREPARE needs a transaction after its id"),
            ("PREPARE {}", Reason::Malformed, "PREPARE `{}`: transaction id"),
            ("PREPARE t1{}", Reason::Malformed, "PREPARE `t1{}`: transaction id"),
            ("EXECUTE t1 t2 {}", Reason::Malformed, "EXECUTE: `t2` stands between"),
            ("PREPARE t1 {} more", Reason::Malformed, "PREPARE: `more` stands after"),
            ("PREPARE t1 {", Reason::Malformed, "`transaction` must be a JSON object"),
            ("PREPARE t1 {}", Reason::Malformed, "`ops` is missing"),
            ("CLIENTS 1", Reason::Malformed, "CLIENTS does not take `1`"),
            ("CLIENTS after=1", Reason::Malformed, "CLIENTS after=: cpf"),
            ("ACCOUNTS 1", Reason::Malformed, "ACCOUNTS: cpf"),
            ("BALANCE", Reason::Malformed, "BALANCE needs an account number"),
            ("HISTORY 0", Reason::Malformed, "HISTORY takes a number from 1 on, not `0`"),
            ("HISTORY -1", Reason::Malformed, "not `-1`"),
            ("HISTORY 1.5", Reason::Malformed, "not `1.5`"),
            ("HISTORY 99999999999999999999", Reason::Malformed, "HISTORY takes"),
            ("SNAPSHOT 1x", Reason::Malformed, "SNAPSHOT: `1x`"),
            ("SNAPSHOT -1", Reason::Malformed, "SNAPSHOT does not take `-1`"),
            ("SNAPSHOT 9007199254740992", Reason::Limit, "SNAPSHOT: time"),
            ("SNAPSHOT after=x:1", Reason::Malformed, "SNAPSHOT after=: key"),
            ("PEER", Reason::Malformed, "PEER needs"),
            ("CLIENT", Reason::Malformed, "`CLIENT` must be a JSON object, not the end"),
            ("CLIENT {}", Reason::Malformed, "`cpf` is missing"),
            (r#"CLIENT {"cpf":1}"#, Reason::Malformed, "`cpf` must be a text"),
            (r#"CLIENT {"cpf":"1"}"#, Reason::Malformed, "`cpf` must be 11 digits"),
            (r#"CLIENT {"name":""}"#, Reason::Malformed, "`name` must be 1 to 200"),
            (r#"CLIENT {"name":"a\nb"}"#, Reason::Malformed, "`name` must be 1 to 200"),
            (&long_name, Reason::Limit, "`name` has 201 bytes"),
            (r#"CLIENT {"kind":"a","kind":"a"}"#, Reason::Malformed, "`kind` is given twice"),
            (r#"CLIENT {"age":3}"#, Reason::Malformed, "unknown field `age` in `CLIENT`"),
            (r#"CLIENT {"cpf":"12345678900","name":"a"}"#, Reason::Malformed, "`kind` is missing"),
            (r#"CLIENT {"kind":"a"} x"#, Reason::Malformed, "expected nothing more"),
            (&account(r#""holders":[]"#), Reason::Malformed, "`holders` is empty"),
            (&account(r#""holders":"12345678900""#), Reason::Malformed, "`holders` must be a list"),
            (&account(r#""holders":["1"]"#), Reason::Malformed, "`holders[0]` must be 11 digits"),
            (
                &account(r#""holders":["12345678900","12345678900"]"#),
                Reason::Malformed,
                "`holders` names 12345678900 twice",
            ),
            (
                &account(r#""holders":["12345678900","12345678901","12345678902"]"#),
                Reason::Limit,
                "`holders` has more than 2",
            ),
            (&account(r#""deposit":-1"#), Reason::Malformed, "`deposit` must not be negative"),
            (&account(r#""deposit":1.0"#), Reason::Malformed, "`deposit` must be a whole number, not 1.0"),
            (
                &account(r#""deposit":null"#),
                Reason::Malformed,
                "`deposit` must be a whole number, not `null`",
            ),
            (&account(r#""deposit":9223372036854775808"#), Reason::Limit, "`deposit` is 9223372036854775808"),
            (&account(r#""deposit":0"#), Reason::Malformed, "`holders` is missing"),
            (&account(r#""owner":0"#), Reason::Malformed, "unknown field `owner` in `ACCOUNT`"),
        ] {
            let fault = Request::parse(line).expect_err(line);
            assert_eq!(fault.reason, reason, "{line}: {fault}");
            assert!(fault.text.contains(named), "{line}: {fault}");
        }
    }

    fn requests() -> impl Strategy<Value = Request> {
        let ids = || "[A-Za-z0-9._-]{1,64}".prop_map(|id| TxId::new(&id).unwrap());
        let numbers = || "[!-~éß€🦀]{1,16}".prop_map(|text| AccountNumber::new(&text).unwrap());
        let keys = || "[!-~éß€🦀]{1,16}".prop_map(|text| RegisterKey::new(&text).unwrap());
        let cpfs = || "[0-9]{11}|[0-9A-Z]{14}".prop_map(|text| TaxId::new(&text).unwrap());
        let plain = || "[ -~éß€🦀]{1,40}";
        let kinds = plain().prop_filter_map("short", |text| ClientKind::new(&text).ok());
        let names = plain().prop_map(|text| ClientName::new(&text).unwrap());
        let snapshot_keys =
            prop_oneof![numbers().prop_map(SnapshotKey::Account), keys().prop_map(SnapshotKey::Register)];
        let maybe = prop::option::of::<proptest::strategy::BoxedStrategy<TxId>>;
        prop_oneof![
            (ids(), 0..4usize).prop_map(|(tx, n)| Request::Commit(tx, vec![token(); n])),
            (ids(), any::<bool>()).prop_map(|(tx, given)| Request::Abort(tx, given.then(token))),
            ids().prop_map(Request::Resolve),
            ids().prop_map(Request::Status),
            (cpfs(), names, kinds).prop_map(|(cpf, name, kind)| Request::Client(NewClient {
                cpf,
                name,
                kind
            })),
            (numbers(), cpfs(), prop::option::of(cpfs()), 0..=i64::MAX).prop_map(
                |(number, first, second, deposit)| {
                    let second = second.filter(|second| *second != first);
                    let holders = std::iter::once(first).chain(second).collect();
                    Request::Account(NewAccount { number, holders, deposit: Money(deposit) })
                }
            ),
            prop::option::of(cpfs()).prop_map(|after| Request::Clients { after }),
            (prop::option::of(cpfs()), prop::option::of(numbers()))
                .prop_map(|(cpf, after)| Request::Accounts { cpf, after }),
            numbers().prop_map(Request::Balance),
            keys().prop_map(Request::Value),
            (prop::option::of(1usize..), maybe(ids().boxed()))
                .prop_map(|(count, after)| Request::History { count: count.map(|n| n >> 1 | 1), after }),
            maybe(ids().boxed()).prop_map(|after| Request::Pending { after }),
            (prop::option::of(0..=Time::MAX.0), any::<bool>(), prop::option::of(snapshot_keys)).prop_map(
                |(time, accounts, after)| Request::Snapshot { time: time.map(Time), accounts, after }
            ),
        ]
    }

    proptest! {
        #[test]
        fn a_request_comes_back(request in requests()) {
            prop_assert_eq!(Request::parse(&written(&request)), Ok(request));
        }

        #[test]
        fn reading_never_panics(line in "[A-Z]{0,9}[ -~é]{0,60}|\\PC{0,60}") {
            let _ = Request::parse(&line);
        }

        /// One byte of a good line changed, cut or doubled: an answer, never a panic.
        #[test]
        fn damaged_lines_never_panic(at in 0usize..150, with in "\\PC{0,2}|[\\x00-\\x20]") {
            for line in [
                format!("PREPARE t1 {SET}"),
                r#"ACCOUNT {"number":"12345-6","holders":["12345678900","12345678901"],"deposit":100000}"#.to_owned(),
                r#"CLIENT {"cpf":"12345678900","name":"Pessoa \u00e9 \ud83e\udd80","kind":"Físico"}"#.to_owned(),
            ] {
                let at = line.floor_char_boundary(at.min(line.len()));
                let next = line.ceil_char_boundary((at + 1).min(line.len()));
                let _ = Request::parse(&format!("{}{with}{}", &line[..at], &line[next..]));
                let _ = Request::parse(&format!("{}{with}{}", &line[..at], &line[at..]));
                let _ = Request::parse(&line[..at]);
            }
        }
    }
}
