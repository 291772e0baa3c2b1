//! Dispatches each command to its function.

use super::args::{
    AccountCommand, CliCommand, ClientCommand, LedgerCommand, MoneyCommand, OverviewCommand,
    RegisterCommand, WatchSwitch,
};
use super::failure::Failure;
use super::language::word;
use super::output::CommandOutput;
use super::typed::Account;
use super::{
    Context, audit, bench, contention, doubt, ledgers, manual, monitor, overview, ping, resolve,
    shell, top, trace, transactions, watch,
};
use std::pin::Pin;

/// Runs the command of the command line.
pub(crate) async fn run(context: &Context, command: Option<CliCommand>) -> CommandOutput {
    match command {
        None => transactions::set_storage_to_one(context).await,
        Some(CliCommand::Register(command)) => register(context, command).await,
        Some(CliCommand::Ledger(command)) => ledger(context, command).await,
        Some(CliCommand::Money(command)) => money(context, command).await,
        Some(CliCommand::Overview(command)) => overview(context, command).await,
        Some(CliCommand::Audit(arguments)) => audit::run(context, arguments).await,
        Some(CliCommand::Trace(arguments)) => {
            trace::run(arguments, &context.log_dir, context.paint)
        }
        Some(CliCommand::Monitor(arguments)) => monitor::run(context, arguments).await,
        Some(CliCommand::Top(arguments)) => top::run(context, arguments).await,
        Some(CliCommand::Contention(arguments)) => contention::run(context, arguments).await,
        Some(CliCommand::Bench(arguments)) => bench::run(context, arguments).await,
        Some(CliCommand::Shell(arguments)) => shell::run(context, arguments, boxed).await,
        Some(CliCommand::Manual(command)) => manual::run(&command),
    }
}

async fn register(context: &Context, command: RegisterCommand) -> CommandOutput {
    match command {
        RegisterCommand::Set { value, key, drive } => {
            transactions::set(context, key, value, drive).await
        }
        RegisterCommand::Get { key } => ledgers::get(context, key).await,
    }
}

async fn ledger(context: &Context, command: LedgerCommand) -> CommandOutput {
    match command {
        LedgerCommand::Client(ClientCommand::Add { bank, cpf, name, kind }) => {
            ledgers::add_client(context, bank, cpf, name, kind).await
        }
        LedgerCommand::Clients { bank } => ledgers::clients(context, bank).await,
        LedgerCommand::Account(AccountCommand::Open { account, bank, number, cpf, deposit }) => {
            let typed = || Some(Account { bank: bank?, number: number? });
            match account.or_else(typed) {
                Some(account) => ledgers::open_account(context, account, cpf, deposit).await,
                None => {
                    let text = word!(
                        "which account? It is typed BANK/ACCOUNT, as in 0/12345-6"
                            / "qual conta? Digite BANCO/CONTA, como em 0/12345-6"
                    );
                    Failure::Usage(text.to_owned()).into()
                }
            }
        }
        LedgerCommand::Accounts { bank, cpf, watch } => {
            let round = async |context: &Context| ledgers::accounts(context, bank, &cpf).await;
            repeated(context, watch, round).await
        }
        LedgerCommand::Balance { account } => ledgers::balance(context, account).await,
    }
}

async fn money(context: &Context, command: MoneyCommand) -> CommandOutput {
    match command {
        MoneyCommand::Deposit(cash) => transactions::deposit(context, cash).await,
        MoneyCommand::Withdraw(cash) => transactions::withdraw(context, cash).await,
        MoneyCommand::Transfer { from, to, drive } => {
            transactions::transfer(context, &from, &to, drive).await
        }
    }
}

async fn overview(context: &Context, command: OverviewCommand) -> CommandOutput {
    match command {
        OverviewCommand::Status(watch) => repeated(context, watch, overview::status).await,
        OverviewCommand::Ping { wait, bank } => ping::ping(context, wait, bank).await,
        OverviewCommand::Pending(watch) => repeated(context, watch, overview::pending).await,
        OverviewCommand::Doubt => doubt::doubt(context).await,
        OverviewCommand::Resolve { tx } => resolve::resolve(context, tx).await,
        OverviewCommand::History { count, bank, who } => {
            overview::history(context, count, bank, who).await
        }
    }
}

/// Runs a command once, or repeatedly if its switch says so.
async fn repeated(
    context: &Context,
    WatchSwitch { watch }: WatchSwitch,
    round: impl AsyncFn(&Context) -> CommandOutput,
) -> CommandOutput {
    match watch {
        Some(every) => watch::run(context, every, round).await,
        None => round(context).await,
    }
}

/// A command of a shell.
fn boxed(
    context: &Context,
    command: CliCommand,
) -> Pin<Box<dyn Future<Output = CommandOutput> + '_>> {
    Box::pin(run(context, Some(command)))
}
