//! Crashes while registers are learned, and which banks may request them.

use super::*;

#[test]
pub(super) fn after_a_crash_learning_starts_over_with_new_ids() {
    let (mut old, mut new) = (LearningBank::old(0, 4), LearningBank::later());
    for n in 0..700 {
        old.set(&format!("k{n:03}"), &"v".repeat(256), 3, 10 + n);
    }
    let first = new.input(&Input::PeerUp(bank(0)));
    let (nonce, page) = old.answers(&first);
    let second = new.receive(0, &nonce, Some(page.clone()));
    assert!(matches!(&second.sends[0].message, Message::Registers { after: Some(_), .. }));
    // A crash, after the record was durable or before.
    for kept in [0, 1] {
        let mut again = LearningBank::later();
        new.journal[2..2 + kept].iter().for_each(|record| again.apply(record.clone()));
        again.input(&Input::Started(Start { run: [2; 16], ..Start::default() }));
        assert_eq!(again.value("k000"), Err(Reason::Unreachable));
        let question = again.input(&Input::PeerUp(bank(0)));
        let Message::Registers { nonce: new_nonce, after, .. } = &question.sends[0].message else {
            panic!()
        };
        assert!(after.is_none() && *new_nonce != nonce, "{new_nonce}");
        again.receive(0, new_nonce, None);
        again.mono_us += 1_000_000;
        learn_all(&mut old, &mut again);
        assert_eq!(again.value("k699"), old.value("k699"));
    }
}

#[test]
pub(super) fn registers_are_sent_to_banks_only_and_only_if_they_are_known() {
    let mut old = LearningBank::old(0, 4);
    let reply = old.ask(Origin::Client, "REGISTERS 3 n1");
    assert!(
        matches!(&reply, Reply::Err(Reason::Refused, text) if text.contains("over its link")),
        "{reply:?}"
    );
    for not_a_member in ["REGISTERS 4 n1", "REGISTERS 0 n1"] {
        assert!(
            matches!(old.ask(Origin::Link, not_a_member), Reply::Refused(Reason::Refused, _)),
            "{not_a_member}"
        );
    }
    let mut young = LearningBank::later();
    let reply = young.ask(Origin::Link, "REGISTERS 2 n1");
    assert!(matches!(reply, Reply::Refused(Reason::Unreachable, _)), "{reply:?}");
    for bad in
        ["REGISTERS", "REGISTERS x n1", "REGISTERS 16 n1", "REGISTERS 1", "REGISTERS 1 n1 after"]
    {
        assert!(Request::parse(bad).is_err(), "{bad}");
    }
}

#[test]
pub(super) fn a_cut_shows_whether_registers_are_known_at_its_time() {
    let (mut old, mut new) = (LearningBank::old(0, 4), LearningBank::later());
    old.set("storage", "1", 3, 5_000);
    let early = new.cut(1_500);
    assert_eq!(
        (&early["registers_known"], &early["registers"]),
        (&false.into(), &serde_json::Value::Null)
    );
    learn_all(&mut old, &mut new);
    let from = new.core.clock().0;
    assert!(from >= 5_000, "this bank's votes are later than what it learned: {from}");
    assert_eq!(new.cut(from - 1)["registers_known"], false);
    let known = new.cut(from);
    assert_eq!(known["registers"], serde_json::json!([{"key": "storage", "value": "1"}]));
    assert_eq!(known.get("registers_known"), None);
    new.set("storage", "2", 4, from + 10);
    assert_eq!(new.cut(from + 9)["registers"], known["registers"]);
    assert_eq!(new.cut(from + 10)["registers"][0]["value"], "2");
}

#[test]
pub(super) fn learning_known_registers_is_not_admitted() {
    let record = Record::RegistersLearned {
        registers: vec![SetRegister {
            key: RegisterKey::new("storage").unwrap(),
            value: RegisterValue::new("1").unwrap(),
            time: Time(5),
        }],
        last: true,
    };
    assert!(LearningBank::old(0, 4).core.admits(&record).unwrap_err().contains("which it knew"));
    let mut new = LearningBank::later();
    assert_eq!(new.core.admits(&record), Ok(()));
    new.apply(record.clone());
    assert!(new.core.admits(&record).is_err());
}
