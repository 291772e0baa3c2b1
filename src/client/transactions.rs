//! What changes something at several banks: all of them do, or none.

use crate::client::Client;
use crate::driver::{DrivenTransaction, Driver, DriverOptions, Happened, Keeping, Redial, Writes};
use crate::error::ClientError;
use consorcio_core::commit::coordinator::{Standing, Verdict};
use consorcio_core::ids::{AccountNumber, BankId, RegisterKey, RegisterValue, TxId};
use consorcio_core::ids::{TaxId, Time};
use consorcio_core::money::Money;
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// An account at a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankAccount {
    /// The position of its bank in the list.
    pub bank: BankId,
    /// The account's number there.
    pub number: AccountNumber,
}

/// A transaction that every bank committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedTransaction {
    /// The id of the transaction.
    pub tx: TxId,
    /// Its commit time, in microseconds since 1970; the same at every bank.
    pub time: Time,
}

/// One transaction at a time: each message leaves at once, and a connection that is lost is made
/// again for the next one.
const SINGLE: DriverOptions = DriverOptions {
    writes: Writes::EachMessage,
    redial: Redial { first: Duration::ZERO, max: Duration::ZERO },
};

impl Client {
    /// Moves `amount` from one account to another.
    ///
    /// # Errors
    /// `Illegal`, `NotListed`, and as `execute`.
    pub async fn transfer(
        &self,
        from: &BankAccount,
        to: &BankAccount,
        amount: Money,
    ) -> Result<CommittedTransaction, ClientError> {
        let ops =
            [money_op(from, Flow::Debit, amount, None), money_op(to, Flow::Credit, amount, None)];
        self.execute(&ops).await
    }

    /// Sets a register at every bank.
    ///
    /// # Errors
    /// As `execute`; `ShortList` where the list is not all banks, then nothing changed.
    pub async fn set(
        &self,
        key: &RegisterKey,
        value: &RegisterValue,
    ) -> Result<CommittedTransaction, ClientError> {
        let executed = self.execute(&self.set_ops(key, value)).await;
        match (executed, self.short_list()) {
            (Err(ClientError::Aborted { .. }), Some(short)) => Err(short),
            (executed, _) => executed,
        }
    }

    /// The operations that set a register at every bank of the list.
    pub fn set_ops(&self, key: &RegisterKey, value: &RegisterValue) -> Vec<Op> {
        let action = || Action::Set { key: key.clone(), value: value.clone() };
        self.banks().into_iter().map(|bank| Op { bank, action: action() }).collect()
    }

    /// Executes any operations under a new id: all of them or none.
    ///
    /// # Errors
    /// `Illegal` and `NotListed` before anything is sent; `Aborted` and `NothingDone` where nothing
    /// changed; `InDoubt` where the outcome is not known yet.
    pub async fn execute(&self, ops: &[Op]) -> Result<CommittedTransaction, ClientError> {
        let transaction = self.transaction(ops, None)?;
        self.drive(self.new_tx()?, Arc::new(transaction)).await.into_result()
    }

    /// A transaction of these operations, whose undecided time is `patience_ms` if given.
    ///
    /// # Errors
    /// `Illegal`, and `NotListed` for a bank that the list has not.
    pub fn transaction(
        &self,
        ops: &[Op],
        patience_ms: Option<u32>,
    ) -> Result<Transaction, ClientError> {
        let transaction = Transaction::from_ops(ops, patience_ms);
        let transaction = transaction.map_err(|fault| ClientError::Illegal(fault.to_string()))?;
        for bank in transaction.banks().iter() {
            self.address(bank)?;
        }
        Ok(transaction)
    }

    /// Drives `transaction` to a verdict, and sees to it that the banks hear of it. The same id
    /// with the same transaction never runs twice; all banks that it names must be in the list.
    pub async fn drive(&self, tx: TxId, transaction: Arc<Transaction>) -> DrivenTransaction {
        let mut driver = self.driver_of_kept(SINGLE);
        let slot = driver.begin((), tx.clone(), transaction, Keeping::Votes);
        self.driven(driver, slot, tx, async || ()).await
    }

