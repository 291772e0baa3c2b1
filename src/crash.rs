//! Crash points: named steps at which a test lets a process die as by `kill -9`.
//!
//! `CONSORCIO_CRASH=<name>[:<n>]` kills the process that passes the point `name` for the n-th time (1 without
//! `:<n>`): a real SIGKILL, so nothing is unwound, flushed or said. `tests/kill_matrix.rs` goes through the list, so
//! a point that nobody passes fails there, and one that is not listed does not compile.
//!
//! Architecture invariant: only builds with debug assertions can die here. In all others every function below is
//! empty and `Leaving` has no size; the test of a release build looks for the variable's name in the programs. The
//! pure core has no point: it has no step that a crash could split.

use crate::bank::io::{AskedVerb, Message};
use crate::wire::reply::Reply;
use crate::wire::request::Request;

/// The environment variable that names the point.
#[cfg(debug_assertions)]
pub const VARIABLE: &str = "CONSORCIO_CRASH";

macro_rules! points {
    ($($point:ident $name:literal $what:literal)+) => {
        /// A step at which a process can be made to die.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Point {
            $(#[doc = $what] $point,)+
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Point] = &[$(Point::$point,)+];

            /// Its name in the variable.
            pub fn name(self) -> &'static str {
                match self {
                    $(Point::$point => $name,)+
                }
            }
        }
    };
}

points! {
    ReceivedPrepare "received-prepare" "PREPARE was read, nothing is decided."
    ReceivedExecute "received-execute" "EXECUTE was read."
    ReceivedCommit "received-commit" "COMMIT was read."
    ReceivedAbort "received-abort" "ABORT was read."
    ReceivedResolve "received-resolve" "RESOLVE was read."
    ReceivedRegistration "received-registration" "CLIENT or ACCOUNT was read."
    BatchDecided "batch-decided" "Records are decided, and nothing of them is written."
    BatchTorn "batch-torn" "Half of the batch is written."
    BatchWritten "batch-written" "The batch is written, and not synced."
    BatchSynced "batch-synced" "The batch is synced; what waited for it has not left."
    RepliedOk "replied-ok" "OK has left, to PREPARE or RESOLVE."
    RepliedNok "replied-nok" "NOK has left."
    RepliedCommitted "replied-committed" "COMMITTED has left."
    RepliedAborted "replied-aborted" "ABORTED has left, for a vote."
    RepliedTombstone "replied-tombstone" "ABORTED has left, for a refusal of the id alone."
    RepliedRegistration "replied-registration" "DONE has left, for a client."
    SendingPrepare "sending-prepare" "A bank that drives is about to send PREPARE."
    SendingCommit "sending-commit" "A bank is about to send COMMIT."
    SendingAbort "sending-abort" "A bank is about to send ABORT."
    SendingResolve "sending-resolve" "A bank in doubt is about to send RESOLVE."
    SentPrepare "sent-prepare" "PREPARE has left for a bank."
    SentCommit "sent-commit" "COMMIT has left for a bank."
    SentAbort "sent-abort" "ABORT has left for a bank."
    SentResolve "sent-resolve" "RESOLVE has left for a bank."
    AnsweredPrepare "answered-prepare" "A bank's answer to PREPARE was read."
    AnsweredCommit "answered-commit" "A bank's answer to COMMIT was read."
    AnsweredAbort "answered-abort" "A bank's answer to ABORT was read."
    AnsweredResolve "answered-resolve" "A bank's answer to RESOLVE was read."
    RecoveryBegun "recovery-begun" "The journal is about to be read."
    RecoveryRead "recovery-read" "The journal was read; the bank has not begun to work."
    Started "started" "The bank knows what it left undecided, and its questions wait."
    SegmentWritten "segment-written" "The next segment is zeroed, and has not its name."
    SegmentNamed "segment-named" "The next segment has its name, and its folder is not synced."
    SegmentRolled "segment-rolled" "A segment is full, and nothing is written to the next."
    IndexWritten "index-written" "A full segment's index is written, and has not its name."
    IndexNamed "index-named" "A full segment's index has its name."
    SnapshotWritten "snapshot-written" "A snapshot is written, and has not its name."
    SnapshotNamed "snapshot-named" "A snapshot has its name; the ones that it replaces are still there."
    ClientConnected "client-connected" "`cliente` is connected to a bank of a transaction."
    ClientReady "client-ready" "`cliente` is connected to all of them, and has sent nothing."
    ClientSentPrepare "client-sent-prepare" "`cliente` has sent PREPARE to a bank."
    ClientAllOk "client-all-ok" "`cliente` has the last OK, has told nobody, and has sent no COMMIT."
    ClientSentCommit "client-sent-commit" "`cliente` has sent COMMIT to a bank."
    ClientSentAbort "client-sent-abort" "`cliente` has sent ABORT to a bank."
    ClientSentExecute "client-sent-execute" "`cliente` has sent EXECUTE."
}

