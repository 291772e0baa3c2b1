//! Every transaction's votes and outcomes at all banks, side by side, and the one rule that they
//! must obey: committed exactly when every bank that it names holds an OK on its bytes.

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
        vote: BallotVote,
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
            Some(Cast { vote: BallotVote::Ok { .. }, end: open @ None, .. }) => {
                *open = Some(end);
                Ok(())
            }
            Some(Cast { vote: BallotVote::Ok { .. }, end: Some(before), .. }) => Err(format!(
                "bank {bank} decides {tx} a second time: {} before, {} now",
                before.word(),
                end.word()
            )),
            Some(Cast { vote: BallotVote::No, .. }) => {
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

    /// No bank that voted OK on these bytes has ended them otherwise.
    fn judge_drove(&self, drove: &Drove, faults: &mut Vec<Violation>) {
        let Drove { bank, tx, digest, told } = drove;
        for cast in self.of.get(tx).into_iter().flatten() {
            let same = matches!(cast.vote, BallotVote::Ok { digest: of, .. } if of == *digest);
            let ends = match (told, cast.vote, cast.end) {
                (BallotEnd::Committed(_), BallotVote::No, _) => Some("refused"),
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

fn ok(time: Time, transaction: &Transaction) -> BallotVote {
    BallotVote::Ok {
        time,
        digest: *transaction.digest(),
        named: transaction.banks(),
        outside: transaction.has_outside(),
    }
}

impl Cast {
    fn word(&self) -> &'static str {
        match (self.vote, self.end) {
            (BallotVote::No, _) => "refused",
            (BallotVote::Ok { .. }, None) => "OK",
            (BallotVote::Ok { .. }, Some(end)) => end.word(),
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
