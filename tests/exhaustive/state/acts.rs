//! All that can happen in a state, and the way to its good end.

use super::{Budget, ModelState, Who};

/// A bank that has stopped keeps a doubt for ever: after so many rounds of time-outs nothing more
/// comes.
const ROUNDS_BESIDE_A_STOPPED_BANK: usize = 4;

/// Something that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The next line of a connection reaches its bank.
    Line {
        session: u64,
    },
    /// ... and stays on its way as well.
    Repeat {
        session: u64,
    },
    /// The next reply of a connection reaches who asked.
    Reply {
        session: u64,
    },
    /// A bank's journal is synced.
    Sync(usize),
    /// A bank's timers fire.
    Tick(usize),
    Begin(usize),
    TimeOut(usize),
    /// A bank's process dies, with all that was not synced.
    Crash(usize),
    /// ... and starts on its journal.
    Restart(usize),
    /// A bank's disk dies, and an old copy of its journal with so many records takes its place.
    Restore {
        at: usize,
        keep: usize,
    },
    /// Two banks dial each other.
    Connect(usize, usize),
    /// A connection breaks; with `lost`, what is under way is lost.
    Cut {
        session: u64,
        lost: bool,
    },
    Gone {
        driver: usize,
        lost: bool,
    },
    /// The liar says this about this transaction to this bank.
    Lie {
        to: usize,
        tx: usize,
        what: Lie,
    },
    /// The liar's connection to this bank ends.
    LiarLeaves(usize),
    /// A bank is asked for a cut.
    Snapshot(usize),
    /// An outside coordinator says COMMIT, or ABORT.
    Vote {
        driver: usize,
        commit: bool,
    },
}

/// What the liar says; tokens are all that any driver was told so far.
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
    /// What is under way arrives, or is done.
    Act(Act),
    /// Nothing is under way: the timers of all banks and drivers fire.
    TimeOuts,
}

impl ModelState {
    /// All that can happen.
    pub fn acts(&self) -> Vec<Act> {
        let mut acts = self.good_acts();
        self.drivers_acts(&mut acts);
        self.banks_acts(&mut acts);
        for conn in &self.conns {
            let session = conn.session;
            if self.budget.cuts > 0 && !conn.lines_end && !conn.replies_end {
                acts.push(Act::Cut { session, lost: false });
                if !conn.lines.is_empty() || !conn.replies.is_empty() {
                    acts.push(Act::Cut { session, lost: true });
                }
            }
            if self.budget.repeats > 0 && !conn.lines.is_empty() {
                acts.push(Act::Repeat { session });
            }
        }
        if self.budget.lies > 0 {
            self.lies(&mut acts);
        }
        acts
    }

    /// What happens without a fault: lines arrive, journals are synced, banks come back.
    fn good_acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if node.core.is_none() && !node.stopped {
                acts.push(Act::Restart(at));
            }
        }
        for a in 0..self.nodes.len() {
            acts.extend(
                (a + 1..self.nodes.len())
                    .filter(|b| self.can_connect(a, *b))
                    .map(|b| Act::Connect(a, b)),
            );
        }
        for conn in &self.conns {
            let session = conn.session;
            if !conn.lines.is_empty() {
                acts.push(Act::Line { session });
            }
            if !conn.replies.is_empty() {
                acts.push(Act::Reply { session });
            }
        }
        for (at, node) in self.nodes.iter().enumerate() {
            if node.core.is_some() && node.synced < node.journal.len() {
                acts.push(Act::Sync(at));
            }
        }
        acts
    }

    fn drivers_acts(&self, acts: &mut Vec<Act>) {
        for (at, driver) in self.drivers.iter().enumerate().filter(|(_, driver)| !driver.gone) {
            if !driver.begun {
                acts.push(Act::Begin(at));
            }
            if driver.armed && self.budget.time_outs > 0 {
                acts.push(Act::TimeOut(at));
            }
            if driver.begun && self.budget.gone > 0 {
                acts.extend([false, true].map(|lost| Act::Gone { driver: at, lost }));
            }
            if self.outside(at).is_some() && self.budget.votes > 0 {
                acts.extend([false, true].map(|commit| Act::Vote { driver: at, commit }));
            }
        }
    }

    fn banks_acts(&self, acts: &mut Vec<Act>) {
        let Budget { ticks, crashes, snapshots, restores, .. } = self.budget;
        for (at, node) in self.nodes.iter().enumerate() {
            let up = node.core.is_some();
            let possible = [
                (ticks > 0, Act::Tick(at)),
                (crashes > 0, Act::Crash(at)),
                (snapshots > 0, Act::Snapshot(at)),
            ];
            acts.extend(possible.into_iter().filter(|(may, _)| up && *may).map(|(_, act)| act));
            if restores > 0 && !node.stopped {
                acts.extend((0..node.synced).map(|keep| Act::Restore { at, keep }));
            }
        }
    }

    fn lies(&self, acts: &mut Vec<Act>) {
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
                acts.extend(plain.into_iter().chain(with).map(|what| Act::Lie { to, tx, what }));
            }
            acts.push(Act::LiarLeaves(to));
        }
    }

    /// The next step of healing, after so many rounds of time-outs; none once all is quiet and
    /// decided.
    pub fn heals_by(&self, rounds: usize) -> Option<Heal> {
        if let Some(act) = self.good_acts().first() {
            return Some(Heal::Act(*act));
        }
        // An outside coordinator that says no more is waited for by nobody.
        let waits = |at: &usize| {
            self.drivers[*at].begun && !self.drivers[*at].gone && self.outside(*at).is_none()
        };
        let mut cores = self.nodes.iter().filter_map(|node| node.core.as_ref());
        let decided = cores.all(|core| core.undecided() == 0)
            && !(0..self.drivers.len()).any(|at| waits(&at));
        let hopeless =
            self.nodes.iter().any(|node| node.stopped) && rounds == ROUNDS_BESIDE_A_STOPPED_BANK;
        (!decided && !hopeless).then_some(Heal::TimeOuts)
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

    /// Who dialled the connection of a session, and whom.
    pub(super) fn ends_of(&self, session: u64) -> (Who, usize) {
        let conn = &self.conns[self.conn_at(session).unwrap()];
        (conn.who, conn.to)
    }
}