/// The process passes `point`.
#[inline]
pub fn point(point: Point) {
    #[cfg(debug_assertions)]
    armed::pass(point, || ());
    let _ = point;
}

/// A batch is about to be written: dies after `write_half`.
#[inline]
pub fn torn(write_half: impl FnOnce()) {
    #[cfg(debug_assertions)]
    armed::pass(Point::BatchTorn, write_half);
    #[cfg(not(debug_assertions))]
    let _ = write_half;
}

/// A session has read `request`.
#[inline]
pub fn received(request: &Request) {
    match request {
        Request::Prepare(..) => point(Point::ReceivedPrepare),
        Request::Execute(..) => point(Point::ReceivedExecute),
        Request::Commit(..) => point(Point::ReceivedCommit),
        Request::Abort(..) => point(Point::ReceivedAbort),
        Request::Resolve(_) => point(Point::ReceivedResolve),
        Request::Client(_) | Request::Account(_) => point(Point::ReceivedRegistration),
        Request::Status(_)
        | Request::Clients { .. }
        | Request::Accounts { .. }
        | Request::Balance(_)
        | Request::Value(_)
        | Request::History { .. }
        | Request::Pending { .. }
        | Request::Banks
        | Request::Info
        | Request::Snapshot { .. }
        | Request::Peer(_)
        | Request::Ping
        | Request::Help
        | Request::Quit => {}
    }
}

/// A link is about to send a message.
#[inline]
pub fn sending(message: &Message) {
    point(match message {
        Message::Prepare(..) => Point::SendingPrepare,
        Message::Commit(..) => Point::SendingCommit,
        Message::Abort(..) => Point::SendingAbort,
        Message::Resolve(_) => Point::SendingResolve,
    });
}

/// A link has read the answer to such a message.
#[inline]
pub fn answered(verb: AskedVerb) {
    point(match verb {
        AskedVerb::Prepare => Point::AnsweredPrepare,
        AskedVerb::Commit => Point::AnsweredCommit,
        AskedVerb::Abort => Point::AnsweredAbort,
        AskedVerb::Resolve => Point::AnsweredResolve,
    });
}

/// `cliente` has sent a message of a transaction that it drives.
#[inline]
pub fn client_sent(message: &Message) {
    match message {
        Message::Prepare(..) => point(Point::ClientSentPrepare),
        Message::Commit(..) => point(Point::ClientSentCommit),
        Message::Abort(..) => point(Point::ClientSentAbort),
        Message::Resolve(_) => {}
    }
}

/// `cliente` has sent a request to one bank.
#[inline]
pub fn client_asked(request: &Request) {
    if matches!(request, Request::Execute(..)) {
        point(Point::ClientSentExecute);
    }
}

/// The journal has written and synced a file under a passing name.
#[inline]
pub fn file_written(name: &str) {
    file(name, [Point::SegmentWritten, Point::IndexWritten, Point::SnapshotWritten]);
}

/// The journal has given a file its own name.
#[inline]
pub fn file_named(name: &str) {
    file(name, [Point::SegmentNamed, Point::IndexNamed, Point::SnapshotNamed]);
}

