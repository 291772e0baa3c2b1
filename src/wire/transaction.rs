//! A transaction: the same JSON text for every bank it names, so that each can check all of it.

use super::json::{self, Field, Reader};
use super::text::{shown, write_decimal};
use super::{Fault, Reason};
use crate::commit::token::Digest;
use crate::ids::{AccountNumber, BadName, BankId, BankSet, RegisterKey, RegisterValue, TaxId};
use crate::limits::{
    LINE_BYTES_MAX, NAME_BYTES_MAX, OPS_MAX, PATIENCE_MS_MAX, REGISTER_VALUE_BYTES_MAX, TX_ID_BYTES_MAX,
};
use crate::money::Money;

/// The register that is meant where none is named.
pub const KEY_DEFAULT: &str = "storage";

/// Longest transaction: it must fit a line with its verb and id.
pub const TRANSACTION_BYTES_MAX: usize = LINE_BYTES_MAX - "PREPARE  \n".len() - TX_ID_BYTES_MAX;

/// A well-formed transaction. It may still be refused: it need not balance, nor fit any ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    text: Box<str>,
    digest: Digest,
    ops: Vec<Op>,
    patience_ms: Option<u32>,
    banks: BankSet,
}

/// One operation at one bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Where.
    pub bank: BankId,
    /// What.
    pub action: Action,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Moves money on one account.
    Money {
        /// Which way.
        flow: Flow,
        /// The account.
        account: AccountNumber,
        /// Where given, a holder of that account.
        cpf: Option<TaxId>,
        /// Positive.
        amount: Money,
    },
    /// Writes a replicated register.
    Set {
        /// Which; `storage` where the text names none.
        key: RegisterKey,
        /// Its new value.
        value: RegisterValue,
    },
}

/// The four ways money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// Out of an account, to credits of the same transaction.
    Debit,
    /// Into an account, from debits of the same transaction.
    Credit,
    /// Cash in.
    Deposit,
    /// Cash out.
    Withdraw,
}

impl Flow {
    /// Does it take from the account?
    pub fn takes(self) -> bool {
        match self {
            Flow::Debit | Flow::Withdraw => true,
            Flow::Credit | Flow::Deposit => false,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Flow::Debit => "debit",
            Flow::Credit => "credit",
            Flow::Deposit => "deposit",
            Flow::Withdraw => "withdraw",
        }
    }
}

impl Transaction {
    /// Reads a transaction from its exact bytes, from the first `{` to the last `}` of its line.
    ///
    /// # Errors
    /// `malformed` or `limit`, naming the field, for what is not a transaction.
    pub fn parse(text: &str) -> Result<Transaction, Fault> {
        if text.len() > TRANSACTION_BYTES_MAX {
            let text = format!("a transaction of {} bytes, more than {TRANSACTION_BYTES_MAX}", text.len());
            return Err(Fault::new(Reason::Limit, text));
        }
        // Blanks around it would be part of the digest, but not of what a line carries.
        if !text.starts_with('{') || !text.ends_with('}') {
            return Err(Field::top("transaction").malformed("must be a JSON object, from `{` to `}`"));
        }
        let mut reader = Reader::new(text);
        let (mut ops, mut patience_ms) = (None, None);
        reader.object(Field::top("transaction"), |reader, key| match key {
            "ops" => json::once(&mut ops, Field::top("ops"), read_ops(reader)?),
            "patience_ms" => json::once(&mut patience_ms, Field::top("patience_ms"), read_patience(reader)?),
            unknown => Err(unknown_field("transaction", unknown)),
        })?;
        reader.end()?;
        let ops = ops.ok_or_else(|| Field::top("ops").malformed("is missing"))?;
        let banks = ops.iter().map(|op| op.bank).collect();
        Ok(Transaction { digest: Digest::of(text.as_bytes()), text: text.into(), ops, patience_ms, banks })
    }

    /// The transaction of these operations; its text is compact, in the canonical order of fields.
    ///
    /// # Errors
    /// As for `parse`: no or too many operations, an amount that is not positive, a patience out of bounds.
    pub fn from_ops(ops: impl AsRef<[Op]>, patience_ms: Option<u32>) -> Result<Transaction, Fault> {
        let mut text = b"{\"ops\":".to_vec();
        write_ops(&mut text, ops.as_ref());
        if let Some(patience_ms) = patience_ms {
            text.extend_from_slice(b",\"patience_ms\":");
            write_decimal(&mut text, i64::from(patience_ms));
        }
        text.push(b'}');
        Transaction::parse(&String::from_utf8_lossy(&text))
    }

