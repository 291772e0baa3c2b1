//! An error and its causes as one line for people, without saying twice what one cause says in
//! another's words.

use std::fmt::Write;

/// `error` and its causes, outermost first. A cause that the text before it ends with is left out.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let told = cause.to_string();
        if text.is_empty() {
            text = told;
        } else if !text.ends_with(&told) {
            let _ = write!(text, ": {told}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the file a can't be read: {source}")]
    struct Reads {
        source: std::io::Error,
    }

    #[test]
    fn a_cause_is_told_once() {
        let io = || std::io::Error::other("disk on fire");
        let error = anyhow::Error::new(Reads { source: io() });
        assert_eq!(chain(&error), "the file a can't be read: disk on fire");
        assert_eq!(
            chain(&error.context("no start")),
            "no start: the file a can't be read: disk on fire"
        );
        assert_eq!(
            chain(&anyhow::Error::new(io()).context("port taken")),
            "port taken: disk on fire"
        );
    }
}
