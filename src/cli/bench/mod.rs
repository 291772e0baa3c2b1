//! `cliente bench`: loads running banks with many clients, in a closed or an open loop, and checks
//! that money is conserved. It opens clients and accounts of its own, the same ones in every run.

mod own;
mod report;
mod setup;
mod tally;
mod work;

use super::args::{BenchArguments, BenchKind};
use super::failure::Failure;
use super::language::{say, word};
use super::load::{self, DrivenBy, LoadPlan, OnLoss, Worker, WorkerOptions};
use super::output::CommandOutput;
use super::progress::Progress;
use super::{Context, overview, requests};
use consorcio_client::{BankClock, latest};
use consorcio_core::ids::BankId;
use consorcio_core::limits::PROGRESS_EVERY_MS;
use consorcio_system::id_generator::now_ms;
use own::{BANKS as OWN_BANKS, OwnBanks};
use report::{BenchReport, Figures};
use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tally::BenchCounts;
use tokio::task::LocalSet;
use work::BenchWork;

const PROGRESS_EVERY: Duration = Duration::from_millis(PROGRESS_EVERY_MS);

/// Runs a benchmark: at banks of its own, or, after confirmation, at those of the list.
pub(crate) async fn run(context: &Context, arguments: BenchArguments) -> CommandOutput {
    let measured = async {
        check(context, &arguments)?;
        if !arguments.own {
            confirm(context, &arguments)?;
            return measure(context, &arguments).await;
        }
        let own = OwnBanks::start()?;
        let context = context.at(own.consortium.clone());
        measure(&context, &arguments).await
    };
    match LocalSet::new().run_until(measured).await {
        Ok(report) => report.output(context.paint),
        Err(failure) => failure.into(),
    }
}

/// The number of banks of the benchmark.
fn banks(context: &Context, arguments: &BenchArguments) -> usize {
    if arguments.own { OWN_BANKS } else { context.client.banks().len() }
}

/// Asks for confirmation: the accounts and their money stay in the books of running banks.
fn confirm(context: &Context, arguments: &BenchArguments) -> Result<(), Failure> {
    if arguments.yes {
        return Ok(());
    }
    let changes = setup::permanent_changes(
        arguments.accounts,
        banks(context, arguments),
        arguments.kind == BenchKind::Set,
    );
    let refused = || {
        Failure::Usage(say!(
            "this leaves {changes}, permanently: type --yes if that is meant, or --own for \
             banks of its own that go afterwards"
                / "isto deixa {changes}, para sempre: digite --yes se é o que quer, ou --own \
                   para bancos próprios que somem depois"
        ))
    };
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(refused());
    }
    let mut stderr = io::stderr().lock();
    let question = say!(
        "cliente: this leaves {changes}, permanently (--own brings banks of its own). Type yes \
         to go on: "
            / "cliente: isto deixa {changes}, para sempre (--own traz bancos próprios). Digite \
               sim para seguir: "
    );
    let asked = write!(stderr, "{question}");
    let mut typed = String::new();
    let read = asked.and_then(|()| stderr.flush()).and_then(|()| io::stdin().read_line(&mut typed));
    if read.is_ok() && ["yes", "sim"].contains(&typed.trim()) { Ok(()) } else { Err(refused()) }
}

/// Rejects contradictory arguments before anything is sent.
fn check(context: &Context, arguments: &BenchArguments) -> Result<(), Failure> {
    let banks = banks(context, arguments);
    let banks_min = match arguments.kind {
        BenchKind::Transfer => 2,
        BenchKind::Composite => 3,
        BenchKind::Set | BenchKind::Single => 1,
    };
    if banks < banks_min {
        let kind = arguments.kind.as_str();
        return Err(Failure::Usage(say!(
            "--kind {kind} needs {banks_min} banks, there are {banks}"
                / "--kind {kind} precisa de {banks_min} bancos, e há {banks}"
        )));
    }
    if arguments.kind == BenchKind::Single && arguments.accounts < 2 {
        return Err(Failure::Usage("--kind single needs --accounts 2 at least".into()));
    }
    if arguments.hot && arguments.kind != BenchKind::Transfer {
        return Err(Failure::Usage("--hot is about --kind transfer".into()));
    }
    Ok(())
}

