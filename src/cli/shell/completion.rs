//! Completes what is typed: commands and their switches, from the definition of the command line;
//! banks, accounts and transactions, from what the banks reported; verbs of raw requests.

use super::known::{KnownNames, SharedNames};
use super::line::{shell_command, without_program};
use clap::{Arg, Command};
use consorcio_core::wire::verb::{Verb, VerbKind};
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

/// The completion of a shell.
pub(super) struct Completions {
    root: Command,
    names: SharedNames,
}

impl Completions {
    pub(super) fn new(names: SharedNames) -> Completions {
        let mut root = shell_command();
        root.build();
        Completions { root, names }
    }
}

impl Helper for Completions {}
impl Highlighter for Completions {}
impl Validator for Completions {}
impl Hinter for Completions {
    type Hint = String;
}

impl Completer for Completions {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..position).unwrap_or_default();
        let begins = typed.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let candidates = candidates(&self.root, &self.names.get(), typed);
        let pairs = candidates
            .into_iter()
            .map(|replacement| Pair { display: replacement.trim_end().to_owned(), replacement });
        Ok((begins, pairs.collect()))
    }
}

/// What the last word of `typed` may become, each with the space or `=` that follows it.
fn candidates(root: &Command, names: &KnownNames, typed: &str) -> Vec<String> {
    if let Some(raw) = typed.trim_start().strip_prefix('>') {
        return of_raw_line(names, raw);
    }
    let words: Vec<String> = typed.split_whitespace().map(str::to_owned).collect();
    let (before, word) = match words.split_last() {
        Some((last, before)) if !typed.ends_with(char::is_whitespace) => (before, last.as_str()),
        Some(_) | None => (&words[..], ""),
    };
    let before = if before.len() == 1 && before[0] == "cliente" {
        // A copied line, or the registration of a client.
        &[]
    } else {
        without_program(before)
    };
    let CommandPoint { command, switch, values } = reached(root, before);
    let mut found = if let Some(switch) = switch {
        of_argument(switch, names)
    } else if word.starts_with('-') {
        switches(command, word)
    } else if command.has_subcommands() {
        // A word that is no command has nothing after it.
        let own = before.is_empty().then(|| spaced("exit"));
        if values > 0 {
            Vec::new()
        } else {
            subcommands(command, word).into_iter().chain(own).collect()
        }
    } else {
        let argument = command.get_positionals().nth(values);
        argument.map(|argument| of_argument(argument, names)).unwrap_or_default()
    };
    found.retain(|candidate| candidate.starts_with(word));
    found.sort();
    found.dedup();
    found
}

/// Where in the tree of commands the words lead.
struct CommandPoint<'a> {
    command: &'a Command,
    /// The switch whose value comes next.
    switch: Option<&'a Arg>,
    /// Values without a switch so far.
    values: usize,
}

fn reached<'a>(root: &'a Command, words: &[String]) -> CommandPoint<'a> {
    let mut at = CommandPoint { command: root, switch: None, values: 0 };
    for word in words {
        if at.switch.take().is_some() {
            continue;
        }
        if let Some(long) = word.strip_prefix("--") {
            let named = |arg: &&Arg| {
                arg.get_long() == Some(long)
                    || arg.get_all_aliases().is_some_and(|all| all.contains(&long))
            };
            let switch = at.command.get_arguments().find(named);
            at.switch = switch.filter(|switch| switch.get_action().takes_values());
        } else if let Some(below) = at.command.find_subcommand(word) {
            at = CommandPoint { command: below, switch: None, values: 0 };
        } else {
            at.values += 1;
        }
    }
    at
}

/// The names of commands; their Portuguese where no English name begins so.
fn subcommands<'a>(command: &'a Command, word: &str) -> Vec<String> {
    let shown = || command.get_subcommands().filter(|below| !below.is_hide_set());
    let has_begun = |name: &&'a str| name.starts_with(word);
    let names: Vec<&str> = shown().map(Command::get_name).filter(has_begun).collect();
    if names.is_empty() {
        shown().flat_map(Command::get_visible_aliases).filter(has_begun).map(spaced).collect()
    } else {
        names.into_iter().map(spaced).collect()
    }
}

/// The switches of a command; their Portuguese where no English one begins so.
fn switches(command: &Command, word: &str) -> Vec<String> {
    let shown = || command.get_arguments().filter(|switch| !switch.is_hide_set());
    let typed = |long: &str| format!("--{long} ");
    let longs: Vec<String> = shown().filter_map(Arg::get_long).map(typed).collect();
    if longs.iter().any(|long| long.starts_with(word)) {
        return longs;
    }
    shown().filter_map(Arg::get_visible_aliases).flatten().map(typed).collect()
}

fn spaced(word: &str) -> String {
    format!("{word} ")
}

