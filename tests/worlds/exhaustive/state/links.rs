//! Links between banks, and how an end notices that a connection is gone.

use super::{Conn, Dialler, ModelState, bank};
use crate::exhaustive::plant::Planted;
use consorcio_core::bank::io::{Input, SessionId};
use consorcio_core::ids::Time;
use std::rc::Rc;

impl ModelState {
    pub(super) fn can_connect(&self, a: usize, b: usize) -> bool {
        let up = self.nodes[a].core.is_some() && self.nodes[b].core.is_some();
        let lacks = |from, to| self.dialled(from, to).is_none();
        up && (lacks(a, b) || lacks(b, a))
    }

    /// The link whose end `from` has not noticed.
    pub(super) fn dialled(&self, from: usize, to: usize) -> Option<u64> {
        let theirs = |conn: &&Rc<Conn>| {
            conn.dialler == Dialler::Bank(from) && conn.to == to && !conn.replies_done
        };
        self.conns.iter().find(theirs).map(|conn| conn.session)
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            let up = self.nodes[from].core.is_some() && self.nodes[to].core.is_some();
            if !up || self.dialled(from, to).is_some() {
                continue; // linked already, or one of them has just stopped
            }
            self.dial(Dialler::Bank(from), to);
            self.show_votes(to, from);
            self.show_votes(from, to);
            self.input(from, &Input::PeerUp(bank(to)));
        }
    }

    /// Over their link a bank sends another a later vote of that bank than before. It matters only
    /// to a bank that forgot a vote.
    pub(super) fn send_known_votes(&mut self, at: usize, before: [Time; 16]) {
        if self.setup.budget.restores == 0 || self.nodes[at].core.is_none() {
            return;
        }
        let known = self.nodes[at].core.as_ref().unwrap().known_votes();
        for other in
            (0..self.nodes.len()).filter(|other| *other != at && known[*other] > before[*other])
        {
            if self.dialled(at, other).is_some() || self.dialled(other, at).is_some() {
                self.show_votes(at, other);
            }
        }
    }

    fn show_votes(&mut self, from: usize, to: usize) {
        let Some(core) = &self.nodes[from].core else { return };
        for (tx, token) in core.votes_to_send(bank(to)) {
            if self.setup.planted == Some(Planted::LostPromiseUndetected) {
                continue;
            }
            let must_stop = self.nodes[to].core.is_some() && self.forgot(to, &tx, &token);
            let past = self.past(to, &tx);
            self.input(to, &Input::PeerShows { peer: bank(from), tx, token, past });
            assert!(
                !must_stop || self.nodes[to].stopped,
                "bank {to} receives a vote that it forgot, but runs"
            );
        }
    }

    /// An end notices the end of a connection once it has read everything before.
    pub(super) fn notice_ends(&mut self) {
        while let Some(at) = self.conns.iter().position(|conn| {
            conn.lines_end && !conn.lines_done && conn.lines.is_empty()
                || conn.replies_end && !conn.replies_done && conn.replies.is_empty()
        }) {
            let conn = Rc::make_mut(&mut self.conns[at]);
            let (session, dialler, to) = (conn.session, conn.dialler, conn.to);
            if conn.lines_end && !conn.lines_done && conn.lines.is_empty() {
                (conn.lines_done, conn.replies_end) = (true, true);
                self.input(to, &Input::Closed(SessionId(session)));
            } else {
                (conn.replies_done, conn.lines_end) = (true, true);
                for slot in std::mem::take(&mut conn.owed) {
                    self.answered(dialler, to, slot, None);
                }
                if let Dialler::Bank(from) = dialler {
                    self.input(from, &Input::PeerDown(bank(to)));
                }
            }
        }
        self.conns.retain(|conn| !(conn.lines_done && conn.replies_done));
    }
}
