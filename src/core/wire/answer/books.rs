//! Answers about clients, accounts and registers: CLIENTS, ACCOUNTS, BALANCE, VALUE, CLIENT and
//! ACCOUNT.

use crate::ids::{AccountNumber, ClientKind, ClientName, RegisterKey, TaxId, Time};
use crate::limits::HOLDERS_MAX;
use crate::money::Money;
use crate::wire::registration::NewClient;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A client, of CLIENTS and CLIENT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAnswer<'a> {
    /// CPF or CNPJ, its natural key.
    pub cpf: Cow<'a, TaxId>,
    /// The name, exactly as registered.
    pub name: Cow<'a, ClientName>,
    /// The kind, exactly as registered.
    pub kind: Cow<'a, ClientKind>,
    /// Its position in the order of creation; sent in lists only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
}

impl<'a> ClientAnswer<'a> {
    /// The answer to CLIENT for `client`.
    pub(crate) fn of(client: &'a NewClient) -> ClientAnswer<'a> {
        let NewClient { cpf, name, kind } = client;
        ClientAnswer {
            cpf: Cow::Borrowed(cpf),
            name: Cow::Borrowed(name),
            kind: Cow::Borrowed(kind),
            created: None,
        }
    }
}

/// An account with its balances, in centavos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountAnswer<'a> {
    /// Its natural key, unique at its bank.
    pub number: Cow<'a, AccountNumber>,
    /// The holders, in the order of the opening.
    pub holders: AccountHolders<'a>,
    /// The sum of all committed operations on it.
    pub balance: Money,
    /// Reserved by debits and withdrawals of undecided transactions.
    pub held: Money,
    /// What a further debit may take: balance - held.
    pub available: Money,
    /// Expected from credits and deposits of undecided transactions.
    pub incoming: Money,
    /// Its position in the order of creation; sent in lists only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
}

/// A register and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterAnswer<'a> {
    /// The key of the register.
    pub key: Cow<'a, RegisterKey>,
    /// Empty if it was never set.
    pub value: Cow<'a, str>,
}

/// The holders of an account; a JSON list of one or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHolders<'a> {
    /// The only holder, or the first one of a joint account.
    pub first: Cow<'a, TaxId>,
    /// The second holder of a joint account.
    pub second: Option<Cow<'a, TaxId>>,
}

impl AccountHolders<'_> {
    /// All holders, in the order of the opening.
    pub fn iter(&self) -> impl Iterator<Item = &TaxId> {
        std::iter::once(&*self.first).chain(self.second.as_deref())
    }
}

impl Serialize for AccountHolders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for AccountHolders<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(HoldersVisitor).map(|(first, second)| AccountHolders {
            first: Cow::Owned(first),
            second: second.map(Cow::Owned),
        })
    }
}

struct HoldersVisitor;

impl<'de> Visitor<'de> for HoldersVisitor {
    type Value = (TaxId, Option<TaxId>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of 1 to {HOLDERS_MAX} holders")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let first = list.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let second = list.next_element()?;
        match list.next_element::<TaxId>()? {
            None => Ok((first, second)),
            Some(_) => Err(A::Error::invalid_length(HOLDERS_MAX + 1, &self)),
        }
    }
}
