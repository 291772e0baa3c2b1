//! What a transaction is about, in brackets: `[0/12345-6 -200,50 · 2/78910-0 +200,50]` for money,
//! `[storage=42]` for registers. Tax numbers are left out.

use super::field::{FieldOut, LineField, TextKind, bank, next};
use super::parts::Load;
use super::reader::FieldReader;
use super::text::number;
use consorcio_core::ids::BankSet;
use consorcio_core::limits::{STEP_OPS_BYTES_MAX, STEP_OPS_COMPLETE_MAX, STEP_VALUE_BYTES_MAX};
use consorcio_core::money::Money;
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use std::sync::Arc;

/// The operations of a transaction, as a line names them.
#[derive(Debug, Clone, Default)]
pub enum LoggedOps {
    /// The line names none.
    #[default]
    Unnamed,
    /// Those of this transaction, which the bank or the client has parsed already. They are
    /// formatted when the line is.
    Of(Arc<Transaction>),
    /// Those of a line that was read: what is between the brackets.
    Text(Box<str>),
}

impl LoggedOps {
    /// The memory that it keeps alive, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            LoggedOps::Unnamed => 0,
            LoggedOps::Of(transaction) => transaction.memory_bytes(),
            LoggedOps::Text(text) => text.len(),
        }
    }

    /// Reads a word of the transaction and of its operations.
    pub(crate) fn touch(&self) -> usize {
        match self {
            LoggedOps::Of(transaction) => {
                transaction.ops().first().map_or(0, |op| op.bank.index()) + transaction.ops().len()
            }
            LoggedOps::Unnamed | LoggedOps::Text(_) => 0,
        }
    }

    /// Whether a line that names them needs no count and no banks beside them: each of a few
    /// operations has its bank.
    pub(crate) fn are_complete(transaction: &Transaction) -> bool {
        let ops = transaction.ops();
        let is_money = |op: &Op| matches!(op.action, Action::Money { .. });
        !transaction.has_outside() && ops.len() <= STEP_OPS_COMPLETE_MAX && ops.iter().all(is_money)
    }

    /// Their number and banks, where each has its bank.
    pub(super) fn load(&self) -> Load {
        let of_item = |item: &str| bank(item.split_once('/')?.0);
        match self {
            LoggedOps::Unnamed => Load::Nothing,
            LoggedOps::Of(transaction) => Load::of(transaction),
            LoggedOps::Text(text) => {
                let banks = text.split(SEPARATOR).map(of_item).collect::<Option<BankSet>>();
                banks.map_or(Load::Nothing, |banks| Load::Ops(text.split(SEPARATOR).count(), banks))
            }
        }
    }

    fn is_named(&self) -> bool {
        !matches!(self, LoggedOps::Unnamed)
    }
}

/// Between two operations of a line.
pub(super) const SEPARATOR: &str = " · ";

/// Two are equal if their lines are.
impl PartialEq for LoggedOps {
    fn eq(&self, other: &LoggedOps) -> bool {
        let text = |ops: &LoggedOps| {
            let mut out = Vec::new();
            ops.write("", &mut FieldOut::new(&mut out, None));
            out
        };
        self.is_named() == other.is_named() && text(self) == text(other)
    }
}

impl Eq for LoggedOps {}

impl LineField for LoggedOps {
    const KIND: TextKind = TextKind::List;

    fn write(&self, _: &str, out: &mut FieldOut<'_>) {
        match self {
            LoggedOps::Unnamed => {}
            LoggedOps::Of(transaction) => {
                next(out, "[");
                write_ops(out, transaction.ops());
                out.push(b']');
            }
            LoggedOps::Text(text) => {
                next(out, "[");
                out.extend_from_slice(text.as_bytes());
                out.push(b']');
            }
        }
    }

    fn read(_: &str, words: &mut FieldReader<'_>) -> Option<LoggedOps> {
        let text = words.bracketed();
        Some(text.map_or(LoggedOps::Unnamed, |text| LoggedOps::Text(text.into())))
    }
}

/// Names each operation, up to a bound, and then how many are left. A register that is set to one
/// value at several banks is named once.
fn write_ops(out: &mut Vec<u8>, ops: &[Op]) {
    // At most 64 operations, and this runs for most lines: nothing is collected.
    let is_named = |at: usize| {
        let action = &ops[at].action;
        let is_set = matches!(action, Action::Set { .. });
        !is_set || !ops[..at].iter().any(|other| other.action == *action)
    };
    let begin = out.len();
    for (at, op) in ops.iter().enumerate().filter(|(at, _)| is_named(*at)) {
        let before = out.len();
        if at > 0 {
            out.extend_from_slice(SEPARATOR.as_bytes());
        }
        write_op(out, op);
        if at > 0 && out.len() - begin > STEP_OPS_BYTES_MAX {
            out.truncate(before);
            out.extend_from_slice(b" + ");
            let left = (at..ops.len()).filter(|at| is_named(*at)).count();
            number(out, u64::try_from(left).unwrap_or(u64::MAX));
            out.extend_from_slice(b" more");
            return;
        }
    }
}

fn write_op(out: &mut Vec<u8>, op: &Op) {
    match &op.action {
        Action::Money { flow, account, amount, .. } => {
            number(out, op.bank.as_u8().into());
            out.push(b'/');
            plain(out, account.as_str());
            out.extend_from_slice(if flow.takes() { b" -" } else { b" +" });
            reais(out, *amount);
            // Cash; the other two move money between accounts, and their sign tells them apart.
            if let Flow::Deposit | Flow::Withdraw = flow {
                out.push(b' ');
                out.extend_from_slice(flow.as_str().as_bytes());
            }
        }
        Action::Set { key, value } => {
            plain(out, key.as_str());
            out.push(b'=');
            let value = value.as_str();
            let cut = value.floor_char_boundary(STEP_VALUE_BYTES_MAX);
            plain(out, &value[..cut]);
            if cut < value.len() {
                out.extend_from_slice(b"...");
            }
        }
    }
}

