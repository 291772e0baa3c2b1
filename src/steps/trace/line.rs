//! A line of a step log, read back: the columns that `steplog::line` writes. No file here.

/// The columns of a line; what its event tells stands in `detail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Microseconds since 1970 by the node's wall clock.
    pub at_us: i64,
    /// The event's word.
    pub event: &'a str,
    /// The transaction, if it is about one.
    pub tx: Option<&'a str>,
    /// Address and port of the other end.
    pub peer: Option<&'a str>,
    /// The bank at the other end.
    pub bank: Option<u8>,
    /// All that follows.
    pub detail: &'a str,
}

/// The length of `2026-11-22T05:38:51.123456Z`.
const TIME_LENGTH: usize = 27;

impl<'a> Line<'a> {
    /// Reads a line without its end; `None` for what no node wrote, or not whole.
    pub fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        let at_us = time(line)?;
        let rest = std::str::from_utf8(line.get(TIME_LENGTH..)?).ok()?;
        let (event, rest) = word(rest)?;
        let (tx, rest) = word(rest)?;
        let (peer, rest) = word(rest)?;
        let (tx, peer) = (tx.strip_prefix("tx=")?, peer.strip_prefix("peer=")?);
        let rest = rest.trim_start_matches(' ');
        let numbered =
            rest.strip_prefix("bank=").map(|rest| rest.split_once(' ').unwrap_or((rest, "")));
        let (bank, detail) =
            match numbered.and_then(|(bank, rest)| Some((bank.parse().ok()?, rest))) {
                Some((bank, rest)) => (Some(bank), rest),
                None => (None, rest),
            };
        let told = |text: &'a str| Some(text).filter(|text| *text != "-");
        Some(Line { at_us, event, tx: told(tx), peer: told(peer), bank, detail: detail.trim() })
    }

    /// Is it a line that tells a node's own life: a start, an end, something that broke?
    pub fn is_of_the_node(&self) -> bool {
        matches!(self.event, "start" | "recover" | "ready" | "stop" | "fault")
    }
}

/// The time at a line's beginning.
pub fn time(line: &[u8]) -> Option<i64> {
    let line = line.get(..TIME_LENGTH)?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
    if marks.iter().any(|(at, mark)| line[*at] != *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        line[from..to].iter().try_fold(0i64, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let days = days_since_1970(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = days * 86_400 + number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    Some(seconds * 1_000_000 + number(20, 26)?)
}

/// Days of the Gregorian calendar; years begin in March, so that the leap day ends one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The next word of `text`, and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(' ');
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (!word.is_empty()).then_some((word, rest))
}

/// The value of `name=` among the words of a detail.
pub fn field<'a>(detail: &'a str, name: &str) -> Option<&'a str> {
    detail.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// ... as a number.
pub fn number<T: std::str::FromStr>(detail: &str, name: &str) -> Option<T> {
    field(detail, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let text = "2026-11-22T05:38:51.123456Z answer     tx=t1                       peer=127.0.0.1:8887        bank=1 PREPARE OK time=5 by=1";
        let line = Line::parse(text.as_bytes()).unwrap();
        assert_eq!(line.at_us, 1_795_325_931_123_456);
        assert_eq!(
            (line.event, line.tx, line.peer),
            ("answer", Some("t1"), Some("127.0.0.1:8887"))
        );
        assert_eq!((line.bank, line.detail), (Some(1), "PREPARE OK time=5 by=1"));
        assert_eq!(
            (number(line.detail, "time"), number::<u8>(line.detail, "by")),
            (Some(5), Some(1))
        );
        let text = "2026-11-22T05:38:51.123456Z drive      tx=t1                       peer=-";
        let line = Line::parse(text.as_bytes()).unwrap();
        assert_eq!((line.event, line.peer, line.bank, line.detail), ("drive", None, None, ""));
    }

    #[test]
    fn what_is_no_line_is_none() {
        for text in
            ["", "hello", "2026-11-22T05:38:51.123456Z", "2026-11-22T05:38:51.123456Z vote tx=t1"]
        {
            assert_eq!(Line::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Line::parse(b"2026-11-22T05:38:51.1234x6Z vote tx=t1 peer=-"), None);
        assert_eq!(Line::parse(b"2026-11-22T05:38:51.123456Z vote tx=t1 peer=\xff"), None);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("1969-12-31T23:59:59.000000Z", -1),
            ("2000-02-29T12:00:00.000000Z", 951_825_600),
            ("2026-11-22T05:38:51.000000Z", 1_795_325_931),
        ] {
            assert_eq!(time(text.as_bytes()), Some(seconds * 1_000_000), "{text}");
        }
    }
}
