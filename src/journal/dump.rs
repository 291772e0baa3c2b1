//! Prints a journal for people: one line for each record.

use super::JournalError;
use super::disk::Disk;
use super::index::not_whole;
use super::io_error;
use super::scan::{JournalScan, Scanned};
use super::segment::open_of_any_size;
use consorcio_core::bank::io::{Outcome, Seq};
use consorcio_core::bank::record::{Record, Registration};
use consorcio_core::commit::registers::SetRegister;
use consorcio_core::ids::{BankId, Time};
use consorcio_core::wire::detail::Banks;
use consorcio_core::wire::request::{NewAccount, NewClient};
use std::fmt;
use std::io::Write;

/// The result of a dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpSummary {
    /// How many records were printed.
    pub records: u64,
    /// The number of the last record.
    pub last: Seq,
    /// Damaged places, each with file and offset.
    pub faults: Vec<String>,
    /// The last batch, if it is incomplete: its bank is writing it, or stopped while it did.
    pub torn: Option<String>,
    /// Damaged indexes. No record is lost by that, because their bank rebuilds them.
    pub indexes: Vec<String>,
}

/// Prints every record of the journal in a folder, one line each: number, file and offset, content.
/// It only reads, so it may run beside the process that writes; it continues after damage and
/// reports where that is. It also checks every byte of the indexes.
///
/// # Errors
/// If the folder or a file can't be read, or `out` can't be written.
pub fn dump(disk: &dyn Disk, out: &mut impl Write) -> Result<DumpSummary, JournalError> {
    let mut summary = DumpSummary::default();
    let mut scan = JournalScan::new(disk);
    let torn = scan.read(|scanned| match scanned {
        Scanned::Record { seq, file, offset, record } => {
            summary.records += 1;
            line(disk, out, format_args!("{seq} {file}:{offset} {}", Readable(&record)))
        }
        Scanned::Fault(fault) => {
            line(disk, out, format_args!("! {fault}"))?;
            summary.faults.push(fault);
            Ok(())
        }
    })?;
    if let Some(torn) = &torn {
        line(disk, out, format_args!("! {torn}"))?;
    }
    summary.torn = torn;
    // If the first segment can't be read, that is already reported, and the journal's id is
    // unknown.
    if let Ok(first) = open_of_any_size(disk, 1) {
        summary.indexes = not_whole(disk, &first.header.journal)?;
    }
    summary.last = scan.last();
    out.flush().map_err(|error| io_error(disk, "print", "", error))?;
    Ok(summary)
}

fn line(
    disk: &dyn Disk,
    out: &mut impl Write,
    line: fmt::Arguments<'_>,
) -> Result<(), JournalError> {
    writeln!(out, "{line}").map_err(|error| io_error(disk, "print", "", error))
}

/// A record as one line. Names and texts have no control characters, so none breaks the line.
struct Readable<'a>(&'a Record);

impl fmt::Display for Readable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Record::Consortium { bank, places } => {
                write!(f, "consortium bank={bank} places={}", places.join(","))
            }
            Record::Voted { tx, time, transaction, refusal: None } => {
                write!(f, "voted {tx} OK time={time} {}", transaction.text())
            }
            Record::Voted { tx, time, transaction, refusal: Some((reason, cause)) } => {
                let (text, transaction) = (cause.as_str(), transaction.text());
                write!(f, "voted {tx} NOK time={time} {reason} {text:?} {transaction}")
            }
            Record::Refused { tx, time, reason } => write!(f, "refused {tx} time={time} {reason}"),
            Record::Decided { tx, own, outcome, votes } => {
                write!(f, "decided {tx} ")?;
                match outcome {
                    Outcome::Committed(time) => write!(f, "COMMITTED time={time}")?,
                    Outcome::Aborted(token, reason) => write!(f, "ABORTED {reason} token={token}")?,
                }
                write!(f, " own-vote={} votes={}", own.time, Votes(votes))
            }
            Record::Executed { tx, time, committed, transaction, votes } => write!(
                f,
                "executed {tx} COMMITTED time={committed} own-vote={time} votes={} {}",
                Votes(votes),
                transaction.text()
            ),
            Record::ClientAdded { time, client } => write_client(f, *time, client),
            Record::AccountOpened { time, account } => write_account(f, *time, account),
            Record::Registered { time, by, what } => {
                match what {
                    Registration::Client(client) => write_client(f, *time, client)?,
                    Registration::Account(account) => write_account(f, *time, account)?,
                }
                write!(f, " by={by}")
            }
            Record::ClockMoved { time } => write!(f, "clock time={time}"),
            Record::KeyKnown { key } => write!(f, "key id={key}"),
            Record::RegistersLearned { registers, last } => {
                write!(f, "registers learned={} last={last}", registers.len())?;
                registers.iter().try_for_each(|SetRegister { key, value, time }| {
                    write!(f, " {key}={:?}@{time}", value.as_str())
                })
            }
            Record::Founded { founding, introduced } => {
                write!(f, "founded id={founding} introduced={introduced}")
            }
            Record::Met { bank, founding } => write!(f, "met {bank} id={founding}"),
            Record::Introduced { without, knows_registers } => {
                write!(
                    f,
                    "introduced without={} knows-registers={knows_registers}",
                    Banks(*without)
                )
            }
            Record::Stopped { why } => write!(f, "stopped {why:?}"),
            Record::OutsideVoted { tx, own, time, refusal: None } => {
                write!(f, "outside {tx} COMMITTED time={time} own-vote={}", own.time)
            }
            Record::OutsideVoted { tx, own, time, refusal: Some(reason) } => {
                write!(f, "outside {tx} ABORTED {reason} time={time} own-vote={}", own.time)
            }
            Record::Drove { tx, time, transaction, refusal: None } => {
                write!(f, "drove {tx} COMMITTED time={time} {}", transaction.text())
            }
            Record::Drove { tx, time, transaction, refusal: Some((by, reason, text)) } => {
                let transaction = transaction.text();
                write!(f, "drove {tx} ABORTED {reason} by={by} time={time} {text:?} {transaction}")
            }
        }
    }
}

struct Votes<'a>(&'a [(BankId, Time)]);

impl fmt::Display for Votes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        for (number, (bank, time)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{bank}@{time}")?;
        }
        Ok(())
    }
}

fn write_client(f: &mut fmt::Formatter<'_>, time: Time, client: &NewClient) -> fmt::Result {
    let NewClient { cpf, name, kind } = client;
    write!(f, "client time={time} cpf={cpf} name={:?} kind={:?}", name.as_str(), kind.as_str())
}

fn write_account(f: &mut fmt::Formatter<'_>, time: Time, account: &NewAccount) -> fmt::Result {
    let holders: Vec<&str> = account.holders.iter().map(|holder| holder.as_str()).collect();
    let (number, deposit) = (&account.number, account.deposit.0);
    write!(f, "account time={time} number={number} holders={} deposit={deposit}", holders.join(","))
}