/// Writes centavos as `200,50`: without `R$` and dots, so that a search finds what was typed.
fn reais(out: &mut Vec<u8>, amount: Money) {
    let centavos = amount.0.unsigned_abs();
    number(out, centavos / 100);
    let rest = u8::try_from(centavos % 100).unwrap_or(0);
    out.extend_from_slice(&[b',', b'0' + rest / 10, b'0' + rest % 10]);
}

/// Brackets end the list and `·` separates operations, so those in a name or value are written as
/// parentheses and `.`: a register's value must not read like a transfer.
fn plain(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    // `·` is two bytes; its first one begins other letters, too.
    while let Some(at) = memchr::memchr3(b'[', b']', DOT[0], rest) {
        let (replaced, length) = match rest[at] {
            b'[' => (b'(', 1),
            b']' => (b')', 1),
            _ if rest[at..].starts_with(&DOT) => (b'.', DOT.len()),
            other => (other, 1),
        };
        out.extend_from_slice(&rest[..at]);
        out.push(replaced);
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
}

/// The bytes of `·`, which separates operations.
const DOT: [u8; 2] = [0xC2, 0xB7];

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::limits::NAME_BYTES_MAX;

    fn of(json: &str) -> LoggedOps {
        LoggedOps::Of(Arc::new(Transaction::parse(json).unwrap()))
    }

    fn text(ops: &LoggedOps) -> String {
        let mut out = Vec::new();
        ops.write("", &mut FieldOut::new(&mut out, None));
        String::from_utf8(out).unwrap().trim().to_owned()
    }

    #[test]
    fn money_and_registers_are_named_and_tax_numbers_are_not() {
        let cases = [
            (
                concat!(
                    r#"{"ops":[{"bank":0,"op":"debit","account":"12345-6","cpf":"11111111111","#,
                    r#""amount":20050},{"bank":2,"op":"credit","account":"78910-0","#,
                    r#""amount":20050}]}"#
                ),
                "[0/12345-6 -200,50 · 2/78910-0 +200,50]",
            ),
            (
                r#"{"ops":[{"bank":1,"op":"deposit","account":"a[1]","amount":100000005}]}"#,
                "[1/a(1) +1000000,05 deposit]",
            ),
            (
                r#"{"ops":[{"bank":1,"op":"withdraw","account":"a","amount":7}]}"#,
                "[1/a -0,07 withdraw]",
            ),
            (
                concat!(
                    r#"{"ops":[{"bank":0,"op":"set","value":"42"},"#,
                    r#"{"bank":2,"op":"set","value":"42"}]}"#
                ),
                "[storage=42]",
            ),
            (
                r#"{"ops":[{"bank":0,"op":"set","value":"42 · 2/78910-0 +200,50] x"}]}"#,
                "[storage=42 . 2/78910-0 +200,50) x]",
            ),
        ];
        for (json, expected) in cases {
            assert_eq!(text(&of(json)), expected);
        }
        let long = format!(r#"{{"ops":[{{"bank":0,"op":"set","value":"{}"}}]}}"#, "é".repeat(100));
        assert_eq!(
            text(&of(&long)),
            format!("[storage={}...]", "é".repeat(STEP_VALUE_BYTES_MAX / 2))
        );
    }

    #[test]
    fn a_line_names_64_accounts_and_is_bounded() {
        let ops = |account: &str| {
            let op = |op, bank| {
                format!(r#"{{"bank":{bank},"op":"{op}","account":"{account}","amount":20050}}"#)
            };
            let list: Vec<_> = (0..32).flat_map(|_| [op("debit", 0), op("credit", 15)]).collect();
            of(&format!(r#"{{"ops":[{}]}}"#, list.join(",")))
        };
        let usual = text(&ops("12345-6"));
        assert_eq!(usual.matches("12345-6").count(), 64, "{usual}");
        let long = text(&ops(&"x".repeat(NAME_BYTES_MAX)));
        assert!(long.len() <= STEP_OPS_BYTES_MAX + 20, "{}", long.len());
        let named = long.matches("/x").count();
        assert!(named > 10 && long.ends_with(&format!(" + {} more]", 64 - named)), "{long}");
    }

    #[test]
    fn operations_with_banks_need_no_count_beside_them() {
        let transfer = of(concat!(
            r#"{"ops":[{"bank":0,"op":"debit","account":"1","amount":5},"#,
            r#"{"bank":2,"op":"credit","account":"2","amount":5}]}"#
        ));
        let LoggedOps::Of(parsed) = &transfer else { panic!("no transaction") };
        assert!(LoggedOps::are_complete(parsed));
        let line = text(&transfer);
        let mut words = FieldReader::new(&line, None);
        let read = LoggedOps::read("", &mut words).unwrap();
        assert_eq!((read.load(), &read), (transfer.load(), &transfer));
        let set = of(r#"{"ops":[{"bank":0,"op":"set","value":"1/2 · 3"}]}"#);
        let LoggedOps::Of(parsed) = &set else { panic!("no transaction") };
        assert!(!LoggedOps::are_complete(parsed), "a register has no bank in the line");
    }
}
