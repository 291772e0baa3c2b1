//! Cuts of all banks at one time: which time, the questions, and who keeps a bank from answering.
//! What a cut means is `audit`'s.

use super::Context;
use super::asking::{self, Answer};
use super::failure::Failure;
use consorcio_audit::{BankCut, Judged, judge};
use consorcio_core::ids::{AccountNumber, BankId, BankSet, RegisterKey, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::CutAnswer;
use consorcio_core::wire::reading::Reading;
use consorcio_core::wire::request::{Read, Request, SnapshotKey};
use serde::Deserialize;

/// All that was got of one cut.
pub struct Taken {
    /// Its time, and what proves it to every bank.
    pub at: Reached,
    /// Its time.
    pub time: Time,
    /// What each bank told, by position, or why it did not.
    pub answers: Vec<Answer<BankCut>>,
    /// Undecided transactions that keep banks from telling, by bank.
    pub blocked: Vec<Blocked>,
    /// What the cuts mean together.
    pub judged: Judged,
}

/// An undecided transaction that keeps a bank from telling a cut.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Blocked {
    /// The bank that can't tell.
    pub bank: BankId,
    /// Why: this transaction could still commit within the cut.
    pub tx: String,
    /// When that bank voted OK on it.
    pub since: Time,
    /// The banks whose votes it does not know.
    pub waiting_for: Vec<u8>,
}

/// How much of each bank is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent<'a> {
    /// Its sums and all registers.
    Registers,
    /// Also every account.
    All,
    /// Its sums, and the accounts and registers whose names begin with this text.
    Named(&'a str),
}

/// A time that some bank's clock has reached, and that bank's statement of it: every bank gives a
/// cut as of it.
#[derive(Debug, Clone, Copy)]
pub struct Reached {
    /// The time.
    pub time: Time,
    /// The statement; none where that bank is of a version that makes none.
    pub reading: Option<Reading>,
}

/// What a bank tells of its clock by INFO.
#[derive(Debug, Clone, Deserialize)]
pub struct Clock {
    time: Time,
    reading: Option<String>,
}

impl Clock {
    /// What it has reached.
    pub fn reached(&self) -> Reached {
        Reached::told(self.time, self.reading.as_deref())
    }
}

impl Reached {
    /// As INFO tells it.
    pub fn told(time: Time, reading: Option<&str>) -> Reached {
        Reached { time, reading: reading.and_then(Reading::parse) }
    }
}

/// The greatest of these clocks. (The slowest bank's would be too old for one that is far ahead.)
pub fn latest(clocks: impl Iterator<Item = Reached>) -> Option<Reached> {
    clocks.max_by_key(|reached| reached.time)
}

#[derive(Deserialize)]
struct PendingView {
    tx: String,
    since: Time,
    waiting_for: Vec<u8>,
}

/// Takes a cut of all banks as of now, by the latest of their clocks, and not before `last`:
/// nothing commits in between where they are the same.
///
/// # Errors
/// When no bank at all can be reached.
pub async fn take(
    context: &Context,
    last: Option<Reached>,
    extent: Extent<'_>,
) -> Result<Taken, Failure> {
    let banks = asking::these_banks(context, None);
    let clocks = asking::ask_each(context, &banks, |bank| async move {
        let json = asking::ask(context, bank, &Request::Read(Read::Info)).await?;
        Ok(asking::read::<Clock>(bank, &json)?.reached())
    })
    .await;
    let told = clocks.iter().filter_map(|answer| answer.said.as_ref().ok()).copied();
    let Some(now) = latest(told) else {
        let none = Failure::NoConnection("no bank can be reached".into());
        return Err(asking::first_failure(&clocks).unwrap_or(none));
    };
    context.dial.met.all_are_named(context.dial.places)?;
    let at = latest(last.into_iter().chain([now])).unwrap_or(now);
    let time = at.time;
    let clocks = &clocks;
    let answers = asking::ask_each(context, &banks, |bank| async move {
        // A bank that was out of reach a moment ago is not asked again: its answer would say no
        // more.
        let asked = clocks.iter().find(|answer| answer.bank == bank);
        if let Some(Answer { said: Err(failure), .. }) = asked {
            return Err(failure.clone());
        }
        bank_cut(context, bank, at, extent).await
    })
    .await;
    let mut blocked = Vec::new();
    for answer in &answers {
        if let Err(Failure::Refused { reason: Some(Reason::Locked), .. }) = answer.said {
            blocked.extend(blocking(context, answer.bank, time).await);
        }
    }
    let told: Vec<BankCut> =
        answers.iter().filter_map(|answer| answer.said.as_ref().ok()).cloned().collect();
    let judged = judged(context, extent == Extent::All, &told);
    Ok(Taken { at, time, answers, blocked, judged })
}

/// What these cuts mean for the whole consortium; `listed` where they carry all accounts and
/// registers.
pub fn judged(context: &Context, listed: bool, told: &[BankCut]) -> Judged {
    let members: BankSet = asking::all_banks(context).collect();
    let has_left = context.consortium.places().iter().any(Option::is_none);
    judge(members, has_left, listed, told)
}

