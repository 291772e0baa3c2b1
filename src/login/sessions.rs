//! Sessions of people who logged in to the panel. Pure: the time and the secrets come in.

use crate::secret::{Fingerprint, Secret};
use consorcio_core::access::Name;
use consorcio_core::ids::Time;
use consorcio_core::limits::{
    PANEL_SESSION_IDLE_MS, PANEL_SESSION_MS, PANEL_SESSIONS_MAX, PANEL_SESSIONS_NAME_MAX,
};
use std::collections::BTreeMap;

/// A session of the panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanelSession {
    /// The name that logged in.
    pub name: Name,
    /// When the password or certificate that it was begun with was made: if `since` of the name is
    /// later, the session does not count.
    pub credential_made: Time,
    /// When the certificate ends that it was begun with, and the session with it; `None` if it was
    /// begun with a password. A new password ends it.
    pub certificate_ends: Option<Time>,
    began_ms: u64,
    used_ms: u64,
}

/// All sessions of one bank's panel, in memory: a restart ends them.
#[derive(Debug, Default)]
pub struct PanelSessions {
    open: BTreeMap<Fingerprint, PanelSession>,
}

impl PanelSessions {
    /// Begins the session of `secret`, and ends the browser's old one. Where a name or the bank has
    /// too many, the one that was idle longest ends, the name's first.
    ///
    /// `now_ms` is of the monotonic clock. It looks at all sessions, `PANEL_SESSIONS_MAX` at most.
    pub fn begin(
        &mut self,
        now_ms: u64,
        secret: &Secret,
        (name, credential_made, certificate_ends): (Name, Time, Option<Time>),
        old: Option<&Secret>,
    ) {
        if let Some(old) = old {
            self.end(old);
        }
        self.open.retain(|_, session| !session.is_over(now_ms));
        let own = self.open.values().filter(|session| session.name == name).count();
        if own >= PANEL_SESSIONS_NAME_MAX {
            self.end_idlest(|session| session.name == name);
        } else if self.open.len() >= PANEL_SESSIONS_MAX {
            self.end_idlest(|_| true);
        }
        let session = PanelSession {
            name,
            credential_made,
            certificate_ends,
            began_ms: now_ms,
            used_ms: now_ms,
        };
        self.open.insert(secret.fingerprint(), session);
    }

    /// The session of `secret`, if it is not over. `is_activity` restarts its idle time; streams
    /// and what pages fetch by themselves are none.
    pub fn find(
        &mut self,
        now_ms: u64,
        secret: &Secret,
        is_activity: bool,
    ) -> Option<&PanelSession> {
        let key = secret.fingerprint();
        if self.open.get(&key)?.is_over(now_ms) {
            self.open.remove(&key);
            return None;
        }
        let session = self.open.get_mut(&key)?;
        if is_activity {
            session.used_ms = now_ms.max(session.used_ms);
        }
        Some(session)
    }

    /// Ends a session: its person logs out.
    pub fn end(&mut self, secret: &Secret) {
        self.open.remove(&secret.fingerprint());
    }

    /// Ends all sessions that no longer count, by `counts`: names that were removed, or whose
    /// passwords no longer count.
    pub fn keep(&mut self, mut counts: impl FnMut(&PanelSession) -> bool) {
        self.open.retain(|_, session| counts(session));
    }

    /// How many there are, over or not.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn end_idlest(&mut self, may_end: impl Fn(&PanelSession) -> bool) {
        let all = self.open.iter().filter(|(_, session)| may_end(session));
        if let Some((key, _)) = all.min_by_key(|(_, session)| session.used_ms) {
            let key = *key;
            self.open.remove(&key);
        }
    }
}

impl PanelSession {
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.began_ms) >= PANEL_SESSION_MS
            || now_ms.saturating_sub(self.used_ms) >= PANEL_SESSION_IDLE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ana() -> Name {
        Name::new("ana").unwrap()
    }

    fn begun(sessions: &mut PanelSessions, now_ms: u64, name: &str) -> Secret {
        let secret = Secret::generate().unwrap();
        sessions.begin(now_ms, &secret, (Name::new(name).unwrap(), Time(1), None), None);
        secret
    }

    #[test]
    fn a_session_ends_when_idle_and_after_its_whole_time() {
        let mut sessions = PanelSessions::default();
        let secret = begun(&mut sessions, 0, "ana");
        assert_eq!(sessions.find(5, &secret, true).unwrap().name, ana());
        assert!(sessions.find(5, &Secret::generate().unwrap(), true).is_none());
        // A stream that looks does not keep it.
        assert!(sessions.find(PANEL_SESSION_IDLE_MS, &secret, false).is_some());
        assert!(sessions.find(PANEL_SESSION_IDLE_MS + 5, &secret, false).is_none());
        assert!(sessions.is_empty());

        let secret = begun(&mut sessions, 0, "ana");
        let every = PANEL_SESSION_IDLE_MS / 2;
        let mut now_ms = 0;
        while now_ms + every < PANEL_SESSION_MS {
            now_ms += every;
            assert!(sessions.find(now_ms, &secret, true).is_some(), "at {now_ms}");
        }
        assert!(sessions.find(PANEL_SESSION_MS, &secret, true).is_none());
    }

    #[test]
    fn a_log_in_ends_the_browsers_old_session_and_log_out_the_new_one() {
        let mut sessions = PanelSessions::default();
        let (old, new) = (begun(&mut sessions, 0, "ana"), Secret::generate().unwrap());
        sessions.begin(1, &new, (ana(), Time(1), None), Some(&old));
        assert!(sessions.find(1, &old, true).is_none() && sessions.find(1, &new, true).is_some());
        sessions.end(&new);
        assert!(sessions.find(1, &new, true).is_none() && sessions.is_empty());
    }

    #[test]
    fn a_name_that_is_removed_has_no_session() {
        let mut sessions = PanelSessions::default();
        let (one, other) = (begun(&mut sessions, 0, "ana"), begun(&mut sessions, 0, "bia"));
        sessions.keep(|session| session.name != ana());
        assert!(sessions.find(1, &one, true).is_none() && sessions.find(1, &other, true).is_some());
    }

    #[test]
    fn one_name_cannot_take_the_sessions_of_others() {
        let mut sessions = PanelSessions::default();
        let bia = begun(&mut sessions, 0, "bia");
        let all: Vec<Secret> = (1..=PANEL_SESSIONS_NAME_MAX as u64 + 3)
            .map(|now_ms| begun(&mut sessions, now_ms, "ana"))
            .collect();
        assert_eq!(sessions.len(), PANEL_SESSIONS_NAME_MAX + 1);
        assert!(sessions.find(9, &bia, true).is_some());
        assert!(sessions.find(9, &all[2], true).is_none(), "the one that was idle longest ends");
        assert!(sessions.find(9, &all[3], true).is_some());
        let mut number = 0;
        while sessions.len() < PANEL_SESSIONS_MAX {
            number += 1;
            begun(&mut sessions, 100, &format!("n{number}x"));
        }
        begun(&mut sessions, 100, "carla");
        assert_eq!(sessions.len(), PANEL_SESSIONS_MAX);
    }
}
