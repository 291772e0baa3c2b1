//! Checks the journals of all banks together, offline: each bank's equation holds, transfers
//! cancel, registers are equal, and every transaction is committed at all banks that it names or at
//! none.
//!
//! Banks may be running. The journals are replayed to their ends one after the other, and then all
//! are read a little further, for votes only: an outcome in an early journal depends on votes that
//! were durable at the other banks before, so these are found by then.

use super::ballots::{BallotCounts, Ballots};
use super::cut::Sums;
use super::folder::{self, Folder, FolderFault};
use super::violation::Violation;
use consorcio_core::bank::io::Seq;
use consorcio_core::ids::{BankId, BankSet, RegisterKey, Time};
use consorcio_journal::{FileDisk, JournalError, JournalScan, Scanned};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Further violations are counted only: one damaged journal may contradict the others in every
/// line.
const VIOLATIONS_KEPT: usize = 1_000;

/// The result for one bank's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankBook {
    /// The bank that owns the journal.
    pub bank: BankId,
    /// The folder of the journal.
    pub folder: PathBuf,
    /// How many records it contains.
    pub records: Seq,
    /// The sums after its last record.
    pub sums: Sums,
    /// How many accounts it has.
    pub accounts: usize,
    /// How many transactions it voted OK on without an outcome.
    pub undecided: usize,
    /// Whether it was replayed to its end and its own sums hold.
    pub holds: bool,
    /// The incomplete batch at its end, none of whose records was durable.
    pub torn: Option<String>,
}

/// The result for all journals together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalAudit {
    /// The result for each journal, by position of its bank.
    pub banks: Vec<BankBook>,
    /// Banks of the consortium whose journal is missing.
    pub missing: BankSet,
    /// Transactions that are committed.
    pub committed: u64,
    /// Transactions that a named bank refused.
    pub aborted: u64,
    /// Transactions that are neither, because some bank has not voted.
    pub undecided: u64,
    /// Transactions that name a bank whose journal is missing or damaged, so that its vote is
    /// unknown.
    pub unproven: u64,
    /// Commits that a bank has not recorded yet; `total` includes them.
    pub pending: usize,
    /// All sums together, with pending commits; `None` if a journal is missing or was not replayed
    /// to its end.
    pub total: Option<Sums>,
    /// How many registers there are.
    pub registers: usize,
    /// The violations, at most `VIOLATIONS_KEPT`.
    pub violations: Vec<Violation>,
    /// How many violations there are in all.
    pub violations_total: usize,
}

impl JournalAudit {
    /// Is every journal there, without a violation?
    pub fn holds(&self) -> bool {
        self.violations_total == 0 && self.missing.is_empty()
    }
}

/// Replays and compares the journals in these folders. A folder that contains folders with journals
/// stands for those.
///
/// # Errors
/// If a folder can't be read or contains no journal, or if two contain the same bank's journal.
pub fn prove(paths: &[PathBuf]) -> Result<JournalAudit, FolderFault> {
    let mut folders = Vec::new();
    for path in paths {
        folders.extend(journals_in(path)?.iter().map(|path| Folder::new(path)));
    }
    let disks: Vec<FileDisk> = folders.iter().map(Folder::disk).collect();
    let mut scans: Vec<JournalScan<'_>> = disks.iter().map(|disk| JournalScan::new(disk)).collect();
    let mut ballots = Ballots::default();
    let mut violations = Vec::new();
    for (folder, scan) in folders.iter_mut().zip(&mut scans) {
        folder.replay(scan, &mut ballots, &mut violations)?;
    }
    refuse_twins(&folders)?;
    for (folder, scan) in folders.iter().zip(&mut scans) {
        read_on(folder, scan, &mut ballots, &mut violations)?;
    }
    folders.sort_by_key(|folder| folder.bank);
    Ok(compare(&folders, &ballots, violations))
}

