//! An attacker without the key, between two real banks, who changes, forges and replays answers.

use crate::support::{Cluster, Wire, wait_until};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The attacker's state, and counters of its changes.
#[derive(Default)]
struct ProxyLog {
    /// Whether answers pass unchanged.
    honest: bool,
    /// The number of links that were dialled.
    links: usize,
    /// The number of changed answers, by transaction.
    lies: BTreeMap<String, usize>,
    /// A token of another transaction, to replay.
    old: String,
    /// The digest of each transaction.
    digests: BTreeMap<String, String>,
}

/// A proxy in front of one bank that changes its answers.
struct LyingProxy {
    port: u16,
    log: Arc<Mutex<ProxyLog>>,
}

impl LyingProxy {
    fn to(port: u16) -> LyingProxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = LyingProxy { port: listener.local_addr().unwrap().port(), log: Arc::default() };
        let log = Arc::clone(&proxy.log);
        thread::spawn(move || {
            for dialler in listener.incoming().flatten() {
                let Ok(bank) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                log.lock().unwrap().links += 1;
                let (mut from, mut to) = (dialler.try_clone().unwrap(), bank.try_clone().unwrap());
                thread::spawn(move || {
                    let _ended = std::io::copy(&mut from, &mut to);
                    let _gone = to.shutdown(Shutdown::Both);
                });
                let log = Arc::clone(&log);
                thread::spawn(move || forward_answers(bank, dialler, &log));
            }
        });
        proxy
    }

    fn with_log<T>(&self, access: impl FnOnce(&mut ProxyLog) -> T) -> T {
        access(&mut self.log.lock().unwrap())
    }
}

/// Forwards the bank's answers, with the attacker's changes.
fn forward_answers(bank: TcpStream, mut dialler: TcpStream, log: &Mutex<ProxyLog>) {
    for line in BufReader::new(bank).lines() {
        let Ok(line) = line else { break };
        let changed = log.lock().unwrap().change(&line);
        if dialler.write_all(format!("{changed}\n").as_bytes()).is_err() {
            break;
        }
    }
    let _gone = dialler.shutdown(Shutdown::Both);
}

impl ProxyLog {
    fn change(&mut self, line: &str) -> String {
        let mut words: Vec<&str> = line.split(' ').collect();
        let tx = words.get(1).copied().unwrap_or_default().to_owned();
        let answers = ["OK", "NOK", "COMMITTED", "ABORTED"].contains(&words[0]);
        if self.honest || !answers {
            return line.to_owned();
        }
        let far = "9007199254740000";
        let forged;
        let changed = match tx.as_str() {
            // The number beside the tokens has no MAC.
            "number" if words[0] == "COMMITTED" => {
                words[2] = far;
                words.join(" ")
            }
            // Neither has the word before them.
            "word" if words[0] == "OK" => format!("ABORTED {tx} {} refused", words[2]),
            // A refusal becomes a vote for it.
            "refused" if words[0] == "ABORTED" => {
                format!("OK {tx} {}", words[2].replacen('N', "O", 1))
            }
            "invented" => {
                let (digest, mac) = (&self.digests["invented"], "0".repeat(32));
                forged = format!("O1.{far}.{digest}.{mac}");
                format!("OK {tx} {forged}")
            }
            "repeated" => format!("OK {tx} {}", self.old),
            _ => return line.to_owned(),
        };
        *self.lies.entry(tx).or_default() += 1;
        changed
    }
}

fn transfer(from: usize, amount: i64) -> String {
    let to = 1 - from;
    format!(
        r#"{{"ops":[{{"bank":{from},"op":"debit","account":"{from}-1","amount":{amount}}},{{"bank":{to},"op":"credit","account":"{to}-1","amount":{amount}}}]}}"#
    )
}

/// Sends PREPARE to both banks; returns their votes.
fn votes(wires: &mut [Wire; 2], tx: &str, transaction: &str) -> [String; 2] {
    [0, 1].map(|bank| wires[bank].ask(&format!("PREPARE {tx} {transaction}")))
}

fn token(reply: &str) -> &str {
    reply.split(' ').nth(2).unwrap()
}

