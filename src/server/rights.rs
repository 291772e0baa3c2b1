//! Who may do what at this bank, in closed mode: `access.toml` is read at the start and at SIGHUP,
//! the bank gets it as an input, and sessions of names that have ended are ended.

use crate::ServerState;
use crate::chain::chain;
use crate::session_table::{SessionEnd, SessionPeer};
use consorcio_core::access::{Access, Denied, Principal};
use consorcio_core::bank::io::Input;
use consorcio_core::ids::Time;
use consorcio_core::limits::CERTIFICATE_EARLY_MINUTES;
use consorcio_steps::steplog::{Step, StepLog};
use consorcio_system::config::access::{ACCESS_FILE, AccessError, read_access};
use consorcio_tls::BankTls;
use std::sync::Arc;
use tracing::{info, warn};

/// What this bank grants; `None` in open mode.
///
/// # Errors
/// When `access.toml` can't be read, or a line of it is at fault.
pub(crate) fn open(tls: Option<&BankTls>) -> Result<Option<Access>, AccessError> {
    tls.map(read).transpose()
}

/// Reads the file again. One at fault changes nothing, and is told.
pub(crate) fn reload(tls: Option<&BankTls>, shared: &ServerState, steplog: &StepLog) {
    let Some(tls) = tls else { return };
    let text = match read(tls) {
        Ok(access) => {
            let names = access.grants().len();
            let text = format!("{ACCESS_FILE} is read again: it lists {names} names");
            info!("{text}");
            shared.grant(access);
            text
        }
        Err(error) => {
            let why = chain(&error.into());
            let text = format!("what was granted before stays in force: {why}");
            warn!("{text}");
            text
        }
    };
    // Told last: who reads that in the log finds it done.
    shared.reload_log_ins(steplog);
    steplog.record(Step::Fault(text.into()));
}

fn read(tls: &BankTls) -> Result<Access, AccessError> {
    read_access(&tls.folder().join(ACCESS_FILE))
}

impl ServerState {
    /// Reads tokens and passwords again, and ends the sessions of the panel that no longer count. A
    /// file at fault changes nothing but that, and is told.
    fn reload_log_ins(&self, steplog: &StepLog) {
        let access = Arc::clone(&self.access.borrow());
        let read = self.log_ins.borrow().as_ref().map(|log_ins| log_ins.reload(&access));
        if let Some(Err(error)) = read {
            let why = chain(&error.into());
            let text = format!("the tokens and passwords of before stay in force: {why}");
            warn!("{text}");
            steplog.record(Step::Fault(text.into()));
        }
    }

    /// Names have these rights from here on: in the sessions, and in the bank. Ends the sessions of
    /// names that were taken out or have ended, and those whose certificates do not count any more.
    /// Runs over all sessions.
    pub(crate) fn grant(&self, access: Access) {
        let access = Arc::new(access);
        let before = self.access.replace(Arc::clone(&access));
        self.http_access.set(Arc::clone(&access));
        self.inbox.offer(Input::AccessChanged(Arc::clone(&access)));
        for entry in self.sessions.borrow().iter() {
            let was_taken_out = match &entry.principal {
                Principal::Named(name) => {
                    before.lists(name.as_str()) && !access.lists(name.as_str())
                }
                Principal::Operator | Principal::Bank(_) => false,
            };
            let made = made_at(entry.certificate_begin_us);
            if was_taken_out || access.admits(&entry.principal, made).is_err() {
                entry.end(SessionEnd::NameEnded);
            }
        }
    }

    /// Whether a connection gets a session, by its name and by when its certificate was made.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn admits(&self, end: &SessionPeer) -> Result<(), Denied> {
        self.access.borrow().admits(&end.principal, made_at(end.certificate_begin_us))
    }
}

/// When a certificate was made that counts from `begin_us` on.
fn made_at(begin_us: i64) -> Time {
    Time(begin_us.saturating_add(CERTIFICATE_EARLY_MINUTES * 60_000_000))
}
