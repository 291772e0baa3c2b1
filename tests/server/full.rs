//! What happens when all is full: the bank's queue, and the memory of all sessions. Here the
//! sessions are the shipped ones over real sockets, in this process, and the bank is not run before
//! all is as full as it gets.

use crate::support::{DEADLINE, Wire, wait_until};
use consorcio::bank::Identity;
use consorcio::bank::io::{Input, Start};
use consorcio::clock::{ClockFilter, RELEASED_US};
use consorcio::commit::founding::FoundingId;
use consorcio::ids::{BankId, Time};
use consorcio::journal::{self, BankReplica, MemDisk};
use consorcio::limits::SESSION_BYTES_OWN;
use consorcio::limits::{QUEUE_MAX, SESSIONS_BYTES_MAX};
use consorcio::node::clock::{WallClock, machine};
use consorcio::node::disk::Disk;
use consorcio::node::inbox::{Clock, Inbox};
use consorcio::node::run::run;
use consorcio::node::writer::Writer;
use consorcio::peers::Peers;
use consorcio::server::{Bounds, ServerState};
use consorcio::steplog::StepLog;
use consorcio::wire::token::Seal;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio::time::sleep;

/// What a client was answered, once it has ended.
type Talk = JoinHandle<Vec<String>>;

/// Lets clients, which `begin` starts, fill a bank that stands still, until `is_full`; then `look`s
/// at it, runs the bank, and gives the replies of each client.
fn fill(
    bounds: Bounds,
    begin: impl FnOnce(String) -> Vec<Talk>,
    is_full: impl Fn(&ServerState) -> bool,
    look: impl Fn(&ServerState),
) -> Vec<Vec<String>> {
    let runtime =
        Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    let identity = Identity {
        bank: BankId::new(0).unwrap(),
        places: vec!["127.0.0.1:1".into()],
        seal: Seal::keyed([7; 32]),
    };
    let options = journal::JournalOptions { threads: false, ..journal::JournalOptions::default() };
    let mut replica = BankReplica::new(identity.clone());
    let (appender, reader, _) =
        journal::open(Arc::new(MemDisk::new()), options, &mut replica).unwrap();
    let batches = [reader.batch(), reader.batch()];
    let writer = Writer::new(replica.core, reader, batches, false);
    let wake = Arc::new(Notify::new());
    let inbox = Rc::new(Inbox::new(Clock::start(), wake.clone()));
    inbox.offer(Input::Started(Start::default()));
    let peers = Peers::new(identity.clone(), FoundingId::new([1; 16]), StepLog::off());
    let shared = ServerState::new(inbox.clone(), StepLog::off(), peers, identity, bounds);
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::task::spawn_local(shared.clone().accept(listener));
        // No sweep is run: whoever waits for room or memory is woken by what gives it back, and by
        // nothing else.
        let talks = begin(address);
        let until = Instant::now() + DEADLINE;
        while !is_full(&shared) {
            assert!(Instant::now() < until, "it never gets full");
            sleep(Duration::from_millis(2)).await;
        }
        look(&shared);
        let disk = Disk::start(appender, wake).unwrap();
        let delivering = shared.clone();
        let steplog = StepLog::off();
        let filter = ClockFilter::start(machine(), Time(0), RELEASED_US, true).unwrap();
        let wall = WallClock::new(filter, Arc::new(|_| ()));
        let node = run(writer, disk, &inbox, wall, &steplog, |out, writer| {
            delivering.deliver(out, writer)
        });
        let all_said = async {
            while !talks.iter().all(JoinHandle::is_finished) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            ended = node => panic!("the node ended: {:?}", ended.err()),
            () = all_said => {}
        }
        talks.into_iter().map(|talk| talk.join().expect("a client is answered")).collect()
    })
}

/// Sends all lines as fast as the bank reads them, and meanwhile takes the replies.
fn talk(address: &str, lines: Vec<String>) -> Talk {
    let mut replies = Wire::connect(address);
    std::thread::spawn(move || {
        let mut sending = replies.second_hand();
        let count = lines.len();
        let sender = std::thread::spawn(move || lines.iter().for_each(|line| sending.send(line)));
        let all =
            (0..count).map(|_| replies.receive().expect("the bank does not hang up")).collect();
        sender.join().expect("all is sent");
        all
    })
}