/// Two banks that reach each other through the proxies.
fn banks() -> (Cluster, [LyingProxy; 2]) {
    let mut cluster = Cluster::new(2, true);
    cluster.introduce();
    let proxies = [0, 1].map(|bank| LyingProxy::to(cluster.port(bank)));
    for bank in [0, 1] {
        let list = [0, 1].map(|of| {
            let port = if of == bank { cluster.port(of) } else { proxies[of].port };
            format!("127.0.0.1:{port}")
        });
        cluster.add_switches(bank, &["--consortium", &list.join(",")]);
        cluster.start_bank(bank);
    }
    for (bank, cpf) in [(0, "11111111111"), (1, "22222222222")] {
        cluster.wait_introduced(bank);
        let mut wire = cluster.connect(bank);
        wire.ask(&format!(r#"CLIENT {{"cpf":"{cpf}","name":"P","kind":"F"}}"#));
        let account =
            format!(r#"ACCOUNT {{"number":"{bank}-1","holders":["{cpf}"],"deposit":1000}}"#);
        assert!(wire.ask(&account).starts_with("DONE"));
    }
    (cluster, proxies)
}

/// A changed answer counts as silence: a bank in doubt stays in doubt and reconnects the link. Once
/// the answers pass unchanged, every transaction gets its right outcome.
#[test]
fn a_changed_answer_to_a_bank_in_doubt_counts_as_silence() {
    let (cluster, [to_0, proxy]) = banks();
    to_0.with_log(|log| log.honest = true);
    let mut wires = [cluster.connect(0), cluster.connect(1)];
    let [ours, theirs] = votes(&mut wires, "old", &transfer(0, 1));
    let tokens = format!("{} {}", token(&ours), token(&theirs));
    for wire in &mut wires {
        let reply = wire.ask(&format!("COMMIT old {tokens}"));
        assert!(reply.starts_with("COMMITTED old"), "{reply}");
    }
    proxy.with_log(|log| log.old = token(&theirs).to_owned());

    let [ours, theirs] = votes(&mut wires, "number", &transfer(0, 2));
    let reply = wires[1].ask(&format!("COMMIT number {} {}", token(&ours), token(&theirs)));
    assert!(reply.starts_with("COMMITTED number"), "{reply}");
    for tx in ["word", "invented", "repeated"] {
        let [ours, theirs] = votes(&mut wires, tx, &transfer(0, 3));
        assert!(ours.starts_with("OK") && theirs.starts_with("OK"), "{ours}, {theirs}");
        let digest = token(&ours).split('.').nth(2).unwrap().to_owned();
        proxy.with_log(|log| log.digests.insert(tx.to_owned(), digest));
    }
    let [ours, theirs] = votes(&mut wires, "refused", &transfer(1, 5_000));
    assert!(ours.starts_with("OK") && theirs.starts_with("NOK"), "{ours}, {theirs}");

    // The driver's connection to bank 0 closes, so bank 0 resolves; that to bank 1 stays open.
    let links = proxy.with_log(|log| log.links);
    let [driver, mut to_1] = wires;
    drop(driver);
    let mut client = cluster.connect(0);
    wait_until("each answer changed twice, and two new links", || {
        proxy.with_log(|log| {
            let twice = |tx: &str| log.lies.get(tx).is_some_and(|lies| *lies >= 2);
            let all = ["invented", "repeated", "refused"].iter().all(|tx| twice(tx));
            let once = ["number", "word"].iter().all(|tx| log.lies.contains_key(*tx));
            (all && once && log.links >= links + 2).then_some(())
        })
    });
    for tx in ["invented", "repeated", "refused"] {
        let status = client.ask(&format!("STATUS {tx}"));
        assert!(status.starts_with(&format!("OK {tx} ")), "it stays in doubt: {status}");
    }
    let log = cluster.log(0);
    assert!(log.contains("proves nothing"), "no warning in {log}");

    // Only the tokens count, not the text beside them.
    for tx in ["number", "word"] {
        let [here, there] = wait_until(&format!("{tx} is committed"), || {
            let both = [client.ask(&format!("STATUS {tx}")), to_1.ask(&format!("STATUS {tx}"))];
            both.iter().all(|status| status.starts_with("COMMITTED")).then_some(both)
        });
        assert_eq!(here.split(' ').nth(2), there.split(' ').nth(2), "{tx}: one time");
    }

    proxy.with_log(|log| log.honest = true);
    for (tx, end) in [("invented", "COMMITTED"), ("repeated", "COMMITTED"), ("refused", "ABORTED")]
    {
        wait_until(&format!("the end of {tx}"), || {
            let [here, there] =
                [client.ask(&format!("STATUS {tx}")), to_1.ask(&format!("STATUS {tx}"))];
            (here.starts_with(end) && there.split(' ').next() == Some(end)).then_some(())
        });
    }
    let lies = proxy.with_log(|log| format!("{} links, {:?}", log.links, log.lies));
    println!("{lies}");
    assert_eq!(
        [cluster.balance("0/0-1"), cluster.balance("1/1-1")],
        [1000 - 1 - 2 - 9, 1000 + 1 + 2 + 9]
    );
}
