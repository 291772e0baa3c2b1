//! Somebody without the key between two real banks, who changes, invents and repeats what one
//! answers the other.

use crate::support::{Cluster, Wire, wait_until};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is done, and was done so far.
#[derive(Default)]
struct ProxyLog {
    honest: bool,
    /// Links that were dialled here.
    links: usize,
    /// Changed answers, by transaction.
    lies: BTreeMap<String, usize>,
    /// The token of an answer about another transaction.
    old: String,
    /// The digest of what is voted on, by transaction.
    digests: BTreeMap<String, String>,
}

/// The way to one bank.
struct LyingProxy {
    port: u16,
    deeds: Arc<Mutex<ProxyLog>>,
}

impl LyingProxy {
    fn to(port: u16) -> LyingProxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = LyingProxy { port: listener.local_addr().unwrap().port(), deeds: Arc::default() };
        let deeds = Arc::clone(&way.deeds);
        thread::spawn(move || {
            for dialler in listener.incoming().flatten() {
                let Ok(bank) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                deeds.lock().unwrap().links += 1;
                let (mut from, mut to) = (dialler.try_clone().unwrap(), bank.try_clone().unwrap());
                thread::spawn(move || {
                    let _ended = std::io::copy(&mut from, &mut to);
                    let _gone = to.shutdown(Shutdown::Both);
                });
                let deeds = Arc::clone(&deeds);
                thread::spawn(move || answers(bank, dialler, &deeds));
            }
        });
        way
    }

    fn deeds<T>(&self, look: impl FnOnce(&mut ProxyLog) -> T) -> T {
        look(&mut self.deeds.lock().unwrap())
    }
}

/// Carries what the bank answers.
fn answers(bank: TcpStream, mut dialler: TcpStream, deeds: &Mutex<ProxyLog>) {
    for line in BufReader::new(bank).lines() {
        let Ok(line) = line else { break };
        let told = deeds.lock().unwrap().changed(&line);
        if dialler.write_all(format!("{told}\n").as_bytes()).is_err() {
            break;
        }
    }
    let _gone = dialler.shutdown(Shutdown::Both);
}

impl ProxyLog {
    fn changed(&mut self, line: &str) -> String {
        let mut words: Vec<&str> = line.split(' ').collect();
        let about = words.get(1).copied().unwrap_or_default().to_owned();
        let answers = ["OK", "NOK", "COMMITTED", "ABORTED"].contains(&words[0]);
        if self.honest || !answers {
            return line.to_owned();
        }
        let far = "9007199254740000";
        let invented;
        let told = match about.as_str() {
            // The number beside the tokens has no MAC.
            "number" if words[0] == "COMMITTED" => {
                words[2] = far;
                words.join(" ")
            }
            // Nor has the word before them.
            "word" if words[0] == "OK" => format!("ABORTED {about} {} refused", words[2]),
            // A refusal becomes a vote for it.
            "refused" if words[0] == "ABORTED" => {
                format!("OK {about} {}", words[2].replacen('N', "O", 1))
            }
            "invented" => {
                let (digest, mac) = (&self.digests["invented"], "0".repeat(32));
                invented = format!("O1.{far}.{digest}.{mac}");
                format!("OK {about} {invented}")
            }
            "repeated" => format!("OK {about} {}", self.old),
            _ => return line.to_owned(),
        };
        *self.lies.entry(about).or_default() += 1;
        told
    }
}

fn transfer(from: usize, amount: i64) -> String {
    let to = 1 - from;
    format!(
        r#"{{"ops":[{{"bank":{from},"op":"debit","account":"{from}-1","amount":{amount}}},{{"bank":{to},"op":"credit","account":"{to}-1","amount":{amount}}}]}}"#
    )
}

/// Both banks vote; what each said.
fn votes(wires: &mut [Wire; 2], tx: &str, transaction: &str) -> [String; 2] {
    [0, 1].map(|bank| wires[bank].ask(&format!("PREPARE {tx} {transaction}")))
}

fn token(reply: &str) -> &str {
    reply.split(' ').nth(2).unwrap()
}

