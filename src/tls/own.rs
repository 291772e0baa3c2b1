//! What the side that dials shows, for the sentences about a refusal of it.

use crate::certificate::Certificate;
use consorcio_core::access::Name;
use rustls::time_provider::TimeProvider;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What this side shows.
pub(crate) struct Own {
    pub(crate) name: Name,
    pub(crate) folder: PathBuf,
    pub(crate) certificate: Certificate,
    pub(crate) clock: Arc<dyn TimeProvider>,
}

impl Own {
    pub(crate) fn now_us(&self) -> i64 {
        let now = self.clock.current_time().map_or(0, |now| now.as_secs());
        i64::try_from(now).unwrap_or(0).saturating_mul(1_000_000)
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Own({})", self.name)
    }
}
