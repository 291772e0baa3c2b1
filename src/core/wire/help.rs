//! The answer to HELP: one line for each verb, then notes for people who type requests by hand.

use super::json;
use super::verb::Verb;

/// The lines of HELP after those of the verbs.
const MORE: [&str; 12] = [
    "<tx> is 1 to 64 of A-Z a-z 0-9 . _ -, new for each transaction; a NOK uses it up",
    "a transaction is the same JSON for every bank it names; op is debit, credit, deposit, \
    withdraw or set; amount is in centavos; debits and credits must balance; cpf may be given and \
    must then be a holder",
    "a register is set at every bank of the consortium, once each, to one value: \
    {\"ops\":[{\"bank\":0,\"op\":\"set\",\"key\":\"storage\",\"value\":\"1\"},{\"bank\":1,\
    \"op\":\"set\",\"key\":\"storage\",\"value\":\"1\"},{\"bank\":2,\"op\":\"set\",\
    \"key\":\"storage\",\"value\":\"1\"}]}",
    "reasons: insufficient-funds unknown-account unknown-client not-holder locked unbalanced \
    duplicate-id already-exists malformed limit expired refused unreachable not-introduced \
    disk-full unreadable",
    "by hand, type the same line in one window for each bank:",
    "PREPARE t1 {\"ops\":[{\"bank\":0,\"op\":\"debit\",\"account\":\"12345-6\",\"amount\":20000},\
    {\"bank\":1,\"op\":\"credit\",\"account\":\"78910-0\",\"amount\":20000}],\
    \"patience_ms\":60000}",
    "without patience_ms (at most 300000) the banks resolve by themselves after 3 s, or as soon \
    as the window closes: the second window has 3 s",
    "then COMMIT t1, with both tokens or, at any bank, without: COMMIT without tokens runs the \
    termination, and before the last PREPARE it aborts",
    "RESOLVE t1 refuses where the bank has not voted, STATUS t1 only looks; RESOLVE at a prepared \
    bank asks nobody",
    "ABORT, or a RESOLVE at a bank that has not voted, ends a patience at any time",
    "a PREPARE of one bank alone waits for its COMMIT and can only commit: that bank's OK is the \
    decision; EXECUTE does it in one step",
    "a bank that learned an outcome by asking sends it on to the others",
];

/// All lines of HELP: the verbs, then the notes.
pub fn lines() -> impl Iterator<Item = &'static str> {
    Verb::ALL.iter().map(|verb| verb.help()).chain(MORE)
}

/// The lines as the JSON list that DONE carries.
pub fn json() -> String {
    let mut text = Vec::with_capacity(8 * 1024);
    for (at, line) in lines().enumerate() {
        text.push(if at == 0 { b'[' } else { b',' });
        json::write_string(&mut text, line);
    }
    text.push(b']');
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LINE_BYTES_MAX;
    use crate::wire::Reason;
    use crate::wire::request::Request;

    #[test]
    fn it_is_json_and_fits_a_line() {
        let lines: Vec<String> = serde_json::from_str(&json()).unwrap();
        assert!(lines.iter().map(String::as_str).eq(super::lines()));
        assert!(json().len() < LINE_BYTES_MAX / 2);
    }

    #[test]
    fn every_verb_has_a_line_and_every_reason_is_listed() {
        for verb in Verb::ALL {
            assert_eq!(verb.help().split([' ', ':']).next(), Some(verb.name()));
        }
        let reasons = lines().find(|line| line.starts_with("reasons:")).unwrap();
        for reason in Reason::ALL {
            assert!(reasons.split(' ').any(|word| word == reason.as_str()), "{reason}");
        }
    }

    #[test]
    fn its_examples_are_valid_requests() {
        let example = |start| {
            let line = lines().find(|line| line.starts_with(start)).unwrap();
            Request::parse(&line[..=line.rfind('}').unwrap()])
        };
        assert!(matches!(example("CLIENT {"), Ok(Request::Client(_))));
        assert!(matches!(example("ACCOUNT {"), Ok(Request::Account(_))));
        match example("PREPARE t1") {
            Ok(Request::Prepare(_, transaction)) => {
                assert!(transaction.is_balanced());
                assert_eq!(transaction.patience_ms(), Some(60_000), "a person needs the time");
            }
            other => panic!("{other:?}"),
        }
    }

    /// Facts that a person who types by hand would otherwise learn from an abort.
    #[test]
    fn it_states_what_typing_by_hand_requires() {
        let all = lines().collect::<Vec<_>>().join("\n");
        for needed in [
            "the second window has 3 s",
            "\"patience_ms\":60000",
            "RESOLVE t1 refuses where the bank has not voted, STATUS t1 only looks",
            "before the last PREPARE it aborts",
            "RESOLVE at a prepared bank asks nobody",
            "COMMIT without tokens runs the termination",
            "can only commit",
            "sends it on to the others",
        ] {
            assert!(all.contains(needed), "{needed}");
        }
    }
}