/// The folders with journals at `path`: itself, or its direct subfolders.
fn journals_in(path: &Path) -> Result<Vec<PathBuf>, FolderFault> {
    let fault = |cause| JournalError::Io { doing: "list", file: path.display().to_string(), cause };
    let mut inner = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fault)? {
        let entry = entry.map_err(fault)?.path();
        let is_segment = |path: &Path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("segment-"))
        };
        if is_segment(&entry) {
            return Ok(vec![path.to_owned()]);
        }
        let Ok(entries) = std::fs::read_dir(&entry) else { continue };
        if entries.flatten().any(|entry| is_segment(&entry.path())) {
            inner.push(entry);
        }
    }
    inner.sort();
    if inner.is_empty() { Err(FolderFault::Empty(path.to_owned())) } else { Ok(inner) }
}

fn refuse_twins(folders: &[Folder]) -> Result<(), FolderFault> {
    for (at, folder) in folders.iter().enumerate() {
        let twin =
            folders[..at].iter().find(|other| other.bank.is_some() && other.bank == folder.bank);
        if let (Some(twin), Some(bank)) = (twin, folder.bank) {
            return Err(FolderFault::Twice(twin.path.clone(), folder.path.clone(), bank));
        }
    }
    Ok(())
}

/// Adds the votes that were written since the replay.
fn read_on(
    folder: &Folder,
    scan: &mut JournalScan<'_>,
    ballots: &mut Ballots,
    violations: &mut Vec<Violation>,
) -> Result<(), FolderFault> {
    let Some(bank) = folder.bank else { return Ok(()) };
    scan.read::<JournalError>(|scanned| {
        let violation = match scanned {
            Scanned::Record { record, .. } => ballots.late(bank, &record).err().map(|text| {
                Violation { tx: folder::record_tx(&record).cloned(), banks: vec![bank], text }
            }),
            Scanned::Fault(text) => Some(Violation { tx: None, banks: vec![bank], text }),
        };
        violations.extend(violation);
        Ok(())
    })?;
    Ok(())
}

fn compare(folders: &[Folder], ballots: &Ballots, mut violations: Vec<Violation>) -> JournalAudit {
    let whole: BankSet = folders
        .iter()
        .filter(|folder| folder.is_whole())
        .filter_map(|folder| folder.bank)
        .collect();
    let present: BankSet = folders.iter().filter_map(|folder| folder.bank).collect();
    let members = folders.iter().flat_map(|folder| {
        let present = folder.places.iter().enumerate().filter(|(_, place)| *place != "-");
        present.filter_map(|(position, _)| BankId::new(position))
    });
    let missing = members.collect::<BankSet>().minus(present);
    let mut banks = Vec::new();
    for folder in folders {
        let Some(bank) = folder.bank else { continue };
        let before = violations.len();
        if folder.is_whole() {
            folder.check(&mut violations);
        }
        banks.push(BankBook {
            bank,
            folder: folder.path.clone(),
            records: folder.records,
            sums: folder.sums(),
            accounts: folder.accounts(),
            undecided: folder.undecided.len(),
            holds: folder.is_whole() && violations.len() == before,
            torn: folder.torn.clone(),
        });
    }
    let counts = ballots.judge(whole, &mut violations);
    let all_whole = missing.is_empty() && whole == present;
    let total = all_whole.then(|| total(folders, ballots, &counts));
    if let Some(total) = total
        && total.transfers_in_total != total.transfers_out_total
    {
        let text = format!(
            "transfers do not cancel over all banks: {} centavos in, {} out",
            total.transfers_in_total, total.transfers_out_total
        );
        violations.push(Violation { tx: None, banks: Vec::new(), text });
    }
    let registers = registers(folders, ballots, &counts, whole, &mut violations);
    // Violations that name a transaction come first, since wrong sums follow from them.
    violations.sort_by(|a, b| (a.tx.is_none(), a).cmp(&(b.tx.is_none(), b)));
    violations.dedup();
    let violations_total = violations.len();
    violations.truncate(VIOLATIONS_KEPT);
    JournalAudit {
        banks,
        missing,
        committed: counts.committed,
        aborted: counts.aborted,
        undecided: counts.undecided,
        unproven: counts.unproven,
        pending: counts.pending.len(),
        total,
        registers,
        violations,
        violations_total,
    }
}

