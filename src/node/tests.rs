//! The writer over the shipped core and a journal in memory: what may leave when, without threads
//! and clocks; and the loop when the disk fails.

use super::clock::{WallClock, machine};
use super::disk::Disk;
use super::inbox::{Clock, Inbox};
use super::queue::Queue;
use super::run::{Fatal, run};
use super::writer::{DecideTurn, Leaving, Writer};
use consorcio_core::bank::Core;
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::{Caller, Input, Now, Origin, SessionId, Start};
use consorcio_core::bank::record::Record;
use consorcio_core::clock::ClockFilter;
use consorcio_core::commit::message::{PeerVerb, RequestKey};
use consorcio_core::ids::{BankId, Time};
use consorcio_core::limits::{
    BATCH_RECORDS_MAX, LAZY_SYNC_MS_MAX, QUEUE_WAIT_MS_MAX, UNREADABLE_LOGGED_MS,
};
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::Seal;
use consorcio_journal::{self, Appender, BankReplica, Faults, MemDisk, SegmentSizes};
use consorcio_steps::steplog::{Entry, Step, StepLog};
use std::sync::Arc;
use tokio::sync::Notify;

const NOW: Now =
    Now { wall_us: 1_795_000_000_000_000, shown_us: 1_795_000_000_000_000, mono_us: 1_000_000 };

fn later(us: u64) -> Now {
    let wall_us = NOW.wall_us + i64::try_from(us).unwrap();
    Now { wall_us, shown_us: wall_us, mono_us: NOW.mono_us + us }
}

/// One bank of two that both have a key, and its journal on `disk`.
fn bank(disk: &MemDisk) -> (Writer, Appender) {
    bank_that_tells(disk, Arc::new(|_| ()), false)
}

/// The same with `notice` for what the operator is told, and with steps if it is to note them.
fn bank_that_tells(
    disk: &MemDisk,
    notice: consorcio_journal::NoticeSink,
    steps: bool,
) -> (Writer, Appender) {
    let identity = Identity {
        bank: BankId::new(0).unwrap(),
        places: vec!["a:1".into(), "b:1".into()],
        seal: Seal::keyed([7; 32]),
    };
    let options = consorcio_journal::JournalOptions {
        sizes: SegmentSizes { first: 4096, full: 1 << 20 },
        threads: false,
        new_id: Some([1; 16]),
        notice,
        ..consorcio_journal::JournalOptions::default()
    };
    let mut replica = BankReplica::new(identity.clone());
    let (mut appender, reader, _) =
        consorcio_journal::open(Arc::new(disk.clone()), options, &mut replica).unwrap();
    let mut core: Core = replica.core;
    if core.seq() == 0 {
        let first = Record::Consortium { bank: identity.bank, places: identity.places };
        let mut batch = reader.batch();
        batch.push(1, &first);
        appender.append(&mut batch).unwrap();
        core.apply(&first);
    }
    let batches = [reader.batch(), reader.batch()];
    (Writer::new(core, reader, batches, steps), appender)
}

fn wall() -> WallClock {
    let filter = ClockFilter::start(machine(), Time(0), 0, true).unwrap();
    WallClock::new(filter, Arc::new(|_| ()))
}

fn ask(session: u64, slot: u64, line: &str) -> Input {
    let caller = Caller { session: SessionId(session), slot };
    let request = Request::parse(line).unwrap();
    Input::Request { caller, origin: Origin::Client, request, waited_us: 0, past: None }
}

fn prepare(n: u64) -> String {
    format!(
        r#"PREPARE t{n} {{"ops":[{{"bank":0,"op":"deposit","account":"1","amount":5}},{{"bank":1,"op":"deposit","account":"2","amount":5}}]}}"#
    )
}

