//! `cliente contention`: many clients contend for few accounts and registers, while consistent cuts
//! are taken; then every outcome that a client knows is verified, and there is a verdict.
//!
//! Concurrent runs do not interfere: each has its own clients, accounts, registers and ids.

mod charts;
mod history;
mod html;
mod report;
mod setup;
mod style;
mod tally;
mod verify;
mod work;

use super::args::ContentionArguments;
use super::cuts;
use super::failure::Failure;
use super::language::say;
use super::load::{self, DrivenBy, LoadPlan, OnLoss, Worker, WorkerOptions};
use super::output::CommandOutput;
use super::progress::Progress;
use super::step_observer::{InterruptNotice, StepObserver};
use super::{Context, requests};
use consorcio_client::{BankClock, Extent};
use consorcio_core::ids::TxId;
use consorcio_core::limits::{
    CONTENTION_CUT_EVERY_MS, CONTENTION_FAULTS_KEPT_MAX, CONTENTION_RETRY_PAUSE_MS,
    PROGRESS_EVERY_MS,
};
use consorcio_core::money::Money;
use consorcio_core::wire::answer::PendingAnswer;
use consorcio_core::wire::request::{Read, Request};
use consorcio_steps::steplog::{self, StepLog};
use consorcio_system::id_generator::IdGenerator;
use history::RunHistory;
use report::ContentionReport;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tally::ContentionTally;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, sleep_until};
use work::{ContentionWork, OPENING_DEPOSIT, RunNames, RunParameters};

const CUT_EVERY: Duration = Duration::from_millis(CONTENTION_CUT_EVERY_MS);
const PROGRESS_EVERY: Duration = Duration::from_millis(PROGRESS_EVERY_MS);
const RETRY_PAUSE: Duration = Duration::from_millis(CONTENTION_RETRY_PAUSE_MS);

type ContentionWorker = Worker<ContentionWork, ContentionTally>;

/// The state of the banks after a run.
struct RunEnding {
    /// Why there is no last cut, or why it does not add up.
    last_cut: Result<(), Failure>,
    /// Transactions of this run that a bank still holds undecided.
    pending: Vec<String>,
}

/// Runs the command and reports its result.
pub(crate) async fn run(context: &Context, arguments: ContentionArguments) -> CommandOutput {
    match LocalSet::new().run_until(contend(context, &arguments)).await {
        Ok(report) => report.output(context.paint),
        Err(failure) => failure.into(),
    }
}

async fn contend(
    context: &Context,
    arguments: &ContentionArguments,
) -> Result<ContentionReport, Failure> {
    let parameters = run_parameters(context, arguments)?;
    load::allow_many_connections();
    let requests = |at| setup::requests(&parameters, at);
    load::setup::open_accounts(context, &parameters.banks, parameters.accounts, requests).await?;
    let progress = Progress::on_terminal();
    let mut page = arguments.html.as_deref().map(html::PageFile::open).transpose()?;
    let tally = Rc::new(RefCell::new(ContentionTally::default()));
    let begin = std::time::Instant::now();
    let end = begin + Duration::from_secs(arguments.seconds.into());
    let plan =
        LoadPlan { start: begin, begin, end, rate: arguments.rate, clients: arguments.clients };
    tally.borrow_mut().history = page.as_ref().map(|_| RunHistory::new(plan));
    let (workers, logs) = workers(context, arguments, &parameters, &tally)?;
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
            // Its result is counted.
            let _ = one_cut(context, &parameters, &mut last, &tally).await;
            sleep(CUT_EVERY).await;
        }
    };
    let show_progress = async {
        while working.get() {
            let left = end.saturating_duration_since(std::time::Instant::now()).as_secs();
            let counts = tally.borrow().in_words();
            context.interrupt_notice.set(say!(
                "interrupted, nothing is checked: {counts}"
                    / "interrompida, nada foi conferido: {counts}"
            ));
            if let Some(progress) = &progress {
                progress.show(&say!(
                    "contention, {left} s left: {counts}" / "disputa, faltam {left} s: {counts}"
                ));
            }
            sleep_until(Instant::now() + PROGRESS_EVERY).await;
        }
    };
    let (ended, (), ()) = tokio::join!(clients, watch, show_progress);
    logs.iter().for_each(StepObserver::close);
    ended?;
    let outcomes = std::mem::take(&mut tally.borrow_mut().outcomes);
    let until = Instant::now() + arguments.settle;
    let verification = verify::verify(context, &parameters, &outcomes, until, |done, all| {
        if let Some(progress) = &progress {
            progress.show(&say!(
                "contention, asking what became of {done} of {all}"
                    / "disputa, perguntando o resultado de {done} de {all}"
            ));
        }
    })
    .await;
    let ending = ending(context, &parameters, &tally, until).await;
    drop(progress);
    let mut tally = tally.take();
    let history = tally.history.take();
    let report =
        ContentionReport::new(arguments, &parameters, tally, verification, ending, end - begin);
    if let (Some(page), Some(history)) = (&mut page, &history) {
        page.write(&report, history, &context.log_dir)?;
    }
    Ok(report)
}

