//! Reads the fields of a line, word by word.

/// The unread rest of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldReader<'a> {
    text: &'a str,
    at_us: Option<i64>,
}

impl<'a> FieldReader<'a> {
    /// The fields of a line with the time `at_us`, in microseconds since 1970.
    pub(super) fn new(text: &'a str, at_us: Option<i64>) -> FieldReader<'a> {
        FieldReader { text: text.trim(), at_us }
    }

    /// The time of the line.
    pub(super) fn at_us(self) -> Option<i64> {
        self.at_us
    }

    /// The next word, not consumed.
    pub(super) fn peek(self) -> Option<&'a str> {
        Some(self.text.split(' ').next()?).filter(|word| !word.is_empty())
    }

    /// Consumes the next word if `read` accepts it.
    pub(super) fn take<T>(&mut self, read: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        let word = self.peek()?;
        let value = read(word)?;
        self.text = self.text[word.len()..].trim_start_matches(' ');
        Some(value)
    }

    /// Consumes `name=value`. Unknown fields before it, of a later version, are skipped.
    pub(super) fn field<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        loop {
            let word = self.peek()?;
            if let Some(value) = word.strip_prefix(name) {
                return self.take(|_| read(value));
            }
            self.take(|word| is_field(word).then_some(()))?;
        }
    }

    /// Consumes `name=value` if it is the next word.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        self.take(|word| word.strip_prefix(name).and_then(read))
    }

    /// Consumes `[…]`, if that is next; returns what is between the brackets.
    pub(super) fn bracketed(&mut self) -> Option<&'a str> {
        let (inside, rest) = self.text.strip_prefix('[')?.split_once(']')?;
        self.text = rest.trim_start_matches(' ');
        Some(inside)
    }

    pub(super) fn rest(&mut self) -> &'a str {
        std::mem::take(&mut self.text)
    }
}

/// Whether `word` has the form of a field.
fn is_field(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
