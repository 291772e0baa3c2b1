//! The limit of open files: if it is low, the server has fewer sessions, or does not start.

use crate::ServerBounds;
use consorcio_core::limits::{
    CLIENTS_MIN, FILES_BESIDE_SESSIONS_MAX, FILES_BESIDE_SESSIONS_MIN, HTTP_CONNECTIONS_MIN,
    SESSIONS_OF_BANK_MIN,
};
use rustix::process::{Resource, getrlimit, setrlimit};

/// How the allowed open files are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shares {
    sessions: u64,
    for_banks: u64,
    http: u64,
}

/// Raises the limit of open files to what `bounds` and `http` connections need. If fewer are
/// allowed, reduces both, and returns a message about it.
///
/// # Errors
/// When too few are allowed to serve anyone; the text has the number that is needed.
pub(crate) fn fit(
    bounds: &mut ServerBounds,
    http: &mut usize,
    others: usize,
) -> Result<Option<String>, String> {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let wanted = Shares {
        sessions: wide(bounds.sessions),
        for_banks: wide(bounds.for_banks),
        http: wide(*http),
    };
    let needed = wanted.sessions + wanted.http + FILES_BESIDE_SESSIONS_MAX;
    let allowed = raise_limit(needed);
    let Some(shares) = share(wanted, wide(others), allowed)? else { return Ok(None) };
    let narrow = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let reduced = format!(
        "only {allowed} open files are allowed, so there are places for {} sessions and not for \
         {}{}; \
         ulimit -n {needed} allows all",
        shares.sessions,
        wanted.sessions,
        if wanted.http > shares.http {
            format!(", and for {} HTTP connections", shares.http)
        } else {
            String::new()
        },
    );
    (bounds.sessions, bounds.for_banks, *http) =
        (narrow(shares.sessions), narrow(shares.for_banks), narrow(shares.http));
    Ok(Some(reduced))
}

/// Raises the limit as far as needed and allowed; returns the new limit.
fn raise_limit(needed: u64) -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return limit.current.unwrap_or(u64::MAX);
    }
    limit.current = Some(limit.maximum.map_or(needed, |maximum| maximum.min(needed)));
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.current.unwrap_or(needed),
        Err(_) => getrlimit(Resource::Nofile).current.unwrap_or(needed),
    }
}

/// Divides `allowed` files, with `others` other banks; `None` if all get what they want.
fn share(wanted: Shares, others: u64, allowed: u64) -> Result<Option<Shares>, String> {
    if allowed >= wanted.sessions + wanted.http + FILES_BESIDE_SESSIONS_MAX {
        return Ok(None);
    }
    let for_banks_min = (SESSIONS_OF_BANK_MIN * others).min(wanted.for_banks);
    let http_min = HTTP_CONNECTIONS_MIN.min(wanted.http);
    let least =
        FILES_BESIDE_SESSIONS_MIN + for_banks_min + CLIENTS_MIN.min(wanted.sessions) + http_min;
    if allowed < least {
        return Err(format!(
            "only {allowed} open files are allowed, and a bank needs {least} to serve anybody; \
             ulimit -n {} allows all that it may want",
            wanted.sessions + wanted.http + FILES_BESIDE_SESSIONS_MAX
        ));
    }
    // HTTP and the other files get a part each, sessions the rest.
    let spare = allowed - least;
    let others_share = (FILES_BESIDE_SESSIONS_MIN + spare / 4).min(FILES_BESIDE_SESSIONS_MAX);
    let http = (http_min + spare / 4).min(wanted.http);
    let sessions = (allowed - others_share - http).min(wanted.sessions);
    let for_clients = CLIENTS_MIN.min(wanted.sessions);
    let for_banks = (sessions / 4)
        .min(sessions.saturating_sub(for_clients))
        .clamp(for_banks_min, wanted.for_banks.max(for_banks_min))
        .min(sessions - 1);
    Ok(Some(Shares { sessions, for_banks, http }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Shares = Shares { sessions: 10_000, for_banks: 64, http: 1_024 };

    #[test]
    fn a_high_limit_changes_nothing() {
        assert_eq!(share(WANTED, 2, 20_000), Ok(None));
        assert_eq!(share(WANTED, 2, 10_000 + 1_024 + 512), Ok(None));
    }

    #[test]
    fn every_limit_serves_clients_or_is_refused() {
        let mut refused = 0;
        for others in [0, 2, 15] {
            for http in [0, 1_024] {
                let wanted = Shares { http, ..WANTED };
                for allowed in 0..12_000 {
                    let Ok(shares) = share(wanted, others, allowed) else {
                        refused += 1;
                        assert!(allowed < 256, "{allowed} files are enough");
                        continue;
                    };
                    let Shares { sessions, for_banks, http } = shares.unwrap_or(wanted);
                    assert!(sessions - for_banks >= CLIENTS_MIN, "{allowed}: {shares:?}");
                    assert!(for_banks >= 2 * others, "{allowed}: {shares:?}");
                    assert!(http >= HTTP_CONNECTIONS_MIN.min(wanted.http), "{allowed}: {shares:?}");
                    assert!(
                        sessions + http + FILES_BESIDE_SESSIONS_MIN <= allowed,
                        "{allowed}: {shares:?}"
                    );
                }
            }
        }
        assert!(refused > 0);
    }

    #[test]
    fn the_usual_limit_leaves_most_sessions_to_clients() {
        let shares = share(WANTED, 2, 1_024).unwrap().unwrap();
        assert!(shares.sessions - shares.for_banks > 300 && shares.http > 200, "{shares:?}");
        let small = Shares { sessions: 10, for_banks: 2, http: 0 };
        let shares = share(small, 1, 300).unwrap().unwrap();
        assert_eq!((shares.sessions, shares.for_banks), (10, 2), "{shares:?}");
    }
}
