//! `trace`: shows a transaction by the step logs of all nodes, or finds slow, aborted and undecided
//! ones. It needs no bank, and writes no log of its own.

use super::args::TraceArguments;
use super::failure::Failure;
use super::language::{Lang, lang, say, word};
use super::output::{CommandOutput, Paint, Tone, plain, utc};
use super::table::TableLayout;
use consorcio_core::ids::{Time, TxId};
use consorcio_core::wire::verb::Verb;
use consorcio_steps::trace::{
    Caveat, Embedding, FoundTransactions, Leg, Logs, Timeline, TraceError, TraceQuery,
    TraceVerdict, TracedCall, TracedEvent, duration, reason_in_words,
};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Failure {
        let text = error.to_string();
        match error {
            TraceError::NoLogs(_) | TraceError::Unreadable { .. } => Failure::Own(text),
            TraceError::Unknown { .. } => Failure::Refused { reason: None, text },
        }
    }
}

/// `trace`: reads the logs in `log_dir` unless the arguments name others.
pub(crate) fn run(arguments: TraceArguments, log_dir: &Path, paint: Paint) -> CommandOutput {
    try_run(arguments, log_dir, paint).unwrap_or_else(CommandOutput::from)
}

fn try_run(
    arguments: TraceArguments,
    log_dir: &Path,
    paint: Paint,
) -> Result<CommandOutput, Failure> {
    let TraceArguments { tx, mut logs, svg, slowest, aborted, doubtful } = arguments;
    let query = (slowest.map(TraceQuery::Slowest))
        .or(aborted.map(TraceQuery::Aborted))
        .or(doubtful.map(TraceQuery::Doubtful));
    let tx = if tx.is_none() && query.is_none() { Some(tx_after_folders(&mut logs)?) } else { tx };
    if logs.is_empty() {
        logs.push(log_dir.to_owned());
    }
    let logs = Logs::open(&logs)?;
    match (tx, query) {
        (_, Some(query)) => Ok(list(&logs.find(query)?, query, &logs, paint)),
        (Some(tx), None) => one(&logs.timeline(tx.as_str())?, svg, paint),
        (None, None) => Err(Failure::Usage(word!("which transaction?" / "qual transação?").into())),
    }
}

/// In `trace --logs DIR TX` the last path is the id of a transaction.
fn tx_after_folders(logs: &mut Vec<PathBuf>) -> Result<TxId, Failure> {
    let last = logs.pop_if(|last| !last.exists());
    last.and_then(|last| TxId::new(last.to_str()?).ok()).ok_or_else(|| {
        let which = word!(
            "which transaction? Type its id, or --slowest, --aborted or --doubtful to find one"
                / "qual transação? Digite o seu identificador, ou --mais-lentas, --abortadas ou \
                   --duvidosas para achar uma"
        );
        Failure::Usage(which.into())
    })
}

/// Shows one transaction: as a drawing if that goes to standard output, otherwise as text.
fn one(timeline: &Timeline, svg: Option<PathBuf>, paint: Paint) -> Result<CommandOutput, Failure> {
    let mut text = String::new();
    if let Some(path) = svg {
        let drawing = timeline.svg(Embedding::File, lang());
        if path.as_os_str() == "-" {
            return Ok(CommandOutput {
                text: drawing,
                json: super::output::json(timeline),
                failure: None,
                done: None,
                is_shown: false,
            });
        }
        let written = std::fs::write(&path, drawing);
        written.map_err(|error| {
            let path = path.display();
            Failure::Own(say!(
                "{path} can't be written: {error}" / "{path} não pode ser escrito: {error}"
            ))
        })?;
        let path = path.display();
        text = paint.words(say!("drawn in {path}\n" / "desenhada em {path}\n"));
    }
    let contradiction = (timeline.verdict == TraceVerdict::Contradiction).then(|| {
        Failure::Own(format!(
            "transaction {} is committed in one log and aborted in another",
            timeline.tx
        ))
    });
    beside_rows(timeline.notes.iter(), paint);
    Ok(CommandOutput::new(timeline_in_words(timeline, paint) + &text, timeline)
        .with_failure(contradiction))
}

/// The text: the outcome, each step, and the critical path.
fn timeline_in_words(timeline: &Timeline, paint: Paint) -> String {
    let table = steps(timeline, paint);
    if paint.is_rows() {
        return table;
    }
    let tx = &timeline.tx;
    let mut text = say!("transaction {tx}\n" / "transação {tx}\n");
    text += &format!(
        "{}\n",
        paint.text(tone_of(timeline.verdict), &timeline.headline(words_in(paint)))
    );
    let began = utc(Time(timeline.began_us));
    let mut when = say!("began at {began}" / "início em {began}");
    if let Some(time) = timeline.commit_time {
        let time = utc(Time(time));
        when += &say!(", commit time {time}" / ", efetivada em {time}");
    }
    text += &format!("{when}\n\n");
    text += &table;
    if timeline.path.len() > 1
        && let Some(known) = timeline.known_us
    {
        let took = duration(known, lang());
        text += &say!(
            "\nWhere the {took} until the verdict went:\n"
                / "\nOnde ficaram os {took} até o resultado:\n"
        );
        text += &legs(timeline, known, paint);
    }
    for note in &timeline.notes {
        text += &format!("{}\n", paint.text(Tone::Open, &note.in_words(words_in(paint))));
    }
    text
}

