//! Every transaction's votes and outcomes at all banks, side by side, and the one rule that they
//! must obey: committed exactly when every bank that it names holds an OK on its bytes.

use super::violation::Violation;
use consorcio_core::bank::io::Outcome;
use consorcio_core::bank::record::Record;
use consorcio_core::ids::{BankId, BankSet, Time, TxId};
use consorcio_core::wire::token::Digest;
use consorcio_core::wire::transaction::Transaction;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// All votes and outcomes.
#[derive(Default)]
pub(crate) struct Ballots {
    of: HashMap<TxId, Vec<Cast>>,
    /// Bytes of what was voted on while journals were read a second time.
    late: BTreeMap<(TxId, BankId), Arc<Transaction>>,
    drove: Vec<Drove>,
}

/// What a bank told of a transaction that it drove for others.
struct Drove {
    bank: BankId,
    tx: TxId,
    digest: Digest,
    told: BallotEnd,
}

/// What one bank's journal says of an id.
#[derive(Debug, Clone, Copy)]
struct Cast {
    bank: BankId,
    vote: Vote,
    end: Option<BallotEnd>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vote {
    Ok {
        time: Time,
        digest: Digest,
        named: BankSet,
        /// An outside coordinator is one more voter.
        outside: bool,
    },
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BallotEnd {
    Committed(Time),
    Aborted,
}

/// How the transactions ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BallotCounts {
    /// Committed, by an outcome or by every named bank's OK.
    pub committed: u64,
    /// Refused by some bank.
    pub aborted: u64,
    /// Neither: some named bank has not voted.
    pub undecided: u64,
    /// Of all these, how many name a bank whose journal is not there.
    pub unproven: u64,
    /// Committed, but not recorded as such at these banks yet, with the commit's time.
    pub pending: Vec<(BankId, TxId, Time)>,
}

/// The OKs on one transaction's bytes.
struct Group {
    digest: Digest,
    named: BankSet,
    outside: bool,
}

impl Ballots {
    /// Takes what `record` of `bank` says of a transaction.
    ///
    /// # Errors
    /// When the bank votes or decides a second time, or decides what it holds no OK on.
    pub(crate) fn record(&mut self, bank: BankId, record: &Record) -> Result<(), String> {
        match record {
            Record::Voted { tx, time, transaction, refusal: None } => {
                self.vote(tx, bank, ok(*time, transaction), None)
            }
            Record::Voted { tx, refusal: Some(_), .. } | Record::Refused { tx, .. } => {
                self.vote(tx, bank, Vote::No, None)
            }
            Record::Executed { tx, time, committed, transaction, .. } => {
                self.vote(tx, bank, ok(*time, transaction), Some(BallotEnd::Committed(*committed)))
            }
            Record::Decided { tx, outcome, .. } => self.end(
                tx,
                bank,
                match outcome {
                    Outcome::Committed(time) => BallotEnd::Committed(*time),
                    Outcome::Aborted(..) => BallotEnd::Aborted,
                },
            ),
            Record::OutsideVoted { tx, time, refusal: None, .. } => {
                self.end(tx, bank, BallotEnd::Committed(*time))
            }
            Record::OutsideVoted { tx, refusal: Some(_), .. } => {
                self.end(tx, bank, BallotEnd::Aborted)
            }
            Record::Drove { tx, time, transaction, refusal } => {
                let told = if refusal.is_none() {
                    BallotEnd::Committed(*time)
                } else {
                    BallotEnd::Aborted
                };
                self.drove.push(Drove {
                    bank,
                    tx: tx.clone(),
                    digest: *transaction.digest(),
                    told,
                });
                Ok(())
            }
            Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::ClockMoved { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. }
            | Record::Stopped { .. } => Ok(()),
        }
    }

    /// Takes only the vote in a record that came after its bank was replayed: what other banks were
    /// found to have decided may rest on it.
    ///
    /// # Errors
    /// When the bank votes a second time.
    pub(crate) fn late(&mut self, bank: BankId, record: &Record) -> Result<(), String> {
        match record {
            Record::Voted { tx, time, transaction, refusal: None }
            | Record::Executed { tx, time, transaction, .. } => {
                self.late.insert((tx.clone(), bank), Arc::clone(transaction));
                self.vote(tx, bank, ok(*time, transaction), None)
            }
            Record::Voted { refusal: Some(_), .. } | Record::Refused { .. } => {
                self.record(bank, record)
            }
            Record::Decided { .. }
            | Record::OutsideVoted { .. }
            | Record::Drove { .. }
            | Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::ClockMoved { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. }
            | Record::Stopped { .. } => Ok(()),
        }
    }

    /// The bytes of a late vote.
    pub(crate) fn late_transaction(&self, tx: &TxId, bank: BankId) -> Option<&Arc<Transaction>> {
        self.late.get(&(tx.clone(), bank))
    }

