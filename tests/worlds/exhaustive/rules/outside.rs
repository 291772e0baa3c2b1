//! The invariants of a transaction with an outside coordinator: its bank commits it only on that
//! coordinator's durable COMMIT, and aborts it only on the coordinator's or a client's ABORT, or
//! after five minutes.

use super::end_in;
use crate::exhaustive::state::ModelState;
use consorcio_core::bank::io::{Input, Origin};
use consorcio_core::bank::record::Record;
use consorcio_core::ids::TxId;
use consorcio_core::limits::OUTSIDE_VOTE_MS_MAX;
use consorcio_core::wire::Reason;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::Digest;

impl ModelState {
    /// Checks an outside coordinator's vote before it is written.
    pub(super) fn check_outside_vote(&mut self, at: usize, record: &Record, cause: &Input) {
        let Record::OutsideVoted { tx, own, time, refusal } = record else { return };
        let position = self.base.txs.iter().position(|known| known == tx).unwrap();
        let node = &self.nodes[at];
        let voted = node.journal.iter().any(|record| match &**record {
            Record::Voted { tx: of, time, transaction, refusal: None } => {
                (of, *time) == (tx, own.time)
                    && own.digest == Some(*transaction.digest())
                    && transaction.has_outside()
            }
            _ => false,
        });
        assert!(
            voted,
            "{tx} is decided by its outside coordinator, but bank {at} holds no OK on such bytes"
        );
        let (by_itself, on_a_line) = match cause {
            Input::Request { caller, origin, request, .. } => {
                let outside = self.is_outside(caller.session, position);
                (outside.then_some(request), (*origin == Origin::Client).then_some(request))
            }
            _ => (None, None),
        };
        let aborts = |request: &Request| matches!(request, Request::Abort(of, _) if of == tx);
        match refusal {
            None => {
                let commits =
                    |request: &Request| matches!(request, Request::Commit(of, _) if of == tx);
                assert!(
                    by_itself.is_some_and(commits),
                    "{cause:?} commits {tx} for its coordinator"
                );
                self.check_outside_cuts(at, tx, *time);
                self.reached.push("outside commit");
            }
            Some(Reason::Refused) => {
                assert!(
                    by_itself.or(on_a_line).is_some_and(aborts),
                    "{cause:?} refuses {tx} for its coordinator"
                );
                self.reached.push("outside abort");
            }
            Some(Reason::Expired) => {
                let since_us =
                    node.voted_us.iter().find(|(of, _)| of == tx).map_or(0, |(_, voted)| *voted);
                let late = node.mono_us - since_us >= OUTSIDE_VOTE_MS_MAX * 1_000;
                assert!(
                    *cause == Input::Tick && late,
                    "{cause:?} ends the time of {tx}'s coordinator"
                );
                self.reached.push("outside expired");
            }
            Some(other) => panic!("{tx} is refused by its outside coordinator as {other}"),
        }
    }

    /// The durable decision of an outside coordinator on these bytes.
    pub(super) fn outside_end(&self, at: usize, tx: &TxId, digest: Digest) -> Option<bool> {
        let node = &self.nodes[at];
        node.journal[..node.synced].iter().find_map(|record| end_in(record, tx, digest))
    }
}
