//! `cliente bench`: a closed loop of many clients against running banks, what it measured, and whether all money
//! is still there. It opens clients and accounts of its own, the same ones in every run.

mod report;
mod setup;
mod work;
mod worker;

use super::args::{BenchArguments, Kind};
use super::failure::Failure;
use super::output::Shown;
use super::{Context, asking, overview};
use crate::ids::{BankId, Time};
use crate::wire::request::Request;
use report::{Report, Tally};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;
use work::Work;
use worker::{Plan, Worker};

/// Runs a benchmark.
pub async fn run(context: &Context, arguments: BenchArguments) -> Shown {
    match LocalSet::new().run_until(measure(context, &arguments)).await {
        Ok(report) => report.shown(context.paint),
        Err(failure) => failure.into(),
    }
}

async fn measure(context: &Context, arguments: &BenchArguments) -> Result<Report, Failure> {
    let banks = asking::these_banks(context, None);
    let least = match arguments.kind {
        Kind::Transfer => 2,
        Kind::Composite => 3,
        Kind::Set | Kind::Single => 1,
    };
    if banks.len() < least {
        let kind = arguments.kind.as_str();
        return Err(Failure::Usage(format!("--kind {kind} needs {least} banks, there are {}", banks.len())));
    }
    if arguments.kind == Kind::Single && arguments.accounts < 2 {
        return Err(Failure::Usage("--kind single needs --accounts 2 at least".into()));
    }
    if arguments.kind != Kind::Set {
        setup::open_accounts(context, &banks, arguments.accounts).await?;
    }
    let before = cut(context, &banks).await?;
    let (tally, elapsed) = load(context, arguments, &banks).await?;
    let after = cut(context, &banks).await?;
    Ok(Report::new(arguments, tally, elapsed, &before, &after))
}

/// All banks as of now, by the latest of their clocks.
async fn cut(context: &Context, banks: &[BankId]) -> Result<overview::Cut, Failure> {
    #[derive(serde::Deserialize)]
    struct Clock {
        time: Time,
    }
    let mut latest = Time::default();
    for bank in banks {
        let json = asking::ask(context, *bank, &Request::Info).await?;
        latest = latest.max(asking::read::<Clock>(*bank, &json)?.time);
    }
    overview::cut(context, latest).await
}

async fn load(
    context: &Context,
    arguments: &BenchArguments,
    banks: &[BankId],
) -> Result<(Tally, Duration), Failure> {
    allow_many_connections();
    let tally = Rc::new(RefCell::new(Tally::default()));
    let mut workers = Vec::new();
    for number in 0..arguments.clients {
        let work = Work::new(banks, arguments, number)
            .map_err(|error| Failure::Own(format!("no randomness: {error}")))?;
        workers.push(Worker::connect(context, banks, work, arguments, Rc::clone(&tally)).await?);
    }
    let begin = Instant::now() + Duration::from_secs(arguments.warmup.into());
    let end = begin + Duration::from_secs(arguments.seconds.into());
    let plan = Plan { begin, end };
    let running: Vec<_> =
        workers.into_iter().map(|worker| tokio::task::spawn_local(worker.run(plan))).collect();
    for worker in running {
        worker.await.map_err(|error| Failure::Own(format!("a client of the benchmark died: {error}")))??;
    }
    let tally = tally.take();
    Ok((tally, end - begin))
}

/// Thousands of connections need more files than a shell usually allows; what can't be had shows when connecting.
fn allow_many_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
