//! Parses the JSON of a transaction, field by field.

use super::{Action, Flow, KEY_DEFAULT, Op, Source};
use crate::ids::{AccountNumber, BankId, RegisterKey, RegisterValue, TaxId};
use crate::limits::{NAME_BYTES_MAX, OPS_MAX, PATIENCE_MS_MAX, REGISTER_VALUE_BYTES_MAX};
use crate::money::Money;
use crate::wire::Fault;
use crate::wire::json::{FieldPath, JsonReader, once};
use crate::wire::text::excerpt;

/// The fields of a transaction's JSON.
pub(super) struct TransactionFields {
    pub ops: Vec<Op>,
    pub patience_ms: Option<u32>,
    /// The bank that votes for an outside coordinator.
    pub outside: Option<BankId>,
}

pub(super) fn read(text: &str, source: Source) -> Result<TransactionFields, Fault> {
    // White space around the object would change the digest, but a line does not carry it.
    if !text.starts_with('{') || !text.ends_with('}') {
        return Err(
            FieldPath::top("transaction").malformed("must be a JSON object, from `{` to `}`")
        );
    }
    let mut reader = JsonReader::new(text);
    let (mut ops, mut patience_ms, mut outside) = (None, None, None);
    reader.object(FieldPath::top("transaction"), |reader, key| match key {
        "ops" => once(&mut ops, FieldPath::top("ops"), read_ops(reader, source)?),
        "patience_ms" => {
            once(&mut patience_ms, FieldPath::top("patience_ms"), read_patience(reader)?)
        }
        "outside" if source == Source::Line => Err(OUTSIDE.malformed("can't be typed on a line")),
        "outside" => once(&mut outside, OUTSIDE, read_bank(reader, OUTSIDE)?),
        unknown => Err(FieldPath::top("transaction").unknown(unknown)),
    })?;
    reader.end()?;
    let ops: Vec<Op> = ops.ok_or_else(|| FieldPath::top("ops").malformed("is missing"))?;
    match outside {
        None if ops.is_empty() => return Err(empty()),
        Some(_) if patience_ms.is_some() => {
            return Err(OUTSIDE.malformed("does not go with `patience_ms`"));
        }
        Some(bank) if !ops.iter().all(|op| withdraws_at(op, bank)) => {
            return Err(OUTSIDE.malformed(format_args!("takes withdrawals at bank {bank} alone")));
        }
        None | Some(_) => {}
    }
    Ok(TransactionFields { ops, patience_ms, outside })
}

const OUTSIDE: FieldPath = FieldPath::top("outside");

fn withdraws_at(op: &Op, bank: BankId) -> bool {
    op.bank == bank && matches!(op.action, Action::Money { flow: Flow::Withdraw, .. })
}

fn read_patience(reader: &mut JsonReader<'_>) -> Result<u32, Fault> {
    let field = FieldPath::top("patience_ms");
    match reader.whole(field)? {
        patience @ ..=0 => {
            Err(field.malformed(format_args!("must be 1 to {PATIENCE_MS_MAX}, not {patience}")))
        }
        patience => {
            u32::try_from(patience).ok().filter(|patience| *patience <= PATIENCE_MS_MAX).ok_or_else(
                || field.limit(format_args!("must be 1 to {PATIENCE_MS_MAX}, not {patience}")),
            )
        }
    }
}

fn read_ops(reader: &mut JsonReader<'_>, source: Source) -> Result<Vec<Op>, Fault> {
    let field = FieldPath::top("ops");
    // Most transactions have two operations: a transfer from one account to another.
    let mut ops = Vec::with_capacity(2);
    reader.list(field, |reader, at| {
        if at == OPS_MAX {
            return Err(field.limit(format_args!("has more than {OPS_MAX} operations")));
        }
        ops.push(read_op(reader, at)?);
        Ok(())
    })?;
    // Only an outside coordinator may withdraw nothing, and its field may not have been read yet.
    if ops.is_empty() && source == Source::Line { Err(empty()) } else { Ok(ops) }
}

fn empty() -> Fault {
    FieldPath::top("ops").malformed("is empty")
}

