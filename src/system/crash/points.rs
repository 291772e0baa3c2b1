//! Derives all crash points from the core's types: kinds of records, verbs, replies. Each mapping
//! is an exhaustive match, so a new variant can't be forgotten.

use super::names::{ClientRequestPoint, RecordKind, ReplyPoint, Stage, Step};
use consorcio_core::bank::io::{Origin, Outcome};
use consorcio_core::bank::record::{Record, Registration};
use consorcio_core::commit::message::{Message, PeerVerb};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use consorcio_core::wire::verb::Verb;

/// A step at which a test can kill the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// A step that is part of neither a record nor a message.
    Step(Step),
    /// A batch with a record of this kind reaches this stage.
    Batch(RecordKind, Stage),
    /// A bank has read the request.
    Received(RequestPoint),
    /// A bank is about to reply.
    Replying(ReplyPoint),
    /// The reply has been written to its socket.
    Replied(ReplyPoint),
    /// A bank is about to send the request to another bank.
    Sending(RequestPoint),
    /// The request has been written to its socket.
    Sent(RequestPoint),
    /// The answer to the request was read.
    Answered(RequestPoint),
    /// `cliente` is about to send the request.
    ClientSending(ClientRequestPoint),
    /// `cliente` has sent the request.
    ClientSent(ClientRequestPoint),
    /// `cliente` has read the reply.
    ClientAnswered(ClientRequestPoint),
}

impl Point {
    /// All points: every kind of record at every stage, and every request and reply, before and
    /// after.
    pub fn all() -> impl Iterator<Item = Point> {
        let stages = |kind: &RecordKind| {
            Stage::ALL.iter().map(|stage| Point::Batch(*kind, *stage)).collect::<Vec<_>>()
        };
        let on_links = |request: RequestPoint| {
            [Point::Sending(request), Point::Sent(request), Point::Answered(request)]
        };
        let by_client = |request: &ClientRequestPoint| {
            [
                Point::ClientSending(*request),
                Point::ClientSent(*request),
                Point::ClientAnswered(*request),
            ]
        };
        let steps = Step::ALL.iter().map(|step| Point::Step(*step));
        steps
            .chain(RecordKind::ALL.iter().flat_map(stages))
            .chain(RequestPoint::all().map(Point::Received))
            .chain(
                ReplyPoint::ALL
                    .iter()
                    .flat_map(|answer| [Point::Replying(*answer), Point::Replied(*answer)]),
            )
            .chain(
                RequestPoint::all().filter(|request| request.goes_over_links()).flat_map(on_links),
            )
            .chain(ClientRequestPoint::ALL.iter().flat_map(by_client))
    }

    /// Its name in the environment variable.
    pub fn name(self) -> String {
        match self {
            Point::Step(step) => step.name().to_owned(),
            Point::Batch(kind, stage) => format!("{}.{}", kind.name(), stage.name()),
            Point::Received(verb) => format!("received-{}", verb.name()),
            Point::Replying(answer) => format!("replying-{}", answer.name()),
            Point::Replied(answer) => format!("replied-{}", answer.name()),
            Point::Sending(verb) => format!("sending-{}", verb.name()),
            Point::Sent(verb) => format!("sent-{}", verb.name()),
            Point::Answered(verb) => format!("answered-{}", verb.name()),
            Point::ClientSending(request) => format!("client-sending-{}", request.name()),
            Point::ClientSent(request) => format!("client-sent-{}", request.name()),
            Point::ClientAnswered(request) => format!("client-answered-{}", request.name()),
        }
    }

    /// The point with this name.
    pub fn named(name: &str) -> Option<Point> {
        Point::all().find(|point| point.name() == name)
    }
}

