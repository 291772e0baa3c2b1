//! The invariants of cuts and patience: nothing commits at or before a cut that was served, and no
//! bank resolves on its own before a transaction's patience is over.

use super::recorded_end;
use crate::exhaustive::state::{ModelState, bank};
use consorcio_core::bank::io::{CoreStep, DoubtCause};
use consorcio_core::bank::record::Record;
use consorcio_core::ids::{Time, TxId};
use consorcio_core::limits::RESOLVE_AFTER_MS;
use consorcio_core::wire::token::Digest;
use consorcio_core::wire::transaction::{Action, Flow};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The served cuts by time and bank: transfers in, transfers out, balance.
pub type Cuts = BTreeMap<(i64, usize), [i128; 3]>;

impl ModelState {
    /// A commit is later than every cut that this bank has served, also before a crash.
    pub(super) fn check_outside_cuts(&self, at: usize, tx: &TxId, time: Time) {
        let served = self.cuts.keys().filter(|(_, bank)| *bank == at).map(|(time, _)| *time).max();
        assert!(
            served.is_none_or(|served| time.0 > served),
            "{tx} commits at bank {at} as of {time}, but the cut at {served:?} was served"
        );
    }

    /// Checks a cut that is sent: it contains exactly the commits up to its time, and in a cut of
    /// all banks transfers cancel.
    pub(super) fn check_cut(&mut self, at: usize, json: &str) {
        let cut: serde_json::Value = serde_json::from_str(json).unwrap();
        let figure = |name: &str| i128::from(cut[name].as_i64().unwrap());
        let figures = ["transfers_in_total", "transfers_out_total", "balance_total"].map(figure);
        let time = cut["time"].as_i64().unwrap();
        assert_eq!(
            figures,
            self.cut_by_journal(at, time),
            "the cut of bank {at} at {time}: in, out, balance"
        );
        if let Some(before) = self.cuts.insert((time, at), figures) {
            assert_eq!(before, figures, "bank {at} returns two different cuts at {time}");
            self.reached.push("cut served again");
        }
        self.reached.push("cut served");
        if figures[0] != figures[1] {
            self.reached.push("cut with a transfer");
        }
        let of_all: Vec<_> =
            self.cuts.range((time, 0)..(time + 1, 0)).map(|(_, figures)| figures).collect();
        if of_all.len() == self.nodes.len() {
            let [sent, taken] =
                [1, 0].map(|which| of_all.iter().map(|figures| figures[which]).sum::<i128>());
            assert_eq!(sent, taken, "transfers do not cancel in the cut of all banks at {time}");
            self.reached.push("whole cut");
        }
    }

    /// The transfers and the balance of all commits up to `time`, from a bank's journal.
    fn cut_by_journal(&self, at: usize, time: i64) -> [i128; 3] {
        let (mut came, mut went) = (0, 0);
        let mut balance: i128 =
            self.setup.accounts[at].iter().map(|(_, money)| i128::from(*money)).sum();
        let committed = |record: &Arc<Record>| {
            let end = recorded_end(record)?;
            end.committed.filter(|at| at.0 <= time)?;
            Some((end.tx.clone(), end.digest?))
        };
        let commits: Vec<(TxId, Digest)> =
            self.nodes[at].journal.iter().filter_map(committed).collect();
        for (tx, digest) in commits {
            for op in self.bytes_of(&tx, digest).ops_of(bank(at)) {
                let Action::Money { flow, amount, .. } = &op.action else { continue };
                match flow {
                    Flow::Debit => went += amount.wide(),
                    Flow::Credit => came += amount.wide(),
                    Flow::Deposit | Flow::Withdraw => {}
                }
                balance += if flow.takes() { -amount.wide() } else { amount.wide() };
            }
        }
        [came, went, balance]
    }

    /// A bank starts to ask the others on its own only after its transaction's patience.
    pub fn check_step(&mut self, at: usize, step: &CoreStep) {
        let CoreStep::Doubt(tx, cause) = step else { return };
        let voted_us =
            self.nodes[at].voted_us.iter().find(|(voted, _)| voted == tx).map(|(_, at)| *at);
        let patience_ms = self.nodes[at].journal.iter().find_map(|record| match &**record {
            Record::Voted { tx: voted, transaction, refusal: None, .. } if voted == tx => {
                Some(transaction.patience_ms())
            }
            _ => None,
        });
        let patience_ms = patience_ms.flatten().map(u64::from);
        match cause {
            DoubtCause::DriverGone => {
                assert!(patience_ms.is_none(), "bank {at} asks about {tx}, which has patience")
            }
            DoubtCause::TimeOut => {
                let wait_ms = patience_ms.unwrap_or(RESOLVE_AFTER_MS);
                let since_us = voted_us.map(|voted_us| self.nodes[at].mono_us - voted_us);
                assert!(
                    since_us.is_none_or(|since_us| since_us >= wait_ms * 1_000),
                    "bank {at} asks about {tx} {since_us:?} us after its vote, too early"
                );
                if patience_ms.is_some() && voted_us.is_some() {
                    self.reached.push("patience over");
                }
            }
            DoubtCause::Restart
            | DoubtCause::Asked
            | DoubtCause::OwnerGone
            | DoubtCause::CutWaits => {}
        }
        self.reached.push(cause.as_str());
    }
}
