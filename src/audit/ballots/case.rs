//! Checks the votes of all banks on one transaction's bytes.

use super::*;

/// The bytes of one transaction under one id.
pub(super) struct BallotCase<'a> {
    pub(super) tx: &'a TxId,
    pub(super) casts: &'a [Cast],
    pub(super) group: &'a Group,
    pub(super) whole: BankSet,
}

impl BallotCase<'_> {
    pub(super) fn judge(&self, counts: &mut BallotCounts, faults: &mut Vec<Violation>) {
        let granted = || self.casts.iter().filter(|cast| self.grants(cast));
        let oks: BankSet = granted().map(|cast| cast.bank).collect();
        let no_ok = self.group.named.minus(oks);
        let unknown =
            no_ok.iter().filter(|bank| !self.whole.has(*bank) && self.cast(*bank).is_none());
        let unknown: BankSet = unknown.collect();
        if !self.group.named.minus(self.whole).is_empty() {
            counts.unproven += 1;
        }
        let commit = granted().find_map(|cast| match cast.end {
            Some(BallotEnd::Committed(time)) => Some((cast.bank, time)),
            Some(BallotEnd::Aborted) | None => None,
        });
        let aborted_at: Vec<BankId> = granted()
            .filter(|cast| cast.end == Some(BallotEnd::Aborted))
            .map(|cast| cast.bank)
            .collect();
        if let Some((at, time)) = commit {
            counts.committed += 1;
            self.committed(at, time, unknown, counts, faults);
        } else if self.group.outside {
            // Its outside coordinator refused, or has not voted yet.
            let ended =
                if aborted_at.is_empty() { &mut counts.undecided } else { &mut counts.aborted };
            *ended += 1;
        } else if no_ok.is_empty() {
            counts.committed += 1;
            for bank in aborted_at {
                let text = "though every bank that it names holds an OK on it";
                self.fault(faults, &[bank], format!("it is aborted at bank {bank}, {text}"));
            }
        } else if no_ok.iter().any(|bank| self.cast(bank).is_some()) {
            counts.aborted += 1;
        } else if let Some(bank) = aborted_at.first() {
            counts.aborted += 1;
            if unknown.is_empty() {
                let silent = list(no_ok.iter());
                let text = format!(
                    "it is aborted at bank {bank}, though no bank that it names refused it"
                );
                self.fault(faults, &[*bank], format!("{text}: {silent} never voted"));
            }
        } else {
            counts.undecided += 1;
        }
    }

    /// Checks a transaction that is committed at bank `at`: every bank that it names must hold an
    /// OK, and no other outcome.
    pub(super) fn committed(
        &self,
        at: BankId,
        time: Time,
        unknown: BankSet,
        counts: &mut BallotCounts,
        faults: &mut Vec<Violation>,
    ) {
        for bank in self.group.named.iter() {
            let Some(cast) = self.cast(bank) else {
                if !unknown.has(bank) {
                    let text =
                        format!("it is committed at bank {at}, but bank {bank} never voted on it");
                    self.fault(faults, &[at, bank], text);
                }
                continue;
            };
            let text = match (cast.vote, cast.end) {
                (BallotVote::No, _) => {
                    format!("it is committed at bank {at}, but bank {bank} refused it")
                }
                (BallotVote::Ok { digest, .. }, _) if digest != self.group.digest => {
                    format!("it is committed at bank {at}, but bank {bank} voted OK on other bytes")
                }
                (BallotVote::Ok { .. }, Some(BallotEnd::Aborted)) => {
                    format!("it is committed at bank {at} and aborted at bank {bank}")
                }
                (BallotVote::Ok { .. }, Some(BallotEnd::Committed(other))) if other != time => {
                    format!(
                        "it is committed as of {time} at bank {at} and as of {other} at bank {bank}"
                    )
                }
                (BallotVote::Ok { .. }, Some(BallotEnd::Committed(_))) => continue,
                (BallotVote::Ok { .. }, None) => {
                    counts.pending.push((bank, self.tx.clone(), time));
                    continue;
                }
            };
            self.fault(faults, &[at, bank], text);
        }
        let latest =
            self.casts.iter().filter(|cast| self.grants(cast)).filter_map(|cast| match cast.vote {
                BallotVote::Ok { time, .. } => Some(time),
                BallotVote::No => None,
            });
        let latest = latest.max().unwrap_or_default();
        let by_others = self.group.outside || !unknown.is_empty();
        if latest > time || (latest < time && !by_others) {
            let text = format!("it is committed as of {time}, but its last vote is of {latest}");
            self.fault(faults, &[at], text);
        }
    }

    pub(super) fn grants(&self, cast: &Cast) -> bool {
        matches!(cast.vote, BallotVote::Ok { digest, .. } if digest == self.group.digest)
    }

    pub(super) fn cast(&self, bank: BankId) -> Option<&Cast> {
        self.casts.iter().find(|cast| cast.bank == bank)
    }

    pub(super) fn fault(&self, faults: &mut Vec<Violation>, banks: &[BankId], text: String) {
        let text = format!("transaction {}: {text}", self.tx);
        faults.push(Violation { tx: Some(self.tx.clone()), banks: banks.to_vec(), text });
    }
}
