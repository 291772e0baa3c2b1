//! The answer to HELP, for people who type requests by hand: a list of verbs, or all about one.
//!
//! It is the one reply with several lines. All but the last begin with HELP, so that a program can
//! skip them; no line of text is wider than a terminal.

use super::verb::Verb;

/// The width of a terminal. Only an example that must be typed as one line is longer.
const COLUMNS: usize = 80;

/// The lines of the reply, each with its end; the last one is DONE. Without a verb, the list.
pub fn lines(verb: Option<Verb>) -> String {
    match verb {
        None => list(),
        Some(verb) => explanation(verb),
    }
}

/// Each line begins with the request that tells more about its verb.
fn list() -> String {
    let typed = Verb::ALL.iter().filter(|verb| !verb.is_between_banks());
    let mut text: String =
        typed.map(|verb| format!("HELP {:9} {}\n", verb.name(), verb.brief())).collect();
    text.push_str("DONE \"HELP and a verb tells all about it, as in HELP PREPARE\"\n");
    text
}

fn explanation(verb: Verb) -> String {
    let mut text = format!("HELP {} {}", verb.name(), verb.form()).trim_end().to_owned();
    text.push('\n');
    for paragraph in [verb.brief()].into_iter().chain(verb.more().lines()) {
        let mut width = 0;
        // An example is typed as one line.
        if paragraph.starts_with(verb.name()) && paragraph.contains('{') {
            text.push_str(&format!("HELP   {paragraph}\n"));
            continue;
        }
        for word in paragraph.split(' ') {
            let count = word.chars().count();
            if width == 0 || width + 1 + count > COLUMNS {
                let end = if width == 0 { "" } else { "\n" };
                text.push_str(&format!("{end}HELP   {word}"));
                width = "HELP   ".len() + count;
            } else {
                text.push_str(&format!(" {word}"));
                width += 1 + count;
            }
        }
        text.push('\n');
    }
    text.push_str(&format!("DONE \"{} is one of the verbs that HELP lists\"\n", verb.name()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LINE_BYTES_MAX;
    use crate::wire::Reason;
    use crate::wire::reply::Reply;
    use crate::wire::request::Request;

    fn all() -> Vec<Option<Verb>> {
        [None].into_iter().chain(Verb::ALL.iter().copied().map(Some)).collect()
    }

    /// The text of an explanation, without marks and line ends.
    fn text_of(verb: Verb) -> String {
        let text = lines(Some(verb));
        let words = text.lines().filter_map(|line| line.strip_prefix("HELP   "));
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_line_but_the_last_is_marked_and_fits_a_terminal() {
        for verb in all() {
            let text = lines(verb);
            // A session reserves an eighth of a line for the reply to HELP.
            assert!(text.len() < LINE_BYTES_MAX / 8, "{verb:?}: {} bytes", text.len());
            let (rest, last) = text.trim_end().rsplit_once('\n').unwrap();
            let json = last.strip_prefix("DONE ").unwrap();
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
            for line in rest.lines() {
                assert!(line.starts_with("HELP "), "{line}");
                let is_example = line.contains("{\"ops\":") || line.contains("{\"number\":");
                assert!(is_example || line.chars().count() <= COLUMNS, "{line}");
                assert!(Reply::parse(line).is_err(), "a program takes it for no reply: {line}");
            }
        }
    }

    /// The list fits on a screen of 24 rows, with the request above it.
    #[test]
    fn the_list_has_one_verb_a_line_and_fits_a_screen() {
        let list = lines(None);
        assert!(list.lines().count() <= 23, "{list}");
        for verb in Verb::ALL.iter().filter(|verb| !verb.is_between_banks()) {
            let begin = format!("HELP {} ", verb.name());
            let lines: Vec<&str> = list.lines().filter(|line| line.starts_with(&begin)).collect();
            assert_eq!(lines.len(), 1, "{verb}");
            assert!(Request::parse(begin.trim_end()).is_ok(), "it can be typed: {begin}");
        }
    }

    #[test]
    fn every_reason_is_listed() {
        let text = text_of(Verb::Prepare);
        let (_, reasons) = text.split_once("Reasons: ").unwrap();
        for reason in Reason::ALL {
            assert!(reasons.split(' ').any(|word| word == reason.as_str()), "{reason}");
        }
    }

    #[test]
    fn its_examples_are_valid_requests() {
        let example = |verb: Verb| {
            let text = lines(Some(verb));
            let begin = format!("HELP   {verb} ");
            let line = text.lines().find(|line| line.starts_with(&begin) && line.contains('{'));
            Request::parse(line.unwrap().trim_start_matches("HELP   "))
        };
        assert!(matches!(example(Verb::Client), Ok(Request::Client(_))));
        assert!(matches!(example(Verb::Account), Ok(Request::Account(_))));
        match example(Verb::Prepare) {
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
        let all: Vec<String> = Verb::ALL.iter().map(|verb| text_of(*verb)).collect();
        let all = all.join(" ");
        for needed in [
            "the second window has 3 s",
            "\"patience_ms\":60000",
            "RESOLVE t1 refuses where the bank has not voted, for ever; STATUS t1 only looks",
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
