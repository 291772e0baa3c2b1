//! Credentials of people and programs over HTTP, in closed mode.
//!
//! A program shows a bearer token, a person logs in to the panel with a name and a password, and
//! gets a session. Which name has which rights is not known here; that is `core::access`.

#![warn(unreachable_pub)]

mod cookie;
mod file;
mod hasher;
mod known;
mod secret;
mod sessions;
mod tries;

pub use cookie::{CookieNames, cookie_value, set_cookie, unset_cookie};
pub use file::{CREDENTIALS_FILE, CredentialError, Credentials, Dated};
pub use hasher::{Busy, PasswordHasher, hash_password};
pub use known::KnownBrowsers;
pub use secret::{Fingerprint, Secret};
pub use sessions::{PanelSession, PanelSessions};
pub use tries::{LogInTries, TooManyTries, TryWeight};
