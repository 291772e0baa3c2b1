//! Transfers inside one PostgreSQL server: two `UPDATE`s in one transaction.
//!
//! A transfer's statements and the `Sync` that commits them take one write; a client queues further
//! transfers before the answers. It updates the lower account first, as a careful user would, so
//! that no two transfers deadlock.

use crate::ComparisonArguments;
use crate::across::{check, set_up};
use crate::pg_session::PgSession;
use crate::pipeline::{TransferPipe, run_all};
use crate::tally::{SharedTally, TransferEnd};
use anyhow::{Result, bail};

/// Returns the sum of all balances afterwards.
pub async fn measure(
    arguments: &ComparisonArguments,
    port: u16,
    tally: &SharedTally,
) -> Result<i64> {
    let mut server = PgSession::connect(port).await?;
    set_up(&mut server, arguments.accounts).await?;
    let mut pipes = Vec::new();
    for _ in 0..arguments.clients {
        pipes.push(PgPipe(PgSession::ready(port).await?));
    }
    run_all(arguments, pipes, tally).await?;
    check(&mut server).await
}

struct PgPipe(PgSession);

impl TransferPipe for PgPipe {
    fn queue(&mut self, from: i32, to: i32, amount: i64) -> Result<()> {
        let mut sides = [(from, -amount), (to, amount)];
        sides.sort_unstable();
        for (account, amount) in sides {
            self.0.execute("move", &[&amount.to_be_bytes(), &account.to_be_bytes()])?;
        }
        self.0.sync()
    }

    async fn answers(&mut self) -> Result<Vec<TransferEnd>> {
        let answers = self.0.answers().await?;
        let end = |error: Option<String>| match error {
            None => Ok(TransferEnd::Committed { prepared: None }),
            // It waited for a row for too long.
            Some(error) if error.starts_with("55P03") => Ok(TransferEnd::NotCommitted),
            Some(error) => bail!("PostgreSQL: {error}"),
        };
        answers.into_iter().map(|answer| end(answer.error)).collect()
    }
}
