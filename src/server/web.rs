//! Starts HTTP: its switches, its socket and its options. `consorcio_http` has the routes.
//!
//! Without the feature `http`, `no_web.rs` stands in for this file.

use crate::listen::{address, bind};
use crate::{ServerState, inside};
use anyhow::Context;
use axum::http::HeaderValue;
use clap::Args;
use consorcio_core::bank::Identity;
use consorcio_core::ids::BankId;
pub(crate) use consorcio_http::HttpThread;
pub(crate) use consorcio_http::LogIns;
use consorcio_http::{Demo, HttpBounds};
use consorcio_node::SyncAge;
use consorcio_steps::steplog::{Step, StepLog};
use consorcio_system::logging::LIFECYCLE_TARGET;
use consorcio_system::terminal;
use consorcio_tls::BankTls;
use std::io::{Write, stdout};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// The switches of HTTP, which is off by default.
#[derive(Debug, Clone, Args)]
pub(crate) struct HttpArgs {
    /// Serves the JSON routes here: host:port, or a port of this machine's loopback
    #[arg(long, value_name = "ADDRESS", env = "CONSORCIO_HTTP", value_parser = http_address)]
    http: Option<String>,
    /// An origin of another site whose pages may use the routes, like `https://example.org`; may be
    /// repeated
    #[arg(
        long, value_name = "ORIGIN", env = "CONSORCIO_HTTP_ORIGIN", value_delimiter = ',',
        value_parser = origin
    )]
    http_origin: Vec<HeaderValue>,
    /// A name by which HTTP is called, such as that of a proxy before it (an address needs none);
    /// may be repeated
    #[arg(
        long, value_name = "NAME", env = "CONSORCIO_HTTP_HOST", value_delimiter = ',',
        value_parser = host_name
    )]
    http_host: Vec<String>,
    /// Lets the panel stop, freeze, kill and restart the banks that name this same folder: for
    /// demonstrations, on loopback only; the folder must be yours alone
    #[arg(long, value_name = "DIR", env = "CONSORCIO_DEMO")]
    demo: Option<PathBuf>,
    #[arg(long, hide = true, default_value_t = HttpBounds::default().connections)]
    http_connections_max: usize,
    #[arg(long, hide = true, default_value_t = HttpBounds::default().head_ms)]
    http_head_ms: u64,
    #[arg(long, hide = true, default_value_t = HttpBounds::default().body_ms)]
    http_body_ms: u64,
    #[arg(long, hide = true, default_value_t = HttpBounds::default().unread_ms)]
    http_unread_ms: u64,
}

impl HttpArgs {
    /// The address of HTTP, if it is enabled.
    pub(crate) fn address(&self) -> Option<&str> {
        self.http.as_deref()
    }

    /// May the panel control processes?
    pub(crate) fn is_demo(&self) -> bool {
        self.demo.is_some()
    }

    /// Is it called by names of the operator's?
    pub(crate) fn has_hosts(&self) -> bool {
        !self.http_host.is_empty()
    }

    /// The maximum number of connections; 0 if HTTP is off.
    pub(crate) fn connections_max(&self) -> usize {
        self.http.as_ref().map_or(0, |_| self.http_connections_max)
    }

    /// The bounds with this number of connections.
    fn bounds(&self, connections: usize) -> HttpBounds {
        HttpBounds {
            connections,
            head_ms: self.http_head_ms,
            body_ms: self.http_body_ms,
            unread_ms: self.http_unread_ms,
            ..HttpBounds::default()
        }
    }
}

/// The listening socket of HTTP, before it is served.
pub(crate) struct HttpSocket {
    args: HttpArgs,
    listener: TcpListener,
    bounds: HttpBounds,
}

/// The parameters that HTTP gets from its bank.
pub(crate) struct ServedBank<'a> {
    /// The identity of the bank.
    pub identity: &'a Identity,
    /// The step log of the bank.
    pub steplog: &'a StepLog,
    /// The folder with the step logs of all nodes, for timelines.
    pub log_dir: PathBuf,
    /// The age of the sync under way.
    pub sync_age: Arc<SyncAge>,
    /// The TLS of the bank, in closed mode.
    pub tls: Option<&'a BankTls>,
}

impl HttpSocket {
    /// Listens if HTTP is enabled, for at most so many connections.
    ///
    /// # Errors
    /// When the address can't be used; the text names it.
    pub(crate) async fn listen(
        args: &HttpArgs,
        connections: usize,
    ) -> anyhow::Result<Option<HttpSocket>> {
        let Some(address) = args.address() else { return Ok(None) };
        let listener = bind(address).await.and_then(tokio::net::TcpListener::into_std);
        let listener =
            listener.with_context(|| format!("HTTP can't listen on {address}; see --http"))?;
        Ok(Some(HttpSocket { args: args.clone(), listener, bounds: args.bounds(connections) }))
    }

