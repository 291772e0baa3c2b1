//! A journal with records that today's rules for names and ids would refuse: the bank still opens
//! it, and decides its transactions.

use crate::support::{Cluster, wait_until};
use consorcio::bank::Identity;
use consorcio::bank::record::Record;
use consorcio::ids::{BankId, Time, TxId};
use consorcio::journal::{
    self, BankReplica, FileDisk, JournalError, JournalOptions, JournalScan, Scanned,
};
use consorcio::wire::registration::{NewAccount, NewClient};
use consorcio::wire::token::Seal;
use consorcio::wire::transaction::Transaction;
use std::path::Path;
use std::sync::Arc;

/// Appends records to the journal of bank 0, as an older program would have written them. `make`
/// calls its argument for the time of each.
fn forge(folder: &Path, make: impl FnOnce(&mut dyn FnMut() -> Time) -> Vec<Record>) {
    let mut places = None;
    let scanned = JournalScan::new(&FileDisk::read_only(folder)).read::<JournalError>(|scanned| {
        if let Scanned::Record { record: Record::Consortium { places: list, .. }, .. } = scanned {
            places = Some(list);
        }
        Ok(())
    });
    assert_eq!(scanned.expect("it can be read"), None);
    let bank = BankId::new(0).expect("a bank");
    let identity = Identity { bank, places: places.expect("a list"), seal: Seal::keyed([7; 32]) };
    let options = JournalOptions { threads: false, ..JournalOptions::default() };
    let mut replica = BankReplica::new(identity);
    let disk = Arc::new(FileDisk::open(folder).expect("the bank is stopped"));
    let (mut appender, ..) = journal::open(disk, options, &mut replica).expect("a journal");
    let mut last = replica.core.clock();
    let mut time = || {
        last = Time(last.0 + 1);
        last
    };
    let mut batch = appender.batch();
    for (record, seq) in make(&mut time).iter().zip(appender.last() + 1..) {
        batch.push(seq, record);
    }
    appender.append(&mut batch).expect("it appends");
    appender.close().expect("it ends");
}

#[test]
fn old_records_stay_valid_and_their_transactions_end() {
    let mut cluster = Cluster::start_with(2, true);
    for (bank, number) in [(0, "1-9"), (1, "2-7")] {
        let mut wire = cluster.connect(bank);
        let client = wire.ask(r#"CLIENT {"cpf":"12345678901","name":"Maria","kind":"F"}"#);
        assert!(client.starts_with("DONE"), "{client}");
        let account =
            format!(r#"ACCOUNT {{"number":"{number}","holders":["12345678901"],"deposit":1000}}"#);
        let account = wire.ask(&account);
        assert!(account.starts_with("DONE"), "{account}");
    }
    assert_eq!(cluster.stop(0), Some(0));
    let undecided = |account: &str, amount: u64| {
        let text = format!(
            r#"{{"ops":[{{"bank":0,"op":"debit","account":"{account}","amount":{amount}}},{{"bank":1,"op":"credit","account":"2-7","amount":{amount}}}]}}"#
        );
        Arc::new(Transaction::parse(&text).unwrap())
    };
    forge(&cluster.path().join("data/bank-0"), |time| {
        let name = "Ana\u{202e}oluaP \u{200b}";
        let client = format!(r#"{{"cpf":"98765432100","name":"{name}","kind":"F"}}"#);
        let account = r#"{"number":"..","holders":["98765432100"],"deposit":500}"#;
        let client: NewClient = serde_json::from_str(&client).unwrap();
        let account: NewAccount = serde_json::from_str(account).unwrap();
        let vote = |tx: &str, time, transaction| Record::Voted {
            tx: TxId::new(tx).unwrap(),
            time,
            transaction,
            refusal: None,
        };
        vec![
            Record::ClientAdded { time: time(), client },
            Record::AccountOpened { time: time(), account },
            vote(".", time(), undecided("1-9", 100)),
            vote("..", time(), undecided("..", 200)),
        ]
    });
    cluster.try_start(0).expect("a bank with an old journal starts");
    // Bank 1 does not know them, so it refuses both, although it accepts neither id in PREPARE.
    let mut wire = cluster.connect(0);
    for tx in [".", ".."] {
        let status = wait_until("the abort", || {
            let status = wire.ask(&format!("STATUS {tx}"));
            status.starts_with("ABORTED").then_some(status)
        });
        assert!(cluster.connect(1).ask(&format!("STATUS {tx}")).starts_with("ABORTED"), "{status}");
        assert!(wire.ask(&format!("RESOLVE {tx}")).starts_with("ABORTED"), "{status}");
    }
    let balance =
        |wire: &mut crate::support::Wire, account: &str| wire.ask(&format!("BALANCE {account}"));
    assert!(balance(&mut wire, "..").contains("500"), "{}", balance(&mut wire, ".."));
    assert!(balance(&mut wire, "1-9").contains("1000"), "{}", balance(&mut wire, "1-9"));
    assert!(wire.ask("CLIENTS").contains("98765432100"));
    // New records with such texts are refused.
    let name = wire.ask("CLIENT {\"cpf\":\"11122233396\",\"name\":\"Ana\u{202e}\",\"kind\":\"F\"}");
    assert!(name.starts_with("ERR") && name.contains("U+202E"), "{name}");
    let number = wire.ask(r#"ACCOUNT {"number":".","holders":["12345678901"],"deposit":0}"#);
    assert!(number.starts_with("ERR") && number.contains("`.` or `..`"), "{number}");
}
