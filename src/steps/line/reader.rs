//! Reads the fields of a line, word by word.

/// The unread rest of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldReader<'a>(&'a str);

impl<'a> FieldReader<'a> {
    pub(super) fn new(text: &'a str) -> FieldReader<'a> {
        FieldReader(text.trim())
    }

    /// The next word, not consumed.
    pub(super) fn peek(self) -> Option<&'a str> {
        Some(self.0.split(' ').next()?).filter(|word| !word.is_empty())
    }

    /// Consumes the next word if `read` accepts it.
    pub(super) fn take<T>(&mut self, read: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        let word = self.peek()?;
        let value = read(word)?;
        self.0 = self.0[word.len()..].trim_start_matches(' ');
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

    pub(super) fn rest(&mut self) -> &'a str {
        std::mem::take(&mut self.0)
    }
}

/// Whether `word` has the form of a field.
fn is_field(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
