//! Crash points: named steps at which a test kills the process as by `kill -9`.
//!
//! `CONSORCIO_CRASH=<name>[:<n>]` kills the process when it passes the point `name` for the n-th
//! time (1 without `:<n>`), with a real SIGKILL: nothing is unwound, flushed or printed.
//! `tests/kill_matrix` kills a process at every point. `points` derives the points from the types
//! of the core: one for each kind of record at each stage of its batch, and one before and one
//! after each request and reply. So a new record, verb or reply does not compile without a name,
//! and fails the matrix until a test passes its points.
//!
//! `CONSORCIO_CRASH=hang:<ms>@<name>[:<n>]` makes the thread that passes the point hang for so many
//! milliseconds, like a disk that does not answer.
//!
//! This file has the functions that other code calls. `points` defines the points, `names` their
//! names, and `armed` kills the process.
//!
//! Architecture invariant: only builds with debug assertions have crash points. In all others every
//! function below is empty, and `BufferedPoints` and `BatchPoints` have no size; the test of a
//! release build searches the programs for the variable's name. The pure core has no crash point,
//! because it has no step that a crash could split.

#[cfg(debug_assertions)]
mod armed;
mod names;
mod points;

pub use names::{ClientRequestPoint, RecordKind, ReplyPoint, Stage, Step};
pub use points::{Point, RequestPoint};

use consorcio_core::bank::io::Origin;
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{Message, PeerVerb};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;

/// The environment variable with the name of the point.
#[cfg(debug_assertions)]
pub const VARIABLE: &str = "CONSORCIO_CRASH";

/// The process passes `point`; if it is to die there, it runs `last` first. Release builds never
/// evaluate `point`.
#[inline]
fn pass(point: impl FnOnce() -> Point, last: impl FnOnce()) {
    #[cfg(debug_assertions)]
    if armed::is_armed() {
        armed::pass(point(), last);
    }
    #[cfg(not(debug_assertions))]
    let _ = (point, last);
}

#[inline]
fn point(point: impl FnOnce() -> Point) {
    pass(point, || ());
}

/// The process passes a step that is part of neither a record nor a message.
#[inline]
pub fn step(step: Step) {
    point(|| Point::Step(step));
}

/// The crash points of a batch: the kinds of its records.
#[derive(Debug, Clone, Default)]
pub struct BatchPoints {
    #[cfg(debug_assertions)]
    kinds: std::collections::BTreeSet<RecordKind>,
}

impl BatchPoints {
    /// Call when a record was added to the batch.
    #[inline]
    pub fn add(&mut self, record: &Record) {
        #[cfg(debug_assertions)]
        if armed::is_armed() {
            self.kinds.insert(RecordKind::of(record));
        }
        let _ = record;
    }

    /// Call when the batch was cleared.
    #[inline]
    pub fn clear(&mut self) {
        #[cfg(debug_assertions)]
        self.kinds.clear();
    }

    /// Call when the batch passes `stage`.
    #[inline]
    pub fn pass(&self, stage: Stage) {
        self.pass_with(stage, || ());
    }

    /// Call when the batch is about to be written: the process dies after `write_half`.
    #[inline]
    pub fn torn(&self, write_half: impl Fn()) {
        self.pass_with(Stage::Torn, write_half);
    }

    #[inline]
    fn pass_with(&self, stage: Stage, last: impl Fn()) {
        #[cfg(debug_assertions)]
        if self.kinds.is_empty() {
            pass(|| Point::Batch(RecordKind::Mark, stage), &last);
        }
        #[cfg(debug_assertions)]
        self.kinds.iter().for_each(|kind| pass(|| Point::Batch(*kind, stage), &last));
        let _ = (stage, last);
    }
}

/// Call when a session has read `request`, or HTTP has submitted it.
#[inline]
pub fn received(request: &Request, origin: Origin) {
    point(|| Point::Received(RequestPoint::of(request, origin)));
}

/// Call when a reply is about to be put into a session's buffer.
#[inline]
pub fn replying(reply: &Reply) {
    point(|| Point::Replying(ReplyPoint::of(reply)));
}

