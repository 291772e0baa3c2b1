//! Who somebody is over HTTP, in closed mode: programs by bearer tokens, people by sessions of the
//! panel.
//!
//! JSON routes take a token or a client certificate and no cookie; pages take the cookie alone, as
//! a browser sends its certificate along with the requests of every site.

use axum::http::{HeaderMap, header};
use consorcio_core::access::{Access, Name};
use consorcio_core::ids::{BankId, Time};
use consorcio_login::{
    Busy, CREDENTIALS_FILE, CookieNames, CredentialError, Credentials, KnownBrowsers, LogInTries,
    PanelSessions, PasswordHasher, Secret, TooManyTries, TryWeight, cookie_value, set_cookie,
    unset_cookie,
};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

/// Log-ins and credentials of one bank; clones are the same.
#[derive(Debug, Clone)]
pub struct LogIns(Arc<LogInState>);

#[derive(Debug)]
struct LogInState {
    file: PathBuf,
    names: CookieNames,
    began: Instant,
    credentials: RwLock<Arc<Credentials>>,
    tries: Mutex<LogInTries>,
    sessions: Mutex<PanelSessions>,
    hasher: PasswordHasher,
    known: KnownBrowsers,
}

/// Somebody who has logged in to the panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// Whose session it is.
    pub name: Name,
    /// What the forms of the session send back.
    pub form_token: String,
}

impl Person {
    /// Is this the token of the session's forms? Compares hashes, which takes a constant time.
    pub(crate) fn has_form_token(&self, shown: &str) -> bool {
        blake3::hash(self.form_token.as_bytes()) == blake3::hash(shown.as_bytes())
    }
}

/// Why a log-in fails. None says which of name and password was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogInFailure {
    /// Wrong name or password, or a name that ended.
    Wrong,
    /// The name or the address has tried too often.
    TooMany(TooManyTries),
    /// Too many at once.
    Busy,
    /// The system has no randomness.
    System,
}

/// What a browser gets when its person has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedIn {
    /// The headers that set them: of the session, and of the names of this browser.
    pub cookies: [String; 2],
}

/// How somebody proves a name to the panel.
#[derive(Debug)]
pub(crate) enum LogInProof<'a> {
    /// By a password, which is checked against its hash.
    Password(&'a str),
    /// By the browser's certificate, made at the first time and ending at the second.
    Certificate(Time, Time),
}

impl LogIns {
    /// Reads the credentials of `bank` in `folder`, and starts the thread that checks passwords.
    /// `secret` are bytes that only this bank has, such as the key of its certificate.
    ///
    /// # Errors
    /// If the file can't be read, or the system has no thread or no randomness.
    pub fn open(folder: &Path, bank: BankId, secret: &[u8]) -> Result<LogIns, CredentialError> {
        let file = folder.join(CREDENTIALS_FILE);
        let credentials = Credentials::read(&file)?;
        let hasher = PasswordHasher::start()
            .map_err(|error| CredentialError::Io { path: file.clone(), error })?;
        Ok(LogIns(Arc::new(LogInState {
            file,
            names: CookieNames::of(bank),
            began: Instant::now(),
            credentials: RwLock::new(Arc::new(credentials)),
            tries: Mutex::default(),
            sessions: Mutex::default(),
            hasher,
            known: KnownBrowsers::new(secret, bank),
        })))
    }

    /// Reads the credentials again, and ends the sessions of names and passwords that no longer
    /// count by `access`.
    ///
    /// # Errors
    /// If the file can't be read; then the former credentials stay in force.
    pub fn reload(&self, access: &Access) -> Result<(), CredentialError> {
        let read = Credentials::read(&self.0.file);
        if let Ok(credentials) = &read {
            let new = Arc::new(credentials.clone());
            *self.0.credentials.write().unwrap_or_else(PoisonError::into_inner) = new;
        }
        let credentials = self.credentials();
        self.sessions().keep(|session| {
            let replaced = session.certificate_ends.is_none()
                && credentials
                    .password_of(&session.name)
                    .is_none_or(|password| password.made != session.credential_made);
            counts(access, &session.name, session.credential_made) && !replaced
        });
        read.map(drop)
    }

