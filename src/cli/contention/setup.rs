//! The clients and accounts of a contention run.

use super::work::{OPENING_DEPOSIT, RunParameters};
use consorcio_core::ids::{ClientKind, ClientName, TaxId};
use consorcio_core::wire::request::{NewAccount, NewClient, Request};

/// The requests that open account `at`. A client has at most one individual account at a bank, so
/// each account has a client of its own: a company, whose tax number has room for the run's name.
pub(super) fn requests(parameters: &RunParameters, at: u32) -> [Request; 2] {
    let run = parameters.names.run.to_ascii_uppercase();
    let cpf =
        TaxId::new(&format!("{}{at:04}", &run[run.len() - 10..])).expect("14 letters and digits");
    let client = NewClient {
        cpf: cpf.clone(),
        name: ClientName::new("Contention").expect("a legal name"),
        kind: ClientKind::new("Jurídico").expect("a legal kind"),
    };
    let account = NewAccount {
        number: parameters.names.account(at),
        holders: vec![cpf],
        deposit: OPENING_DEPOSIT,
    };
    [Request::Client(client), Request::Account(account)]
}
