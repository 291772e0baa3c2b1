//! A bank in the middle of its work, without sockets, threads and a disk: the state that rows are
//! counted on. Every part of it follows from constants, so that two runs count the same.

use crate::disk::DiscardingDisk;
use crate::transfers::{Transfer, identity, seal};
use consorcio_core::access::Principal;
use consorcio_core::bank::Core;
use consorcio_core::bank::io::{Caller, Input, Now, Origin, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::founding::FoundingId;
use consorcio_core::commit::message::RequestKey;
use consorcio_core::ids::{BankId, Time};
use consorcio_core::limits::OUTCOMES_IN_MEMORY_MIN;
use consorcio_core::wire::Reason;
use consorcio_core::wire::codec::Lines;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::Token;
use consorcio_journal::{Appender, BankReplica, JournalOptions, SegmentSizes};
use consorcio_node::{DecideResult, Queue, Released, Writer};
use consorcio_steps::steplog::{Entry, OtherEnd, Step};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

/// Accounts of the bank, each with a client of its own.
pub const ACCOUNTS: u64 = 1_000;

/// Transactions that are under way at a time, in a batch, and undecided in the background.
pub const DEPTH: u64 = 64;

/// Outcomes that a bank keeps in memory, of transactions before those that it processes itself.
const OLD: u64 = OUTCOMES_IN_MEMORY_MIN as u64;

/// The first transaction after those that the bank has committed before a row begins.
const COMMITTED: u64 = OLD + 5 * DEPTH;

/// The first transaction that a row may use.
pub const FIRST: u64 = COMMITTED + DEPTH;

/// Transactions that no row uses.
const SPARE: std::ops::Range<u64> = FIRST + 2 * DEPTH..FIRST + 3 * DEPTH;

const SESSION: SessionId = SessionId(7);

/// The client at the other end of the session.
pub fn peer() -> OtherEnd {
    OtherEnd::Address(SocketAddr::from(([127, 0, 0, 1], 43_210)))
}

/// Bank 0 of three, with the parts of a node that one thread runs.
pub struct WarmBank {
    /// The writer with the bank; it keeps its steps.
    pub writer: Writer,
    /// The journal, whose disk discards all bytes.
    pub appender: Appender,
    queue: Queue,
    lines: Lines,
    released: Vec<Released>,
    /// The steps that were recorded since the last `forget`.
    pub entries: Vec<Entry>,
    /// The lines for the client.
    pub out: Vec<u8>,
    /// The lines for the other banks.
    pub sent: Vec<u8>,
    now: Now,
    slot: u64,
    replied: u64,
}

impl WarmBank {
    /// A bank with `ACCOUNTS` accounts, whose buffers and maps have been in use: it has committed
    /// `COMMITTED` transactions, and `DEPTH` are undecided.
    pub fn new() -> WarmBank {
        WarmBank::after(OLD)
    }

    /// The same bank with few outcomes in memory, for rows that need no more: it is made faster.
    pub fn young() -> WarmBank {
        WarmBank::after(0)
    }

    fn after(old: u64) -> WarmBank {
        let mut bank = WarmBank::empty(old);
        for first in (0..ACCOUNTS).step_by(usize::try_from(DEPTH).expect("it is small")) {
            bank.work(&registrations(first..(first + DEPTH).min(ACCOUNTS)));
        }
        for first in (OLD..COMMITTED).step_by(usize::try_from(DEPTH).expect("it is small")) {
            bank.commit_all(first..first + DEPTH);
        }
        bank.work(&prepares(COMMITTED..COMMITTED + DEPTH));
        bank.forget();
        bank
    }

    fn empty(old: u64) -> WarmBank {
        let mut replica = BankReplica::new(identity());
        let options = JournalOptions {
            sizes: SegmentSizes::all(64 << 20),
            threads: false,
            new_id: Some([1; 16]),
            ..JournalOptions::default()
        };
        let disk = Arc::new(DiscardingDisk::default());
        let (mut appender, reader, _) =
            consorcio_journal::open(disk, options, &mut replica).expect("a new journal");
        let mut core = replica.core;
        let mut batch = reader.batch();
        for (seq, record) in (1..).zip(first_records().into_iter().chain(old_records(old))) {
            batch.push(seq, &record);
            core.apply(&record);
            if batch.bytes() > 1 << 20 {
                appender.append(&mut batch).expect("the disk takes all bytes");
                batch.clear();
            }
        }
        appender.append(&mut batch).expect("the disk takes all bytes");
        let batches = [reader.batch(), reader.batch()];
        let wall_us = 1_795_000_000_000_000;
        let mut bank = WarmBank {
            writer: Writer::new(core, reader, batches, true),
            appender,
            queue: Queue::default(),
            lines: Lines::new(),
            released: Vec::new(),
            entries: Vec::new(),
            out: Vec::new(),
            sent: Vec::new(),
            now: Now { wall_us, shown_us: wall_us, mono_us: 1_000_000 },
            slot: 0,
            replied: 0,
        };
        bank.take(Input::Started(consorcio_core::bank::io::Start::default()));
        for other in [1, 2] {
            bank.take(Input::PeerUp(BankId::new(other).expect("a position")));
        }
        bank.decide();
        bank.sync();
        bank
    }

    /// A copy of the bank's core that has decided since, so that its buffers have room again.
    pub fn core(&self) -> Core {
        let mut core = self.writer.core().clone();
        for number in SPARE {
            let transfer = Transfer::new(number);
            let own = self.vote_of(&mut core, &transfer);
            core.step(self.now, &input(2, transfer.commit(own)));
        }
        core
    }

    /// The time of the next decision.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Cuts the bytes of one read into lines, and enqueues their requests, as a session does.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.lines.space(bytes.len()).extend_from_slice(bytes);
        while let Some(line) = self.lines.next() {
            let request = Request::parse(line.expect("text")).expect("a request");
            self.slot += 1;
            let step = Step::of_request(&request, peer(), self.slot);
            self.entries.push(Entry { at_us: self.now.wall_us, step });
            self.queue.push(self.now.mono_us, input(self.slot, request));
        }
    }

    /// Enqueues an input that comes from no client.
    pub fn take(&mut self, input: Input) {
        self.queue.push(self.now.mono_us, input);
    }

    /// Enqueues the reply of bank 1 to a message.
    pub fn hear(&mut self, asked: RequestKey, line: &str) {
        let reply = Reply::parse(line).ok();
        let peer = crate::transfers::bank(1);
        let step = Step::of_answer(peer, &asked, reply.as_ref(), None);
        self.entries.push(Entry { at_us: self.now.wall_us, step });
        self.take(Input::Answer { peer, asked, reply, past: None });
    }

    /// Decides all inputs that wait, and formats what may leave at once.
    pub fn decide(&mut self) {
        loop {
            let result = self.writer.decide(self.now, &mut self.queue, 256, &mut self.released);
            self.deliver();
            match result {
                DecideResult::Drained => break,
                DecideResult::More => {}
                DecideResult::Full => self.sync(),
            }
        }
        if let Some(steps) = self.writer.steps() {
            self.entries.append(steps);
        }
        self.now.wall_us += 200;
        self.now.shown_us += 200;
        self.now.mono_us += 200;
    }

    /// Writes and syncs the batch, and formats what waited for it.
    pub fn sync(&mut self) {
        if let Some(mut batch) = self.writer.take_batch() {
            self.appender.append(&mut batch).expect("the disk takes all bytes");
            self.writer.synced(batch, &mut self.released);
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        for released in self.released.drain(..) {
            match released {
                Released::Reply(outgoing) => {
                    self.replied += 1;
                    let step = Step::of_reply(&outgoing.reply, peer(), self.replied);
                    self.entries.push(Entry { at_us: self.now.wall_us, step });
                    outgoing.reply.write_to(&mut self.out);
                }
                Released::Send(sending) => {
                    let step = Step::of_message(&sending.message, sending.peer, None);
                    self.entries.push(Entry { at_us: self.now.wall_us, step });
                    sending.message.write_to(&mut self.sent);
                }
                Released::Meeting(..) | Released::Close(_) => {}
            }
        }
    }

    /// Receives these lines, and replies to all of them.
    pub fn work(&mut self, lines: &[u8]) {
        self.receive(lines);
        self.decide();
        self.sync();
    }

    /// Clears what was written and recorded, and keeps the memory.
    pub fn forget(&mut self) {
        self.entries.clear();
        self.out.clear();
        self.sent.clear();
    }

    /// This bank's vote on `transfer`, prepared in the next decision: that of a copy of its core.
    pub fn vote_of(&self, core: &mut Core, transfer: &Transfer) -> Token {
        let output = core.step(self.now, &input(1, transfer.prepare()));
        match &output.replies[..] {
            [outgoing] => match outgoing.reply {
                Reply::Ok(_, token) => token,
                ref other => panic!("no OK but {other:?}"),
            },
            other => panic!("one reply and not {other:?}"),
        }
    }

    /// The lines of the COMMITs of transfers that are prepared in the next decision, in this order.
    pub fn commits(&self, numbers: std::ops::Range<u64>) -> Vec<u8> {
        let mut core = self.writer.core().clone();
        let mut lines = Vec::new();
        for number in numbers {
            let transfer = Transfer::new(number);
            let own = self.vote_of(&mut core, &transfer);
            transfer.commit(own).write_to(&mut lines);
        }
        lines
    }

    fn commit_all(&mut self, numbers: std::ops::Range<u64>) {
        let commits = self.commits(numbers.clone());
        self.work(&prepares(numbers));
        self.work(&commits);
        let lines = String::from_utf8_lossy(&self.out);
        let committed = lines.lines().filter(|line| line.starts_with("COMMITTED ")).count();
        assert_eq!(u64::try_from(committed), Ok(DEPTH), "all of them are committed");
        self.forget();
    }
}

/// Ends the preparation of a row: a large allocation makes glibc collect the small chunks that were
/// freed, which would otherwise happen, and be counted, at some point within the row.
pub fn prepared<T>(state: T) -> T {
    drop(black_box(Vec::<u8>::with_capacity(100_000)));
    state
}

/// The input of a client's request.
pub fn input(slot: u64, request: Request) -> Input {
    let caller = Caller { session: SESSION, slot };
    Input::Request {
        caller,
        origin: Origin::Client,
        asker: Principal::Operator,
        request,
        waited_us: 0,
        past: None,
    }
}

/// The lines of PREPAREs.
pub fn prepares(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let mut lines = Vec::new();
    numbers.for_each(|number| Transfer::new(number).prepare().write_to(&mut lines));
    lines
}

fn registrations(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let line = |number: u64| {
        let (cpf, account) = (format!("9{number:010}"), crate::transfers::account(number));
        format!(
            "CLIENT {{\"cpf\":\"{cpf}\",\"name\":\"Client {number}\",\"kind\":\"F\"}}\n\
             ACCOUNT {{\"number\":\"{account}\",\"holders\":[\"{cpf}\"],\"deposit\":1000000}}\n"
        )
    };
    numbers.map(line).collect::<String>().into_bytes()
}

/// Outcomes that cost little to make: ids that the bank refused.
fn old_records(count: u64) -> impl Iterator<Item = Record> {
    (0..count).map(|number| {
        let time = Time(1_794_000_000_000_000 + i64::try_from(number).expect("it is small"));
        Record::Refused { tx: crate::transfers::id(number), time, reason: Reason::Expired }
    })
}

/// The records of a bank that has met the others.
fn first_records() -> [Record; 3] {
    let identity = identity();
    [
        Record::Consortium { bank: identity.bank, places: identity.places },
        Record::KeyKnown { key: seal().key_id() },
        Record::Founded { founding: FoundingId::new([2; 16]), introduced: true },
    ]
}
