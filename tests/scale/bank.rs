//! A core that processes lines, and measurements of its steps.

use crate::scale::cpu_time;
use consorcio::bank::io::{Caller, Input, Now, Origin, Output, SessionId, Start};
use consorcio::bank::{Core, Identity};
use consorcio::ids::BankId;
use consorcio::limits::{LINE_BYTES_MAX, STEP_BYTES_MAX, STEP_ITEMS_MAX};
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::Seal;
use consorcio_core::access::Principal;
use std::time::Duration;

pub const CPF: &str = "12345678900";

/// One bank of two, and its current time.
pub struct MeasuredBank {
    pub core: Core,
    pub now: Now,
    /// Measurements of the steps of its backlogs.
    pub steps: Steps,
}

/// Measurements of several steps.
#[derive(Debug, Default)]
pub struct Steps {
    pub count: usize,
    pub records: usize,
    pub sends: usize,
    pub replies: usize,
    pub longest: Duration,
}

pub fn identity() -> Identity {
    Identity {
        bank: BankId::new(0).unwrap(),
        places: vec!["a:1".into(), "b:1".into()],
        seal: Seal::keyed([7; 32]),
    }
}

/// A transaction of both banks, or of bank 0 alone.
pub fn ops(both: bool) -> String {
    let here = r#"{"bank":0,"op":"deposit","account":"1","amount":1}"#;
    let there = r#",{"bank":1,"op":"deposit","account":"2","amount":1}"#;
    format!(r#"{{"ops":[{here}{}]}}"#, if both { there } else { "" })
}

impl MeasuredBank {
    /// A started bank with one account.
    pub fn new() -> MeasuredBank {
        let mut bank = MeasuredBank {
            core: Core::new(identity()),
            now: Now {
                wall_us: 1_795_000_000_000_000,
                shown_us: 1_795_000_000_000_000,
                mono_us: 1_000_000,
            },
            steps: Steps::default(),
        };
        bank.input(&Input::Started(Start::default()));
        bank.send(&format!(r#"CLIENT {{"cpf":"{CPF}","name":"P","kind":"F"}}"#));
        bank.send(&format!(r#"ACCOUNT {{"number":"1","holders":["{CPF}"],"deposit":1000}}"#));
        bank
    }

    /// The bank after a crash, before `Started`.
    pub fn restarted(&self) -> MeasuredBank {
        let core = Core::from_snapshot(identity(), &self.core.to_snapshot()).unwrap();
        MeasuredBank { core, now: self.now, steps: Steps::default() }
    }

    pub fn input(&mut self, input: &Input) -> Output {
        self.core.step(self.now, input)
    }

    pub fn request(&mut self, session: u64, line: &str) -> Output {
        let caller = Caller { session: SessionId(session), slot: 0 };
        let request = Request::parse(line).unwrap_or_else(|fault| panic!("{line}: {fault}"));
        self.input(&Input::Request {
            caller,
            origin: Origin::Client,
            asker: Principal::Operator,
            request,
            waited_us: 0,
            past: None,
        })
    }

    /// Sends a line of session 1, and returns its reply.
    pub fn send(&mut self, line: &str) -> Reply {
        self.request(1, line).replies.pop().unwrap_or_else(|| panic!("no reply to {line}")).reply
    }

    pub fn done(&mut self, line: &str) -> serde_json::Value {
        match self.send(line) {
            Reply::Done(json) => {
                assert!(
                    json.len() < LINE_BYTES_MAX - 16,
                    "{line}: {} bytes exceed a line",
                    json.len()
                );
                serde_json::from_str(&json).unwrap()
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    /// `count` transactions that this bank votes OK on for session 2.
    pub fn prepare(&mut self, count: usize, both: bool) {
        let ops = ops(both);
        for n in 0..count {
            let output = self.request(2, &format!("PREPARE q{n} {ops}"));
            assert!(
                matches!(output.replies[..], [ref one] if matches!(one.reply, Reply::Ok(..))),
                "{output:?}"
            );
        }
        assert_eq!(self.core.undecided(), count);
    }

    /// One measured step of a backlog; it stays within its slice.
    pub fn step(&mut self, input: &Input) -> Output {
        let began = cpu_time();
        let output = self.input(input);
        let took = cpu_time() - began;
        let bytes: usize = output.records.iter().map(postcard_bytes).sum();
        let most = 8 * STEP_ITEMS_MAX;
        assert!(output.records.len() <= STEP_ITEMS_MAX, "{} records", output.records.len());
        assert!(bytes <= STEP_BYTES_MAX + LINE_BYTES_MAX, "{bytes} bytes of records");
        assert!(output.changes.len() <= most, "{} changes", output.changes.len());
        assert!(
            output.sends.len() <= most && output.replies.len() <= most,
            "{} sends",
            output.sends.len()
        );
        self.steps.count += 1;
        self.steps.records += output.records.len();
        self.steps.sends += output.sends.len();
        self.steps.replies += output.replies.len();
        self.steps.longest = self.steps.longest.max(took);
        output
    }

    /// Steps `input`, then ticks at the same time until its backlog is empty. Between two ticks
    /// another client gets a reply. Returns all outputs.
    pub fn process_backlog(&mut self, input: &Input) -> Vec<Output> {
        self.steps = Steps::default();
        let mut outputs = vec![self.step(input)];
        while self.core.is_behind(self.now.mono_us) {
            assert!(matches!(self.send("STATUS unused"), Reply::Unknown(_)));
            outputs.push(self.step(&Input::Tick));
            assert!(outputs.len() < 1_000_000, "the backlog never ends");
        }
        outputs
    }
}

fn postcard_bytes(record: &consorcio::bank::record::Record) -> usize {
    postcard::to_stdvec(record).unwrap().len()
}
