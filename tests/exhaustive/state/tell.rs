//! A way told to people: what happens, and what is written then.

use super::{Act, Lie, ModelState, Who};
use crate::world::tell::{short_record, short_reply, short_token};
use consorcio::wire::request::Request;

impl ModelState {
    /// What `act` is, in this state, where it has not happened yet.
    pub fn tell(&self, act: Act) -> String {
        match act {
            Act::Line { session } => self.tell_line(session, "reads"),
            Act::Repeat { session } => self.tell_line(session, "reads, and will read again,"),
            Act::Reply { session } => {
                let (who, to) = self.ends_of(session);
                let conn = &self.conns[self.conn_at(session).unwrap()];
                let reply =
                    conn.replies.front().map(|(_, reply)| short_reply(reply)).unwrap_or_default();
                format!("{} hears of bank {to}: {reply}", name(who))
            }
            Act::Sync(at) => format!("bank {at} syncs"),
            Act::Tick(at) => format!("bank {at}'s timers fire"),
            Act::Begin(driver) => format!("driver {driver} begins"),
            Act::TimeOut(driver) => format!("driver {driver}'s time is over"),
            Act::Crash(at) => format!("bank {at} CRASHES"),
            Act::Restart(at) => format!("bank {at} starts"),
            Act::Restore { at, keep } => {
                format!("bank {at} LOSES ITS DISK, an old copy has {keep} of its records")
            }
            Act::Connect(a, b) => format!("banks {a} and {b} link"),
            Act::Cut { session, lost } => {
                let (who, to) = self.ends_of(session);
                let way = if lost { ", and what is on its way is lost" } else { "" };
                format!("the connection of {} to bank {to} BREAKS{way}", name(who))
            }
            Act::Gone { driver, lost } => {
                let way = if lost { ", and what it sent is lost" } else { "" };
                format!("driver {driver} LEAVES{way}")
            }
            Act::Lie { to, tx, what } => {
                format!("the liar to bank {to}: {}", self.tell_lie(tx, what))
            }
            Act::LiarLeaves(to) => format!("the liar leaves bank {to}"),
            Act::Snapshot(at) => format!("bank {at} is asked for a cut"),
            Act::Vote { driver, commit } => {
                format!(
                    "outside coordinator {driver} says {}",
                    if commit { "COMMIT" } else { "ABORT" }
                )
            }
        }
    }

    /// How long each journal is.
    pub fn journals(&self) -> Vec<usize> {
        self.nodes.iter().map(|node| node.journal.len()).collect()
    }

    /// What was written since journals were so long.
    pub fn written_since(&self, before: &[usize]) -> Vec<String> {
        let fresh = |(at, from): (usize, &usize)| {
            let records = self.nodes[at].journal.iter().skip(*from);
            records
                .map(|record| format!("bank {at} writes {}", short_record(record)))
                .collect::<Vec<_>>()
        };
        before.iter().enumerate().flat_map(fresh).collect()
    }

    fn tell_line(&self, session: u64, reads: &str) -> String {
        let (who, to) = self.ends_of(session);
        let conn = &self.conns[self.conn_at(session).unwrap()];
        let request = conn.lines.front().map(|(_, request)| short(request)).unwrap_or_default();
        format!("bank {to} {reads} {request} of {}", name(who))
    }

    fn tell_lie(&self, tx: usize, what: Lie) -> String {
        let id = &self.base.txs[tx];
        let token = |at: usize| short_token(&self.tokens[at].1);
        match what {
            Lie::Prepare => format!("PREPARE {id}"),
            Lie::PrepareOther => format!("PREPARE {id} of other bytes"),
            Lie::ExecuteOther => format!("EXECUTE {id} of other bytes"),
            Lie::Commit => format!("COMMIT {id}"),
            Lie::CommitWithAllSeen => format!("COMMIT {id} with all tokens seen"),
            Lie::CommitWith(at) => format!("COMMIT {id} {}", token(at)),
            Lie::Abort => format!("ABORT {id}"),
            Lie::AbortWith(at) => format!("ABORT {id} {}", token(at)),
            Lie::Resolve => format!("RESOLVE {id}"),
        }
    }
}

fn name(who: Who) -> String {
    match who {
        Who::Bank(at) => format!("bank {at}"),
        Who::Driver(at) => format!("driver {at}"),
    }
}

fn short(request: &Request) -> String {
    let tokens = match request {
        Request::Commit(_, tokens) => tokens.iter().map(short_token).collect(),
        Request::Abort(_, Some(token)) => vec![short_token(token)],
        _ => Vec::new(),
    };
    let tx = request.tx().map(ToString::to_string).unwrap_or_default();
    format!("{} {tx} {}", request.verb(), tokens.join(" ")).trim_end().to_owned()
}
