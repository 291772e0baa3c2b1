//! A consortium that grows: each bank has its own list, of the length at its last start; and
//! mistakes planted in how a new bank learns registers.

use super::links::Flight;
use super::{Node, World};
use consorcio_core::bank::{Core, Identity};
use consorcio_core::commit::message::{Message, PeerVerb, RequestKey};
use consorcio_core::commit::registers::{PageQuery, RegistersPage, SetRegister};
use consorcio_core::ids::RegisterKey;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Read, Request};
use std::collections::BTreeMap;

/// A planted mistake about growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrowthMistake {
    /// A bank sends registers as of one moment, although an undecided set does not name the asking
    /// bank.
    SentAsOfACut,
    /// A page is accepted without its MAC.
    PageNotProved,
    /// A page's value overwrites a later one of the bank.
    EarlierOverwrites,
    /// VALUE is served before learning is finished.
    ServedTooEarly,
    /// A bank that does not know its registers sends them.
    SentWithoutKnowing,
}

impl GrowthMistake {
    pub const ALL: [GrowthMistake; 5] = [
        GrowthMistake::SentAsOfACut,
        GrowthMistake::PageNotProved,
        GrowthMistake::EarlierOverwrites,
        GrowthMistake::ServedTooEarly,
        GrowthMistake::SentWithoutKnowing,
    ];
}

/// How an attacker changes a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    Value,
    /// Replaced by an earlier page.
    Old,
}

/// State of a world whose list grows.
#[derive(Clone, Default)]
pub struct Growth {
    pub mistake: Option<GrowthMistake>,
    /// Applied to the next page that arrives.
    pub tampering: Option<Tampering>,
    asked: BTreeMap<RequestKey, PageRequest>,
    /// The first page of the run, kept for a replay by the attacker.
    first: Option<RegistersPage>,
}

#[derive(Clone)]
struct PageRequest {
    asker: usize,
    sender: usize,
    after: Option<RegisterKey>,
}

impl World {
    /// Adds a bank at the end of its own list, without starting it. The other banks do not know it
    /// and have to meet it.
    pub fn add_bank(&mut self) -> usize {
        let bank = self.nodes.len();
        self.introduces = true;
        self.nodes.push(Node::new(bank + 1, bank, None));
        bank
    }

    /// Sets the length of the list of a bank that is down.
    pub fn lengthen_list(&mut self, bank: usize, places: usize) {
        assert!(
            !self.is_up(bank) && self.nodes[bank].places <= places,
            "a list must not shrink, nor change while the bank runs"
        );
        self.nodes[bank].places = places;
        let journal = std::mem::take(&mut self.nodes[bank].journal);
        self.replace_journal(bank, journal);
    }

    pub fn know_each_other(&self, a: usize, b: usize) -> bool {
        a < self.nodes[b].places && b < self.nodes[a].places
    }

    /// This flight is a page of registers, or one is ahead of it in its lane.
    pub fn is_behind_page(&self, at: usize) -> bool {
        let lane = self.flights[at].lane();
        let first = self.flights.iter().find(|flight| flight.lane() == lane);
        matches!(first, Some(Flight::Answer { asked, .. }) if asked.verb == PeerVerb::Registers)
    }

    /// The bank without any record.
    pub fn core_of(&self, bank: usize) -> Core {
        Core::new(self.identity(bank))
    }

    /// Notes a REGISTERS message that is sent.
    pub(super) fn note_registers_request(
        &mut self,
        asker: usize,
        sender: usize,
        message: &Message,
    ) {
        if let Message::Registers { after, .. } = message {
            let request = PageRequest { asker, sender, after: after.clone() };
            self.growth.asked.insert(message.key(), request);
        }
    }

