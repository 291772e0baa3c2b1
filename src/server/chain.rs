//! Formats an error and its causes as one line.

use std::fmt::Write;

/// `error` and its causes, outermost first, without a cause that the text already ends with.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause_text = cause.to_string();
        if text.is_empty() {
            text = cause_text;
        } else if !text.ends_with(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the file a can't be read: {source}")]
    struct ReadFailed {
        source: std::io::Error,
    }

    #[test]
    fn a_cause_is_written_once() {
        let io = || std::io::Error::other("disk on fire");
        let error = anyhow::Error::new(ReadFailed { source: io() });
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
