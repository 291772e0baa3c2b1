//! Meetings: a bank reports to another which journal of it it has met, once the record is durable;
//! and lost disks, with a new journal in their place.

use super::World;
use super::links::Flight;
use consorcio_core::bank::Identity;
use consorcio_core::bank::io::{After, Input, MeetingNotice, Output, Start};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::founding::{FoundingId, Meeting};
use consorcio_core::ids::{BankId, BankSet};

/// A mistake in how banks meet, planted around the shipped core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeetMistake {
    /// A link suffices for an introduction: a peer reports the journal that it sees now, not the
    /// one that it met.
    ByLinksAlone,
    /// A meeting is reported before its record is durable.
    ReportedBeforeSync,
    /// A meeting is reported and not recorded.
    NotRecorded,
    /// A link is opened although the peer has another journal than when it was met, and nothing is
    /// reported.
    ReplacedLinked,
    /// A bank with a new journal waits for no other.
    WaitsForNone,
    /// A bank with a new journal waits for one other bank only, a different one at each start.
    WaitsForOne,
    /// A statement is accepted without its MAC.
    NotProved,
    /// A bank that lost its disk takes the empty journal for an old one.
    EmptyTakenForOld,
}

impl MeetMistake {
    pub const ALL: [MeetMistake; 8] = [
        MeetMistake::ByLinksAlone,
        MeetMistake::ReportedBeforeSync,
        MeetMistake::NotRecorded,
        MeetMistake::ReplacedLinked,
        MeetMistake::WaitsForNone,
        MeetMistake::WaitsForOne,
        MeetMistake::EmptyTakenForOld,
        MeetMistake::NotProved,
    ];
}

fn id(bank: usize) -> BankId {
    BankId::new(bank).expect("few banks")
}

impl World {
    /// Banks that all begin without a journal and meet each other.
    pub fn founding(banks: usize) -> World {
        let mut world = World::unfounded(banks);
        (0..banks).for_each(|bank| world.restart(bank));
        world.connect_all();
        world.deliver_all();
        world.seen.clear();
        world
    }

    /// Banks without journals, none of which runs.
    pub fn unfounded(banks: usize) -> World {
        let mut world = World::new(banks);
        world.introduces = true;
        (0..banks).for_each(|bank| world.lose_disk(bank));
        world.seen.clear();
        world
    }

    /// At its next start with a new journal, the bank does not wait for `without`.
    pub fn introduce_without(&mut self, bank: usize, without: &[usize]) {
        self.without.insert(bank, without.iter().copied().map(id).collect());
    }

    pub(super) fn start_of(&self, bank: usize) -> Start {
        let others = || (0..self.nodes[bank].places).filter(|other| *other != bank).map(id);
        let introduce_without = match self.meet_mistake {
            Some(MeetMistake::WaitsForNone) => others().collect(),
            Some(MeetMistake::WaitsForOne) => {
                let count = self.nodes[bank].places - 1;
                let one = usize::try_from(self.starts).expect("few starts") % count;
                others().enumerate().filter(|(at, _)| *at != one).map(|(_, other)| other).collect()
            }
            _ => self.without.get(&bank).copied().unwrap_or(BankSet::EMPTY),
        };
        Start { introduce_without, run: self.starts.to_le_bytes() }
    }

    /// The first records of a journal with a new list, or of a new journal.
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

    /// The process ends and its disk is lost. It will start on an empty one.
    pub fn lose_disk(&mut self, bank: usize) {
        if self.is_up(bank) {
            self.crash(bank);
        }
        self.replace_journal(bank, Vec::new());
    }

    /// The journal of `of` that `by` has durably recorded.
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

    /// One of the two banks has another journal than the other one met: they get no link, and it is
    /// notified.
    pub(super) fn is_replaced(&mut self, a: usize, b: usize) -> bool {
        let mut replaced = false;
        for (by, of) in [(a, b), (b, a)] {
            let present = self.nodes[of].core.as_ref().and_then(|core| core.founding());
            let (Some(met), Some(present)) = (self.met(by, of), present) else { continue };
            let overlooks = matches!(
                self.meet_mistake,
                Some(MeetMistake::ReplacedLinked | MeetMistake::ByLinksAlone)
            );
            if met != present && !overlooks {
                replaced = true;
                if let Some(meeting) = self.meeting(by, of) {
                    self.input(of, &Input::PeerMet { peer: id(by), meeting });
                }
            }
        }
        replaced
    }

    /// A link opens: each bank receives the other's founding id, and the journal that the other has
    /// met.
    pub(super) fn meet(&mut self, dialler: usize, dialled: usize) {
        for (by, of) in [(dialled, dialler), (dialler, dialled)] {
            if let Some(founding) = self.nodes[of].core.as_ref().and_then(|core| core.founding()) {
                self.input(by, &Input::PeerFounded { peer: id(of), founding });
            }
            let meeting = self.meeting(by, of);
            if let Some(meeting) =
                meeting.filter(|_| self.meet_mistake != Some(MeetMistake::ReplacedLinked))
            {
                self.input(of, &Input::PeerMet { peer: id(by), meeting });
            }
        }
    }

    /// Applies a planted mistake to a decision.
    pub(super) fn mistaken_meeting(&mut self, bank: usize, output: &mut Output) {
        match self.meet_mistake {
            Some(MeetMistake::ReportedBeforeSync) => {
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

    /// Notifies peers of meetings whose records are durable, where there is a link.
    pub(super) fn report_meetings(&mut self, bank: usize) {
        let durable = u64::try_from(self.nodes[bank].synced).expect("a short journal");
        let due: Vec<MeetingNotice> =
            self.nodes[bank].met.extract_if(.., |met| met.after.is_met(durable)).collect();
        for MeetingNotice { peer, founding, .. } in due {
            let to = peer.index();
            if let Some(link) = self.link(bank, to) {
                let meeting = self.identity(bank).seal.meeting(id(bank), peer, founding);
                self.flights.push_back(Flight::Met { to, link, meeting });
            }
        }
    }

    /// `by` has recorded another journal of `of` than the present one.
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

    /// An attacker changes the journal in a statement in flight and keeps the MAC; a bank with a
    /// mistake accepts it. `false` if none is in flight.
    pub fn change_meeting(&mut self) -> bool {
        let seal = self.identity(0).seal;
        let accepts = self.meet_mistake == Some(MeetMistake::NotProved);
        for flight in &mut self.flights {
            if let Flight::Met { meeting, .. } = flight {
                meeting.founding = FoundingId::new([0xff; 16]);
                if accepts {
                    *meeting = seal.meeting(meeting.by, meeting.bank, meeting.founding);
                }
                return true;
            }
        }
        false
    }

    pub fn all_introduced(&self) -> bool {
        self.nodes.iter().filter_map(|node| node.core.as_ref()).all(|core| core.is_introduced())
    }
}
