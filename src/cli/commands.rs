//! Which function does which command. Nothing is done here.

use super::args::{
    AccountCommand, ClientCommand, Command, LedgerCommand, MoneyCommand, OverviewCommand,
    RegisterCommand,
};
use super::output::Shown;
use super::{
    Context, audit, bench, contention, doubt, ledgers, manual, overview, ping, resolve, trace,
    transactions,
};

/// Does what was typed.
pub async fn run(context: &Context, command: Option<Command>) -> Shown {
    match command {
        None => transactions::set_storage_to_one(context).await,
        Some(Command::Register(command)) => register(context, command).await,
        Some(Command::Ledger(command)) => ledger(context, command).await,
        Some(Command::Money(command)) => money(context, command).await,
        Some(Command::Overview(command)) => overview(context, command).await,
        Some(Command::Audit(arguments)) => audit::run(context, arguments).await,
        Some(Command::Trace(arguments)) => trace::run(arguments, &context.log_dir, context.paint),
        Some(Command::Contention(arguments)) => contention::run(context, arguments).await,
        Some(Command::Bench(arguments)) => bench::run(context, arguments).await,
        Some(Command::Manual(command)) => manual::run(&command),
    }
}

async fn register(context: &Context, command: RegisterCommand) -> Shown {
    match command {
        RegisterCommand::Set { value, key, how } => {
            transactions::set(context, key, value, how).await
        }
        RegisterCommand::Get { key } => ledgers::get(context, key).await,
    }
}

async fn ledger(context: &Context, command: LedgerCommand) -> Shown {
    match command {
        LedgerCommand::Client(ClientCommand::Add { bank, cpf, name, kind }) => {
            ledgers::add_client(context, bank, cpf, name, kind).await
        }
        LedgerCommand::Clients { bank } => ledgers::clients(context, bank).await,
        LedgerCommand::Account(AccountCommand::Open { bank, number, cpf, deposit }) => {
            ledgers::open_account(context, bank, number, cpf, deposit).await
        }
        LedgerCommand::Accounts { bank, cpf } => ledgers::accounts(context, bank, cpf).await,
        LedgerCommand::Balance { account } => ledgers::balance(context, account).await,
    }
}

async fn money(context: &Context, command: MoneyCommand) -> Shown {
    match command {
        MoneyCommand::Deposit(cash) => transactions::deposit(context, cash).await,
        MoneyCommand::Withdraw(cash) => transactions::withdraw(context, cash).await,
        MoneyCommand::Transfer { from, to, how } => {
            transactions::transfer(context, &from, &to, how).await
        }
    }
}

async fn overview(context: &Context, command: OverviewCommand) -> Shown {
    match command {
        OverviewCommand::Status => overview::status(context).await,
        OverviewCommand::Ping { wait, bank } => ping::ping(context, wait, bank).await,
        OverviewCommand::Pending => overview::pending(context).await,
        OverviewCommand::Doubt => doubt::doubt(context).await,
        OverviewCommand::Resolve { tx } => resolve::resolve(context, tx).await,
        OverviewCommand::History { count, bank } => overview::history(context, count, bank).await,
    }
}
