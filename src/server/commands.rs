//! The arguments of what `servidor` does besides running a bank: its subcommands, and the switches
//! that look at a bank instead of running it.

use clap::{Args, Subcommand};
use clap_complete::Shell;
use consorcio_core::access::Name;
use consorcio_system::manual::ManPageArgs;
use std::path::PathBuf;

const COMPLETIONS: &str = "\
Examples:
  servidor completions bash > ~/.local/share/bash-completion/completions/servidor
  servidor completions zsh > ~/.zfunc/_servidor
  servidor completions fish > ~/.config/fish/completions/servidor.fish";

const MAN: &str = "\
Examples:
  servidor man | man -l -            the page of servidor
  servidor man journal | man -l -    the page of a command
  servidor man --dir ~/.local/share/man/man1";

const CERTS: &str = "\
Examples:
  servidor certs ca                  two CAs and the consortium's key, in certs/
  servidor certs bank 0 --host banco0.example
  servidor certs client titular1
  servidor certs list";

/// The arguments of `certs`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CertsArgs {
    /// The folder of the CAs, on a machine that is no bank
    #[arg(long, global = true, value_name = "DIR", default_value = "certs")]
    pub dir: PathBuf,
    /// Which of the files to make.
    #[command(subcommand)]
    pub command: CertsCommand,
}

/// Which files `certs` makes, and the list of them.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CertsCommand {
    /// Makes two CAs, one for banks and one for clients, and the consortium's key
    Ca {
        /// Makes other CAs beside those that are there
        #[arg(long)]
        renew: bool,
    },
    /// Makes the certificate of a bank
    Bank {
        /// The position of the bank
        position: usize,
        /// A name or address by which browsers call its HTTP, in a certificate of its own; may be
        /// repeated
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        host: Vec<String>,
        /// Replaces the certificate of the same bank
        #[arg(long)]
        renew: bool,
    },
    /// Makes the certificate of a person or program
    Client {
        /// Its name: 1 to 24 of a-z 0-9 -, never given to a second one
        name: Name,
        /// Replaces the certificate of the same person or program
        #[arg(long)]
        renew: bool,
    },
    /// Prints all names that were given out, and until when their certificates count
    List,
}

const TOKEN: &str = "\
Examples:
  servidor token caixa1 --tls certs/bank-0
  servidor token caixa1 --tls certs/bank-0 --days 7
  servidor token caixa1 --tls certs/bank-0 --remove";

const PASSWORD: &str = "\
Examples:
  servidor password ana --tls certs/bank-0
  servidor password ana --tls certs/bank-0 --generate
  servidor password ana --tls certs/bank-0 --remove";

/// The arguments of `token`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TokenArgs {
    /// Whose token it is: a name in access.toml
    pub name: Name,
    /// The folder of the bank, as for a start
    #[arg(long, value_name = "DIR", env = "CONSORCIO_TLS")]
    pub tls: PathBuf,
    /// For how many days it counts
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub days: u16,
    /// Removes all tokens of the name instead
    #[arg(long, conflicts_with = "days")]
    pub remove: bool,
}

/// The arguments of `password`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PasswordArgs {
    /// Whose password it is: a name in access.toml
    pub name: Name,
    /// The folder of the bank, as for a start
    #[arg(long, value_name = "DIR", env = "CONSORCIO_TLS")]
    pub tls: PathBuf,
    /// Makes a random password and prints it, once
    #[arg(long)]
    pub generate: bool,
    /// Removes the password of the name instead
    #[arg(long, conflicts_with = "generate")]
    pub remove: bool,
}

/// What `servidor` does besides running a bank.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Makes a fresh consortium key in a new file that only you can read
    Key {
        /// The file to make; one that is there is never overwritten
        file: PathBuf,
        /// A key file that is there already is no error, if it holds a key
        #[arg(long)]
        if_missing: bool,
    },
    /// Makes the certificates of closed mode: the CAs, and those of banks and clients
    #[command(visible_alias = "certificados", before_help = CERTS)]
    Certs(CertsArgs),
    /// Makes a bearer token, by which a program proves its name to this bank over HTTP
    #[command(before_help = TOKEN)]
    Token(TokenArgs),
    /// Sets the password by which a person logs in to this bank's panel: typed twice, or a line of
    /// standard input
    #[command(visible_alias = "senha", before_help = PASSWORD)]
    Password(PasswordArgs),
    /// Prints every record of a journal, one line each, and checks it: code 1 where it is damaged.
    /// The bank may run meanwhile
    Journal {
        /// The journal's folder, for example data/bank-0
        dir: PathBuf,
    },
    /// Replays a journal and compares its snapshots with the replay: code 1 where one differs. The
    /// bank may run meanwhile
    Verify {
        /// The journal's folder, for example data/bank-0
        dir: PathBuf,
    },
    /// Prints a script that completes commands and switches in a shell
    #[command(visible_alias = "completar", before_help = COMPLETIONS)]
    Completions {
        /// The shell to complete for
        shell: Shell,
    },
    /// Prints a man page, or writes all of them
    #[command(visible_alias = "manual", before_help = MAN)]
    Man(ManPageArgs),
}

/// The switches that look at a bank instead of running it.
#[derive(Debug, Clone, Args)]
pub(crate) struct LookArgs {
    /// Checks settings, key, journal, ports and step log as a start does, and starts nothing: code
    /// 0 if this bank can start
    #[arg(long, conflicts_with = "health")]
    pub check: bool,
    /// Asks the bank that runs with these settings whether it works: code 0 if it does
    #[arg(long)]
    pub health: bool,
}