/// Call when a link is about to send a message about a transaction.
#[inline]
pub fn sending(message: &Message) {
    point(|| Point::Sending(RequestPoint::of_message(message)));
}

/// Call when a link is about to send another request.
#[inline]
pub fn sending_request(verb: RequestPoint) {
    point(|| Point::Sending(verb));
}

/// Call when a link has read the answer to a message about a transaction.
#[inline]
pub fn answered(verb: PeerVerb) {
    point(|| Point::Answered(RequestPoint::of_verb(verb)));
}

/// Call when a link has read the answer to another request.
#[inline]
pub fn answer_received(verb: RequestPoint) {
    point(|| Point::Answered(verb));
}

/// Call when `cliente` is about to send a message of a transaction that it drives.
#[inline]
pub fn client_sending(message: &Message) {
    point(|| Point::ClientSending(ClientRequestPoint::of_message(message)));
}

/// Call when `cliente` has sent such a message.
#[inline]
pub fn client_sent(message: &Message) {
    point(|| Point::ClientSent(ClientRequestPoint::of_message(message)));
}

/// Call when `cliente` has read the answer to such a message.
#[inline]
pub fn client_answered(verb: PeerVerb) {
    point(|| Point::ClientAnswered(ClientRequestPoint::of_verb(verb)));
}

/// Call when `cliente` is about to send a request to one bank.
#[inline]
pub fn client_sending_request(request: &Request) {
    point(|| Point::ClientSending(ClientRequestPoint::of(request)));
}

/// Call when `cliente` has sent such a request.
#[inline]
pub fn client_sent_request(request: &Request) {
    point(|| Point::ClientSent(ClientRequestPoint::of(request)));
}

/// Call when `cliente` has read the reply to such a request.
#[inline]
pub fn client_reply_received(request: &Request) {
    point(|| Point::ClientAnswered(ClientRequestPoint::of(request)));
}

/// Call when the journal has written and synced a file under a temporary name.
#[inline]
pub fn file_written(name: &str) {
    file(
        name,
        [Step::SegmentWritten, Step::IndexWritten, Step::MergeWritten, Step::SnapshotWritten],
    );
}

/// Call when the journal has renamed a file.
#[inline]
pub fn file_named(name: &str) {
    file(name, [Step::SegmentNamed, Step::IndexNamed, Step::MergeNamed, Step::SnapshotNamed]);
}

#[inline]
fn file(name: &str, [segment, index, merged, snapshot]: [Step; 4]) {
    if name.starts_with("segment-") {
        step(segment);
    } else if name.starts_with("index-") {
        step(index);
    } else if name.starts_with("merged-") {
        step(merged);
    } else if name.starts_with("snapshot-") {
        step(snapshot);
    }
}

/// The crash points of a buffer's content, which are passed once it is written to its socket.
#[derive(Debug, Default)]
pub struct BufferedPoints {
    #[cfg(debug_assertions)]
    points: Vec<Point>,
}

impl BufferedPoints {
    /// Call when a reply was put into the buffer.
    #[inline]
    pub fn reply(&mut self, reply: &Reply) {
        self.add(|| Point::Replied(ReplyPoint::of(reply)));
    }

    /// Call when a message about a transaction was put into the buffer.
    #[inline]
    pub fn message(&mut self, message: &Message) {
        self.add(|| Point::Sent(RequestPoint::of_message(message)));
    }

    /// Call when another request to a bank was put into the buffer.
    #[inline]
    pub fn request(&mut self, verb: RequestPoint) {
        self.add(|| Point::Sent(verb));
    }

    /// Call when the whole buffer was written.
    #[inline]
    pub fn written(&mut self) {
        #[cfg(debug_assertions)]
        self.points.drain(..).for_each(|passed| point(|| passed));
    }

    #[inline]
    fn add(&mut self, point: impl FnOnce() -> Point) {
        #[cfg(debug_assertions)]
        if armed::is_armed() {
            self.points.push(point());
        }
        #[cfg(not(debug_assertions))]
        let _ = point;
    }
}
