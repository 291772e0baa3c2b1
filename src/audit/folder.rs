//! One bank's journal, replayed record by record through `apply`, and the bank's own equation.
//! `ballots` compares the journals of several banks.

use super::ballots::Ballots;
use super::cut::Sums;
use super::violation::Violation;
use consorcio_core::bank::io::{Outcome, Seq};
use consorcio_core::bank::record::{Record, Registration};
use consorcio_core::bank::{Change, Core, Identity};
use consorcio_core::ids::{BankId, RegisterKey, RegisterValue, Time, TxId};
use consorcio_core::limits::OUTCOMES_IN_MEMORY_MIN;
use consorcio_core::wire::token::Seal;
use consorcio_core::wire::transaction::{Action, Flow, Transaction};
use consorcio_journal::{FileDisk, JournalError, JournalScan, Scanned};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often outcomes are dropped from memory, in records.
const TIDY_EVERY: Seq = 4_096;

/// Why a folder could not be audited.
#[derive(Debug, thiserror::Error)]
pub enum FolderFault {
    /// Its files can't be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It contains no journal, or a journal without its bank.
    #[error("{0}: no bank's journal is in this folder")]
    Empty(PathBuf),
    /// Another folder contains a journal of the same bank.
    #[error("{0} and {1} both hold a journal of bank {2}: which is it?")]
    Twice(PathBuf, PathBuf, BankId),
}

/// A commit of a register at one bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub time: Time,
    pub value: RegisterValue,
}

/// A journal that is being replayed.
pub(crate) struct Folder {
    pub path: PathBuf,
    /// The bank that owns it, once its first record was read.
    pub bank: Option<BankId>,
    replica: Option<Core>,
    /// The newest list of the consortium in the journal.
    pub places: Vec<String>,
    pub records: u64,
    /// What the committed transactions and openings moved, summed up independently of the ledger.
    moved: Sums,
    /// Transactions that this bank voted OK on and that have no outcome.
    pub undecided: BTreeMap<TxId, Arc<Transaction>>,
    /// The newest setting of each register.
    pub registers: BTreeMap<RegisterKey, Setting>,
    /// A record was rejected, so the replay ended there.
    broken: bool,
    /// The incomplete batch at the end of the journal, as text.
    pub torn: Option<String>,
}

impl Folder {
    /// The journal in `path`, before it is read.
    pub(crate) fn new(path: &Path) -> Folder {
        Folder {
            path: path.to_owned(),
            bank: None,
            replica: None,
            places: Vec::new(),
            records: 0,
            moved: Sums::default(),
            undecided: BTreeMap::new(),
            registers: BTreeMap::new(),
            broken: false,
            torn: None,
        }
    }

    pub(crate) fn disk(&self) -> FileDisk {
        FileDisk::read_only(&self.path)
    }

    /// Replays the whole journal; passes votes and outcomes to `ballots`, and violations to
    /// `faults`.
    ///
    /// # Errors
    /// If the folder can't be read, or contains no journal.
    pub(crate) fn replay(
        &mut self,
        scan: &mut JournalScan<'_>,
        ballots: &mut Ballots,
        faults: &mut Vec<Violation>,
    ) -> Result<(), FolderFault> {
        let torn = scan.read::<JournalError>(|scanned| {
            match scanned {
                Scanned::Record { seq, file, offset, record } => {
                    self.record(seq, &record, ballots).unwrap_or_else(|why| {
                        let position = format!("{}/{file}:{offset}", self.path.display());
                        faults.push(Violation {
                            tx: record_tx(&record).cloned(),
                            banks: self.bank.into_iter().collect(),
                            text: format!("{position}: record {seq}: {why}"),
                        });
                    });
                }
                Scanned::Fault(text) => {
                    self.broken = true;
                    faults.push(Violation {
                        tx: None,
                        banks: self.bank.into_iter().collect(),
                        text,
                    });
                }
            }
            Ok(())
        })?;
        self.torn = torn;
        if self.bank.is_none() && !self.broken {
            return Err(FolderFault::Empty(self.path.clone()));
        }
        Ok(())
    }

    /// Applies one record, unless it breaks an invariant.
    fn record(&mut self, seq: Seq, record: &Record, ballots: &mut Ballots) -> Result<(), String> {
        if let Record::Consortium { bank, places } = record {
            self.places.clone_from(places);
            if self.bank.is_none() {
                self.bank = Some(*bank);
                // An audit neither makes nor verifies tokens.
                let seal = Seal::keyed([0; 32]);
                let identity = Identity { bank: *bank, places: places.clone(), seal };
                self.replica = Some(Core::new(identity));
            }
        }
        let (Some(bank), Some(core)) = (self.bank, &mut self.replica) else {
            self.broken = true;
            return Err(
                "the journal does not begin with the consortium, so nobody knows whose it is"
                    .into(),
            );
        };
        ballots.record(bank, record)?;
        // After a rejected record, the replay would only repeat its consequences.
        if self.broken {
            return Ok(());
        }
        if let Err(why) = core.admits(record) {
            self.broken = true;
            return Err(why);
        }
        core.apply(record);
        self.records += 1;
        if seq.is_multiple_of(TIDY_EVERY) {
            core.forget_outcomes(core.seq(), OUTCOMES_IN_MEMORY_MIN);
            core.change(&Change::CutMark(0, core.clock(), Some(core.clock())));
        }
        self.update_figures(bank, record);
        Ok(())
    }

