//! Reads and registrations during the run. Registers are read linearizably; cuts of all banks add
//! up and show exactly the commits up to their time; no read shows a record that a crash could take
//! (`durable`).

mod cuts;

use crate::simulation::run::{ACCOUNTS, OPENING, Simulation, account, holder};
use crate::simulation::transactions::KEYS;
use crate::world::clocks::ClockMistake;
use consorcio_core::bank::io::{Origin, SessionId};
use consorcio_core::ids::{RegisterKey, Time};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reading::Reading;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Read, Request};
use consorcio_core::wire::transaction::{Action, Flow, Transaction};
use std::collections::BTreeMap;

/// The session that requests cuts, and the one that requests balances.
const CUTS: u64 = 2;
const BALANCES: u64 = 4;
/// The session of cuts that every bank must serve, at the latest reading of all clocks; and that of
/// cuts which no bank may serve.
const CUTS_PROVED: u64 = 10;
const CUTS_FORGED: u64 = 11;
const REGISTRAR: u64 = 5;
/// Accounts of a bank: few, so that they stay hot.
const ACCOUNTS_MAX: usize = 9;

/// The results of reads, and the values that reads may return.
pub struct Reads {
    /// By time, then bank.
    cuts: BTreeMap<i64, BTreeMap<usize, CutFigures>>,
    cut_times: Vec<i64>,
    /// The latest cut that each bank has served: it commits nothing at or before that time any
    /// more.
    cut_up_to: Vec<i64>,
    next_value: u64,
    /// The commit time of each value of a register.
    written: BTreeMap<(String, String), Time>,
    /// No reader may see an older value of a register than this.
    floors: BTreeMap<String, Time>,
    /// Outstanding reads of registers: the register, its floor, and the time of the request.
    asked: BTreeMap<u64, (&'static str, Time, u64)>,
}

/// A bank as of one commit time: balance, cash in and out, transfers in and out.
struct CutFigures {
    figures: [i128; 5],
    registers: Option<Vec<(String, String)>>,
}

impl Reads {
    pub fn new(banks: usize) -> Reads {
        Reads {
            cuts: BTreeMap::new(),
            cut_times: Vec::new(),
            cut_up_to: vec![0; banks],
            next_value: 0,
            written: BTreeMap::new(),
            floors: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    /// A value that was not written before.
    pub fn new_value(&mut self) -> String {
        self.next_value += 1;
        self.next_value.to_string()
    }

    /// The latest cut that this bank has served.
    pub fn cut_up_to(&self, bank: usize) -> i64 {
        self.cut_up_to[bank]
    }

    /// The registers of a transaction have these values since `time`.
    pub fn committed(&mut self, transaction: &Transaction, time: Time) {
        for (key, value) in sets(transaction) {
            self.written.insert((key.to_owned(), value.to_owned()), time);
        }
    }

    /// A client knows these values.
    pub fn acknowledged(&mut self, transaction: &Transaction, time: Time) {
        for (key, _) in sets(transaction) {
            let floor = self.floors.entry(key.to_owned()).or_default();
            *floor = (*floor).max(time);
        }
    }
}

fn sets(transaction: &Transaction) -> impl Iterator<Item = (&str, &str)> {
    transaction.ops().iter().filter_map(|op| match &op.action {
        Action::Set { key, value } => Some((key.as_str(), value.as_str())),
        Action::Money { .. } => None,
    })
}

impl Simulation<'_> {
    pub fn read(&mut self) {
        let at = self.random.below(self.banks());
        match self.random.below(4) {
            0 => {
                let number = self.random.of(&self.accounts[at]).clone();
                self.world.request(
                    at,
                    SessionId(BALANCES),
                    Origin::Client,
                    Request::Read(Read::Balance(number)),
                    0,
                );
            }
            _ => {
                let key = *self.random.of(&KEYS);
                let session = self.clients.new_session();
                let floor = self.reads.floors.get(key).copied().unwrap_or_default();
                self.reads.asked.insert(session, (key, floor, self.world.mono_us));
                let request = Request::Read(Read::Value(RegisterKey::new(key).unwrap()));
                self.world.request(at, SessionId(session), Origin::Client, request, 0);
            }
        }
    }

    /// Requests the same cut from every bank.
    pub fn ask_for_a_cut(&mut self) {
        if self.random.chance(50) {
            return if self.random.chance(20) {
                self.ask_for_a_forged_cut()
            } else {
                self.ask_for_a_proved_cut()
            };
        }
        let up = (0..self.banks()).filter(|b| self.world.is_up(*b));
        let Some(latest) = up.map(|b| self.world.core(b).clock().0).max() else { return };
        let before = &self.reads.cut_times;
        let time = match self.random.below(10) {
            // A repeated cut, and one that is ahead of the clocks.
            0..4 if !before.is_empty() => {
                before[before.len() - 1 - self.random.below(before.len().min(8))]
            }
            4..8 => latest + i64::try_from(self.random.below(900_000)).unwrap(),
            _ => latest,
        };
        let accounts = self.random.chance(30);
        for at in 0..self.banks() {
            let request = Request::Read(Read::Snapshot {
                time: Some(Time(time)),
                reading: None,
                accounts,
                after: None,
            });
            self.world.request(at, SessionId(CUTS), Origin::Client, request, 0);
        }
    }

    /// Requests a cut as clients do: at the reading of the clock that is ahead of all others.
    fn ask_for_a_proved_cut(&mut self) {
        let up: Vec<usize> = (0..self.banks()).filter(|bank| self.world.is_up(*bank)).collect();
        let readings: Vec<(Time, Reading)> =
            up.iter().map(|bank| self.world.reading(*bank)).collect();
        let least = readings.iter().min_by_key(|(time, _)| *time).copied();
        let most = readings.iter().max_by_key(|(time, _)| *time).copied();
        let (Some((least, _)), Some((time, _))) = (least, most) else { return };
        if time.0 - least.0 > 1_000_000 {
            self.coverage.count("cut of clocks more than a second apart");
        }
        if time.0 - least.0 > 60_000_000 {
            self.coverage.count("cut of clocks more than a minute apart");
        }
        let slowest = self.plan.clock_mistake == Some(ClockMistake::SlowestAsked);
        let asked =
            readings.iter().find(|(of, _)| *of == if slowest { least } else { time }).copied();
        let Some((time, reading)) = asked else { return };
        let accounts = self.random.chance(30);
        for at in up {
            let request = Request::Read(Read::Snapshot {
                time: Some(time),
                reading: Some(reading),
                accounts,
                after: None,
            });
            self.world.request(at, SessionId(CUTS_PROVED), Origin::Client, request, 0);
        }
    }

    /// Requests a cut at a time that no clock has reached, without a reading or with a forged one.
    fn ask_for_a_forged_cut(&mut self) {
        let up: Vec<usize> = (0..self.banks()).filter(|bank| self.world.is_up(*bank)).collect();
        let readings: Vec<(Time, Reading)> =
            up.iter().map(|bank| self.world.reading(*bank)).collect();
        let Some((latest, reading)) = readings.iter().max_by_key(|(time, _)| *time).copied() else {
            return;
        };
        let time = Time(latest.0 + 1_000_001 + self.random.around(3_600_000_000).abs());
        let reading = match self.random.below(6) {
            0 | 1 => None,
            2 => Some(reading),
            3 => Some(Reading { time, ..reading }),
            4 => Some(Reading {
                time,
                bank: crate::simulation::run::bank(self.random.below(16)),
                ..reading
            }),
            _ => Some(Reading { time, mac: None, ..reading }),
        };
        self.coverage.count("forged reading");
        for at in up {
            let request = Request::Read(Read::Snapshot {
                time: Some(time),
                reading,
                accounts: false,
                after: None,
            });
            self.world.request(at, SessionId(CUTS_FORGED), Origin::Client, request, 0);
        }
    }

    /// Checks a reply to a read; `false` if it answers none of these reads.
    pub fn read_reply(&mut self, at: usize, session: u64, reply: &Reply) -> bool {
        if let Some((key, floor, since_us)) = self.reads.asked.remove(&session) {
            if let Reply::Done(json) = reply {
                self.coverage.count("register read");
                if since_us < self.world.mono_us {
                    self.coverage.count("register read that waited");
                }
                self.value_read(at, key, floor, json);
            }
            return true;
        }
        match (session, reply) {
            (CUTS_PROVED, Reply::Done(json)) => {
                self.coverage.count("cut at the latest reading");
                self.cut_read(at, json);
            }
            (CUTS_PROVED, Reply::Refused(Reason::Locked, _)) => {}
            (CUTS_PROVED, refused) => {
                panic!("bank {at} serves no cut at the latest reading of all clocks: {refused:?}")
            }
            (CUTS_FORGED, Reply::Refused(Reason::Limit, _)) => {}
            (CUTS_FORGED, other) => {
                panic!("bank {at} accepts a time that no clock has reached: {other:?}")
            }
            (CUTS, Reply::Done(json)) => self.cut_read(at, json),
            (BALANCES, Reply::Done(json)) => balance_read(json),
            (CUTS | BALANCES | REGISTRAR, _) => {
                if let Reply::Refused(reason, _) = reply {
                    self.coverage.count(reason.as_str());
                }
            }
            _ => return false,
        }
        true
    }

    /// Registers are linearizable: no reader sees an older value than an earlier reader, or than a
    /// reported commit.
    fn value_read(&mut self, at: usize, key: &'static str, floor: Time, json: &str) {
        let answer: serde_json::Value = serde_json::from_str(json).unwrap();
        let value = answer["value"].as_str().unwrap();
        let durable = self.durable(at);
        self.unsynced[at].value_read(at, durable, key, value);
        let time = self.written_at(key, value);
        let time = time.unwrap_or_else(|| {
            panic!("bank {at} returns {key}={value}, which was never committed")
        });
        assert!(
            time >= floor,
            "bank {at} returns {key}={value} of {time}, though a value of {floor} was known before"
        );
        if value != "0" {
            self.coverage.count("register changed");
        }
        let floor = self.reads.floors.entry(key.to_owned()).or_default();
        *floor = (*floor).max(time);
    }

    fn written_at(&self, key: &str, value: &str) -> Option<Time> {
        if value == "0" {
            return Some(Time::default());
        }
        self.reads.written.get(&(key.to_owned(), value.to_owned())).copied()
    }
}

fn balance_read(json: &str) {
    let answer: serde_json::Value = serde_json::from_str(json).unwrap();
    let [balance, held, available, incoming] =
        ["balance", "held", "available", "incoming"].map(|name| answer[name].as_i64().unwrap());
    assert!(
        balance >= 0 && held >= 0 && available >= 0 && incoming >= 0 && available == balance - held,
        "{json}"
    );
}
