//! A `servidor` that is built without the feature `http`: no switch asks for HTTP, and none is
//! served.

use crate::ServerState;
use clap::Args;
use consorcio_core::bank::Identity;
use consorcio_node::disk::SyncAge;
use consorcio_steps::steplog::StepLog;
use std::convert::Infallible;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

pub use {NoHttpArgs as HttpArgs, NoRunning as Running, NoServed as Served, NoWeb as Web};

/// Without HTTP there are no switches.
#[derive(Debug, Clone, Args)]
pub struct NoHttpArgs {}

impl NoHttpArgs {
    /// HTTP is not served.
    pub fn address(&self) -> Option<&str> {
        None
    }

    /// There is no panel.
    pub fn is_demo(&self) -> bool {
        false
    }

    /// HTTP takes no connection.
    pub fn connections_max(&self) -> usize {
        0
    }
}

/// HTTP's socket, which nobody can have.
pub struct NoWeb(Infallible);

/// What HTTP would be given.
#[expect(dead_code, reason = "there is no HTTP that reads it")]
pub struct NoServed<'a> {
    /// The bank that would be served.
    pub identity: &'a Identity,
    /// Where it tells its steps.
    pub steplog: &'a StepLog,
    /// Where the step logs of all nodes stand.
    pub log_dir: PathBuf,
    /// How long its disk has been syncing.
    pub sync_age: Arc<SyncAge>,
}

/// HTTP that is served, which nobody can have.
pub struct NoRunning(Infallible);

impl NoRunning {
    /// Never called, as there is no value.
    pub async fn end(self) {
        match self.0 {}
    }
}

impl NoWeb {
    /// Nothing listens.
    ///
    /// # Errors
    /// None.
    pub async fn listen(_: &NoHttpArgs, _: usize) -> anyhow::Result<Option<NoWeb>> {
        Ok(None)
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn start(self, _: NoServed<'_>, _: &Rc<ServerState>) -> anyhow::Result<NoRunning> {
        match self.0 {}
    }
}
