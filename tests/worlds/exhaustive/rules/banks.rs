//! The invariants of each bank of a state, and those after healing.

use super::*;
use consorcio_core::access::Principal;

impl ModelState {
    /// A bank's ledger equals its journal: balances change by commits alone, holds are its
    /// undecided votes.
    pub fn check_bank(&self, at: usize) {
        let core = self.nodes[at].core.as_ref().unwrap();
        core.check_invariants();
        let me = bank(at);
        let opened = self.setup.accounts[at].iter().map(|(_, money)| i128::from(*money));
        let (mut balance, mut held) = (opened.sum::<i128>(), 0);
        let journal = &self.nodes[at].journal;
        for record in journal {
            let (Record::Voted { tx, transaction, refusal: None, .. }
            | Record::Executed { tx, transaction, .. }) = &**record
            else {
                continue;
            };
            let end = journal.iter().find_map(|record| end_in(record, tx, *transaction.digest()));
            for op in transaction.ops().iter().filter(|op| op.bank == me) {
                match (&op.action, end) {
                    (Action::Money { flow, amount, .. }, Some(true)) if flow.takes() => {
                        balance -= amount.wide()
                    }
                    (Action::Money { amount, .. }, Some(true)) => balance += amount.wide(),
                    (Action::Money { flow, amount, .. }, None) if flow.takes() => {
                        held += amount.wide()
                    }
                    (Action::Money { .. }, Some(false) | None) | (Action::Set { .. }, _) => {}
                }
            }
        }
        let info = self.read(at, core, Request::Read(Read::Info));
        let figure = |name: &str| i128::from(info[name].as_i64().unwrap());
        assert_eq!(
            (figure("balance_total"), figure("held_total")),
            (balance, held),
            "bank {at}: balance, held"
        );
    }

    pub(super) fn read(&self, at: usize, core: &Core, request: Request) -> serde_json::Value {
        let caller = Caller { session: SessionId(0), slot: 0 };
        let input = Input::Request {
            caller,
            origin: Origin::Client,
            asker: Principal::Operator,
            request,
            waited_us: 0,
            past: None,
        };
        let output = core.decide(self.now(at), &input);
        let [reply] = &output.replies[..] else { panic!("no single reply to a read") };
        let Reply::Done(json) = &reply.reply else { panic!("{:?}", reply.reply) };
        serde_json::from_str(json).unwrap()
    }

    /// The journal's record of a transaction that memory does not hold.
    pub fn past(&self, at: usize, tx: &TxId) -> Option<Past> {
        let node = &self.nodes[at];
        if node.core.as_ref()?.knows(tx) || self.mistake() == Some(Mistake::OutcomeForgotten) {
            return None;
        }
        let record = node.journal.iter().find(|record| record.decides() == Some(tx))?;
        Some(Past { record: (**record).clone() })
    }

    /// Checks a healed state in which nothing is in flight.
    pub fn verify(&self) {
        if let Some(lost) = &self.lost {
            return self.verify_detected(lost);
        }
        let mut expected: i128 =
            self.setup.accounts.iter().flatten().map(|(_, money)| i128::from(*money)).sum();
        for (position, tx) in self.base.txs.iter().enumerate() {
            for bytes in &self.base.bytes[position] {
                let committed = self.ends(tx, *bytes.digest(), true);
                let named: BTreeSet<usize> = bytes.banks().iter().map(BankId::index).collect();
                assert!(
                    committed.is_empty() || committed == named,
                    "{tx} is committed at {committed:?} alone"
                );
                assert_eq!(
                    !committed.is_empty()
                        || bytes.has_outside() && !self.ends(tx, *bytes.digest(), false).is_empty(),
                    self.granted_by_all(tx, *bytes.digest(), None),
                    "{tx} is committed exactly when every bank holds an OK, and no outside \
                     coordinator refused"
                );
                for op in bytes.ops().iter().filter(|_| !committed.is_empty()) {
                    match &op.action {
                        Action::Money { flow: Flow::Deposit, amount, .. } => {
                            expected += amount.wide()
                        }
                        Action::Money { flow: Flow::Withdraw, amount, .. } => {
                            expected -= amount.wide()
                        }
                        Action::Money { .. } | Action::Set { .. } => {}
                    }
                }
            }
            self.check_report(position, tx);
        }
        let (mut total, mut values) = (0, BTreeSet::new());
        for (at, node) in self.nodes.iter().enumerate() {
            let core = node.core.as_ref().unwrap();
            let info = self.read(at, core, Request::Read(Read::Info));
            let figure = |name: &str| info[name].as_i64().unwrap();
            assert_eq!(
                [figure("held_total"), figure("incoming_total"), figure("undecided")],
                [0; 3],
                "bank {at}"
            );
            total += i128::from(figure("balance_total"));
            let value = self.read(
                at,
                core,
                Request::Read(Read::Value(RegisterKey::new("storage").unwrap())),
            );
            values.insert(value["value"].as_str().unwrap().to_owned());
            let mut replayed = self.base.cores[at].clone();
            node.journal.iter().for_each(|record| replayed.apply(record));
            assert!(core.same_as(&replayed), "bank {at} differs from its replayed journal");
        }
        assert_eq!(total, expected, "money was lost or created");
        assert_eq!(values.len(), 1, "a register has several values: {values:?}");
    }

    /// Every outcome that a driver or a caller received is true.
    pub(super) fn check_report(&self, position: usize, tx: &TxId) {
        let driver = &self.drivers[position];
        let committed = !self.ends(tx, *self.base.bytes[position][0].digest(), true).is_empty();
        let reported = match (&driver.verdict, &driver.reply) {
            (Some(Verdict::Committed(_)), _) | (_, Some(Reply::Committed(..))) => Some(true),
            (Some(Verdict::Aborted { .. } | Verdict::Unreached), _)
            | (_, Some(Reply::Aborted(..))) => Some(false),
            (Some(Verdict::Doubt(_)), _) | (None, _) => None,
        };
        if let Some(reported) = reported {
            let (_, _, driven_by) = self.setup.transactions[position];
            assert_eq!(
                reported, committed,
                "{tx}, driven by {driven_by:?}: wrong report: {driver:?}"
            );
        }
    }
}