/// Two banks that reach each other over the ways.
fn banks() -> (Cluster, [LyingProxy; 2]) {
    let mut cluster = Cluster::new(2, true);
    cluster.introduce();
    let ways = [0, 1].map(|bank| LyingProxy::to(cluster.port(bank)));
    for bank in [0, 1] {
        let list = [0, 1].map(|of| {
            let port = if of == bank { cluster.port(of) } else { ways[of].port };
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
    (cluster, ways)
}

/// What somebody on the way makes of answers changes nothing: a bank in doubt stays in doubt,
/// closes the link and makes it anew; and once the way is honest all ends as it must.
#[test]
fn what_is_changed_on_the_way_to_a_bank_in_doubt_is_silence() {
    let (cluster, [to_0, way]) = banks();
    to_0.deeds(|deeds| deeds.honest = true);
    let mut wires = [cluster.connect(0), cluster.connect(1)];
    let [ours, theirs] = votes(&mut wires, "old", &transfer(0, 1));
    let tokens = format!("{} {}", token(&ours), token(&theirs));
    for wire in &mut wires {
        let told = wire.ask(&format!("COMMIT old {tokens}"));
        assert!(told.starts_with("COMMITTED old"), "{told}");
    }
    way.deeds(|deeds| deeds.old = token(&theirs).to_owned());

    let [ours, theirs] = votes(&mut wires, "number", &transfer(0, 2));
    let told = wires[1].ask(&format!("COMMIT number {} {}", token(&ours), token(&theirs)));
    assert!(told.starts_with("COMMITTED number"), "{told}");
    for tx in ["word", "invented", "repeated"] {
        let [ours, theirs] = votes(&mut wires, tx, &transfer(0, 3));
        assert!(ours.starts_with("OK") && theirs.starts_with("OK"), "{ours}, {theirs}");
        let digest = token(&ours).split('.').nth(2).unwrap().to_owned();
        way.deeds(|deeds| deeds.digests.insert(tx.to_owned(), digest));
    }
    let [ours, theirs] = votes(&mut wires, "refused", &transfer(1, 5_000));
    assert!(ours.starts_with("OK") && theirs.starts_with("NOK"), "{ours}, {theirs}");

    // Its driver is gone, so bank 0 asks; bank 1's stays.
    let links = way.deeds(|deeds| deeds.links);
    let [driver, mut to_1] = wires;
    drop(driver);
    let mut asked = cluster.connect(0);
    wait_until("each answer was changed twice, and the link made anew twice", || {
        way.deeds(|deeds| {
            let twice = |tx: &str| deeds.lies.get(tx).is_some_and(|lies| *lies >= 2);
            let all = ["invented", "repeated", "refused"].iter().all(|tx| twice(tx));
            let once = ["number", "word"].iter().all(|tx| deeds.lies.contains_key(*tx));
            (all && once && deeds.links >= links + 2).then_some(())
        })
    });
    for tx in ["invented", "repeated", "refused"] {
        let status = asked.ask(&format!("STATUS {tx}"));
        assert!(status.starts_with(&format!("OK {tx} ")), "it stays in doubt: {status}");
    }
    let log = cluster.log(0);
    assert!(log.contains("proves nothing"), "it is told: {log}");

    // Tokens count whatever stands beside them.
    for tx in ["number", "word"] {
        let [here, there] = wait_until(&format!("{tx} is committed"), || {
            let both = [asked.ask(&format!("STATUS {tx}")), to_1.ask(&format!("STATUS {tx}"))];
            both.iter().all(|status| status.starts_with("COMMITTED")).then_some(both)
        });
        assert_eq!(here.split(' ').nth(2), there.split(' ').nth(2), "{tx}: one time");
    }

    way.deeds(|deeds| deeds.honest = true);
    for (tx, end) in [("invented", "COMMITTED"), ("repeated", "COMMITTED"), ("refused", "ABORTED")]
    {
        wait_until(&format!("the end of {tx}"), || {
            let [here, there] =
                [asked.ask(&format!("STATUS {tx}")), to_1.ask(&format!("STATUS {tx}"))];
            (here.starts_with(end) && there.split(' ').next() == Some(end)).then_some(())
        });
    }
    let lies = way.deeds(|deeds| format!("{} links, {:?}", deeds.links, deeds.lies));
    println!("{lies}");
    assert_eq!(
        [cluster.balance("0/0-1"), cluster.balance("1/1-1")],
        [1000 - 1 - 2 - 9, 1000 + 1 + 2 + 9]
    );
}
