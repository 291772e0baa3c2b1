//! The command line of `servidor`.

use crate::ServerBounds;
use crate::commands::{LookArgs, ServerCommand};
use crate::listen::address;
use crate::web::HttpArgs;
use clap::{Args, Parser, ValueEnum};
use consorcio_core::ids::{BankId, BankSet};
use consorcio_system::config::{Consortium, is_loopback};
use consorcio_system::logging::LogArgs;
use consorcio_system::switches::{ConfigArgs, LangArgs};
use std::net::IpAddr;
use std::path::PathBuf;

/// The examples at the beginning of `--help`.
const EXAMPLES: &str = "\
Three terminals make a consortium:

    servidor --port 8886
    servidor --port 8887
    servidor --port 8888
";

/// What follows the switches in `--help`.
const AFTER: &str = "\
A switch outweighs its environment variable, that outweighs the settings file
(consorcio.toml beside the data folder, or --config FILE), and that outweighs
the default.
";

/// One bank of a consortium
#[derive(Debug, Parser)]
#[command(
    name = "servidor", version, args_conflicts_with_subcommands = true, args_override_self = true,
    before_help = EXAMPLES, after_help = AFTER
)]
pub(crate) struct Cli {
    /// What to do instead of running a bank.
    #[command(subcommand)]
    pub(crate) command: Option<ServerCommand>,
    /// What to look at instead of running a bank.
    #[command(flatten)]
    pub(crate) look: LookArgs,
    /// The switch of the settings file.
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The language of what is written.
    #[command(flatten)]
    pub(crate) lang: LangArgs,
    /// What is written to standard error.
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// How to run a bank.
    #[command(flatten)]
    pub(crate) options: ServerOptions,
}

/// How a bank is run.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOptions {
    /// The port to listen on; 0 takes a free one (then give --bank, and --port-file to learn it)
    #[arg(long, default_value_t = 8886, env = "CONSORCIO_PORT")]
    pub port: u16,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1", env = "CONSORCIO_HOST")]
    pub host: String,
    /// All banks by position: host:port, bare ports or a range (8886-8888), `-` where a bank left
    #[arg(
        long, allow_hyphen_values = true, value_name = "LIST",
        default_value = Consortium::DEFAULT, env = "CONSORCIO_CONSORTIUM"
    )]
    pub consortium: Consortium,
    /// This bank's position, where its own address does not tell it
    #[arg(long, value_name = "N", env = "CONSORCIO_BANK")]
    pub bank: Option<usize>,
    /// The journal lives in DIR/bank-POSITION/
    #[arg(long, value_name = "DIR", default_value = "data", env = "CONSORCIO_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Accept a list in which every bank has another address than in the journal
    #[arg(long)]
    pub moved: bool,
    /// The step log is DIR/servidor-PORT.log
    #[arg(long, value_name = "DIR", default_value = "logs", env = "CONSORCIO_LOG_DIR")]
    pub log_dir: PathBuf,
    /// The consortium's key (make one: servidor key FILE); where all banks are on this machine's
    /// loopback, the first one makes it in the data folder
    #[arg(long, value_name = "FILE", env = "CONSORCIO_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// Accepts another key than the one that this bank's journal knows, once
    #[arg(long)]
    pub new_key: bool,
    /// Closed mode: TLS with the certificates and keys in this folder (make them: servidor certs);
    /// every client and bank has a name there
    #[arg(long, value_name = "DIR", env = "CONSORCIO_TLS")]
    pub tls: Option<PathBuf>,
    /// Banks that a bank with a new journal does not wait for before it takes part, by position:
    /// those that are down and have never met it
    #[arg(long, value_name = "N,...", value_delimiter = ',', env = "CONSORCIO_INTRODUCE_WITHOUT")]
    pub introduce_without: Vec<usize>,
    /// The switches of HTTP.
    #[command(flatten)]
    pub http: HttpArgs,
    /// Whether the step log is written
    #[arg(long, value_enum, default_value_t = Switch::On, env = "CONSORCIO_LOG_STEPS")]
    pub log_steps: Switch,
    /// Bytes of a step log before it is rotated; 0: never
    #[arg(
        long, value_name = "BYTES",
        default_value_t = consorcio_core::limits::STEP_LOG_BYTES_DEFAULT,
        env = "CONSORCIO_LOG_MAX_SIZE"
    )]
    pub log_max_size: u64,
    /// Rotated step logs that are kept at most, compressed
    #[arg(
        long, value_name = "N", default_value_t = consorcio_core::limits::STEP_LOG_KEEP_DEFAULT,
        env = "CONSORCIO_LOG_KEEP"
    )]
    pub log_keep: usize,
    /// Transactions whose step logs are kept, within --log-keep; older logs are removed
    #[arg(
        long, value_name = "N",
        default_value_t = consorcio_core::limits::STEP_LOG_TRANSACTIONS_DEFAULT,
        env = "CONSORCIO_LOG_TRANSACTIONS"
    )]
    pub log_transactions: u64,
    /// Starts by this machine's clock also where it shows a date that is far from all that is known
    #[arg(long)]
    pub accept_clock: bool,
    /// A file that gets the port, once it is known
    #[arg(long, value_name = "FILE")]
    pub port_file: Option<PathBuf>,
    /// Smaller bounds, for tests.
    #[command(flatten)]
    pub bounds: BoundsArgs,
}

