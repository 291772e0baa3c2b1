//! The volatile state as text, for checkers that detect states which they have visited.

use super::*;

impl Volatile {
    /// All that makes one volatile state act differently from another, as text. Numbers and moments
    /// that only grow are replaced by their order and by the time left; state that only cuts and
    /// the uptime need is left out.
    pub(in crate::bank) fn fingerprint_text(&self, mono_us: u64) -> String {
        let left = |due: u64| due.saturating_sub(mono_us);
        let in_doubt: Vec<_> = self
            .in_doubt
            .sorted()
            .into_iter()
            .map(|(tx, in_doubt)| {
                let armed = |(due, of): &(u64, TxId)| *due == in_doubt.deadline_us && of == tx;
                let timer = self.timers.iter().chain(&self.patience_timers).any(armed);
                (
                    tx,
                    in_doubt.session,
                    left(in_doubt.deadline_us),
                    timer,
                    in_doubt.asking,
                    &in_doubt.granted,
                )
            })
            .collect();
        let peer = |peer: &PeerState| {
            let PeerState { up, questions, under_way, known_at_end, .. } = peer;
            format!("{up} {questions:?} {under_way:?} {known_at_end:?}")
        };
        let peers: Vec<_> = self.peers.iter().map(|p| (peer(p), left(p.paused_until_us))).collect();
        let drives: Vec<_> = self
            .drives
            .iter()
            .map(|(tx, drive)| (tx, &drive.coordinator, drive.deadline_us.map(left)))
            .collect();
        let waiters: Vec<_> = self
            .waiters
            .values()
            .map(|waiter| (waiter.caller, left(waiter.deadline_us), &waiter.waits, &waiter.cut))
            .collect();
        let Learning { under_way, after, last, failed, paused_until_us, run: _, asked: _ } =
            &self.learning;
        let learning = (under_way.is_some(), after, last, failed, left(*paused_until_us));
        // A session without such transactions makes no difference.
        let gone = (&self.gone, &self.untimed, &self.removed, &self.access);
        let met = (self.introduce_without, self.met_by, &self.forgot);
        format!("{in_doubt:?} {peers:?} {drives:?} {waiters:?} {gone:?} {learning:?} {met:?}")
    }
}
