//! A `servidor` that is built without the feature `http`: no switch asks for HTTP, and none is
//! served.

use crate::Shared;
use clap::Args;
use consorcio_core::bank::Identity;
use consorcio_node::disk::SyncAge;
use consorcio_steps::steplog::StepLog;
use std::convert::Infallible;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// No switches.
#[derive(Debug, Clone, Args)]
pub struct HttpArgs {}

impl HttpArgs {
    /// HTTP is not served.
    pub fn address(&self) -> Option<&str> {
        None
    }

    /// There is no panel.
    pub fn is_demo(&self) -> bool {
        false
    }

    /// No connections.
    pub fn connections_max(&self) -> usize {
        0
    }
}

/// HTTP's socket, which nobody can have.
pub struct Web(Infallible);

/// What HTTP would be given.
#[expect(dead_code, reason = "there is no HTTP that reads it")]
pub struct Served<'a> {
    /// Which bank.
    pub identity: &'a Identity,
    /// Where it tells its steps.
    pub steplog: &'a StepLog,
    /// Where the step logs of all nodes stand.
    pub log_dir: PathBuf,
    /// How long its disk has been syncing.
    pub sync_age: Arc<SyncAge>,
}

/// HTTP that is served, which nobody can have.
pub struct Running(Infallible);

impl Running {
    /// Never called.
    pub async fn end(self) {
        match self.0 {}
    }
}

impl Web {
    /// Nothing listens.
    ///
    /// # Errors
    /// None.
    pub async fn listen(_: &HttpArgs, _: usize) -> anyhow::Result<Option<Web>> {
        Ok(None)
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn start(self, _: Served<'_>, _: &Rc<Shared>) -> anyhow::Result<Running> {
        match self.0 {}
    }
}