    /// Updates the audit's own figures, so that they and the ledger check each other.
    fn update_figures(&mut self, bank: BankId, record: &Record) {
        match record {
            Record::Voted { tx, transaction, refusal: None, .. } => {
                self.undecided.insert(tx.clone(), Arc::clone(transaction));
            }
            Record::Decided { tx, outcome, .. } => {
                if let (Some(transaction), Outcome::Committed(time)) =
                    (self.undecided.remove(tx), outcome)
                {
                    self.commit(bank, &transaction, *time);
                }
            }
            Record::OutsideVoted { tx, time, refusal, .. } => {
                if let (Some(transaction), None) = (self.undecided.remove(tx), refusal) {
                    self.commit(bank, &transaction, *time);
                }
            }
            Record::Executed { transaction, committed, .. } => {
                self.commit(bank, transaction, *committed)
            }
            Record::AccountOpened { account, .. }
            | Record::Registered { what: Registration::Account(account), .. } => {
                self.moved.cash_in_total += account.deposit.wide();
            }
            Record::RegistersLearned { registers, .. } => {
                registers.iter().for_each(|told| self.set(&told.key, &told.value, told.time));
            }
            Record::Voted { refusal: Some(_), .. }
            | Record::Refused { .. }
            | Record::Consortium { .. }
            | Record::ClientAdded { .. }
            | Record::Registered { what: Registration::Client(_), .. }
            | Record::ClockMoved { .. }
            | Record::Stopped { .. }
            | Record::Drove { .. }
            | Record::KeyKnown { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Introduced { .. } => {}
        }
    }

    fn commit(&mut self, bank: BankId, transaction: &Transaction, time: Time) {
        add(&mut self.moved, bank, transaction);
        for op in transaction.ops_of(bank) {
            if let Action::Set { key, value } = &op.action {
                self.set(key, value, time);
            }
        }
    }

    /// Keeps the later setting of a register.
    fn set(&mut self, key: &RegisterKey, value: &RegisterValue, time: Time) {
        if self.registers.get(key).is_none_or(|setting| setting.time <= time) {
            self.registers.insert(key.clone(), Setting { time, value: value.clone() });
        }
    }

    /// Does the bank know its registers? One that joined later does not at first.
    pub(crate) fn knows_registers(&self) -> bool {
        self.replica.as_ref().is_some_and(|core| core.ledger().knows_registers())
    }

    /// The sums of the bank's ledger after the replay.
    pub(crate) fn sums(&self) -> Sums {
        let Some(core) = &self.replica else { return Sums::default() };
        let totals = core.ledger().totals();
        Sums {
            balance_total: totals.balance,
            cash_in_total: totals.cash_in,
            cash_out_total: totals.cash_out,
            transfers_in_total: totals.transfers_in,
            transfers_out_total: totals.transfers_out,
        }
    }

    /// How many accounts the bank has.
    pub(crate) fn accounts(&self) -> usize {
        self.replica.as_ref().map_or(0, |core| core.ledger().totals().accounts)
    }

    /// Was every record accepted?
    pub(crate) fn is_whole(&self) -> bool {
        !self.broken && self.replica.is_some()
    }

    /// Compares the ledger with the audit's own figures, with its accounts, and with its registers.
    pub(crate) fn check(&self, faults: &mut Vec<Violation>) {
        let (Some(bank), Some(core)) = (self.bank, &self.replica) else { return };
        let mut fault = |text: String| {
            faults.push(Violation {
                tx: None,
                banks: vec![bank],
                text: format!("bank {bank}: {text}"),
            });
        };
        let (sums, mut moved) = (self.sums(), self.moved);
        moved.balance_total = moved.expected_balance();
        if !sums.holds() || sums != moved {
            fault(format!(
                "its ledger holds {sums:?}, but its committed transactions make {moved:?}"
            ));
        }
        let accounts: i128 =
            core.ledger().accounts_by_creation().map(|account| account.balance.wide()).sum();
        if accounts != sums.balance_total {
            fault(format!(
                "its accounts hold {accounts} centavos, but its total is {}",
                sums.balance_total
            ));
        }
        for (key, setting) in &self.registers {
            let value = core.ledger().value(key);
            if value != setting.value.as_str() {
                fault(format!(
                    "register {key} holds {value:?}, but {:?} was set last",
                    setting.value.as_str()
                ));
            }
        }
    }
}

/// Adds what a committed transaction moves at one bank.
pub(crate) fn add(sums: &mut Sums, bank: BankId, transaction: &Transaction) {
    for op in transaction.ops_of(bank) {
        if let Action::Money { flow, amount, .. } = &op.action {
            match flow {
                Flow::Debit => sums.transfers_out_total += amount.wide(),
                Flow::Credit => sums.transfers_in_total += amount.wide(),
                Flow::Deposit => sums.cash_in_total += amount.wide(),
                Flow::Withdraw => sums.cash_out_total += amount.wide(),
            }
        }
    }
}

/// The transaction that a record is about.
pub(crate) fn record_tx(record: &Record) -> Option<&TxId> {
    match record {
        Record::Voted { tx, .. }
        | Record::Refused { tx, .. }
        | Record::Decided { tx, .. }
        | Record::Executed { tx, .. }
        | Record::OutsideVoted { tx, .. }
        | Record::Drove { tx, .. } => Some(tx),
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
        | Record::Stopped { .. } => None,
    }
}
