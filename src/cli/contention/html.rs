//! The report of a run as one page: nothing in it is fetched from elsewhere.
//!
//! What clients saw comes from the tally; when nodes were down, and the pictures of transactions,
//! come from the step logs.

use super::super::failure::Failure;
use super::super::language::{lang, say, word};
use super::super::output::{Tone, utc};
use super::charts::{Chart, Series, escaped, millis, name, second};
use super::history::{RunHistory, RunSlice};
use super::report::{ContentionLatency, ContentionReport};
use super::style::STYLE;
use consorcio_core::ids::Time;
use consorcio_core::limits::{CONTENTION_DRAWN_MAX, CONTENTION_OUTAGES_MAX};
use consorcio_steps::trace::{Embedding, Logs, Outage, Timeline, TraceError, TraceQuery, duration};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The file of the page. It is opened before the run, so that a wrong path is found before it, and
/// keeps what it has until there is a page.
pub(super) struct PageFile {
    path: PathBuf,
    /// It was created for this run, and has no page yet.
    is_empty: bool,
}

impl Drop for PageFile {
    fn drop(&mut self) {
        if self.is_empty {
            // Somebody may have removed it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl PageFile {
    pub(super) fn open(path: &Path) -> Result<PageFile, Failure> {
        let path = path.to_owned();
        let is_empty = !path.exists();
        let opened = File::options().append(true).create(true).open(&path);
        opened.map_err(|error| cannot_write(&path, &error))?;
        Ok(PageFile { path, is_empty })
    }

    /// Writes the page, with what the logs in `log_dir` say about the run.
    pub(super) fn write(
        &mut self,
        report: &ContentionReport,
        history: &RunHistory,
        log_dir: &Path,
    ) -> Result<(), Failure> {
        let (outages, slowest, missing) = match from_logs(report, history, log_dir) {
            Ok((outages, slowest)) => (outages, slowest, None),
            Err(error) => (Vec::new(), Vec::new(), Some(error.to_string())),
        };
        let page = ReportPage { report, history, outages, slowest, missing }.html();
        self.is_empty = false;
        std::fs::write(&self.path, page).map_err(|error| cannot_write(&self.path, &error))
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    Failure::Own(say!("{path} can't be written: {error}" / "{path} não pode ser escrito: {error}"))
}

/// The outages during the run, and its slowest transactions.
fn from_logs(
    report: &ContentionReport,
    history: &RunHistory,
    log_dir: &Path,
) -> Result<(Vec<Outage>, Vec<Timeline>), TraceError> {
    let logs = Logs::open(&[log_dir.to_owned()])?;
    let outages = logs.outages(history.span(), CONTENTION_OUTAGES_MAX)?;
    // The logs may hold other runs; the ids of this one begin with its name.
    let mut slowest = logs.find(TraceQuery::Slowest(10 * CONTENTION_DRAWN_MAX))?.timelines;
    slowest.retain(|timeline| timeline.tx.starts_with(&report.run));
    slowest.truncate(CONTENTION_DRAWN_MAX);
    Ok((outages, slowest))
}

struct ReportPage<'a> {
    report: &'a ContentionReport,
    history: &'a RunHistory,
    outages: Vec<Outage>,
    slowest: Vec<Timeline>,
    /// Why the logs could not be read.
    missing: Option<String>,
}

impl ReportPage<'_> {
    fn html(&self) -> String {
        let run = &self.report.run;
        let title = say!("Contention run {run}" / "Disputa {run}");
        let mut page = format!(
            "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n",
            lang().code()
        );
        self.verdict(&mut page);
        self.facts(&mut page);
        self.throughput(&mut page);
        self.latency(&mut page);
        self.faults(&mut page);
        self.refusals(&mut page);
        self.pictures(&mut page);
        page.push_str("</body></html>\n");
        page
    }

    fn verdict(&self, page: &mut String) {
        let (tone, sentence) = self.report.sentence();
        let class = match tone {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Open | Tone::Plain => "open",
        };
        let _ = write!(page, "<p class=\"verdict {class}\">{}</p>\n<ul>", escaped(&sentence));
        for (check, holds) in self.report.checks() {
            let mark = match holds {
                Some(true) => "✓",
                Some(false) => "✗",
                None => "?",
            };
            let _ = write!(page, "<li>{mark} {check}</li>");
        }
        page.push_str("</ul>\n");
    }

    fn facts(&self, page: &mut String) {
        let report = self.report;
        let began = utc(Time(self.history.began_us));
        let ContentionLatency { p50, p90, p99, max } = report.latency_us;
        let us = |us: u64| duration(i64::try_from(us).unwrap_or(i64::MAX), lang());
        let hot = format!("{} ({} %)", report.accounts, report.hot_percent);
        let latency = format!("{} · {} · {} · {}", us(p50), us(p90), us(p99), us(max));
        let doubt = format!(
            "{} ({} / {})",
            report.in_doubt, report.in_doubt_committed, report.in_doubt_aborted
        );
        let committed = format!("{} ({}/s)", report.committed, report.committed_per_s);
        let clients = say!(
            "{clients}, {seconds} s" / "{clients}, {seconds} s",
            clients = report.clients,
            seconds = report.seconds,
        );
        let facts = [
            (word!("began" / "início"), began),
            (word!("clients" / "clientes"), clients),
            (word!("accounts a bank (hot)" / "contas por banco (concentração)"), hot),
            (word!("seed" / "semente"), report.seed.to_string()),
            (word!("committed" / "efetivadas"), committed),
            (word!("p50 · p90 · p99 · max" / "p50 · p90 · p99 · máx."), latency),
            (word!("reads" / "leituras"), report.reads.to_string()),
            (
                word!(
                    "in doubt (then committed / aborted)"
                        / "em dúvida (depois efetivadas / abortadas)"
                ),
                doubt,
            ),
            (word!("lost connections" / "conexões perdidas"), report.connections_lost.to_string()),
            (word!("cuts that added up" / "cortes que conferem"), report.cuts.to_string()),
        ];
        page.push_str("<dl>");
        for (fact, value) in facts {
            let _ = write!(page, "<div><dt>{fact}</dt><dd>{value}</dd></div>");
        }
        page.push_str("</dl>\n");
    }

    fn throughput(&self, page: &mut String) {
        let slice_ms = millis(self.history.slice).max(1);
        let rates = |count: fn(&RunSlice) -> u64| {
            let rate = |slice: &RunSlice| Some(count(slice).saturating_mul(1_000) / slice_ms);
            self.history.slices.iter().map(rate).collect()
        };
        let committed =
            Series { class: "area", values: rates(|slice| slice.committed), filled: true };
        let refused =
            Series { class: "line bad", values: rates(|slice| slice.refused), filled: false };
        let _ = writeln!(
            page,
            "<h2>{}</h2><p class=\"legend\"><i class=\"ok\"></i>{} <i class=\"bad\"></i>{}{}</p>",
            word!("Transactions a second" / "Transações por segundo"),
            word!("committed" / "efetivadas"),
            word!("refused or aborted" / "recusadas ou abortadas"),
            self.band_legend(),
        );
        page.push_str(&self.chart(vec![committed, refused], false, |value| value.to_string()));
    }

    fn latency(&self, page: &mut String) {
        let quantiles = |quantile: f64| {
            let value = |slice: &RunSlice| {
                (slice.committed > 0).then(|| slice.latency_us.value_at_quantile(quantile))
            };
            self.history.slices.iter().map(value).collect()
        };
        let series = [("line ask", 0.5), ("line sync", 0.99), ("line max", 1.0)];
        let series = series.map(|(class, quantile)| Series {
            class,
            values: quantiles(quantile),
            filled: false,
        });
        let _ = writeln!(
            page,
            "<h2>{}</h2><p class=\"legend\"><i class=\"ask\"></i>p50 <i class=\"sync\"></i>p99 \
             <i class=\"max\"></i>{}{}</p>",
            word!("Latency of committed transactions" / "Tempo das transações efetivadas"),
            word!("max" / "máx."),
            self.band_legend(),
        );
        page.push_str(&self.chart(series.into(), true, |us| match us {
            1_000_000.. => format!("{} s", us / 1_000_000),
            1_000.. => format!("{} ms", us / 1_000),
            _ => format!("{us} µs"),
        }));
    }

    fn band_legend(&self) -> String {
        if self.outages.is_empty() {
            return String::new();
        }
        format!(" <i class=\"down\"></i>{}", word!("a node was down" / "um nó fora do ar"))
    }

    fn chart(&self, series: Vec<Series>, is_logarithmic: bool, label: fn(u64) -> String) -> String {
        let (history, outages) = (self.history, &self.outages[..]);
        Chart { history, outages, series, is_logarithmic, label }.html()
    }

    fn faults(&self, page: &mut String) {
        let _ = writeln!(page, "<h2>{}</h2>", word!("Faults" / "Falhas"));
        if let Some(missing) = &self.missing {
            let missing = escaped(missing);
            let _ = writeln!(page, "<p>{missing}</p>");
            return;
        }
        if self.outages.is_empty() {
            let none = word!(
                "No node ended during the run, by the step logs."
                    / "Nenhum nó terminou durante a disputa, segundo os logs."
            );
            let _ = writeln!(page, "<p>{none}</p>");
            return;
        }
        let _ = write!(
            page,
            "<div class=\"scroll\"><table><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr>",
            word!("at" / "quando"),
            word!("node" / "nó"),
            word!("end" / "fim"),
            word!("down for" / "fora por"),
        );
        for outage in &self.outages {
            let since_us = (outage.from_us - self.history.began_us).max(0);
            let since_ms = u64::try_from(since_us / 1_000).unwrap_or(0);
            let end = if outage.was_killed {
                word!("killed" / "morto")
            } else {
                word!("stopped" / "parado")
            };
            let _ = write!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{end}</td><td>{}</td></tr>",
                second(since_ms),
                name(outage),
                if outage.bank.is_some() {
                    duration(outage.to_us - outage.from_us, lang())
                } else {
                    String::new()
                }
            );
        }
        page.push_str("</table></div>\n");
    }