/// The parameters of a run, with a new name, and a new seed if none is given.
fn run_parameters(
    context: &Context,
    arguments: &ContentionArguments,
) -> Result<RunParameters, Failure> {
    let no_randomness = |error| Failure::Own(format!("no randomness: {error}"));
    let mut run = IdGenerator::new().map_err(no_randomness)?.now().as_str().to_owned();
    run.truncate(16);
    if let Some(owner) = context.client.name() {
        run = format!("{owner}.{run}");
    }
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => getrandom::u64().map_err(no_randomness)?,
    };
    Ok(RunParameters {
        names: RunNames { run },
        banks: requests::these_banks(context, None),
        mix: arguments.mix,
        accounts: arguments.accounts,
        hot: arguments.hot,
        seed,
    })
}

/// The clients, and their step logs if they have their own.
fn workers(
    context: &Context,
    arguments: &ContentionArguments,
    parameters: &RunParameters,
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
        let options = WorkerOptions {
            number,
            depth: 1,
            driven_by: if arguments.via_bank { DrivenBy::Bank } else { DrivenBy::Client },
            on_loss: OnLoss::GoOn,
        };
        let work = ContentionWork::new(parameters, number);
        workers.push(Worker::new(&client, work, options, Rc::clone(tally)));
    }
    Ok((workers, logs))
}

/// The step log of client `number`; names count from 1.
fn client_steps(context: &Context, number: u32) -> Result<StepObserver, Failure> {
    let name = format!("{}-{}", context.name, number + 1);
    let places = context.client.list().to_texts();
    let format = consorcio_system::logging::format();
    let options = steplog::StepLogOptions { format, places, ..steplog::StepLogOptions::default() };
    let log = StepLog::open(&StepObserver::path(&context.log_dir, &name), options);
    let log = log.map_err(|error| Failure::Own(error.to_string()))?;
    let steps = StepObserver::new(log, InterruptNotice::default());
    steps.began(&name, ["contention"]);
    Ok(steps)
}

/// Takes a cut and checks it: the sums of all banks, and the registers and the sum of the accounts
/// of this run.
async fn one_cut(
    context: &Context,
    parameters: &RunParameters,
    last: &mut Option<BankClock>,
    tally: &RefCell<ContentionTally>,
) -> Result<(), Failure> {
    let prefix = parameters.names.prefix();
    let taken = cuts::take(context, *last, Extent::Named(&prefix)).await;
    let judged = match &taken {
        Ok(taken) => {
            *last = Some(taken.at);
            let own: i128 = taken
                .answers
                .iter()
                .filter_map(|answer| answer.result.as_ref().ok())
                .map(consorcio_audit::BankCut::accounts_total)
                .sum();
            let expected = all_money(parameters);
            let mut faults = taken.judged.faults.clone();
            if taken.judged.missing.is_empty() && own != expected {
                faults.push(format!(
                    "the run's accounts hold {own} centavos together instead of {expected}"
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
            if tally.broken.len() < CONTENTION_FAULTS_KEPT_MAX {
                tally.broken.push(broken.clone());
            }
        }
        Err(_) => tally.no_cuts += 1,
    }
    judged
}

/// The constant sum of the run's accounts.
fn all_money(parameters: &RunParameters) -> i128 {
    let Money(each) = OPENING_DEPOSIT;
    i128::from(each) * i128::from(parameters.accounts) * parameters.banks.len() as i128
}

/// Waits until no bank holds a transaction of this run undecided, and takes the last cut.
async fn ending(
    context: &Context,
    parameters: &RunParameters,
    tally: &RefCell<ContentionTally>,
    until: Instant,
) -> RunEnding {
    let mut last = None;
    loop {
        let pending = pending(context, parameters).await;
        let last_cut = one_cut(context, parameters, &mut last, tally).await;
        let ended = matches!(&pending, Ok(pending) if pending.is_empty()) && last_cut.is_ok();
        // Retrying does not help if the list is too short.
        let broken = matches!(last_cut, Err(Failure::Own(_) | Failure::Usage(_)));
        if ended || broken || Instant::now() >= until {
            let last_cut = match &pending {
                Ok(_) => last_cut,
                Err(failure) => last_cut.and(Err(failure.clone())),
            };
            return RunEnding { last_cut, pending: pending.unwrap_or_default() };
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// The ids of this run that a bank holds undecided.
async fn pending(context: &Context, parameters: &RunParameters) -> Result<Vec<String>, Failure> {
    let request = |after: Option<&str>| {
        // Lists are in the order of ids, and ids of this run begin with its name.
        let after = TxId::new(after.unwrap_or(&parameters.names.run))?;
        Ok(Request::Read(Read::Pending { after: Some(after) }))
    };
    let mut found = Vec::new();
    for bank in &parameters.banks {
        let listed = context.client.ask_list(*bank, request).await;
        for item in listed.map_err(|error| context.failure(error))? {
            let view: PendingAnswer<'static> = requests::read(context, *bank, item.get())?;
            if view.tx.as_str().starts_with(&parameters.names.run) {
                found.push(view.tx.to_string());
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
