//! Meetings: each bank tells another which journal of it it has met, once the record of that is
//! durable; a disk that is lost, and a new journal in its place.

use super::World;
use super::links::Flight;
use consorcio::bank::Identity;
use consorcio::bank::io::{After, Input, Met, Output, Start};
use consorcio::bank::record::Record;
use consorcio::commit::founding::{FoundingId, Meeting};
use consorcio::ids::{BankId, BankSet};

/// A mistake in how banks meet, planted around the shipped core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeetMistake {
    /// A link is enough to be introduced: the peer tells the journal that it sees, and not the one
    /// that it met.
    ByLinksAlone,
    /// A meeting is told before the record of it is durable.
    ToldBeforeItsSync,
    /// A peer is told that it was met, and no record of it is made.
    NotRecorded,
    /// A link is opened though the peer has another journal than when it was met, and nothing is
    /// told.
    ReplacedLinked,
    /// A bank with a new journal waits for nobody.
    WaitsForNobody,
    /// A bank with a new journal waits for one bank only, another one at each start.
    WaitsForOne,
    /// A statement is believed without its MAC.
    NotProved,
    /// A bank whose disk was lost takes the empty journal for an old one.
    EmptyTakenForOld,
}

impl MeetMistake {
    pub const ALL: [MeetMistake; 8] = [
        MeetMistake::ByLinksAlone,
        MeetMistake::ToldBeforeItsSync,
        MeetMistake::NotRecorded,
        MeetMistake::ReplacedLinked,
        MeetMistake::WaitsForNobody,
        MeetMistake::WaitsForOne,
        MeetMistake::EmptyTakenForOld,
        MeetMistake::NotProved,
    ];
}

fn id(bank: usize) -> BankId {
    BankId::new(bank).expect("few banks")
}

impl World {
    /// So many banks, none of which has a journal yet: they meet each other before they take part.
    pub fn founding(banks: usize) -> World {
        let mut world = World::unfounded(banks);
        (0..banks).for_each(|bank| world.restart(bank));
        world.connect_all();
        world.settle();
        world.seen.clear();
        world
    }

    /// The same, and none of them runs.
    pub fn unfounded(banks: usize) -> World {
        let mut world = World::new(banks);
        world.introduces = true;
        (0..banks).for_each(|bank| world.lose_disk(bank));
        world.seen.clear();
        world
    }

    /// From its next start on a bank with a new journal does not wait for these.
    pub fn introduce_without(&mut self, bank: usize, without: &[usize]) {
        self.without.insert(bank, without.iter().copied().map(id).collect());
    }

    pub(super) fn start_of(&self, bank: usize) -> Start {
        let others = || (0..self.nodes[bank].places).filter(|other| *other != bank).map(id);
        let introduce_without = match self.meet_mistake {
            Some(MeetMistake::WaitsForNobody) => others().collect(),
            Some(MeetMistake::WaitsForOne) => {
                let count = self.nodes[bank].places - 1;
                let one = usize::try_from(self.starts).expect("few starts") % count;
                others().enumerate().filter(|(at, _)| *at != one).map(|(_, other)| other).collect()
            }
            _ => self.without.get(&bank).copied().unwrap_or(BankSet::EMPTY),
        };
        Start { introduce_without, run: self.starts.to_le_bytes() }
    }

    /// The first records of a journal with a new list, or of a new one.
    pub(super) fn first_records(&mut self, identity: Identity, is_new: bool) -> Vec<Record> {
        let mut records = vec![Record::Consortium { bank: identity.bank, places: identity.places }];
        if self.introduces && is_new {
            self.foundings += 1;
            let founding = FoundingId::new(u128::from(self.foundings).to_be_bytes());
            let introduced = self.meet_mistake == Some(MeetMistake::EmptyTakenForOld);
            records.push(Record::Founded { founding, introduced });
        }
        records
    }

    /// The process is gone, and its disk with it. Its next start is on an empty one.
    pub fn lose_disk(&mut self, bank: usize) {
        if self.is_up(bank) {
            self.crash(bank);
        }
        self.replace_journal(bank, Vec::new());
    }

    /// The journal of `of` that `by` has met, durably.
    fn met(&self, by: usize, of: usize) -> Option<FoundingId> {
        let node = &self.nodes[by];
        let waits = node.met.iter().any(|met| met.peer == id(of));
        node.core.as_ref().and_then(|core| core.met()[of]).filter(|_| !waits)
    }

