//! Which points there are, made of what there is: kinds of records, verbs, replies. Each is found by an exhaustive
//! match over what the other modules know, so that none can be forgotten here.

use super::names::{Answer, Asking, Kind, Stage, Step, Verb};
use consorcio_core::bank::io::{Origin, Outcome};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{AskedVerb, Message};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;

/// A step at which a process can be made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// A step of its own.
    Step(Step),
    /// A batch that has a record of this kind.
    Batch(Kind, Stage),
    /// A bank has read it.
    Received(Verb),
    /// A bank is about to reply.
    Replying(Answer),
    /// The reply has left.
    Replied(Answer),
    /// A bank is about to send it to another.
    Sending(Verb),
    /// It has left.
    Sent(Verb),
    /// Its answer was read.
    Answered(Verb),
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
        let stages =
            |kind: &Kind| Stage::ALL.iter().map(|stage| Point::Batch(*kind, *stage)).collect::<Vec<_>>();
        let on_links = |verb: &Verb| [Point::Sending(*verb), Point::Sent(*verb), Point::Answered(*verb)];
        let by_client = |asked: &Asking| {
            [Point::ClientSending(*asked), Point::ClientSent(*asked), Point::ClientAnswered(*asked)]
        };
        let steps = Step::ALL.iter().map(|step| Point::Step(*step));
        steps
            .chain(Kind::ALL.iter().flat_map(stages))
            .chain(Verb::ALL.iter().map(|verb| Point::Received(*verb)))
            .chain(Answer::ALL.iter().flat_map(|answer| [Point::Replying(*answer), Point::Replied(*answer)]))
            .chain(Verb::ALL.iter().filter(|verb| verb.goes_over_links()).flat_map(on_links))
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

impl Verb {
    /// What `request` asks, from whom it came.
    pub fn of(request: &Request, origin: Origin) -> Verb {
        let outside = origin == Origin::Outside;
        match request {
            Request::Prepare(..) if outside => Verb::OutsidePrepare,
            Request::Commit(..) if outside => Verb::OutsideCommit,
            Request::Abort(..) if outside => Verb::OutsideAbort,
            Request::Prepare(..) => Verb::Prepare,
            Request::Commit(..) => Verb::Commit,
            Request::Abort(..) => Verb::Abort,
            Request::Resolve(_) => Verb::Resolve,
            Request::Status(_) => Verb::Status,
            Request::Execute(..) => Verb::Execute,
            Request::Client(_) => Verb::Client,
            Request::Account(_) => Verb::Account,
            Request::Clients { .. } => Verb::Clients,
            Request::Accounts { .. } => Verb::Accounts,
            Request::Balance(_) => Verb::Balance,
            Request::Value(_) => Verb::Value,
            Request::History { .. } => Verb::History,
            Request::Pending { .. } => Verb::Pending,
            Request::Banks => Verb::Banks,
            Request::Info => Verb::Info,
            Request::Snapshot { .. } => Verb::Snapshot,
            Request::Registers { .. } => Verb::Registers,
            Request::Peer(_) if origin == Origin::Link => Verb::News,
            // Only the first line of a link has a nonce.
            Request::Peer(json) if json.contains("\"nonce\"") => Verb::Hello,
            Request::Peer(_) => Verb::Proof,
            Request::Hello(_) => Verb::Greeting,
            Request::Ping => Verb::Ping,
            Request::Help => Verb::Help,
            Request::Quit => Verb::Quit,
        }
    }

    /// What one bank tells another with it.
    pub fn of_message(message: &Message) -> Verb {
        match message {
            Message::Prepare(..) => Verb::Prepare,
            Message::Commit(..) => Verb::Commit,
            Message::Abort(..) => Verb::Abort,
            Message::Resolve(_) => Verb::Resolve,
            Message::Registers { .. } => Verb::Registers,
        }
    }

    /// What a bank was asked by another.
    pub fn of_asked(verb: AskedVerb) -> Verb {
        match verb {
            AskedVerb::Prepare => Verb::Prepare,
            AskedVerb::Commit => Verb::Commit,
            AskedVerb::Abort => Verb::Abort,
            AskedVerb::Resolve => Verb::Resolve,
            AskedVerb::Registers => Verb::Registers,
        }
    }

    /// Do banks send it to each other?
    fn goes_over_links(self) -> bool {
        match self {
            Verb::Prepare
            | Verb::Commit
            | Verb::Abort
            | Verb::Resolve
            | Verb::Registers
            | Verb::Hello
            | Verb::Proof
            | Verb::News
            | Verb::Ping => true,
            Verb::Status
            | Verb::Execute
            | Verb::Client
            | Verb::Account
            | Verb::Clients
            | Verb::Accounts
            | Verb::Balance
            | Verb::Value
            | Verb::History
            | Verb::Pending
            | Verb::Banks
            | Verb::Info
            | Verb::Snapshot
            | Verb::Greeting
            | Verb::Help
            | Verb::Quit
            | Verb::OutsidePrepare
            | Verb::OutsideCommit
            | Verb::OutsideAbort => false,
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
    /// What `cliente` asks one bank with it. It never sends PREPARE or ABORT so, and no RESOLVE at all.
    pub fn of(request: &Request) -> Asking {
        match request {
            Request::Prepare(..) => Asking::Prepare,
            Request::Commit(..) => Asking::Commit,
            Request::Abort(..) | Request::Resolve(_) => Asking::Abort,
            Request::Execute(..) => Asking::Execute,
            Request::Client(_) | Request::Account(_) => Asking::Registration,
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
            | Request::Registers { .. }
            | Request::Peer(_)
            | Request::Hello(_)
            | Request::Ping
            | Request::Help
            | Request::Quit => Asking::Question,
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
    pub fn of_asked(verb: AskedVerb) -> Asking {
        match verb {
            AskedVerb::Prepare => Asking::Prepare,
            AskedVerb::Commit => Asking::Commit,
            AskedVerb::Abort | AskedVerb::Resolve => Asking::Abort,
            AskedVerb::Registers => Asking::Question,
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
