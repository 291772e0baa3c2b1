//! The arguments of the commands that print completions and man pages.

use clap::Subcommand;
use clap_complete::Shell;
use consorcio_system::manual::ManPageArgs;

const COMPLETIONS: &str = "\
Examples:
  cliente completions bash > ~/.local/share/bash-completion/completions/cliente
  cliente completions zsh > ~/.zfunc/_cliente
  cliente completions fish > ~/.config/fish/completions/cliente.fish";

const MAN: &str = "\
Examples:
  cliente man | man -l -             the page of cliente
  cliente man transfer | man -l -    the page of a command
  cliente man --dir ~/.local/share/man/man1";

/// Commands for shells and manuals.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ManualCommand {
    /// Print a script that completes commands, aliases and switches in a shell.
    #[command(visible_alias = "completar", before_help = COMPLETIONS)]
    Completions {
        /// The shell to complete for.
        shell: Shell,
    },
    /// Print a man page, or write all of them.
    #[command(visible_alias = "manual", before_help = MAN)]
    Man(ManPageArgs),
}

impl ManualCommand {
    /// Whether this is the word of one of these commands, which have no use for settings.
    pub(crate) fn is_named(word: &str) -> bool {
        matches!(word, "completions" | "man")
    }
}