/// Reading stops at the bound, nobody is refused, and all are answered in the end.
#[test]
fn the_queue_is_filled_to_its_bound_and_refuses_nobody() {
    let (sessions, each) = (40, 1_000);
    assert!(sessions * each > 2 * QUEUE_MAX);
    let id = |session: usize, number: usize| format!("s{session}.{number}");
    let status =
        |session| (0..each).map(|number| format!("STATUS {}", id(session, number))).collect();
    let room = |shared: &ServerState| shared.inbox.fill(|queue| queue.room());
    let replies = fill(
        Bounds::default(),
        |address| (0..sessions).map(|session| talk(&address, status(session))).collect(),
        |shared| room(shared) == 0,
        // `Started` is in it too.
        |shared| assert_eq!(shared.inbox.fill(|queue| queue.len()), QUEUE_MAX + 1),
    );
    for (session, replies) in replies.iter().enumerate() {
        for (number, reply) in replies.iter().enumerate() {
            assert_eq!(*reply, format!("UNKNOWN {}", id(session, number)));
        }
    }
}

/// So many places leave little memory beyond what each session has for itself; how much.
fn little_memory() -> (Bounds, usize) {
    let sessions = SESSIONS_BYTES_MAX / SESSION_BYTES_OWN - 68;
    (Bounds { sessions, ..Bounds::default() }, SESSIONS_BYTES_MAX - sessions * SESSION_BYTES_OWN)
}

/// A line that many blanks make long; the bank refuses it, since it has no such account.
fn long_line(session: usize, number: usize, blanks: usize) -> String {
    let op = r#"{"bank":0,"op":"deposit","account":"none","amount":1}"#;
    format!(r#"PREPARE s{session}.{number} {{"ops":[{op}]{}}}"#, " ".repeat(blanks))
}

fn assert_refused(replies: &[Vec<String>]) {
    for (session, replies) in replies.iter().enumerate() {
        for (number, reply) in replies.iter().enumerate() {
            assert!(reply.starts_with(&format!("NOK s{session}.{number} ")), "{reply}");
        }
    }
}

/// What all sessions hold together has a bound of its own.
#[test]
fn sessions_that_fill_all_memory_are_answered_one_after_the_other() {
    let (bounds, shared_bytes) = little_memory();
    let (sessions, each, blanks) = (60, 2, 60_000);
    assert!(
        sessions * (blanks - SESSION_BYTES_OWN) > 2 * shared_bytes,
        "one line each is too much"
    );
    let lines = |session| (0..each).map(|number| long_line(session, number, blanks)).collect();
    let waiting = |shared: &ServerState| shared.inbox.fill(|queue| queue.len()) - 1;
    let replies = fill(
        bounds,
        |address| (0..sessions).map(|session| talk(&address, lines(session))).collect(),
        |shared| shared.bytes.is_short(),
        |shared| assert!(waiting(shared) * blanks < shared_bytes + sessions * SESSION_BYTES_OWN),
    );
    assert_refused(&replies);
}

/// Were memory used up by halves of lines, none of them could be read to its end.
#[test]
fn lines_that_were_begun_do_not_keep_each_other_from_their_end() {
    let (bounds, shared_bytes) = little_memory();
    let (sessions, half) = (60, 40_000);
    assert!(sessions * (half - SESSION_BYTES_OWN) > shared_bytes, "the halves are too much");
    let may_end = Arc::new(AtomicBool::new(false));
    let talk = |address: &str, session| {
        let (mut wire, line, may_end) =
            (Wire::connect(address), long_line(session, 0, 60_000), Arc::clone(&may_end));
        std::thread::spawn(move || {
            let (begin, end) = line.split_at(half);
            wire.send_bytes(begin.as_bytes());
            wait_until("the bank is full", || may_end.load(Ordering::SeqCst).then_some(()));
            wire.send(end);
            vec![wire.receive().expect("it is not cut off for what others hold")]
        })
    };
    let replies = fill(
        bounds,
        |address| (0..sessions).map(|session| talk(&address, session)).collect(),
        |shared| shared.bytes.is_short(),
        |_| may_end.store(true, Ordering::SeqCst),
    );
    assert_refused(&replies);
}
