//! A client that keeps several transfers under way on one connection to one server.

use crate::ComparisonArguments;
use crate::tally::{BenchPlan, SharedTally, TransferEnd, TransferSource};
use anyhow::{Context, Result};
use std::collections::VecDeque;
use std::time::Instant;

/// A connection that answers transfers in their order.
pub trait TransferPipe {
    /// Queues a transfer between two accounts of the server.
    fn queue(&mut self, from: i32, to: i32, amount: i64) -> Result<()>;

    /// Sends what is queued in one write, and waits for answers: one or more.
    async fn answers(&mut self) -> Result<Vec<TransferEnd>>;
}

/// Runs all clients, each on one of `pipes`, until the plan's end.
pub async fn run_all<P: TransferPipe + 'static>(
    arguments: &ComparisonArguments,
    pipes: Vec<P>,
    tally: &SharedTally,
) -> Result<()> {
    let plan = BenchPlan::now(arguments);
    let mut running = Vec::new();
    for pipe in pipes {
        let (depth, accounts) = (usize::try_from(arguments.depth)?, arguments.accounts);
        let client = run(pipe, plan, depth, accounts, tally.clone());
        running.push(tokio::task::spawn_local(client));
    }
    for client in running {
        client.await??;
    }
    Ok(())
}

async fn run<P: TransferPipe>(
    mut pipe: P,
    plan: BenchPlan,
    depth: usize,
    accounts: i32,
    tally: SharedTally,
) -> Result<()> {
    let mut source = TransferSource::new()?;
    let mut under_way = VecDeque::with_capacity(depth);
    loop {
        let began = Instant::now();
        while began < plan.end && under_way.len() < depth {
            let (from, to) = source.pair(accounts);
            pipe.queue(from, to, source.amount())?;
            under_way.push_back(began);
        }
        if under_way.is_empty() {
            return Ok(());
        }
        let answers = pipe.answers().await?;
        let ended = Instant::now();
        for end in &answers {
            let began = under_way.pop_front().context("an answer to no transfer")?;
            tally.borrow_mut().count(plan, began, ended, end)?;
        }
    }
}
