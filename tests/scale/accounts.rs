//! A bank with a million accounts: openings, look-ups, lists, cuts and snapshots.

use crate::scale::bank::{CPF, MeasuredBank};
use crate::scale::{cpu_time, figure, is_full, size};
use consorcio::bank::Core;
use serde_json::Value;
use std::time::Duration;

/// The times of one kind of request.
#[derive(Default)]
struct RequestTimes {
    all: Vec<Duration>,
}

impl RequestTimes {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = cpu_time();
        let result = work();
        self.all.push(cpu_time() - began);
        result
    }

    /// Prints the times; at full size requires the longest to be within `most_ms`.
    fn print(mut self, what: &str, most_ms: u64) {
        self.all.sort();
        let (count, longest) = (self.all.len(), self.all[self.all.len() - 1]);
        let (middle, all) = (self.all[count / 2], self.all.iter().sum::<Duration>());
        figure(
            what,
            format_args!("{count} in {all:?}; half within {middle:?}, the longest {longest:?}"),
        );
        assert!(!is_full() || longest < Duration::from_millis(most_ms), "{what} took {longest:?}");
    }
}

/// The resident memory of this process, in bytes.
fn memory() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

fn pages(bank: &mut MeasuredBank, times: &mut RequestTimes, list: &str) -> (usize, usize) {
    let (mut items, mut pages, mut after) = (0, 0, String::new());
    loop {
        let page = times.time(|| bank.done(&format!("{list}{after}")));
        let Value::Array(page) = page else { panic!("{list} returned no list") };
        pages += 1;
        let next = page.last().and_then(|last| last.get("next")).cloned();
        items += page.len() - usize::from(next.is_some());
        let Some(next) = next else { return (items, pages) };
        after = format!(" after={}", next.as_str().unwrap());
    }
}

/// Each client has an individual account and a joint one with one company, which so holds half of
/// all.
#[test]
fn a_million_accounts() {
    let (mut bank, clients) = (MeasuredBank::new(), size(5_000, 500_000));
    let before = memory();
    let mut open = RequestTimes::default();
    // Numbers in no order of time, so that each opening is an insertion among all.
    let mixed = |n: usize| n * 7_919 % 1_000_003;
    for n in 0..clients {
        let (cpf, n) = (format!("1{n:010}"), mixed(n));
        open.time(|| bank.done(&format!(r#"CLIENT {{"cpf":"{cpf}","name":"Client","kind":"F"}}"#)));
        open.time(|| {
            bank.done(&format!(r#"ACCOUNT {{"number":"a{n}","holders":["{cpf}"],"deposit":100}}"#))
        });
        let joint = format!(r#"ACCOUNT {{"number":"j{n}","holders":["{cpf}","{CPF}"]}}"#);
        open.time(|| bank.done(&joint));
    }
    let accounts = 1 + 2 * clients;
    figure("accounts", accounts);
    figure("memory of an account, with half a client", memory().saturating_sub(before) / accounts);
    open.print("opening", 50);

    let mut lookups = RequestTimes::default();
    for n in (0..clients).step_by(97) {
        let balance = lookups.time(|| bank.done(&format!("BALANCE a{}", mixed(n))));
        assert_eq!(balance["balance"], 100);
    }
    lookups.print("BALANCE", 50);
    for (list, most) in [
        ("CLIENTS", 1 + clients),
        ("ACCOUNTS", accounts),
        (&format!("ACCOUNTS {CPF}"), 1 + clients),
    ] {
        let mut times = RequestTimes::default();
        let (items, pages) = pages(&mut bank, &mut times, list);
        assert_eq!(items, most, "{list}");
        assert!(pages <= 1 + most / 200, "{pages} pages of {list}");
        times.print(&format!("pages of {list}"), 50);
    }
    cut(&mut bank, clients, accounts);

    let mut snapshot = RequestTimes::default();
    let bytes = snapshot.time(|| bank.core.to_snapshot());
    let again =
        snapshot.time(|| Core::from_snapshot(crate::scale::bank::identity(), &bytes).unwrap());
    figure("bytes of a snapshot", bytes.len());
    assert!(again.same_as(&bank.core));
    snapshot.print("writing and reading a snapshot, on threads of their own", 60_000);
}

/// A cut of a time after which all accounts moved, and more were opened than a page examines.
fn cut(bank: &mut MeasuredBank, clients: usize, accounts: usize) {
    bank.now.wall_us += 1_000_000;
    let time = bank.done("SNAPSHOT")["time"].clone();
    let mut moves = RequestTimes::default();
    for n in 0..2 * clients {
        let n = n % clients * 7_919 % 1_000_003;
        let op = format!(r#"{{"ops":[{{"bank":0,"op":"deposit","account":"a{n}","amount":1}}]}}"#);
        let tx = format!("m{}", moves.all.len());
        moves.time(|| bank.request(1, &format!("EXECUTE {tx} {op}")));
    }
    moves.print("EXECUTE, one bank", 50);
    for n in 0..5_000 {
        let cpf = format!("3{n:010}");
        bank.done(&format!(r#"CLIENT {{"cpf":"{cpf}","name":"Client","kind":"F"}}"#));
        bank.done(&format!(r#"ACCOUNT {{"number":"b{n}","holders":["{cpf}"]}}"#));
    }
    let (mut pages, mut items, mut sum, mut after) = (RequestTimes::default(), 0, 0, String::new());
    loop {
        let page = pages.time(|| bank.done(&format!("SNAPSHOT {time} accounts{after}")));
        let list = page["accounts"].as_array().unwrap();
        items += list.len();
        sum += list.iter().map(|account| account["balance"].as_i64().unwrap()).sum::<i64>();
        let Some(next) = page["next"].as_str() else { break };
        after = format!(" after={next}");
    }
    assert_eq!(items, accounts, "the accounts opened by that time");
    assert_eq!(sum, 1_000 + 100 * i64::try_from(clients).unwrap(), "the balances at that time");
    figure("memory of the past for cuts", bank.core.ledger().cut_bytes());
    pages.print("pages of a cut behind which all accounts moved twice", 50);
}
