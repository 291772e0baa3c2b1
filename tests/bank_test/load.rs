//! The workload, as Jepsen's bank test has it: transfers of 1 to 5 between random accounts and as
//! many reads of all accounts; and beside them, sets and reads of registers.

use super::client::TestClient;
use super::history::{Cut, Op, Told, What, now_us};
use super::proxy::{Proxies, Weather};
use super::random::Random;
use super::{ACCOUNTS, BANKS, account, bank_of};
use consorcio::wire::reply::Reply;
use serde_json::Value;
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::watch;

/// Clients that move money and read all of it.
const TELLERS: u64 = 10;
/// Clients that set and read registers.
const SETTERS: u64 = 5;
/// Clients that read the register that is set most, each at a bank of its own, nearly without a
/// rest: a bank that showed a value too early or too late, however shortly, is seen by one of them.
const WATCHERS: u64 = BANKS as u64;
pub const CLIENTS_IN_ALL: u64 = TELLERS + SETTERS + WATCHERS;
/// Registers; few, so that clients meet.
const REGISTERS: usize = 4;
/// Sets and reads go to the first register this many times in a hundred, so that they meet even
/// more.
const HOT_PERCENT: u64 = 60;
/// A client rests up to this long between two requests: the banks are to be tested, not this
/// machine.
const REST_MS_MAX: u64 = 60;
/// ... and a watcher.
const WATCHERS_REST_MS_MAX: u64 = 8;
/// A bank answers within 3 s; a client that hears nothing for longer goes.
const ANSWER_WITHIN: Duration = Duration::from_millis(3_500);

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The banks come up.
    Prepare,
    Load,
    /// The clients stop; the proxies go on.
    Settle,
    Over,
}

/// Serves the proxies from now on until `Phase::Over`, and lets the clients work during
/// `Phase::Load`; what they did comes when they have stopped.
pub fn run(
    seed: u64,
    proxies: Proxies,
    runtime: &tokio::runtime::Runtime,
    ports: [u16; BANKS],
    weather: &watch::Receiver<Weather>,
    mut phase: watch::Receiver<Phase>,
    done: &mpsc::Sender<Vec<Op>>,
) {
    runtime.block_on(async {
        let for_clients = proxies.for_clients();
        proxies.serve(ports, weather);
        let began = phase.wait_for(|phase| *phase >= Phase::Load).await.map(|_| ());
        began.expect("the phases are told to the end");
        let clients: Vec<_> = (0..CLIENTS_IN_ALL)
            .map(|number| {
                let client = TestClient::new(for_clients);
                let random = Random::new(seed, number + 1);
                tokio::spawn(work(number, client, random, phase.clone()))
            })
            .collect();
        let mut ops = Vec::new();
        for client in clients {
            ops.extend(client.await.expect("a client does not panic"));
        }
        ops.sort_by_key(|op| op.began_us);
        done.send(ops).expect("somebody checks what the clients did");
        let over = phase.wait_for(|phase| *phase == Phase::Over).await.map(|_| ());
        over.expect("the phases are told to the end");
    });
}

/// What a client is there for.
#[derive(Debug, Clone, Copy)]
enum Role {
    Teller,
    Setter,
    Watcher(usize),
}

impl Role {
    fn of(number: u64) -> Role {
        match number.checked_sub(TELLERS + SETTERS) {
            Some(bank) => Role::Watcher(usize::try_from(bank).unwrap()),
            None if number < TELLERS => Role::Teller,
            None => Role::Setter,
        }
    }
}

async fn work(
    number: u64,
    mut client: TestClient,
    mut random: Random,
    phase: watch::Receiver<Phase>,
) -> Vec<Op> {
    let role = Role::of(number);
    let mut ops = Vec::new();
    while *phase.borrow() == Phase::Load {
        let name = format!("c{number}-{}", ops.len());
        let half = random.percent(50);
        let began_us = now_us();
        let (what, told) = match (role, half) {
            (Role::Teller, true) => transfer(name, &mut client, &mut random).await,
            (Role::Teller, false) => cut(&mut client, &mut random).await,
            (Role::Setter, true) => set(name, &mut client, &mut random).await,
            (Role::Setter, false) => {
                let (key, bank) = (register(&mut random), random.below(BANKS));
                get(key, bank, &mut client).await
            }
            (Role::Watcher(bank), _) => get(HOT.to_owned(), bank, &mut client).await,
        };
        let answered = !matches!(told, Told::Nothing);
        ops.push(Op { what, began_us, ended_us: now_us(), told_us: client.take_told_us(), told });
        let rest_ms_max = match (role, answered) {
            (Role::Watcher(_), true) => WATCHERS_REST_MS_MAX,
            (Role::Teller | Role::Setter | Role::Watcher(_), _) => REST_MS_MAX,
        };
        tokio::time::sleep(Duration::from_millis(random.between(0, rest_ms_max))).await;
    }
    ops
}

