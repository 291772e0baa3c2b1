//! Tests of transactions that memory has evicted and only the journal still holds: found, or
//! unreadable.

use super::{NOW, bank, bank_with, later, prepare, released, request, sync, with_account};
use crate::writer::Writer;
use consorcio_core::bank::io::Input;
use consorcio_core::commit::message::{PeerVerb, RequestKey};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::UNREADABLE_LOGGED_MS;
use consorcio_journal::{Appender, Faults, MemDisk, NoticeSink};
use consorcio_steps::steplog::{Entry, Step};
use std::sync::{Arc, Mutex, PoisonError};

/// A bank whose memory has evicted the first outcomes, `r0` among them; full segments hold them.
fn bank_with_past(disk: &MemDisk) -> (Writer, Appender) {
    let (mut writer, mut appender) = bank(disk);
    evict_first_outcomes(&mut writer, &mut appender);
    (writer, appender)
}

fn evict_first_outcomes(writer: &mut Writer, appender: &mut Appender) {
    with_account(writer, appender);
    let (mut n, mut out) = (0, Vec::new());
    while writer.core().knows(&TxId::new("r0").unwrap()) || n == 0 {
        for _ in 0..4_000 {
            writer.step(NOW, request(2, n, &format!("RESOLVE r{n}")), &mut out);
            n += 1;
        }
        sync(writer, appender, &mut out);
        writer.step(NOW, Input::Tick, &mut out);
        out.clear();
        assert!(n < 1_000_000, "memory never evicts an outcome");
    }
}

/// Makes the record of `r0` unreadable.
fn damage_r0(disk: &MemDisk) {
    let held = (1..9).map(|number| format!("segment-{number:010}")).find_map(|name| {
        let bytes = disk.get(&name);
        let at = bytes.windows(3).position(|window| window == b"\x02r0")?;
        Some((name, bytes, at))
    });
    let (name, mut bytes, at) = held.expect("a segment holds the record of r0");
    bytes[at + 1] ^= 1;
    disk.put(&name, bytes);
}

#[test]
fn an_old_outcome_is_found_in_the_journal() {
    let (mut writer, mut appender) = bank_with_past(&MemDisk::new());
    let mut out = Vec::new();
    writer.step(NOW, request(9, 0, "STATUS r0"), &mut out);
    writer.step(NOW, request(9, 1, &prepare(0).replace("t0", "r0")), &mut out);
    if !writer.is_synced() {
        sync(&mut writer, &mut appender, &mut out);
    }
    assert_eq!(released(&mut out), ["ABORTED r0", "NOK r0"]);
}

/// An id whose record can't be read is unknown, never "not held": the bank neither votes on it nor
/// refuses it, and goes on.
#[test]
fn an_id_whose_record_cant_be_read_is_answered_err_and_the_bank_goes_on() {
    let disk = MemDisk::new();
    let (mut writer, mut appender) = bank_with_past(&disk);
    damage_r0(&disk);
    let before = writer.core().seq();
    let mut out = Vec::new();
    let lines =
        ["STATUS r0", "RESOLVE r0", "ABORT r0", "COMMIT r0", &prepare(0).replace("t0", "r0")];
    for (line, slot) in lines.iter().zip(0..) {
        writer.step(NOW, request(9, slot, line), &mut out);
        assert_eq!(released(&mut out), ["ERR unreadable"], "{line}");
    }
    let execute = prepare(0).replace("t0", "r0").replace("PREPARE", "EXECUTE");
    writer.step(NOW, request(9, 9, &execute), &mut out);
    assert_eq!(released(&mut out), ["ERR unreadable"]);
    // A peer's answer about it has no effect either.
    let asked = RequestKey { tx: TxId::new("r0").unwrap(), verb: PeerVerb::Prepare };
    let peer = BankId::new(1).unwrap();
    writer.step(NOW, Input::Answer { peer, asked, reply: None, past: None }, &mut out);
    assert_eq!((writer.core().seq(), released(&mut out)), (before, vec![]), "nothing is recorded");
    // Its neighbour is found, and new ids are voted on.
    writer.step(NOW, request(9, 10, "STATUS r1"), &mut out);
    assert_eq!(released(&mut out), ["ABORTED r1"]);
    writer.step(NOW, request(9, 11, &prepare(1)), &mut out);
    sync(&mut writer, &mut appender, &mut out);
    assert_eq!(released(&mut out), ["OK t1"]);
}

/// The first unreadable record is reported at the terminal; later ones go to the log, at most one
/// line a second, with the number of those that were not reported.
#[test]
fn unreadable_records_are_reported_to_the_operator_at_a_bounded_rate() {
    let (disk, reports) = (MemDisk::new(), Arc::new(Mutex::new(Vec::new())));
    let sink = reports.clone();
    let notice: NoticeSink = Arc::new(move |text| {
        sink.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned())
    });
    let (mut writer, mut appender) = bank_with(&disk, notice, true);
    evict_first_outcomes(&mut writer, &mut appender);
    damage_r0(&disk);
    reports.lock().unwrap().clear();
    writer.steps().unwrap().clear();
    let mut out = Vec::new();
    let mut reported_at = |us, writer: &mut Writer| {
        let at = later(us);
        writer.step(at, request(9, 0, "STATUS r0"), &mut out);
        let steps = std::mem::take(writer.steps().unwrap());
        let fault = |entry: Entry| match entry.step {
            Step::Fault(text) => Some(text.to_string()),
            _ => None,
        };
        let mut all = std::mem::take(&mut *reports.lock().unwrap());
        all.iter_mut().for_each(|text| text.insert_str(0, "terminal: "));
        all.extend(steps.into_iter().filter_map(fault));
        all
    };
    let first = reported_at(0, &mut writer);
    assert!(
        first.len() == 1 && first[0].starts_with("terminal: what the journal holds of r0"),
        "{first:?}"
    );
    assert!(first[0].contains("(0 more requests"), "{first:?}");
    for us in [1, 2, UNREADABLE_LOGGED_MS * 1_000 - 1] {
        assert_eq!(reported_at(us, &mut writer), [""; 0], "after {us} us");
    }
    let second = reported_at(UNREADABLE_LOGGED_MS * 1_000, &mut writer);
    assert!(
        second.len() == 1 && second[0].starts_with("what the journal holds of r0"),
        "{second:?}"
    );
    assert!(second[0].contains("(3 more requests"), "{second:?}");
    let third = reported_at(2 * UNREADABLE_LOGGED_MS * 1_000, &mut writer);
    assert!(third.len() == 1 && third[0].contains("(0 more requests"), "{third:?}");
}

/// The files of full segments stay open, so a process without free descriptors still finds its old
/// outcomes.
#[test]
fn an_old_outcome_is_found_when_no_file_can_be_opened() {
    let disk = MemDisk::new();
    let (mut writer, _appender) = bank_with_past(&disk);
    disk.set_faults(Faults { no_open: true, ..Faults::default() });
    let mut out = Vec::new();
    writer.step(NOW, request(9, 0, "STATUS r0"), &mut out);
    assert_eq!(released(&mut out), ["ABORTED r0"]);
}
