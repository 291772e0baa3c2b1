//! `trace`: shows what the step logs of all nodes tell of a transaction, or which transactions they
//! tell of that are worth it. No bank is asked, and no log of its own is kept.

use super::args::TraceArguments;
use super::failure::Failure;
use super::output::{Paint, Shown, Tone, plain, utc};
use consorcio_core::ids::{Time, TxId};
use consorcio_core::wire::verb::Verb;
use consorcio_steps::trace::{
    Call, Embedding, Leg, Logs, Timeline, TracedEvent, Trouble, Verdict, Wanted, duration,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        let text = trouble.to_string();
        match trouble {
            Trouble::NoLogs(_) | Trouble::Unreadable { .. } => Failure::Own(text),
            Trouble::Unknown { .. } => Failure::Refused { reason: None, text },
        }
    }
}

/// `trace`, with the logs in `log_dir` unless others are named.
pub fn run(arguments: TraceArguments, log_dir: &Path, paint: Paint) -> Shown {
    show(arguments, log_dir, paint).unwrap_or_else(Shown::from)
}

fn show(arguments: TraceArguments, log_dir: &Path, paint: Paint) -> Result<Shown, Failure> {
    let TraceArguments { tx, mut logs, svg, slowest, aborted, doubtful } = arguments;
    let wanted = (slowest.map(Wanted::Slowest))
        .or(aborted.map(Wanted::Aborted))
        .or(doubtful.map(Wanted::Doubtful));
    let tx = if tx.is_none() && wanted.is_none() { Some(typed_behind(&mut logs)?) } else { tx };
    if logs.is_empty() {
        logs.push(log_dir.to_owned());
    }
    let logs = Logs::open(&logs)?;
    match (tx, wanted) {
        (_, Some(wanted)) => Ok(list(&logs.find(wanted)?, wanted, &logs, paint)),
        (Some(tx), None) => one(&logs.timeline(tx.as_str())?, svg, paint),
        (None, None) => Err(Failure::Usage("which transaction?".into())),
    }
}

/// Whoever types `trace --logs DIR TX` means what follows the last folder.
fn typed_behind(logs: &mut Vec<PathBuf>) -> Result<TxId, Failure> {
    let last = logs.pop_if(|last| !last.exists());
    last.and_then(|last| TxId::new(last.to_str()?).ok()).ok_or_else(|| {
        Failure::Usage(
            "which transaction? Type its id, or --slowest, --aborted or --doubtful to find one"
                .into(),
        )
    })
}

/// One transaction: its drawing, if it is wanted on standard output, or its steps in words.
fn one(timeline: &Timeline, svg: Option<PathBuf>, paint: Paint) -> Result<Shown, Failure> {
    let mut text = String::new();
    if let Some(path) = svg {
        let drawing = timeline.svg(Embedding::Alone);
        if path.as_os_str() == "-" {
            return Ok(Shown {
                text: drawing,
                json: super::output::json(timeline),
                failure: None,
                done: None,
            });
        }
        let written = std::fs::write(&path, drawing);
        written.map_err(|error| {
            Failure::Own(format!("{} can't be written: {error}", path.display()))
        })?;
        text = paint.words(format!("drawn in {}\n", path.display()));
    }
    let contradiction = (timeline.verdict == Verdict::Contradiction).then(|| {
        Failure::Own(format!(
            "transaction {} is committed in one log and aborted in another",
            timeline.tx
        ))
    });
    Ok(Shown::new(timeline_in_words(timeline, paint) + &text, timeline).failing(contradiction))
}

/// In words: the verdict, each step, and where the time went.
fn timeline_in_words(timeline: &Timeline, paint: Paint) -> String {
    let table = steps(timeline, paint);
    if paint.is_rows() {
        return table;
    }
    let mut text = format!("transaction {}\n", timeline.tx);
    text += &format!("{}\n", paint.text(tone_of(timeline.verdict), &timeline.headline()));
    let mut when = format!("began at {}", utc(Time(timeline.began_us)));
    if let Some(time) = timeline.commit_time {
        when += &format!(", commit time {}", utc(Time(time)));
    }
    text += &format!("{when}\n\n");
    text += &table;
    if timeline.path.len() > 1
        && let Some(told) = timeline.told_us
    {
        text += &format!("\nWhere the {} until the verdict went:\n", duration(told));
        text += &legs(timeline, told, paint);
    }
    for note in &timeline.notes {
        text += &format!("{}\n", paint.text(Tone::Open, note));
    }
    text
}

fn steps(timeline: &Timeline, paint: Paint) -> String {
    let drawn = timeline.events.iter().enumerate().filter(|(_, event)| timeline.is_shown(event));
    let rows = drawn.map(|(number, event)| {
        let call = event.call.map(|call| &timeline.calls[call]);
        let (step, took) = match call {
            Some(call) => leg_of(timeline, call, number),
            None => (String::new(), event.took_us()),
        };
        let (tone, what) = in_words(timeline, call, event, number);
        vec![
            plain(micros(paint, event.at_us)),
            plain(timeline.name(event.lane)),
            plain(step),
            (tone, what),
            plain(took.map_or(String::new(), |took| micros(paint, took))),
        ]
    });
    let (at, took) = if paint.is_rows() { ("at us", "took us") } else { ("at", "took") };
    paint.table(&[at, "node", "line", "step", took], &["at", "took"], rows.collect())
}

/// A time in words, or its microseconds in rows, whose heading has the unit.
fn micros(paint: Paint, us: i64) -> String {
    if paint.is_rows() { us.to_string() } else { duration(us) }
}