    /// The same; once every bank has voted OK, `pause` is awaited before any hears the verdict.
    pub async fn drive_with_pause(
        &self,
        tx: TxId,
        transaction: Arc<Transaction>,
        pause: impl AsyncFnOnce(),
    ) -> DrivenTransaction {
        let mut driver = self.driver_of_kept(SINGLE);
        let slot = driver.begin((), tx.clone(), transaction, Keeping::VotesHeld);
        self.driven(driver, slot, tx, pause).await
    }

    async fn driven(
        &self,
        mut driver: Driver<()>,
        slot: usize,
        tx: TxId,
        pause: impl AsyncFnOnce(),
    ) -> DrivenTransaction {
        let mut pause = Some(pause);
        let mut driven = DrivenTransaction {
            tx,
            verdict: Verdict::Unreached,
            votes: Vec::new(),
            took: Duration::ZERO,
        };
        // Once the verdict is known, the banks get so long to confirm it.
        let mut leave_at: Option<Instant> = None;
        loop {
            while let Some(happened) = driver.next_happened() {
                match happened {
                    Happened::Held { .. } => {
                        if let Some(pause) = pause.take() {
                            pause().await;
                        }
                        driver.release(slot);
                    }
                    Happened::Verdict { verdict, took, .. } => {
                        let knows_no_end =
                            matches!(verdict, Verdict::Doubt(_) | Verdict::Unreached);
                        (driven.verdict, driven.took) = (verdict, took);
                        // Then there is nothing to send to the banks: they begin to ask each other
                        // as soon as this driver is gone.
                        let within = self.options().vote_within;
                        let within = if knows_no_end { Duration::ZERO } else { within };
                        leave_at = Some(Instant::now() + within);
                    }
                    Happened::Finished { votes, .. } => {
                        driven.votes = votes;
                        driver.into_idle().for_each(|connection| self.keep(connection));
                        return self.explained(driven).await;
                    }
                    Happened::Closed { .. }
                    | Happened::Replied { .. }
                    | Happened::NotReplied { .. } => {}
                }
            }
            match leave_at {
                Some(at) if at <= Instant::now() => break,
                Some(at) => driver.turn_until(at).await,
                None => driver.turn().await,
            }
        }
        driven.votes = driver.votes(slot);
        drop(driver);
        self.explained(driven).await
    }

    /// Has banks that were connected to and gave no vote say why, where they can.
    async fn explained(&self, mut driven: DrivenTransaction) -> DrivenTransaction {
        if !matches!(driven.verdict, Verdict::Doubt(_)) {
            return driven;
        }
        for vote in &mut driven.votes {
            let is_silent = matches!(vote.standing, Standing::Asked | Standing::Silent);
            if is_silent && vote.reached && vote.trouble.is_none() {
                let ms = self.slow_sync_ms(vote.bank).await;
                vote.trouble =
                    ms.map(|ms| format!("its disk has not answered for {} s", ms / 1_000));
            }
        }
        driven
    }
}

impl DrivenTransaction {
    /// The commit, or why there is none.
    ///
    /// # Errors
    /// `Aborted`, `NothingDone`, and `InDoubt` where the outcome is not known yet.
    pub fn into_result(self) -> Result<CommittedTransaction, ClientError> {
        let nothing = self.nothing_done().map(ToString::to_string);
        let tx = self.tx;
        match self.verdict {
            Verdict::Committed(time) => Ok(CommittedTransaction { tx, time }),
            Verdict::Aborted { by, reason, text, .. } => {
                Err(ClientError::Aborted { tx, by, reason, text })
            }
            Verdict::Doubt(_) | Verdict::Unreached if nothing.is_some() => {
                Err(ClientError::NothingDone { tx, why: nothing.unwrap_or_default() })
            }
            Verdict::Doubt(silent) => Err(ClientError::InDoubt { tx, silent }),
            Verdict::Unreached => {
                let why = "no bank that it names can be reached".into();
                Err(ClientError::NothingDone { tx, why })
            }
        }
    }
}

/// An operation that moves money; with `cpf`, a bank checks that this is one of the holders.
pub fn money_op(account: &BankAccount, flow: Flow, amount: Money, cpf: Option<TaxId>) -> Op {
    let action = Action::Money { flow, account: account.number.clone(), cpf, amount };
    Op { bank: account.bank, action }
}
