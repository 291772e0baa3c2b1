//! The checks after each event of a consortium that grows, and at its end.

use super::*;

impl Growing {
    /// Checks all events since the last call.
    pub(super) fn check_events(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            match seen {
                Seen::Recorded { record, .. } => self.recorded(&record),
                Seen::Lost { records, .. } => {
                    let midway =
                        |record: &Record| matches!(record, Record::RegistersLearned { .. });
                    if records.iter().any(midway) {
                        self.count("learned after a crash midway");
                    }
                    // A commit that depended on un-synced records was never reported.
                    for record in &records {
                        let (Record::Executed { tx, .. } | Record::Voted { tx, .. }) = record
                        else {
                            continue;
                        };
                        for set in sets(&self.transaction(tx)) {
                            self.written.remove(&set);
                        }
                    }
                }
                Seen::Reply { bank, caller, reply } => self.replied(bank, caller.session.0, &reply),
                Seen::Answered { reply: Some(Reply::Done(json)), .. }
                    if json.contains("\"registers\"") =>
                {
                    self.count("page received");
                }
                Seen::Answered { reply: Some(Reply::Refused(_, text)), .. }
                    if text.contains("not name") =>
                {
                    self.count("page refused while a set was undecided");
                }
                Seen::Stopped { bank, why } => panic!("bank {bank} stopped: {why}"),
                Seen::Answered { .. }
                | Seen::Sent { .. }
                | Seen::Step { .. }
                | Seen::DiskFailed { .. } => {}
            }
        }
    }

    pub(super) fn recorded(&mut self, record: &Record) {
        match record {
            Record::Decided { tx, outcome: Outcome::Committed(time), .. }
            | Record::Executed { tx, committed: time, .. } => self.committed(tx, *time),
            Record::RegistersLearned { last: true, .. } => self.count("learned"),
            _ => {}
        }
    }

    pub(super) fn transaction(&self, tx: &TxId) -> Arc<Transaction> {
        let number: usize = tx.as_str()[1..].parse().unwrap();
        Arc::clone(&self.transactions[number].1)
    }

    pub(super) fn committed(&mut self, tx: &TxId, time: Time) {
        self.count("set committed");
        for (key, value) in sets(&self.transaction(tx)) {
            let before = self.written.insert((key, value), time);
            assert!(before.is_none_or(|before| before == time), "{tx} is committed at two times");
        }
    }

    pub(super) fn replied(&mut self, at: usize, session: u64, reply: &Reply) {
        if let Some((key, floor)) = self.reads.remove(&session) {
            return self.value_read(at, key, floor, reply);
        }
        match reply {
            Reply::Done(json) if session == CUTS => self.cut_read(at, json),
            Reply::Ok(tx, token) | Reply::Committed(tx, _, token, _) => {
                let known = self.tokens.entry(tx.clone()).or_default();
                if !known.contains(token) {
                    known.push(*token);
                }
            }
            _ => {}
        }
        if let Reply::Committed(tx, time, ..) = reply {
            self.callers.remove(&session);
            for (key, _) in sets(&self.transaction(tx)) {
                self.is_known(&key, *time);
            }
        }
    }

    pub(super) fn is_known(&mut self, key: &str, time: Time) {
        let floor = self.floors.entry(key.to_owned()).or_default();
        *floor = (*floor).max(time);
    }

    /// No reader sees an older value than an earlier reader, or than a reported commit.
    pub(super) fn value_read(&mut self, at: usize, key: &str, floor: Time, reply: &Reply) {
        let Reply::Done(json) = reply else {
            use consorcio_core::wire::Reason;
            if let Reply::Refused(Reason::Unreachable | Reason::NotIntroduced, _) = reply {
                assert!(at >= OLD, "an old bank does not know its registers");
                self.count("value not known yet");
            }
            return;
        };
        let answer: serde_json::Value = serde_json::from_str(json).unwrap();
        let value = answer["value"].as_str().unwrap();
        self.count(if at >= OLD { "value read at a new bank" } else { "value read" });
        let time = match value {
            "0" => Time::default(),
            value => *self.written.get(&(key.to_owned(), value.to_owned())).unwrap_or_else(|| {
                panic!("bank {at} returns {key}={value}, which was never committed");
            }),
        };
        assert!(
            time >= floor,
            "bank {at} returns {key}={value} of {time}, though a value of {floor} was known before"
        );
        self.is_known(key, time);
    }

    /// All banks that know their registers return the same ones.
    pub(super) fn cut_read(&mut self, at: usize, json: &str) {
        let answer: serde_json::Value = serde_json::from_str(json).unwrap();
        if answer["registers_known"] == false {
            assert!(at >= OLD && answer["registers"].is_null(), "bank {at}: {json}");
            return self.count("cut without registers");
        }
        let registers = answer["registers"].to_string();
        let cuts = self.cuts.entry(answer["time"].as_i64().unwrap()).or_default();
        for (other, theirs) in &*cuts {
            assert_eq!(
                &registers, theirs,
                "registers of banks {at} and {other} in the cut at {}",
                answer["time"]
            );
        }
        cuts.push((at, registers));
    }

    /// All banks run with the longest list, without further faults.
    pub(super) fn heal(&mut self) {
        self.world.eager_sync = true;
        self.world.growth.tampering = None;
        if self.banks() == OLD {
            self.world.add_bank();
        }
        for at in 0..self.banks() {
            self.world.sync(at);
            if self.world.nodes[at].places < self.banks() {
                self.world.crash(at);
            }
            if !self.world.is_up(at) {
                self.start_with_longest(at);
            }
        }
        for _ in 0..ROUNDS {
            self.world.connect_all();
            self.world.deliver_all();
            self.world.pass(ROUND_US);
            (0..self.banks()).for_each(|bank| self.world.tick(bank));
            self.check_events();
        }
    }

    pub(super) fn verify(&mut self) {
        let mut newest: BTreeMap<&str, (Time, &str)> = BTreeMap::new();
        for ((key, value), time) in &self.written {
            let newer = newest.get(key.as_str()).is_none_or(|(before, _)| before < time);
            if newer {
                newest.insert(key, (*time, value));
            }
        }
        for at in 0..self.banks() {
            let core = self.world.core(at);
            assert_eq!(core.undecided(), 0, "bank {at} is undecided though all are up");
            assert!(core.ledger().knows_registers(), "bank {at} has not learned its registers");
            for key in KEYS {
                let value = core.ledger().value(&RegisterKey::new(key).unwrap());
                let right = newest.get(key).map_or("0", |(_, value)| value);
                assert_eq!(value, right, "{key} at bank {at}");
            }
        }
        self.world.audit();
    }
}
