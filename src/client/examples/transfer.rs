//! Moves money between two banks, and shows that none was lost.

use consorcio_client::{BankAccount, Client, ClientError, Extent};
use consorcio_core::ids::{AccountNumber, BankId};
use consorcio_core::money::{Money, Total};
use consorcio_system::config::Consortium;
use std::error::Error;

/// Moves R$ 2,50 from account 1 of bank 0 to account 2 of bank 1.
pub async fn transfer(list: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(&list.parse::<Consortium>()?).await?;
    let account = |bank: usize, number: &str| -> Result<BankAccount, Box<dyn Error>> {
        let bank = BankId::new(bank).ok_or("no such position")?;
        Ok(BankAccount { bank, number: AccountNumber::new(number)? })
    };
    let (from, to) = (account(0, "1")?, account(1, "2")?);
    match client.transfer(&from, &to, Money(2_50)).await {
        Ok(committed) => println!("{} committed at {}", committed.tx, committed.time.0),
        Err(ClientError::Aborted { by, reason, .. }) => println!("bank {by} refused: {reason}"),
        // The banks decide it by themselves; `Client::resolve` returns the outcome.
        Err(ClientError::InDoubt { tx, .. }) => println!("not known yet: {tx}"),
        Err(error) => return Err(error.into()),
    }
    let balance = client.balance(to.bank, &to.number).await?.balance;
    println!("{balance} in account {}", to.number);
    let cut = client.cut(None, Extent::Registers).await?;
    println!("all banks hold {}: {}", Total(cut.judged.total.balance_total), cut.judged.holds());
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let list = std::env::args().nth(1).unwrap_or_else(|| Consortium::DEFAULT.to_owned());
    transfer(&list).await
}