/// Values of an argument: those that it allows, or names of its kind.
fn of_argument(argument: &Arg, names: &KnownNames) -> Vec<String> {
    let allowed = argument.get_possible_values();
    if !allowed.is_empty() {
        return allowed.iter().map(|value| spaced(value.get_name())).collect();
    }
    let form = argument.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
    match (argument.get_id().as_str(), form) {
        (_, form) if form.contains("ACCOUNT=") => {
            names.accounts.iter().map(|account| format!("{account}=")).collect()
        }
        (_, form) if form.contains("ACCOUNT") => {
            names.accounts.iter().map(|account| spaced(account)).collect()
        }
        ("bank", _) | (_, "BANK") => names.banks.iter().map(|bank| spaced(bank)).collect(),
        // A new transaction needs a new id.
        ("tx", _) if argument.is_positional() => {
            names.transactions.iter().map(|tx| spaced(tx)).collect()
        }
        _ => Vec::new(),
    }
}

/// What follows `>` and the position of a bank: a verb, and what it is about.
fn of_raw_line(names: &KnownNames, raw: &str) -> Vec<String> {
    let raw = raw.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(request) = raw.strip_prefix(' ') else { return Vec::new() };
    let mut words: Vec<&str> = request.split(' ').collect();
    let word = words.pop().unwrap_or_default();
    words.retain(|word| !word.is_empty());
    let all: Vec<String> = match words[..] {
        [] => {
            let typed = Verb::ALL.iter().filter(|verb| verb.kind() != VerbKind::Link);
            typed.map(|verb| spaced(verb.name())).collect()
        }
        [verb] => match Verb::read(verb) {
            Some(Verb::Help) => Verb::ALL.iter().map(|verb| verb.name().to_owned()).collect(),
            Some(Verb::Balance) => {
                let numbers = names.accounts.iter().filter_map(|account| account.split_once('/'));
                numbers.map(|(_, number)| number.to_owned()).collect()
            }
            Some(verb) if verb.kind() == VerbKind::Transaction => {
                names.transactions.iter().map(|tx| spaced(tx)).collect()
            }
            Some(_) | None => Vec::new(),
        },
        _ => Vec::new(),
    };
    let mut found: Vec<String> = all.into_iter().filter(|name| name.starts_with(word)).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(typed: &str) -> Vec<String> {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let names = KnownNames {
            banks: list(&["0", "1", "2"]),
            accounts: list(&["0/12345-6", "0/777-7", "2/78910-0"]),
            transactions: list(&["t1", "t2", "pay-77"]),
        };
        let mut root = shell_command();
        root.build();
        candidates(&root, &names, typed)
    }

    #[test]
    fn commands_and_their_switches() {
        let first = complete("");
        for word in ["transfer ", "status ", "client ", "exit ", "help "] {
            assert!(first.contains(&word.to_owned()), "{word}: {first:?}");
        }
        assert!(!first.contains(&"transferir ".to_owned()), "Portuguese once it has begun");
        assert_eq!(complete("trans"), ["transfer "]);
        assert_eq!(complete("cliente transferi"), ["transferir "]);
        assert_eq!(complete("account "), ["help ", "open "]);
        assert_eq!(complete("conta ab"), ["abrir "]);
        assert_eq!(complete("transfer --f"), ["--from "]);
        assert_eq!(complete("transferir --pa"), ["--patience "], "before --para");
        assert_eq!(complete("transferir --de"), ["--de "]);
        assert!(complete("status --").contains(&"--watch ".to_owned()));
        assert_eq!(complete("bench --kind tr"), ["transfer "]);
        assert_eq!(complete("nothing "), Vec::<String>::new(), "no command");
    }

    #[test]
    fn banks_accounts_and_transactions() {
        assert_eq!(complete("accounts --bank "), ["0 ", "1 ", "2 "]);
        assert_eq!(complete("balance 0/"), ["0/12345-6 ", "0/777-7 "]);
        assert_eq!(complete("transfer --from 0/7"), ["0/777-7="]);
        assert_eq!(complete("transferir --de 0/777-7=5 --para 2"), ["2/78910-0 "]);
        assert_eq!(complete("resolve "), ["pay-77 ", "t1 ", "t2 "]);
        assert_eq!(complete("resolve --json t"), ["t1 ", "t2 "]);
        assert_eq!(complete("transfer --tx "), Vec::<String>::new(), "a new id");
        assert_eq!(complete("balance 0/777-7 "), Vec::<String>::new());
    }

    #[test]
    fn raw_lines_have_verbs() {
        assert_eq!(complete("> PRE"), ["PREPARE "]);
        assert_eq!(complete(">2 STATUS t"), ["t1 ", "t2 "]);
        assert_eq!(complete("> BALANCE 7"), ["777-7", "78910-0"]);
        assert!(!complete("> ").contains(&"REGISTERS ".to_owned()), "for banks alone");
    }
}
