//! A journal from before the rules for new texts: a bank goes on with what it holds, and ends its
//! transactions.

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

/// Appends records to the journal of bank 0, as an older program would have written them. Each has
/// its time by `time`.
fn forge(folder: &Path, make: impl FnOnce(&mut dyn FnMut() -> Time) -> Vec<Record>) {
    let mut places = None;
    let scanned = JournalScan::new(&FileDisk::read_only(folder)).read::<JournalError>(|scanned| {
        if let Scanned::Record { record: Record::Consortium { places: told, .. }, .. } = scanned {
            places = Some(told);
        }
        Ok(())
    });
    assert_eq!(scanned.expect("it can be read"), None);
    let bank = BankId::new(0).expect("a bank");
    let identity = Identity { bank, places: places.expect("a list"), seal: Seal::keyed([7; 32]) };
    let options = JournalOptions { threads: false, ..JournalOptions::default() };
    let mut replica = BankReplica::new(identity);
    let disk = Arc::new(FileDisk::open(folder).expect("nobody uses it"));
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
fn what_an_old_journal_holds_stays_good_and_ends() {
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
    // Bank 1 never heard of them: it refuses both for ever, though it would take neither as a new
    // one.
    let mut wire = cluster.connect(0);
    for tx in [".", ".."] {
        let told = wait_until("the transactions end", || {
            let told = wire.ask(&format!("STATUS {tx}"));
            told.starts_with("ABORTED").then_some(told)
        });
        assert!(cluster.connect(1).ask(&format!("STATUS {tx}")).starts_with("ABORTED"), "{told}");
        assert!(wire.ask(&format!("RESOLVE {tx}")).starts_with("ABORTED"), "{told}");
    }
    let balance =
        |wire: &mut crate::support::Wire, account: &str| wire.ask(&format!("BALANCE {account}"));
    assert!(balance(&mut wire, "..").contains("500"), "{}", balance(&mut wire, ".."));
    assert!(balance(&mut wire, "1-9").contains("1000"), "{}", balance(&mut wire, "1-9"));
    assert!(wire.ask("CLIENTS").contains("98765432100"));
    // The same again as new ones: refused, with words, and nothing is recorded.
    let name = wire.ask("CLIENT {\"cpf\":\"11122233396\",\"name\":\"Ana\u{202e}\",\"kind\":\"F\"}");
    assert!(name.starts_with("ERR") && name.contains("U+202E"), "{name}");
    let number = wire.ask(r#"ACCOUNT {"number":".","holders":["12345678901"],"deposit":0}"#);
    assert!(number.starts_with("ERR") && number.contains("`.` or `..`"), "{number}");
}
