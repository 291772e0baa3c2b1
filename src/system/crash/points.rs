//! Which points there are, made of what there is: kinds of records, verbs, replies. Each is found
//! by an exhaustive match over what the other modules know, so that none can be forgotten here.

use super::names::{Answer, Asking, Kind, Stage, Step};
use consorcio_core::bank::io::{Origin, Outcome};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{Message, PeerVerb};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use consorcio_core::wire::verb::Verb;

/// A step at which a process can be made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// A step of its own.
    Step(Step),
    /// A batch that has a record of this kind.
    Batch(Kind, Stage),
    /// A bank has read it.
    Received(Inquiry),
    /// A bank is about to reply.
    Replying(Answer),
    /// The reply has left.
    Replied(Answer),
    /// A bank is about to send it to another.
    Sending(Inquiry),
    /// The message has left this process.
    Sent(Inquiry),
    /// Its answer was read.
    Answered(Inquiry),
    /// `cliente` is about to send it.
    ClientSending(Asking),
    /// `cliente` has sent it.
    ClientSent(Asking),
    /// `cliente` has read the answer.
    ClientAnswered(Asking),
}

impl Point {
    /// All of them: every kind at every stage, every verb and every reply before and after.
    pub fn all() -> impl Iterator<Item = Point> {
        let stages = |kind: &Kind| {
            Stage::ALL.iter().map(|stage| Point::Batch(*kind, *stage)).collect::<Vec<_>>()
        };
        let on_links =
            |asked: Inquiry| [Point::Sending(asked), Point::Sent(asked), Point::Answered(asked)];
        let by_client = |asked: &Asking| {
            [Point::ClientSending(*asked), Point::ClientSent(*asked), Point::ClientAnswered(*asked)]
        };
        let steps = Step::ALL.iter().map(|step| Point::Step(*step));
        steps
            .chain(Kind::ALL.iter().flat_map(stages))
            .chain(Inquiry::all().map(Point::Received))
            .chain(
                Answer::ALL
                    .iter()
                    .flat_map(|answer| [Point::Replying(*answer), Point::Replied(*answer)]),
            )
            .chain(Inquiry::all().filter(|asked| asked.goes_over_links()).flat_map(on_links))
            .chain(Asking::ALL.iter().flat_map(by_client))
    }

    /// Its name in the variable.
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
            Point::ClientSending(asked) => format!("client-sending-{}", asked.name()),
            Point::ClientSent(asked) => format!("client-sent-{}", asked.name()),
            Point::ClientAnswered(asked) => format!("client-answered-{}", asked.name()),
        }
    }

    /// The point with this name.
    pub fn named(name: &str) -> Option<Point> {
        Point::all().find(|point| point.name() == name)
    }
}

impl Kind {
    /// What kind of record it is.
    pub fn of(record: &Record) -> Kind {
        match record {
            Record::Consortium { .. } => Kind::Consortium,
            Record::Voted { refusal: None, .. } => Kind::VotedOk,
            Record::Voted { refusal: Some(_), .. } => Kind::VotedNok,
            Record::Refused { .. } => Kind::Refused,
            Record::Decided { outcome: Outcome::Committed(_), .. } => Kind::Committed,
            Record::Decided { outcome: Outcome::Aborted(..), .. } => Kind::Aborted,
            Record::Executed { .. } => Kind::Executed,
            Record::ClientAdded { .. } => Kind::ClientAdded,
            Record::AccountOpened { .. } => Kind::AccountOpened,
            Record::ClockMoved { .. } => Kind::ClockMoved,
            Record::Stopped { .. } => Kind::Stopped,
            Record::OutsideVoted { refusal: None, .. } => Kind::OutsideCommitted,
            Record::OutsideVoted { refusal: Some(_), .. } => Kind::OutsideAborted,
            Record::KeyKnown { .. } => Kind::KeyKnown,
            Record::RegistersLearned { .. } => Kind::RegistersLearned,
            Record::Founded { .. } => Kind::Founded,
            Record::Met { .. } => Kind::Met,
            Record::Introduced { .. } => Kind::Introduced,
            Record::Drove { refusal: None, .. } => Kind::DroveCommitted,
            Record::Drove { refusal: Some(_), .. } => Kind::DroveAborted,
        }
    }
}

/// What a bank is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Inquiry {
    /// By a line; `PEER` is the first one of a link.
    Line(Verb),
    /// By the `PEER` that opens a link.
    Proof,
    /// By a `PEER` on an open link.
    News,
    /// By an outside coordinator's `/prepare`.
    OutsidePrepare,
    /// It votes OK by `/commit`.
    OutsideCommit,
    /// It votes NOK by `/abort`.
    OutsideAbort,
}

impl Inquiry {
    /// Every inquiry, in a fixed order.
    pub fn all() -> impl Iterator<Item = Inquiry> {
        let others = [
            Inquiry::Proof,
            Inquiry::News,
            Inquiry::OutsidePrepare,
            Inquiry::OutsideCommit,
            Inquiry::OutsideAbort,
        ];
        Verb::ALL.iter().map(|verb| Inquiry::Line(*verb)).chain(others)
    }

