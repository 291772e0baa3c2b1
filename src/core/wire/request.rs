//! Requests, one line each: the types, and how a request is written. `bank` defines what they do.

mod read;

pub use super::opening::Hello;
pub use super::registration::{NewAccount, NewClient};

use super::text::write_decimal;
use super::transaction::Transaction;
use super::verb::Verb;
use crate::ids::{AccountNumber, BadName, BankId, RegisterKey, TaxId, Time, TxId};
use crate::wire::reading::Reading;
use crate::wire::token::Token;
use std::sync::Arc;

/// A request, parsed from its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `PREPARE <tx> <transaction>`: asks for the bank's vote.
    Prepare(TxId, Arc<Transaction>),
    /// `COMMIT <tx> [<token> …]`; words that are no tokens are ignored.
    Commit(TxId, Vec<Token>),
    /// `ABORT <tx> [<token>]`: refuses, or passes on a refusal.
    Abort(TxId, Option<Token>),
    /// `RESOLVE <tx>`: the vote or the outcome; refuses if there is no vote.
    Resolve(TxId),
    /// `STATUS <tx>`: as RESOLVE, but changes nothing.
    Status(TxId),
    /// `EXECUTE <tx> <transaction>`: the bank drives the transaction.
    Execute(TxId, Arc<Transaction>),
    /// `CLIENT {"cpf","name","kind"}`: registers a client.
    Client(NewClient),
    /// `ACCOUNT {"number","holders","deposit"}`: opens an account.
    Account(NewAccount),
    /// A request that only reads the books.
    Read(Read),
    /// `REGISTERS <bank> <nonce> [after=<key>]`: a bank that joined later requests the registers.
    /// Only valid on links.
    Registers {
        /// The bank that sends it.
        asker: BankId,
        /// The id of this request, which its sender never uses again.
        nonce: TxId,
        /// The last key of the page before.
        after: Option<RegisterKey>,
    },
    /// A request that the session answers without the bank.
    Local(Local),
}

/// A request that reads a bank's books and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// `CLIENTS [after=<cpf>]`: the clients of the bank.
    Clients {
        /// The last key of the page before.
        after: Option<TaxId>,
    },
    /// `ACCOUNTS [cpf] [after=<number>]`: the accounts of the bank.
    Accounts {
        /// Only accounts of this holder.
        cpf: Option<TaxId>,
        /// The last key of the page before.
        after: Option<AccountNumber>,
    },
    /// `BALANCE <number>`: one account.
    Balance(AccountNumber),
    /// `VALUE [key]`: one register.
    Value(RegisterKey),
    /// `HISTORY [n] [after=<tx>]`: the newest outcomes.
    History {
        /// How many outcomes, newest first.
        count: Option<usize>,
        /// The last key of the page before.
        after: Option<TxId>,
    },
    /// `PENDING [after=<tx>]`: the undecided transactions.
    Pending {
        /// The last key of the page before.
        after: Option<TxId>,
    },
    /// `INFO`: the bank in numbers.
    Info,
    /// `SNAPSHOT [<time> [<reading>]] [accounts] [after=<key>]`: the bank as of one commit time.
    Snapshot {
        /// The cut's commit time; without one, the bank's own clock.
        time: Option<Time>,
        /// A bank's statement that its clock has reached a time; only after a `time`.
        reading: Option<Reading>,
        /// Whether to list each balance and each register.
        accounts: bool,
        /// The last key of the page before: `a:<number>` or `r:<key>`.
        after: Option<SnapshotKey>,
    },
}

/// A request that the session answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// `BANKS`: the list of banks and the links to them.
    Banks,
    /// `PEER …`: opens a link between banks; its JSON is read by the crate of the links.
    Peer(String),
    /// `HELLO {"bank","places","version"}`: a client's first line, with the bank that it expects.
    Hello(Hello),
    /// `PING`: answered with `PONG`.
    Ping,
    /// `HELP [verb]`: the list of verbs, or all about one of them.
    Help(Option<Verb>),
    /// `QUIT`: answered with `BYE`, then the connection closes.
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

impl Request {
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
            Request::Read(read) => read.write_to(out),
            Request::Registers { asker, nonce, after } => {
                return write_registers(out, *asker, nonce, after.as_ref());
            }
            Request::Local(local) => local.write_to(out),
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
            | Request::Read(_)
            | Request::Registers { .. }
            | Request::Local(_) => None,
        }
    }

    /// The verb of its line.
    pub fn verb(&self) -> Verb {
        match self {
            Request::Prepare(..) => Verb::Prepare,
            Request::Commit(..) => Verb::Commit,
            Request::Abort(..) => Verb::Abort,
            Request::Resolve(_) => Verb::Resolve,
            Request::Status(_) => Verb::Status,
            Request::Execute(..) => Verb::Execute,
            Request::Client(_) => Verb::Client,
            Request::Account(_) => Verb::Account,
            Request::Read(read) => read.verb(),
            Request::Registers { .. } => Verb::Registers,
            Request::Local(local) => local.verb(),
        }
    }
}

impl Read {
    fn verb(&self) -> Verb {
        match self {
            Read::Clients { .. } => Verb::Clients,
            Read::Accounts { .. } => Verb::Accounts,
            Read::Balance(_) => Verb::Balance,
            Read::Value(_) => Verb::Value,
            Read::History { .. } => Verb::History,
            Read::Pending { .. } => Verb::Pending,
            Read::Info => Verb::Info,
            Read::Snapshot { .. } => Verb::Snapshot,
        }
    }

