//! The workload of Jepsen's bank test: transfers of 1 to 5 between random accounts and as many
//! reads of all accounts; beside them, sets and reads of registers.

use super::client::TestClient;
use super::history::{ClientOp, Cut, OpKind, OpResult, now_us};
use super::proxy::{NetworkState, Proxies};
use super::random::SeededRng;
use super::{ACCOUNTS, BANKS, account, bank_of};
use consorcio::wire::reply::Reply;
use serde_json::Value;
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::watch;

/// Clients that transfer money and read cuts.
const TELLERS: u64 = 10;
/// Clients that set and read registers.
const SETTERS: u64 = 5;
/// Clients that read the hottest register almost without a pause, one at each bank, so that they
/// notice a value that a bank returns too early or too late, however briefly.
const WATCHERS: u64 = BANKS as u64;
pub const CLIENTS_IN_ALL: u64 = TELLERS + SETTERS + WATCHERS;
/// Few registers, so that clients conflict.
const REGISTERS: usize = 4;
/// The percentage of sets and reads that go to the first register, for more conflicts.
const HOT_PERCENT: u64 = 60;
/// A client pauses up to this long between requests, so that the machine is not saturated.
const PAUSE_MS_MAX: u64 = 60;
/// The same for watchers.
const WATCHERS_PAUSE_MS_MAX: u64 = 8;
/// A client's timeout; a bank replies within 3 s.
const ANSWER_WITHIN: Duration = Duration::from_millis(3_500);

/// The phases of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunPhase {
    /// The banks start; no client works yet.
    Prepare,
    Load,
    /// The clients stop; the proxies continue.
    Drain,
    Finished,
}

/// Serves the proxies until `RunPhase::Finished`, and runs the clients during `RunPhase::Load`.
/// Sends the history to `done` when the clients have stopped.
pub fn run(
    seed: u64,
    proxies: Proxies,
    runtime: &tokio::runtime::Runtime,
    ports: [u16; BANKS],
    network: &watch::Receiver<NetworkState>,
    mut phase: watch::Receiver<RunPhase>,
    done: &mpsc::SyncSender<Vec<ClientOp>>,
) {
    runtime.block_on(async {
        let for_clients = proxies.for_clients();
        proxies.serve(ports, network);
        let began = phase.wait_for(|phase| *phase >= RunPhase::Load).await.map(|_| ());
        began.expect("the run sends every phase");
        let clients: Vec<_> = (0..CLIENTS_IN_ALL)
            .map(|number| {
                let client = TestClient::new(for_clients);
                let random = SeededRng::new(seed, number + 1);
                tokio::spawn(work(number, client, random, phase.clone()))
            })
            .collect();
        let mut ops = Vec::new();
        for client in clients {
            ops.extend(client.await.expect("a client does not panic"));
        }
        ops.sort_by_key(|op| op.began_us);
        done.send(ops).expect("the run waits for the history");
        let over = phase.wait_for(|phase| *phase == RunPhase::Finished).await.map(|_| ());
        over.expect("the run sends every phase");
    });
}

/// What a client does.
#[derive(Debug, Clone, Copy)]
enum Task {
    Teller,
    Setter,
    Watcher(usize),
}

impl Task {
    fn of(number: u64) -> Task {
        match number.checked_sub(TELLERS + SETTERS) {
            Some(bank) => Task::Watcher(usize::try_from(bank).unwrap()),
            None if number < TELLERS => Task::Teller,
            None => Task::Setter,
        }
    }
}

async fn work(
    number: u64,
    mut client: TestClient,
    mut random: SeededRng,
    phase: watch::Receiver<RunPhase>,
) -> Vec<ClientOp> {
    let role = Task::of(number);
    let mut ops = Vec::new();
    while *phase.borrow() == RunPhase::Load {
        let name = format!("c{number}-{}", ops.len());
        let half = random.percent(50);
        let began_us = now_us();
        let (kind, result) = match (role, half) {
            (Task::Teller, true) => transfer(name, &mut client, &mut random).await,
            (Task::Teller, false) => cut(&mut client, &mut random).await,
            (Task::Setter, true) => set(name, &mut client, &mut random).await,
            (Task::Setter, false) => {
                let (key, bank) = (register(&mut random), random.below(BANKS));
                get(key, bank, &mut client).await
            }
            (Task::Watcher(bank), _) => get(HOT.to_owned(), bank, &mut client).await,
        };
        let answered = !matches!(result, OpResult::NoReply);
        let verdict_us = client.take_verdict_us();
        ops.push(ClientOp { kind, began_us, ended_us: now_us(), verdict_us, result });
        let pause_ms_max = match (role, answered) {
            (Task::Watcher(_), true) => WATCHERS_PAUSE_MS_MAX,
            (Task::Teller | Task::Setter | Task::Watcher(_), _) => PAUSE_MS_MAX,
        };
        tokio::time::sleep(Duration::from_millis(random.between(0, pause_ms_max))).await;
    }
    ops
}

