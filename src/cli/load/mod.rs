//! The load generator: many clients at a time, each with a driver of its own. `bench` and
//! `contention` configure it: what is asked for, what is counted, and what the loss of a
//! connection means.

mod plan;
pub mod setup;
mod worker;

use super::failure::Failure;
pub use plan::Plan;
use tokio::task::{JoinHandle, spawn_local};
pub use worker::{
    Begun, DrivenBy, LoadEnd, LoadRequest, LoadTally, OnLoss, Worker, Working, Workload,
};

/// Has all workers work until the plan's end and leave.
///
/// # Errors
/// What ended the first of them early, in the words of `failure`.
pub async fn run<W: Workload + 'static, T: LoadTally + 'static>(
    workers: Vec<Worker<W, T>>,
    plan: Plan,
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

/// Thousands of connections need more files than a shell usually allows; what can't be had shows
/// when connecting.
pub fn allow_many_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