    fn vote(
        &mut self,
        tx: &TxId,
        bank: BankId,
        vote: Vote,
        end: Option<BallotEnd>,
    ) -> Result<(), String> {
        let casts = self.of.entry(tx.clone()).or_default();
        if let Some(cast) = casts.iter().find(|cast| cast.bank == bank) {
            let before = cast.word();
            let now = Cast { bank, vote, end }.word();
            return Err(format!(
                "bank {bank} votes a second time on {tx}: {before} before, {now} now"
            ));
        }
        casts.push(Cast { bank, vote, end });
        Ok(())
    }

    fn end(&mut self, tx: &TxId, bank: BankId, end: BallotEnd) -> Result<(), String> {
        let cast =
            self.of.get_mut(tx).and_then(|casts| casts.iter_mut().find(|cast| cast.bank == bank));
        match cast {
            Some(Cast { vote: Vote::Ok { .. }, end: open @ None, .. }) => {
                *open = Some(end);
                Ok(())
            }
            Some(Cast { vote: Vote::Ok { .. }, end: Some(before), .. }) => Err(format!(
                "bank {bank} decides {tx} a second time: {} before, {} now",
                before.word(),
                end.word()
            )),
            Some(Cast { vote: Vote::No, .. }) => {
                Err(format!("bank {bank} has {} {tx}, which it refused", end.word()))
            }
            None => Err(format!("bank {bank} has {} {tx}, on which it never voted", end.word())),
        }
    }

    /// Judges every transaction. Of the banks in `whole` all votes are known, so that one that is
    /// not there was never given.
    pub(crate) fn judge(&self, whole: BankSet, faults: &mut Vec<Violation>) -> BallotCounts {
        let mut counts = BallotCounts::default();
        for (tx, casts) in &self.of {
            let mut groups: Vec<Group> = Vec::new();
            for cast in casts {
                if let Vote::Ok { digest, named, outside, .. } = cast.vote
                    && groups.iter().all(|group| group.digest != digest)
                {
                    groups.push(Group { digest, named, outside });
                }
            }
            if groups.is_empty() {
                counts.aborted += 1;
            }
            for group in &groups {
                BallotCase { tx, casts, group, whole }.judge(&mut counts, faults);
            }
        }
        for drove in &self.drove {
            self.judge_drove(drove, faults);
        }
        counts
    }

    /// No bank that voted OK on these bytes has ended them otherwise.
    fn judge_drove(&self, drove: &Drove, faults: &mut Vec<Violation>) {
        let Drove { bank, tx, digest, told } = drove;
        for cast in self.of.get(tx).into_iter().flatten() {
            let same = matches!(cast.vote, Vote::Ok { digest: of, .. } if of == *digest);
            let ends = match (told, cast.vote, cast.end) {
                (BallotEnd::Committed(_), Vote::No, _) => Some("refused"),
                (_, _, Some(end)) if same && end != *told => Some(end.word()),
                (BallotEnd::Committed(_) | BallotEnd::Aborted, ..) => None,
            };
            if let Some(word) = ends {
                let (at, told) = (cast.bank, told.word());
                let text = format!(
                    "transaction {tx}: bank {bank}, which drove it, told {told}, and bank {at} \
                     has {word} it"
                );
                faults.push(Violation { tx: Some(tx.clone()), banks: vec![*bank, at], text });
            }
        }
    }
}

fn ok(time: Time, transaction: &Transaction) -> Vote {
    Vote::Ok {
        time,
        digest: *transaction.digest(),
        named: transaction.banks(),
        outside: transaction.has_outside(),
    }
}

/// One transaction's bytes under one id.
struct BallotCase<'a> {
    tx: &'a TxId,
    casts: &'a [Cast],
    group: &'a Group,
    whole: BankSet,
}

