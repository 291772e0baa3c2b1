//! All possible actions in a state, and its healing.

use super::{Budget, Dialler, ModelState};

/// A stopped bank keeps a transaction in doubt permanently: after this number of rounds of
/// time-outs nothing changes any more.
const ROUNDS_BESIDE_A_STOPPED_BANK: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelAction {
    /// The next line of a connection reaches its bank.
    Line {
        session: u64,
    },
    /// The line arrives and stays in flight.
    Repeat {
        session: u64,
    },
    /// The next reply of a connection reaches its dialler.
    Reply {
        session: u64,
    },
    Sync(usize),
    /// A bank's timers fire.
    Tick(usize),
    Begin(usize),
    TimeOut(usize),
    /// A bank's process crashes and loses un-synced records.
    Crash(usize),
    /// A bank starts on its journal.
    Restart(usize),
    /// A bank's disk is lost and replaced by an old copy of its journal with `keep` records.
    Restore {
        at: usize,
        keep: usize,
    },
    /// Two banks dial each other.
    Connect(usize, usize),
    /// A connection breaks; with `lost`, its lines in flight are lost.
    Cut {
        session: u64,
        lost: bool,
    },
    Gone {
        driver: usize,
        lost: bool,
    },
    /// The malicious client sends a request about this transaction to this bank.
    Lie {
        to: usize,
        tx: usize,
        what: Lie,
    },
    /// The malicious client closes its connection to this bank.
    MaliciousLeaves(usize),
    /// A bank is asked for a cut.
    Snapshot(usize),
    /// An outside coordinator sends COMMIT or ABORT.
    Vote {
        driver: usize,
        commit: bool,
    },
}

/// A request of the malicious client; it knows all tokens that any driver received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    Prepare,
    PrepareOther,
    ExecuteOther,
    Commit,
    CommitWithAllSeen,
    CommitWith(usize),
    Abort,
    AbortWith(usize),
    Resolve,
}

/// A step of healing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heal {
    /// A line arrives, or a pending action is done.
    Act(ModelAction),
    /// Nothing is pending: the timers of all banks and drivers fire.
    TimeOuts,
}

impl ModelState {
    pub fn acts(&self) -> Vec<ModelAction> {
        let mut acts = self.faultless_actions();
        self.drivers_acts(&mut acts);
        self.banks_acts(&mut acts);
        for conn in &self.conns {
            let session = conn.session;
            if self.budget.cuts > 0 && !conn.lines_end && !conn.replies_end {
                acts.push(ModelAction::Cut { session, lost: false });
                if !conn.lines.is_empty() || !conn.replies.is_empty() {
                    acts.push(ModelAction::Cut { session, lost: true });
                }
            }
            if self.budget.repeats > 0 && !conn.lines.is_empty() {
                acts.push(ModelAction::Repeat { session });
            }
        }
        if self.budget.lies > 0 {
            self.lies(&mut acts);
        }
        acts
    }

