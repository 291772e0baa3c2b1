//! The clients and accounts of a benchmark: the same names in every run, so that a second run
//! reuses them.

use super::super::language::say;
use consorcio_core::ids::{AccountNumber, ClientKind, ClientName, TaxId};
use consorcio_core::money::{Money, Total};
use consorcio_core::wire::request::{NewAccount, NewClient, Request};

/// Centavos in each account at its opening.
const OPENING_DEPOSIT: Money = Money(100_000_000);

/// The text of what a benchmark leaves at the banks: accounts, or with `registers` only registers.
pub(super) fn permanent_changes(accounts: u32, banks: usize, registers: bool) -> String {
    if registers {
        return say!(
            "a register of each client (bench-…), set at all {banks} banks"
                / "um registro de cada cliente (bench-…), definido nos {banks} bancos"
        );
    }
    let count = i128::from(accounts) * banks as i128;
    let money = Total(count * OPENING_DEPOSIT.wide());
    say!(
        "{count} accounts (bench-0, bench-1, …), {accounts} at each of {banks} banks, with \
         {money} of cash in all"
            / "{count} contas (bench-0, bench-1, …), {accounts} em cada um dos {banks} bancos, \
               com {money} de entradas ao todo"
    )
}

/// The number of account `at`.
pub(super) fn account(at: u32) -> AccountNumber {
    AccountNumber::new(&format!("bench-{at}")).expect("a legal number")
}

/// The requests that open account `at`. A client has at most one individual account at a bank, so
/// each account has a client of its own.
pub(super) fn requests(at: u32) -> [Request; 2] {
    let cpf = TaxId::new(&format!("9{at:010}")).expect("eleven digits");
    let client = NewClient {
        cpf: cpf.clone(),
        name: ClientName::new("Benchmark").expect("a legal name"),
        kind: ClientKind::new("Físico").expect("a legal kind"),
    };
    let account = NewAccount { number: account(at), holders: vec![cpf], deposit: OPENING_DEPOSIT };
    [Request::Client(client), Request::Account(account)]
}