impl BallotCase<'_> {
    fn judge(&self, counts: &mut BallotCounts, faults: &mut Vec<Violation>) {
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

    /// It is committed at bank `at`, so every bank that it names must hold an OK, and nothing but
    /// this outcome.
    fn committed(
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
                (Vote::No, _) => {
                    format!("it is committed at bank {at}, but bank {bank} refused it")
                }
                (Vote::Ok { digest, .. }, _) if digest != self.group.digest => {
                    format!("it is committed at bank {at}, but bank {bank} voted OK on other bytes")
                }
                (Vote::Ok { .. }, Some(BallotEnd::Aborted)) => {
                    format!("it is committed at bank {at} and aborted at bank {bank}")
                }
                (Vote::Ok { .. }, Some(BallotEnd::Committed(other))) if other != time => {
                    format!(
                        "it is committed as of {time} at bank {at} and as of {other} at bank {bank}"
                    )
                }
                (Vote::Ok { .. }, Some(BallotEnd::Committed(_))) => continue,
                (Vote::Ok { .. }, None) => {
                    counts.pending.push((bank, self.tx.clone(), time));
                    continue;
                }
            };
            self.fault(faults, &[at, bank], text);
        }
        let latest =
            self.casts.iter().filter(|cast| self.grants(cast)).filter_map(|cast| match cast.vote {
                Vote::Ok { time, .. } => Some(time),
                Vote::No => None,
            });
        let latest = latest.max().unwrap_or_default();
        let by_others = self.group.outside || !unknown.is_empty();
        if latest > time || (latest < time && !by_others) {
            let text = format!("it is committed as of {time}, but its last vote is of {latest}");
            self.fault(faults, &[at], text);
        }
    }

    fn grants(&self, cast: &Cast) -> bool {
        matches!(cast.vote, Vote::Ok { digest, .. } if digest == self.group.digest)
    }

    fn cast(&self, bank: BankId) -> Option<&Cast> {
        self.casts.iter().find(|cast| cast.bank == bank)
    }

    fn fault(&self, faults: &mut Vec<Violation>, banks: &[BankId], text: String) {
        let text = format!("transaction {}: {text}", self.tx);
        faults.push(Violation { tx: Some(self.tx.clone()), banks: banks.to_vec(), text });
    }
}

impl Cast {
    fn word(&self) -> &'static str {
        match (self.vote, self.end) {
            (Vote::No, _) => "refused",
            (Vote::Ok { .. }, None) => "OK",
            (Vote::Ok { .. }, Some(end)) => end.word(),
        }
    }
}

impl BallotEnd {
    fn word(self) -> &'static str {
        match self {
            BallotEnd::Committed(_) => "committed",
            BallotEnd::Aborted => "aborted",
        }
    }
}

