//! Consistent cuts: all banks as of one commit time. This module chooses the time, sends the
//! requests and finds the transactions that block a bank; `consorcio_audit` judges the cut.

use crate::client::{AnswerFrom, Client};
use crate::error::ClientError;
use crate::reading::{read, unreadable};
use crate::reads::BankClock;
use consorcio_audit::{BankCut, Judged, judge};
use consorcio_core::ids::{AccountNumber, BankId, BankSet, RegisterKey, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::answer::CutAnswer;
use consorcio_core::wire::request::{Read, Request, SnapshotKey};

/// A cut, as far as banks answered.
#[derive(Debug)]
pub struct TakenCut {
    /// Its time, with the statement that proves it to every bank.
    pub at: BankClock,
    /// The part of each bank, by position, or why there is none.
    pub answers: Vec<AnswerFrom<BankCut>>,
    /// Undecided transactions that block banks from answering, by bank.
    pub blocked: Vec<Blocked>,
    /// The verdict on all parts together.
    pub judged: Judged,
}

/// An undecided transaction that blocks a bank from answering a cut.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Blocked {
    /// The bank that is blocked.
    pub bank: BankId,
    /// The transaction, which could still commit within the cut.
    pub tx: TxId,
    /// When that bank voted OK on it.
    pub since: Time,
    /// The positions of the banks whose votes it does not know.
    pub waiting_for: Vec<BankId>,
}

/// How much of each bank a cut has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent<'a> {
    /// Its sums alone, in one page.
    Sums,
    /// Its sums and all registers.
    Registers,
    /// Its sums, all registers and all accounts.
    All,
    /// Its sums, and the accounts and registers whose names begin with this text.
    Named(&'a str),
}

/// The latest of these clocks. An earlier one may be too old for a bank that is far ahead.
pub fn latest(clocks: impl Iterator<Item = BankClock>) -> Option<BankClock> {
    clocks.max_by_key(|clock| clock.time)
}

impl Client {
    /// Takes a cut of all banks as of now, by the latest of their clocks, and not before `last`.
    ///
    /// # Errors
    /// If no bank answers; `ShortList` and `TwoKeys` if the list lacks banks. If only some banks
    /// answer, the cut has the errors of the others.
    pub async fn cut(
        &self,
        last: Option<BankClock>,
        extent: Extent<'_>,
    ) -> Result<TakenCut, ClientError> {
        let clocks = self.clocks().await;
        let known = clocks.iter().filter_map(|answer| answer.result.as_ref().ok()).copied();
        let now = match (latest(known), clocks.first()) {
            (Some(now), _) => now,
            (None, Some(AnswerFrom { result: Err(error), .. })) => return Err(error.clone()),
            (None, _) => return Err(ClientError::Illegal("a consortium has a bank".into())),
        };
        self.knows_all()?;
        let at = latest(last.into_iter().chain([now])).unwrap_or(now);
        Ok(self.cut_at(at, extent, &clocks).await)
    }

    /// The clock of each bank, by position.
    pub async fn clocks(&self) -> Vec<AnswerFrom<BankClock>> {
        self.ask_each(&self.banks(), async |bank| Ok(BankClock::of(&self.info(bank).await?))).await
    }

    /// Takes a cut at a time that a bank's clock has reached. Banks that failed in `asked` a moment
    /// ago are not asked again.
    pub async fn cut_at(
        &self,
        at: BankClock,
        extent: Extent<'_>,
        asked: &[AnswerFrom<BankClock>],
    ) -> TakenCut {
        let banks = self.banks();
        let answers = self
            .ask_each(&banks, async |bank| {
                let before = asked.iter().find(|answer| answer.bank == bank);
                if let Some(AnswerFrom { result: Err(error), .. }) = before {
                    return Err(error.clone());
                }
                self.cut_of(bank, at, extent).await
            })
            .await;
        let mut blocked = Vec::new();
        for answer in &answers {
            if let Err(ClientError::Refused { reason: Reason::Locked, .. }) = answer.result {
                blocked.extend(self.blocking(answer.bank, at.time).await);
            }
        }
        let cuts = answers.iter().filter_map(|answer| answer.result.as_ref().ok()).cloned();
        let members: BankSet = banks.into_iter().collect();
        let has_left = self.list().places().iter().any(Option::is_none);
        let judged = judge(members, has_left, extent == Extent::All, &cuts.collect::<Vec<_>>());
        TakenCut { at, answers, blocked, judged }
    }

    /// The part of one bank, page by page.
    async fn cut_of(
        &self,
        bank: BankId,
        at: BankClock,
        extent: Extent<'_>,
    ) -> Result<BankCut, ClientError> {
        let mut connection = self.connection(bank).await?;
        let mut cut: Option<BankCut> = None;
        let mut after = extent.first_key();
        loop {
            let request = Request::Read(Read::Snapshot {
                time: Some(at.time),
                reading: at.reading,
                accounts: extent != Extent::Sums,
                after: after.clone(),
            });
            let json = connection.ask_done(&request).await?;
            let page: CutAnswer = read(bank, &json)?;
            let next = page.next.as_deref().map(SnapshotKey::new).transpose();
            let mut next = next.map_err(|_| unreadable(bank, &json))?;
            if let Extent::Named(prefix) = extent {
                next = next.and_then(|next| within(prefix, next));
            }
            match &mut cut {
                None => cut = Some(BankCut::of(page)),
                Some(cut) => cut.add(page).map_err(|_| unreadable(bank, &json))?,
            }
            // A bank that repeats the same key must not make this loop endless.
            if next.is_none() || next == after || extent == Extent::Sums {
                break;
            }
            after = next;
        }
        self.keep(connection);
        let mut cut = cut.ok_or(ClientError::NotAsked { bank })?;
        if let Extent::Named(prefix) = extent {
            cut.accounts.retain(|account| account.number.as_str().starts_with(prefix));
            cut.registers.retain(|key, _| key.starts_with(prefix));
        }
        Ok(cut)
    }

    /// The undecided transactions of `bank` that could still commit at or before `time`; empty if
    /// it does not answer.
    async fn blocking(&self, bank: BankId, time: Time) -> Vec<Blocked> {
        let pending = self.pending(bank).await.unwrap_or_default();
        let mut blocked: Vec<Blocked> = pending
            .into_iter()
            .filter(|view| view.since <= time)
            .map(|view| Blocked {
                bank,
                tx: view.tx.into_owned(),
                since: view.since,
                waiting_for: view.waiting_for,
            })
            .collect();
        blocked.sort_by_key(|blocked| blocked.since);
        blocked
    }
}

impl Extent<'_> {
    /// The key after which the first page begins.
    fn first_key(self) -> Option<SnapshotKey> {
        match self {
            Extent::All | Extent::Sums => None,
            Extent::Registers => Some(SnapshotKey::Account(greatest_account())),
            // Accounts whose numbers begin with the prefix sort after it.
            Extent::Named(prefix) => AccountNumber::new(prefix).ok().map(SnapshotKey::Account),
        }
    }
}

/// Every other account number sorts before this one, byte by byte.
fn greatest_account() -> AccountNumber {
    AccountNumber::new(&"\u{10FFFF}".repeat(16)).expect("64 bytes without blanks")
}

/// The key to continue after: after the accounts with the prefix come the registers, after these
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
