//! Opens the socket and the step log of a bank, and reports the recovery of its journal.

use crate::args::{ServerOptions, Switch};
use crate::listen::bind;
use crate::recover::OpenedBank;
use anyhow::Context;
use consorcio_core::bank::Identity;
use consorcio_core::limits::LISTEN_BACKLOG;
use consorcio_steps::steplog::{self, Step, StepLog};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;
use tracing::{info, warn};

pub(super) async fn listen(options: &ServerOptions) -> anyhow::Result<TcpListener> {
    let address = options.own_address();
    bind(&address).await.map_err(|error| {
        let (port, error) = (options.port, anyhow::Error::new(error));
        match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::AddrInUse) => error.context(format!(
                "port {port} is taken; another one is given by --port (and --consortium)"
            )),
            Some(ErrorKind::PermissionDenied) => {
                error.context(format!("port {port} is not allowed; another one is given by --port"))
            }
            Some(_) | None => {
                error.context(format!("can't listen on {address}; see --host and --port"))
            }
        }
    })
}

/// Warns if the kernel's limit of the backlog is lower than ours. Not every system shows it.
pub(super) fn warn_of_backlog(steplog: &StepLog) {
    let Ok(text) = std::fs::read_to_string("/proc/sys/net/core/somaxconn") else { return };
    if let Some(text) = text.trim().parse().ok().and_then(backlog_warning) {
        warn!("{text}");
        steplog.record(Step::Fault(text.into()));
    }
}

fn backlog_warning(somaxconn: u32) -> Option<String> {
    (somaxconn < LISTEN_BACKLOG).then(|| {
        format!(
            "the kernel queues {somaxconn} connections and not {LISTEN_BACKLOG}: of a larger \
             burst some wait a second; sysctl net.core.somaxconn={LISTEN_BACKLOG} allows all"
        )
    })
}

pub(super) fn steplog_path(options: &ServerOptions) -> std::path::PathBuf {
    options.log_dir.join(format!("servidor-{}.log", options.port))
}

pub(super) fn open_steplog(
    options: &ServerOptions,
    identity: &Identity,
) -> anyhow::Result<StepLog> {
    let path = steplog_path(options);
    if options.log_steps == Switch::On {
        steplog::make_folder(&options.log_dir)
            .with_context(|| format!("the folder {}", options.log_dir.display()))?;
    }
    let log_options = steplog::StepLogOptions {
        on: options.log_steps == Switch::On,
        bytes_max: options.log_max_size,
        keep: options.log_keep,
        transactions: options.log_transactions,
        format: consorcio_system::logging::format(),
        places: identity.places.clone(),
    };
    Ok(StepLog::open(&path, log_options)?)
}

/// Passes messages of the journal's threads and the clock to the operator and the step log.
pub(super) fn notice(steplog: &StepLog) -> consorcio_journal::NoticeSink {
    let steplog = steplog.clone();
    Arc::new(move |text| {
        warn!("{text}");
        steplog.record(Step::Fault(text.into()));
    })
}

/// Reports the recovery to the operator and the step log.
pub(super) fn report_recovery(opened: &OpenedBank, began: Instant, steplog: &StepLog) {
    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let undecided = opened.core.undecided();
    let recovered = &opened.recovered;
    for warning in &recovered.warnings {
        warn!("{warning}");
        steplog.record(Step::Fault(warning.as_str().into()));
    }
    if !recovered.fresh {
        let records = recovered.records;
        info!(records, undecided, took_us, "recovered {recovered}; {undecided} undecided");
    }
    steplog.record(Step::Recover {
        records: recovered.records,
        seq: opened.core.seq(),
        undecided,
        took_us,
        text: recovered.to_string().into(),
    });
}

/// Writes a file so that readers see all of it or none. Refuses to replace a device or a link.
pub(super) fn write_atomically(path: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(std::io::Error::other("it is there, and no regular file; name another one"));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let aside = path.with_file_name(name);
    std::fs::write(&aside, text)?;
    std::fs::rename(&aside, path)
}

/// Random bytes that identify this run of the bank.
pub(super) fn fresh_run() -> anyhow::Result<[u8; 16]> {
    let mut run = [0; 16];
    getrandom::fill(&mut run)
        .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_kernel_backlog_causes_a_warning() {
        assert_eq!(backlog_warning(LISTEN_BACKLOG), None);
        let text = backlog_warning(128).unwrap();
        assert!(text.contains("128") && text.contains("somaxconn=4096"), "{text}");
    }
}
