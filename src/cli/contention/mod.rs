//! `cliente contention`: many clients fight over few accounts and registers of their own run while
//! consistent cuts are taken all along; then everything that they were told is checked, and there
//! is a verdict.
//!
//! Several runs side by side do not meet: each has its own clients, accounts, registers and ids.

mod report;
mod setup;
mod tally;
mod verify;
mod work;

use super::args::ContentionArguments;
use super::cuts;
use super::failure::Failure;
use super::load::{self, DrivenBy, OnLoss, Plan, Worker, Working};
use super::output::Shown;
use super::progress::Progress;
use super::step_observer::{KnownSoFar, StepObserver};
use super::{Context, asking};
use consorcio_client::{Extent, Reached};
use consorcio_core::ids::TxId;
use consorcio_core::money::Money;
use consorcio_core::wire::answer::PendingAnswer;
use consorcio_core::wire::request::{Read, Request};
use consorcio_steps::steplog::{self, StepLog};
use consorcio_system::id_generator::IdGenerator;
use report::ContentionReport;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tally::ContentionTally;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until};
use work::{ContentionWork, Names, OPENING_DEPOSIT, RunKind};

/// How long after a cut the next one is taken.
const CUT_EVERY: Duration = Duration::from_millis(250);
/// How often who waits is told.
const TOLD_EVERY: Duration = Duration::from_millis(500);
/// Between two looks at the end.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// More that did not add up is not kept.
const BROKEN_KEPT: usize = 20;

type ContentionWorker = Worker<ContentionWork, ContentionTally>;

/// What the end of a run showed.
struct RunEnding {
    /// Why there was no last cut, or why it does not hold.
    last_cut: Result<(), Failure>,
    /// Transactions of this run that some bank still holds undecided.
    pending: Vec<String>,
}

/// Runs it.
pub async fn run(context: &Context, arguments: ContentionArguments) -> Shown {
    match LocalSet::new().run_until(contend(context, &arguments)).await {
        Ok(report) => report.shown(context.paint),
        Err(failure) => failure.into(),
    }
}

async fn contend(
    context: &Context,
    arguments: &ContentionArguments,
) -> Result<ContentionReport, Failure> {
    let no_randomness = |error| Failure::Own(format!("no randomness: {error}"));
    let mut run = IdGenerator::new().map_err(no_randomness)?.now().as_str().to_owned();
    run.truncate(16);
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => getrandom::u64().map_err(no_randomness)?,
    };
    let kind = RunKind {
        names: Names { run },
        banks: asking::these_banks(context, None),
        mix: arguments.mix,
        accounts: arguments.accounts,
        hot: arguments.hot,
        seed,
    };
    load::allow_many_connections();
    let requests = |at| setup::requests(&kind, at);
    load::setup::open_accounts(context, &kind.banks, kind.accounts, requests).await?;
    let progress = Progress::on_terminal();
    let tally = Rc::new(RefCell::new(ContentionTally::default()));
    let begin = std::time::Instant::now();
    let end = begin + Duration::from_secs(arguments.seconds.into());
    let plan = Plan { start: begin, begin, end, rate: arguments.rate, clients: arguments.clients };
    let (workers, logs) = workers(context, arguments, &kind, &tally)?;
    let working = Cell::new(true);
    let working_ref = &working;
    let clients = async {
        let ended = load::run(workers, plan, |error| context.failure(error)).await;
        working_ref.set(false);
        ended
    };
    let watch = async {
        let mut last = None;
        while working.get() {
            // What it showed is counted.
            let _ = one_cut(context, &kind, &mut last, &tally).await;
            sleep(CUT_EVERY).await;
        }
    };
    let tell = async {
        while working.get() {
            let left = end.saturating_duration_since(std::time::Instant::now()).as_secs();
            let told = tally.borrow().in_words();
            context.known.set(format!("interrupted, nothing is checked: {told}"));
            if let Some(progress) = &progress {
                progress.show(&format!("contention, {left} s left: {told}"));
            }
            sleep_until(Instant::now() + TOLD_EVERY).await;
        }
    };
    let (ended, (), ()) = tokio::join!(clients, watch, tell);
    logs.iter().for_each(StepObserver::close);
    ended?;
    let told = std::mem::take(&mut tally.borrow_mut().outcomes);
    let until = Instant::now() + arguments.settle;
    let settled = verify::settle(context, &kind, &told, until, |done, all| {
        if let Some(progress) = &progress {
            progress.show(&format!("contention, asking what became of {done} of {all}"));
        }
    })
    .await;
    let ending = ending(context, &kind, &tally, until).await;
    drop(progress);
    Ok(ContentionReport::new(arguments, &kind, tally.take(), settled, ending, end - begin))
}

