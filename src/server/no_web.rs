//! Stands in for `web.rs` in a build without the feature `http`: there are no switches, and HTTP is
//! never served.

use crate::ServerState;
use clap::Args;
use consorcio_core::access::Access;
use consorcio_core::bank::Identity;
use consorcio_node::SyncAge;
use consorcio_steps::steplog::StepLog;
use consorcio_tls::BankTls;
use std::convert::Infallible;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use {
    NoHttpArgs as HttpArgs, NoHttpSocket as HttpSocket, NoHttpThread as HttpThread,
    NoLogIns as LogIns, NoServedBank as ServedBank,
};

/// The switches of HTTP: none in this build.
#[derive(Debug, Clone, Args)]
pub(crate) struct NoHttpArgs {}

impl NoHttpArgs {
    /// HTTP is not served.
    pub(crate) fn address(&self) -> Option<&str> {
        None
    }

    /// There is no panel.
    pub(crate) fn is_demo(&self) -> bool {
        false
    }

    /// There are no names.
    pub(crate) fn has_hosts(&self) -> bool {
        false
    }

    /// HTTP takes no connection.
    pub(crate) fn connections_max(&self) -> usize {
        0
    }
}

/// The socket of HTTP; this type has no value.
pub(crate) struct NoHttpSocket(Infallible);

/// The parameters that HTTP would get.
#[expect(dead_code, reason = "this build has no HTTP that reads it")]
pub(crate) struct NoServedBank<'a> {
    /// The bank that HTTP would serve.
    pub identity: &'a Identity,
    /// The step log of the bank.
    pub steplog: &'a StepLog,
    /// The folder with the step logs of all nodes.
    pub log_dir: PathBuf,
    /// The age of the sync under way.
    pub sync_age: Arc<SyncAge>,
    /// The TLS of the bank, in closed mode.
    pub tls: Option<&'a BankTls>,
}

/// Tokens and passwords, which lines don't take; this type has no value.
#[derive(Debug)]
pub(crate) struct NoLogIns(Infallible);

impl NoLogIns {
    /// Reads nothing.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn reload(&self, _: &Access) -> Result<(), Infallible> {
        match self.0 {}
    }
}

/// The running HTTP; this type has no value.
pub(crate) struct NoHttpThread(Infallible);

impl NoHttpThread {
    /// Never called, since there is no value.
    pub(crate) async fn end(self) {
        match self.0 {}
    }
}

impl NoHttpSocket {
    /// Listens on no socket.
    ///
    /// # Errors
    /// None.
    pub(crate) async fn listen(_: &NoHttpArgs, _: usize) -> anyhow::Result<Option<NoHttpSocket>> {
        Ok(None)
    }

    /// Never called, since there is no value.
    ///
    /// # Errors
    /// None.
    pub(crate) fn start(
        self,
        _: NoServedBank<'_>,
        _: &Rc<ServerState>,
    ) -> anyhow::Result<NoHttpThread> {
        match self.0 {}
    }
}