    /// Its name in those of points.
    pub fn name(self) -> String {
        match self {
            Inquiry::Line(Verb::Peer) => "hello".to_owned(),
            Inquiry::Line(Verb::Hello) => "greeting".to_owned(),
            Inquiry::Line(verb) => verb.name().to_ascii_lowercase(),
            Inquiry::Proof => "proof".to_owned(),
            Inquiry::News => "news".to_owned(),
            Inquiry::OutsidePrepare => "outside-prepare".to_owned(),
            Inquiry::OutsideCommit => "outside-commit".to_owned(),
            Inquiry::OutsideAbort => "outside-abort".to_owned(),
        }
    }

    /// What `request` asks, from whom it came.
    pub fn of(request: &Request, origin: Origin) -> Inquiry {
        let outside = origin == Origin::Outside;
        match request {
            Request::Prepare(..) if outside => Inquiry::OutsidePrepare,
            Request::Commit(..) if outside => Inquiry::OutsideCommit,
            Request::Abort(..) if outside => Inquiry::OutsideAbort,
            Request::Local(Local::Peer(_)) if origin == Origin::Link => Inquiry::News,
            // Only the first line of a link has a nonce.
            Request::Local(Local::Peer(json)) if !json.contains("\"nonce\"") => Inquiry::Proof,
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
            | Request::Local(_) => Inquiry::Line(request.verb()),
        }
    }

    /// What one bank tells another with it.
    pub fn of_message(message: &Message) -> Inquiry {
        Inquiry::of_asked(message.key().verb)
    }

    /// What a bank was asked by another.
    pub fn of_asked(verb: PeerVerb) -> Inquiry {
        Inquiry::Line(match verb {
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
            Inquiry::Line(Verb::Prepare | Verb::Commit | Verb::Abort | Verb::Resolve)
            | Inquiry::Line(Verb::Registers | Verb::Peer | Verb::Ping)
            | Inquiry::Proof
            | Inquiry::News => true,
            Inquiry::Line(_)
            | Inquiry::OutsidePrepare
            | Inquiry::OutsideCommit
            | Inquiry::OutsideAbort => false,
        }
    }
}

impl Answer {
    /// What kind of reply it is.
    pub fn of(reply: &Reply) -> Answer {
        match reply {
            Reply::Ok(..) => Answer::Ok,
            Reply::Nok(..) => Answer::Nok,
            Reply::Committed(..) => Answer::Committed,
            Reply::Aborted(_, token, _, _) if token.digest.is_none() => Answer::Tombstone,
            Reply::Aborted(..) => Answer::Aborted,
            Reply::Doubt(..) => Answer::Doubt,
            Reply::Unknown(_) => Answer::Unknown,
            Reply::Done(json) => Answer::of_done(json),
            Reply::Refused(..) => Answer::Refused,
            Reply::Err(..) => Answer::Err,
            Reply::Pong => Answer::Pong,
            Reply::Bye => Answer::Bye,
        }
    }

    /// A DONE does not say what it answers, but the first names in its JSON do.
    fn of_done(json: &str) -> Answer {
        let mut parts = json.split('"');
        match (parts.next(), parts.next(), parts.nth(1)) {
            (Some("{"), Some("cpf"), _) => Answer::Registration,
            (Some("{"), Some("seen"), _) => Answer::Seen,
            (Some("{"), Some("registers"), _) => Answer::Registers,
            (Some("{"), Some("bank"), Some("places")) => Answer::Welcome,
            (Some("{"), Some("bank"), Some("time")) => Answer::Cut,
            _ => Answer::Done,
        }
    }
}

impl Asking {
    /// What `cliente` asks one bank with it. It never sends PREPARE or ABORT so, and no RESOLVE at
    /// all.
    pub fn of(request: &Request) -> Asking {
        match request {
            Request::Prepare(..) => Asking::Prepare,
            Request::Commit(..) => Asking::Commit,
            Request::Abort(..) | Request::Resolve(_) => Asking::Abort,
            Request::Execute(..) => Asking::Execute,
            Request::Client(_) | Request::Account(_) => Asking::Registration,
            Request::Status(_)
            | Request::Read(_)
            | Request::Local(_)
            | Request::Registers { .. } => Asking::Question,
        }
    }

    /// The same for a message of a transaction that it drives.
    pub fn of_message(message: &Message) -> Asking {
        match message {
            Message::Prepare(..) => Asking::Prepare,
            Message::Commit(..) => Asking::Commit,
            Message::Abort(..) | Message::Resolve(_) => Asking::Abort,
            Message::Registers { .. } => Asking::Question,
        }
    }

    /// The same for what such a message asked.
    pub fn of_asked(verb: PeerVerb) -> Asking {
        match verb {
            PeerVerb::Prepare => Asking::Prepare,
            PeerVerb::Commit => Asking::Commit,
            PeerVerb::Abort | PeerVerb::Resolve => Asking::Abort,
            PeerVerb::Registers => Asking::Question,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_its_own() {
        let names: BTreeSet<String> = Point::all().map(Point::name).collect();
        assert_eq!(names.len(), Point::all().count());
        for name in names {
            assert_eq!(Point::named(&name).map(Point::name), Some(name));
        }
    }
}
