//! Tests of the writer and of the node's loop, over the shipped core and a journal in memory.
//!
//! `writer` and `past` drive the writer without threads and clocks; `node_loop` runs the whole
//! loop. This file holds what they share.

mod node_loop;
mod past;
mod writer;

use crate::clock::{WallClock, machine};
use crate::writer::{Released, Writer};
use consorcio_core::access::Principal;
use consorcio_core::bank::Core;
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::{Caller, Input, Now, Origin, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::clock::ClockFilter;
use consorcio_core::ids::{BankId, Time};
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::Seal;
use consorcio_journal::{self, Appender, BankReplica, MemDisk, NoticeSink, SegmentSizes};
use std::sync::Arc;

const NOW: Now =
    Now { wall_us: 1_795_000_000_000_000, shown_us: 1_795_000_000_000_000, mono_us: 1_000_000 };

fn later(us: u64) -> Now {
    let wall_us = NOW.wall_us + i64::try_from(us).unwrap();
    Now { wall_us, shown_us: wall_us, mono_us: NOW.mono_us + us }
}

/// Bank 0 of two banks that share a key, with its journal on `disk`.
fn bank(disk: &MemDisk) -> (Writer, Appender) {
    bank_with(disk, Arc::new(|_| ()), false)
}

/// The same bank; `notice` gets the messages for the operator, and the writer keeps its steps if
/// `keeps_steps`.
fn bank_with(disk: &MemDisk, notice: NoticeSink, keeps_steps: bool) -> (Writer, Appender) {
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
    (Writer::new(core, reader, batches, keeps_steps), appender)
}

fn wall() -> WallClock {
    let filter = ClockFilter::start(machine(), Time(0), 0, true).unwrap();
    WallClock::new(filter, Arc::new(|_| ()))
}

fn request(session: u64, slot: u64, line: &str) -> Input {
    let caller = Caller { session: SessionId(session), slot };
    let request = Request::parse(line).unwrap();
    Input::Request {
        caller,
        origin: Origin::Client,
        asker: Principal::Operator,
        request,
        waited_us: 0,
        past: None,
    }
}

fn prepare(n: u64) -> String {
    format!(
        r#"PREPARE t{n} {{"ops":[{{"bank":0,"op":"deposit","account":"1","amount":5}},{{"bank":1,"op":"deposit","account":"2","amount":5}}]}}"#
    )
}

/// Empties `out`: the first two words of each reply, and the verb of each message.
fn released(out: &mut Vec<Released>) -> Vec<String> {
    out.drain(..)
        .map(|released| match released {
            Released::Reply(outgoing) => {
                let mut line = Vec::new();
                outgoing.reply.write_to(&mut line);
                let line = String::from_utf8(line).unwrap();
                line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
            }
            Released::Close(bank) => format!("close {bank}"),
            Released::Meeting(bank, _) => format!("met {bank}"),
            Released::Send(sending) => format!("{:?}", sending.message.key().verb),
        })
        .collect()
}

/// Opens the account that `prepare` names, durably.
fn with_account(writer: &mut Writer, appender: &mut Appender) {
    let mut out = Vec::new();
    for line in [
        r#"CLIENT {"cpf":"12345678900","name":"P","kind":"F"}"#,
        r#"ACCOUNT {"number":"1","holders":["12345678900"],"deposit":1000}"#,
    ] {
        writer.step(NOW, request(1, 0, line), &mut out);
    }
    sync(writer, appender, &mut out);
    assert_eq!(out.len(), 2);
}

fn sync(writer: &mut Writer, appender: &mut Appender, out: &mut Vec<Released>) {
    let mut batch = writer.take_batch().expect("the batch has a record");
    appender.append(&mut batch).unwrap();
    writer.synced(batch, out);
}