/// What left, as the beginnings of the replies' lines and the messages' verbs.
fn left(out: &mut Vec<Leaving>) -> Vec<String> {
    out.drain(..)
        .map(|leaving| match leaving {
            Leaving::Reply(outgoing) => {
                let mut line = Vec::new();
                outgoing.reply.write_to(&mut line);
                let line = String::from_utf8(line).unwrap();
                line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
            }
            Leaving::Close(bank) => format!("close {bank}"),
            Leaving::Met(bank, _) => format!("met {bank}"),
            Leaving::Send(sending) => format!("{:?}", sending.message.key().verb),
        })
        .collect()
}

/// Opens the account that `prepare` speaks of, durably.
fn with_account(writer: &mut Writer, appender: &mut Appender) {
    let mut out = Vec::new();
    for line in [
        r#"CLIENT {"cpf":"12345678900","name":"P","kind":"F"}"#,
        r#"ACCOUNT {"number":"1","holders":["12345678900"],"deposit":1000}"#,
    ] {
        writer.step(NOW, ask(1, 0, line), &mut out);
    }
    sync(writer, appender, &mut out);
    assert_eq!(out.len(), 2);
}

fn sync(writer: &mut Writer, appender: &mut Appender, out: &mut Vec<Leaving>) {
    let mut batch = writer.take_batch().expect("there is something to sync");
    appender.append(&mut batch).unwrap();
    writer.synced(batch, out);
}

#[test]
fn a_vote_leaves_only_after_its_sync() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let mut out = Vec::new();
    writer.step(NOW, ask(2, 0, &prepare(1)), &mut out);
    assert_eq!(left(&mut out), [""; 0]);
    assert_eq!(writer.sync_due_us(), Some(0), "somebody waits");
    assert!(writer.is_waited_for());
    let mut first = writer.take_batch().unwrap();
    // While that sync runs, the next batch is decided; a look at the unsynced waits, too.
    writer.step(NOW, ask(2, 1, &prepare(2)), &mut out);
    writer.step(NOW, ask(3, 0, "STATUS t1"), &mut out);
    assert!(writer.take_batch().is_none() && writer.sync_due_us().is_none(), "one sync at a time");
    appender.append(&mut first).unwrap();
    assert_eq!(left(&mut out), [""; 0]);
    writer.synced(first, &mut out);
    assert_eq!(left(&mut out)[..1], ["OK t1"]);
    sync(&mut writer, &mut appender, &mut out);
    assert!(left(&mut out).contains(&"OK t2".to_owned()));
    assert!(writer.is_synced() && !writer.is_waited_for());
}

/// The votes are the decision: once this bank's own is durable, others' tokens prove the outcome,
/// and its record only rides along.
#[test]
fn a_proved_outcome_leaves_at_once_and_its_record_follows_within_5_ms() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let mut out = Vec::new();
    writer.step(NOW, ask(2, 0, &prepare(1)), &mut out);
    sync(&mut writer, &mut appender, &mut out);
    let Some(Leaving::Reply(vote)) = out.pop() else { panic!("a vote") };
    let consorcio_core::wire::reply::Reply::Ok(tx, own) = vote.reply else { panic!("an OK") };
    let other = Seal::keyed([7; 32]).token(
        BankId::new(1).unwrap(),
        consorcio_core::wire::token::Vote::Ok,
        &tx,
        own.digest,
        own.time,
    );
    writer.step(NOW, ask(2, 1, &format!("COMMIT t1 {own} {other}")), &mut out);
    assert_eq!(left(&mut out), ["COMMITTED t1"]);
    assert_eq!(writer.sync_due_us(), Some(NOW.mono_us + LAZY_SYNC_MS_MAX * 1_000));
    // Somebody who waits takes it along.
    writer.step(later(100), ask(2, 2, &prepare(2)), &mut out);
    assert_eq!(writer.sync_due_us(), Some(0));
    sync(&mut writer, &mut appender, &mut out);
    assert_eq!(left(&mut out), ["OK t2"]);
}