async fn measure(context: &Context, arguments: &BenchArguments) -> Result<BenchReport, Failure> {
    let banks = requests::these_banks(context, None);
    if arguments.kind != BenchKind::Set {
        load::setup::open_accounts(context, &banks, arguments.accounts, setup::requests).await?;
    }
    let mut runs = Vec::new();
    for run in 1..=arguments.runs {
        let before = cut(context, &banks).await?;
        let (tally, elapsed) = load(context, arguments, &banks, run).await?;
        let after = cut(context, &banks).await?;
        runs.push(Figures::new(arguments, tally, elapsed, &before, &after));
    }
    Ok(BenchReport::new(arguments, runs))
}

/// The sums of all banks as of now, by the latest of their clocks.
async fn cut(context: &Context, banks: &[BankId]) -> Result<overview::MoneySums, Failure> {
    let mut clocks = Vec::new();
    for bank in banks {
        let info = context.client.info(*bank).await;
        clocks.push(BankClock::of(&info.map_err(|error| context.failure(error))?));
    }
    let none = || Failure::Own("a consortium has a bank".into());
    overview::cut(context, latest(clocks.into_iter()).ok_or_else(none)?).await
}

async fn load(
    context: &Context,
    arguments: &BenchArguments,
    banks: &[BankId],
    run: u32,
) -> Result<(BenchCounts, Duration), Failure> {
    load::allow_many_connections();
    let tally = Rc::new(RefCell::new(BenchCounts::default()));
    let client = context.client.with_observer(None);
    let failure = |error| context.failure(error);
    let accounts = (0..arguments.accounts).map(setup::account).collect();
    let mut workers = Vec::new();
    for number in 0..arguments.clients {
        let work = BenchWork::new(banks, &accounts, arguments, number, context.client.name())
            .map_err(|error| Failure::Own(format!("no randomness: {error}")))?;
        let options = WorkerOptions {
            number,
            depth: usize::try_from(arguments.depth()).unwrap_or(1),
            driven_by: if arguments.via_bank { DrivenBy::Bank } else { DrivenBy::Client },
            on_loss: OnLoss::End,
        };
        let mut worker = Worker::new(&client, work, options, Rc::clone(&tally));
        worker.connect().await.map_err(failure)?;
        workers.push(worker);
    }
    let start = Instant::now();
    let begin = start + Duration::from_secs(arguments.warmup.into());
    let end = begin + Duration::from_secs(arguments.seconds.into());
    tally.borrow_mut().from_ms = now_ms() + u64::from(arguments.warmup) * 1_000;
    let plan = LoadPlan { start, begin, end, clients: arguments.clients, rate: arguments.rate };
    let progress =
        tokio::task::spawn_local(show_progress(Rc::clone(&tally), plan, (run, arguments.runs)));
    let ended = load::run(workers, plan, failure).await;
    progress.abort();
    // The task is cancelled where it waits, and clears its line.
    let _ = progress.await;
    ended?;
    Ok((tally.take(), end - begin))
}

/// Shows the progress of a run, until the task is cancelled.
async fn show_progress(tally: Rc<RefCell<BenchCounts>>, plan: LoadPlan, (run, runs): (u32, u32)) {
    let Some(progress) = Progress::on_terminal() else { return };
    let mut before = 0;
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        let in_time = tally.borrow().in_time;
        let now = Instant::now();
        let state = if now < plan.begin {
            word!("warming up" / "aquecendo").to_owned()
        } else {
            let left = plan.end.saturating_duration_since(now).as_secs();
            let per_s = in_time.saturating_sub(before).saturating_mul(2);
            say!("{per_s}/s, {left} s left" / "{per_s}/s, faltam {left} s")
        };
        before = in_time;
        progress.show(&say!(
            "bench, run {run} of {runs}: {state}" / "medição, rodada {run} de {runs}: {state}"
        ));
    }
}