    fn meeting(&self, by: usize, of: usize) -> Option<Meeting> {
        let met = match self.meet_mistake {
            Some(MeetMistake::ByLinksAlone | MeetMistake::NotRecorded) => {
                self.nodes[of].core.as_ref().and_then(|core| core.founding())
            }
            _ => self.met(by, of),
        };
        met.map(|founding| self.identity(by).seal.meeting(id(by), id(of), founding))
    }

    /// Has one of two banks another journal than the other one met? Then no link is made, and it is
    /// told.
    pub(super) fn is_replaced(&mut self, a: usize, b: usize) -> bool {
        let mut replaced = false;
        for (by, of) in [(a, b), (b, a)] {
            let told = self.nodes[of].core.as_ref().and_then(|core| core.founding());
            let (Some(met), Some(told)) = (self.met(by, of), told) else { continue };
            let blind = matches!(
                self.meet_mistake,
                Some(MeetMistake::ReplacedLinked | MeetMistake::ByLinksAlone)
            );
            if met != told && !blind {
                replaced = true;
                if let Some(meeting) = self.meeting(by, of) {
                    self.input(of, &Input::PeerMet { peer: id(by), meeting });
                }
            }
        }
        replaced
    }

    /// A link is opened: each hears the other's founding id, and what the other has met.
    pub(super) fn meet(&mut self, dialler: usize, dialled: usize) {
        for (by, of) in [(dialled, dialler), (dialler, dialled)] {
            if let Some(founding) = self.nodes[of].core.as_ref().and_then(|core| core.founding()) {
                self.input(by, &Input::PeerFounded { peer: id(of), founding });
            }
            let told = self.meeting(by, of);
            if let Some(meeting) =
                told.filter(|_| self.meet_mistake != Some(MeetMistake::ReplacedLinked))
            {
                self.input(of, &Input::PeerMet { peer: id(by), meeting });
            }
        }
    }

    /// What a mistake makes of a decision.
    pub(super) fn mistaken_meeting(&mut self, bank: usize, output: &mut Output) {
        match self.meet_mistake {
            Some(MeetMistake::ToldBeforeItsSync) => {
                output.met.iter_mut().for_each(|met| met.after = After::Now)
            }
            Some(MeetMistake::NotRecorded) => {
                let is_met = |record: &Record| matches!(record, Record::Met { .. });
                if output.records.iter().any(is_met) {
                    output.records.retain(|record| !is_met(record));
                    let mut core = self.core_of(bank);
                    self.nodes[bank].journal.iter().for_each(|record| core.apply(record));
                    let now = self.now(bank);
                    core.step(now, &Input::Started(self.start_of(bank)));
                    self.nodes[bank].core = Some(core);
                }
            }
            _ => {}
        }
    }

    /// The records of some meetings are durable: the peers are told, where there is a link.
    pub(super) fn tell_met(&mut self, bank: usize) {
        let durable = u64::try_from(self.nodes[bank].synced).expect("a short journal");
        let due: Vec<Met> =
            self.nodes[bank].met.extract_if(.., |met| met.after.is_met(durable)).collect();
        for Met { peer, founding, .. } in due {
            let to = peer.index();
            if let Some(link) = self.link(bank, to) {
                let meeting = self.identity(bank).seal.meeting(id(bank), peer, founding);
                self.flights.push_back(Flight::Met { to, link, meeting });
            }
        }
    }

    /// Has `by` recorded another journal of `of` than the one that is there now?
    pub fn has_met_another(&self, by: usize, of: usize) -> bool {
        let is_met = |record: &Record| match record {
            Record::Met { bank, founding } if *bank == id(of) => Some(*founding),
            _ => None,
        };
        let is_founded = |record: &Record| match record {
            Record::Founded { founding, .. } => Some(*founding),
            _ => None,
        };
        let met = self.nodes[by].journal.iter().find_map(is_met);
        met.is_some() && met != self.nodes[of].journal.iter().find_map(is_founded)
    }

    /// Somebody on the way changes a statement that is under way: another journal, under the MAC
    /// that was there. A mistaken bank believes it. Is there any?
    pub fn change_meeting(&mut self) -> bool {
        let seal = self.identity(0).seal;
        let believed = self.meet_mistake == Some(MeetMistake::NotProved);
        for flight in &mut self.flights {
            if let Flight::Met { meeting, .. } = flight {
                meeting.founding = FoundingId::new([0xff; 16]);
                if believed {
                    *meeting = seal.meeting(meeting.by, meeting.bank, meeting.founding);
                }
                return true;
            }
        }
        false
    }

    /// Is every bank that runs introduced?
    pub fn all_introduced(&self) -> bool {
        self.nodes.iter().filter_map(|node| node.core.as_ref()).all(|core| core.is_introduced())
    }
}