/// Between whom a call's end is, and what time it ends: of the way there, of the bank's work, of
/// the whole.
fn leg_of(timeline: &Timeline, call: &Call, number: usize) -> (String, Option<i64>) {
    let at = |event: Option<usize>| event.map(|event| timeline.events[event].at_us);
    let now = Some(timeline.events[number].at_us);
    let since = |from: Option<i64>| now.zip(from).map(|(now, from)| now - from);
    let (from, to) = (timeline.name(call.from), timeline.name(call.to));
    let is = |end: Option<usize>| end == Some(number);
    if is(call.sent) {
        (format!("─▶ {to}"), None)
    } else if is(call.received) {
        (format!("◀─ {from}"), since(at(call.sent)))
    } else if is(call.replied) {
        (format!("─▶ {from}"), since(at(call.received)))
    } else {
        (format!("◀─ {to}"), call.took_us)
    }
}

fn in_words(
    timeline: &Timeline,
    call: Option<&Call>,
    event: &TracedEvent,
    number: usize,
) -> (Tone, String) {
    let (tone, mut words) = match call {
        Some(call) if [call.sent, call.received].contains(&Some(number)) => {
            (Tone::Plain, call.request_words())
        }
        Some(call) if call.lost => (Tone::Bad, format!("{} lost: the connection broke", call.verb)),
        Some(call) => {
            let said = call.said.as_deref().unwrap_or("");
            (tone_of_word(said), call.reply_words())
        }
        None => (tone_of_word(event.detail.as_str()), event.in_words()),
    };
    let heard =
        call.is_some_and(|call| call.answered == Some(number) && call.verb == Verb::Prepare);
    if heard
        && timeline.last_ok.is_some_and(|(bank, at)| at == event.at_us && event.bank == Some(bank))
    {
        words += " (the last OK)";
    }
    (if event.of_tx { tone } else { Tone::Open }, words)
}

fn legs(timeline: &Timeline, told: i64, paint: Paint) -> String {
    let longest = timeline.longest_leg();
    let row = |leg: &Leg| {
        let tone = if Some(leg) == longest { Tone::Open } else { Tone::Plain };
        let share = leg.took_us() * 100 / told.max(1);
        vec![
            plain(duration(leg.took_us())),
            plain(format!("{share} %")),
            plain(leg.kind.as_str()),
            (tone, leg.what.clone()),
        ]
    };
    paint.table(
        &["took", "share", "by", "what"],
        &["took", "share"],
        timeline.path.iter().map(row).collect(),
    )
}

fn tone_of(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Committed => Tone::Good,
        Verdict::Aborted | Verdict::Contradiction => Tone::Bad,
        Verdict::Undecided | Verdict::Nothing => Tone::Open,
    }
}

fn tone_of_word(said: &str) -> Tone {
    match said.split(' ').next().unwrap_or("") {
        "OK" | "COMMITTED" => Tone::Good,
        "NOK" | "ABORTED" | "ERR" => Tone::Bad,
        "DOUBT" => Tone::Open,
        _ => Tone::Plain,
    }
}

/// A transaction in a list, for programs.
#[derive(Serialize)]
struct Summary<'a> {
    tx: &'a str,
    verdict: Verdict,
    reason: Option<&'a str>,
    refused_by: Option<u8>,
    began_us: i64,
    told_us: Option<i64>,
    settled_us: Option<i64>,
    banks: &'a [u8],
    oks: &'a [u8],
    longest: Option<&'a Leg>,
}

fn list(timelines: &[Timeline], wanted: Wanted, logs: &Logs, paint: Paint) -> Shown {
    let summaries: Vec<Summary<'_>> = timelines
        .iter()
        .map(|timeline| Summary {
            tx: &timeline.tx,
            verdict: timeline.verdict,
            reason: timeline.reason.as_deref(),
            refused_by: timeline.refused_by,
            began_us: timeline.began_us,
            told_us: timeline.told_us,
            settled_us: timeline.settled_us,
            banks: &timeline.banks,
            oks: &timeline.oks,
            longest: timeline.longest_leg(),
        })
        .collect();
    let time = |time: Option<i64>| plain(time.map_or(String::new(), |time| micros(paint, time)));
    let rows = timelines.iter().map(|timeline| {
        let verdict = match (&timeline.reason, timeline.refused_by) {
            (Some(reason), Some(bank)) => {
                format!("{}: {reason} by bank {bank}", timeline.verdict.as_str())
            }
            (Some(reason), None) => format!("{}: {reason}", timeline.verdict.as_str()),
            (None, _) => timeline.verdict.as_str().to_owned(),
        };
        let most = timeline
            .longest_leg()
            .map_or(String::new(), |leg| format!("{}, {}", leg.what, duration(leg.took_us())));
        vec![
            plain(&timeline.tx),
            paint.time(Time(timeline.began_us)),
            time(timeline.told_us),
            time(timeline.settled_us),
            (tone_of(timeline.verdict), verdict),
            plain(most),
        ]
    });
    let (told, settled) =
        if paint.is_rows() { ("told us", "settled us") } else { ("told after", "settled after") };
    let headings = ["transaction", "began", told, settled, "outcome", "most of it"];
    let none = match wanted {
        Wanted::Slowest(_) => "no transaction that ended",
        Wanted::Aborted(_) => "no aborted transaction",
        Wanted::Doubtful(_) => "no transaction without an outcome",
    };
    let text = if timelines.is_empty() && !paint.is_rows() {
        format!("{none} in {}\n", logs.in_words())
    } else {
        paint.table(&headings, &["told after", "settled after"], rows.collect())
            + &paint.words("cliente trace TX shows one of them, --svg FILE draws it\n".to_owned())
    };
    Shown::new(text, &summaries)
}
