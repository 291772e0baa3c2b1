//! `cliente bench`: many clients against running banks in a closed or an open loop, what was measured, and whether
//! all money is still there. It opens clients and accounts of its own, the same ones in every run.

mod pace;
mod report;
mod setup;
mod tally;
mod work;
mod worker;

use super::args::{BenchArguments, Kind};
use super::failure::Failure;
use super::output::Shown;
use super::progress::Progress;
use super::{Context, asking, overview};
use crate::ids::{BankId, Time};
use crate::wire::request::Request;
use pace::Plan;
use report::{Figures, Report};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tally::Tally;
use tokio::sync::mpsc::channel;
use tokio::task::LocalSet;
use work::Work;
use worker::Worker;

/// Progress is told this often: twice a second.
const TOLD_EVERY: Duration = Duration::from_millis(500);

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
    if arguments.hot && arguments.kind != Kind::Transfer {
        return Err(Failure::Usage("--hot is about --kind transfer".into()));
    }
    if arguments.kind != Kind::Set {
        setup::open_accounts(context, &banks, arguments.accounts).await?;
    }
    let mut runs = Vec::new();
    for run in 1..=arguments.runs {
        let before = cut(context, &banks).await?;
        let (tally, elapsed) = load(context, arguments, &banks, run).await?;
        let after = cut(context, &banks).await?;
        runs.push(Figures::new(arguments, tally, elapsed, &before, &after));
    }
    Ok(Report::new(arguments, runs))
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
    run: u32,
) -> Result<(Tally, Duration), Failure> {
    allow_many_connections();
    let tally = Rc::new(RefCell::new(Tally::default()));
    let (mut workers, mut wakers) = (Vec::new(), Vec::new());
    for number in 0..arguments.clients {
        let work = Work::new(banks, arguments, number)
            .map_err(|error| Failure::Own(format!("no randomness: {error}")))?;
        let (waker, wake) = channel(1);
        wakers.push(waker);
        let place = (number, wake);
        workers.push(Worker::connect(context, banks, work, arguments, place, Rc::clone(&tally)).await?);
    }
    let start = Instant::now();
    let begin = start + Duration::from_secs(arguments.warmup.into());
    let end = begin + Duration::from_secs(arguments.seconds.into());
    let plan = Plan { start, begin, end, clients: arguments.clients, rate: arguments.rate };
    if let Some(rate) = arguments.rate {
        pace::wake_when_due(plan, rate, wakers);
    }
    let running: Vec<_> =
        workers.into_iter().map(|worker| tokio::task::spawn_local(worker.run(plan))).collect();
    let told = tokio::task::spawn_local(tell_progress(Rc::clone(&tally), plan, (run, arguments.runs)));
    let mut ended = Ok(());
    for worker in running {
        let one = worker.await;
        ended =
            ended.and(one.unwrap_or_else(|error| {
                Err(Failure::Own(format!("a client of the benchmark died: {error}")))
            }));
        if ended.is_err() {
            break;
        }
    }
    told.abort();
    // It ends where it waits, and clears its line.
    let _ = told.await;
    ended?;
    Ok((tally.take(), end - begin))
}

/// Says how far it is, twice a second, until it is stopped.
async fn tell_progress(tally: Rc<RefCell<Tally>>, plan: Plan, (run, runs): (u32, u32)) {
    let Some(progress) = Progress::on_terminal() else { return };
    let mut before = 0;
    loop {
        tokio::time::sleep(TOLD_EVERY).await;
        let in_time = tally.borrow().in_time;
        let now = Instant::now();
        let what = if now < plan.begin {
            "warming up".to_owned()
        } else {
            let left = plan.end.saturating_duration_since(now).as_secs();
            format!("{}/s, {left} s left", in_time.saturating_sub(before).saturating_mul(2))
        };
        before = in_time;
        progress.show(&format!("bench, run {run} of {runs}: {what}"));
    }
}

/// Thousands of connections need more files than a shell usually allows; what can't be had shows when connecting.
pub fn allow_many_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
