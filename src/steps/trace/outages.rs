//! The times at which nodes were down: a start after lines of an earlier process says that this one
//! ended between them. One pass over the logs; only starts, ends and the line before are looked at.

use super::TraceError;
use super::blocks::{Blocks, lines};
use super::files::{Logs, NodeLog};
use super::gather::each_at_once;
use crate::line::{quick_columns, time};
use consorcio_core::limits::STEP_TIME_BYTES_MAX;

/// A time without a process of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// The name of the node, from its log.
    pub node: String,
    /// Its position, if it is a bank.
    pub bank: Option<u8>,
    /// When it ended, in microseconds since 1970: a bank after its last line, some milliseconds
    /// before what it had not written yet. A client writes seldom, and may have been idle; so its
    /// outage begins where it ends.
    pub from_us: i64,
    /// When a bank accepted connections again, or a client began.
    pub to_us: i64,
    /// Whether it ended without a word, as `kill -9` ends it.
    pub was_killed: bool,
}

impl Logs {
    /// The outages that overlap a span of time in microseconds since 1970, in their order; the
    /// oldest `most` of them.
    ///
    /// # Errors
    /// If a log can't be read.
    pub fn outages(&self, span: (i64, i64), most: usize) -> Result<Vec<Outage>, TraceError> {
        self.steadily(|logs| {
            let mut all = Vec::new();
            for found in each_at_once(&logs.nodes, |node| outages_of(node, span, most)) {
                all.extend(found?);
            }
            all.sort_by_key(|outage| outage.from_us);
            all.truncate(most);
            Ok(all)
        })
    }
}

/// The last line that was seen: its first bytes, which have its time, and whether it is an end.
#[derive(Default)]
struct LastLine {
    begin: Vec<u8>,
    is_stop: bool,
}

fn outages_of(
    log: &NodeLog,
    (from_us, to_us): (i64, i64),
    most: usize,
) -> Result<Vec<Outage>, TraceError> {
    let mut found: Vec<Outage> = Vec::new();
    let mut last = LastLine::default();
    // A bank that has started and is not ready yet.
    let mut starting: Option<Outage> = None;
    for path in &log.files {
        let failed = |source| TraceError::Unreadable { path: path.clone(), source };
        let mut blocks = Blocks::open(path, 0).map_err(failed)?;
        while let Some((offset, block)) = blocks.next().map_err(failed)? {
            lines(offset, block, |_, line| {
                let event = quick_columns(line).map_or(&b""[..], |(event, _)| event);
                if event == b"start" {
                    let (ended, began) = (time(&last.begin), time(line));
                    // A process that died while it started has no other outage of its own.
                    if starting.is_none()
                        && let (Some(ended), Some(began)) = (ended, began)
                    {
                        starting = Some(Outage {
                            node: log.name.clone(),
                            bank: log.bank,
                            from_us: ended,
                            to_us: began,
                            was_killed: !last.is_stop,
                        });
                    }
                }
                let is_up = event == b"ready" || !log.is_of_a_bank();
                if is_up && let Some(mut outage) = starting.take() {
                    outage.to_us = time(line).unwrap_or(outage.to_us);
                    if !log.is_of_a_bank() {
                        outage.from_us = outage.to_us;
                    }
                    // A client that has done its work is no outage.
                    let counts = outage.was_killed || log.is_of_a_bank();
                    let overlaps = outage.to_us > from_us && outage.from_us < to_us;
                    if counts && overlaps && found.len() < most {
                        found.push(outage);
                    }
                }
                last.is_stop = event == b"stop";
                last.begin.clear();
                last.begin.extend_from_slice(&line[..line.len().min(STEP_TIME_BYTES_MAX)]);
                true
            });
        }
    }
    if let Some(mut outage) = starting.filter(|outage| outage.from_us < to_us) {
        // It never came back.
        outage.to_us = to_us.max(outage.from_us);
        found.push(outage);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::written::TestLogs;

    #[test]
    fn a_start_after_a_line_is_an_outage() {
        let bank = "
            0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
            10 ready - - 10.0.0.1:86
            500 sync - - upto=3 records=1 bytes=200 took_us=200
            900 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
            1200 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
            1300 ready - - 10.0.0.1:86
            2000 stop - - SIGTERM
            2500 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
            2600 ready - - 10.0.0.1:86";
        let client = "
            50 start - - cliente-1 set
            60 stop - - done
            100 start - - cliente-1 set
            700 start - - cliente-1 set";
        let logs = TestLogs::new().log("servidor-86", 0, bank).log("cliente-1", 0, client);
        assert_outages(&logs);
        assert_outages(&logs.in_objects("servidor-86").in_objects("cliente-1"));
    }

    fn assert_outages(logs: &TestLogs) {
        let begin = 1_795_325_931_000_000;
        let found = |span: (i64, i64), most| {
            let outages = logs.logs().outages((begin + span.0, begin + span.1), most).unwrap();
            let short = outages.iter().map(|outage| {
                let (from, to) = (outage.from_us - begin, outage.to_us - begin);
                (outage.bank, from, to, outage.was_killed)
            });
            short.collect::<Vec<_>>()
        };
        let all =
            [(Some(0), 500, 1300, true), (None, 700, 700, true), (Some(0), 2000, 2600, false)];
        assert_eq!(found((0, 9_000), 10), all);
        assert_eq!(found((0, 9_000), 2), all[..2]);
        assert_eq!(found((1_400, 9_000), 10), all[2..]);
        assert_eq!(found((0, 90), 10), []);
    }
}
