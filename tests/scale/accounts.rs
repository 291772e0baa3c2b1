//! A bank with very many accounts: opening, looking up, lists, cuts and snapshots.

use crate::scale::bank::{Bank, CPF};
use crate::scale::{computed, figure, is_full, size};
use consorcio::bank::Core;
use serde_json::Value;
use std::time::Duration;

/// Times of one kind of request.
#[derive(Default)]
struct Times {
    all: Vec<Duration>,
}

impl Times {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = computed();
        let result = work();
        self.all.push(computed() - began);
        result
    }

    /// Tells them, and holds the longest to `most_ms` where whole sizes are run.
    fn tell(mut self, what: &str, most_ms: u64) {
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

/// Memory of this process in bytes, from outside of it.
fn memory() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

fn pages(bank: &mut Bank, times: &mut Times, list: &str) -> (usize, usize) {
    let (mut items, mut pages, mut after) = (0, 0, String::new());
    loop {
        let page = times.time(|| bank.done(&format!("{list}{after}")));
        let Value::Array(page) = page else { panic!("{list} is a list") };
        pages += 1;
        let next = page.last().and_then(|last| last.get("next")).cloned();
        items += page.len() - usize::from(next.is_some());
        let Some(next) = next else { return (items, pages) };
        after = format!(" after={}", next.as_str().unwrap());
    }
}

/// Each client has an account alone, and another one together with one company that so holds half
/// of all.
#[test]
fn a_million_accounts() {
    let (mut bank, clients) = (Bank::new(), size(5_000, 500_000));
    let before = memory();
    let mut open = Times::default();
    // Numbers that do not grow with time, so that each opening finds its place among all.
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
    open.tell("opening", 50);

    let mut lookups = Times::default();
    for n in (0..clients).step_by(97) {
        let balance = lookups.time(|| bank.done(&format!("BALANCE a{}", mixed(n))));
        assert_eq!(balance["balance"], 100);
    }
    lookups.tell("BALANCE", 50);
    for (list, most) in [
        ("CLIENTS", 1 + clients),
        ("ACCOUNTS", accounts),
        (&format!("ACCOUNTS {CPF}"), 1 + clients),
    ] {
        let mut times = Times::default();
        let (items, pages) = pages(&mut bank, &mut times, list);
        assert_eq!(items, most, "{list}");
        assert!(pages <= 1 + most / 200, "{pages} pages of {list}");
        times.tell(&format!("pages of {list}"), 50);
    }
    cut(&mut bank, clients, accounts);

    let mut snapshot = Times::default();
    let bytes = snapshot.time(|| bank.core.to_snapshot());
    let again =
        snapshot.time(|| Core::from_snapshot(crate::scale::bank::identity(), &bytes).unwrap());
    figure("bytes of a snapshot", bytes.len());
    assert!(again.same_as(&bank.core));
    snapshot.tell("writing and reading a snapshot, on threads of their own", 60_000);
}

/// A cut of a moment after which all accounts moved, and more were opened than a page looks at.
fn cut(bank: &mut Bank, clients: usize, accounts: usize) {
    bank.now.wall_us += 1_000_000;
    let time = bank.done("SNAPSHOT")["time"].clone();
    let mut moves = Times::default();
    for n in 0..2 * clients {
        let n = n % clients * 7_919 % 1_000_003;
        let op = format!(r#"{{"ops":[{{"bank":0,"op":"deposit","account":"a{n}","amount":1}}]}}"#);
        let tx = format!("m{}", moves.all.len());
        moves.time(|| bank.request(1, &format!("EXECUTE {tx} {op}")));
    }
    moves.tell("EXECUTE, one bank", 50);
    for n in 0..5_000 {
        let cpf = format!("3{n:010}");
        bank.done(&format!(r#"CLIENT {{"cpf":"{cpf}","name":"Client","kind":"F"}}"#));
        bank.done(&format!(r#"ACCOUNT {{"number":"b{n}","holders":["{cpf}"]}}"#));
    }
    let (mut pages, mut items, mut sum, mut after) = (Times::default(), 0, 0, String::new());
    loop {
        let page = pages.time(|| bank.done(&format!("SNAPSHOT {time} accounts{after}")));
        let list = page["accounts"].as_array().unwrap();
        items += list.len();
        sum += list.iter().map(|account| account["balance"].as_i64().unwrap()).sum::<i64>();
        let Some(next) = page["next"].as_str() else { break };
        after = format!(" after={next}");
    }
    assert_eq!(items, accounts, "those that were opened by then");
    assert_eq!(sum, 1_000 + 100 * i64::try_from(clients).unwrap(), "what they had then");
    figure("memory of what cuts need", bank.core.ledger().cut_bytes());
    pages.tell("pages of a cut behind which all accounts moved twice", 50);
}
