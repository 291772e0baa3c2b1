//! The clock by which a bank judges certificates.

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

/// The bank's own clock, which follows the machine's only as far as the bank does: a wall clock
/// that jumps ends no certificate. Clones show the same time.
#[derive(Debug, Clone, Default)]
pub struct CertificateClock(Arc<AtomicI64>);

impl CertificateClock {
    /// A clock that shows `now_us`, in microseconds since 1970.
    pub fn at(now_us: i64) -> CertificateClock {
        CertificateClock(Arc::new(AtomicI64::new(now_us)))
    }

    /// Where the bank sets its present time, in microseconds since 1970.
    pub fn cell(&self) -> Arc<AtomicI64> {
        Arc::clone(&self.0)
    }

    /// The time that it shows, in microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

impl TimeProvider for CertificateClock {
    fn current_time(&self) -> Option<UnixTime> {
        let now_us = u64::try_from(self.now_us()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(now_us)))
    }
}
