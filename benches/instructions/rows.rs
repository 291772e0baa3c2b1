//! The rows that count one part: parse, decide, apply, seal, reply, and a line of the step log.

use crate::bank::{DEPTH, FIRST, WarmBank, input, prepared, prepares};
use crate::client::committed;
use crate::transfers::{Transfer, bank};
use consorcio_core::bank::Core;
use consorcio_core::bank::io::{Input, Now, Output};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{Message, PeerVerb, RequestKey};
use consorcio_core::ids::Time;
use consorcio_core::wire::codec::Lines;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_journal::{Appender, Batch};
use consorcio_steps::steplog::{Entry, Formatter, RequestId, Step};
use gungraun::prelude::*;
use std::hint::black_box;

/// The requests of one transfer, at the bank that votes and at the bank that drives.
#[derive(Clone, Copy)]
pub enum Kind {
    /// PREPARE, answered by OK.
    Prepare,
    /// COMMIT with two tokens, answered by COMMITTED.
    Commit,
    /// EXECUTE of a transfer across two banks, before its first message is sent.
    Execute,
    /// The other bank's OK to that message, after which the driving bank votes and commits.
    Answer,
}

/// A bank, the time, and the input that is decided next.
fn deciding(kind: Kind) -> (Core, Now, Input) {
    deciding_of(&WarmBank::new(), kind)
}

fn deciding_of(warm: &WarmBank, kind: Kind) -> (Core, Now, Input) {
    let (mut core, now, transfer) = (warm.core(), warm.now(), Transfer::new(FIRST));
    let input = match kind {
        Kind::Prepare => input(1, transfer.prepare()),
        Kind::Commit => {
            let own = warm.vote_of(&mut core, &transfer);
            input(2, transfer.commit(own))
        }
        Kind::Execute => input(1, transfer.execute()),
        Kind::Answer => {
            core.step(now, &input(1, transfer.execute()));
            answer(&transfer, now)
        }
    };
    (core, now, input)
}

/// The OK of bank 1 to the PREPARE of a driving bank.
fn answer(transfer: &Transfer, now: Now) -> Input {
    let token = transfer.vote(bank(1), Time(now.wall_us));
    Input::Answer {
        peer: bank(1),
        asked: RequestKey { tx: transfer.tx.clone(), verb: PeerVerb::Prepare },
        reply: Some(Reply::Ok(transfer.tx.clone(), token)),
        past: None,
    }
}

fn applying(kind: Kind) -> (Core, Output) {
    let (core, now, input) = deciding(kind);
    let output = core.decide(now, &input);
    (core, output)
}

/// A session's lines, with one line to be read.
fn reading(kind: Kind) -> Lines {
    let (_, _, input) = deciding_of(&WarmBank::young(), kind);
    let Input::Request { request, .. } = input else { panic!("no line carries it") };
    let mut bytes = Vec::new();
    request.write_to(&mut bytes);
    let mut lines = Lines::new();
    lines.space(16_384).extend_from_slice(&bytes);
    lines
}

fn replying(kind: Kind) -> (Reply, Vec<u8>) {
    let (mut core, now, input) = deciding_of(&WarmBank::young(), kind);
    let mut replies = core.step(now, &input).replies;
    (replies.pop().expect("a reply").reply, Vec::with_capacity(4_096))
}

/// `DEPTH` records of one kind, and a batch that has been used.
fn sealing(kind: Kind) -> (Appender, Batch, u64, Vec<Record>) {
    let mut warm = WarmBank::young();
    let (mut core, now) = (warm.writer.core().clone(), warm.now());
    let mut records = Vec::new();
    for number in FIRST..FIRST + DEPTH {
        let transfer = Transfer::new(number);
        let mut step = |input: &Input| core.step(now, input).records;
        let made = match kind {
            Kind::Prepare => step(&input(1, transfer.prepare())),
            Kind::Commit => {
                let own = warm.vote_of(&mut core, &transfer);
                core.step(now, &input(2, transfer.commit(own))).records
            }
            Kind::Execute | Kind::Answer => {
                step(&input(1, transfer.execute()));
                step(&answer(&transfer, now))
            }
        };
        assert_eq!(made.len(), 1, "one record each");
        records.extend(made);
    }
    warm.sync();
    let (first, mut batch) = (warm.appender.last() + 1, warm.appender.batch());
    (first..).zip(&records).for_each(|(seq, record)| batch.push(seq, record));
    batch.clear();
    (warm.appender, batch, first, records)
}

#[library_benchmark]
#[bench::prepare(prepared(reading(Kind::Prepare)))]
#[bench::commit(prepared(reading(Kind::Commit)))]
#[bench::execute(prepared(reading(Kind::Execute)))]
fn parse(mut lines: Lines) -> (Lines, Option<Request>) {
    let request = lines.next().and_then(Result::ok).map(Request::parse).and_then(Result::ok);
    (lines, black_box(request))
}

// As `parse`, with a copy of the line and a second check of its UTF-8: a slowdown that the guard
// must find.
#[library_benchmark]
#[bench::parse_prepare(prepared(reading(Kind::Prepare)))]
fn planted(mut lines: Lines) -> (Lines, Option<Request>) {
    let copy = lines.next().and_then(Result::ok).map(|line| black_box(line.as_bytes().to_vec()));
    let line = copy.and_then(|copy| String::from_utf8(copy).ok());
    let request = line.and_then(|line| Request::parse(&line).ok());
    (lines, black_box(request))
}