    /// Actions without a fault: lines arrive, journals are synced, banks restart.
    fn faultless_actions(&self) -> Vec<ModelAction> {
        let mut acts = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if node.core.is_none() && !node.stopped {
                acts.push(ModelAction::Restart(at));
            }
        }
        for a in 0..self.nodes.len() {
            acts.extend(
                (a + 1..self.nodes.len())
                    .filter(|b| self.can_connect(a, *b))
                    .map(|b| ModelAction::Connect(a, b)),
            );
        }
        for conn in &self.conns {
            let session = conn.session;
            if !conn.lines.is_empty() {
                acts.push(ModelAction::Line { session });
            }
            if !conn.replies.is_empty() {
                acts.push(ModelAction::Reply { session });
            }
        }
        for (at, node) in self.nodes.iter().enumerate() {
            if node.core.is_some() && node.synced < node.journal.len() {
                acts.push(ModelAction::Sync(at));
            }
        }
        acts
    }

    fn drivers_acts(&self, acts: &mut Vec<ModelAction>) {
        for (at, driver) in self.drivers.iter().enumerate().filter(|(_, driver)| !driver.gone) {
            if !driver.begun {
                acts.push(ModelAction::Begin(at));
            }
            if driver.armed && self.budget.time_outs > 0 {
                acts.push(ModelAction::TimeOut(at));
            }
            if driver.begun && self.budget.gone > 0 {
                acts.extend([false, true].map(|lost| ModelAction::Gone { driver: at, lost }));
            }
            if self.outside(at).is_some() && self.budget.votes > 0 {
                acts.extend([false, true].map(|commit| ModelAction::Vote { driver: at, commit }));
            }
        }
    }

    fn banks_acts(&self, acts: &mut Vec<ModelAction>) {
        let Budget { ticks, crashes, snapshots, restores, .. } = self.budget;
        for (at, node) in self.nodes.iter().enumerate() {
            let up = node.core.is_some();
            let possible = [
                (ticks > 0, ModelAction::Tick(at)),
                (crashes > 0, ModelAction::Crash(at)),
                (snapshots > 0, ModelAction::Snapshot(at)),
            ];
            acts.extend(possible.into_iter().filter(|(may, _)| up && *may).map(|(_, act)| act));
            if restores > 0 && !node.stopped {
                acts.extend((0..node.synced).map(|keep| ModelAction::Restore { at, keep }));
            }
        }
    }

    fn lies(&self, acts: &mut Vec<ModelAction>) {
        for to in (0..self.nodes.len()).filter(|at| self.nodes[*at].core.is_some()) {
            for tx in 0..self.base.txs.len() {
                let plain = [
                    Lie::Prepare,
                    Lie::PrepareOther,
                    Lie::ExecuteOther,
                    Lie::Commit,
                    Lie::CommitWithAllSeen,
                    Lie::Abort,
                    Lie::Resolve,
                ];
                let with = (0..self.tokens.len())
                    .flat_map(|token| [Lie::CommitWith(token), Lie::AbortWith(token)]);
                acts.extend(plain.into_iter().chain(with).map(|what| ModelAction::Lie {
                    to,
                    tx,
                    what,
                }));
            }
            acts.push(ModelAction::MaliciousLeaves(to));
        }
    }

    /// The next step of healing, after `rounds` rounds of time-outs; `None` once nothing is pending
    /// and all is decided.
    pub fn heals_by(&self, rounds: usize) -> Option<Heal> {
        if let Some(act) = self.faultless_actions().first() {
            return Some(Heal::Act(*act));
        }
        // Nothing waits for an outside coordinator that sends no more votes.
        let waits = |at: &usize| {
            self.drivers[*at].begun && !self.drivers[*at].gone && self.outside(*at).is_none()
        };
        let mut cores = self.nodes.iter().filter_map(|node| node.core.as_ref());
        let decided = cores.all(|core| core.undecided() == 0)
            && !(0..self.drivers.len()).any(|at| waits(&at));
        let is_stuck =
            self.nodes.iter().any(|node| node.stopped) && rounds == ROUNDS_BESIDE_A_STOPPED_BANK;
        (!decided && !is_stuck).then_some(Heal::TimeOuts)
    }

    pub fn heal(&mut self, by: Heal) {
        match by {
            Heal::Act(act) => self.act(act),
            Heal::TimeOuts => {
                (0..self.nodes.len()).for_each(|at| self.tick(at));
                for at in 0..self.drivers.len() {
                    if self.drivers[at].armed && !self.drivers[at].gone {
                        self.time_out(at);
                    }
                }
            }
        }
    }

    /// The dialler of a session's connection, and the dialled bank.
    pub(super) fn ends_of(&self, session: u64) -> (Dialler, usize) {
        let conn = &self.conns[self.conn_at(session).unwrap()];
        (conn.dialler, conn.to)
    }
}