async fn transfer(tx: String, client: &mut TestClient, random: &mut Random) -> (What, Told) {
    let from = random.below(ACCOUNTS);
    let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    let amount = i64::try_from(random.between(1, 5)).unwrap();
    let op = |bank, op, account| {
        format!(r#"{{"bank":{bank},"op":"{op}","account":"{account}","amount":{amount}}}"#)
    };
    let debit = op(bank_of(from), "debit", account(from));
    let credit = op(bank_of(to), "credit", account(to));
    let transaction = format!(r#"{{"ops":[{debit},{credit}]}}"#);
    let drivers = [bank_of(from), bank_of(to)];
    let told = transact(&tx, &transaction, &drivers, client, random).await;
    (What::Transfer { tx, from, to, amount }, told)
}

/// The register that most go to.
const HOT: &str = "r0";

fn register(random: &mut Random) -> String {
    if random.percent(HOT_PERCENT) {
        HOT.to_owned()
    } else {
        format!("r{}", random.below(REGISTERS))
    }
}

async fn set(tx: String, client: &mut TestClient, random: &mut Random) -> (What, Told) {
    let key = register(random);
    // A name is used once, so each write has a value of its own.
    let value = tx.clone();
    let op = |bank| format!(r#"{{"bank":{bank},"op":"set","key":"{key}","value":"{value}"}}"#);
    let ops: Vec<String> = (0..BANKS).map(op).collect();
    let transaction = format!(r#"{{"ops":[{}]}}"#, ops.join(","));
    let told = transact(&tx, &transaction, &[0, 1, 2], client, random).await;
    (What::Set { tx, key, value }, told)
}

/// Most transactions are driven by the client, some by a bank; now and then the client dies on the
/// way.
async fn transact(
    tx: &str,
    text: &str,
    drivers: &[usize],
    client: &mut TestClient,
    random: &mut Random,
) -> Told {
    if random.percent(70) {
        let leave_after = random.percent(4).then(|| random.between(0, 2));
        return client.drive(tx, text, leave_after).await;
    }
    let driver = drivers[random.below(drivers.len())];
    match client.ask(driver, &format!("EXECUTE {tx} {text}"), ANSWER_WITHIN).await {
        Some(Reply::Committed(_, time, _, _)) => Told::Committed(time.0),
        Some(Reply::Aborted(_, _, reason, _)) => Told::Aborted(reason.to_string()),
        None | Some(Reply::Doubt(..) | Reply::Err(..)) => Told::Unknown { left: false },
        Some(other) => panic!("EXECUTE was answered with {other:?}"),
    }
}

async fn get(key: String, bank: usize, client: &mut TestClient) -> (What, Told) {
    let told = match client.ask(bank, &format!("VALUE {key}"), ANSWER_WITHIN).await {
        Some(Reply::Done(json)) => Told::Value(text(&json_of(&json)["value"])),
        // It waited for an outcome as long as it may.
        None | Some(Reply::Refused(..)) => Told::Nothing,
        Some(other) => panic!("VALUE was answered with {other:?}"),
    };
    (What::Get { key }, told)
}

/// All banks as of one time: that of a bank's clock, or of the wall clock.
async fn cut(client: &mut TestClient, random: &mut Random) -> (What, Told) {
    let clock = random.percent(70).then(|| random.below(BANKS));
    let time = match clock {
        Some(bank) => match client.ask(bank, "SNAPSHOT", ANSWER_WITHIN).await {
            Some(Reply::Done(json)) => number(&json_of(&json)["time"]),
            _ => return (What::Cut { clock }, Told::Nothing),
        },
        None => i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap(),
    };
    let mut cut = Cut { time, ..Cut::default() };
    let mut banks = [0, 1, 2];
    random.shuffle(&mut banks);
    for bank in banks {
        match client.ask(bank, &format!("SNAPSHOT {time} accounts"), ANSWER_WITHIN).await {
            Some(Reply::Done(json)) => take_cut(bank, &json, &mut cut),
            None | Some(Reply::Refused(..)) => return (What::Cut { clock }, Told::Nothing),
            Some(other) => panic!("SNAPSHOT was answered with {other:?}"),
        }
    }
    (What::Cut { clock }, Told::Cut(Box::new(cut)))
}

/// Adds what one bank told to a cut.
pub fn take_cut(bank: usize, json: &str, cut: &mut Cut) {
    let told = json_of(json);
    assert_eq!(told["time"], cut.time, "bank {bank} told of another time: {json}");
    assert!(told.get("next").is_none(), "so few accounts fit one page: {json}");
    for entry in told["accounts"].as_array().unwrap() {
        let name = text(&entry["number"]);
        let at = (0..ACCOUNTS).find(|at| account(*at) == name).expect("an account of this run");
        assert_eq!(bank_of(at), bank, "{json}");
        cut.balances.insert(at, number(&entry["balance"]));
    }
    for entry in told["registers"].as_array().unwrap() {
        cut.registers[bank].insert(text(&entry["key"]), text(&entry["value"]));
    }
    let fields = [
        "balance_total",
        "cash_in_total",
        "cash_out_total",
        "transfers_in_total",
        "transfers_out_total",
    ];
    cut.totals[bank] = fields.map(|field| number(&told[field]));
}

fn json_of(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
