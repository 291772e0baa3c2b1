//! `audit --watch`: repeated cuts, one line each, until Ctrl-C; then a summary.

use super::super::Context;
use super::super::failure::Failure;
use super::super::language::{say, term};
use super::super::output::{CommandOutput, ErrorDocument, ErrorPart, Tone, json, plain, utc};
use super::{AuditDocument, SUM_HEADINGS, document, failure, take, verdict};
use consorcio_audit::cut::Sums;
use consorcio_client::BankClock;
use consorcio_core::money::Total;
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

#[derive(Default, Serialize)]
struct WatchSummary {
    cuts: u64,
    holds: u64,
    unknown: u64,
    broken: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

/// Takes cuts at an interval, each at or after the one before, until Ctrl-C or until standard
/// output is closed.
pub(super) async fn run(context: &Context, every: Duration, accounts: bool) -> CommandOutput {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut summary = WatchSummary::default();
    let mut worst: Option<Failure> = None;
    let mut last: Option<BankClock> = None;
    if context.paint.is_rows()
        && print_line(context.paint.table(&headings(), &[], Vec::new()).trim_end()).is_err()
    {
        return CommandOutput::new(String::new(), &summary);
    }
    loop {
        let next = async {
            ticks.tick().await;
            take(context, last, accounts).await
        };
        let taken = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                crate::watch::erase_echo();
                break;
            }
            taken = next => taken,
        };
        summary.cuts += 1;
        let (line, failed) = match &taken {
            Ok(taken) => {
                last = Some(taken.at);
                let failed = failure(taken);
                match verdict(taken) {
                    "holds" => summary.holds += 1,
                    "broken" => summary.broken += 1,
                    _ => summary.unknown += 1,
                }
                (
                    line(context, &document(taken, accounts, failed.as_ref()), failed.as_ref()),
                    failed,
                )
            }
            Err(failed) => {
                summary.unknown += 1;
                (no_cut(context, failed), Some(failed.clone()))
            }
        };
        worst = worse(worst, failed);
        let counts = summary.in_words();
        context.interrupt_notice.set(say!("interrupted: {counts}" / "interrompido: {counts}"));
        if print_line(&line).is_err() {
            break;
        }
    }
    summary.error = worst.as_ref().map(ErrorPart::of);
    let words = summary.in_words() + "\n";
    let tone = if worst.is_none() { Tone::Good } else { Tone::Bad };
    CommandOutput::new(context.paint.words(context.paint.text(tone, &words)), &summary)
        .with_failure(worst)
}

/// The line of a cut to which no bank answered.
fn no_cut(context: &Context, failed: &Failure) -> String {
    if context.paint.is_json() {
        json(&ErrorDocument::of(failed))
    } else if context.paint.is_rows() {
        format!("\tunknown\t\t\t\t\t\t{failed}")
    } else {
        context.paint.text(Tone::Open, &format!("{}: {failed}", term("no cut")))
    }
}

impl WatchSummary {
    fn in_words(&self) -> String {
        let WatchSummary { cuts, holds, unknown, broken, .. } = self;
        say!(
            "{cuts} cuts: {holds} add up, {broken} do not, {unknown} without a verdict"
                / "{cuts} cortes: {holds} conferem, {broken} não, {unknown} sem resultado"
        )
    }
}

/// The headings of its rows.
fn headings() -> Vec<&'static str> {
    let [sums @ .., _] = &SUM_HEADINGS;
    [&["time", "verdict"][..], sums, &["why"]].concat()
}

/// The line of a cut.
fn line(context: &Context, document: &AuditDocument<'_>, failed: Option<&Failure>) -> String {
    let paint = context.paint;
    let why = failed.map(ToString::to_string).unwrap_or_default();
    if paint.is_json() {
        return json(document);
    }
    if paint.is_rows() {
        let total = document.total;
        let money = |part: fn(&Sums) -> i128| {
            total.map_or_else(|| plain(""), |sums| paint.money(part(&sums)))
        };
        let cells = [
            paint.time(document.time),
            plain(document.verdict),
            money(|sums| sums.balance_total),
            money(|sums| sums.cash_in_total),
            money(|sums| sums.cash_out_total),
            money(|sums| sums.transfers_in_total),
            money(|sums| sums.transfers_out_total),
            plain(why),
        ];
        let rows = paint.table(&headings(), &[], vec![cells.to_vec()]);
        return rows.lines().nth(1).unwrap_or_default().to_owned();
    }
    let time = utc(document.time);
    match (failed, &document.total) {
        (None, Some(total)) => {
            let verdict = paint.text(Tone::Good, term("adds up"));
            let balance = Total(total.balance_total);
            let (cash_in, cash_out) = (Total(total.cash_in_total), Total(total.cash_out_total));
            let moved = Total(total.transfers_in_total);
            say!(
                "{time}  {verdict}  {balance} = cash in {cash_in} - cash out {cash_out}; moved \
                    {moved}"
                    / "{time}  {verdict}  {balance} = entradas {cash_in} - saídas {cash_out}; \
                    movidos {moved}"
            )
        }
        _ => {
            let (tone, word) = if document.verdict == "broken" {
                (Tone::Bad, "BROKEN")
            } else {
                (Tone::Open, "no verdict")
            };
            format!("{time}  {}  {why}", paint.text(tone, term(word)))
        }
    }
}

/// The worse of two failures: a broken cut, or else the first failure.
fn worse(before: Option<Failure>, now: Option<Failure>) -> Option<Failure> {
    match (&before, &now) {
        (Some(Failure::Own(_)), _) => before,
        (_, Some(Failure::Own(_))) | (None, _) => now,
        (Some(_), _) => before,
    }
}

/// Prints a line and flushes it.
fn print_line(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