/// One bank's part of the cut, page after page.
async fn bank_cut(
    context: &Context,
    bank: BankId,
    at: Reached,
    extent: Extent<'_>,
) -> Result<BankCut, Failure> {
    let address = asking::address(context, bank)?;
    let mut conversation = asking::connect(context, bank, address).await?;
    let own = |error: String| Failure::Own(format!("bank {bank}: {error}"));
    let mut cut: Option<BankCut> = None;
    let mut after = match extent {
        Extent::All => None,
        Extent::Registers => Some(SnapshotKey::Account(greatest_account())),
        Extent::Named(prefix) => Some(named(prefix).map_err(own)?),
    };
    loop {
        let Reached { time, reading } = at;
        let request = Request::Read(Read::Snapshot {
            time: Some(time),
            reading,
            accounts: true,
            after: after.clone(),
        });
        let page: CutAnswer =
            asking::read(bank, &asking::done(bank, conversation.ask(&request).await?)?)?;
        let mut next = match &page.next {
            Some(next) => Some(SnapshotKey::new(next).map_err(|error| own(error.to_string()))?),
            None => None,
        };
        if let Extent::Named(prefix) = extent {
            next = next.and_then(|next| within(prefix, next));
        }
        match &mut cut {
            None => cut = Some(BankCut::of(page)),
            Some(cut) => cut.add(page).map_err(own)?,
        }
        // A bank that names the same key for ever would keep us here for ever.
        if next.is_none() || next == after {
            break;
        }
        after = next;
    }
    let mut cut = cut.ok_or_else(|| own("it told no page".into()))?;
    if let Extent::Named(prefix) = extent {
        cut.accounts.retain(|account| account.number.as_str().starts_with(prefix));
        cut.registers.retain(|key, _| key.starts_with(prefix));
    }
    Ok(cut)
}

/// No account stands after this one: every other number is less, byte by byte.
fn greatest_account() -> AccountNumber {
    AccountNumber::new(&"\u{10FFFF}".repeat(16)).expect("64 bytes without blanks")
}

/// Accounts whose numbers begin with `prefix` come after it.
fn named(prefix: &str) -> Result<SnapshotKey, String> {
    AccountNumber::new(prefix).map(SnapshotKey::Account).map_err(|error| error.to_string())
}

/// Where to go on: past the accounts that are meant their registers are still to come, past those
/// nothing.
fn within(prefix: &str, next: SnapshotKey) -> Option<SnapshotKey> {
    match next {
        SnapshotKey::Account(last)
            if last.as_str() > prefix && !last.as_str().starts_with(prefix) =>
        {
            RegisterKey::new(prefix).ok().map(SnapshotKey::Register)
        }
        SnapshotKey::Register(last)
            if last.as_str() > prefix && !last.as_str().starts_with(prefix) =>
        {
            None
        }
        SnapshotKey::Account(_) | SnapshotKey::Register(_) => Some(next),
    }
}

/// The undecided transactions of `bank` that could still commit at or before `time`. None where it
/// does not tell.
async fn blocking(context: &Context, bank: BankId, time: Time) -> Vec<Blocked> {
    let request = |after: Option<&str>| {
        let after = after.map(TxId::new).transpose();
        Ok(Request::Read(Read::Pending {
            after: after.map_err(|error| Failure::Own(error.to_string()))?,
        }))
    };
    let items = asking::ask_list(context, bank, request).await.unwrap_or_default();
    let views = items.iter().filter_map(|item| asking::read::<PendingView>(bank, item.get()).ok());
    let mut blocked: Vec<Blocked> = views
        .filter(|view| view.since <= time)
        .map(|PendingView { tx, since, waiting_for }| Blocked { bank, tx, since, waiting_for })
        .collect();
    blocked.sort_by_key(|blocked| blocked.since);
    blocked
}

impl Taken {
    /// Why there is no verdict over all banks, if so: a bank that is out of reach before one that
    /// is in doubt.
    pub fn missing(&self) -> Option<Failure> {
        let failures = || self.answers.iter().filter_map(|answer| answer.said.as_ref().err());
        let silent = |failure: &&Failure| {
            matches!(failure, Failure::NoConnection(_) | Failure::DiskHangs(_))
        };
        let down = failures().find(silent);
        if let Some(failure) = down.or_else(|| failures().next()) {
            return Some(match failure {
                Failure::Refused { reason: Some(Reason::Locked), text } => Failure::Doubt(
                    self.blocked.first().map_or_else(|| text.clone(), Blocked::in_words),
                ),
                other => other.clone(),
            });
        }
        self.judged.left_in_words().map(|why| Failure::Doubt(why.to_owned()))
    }
}

impl Blocked {
    /// `bank 0 gives no cut: transaction t1, undecided there since …, waits for bank 2`
    pub fn in_words(&self) -> String {
        let Blocked { bank, tx, since, waiting_for } = self;
        let keepers: Vec<String> = waiting_for.iter().map(|bank| format!("bank {bank}")).collect();
        let keepers =
            if keepers.is_empty() { "its driver".to_owned() } else { keepers.join(" and ") };
        let since = super::output::utc(*since);
        format!(
            "bank {bank} gives no cut: transaction {tx}, undecided there since {since}, waits for {keepers}"
        )
    }
}