    /// REGISTERS arrives. A bank with a mistake replies with what it has; `false` if there is no
    /// mistake.
    pub(super) fn mistaken_registers_reply(
        &mut self,
        sender: usize,
        link: u64,
        message: &Message,
    ) -> bool {
        let Message::Registers { nonce, after, .. } = message else { return false };
        let Some(core) = &self.nodes[sender].core else { return false };
        let knows = core.ledger().knows_registers();
        let replies = match self.growth.mistake {
            Some(GrowthMistake::SentAsOfACut) => knows,
            Some(GrowthMistake::SentWithoutKnowing) => !knows,
            Some(
                GrowthMistake::PageNotProved
                | GrowthMistake::EarlierOverwrites
                | GrowthMistake::ServedTooEarly,
            )
            | None => false,
        };
        let Some(page_request) = self.growth.asked.get(&message.key()).filter(|_| replies).cloned()
        else {
            return false;
        };
        let registers = core.ledger().set_registers_after(after.as_ref()).collect();
        let page = self.sealed(&page_request, nonce, registers, None);
        let reply = Reply::Done(serde_json::to_string(&page).expect("JSON"));
        self.flights.push_back(Flight::Answer {
            to: page_request.asker,
            link,
            asked: message.key(),
            reply,
        });
        true
    }

    fn sealed(
        &self,
        page_request: &PageRequest,
        nonce: &consorcio_core::ids::TxId,
        registers: Vec<SetRegister>,
        next: Option<RegisterKey>,
    ) -> RegistersPage {
        let Identity { bank: sender, seal, .. } = self.identity(page_request.sender);
        let asker = self.identity(page_request.asker).bank;
        let asked =
            PageQuery { responder: sender, asker, nonce, after: page_request.after.as_ref() };
        RegistersPage::sealed(&seal, asked, registers, next)
    }

    /// A page arrives. An attacker may change it, and a bank with a mistake may accept it.
    pub(super) fn registers_arrive(
        &mut self,
        asked: &RequestKey,
        reply: Option<Reply>,
    ) -> Option<Reply> {
        if asked.verb != PeerVerb::Registers {
            return reply;
        }
        let page_request = self.growth.asked.remove(asked);
        let (Some(page_request), Some(Reply::Done(json))) = (page_request, &reply) else {
            return reply;
        };
        let page: RegistersPage = serde_json::from_str(json).expect("a page");
        let first = self.growth.first.get_or_insert_with(|| page.clone()).clone();
        let RegistersPage { mut registers, mut next, mac } = page.clone();
        let mut mac = Some(mac);
        let (mistake, tampering) = (self.growth.mistake, self.growth.tampering.take());
        let is_changed = match tampering {
            Some(Tampering::Value) if !registers.is_empty() => {
                let changed = consorcio_core::ids::RegisterValue::new("forged").expect("a value");
                registers[0].value = changed;
                mistake == Some(GrowthMistake::PageNotProved)
            }
            Some(Tampering::Old) if first.mac != page.mac => {
                RegistersPage { registers, next, .. } = first.clone();
                mac = Some(first.mac);
                false
            }
            Some(Tampering::Value | Tampering::Old) | None => false,
        };
        let mut mistaken = is_changed;
        if tampering.is_none()
            && mistake == Some(GrowthMistake::EarlierOverwrites)
            && let Some(core) = &self.nodes[page_request.asker].core
        {
            for own in core.ledger().set_registers_after(None) {
                for given in registers
                    .iter_mut()
                    .filter(|given| given.key == own.key && given.time < own.time)
                {
                    given.time = own.time;
                    mistaken = true;
                }
            }
        }
        let page = if mistaken {
            self.sealed(&page_request, &asked.tx, registers, next)
        } else {
            RegistersPage { registers, next, mac: mac.unwrap_or_default() }
        };
        Some(Reply::Done(serde_json::to_string(&page).expect("JSON")))
    }

    /// The reply of a bank that serves VALUE too early.
    pub(super) fn mistaken_value(&self, bank: usize, request: &Request) -> Option<Reply> {
        let Request::Read(Read::Value(key)) = request else { return None };
        let early = self.growth.mistake == Some(GrowthMistake::ServedTooEarly);
        let core = self.nodes[bank].core.as_ref().filter(|_| early)?;
        let ledger = core.ledger();
        let json = serde_json::json!({"key": key.as_str(), "value": ledger.value(key)}).to_string();
        (!ledger.knows_registers() && ledger.locked_by(key).is_none()).then_some(Reply::Done(json))
    }
}
