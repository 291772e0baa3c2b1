//! Transactions: read here and by `serde_json` with the rules beside it, any text is taken by both
//! or by neither, and means the same to both. The digest is that of the exact bytes.

use consorcio::ids::{AccountNumber, BankId, RegisterKey, RegisterValue, TaxId};
use consorcio::limits::{OPS_MAX, PATIENCE_MS_MAX};
use consorcio::money::Money;
use consorcio::wire::Reason;
use consorcio::wire::request::Request;
use consorcio::wire::token::Digest;
use consorcio::wire::transaction::{
    Action, Flow, KEY_DEFAULT, Op, TRANSACTION_BYTES_MAX, Transaction,
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = Transaction::parse(text);
    let expected = as_others_read_it(text);
    match (&parsed, &expected) {
        (Ok(transaction), Some((ops, patience_ms))) => {
            assert_eq!(transaction.ops(), ops);
            assert_eq!(transaction.patience_ms(), *patience_ms);
            accepted(text, transaction);
        }
        (Ok(_), None) => panic!("{text:?} is taken, though it should be refused"),
        (Err(fault), Some(_)) => panic!("{text:?} is refused: {fault}"),
        (Err(fault), None) => assert!(!fault.text.is_empty() && fault.text.len() < 500, "{fault}"),
    }
}

fn accepted(text: &str, transaction: &Transaction) {
    assert_eq!(transaction.text(), text);
    assert_eq!(transaction.digest(), &Digest::of(text.as_bytes()));
    // Blanks around it on its line are not of its bytes.
    let line = format!("PREPARE t1 \t {text} \t");
    let Ok(Request::Prepare(_, over_the_wire)) = Request::parse(&line) else { panic!("{line:?}") };
    assert_eq!(&*over_the_wire, transaction);
    let bytes = serde_json::to_vec(transaction).expect("a transaction is its text");
    assert_eq!(serde_json::from_slice::<Transaction>(&bytes).ok().as_ref(), Some(transaction));
    // Its operations in the canonical order are the same transaction in other bytes.
    match Transaction::from_ops(transaction.ops(), transaction.patience_ms()) {
        Ok(canonical) => {
            assert_eq!(canonical.ops(), transaction.ops());
            assert_eq!(canonical.patience_ms(), transaction.patience_ms());
            assert_eq!(canonical.banks(), transaction.banks());
            assert_eq!(canonical.ops_json(), transaction.ops_json());
            assert!(as_others_read_it(canonical.text()).is_some());
        }
        // What it left out may make it too long.
        Err(fault) => {
            assert!(fault.reason == Reason::Limit && text.len() > TRANSACTION_BYTES_MAX / 2)
        }
    }
    assert!(transaction.memory_bytes() >= text.len());
    let sum = |flow| -> i128 {
        let moved = transaction.ops().iter().filter_map(|op| match &op.action {
            Action::Money { flow: other, amount, .. } if *other == flow => {
                Some(i128::from(amount.0))
            }
            Action::Money { .. } | Action::Set { .. } => None,
        });
        moved.sum()
    };
    assert_eq!(transaction.is_balanced(), sum(Flow::Debit) == sum(Flow::Credit));
    transaction.registers_are_uniform(transaction.banks());
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    ops: Vec<OpParts>,
    #[serde(default, deserialize_with = "given")]
    patience_ms: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpParts {
    bank: Box<RawValue>,
    op: String,
    #[serde(default, deserialize_with = "given")]
    account: Option<String>,
    #[serde(default, deserialize_with = "given")]
    cpf: Option<String>,
    #[serde(default, deserialize_with = "given")]
    amount: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "given")]
    key: Option<String>,
    #[serde(default, deserialize_with = "given")]
    value: Option<String>,
}

/// A field that is there has a value: null is none.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The transaction that `text` is by the rules, if it is one.
fn as_others_read_it(text: &str) -> Option<(Vec<Op>, Option<u32>)> {
    if text.len() > TRANSACTION_BYTES_MAX || !text.starts_with('{') || !text.ends_with('}') {
        return None;
    }
    let whole: Whole = serde_json::from_str(text).ok()?;
    if whole.ops.is_empty() || whole.ops.len() > OPS_MAX {
        return None;
    }
    let patience_ms = match whole.patience_ms {
        None => None,
        Some(raw) => {
            let patience = u32::try_from(number(&raw)?).ok()?;
            Some(Some(patience).filter(|patience| (1..=PATIENCE_MS_MAX).contains(patience))?)
        }
    };
    Some((whole.ops.into_iter().map(op).collect::<Option<_>>()?, patience_ms))
}

fn op(part: OpParts) -> Option<Op> {
    let bank = BankId::new(usize::try_from(number(&part.bank)?).ok()?)?;
    let flow = match part.op.as_str() {
        "debit" => Some(Flow::Debit),
        "credit" => Some(Flow::Credit),
        "deposit" => Some(Flow::Deposit),
        "withdraw" => Some(Flow::Withdraw),
        "set" => None,
        _ => return None,
    };
    let action = match flow {
        Some(flow) if part.key.is_none() && part.value.is_none() => Action::Money {
            flow,
            account: AccountNumber::new(&part.account?).ok()?,
            cpf: match part.cpf {
                Some(cpf) => Some(TaxId::new(&cpf).ok()?),
                None => None,
            },
            amount: Money(i64::try_from(number(&part.amount?)?).ok().filter(|amount| *amount > 0)?),
        },
        None if part.account.is_none() && part.cpf.is_none() && part.amount.is_none() => {
            Action::Set {
                key: RegisterKey::new(part.key.as_deref().unwrap_or(KEY_DEFAULT)).ok()?,
                value: RegisterValue::new(&part.value?).ok()?,
            }
        }
        Some(_) | None => return None,
    };
    Some(Op { bank, action })
}

/// A whole number, as JSON writes it.
fn number(raw: &RawValue) -> Option<i128> {
    let text = raw.get();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole { text.parse().ok() } else { None }
}