/// The bounds of the server as hidden switches, for tests.
#[derive(Debug, Clone, Args)]
pub(crate) struct BoundsArgs {
    #[arg(long, hide = true, default_value_t = ServerBounds::default().sessions)]
    sessions_max: usize,
    #[arg(long, hide = true, default_value_t = ServerBounds::default().for_banks)]
    sessions_for_banks: usize,
    #[arg(long, hide = true, default_value_t = ServerBounds::default().idle_ms)]
    session_idle_ms: u64,
    #[arg(long, hide = true, default_value_t = ServerBounds::default().unread_ms)]
    session_unread_ms: u64,
    #[arg(long, hide = true, default_value_t = ServerBounds::default().bytes)]
    sessions_bytes_max: usize,
}

/// The value of a switch that is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    // Without texts of their own, so that the help lists them in one line.
    On,
    Off,
}

/// Switches that are invalid together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadOptions(String);

impl BadOptions {
    /// A fault of the command line; `text` names the switch to give.
    pub(crate) fn new(text: impl Into<String>) -> BadOptions {
        BadOptions(text.into())
    }
}

impl BoundsArgs {
    /// The bounds from the switches.
    ///
    /// # Errors
    /// When no permit would be left for clients.
    pub(crate) fn bounds(&self) -> Result<ServerBounds, BadOptions> {
        if self.sessions_for_banks >= self.sessions_max
            || self.sessions_max > consorcio_core::limits::SESSIONS_MAX
        {
            return Err(BadOptions(
                "--sessions-max: more than is kept for banks, at most 10000".into(),
            ));
        }
        Ok(ServerBounds {
            sessions: self.sessions_max,
            for_banks: self.sessions_for_banks,
            idle_ms: self.session_idle_ms,
            unread_ms: self.session_unread_ms,
            bytes: self.sessions_bytes_max,
        })
    }
}

impl ServerOptions {
    /// The address to listen on.
    pub(crate) fn own_address(&self) -> String {
        address(&self.host, self.port)
    }

    /// The position of this bank.
    ///
    /// # Errors
    /// When it does not follow from the switches; the text names the switch to give.
    pub(crate) fn own_bank(&self) -> Result<BankId, BadOptions> {
        let list = &self.consortium;
        let own = self.own_address();
        if let Some(position) = self.bank {
            let bank = BankId::new(position).filter(|bank| list.address(*bank).is_some());
            return bank.ok_or_else(|| {
                BadOptions(format!(
                    "--bank {position}: no bank is at that place of the consortium {list}"
                ))
            });
        }
        if self.port == 0 {
            let text = "--port 0 needs --bank: the port does not tell which bank this is";
            return Err(BadOptions::new(text));
        }
        let exact: Vec<BankId> = self.places_where(|place| place == own);
        let like = || self.places_where(|place| is_like(place, &self.host, self.port));
        let candidates = if exact.is_empty() { like() } else { exact };
        match candidates[..] {
            [bank] => Ok(bank),
            [] => Err(BadOptions(format!(
                "{own} is not in the consortium {list}: give --consortium with it, or --bank N \
                 for its position"
            ))),
            [..] => Err(BadOptions(format!(
                "{own} may be several banks of the consortium {list}: give --bank N for its \
                 position"
            ))),
        }
    }

    /// The banks that a bank with a new journal does not wait for. It never waits for itself, so
    /// all banks of a machine may share one setting.
    ///
    /// # Errors
    /// When a position has no bank.
    pub(crate) fn introduced_without(&self) -> Result<BankSet, BadOptions> {
        let places = self.consortium.places().len();
        let bank = |position: &usize| {
            BankId::new(*position).filter(|bank| bank.index() < places).ok_or_else(|| {
                BadOptions(format!(
                    "--introduce-without {position}: no bank is at that place of the consortium {}",
                    self.consortium
                ))
            })
        };
        self.introduce_without.iter().map(bank).collect()
    }

    /// Checks that in open mode all addresses are on loopback: whoever reaches a bank there moves
    /// its money, and whoever sees its bytes reads them.
    ///
    /// # Errors
    /// When this bank would listen or dial beyond loopback without `--tls`.
    pub(crate) fn check_open(&self) -> Result<(), BadOptions> {
        match self.first_elsewhere().filter(|_| self.tls.is_none()) {
            Some(address) => Err(BadOptions(format!(
                "{address} is not on this machine, and without --tls whoever reaches a bank moves \
                 its money: give --tls DIR (make its files: servidor certs), or keep --host, \
                 --http and --consortium on 127.0.0.1"
            ))),
            None => Ok(()),
        }
    }

