//! Tests of the node's loop on its threads: what it makes durable, when it wakes, and how it ends
//! when the disk fails.

use super::{bank, prepare, released, request, wall, with_account};
use crate::disk::JournalThread;
use crate::inbox::{Inbox, MonotonicClock};
use crate::run::{Fatal, run};
use consorcio_core::bank::io::{Input, Start};
use consorcio_journal::{Faults, MemDisk};
use consorcio_steps::steplog::StepLog;
use std::sync::Arc;
use tokio::sync::Notify;

/// Runs the node's loop over `disk` for these lines; returns what it released, and why it ended.
fn run_node(disk: &MemDisk, lines: &[&str]) -> (Vec<String>, Option<Fatal>) {
    let (writer, appender) = bank(disk);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wake = Arc::new(Notify::new());
    let inbox = Inbox::new(MonotonicClock::start(), wake.clone());
    let disk = JournalThread::start(appender, wake).unwrap();
    for (line, slot) in lines.iter().zip(0..) {
        inbox.offer(request(1, slot, line));
    }
    inbox.stop();
    let mut all = Vec::new();
    let ended = runtime.block_on(run(writer, disk, &inbox, wall(), &StepLog::off(), |out, _| {
        all.extend(released(out))
    }));
    (all, ended.err())
}

#[test]
fn every_request_is_durable_before_the_node_ends() {
    let disk = MemDisk::new();
    let client = r#"CLIENT {"cpf":"12345678900","name":"P","kind":"F"}"#;
    let (replies, fatal) = run_node(&disk, &[client, "STATUS t1"]);
    assert!(fatal.is_none(), "{fatal:?}");
    assert_eq!(replies.len(), 2);
    let (again, fatal) = run_node(&disk.crash(3), &["CLIENTS"]);
    assert!(fatal.is_none() && again.len() == 1 && again[0].contains("12345678900"), "{again:?}");
}

/// An idle bank's loop wakes for due work only: about once a second it keeps a moment of the clock
/// for cuts.
#[test]
fn an_idle_bank_sleeps_until_something_is_due() {
    let (writer, appender) = bank(&MemDisk::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wake = Arc::new(Notify::new());
    let inbox = Inbox::new(MonotonicClock::start(), wake.clone());
    let disk = JournalThread::start(appender, wake).unwrap();
    inbox.offer(Input::Started(Start::default()));
    let (mut iterations, mut due_us) = (0, Vec::new());
    let steplog = StepLog::off();
    let run = run(writer, disk, &inbox, wall(), &steplog, |_, writer| {
        iterations += 1;
        let due = writer.core().tick_due_us();
        if due_us.last() != Some(&due) {
            due_us.push(due);
        }
        if due_us.len() == 3 {
            inbox.stop();
        }
    });
    assert!(runtime.block_on(run).is_ok());
    assert!(iterations < 10, "{iterations} iterations for the ticks due at {due_us:?}");
}

/// After a failed write or sync nobody knows what is on disk: the node ends, and no reply leaves.
#[test]
fn a_failed_sync_ends_the_node_and_nothing_leaves() {
    for inject in [
        |disk: &MemDisk| {
            disk.set_faults(Faults { fail_sync: Some(disk.syncs() + 1), ..Faults::default() })
        },
        |disk: &MemDisk| {
            disk.set_faults(Faults { fail_write: Some(disk.writes() + 1), ..Faults::default() })
        },
    ] {
        let disk = MemDisk::new();
        let (mut writer, mut appender) = bank(&disk);
        with_account(&mut writer, &mut appender);
        inject(&disk);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let wake = Arc::new(Notify::new());
        let inbox = Inbox::new(MonotonicClock::start(), wake.clone());
        let thread = JournalThread::start(appender, wake).unwrap();
        inbox.offer(request(1, 0, &prepare(1)));
        inbox.stop();
        let mut all = Vec::new();
        let ended =
            runtime.block_on(run(writer, thread, &inbox, wall(), &StepLog::off(), |out, _| {
                all.extend(released(out))
            }));
        assert!(matches!(ended, Err(Fatal::Journal(_))));
        assert_eq!(all, [""; 0]);
    }
}
