//! Tests of the writer: what is released when, how large batches grow, and what is refused.

use super::{NOW, bank, bank_with, later, prepare, released, request, sync, with_account};
use crate::queue::Queue;
use crate::writer::{DecideResult, Released};
use consorcio_core::bank::io::{Input, SessionId};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::{
    BATCH_BYTES_MAX, BATCH_RECORDS_MAX, LAZY_SYNC_MS_MAX, QUEUE_WAIT_MS_MAX,
};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::token::{Seal, Token, Vote};
use consorcio_journal::{Batch, Faults, MemDisk, NoticeSink};
use consorcio_steps::steplog::LoggedOps;
use std::sync::Arc;

fn assert_within_bounds(batch: &Batch) {
    assert!(batch.len() <= BATCH_RECORDS_MAX && batch.bytes() <= BATCH_BYTES_MAX);
}

/// The OK that was released last, with its token.
fn voted_ok(out: &mut Vec<Released>) -> (TxId, Token) {
    let Some(Released::Reply(vote)) = out.pop() else { panic!("a vote") };
    let Reply::Ok(tx, own) = vote.reply else { panic!("{:?}", vote.reply) };
    (tx, own)
}

/// COMMIT with the tokens of this bank and of the other one.
fn commit(tx: &TxId, own: &Token) -> String {
    let (seal, peer) = (Seal::keyed([7; 32]), BankId::new(1).unwrap());
    let other = seal.token(peer, Vote::Ok, tx, own.digest, own.time);
    format!("COMMIT {tx} {own} {other}")
}

#[test]
fn a_vote_leaves_only_after_its_sync() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let mut out = Vec::new();
    writer.step(NOW, request(2, 0, &prepare(1)), &mut out);
    assert_eq!(released(&mut out), [""; 0]);
    assert_eq!(writer.sync_due_us(), Some(0), "the vote waits for a sync");
    assert!(writer.is_waited_for());
    let mut first = writer.take_batch().unwrap();
    // The next batch is decided during that sync. A read of unsynced state waits, too.
    writer.step(NOW, request(2, 1, &prepare(2)), &mut out);
    writer.step(NOW, request(3, 0, "STATUS t1"), &mut out);
    assert!(writer.take_batch().is_none() && writer.sync_due_us().is_none(), "one sync at a time");
    appender.append(&mut first).unwrap();
    assert_eq!(released(&mut out), [""; 0]);
    writer.synced(first, &mut out);
    assert_eq!(released(&mut out)[..1], ["OK t1"]);
    sync(&mut writer, &mut appender, &mut out);
    assert!(released(&mut out).contains(&"OK t2".to_owned()));
    assert!(writer.is_synced() && !writer.is_waited_for());
}

/// The votes are the decision: once this bank's own is durable, the tokens of the others prove the
/// outcome, and its record may be synced later.
#[test]
fn a_proved_outcome_leaves_at_once_and_its_record_follows_within_5_ms() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let mut out = Vec::new();
    writer.step(NOW, request(2, 0, &prepare(1)), &mut out);
    sync(&mut writer, &mut appender, &mut out);
    let (tx, own) = voted_ok(&mut out);
    writer.step(NOW, request(2, 1, &commit(&tx, &own)), &mut out);
    assert_eq!(released(&mut out), ["COMMITTED t1"]);
    assert_eq!(writer.sync_due_us(), Some(NOW.mono_us + LAZY_SYNC_MS_MAX * 1_000));
    // A vote that waits for a sync includes that record.
    writer.step(later(100), request(2, 2, &prepare(2)), &mut out);
    assert_eq!(writer.sync_due_us(), Some(0));
    sync(&mut writer, &mut appender, &mut out);
    assert_eq!(released(&mut out), ["OK t2"]);
}

#[test]
fn a_full_batch_is_synced_before_more_is_decided() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let (mut queue, mut out) = (Queue::default(), Vec::new());
    for n in 0..12_000 {
        queue.push(NOW.mono_us, request(2, n, &prepare(n)));
    }
    assert_eq!(writer.decide(NOW, &mut queue, 10, &mut out), DecideResult::More);
    assert_eq!(writer.decide(NOW, &mut queue, usize::MAX, &mut out), DecideResult::Full);
    let mut batch = writer.take_batch().unwrap();
    assert_within_bounds(&batch);
    let first = batch.len();
    assert!(first > 1_000, "{first}");
    // A second one is filled while the first is under sync; then the queue waits.
    assert_eq!(writer.decide(NOW, &mut queue, usize::MAX, &mut out), DecideResult::Full);
    assert_eq!(writer.decide(NOW, &mut queue, usize::MAX, &mut out), DecideResult::Full);
    let waiting = queue.len();
    assert!(out.is_empty() && waiting > 0);
    appender.append(&mut batch).unwrap();
    writer.synced(batch, &mut out);
    assert_eq!(out.len(), first);
    while !queue.is_empty() {
        sync(&mut writer, &mut appender, &mut out);
        let _ = writer.decide(NOW, &mut queue, usize::MAX, &mut out);
    }
    sync(&mut writer, &mut appender, &mut out);
    assert_eq!(out.len(), 12_000);
}

