//! Lines as JSON objects, for machines: the columns, each field by its name, and `detail`, all of
//! them as text, from which a line is read back.

use super::field::TextKind;
use super::step::Entry;
use super::table::has_other_end;
use super::{Formatter, LogLine, Step, time};
use consorcio_core::ids::TxId;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// How each object begins, before its time.
const BEGINNING: &[u8] = b"{\"at\":\"";

/// The columns of an object. Further fields are for others.
#[derive(Deserialize)]
struct JsonLine<'a> {
    at: &'a str,
    event: &'a str,
    tx: Option<&'a str>,
    peer: Option<&'a str>,
    bank: Option<u8>,
    #[serde(borrow, default)]
    detail: Cow<'a, str>,
}

/// Parses an object that is a line.
pub(super) fn parse(line: &[u8]) -> Option<LogLine<'_>> {
    let JsonLine { at, event, tx, peer, bank, detail } = serde_json::from_slice(line).ok()?;
    let bank = bank.filter(|_| has_other_end(event));
    Some(LogLine { at_us: time(at.as_bytes())?, event, tx, peer, bank, detail })
}

/// The time, event and rest of an object, as bytes; `None` for a line that is none.
pub(super) fn beginning(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(BEGINNING)
}

/// The event and the transaction of an object, without parsing the rest.
pub(super) fn quick_columns(after_time: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let rest = after_time.strip_prefix(b"\",\"event\":\"")?;
    let (event, rest) = rest.split_at(memchr::memchr(b'"', rest)?);
    let tx = rest.strip_prefix(b"\",\"tx\":\"").and_then(|rest| {
        let end = memchr::memchr(b'"', rest)?;
        Some(&rest[..end])
    });
    Some((event, tx))
}

/// Appends the object of `entry` to `out`, and a `\n`.
pub(super) fn write(formatter: &mut Formatter, out: &mut Vec<u8>, entry: &Entry) {
    let step = &entry.step;
    let mut at = Vec::new();
    formatter.time(&mut at, entry.at_us);
    let mut object = Object::begin(out);
    object.text("at", &String::from_utf8_lossy(&at));
    object.text("event", step.event());
    if let Some(tx) = step.tx() {
        object.text("tx", TxId::as_str(tx));
    }
    if let Some(peer) = step.addressed() {
        let mut address = Vec::new();
        formatter.peer(&mut address, peer);
        object.text("peer", &String::from_utf8_lossy(&address));
    }
    if let Some(bank) = step.bank() {
        object.value("bank", &Value::from(bank.as_u8()));
    }
    let fields = fields(step);
    for (name, value) in &fields {
        object.value(name, value);
    }
    let mut detail = Vec::new();
    step.write_fields(entry.at_us, &mut detail);
    object.text("detail", String::from_utf8_lossy(&detail).trim());
    object.end();
}

/// The fields by their names, with whole times.
fn fields(step: &Step) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    step.each_field(|name, kind, text| {
        let text = text.trim();
        match kind {
            TextKind::Sentence if text.is_empty() => {}
            TextKind::Sentence => drop(fields.insert(name.to_owned(), text.into())),
            TextKind::List => {
                if let Some(list) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
                    let items = list.split(super::ops::SEPARATOR).map(Value::from).collect();
                    fields.insert(name.to_owned(), Value::Array(items));
                }
            }
            TextKind::Words => {
                let mut bare = Vec::new();
                for word in text.split(' ').filter(|word| !word.is_empty()) {
                    match word.split_once('=') {
                        Some((name, value)) => drop(fields.insert(name.to_owned(), typed(value))),
                        None => bare.push(word),
                    }
                }
                if !bare.is_empty() {
                    fields.insert(name.to_owned(), bare.join(" ").into());
                }
            }
        }
    });
    fields
}

fn typed(value: &str) -> Value {
    match value {
        "yes" => true.into(),
        "no" => false.into(),
        value => value.parse::<i64>().map_or_else(|_| value.into(), Value::from),
    }
}

/// An object that is written field by field, in their order.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    separator: u8,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Object<'a> {
        Object { out, separator: b'{' }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.value(name, &Value::from(text));
    }

    fn value(&mut self, name: &str, value: &Value) {
        self.out.push(self.separator);
        self.separator = b',';
        // Writing to a Vec can't fail.
        let _ = serde_json::to_writer(&mut *self.out, name);
        self.out.push(b':');
        let _ = serde_json::to_writer(&mut *self.out, value);
    }

    fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::any_step;
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::Union;

    fn object(at_us: i64, step: Step) -> String {
        let places = (0..16).map(|bank| format!("bank-{bank}:80")).collect();
        let mut out = Vec::new();
        Formatter::json(places).write(&mut out, &Entry { at_us, step });
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn objects_are_read_back_equal_and_have_quick_columns(
            at_us in 0i64..4_000_000_000_000_000,
            step in Union::new(any_step().into_iter().map(|(_, step)| step)),
        ) {
            let line = object(at_us, step.clone());
            let bytes = line.trim_end_matches('\n').as_bytes();
            let value: Value = serde_json::from_slice(bytes).unwrap();
            prop_assert!(value.is_object() && !line.trim_end().contains('\n'));
            prop_assert_eq!(time(bytes), Some(at_us));
            let tx = step.tx().map(|tx| tx.as_str().as_bytes());
            let quick = super::super::quick_columns(bytes);
            prop_assert_eq!(quick, Some((step.event().as_bytes(), tx)));
            let read = LogLine::parse(bytes).and_then(|line| line.step());
            prop_assert_eq!(read, Some(step), "{}", line);
        }
    }

    #[test]
    fn fields_have_names_and_types() {
        let line = "2026-11-22T05:38:51.123456Z vote    tx=t1 NOK locked time=+312us seq=9 \
                    [0/12345-6 -200,50 · 2/78910-0 +200,50] another one has it";
        let line = LogLine::parse(line.as_bytes()).unwrap();
        let object = object(line.at_us, line.step().unwrap());
        assert_eq!(
            object,
            concat!(
                r#"{"at":"2026-11-22T05:38:51.123456Z","event":"vote","tx":"t1","#,
                r#""operations":["0/12345-6 -200,50","2/78910-0 +200,50"],"seq":9,"#,
                r#""text":"another one has it","time":1795325931123768,"vote":"NOK locked","#,
                r#""detail":"NOK locked time=+312us seq=9 [0/12345-6 -200,50 · 2/78910-0 "#,
                r#"+200,50] another one has it"}"#,
                "\n"
            )
        );
    }
}