/// The name of an operation, before its other fields are known.
#[derive(Clone, Copy)]
enum OpName {
    Money(Flow),
    Set,
}

impl OpName {
    fn as_str(self) -> &'static str {
        match self {
            OpName::Money(flow) => flow.as_str(),
            OpName::Set => "set",
        }
    }
}

fn read_op(reader: &mut JsonReader<'_>, at: usize) -> Result<Op, Fault> {
    let named = |name| FieldPath::inside("ops", at, name);
    let (mut bank, mut op, mut account, mut cpf) = (None, None, None, None);
    let (mut amount, mut key, mut value) = (None, None, None);
    reader.object(named(""), |reader, name| match name {
        "bank" => once(&mut bank, named("bank"), read_bank(reader, named("bank"))?),
        "op" => once(&mut op, named("op"), read_op_name(reader, named("op"))?),
        "account" => {
            let field = named("account");
            once(&mut account, field, reader.name(field, NAME_BYTES_MAX, AccountNumber::new)?)
        }
        "cpf" => once(&mut cpf, named("cpf"), reader.name(named("cpf"), usize::MAX, TaxId::new)?),
        "amount" => once(&mut amount, named("amount"), read_amount(reader, named("amount"))?),
        "key" => {
            let field = named("key");
            once(&mut key, field, reader.name(field, NAME_BYTES_MAX, RegisterKey::new)?)
        }
        "value" => {
            let field = named("value");
            let read = reader.name(field, REGISTER_VALUE_BYTES_MAX, RegisterValue::new)?;
            once(&mut value, field, read)
        }
        unknown => Err(named("").unknown(unknown)),
    })?;
    let missing = |name| named(name).malformed("is missing");
    let bank = bank.ok_or_else(|| missing("bank"))?;
    let op = op.ok_or_else(|| missing("op"))?;
    let foreign = match op {
        OpName::Money(_) => [("key", key.is_some()), ("value", value.is_some()), ("", false)],
        OpName::Set => {
            [("account", account.is_some()), ("cpf", cpf.is_some()), ("amount", amount.is_some())]
        }
    };
    if let Some((name, _)) = foreign.into_iter().find(|(_, given)| *given) {
        return Err(named(name).malformed(format_args!("does not belong to a `{}`", op.as_str())));
    }
    let action = match op {
        OpName::Money(flow) => Action::Money {
            flow,
            account: account.ok_or_else(|| missing("account"))?,
            cpf,
            amount: amount.ok_or_else(|| missing("amount"))?,
        },
        OpName::Set => Action::Set {
            key: match key {
                Some(key) => key,
                None => RegisterKey::new(KEY_DEFAULT).map_err(|bad| named("key").bad_name(&bad))?,
            },
            value: value.ok_or_else(|| missing("value"))?,
        },
    };
    Ok(Op { bank, action })
}

fn read_bank(reader: &mut JsonReader<'_>, field: FieldPath) -> Result<BankId, Fault> {
    let position = reader.whole(field)?;
    usize::try_from(position).ok().and_then(BankId::new).ok_or_else(|| {
        field.malformed(format_args!("must be a position from 0 to 15, not {position}"))
    })
}

fn read_op_name(reader: &mut JsonReader<'_>, field: FieldPath) -> Result<OpName, Fault> {
    match &*reader.string(field)? {
        "debit" => Ok(OpName::Money(Flow::Debit)),
        "credit" => Ok(OpName::Money(Flow::Credit)),
        "deposit" => Ok(OpName::Money(Flow::Deposit)),
        "withdraw" => Ok(OpName::Money(Flow::Withdraw)),
        "set" => Ok(OpName::Set),
        other => {
            let other = excerpt(other);
            Err(field.malformed(format_args!(
                "must be debit, credit, deposit, withdraw or set, not `{other}`"
            )))
        }
    }
}

fn read_amount(reader: &mut JsonReader<'_>, field: FieldPath) -> Result<Money, Fault> {
    match reader.whole(field)? {
        centavos @ 1.. => Ok(Money(centavos)),
        other => {
            Err(field.malformed(format_args!("must be a positive number of centavos, not {other}")))
        }
    }
}
