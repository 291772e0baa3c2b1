//! The rows that count a whole side of a transfer.

use crate::bank::{DEPTH, FIRST, WarmBank, prepared, prepares};
use crate::client::{ClientSide, committed};
use crate::transfers::{Transfer, bank};
use consorcio_core::commit::coordinator::Verdict;
use consorcio_core::commit::message::{PeerVerb, RequestKey};
use consorcio_core::ids::Time;
use consorcio_core::wire::reply::Reply;
use gungraun::prelude::*;
use std::hint::black_box;

/// A bank, and the lines of the PREPAREs and of the COMMITs of `count` transfers.
fn participating(count: u64) -> (WarmBank, Vec<u8>, Vec<u8>) {
    let numbers = FIRST..FIRST + count;
    let bank = WarmBank::new();
    let commits = bank.commits(numbers.clone());
    (bank, prepares(numbers), commits)
}

// PREPARE in, OK out, COMMIT in, COMMITTED out, both records in synced batches. The steps of the
// step log are recorded and not formatted.
#[library_benchmark]
#[bench::one(prepared(participating(1)))]
#[bench::of_64(prepared(participating(DEPTH)))]
fn participant((mut bank, prepares, commits): (WarmBank, Vec<u8>, Vec<u8>)) -> WarmBank {
    bank.work(black_box(&prepares));
    bank.work(black_box(&commits));
    bank
}

/// What a driving bank receives: the line of an EXECUTE, and those of the other bank to its PREPARE
/// and COMMIT.
type Received = (Vec<u8>, [(RequestKey, String); 2]);

fn execution(driving: &WarmBank, number: u64) -> Received {
    let transfer = Transfer::new(number);
    let mut line = Vec::new();
    transfer.execute().write_to(&mut line);
    let token = transfer.vote(bank(1), Time(driving.now().wall_us));
    let asked = |verb| RequestKey { tx: transfer.tx.clone(), verb };
    let voted = Reply::Ok(transfer.tx.clone(), token).to_line();
    let ended = committed(&transfer, token).to_line();
    (line, [(asked(PeerVerb::Prepare), voted), (asked(PeerVerb::Commit), ended)])
}

fn drive(bank: &mut WarmBank, (line, replies): Received) {
    bank.work(black_box(&line));
    for (asked, line) in replies {
        bank.hear(asked, black_box(&line));
        bank.decide();
        bank.sync();
    }
}

/// A bank that has driven transactions before, and what it receives.
fn driving() -> (WarmBank, Received) {
    let mut bank = WarmBank::new();
    for number in FIRST + DEPTH..FIRST + 2 * DEPTH {
        let received = execution(&bank, number);
        drive(&mut bank, received);
    }
    bank.forget();
    let received = execution(&bank, FIRST);
    (bank, received)
}

// EXECUTE in, PREPARE out, OK in, COMMITTED and COMMIT out, COMMITTED in.
#[library_benchmark]
#[bench::transfer(prepared(driving()))]
fn driver((mut bank, received): (WarmBank, Received)) -> WarmBank {
    drive(&mut bank, received);
    bank
}

// Makes a transaction, writes PREPARE to two banks, reads two OKs, counts them, writes COMMIT to
// both, and reads two COMMITTED.
#[library_benchmark]
#[bench::transfer(prepared(ClientSide::new()))]
fn client(mut client: ClientSide) -> (ClientSide, Option<Verdict>) {
    let verdict = client.transfer();
    (client, black_box(verdict))
}

library_benchmark_group!(name = wholes, benchmarks = [participant, driver, client]);
