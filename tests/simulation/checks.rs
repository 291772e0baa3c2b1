//! What must hold: after each step, and when all is healed.

use crate::simulation::{ACCOUNTS, BANKS, OPENING, Simulation, Truth};
use crate::world::Seen;
use consorcio::bank::io::Outcome;
use consorcio::bank::record::Record;
use consorcio::commit::token::{Digest, Verdict as Vote};
use consorcio::ids::{BankId, Time, TxId};
use consorcio::wire::reply::Reply;
use consorcio::wire::transaction::{Action, Flow};
use std::collections::BTreeSet;

impl Simulation<'_> {
    /// What was not synced is lost with the process: it was never true.
    pub(crate) fn forget_lost(&mut self, at: usize, records: Vec<Record>) {
        for record in records {
            let (tx, digest) = match &record {
                Record::Voted { tx, transaction, .. } | Record::Executed { tx, transaction, .. } => {
                    (tx, *transaction.digest())
                }
                Record::Decided { tx, own, .. } => (tx, own.digest.unwrap()),
                Record::Refused { tx, .. } => {
                    self.votes.remove(&(at, tx.clone()));
                    continue;
                }
                _ => continue,
            };
            let vote = !matches!(record, Record::Decided { .. });
            if vote {
                self.votes.remove(&(at, tx.clone()));
            }
            let truth = self.truth(tx, digest);
            truth.committed.remove(&at);
            truth.aborted.remove(&at);
            if vote {
                truth.ok.remove(&at);
            }
        }
    }

    /// Takes note of what was seen, and checks what must always hold.
    pub(crate) fn look(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            if self.met.1.wanted {
                self.met.1.lines.push(crate::world::tell::line(&seen));
            }
            match seen {
                Seen::Recorded { bank, record } => self.recorded(bank, &record),
                Seen::Reply { bank, caller, reply } => {
                    self.replied(bank, caller.session.0, caller.slot, reply)
                }
                Seen::Stopped { bank, why } => panic!("bank {bank} stopped: {why}"),
                Seen::Lost { bank, records } => self.forget_lost(bank, records),
                Seen::DiskFailed { bank } => {
                    self.met.count("disk failed");
                    self.sessions_lost(bank);
                }
                Seen::Step { step, .. } => {
                    if let consorcio::bank::io::CoreStep::Doubt(_, cause) = step {
                        self.met.count(cause.as_str());
                    }
                }
                Seen::Sent { .. } | Seen::Answered { .. } => {}
            }
        }
    }

    /// A bank votes once for an id, and never takes it back.
    pub(crate) fn votes_once(&mut self, at: usize, record: &Record) {
        let (tx, vote) = match record {
            Record::Voted { tx, transaction, refusal, .. } => {
                let verdict = if refusal.is_none() { Vote::Ok } else { Vote::No };
                (tx, (verdict, Some(*transaction.digest())))
            }
            Record::Refused { tx, .. } => (tx, (Vote::No, None)),
            Record::Executed { tx, transaction, .. } => (tx, (Vote::Ok, Some(*transaction.digest()))),
            _ => return,
        };
        let before = self.votes.insert((at, tx.clone()), vote);
        assert_eq!(before, None, "bank {at} votes on {tx} again: {vote:?}");
    }

    pub(crate) fn recorded(&mut self, at: usize, record: &Record) {
        self.votes_once(at, record);
        match record {
            Record::Voted { tx, transaction, refusal: None, .. } => {
                self.met.count("OK");
                self.truth(tx, *transaction.digest()).ok.insert(at);
            }
            Record::Voted { refusal: Some((reason, _)), .. } => self.met.count(reason.as_str()),
            Record::Refused { .. } => self.met.count("tombstone"),
            Record::Decided { tx, own, outcome, .. } => {
                let digest = own.digest.unwrap();
                match outcome {
                    Outcome::Committed(time) => self.commits(at, tx, digest, *time, "committed"),
                    Outcome::Aborted(..) => {
                        self.met.count("aborted after OK");
                        let truth = self.truth(tx, digest);
                        truth.aborted.insert(at);
                        assert!(truth.committed.is_empty(), "{tx} aborts at {at}, committed elsewhere");
                    }
                }
            }
            Record::Executed { tx, transaction, committed, .. } => {
                self.truth(tx, *transaction.digest()).ok.insert(at);
                self.commits(at, tx, *transaction.digest(), *committed, "executed");
            }
            Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::ClockMoved { .. }
            | Record::Stopped { .. }
            | Record::OutsideVoted { .. } => {}
        }
    }

    /// The one rule: committed exactly when every named bank holds a durable OK on these bytes.
    pub(crate) fn commits(&mut self, at: usize, tx: &TxId, digest: Digest, time: Time, how: &'static str) {
        self.met.count(how);
        let cut = self.cut_up_to[at];
        assert!(time.0 > cut, "{tx} commits at {at} with time {time}, but the cut at {cut} was told");
        let bytes = self.transactions[tx].iter().find(|known| *known.digest() == digest);
        for named in bytes.unwrap_or_else(|| panic!("{tx} of nobody's bytes")).banks().iter() {
            if named.index() == at {
                // Its own vote may still be under the same sync; what a crash takes is told afterwards.
                let voted =
                    self.truths.get(&(tx.clone(), digest)).is_some_and(|truth| truth.ok.contains(&at));
                assert!(voted, "{tx} commits at {at}, which holds no OK on it");
                continue;
            }
            let node = &self.world.nodes[named.index()];
            let holds = node.journal[..node.synced].iter().any(|record| match record {
                Record::Voted { tx: voted, transaction, refusal: None, .. }
                | Record::Executed { tx: voted, transaction, .. } => {
                    voted == tx && *transaction.digest() == digest
                }
                _ => false,
            });
            assert!(holds, "{tx} commits at {at}, but bank {named} holds no durable OK on these bytes");
        }
        let truth = self.truth(tx, digest);
        truth.committed.insert(at);
        assert!(truth.aborted.is_empty(), "{tx} commits at {at}, aborted elsewhere");
    }

    pub(crate) fn truth(&mut self, tx: &TxId, digest: Digest) -> &mut Truth {
        self.truths.entry((tx.clone(), digest)).or_default()
    }

    /// At each bank balances are what came in less what went out; over all banks transfers cancel.
    pub(crate) fn cut_told(&mut self, at: usize, json: &str) {
        let cut: serde_json::Value = serde_json::from_str(json).unwrap();
        let figure = |name: &str| i128::from(cut[name].as_i64().unwrap());
        let [balance, cash_in, cash_out, transfers_in, transfers_out] =
            ["balance_total", "cash_in_total", "cash_out_total", "transfers_in_total", "transfers_out_total"]
                .map(figure);
        assert_eq!(balance, cash_in - cash_out + transfers_in - transfers_out, "a cut of bank {at}");
        let figures = [balance, cash_in, cash_out, transfers_in, transfers_out];
        let time = cut["time"].as_i64().unwrap();
        self.cut_up_to[at] = self.cut_up_to[at].max(time);
        let cuts = self.cuts.entry(time).or_default();
        if let Some(before) = cuts.insert(at, figures) {
            assert_eq!(before, figures, "bank {at} tells the cut at {time} twice, differently");
        }
        if cuts.len() == BANKS {
            let cancel: i128 = cuts.values().map(|figures| figures[3] - figures[4]).sum();
            assert_eq!(cancel, 0, "transfers cancel in the cut at {time}");
            self.met.count("whole cut");
        }
    }

    pub(crate) fn verify(&mut self) {
        for at in 0..BANKS {
            let undecided = self.world.core(at).undecided();
            assert_eq!(undecided, 0, "bank {at} is undecided though all are up");
        }
        self.world.audit();
        for node in &self.world.nodes {
            if let Some(disk) = &node.disk {
                *self.met.0.entry("torn tail cut").or_default() += disk.torn;
                *self.met.0.entry("start from a snapshot").or_default() += disk.snapshots;
            }
        }
        while let Some(driver) = self.drivers.pop() {
            self.remember_verdict(driver);
        }
        // What a driver or a caller was told is what is so.
        for (tx, reply) in std::mem::take(&mut self.told) {
            let committed = |digest: Option<Digest>| {
                digest.is_some_and(|digest| {
                    let truth = self.truths.get(&(tx.clone(), digest));
                    truth.is_some_and(|truth| !truth.committed.is_empty())
                })
            };
            match reply {
                Reply::Committed(_, _, token) => assert!(committed(token.digest), "{tx} was told committed"),
                Reply::Aborted(_, token, reason) if reason != consorcio::wire::Reason::DuplicateId => {
                    assert!(!committed(token.digest), "{tx} was told aborted: {token} {reason}");
                }
                _ => {}
            }
        }
        // Committed at one bank is committed at every bank that it names.
        for ((tx, digest), truth) in &self.truths {
            if !truth.committed.is_empty() {
                let bytes = self.transactions[tx].iter().find(|known| known.digest() == digest).unwrap();
                let named: BTreeSet<usize> = bytes.banks().iter().map(BankId::index).collect();
                assert_eq!(truth.committed, named, "{tx} is committed everywhere or nowhere");
            }
        }
        self.conserved();
    }

    /// The money of the consortium changes by deposits and withdrawals alone, and registers are equal.
    pub(crate) fn conserved(&mut self) {
        let mut expected: i128 = i128::from(OPENING) * i128::try_from(BANKS * ACCOUNTS).unwrap();
        for ((tx, digest), truth) in &self.truths {
            if truth.committed.is_empty() {
                continue;
            }
            let bytes = self.transactions[tx].iter().find(|known| known.digest() == digest).unwrap();
            for op in bytes.ops() {
                match &op.action {
                    Action::Money { flow: Flow::Deposit, amount, .. } => expected += amount.wide(),
                    Action::Money { flow: Flow::Withdraw, amount, .. } => expected -= amount.wide(),
                    Action::Money { .. } | Action::Set { .. } => {}
                }
            }
        }
        for at in 0..BANKS {
            self.world.line(at, 3, "INFO");
            self.world.line(at, 3, "VALUE");
        }
        let (mut total, mut values) = (0, BTreeSet::new());
        for seen in std::mem::take(&mut self.world.seen) {
            if let Seen::Reply { reply: Reply::Done(json), .. } = seen {
                let said: serde_json::Value = serde_json::from_str(&json).unwrap();
                match said["balance_total"].as_i64() {
                    Some(balance) => {
                        total += i128::from(balance);
                        assert_eq!(
                            (said["held_total"].as_i64(), said["incoming_total"].as_i64()),
                            (Some(0), Some(0))
                        );
                    }
                    None => {
                        values.insert(said["value"].as_str().unwrap().to_owned());
                    }
                }
            }
        }
        assert_eq!(total, expected, "no centavo is lost or made");
        assert_eq!(values.len(), 1, "a register has one value everywhere: {values:?}");
    }
}