impl RecordKind {
    /// The kind of a record.
    pub fn of(record: &Record) -> RecordKind {
        match record {
            Record::Consortium { .. } => RecordKind::Consortium,
            Record::Voted { refusal: None, .. } => RecordKind::VotedOk,
            Record::Voted { refusal: Some(_), .. } => RecordKind::VotedNok,
            Record::Refused { .. } => RecordKind::Refused,
            Record::Decided { outcome: Outcome::Committed(_), .. } => RecordKind::Committed,
            Record::Decided { outcome: Outcome::Aborted(..), .. } => RecordKind::Aborted,
            Record::Executed { .. } => RecordKind::Executed,
            Record::ClientAdded { .. }
            | Record::Registered { what: Registration::Client(_), .. } => RecordKind::ClientAdded,
            Record::AccountOpened { .. }
            | Record::Registered { what: Registration::Account(_), .. } => {
                RecordKind::AccountOpened
            }
            Record::ClockMoved { .. } => RecordKind::ClockMoved,
            Record::Stopped { .. } => RecordKind::Stopped,
            Record::OutsideVoted { refusal: None, .. } => RecordKind::OutsideCommitted,
            Record::OutsideVoted { refusal: Some(_), .. } => RecordKind::OutsideAborted,
            Record::KeyKnown { .. } => RecordKind::KeyKnown,
            Record::RegistersLearned { .. } => RecordKind::RegistersLearned,
            Record::Founded { .. } => RecordKind::Founded,
            Record::Met { .. } => RecordKind::Met,
            Record::Introduced { .. } => RecordKind::Introduced,
            Record::Drove { refusal: None, .. } => RecordKind::DroveCommitted,
            Record::Drove { refusal: Some(_), .. } => RecordKind::DroveAborted,
        }
    }
}

/// A request to a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestPoint {
    /// A request line; for `PEER`, the first one of a link.
    Line(Verb),
    /// The `PEER` that authenticates a link.
    Proof,
    /// A `PEER` on an open link.
    News,
    /// The `/prepare` of an outside coordinator.
    OutsidePrepare,
    /// Its OK vote, by `/commit`.
    OutsideCommit,
    /// Its NOK vote, by `/abort`.
    OutsideAbort,
}

impl RequestPoint {
    /// All requests, in a fixed order.
    pub fn all() -> impl Iterator<Item = RequestPoint> {
        let others = [
            RequestPoint::Proof,
            RequestPoint::News,
            RequestPoint::OutsidePrepare,
            RequestPoint::OutsideCommit,
            RequestPoint::OutsideAbort,
        ];
        Verb::ALL.iter().map(|verb| RequestPoint::Line(*verb)).chain(others)
    }

    /// Its part of a point's name.
    pub fn name(self) -> String {
        match self {
            RequestPoint::Line(Verb::Peer) => "hello".to_owned(),
            RequestPoint::Line(Verb::Hello) => "greeting".to_owned(),
            RequestPoint::Line(verb) => verb.name().to_ascii_lowercase(),
            RequestPoint::Proof => "proof".to_owned(),
            RequestPoint::News => "news".to_owned(),
            RequestPoint::OutsidePrepare => "outside-prepare".to_owned(),
            RequestPoint::OutsideCommit => "outside-commit".to_owned(),
            RequestPoint::OutsideAbort => "outside-abort".to_owned(),
        }
    }

    /// The kind of `request` from this origin.
    pub fn of(request: &Request, origin: Origin) -> RequestPoint {
        let outside = origin == Origin::Outside;
        match request {
            Request::Prepare(..) if outside => RequestPoint::OutsidePrepare,
            Request::Commit(..) if outside => RequestPoint::OutsideCommit,
            Request::Abort(..) if outside => RequestPoint::OutsideAbort,
            Request::Local(Local::Peer(_)) if origin == Origin::Link => RequestPoint::News,
            // Only the first line of a link has a nonce.
            Request::Local(Local::Peer(json)) if !json.contains("\"nonce\"") => RequestPoint::Proof,
            Request::Prepare(..)
            | Request::Commit(..)
            | Request::Abort(..)
            | Request::Resolve(_)
            | Request::Status(_)
            | Request::Execute(..)
            | Request::Client(_)
            | Request::Account(_)
            | Request::Read(_)
            | Request::Registers { .. }
            | Request::Local(_) => RequestPoint::Line(request.verb()),
        }
    }

    /// The kind of a message between banks.
    pub fn of_message(message: &Message) -> RequestPoint {
        RequestPoint::of_verb(message.key().verb)
    }

    /// The kind of a message between banks with this verb.
    pub fn of_verb(verb: PeerVerb) -> RequestPoint {
        RequestPoint::Line(match verb {
            PeerVerb::Prepare => Verb::Prepare,
            PeerVerb::Commit => Verb::Commit,
            PeerVerb::Abort => Verb::Abort,
            PeerVerb::Resolve => Verb::Resolve,
            PeerVerb::Registers => Verb::Registers,
        })
    }