/// A session ends with many transactions of this bank alone. Each makes a record, and no batch
/// exceeds its bounds.
#[test]
fn a_close_with_many_undecided_fills_no_batch_past_its_bounds() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let (mut out, count) = (Vec::new(), 12_000);
    for n in 0..count {
        if writer.is_full() {
            sync(&mut writer, &mut appender, &mut out);
        }
        let op = r#"{"bank":0,"op":"deposit","account":"1","amount":5}"#;
        writer.step(NOW, request(2, n, &format!(r#"PREPARE t{n} {{"ops":[{op}]}}"#)), &mut out);
    }
    sync(&mut writer, &mut appender, &mut out);
    writer.step(NOW, Input::Closed(SessionId(2)), &mut out);
    let (mut batches, mut records) = (0, 0);
    while records < count {
        while !writer.is_full() && writer.core().is_behind(NOW.mono_us) {
            writer.step(NOW, Input::Tick, &mut out);
        }
        let mut batch = writer.take_batch().expect("each iteration records something");
        assert_within_bounds(&batch);
        (batches, records) = (batches + 1, records + batch.len() as u64);
        appender.append(&mut batch).unwrap();
        writer.synced(batch, &mut out);
    }
    assert_eq!((records, writer.core().undecided()), (count, 0));
    assert!(batches > 3 && !writer.core().is_behind(NOW.mono_us), "{batches} batches");
}

#[test]
fn a_prepare_that_waited_too_long_is_refused_and_an_urgent_request_is_not() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let (mut queue, mut out) = (Queue::default(), Vec::new());
    queue.push(NOW.mono_us, request(2, 0, &prepare(1)));
    queue.push(NOW.mono_us, request(3, 0, "RESOLVE t9"));
    queue.push(NOW.mono_us + 1, request(2, 1, &prepare(2)));
    let now = later(QUEUE_WAIT_MS_MAX * 1_000);
    writer.decide(now, &mut queue, 10, &mut out);
    sync(&mut writer, &mut appender, &mut out);
    assert_eq!(released(&mut out), ["ABORTED t9", "NOK t1", "OK t2"]);
}

/// The bank learns that the disk has no room for the next segment long before the last byte is
/// written: it refuses new transactions, and the outcomes of undecided ones still fit.
#[test]
fn without_room_for_the_next_segment_new_work_is_refused_and_begun_work_completes() {
    let disk = MemDisk::new();
    let (mut writer, mut appender) = bank(&disk);
    with_account(&mut writer, &mut appender);
    let mut out = Vec::new();
    // From here on no file can grow. The segment in use and the next one exist.
    disk.set_faults(Faults { room: Some(0), ..Faults::default() });
    let (mut begun, mut slot) = (Vec::new(), 0);
    loop {
        writer.step(NOW, request(2, slot, &prepare(slot)), &mut out);
        if writer.is_synced() {
            break;
        }
        sync(&mut writer, &mut appender, &mut out);
        begun.push(voted_ok(&mut out));
        slot += 1;
        assert!(slot < 100_000, "nothing is ever refused");
    }
    assert_eq!(released(&mut out), ["ERR disk-full"]);
    assert!(begun.len() > 5, "{}", begun.len());
    for (line, expected) in [
        (r#"CLIENT {"cpf":"98765432100","name":"Q","kind":"F"}"#, "REFUSED disk-full"),
        (r#"ACCOUNT {"number":"2","holders":["12345678900"],"deposit":1}"#, "REFUSED disk-full"),
        ("ABORT new", "ERR disk-full"),
        ("RESOLVE new", "ERR disk-full"),
        ("STATUS new", "UNKNOWN new"),
    ] {
        slot += 1;
        writer.step(NOW, request(2, slot, line), &mut out);
        assert_eq!(released(&mut out), [expected], "{line}");
    }
    // A repeat is answered, and every begun transaction completes, each in a batch of its own.
    writer.step(NOW, request(2, slot + 1, &prepare(0)), &mut out);
    assert_eq!(released(&mut out), ["OK t0"]);
    for (tx, own) in &begun {
        writer.step(NOW, request(3, slot, &commit(tx, own)), &mut out);
        sync(&mut writer, &mut appender, &mut out);
        assert_eq!(released(&mut out), [format!("COMMITTED {tx}")]);
        slot += 1;
    }
    assert_eq!(writer.core().undecided(), 0);
}

/// The record of an outcome does not have the operations; the bank's history does.
#[test]
fn the_steps_of_vote_and_outcome_share_the_transaction_of_the_bank() {
    let silent: NoticeSink = Arc::new(|_| {});
    let (mut writer, mut appender) = bank_with(&MemDisk::new(), silent, true);
    with_account(&mut writer, &mut appender);
    let mut out = Vec::new();
    writer.step(NOW, request(2, 0, &prepare(1)), &mut out);
    sync(&mut writer, &mut appender, &mut out);
    let (tx, own) = voted_ok(&mut out);
    writer.step(NOW, request(2, 1, &commit(&tx, &own)), &mut out);
    let steps = std::mem::take(writer.steps().unwrap());
    let named: Vec<_> = (steps.iter().filter(|entry| entry.step.tx() == Some(&tx)))
        .map(|entry| (entry.step.event(), entry.step.ops()))
        .collect();
    let [("vote", Some(LoggedOps::Of(voted))), ("outcome", Some(LoggedOps::Of(ended)))] =
        &named[..]
    else {
        panic!("{named:?}")
    };
    assert!(Arc::ptr_eq(voted, ended), "the outcome has a copy");
}