    /// Is its answer a page of a list?
    pub fn is_page(&self) -> bool {
        match self {
            Read::Clients { .. }
            | Read::Accounts { .. }
            | Read::History { .. }
            | Read::Pending { .. }
            | Read::Snapshot { .. } => true,
            Read::Balance(_) | Read::Value(_) | Read::Info => false,
        }
    }

    /// Can the bank delay its answer, for a lock or for a cut's time?
    pub fn may_wait(&self) -> bool {
        match self {
            Read::Value(_) | Read::Snapshot { .. } => true,
            Read::Clients { .. }
            | Read::Accounts { .. }
            | Read::Balance(_)
            | Read::History { .. }
            | Read::Pending { .. }
            | Read::Info => false,
        }
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Read::Clients { after } => {
                write_words(out, "CLIENTS", &[]);
                write_after(out, after.as_ref().map(TaxId::as_str));
            }
            Read::Accounts { cpf, after } => {
                write_words(out, "ACCOUNTS", cpf.as_ref().map(TaxId::as_str).as_slice());
                write_after(out, after.as_ref().map(AccountNumber::as_str));
            }
            Read::Balance(number) => write_words(out, "BALANCE", &[number.as_str()]),
            Read::Value(key) => write_words(out, "VALUE", &[key.as_str()]),
            Read::History { count, after } => {
                write_words(out, "HISTORY", &[]);
                if let Some(count) = count {
                    out.push(b' ');
                    write_decimal(out, i64::try_from(*count).unwrap_or(i64::MAX));
                }
                write_after(out, after.as_ref().map(TxId::as_str));
            }
            Read::Pending { after } => {
                write_words(out, "PENDING", &[]);
                write_after(out, after.as_ref().map(TxId::as_str));
            }
            Read::Info => write_words(out, "INFO", &[]),
            Read::Snapshot { time, reading, accounts, after } => {
                write_words(out, "SNAPSHOT", &[]);
                if let Some(time) = time {
                    out.push(b' ');
                    write_decimal(out, time.0);
                    if let Some(reading) = reading {
                        out.push(b' ');
                        reading.write_to(out);
                    }
                }
                if *accounts {
                    out.extend_from_slice(b" accounts");
                }
                write_after(out, after.as_ref().map(SnapshotKey::to_text).as_deref());
            }
        }
    }
}

impl Local {
    fn verb(&self) -> Verb {
        match self {
            Local::Banks => Verb::Banks,
            Local::Peer(_) => Verb::Peer,
            Local::Hello(_) => Verb::Hello,
            Local::Ping => Verb::Ping,
            Local::Help(_) => Verb::Help,
            Local::Quit => Verb::Quit,
        }
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Local::Banks => write_words(out, "BANKS", &[]),
            Local::Peer(json) => write_words(out, "PEER", &[json]),
            Local::Hello(hello) => hello.write_to(out),
            Local::Ping => write_words(out, "PING", &[]),
            Local::Help(None) => write_words(out, "HELP", &[]),
            Local::Help(Some(verb)) => write_words(out, "HELP", &[verb.name()]),
            Local::Quit => write_words(out, "QUIT", &[]),
        }
    }
}

/// Appends the line of a PREPARE, end included.
pub fn write_prepare(out: &mut Vec<u8>, tx: &TxId, transaction: &str) {
    write_words(out, "PREPARE", &[tx.as_str(), transaction]);
    out.push(b'\n');
}

/// Appends the line of an EXECUTE, end included.
pub fn write_execute(out: &mut Vec<u8>, tx: &TxId, transaction: &str) {
    write_words(out, "EXECUTE", &[tx.as_str(), transaction]);
    out.push(b'\n');
}

/// Appends the line of a COMMIT, end included.
pub fn write_commit(out: &mut Vec<u8>, tx: &TxId, tokens: &[Token]) {
    write_words(out, "COMMIT", &[tx.as_str()]);
    for token in tokens {
        out.push(b' ');
        token.write_to(out);
    }
    out.push(b'\n');
}

/// Appends the line of an ABORT, end included.
pub fn write_abort(out: &mut Vec<u8>, tx: &TxId, token: Option<&Token>) {
    write_words(out, "ABORT", &[tx.as_str()]);
    if let Some(token) = token {
        out.push(b' ');
        token.write_to(out);
    }
    out.push(b'\n');
}

/// Appends the line of a RESOLVE, end included.
pub fn write_resolve(out: &mut Vec<u8>, tx: &TxId) {
    write_words(out, "RESOLVE", &[tx.as_str()]);
    out.push(b'\n');
}

/// Appends the line of a REGISTERS, end included.
pub fn write_registers(
    out: &mut Vec<u8>,
    asker: BankId,
    nonce: &TxId,
    after: Option<&RegisterKey>,
) {
    write_words(out, "REGISTERS", &[&asker.to_string(), nonce.as_str()]);
    write_after(out, after.map(RegisterKey::as_str));
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

    /// Reads a key from its text.
    ///
    /// # Errors
    /// If it begins with neither `a:` nor `r:`, or the rest is no legal name.
    pub fn new(text: &str) -> Result<SnapshotKey, BadName> {
        match text.split_once(':') {
            Some(("a", number)) => AccountNumber::new(number).map(SnapshotKey::Account),
            Some(("r", key)) => RegisterKey::new(key).map(SnapshotKey::Register),
            Some(_) | None => {
                Err(BadName { what: "key", rule: "a:<account number> or r:<register key>" })
            }
        }
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
mod tests;