fn steps(timeline: &Timeline, paint: Paint) -> String {
    let drawn = timeline.events.iter().enumerate().filter(|(_, event)| timeline.is_shown(event));
    let rows = drawn.map(|(number, event)| {
        let call = event.call.map(|call| &timeline.calls[call]);
        let (step, took) = match call {
            Some(call) => call_end(timeline, call, number, words_in(paint)),
            None => (String::new(), event.took_us()),
        };
        let (tone, text) = in_words(timeline, call, event, number, words_in(paint));
        vec![
            plain(micros(paint, event.at_us)),
            plain(timeline.lanes[event.lane].name_in(words_in(paint))),
            plain(step),
            (tone, text),
            plain(took.map_or(String::new(), |took| micros(paint, took))),
        ]
    });
    let (at, took) = if paint.is_rows() { ("at us", "took us") } else { ("at", "took") };
    paint.table(&[at, "node", "line", "step", took], &["at", "took"], rows.collect())
}

/// The language of the words of a table: rows are for programs, and are always in English.
fn words_in(paint: Paint) -> Lang {
    if paint.is_rows() { Lang::En } else { lang() }
}

/// A duration for people, or its microseconds in rows, whose heading has the unit.
fn micros(paint: Paint, us: i64) -> String {
    if paint.is_rows() { us.to_string() } else { duration(us, lang()) }
}

/// The direction of an end of a call, and the duration that ends there: of the network, of the
/// bank's work, or of the whole call.
fn call_end(
    timeline: &Timeline,
    call: &TracedCall,
    number: usize,
    lang: Lang,
) -> (String, Option<i64>) {
    let at = |event: Option<usize>| event.map(|event| timeline.events[event].at_us);
    let now = Some(timeline.events[number].at_us);
    let since = |from: Option<i64>| now.zip(from).map(|(now, from)| now - from);
    let name = |lane: usize| timeline.lanes[lane].name_in(lang);
    let (from, to) = (name(call.from), name(call.to));
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
    call: Option<&TracedCall>,
    event: &TracedEvent,
    number: usize,
    lang: Lang,
) -> (Tone, String) {
    let (tone, mut words) = match call {
        Some(call) if [call.sent, call.received].contains(&Some(number)) => {
            (Tone::Plain, call.request_words(lang))
        }
        Some(call) if call.lost => {
            let verb = call.verb;
            let words = match lang {
                Lang::En => format!("{verb} lost: the connection broke"),
                Lang::Pt => format!("{verb} perdido: a conexão caiu"),
            };
            (Tone::Bad, words)
        }
        Some(call) => {
            let reply = call.reply_text.as_deref().unwrap_or("");
            (tone_of_word(reply), call.reply_words())
        }
        None => (tone_of_word(event.detail.as_str()), event.in_words(lang)),
    };
    let received_vote =
        call.is_some_and(|call| call.answered == Some(number) && call.verb == Verb::Prepare);
    if received_vote
        && timeline.last_ok.is_some_and(|(bank, at)| at == event.at_us && event.bank == Some(bank))
    {
        words += match lang {
            Lang::En => " (the last OK)",
            Lang::Pt => " (o último OK)",
        };
    }
    (if event.of_tx { tone } else { Tone::Open }, words)
}

fn legs(timeline: &Timeline, whole: i64, paint: Paint) -> String {
    let longest = timeline.longest_leg();
    let row = |leg: &Leg| {
        let tone = if Some(leg) == longest { Tone::Open } else { Tone::Plain };
        let share = leg.took_us() * 100 / whole.max(1);
        vec![
            plain(duration(leg.took_us(), words_in(paint))),
            plain(format!("{share} %")),
            plain(leg.kind.in_words(words_in(paint))),
            (tone, leg.label_in(words_in(paint)).to_owned()),
        ]
    };
    paint.table(
        &["took", "share", "by", "what"],
        &["took", "share"],
        timeline.path.iter().map(row).collect(),
    )
}

fn tone_of(verdict: TraceVerdict) -> Tone {
    match verdict {
        TraceVerdict::Committed => Tone::Good,
        TraceVerdict::Aborted | TraceVerdict::Contradiction => Tone::Bad,
        TraceVerdict::Undecided | TraceVerdict::Nothing => Tone::Open,
    }
}

fn tone_of_word(text: &str) -> Tone {
    match text.split(' ').next().unwrap_or("") {
        "OK" | "COMMITTED" => Tone::Good,
        "NOK" | "ABORTED" | "ERR" => Tone::Bad,
        "DOUBT" => Tone::Open,
        _ => Tone::Plain,
    }
}