/// The clients, and their step logs where they have their own.
fn workers(
    context: &Context,
    arguments: &ContentionArguments,
    kind: &RunKind,
    tally: &Rc<RefCell<ContentionTally>>,
) -> Result<(Vec<ContentionWorker>, Vec<StepObserver>), Failure> {
    let (mut workers, mut logs) = (Vec::new(), Vec::new());
    for number in 0..arguments.clients {
        let mut client = context.client.with_observer(None);
        if arguments.client_logs {
            let steps = client_steps(context, number)?;
            client = context.client.with_observer(Some(Arc::new(steps.clone())));
            logs.push(steps);
        }
        let how = Working {
            number,
            depth: 1,
            driven_by: if arguments.via_bank { DrivenBy::Bank } else { DrivenBy::Client },
            on_loss: OnLoss::GoOn,
        };
        let work = ContentionWork::new(kind, number);
        workers.push(Worker::new(&client, work, how, Rc::clone(tally)));
    }
    Ok((workers, logs))
}

/// The step log of client `number`, counted from 1 as people do.
fn client_steps(context: &Context, number: u32) -> Result<StepObserver, Failure> {
    let name = format!("{}-{}", context.name, number + 1);
    let places = context.client.list().to_texts();
    let options = steplog::Options { places, ..steplog::Options::default() };
    let log = StepLog::open(&StepObserver::path(&context.log_dir, &name), options);
    let log = log.map_err(|error| Failure::Own(error.to_string()))?;
    let steps = StepObserver::new(log, KnownSoFar::default());
    steps.began(&format!("{name} contention"));
    Ok(steps)
}

/// Takes a cut and judges it: all banks' sums, and of this run its registers and the sum of its
/// accounts.
async fn one_cut(
    context: &Context,
    kind: &RunKind,
    last: &mut Option<Reached>,
    tally: &RefCell<ContentionTally>,
) -> Result<(), Failure> {
    let prefix = kind.names.prefix();
    let taken = cuts::take(context, *last, Extent::Named(&prefix)).await;
    let judged = match &taken {
        Ok(taken) => {
            *last = Some(taken.at);
            let own: i128 = taken
                .answers
                .iter()
                .filter_map(|answer| answer.said.as_ref().ok())
                .map(consorcio_audit::BankCut::accounts_total)
                .sum();
            let due = all_money(kind);
            let mut faults = taken.judged.faults.clone();
            if taken.judged.missing.is_empty() && own != due {
                faults.push(format!(
                    "the run's accounts hold {own} centavos together instead of {due}"
                ));
            }
            match faults.first() {
                Some(fault) => {
                    Err(Failure::Own(format!("the cut at {} does not add up: {fault}", taken.time)))
                }
                None => taken.missing().map_or(Ok(()), Err),
            }
        }
        Err(failure) => Err(failure.clone()),
    };
    let mut tally = tally.borrow_mut();
    match &judged {
        Ok(()) => tally.cuts += 1,
        Err(Failure::Own(broken)) => {
            if tally.broken.len() < BROKEN_KEPT {
                tally.broken.push(broken.clone());
            }
        }
        Err(_) => tally.no_cuts += 1,
    }
    judged
}

/// What the run's accounts hold together, always.
fn all_money(kind: &RunKind) -> i128 {
    let Money(each) = OPENING_DEPOSIT;
    i128::from(each) * i128::from(kind.accounts) * kind.banks.len() as i128
}

/// Waits until no bank holds anything undecided of this run, and takes the last cut.
async fn ending(
    context: &Context,
    kind: &RunKind,
    tally: &RefCell<ContentionTally>,
    until: Instant,
) -> RunEnding {
    let mut last = None;
    loop {
        let pending = pending(context, kind).await;
        let last_cut = one_cut(context, kind, &mut last, tally).await;
        let ended = matches!(&pending, Ok(pending) if pending.is_empty()) && last_cut.is_ok();
        // A list that is too short gets no longer by waiting.
        let broken = matches!(last_cut, Err(Failure::Own(_) | Failure::Usage(_)));
        if ended || broken || Instant::now() >= until {
            let last_cut = match &pending {
                Ok(_) => last_cut,
                Err(failure) => last_cut.and(Err(failure.clone())),
            };
            return RunEnding { last_cut, pending: pending.unwrap_or_default() };
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// The ids of this run that some bank holds undecided.
async fn pending(context: &Context, kind: &RunKind) -> Result<Vec<String>, Failure> {
    let request = |after: Option<&str>| {
        // Ids are listed in their order, and this run's begin with its name.
        let after = TxId::new(after.unwrap_or(&kind.names.run))?;
        Ok(Request::Read(Read::Pending { after: Some(after) }))
    };
    let mut found = Vec::new();
    for bank in &kind.banks {
        let listed = context.client.ask_list(*bank, request).await;
        for item in listed.map_err(|error| context.failure(error))? {
            let view: PendingAnswer<'static> = asking::read(context, *bank, item.get())?;
            if view.tx.as_str().starts_with(&kind.names.run) {
                found.push(view.tx.to_string());
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
