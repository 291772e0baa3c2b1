//! Requests: one line each.

use crate::commit::token::Token;
use crate::ids::{AccountNumber, ClientKind, ClientName, RegisterKey, TaxId, Time, TxId};
use crate::money::Money;
use crate::wire::transaction::Transaction;
use std::sync::Arc;

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
