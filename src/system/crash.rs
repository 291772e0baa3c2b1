//! Crash points: named steps at which a test lets a process die as by `kill -9`.
//!
//! `CONSORCIO_CRASH=<name>[:<n>]` kills the process that passes the point `name` for the n-th time
//! (1 without `:<n>`): a real SIGKILL, so nothing is unwound, flushed or said. `tests/kill_matrix`
//! lets a process die at every point that there is, and `points` makes them of what there is: of
//! each kind of record a point at every stage of its way to the disk, of each verb and each reply
//! one before and one after. So a new record, verb or reply does not compile before it has a name
//! there, and fails the matrix until processes die at its points.
//!
//! `CONSORCIO_CRASH=hang:<ms>@<name>[:<n>]` lets the thread that passes the point hang there for so
//! many milliseconds, as a disk that does not answer would.
//!
//! Here is what the edges call. Which points there are is in `points`, their names in `names`, the
//! death itself in `armed`.
//!
//! Architecture invariant: only builds with debug assertions can die here. In all others every
//! function below is empty and `Leaving` and `Kinds` have no size; the test of a release build
//! looks for the variable's name in the programs. The pure core has no point: it has no step that a
//! crash could split.

#[cfg(debug_assertions)]
mod armed;
mod names;
mod points;

pub use names::{Answer, Asking, Kind, Stage, Step};
pub use points::{Inquiry, Point};

use consorcio_core::bank::io::Origin;
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{Message, PeerVerb};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;

/// The environment variable that names the point.
#[cfg(debug_assertions)]
pub const VARIABLE: &str = "CONSORCIO_CRASH";

/// The process passes `point`; where it is to die there, it does `last` before. A release never
/// asks which point it is.
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

/// The process passes a step that is neither a record's nor a message's.
#[inline]
pub fn step(step: Step) {
    point(|| Point::Step(step));
}

/// What kinds of records a batch has.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    #[cfg(debug_assertions)]
    kinds: std::collections::BTreeSet<Kind>,
}

impl Kinds {
    /// A record was put into the batch.
    #[inline]
    pub fn add(&mut self, record: &Record) {
        #[cfg(debug_assertions)]
        if armed::is_armed() {
            self.kinds.insert(Kind::of(record));
        }
        let _ = record;
    }

    /// The batch is empty again.
    #[inline]
    pub fn clear(&mut self) {
        #[cfg(debug_assertions)]
        self.kinds.clear();
    }

    /// The batch passes `stage`.
    #[inline]
    pub fn pass(&self, stage: Stage) {
        self.pass_with(stage, || ());
    }

    /// The batch is about to be written: dies after `write_half`.
    #[inline]
    pub fn torn(&self, write_half: impl Fn()) {
        self.pass_with(Stage::Torn, write_half);
    }

    #[inline]
    fn pass_with(&self, stage: Stage, last: impl Fn()) {
        #[cfg(debug_assertions)]
        if self.kinds.is_empty() {
            pass(|| Point::Batch(Kind::Mark, stage), &last);
        }
        #[cfg(debug_assertions)]
        self.kinds.iter().for_each(|kind| pass(|| Point::Batch(*kind, stage), &last));
        let _ = (stage, last);
    }
}

/// A session has read `request`, or HTTP has asked it.
#[inline]
pub fn received(request: &Request, origin: Origin) {
    point(|| Point::Received(Inquiry::of(request, origin)));
}

/// A reply is about to be put into a session's buffer.
#[inline]
pub fn replying(reply: &Reply) {
    point(|| Point::Replying(Answer::of(reply)));
}

/// A link is about to send a message of a transaction.
#[inline]
pub fn sending(message: &Message) {
    point(|| Point::Sending(Inquiry::of_message(message)));
}

/// A link is about to send something.
#[inline]
pub fn saying(verb: Inquiry) {
    point(|| Point::Sending(verb));
}

/// A link has read the answer to a message of a transaction.
#[inline]
pub fn answered(verb: PeerVerb) {
    point(|| Point::Answered(Inquiry::of_asked(verb)));
}

/// A link has read the answer to something.
#[inline]
pub fn heard(verb: Inquiry) {
    point(|| Point::Answered(verb));
}

/// `cliente` is about to send a message of a transaction that it drives.
#[inline]
pub fn client_sending(message: &Message) {
    point(|| Point::ClientSending(Asking::of_message(message)));
}

/// `cliente` has sent it.
#[inline]
pub fn client_sent(message: &Message) {
    point(|| Point::ClientSent(Asking::of_message(message)));
}

/// `cliente` has read the answer to one.
#[inline]
pub fn client_answered(verb: PeerVerb) {
    point(|| Point::ClientAnswered(Asking::of_asked(verb)));
}

/// `cliente` is about to send a request to one bank.
#[inline]
pub fn client_asking(request: &Request) {
    point(|| Point::ClientSending(Asking::of(request)));
}

/// `cliente` has sent it.
#[inline]
pub fn client_asked(request: &Request) {
    point(|| Point::ClientSent(Asking::of(request)));
}

/// `cliente` has read the reply to it.
#[inline]
pub fn client_told(request: &Request) {
    point(|| Point::ClientAnswered(Asking::of(request)));
}

/// The journal has written and synced a file under a passing name.
#[inline]
pub fn file_written(name: &str) {
    file(
        name,
        [Step::SegmentWritten, Step::IndexWritten, Step::MergeWritten, Step::SnapshotWritten],
    );
}

/// The journal has given a file its own name.
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
        self.add(|| Point::Replied(Answer::of(reply)));
    }

    /// A message of a transaction was put into the buffer.
    #[inline]
    pub fn message(&mut self, message: &Message) {
        self.add(|| Point::Sent(Inquiry::of_message(message)));
    }

    /// Something that one bank says to another was put into the buffer.
    #[inline]
    pub fn said(&mut self, verb: Inquiry) {
        self.add(|| Point::Sent(verb));
    }

    /// All of the buffer is written.
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
