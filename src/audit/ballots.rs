//! The votes and outcomes of every transaction at all banks, and the rule for them: it is committed
//! exactly if every bank that it names holds an OK on its bytes.

mod case;
#[cfg(test)]
mod tests;

use super::violation::Violation;
use case::BallotCase;
use consorcio_core::bank::io::Outcome;
use consorcio_core::bank::record::Record;
use consorcio_core::ids::{BankId, BankSet, Time, TxId};
use consorcio_core::wire::token::Digest;
use consorcio_core::wire::transaction::Transaction;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The votes and outcomes of all transactions.
#[derive(Default)]
pub(crate) struct Ballots {
    of: HashMap<TxId, Vec<Cast>>,
    /// The bytes of votes that were found when journals were read a second time.
    late: BTreeMap<(TxId, BankId), Arc<Transaction>>,
    drove: Vec<Drove>,
}

/// What a bank recorded about a transaction that it drove for others.
struct Drove {
    bank: BankId,
    tx: TxId,
    digest: Digest,
    reported: BallotEnd,
}

/// A bank's vote on an id, and its outcome.
#[derive(Debug, Clone, Copy)]
struct Cast {
    bank: BankId,
    vote: BallotVote,
    end: Option<BallotEnd>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BallotVote {
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

/// How many transactions had which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BallotCounts {
    /// Committed, by an outcome or by the OKs of all named banks.
    pub committed: u64,
    /// Refused by some bank.
    pub aborted: u64,
    /// Neither: some named bank has not voted.
    pub undecided: u64,
    /// Of all these, how many name a bank whose journal is missing or damaged.
    pub unproven: u64,
    /// Committed, but not yet recorded at these banks, with the commit's time.
    pub pending: Vec<(BankId, TxId, Time)>,
}

/// The OKs on one transaction's bytes.
struct Group {
    digest: Digest,
    named: BankSet,
    outside: bool,
}

impl Ballots {
    /// Adds the vote or outcome in `record` of `bank`.
    ///
    /// # Errors
    /// If the bank votes or decides a second time, or decides without an OK.
    pub(crate) fn record(&mut self, bank: BankId, record: &Record) -> Result<(), String> {
        match record {
            Record::Voted { tx, time, transaction, refusal: None } => {
                self.vote(tx, bank, ok(*time, transaction), None)
            }
            Record::Voted { tx, refusal: Some(_), .. } | Record::Refused { tx, .. } => {
                self.vote(tx, bank, BallotVote::No, None)
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
                let reported = if refusal.is_none() {
                    BallotEnd::Committed(*time)
                } else {
                    BallotEnd::Aborted
                };
                self.drove.push(Drove {
                    bank,
                    tx: tx.clone(),
                    digest: *transaction.digest(),
                    reported,
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
            | Record::Registered { .. }
            | Record::Introduced { .. }
            | Record::Stopped { .. } => Ok(()),
        }
    }

    /// Adds only the vote in a record that was written after its bank was replayed: the outcomes at
    /// other banks may depend on it.
    ///
    /// # Errors
    /// If the bank votes a second time.
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
            | Record::Registered { .. }
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
        vote: BallotVote,
        end: Option<BallotEnd>,
    ) -> Result<(), String> {
        let casts = self.of.entry(tx.clone()).or_default();
        if let Some(cast) = casts.iter().find(|cast| cast.bank == bank) {
            let before = cast.as_str();
            let now = Cast { bank, vote, end }.as_str();
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
            Some(Cast { vote: BallotVote::Ok { .. }, end: open @ None, .. }) => {
                *open = Some(end);
                Ok(())
            }
            Some(Cast { vote: BallotVote::Ok { .. }, end: Some(before), .. }) => Err(format!(
                "bank {bank} decides {tx} a second time: {} before, {} now",
                before.as_str(),
                end.as_str()
            )),
            Some(Cast { vote: BallotVote::No, .. }) => {
                Err(format!("bank {bank} has {} {tx}, which it refused", end.as_str()))
            }
            None => Err(format!("bank {bank} has {} {tx}, on which it never voted", end.as_str())),
        }
    }

    /// Checks every transaction. All votes of the banks in `whole` are known, so a vote that is
    /// missing there was never given.
    pub(crate) fn judge(&self, whole: BankSet, faults: &mut Vec<Violation>) -> BallotCounts {
        let mut counts = BallotCounts::default();
        for (tx, casts) in &self.of {
            let mut groups: Vec<Group> = Vec::new();
            for cast in casts {
                if let BallotVote::Ok { digest, named, outside, .. } = cast.vote
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

    /// Checks that no bank which voted OK on these bytes has another outcome for them.
    fn judge_drove(&self, drove: &Drove, faults: &mut Vec<Violation>) {
        let Drove { bank, tx, digest, reported } = drove;
        for cast in self.of.get(tx).into_iter().flatten() {
            let same = matches!(cast.vote, BallotVote::Ok { digest: of, .. } if of == *digest);
            let ends = match (reported, cast.vote, cast.end) {
                (BallotEnd::Committed(_), BallotVote::No, _) => Some("refused"),
                (_, _, Some(end)) if same && end != *reported => Some(end.as_str()),
                (BallotEnd::Committed(_) | BallotEnd::Aborted, ..) => None,
            };
            if let Some(as_str) = ends {
                let (at, reported) = (cast.bank, reported.as_str());
                let text = format!(
                    "transaction {tx}: bank {bank}, which drove it, reported {reported}, and bank \
                     {at} has {as_str} it"
                );
                faults.push(Violation { tx: Some(tx.clone()), banks: vec![*bank, at], text });
            }
        }
    }
}

fn ok(time: Time, transaction: &Transaction) -> BallotVote {
    BallotVote::Ok {
        time,
        digest: *transaction.digest(),
        named: transaction.banks(),
        outside: transaction.has_outside(),
    }
}

impl Cast {
    fn as_str(&self) -> &'static str {
        match (self.vote, self.end) {
            (BallotVote::No, _) => "refused",
            (BallotVote::Ok { .. }, None) => "OK",
            (BallotVote::Ok { .. }, Some(end)) => end.as_str(),
        }
    }
}

impl BallotEnd {
    fn as_str(self) -> &'static str {
        match self {
            BallotEnd::Committed(_) => "committed",
            BallotEnd::Aborted => "aborted",
        }
    }
}

/// The banks as in `bank 1 and bank 2`.
fn list(banks: impl Iterator<Item = BankId>) -> String {
    banks.map(|bank| format!("bank {bank}")).collect::<Vec<_>>().join(" and ")
}
