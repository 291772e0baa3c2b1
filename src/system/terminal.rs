//! The width of a terminal, and lines that keep to it.

use consorcio_words::sentences::told;
use rustix::termios::tcgetwinsize;
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// The columns of a terminal that does not know its size.
const COLUMNS_DEFAULT: usize = 80;

/// The columns of the terminal that `stream` is; `None` if it is none, so lines have no bound.
pub fn columns(stream: &(impl AsFd + IsTerminal)) -> Option<usize> {
    stream.is_terminal().then(|| match tcgetwinsize(stream) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        Ok(_) | Err(_) => COLUMNS_DEFAULT,
    })
}

/// The line of standard output in which `program` says `sentence`, in the language of the person.
pub fn output_line(program: &str, sentence: &str) -> String {
    wrapped(&format!("{program}: {}", told(sentence)), columns(&std::io::stdout()))
}

/// `line`, broken between words into lines of at most `columns`; all but the first are indented by
/// two more blanks than the line itself. A word that is wider stays whole, so that it can be
/// copied.
pub fn wrapped(line: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| width(line) > *columns) else {
        return line.to_owned();
    };
    let blanks = line.chars().take_while(|c| *c == ' ').count();
    let mut out = " ".repeat(blanks);
    let mut used = blanks;
    let mut is_first = true;
    for word in line[blanks..].split(' ') {
        let width = width(word);
        if !is_first && used + 1 + width > columns {
            out.push('\n');
            out.push_str(&" ".repeat(blanks + 2));
            used = blanks + 2;
        } else if !is_first {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += width;
        is_first = false;
    }
    out
}

/// The columns of a text, without the codes of colours.
fn width(text: &str) -> usize {
    let mut is_code = false;
    let mut is_shown = |c: char| {
        let was_code = is_code;
        is_code = c == '\x1b' || is_code && !c.is_ascii_alphabetic();
        !is_code && !was_code
    };
    text.chars().filter(|c| is_shown(*c)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_between_words() {
        let line = "servidor: bank 1 is down: 127.0.0.1:8887: nobody listens";
        assert_eq!(wrapped(line, None), line);
        assert_eq!(wrapped(line, Some(56)), line);
        assert_eq!(
            wrapped(line, Some(30)),
            "servidor: bank 1 is down:\n  127.0.0.1:8887: nobody\n  listens"
        );
        assert_eq!(wrapped("\x1b[31mred\x1b[0m and 7", Some(9)), "\x1b[31mred\x1b[0m and 7");
        assert_eq!(wrapped("  a 0123456789 b", Some(8)), "  a\n    0123456789\n    b");
    }
}