/// The JSON entry of a transaction in a list.
#[derive(Serialize)]
struct TimelineSummary<'a> {
    tx: &'a str,
    verdict: TraceVerdict,
    reason: Option<&'a str>,
    refused_by: Option<u8>,
    began_us: i64,
    told_us: Option<i64>,
    settled_us: Option<i64>,
    banks: &'a [u8],
    oks: &'a [u8],
    longest: Option<&'a Leg>,
}

fn list(found: &FoundTransactions, query: TraceQuery, logs: &Logs, paint: Paint) -> CommandOutput {
    let timelines = &found.timelines;
    let summaries: Vec<TimelineSummary<'_>> = timelines
        .iter()
        .map(|timeline| TimelineSummary {
            tx: &timeline.tx,
            verdict: timeline.verdict,
            reason: timeline.reason.as_deref(),
            refused_by: timeline.refused_by,
            began_us: timeline.began_us,
            told_us: timeline.known_us,
            settled_us: timeline.known_everywhere_us,
            banks: &timeline.banks,
            oks: &timeline.oks,
            longest: timeline.longest_leg(),
        })
        .collect();
    let lang = words_in(paint);
    let time = |time: Option<i64>| plain(time.map_or(String::new(), |time| micros(paint, time)));
    let rows = timelines.iter().map(|timeline| {
        let most = timeline.longest_leg().map_or(String::new(), |leg| {
            let what = if paint.is_rows() { &leg.label } else { leg.kind.in_words(lang) };
            format!("{what}, {}", duration(leg.took_us(), lang))
        });
        vec![
            plain(&timeline.tx),
            began(paint, timeline.began_us),
            time(timeline.known_us),
            time(timeline.known_everywhere_us),
            (tone_of(timeline.verdict), short_outcome(timeline, lang)),
            plain(most),
        ]
    });
    let (known, known_everywhere) =
        if paint.is_rows() { ("told us", "settled us") } else { ("told after", "settled after") };
    let headings = ["transaction", "began", known, known_everywhere, "outcome", "most of it"];
    let layout = TableLayout {
        headings: &headings,
        right: &["told after", "settled after"],
        below: Some("outcome"),
        spare: &["began"],
    };
    let none = match query {
        TraceQuery::Slowest(_) => {
            word!("no transaction that ended" / "nenhuma transação que terminou")
        }
        TraceQuery::Aborted(_) => word!("no aborted transaction" / "nenhuma transação abortada"),
        TraceQuery::Doubtful(_) => {
            word!("no transaction without an outcome" / "nenhuma transação sem resultado")
        }
    };
    let text = if timelines.is_empty() && !paint.is_rows() {
        let logs = logs.in_words();
        say!("{none} in {logs}\n" / "{none} em {logs}\n") + &damage(&found.damaged, paint)
    } else {
        let hint = word!(
            "cliente trace TX shows one of them, --svg FILE draws it\n"
                / "cliente rastrear TX mostra uma delas, --svg ARQUIVO a desenha\n"
        );
        let table = paint.table_of(&layout, rows.collect());
        table + &damage(&found.damaged, paint) + &paint.words(hint.to_owned())
    };
    CommandOutput::new(text, &summaries)
}

/// Rows have no place for notes, so these are on standard error.
fn beside_rows<'a>(notes: impl Iterator<Item = &'a Caveat>, paint: Paint) {
    for note in notes.filter(|_| paint.is_rows()) {
        // Nobody may read standard error.
        let _ = writeln!(io::stderr(), "cliente: {}", note.in_words(lang()));
    }
}

/// A line for each damaged file.
fn damage(files: &[PathBuf], paint: Paint) -> String {
    let notes: Vec<Caveat> = files.iter().cloned().map(Caveat::Damaged).collect();
    beside_rows(notes.iter(), paint);
    let lines = notes.iter().map(|note| note.in_words(lang()));
    lines.map(|line| paint.words(format!("{line}\n"))).collect()
}

/// The outcome, the reason of an abort, and the bank that refused.
fn short_outcome(timeline: &Timeline, lang: Lang) -> String {
    let word = timeline.verdict.in_words(lang);
    let reason = timeline.reason.as_deref().map(|name| reason_in_words(name, lang));
    match (reason, timeline.refused_by, lang) {
        (Some(reason), Some(bank), Lang::En) => format!("{word}: {reason} by bank {bank}"),
        (Some(reason), Some(bank), Lang::Pt) => format!("{word}: {reason} pelo banco {bank}"),
        (Some(reason), None, _) => format!("{word}: {reason}"),
        (None, _, _) => word.to_owned(),
    }
}

/// When a transaction began: for people without the day, which is that of the log in most cases,
/// and to the millisecond; `trace TX` shows all of it.
fn began(paint: Paint, began_us: i64) -> (Tone, String) {
    let (tone, whole) = paint.time(Time(began_us));
    if paint.is_rows() {
        return (tone, whole);
    }
    let time = whole.split(' ').nth(1).unwrap_or(&whole);
    (tone, time.chars().take(12).collect())
}
