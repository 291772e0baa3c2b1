//! Transfers between two PostgreSQL servers, by PREPARE TRANSACTION.
//!
//! Each client has one session with each server and one transfer under way. It sends `BEGIN`, one
//! `UPDATE` and `PREPARE TRANSACTION` to both at once, each in one write, and when both are
//! prepared `COMMIT PREPARED` to both at once. If one account is hot, its server prepares before
//! the other one. No log of decisions is written, which a real coordinator would need: that favours
//! PostgreSQL. A deadlock across the servers ends by `lock_timeout`, since neither detects it.

use crate::pg_session::PgSession;
use crate::tally::{BenchPlan, SharedTally, TransferEnd, TransferSource};
use crate::{ComparisonArguments, OPENING};
use anyhow::{Context, Result, bail};
use std::time::Instant;

/// Returns the sum of all balances of both servers afterwards.
pub async fn measure(
    arguments: &ComparisonArguments,
    ports: [u16; 2],
    tally: &SharedTally,
) -> Result<i64> {
    let mut servers = Vec::new();
    for port in ports {
        let mut server = PgSession::connect(port).await?;
        set_up(&mut server, arguments.accounts).await?;
        servers.push(server);
    }
    let mut clients = Vec::new();
    for number in 0..arguments.clients {
        clients.push(AcrossClient::connect(arguments, ports, number, tally.clone()).await?);
    }
    let plan = BenchPlan::now(arguments);
    let running: Vec<_> =
        clients.into_iter().map(|client| tokio::task::spawn_local(client.run(plan))).collect();
    for client in running {
        client.await??;
    }
    let mut total = 0;
    for server in &mut servers {
        total += check(server).await?;
    }
    Ok(total)
}

/// Creates the accounts. The fill factor leaves room for new versions of rows in their page, which
/// is fastest in PostgreSQL.
pub async fn set_up(server: &mut PgSession, accounts: i32) -> Result<()> {
    for sql in [
        "DROP TABLE IF EXISTS account",
        "CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)) \
         WITH (fillfactor = 50)",
        &format!("INSERT INTO account SELECT id, {OPENING} FROM generate_series(1, {accounts}) id"),
        "VACUUM ANALYZE account",
        "CHECKPOINT",
    ] {
        server.run(sql).await?.ok().with_context(|| sql.to_owned())?;
    }
    Ok(())
}

/// The sum of a server's balances; one more for each transaction that is still prepared.
pub async fn check(server: &mut PgSession) -> Result<i64> {
    let balances = number(server, "SELECT sum(balance) FROM account").await?;
    Ok(balances + number(server, "SELECT count(*) FROM pg_prepared_xacts").await?)
}

async fn number(server: &mut PgSession, sql: &str) -> Result<i64> {
    let value = server.run(sql).await?.ok()?.value.context("no row")?;
    Ok(value.parse()?)
}

/// A client, with a session at each server.
struct AcrossClient {
    first: PgSession,
    second: PgSession,
    name: String,
    accounts: i32,
    hot: bool,
    source: TransferSource,
    count: u64,
    tally: SharedTally,
}

impl AcrossClient {
    async fn connect(
        arguments: &ComparisonArguments,
        [first, second]: [u16; 2],
        number: u32,
        tally: SharedTally,
    ) -> Result<AcrossClient> {
        Ok(AcrossClient {
            first: PgSession::ready(first).await?,
            second: PgSession::ready(second).await?,
            name: format!("{number}"),
            accounts: arguments.accounts,
            hot: arguments.hot,
            source: TransferSource::new()?,
            count: 0,
            tally,
        })
    }

    /// Transfers until the plan's end.
    async fn run(mut self, plan: BenchPlan) -> Result<()> {
        loop {
            let began = Instant::now();
            if began >= plan.end {
                return Ok(());
            }
            let end = self.transfer().await?;
            self.tally.borrow_mut().count(plan, began, Instant::now(), &end)?;
        }
    }

    async fn transfer(&mut self) -> Result<TransferEnd> {
        self.count += 1;
        let id = format!("{}-{}", self.name, self.count);
        let amount = self.source.amount();
        let amount = if self.source.below(2) == 0 { amount } else { -amount };
        let from = if self.hot { 1 } else { 1 + self.source.below(self.accounts) };
        let to = 1 + self.source.below(self.accounts);
        move_money(&mut self.first, &id, from, -amount)?;
        move_money(&mut self.second, &id, to, amount)?;
        let (first, second) = if self.hot {
            // The transfer that holds the hot row must not wait: in parallel, the two servers would
            // often deadlock.
            let first = self.first.answer().await?;
            (first, self.second.answer().await?)
        } else {
            let (first, second) = tokio::join!(self.first.answer(), self.second.answer());
            (first?, second?)
        };
        let prepared = Instant::now();
        let is_prepared = first.error.is_none() && second.error.is_none();
        for (session, error) in [(&mut self.first, first.error), (&mut self.second, second.error)] {
            match error {
                None if is_prepared => session.query(&format!("COMMIT PREPARED '{id}'"))?,
                None => session.query(&format!("ROLLBACK PREPARED '{id}'"))?,
                // Another transfer holds the row (55P03, 40P01): no error.
                Some(error) if error.starts_with("55P03") || error.starts_with("40P01") => {
                    session.query("ROLLBACK")?;
                }
                Some(error) => bail!("PostgreSQL: {error}"),
            }
        }
        let (first, second) = tokio::join!(self.first.answer(), self.second.answer());
        first?.ok()?;
        second?.ok()?;
        Ok(if is_prepared {
            TransferEnd::Committed { prepared: Some(prepared) }
        } else {
            TransferEnd::NotCommitted
        })
    }
}

/// Queues one server's statements up to its vote, for one write.
fn move_money(session: &mut PgSession, id: &str, account: i32, amount: i64) -> Result<()> {
    session.execute("begin", &[])?;
    session.execute("move", &[&amount.to_be_bytes(), &account.to_be_bytes()])?;
    // The name of a prepared transaction can't be a parameter.
    session.parse("", &format!("PREPARE TRANSACTION '{id}'"))?;
    session.execute("", &[])?;
    session.sync()
}