#[test]
fn a_batch_that_is_full_must_go_before_more_is_decided() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let (mut queue, mut out) = (Queue::default(), Vec::new());
    for n in 0..12_000 {
        queue.push(NOW.mono_us, ask(2, n, &prepare(n)));
    }
    assert_eq!(writer.decide(NOW, &mut queue, 10, &mut out), DecideTurn::More);
    assert_eq!(writer.decide(NOW, &mut queue, usize::MAX, &mut out), DecideTurn::Full);
    let batch = writer.take_batch().unwrap();
    assert!(
        batch.len() <= BATCH_RECORDS_MAX
            && batch.bytes() <= consorcio_core::limits::BATCH_BYTES_MAX
    );
    let first = batch.len();
    assert!(first > 1_000, "{first}");
    // One more is filled while it is under sync, and then the queue waits.
    assert_eq!(writer.decide(NOW, &mut queue, usize::MAX, &mut out), DecideTurn::Full);
    assert_eq!(writer.decide(NOW, &mut queue, usize::MAX, &mut out), DecideTurn::Full);
    let waiting = queue.len();
    assert!(out.is_empty() && waiting > 0);
    let mut batch = batch;
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

/// A session that ends with many transactions of this bank alone: each is a record, and no batch
/// passes its bounds.
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
        writer.step(NOW, ask(2, n, &format!(r#"PREPARE t{n} {{"ops":[{op}]}}"#)), &mut out);
    }
    sync(&mut writer, &mut appender, &mut out);
    writer.step(NOW, Input::Closed(SessionId(2)), &mut out);
    let (mut batches, mut records) = (0, 0);
    while records < count {
        while !writer.is_full() && writer.core().is_behind(NOW.mono_us) {
            writer.step(NOW, Input::Tick, &mut out);
        }
        let mut batch = writer.take_batch().expect("each turn records something");
        assert!(
            batch.len() <= BATCH_RECORDS_MAX
                && batch.bytes() <= consorcio_core::limits::BATCH_BYTES_MAX
        );
        (batches, records) = (batches + 1, records + batch.len() as u64);
        appender.append(&mut batch).unwrap();
        writer.synced(batch, &mut out);
    }
    assert_eq!((records, writer.core().undecided()), (count, 0));
    assert!(batches > 3 && !writer.core().is_behind(NOW.mono_us), "{batches} batches");
}

#[test]
fn what_waited_too_long_is_refused_and_an_urgent_one_is_not() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let (mut queue, mut out) = (Queue::default(), Vec::new());
    queue.push(NOW.mono_us, ask(2, 0, &prepare(1)));
    queue.push(NOW.mono_us, ask(3, 0, "RESOLVE t9"));
    queue.push(NOW.mono_us + 1, ask(2, 1, &prepare(2)));
    let now = later(QUEUE_WAIT_MS_MAX * 1_000);
    writer.decide(now, &mut queue, 10, &mut out);
    sync(&mut writer, &mut appender, &mut out);
    assert_eq!(left(&mut out), ["ABORTED t9", "NOK t1", "OK t2"]);
}

#[test]
fn an_old_outcome_is_found_in_the_journal() {
    let (mut writer, mut appender) = bank(&MemDisk::new());
    with_account(&mut writer, &mut appender);
    let mut out = Vec::new();
    let mut n = 0;
    let refused = |n: u64| format!("RESOLVE r{n}");
    // Until memory has let the first outcomes go.
    while writer.core().knows(&consorcio_core::ids::TxId::new("r0").unwrap()) || n == 0 {
        for _ in 0..2_000 {
            writer.step(NOW, ask(2, n, &refused(n)), &mut out);
            n += 1;
        }
        sync(&mut writer, &mut appender, &mut out);
        writer.step(NOW, Input::Tick, &mut out);
        out.clear();
        assert!(n < 1_000_000, "memory never forgets");
    }
    writer.step(NOW, ask(2, n, "STATUS r0"), &mut out);
    writer.step(NOW, ask(2, n, &prepare(0).replace("t0", "r0")), &mut out);
    if !writer.is_synced() {
        sync(&mut writer, &mut appender, &mut out);
    }
    assert_eq!(left(&mut out), ["ABORTED r0", "NOK r0"]);
}

