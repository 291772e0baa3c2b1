//! Journals with many segments, made by a loader, and what a new id costs in them.

use super::closed::{BANKS, PIPELINED, report};
use super::unsynced::{LoaderDisk, sync_all};
use super::{GrowthPoint, GrowthRun, median_of};
use crate::banks::SpeedBanks;
use crate::meter::{as_f64, now_ms};
use anyhow::{Context, Result, anyhow, ensure};
use consorcio_core::bank::record::Record;
use consorcio_core::bank::{Core, Identity};
use consorcio_core::ids::{AccountNumber, BankId, Time};
use consorcio_core::money::Money;
use consorcio_core::wire::token::Seal;
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use consorcio_journal::{Appender, BankReplica, JournalOptions, JournalReader, SegmentSizes, open};
use consorcio_system::config::read_key_file;
use consorcio_system::id_generator::IdGenerator;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The size of the loader's segments.
const SEGMENT: u64 = 64 << 10;

/// The records of the loader's batches: four fill a segment, about.
const BATCH: usize = 128;

/// The accounts that the bench opens at each bank, by default.
const ACCOUNTS: usize = 1_000;

/// New ids that are looked up at a time, and how often; the fastest time counts.
const LOOKUPS: (u32, u32) = (50_000, 5);

/// The look-ups in a loaded journal.
#[derive(Debug, Clone, Copy)]
struct LoadedJournal {
    new_id_ns: f64,
    indexes: usize,
}

/// The look-up of a new id, and transfers, with more and more segments.
///
/// # Errors
/// If a journal can't be loaded, or a point not be measured.
pub(super) fn measure(run: &GrowthRun, points: &[u64]) -> Result<Vec<GrowthPoint>> {
    let mut measured = Vec::new();
    for x in points {
        let point = median_of(run.rounds, || measure_at(run, *x))
            .with_context(|| format!("{x} segments"))?;
        report("segments", &point);
        measured.push(point);
    }
    Ok(measured)
}

fn measure_at(run: &GrowthRun, segments: u64) -> Result<GrowthPoint> {
    let mut banks = SpeedBanks::start(&run.programs, BANKS)?;
    // Opens the accounts.
    let opening = GrowthRun { seconds: 1, warmup: 0, ..run.clone() };
    opening.bench(&banks, 0, &["--clients", "1"])?;
    banks.stop();
    let loaded = load_all(&banks, segments)?;
    sync_all(banks.journals().first().context("a bank")?)?;
    let restart_ms = banks.start_again()?;
    let (point, _) = run.bench(&banks, segments, &PIPELINED)?;
    let new_id_ns = loaded.iter().map(|journal| journal.new_id_ns).sum::<f64>();
    let banks = f64::from(BANKS);
    let indexes = loaded.iter().map(|journal| journal.indexes).max().unwrap_or(0);
    Ok(point
        .with("new_id_ns", new_id_ns / banks)
        .with("indexes", as_f64(u64::try_from(indexes)?))
        .with("restart_ms", as_f64(restart_ms)))
}

/// Loads the journals of all banks, each on a thread of its own; then times look-ups in one after
/// the other.
fn load_all(banks: &SpeedBanks, segments: u64) -> Result<Vec<LoadedJournal>> {
    let key = read_key_file(&banks.key_file())?;
    let places = banks.addresses();
    let readers: Vec<Result<JournalReader>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(banks.journals())
            .map(|(position, folder)| {
                let places = places.clone();
                scope.spawn(move || {
                    let bank = BankId::new(position).context("a position")?;
                    let identity = Identity { bank, places, seal: Seal::keyed(key) };
                    load(&folder, &identity, segments)
                        .with_context(|| format!("the journal of bank {position}"))
                })
            })
            .collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.map(|loaded| loaded.map_err(|_| anyhow!("a loader panicked"))?).collect()
    });
    readers.into_iter().map(|reader| lookups(&reader?)).collect()
}

