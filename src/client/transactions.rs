//! Transactions over several banks, committed at all of them or at none.

use crate::client::Client;
use crate::driver::{
    BankVote, DriveMode, DrivenTransaction, Driver, DriverEvent, DriverOptions, Redial, Writes,
};
use crate::error::ClientError;
use consorcio_core::commit::coordinator::{Standing, Verdict};
use consorcio_core::ids::{AccountNumber, BankId, RegisterKey, RegisterValue, TxId};
use consorcio_core::ids::{TaxId, Time};
use consorcio_core::money::Money;
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use futures_util::future::join_all;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// An account at a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankAccount {
    /// The position of its bank in the list.
    pub bank: BankId,
    /// The number of the account at that bank.
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

/// A phase of a transaction that has ended, for a caller that pauses after each one.
#[derive(Debug)]
pub enum DrivePhase {
    /// The votes decide the outcome, and no bank was notified of it.
    Voted {
        /// The outcome: committed or aborted.
        verdict: Verdict,
        /// The vote of each bank, by position.
        votes: Vec<BankVote>,
    },
    /// Each bank was notified of the outcome, and has confirmed it or did not answer.
    Notified(Vec<BankVote>),
}

/// One transaction at a time: each message is written at once, and a lost connection is redialled
/// for the next one.
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
    /// As `execute`; `ShortList` if the list lacks banks, then nothing changed.
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

    /// Executes operations under a new id: all of them or none.
    ///
    /// # Errors
    /// `Illegal` and `NotListed` before anything is sent; `Aborted` and `NothingDone` if nothing
    /// changed; `InDoubt` if the outcome is not known yet.
    pub async fn execute(&self, ops: &[Op]) -> Result<CommittedTransaction, ClientError> {
        let transaction = self.transaction(ops, None)?;
        self.drive(self.new_tx()?, Arc::new(transaction)).await.into_result()
    }

    /// A transaction of these operations, with a patience if given.
    ///
    /// # Errors
    /// `Illegal`, and `NotListed` for a bank that is not in the list.
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

    /// Drives `transaction` to a verdict, and sends that to the banks. The same id with the same
    /// transaction never runs twice. All banks that it names must be in the list.
    pub async fn drive(&self, tx: TxId, transaction: Arc<Transaction>) -> DrivenTransaction {
        let mut driver = self.driver_of_kept(SINGLE);
        let slot = driver.begin((), tx.clone(), transaction, DriveMode::Votes);
        self.driven(driver, slot, tx, |_| ready(())).await
    }

    /// As `drive`; after each phase it awaits the future of `pause` before it goes on. Meanwhile it
    /// receives votes, and notices lost connections. An outcome that stays unknown has no phases.
    ///
    /// Without `patience_ms` in the transaction the banks end it by themselves after 3 s.
    pub async fn drive_in_phases<F: Future<Output = ()>>(
        &self,
        tx: TxId,
        transaction: Arc<Transaction>,
        mut pause: impl FnMut(DrivePhase) -> F,
    ) -> DrivenTransaction {
        let mut driver = self.driver_of_kept(SINGLE);
        let slot = driver.begin((), tx.clone(), transaction, DriveMode::HeldOutcome);
        let driven = self.driven(driver, slot, tx, &mut pause).await;
        if matches!(driven.verdict, Verdict::Committed(_) | Verdict::Aborted { .. }) {
            pause(DrivePhase::Notified(driven.votes.clone())).await;
        }
        driven
    }

    async fn driven<F: Future<Output = ()>>(
        &self,
        mut driver: Driver<()>,
        slot: usize,
        tx: TxId,
        mut pause: impl FnMut(DrivePhase) -> F,
    ) -> DrivenTransaction {
        let mut driven = DrivenTransaction {
            tx,
            verdict: Verdict::Unreached,
            votes: Vec::new(),
            took: Duration::ZERO,
        };
        // The deadline for the banks to confirm the verdict, once it is known.
        let mut leave_at: Option<Instant> = None;
        loop {
            while let Some(event) = driver.next_event() {
                match event {
                    DriverEvent::Held { verdict, .. } => {
                        driver.wait_for_votes(slot).await;
                        let votes = driver.votes(slot);
                        driver.wait_for(pause(DrivePhase::Voted { verdict, votes })).await;
                        driver.release(slot);
                    }
                    DriverEvent::Verdict { verdict, took, .. } => {
                        let knows_no_end =
                            matches!(verdict, Verdict::Doubt(_) | Verdict::Unreached);
                        (driven.verdict, driven.took) = (verdict, took);
                        // Without an outcome there is nothing to send: the banks ask each other as
                        // soon as this driver is gone.
                        let within = self.options().vote_within;
                        let within = if knows_no_end { Duration::ZERO } else { within };
                        leave_at = Some(Instant::now() + within);
                    }
                    DriverEvent::Finished { votes, .. } => {
                        driven.votes = votes;
                        driver.into_idle().for_each(|connection| self.keep(connection));
                        return self.with_slow_syncs(driven).await;
                    }
                    DriverEvent::Closed { .. }
                    | DriverEvent::Replied { .. }
                    | DriverEvent::NotReplied { .. } => {}
                }
            }
            match leave_at {
                Some(at) if at <= Instant::now() => break,
                Some(at) => driver.wait_until(at).await,
                None => driver.wait().await,
            }
        }
        driven.votes = driver.votes(slot);
        drop(driver);
        self.with_slow_syncs(driven).await
    }

    /// Asks banks that were reached and gave no vote whether their disk hangs.
    async fn with_slow_syncs(&self, mut driven: DrivenTransaction) -> DrivenTransaction {
        if !matches!(driven.verdict, Verdict::Doubt(_)) {
            return driven;
        }
        let silent = driven.votes.iter_mut().filter(|vote| {
            let is_silent = matches!(vote.standing, Standing::Asked | Standing::Silent);
            is_silent && vote.reached && vote.problem.is_none()
        });
        // All at once: several silent banks cost the time of one.
        let asked = silent.map(async |vote| {
            let ms = self.slow_sync_ms(vote.bank).await;
            vote.problem = ms.map(|ms| format!("its disk has not answered for {} s", ms / 1_000));
        });
        join_all(asked).await;
        driven
    }
}

impl DrivenTransaction {
    /// Converts the verdict to a result.
    ///
    /// # Errors
    /// `Aborted`, `NothingDone`, and `InDoubt` if the outcome is not known yet.
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

/// An operation that moves money. With `cpf`, the bank checks that this is a holder of the account.
pub fn money_op(account: &BankAccount, flow: Flow, amount: Money, cpf: Option<TaxId>) -> Op {
    let action = Action::Money { flow, account: account.number.clone(), cpf, amount };
    Op { bank: account.bank, action }
}