/// Runs the node's loop over `disk` for these lines; gives what left, and why it ended.
fn run_node(disk: &MemDisk, lines: &[&str]) -> (Vec<String>, Option<Fatal>) {
    let (writer, appender) = bank(disk);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wake = Arc::new(Notify::new());
    let inbox = Inbox::new(Clock::start(), wake.clone());
    let disk = Disk::start(appender, wake).unwrap();
    for (line, slot) in lines.iter().zip(0..) {
        inbox.offer(ask(1, slot, line));
    }
    inbox.stop();
    let mut all = Vec::new();
    let ended = runtime.block_on(run(writer, disk, &inbox, wall(), &StepLog::off(), |out, _| {
        all.extend(left(out))
    }));
    (all, ended.err())
}

#[test]
fn all_that_was_asked_is_durable_before_the_node_ends() {
    let disk = MemDisk::new();
    let client = r#"CLIENT {"cpf":"12345678900","name":"P","kind":"F"}"#;
    let (left, fatal) = run_node(&disk, &[client, "STATUS t1"]);
    assert!(fatal.is_none(), "{fatal:?}");
    assert_eq!(left.len(), 2);
    let (again, fatal) = run_node(&disk.crash(3), &["CLIENTS"]);
    assert!(fatal.is_none() && again.len() == 1 && again[0].contains("12345678900"), "{again:?}");
}

