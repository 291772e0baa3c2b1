//! Events as text: `program: a sentence` for this project, in the language of the person, columns
//! for steps, and level, target and fields for libraries.

use super::STEP_TARGET;
use crate::terminal;
use consorcio_words::sentences::told;
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The text format; `program` begins each line that is no step.
pub(super) struct TextFormat {
    pub(super) program: &'static str,
    /// Whether the names of steps are coloured.
    pub(super) colours: bool,
}

impl<S, N> FormatEvent<S, N> for TextFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let target = event.metadata().target();
        if target == STEP_TARGET {
            let mut step = StepColumns::default();
            event.record(&mut step);
            let mut line = String::new();
            step.write(&mut line, self.colours)?;
            let columns = terminal::columns(&std::io::stderr());
            return writeln!(writer, "{}", terminal::wrapped(line.trim_end_matches('\n'), columns));
        }
        let mut text = EventText::default();
        event.record(&mut text);
        let EventText { message, fields } = text;
        let line = if target.starts_with("consorcio") {
            format!("{}: {}", self.program, told(&message))
        } else {
            format!("{}: {} {target}: {message}{fields}", self.program, event.metadata().level())
        };
        writeln!(writer, "{}", terminal::wrapped(&line, terminal::columns(&std::io::stderr())))
    }
}

/// An event's message, and its other fields as ` name=value`.
#[derive(Default)]
struct EventText {
    message: String,
    fields: String,
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String can't fail. A peer's text must not control the terminal.
        let _ = match field.name() {
            "message" => write!(OneLine(&mut self.message), "{value:?}"),
            name => write!(OneLine(&mut self.fields), " {name}={value:?}"),
        };
    }
}

/// Replaces control characters by spaces.
struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
        Ok(())
    }
}

/// The columns of a step, as in the step log's file.
#[derive(Default)]
struct StepColumns {
    at: String,
    event: String,
    tx: Option<String>,
    peer: Option<String>,
    bank: Option<u64>,
    detail: Option<String>,
}

impl Visit for StepColumns {
    fn record_str(&mut self, field: &Field, value: &str) {
        let value = value.to_owned();
        match field.name() {
            "at" => self.at = value,
            "event" => self.event = value,
            "tx" => self.tx = Some(value),
            "peer" => self.peer = Some(value),
            "detail" => self.detail = Some(value),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "bank" {
            self.bank = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

impl StepColumns {
    fn write(&self, out: &mut impl Write, colours: bool) -> fmt::Result {
        let mut rest = String::new();
        for (name, value) in [("tx", &self.tx), ("peer", &self.peer)] {
            if let Some(value) = value {
                write!(rest, "{name}={value} ")?;
            }
        }
        if let Some(bank) = self.bank {
            write!(rest, "bank={bank} ")?;
        }
        rest.push_str(self.detail.as_deref().unwrap_or(""));
        let rest = rest.trim_end();
        match step_colour(&self.event, self.detail.as_deref().unwrap_or("")).filter(|_| colours) {
            Some(code) => {
                writeln!(out, "{} \x1b[{code}m{:<7}\x1b[0m {rest}", self.at, self.event)
            }
            None => writeln!(out, "{} {:<7} {rest}", self.at, self.event),
        }
    }
}

/// The code of the colour of a step's name on a terminal, if it has one: by direction, decision,
/// durability or failure.
pub fn step_colour(event: &str, detail: &str) -> Option<&'static str> {
    const RED: &str = "31";
    const GREEN: &str = "32";
    const YELLOW: &str = "33";
    const BLUE: &str = "34";
    const MAGENTA: &str = "35";
    const CYAN: &str = "36";
    let refused = detail.starts_with("NOK") || detail.starts_with("ABORTED");
    match event {
        "vote" | "outcome" | "verdict" | "drove" if refused => Some(RED),
        "vote" | "outcome" | "verdict" | "drove" => Some(GREEN),
        "bad" | "fault" | "refuse" | "link-down" => Some(RED),
        "doubt" | "timeout" | "gave-up" | "ask" => Some(YELLOW),
        "send" | "reply" => Some(CYAN),
        "recv" | "answer" => Some(BLUE),
        "sync" | "recover" => Some(MAGENTA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(event: &str, detail: &str) -> StepColumns {
        StepColumns {
            at: "1970-01-01T00:00:01.000000Z".to_owned(),
            event: event.to_owned(),
            tx: Some("t1".to_owned()),
            detail: Some(detail.to_owned()).filter(|detail| !detail.is_empty()),
            ..StepColumns::default()
        }
    }

    fn line(step: &StepColumns, colours: bool) -> String {
        let mut out = String::new();
        step.write(&mut out, colours).unwrap();
        out
    }

    #[test]
    fn a_step_has_its_columns_and_its_name_is_coloured_on_a_terminal() {
        let plain = line(&step("vote", "OK time=5"), false);
        assert_eq!(plain, "1970-01-01T00:00:01.000000Z vote    tx=t1 OK time=5\n");
        let coloured = line(&step("vote", "OK time=5"), true);
        assert_eq!(coloured.replace("\x1b[32m", "").replace("\x1b[0m", ""), plain);
        assert!(coloured.contains("\x1b[32mvote "), "{coloured:?}");
        assert!(line(&step("vote", "NOK limit"), true).contains("\x1b[31mvote "));
        assert!(!line(&step("drive", ""), true).contains('\x1b'));
        assert!(line(&step("drive", ""), false).ends_with(" tx=t1\n"));
    }

    #[test]
    fn a_peers_text_does_not_control_the_terminal() {
        let mut text = String::new();
        write!(OneLine(&mut text), "a\x1b[2Jb\nc").unwrap();
        assert_eq!(text, "a [2Jb c");
    }
}
