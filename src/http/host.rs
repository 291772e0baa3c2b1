//! Host names: parses a `Host` header, and checks whether it names this server.

use std::net::IpAddr;

/// A host without port, brackets and trailing dot, in lower case.
pub(crate) fn bare_host(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

/// Is the host an IP address, which no DNS answer can redirect, a name of loopback, or a name that
/// the operator configured?
pub(crate) fn is_own(host: &str, on_loopback: bool, hosts: &[String]) -> bool {
    let name = bare_host(host);
    let is_loopback_name = || name == "localhost" || name.ends_with(".localhost");
    name.parse::<IpAddr>().is_ok() || hosts.contains(&name) || (on_loopback && is_loopback_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_configured_name() {
        let given = ["painel.example".to_owned()];
        for yes in [
            "localhost",
            "LOCALHOST:5030",
            "127.0.0.1:5030",
            "[::1]:5030",
            "10.0.0.7",
            "a.localhost:1",
        ] {
            assert!(is_own(yes, true, &[]), "{yes}");
        }
        for no in [
            "evil.example",
            "evil.example:5030",
            "localhost.evil.example",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_own(no, true, &given) && !is_own(no, false, &given), "{no}");
        }
        assert!(
            is_own("Painel.Example.:80", false, &given) && !is_own("painel.example", false, &[])
        );
        assert!(!is_own("localhost:5030", false, &given), "it is not on loopback");
    }
}