/// Appends transactions of one bank until its journal has so many segments, and makes a snapshot.
fn load(folder: &Path, identity: &Identity, segments: u64) -> Result<JournalReader> {
    let options = JournalOptions {
        sizes: SegmentSizes::all(SEGMENT),
        bank: Some(identity.bank),
        snapshot_after_segments: 0,
        threads: false,
        ..JournalOptions::default()
    };
    let mut replica = BankReplica::new(identity.clone());
    let disk = Arc::new(LoaderDisk::open(folder)?);
    let (mut appender, reader, _) = open(disk, options.clone(), &mut replica)?;
    let mut maker = ExecutedMaker::new(&replica.core, identity.bank)?;
    while count_segments(folder)? < segments {
        maker.append(&mut appender)?;
    }
    appender.close()?;
    drop(reader);
    // A start makes the snapshot that is due.
    let disk = Arc::new(LoaderDisk::open(folder)?);
    let options = JournalOptions { snapshot_after_segments: 1, ..options };
    let (_, reader, _) = open(disk, options, &mut BankReplica::new(identity.clone()))?;
    Ok(reader)
}

fn count_segments(folder: &Path) -> Result<u64> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        count += u64::from(entry?.file_name().to_string_lossy().starts_with("segment-"));
    }
    Ok(count)
}

/// Makes records of transactions that one bank executed.
struct ExecutedMaker {
    bank: BankId,
    accounts: Vec<AccountNumber>,
    ids: IdGenerator,
    clock: Time,
    count: usize,
}

impl ExecutedMaker {
    fn new(core: &Core, bank: BankId) -> Result<ExecutedMaker> {
        let account = |at: usize| AccountNumber::new(&format!("bench-{at}"));
        let accounts: Result<Vec<_>, _> = (0..ACCOUNTS).map(account).collect();
        let accounts = accounts.map_err(|_| anyhow!("a legal account number"))?;
        let ids = IdGenerator::new().map_err(|error| anyhow!("{error}"))?;
        Ok(ExecutedMaker { bank, accounts, ids, clock: core.clock(), count: 0 })
    }

    /// Appends a batch of records, and syncs it.
    fn append(&mut self, appender: &mut Appender) -> Result<()> {
        let mut batch = appender.batch();
        for seq in (appender.last() + 1..).take(BATCH) {
            batch.push(seq, &self.record()?);
        }
        Ok(appender.append(&mut batch)?)
    }

    fn record(&mut self) -> Result<Record> {
        // The bank's clock must not get ahead of the machine's.
        let wall_us = i64::try_from(now_ms() * 1_000)?;
        self.clock = Time(wall_us.max(self.clock.0 + 1));
        self.count += 1;
        let op = |flow, at: usize| {
            let account = self.accounts[at % ACCOUNTS].clone();
            let action = Action::Money { flow, account, cpf: None, amount: Money(1) };
            Op { bank: self.bank, action }
        };
        let ops = [op(Flow::Debit, self.count), op(Flow::Credit, self.count + 1)];
        let transaction = Transaction::from_ops(ops, None)
            .map_err(|fault| anyhow!("a legal transaction: {}", fault.text))?;
        Ok(Record::Executed {
            tx: self.ids.at(now_ms()),
            time: self.clock,
            committed: self.clock,
            transaction: Arc::new(transaction),
            votes: Vec::new(),
        })
    }
}

/// Times look-ups of ids that the journal does not have.
fn lookups(reader: &JournalReader) -> Result<LoadedJournal> {
    let (count, times) = LOOKUPS;
    let mut ids = IdGenerator::new().map_err(|error| anyhow!("{error}"))?;
    let mut fastest = f64::INFINITY;
    for _ in 0..times {
        let new: Vec<_> = (0..count).map(|_| ids.at(now_ms())).collect();
        let began = Instant::now();
        for tx in &new {
            ensure!(reader.lookup(tx)?.is_none(), "{tx} is new");
        }
        fastest = fastest.min(began.elapsed().as_secs_f64() * 1e9 / f64::from(count));
    }
    Ok(LoadedJournal { new_id_ns: fastest, indexes: reader.cost().indexes })
}
