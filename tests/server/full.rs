//! Full queues and full memory: the real session code over real sockets, in this process. The bank
//! itself runs only after its queue, or the memory of all sessions, is full.

use crate::support::{DEADLINE, Wire, wait_until};
use consorcio::bank::Identity;
use consorcio::bank::io::{Input, Start};
use consorcio::clock::{ClockFilter, RELEASED_US};
use consorcio::commit::founding::FoundingId;
use consorcio::ids::{BankId, Time};
use consorcio::journal::{self, BankReplica, MemDisk};
use consorcio::limits::SESSION_BYTES_OWN;
use consorcio::limits::{QUEUE_MAX, SESSIONS_BYTES_MAX};
use consorcio::node::{Inbox, JournalThread, MonotonicClock, WallClock, Writer, machine, run};
use consorcio::peers::Peers;
use consorcio::server::{ServerBounds, ServerState};
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

/// A client's thread, which returns the replies that it received.
type ClientThread = JoinHandle<Vec<String>>;

/// Lets the clients that `begin` starts fill a bank that does not run, until `is_full`; then calls
/// `check`, runs the bank, and returns the replies of each client.
fn fill(
    bounds: ServerBounds,
    begin: impl FnOnce(String) -> Vec<ClientThread>,
    is_full: impl Fn(&ServerState) -> bool,
    check: impl Fn(&ServerState),
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
    let inbox = Rc::new(Inbox::new(MonotonicClock::start(), wake.clone()));
    inbox.offer(Input::Started(Start::default()));
    let peers = Peers::new(identity.clone(), FoundingId::new([1; 16]), StepLog::off(), None);
    let shared = ServerState::new(inbox.clone(), StepLog::off(), peers, identity, bounds, None);
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::task::spawn_local(shared.clone().accept(listener));
        // No sweep runs: a session that waits for room or memory must be woken by its release.
        let clients = begin(address);
        let until = Instant::now() + DEADLINE;
        while !is_full(&shared) {
            assert!(Instant::now() < until, "timed out: a full bank");
            sleep(Duration::from_millis(2)).await;
        }
        check(&shared);
        let disk = JournalThread::start(appender, wake).unwrap();
        let delivering = shared.clone();
        let steplog = StepLog::off();
        let filter = ClockFilter::start(machine(), Time(0), RELEASED_US, true).unwrap();
        let wall = WallClock::new(filter, Arc::new(|_| ()));
        let node = run(writer, disk, &inbox, wall, &steplog, |out, writer| {
            delivering.deliver(out, writer)
        });
        let all_replied = async {
            while !clients.iter().all(JoinHandle::is_finished) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            ended = node => panic!("the node ended: {:?}", ended.err()),
            () = all_replied => {}
        }
        clients.into_iter().map(|client| client.join().expect("a reply to each")).collect()
    })
}

/// Starts a client that sends all lines as fast as the bank reads them, and receives the replies
/// meanwhile.
fn start_client(address: &str, lines: Vec<String>) -> ClientThread {
    let mut replies = Wire::connect(address);
    std::thread::spawn(move || {
        let mut sending = replies.try_clone();
        let count = lines.len();
        let sender = std::thread::spawn(move || lines.iter().for_each(|line| sending.send(line)));
        let all = (0..count).map(|_| replies.receive().expect("an open connection")).collect();
        sender.join().expect("all lines are sent");
        all
    })
}

/// Sessions stop reading once the queue is full, by its count or because its head waits long; no
/// request is refused, and all are answered.
#[test]
fn a_full_queue_refuses_no_request() {
    let (sessions, each) = (40, 1_000);
    assert!(sessions * each > 2 * QUEUE_MAX);
    let id = |session: usize, number: usize| format!("s{session}.{number}");
    let status =
        |session| (0..each).map(|number| format!("STATUS {}", id(session, number))).collect();
    let replies = fill(
        ServerBounds::default(),
        |address| (0..sessions).map(|session| start_client(&address, status(session))).collect(),
        |shared| shared.inbox.room() == 0,
        // The queue holds `Started` too.
        |shared| assert!((2..=QUEUE_MAX + 1).contains(&shared.inbox.fill(|queue| queue.len()))),
    );
    for (session, replies) in replies.iter().enumerate() {
        for (number, reply) in replies.iter().enumerate() {
            assert_eq!(*reply, format!("UNKNOWN {}", id(session, number)));
        }
    }
}

/// Bounds with so many sessions that little shared memory remains, and how much.
fn little_memory() -> (ServerBounds, usize) {
    let sessions = SESSIONS_BYTES_MAX / SESSION_BYTES_OWN - 68;
    (
        ServerBounds { sessions, ..ServerBounds::default() },
        SESSIONS_BYTES_MAX - sessions * SESSION_BYTES_OWN,
    )
}

/// A line that is long because of blanks; the bank refuses it, as it has no such account.
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

/// The memory of all sessions together has its own bound.
#[test]
fn sessions_that_fill_all_memory_are_answered_in_turn() {
    let (bounds, shared_bytes) = little_memory();
    let (sessions, each, blanks) = (60, 2, 60_000);
    assert!(
        sessions * (blanks - SESSION_BYTES_OWN) > 2 * shared_bytes,
        "one line each exceeds the memory"
    );
    let lines = |session| (0..each).map(|number| long_line(session, number, blanks)).collect();
    let waiting = |shared: &ServerState| shared.inbox.fill(|queue| queue.len()) - 1;
    let replies = fill(
        bounds,
        |address| (0..sessions).map(|session| start_client(&address, lines(session))).collect(),
        |shared| shared.bytes.is_short(),
        |shared| assert!(waiting(shared) * blanks < shared_bytes + sessions * SESSION_BYTES_OWN),
    );
    assert_refused(&replies);
}

/// Unfinished lines must not use up the memory, or none of them could be completed.
#[test]
fn unfinished_lines_do_not_block_each_other() {
    let (bounds, shared_bytes) = little_memory();
    let (sessions, half) = (60, 40_000);
    assert!(sessions * (half - SESSION_BYTES_OWN) > shared_bytes, "the halves exceed the memory");
    let may_finish = Arc::new(AtomicBool::new(false));
    let start_client = |address: &str, session| {
        let (mut wire, line, may_finish) =
            (Wire::connect(address), long_line(session, 0, 60_000), Arc::clone(&may_finish));
        std::thread::spawn(move || {
            let (begin, end) = line.split_at(half);
            wire.send_bytes(begin.as_bytes());
            wait_until("the bank is full", || may_finish.load(Ordering::SeqCst).then_some(()));
            wire.send(end);
            vec![wire.receive().expect("an open connection")]
        })
    };
    let replies = fill(
        bounds,
        |address| (0..sessions).map(|session| start_client(&address, session)).collect(),
        |shared| shared.bytes.is_short(),
        |_| may_finish.store(true, Ordering::SeqCst),
    );
    assert_refused(&replies);
}
