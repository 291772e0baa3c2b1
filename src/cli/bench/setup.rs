//! The benchmark's own clients and accounts: the same names in every run, so that a second run
//! finds them.

use super::super::Context;
use super::super::asking;
use super::super::failure::Failure;
use consorcio_core::ids::{AccountNumber, BankId, ClientKind, ClientName, TaxId};
use consorcio_core::money::{Money, Total};
use consorcio_core::wire::request::{NewAccount, NewClient, Request};

/// Centavos in each account at its opening.
const OPENING_DEPOSIT: Money = Money(100_000_000);
/// Requests under way at once while opening; within the banks' bound for one session.
const UNDER_WAY: u32 = 256;

/// What a benchmark with so many accounts leaves in a consortium of so many banks, in words;
/// `registers` where it sets those and opens no account.
pub fn what_stays(accounts: u32, banks: usize, registers: bool) -> String {
    if registers {
        return format!("a register of each client (bench-…), set at all {banks} banks");
    }
    let count = i128::from(accounts) * banks as i128;
    let money = Total(count * OPENING_DEPOSIT.wide());
    format!(
        "{count} accounts (bench-0, bench-1, …), {accounts} at each of {banks} banks, with {money} of cash in all"
    )
}

/// The number of the benchmark's account `at`.
pub fn account(at: u32) -> AccountNumber {
    AccountNumber::new(&format!("bench-{at}")).expect("a legal number")
}

/// Opens the benchmark's accounts at all banks; those that are there stay as they are.
///
/// # Errors
/// When a bank can't be reached or refuses.
pub async fn open_accounts(
    context: &Context,
    banks: &[BankId],
    accounts: u32,
) -> Result<(), Failure> {
    for bank in banks {
        let address = context.consortium.address(*bank).unwrap_or("-");
        let mut conversation = asking::connect(context, *bank, address).await?;
        let mut first = 0;
        while first < accounts {
            let last = accounts.min(first + UNDER_WAY);
            let mut lines = Vec::new();
            (first..last).for_each(|at| {
                requests(at).iter().for_each(|request| request.write_to(&mut lines))
            });
            conversation.send(&lines).await.map_err(|error| conversation.failure(&error))?;
            for _ in 0..2 * (last - first) {
                let reply = conversation
                    .next_reply()
                    .await
                    .map_err(|error| conversation.failure(&error))?;
                asking::done(*bank, reply)?;
            }
            first = last;
        }
    }
    Ok(())
}

/// A client has at most one individual account at a bank, so each account has a client of its own.
fn requests(at: u32) -> [Request; 2] {
    let cpf = TaxId::new(&format!("9{at:010}")).expect("eleven digits");
    let client = NewClient {
        cpf: cpf.clone(),
        name: ClientName::new("Benchmark").expect("a legal name"),
        kind: ClientKind::new("Físico").expect("a legal kind"),
    };
    let account = NewAccount { number: account(at), holders: vec![cpf], deposit: OPENING_DEPOSIT };
    [Request::Client(client), Request::Account(account)]
}
