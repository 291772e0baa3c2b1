//! How a bank of the world stops and restarts from its journal, and what must hold after each step.

use super::*;

impl World {
    /// The process ends, and un-synced records are lost. The other banks notice.
    pub fn crash(&mut self, bank: usize) {
        self.lose(bank);
        let of_bank = |(_, link): &(&u64, &Link)| link.dialler == bank || link.dialled == bank;
        let links: Vec<u64> = self.links.iter().filter(of_bank).map(|(id, _)| *id).collect();
        links.into_iter().for_each(|link| self.cut(link));
    }

    /// The machine disappears: the others keep their connections to it.
    pub fn crash_quietly(&mut self, bank: usize) {
        self.lose(bank);
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            let Some(link) = self.links.get(&id) else { continue };
            if link.dialler == bank {
                self.cut_for_dialler(id);
            } else if link.dialled == bank {
                self.cut_for_dialled(id);
            }
        }
    }

    pub(super) fn lose(&mut self, bank: usize) {
        let identity = self.identity(bank);
        let node = &mut self.nodes[bank];
        node.core = None;
        node.replies.clear();
        node.sends.clear();
        node.met.clear();
        let unsynced = &node.journal[node.synced..];
        let kept = match &mut node.disk {
            None => 0,
            Some(disk) => {
                self.crashes += 1;
                disk.crash(self.crashes, node.shadow.seq() + 1, unsynced);
                disk.recover(&identity, &node.shadow, unsynced)
            }
        };
        let lost = node.journal.split_off(node.synced + kept);
        for tx in lost.iter().filter_map(Record::decides) {
            node.past.remove(tx);
        }
        node.made_durable();
        if crashed(self.mistake, &mut node.journal) {
            let journal = std::mem::take(&mut node.journal);
            self.replace_journal(bank, journal);
        }
        self.seen.push(Seen::Lost { bank, records: lost });
    }

    /// Replaces the journal of a bank that is down.
    pub fn replace_journal(&mut self, bank: usize, journal: Vec<Record>) {
        let shadow = self.core_of(bank);
        let node = &mut self.nodes[bank];
        node.shadow = shadow;
        node.past.clear();
        for (at, record) in journal.iter().enumerate() {
            if let Some(tx) = record.decides() {
                node.past.insert(tx.clone(), at);
            }
        }
        node.journal = journal;
        node.made_durable();
    }

    /// Starts the bank from its journal; recovery is `apply`. The bank stays down if its journal
    /// says so, if its disk is full, or if its clock is absurd.
    pub fn restart(&mut self, bank: usize) {
        let identity = self.identity(bank);
        let clock = self.nodes[bank].shadow.clock();
        if self.follows_clocks && !self.start_clock(bank, clock) {
            return;
        }
        let node = &mut self.nodes[bank];
        let mut core = match &mut node.disk {
            Some(disk) => match disk.start(&identity, &node.shadow) {
                Some(core) => core,
                None => return,
            },
            None => node.shadow.clone(),
        };
        if core.stopped().is_some() {
            return;
        }
        let is_new = core.consortium().is_none();
        if core.consortium().is_none_or(|(_, places)| places != identity.places) {
            let first = core.seq() + 1;
            let records = self.first_records(identity, is_new);
            records.iter().for_each(|record| core.apply(record));
            let node = &mut self.nodes[bank];
            if let Some(disk) = &mut node.disk {
                assert!(disk.write(first, &records, Some(&core)), "a write to a new disk failed");
            }
            node.journal.extend(records);
            node.made_durable();
        }
        core.check_invariants();
        self.nodes[bank].core = Some(core);
        self.starts += 1;
        let start = self.start_of(bank);
        self.input(bank, &Input::Started(start));
        self.read_access(bank);
    }

    /// All votes, outcomes and ledgers equal those of the replayed journals.
    pub fn audit(&self) {
        (0..self.nodes.len()).for_each(|bank| self.audit_bank(bank));
    }

    pub fn audit_bank(&self, bank: usize) {
        let node = &self.nodes[bank];
        let Some(core) = &node.core else { return };
        core.check_invariants();
        let mut replayed = self.core_of(bank);
        node.journal.iter().for_each(|record| replayed.apply(record));
        assert!(core.same_as(&replayed), "bank {bank} differs from its replayed journal");
        let restored =
            Core::from_snapshot(self.identity(bank), &core.to_snapshot()).expect("own snapshot");
        assert!(core.same_as(&restored), "bank {bank} differs from its restored snapshot");
    }

    /// The journal's record of a transaction that memory does not hold.
    pub fn past(&self, bank: usize, tx: &TxId) -> Option<Past> {
        let node = &self.nodes[bank];
        if node.core.as_ref()?.knows(tx) || self.mistake == Some(Mistake::OutcomeForgotten) {
            return None;
        }
        if let Some(disk) = &node.disk {
            return disk.lookup(tx).map(|record| Past { record });
        }
        node.past.get(tx).map(|at| Past { record: node.journal[*at].clone() })
    }
}
