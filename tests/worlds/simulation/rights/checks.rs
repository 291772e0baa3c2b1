//! What must hold of rights after each event, by a plain statement of the rules.

use super::{NAMES, OwnedTransaction, RightsDriver, RightsRun};
use crate::world::Seen;
use consorcio_core::bank::io::{CoreStep, DoubtCause, Outcome};
use consorcio_core::bank::record::Record;
use consorcio_core::ids::TxId;
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::transaction::{Action, Flow, Op};

impl RightsRun {
    /// Checks all events since the last call.
    pub(super) fn check_events(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            match seen {
                Seen::Recorded { bank, record, .. } => self.recorded(bank, &record),
                Seen::Lost { bank, records, .. } => {
                    for record in &records {
                        if let Some((tx, _)) = vote_of(record) {
                            self.recorded.remove(&(bank, tx.clone()));
                        }
                    }
                }
                Seen::Reply { bank, reply, .. } => self.replied(bank, &reply),
                Seen::Answered { from, asked, reply: Some(Reply::Err(reason, text)), .. } => {
                    assert!(
                        reason != Reason::NotAllowed,
                        "bank {from} refuses {asked:?} over a link: {text}"
                    );
                }
                Seen::Step { step: CoreStep::Doubt(_, DoubtCause::OwnerGone), .. } => {
                    self.count("owner taken out");
                }
                Seen::Stopped { bank, why } => panic!("bank {bank} stopped: {why}"),
                Seen::Answered { .. }
                | Seen::Sent { .. }
                | Seen::Step { .. }
                | Seen::DiskFailed { .. } => {}
            }
        }
    }

    /// Checks the events of a stranger's request: it makes no bank ask or refuse.
    pub(super) fn check_stranger(&mut self) {
        let mut told_nothing = false;
        for seen in &self.world.seen {
            match seen {
                Seen::Step { bank, step: CoreStep::Doubt(tx, cause) } => {
                    panic!("a stranger makes bank {bank} ask about {tx}: {cause:?}")
                }
                Seen::Recorded { bank, record: Record::Refused { tx, .. }, .. } => {
                    panic!("a stranger makes bank {bank} refuse {tx}")
                }
                Seen::Recorded { record: Record::Decided { outcome, .. }, .. } => {
                    if matches!(outcome, Outcome::Committed(_)) {
                        *self.counts.entry("stranger's tokens committed").or_default() += 1;
                    }
                }
                Seen::Reply {
                    reply: Reply::Err(Reason::NotAllowed, _) | Reply::Doubt(..), ..
                } => {
                    told_nothing = true;
                }
                _ => {}
            }
        }
        if told_nothing {
            self.count("stranger told nothing");
        }
    }

    fn recorded(&mut self, bank: usize, record: &Record) {
        if let Record::Decided { outcome: Outcome::Committed(_), .. } | Record::Executed { .. } =
            record
        {
            self.count("committed");
        }
        let Some((tx, refusal)) = vote_of(record) else { return };
        self.recorded.insert((bank, tx.clone()));
        let number = self.number(tx);
        let OwnedTransaction { by, transaction, .. } = &self.transactions[number];
        let by = *by;
        let ops: Vec<Op> =
            transaction.ops().iter().filter(|op| op.bank.index() == bank).cloned().collect();
        let forbidden = ops.iter().find(|op| !self.may(bank, number, op));
        let is_link = matches!(by, RightsDriver::Bank(driver) if driver != bank);
        match refusal {
            None => {
                let roles = &self.roles[bank];
                assert!(
                    forbidden.is_none(),
                    "bank {bank} votes OK on {tx}, whose owner may not do {forbidden:?}; it grants \
                     {roles:?}, trusts {:?}, and {by:?} drives",
                    self.trust[bank]
                );
                let only_credits = ops.iter().all(is_credit);
                self.count(match (is_link, only_credits) {
                    (false, _) => "OK of an owner",
                    (true, true) => "OK over a link",
                    (true, false) => "OK over a trusted link",
                });
            }
            Some(Reason::NotAllowed) => {
                let is_forbidden = forbidden.is_some();
                if !is_forbidden {
                    // It took over the refusal of another bank.
                    let others = (0..self.roles.len()).filter(|other| *other != bank);
                    let refused = others.map(|other| (other, tx.clone()));
                    let refused = refused.filter(|key| self.recorded.contains(key)).count();
                    assert!(refused > 0, "bank {bank} refuses {tx} though it is allowed");
                } else if is_link {
                    self.count("refused for a right over a link");
                } else {
                    self.count("refused for a right");
                    let had_voted = by == RightsDriver::Bank(bank)
                        && (0..self.roles.len())
                            .any(|b| self.recorded.contains(&(b, tx.clone())) && b != bank);
                    if had_voted {
                        self.count("right lost before the last vote");
                    }
                }
            }
            Some(_) => {}
        }
    }

    fn replied(&mut self, bank: usize, reply: &Reply) {
        match reply {
            Reply::Ok(tx, token) => self.keep(tx, *token),
            Reply::Nok(tx, token, reason, _) => {
                self.keep(tx, *token);
                assert!(
                    *reason != Reason::NotAllowed || self.recorded.contains(&(bank, tx.clone())),
                    "bank {bank} refuses {tx} for a right, and has not recorded it"
                );
            }
            Reply::Err(Reason::NotAllowed, text) => {
                // Every owner here asks for its own.
                let is_owners =
                    NAMES.iter().any(|name| text.contains(&format!(" has an id like {name}")));
                assert!(!is_owners, "bank {bank}: {text}");
            }
            _ => {}
        }
    }

    fn keep(&mut self, tx: &TxId, token: consorcio_core::wire::token::Token) {
        let known = self.tokens.entry(tx.clone()).or_default();
        if !known.contains(&token) {
            known.push(token);
        }
    }

    fn number(&self, tx: &TxId) -> usize {
        tx.as_str().split_once('.').unwrap().1.parse().unwrap()
    }

    /// The rules: may the owner of this transaction do `op` at this bank, now?
    fn may(&self, bank: usize, number: usize, op: &Op) -> bool {
        let OwnedTransaction { owner, by, .. } = &self.transactions[number];
        let Action::Money { flow, account, .. } = &op.action else { return false };
        let own = match (self.roles[bank].get(owner).copied().unwrap_or(""), flow) {
            ("teller", _) | (_, Flow::Credit) => true,
            ("holder", Flow::Debit | Flow::Withdraw) => account.as_str() == super::ACCOUNTS[0],
            (_, Flow::Debit | Flow::Withdraw | Flow::Deposit) => false,
        };
        match by {
            RightsDriver::Bank(driver) if *driver != bank => {
                *flow == Flow::Credit || (own && self.trust[bank].contains(driver))
            }
            RightsDriver::Bank(_) | RightsDriver::Owner => own,
        }
    }
}

fn is_credit(op: &Op) -> bool {
    matches!(op.action, Action::Money { flow: Flow::Credit, .. })
}

/// The vote that a record is, and the reason of its refusal.
fn vote_of(record: &Record) -> Option<(&TxId, Option<Reason>)> {
    match record {
        Record::Voted { tx, refusal, .. } => {
            Some((tx, refusal.as_ref().map(|(reason, _)| *reason)))
        }
        Record::Executed { tx, .. } => Some((tx, None)),
        Record::Refused { tx, reason, .. } => Some((tx, Some(*reason))),
        _ => None,
    }
}
