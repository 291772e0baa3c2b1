//! The benchmark's own clients and accounts: the same names in every run, so that a second run finds them.

use super::super::Context;
use super::super::conversation::Conversation;
use super::super::failure::{Failure, unreachable};
use crate::ids::{AccountNumber, BankId, ClientKind, ClientName, TaxId};
use crate::money::Money;
use crate::wire::reply::Reply;
use crate::wire::request::{NewAccount, NewClient, Request};

/// Centavos in each account at its opening.
const OPENING_DEPOSIT: Money = Money(100_000_000);
/// Requests under way at once while opening; within the banks' bound for one session.
const UNDER_WAY: u32 = 256;

/// The number of the benchmark's account `at`.
pub fn account(at: u32) -> AccountNumber {
    AccountNumber::new(&format!("bench-{at}")).expect("a legal number")
}

/// Opens the benchmark's accounts at all banks; those that are there stay as they are.
///
/// # Errors
/// When a bank can't be reached or refuses.
pub async fn open_accounts(context: &Context, banks: &[BankId], accounts: u32) -> Result<(), Failure> {
    for bank in banks {
        let address = context.consortium.address(*bank).unwrap_or("-");
        let lost = |why: String| Failure::NoConnection(unreachable(*bank, address, &why));
        let mut conversation = Conversation::connect(*bank, address, &context.story).await.map_err(lost)?;
        let mut first = 0;
        while first < accounts {
            let last = accounts.min(first + UNDER_WAY);
            let mut lines = Vec::new();
            (first..last).for_each(|at| requests(at).iter().for_each(|request| request.write_to(&mut lines)));
            conversation.send(&lines).await.map_err(|error| lost(error.to_string()))?;
            for _ in 0..2 * (last - first) {
                match conversation.next_reply().await.map_err(|error| lost(error.to_string()))? {
                    Reply::Done(_) => {}
                    other => {
                        let text = format!("bank {bank} does not open the benchmark's accounts: {other:?}");
                        return Err(Failure::Own(text));
                    }
                }
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