#[inline]
fn file(name: &str, [segment, index, snapshot]: [Point; 3]) {
    if name.starts_with("segment-") {
        point(segment);
    } else if name.starts_with("index-") {
        point(index);
    } else if name.starts_with("snapshot-") {
        point(snapshot);
    }
}

/// The points of what was put into a buffer; they are passed once it is written to its socket.
#[derive(Debug, Default)]
pub struct Leaving {
    #[cfg(debug_assertions)]
    points: Vec<Point>,
}

impl Leaving {
    /// A reply was put into the buffer.
    #[inline]
    pub fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Ok(..) => self.add(Point::RepliedOk),
            Reply::Nok(..) => self.add(Point::RepliedNok),
            Reply::Committed(..) => self.add(Point::RepliedCommitted),
            Reply::Aborted(_, token, _) if token.digest.is_none() => self.add(Point::RepliedTombstone),
            Reply::Aborted(..) => self.add(Point::RepliedAborted),
            // Only a client's own JSON begins like this.
            Reply::Done(json) if json.starts_with(r#"{"cpf":"#) => self.add(Point::RepliedRegistration),
            Reply::Doubt(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Bye => {}
        }
    }

    /// A message was put into the buffer.
    #[inline]
    pub fn message(&mut self, message: &Message) {
        self.add(match message {
            Message::Prepare(..) => Point::SentPrepare,
            Message::Commit(..) => Point::SentCommit,
            Message::Abort(..) => Point::SentAbort,
            Message::Resolve(_) => Point::SentResolve,
        });
    }

    /// All of the buffer is written.
    #[inline]
    pub fn written(&mut self) {
        #[cfg(debug_assertions)]
        self.points.drain(..).for_each(point);
    }

    #[inline]
    fn add(&mut self, point: Point) {
        #[cfg(debug_assertions)]
        if armed::at(point) {
            self.points.push(point);
        }
        let _ = point;
    }
}

#[cfg(debug_assertions)]
mod armed {
    //! The point that this process dies at, if any.

    use super::{Point, VARIABLE};
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    struct Armed {
        point: Point,
        /// Passings up to the last one.
        left: AtomicU64,
    }

    fn armed() -> Option<&'static Armed> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let read = || {
            let text = std::env::var(VARIABLE).ok()?;
            // A test with a wrong name would wait for a death that never comes.
            Some(read(&text).unwrap_or_else(|| panic!("{VARIABLE}={text}: no such crash point")))
        };
        ARMED.get_or_init(read).as_ref()
    }

    fn read(text: &str) -> Option<Armed> {
        let (name, passings) = match text.split_once(':') {
            Some((name, passings)) => (name, passings.parse().ok().filter(|passings| *passings > 0)?),
            None => (text, 1),
        };
        let point = *Point::ALL.iter().find(|point| point.name() == name)?;
        Some(Armed { point, left: AtomicU64::new(passings) })
    }

    /// Does this process die at `point`?
    pub fn at(point: Point) -> bool {
        armed().is_some_and(|armed| armed.point == point)
    }

    /// Passes `point`; does `last` and dies where it is time.
    pub fn pass(point: Point, last: impl FnOnce()) {
        let Some(armed) = armed().filter(|armed| armed.point == point) else { return };
        // Not below zero: a second thread may come by while the first one dies.
        let left = armed.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        if left == Ok(1) {
            last();
            kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
            loop {
                std::thread::park();
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_is_named_with_or_without_a_number() {
            let read = |text| read(text).map(|armed| (armed.point, armed.left.into_inner()));
            assert_eq!(read("started"), Some((Point::Started, 1)));
            assert_eq!(read("batch-synced:2"), Some((Point::BatchSynced, 2)));
            for wrong in ["", "nowhere", "started:", "started:0", "started:x", "started:1:1"] {
                assert_eq!(read(wrong), None, "{wrong}");
            }
        }

        #[test]
        fn every_name_is_its_own() {
            let names: std::collections::BTreeSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
            assert_eq!(names.len(), Point::ALL.len());
        }
    }
}
