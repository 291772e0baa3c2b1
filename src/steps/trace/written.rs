//! Handwritten logs for tests: three nodes that commit a transaction, and variations.

use super::{Caveat, Logs, Timeline};
use consorcio_words::Lang;
use std::fs;
use tempfile::TempDir;

/// A folder of logs. In the text of a log each line has a time in microseconds, then event, tx and
/// peer without their names, then the fields.
pub(super) struct TestLogs(pub(super) TempDir);

impl TestLogs {
    pub(super) fn new() -> TestLogs {
        TestLogs(tempfile::tempdir().unwrap())
    }

    /// Writes the log of a node whose clock is off by `wrong_us`.
    pub(super) fn log(self, name: &str, wrong_us: i64, text: &str) -> TestLogs {
        let lines: Vec<String> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| at(line, wrong_us))
            .collect();
        fs::write(self.0.path().join(format!("{name}.log")), lines.concat()).unwrap();
        self
    }

    pub(super) fn add(self, name: &str, bytes: &[u8]) -> TestLogs {
        let path = self.0.path().join(format!("{name}.log"));
        let mut all = fs::read(&path).unwrap_or_default();
        all.extend_from_slice(bytes);
        fs::write(path, all).unwrap();
        self
    }

    /// Rewrites a log as JSON objects.
    pub(super) fn in_objects(self, name: &str) -> TestLogs {
        let path = self.0.path().join(format!("{name}.log"));
        let mut objects = Vec::new();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let line = crate::line::LogLine::parse(line.as_bytes()).unwrap();
            let entry = crate::line::Entry { at_us: line.at_us, step: line.step().unwrap() };
            crate::line::Formatter::json(Vec::new()).write(&mut objects, &entry);
        }
        assert!(objects.starts_with(b"{\"at\":"));
        fs::write(path, objects).unwrap();
        self
    }

    pub(super) fn logs(&self) -> Logs {
        Logs::open(&[self.0.path().to_owned()]).unwrap()
    }

    pub(super) fn timeline(&self) -> Timeline {
        self.logs().timeline("t").unwrap()
    }
}

/// The English text of a note.
pub(super) fn said(note: &Caveat) -> String {
    note.in_words(Lang::En)
}

pub(super) fn at(line: &str, wrong_us: i64) -> String {
    let mut words = line.trim().splitn(5, ' ');
    let mut next = || words.next().unwrap_or("");
    let (time, event, tx, peer, rest) = (next(), next(), next(), next(), next());
    // Times count from 2026-11-22T05:38:51Z, in the format of the step log.
    let us = 1_795_325_931_000_000 + time.parse::<i64>().unwrap() + wrong_us;
    let second = jiff::Timestamp::from_second(us.div_euclid(1_000_000)).unwrap();
    let second = second.to_string();
    let (second, micros) = (second.trim_end_matches('Z'), us.rem_euclid(1_000_000));
    let column = |name: &str, value: &str| match value {
        "-" => String::new(),
        value => format!("{name}={value} "),
    };
    let (tx, peer) = (column("tx", tx), column("peer", peer));
    format!("{second}.{micros:06}Z {event:<7} {tx}{peer}{rest}").trim_end().to_owned() + "\n"
}

pub(super) const CLIENT: &str = "
    0 start - - cliente-1 transfer
    10 connect - 10.0.0.1:86 bank=0 from=10.0.0.9:1000
    11 connect - 10.0.0.2:87 bank=1 from=10.0.0.9:1001
    100 send t 10.0.0.1:86 bank=0 PREPARE ops=2 banks=0,1 port=1000 n=2
    101 send t 10.0.0.2:87 bank=1 PREPARE ops=2 banks=0,1 port=1001 n=2
    500 answer t 10.0.0.1:86 bank=0 PREPARE OK time=5 by=0 port=1000 n=2
    900 answer t 10.0.0.2:87 bank=1 PREPARE OK time=7 by=1 port=1001 n=2
    910 verdict t - COMMITTED time=7 oks=2/2
    915 send t 10.0.0.1:86 bank=0 COMMIT tokens=2 port=1000 n=3
    916 send t 10.0.0.2:87 bank=1 COMMIT tokens=2 port=1001 n=3
    1200 answer t 10.0.0.1:86 bank=0 COMMIT COMMITTED time=7 by=0 port=1000 n=3
    1300 answer t 10.0.0.2:87 bank=1 COMMIT COMMITTED time=7 by=1 port=1001 n=3";

pub(super) const ZERO: &str = "
    0 start - - servidor 0.1.0 bank 0 of 10.0.0.1:86,10.0.0.2:87
    150 recv t 10.0.0.9:1000 PREPARE ops=2 banks=0,1 n=2
    160 vote t - OK time=5 ops=2 banks=0,1 seq=3
    400 sync - - upto=3 records=1 bytes=200 took_us=200
    410 reply t 10.0.0.9:1000 OK time=5 by=0 n=2
    1000 recv t 10.0.0.9:1000 COMMIT tokens=2 n=3
    1010 outcome t - COMMITTED time=7 seq=4
    1020 reply t 10.0.0.9:1000 COMMITTED time=7 by=0 n=3
    6000 sync - - upto=4 records=1 bytes=100 took_us=150";

pub(super) const ONE: &str = "
    0 start - - servidor 0.1.0 bank 1 of 10.0.0.1:86,10.0.0.2:87
    200 recv t 10.0.0.9:1001 PREPARE ops=2 banks=0,1 n=2
    300 vote t - OK time=7 ops=2 banks=0,1 seq=9
    350 sync - - upto=8 records=4 bytes=800 took_us=170
    800 sync - - upto=9 records=2 bytes=400 took_us=420
    810 reply t 10.0.0.9:1001 OK time=7 by=1 n=2
    1100 recv t 10.0.0.9:1001 COMMIT tokens=2 n=3
    1110 outcome t - COMMITTED time=7 seq=10
    1120 reply t 10.0.0.9:1001 COMMITTED time=7 by=1 n=3
    6100 sync - - upto=10 records=1 bytes=100 took_us=150";

/// The log as a version without request numbers wrote it.
pub(super) fn without_numbers(text: &str) -> String {
    let is_number = |word: &&str| word.starts_with("n=") || word.starts_with("port=");
    let line =
        |line: &str| line.split(' ').filter(|word| !is_number(word)).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn committed(wrong: [i64; 3]) -> TestLogs {
    TestLogs::new().log("cliente-1", wrong[0], CLIENT).log("servidor-86", wrong[1], ZERO).log(
        "servidor-87",
        wrong[2],
        ONE,
    )
}
