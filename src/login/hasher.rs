//! Passwords, hashed by argon2id on a thread of their own.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use consorcio_core::limits::{
    PASSWORD_HASH_LANES, PASSWORD_HASH_MEMORY_KIB, PASSWORD_HASH_PASSES,
    PASSWORD_HASHES_WAITING_MAX,
};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Checks passwords, one at a time; at most `PASSWORD_HASHES_WAITING_MAX` wait, one of an address.
#[derive(Debug, Clone)]
pub struct PasswordHasher {
    checks: SyncSender<Check>,
    /// Addresses that wait or are at work.
    busy: Arc<Mutex<BTreeSet<IpAddr>>>,
}

/// Too many passwords wait for their check, or one of this address does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many log-ins at once: try again in a second")]
pub struct Busy;

struct Check {
    address: IpAddr,
    password: String,
    /// `None` for a name without a password: it costs the same as a wrong one.
    hash: Option<String>,
    fits: oneshot::Sender<bool>,
}

fn argon2() -> Argon2<'static> {
    let params =
        Params::new(PASSWORD_HASH_MEMORY_KIB, PASSWORD_HASH_PASSES, PASSWORD_HASH_LANES, None)
            .expect("the parameters are within the algorithm's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The text that is kept of a password: a PHC string with its salt and parameters. It takes tens of
/// milliseconds.
///
/// # Errors
/// If the system has no randomness.
pub fn hash_password(password: &str) -> io::Result<String> {
    let other = |error: argon2::password_hash::Error| io::Error::other(error.to_string());
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| io::Error::other(error.to_string()))?;
    let salt = SaltString::encode_b64(&salt).map_err(other)?;
    Ok(argon2().hash_password(password.as_bytes(), &salt).map_err(other)?.to_string())
}

impl PasswordHasher {
    /// Starts the thread; it ends with the last handle.
    ///
    /// # Errors
    /// If the system has no thread or no randomness.
    pub fn start() -> io::Result<PasswordHasher> {
        let (hasher, received) = PasswordHasher::with_queue();
        let nobody = hash_password("")?;
        let at_work = Arc::clone(&hasher.busy);
        std::thread::Builder::new()
            .name("passwords".into())
            .spawn(move || run(&received, &nobody, &at_work))?;
        Ok(hasher)
    }

    /// A hasher and the queue that its thread takes checks from.
    fn with_queue() -> (PasswordHasher, Receiver<Check>) {
        let (checks, received) = sync_channel(PASSWORD_HASHES_WAITING_MAX);
        (PasswordHasher { checks, busy: Arc::default() }, received)
    }

    /// Whether `password` is the one that `hash` was made of. With no hash the answer is no, after
    /// the same work.
    ///
    /// # Errors
    /// If too many checks wait, or one of this address.
    pub async fn check(
        &self,
        address: IpAddr,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, Busy> {
        if !self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(address) {
            return Err(Busy);
        }
        let (fits, fitted) = oneshot::channel();
        match self.checks.try_send(Check { address, password, hash, fits }) {
            Ok(()) => fitted.await.map_err(|_| Busy),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
                Err(Busy)
            }
        }
    }
}

fn run(checks: &Receiver<Check>, nobody: &str, busy: &Mutex<BTreeSet<IpAddr>>) {
    for Check { address, password, hash, fits } in checks {
        // Nobody waits for it any more if the connection was closed.
        let fitted = !fits.is_closed() && {
            let known = hash.is_some();
            let hash = PasswordHash::new(hash.as_deref().unwrap_or(nobody));
            known
                & hash
                    .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
        };
        // Before the answer: who has it may try again at once.
        busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
        let _ = fits.send(fitted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(number: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, number).into()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn only_the_right_password_fits_and_an_unknown_name_has_none() {
        let hasher = PasswordHasher::start().unwrap();
        let hash = hash_password("segredo de ana").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hash_password("segredo de ana").unwrap(), "each has a salt of its own");
        let fits = |password: &str, hash: Option<&str>| {
            block_on(hasher.check(address(1), password.into(), hash.map(Into::into))).unwrap()
        };
        assert!(fits("segredo de ana", Some(&hash)));
        assert!(!fits("segredo de Ana", Some(&hash)));
        assert!(!fits("", Some(&hash)));
        assert!(!fits("segredo de ana", Some("no hash")));
        assert!(!fits("", None), "not even the password that the unknown name is checked with");
    }

    #[test]
    fn an_address_waits_once_and_the_queue_is_bounded() {
        // The thread starts after the queue was filled, so no speed of a machine counts.
        let (hasher, received) = PasswordHasher::with_queue();
        block_on(async {
            let check = |number| hasher.check(address(number), "x".into(), None);
            let mut waiting: Vec<_> = (0..200).map(|number| Box::pin(check(number))).collect();
            let mut refused = 0;
            std::future::poll_fn(|cx| {
                for one in &mut waiting {
                    if one.as_mut().poll(cx) == std::task::Poll::Ready(Err(Busy)) {
                        refused += 1;
                    }
                }
                std::task::Poll::Ready(())
            })
            .await;
            assert_eq!(refused, 200 - PASSWORD_HASHES_WAITING_MAX, "the others wait");
            assert_eq!(check(0).await, Err(Busy), "it waits already");

            let nobody = hash_password("").unwrap();
            let at_work = Arc::clone(&hasher.busy);
            std::thread::spawn(move || run(&received, &nobody, &at_work));
            for one in waiting.drain(..PASSWORD_HASHES_WAITING_MAX) {
                assert_eq!(one.await, Ok(false));
            }
            assert_eq!(check(0).await, Ok(false), "once answered an address may ask again");
        });
    }
}
