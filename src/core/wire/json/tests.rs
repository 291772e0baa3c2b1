//! The reader agrees with other JSON readers on values, fields and errors.

use super::*;
use proptest::prelude::*;

fn string(json: &str) -> Result<String, Fault> {
    let mut reader = JsonReader::new(json);
    let text = reader.string(FieldPath::top("text"))?.into_owned();
    reader.end().map(|()| text)
}

fn whole(json: &str) -> Result<i64, Fault> {
    let mut reader = JsonReader::new(json);
    let number = reader.whole(FieldPath::top("number"))?;
    reader.end().map(|()| number)
}

proptest! {
    #[test]
    fn a_written_string_is_read_back_by_all_readers(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}") {
        let mut json = Vec::new();
        write_string(&mut json, &text);
        let json = String::from_utf8(json).unwrap();
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text.clone());
        prop_assert_eq!(string(&json), Ok(text));
    }

    /// No other reader may read a different text from the same bytes.
    #[test]
    fn strings_are_read_as_by_other_readers(
        inside in "([ -~é]|\\\\[\"\\\\/bfnrtu]|\\\\u[0-9a-fA-F]{4}|\\\\ud[89a-f][0-9a-f]{2}){0,8}",
    ) {
        let json = format!("\"{inside}\"");
        prop_assert_eq!(string(&json).ok(), serde_json::from_str::<String>(&json).ok(), "{}", json);
    }

    /// No other reader may find different fields.
    #[test]
    fn fields_are_read_as_by_other_readers(
        text in "[{\\[]?(\"[a-c]\"[:,] ?\
            ([0-9]{1,2}|-?1\\.5e3|true|nul|\\[1,2\\]|\\{\"a\":[]}]|\
            \"\\\\u00e9\")[,}\\]]? ?){0,3}\\}?"
    ) {
        let others = serde_json::from_str::<serde_json::Value>(&text).ok();
        let object = others.as_ref().and_then(|value| value.as_object());
        match known(&text) {
            Ok(fields) => {
                let object = object.expect("other readers find an object, too");
                prop_assert_eq!(fields.len(), object.len());
                for (name, value) in fields {
                    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
                    prop_assert_eq!(Some(&value), object.get(&name));
                }
            }
            Err(BadObject::Twice(name)) => prop_assert!(object.unwrap().contains_key(&name)),
            Err(BadObject::Other) => prop_assert!(object.is_none()),
            Err(BadObject::Broken { .. }) => prop_assert!(others.is_none(), "{}", text),
        }
    }

    /// No other reader may read a different number, except `-0`: a float to them, zero here.
    #[test]
    fn whole_numbers_are_read_as_by_other_readers(json in "-?[0-9]{1,21}|[-+.eE0-9]{1,6}") {
        prop_assume!(json != "-0");
        prop_assert_eq!(whole(&json).ok(), serde_json::from_str::<i64>(&json).ok(), "{}", json);
    }
}

fn known(text: &str) -> Result<Vec<(String, String)>, BadObject> {
    let fields = fields(text)?.into_iter();
    Ok(fields.map(|(name, value)| (name.into_owned(), value.get().to_owned())).collect())
}

#[test]
fn fields_are_returned_unchanged() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let text = r#" {"a" : 1.50, "e\u0073c":[1, {"x":null}] ,"c":"\u0041"} "#;
    let all = vec![pair("a", "1.50"), pair("esc", r#"[1, {"x":null}]"#), pair("c", r#""\u0041""#)];
    assert_eq!((known(text), known("{}")), (Ok(all), Ok(vec![])));
    let twice = BadObject::Twice("a".to_owned());
    assert_eq!(known(r#"{"a":1,"b":{"a":2},"\u0061":3}"#), Err(twice));
    for other in ["[]", "1", " \"x\"", "null", "true"] {
        assert_eq!(known(other), Err(BadObject::Other), "{other}");
    }
    for (text, line, column) in [
        ("", 1, 0),
        ("{", 1, 1),
        ("tru", 1, 3),
        ("{\"a\":NaN}", 1, 6),
        ("{\"a\":1}x", 1, 8),
        ("{\"a\":1,}", 1, 8),
        ("{\n \"a\":01}", 2, 7),
        ("{\n\n\"a\" 1}", 3, 5),
    ] {
        assert_eq!(known(text), Err(BadObject::Broken { line, column }), "{text}");
    }
}

#[test]
fn whole_numbers_at_the_ends_of_i64() {
    assert_eq!(whole("9223372036854775807"), Ok(i64::MAX));
    assert_eq!(whole("9223372036854775808").map_err(|fault| fault.reason), Err(Reason::Limit));
    assert_eq!(whole("-9223372036854775807"), Ok(-i64::MAX));
}
