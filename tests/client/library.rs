//! `consorcio_client`, the async client library, on real banks.

use crate::support::Cluster;
use consorcio::client::{BankAccount, Client, ClientError, ClientOptions, Extent};
use consorcio::config::Consortium;
use consorcio::ids::{AccountNumber, BankId, RegisterKey, RegisterValue};
use consorcio::money::Money;
use consorcio::wire::Reason;
use consorcio::wire::claims::Claim;
use std::error::Error;
use std::time::Duration;

/// The example of the library's documentation, which is a program of its own too.
#[path = "../../src/client/examples/transfer.rs"]
#[allow(dead_code, reason = "its main function is not called here")]
mod example;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

fn account(bank: usize, number: &str) -> BankAccount {
    BankAccount { bank: BankId::new(bank).unwrap(), number: AccountNumber::new(number).unwrap() }
}

fn list(cluster: &Cluster) -> Consortium {
    cluster.consortium().parse().unwrap()
}

/// Three banks, with R$ 10,00 in account 1 of bank 0, and nothing in account 2 of bank 1.
fn with_two_accounts() -> Cluster {
    let cluster = Cluster::start(3);
    cluster.open_account(0, "1", "11144477735", "10,00");
    cluster.open_account(1, "2", "11144477735", "0");
    cluster
}

#[test]
fn the_example_of_the_documentation_transfers_money() {
    let cluster = with_two_accounts();
    block_on(example::transfer(&cluster.consortium())).unwrap();
    assert_eq!((cluster.balance("0/1"), cluster.balance("1/2")), (7_50, 2_50));
}

#[test]
fn results_can_be_read_and_refusals_are_typed() {
    let cluster = with_two_accounts();
    block_on(async {
        let client = Client::connect(&list(&cluster)).await.unwrap();
        let (from, to) = (account(0, "1"), account(1, "2"));
        let committed = client.transfer(&from, &to, Money(4_00)).await.unwrap();
        // The second transfer reuses the connections of the first.
        client.transfer(&from, &to, Money(1_00)).await.unwrap();
        assert_eq!(client.balance(to.bank, &to.number).await.unwrap().balance, Money(5_00));
        let history = client.history(to.bank, 2).await.unwrap();
        assert_eq!((history.len(), history[1].tx.as_str()), (2, committed.tx.as_str()));
        assert_eq!(history[1].time, committed.time);
        let key = RegisterKey::new("colour").unwrap();
        client.set(&key, &RegisterValue::new("blue").unwrap()).await.unwrap();
        for bank in client.banks() {
            assert_eq!(client.value(bank, &key).await.unwrap(), "blue");
        }
        let cut = client.cut(None, Extent::All).await.unwrap();
        assert!(cut.judged.holds() && cut.answers.len() == 3, "{cut:?}");
        assert_eq!(cut.judged.total.balance_total, 10_00);
        let resolved = client.resolve(&committed.tx).await;
        assert_eq!(resolved.claim, Claim::Committed(committed.time));

        let too_much = client.transfer(&from, &to, Money(99_00)).await.unwrap_err();
        let refused = |error: &ClientError| match error {
            ClientError::Aborted { by, reason, .. } => Some((by.index(), *reason)),
            _ => None,
        };
        assert_eq!(refused(&too_much), Some((0, Reason::InsufficientFunds)), "{too_much}");
        let missing = account(2, "9");
        let unknown = client.balance(missing.bank, &missing.number).await.unwrap_err();
        assert!(
            matches!(unknown, ClientError::Refused { reason: Reason::UnknownAccount, .. }),
            "{unknown}"
        );
        let nothing = client.transfer(&from, &to, Money(0)).await.unwrap_err();
        assert!(matches!(nothing, ClientError::Illegal(_)), "{nothing}");
        let error: Box<dyn Error> = Box::new(too_much);
        assert!(error.to_string().contains("insufficient-funds"), "{error}");
    });
}

#[test]
fn a_bank_that_is_down_aborts_and_is_reconnected_when_it_is_back() {
    let mut cluster = with_two_accounts();
    let client = block_on(Client::connect(&list(&cluster))).unwrap();
    let (from, to) = (account(0, "1"), account(1, "2"));
    cluster.kill(1);
    block_on(async {
        let aborted = client.transfer(&from, &to, Money(1_00)).await.unwrap_err();
        assert!(matches!(aborted, ClientError::Aborted { .. }), "{aborted:?}");
        let silence = client.balance(to.bank, &to.number).await.unwrap_err();
        assert!(silence.is_silence(), "{silence:?}");
        let error = Client::connect(&list(&cluster)).await.unwrap_err();
        assert!(matches!(&error, ClientError::Unreachable { bank, .. } if *bank == to.bank));
        let cut = client.cut(None, Extent::Registers).await.unwrap();
        assert!(!cut.judged.is_whole() && cut.judged.faults.is_empty(), "{cut:?}");
    });
    cluster.start_bank(1);
    block_on(async {
        client.transfer(&from, &to, Money(1_00)).await.unwrap();
        assert_eq!(client.balance(to.bank, &to.number).await.unwrap().balance, Money(1_00));
    });
}

#[test]
fn a_list_in_another_order_executes_nothing() {
    let cluster = with_two_accounts();
    let places = list(&cluster).to_texts();
    let wrong = [places[1].as_str(), &places[0], &places[2]].join(",");
    let client = Client::new(wrong.parse().unwrap(), ClientOptions::default());
    block_on(async {
        let (from, to) = (account(1, "1"), account(0, "2"));
        let nothing = client.transfer(&from, &to, Money(1_00)).await.unwrap_err();
        assert!(matches!(nothing, ClientError::NothingDone { .. }), "{nothing:?}");
        let other = client.balance(from.bank, &from.number).await.unwrap_err();
        assert!(matches!(other, ClientError::OtherBank { .. }), "{other:?}");
    });
    assert_eq!(cluster.balance("0/1"), 10_00);
}

/// The client's futures are `Send`, for programs with a multi-threaded runtime.
#[test]
fn futures_are_send() {
    fn check<T: Send>(future: T) -> T {
        future
    }
    let options =
        ClientOptions { answer_within: Duration::from_millis(100), ..ClientOptions::default() };
    let client = Client::new("1".parse().unwrap(), options);
    let (from, to) = (account(0, "1"), account(0, "2"));
    let transferred = check(client.transfer(&from, &to, Money(1)));
    let cut = check(client.cut(None, Extent::All));
    let tx = client.new_tx().unwrap();
    let resolved = check(client.resolve(&tx));
    let (transferred, cut, resolved) =
        block_on(async { (transferred.await, cut.await, resolved.await) });
    assert!(matches!(transferred.unwrap_err(), ClientError::NothingDone { .. }));
    assert!(cut.unwrap_err().is_silence());
    assert!(resolved.answers[0].result.is_err());
}

/// A connection that a transaction leaves for reuse has no deadline of its first reply any more.
#[test]
fn a_connection_of_a_transaction_is_used_again_later() {
    let cluster = with_two_accounts();
    let within = Duration::from_millis(400);
    let options = ClientOptions { answer_within: within, ..ClientOptions::default() };
    let client = Client::new(list(&cluster), options);
    block_on(async {
        let (from, to) = (account(0, "1"), account(1, "2"));
        client.transfer(&from, &to, Money(1)).await.unwrap();
        // That deadline is what is waited for.
        tokio::time::sleep(within + Duration::from_millis(50)).await;
        for bank in client.banks() {
            client.info(bank).await.unwrap();
        }
    });
}
