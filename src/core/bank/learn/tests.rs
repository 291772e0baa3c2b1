//! Tests of learning between two banks whose journals are known.

mod crashes;

use super::*;
use crate::access::Principal;
use crate::bank::io::{After, Caller, Input, Now, Outcome, Output, OwnVote, SessionId, Start};
use crate::bank::{Core, Identity};
use crate::commit::founding::FoundingId;
use crate::commit::message::{PeerVerb, RequestKey};
use crate::ids::{RegisterValue, Time};
use crate::limits::LINE_BYTES_MAX;
use crate::wire::request::Request;
use crate::wire::token::{Seal, Vote};
use crate::wire::transaction::Transaction;
use std::sync::Arc;

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn tx(id: &str) -> TxId {
    TxId::new(id).unwrap()
}

fn identity(position: usize, places: usize) -> Identity {
    let places = (0..places).map(|place| format!("bank:{place}")).collect();
    Identity { bank: bank(position), places, seal: Seal::keyed([7; 32]) }
}

/// A transaction that sets `key=value` at the first `banks` banks.
fn setting(key: &str, value: &str, banks: usize) -> Arc<Transaction> {
    let op = |bank| format!(r#"{{"bank":{bank},"op":"set","key":"{key}","value":"{value}"}}"#);
    let ops: Vec<String> = (0..banks).map(op).collect();
    Arc::new(Transaction::parse(&format!(r#"{{"ops":[{}]}}"#, ops.join(","))).unwrap())
}

/// A bank with its clock and its journal.
struct LearningBank {
    core: Core,
    journal: Vec<Record>,
    mono_us: u64,
}

impl LearningBank {
    /// A bank of the original consortium, with a list of `places` positions.
    fn old(position: usize, places: usize) -> LearningBank {
        LearningBank {
            core: Core::new(identity(position, places)),
            journal: Vec::new(),
            mono_us: 0,
        }
    }

    /// Bank 3 of four, which joined later and has started to work.
    fn later() -> LearningBank {
        let mut node = LearningBank::old(3, 4);
        let founding = FoundingId::new([9; 16]);
        node.apply(Record::Founded { founding, introduced: false });
        node.apply(Record::Introduced { without: BankSet::EMPTY, knows_registers: false });
        node.input(&Input::Started(Start { run: [1; 16], ..Start::default() }));
        node
    }

    fn apply(&mut self, record: Record) {
        self.core.apply(&record);
        self.journal.push(record);
    }

    fn voted(&mut self, id: &str, transaction: &Arc<Transaction>, time: i64) {
        let transaction = Arc::clone(transaction);
        self.apply(Record::Voted { tx: tx(id), time: Time(time), transaction, refusal: None });
    }

    fn committed(&mut self, id: &str, transaction: &Transaction, voted: i64, time: i64) {
        let digest = Some(*transaction.digest());
        let own = OwnVote { vote: Vote::Ok, time: Time(voted), digest };
        let outcome = Outcome::Committed(Time(time));
        self.apply(Record::Decided { tx: tx(id), own, outcome, votes: Vec::new() });
    }

    /// Sets `key=value` here as of `time`, in a transaction with `banks` banks.
    fn set(&mut self, key: &str, value: &str, banks: usize, time: i64) {
        let (id, transaction) = (format!("set-{key}-{time}"), setting(key, value, banks));
        self.voted(&id, &transaction, time);
        self.committed(&id, &transaction, time, time);
    }

    /// Restarts from the same journal with a list of `places` positions.
    fn restarted(&mut self, places: usize) {
        let mut core = Core::new(identity(self.core.bank.me().index(), places));
        self.journal.iter().for_each(|record| core.apply(record));
        self.core = core;
    }

    fn input(&mut self, input: &Input) -> Output {
        let now = Now { wall_us: 1_000, shown_us: 1_000, mono_us: self.mono_us };
        let output = self.core.step(now, input);
        self.journal.extend(output.records.iter().cloned());
        output
    }

    fn ask(&mut self, origin: Origin, line: &str) -> Reply {
        let caller = Caller { session: SessionId(1), slot: 0 };
        let request = Request::parse(line).unwrap();
        let input = Input::Request {
            caller,
            origin,
            asker: Principal::Operator,
            request,
            waited_us: 0,
            past: None,
        };
        self.input(&input)
            .replies
            .pop()
            .unwrap_or_else(|| panic!("{line} is answered at once"))
            .reply
    }

    /// The id of the request in `output`, and this bank's reply to it.
    fn answers(&mut self, output: &Output) -> (TxId, Reply) {
        let [sending] = &output.sends[..] else { panic!("one request is sent: {output:?}") };
        let Message::Registers { nonce, .. } = &sending.message else {
            panic!("{:?}", sending.message)
        };
        assert_eq!((sending.peer, sending.after), (self.core.bank.me(), After::Now));
        let mut line = Vec::new();
        sending.message.write_to(&mut line);
        (nonce.clone(), self.ask(Origin::Link, String::from_utf8(line).unwrap().trim_end()))
    }

    fn receive(&mut self, from: usize, nonce: &TxId, reply: Option<Reply>) -> Output {
        let asked = RequestKey { tx: nonce.clone(), verb: PeerVerb::Registers };
        self.input(&Input::Answer { peer: bank(from), asked, reply, past: None })
    }

    fn value(&mut self, key: &str) -> Result<String, Reason> {
        match self.ask(Origin::Client, &format!("VALUE {key}")) {
            Reply::Done(json) => {
                let value: serde_json::Value = serde_json::from_str(&json).unwrap();
                Ok(value["value"].as_str().unwrap().to_owned())
            }
            Reply::Refused(reason, _) => Err(reason),
            other => panic!("{other:?}"),
        }
    }

    fn cut(&mut self, time: i64) -> serde_json::Value {
        match self.ask(Origin::Client, &format!("SNAPSHOT {time} accounts")) {
            Reply::Done(json) => serde_json::from_str(&json).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

/// Sends all pages of `old` to `new` until it knows its registers; returns how many pages.
fn learn_all(old: &mut LearningBank, new: &mut LearningBank) -> usize {
    let mut output = new.input(&Input::PeerUp(old.core.bank.me()));
    let mut pages = 0;
    while !new.core.ledger().knows_registers() {
        let (nonce, reply) = old.answers(&output);
        let mut line = Vec::new();
        reply.write_to(&mut line);
        assert!(
            line.len() <= LINE_BYTES_MAX && matches!(reply, Reply::Done(_)),
            "{} bytes",
            line.len()
        );
        output = new.receive(old.core.bank.me().index(), &nonce, Some(reply));
        assert_eq!(output.records.len(), 1, "one record for each page");
        pages += 1;
    }
    assert_eq!(output.sends, [], "a bank that knows its registers sends no request");
    pages
}

#[test]
fn only_the_first_bank_of_a_new_consortium_knows_its_registers() {
    let met = |banks: &[usize]| -> BankSet { banks.iter().copied().map(bank).collect() };
    for (me, others, knows) in [
        (0, &[1, 2][..], true),
        (1, &[0, 2], false),
        (2, &[0, 1], false),
        (3, &[0, 1, 2], false),
        // A bank that was left out is not among those that it met.
        (1, &[2], true),
        (3, &[2], false),
        (0, &[], true),
    ] {
        assert_eq!(
            knows_registers_at_introduction(bank(me), met(others)),
            knows,
            "{me} {others:?}"
        );
    }
}

#[test]
fn a_bank_that_joined_later_learns_all_registers_in_bounded_pages() {
    let (mut old, mut new) = (LearningBank::old(0, 4), LearningBank::later());
    let long = "v".repeat(256);
    for n in 0..700 {
        old.set(&format!("k{n:03}"), &format!("{n}{}", &long[3..]), 3, 10 + n);
    }
    assert_eq!(new.value("k000"), Err(Reason::Unreachable), "no value before it knows them");
    let pages = learn_all(&mut old, &mut new);
    assert!((3..10).contains(&pages), "{pages} pages");
    for n in 0..700 {
        let key = format!("k{n:03}");
        assert_eq!(new.value(&key), old.value(&key));
    }
    assert_eq!(new.value("never"), Ok("0".to_owned()));
    let mut again = Core::new(identity(3, 4));
    new.journal.iter().for_each(|record| again.apply(record));
    assert!(new.core.same_as(&again), "recovery gives the same bank");
    let bytes = new.core.to_snapshot();
    let snapshot = Core::from_snapshot(identity(3, 4), &bytes).unwrap();
    assert!(snapshot.same_as(&new.core) && snapshot.ledger() == new.core.ledger());
    let young = LearningBank::later();
    let snapshot = Core::from_snapshot(identity(3, 4), &young.core.to_snapshot()).unwrap();
    assert!(!snapshot.ledger().knows_registers(), "a snapshot keeps that they are not known");
}

#[test]
fn without_any_register_there_is_one_empty_page() {
    let (mut old, mut new) = (LearningBank::old(0, 4), LearningBank::later());
    assert_eq!(learn_all(&mut old, &mut new), 1);
    assert_eq!(new.value("storage"), Ok("0".to_owned()));
}

/// A cut is not enough: a set that was voted on before the cut's time may commit after it.
#[test]
fn registers_are_not_sent_while_an_undecided_set_does_not_name_the_asking_bank() {
    let (mut old, mut new) = (LearningBank::old(0, 3), LearningBank::later());
    old.set("storage", "1", 3, 10);
    let without = setting("storage", "2", 3);
    old.voted("open", &without, 20);
    let money = concat!(
        r#"{"ops":[{"bank":0,"op":"deposit","account":"1","amount":1},"#,
        r#"{"bank":1,"op":"deposit","account":"2","amount":1}]}"#
    );
    old.ask(Origin::Client, r#"CLIENT {"cpf":"12345678900","name":"P","kind":"F"}"#);
    old.ask(Origin::Client, r#"ACCOUNT {"number":"1","holders":["12345678900"]}"#);
    let vote = old.ask(Origin::Client, &format!("PREPARE money {money}"));
    assert!(matches!(vote, Reply::Ok(..)), "{vote:?}");
    old.restarted(4);

    let question = new.input(&Input::PeerUp(bank(0)));
    let (nonce, refused) = old.answers(&question);
    let text = "1 undecided transactions set a register and do not name bank 3";
    assert_eq!(refused, Reply::Refused(Reason::Locked, text.to_owned()));
    assert_eq!(new.receive(0, &nonce, Some(refused)).records, []);

    // No such set can begin any more: a set names all banks of the list.
    let late = old.ask(Origin::Client, &format!("PREPARE late {}", setting("k", "9", 3).text()));
    assert!(matches!(late, Reply::Nok(_, _, Reason::Unbalanced, _)), "{late:?}");
    // A set that names the asking bank, or a transfer of money, does not matter.
    let with =
        old.ask(Origin::Client, &format!("PREPARE with {}", setting("other", "3", 4).text()));
    assert!(matches!(with, Reply::Ok(..)), "{with:?}");
    old.committed("open", &without, 20, 25);
    new.mono_us += 1_000_000;
    let question = new.input(&Input::Tick);
    let (nonce, page) = old.answers(&question);
    new.receive(0, &nonce, Some(page));
    assert_eq!(new.value("storage"), Ok("2".to_owned()));
}

#[test]
fn the_later_setting_of_a_register_is_kept() {
    let (mut old, mut new) = (LearningBank::old(0, 4), LearningBank::later());
    for node in [&mut old, &mut new] {
        node.set("both", "new", 4, 40);
    }
    old.set("old", "page", 3, 50);
    let question = new.input(&Input::PeerUp(bank(0)));
    let (nonce, page) = old.answers(&question);
    // A set commits here after the page was made and before it is received.
    new.set("both", "newest", 4, 60);
    new.receive(0, &nonce, Some(page));
    assert_eq!((new.value("both"), new.value("old")), (Ok("newest".into()), Ok("page".into())));

    // The other order: the value in the page is later than one that this bank commits afterwards.
    let mut new = LearningBank::later();
    let late = setting("both", "late", 4);
    new.voted("late", &late, 30);
    let question = new.input(&Input::PeerUp(bank(0)));
    let (nonce, page) = old.answers(&question);
    new.receive(0, &nonce, Some(page));
    new.committed("late", &late, 30, 35);
    assert_eq!(new.value("both"), Ok("new".to_owned()));
    new.core.check_invariants();
}

#[test]
fn a_forged_page_changes_nothing_and_its_link_is_closed() {
    let (mut old, mut new) = (LearningBank::old(0, 4), LearningBank::later());
    old.set("storage", "1", 3, 10);
    let question = new.input(&Input::PeerUp(bank(0)));
    let (nonce, page) = old.answers(&question);
    let Reply::Done(json) = &page else { panic!("{page:?}") };
    let forged = json.replace(r#""value":"1""#, r#""value":"2""#);
    assert_ne!(&forged, json);
    let output = new.receive(0, &nonce, Some(Reply::Done(forged)));
    assert_eq!((&output.records[..], &output.sends[..]), (&[][..], &[][..]));
    assert_eq!(output.steps, [CoreStep::Unproved(nonce.clone(), bank(0))]);
    // The request was answered, so a later answer to it is ignored, even if it is valid.
    assert_eq!(new.receive(0, &nonce, Some(page.clone())), Output::default());
    // The next request has a new id, which the old page does not answer.
    new.mono_us += 1_000_000;
    let question = new.input(&Input::Tick);
    let (again, right) = old.answers(&question);
    assert_ne!(again, nonce, "an id is never used twice");
    assert_eq!(
        new.receive(1, &again, Some(right.clone())),
        Output::default(),
        "bank 1 was not asked"
    );
    let replayed = new.receive(0, &again, Some(page));
    assert_eq!(replayed.steps, [CoreStep::Unproved(again, bank(0))]);
    assert_eq!(new.value("storage"), Err(Reason::Unreachable));
}

#[test]
fn after_a_failure_it_asks_another_bank_with_backoff() {
    let mut new = LearningBank::later();
    assert_eq!(new.input(&Input::PeerUp(bank(1))).sends[0].peer, bank(1));
    assert_eq!(new.input(&Input::PeerUp(bank(2))).sends, [], "one request at a time");
    let mut waits = Vec::new();
    let mut asked = vec![1];
    let mut nonces = Vec::new();
    for _ in 0..8 {
        let (last, nonce) = new.core.volatile.learning.under_way.clone().unwrap();
        let reply = Reply::Refused(Reason::Unreachable, String::new());
        let reply = Some(reply).filter(|_| asked.len() % 2 == 0); // or the link is lost
        assert_eq!(new.receive(last.index(), &nonce, reply).sends, []);
        let due = new.core.volatile.learning.paused_until_us;
        assert!(new.core.tick_due_us() <= due, "the tick is due in time");
        waits.push((due - new.mono_us) / 1_000);
        new.mono_us = due - 1;
        assert_eq!(new.input(&Input::Tick).sends, [], "not before it is due");
        new.mono_us = due;
        let output = new.input(&Input::Tick);
        asked.push(output.sends[0].peer.index());
        nonces.push(nonce);
    }
    assert_eq!(asked, [1, 2, 1, 2, 1, 2, 1, 2, 1]);
    assert_eq!(waits, [50, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 8);
}