/// The sums of all ledgers, with the commits that a bank has not recorded yet.
fn total(folders: &[Folder], ballots: &Ballots, counts: &BallotCounts) -> Sums {
    let mut total = folders.iter().fold(Sums::default(), |sum, folder| sum.plus(&folder.sums()));
    for (folder, transaction, _) in pending(folders, ballots, counts) {
        if let Some(bank) = folder.bank {
            let mut more = Sums::default();
            folder::add(&mut more, bank, transaction);
            more.balance_total = more.expected_balance();
            total = total.plus(&more);
        }
    }
    total
}

/// The commits that a bank has not recorded yet, with their bytes and times.
fn pending<'a>(
    folders: &'a [Folder],
    ballots: &'a Ballots,
    counts: &'a BallotCounts,
) -> impl Iterator<Item = (&'a Folder, &'a consorcio_core::wire::transaction::Transaction, Time)> {
    counts.pending.iter().filter_map(|(bank, tx, time)| {
        let folder = folders.iter().find(|folder| folder.bank == Some(*bank))?;
        let transaction =
            folder.undecided.get(tx).or_else(|| ballots.late_transaction(tx, *bank))?;
        Some((folder, &**transaction, *time))
    })
}

/// Compares registers, including the commits that a bank has not recorded yet; returns how many
/// there are.
fn registers(
    folders: &[Folder],
    ballots: &Ballots,
    counts: &BallotCounts,
    whole: BankSet,
    violations: &mut Vec<Violation>,
) -> usize {
    use consorcio_core::wire::transaction::Action;
    type Newest = BTreeMap<BankId, (Time, String)>;
    let mut held: BTreeMap<&RegisterKey, Newest> = BTreeMap::new();
    let knowing =
        folders.iter().filter(|folder| folder.knows_registers()).filter_map(|folder| folder.bank);
    let knows: BankSet = knowing.filter(|bank| whole.has(*bank)).collect();
    let whole_folders = || folders.iter().filter_map(|folder| Some((folder.bank?, folder)));
    for (bank, folder) in whole_folders().filter(|(bank, _)| whole.has(*bank)) {
        for (key, setting) in &folder.registers {
            let newest = (setting.time, setting.value.as_str().to_owned());
            held.entry(key).or_default().insert(bank, newest);
        }
    }
    for (folder, transaction, time) in pending(folders, ballots, counts) {
        let Some(bank) = folder.bank.filter(|bank| whole.has(*bank)) else { continue };
        for op in transaction.ops_of(bank) {
            if let Action::Set { key, value } = &op.action {
                let newest = held.entry(key).or_default().entry(bank).or_default();
                if newest.0 <= time {
                    *newest = (time, value.as_str().to_owned());
                }
            }
        }
    }
    for (key, banks) in &held {
        let values: BTreeSet<&(Time, String)> = banks.values().collect();
        // A bank that joined the consortium later has no registers until it has learned them.
        let lacking: BTreeSet<BankId> = whole_folders()
            .filter(|(bank, _)| knows.has(*bank) && !banks.contains_key(bank))
            .map(|(bank, _)| bank)
            .collect();
        if values.len() > 1 || !lacking.is_empty() {
            let values = banks
                .iter()
                .map(|(bank, (time, value))| format!("{value:?} of {time} at bank {bank}"));
            let values: Vec<String> = values
                .chain(lacking.iter().map(|bank| format!("never set at bank {bank}")))
                .collect();
            violations.push(Violation {
                tx: None,
                banks: banks.keys().chain(&lacking).copied().collect(),
                text: format!("register {key} differs: {}", values.join(", ")),
            });
        }
    }
    held.len()
}
