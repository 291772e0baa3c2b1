//! Closed mode: opens the files of `--tls`, reads them again on SIGHUP, and warns before a
//! certificate ends.

use crate::args::ServerOptions;
use crate::chain::chain;
use consorcio_core::ids::BankId;
use consorcio_core::limits::{CERTIFICATE_CHECK_MS, CERTIFICATE_WARNED_DAYS, DAY_US};
use consorcio_steps::steplog::{Step, StepLog};
use consorcio_system::systime;
use consorcio_tls::{BankTls, CertificateClock, date};
use std::time::Duration;
use tokio::time::interval;
use tracing::{info, warn};

/// The TLS of a bank in closed mode; `None` in open mode.
///
/// # Errors
/// When a file of the folder can't be used; the text names it.
pub(crate) fn open(options: &ServerOptions, bank: BankId) -> anyhow::Result<Option<BankTls>> {
    let Some(folder) = &options.tls else { return Ok(None) };
    let clock = CertificateClock::at(systime::wall_us());
    Ok(Some(BankTls::open(folder, bank, clock)?))
}

/// Reads the folder again. What can't be used changes nothing, and is told.
pub(crate) fn reload(tls: Option<&BankTls>, steplog: &StepLog) {
    let Some(tls) = tls else { return };
    match tls.reload() {
        Ok(()) => {
            let folder = tls.folder().display();
            let text = format!("the certificates and keys in {folder} are read again");
            info!("{text}");
            steplog.record(Step::Fault(text.into()));
            warn_of_end(tls, steplog);
        }
        Err(error) => {
            let why = chain(&error.into());
            let text = format!("what was read before stays in force: {why}");
            warn!("{text}");
            steplog.record(Step::Fault(text.into()));
        }
    }
}

/// Warns each day while a certificate of this bank ends soon; runs until it is cancelled.
pub(crate) async fn warn_in_time(tls: BankTls, steplog: StepLog) {
    let mut due = interval(Duration::from_millis(CERTIFICATE_CHECK_MS));
    loop {
        due.tick().await;
        warn_of_end(&tls, &steplog);
    }
}

/// Warns if a certificate of this bank ends soon.
fn warn_of_end(tls: &BankTls, steplog: &StepLog) {
    if let Some(text) = soon(tls.end_us(), tls.clock().now_us()) {
        warn!("{text}");
        steplog.record(Step::Fault(text.into()));
    }
}

/// The warning of a certificate that ends soon.
fn soon(end_us: i64, now_us: i64) -> Option<String> {
    let days = end_us.saturating_sub(now_us).div_euclid(DAY_US);
    (days < CERTIFICATE_WARNED_DAYS).then(|| {
        let end = date(end_us);
        format!(
            "the certificate of this bank ends in {days} days, at {end}; make another one, and \
             SIGHUP makes it read"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_thirty_days_before_its_end() {
        let end_us = 1_800_000_000_000_000;
        assert_eq!(soon(end_us, end_us - 30 * DAY_US), None);
        let text = soon(end_us, end_us - 30 * DAY_US + 1).expect("a warning");
        assert!(text.contains("in 29 days, at 2027-01-15 08:00:00 UTC"), "{text}");
    }
}