/// Nothing turns an idle bank's loop but what is due: about once a second it keeps a moment of the
/// clock for cuts.
#[test]
fn an_idle_bank_sleeps_until_something_is_due() {
    let (writer, appender) = bank(&MemDisk::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wake = Arc::new(Notify::new());
    let inbox = Inbox::new(Clock::start(), wake.clone());
    let disk = Disk::start(appender, wake).unwrap();
    inbox.offer(Input::Started(Start::default()));
    let (mut turns, mut due_us) = (0, Vec::new());
    let steplog = StepLog::off();
    let run = run(writer, disk, &inbox, wall(), &steplog, |_, writer| {
        turns += 1;
        let due = writer.core().tick_due_us();
        if due_us.last() != Some(&due) {
            due_us.push(due);
        }
        if due_us.len() == 3 {
            inbox.stop();
        }
    });
    assert!(runtime.block_on(run).is_ok());
    assert!(turns < 10, "{turns} turns while {due_us:?} came");
}

/// After a failed write or sync nobody knows what is on disk: the node ends, and no reply leaves.
#[test]
fn a_failed_sync_ends_the_node_and_nothing_leaves() {
    for break_it in [
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
        break_it(&disk);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let wake = Arc::new(Notify::new());
        let inbox = Inbox::new(Clock::start(), wake.clone());
        let thread = Disk::start(appender, wake).unwrap();
        inbox.offer(ask(1, 0, &prepare(1)));
        inbox.stop();
        let mut all = Vec::new();
        let ended =
            runtime.block_on(run(writer, thread, &inbox, wall(), &StepLog::off(), |out, _| {
                all.extend(left(out))
            }));
        assert!(matches!(ended, Err(Fatal::Journal(_))));
        assert_eq!(all, [""; 0]);
    }
}

/// A bank whose memory has let go of the first outcomes, `r0` among them, which full segments hold.
fn with_a_past(disk: &MemDisk) -> (Writer, Appender) {
    let (mut writer, mut appender) = bank(disk);
    make_a_past(&mut writer, &mut appender);
    (writer, appender)
}

fn make_a_past(writer: &mut Writer, appender: &mut Appender) {
    with_account(writer, appender);
    let (mut n, mut out) = (0, Vec::new());
    while writer.core().knows(&consorcio_core::ids::TxId::new("r0").unwrap()) || n == 0 {
        for _ in 0..4_000 {
            writer.step(NOW, ask(2, n, &format!("RESOLVE r{n}")), &mut out);
            n += 1;
        }
        sync(writer, appender, &mut out);
        writer.step(NOW, Input::Tick, &mut out);
        out.clear();
        assert!(n < 1_000_000, "memory never forgets");
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

/// An id whose record can't be read is unknown, never "not held": no vote, no refusal, and no end
/// of the bank.
#[test]
fn an_id_whose_record_cant_be_read_is_answered_err_and_the_bank_goes_on() {
    let disk = MemDisk::new();
    let (mut writer, mut appender) = with_a_past(&disk);
    damage_r0(&disk);
    let before = writer.core().seq();
    let mut out = Vec::new();
    let lines =
        ["STATUS r0", "RESOLVE r0", "ABORT r0", "COMMIT r0", &prepare(0).replace("t0", "r0")];
    for (line, slot) in lines.iter().zip(0..) {
        writer.step(NOW, ask(9, slot, line), &mut out);
        assert_eq!(left(&mut out), ["ERR unreadable"], "{line}");
    }
    writer.step(
        NOW,
        ask(9, 9, &prepare(0).replace("t0", "r0").replace("PREPARE", "EXECUTE")),
        &mut out,
    );
    assert_eq!(left(&mut out), ["ERR unreadable"]);
    // Nor does a peer's answer about it lead to anything.
    let asked =
        RequestKey { tx: consorcio_core::ids::TxId::new("r0").unwrap(), verb: PeerVerb::Prepare };
    let peer = BankId::new(1).unwrap();
    writer.step(NOW, Input::Answer { peer, asked, reply: None, past: None }, &mut out);
    assert_eq!((writer.core().seq(), left(&mut out)), (before, Vec::new()), "nothing was recorded");
    // Its neighbour is found, and new ids are voted on.
    writer.step(NOW, ask(9, 10, "STATUS r1"), &mut out);
    assert_eq!(left(&mut out), ["ABORTED r1"]);
    writer.step(NOW, ask(9, 11, &prepare(1)), &mut out);
    sync(&mut writer, &mut appender, &mut out);
    assert_eq!(left(&mut out), ["OK t1"]);
}

/// The operator hears of it once at the terminal, and then in the log, at most once a second, with
/// how many were not told.
#[test]
fn the_operator_hears_of_records_that_cant_be_read_and_not_too_often() {
    use std::sync::{Mutex, PoisonError};
    let (disk, told) = (MemDisk::new(), Arc::new(Mutex::new(Vec::new())));
    let keep = told.clone();
    let notice: consorcio_journal::NoticeSink = Arc::new(move |text| {
        keep.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned())
    });
    let (mut writer, mut appender) = bank_that_tells(&disk, notice, true);
    make_a_past(&mut writer, &mut appender);
    damage_r0(&disk);
    told.lock().unwrap().clear();
    writer.steps().unwrap().clear();
    let mut out = Vec::new();
    let mut ask_at = |us, writer: &mut Writer| {
        let at = later(us);
        writer.step(at, ask(9, 0, "STATUS r0"), &mut out);
        let steps = std::mem::take(writer.steps().unwrap());
        let fault = |entry: Entry| match entry.step {
            Step::Fault(text) => Some(text.to_string()),
            _ => None,
        };
        let mut all = std::mem::take(&mut *told.lock().unwrap());
        all.iter_mut().for_each(|text| text.insert_str(0, "terminal: "));
        all.extend(steps.into_iter().filter_map(fault));
        all
    };
    let first = ask_at(0, &mut writer);
    assert!(
        first.len() == 1 && first[0].starts_with("terminal: what the journal holds of r0"),
        "{first:?}"
    );
    assert!(first[0].contains("(0 more requests"), "{first:?}");
    for us in [1, 2, UNREADABLE_LOGGED_MS * 1_000 - 1] {
        assert_eq!(ask_at(us, &mut writer), [""; 0], "after {us} us");
    }
    let second = ask_at(UNREADABLE_LOGGED_MS * 1_000, &mut writer);
    assert!(
        second.len() == 1 && second[0].starts_with("what the journal holds of r0"),
        "{second:?}"
    );
    assert!(second[0].contains("(3 more requests"), "{second:?}");
    let third = ask_at(2 * UNREADABLE_LOGGED_MS * 1_000, &mut writer);
    assert!(third.len() == 1 && third[0].contains("(0 more requests"), "{third:?}");
}

/// What can be opened no more was opened before: a process without descriptors finds its old
/// outcomes.
#[test]
fn an_old_outcome_is_found_when_no_file_can_be_opened() {
    let disk = MemDisk::new();
    let (mut writer, _appender) = with_a_past(&disk);
    disk.set_faults(Faults { no_open: true, ..Faults::default() });
    let mut out = Vec::new();
    writer.step(NOW, ask(9, 0, "STATUS r0"), &mut out);
    assert_eq!(left(&mut out), ["ABORTED r0"]);
}

/// A disk without room for the next segment is known long before its last byte: what is new is
/// refused, and the outcomes of what is undecided still fit.
#[test]
fn a_disk_without_room_for_the_next_segment_refuses_what_is_new_and_ends_what_was_begun() {
    let disk = MemDisk::new();
    let (mut writer, mut appender) = bank(&disk);
    with_account(&mut writer, &mut appender);
    let mut out = Vec::new();
    // From here on no file can grow. The segment in use and the next one are there.
    disk.set_faults(Faults { room: Some(0), ..Faults::default() });
    let (mut begun, mut slot) = (Vec::new(), 0);
    loop {
        writer.step(NOW, ask(2, slot, &prepare(slot)), &mut out);
        if writer.is_synced() {
            break;
        }
        sync(&mut writer, &mut appender, &mut out);
        let Some(Leaving::Reply(vote)) = out.pop() else { panic!("a vote") };
        let consorcio_core::wire::reply::Reply::Ok(tx, own) = vote.reply else {
            panic!("{:?}", vote.reply)
        };
        begun.push((tx, own));
        slot += 1;
        assert!(slot < 100_000, "nothing is ever refused");
    }
    assert_eq!(left(&mut out), ["ERR disk-full"]);
    assert!(begun.len() > 5, "{}", begun.len());
    for (line, told) in [
        (r#"CLIENT {"cpf":"98765432100","name":"Q","kind":"F"}"#, "REFUSED disk-full"),
        (r#"ACCOUNT {"number":"2","holders":["12345678900"],"deposit":1}"#, "REFUSED disk-full"),
        ("ABORT never-met", "ERR disk-full"),
        ("RESOLVE never-met", "ERR disk-full"),
        ("STATUS never-met", "UNKNOWN never-met"),
    ] {
        slot += 1;
        writer.step(NOW, ask(2, slot, line), &mut out);
        assert_eq!(left(&mut out), [told], "{line}");
    }
    // A repeat is answered, and all that was begun is ended, each in a batch of its own.
    writer.step(NOW, ask(2, slot + 1, &prepare(0)), &mut out);
    assert_eq!(left(&mut out), ["OK t0"]);
    for (tx, own) in &begun {
        let verdict = consorcio_core::wire::token::Vote::Ok;
        let other =
            Seal::keyed([7; 32]).token(BankId::new(1).unwrap(), verdict, tx, own.digest, own.time);
        writer.step(NOW, ask(3, slot, &format!("COMMIT {tx} {own} {other}")), &mut out);
        sync(&mut writer, &mut appender, &mut out);
        assert_eq!(left(&mut out), [format!("COMMITTED {tx}")]);
        slot += 1;
    }
    assert_eq!(writer.core().undecided(), 0);
}
