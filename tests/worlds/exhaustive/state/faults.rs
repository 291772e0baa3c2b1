//! Faults: crashes and restarts, lost disks, broken connections, and a malicious client. And
//! requests for cuts, which must have no effect on other requests.

use super::{CUTTER, Conn, Dialler, Lie, MALICIOUS, ModelState};
use crate::exhaustive::plant::Planted;
use crate::exhaustive::rules::Lost;
use crate::world::{Around, crashed};
use consorcio_core::bank::io::{Caller, Input, Origin, SessionId, Start};
use consorcio_core::bank::record::Record;
use consorcio_core::ids::Time;
use consorcio_core::wire::request::{Read, Request};
use std::rc::Rc;

/// The slot of a request about no transaction; slots of other requests encode the transaction.
const NO_TRANSACTION: u64 = 7;

impl ModelState {
    pub(super) fn crash(&mut self, at: usize) {
        let mistake = self.mistake();
        let votes_lost = self.setup.planted == Some(Planted::OutsideVoteLost);
        let node = self.node_mut(at);
        if node.journal.len() > node.synced {
            self.reached.push("crash that lost records");
        }
        let node = self.node_mut(at);
        node.core = None;
        node.mono_us = 0;
        node.voted_us.clear();
        node.replies.clear();
        node.sends.clear();
        node.journal.truncate(node.synced);
        crashed(mistake, &mut node.journal);
        if votes_lost {
            node.journal.retain(|record| !matches!(**record, Record::OutsideVoted { .. }));
        }
        node.synced = node.journal.len();
        for conn in &mut self.conns {
            if conn.dialler == Dialler::Bank(at) {
                hang_up(Rc::make_mut(conn), false);
            } else if conn.to == at {
                let conn = Rc::make_mut(conn);
                conn.lines.clear();
                (conn.lines_end, conn.lines_done, conn.replies_end) = (true, true, true);
            }
        }
    }

    pub(super) fn restart(&mut self, at: usize) {
        let mut core = self.base.cores[at].clone();
        let (forgetful, base) = (self.setup.forgetful, core.seq());
        let node = self.node_mut(at);
        node.started_with = node.journal.len();
        node.journal.iter().for_each(|record| core.apply(record));
        if forgetful {
            core.forget_outcomes(base + u64::try_from(node.synced).unwrap(), 0);
        }
        node.core = Some(core);
        self.input(at, &Input::Started(Start::default()));
    }

    /// A bank that knows that it forgot a promise: its process ends, and can't start again.
    pub(super) fn stop(&mut self, at: usize) {
        let mut again = self.base.cores[at].clone();
        let node = self.node_mut(at);
        node.synced = node.journal.len();
        node.stopped = true;
        node.journal.iter().for_each(|record| again.apply(record));
        assert!(again.stopped().is_some(), "the journal of bank {at} lacks its stop");
        self.crash(at);
        self.reached.push("stopped itself");
    }

    /// A bank's disk is lost and replaced by an old copy of its journal.
    pub(super) fn restore(&mut self, at: usize, keep: usize) {
        if self.nodes[at].core.is_some() {
            self.crash(at);
        }
        let node = self.node_mut(at);
        let records = node.journal.split_off(keep);
        node.synced = keep;
        let lost = Lost { at, records };
        if lost.is_a_promise() {
            self.lost = Some(Rc::new(lost));
            self.reached.push("promise forgotten");
        } else {
            self.reached.push("outcome forgotten");
        }
    }

    pub(super) fn cut(&mut self, session: u64, lost: bool) {
        let conn = self.conn_mut(session);
        (conn.lines_end, conn.replies_end) = (true, true);
        if lost {
            conn.lines.clear();
            conn.replies.clear();
        }
    }

    pub(super) fn ask_for_cut(&mut self, at: usize) {
        let time = Some(Time(self.setup.cut_time));
        let request =
            Request::Read(Read::Snapshot { time, reading: None, accounts: false, after: None });
        let caller = Caller { session: SessionId(CUTTER), slot: NO_TRANSACTION };
        self.request(at, caller, Origin::Client, request);
    }

    pub(super) fn lie(&mut self, to: usize, tx: usize, what: Lie) {
        let id = self.base.txs[tx].clone();
        let [bytes, other] = self.base.bytes[tx].clone();
        let request = match what {
            Lie::Prepare => Request::Prepare(id, bytes),
            Lie::PrepareOther => Request::Prepare(id, other),
            Lie::ExecuteOther => Request::Execute(id, other),
            Lie::Commit => Request::Commit(id, Vec::new()),
            Lie::CommitWithAllSeen => {
                Request::Commit(id, self.tokens.iter().map(|(_, token)| *token).collect())
            }
            Lie::CommitWith(token) => Request::Commit(id, vec![self.tokens[token].1]),
            Lie::Abort => Request::Abort(id, None),
            Lie::AbortWith(token) => Request::Abort(id, Some(self.tokens[token].1)),
            Lie::Resolve => Request::Resolve(id),
        };
        let slot = self.slot_of(&request);
        self.request(to, Caller { session: SessionId(MALICIOUS), slot }, Origin::Client, request);
    }
}

pub(super) fn hang_up(conn: &mut Conn, lost: bool) {
    if lost {
        conn.lines.clear();
    }
    conn.replies.clear();
    conn.owed.clear();
    (conn.lines_end, conn.replies_end, conn.replies_done) = (true, true, true);
}
