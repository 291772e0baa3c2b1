//! The load generator: many concurrent clients, each with a driver of its own. `bench` and
//! `contention` provide the workload, the counters, and the reaction to a lost connection.

mod plan;
pub(crate) mod setup;
mod worker;

use super::failure::Failure;
pub(crate) use plan::LoadPlan;
use tokio::task::{JoinHandle, spawn_local};
pub(crate) use worker::{
    DrivenBy, LoadEnd, LoadRequest, LoadTally, OnLoss, StartedRequest, Worker, WorkerOptions,
    Workload,
};

/// Runs all workers until the end of the plan.
///
/// # Errors
/// The failure of the first worker that ended early.
pub(crate) async fn run<W: Workload + 'static, T: LoadTally + 'static>(
    workers: Vec<Worker<W, T>>,
    plan: LoadPlan,
    failure: impl Fn(consorcio_client::ClientError) -> Failure,
) -> Result<(), Failure> {
    if let Some(rate) = plan.rate {
        plan::wake_when_due(plan, rate, workers.iter().map(Worker::waker).collect());
    }
    let running: Vec<JoinHandle<_>> =
        workers.into_iter().map(|worker| spawn_local(worker.run(plan))).collect();
    for worker in running {
        let ended = worker.await.map_err(|error| {
            Failure::Own(format!("a client of the load ended before its time: {error}"))
        })?;
        ended.map_err(&failure)?;
    }
    Ok(())
}

/// Raises the limit of open files as far as allowed, for thousands of connections. If it is too
/// low, connecting fails.
pub(crate) fn allow_many_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
