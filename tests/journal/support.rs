//! A replica that is only the list of its records, and small journals for exhaustive tests.

use consorcio::bank::PieceSink;
use consorcio::bank::io::{Outcome, OwnVote, Seq};
use consorcio::bank::record::Record;
use consorcio::ids::{BankId, Time, TxId};
use consorcio::journal::{
    Appender, Disk, JournalError, JournalOptions, JournalReader, MemDisk, Recovered, Replica,
    SegmentSizes, StateView, open,
};
use consorcio::wire::Reason;
use consorcio::wire::token::{Digest, Vote};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Default, Clone, PartialEq)]
pub struct AppliedLog {
    pub records: Vec<Record>,
    /// The last record of the restored snapshot.
    pub restored: Seq,
    /// It may forget outcomes up to this record.
    pub forgotten: Seq,
    pub refuses: bool,
}

impl Replica for AppliedLog {
    fn restore(&mut self, seq: Seq, snapshot: &[u8]) -> Result<(), String> {
        if self.refuses {
            return Err("not this one".into());
        }
        self.records = postcard::from_bytes(snapshot).map_err(|error| error.to_string())?;
        assert_eq!(self.records.len() as u64, seq);
        self.restored = seq;
        Ok(())
    }

    fn apply(&mut self, seq: Seq, record: &Record) {
        self.records.push(record.clone());
        assert_eq!(seq, self.records.len() as u64, "a record out of order");
    }

    fn forget(&mut self, indexed: Seq) {
        assert!(indexed <= self.records.len() as u64);
        self.forgotten = indexed;
    }

    fn freeze(&self) -> Box<dyn StateView> {
        Box::new(LogView(self.records.clone()))
    }
}

/// A view of a log: its records until then.
pub struct LogView(pub Vec<Record>);

impl StateView for LogView {
    fn seq(&self) -> Seq {
        self.0.len() as u64
    }

    fn write(self: Box<Self>, sink: &mut PieceSink<'_>) -> ControlFlow<()> {
        let bytes = postcard::to_stdvec(&self.0).unwrap();
        bytes.chunks(100).try_for_each(sink)
    }
}

pub fn tx(n: u64) -> TxId {
    TxId::new(&format!("t-{n}")).unwrap()
}

/// Record number `n`: short or longer, most of them deciding id `t-<n>`.
pub fn record(n: u64) -> Record {
    let time = Time(i64::try_from(n).unwrap());
    let bank = |position| BankId::new(position).unwrap();
    match n % 4 {
        0 => Record::ClockMoved { time },
        1 => Record::Refused { tx: tx(n), time, reason: Reason::Expired },
        2 => Record::Decided {
            tx: tx(n),
            own: OwnVote {
                vote: Vote::Ok,
                time: Time(7),
                digest: Some(Digest::of(&n.to_le_bytes())),
            },
            outcome: Outcome::Committed(time),
            votes: vec![(bank(0), Time(1)), (bank(2), time)],
        },
        _ => Record::Consortium {
            bank: bank(1),
            places: vec!["é:1".into(); usize::try_from(n % 23).unwrap()],
        },
    }
}

pub fn records(to: u64) -> Vec<Record> {
    (1..=to).map(record).collect()
}

/// Small segments, with all background work where the seed determines the order.
pub fn small() -> JournalOptions {
    JournalOptions {
        sizes: SegmentSizes::all(1024),
        threads: false,
        snapshot_after_segments: 0,
        new_id: Some(*b"a test's journal"),
        ..JournalOptions::default()
    }
}

pub fn with_snapshots(after: u64) -> JournalOptions {
    JournalOptions { snapshot_after_segments: after, ..small() }
}

pub type OpenedJournal = (Appender, JournalReader, Recovered, AppliedLog);

pub fn try_open(
    disk: impl Disk + 'static,
    options: JournalOptions,
) -> Result<OpenedJournal, JournalError> {
    let mut log = AppliedLog::default();
    let (appender, reader, recovered) = open(Arc::new(disk), options, &mut log)?;
    Ok((appender, reader, recovered, log))
}

pub fn must_open(disk: impl Disk + 'static, options: JournalOptions) -> OpenedJournal {
    try_open(disk, options).unwrap_or_else(|error| panic!("{error}"))
}

/// Appends the next `count` records in one batch.
pub fn append(appender: &mut Appender, count: u64) -> Result<(), JournalError> {
    let mut batch = appender.batch();
    for seq in appender.last() + 1..=appender.last() + count {
        batch.push(seq, &record(seq));
    }
    batch.end_segment_if_due(|| Box::new(LogView(records(appender.last() + count))));
    appender.append(&mut batch)
}

/// Closes the journal, makes a snapshot of all full segments, and opens it again without snapshots.
pub fn reopen_with_snapshot(appender: Appender, disk: &MemDisk) -> Appender {
    drop(appender);
    let (appender, _, recovered, _) = must_open(disk.clone(), with_snapshots(1));
    assert_eq!(recovered.snapshot, None);
    drop(appender);
    let (appender, _, recovered, _) = must_open(disk.clone(), with_snapshots(0));
    assert!(recovered.snapshot.is_some(), "{recovered}");
    appender
}

/// Appends records up to `last`, in batches of 1, 2, 3, 1, …
pub fn append_up_to(appender: &mut Appender, last: u64) {
    let mut count = 1;
    while appender.last() < last {
        append(appender, count.min(last - appender.last())).unwrap();
        count = count % 3 + 1;
    }
}

/// The applied records are those from 1 to `last`.
#[track_caller]
pub fn assert_records(log: &AppliedLog, last: Seq) {
    assert_eq!(log.records.len() as u64, last, "the number of records");
    let wrong = (1..=last).zip(&log.records).find(|(n, found)| record(*n) != **found);
    assert_eq!(wrong, None);
}

/// Waits for what a thread of the journal does.
#[track_caller]
pub fn wait_until(is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "time-out");
        std::thread::sleep(Duration::from_millis(1));
    }
}