    /// Checks that HTTP has names of the operator's in closed mode alone: others call it by them.
    ///
    /// # Errors
    /// When a name is given without `--tls`.
    pub(crate) fn check_http_host(&self) -> Result<(), BadOptions> {
        if self.tls.is_some() || !self.http.has_hosts() {
            return Ok(());
        }
        let text = "--http-host is for HTTP that others reach, which needs closed mode: give --tls";
        Err(BadOptions::new(text))
    }

    /// Checks that the panel of a demonstration, which controls processes, is only reachable from
    /// this machine.
    ///
    /// # Errors
    /// When a bank of a demonstration would listen or dial beyond this machine.
    pub(crate) fn check_demo(&self) -> Result<(), BadOptions> {
        if !self.http.is_demo() {
            return Ok(());
        }
        if self.tls.is_some() {
            let text = "--demo lets anybody here stop a bank: leave it or --tls out";
            return Err(BadOptions::new(text));
        }
        if self.http.address().is_none() {
            return Err(BadOptions::new("--demo needs --http: the panel is served there"));
        }
        match self.first_elsewhere() {
            Some(address) => Err(BadOptions(format!(
                "--demo lets the panel stop and start processes, and {address} is not on this \
                 machine: leave \
                 --demo out, or keep --host, --http and --consortium on 127.0.0.1"
            ))),
            None => Ok(()),
        }
    }

    /// The first address beyond this machine that this bank would listen on or dial.
    pub(crate) fn first_elsewhere(&self) -> Option<String> {
        let places = self.consortium.places().iter().flatten().cloned();
        let own = std::iter::once(self.own_address()).chain(self.http.address().map(str::to_owned));
        own.chain(places).find(|address| !is_loopback(address))
    }

    fn places_where(&self, is: impl Fn(&str) -> bool) -> Vec<BankId> {
        let banks = self.consortium.banks();
        banks.iter().filter(|bank| self.consortium.address(*bank).is_some_and(&is)).collect()
    }
}

/// May `place` be the address of a bank that listens on `host` and `port`? Yes if it listens on all
/// addresses of the machine, or both are loopback.
fn is_like(place: &str, host: &str, port: u16) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let everywhere = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    let same_port = place.rsplit_once(':').is_some_and(|(_, text)| text == port.to_string());
    same_port && (everywhere || (is_loopback(place) && is_loopback(&address(host, port))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> ServerOptions {
        let words = std::iter::once("servidor").chain(line.split_whitespace());
        Cli::try_parse_from(words).unwrap().options
    }

    #[test]
    fn a_list_may_begin_with_a_bank_that_left() {
        assert_eq!(bank("--port 8887 --consortium -,8887"), 1);
    }

    fn bank(line: &str) -> usize {
        options(line).own_bank().unwrap().index()
    }

    fn refusal(line: &str) -> String {
        options(line).own_bank().unwrap_err().to_string()
    }

    #[test]
    fn the_address_determines_the_position() {
        assert_eq!(bank(""), 0);
        assert_eq!(bank("--port 8888"), 2);
        assert_eq!(bank("--port 8887 --host localhost"), 1);
        assert_eq!(bank("--port 8887 --host 0.0.0.0"), 1);
        assert_eq!(bank("--port 9 --host ::1 --consortium a:9,[::1]:9"), 1);
        assert_eq!(bank("--port 0 --bank 1"), 1);
        assert_eq!(bank("--port 5 --bank 2"), 2, "--bank precedes the address");
    }

    #[test]
    fn an_ambiguous_position_is_refused() {
        assert!(refusal("--port 9000").contains("not in the consortium"));
        assert!(refusal("--port 9 --host 0.0.0.0 --consortium a:9,b:9").contains("several"));
        assert!(refusal("--port 0").contains("--bank"));
        assert!(refusal("--bank 3").contains("--bank 3"));
        assert!(refusal("--bank 1 --consortium 8886,-").contains("no bank"));
    }

    #[test]
    fn in_open_mode_all_addresses_are_on_loopback() {
        assert!(options("").check_open().is_ok());
        assert!(
            options("--host localhost --consortium localhost:8886,-,[::1]:7").check_open().is_ok()
        );
        for (line, named) in [
            ("--host 0.0.0.0", "0.0.0.0:8886"),
            ("--host ::", "[::]:8886"),
            ("--consortium 8886,10.0.0.1:5", "10.0.0.1:5"),
        ] {
            for line in [line.to_owned(), format!("{line} --key-file k")] {
                let error = options(&line).check_open().unwrap_err().to_string();
                assert!(error.contains(named) && error.contains("give --tls DIR"), "{error}");
            }
            assert!(options(&format!("{line} --tls d")).check_open().is_ok());
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        assert!(options("--sessions-max 5 --sessions-for-banks 5").bounds.bounds().is_err());
        assert_eq!(options("").bounds.bounds().unwrap(), ServerBounds::default());
    }
}