    /// Do banks send it to each other?
    fn goes_over_links(self) -> bool {
        match self {
            RequestPoint::Line(Verb::Prepare | Verb::Commit | Verb::Abort | Verb::Resolve)
            | RequestPoint::Line(Verb::Registers | Verb::Peer | Verb::Ping)
            | RequestPoint::Proof
            | RequestPoint::News => true,
            RequestPoint::Line(_)
            | RequestPoint::OutsidePrepare
            | RequestPoint::OutsideCommit
            | RequestPoint::OutsideAbort => false,
        }
    }
}

impl ReplyPoint {
    /// The kind of a reply.
    pub fn of(reply: &Reply) -> ReplyPoint {
        match reply {
            Reply::Ok(..) => ReplyPoint::Ok,
            Reply::Nok(..) => ReplyPoint::Nok,
            Reply::Committed(..) => ReplyPoint::Committed,
            Reply::Aborted(_, token, _, _) if token.digest.is_none() => ReplyPoint::Tombstone,
            Reply::Aborted(..) => ReplyPoint::Aborted,
            Reply::Doubt(..) => ReplyPoint::Doubt,
            Reply::Unknown(_) => ReplyPoint::Unknown,
            Reply::Done(json) => ReplyPoint::of_done(json),
            Reply::Refused(..) => ReplyPoint::Refused,
            Reply::Err(..) => ReplyPoint::Err,
            Reply::Help(_) => ReplyPoint::Done,
            Reply::Pong => ReplyPoint::Pong,
            Reply::Bye => ReplyPoint::Bye,
        }
    }

    /// The kind of a DONE, which its first JSON names determine.
    fn of_done(json: &str) -> ReplyPoint {
        let mut parts = json.split('"');
        match (parts.next(), parts.next(), parts.nth(1)) {
            (Some("{"), Some("cpf"), _) => ReplyPoint::Registration,
            (Some("{"), Some("seen"), _) => ReplyPoint::Seen,
            (Some("{"), Some("registers"), _) => ReplyPoint::Registers,
            (Some("{"), Some("bank"), Some("places")) => ReplyPoint::Welcome,
            (Some("{"), Some("bank"), Some("time")) => ReplyPoint::Cut,
            _ => ReplyPoint::Done,
        }
    }
}

impl ClientRequestPoint {
    /// The kind of a request that `cliente` sends to one bank. PREPARE, ABORT and RESOLVE are not
    /// sent this way.
    pub fn of(request: &Request) -> ClientRequestPoint {
        match request {
            Request::Prepare(..) => ClientRequestPoint::Prepare,
            Request::Commit(..) => ClientRequestPoint::Commit,
            Request::Abort(..) | Request::Resolve(_) => ClientRequestPoint::Abort,
            Request::Execute(..) => ClientRequestPoint::Execute,
            Request::Client(_) | Request::Account(_) => ClientRequestPoint::Registration,
            Request::Status(_)
            | Request::Read(_)
            | Request::Local(_)
            | Request::Registers { .. } => ClientRequestPoint::Question,
        }
    }

    /// The kind of a message of a transaction that it drives.
    pub fn of_message(message: &Message) -> ClientRequestPoint {
        match message {
            Message::Prepare(..) => ClientRequestPoint::Prepare,
            Message::Commit(..) => ClientRequestPoint::Commit,
            Message::Abort(..) | Message::Resolve(_) => ClientRequestPoint::Abort,
            Message::Registers { .. } => ClientRequestPoint::Question,
        }
    }

    /// The kind of such a message with this verb.
    pub fn of_verb(verb: PeerVerb) -> ClientRequestPoint {
        match verb {
            PeerVerb::Prepare => ClientRequestPoint::Prepare,
            PeerVerb::Commit => ClientRequestPoint::Commit,
            PeerVerb::Abort | PeerVerb::Resolve => ClientRequestPoint::Abort,
            PeerVerb::Registers => ClientRequestPoint::Question,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_names_are_different() {
        let names: BTreeSet<String> = Point::all().map(Point::name).collect();
        assert_eq!(names.len(), Point::all().count());
        for name in names {
            assert_eq!(Point::named(&name).map(Point::name), Some(name));
        }
    }
}
