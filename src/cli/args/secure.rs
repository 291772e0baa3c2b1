//! How a command shows who it is, to banks in closed mode.

use super::EVERYWHERE;
use crate::failure::Failure;
use clap::Args;
use consorcio_core::access::Name;
use consorcio_tls::TlsDialer;
use std::path::PathBuf;

/// The switches of every command for banks in closed mode.
#[derive(Debug, Clone, Args)]
pub(crate) struct SecureArguments {
    /// Folder with NAME.crt and NAME.key of --as, and ca-banks.crt: connects over TLS.
    #[arg(
        long,
        global = true,
        help_heading = EVERYWHERE,
        env = "CONSORCIO_TLS",
        value_name = "DIR",
    )]
    pub tls: Option<PathBuf>,
    /// The name of this client's certificate in the folder of --tls.
    #[arg(
        long = "as",
        global = true,
        help_heading = EVERYWHERE,
        env = "CONSORCIO_AS",
        value_name = "NAME",
    )]
    pub shown_as: Option<Name>,
}

impl SecureArguments {
    /// What connects over TLS; `None` for banks in open mode.
    ///
    /// # Errors
    /// If one of both switches is missing, or the files can't be used.
    pub(crate) fn dialer(&self) -> Result<Option<TlsDialer>, Failure> {
        match (&self.tls, &self.shown_as) {
            (None, None) => Ok(None),
            (Some(folder), Some(name)) => {
                let opened = TlsDialer::open(folder, name);
                opened.map(Some).map_err(|error| Failure::Own(error.to_string()))
            }
            (Some(_), None) => Err(Failure::Usage(
                "--tls needs --as NAME: the name whose certificate is shown".to_owned(),
            )),
            (None, Some(_)) => Err(Failure::Usage(
                "--as needs --tls DIR: the folder with the certificate of that name".to_owned(),
            )),
        }
    }
}
