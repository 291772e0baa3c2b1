//! The clients and accounts of one contention run, opened before it begins.

use super::super::Context;
use super::super::asking;
use super::super::failure::Failure;
use super::work::{Kind, OPENING_DEPOSIT};
use consorcio_core::ids::{ClientKind, ClientName, TaxId};
use consorcio_core::wire::request::{NewAccount, NewClient, Request};

/// Accounts opened at once; within the banks' bound for one session.
const TOGETHER: u32 = 256;

/// Opens the run's accounts at all banks.
///
/// # Errors
/// When a bank can't be reached or refuses.
pub async fn open_accounts(context: &Context, kind: &Kind) -> Result<(), Failure> {
    for bank in &kind.banks {
        let address = context.consortium.address(*bank).unwrap_or("-");
        let mut conversation = asking::connect(context, *bank, address).await?;
        let mut first = 0;
        while first < kind.accounts {
            let last = kind.accounts.min(first + TOGETHER);
            let mut lines = Vec::new();
            for at in first..last {
                requests(kind, at).iter().for_each(|request| request.write_to(&mut lines));
            }
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

/// A client has at most one individual account at a bank, so each account has a client of its own:
/// a made-up company, for a company's number has room for the run's name.
fn requests(kind: &Kind, at: u32) -> [Request; 2] {
    let run = kind.names.run.to_ascii_uppercase();
    let cpf =
        TaxId::new(&format!("{}{at:04}", &run[run.len() - 10..])).expect("14 letters and digits");
    let client = NewClient {
        cpf: cpf.clone(),
        name: ClientName::new("Contention").expect("a legal name"),
        kind: ClientKind::new("Jurídico").expect("a legal kind"),
    };
    let account =
        NewAccount { number: kind.names.account(at), holders: vec![cpf], deposit: OPENING_DEPOSIT };
    [Request::Client(client), Request::Account(account)]
}
