//! The JSON of CLIENT and ACCOUNT.

use super::Fault;
use super::json::{FieldPath, JsonReader, once, write_string};
use super::text::write_decimal;
use crate::ids::{AccountNumber, ClientKind, ClientName, TaxId};
use crate::limits::{CLIENT_NAME_BYTES_MAX, HOLDERS_MAX, NAME_BYTES_MAX};
use crate::money::Money;

/// A client to be registered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewClient {
    /// CPF or CNPJ, its natural key.
    pub cpf: TaxId,
    /// The name, kept exactly as given.
    pub name: ClientName,
    /// The kind, kept exactly as given.
    pub kind: ClientKind,
}

/// An account to be opened.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewAccount {
    /// Its natural key, unique at its bank.
    pub number: AccountNumber,
    /// One, or two different ones if it is joint.
    pub holders: Vec<TaxId>,
    /// The cash paid in at the opening; zero or more.
    pub deposit: Money,
}

impl NewClient {
    /// Reads a client from its JSON.
    ///
    /// # Errors
    /// `malformed` or `limit`, naming the field.
    pub fn parse(text: &str) -> Result<NewClient, Fault> {
        let (mut cpf, mut name, mut kind) = (None, None, None);
        let mut reader = JsonReader::new(text);
        reader.object(FieldPath::top("CLIENT"), |reader, key| match key {
            "cpf" => {
                let field = FieldPath::top("cpf");
                once(&mut cpf, field, reader.name(field, usize::MAX, TaxId::new)?)
            }
            "name" => {
                let field = FieldPath::top("name");
                once(&mut name, field, reader.name(field, CLIENT_NAME_BYTES_MAX, ClientName::new)?)
            }
            "kind" => {
                let field = FieldPath::top("kind");
                once(&mut kind, field, reader.name(field, NAME_BYTES_MAX, ClientKind::new)?)
            }
            unknown => Err(FieldPath::top("CLIENT").unknown(unknown)),
        })?;
        reader.end()?;
        let missing = |name| move || FieldPath::top(name).malformed("is missing");
        Ok(NewClient {
            cpf: cpf.ok_or_else(missing("cpf"))?,
            name: name.ok_or_else(missing("name"))?,
            kind: kind.ok_or_else(missing("kind"))?,
        })
    }

    /// Appends its CLIENT request, without the line's end.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"CLIENT {\"cpf\":");
        write_string(out, self.cpf.as_str());
        out.extend_from_slice(b",\"name\":");
        write_string(out, self.name.as_str());
        out.extend_from_slice(b",\"kind\":");
        write_string(out, self.kind.as_str());
        out.push(b'}');
    }
}

impl NewAccount {
    /// Reads an account from its JSON.
    ///
    /// # Errors
    /// `malformed` or `limit`, naming the field.
    pub fn parse(text: &str) -> Result<NewAccount, Fault> {
        let (mut number, mut holders, mut deposit) = (None, None, None);
        let mut reader = JsonReader::new(text);
        reader.object(FieldPath::top("ACCOUNT"), |reader, key| match key {
            "number" => {
                let field = FieldPath::top("number");
                once(&mut number, field, reader.name(field, NAME_BYTES_MAX, AccountNumber::new)?)
            }
            "holders" => once(&mut holders, FieldPath::top("holders"), read_holders(reader)?),
            "deposit" => once(&mut deposit, FieldPath::top("deposit"), read_deposit(reader)?),
            unknown => Err(FieldPath::top("ACCOUNT").unknown(unknown)),
        })?;
        reader.end()?;
        let missing = |name| move || FieldPath::top(name).malformed("is missing");
        Ok(NewAccount {
            number: number.ok_or_else(missing("number"))?,
            holders: holders.ok_or_else(missing("holders"))?,
            deposit: deposit.unwrap_or(Money::ZERO),
        })
    }

    /// Appends its ACCOUNT request, without the line's end.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"ACCOUNT {\"number\":");
        write_string(out, self.number.as_str());
        out.extend_from_slice(b",\"holders\":[");
        for (at, holder) in self.holders.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_string(out, holder.as_str());
        }
        out.extend_from_slice(b"],\"deposit\":");
        write_decimal(out, self.deposit.0);
        out.push(b'}');
    }
}

fn read_holders(reader: &mut JsonReader<'_>) -> Result<Vec<TaxId>, Fault> {
    let field = FieldPath::top("holders");
    let mut holders = Vec::new();
    reader.list(field, |reader, at| {
        if at == HOLDERS_MAX {
            return Err(field.limit(format_args!("has more than {HOLDERS_MAX} holders")));
        }
        let holder = reader.name(FieldPath::inside("holders", at, ""), usize::MAX, TaxId::new)?;
        if holders.contains(&holder) {
            return Err(field.malformed(format_args!("names {holder} twice")));
        }
        holders.push(holder);
        Ok(())
    })?;
    if holders.is_empty() { Err(field.malformed("is empty")) } else { Ok(holders) }
}

fn read_deposit(reader: &mut JsonReader<'_>) -> Result<Money, Fault> {
    let field = FieldPath::top("deposit");
    match reader.whole(field)? {
        centavos @ 0.. => Ok(Money(centavos)),
        other => Err(field.malformed(format_args!("must not be negative, not {other}"))),
    }
}
