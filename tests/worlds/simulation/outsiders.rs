//! Outside coordinators: each sends requests to one bank, votes at any time, also repeatedly, and
//! vanishes silently. The replies to them must agree with the journals, and only their own COMMIT
//! may commit.

use crate::simulation::facts::number;
use crate::simulation::run::{Simulation, bank};
use consorcio_core::bank::io::{Origin, Seq, SessionId};
use consorcio_core::ids::{Time, TxId};
use consorcio_core::limits::OUTSIDE_VOTE_MS_MAX;
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Digest, Vote};
use consorcio_core::wire::transaction::{Flow, Op, Transaction};
use std::sync::Arc;

/// Their session, at every bank.
pub const OUTSIDE: u64 = 6;

/// A transaction with an outside coordinator.
pub struct Outsider {
    number: usize,
    at: usize,
    sent_commit: bool,
    /// Its vote in the bank's journal: the record, and the commit time; `None` for an abort.
    voted: Option<(Seq, Option<Time>)>,
}

impl Simulation<'_> {
    pub fn act_from_outside(&mut self) {
        let known = self.outsiders.len();
        if known == 0 || self.random.chance(35) {
            return self.prepare_from_outside();
        }
        // Mostly one of the newest; sometimes a transaction without an outside coordinator.
        let back = if self.random.chance(80) { known.min(6) } else { known };
        let at = known - 1 - self.random.below(back);
        let (mut id, bank) = (self.outsiders[at].number, self.outsiders[at].at);
        if self.random.chance(5) {
            self.coverage.count("outside vote on an inner transaction");
            id = 1 + self.random.below(self.facts.len() - 1);
        }
        let tx = TxId::new(&format!("t{id}")).unwrap();
        match self.random.below(20) {
            0..9 => self.vote_from_outside(bank, &tx, true),
            9..14 => self.vote_from_outside(bank, &tx, false),
            14..18 => {
                let transaction = Arc::clone(&self.facts[id].versions[0].transaction);
                self.send_from_outside(bank, Request::Prepare(tx, transaction));
            }
            _ => self.world.close(bank, OUTSIDE),
        }
    }

    fn prepare_from_outside(&mut self) {
        let at = self.random.below(self.banks());
        let ops: Vec<Op> = (0..self.random.below(3))
            .map(|_| {
                let amount = i64::try_from(1 + self.random.below(400)).unwrap();
                self.money(Flow::Withdraw, at, amount)
            })
            .collect();
        let transaction = Arc::new(Transaction::with_outside(bank(at), ops).unwrap());
        let tx = self.named(&transaction);
        self.outsiders.push(Outsider { number: number(&tx), at, sent_commit: false, voted: None });
        if self.random.chance(5) {
            self.vote_from_outside(at, &tx, false);
        }
        self.send_from_outside(at, Request::Prepare(tx, transaction));
    }

    fn vote_from_outside(&mut self, at: usize, tx: &TxId, commit: bool) {
        if let Some(outsider) = self.outsider(tx).filter(|outsider| outsider.at == at) {
            outsider.sent_commit |= commit;
        }
        let request = if commit {
            Request::Commit(tx.clone(), Vec::new())
        } else {
            Request::Abort(tx.clone(), None)
        };
        self.send_from_outside(at, request);
    }

    fn send_from_outside(&mut self, at: usize, request: Request) {
        self.world.request(at, SessionId(OUTSIDE), Origin::Outside, request, 0);
    }

    fn outsider(&mut self, tx: &TxId) -> Option<&mut Outsider> {
        // Numbers are in ascending order.
        let at =
            self.outsiders.binary_search_by_key(&number(tx), |outsider| outsider.number).ok()?;
        Some(&mut self.outsiders[at])
    }

    /// A bank records an outside coordinator's vote, and with it the decision.
    pub fn outside_voted(
        &mut self,
        at: usize,
        (tx, digest): (&TxId, Digest),
        (seq, time): (Seq, Time),
        refusal: Option<Reason>,
    ) {
        let cut = self.reads.cut_up_to(at);
        let own = self.facts(tx).vote(at).filter(|own| own.digest == Some(digest));
        assert!(
            own.is_some_and(|own| time > own.time),
            "{tx} is decided from outside before bank {at} voted"
        );
        let outsider =
            self.outsider(tx).unwrap_or_else(|| panic!("{tx} has no outside coordinator"));
        assert_eq!(outsider.at, at, "{tx} belongs to another bank");
        assert_eq!(outsider.voted, None, "{tx} is decided from outside twice");
        outsider.voted = Some((seq, refusal.is_none().then_some(time)));
        assert!(
            refusal.is_some() || outsider.sent_commit,
            "{tx} commits without a COMMIT of its coordinator"
        );
        let version = self.facts(tx).version(&digest).expect("known bytes");
        if refusal.is_none() {
            assert!(
                time.0 > cut,
                "{tx} commits at {at} with time {time}, but the cut at {cut} was served"
            );
            version.committed = version.committed.with(bank(at));
            version.time = Some(time);
            let transaction = Arc::clone(&version.transaction);
            self.unsynced[at].changed(seq, time, Some(&transaction));
        } else {
            version.aborted = version.aborted.with(bank(at));
        }
        self.coverage.count(match refusal {
            None => "outside commit",
            Some(Reason::Expired) => "outside expired",
            Some(_) => "outside abort",
        });
    }

    /// A crash took that vote: it was never reported.
    pub fn outside_vote_lost(&mut self, tx: &TxId) {
        if let Some(outsider) = self.outsider(tx) {
            outsider.voted = None;
        }
    }

    /// A reported outcome of a transaction with an outside coordinator is true and permanent.
    pub fn outcome_reported(&mut self, at: usize, session: u64, reply: &Reply) {
        let (tx, committed, token) = match reply {
            Reply::Committed(tx, time, token, _) => (tx, Some(*time), token),
            // It reports that other bytes are aborted, by this bank's vote on these.
            Reply::Aborted(_, _, Reason::DuplicateId, _) => return,
            Reply::Aborted(tx, token, _, _) => (tx, None, token),
            _ => return,
        };
        let Some(digest) = token.digest else { return };
        let facts = self.facts(tx);
        let outside =
            facts.version(&digest).is_some_and(|version| version.transaction.has_outside());
        let Some(own) = facts.vote(at).filter(|own| outside && own.digest == Some(digest)) else {
            return;
        };
        let voted = self.outsider(tx).and_then(|outsider| outsider.voted);
        match (own.vote, voted) {
            (Vote::No, voted) => {
                assert_eq!((committed, voted), (None, None), "bank {at} refused {tx}")
            }
            (Vote::Ok, None) => {
                panic!("bank {at} reports an outcome of {tx}, which is undecided")
            }
            (Vote::Ok, Some((seq, recorded))) => {
                assert_eq!(committed, recorded, "bank {at} reports another outcome of {tx}");
                assert!(
                    self.is_durable(at, seq),
                    "bank {at} reports the outcome of {tx} before it is synced"
                );
            }
        }
        if session == OUTSIDE {
            self.facts(tx).reported.push((Some(digest), committed.is_some()));
        }
    }

    /// Most coordinators return and decide; the time of the others ends.
    pub fn heal_outsiders(&mut self) {
        for at in 0..self.outsiders.len() {
            let Outsider { number, at, voted, .. } = self.outsiders[at];
            if voted.is_none() && !self.random.chance(30) {
                let commit = self.random.chance(60);
                self.vote_from_outside(at, &TxId::new(&format!("t{number}")).unwrap(), commit);
                self.check_events();
            }
        }
    }

    /// Passes their time to vote, also for a slow clock.
    pub fn outsiders_time_ends(&mut self) {
        self.world.pass(2 * OUTSIDE_VOTE_MS_MAX * 1_000);
        (0..self.banks()).for_each(|at| self.world.tick(at));
        self.check_events();
    }
}
