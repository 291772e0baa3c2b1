//! What a driver writes, and when, against banks that are played by the test.

use super::*;
use crate::client::Client;
use crate::options::ClientOptions;
use consorcio_core::ids::{RegisterKey, RegisterValue, Time};
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Seal, Vote};
use consorcio_core::wire::transaction::{Action, Op};
use consorcio_system::config::Consortium;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A bank that the test plays.
struct PlayedBank {
    bank: BankId,
    stream: BufReader<TcpStream>,
}

impl PlayedBank {
    /// Accepts the driver's connection, and answers its HELLO.
    async fn accept(bank: BankId, listener: &TcpListener) -> PlayedBank {
        let (stream, _) = listener.accept().await.unwrap();
        let mut played = PlayedBank { bank, stream: BufReader::new(stream) };
        assert!(played.line().await.starts_with("HELLO "));
        played.say(&format!("DONE {{\"bank\":{bank},\"places\":2,\"version\":1}}")).await;
        played
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(20), self.stream.read_line(&mut line)).await;
        assert!(read.expect("a line").unwrap() > 0, "the driver closed the connection");
        line
    }

    async fn say(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Votes OK on the transaction of the PREPARE that comes next.
    async fn grant(&mut self) {
        let line = self.line().await;
        let Ok(Request::Prepare(tx, transaction)) = Request::parse(line.trim_end()) else {
            panic!("no PREPARE: {line}")
        };
        let digest = Some(*transaction.digest());
        let token = Seal::keyed([7; 32]).token(self.bank, Vote::Ok, &tx, digest, Time(5));
        self.say(&format!("OK {tx} {token}")).await;
    }
}

/// Two banks and a driver of their transactions, connected.
async fn connected(writes: Writes) -> (Driver<u32>, [PlayedBank; 2]) {
    let listeners = [
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    ];
    let places = listeners.iter().map(|listener| listener.local_addr().unwrap().to_string());
    let list = Consortium::parse(&places.collect::<Vec<_>>().join(",")).unwrap();
    let redial = Redial { first: Duration::ZERO, max: Duration::ZERO };
    let client = Client::new(list, ClientOptions::default());
    let mut driver = client.driver(DriverOptions { writes, redial });
    let [first, second] = [0, 1].map(|position| BankId::new(position).unwrap());
    let banks = tokio::join!(
        async { driver.connect().await.unwrap() },
        PlayedBank::accept(first, &listeners[0]),
        PlayedBank::accept(second, &listeners[1]),
    );
    (driver, [banks.1, banks.2])
}

fn set(value: &str) -> Arc<Transaction> {
    let action = Action::Set {
        key: RegisterKey::new("storage").unwrap(),
        value: RegisterValue::new(value).unwrap(),
    };
    let ops =
        [0, 1].map(|position| Op { bank: BankId::new(position).unwrap(), action: action.clone() });
    Arc::new(Transaction::from_ops(ops, None).unwrap())
}

/// Waits for the verdict of a transaction.
async fn verdict(driver: &mut Driver<u32>) -> Verdict {
    loop {
        driver.wait().await;
        while let Some(event) = driver.next_event() {
            if let DriverEvent::Verdict { verdict, .. } = event {
                return verdict;
            }
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_commit_without_other_messages_is_written_after_a_moment() {
    let (mut driver, [mut first, mut second]) = connected(Writes::EachPoll).await;
    driver.begin(1, TxId::new("t1").unwrap(), set("1"), DriveMode::Verdict);
    let (verdict, (), ()) = tokio::join!(verdict(&mut driver), first.grant(), second.grant());
    assert!(matches!(verdict, Verdict::Committed(_)), "{verdict:?}");
    // Nothing else is begun, and the driver is only waited for.
    tokio::select! {
        () = driver.wait() => panic!("an event before the banks have answered"),
        lines = async { (first.line().await, second.line().await) } => {
            assert!(lines.0.starts_with("COMMIT t1 ") && lines.1.starts_with("COMMIT t1 "));
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_commit_goes_with_the_next_message_and_before_it() {
    let (mut driver, [mut first, mut second]) = connected(Writes::EachPoll).await;
    driver.begin(1, TxId::new("t1").unwrap(), set("1"), DriveMode::Verdict);
    let _committed = tokio::join!(verdict(&mut driver), first.grant(), second.grant());
    driver.begin(2, TxId::new("t2").unwrap(), set("2"), DriveMode::Verdict);
    tokio::select! {
        () = driver.wait() => panic!("an event before the banks have answered"),
        commit = first.line() => assert!(commit.starts_with("COMMIT t1 "), "{commit}"),
    }
    // Both were one write, which arrived whole.
    let buffered = String::from_utf8_lossy(first.stream.buffer()).into_owned();
    assert!(buffered.starts_with("PREPARE t2 {"), "{buffered:?}");
}