    /// The name that the bearer token of a request proves; `None` if it has none, or one that does
    /// not count.
    pub(crate) fn program(&self, headers: &HeaderMap, access: &Access, now: Time) -> Option<Name> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return None;
        }
        let secret = Secret::parse(token.trim())?;
        let credentials = self.credentials();
        let found = credentials.of_token(&secret, now)?;
        counts(access, found.value, found.made).then(|| found.value.clone())
    }

    /// Who logged in with the browser that sent this request. `is_activity` restarts the idle time.
    pub(crate) fn person(
        &self,
        headers: &HeaderMap,
        (access, now): (&Access, Time),
        is_activity: bool,
    ) -> Option<Person> {
        let secret = self.session_of(headers)?;
        let mut sessions = self.sessions();
        let session = sessions.find(self.now_ms(), &secret, is_activity)?;
        let person = Person { name: session.name.clone(), form_token: secret.form_token() };
        let has_ended = session.certificate_ends.is_some_and(|ends| now >= ends);
        (!has_ended && counts(access, &session.name, session.credential_made)).then_some(person)
    }

    /// The token for the form to log in, and the cookie that it goes with.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub(crate) fn entry(
        &self,
        headers: &HeaderMap,
    ) -> Result<(String, Option<String>), LogInFailure> {
        if let Some(secret) = self.secret_in(headers, &self.0.names.entry) {
            return Ok((secret.form_token(), None));
        }
        let secret = Secret::generate().map_err(|_| LogInFailure::System)?;
        Ok((secret.form_token(), Some(set_cookie(&self.0.names.entry, &secret.reveal()))))
    }

    /// Has the form to log in with this token been made for the browser of the request?
    pub(crate) fn is_own_entry(&self, headers: &HeaderMap, token: &str) -> bool {
        let entry = self.secret_in(headers, &self.0.names.entry);
        entry.is_some_and(|secret| secret.has_form_token(token))
    }

    /// Logs in. A name that does not exist takes as long as a wrong password.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn log_in(
        &self,
        headers: &HeaderMap,
        address: IpAddr,
        (name, proof): (&str, LogInProof<'_>),
        access: &Access,
        now: Time,
    ) -> Result<LoggedIn, LogInFailure> {
        // What is no name gets the same answer as a wrong one.
        let legal = Name::new(name).ok();
        let known = self.cookie(headers, &self.0.names.known);
        let is_known = legal.as_ref().is_some_and(|name| {
            let since = access.grant(name.as_str()).and_then(|grant| grant.since);
            self.0.known.knows(known.as_deref(), name, since.unwrap_or_default(), now)
        });
        let made = match proof {
            LogInProof::Certificate(made, ends) => (now < ends).then_some(made),
            LogInProof::Password(password) => {
                let weight = if is_known { TryWeight::KnownBrowser } else { TryWeight::Stranger };
                self.tries()
                    .count(self.now_ms(), legal.as_ref(), address, weight)
                    .map_err(LogInFailure::TooMany)?;
                let (hash, made) = legal
                    .as_ref()
                    .and_then(|name| {
                        let credentials = self.credentials();
                        let found = credentials.password_of(name)?;
                        Some((found.value.to_owned(), found.made))
                    })
                    .unzip();
                let fits = self.0.hasher.check(address, password.to_owned(), hash).await;
                if fits.map_err(|Busy| LogInFailure::Busy)? { made } else { None }
            }
        };
        let (Some(name), Some(made)) = (legal, made) else { return Err(LogInFailure::Wrong) };
        if !counts(access, &name, made) {
            return Err(LogInFailure::Wrong);
        }
        let ends = match proof {
            LogInProof::Password(_) => None,
            LogInProof::Certificate(_, ends) => Some(ends),
        };
        let secret = Secret::generate().map_err(|_| LogInFailure::System)?;
        let old = self.session_of(headers);
        let remembered = self.0.known.remember(&self.0.names, known.as_deref(), &name, now);
        self.sessions().begin(self.now_ms(), &secret, (name, made, ends), old.as_ref());
        Ok(LoggedIn { cookies: [set_cookie(&self.0.names.session, &secret.reveal()), remembered] })
    }

    /// Ends the session of the request; returns the header that removes its cookie.
    pub(crate) fn log_out(&self, headers: &HeaderMap) -> String {
        if let Some(secret) = self.session_of(headers) {
            self.sessions().end(&secret);
        }
        unset_cookie(&self.0.names.session)
    }

    fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.0.credentials.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn tries(&self) -> MutexGuard<'_, LogInTries> {
        self.0.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, PanelSessions> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn session_of(&self, headers: &HeaderMap) -> Option<Secret> {
        self.secret_in(headers, &self.0.names.session)
    }

    fn secret_in(&self, headers: &HeaderMap, name: &str) -> Option<Secret> {
        self.cookie(headers, name).and_then(|value| Secret::parse(&value))
    }

    fn cookie(&self, headers: &HeaderMap, name: &str) -> Option<String> {
        let given = headers.get_all(header::COOKIE).iter();
        cookie_value(given.filter_map(|value| value.to_str().ok()), name).map(str::to_owned)
    }
}

/// Does a credential of `name` count that was made at this time? Not one of a name that is not
/// listed, has ended, or was made before the name's `since`.
pub(crate) fn counts(access: &Access, name: &Name, made: Time) -> bool {
    access
        .grant(name.as_str())
        .is_some_and(|grant| !grant.gone && grant.since.is_none_or(|since| made >= since))
}