    fn refusals(&self, page: &mut String) {
        let _ = writeln!(
            page,
            "<h2>{}</h2>",
            word!("Refused and aborted, by reason" / "Recusadas e abortadas, por motivo")
        );
        let both: [(&str, &BTreeMap<&str, u64>); 2] =
            [("NOK", &self.report.nok), (word!("aborted" / "abortadas"), &self.report.aborted)];
        let most = both.iter().flat_map(|(_, by)| by.values()).max().copied().unwrap_or(0).max(1);
        page.push_str("<div class=\"bars\">");
        for (kind, by) in both {
            for (reason, count) in by {
                let percent = count.saturating_mul(100) / most;
                let _ = write!(
                    page,
                    "<span>{kind} {reason}</span><svg height=\"14\"><rect width=\"{}%\" \
                     height=\"14\" rx=\"2\"/></svg><b>{count}</b>",
                    percent.max(1)
                );
            }
        }
        page.push_str("</div>\n");
    }

    fn pictures(&self, page: &mut String) {
        let _ = writeln!(
            page,
            "<h2>{}</h2>",
            word!("The slowest transactions" / "As transações mais lentas")
        );
        if self.slowest.is_empty() {
            let none = word!(
                "The step logs do not show them: none were found, or other runs in the same \
                 folder (--log-dir) were slower."
                    / "Os logs não as mostram: não há logs, ou outras disputas na mesma pasta \
                       (--log-dir) foram mais lentas."
            );
            let _ = writeln!(page, "<p>{none}</p>");
        }
        for timeline in &self.slowest {
            let picture = timeline.svg(Embedding::Page, lang());
            let _ = writeln!(page, "<section>{picture}</section>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_interrupted_leaves_the_file_as_it_was() {
        let folder = tempfile::TempDir::new().unwrap();
        let (kept, new) = (folder.path().join("kept.html"), folder.path().join("new.html"));
        std::fs::write(&kept, "a page").unwrap();
        for path in [&kept, &new] {
            drop(PageFile::open(path).unwrap());
        }
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "a page");
        assert!(!new.exists(), "no empty page stays");
        assert!(PageFile::open(&folder.path().join("none/x.html")).is_err());
    }
}