#[library_benchmark]
#[bench::prepare(prepared(deciding(Kind::Prepare)))]
#[bench::commit(prepared(deciding(Kind::Commit)))]
#[bench::execute(prepared(deciding(Kind::Execute)))]
#[bench::answer(prepared(deciding(Kind::Answer)))]
fn decide((core, now, input): (Core, Now, Input)) -> (Core, Input, Output) {
    let output = core.decide(now, &input);
    (core, input, black_box(output))
}

#[library_benchmark]
#[bench::prepare(prepared(applying(Kind::Prepare)))]
#[bench::commit(prepared(applying(Kind::Commit)))]
#[bench::execute(prepared(applying(Kind::Execute)))]
#[bench::answer(prepared(applying(Kind::Answer)))]
fn apply((mut core, output): (Core, Output)) -> (Core, Output) {
    output.records.iter().for_each(|record| core.apply(record));
    output.changes.iter().for_each(|change| core.change(change));
    (black_box(core), output)
}

#[library_benchmark]
#[bench::prepare(prepared(sealing(Kind::Prepare)))]
#[bench::commit(prepared(sealing(Kind::Commit)))]
#[bench::execute(prepared(sealing(Kind::Execute)))]
fn seal_64(
    (mut appender, mut batch, first, records): (Appender, Batch, u64, Vec<Record>),
) -> (Appender, Batch, Vec<Record>) {
    (first..).zip(&records).for_each(|(seq, record)| batch.push(seq, record));
    appender.append(&mut batch).expect("the disk takes all bytes");
    (appender, black_box(batch), records)
}

#[library_benchmark]
#[bench::prepare(prepared(replying(Kind::Prepare)))]
#[bench::commit(prepared(replying(Kind::Commit)))]
#[bench::execute(prepared(replying(Kind::Answer)))]
fn reply((reply, mut out): (Reply, Vec<u8>)) -> (Reply, Vec<u8>) {
    reply.write_to(&mut out);
    (reply, black_box(out))
}

/// A formatter that has written lines of this second, and the steps to be written.
fn logging(choose: impl Fn(&Step) -> bool) -> (Formatter, Vec<u8>, Vec<Entry>) {
    let mut warm = WarmBank::young();
    let commits = warm.commits(FIRST..FIRST + 1);
    warm.work(&prepares(FIRST..FIRST + 1));
    warm.work(&commits);
    let mut entries = std::mem::take(&mut warm.entries);
    entries.sort_by_key(|entry| entry.at_us);
    let places = crate::transfers::identity().places;
    let (mut formatter, mut out) = (Formatter::new(places), Vec::with_capacity(65_536));
    formatter.write(&mut out, &entries[0]);
    entries.extend(of_client());
    entries.retain(|entry| choose(&entry.step));
    (formatter, out, entries)
}

/// The steps of the client of a transfer, at its first bank.
fn of_client() -> Vec<Entry> {
    let transfer = Transfer::new(FIRST);
    let at_us = 1_795_000_000_000_000;
    let (tx, id) = (transfer.tx.clone(), |n| RequestId::new(43_210, n));
    let own = transfer.vote(bank(0), Time(at_us));
    let Request::Commit(_, tokens) = transfer.commit(own) else { panic!("it is a COMMIT") };
    let prepare = Message::Prepare(tx.clone(), transfer.transaction.clone());
    let (ok, outcome) = (Reply::Ok(tx.clone(), own), committed(&transfer, own));
    let commit = Message::Commit(tx, tokens);
    let steps = [
        Step::of_message(&prepare, bank(0), id(2)),
        Step::of_answer(bank(0), &prepare.key(), Some(&ok), id(2)),
        Step::of_message(&commit, bank(0), id(3)),
        Step::of_answer(bank(0), &commit.key(), Some(&outcome), id(3)),
    ];
    steps.into_iter().map(|step| Entry { at_us, step }).collect()
}

fn is_of_client(step: &Step) -> bool {
    matches!(step, Step::Send { .. } | Step::Answer { .. })
}

#[library_benchmark]
#[bench::recv(prepared(logging(|step| matches!(step, Step::Receive { .. }))))]
#[bench::vote(prepared(logging(|step| matches!(step, Step::Vote { .. }))))]
#[bench::outcome(prepared(logging(|step| matches!(step, Step::Outcome { .. }))))]
#[bench::reply(prepared(logging(|step| matches!(step, Step::Reply { .. }))))]
#[bench::send(prepared(logging(|step| matches!(step, Step::Send { .. }))))]
#[bench::answer(prepared(logging(|step| matches!(step, Step::Answer { .. }))))]
#[bench::participant(prepared(logging(|step| !is_of_client(step))))]
fn log(
    (mut formatter, mut out, entries): (Formatter, Vec<u8>, Vec<Entry>),
) -> (Formatter, Vec<u8>, Vec<Entry>) {
    entries.iter().for_each(|entry| formatter.write(&mut out, entry));
    (formatter, black_box(out), entries)
}

library_benchmark_group!(
    name = parts,
    benchmarks = [parse, planted, decide, apply, seal_64, reply, log]
);