/// `bank 1 and bank 2`
fn list(banks: impl Iterator<Item = BankId>) -> String {
    banks.map(|bank| format!("bank {bank}")).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::bank::io::OwnVote;
    use consorcio_core::wire::Reason;
    use consorcio_core::wire::token::{Seal, Verdict};

    const T1: &str = concat!(
        r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":5},"#,
        r#"{"bank":1,"op":"credit","account":"b","amount":5}]}"#
    );
    const T2: &str = concat!(
        r#"{"ops":[{"bank":0,"op":"debit","account":"a","amount":6},"#,
        r#"{"bank":1,"op":"credit","account":"b","amount":6}]}"#
    );
    const ALONE: &str = r#"{"ops":[{"bank":2,"op":"deposit","account":"c","amount":6}]}"#;

    fn bank(n: usize) -> BankId {
        BankId::new(n).unwrap()
    }

    fn tx() -> TxId {
        TxId::new("t").unwrap()
    }

    fn ok(time: i64, text: &str) -> Record {
        let transaction = Arc::new(Transaction::parse(text).unwrap());
        Record::Voted { tx: tx(), time: Time(time), transaction, refusal: None }
    }

    fn refused(time: i64) -> Record {
        Record::Refused { tx: tx(), time: Time(time), reason: Reason::Expired }
    }

    fn decided(outcome: Outcome) -> Record {
        let own = OwnVote { verdict: Verdict::Ok, time: Time(1), digest: None };
        Record::Decided { tx: tx(), own, outcome, votes: vec![] }
    }

    fn committed(time: i64) -> Record {
        decided(Outcome::Committed(Time(time)))
    }

    fn aborted() -> Record {
        let token = Seal::keyed([9; 32]).token(bank(1), Verdict::No, &tx(), None, Time(9));
        decided(Outcome::Aborted(token, Reason::Expired))
    }

    fn drove(time: i64, refusal: Option<Reason>) -> Record {
        let transaction = Arc::new(Transaction::parse(T1).unwrap());
        let refusal = refusal.map(|reason| (bank(1), reason, String::new()));
        Record::Drove { tx: tx(), time: Time(time), transaction, refusal }
    }

    fn judged(records: &[(usize, Record)], whole: &[usize]) -> (BallotCounts, Vec<String>) {
        let mut ballots = Ballots::default();
        let mut faults = Vec::new();
        for (at, record) in records {
            ballots.record(bank(*at), record).unwrap();
        }
        let counts = ballots.judge(whole.iter().map(|at| bank(*at)).collect(), &mut faults);
        (counts, faults.into_iter().map(|fault| fault.text).collect())
    }

    #[test]
    fn what_a_driver_told_is_compared_with_what_the_banks_did() {
        let voted = [(0, ok(1, T1)), (1, ok(2, T1))];
        let with = |more: &[(usize, Record)]| judged(&[&voted, more].concat(), &[0, 1, 2]).1;
        let refused_it = Some(Reason::Locked);
        assert_eq!(with(&[(0, committed(2)), (2, drove(2, None))]), Vec::<String>::new());
        let (_, faults) = judged(
            &[(0, ok(1, T1)), (0, aborted()), (1, refused(9)), (2, drove(9, refused_it))],
            &[0, 1, 2],
        );
        assert_eq!(faults, Vec::<String>::new());
        for (records, told) in [
            (
                vec![(0, committed(2)), (2, drove(3, None))],
                "told committed, and bank 0 has committed it",
            ),
            (
                vec![(0, committed(2)), (2, drove(2, refused_it))],
                "told aborted, and bank 0 has committed it",
            ),
        ] {
            let faults = with(&records);
            assert!(faults.len() == 1 && faults[0].contains(told), "{faults:?}");
        }
        let (_, faults) = judged(
            &[(0, ok(1, T1)), (0, aborted()), (1, refused(9)), (2, drove(2, None))],
            &[0, 1, 2],
        );
        assert_eq!(faults.len(), 2, "bank 1 refused it, bank 0 aborted it: {faults:?}");
    }

    #[test]
    fn every_way_to_break_atomicity_is_named() {
        for (records, told) in [
            (
                vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T1)), (1, aborted())],
                "aborted at bank 1",
            ),
            (vec![(0, ok(1, T1)), (0, committed(1))], "bank 1 never voted"),
            (vec![(0, ok(1, T1)), (0, committed(1)), (1, refused(2))], "bank 1 refused it"),
            (vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T2))], "on other bytes"),
            (
                vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T1)), (1, committed(3))],
                "as of 3 at bank 1",
            ),
            (vec![(0, ok(1, T1)), (0, committed(5)), (1, ok(2, T1))], "its last vote is of 2"),
            (
                vec![(0, ok(1, T1)), (0, aborted()), (1, ok(2, T1))],
                "every bank that it names holds an OK",
            ),
            (vec![(0, ok(1, T1)), (0, aborted())], "no bank that it names refused it"),
        ] {
            let (_, faults) = judged(&records, &[0, 1, 2]);
            assert!(faults.iter().any(|fault| fault.contains(told)), "{told}: {faults:?}");
            assert!(faults.iter().all(|fault| fault.starts_with("transaction t: ")), "{faults:?}");
        }
    }

    #[test]
    fn what_may_happen_is_no_fault() {
        for (records, ended) in [
            (vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T1)), (1, committed(2))], (1, 0, 0)),
            (vec![(0, ok(1, T1)), (0, committed(2)), (1, ok(2, T1))], (1, 0, 0)),
            (vec![(0, ok(1, T1)), (1, ok(2, T1))], (1, 0, 0)),
            (vec![(0, ok(1, T1)), (0, aborted()), (1, refused(2))], (0, 1, 0)),
            (vec![(0, ok(1, T1)), (0, aborted()), (1, ok(2, T2)), (1, aborted())], (0, 2, 0)),
            (vec![(0, ok(1, T1))], (0, 0, 1)),
            (vec![(1, refused(2))], (0, 1, 0)),
            // Two people who both typed the same id, at banks that have nothing to do with each
            // other.
            (
                vec![
                    (0, ok(1, T1)),
                    (1, ok(2, T1)),
                    (0, committed(2)),
                    (2, ok(7, ALONE)),
                    (2, committed(7)),
                ],
                (2, 0, 0),
            ),
        ] {
            let (counts, faults) = judged(&records, &[0, 1, 2]);
            assert!(faults.is_empty(), "{faults:?}");
            assert_eq!((counts.committed, counts.aborted, counts.undecided), ended, "{records:?}");
        }
    }

    #[test]
    fn without_a_journal_nothing_is_said_of_its_bank() {
        let (counts, faults) = judged(&[(0, ok(1, T1)), (0, committed(3))], &[0]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!((counts.committed, counts.unproven), (1, 1));
        let (counts, faults) = judged(&[(0, ok(1, T1)), (0, aborted())], &[0]);
        assert!(faults.is_empty() && counts.aborted == 1, "{faults:?}");
    }

    #[test]
    fn a_bank_votes_once_and_decides_once() {
        let mut ballots = Ballots::default();
        ballots.record(bank(0), &ok(1, T1)).unwrap();
        assert!(ballots.record(bank(0), &ok(2, T1)).unwrap_err().contains("a second time"));
        assert!(
            ballots.record(bank(0), &refused(2)).unwrap_err().contains("OK before, refused now")
        );
        ballots.record(bank(0), &committed(2)).unwrap();
        assert!(
            ballots
                .record(bank(0), &aborted())
                .unwrap_err()
                .contains("committed before, aborted now")
        );
        assert!(ballots.record(bank(1), &committed(2)).unwrap_err().contains("never voted"));
    }
}
