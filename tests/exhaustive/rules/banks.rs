//! What holds of each bank of a state, and at the end of all.

use super::*;

impl ModelState {
    /// A bank's ledger is what its journal says: balances change by commits alone, holds are its
    /// open votes.
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
        let input =
            Input::Request { caller, origin: Origin::Client, request, waited_us: 0, past: None };
        let output = core.decide(self.now(at), &input);
        let [reply] = &output.replies[..] else { panic!("a read is answered at once") };
        let Reply::Done(json) = &reply.reply else { panic!("{:?}", reply.reply) };
        serde_json::from_str(json).unwrap()
    }

    /// What the journal knows of a transaction that memory does not.
    pub fn past(&self, at: usize, tx: &TxId) -> Option<Past> {
        let node = &self.nodes[at];
        if node.core.as_ref()?.knows(tx) || self.mistake() == Some(Mistake::OutcomeForgotten) {
            return None;
        }
        let record = node.journal.iter().find(|record| record.decides() == Some(tx))?;
        Some(Past { record: (**record).clone() })
    }

    /// All is healed and quiet.
    pub fn verify(&self) {
        if let Some(lost) = &self.lost {
            return self.verify_missed(lost);
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
            self.check_told(position, tx);
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
            assert!(core.same_as(&replayed), "bank {at} is not what its journal says");
        }
        assert_eq!(total, expected, "no centavo is lost or made");
        assert_eq!(values.len(), 1, "a register has one value everywhere: {values:?}");
    }

    /// What a driver or a caller was told is what is so.
    pub(super) fn check_told(&self, position: usize, tx: &TxId) {
        let driver = &self.drivers[position];
        let committed = !self.ends(tx, *self.base.bytes[position][0].digest(), true).is_empty();
        let told = match (&driver.verdict, &driver.told) {
            (Some(Verdict::Committed(_)), _) | (_, Some(Reply::Committed(..))) => Some(true),
            (Some(Verdict::Aborted { .. } | Verdict::Unreached), _)
            | (_, Some(Reply::Aborted(..))) => Some(false),
            (Some(Verdict::Doubt(_)), _) | (None, _) => None,
        };
        if let Some(told) = told {
            let (_, _, way) = self.setup.transactions[position];
            assert_eq!(told, committed, "{tx}, driven by {way:?}, was told otherwise: {driver:?}");
        }
    }
}