    /// Its exact text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// BLAKE3 of its text.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its operations, in the order of the text.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The operations of one bank.
    pub fn ops_of(&self, bank: BankId) -> impl Iterator<Item = &Op> {
        self.ops.iter().filter(move |op| op.bank == bank)
    }

    /// How long the banks wait before they resolve by themselves, where the driver asked for that.
    pub fn patience_ms(&self) -> Option<u32> {
        self.patience_ms
    }

    /// The banks it names.
    pub fn banks(&self) -> BankSet {
        self.banks
    }

    /// Its operations as a JSON list, compact, in the canonical order of fields.
    pub fn ops_json(&self) -> String {
        let mut text = Vec::with_capacity(self.text.len());
        write_ops(&mut text, &self.ops);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Do debits and credits have the same sum? Deposits and withdrawals need not balance.
    pub fn is_balanced(&self) -> bool {
        let signed = |op: &Op| match &op.action {
            Action::Money { flow: Flow::Debit, amount, .. } => -amount.wide(),
            Action::Money { flow: Flow::Credit, amount, .. } => amount.wide(),
            Action::Money { flow: Flow::Deposit | Flow::Withdraw, .. } | Action::Set { .. } => 0,
        };
        self.ops.iter().map(signed).sum::<i128>() == 0
    }

    /// Is every register that it sets set at every bank of `consortium`, once each, to one value?
    pub fn registers_are_uniform(&self, consortium: BankSet) -> bool {
        let sets = || {
            self.ops.iter().filter_map(|op| match &op.action {
                Action::Set { key, value } => Some((op.bank, key, value)),
                Action::Money { .. } => None,
            })
        };
        // A transaction has few operations, so a pass for each of them needs no map.
        sets().all(|(_, key, value)| {
            let mut banks = BankSet::EMPTY;
            let uniform = sets().filter(|(_, other, _)| *other == key).all(|(bank, _, other_value)| {
                let first = !banks.has(bank);
                banks = banks.with(bank);
                first && other_value == value
            });
            uniform && banks == consortium
        })
    }

    /// How much memory it takes, roughly.
    pub fn memory_bytes(&self) -> usize {
        // Names longer than this are kept outside their operation.
        const INLINE_BYTES: usize = 24;
        let outside = |text: &str| if text.len() > INLINE_BYTES { text.len() } else { 0 };
        let names = self.ops.iter().map(|op| match &op.action {
            Action::Money { account, .. } => outside(account.as_str()),
            Action::Set { key, value } => outside(key.as_str()) + outside(value.as_str()),
        });
        size_of::<Transaction>()
            + self.text.len()
            + self.ops.capacity() * size_of::<Op>()
            + names.sum::<usize>()
    }
}

/// In the journal a transaction is its text.
impl serde::Serialize for Transaction {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Transaction {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Transaction::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn read_patience(reader: &mut Reader<'_>) -> Result<u32, Fault> {
    let field = Field::top("patience_ms");
    match reader.whole(field)? {
        patience @ ..=0 => {
            Err(field.malformed(format_args!("must be 1 to {PATIENCE_MS_MAX}, not {patience}")))
        }
        patience => u32::try_from(patience)
            .ok()
            .filter(|patience| *patience <= PATIENCE_MS_MAX)
            .ok_or_else(|| field.limit(format_args!("must be 1 to {PATIENCE_MS_MAX}, not {patience}"))),
    }
}

fn read_ops(reader: &mut Reader<'_>) -> Result<Vec<Op>, Fault> {
    let field = Field::top("ops");
    let mut ops = Vec::new();
    reader.list(field, |reader, at| {
        if at == OPS_MAX {
            return Err(field.limit(format_args!("has more than {OPS_MAX} operations")));
        }
        ops.push(read_op(reader, at)?);
        Ok(())
    })?;
    if ops.is_empty() {
        return Err(field.malformed("is empty"));
    }
    Ok(ops)
}

/// An operation's word, before its other fields are known.
#[derive(Clone, Copy)]
enum Word {
    Money(Flow),
    Set,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Word::Money(flow) => flow.as_str(),
            Word::Set => "set",
        }
    }
}

fn read_op(reader: &mut Reader<'_>, at: usize) -> Result<Op, Fault> {
    let named = |name| Field::inside("ops", at, name);
    let (mut bank, mut word, mut account, mut cpf) = (None, None, None, None);
    let (mut amount, mut key, mut value) = (None, None, None);
    reader.object(named(""), |reader, name| match name {
        "bank" => json::once(&mut bank, named("bank"), read_bank(reader, named("bank"))?),
        "op" => json::once(&mut word, named("op"), read_word(reader, named("op"))?),
        "account" => {
            let field = named("account");
            json::once(&mut account, field, read_name(reader, field, NAME_BYTES_MAX, AccountNumber::new)?)
        }
        "cpf" => json::once(&mut cpf, named("cpf"), read_name(reader, named("cpf"), usize::MAX, TaxId::new)?),
        "amount" => json::once(&mut amount, named("amount"), read_amount(reader, named("amount"))?),
        "key" => {
            let field = named("key");
            json::once(&mut key, field, read_name(reader, field, NAME_BYTES_MAX, RegisterKey::new)?)
        }
        "value" => {
            let field = named("value");
            let read = read_name(reader, field, REGISTER_VALUE_BYTES_MAX, RegisterValue::new)?;
            json::once(&mut value, field, read)
        }
        unknown => Err(unknown_field(named(""), unknown)),
    })?;
    let missing = |name| named(name).malformed("is missing");
    let bank = bank.ok_or_else(|| missing("bank"))?;
    let word = word.ok_or_else(|| missing("op"))?;
    let strange = match word {
        Word::Money(_) => [("key", key.is_some()), ("value", value.is_some()), ("", false)],
        Word::Set => [("account", account.is_some()), ("cpf", cpf.is_some()), ("amount", amount.is_some())],
    };
    if let Some((name, _)) = strange.into_iter().find(|(_, given)| *given) {
        return Err(named(name).malformed(format_args!("does not belong to a `{}`", word.as_str())));
    }
    let action = match word {
        Word::Money(flow) => Action::Money {
            flow,
            account: account.ok_or_else(|| missing("account"))?,
            cpf,
            amount: amount.ok_or_else(|| missing("amount"))?,
        },
        Word::Set => Action::Set {
            key: match key {
                Some(key) => key,
                None => RegisterKey::new(KEY_DEFAULT).map_err(|bad| name_fault(named("key"), &bad))?,
            },
            value: value.ok_or_else(|| missing("value"))?,
        },
    };
    Ok(Op { bank, action })
}

fn read_bank(reader: &mut Reader<'_>, field: Field) -> Result<BankId, Fault> {
    let position = reader.whole(field)?;
    usize::try_from(position)
        .ok()
        .and_then(BankId::new)
        .ok_or_else(|| field.malformed(format_args!("must be a position from 0 to 15, not {position}")))
}

fn read_word(reader: &mut Reader<'_>, field: Field) -> Result<Word, Fault> {
    match &*reader.string(field)? {
        "debit" => Ok(Word::Money(Flow::Debit)),
        "credit" => Ok(Word::Money(Flow::Credit)),
        "deposit" => Ok(Word::Money(Flow::Deposit)),
        "withdraw" => Ok(Word::Money(Flow::Withdraw)),
        "set" => Ok(Word::Set),
        other => {
            let other = shown(other);
            Err(field
                .malformed(format_args!("must be debit, credit, deposit, withdraw or set, not `{other}`")))
        }
    }
}

fn read_amount(reader: &mut Reader<'_>, field: Field) -> Result<Money, Fault> {
    match reader.whole(field)? {
        centavos @ 1.. => Ok(Money(centavos)),
        other => Err(field.malformed(format_args!("must be a positive number of centavos, not {other}"))),
    }
}

/// Reads a name; past `bytes_max` it is refused as past a bound.
pub(super) fn read_name<T>(
    reader: &mut Reader<'_>,
    field: Field,
    bytes_max: usize,
    new: impl FnOnce(&str) -> Result<T, BadName>,
) -> Result<T, Fault> {
    let text = reader.string(field)?;
    if text.len() > bytes_max {
        return Err(field.limit(format_args!("has {} bytes, more than {bytes_max}", text.len())));
    }
    new(&text).map_err(|bad| name_fault(field, &bad))
}

fn name_fault(field: Field, bad: &BadName) -> Fault {
    field.malformed(format_args!("must be {}", bad.rule))
}

pub(super) fn unknown_field(of: impl std::fmt::Display, name: &str) -> Fault {
    Fault::new(Reason::Malformed, format!("unknown field `{}` in `{of}`", shown(name)))
}

fn write_ops(out: &mut Vec<u8>, ops: &[Op]) {
    for (at, op) in ops.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"[{\"bank\":" } else { b",{\"bank\":" });
        write_decimal(out, i64::from(op.bank.as_u8()));
        out.extend_from_slice(b",\"op\":\"");
        match &op.action {
            Action::Money { flow, account, cpf, amount } => {
                out.extend_from_slice(flow.as_str().as_bytes());
                out.extend_from_slice(b"\",\"account\":");
                json::write_string(out, account.as_str());
                if let Some(cpf) = cpf {
                    out.extend_from_slice(b",\"cpf\":");
                    json::write_string(out, cpf.as_str());
                }
                out.extend_from_slice(b",\"amount\":");
                write_decimal(out, amount.0);
            }
            Action::Set { key, value } => {
                out.extend_from_slice(b"set\",\"key\":");
                json::write_string(out, key.as_str());
                out.extend_from_slice(b",\"value\":");
                json::write_string(out, value.as_str());
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(if ops.is_empty() { b"[]" } else { b"]" });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMPOSITE: &str = concat!(
        r#"{"ops":[{"bank":0,"op":"debit","account":"12345-6","amount":20000},"#,
        r#"{"bank":1,"op":"debit","account":"45678-0","cpf":"11111111111","amount":30000},"#,
        r#"{"bank":2,"op":"credit","account":"78910-0","amount":50000}]}"#
    );

    fn bank(position: usize) -> BankId {
        BankId::new(position).unwrap()
    }

    fn banks(positions: &[usize]) -> BankSet {
        positions.iter().map(|position| bank(*position)).collect()
    }

    fn parse(text: &str) -> Transaction {
        Transaction::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    fn money(at: usize, flow: Flow, amount: i64) -> Op {
        let account = AccountNumber::new("12345-6").unwrap();
        Op { bank: bank(at), action: Action::Money { flow, account, cpf: None, amount: Money(amount) } }
    }

    fn set(at: usize, key: &str, value: &str) -> Op {
        let (key, value) = (RegisterKey::new(key).unwrap(), RegisterValue::new(value).unwrap());
        Op { bank: bank(at), action: Action::Set { key, value } }
    }

    #[test]
    fn the_composite_transfer_of_the_design() {
        let transaction = parse(COMPOSITE);
        assert_eq!(transaction.text(), COMPOSITE);
        assert_eq!(transaction.digest(), &Digest::of(COMPOSITE.as_bytes()));
        assert_eq!(transaction.banks(), banks(&[0, 1, 2]));
        assert_eq!(transaction.patience_ms(), None);
        assert_eq!(transaction.ops().len(), 3);
        assert!(transaction.is_balanced());
        let ops: Vec<_> = transaction.ops_of(bank(1)).collect();
        match ops.as_slice() {
            [Op { action: Action::Money { flow: Flow::Debit, account, cpf: Some(cpf), amount }, .. }] => {
                assert_eq!(
                    (account.as_str(), cpf.as_str(), *amount),
                    ("45678-0", "11111111111", Money(30_000))
                );
            }
            other => panic!("{other:?}"),
        }
        let ops = COMPOSITE.strip_prefix(r#"{"ops":"#).and_then(|text| text.strip_suffix('}')).unwrap();
        assert_eq!(transaction.ops_json(), ops);
        assert_eq!(Transaction::from_ops(transaction.ops(), None), Ok(transaction));
    }

    /// Any order of fields, any blanks, any escapes: other bytes, the same operations.
    #[test]
    fn json_in_any_shape() {
        let text = " { \"patience_ms\" : 60000 , \"\\u006fps\" : [ {\r\"value\":\"\\u00e9\\ud83e\\udd80\\\"\\\\\\/\",
            \"op\":\"s\\u0065t\",\t\"bank\":15} ] } ";
        let transaction = parse(text.trim());
        assert_eq!(transaction.ops(), [set(15, "storage", "é🦀\"\\/")]);
        assert_eq!(transaction.patience_ms(), Some(60_000));
        assert_eq!(transaction.ops_json(), r#"[{"bank":15,"op":"set","key":"storage","value":"é🦀\"\\/"}]"#);
    }

    #[test]
    fn every_refusal_names_its_field() {
        let debit = r#""bank":0,"op":"debit","account":"1","amount":5"#;
        let op = |fields: &str| format!(r#"{{"ops":[{{{debit}}},{{{fields}}}]}}"#);
        let amount = |amount: &str| op(&format!(r#""amount":{amount}"#));
        let top = |fields: &str| format!(r#"{{"ops":[{{{debit}}}],{fields}}}"#);
        let many = format!(r#"{{"ops":[{}]}}"#, vec![format!("{{{debit}}}"); OPS_MAX + 1].join(","));
        let long = format!(r#""account":"{}""#, "x".repeat(NAME_BYTES_MAX + 1));
        let long_value = format!(r#""value":"{}""#, "x".repeat(REGISTER_VALUE_BYTES_MAX + 1));
        let huge = format!(r#"{{"ops":"{}"}}"#, "x".repeat(LINE_BYTES_MAX));
        let deep = format!(r#"{{"ops":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
        let deep_amount = amount(&format!("{}{}", r#"{"a":"#.repeat(9_000), "}".repeat(9_000)));
        let m = Reason::Malformed;
        for (text, reason, named) in [
            ("", m, "`transaction` must be a JSON object"),
            ("[]", m, "`transaction` must be a JSON object"),
            (" {}", m, "`transaction` must be a JSON object"),
            ("{} ", m, "`transaction` must be a JSON object"),
            ("{}", m, "`ops` is missing"),
            ("{}}", m, "expected nothing more"),
            ("{,}", m, "expected the name of a field"),
            (r#"{"ops"}"#, m, "expected a `:`"),
            (r#"{"ops":}"#, m, "`ops` must be a list, not `}`"),
            (r#"{"ops":null}"#, m, "`ops` must be a list, not `null`"),
            (r#"{"ops":[]}"#, m, "`ops` is empty"),
            (r#"{"ops":[]]}"#, m, "`ops` is empty"),
            (r#"{"ops":[5]}"#, m, "`ops[0]` must be a JSON object, not a number"),
            (&deep, m, "`ops[0]` must be a JSON object, not a list"),
            (&deep_amount, m, "`ops[1].amount` must be a whole number, not an object"),
            (&huge, Reason::Limit, "a transaction of 65"),
            (&many, Reason::Limit, "`ops` has more than 64"),
            (&top(r#""ops":[]"#), m, "`ops` is empty"),
            (&top(&format!(r#""ops":[{{{debit}}}]"#)), m, "`ops` is given twice"),
            (&top(r#""note":"x""#), m, "unknown field `note` in `transaction`"),
            (&top(""), m, "expected the name of a field"),
            (&top(r#""patience_ms":0"#), m, "`patience_ms` must be 1 to 300000, not 0"),
            (&top(r#""patience_ms":-5"#), m, "`patience_ms` must be 1 to 300000, not -5"),
            (&top(r#""patience_ms":300001"#), Reason::Limit, "`patience_ms` must be 1 to 300000, not 300001"),
            (&top(r#""patience_ms":99999999999"#), Reason::Limit, "`patience_ms` must be"),
            (&top(r#""patience_ms":"5""#), m, "`patience_ms` must be a whole number, not a text"),
            (&top(r#""patience_ms":5,"patience_ms":5"#), m, "`patience_ms` is given twice"),
            (&op(""), m, "`ops[1].bank` is missing"),
            (&op(r#""bank":16"#), m, "`ops[1].bank` must be a position from 0 to 15, not 16"),
            (&op(r#""bank":-1"#), m, "`ops[1].bank` must be a position from 0 to 15, not -1"),
            (&op(r#""bank":"0""#), m, "`ops[1].bank` must be a whole number, not a text"),
            (&op(r#""bank":1.0"#), m, "`ops[1].bank` must be a whole number, not 1.0"),
            (&op(r#""bank":0,"bank":0"#), m, "`ops[1].bank` is given twice"),
            (&op(r#""bank":0"#), m, "`ops[1].op` is missing"),
            (
                &op(r#""op":"steal""#),
                m,
                "`ops[1].op` must be debit, credit, deposit, withdraw or set, not `steal`",
            ),
            (&op(r#""op":7"#), m, "`ops[1].op` must be a text in quotes, not a number"),
            (&op(r#""Bank":0"#), m, "unknown field `Bank` in `ops[1]`"),
            (&op(r#""bank":0,"op":"debit","amount":5"#), m, "`ops[1].account` is missing"),
            (&op(r#""bank":0,"op":"debit","account":"1""#), m, "`ops[1].amount` is missing"),
            (&op(r#""bank":0,"op":"set""#), m, "`ops[1].value` is missing"),
            (
                &op(r#""bank":0,"op":"set","value":"1","amount":5"#),
                m,
                "`ops[1].amount` does not belong to a `set`",
            ),
            (
                &op(r#""bank":0,"op":"set","value":"1","cpf":"11111111111""#),
                m,
                "`ops[1].cpf` does not belong",
            ),
            (&op(r#""bank":0,"op":"set","value":"1","account":"1""#), m, "`ops[1].account` does not belong"),
            (&op(&format!(r#"{debit},"key":"a""#)), m, "`ops[1].key` does not belong to a `debit`"),
            (&op(&format!(r#"{debit},"value":"a""#)), m, "`ops[1].value` does not belong to a `debit`"),
            (&op(r#""value":"a","value":"a""#), m, "`ops[1].value` is given twice"),
            (&op(r#""account":"""#), m, "`ops[1].account` must be 1 to 64 bytes"),
            (&op(r#""account":"a b""#), m, "`ops[1].account` must be 1 to 64 bytes"),
            (&op(r#""account":"a\u0000""#), m, "`ops[1].account` must be 1 to 64 bytes"),
            (&op(r#""account":"\ud800""#), m, "`ops[1]"),
            (&op("\"account\":\"a\u{1}\""), m, "`ops[1].account` has a control character"),
            (&op(r#""account":"\x""#), m, "`ops[1].account` has a \\ escape"),
            (&op(r#""account":"\u12""#), m, "`ops[1].account` has a \\u escape"),
            (&op(r#""account":"\u+123""#), m, "`ops[1].account` has a \\u escape"),
            (&op(r#""account":"\udc00\ud800""#), m, "`ops[1].account` has a \\u escape"),
            (&op(r#""account":"\ud800\u0041""#), m, "`ops[1].account` has a \\u escape"),
            (r#"{"ops":[{"account":"}"#, m, "`ops[0].account` has a text without end"),
            (r#"{"ops":[{"account":"\}"#, m, "`ops[0].account` has a \\ escape"),
            (&op(&long), Reason::Limit, "`ops[1].account` has 65 bytes, more than 64"),
            (&op(&long_value), Reason::Limit, "`ops[1].value` has 257 bytes, more than 256"),
            (&op(r#""cpf":"123""#), m, "`ops[1].cpf` must be 11 digits"),
            (&op(r#""cpf":null"#), m, "`ops[1].cpf` must be a text in quotes, not `null`"),
            (&op(r#""key":"""#), m, "`ops[1].key` must be 1 to 64 bytes"),
            (&amount("0"), m, "`ops[1].amount` must be a positive number of centavos, not 0"),
            (&amount("-1"), m, "`ops[1].amount` must be a positive number of centavos, not -1"),
            (&amount("-0"), m, "`ops[1].amount` must be a positive number of centavos, not 0"),
            (&amount("1.0"), m, "`ops[1].amount` must be a whole number, not 1.0"),
            (&amount("1e2"), m, "`ops[1].amount` must be a whole number, not 1e2"),
            (&amount("1E+2"), m, "`ops[1].amount` must be a whole number, not 1E+2"),
            (&amount(r#""5""#), m, "`ops[1].amount` must be a whole number, not a text"),
            (&amount("true"), m, "`ops[1].amount` must be a whole number, not `true`"),
            (&amount("[5]"), m, "`ops[1].amount` must be a whole number, not a list"),
            (&amount("01"), m, "`ops[1].amount` must be a JSON number, not 01"),
            (&amount("-"), m, "`ops[1].amount` must be a JSON number, not -"),
            (&amount("+5"), m, "`ops[1].amount` must be a whole number, not `+`"),
            (&amount("NaN"), m, "`ops[1].amount` must be a whole number, not `NaN`"),
            (&amount("5x"), m, "expected a `,` or `}` at byte"),
            (
                &amount("9223372036854775808"),
                Reason::Limit,
                "`ops[1].amount` is 9223372036854775808, more than",
            ),
            (&amount(&"9".repeat(5000)), Reason::Limit, "`ops[1].amount` is 9999"),
            (&amount("-9223372036854775809"), m, "`ops[1].amount` must not be negative"),
        ] {
            let fault = Transaction::parse(text).expect_err(text);
            assert_eq!(fault.reason, reason, "{text}: {fault}");
            assert!(fault.text.contains(named), "{text}: {fault}");
            assert!(fault.text.len() < 200, "{fault}");
        }
    }

    #[test]
    fn at_the_bounds_it_is_taken() {
        let most =
            Transaction::from_ops(vec![money(0, Flow::Deposit, i64::MAX); OPS_MAX], Some(PATIENCE_MS_MAX));
        assert_eq!(most.map(|transaction| transaction.ops().len()), Ok(OPS_MAX));
        let (key, value) = ("\"".repeat(NAME_BYTES_MAX), "\\".repeat(REGISTER_VALUE_BYTES_MAX));
        let longest =
            Transaction::from_ops(vec![set(15, &key, &value); OPS_MAX], Some(PATIENCE_MS_MAX)).unwrap();
        assert!(longest.text().len() < TRANSACTION_BYTES_MAX, "all that is legal fits a line");
        assert!(longest.memory_bytes() > OPS_MAX * (NAME_BYTES_MAX + REGISTER_VALUE_BYTES_MAX));
    }

    #[test]
    fn what_from_ops_refuses() {
        for (ops, patience, named) in [
            (vec![], None, "`ops` is empty"),
            (vec![money(0, Flow::Debit, 0)], None, "`ops[0].amount` must be a positive"),
            (vec![money(0, Flow::Debit, -5)], None, "`ops[0].amount` must be a positive"),
            (vec![set(0, "a", "1")], Some(0), "`patience_ms` must be"),
            (vec![set(0, "a", "1")], Some(PATIENCE_MS_MAX + 1), "`patience_ms` must be"),
            (vec![set(0, "a", "1"); OPS_MAX + 1], None, "`ops` has more than"),
        ] {
            let fault = Transaction::from_ops(&ops, patience).unwrap_err();
            assert!(fault.text.contains(named), "{fault}");
        }
    }

    #[test]
    fn balance_is_of_debits_and_credits_alone() {
        let balanced = |ops: &[Op]| Transaction::from_ops(ops, None).unwrap().is_balanced();
        let (debit, credit) = (money(0, Flow::Debit, 5), money(1, Flow::Credit, 5));
        assert!(balanced(&[debit.clone(), credit.clone()]));
        assert!(!balanced(std::slice::from_ref(&debit)));
        assert!(!balanced(&[debit.clone(), credit.clone(), credit.clone()]));
        let cash = [money(0, Flow::Deposit, 7), money(1, Flow::Withdraw, 9), set(0, "a", "1")];
        assert!(balanced(&cash), "cash need not balance");
        assert!(balanced(&[&cash[..], &[debit, credit]].concat()));
        // The sums are wider than i64.
        let most =
            [Flow::Debit, Flow::Debit, Flow::Credit, Flow::Credit].map(|flow| money(0, flow, i64::MAX));
        assert!(balanced(&most));
        assert!(!balanced(&most[..3]));
    }

    /// One value, three servers: everyone changes it or no one does.
    #[test]
    fn registers_are_set_everywhere_once_to_one_value() {
        let all = banks(&[0, 1, 3]);
        let uniform = |ops: &[Op]| Transaction::from_ops(ops, None).unwrap().registers_are_uniform(all);
        let a = [set(0, "a", "1"), set(1, "a", "1"), set(3, "a", "1")];
        let b = [set(3, "b", "2"), set(1, "b", "2"), set(0, "b", "2")];
        assert!(uniform(&a));
        assert!(uniform(&[&a[..], &b[..], &[money(0, Flow::Deposit, 1)]].concat()), "each key by itself");
        assert!(uniform(&[money(0, Flow::Deposit, 1)]), "no register at all");
        assert!(!uniform(&a[..2]), "one bank is missing");
        assert!(!uniform(&[&a[..], &b[..2]].concat()), "of the second key one is missing");
        assert!(!uniform(&[&a[..], &a[..1]].concat()), "twice at one bank");
        assert!(!uniform(&[&a[..2], &[set(3, "a", "2")]].concat()), "two values");
        assert!(!uniform(&[&a[..], &[set(2, "a", "1")]].concat()), "a bank outside the consortium");
    }

    #[test]
    fn in_the_journal_it_is_its_text() {
        let transaction = parse(COMPOSITE);
        let bytes = postcard::to_allocvec(&transaction).unwrap();
        assert!(bytes.len() < COMPOSITE.len() + 4);
        assert_eq!(postcard::from_bytes::<Transaction>(&bytes), Ok(transaction));
        let junk = postcard::to_allocvec("{}").unwrap();
        assert!(postcard::from_bytes::<Transaction>(&junk).is_err());
    }

    fn any_op() -> impl Strategy<Value = Op> {
        let word = || "[!-~éß€🦀]{1,16}";
        let flows = prop::sample::select(vec![Flow::Debit, Flow::Credit, Flow::Deposit, Flow::Withdraw]);
        let action = prop_oneof![
            (flows, word(), prop::option::of("[0-9]{11}"), 1..=i64::MAX).prop_map(
                |(flow, account, cpf, amount)| {
                    let account = AccountNumber::new(&account).unwrap();
                    let cpf = cpf.map(|cpf| TaxId::new(&cpf).unwrap());
                    Action::Money { flow, account, cpf, amount: Money(amount) }
                }
            ),
            (word(), "[ -~éß€🦀]{0,40}").prop_map(|(key, value)| {
                Action::Set {
                    key: RegisterKey::new(&key).unwrap(),
                    value: RegisterValue::new(&value).unwrap(),
                }
            }),
        ];
        (0usize..16, action).prop_map(|(at, action)| Op { bank: bank(at), action })
    }

    proptest! {
        #[test]
        fn operations_come_back(ops in prop::collection::vec(any_op(), 1..OPS_MAX), patience in prop::option::of(1..=PATIENCE_MS_MAX)) {
            let transaction = Transaction::from_ops(&ops, patience).unwrap();
            prop_assert_eq!(transaction.ops(), &ops[..]);
            prop_assert_eq!(transaction.patience_ms(), patience);
            // Any JSON reader sees the same.
            let seen: serde_json::Value = serde_json::from_str(transaction.text()).unwrap();
            let listed: serde_json::Value = serde_json::from_str(&transaction.ops_json()).unwrap();
            prop_assert_eq!(&seen["ops"], &listed);
            for (op, value) in ops.iter().zip(listed.as_array().unwrap()) {
                match &op.action {
                    Action::Money { account, amount, .. } => {
                        prop_assert_eq!(value["account"].as_str(), Some(account.as_str()));
                        prop_assert_eq!(value["amount"].as_i64(), Some(amount.0));
                    }
                    Action::Set { key, value: set } => {
                        prop_assert_eq!(value["key"].as_str(), Some(key.as_str()));
                        prop_assert_eq!(value["value"].as_str(), Some(set.as_str()));
                    }
                }
            }
        }

        /// Whatever is taken is JSON to others too: nobody else may read other operations out of these bytes.
        #[test]
        fn damaged_json_is_taken_only_if_it_is_json(at in 0usize..COMPOSITE.len(), with in "[ -~]{0,2}|[\\x00-\\x20]", cut in 0usize..3) {
            let end = (at + cut).min(COMPOSITE.len());
            let text = format!("{}{with}{}", &COMPOSITE[..at], &COMPOSITE[end..]);
            if Transaction::parse(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }

        #[test]
        fn reading_never_panics(text in "\\{\\PC{0,60}\\}|[\\{\\}\\[\\]\":,0-9a-z\\\\]{0,80}") {
            let _ = Transaction::parse(&text);
        }
    }
}