async fn transfer(
    tx: String,
    client: &mut TestClient,
    random: &mut SeededRng,
) -> (OpKind, OpResult) {
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
    let result = transact(&tx, &transaction, &drivers, client, random).await;
    (OpKind::Transfer { tx, from, to, amount }, result)
}

/// The register that most sets and reads use.
const HOT: &str = "r0";

fn register(random: &mut SeededRng) -> String {
    if random.percent(HOT_PERCENT) {
        HOT.to_owned()
    } else {
        format!("r{}", random.below(REGISTERS))
    }
}

async fn set(tx: String, client: &mut TestClient, random: &mut SeededRng) -> (OpKind, OpResult) {
    let key = register(random);
    // The checker needs a unique value for each write; ids are unique.
    let value = tx.clone();
    let op = |bank| format!(r#"{{"bank":{bank},"op":"set","key":"{key}","value":"{value}"}}"#);
    let ops: Vec<String> = (0..BANKS).map(op).collect();
    let transaction = format!(r#"{{"ops":[{}]}}"#, ops.join(","));
    let result = transact(&tx, &transaction, &[0, 1, 2], client, random).await;
    (OpKind::Set { tx, key, value }, result)
}

/// Most transactions are driven by the client, some by a bank; sometimes the client closes its
/// connections before the outcome.
async fn transact(
    tx: &str,
    text: &str,
    drivers: &[usize],
    client: &mut TestClient,
    random: &mut SeededRng,
) -> OpResult {
    if random.percent(70) {
        let leave_after = random.percent(4).then(|| random.between(0, 2));
        return client.drive(tx, text, leave_after).await;
    }
    let driver = drivers[random.below(drivers.len())];
    match client.ask(driver, &format!("EXECUTE {tx} {text}"), ANSWER_WITHIN).await {
        Some(Reply::Committed(_, time, _, _)) => OpResult::Committed(time.0),
        Some(Reply::Aborted(_, _, reason, _)) => OpResult::Aborted(reason.to_string()),
        None | Some(Reply::Doubt(..) | Reply::Err(..)) => OpResult::Unknown { left: false },
        Some(other) => panic!("the reply to EXECUTE was {other:?}"),
    }
}

async fn get(key: String, bank: usize, client: &mut TestClient) -> (OpKind, OpResult) {
    let result = match client.ask(bank, &format!("VALUE {key}"), ANSWER_WITHIN).await {
        Some(Reply::Done(json)) => OpResult::Value(text(&json_of(&json)["value"])),
        // The read waited for an outcome until its timeout.
        None | Some(Reply::Refused(..)) => OpResult::NoReply,
        Some(other) => panic!("the reply to VALUE was {other:?}"),
    };
    (OpKind::Get { key }, result)
}

/// Reads a cut at the time of a bank's clock, or of the wall clock.
async fn cut(client: &mut TestClient, random: &mut SeededRng) -> (OpKind, OpResult) {
    let clock = random.percent(70).then(|| random.below(BANKS));
    let time = match clock {
        Some(bank) => match client.ask(bank, "SNAPSHOT", ANSWER_WITHIN).await {
            Some(Reply::Done(json)) => number(&json_of(&json)["time"]),
            _ => return (OpKind::Cut { clock }, OpResult::NoReply),
        },
        None => i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap(),
    };
    let mut cut = Cut { time, ..Cut::default() };
    let mut banks = [0, 1, 2];
    random.shuffle(&mut banks);
    for bank in banks {
        match client.ask(bank, &format!("SNAPSHOT {time} accounts"), ANSWER_WITHIN).await {
            Some(Reply::Done(json)) => take_cut(bank, &json, &mut cut),
            None | Some(Reply::Refused(..)) => return (OpKind::Cut { clock }, OpResult::NoReply),
            Some(other) => panic!("the reply to SNAPSHOT was {other:?}"),
        }
    }
    (OpKind::Cut { clock }, OpResult::Cut(Box::new(cut)))
}

/// Adds one bank's part to a cut.
pub fn take_cut(bank: usize, json: &str, cut: &mut Cut) {
    let part = json_of(json);
    assert_eq!(part["time"], cut.time, "bank {bank} replied for another time: {json}");
    assert!(part.get("next").is_none(), "all accounts fit into one page: {json}");
    for entry in part["accounts"].as_array().unwrap() {
        let name = text(&entry["number"]);
        let at = (0..ACCOUNTS).find(|at| account(*at) == name).expect("an account of this run");
        assert_eq!(bank_of(at), bank, "{json}");
        cut.balances.insert(at, number(&entry["balance"]));
    }
    for entry in part["registers"].as_array().unwrap() {
        cut.registers[bank].insert(text(&entry["key"]), text(&entry["value"]));
    }
    let fields = [
        "balance_total",
        "cash_in_total",
        "cash_out_total",
        "transfers_in_total",
        "transfers_out_total",
    ];
    cut.totals[bank] = fields.map(|field| number(&part[field]));
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
