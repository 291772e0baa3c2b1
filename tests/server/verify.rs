//! `servidor verify`: each snapshot of a journal against a replay.

use super::refused_start::copy_folder;
use super::run;
use super::start::refused;
use crate::support::servidor_path;
use consorcio::bank::io::Seq;
use consorcio::bank::record::Record;
use consorcio::bank::{Core, FrozenBank, Identity, PieceSink};
use consorcio::ids::{BankId, Time};
use consorcio::journal::{self, BankReplica, FileDisk, JournalOptions, SegmentSizes, StateView};
use consorcio::wire::token::Seal;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A view that says that it is as of record `seq`.
struct LaggingView(Seq, FrozenBank);

impl StateView for LaggingView {
    fn seq(&self) -> Seq {
        self.0
    }

    fn write(self: Box<Self>, sink: &mut PieceSink<'_>) -> ControlFlow<()> {
        self.1.write(sink)
    }
}

/// Makes a journal of short segments with snapshots; with `lag` of the bank one record earlier.
fn make_journal(folder: &Path, lag: bool) {
    let bank = BankId::new(0).expect("a bank");
    let places = vec!["127.0.0.1:8886".to_owned()];
    let identity = Identity { bank, places: places.clone(), seal: Seal::keyed([7; 32]) };
    let options = JournalOptions {
        sizes: SegmentSizes::all(2048),
        threads: false,
        ..JournalOptions::default()
    };
    let disk = Arc::new(FileDisk::open(folder).expect("a folder"));
    let mut core = Core::new(identity.clone());
    let mut replica = BankReplica::new(identity);
    let (mut appender, ..) = journal::open(disk, options, &mut replica).expect("a new journal");
    for seq in 1..300u64 {
        let record = match i64::try_from(seq).expect("a small number") {
            1 => Record::Consortium { bank, places: places.clone() },
            time => Record::ClockMoved { time: Time(time) },
        };
        let before = core.clone();
        core.apply(&record);
        let mut batch = appender.batch();
        batch.push(seq, &record);
        let shown = if lag { &before } else { &core };
        batch.end_segment_if_due(|| Box::new(LaggingView(seq, shown.freeze())));
        appender.append(&mut batch).expect("it appends");
    }
    appender.close().expect("it ends");
}

#[test]
fn snapshots_are_verified_with_sentences_and_an_exit_code() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let [good, late] = ["good", "late"].map(|name| folder.path().join(name));
    let verify = |folder: &Path| run(Command::new(servidor_path()).arg("verify").arg(folder));
    make_journal(&good, false);
    let ran = verify(&good);
    assert_eq!(ran.stderr.matches(": this snapshot is as the replay").count(), 2, "{ran:?}");
    assert!(ran.stderr.contains("good: 299 records replayed, 2 snapshots compared"), "{ran:?}");
    ran.expect_code(0);

    make_journal(&late, true);
    let ran = verify(&late);
    assert_eq!(ran.stderr.matches("DIFFERS from the replay, first at byte ").count(), 2, "{ran:?}");
    assert!(ran.stderr.contains("move this snapshot away"), "{ran:?}");
    ran.expect_code(1);

    let names = std::fs::read_dir(&good).expect("a folder").map(|entry| entry.expect("a file"));
    let snapshot = names.map(|file| file.path()).find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snapshot-"))
    });
    let snapshot = snapshot.expect("a snapshot");
    let mut bytes = std::fs::read(&snapshot).expect("it can be read");
    bytes[130] ^= 1;
    std::fs::write(&snapshot, bytes).expect("it can be written");
    let ran = verify(&good);
    assert!(
        ran.stderr.contains("can't be used, and a start does not use it: its checksum"),
        "{ran:?}"
    );
    ran.expect_code(1);

    refused(verify(&folder.path().join("nowhere")), 1, "nowhere: this folder can't be read");
    refused(verify(folder.path()), 1, "no journal is in this folder");
}

/// A snapshot of an earlier version has other bytes; it is no fault.
#[test]
fn a_snapshot_of_an_earlier_version_is_not_compared() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal-format-1");
    let journal = folder.path().join("journal");
    copy_folder(&fixture.join("journal"), &journal);
    let ran = run(Command::new(servidor_path()).arg("verify").arg(&journal));
    assert!(ran.stderr.contains("an earlier version wrote this snapshot"), "{ran:?}");
    ran.expect_code(0);
}
