//! A path as text: each action, and the records that it writes.

use super::{Dialler, Lie, ModelAction, ModelState};
use crate::world::text::{short_record, short_reply, short_token};
use consorcio_core::wire::request::Request;

impl ModelState {
    /// An action that is possible in this state.
    pub fn describe(&self, act: ModelAction) -> String {
        match act {
            ModelAction::Line { session } => self.describe_line(session, "reads"),
            ModelAction::Repeat { session } => {
                self.describe_line(session, "reads, and will read again,")
            }
            ModelAction::Reply { session } => {
                let (dialler, to) = self.ends_of(session);
                let conn = &self.conns[self.conn_at(session).unwrap()];
                let reply =
                    conn.replies.front().map(|(_, reply)| short_reply(reply)).unwrap_or_default();
                format!("{} receives from bank {to}: {reply}", name(dialler))
            }
            ModelAction::Sync(at) => format!("bank {at} syncs"),
            ModelAction::Tick(at) => format!("bank {at}'s timers fire"),
            ModelAction::Begin(driver) => format!("driver {driver} begins"),
            ModelAction::TimeOut(driver) => format!("driver {driver} times out"),
            ModelAction::Crash(at) => format!("bank {at} CRASHES"),
            ModelAction::Restart(at) => format!("bank {at} starts"),
            ModelAction::Restore { at, keep } => {
                format!("bank {at} LOSES ITS DISK, an old copy has {keep} of its records")
            }
            ModelAction::Connect(a, b) => format!("banks {a} and {b} link"),
            ModelAction::Cut { session, lost } => {
                let (dialler, to) = self.ends_of(session);
                let loss = if lost { ", and its lines in flight are lost" } else { "" };
                format!("the connection of {} to bank {to} BREAKS{loss}", name(dialler))
            }
            ModelAction::Gone { driver, lost } => {
                let loss = if lost { ", and its lines in flight are lost" } else { "" };
                format!("driver {driver} LEAVES{loss}")
            }
            ModelAction::Lie { to, tx, what } => {
                format!("the malicious client to bank {to}: {}", self.describe_lie(tx, what))
            }
            ModelAction::MaliciousLeaves(to) => format!("the malicious client leaves bank {to}"),
            ModelAction::Snapshot(at) => format!("bank {at} is asked for a cut"),
            ModelAction::Vote { driver, commit } => {
                format!(
                    "outside coordinator {driver} sends {}",
                    if commit { "COMMIT" } else { "ABORT" }
                )
            }
        }
    }

    /// The length of each journal.
    pub fn journals(&self) -> Vec<usize> {
        self.nodes.iter().map(|node| node.journal.len()).collect()
    }

    /// The records written after these lengths of the journals.
    pub fn written_since(&self, before: &[usize]) -> Vec<String> {
        let new = |(at, from): (usize, &usize)| {
            let records = self.nodes[at].journal.iter().skip(*from);
            records
                .map(|record| format!("bank {at} writes {}", short_record(record)))
                .collect::<Vec<_>>()
        };
        before.iter().enumerate().flat_map(new).collect()
    }

    fn describe_line(&self, session: u64, reads: &str) -> String {
        let (dialler, to) = self.ends_of(session);
        let conn = &self.conns[self.conn_at(session).unwrap()];
        let request = conn.lines.front().map(|(_, request)| short(request)).unwrap_or_default();
        format!("bank {to} {reads} {request} of {}", name(dialler))
    }

    fn describe_lie(&self, tx: usize, what: Lie) -> String {
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

fn name(dialler: Dialler) -> String {
    match dialler {
        Dialler::Bank(at) => format!("bank {at}"),
        Dialler::Driver(at) => format!("driver {at}"),
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