    /// Starts the HTTP thread and the service of its requests.
    ///
    /// # Errors
    /// When the demonstration can't be joined, or the thread can't be started.
    pub(crate) fn start(
        self,
        served: ServedBank<'_>,
        shared: &Rc<ServerState>,
    ) -> anyhow::Result<HttpThread> {
        let Identity { bank, places, .. } = served.identity;
        let address = self.listener.local_addr()?;
        let demo = self.args.demo.as_deref().map(|folder| Demo::join(folder, *bank, places));
        let demo = demo.transpose().context("the demonstration can't be joined; see --demo")?;
        let log_ins = served.tls.map(|tls| log_ins_of(tls, *bank)).transpose()?;
        shared.log_ins.replace(log_ins.clone());
        let mut hosts = self.args.http_host;
        hosts.extend(served.tls.map(BankTls::http_names).unwrap_or_default());
        let options = consorcio_http::HttpOptions {
            bank: *bank,
            places: places.clone(),
            on_loopback: address.ip().to_canonical().is_loopback() || address.ip().is_unspecified(),
            hosts,
            origins: self.args.http_origin,
            steplog: served.steplog.clone(),
            sync_age: served.sync_age,
            log_dir: served.log_dir,
            demo,
            bounds: self.bounds,
            tls: served.tls.cloned(),
            access: shared.http_access.clone(),
            log_ins: log_ins.clone(),
        };
        *shared.http.borrow_mut() = Some(reached_at(served.identity, address));
        let (thread, asks) =
            consorcio_http::start(self.listener, options).context("HTTP can't be started")?;
        tokio::task::spawn_local(inside::serve(shared.clone(), asks));
        let scheme = if served.tls.is_some() { "https" } else { "http" };
        let line = format!("bank {bank} serves {scheme}://{address}/");
        tracing::info!(target: LIFECYCLE_TARGET, bank = bank.as_u8(), %address, "{line}");
        served.steplog.record(Step::Ready(line.as_str().into()));
        let _ = writeln!(stdout(), "{}", terminal::output_line("servidor", &line));
        Ok(thread)
    }
}

/// The tokens and passwords beside the bank's certificate. The key of the certificate is what only
/// this bank has.
fn log_ins_of(tls: &BankTls, bank: BankId) -> anyhow::Result<LogIns> {
    let key = tls.folder().join(format!("bank-{bank}.key"));
    let secret = std::fs::read(&key).with_context(|| key.display().to_string())?;
    Ok(LogIns::open(tls.folder(), bank, &secret)?)
}

/// The address at which others reach this bank's HTTP. If it listens on all addresses, it is the
/// host of the bank's line protocol.
fn reached_at(identity: &Identity, address: SocketAddr) -> String {
    let own = identity.places.get(identity.bank.index()).map_or("", String::as_str);
    match own.rsplit_once(':') {
        Some((host, _)) if address.ip().is_unspecified() => format!("{host}:{}", address.port()),
        Some(_) | None => address.to_string(),
    }
}

/// Parses `--http`; a bare port is on loopback.
fn http_address(text: &str) -> Result<String, String> {
    if text.parse::<u16>().is_ok() {
        return Ok(address("127.0.0.1", text.parse().unwrap_or(0)));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        Some(_) | None => Err("give host:port, like 127.0.0.1:5030, or a port".to_owned()),
    }
}

/// Parses `--http-host`: the name in a `Host` header, without a port.
fn host_name(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !text.is_empty() && text.chars().all(legal) {
        Ok(text.trim_end_matches('.').to_ascii_lowercase())
    } else {
        Err("give a name alone, like painel.example, without scheme, port or path".to_owned())
    }
}

/// Parses `--http-origin`: scheme, host and optional port, as browsers send it.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let legal =
        |host: &str| !host.is_empty() && !host.contains(['/', '*', '?', '#', '@', ' ', ',']);
    match HeaderValue::from_str(text) {
        Ok(value) if host.is_some_and(legal) => Ok(value),
        Ok(_) | Err(_) => {
            Err("give scheme://host or scheme://host:port, without a path".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::args::{Cli, ServerOptions};
    use clap::Parser;

    fn options(line: &str) -> ServerOptions {
        Cli::try_parse_from(std::iter::once("servidor").chain(line.split_whitespace()))
            .unwrap()
            .options
    }

    #[test]
    fn in_open_mode_http_must_be_on_loopback() {
        let error = options("--http 0.0.0.0:5030").check_open().unwrap_err().to_string();
        assert!(error.contains("0.0.0.0:5030") && error.contains("give --tls DIR"), "{error}");
        assert!(options("--http 0.0.0.0:5030 --tls d").check_open().is_ok());
    }

    #[test]
    fn a_demonstration_must_be_on_loopback() {
        let with = |line: &str| options(&format!("{line} --demo d")).check_demo();
        assert!(with("--http 5030").is_ok());
        assert!(with("--http [::ffff:127.0.0.1]:5030 --host localhost").is_ok());
        for (line, named) in [
            ("--http 0.0.0.0:5030", "0.0.0.0:5030"),
            ("--http 5030 --host 0.0.0.0", "0.0.0.0:8886"),
            ("--http 5030 --consortium 8886,10.0.0.1:5", "10.0.0.1:5"),
        ] {
            let error = with(line).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("--demo"), "{error}");
        }
        assert!(options("--http 0.0.0.0:5030").check_demo().is_ok());
    }

    #[test]
    fn host_names_are_normalized() {
        let names =
            options("--http 5030 --http-host Painel.Example. --http-host a,b").http.http_host;
        assert_eq!(names, ["painel.example", "a", "b"]);
        for bad in ["https://a", "a:80", "a/b", "a b"] {
            assert!(
                Cli::try_parse_from(["servidor", "--http", "5030", "--http-host", bad]).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn addresses_and_origins_are_parsed() {
        assert_eq!(options("").http.http, None);
        assert_eq!(options("--http 5030").http.http.as_deref(), Some("127.0.0.1:5030"));
        assert_eq!(options("--http [::1]:0").http.http.as_deref(), Some("[::1]:0"));
        let origins =
            options("--http-origin https://a.example --http-origin http://b:81").http.http_origin;
        assert_eq!(origins, ["https://a.example", "http://b:81"]);
        for bad in [
            "--http :1",
            "--http host",
            "--http 99999",
            "--http-origin *",
            "--http-origin http://a/b",
        ] {
            let words = std::iter::once("servidor").chain(bad.split_whitespace());
            assert!(Cli::try_parse_from(words).is_err(), "{bad}");
        }
    }
}
