//! A consortium that grows: each bank has its own list, as long as it was when the bank started
//! last; and mistakes planted in what a bank that came later learns.

use super::links::Flight;
use super::{Node, World};
use consorcio::bank::{Core, Identity};
use consorcio::commit::message::{Asked, AskedVerb, Message};
use consorcio::commit::registers::{PageAsked, RegistersPage, SetRegister};
use consorcio::ids::RegisterKey;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::{Read, Request};
use std::collections::BTreeMap;

/// A planted mistake about growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrowthMistake {
    /// Registers are told as of a moment, whatever sets are undecided that do not name the bank
    /// that asks.
    ToldAtACut,
    /// A page is believed without its MAC.
    PageNotProved,
    /// What is told counts, also where it was set earlier than what the bank has.
    EarlierOverwrites,
    /// VALUE is served before learning is finished.
    ServedTooEarly,
    /// A bank that knows nothing tells that.
    ToldByOneThatKnowsNothing,
}

impl GrowthMistake {
    pub const ALL: [GrowthMistake; 5] = [
        GrowthMistake::ToldAtACut,
        GrowthMistake::PageNotProved,
        GrowthMistake::EarlierOverwrites,
        GrowthMistake::ServedTooEarly,
        GrowthMistake::ToldByOneThatKnowsNothing,
    ];
}

/// What somebody on the way does with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    Value,
    /// A page that was told before.
    Old,
}

/// What a world that grows has beside others.
#[derive(Clone, Default)]
pub struct Growth {
    pub mistake: Option<GrowthMistake>,
    /// What happens to the next page that arrives.
    pub tampering: Option<Tampering>,
    asked: BTreeMap<Asked, Question>,
    /// The first page that was ever told: one to be shown again.
    first: Option<RegistersPage>,
}

#[derive(Clone)]
struct Question {
    asker: usize,
    teller: usize,
    after: Option<RegisterKey>,
}

impl World {
    /// Another bank, at the end of its own list; it is not started. The others know nothing of it,
    /// and have to meet it.
    pub fn add_bank(&mut self) -> usize {
        let bank = self.nodes.len();
        self.introduces = true;
        self.nodes.push(Node::new(bank + 1, bank, None));
        bank
    }

    /// The list of a bank that is down has so many places from now on.
    pub fn lengthen_list(&mut self, bank: usize, places: usize) {
        assert!(
            !self.is_up(bank) && self.nodes[bank].places <= places,
            "a list only grows, at a start"
        );
        self.nodes[bank].places = places;
        let journal = std::mem::take(&mut self.nodes[bank].journal);
        self.replace_journal(bank, journal);
    }

    /// Is each in the other's list?
    pub fn know_each_other(&self, a: usize, b: usize) -> bool {
        a < self.nodes[b].places && b < self.nodes[a].places
    }

    /// Is this flight a page of registers, or must one arrive before it?
    pub fn is_behind_page(&self, at: usize) -> bool {
        let lane = self.flights[at].lane();
        let first = self.flights.iter().find(|flight| flight.lane() == lane);
        matches!(first, Some(Flight::Answer { asked, .. }) if asked.verb == AskedVerb::Registers)
    }

    /// A bank before its journal.
    pub fn core_of(&self, bank: usize) -> Core {
        Core::new(self.identity(bank))
    }

    /// A question for registers leaves.
    pub(super) fn asks_registers(&mut self, asker: usize, teller: usize, message: &Message) {
        if let Message::Registers { after, .. } = message {
            let question = Question { asker, teller, after: after.clone() };
            self.growth.asked.insert(message.asked(), question);
        }
    }

    /// It arrives; a mistaken bank answers it with what it has.
    pub(super) fn mistaken_teller(&mut self, teller: usize, link: u64, message: &Message) -> bool {
        let Message::Registers { nonce, after, .. } = message else { return false };
        let Some(core) = &self.nodes[teller].core else { return false };
        let knows = core.ledger().knows_registers();
        let tells = match self.growth.mistake {
            Some(GrowthMistake::ToldAtACut) => knows,
            Some(GrowthMistake::ToldByOneThatKnowsNothing) => !knows,
            Some(
                GrowthMistake::PageNotProved
                | GrowthMistake::EarlierOverwrites
                | GrowthMistake::ServedTooEarly,
            )
            | None => false,
        };
        let Some(question) = self.growth.asked.get(&message.asked()).filter(|_| tells).cloned()
        else {
            return false;
        };
        let registers = core.ledger().set_registers_after(after.as_ref()).collect();
        let page = self.sealed(&question, nonce, registers, None);
        let reply = Reply::Done(serde_json::to_string(&page).expect("JSON"));
        self.flights.push_back(Flight::Answer {
            to: question.asker,
            link,
            asked: message.asked(),
            reply,
        });
        true
    }

    fn sealed(
        &self,
        question: &Question,
        nonce: &consorcio::ids::TxId,
        registers: Vec<SetRegister>,
        next: Option<RegisterKey>,
    ) -> RegistersPage {
        let Identity { bank: teller, seal, .. } = self.identity(question.teller);
        let asker = self.identity(question.asker).bank;
        let asked = PageAsked { teller, asker, nonce, after: question.after.as_ref() };
        RegistersPage::sealed(&seal, asked, registers, next)
    }

    /// A page arrives: perhaps somebody on the way has changed it, and perhaps the bank believes
    /// what it must not.
    pub(super) fn registers_arrive(
        &mut self,
        asked: &Asked,
        reply: Option<Reply>,
    ) -> Option<Reply> {
        if asked.verb != AskedVerb::Registers {
            return reply;
        }
        let question = self.growth.asked.remove(asked);
        let (Some(question), Some(Reply::Done(json))) = (question, &reply) else { return reply };
        let page: RegistersPage = serde_json::from_str(json).expect("a page");
        let first = self.growth.first.get_or_insert_with(|| page.clone()).clone();
        let RegistersPage { mut registers, mut next, mac } = page.clone();
        let mut mac = Some(mac);
        let (mistake, tampering) = (self.growth.mistake, self.growth.tampering.take());
        let is_changed = match tampering {
            Some(Tampering::Value) if !registers.is_empty() => {
                let changed = consorcio::ids::RegisterValue::new("of nobody").expect("a value");
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
            && let Some(core) = &self.nodes[question.asker].core
        {
            for own in core.ledger().set_registers_after(None) {
                for told in
                    registers.iter_mut().filter(|told| told.key == own.key && told.time < own.time)
                {
                    told.time = own.time;
                    mistaken = true;
                }
            }
        }
        let page = if mistaken {
            self.sealed(&question, &asked.tx, registers, next)
        } else {
            RegistersPage { registers, next, mac: mac.unwrap_or_default() }
        };
        Some(Reply::Done(serde_json::to_string(&page).expect("JSON")))
    }

    /// What a bank that serves VALUE too early answers.
    pub(super) fn mistaken_value(&self, bank: usize, request: &Request) -> Option<Reply> {
        let Request::Read(Read::Value(key)) = request else { return None };
        let early = self.growth.mistake == Some(GrowthMistake::ServedTooEarly);
        let core = self.nodes[bank].core.as_ref().filter(|_| early)?;
        let ledger = core.ledger();
        let told = serde_json::json!({"key": key.as_str(), "value": ledger.value(key)}).to_string();
        (!ledger.knows_registers() && ledger.locked_by(key).is_none()).then_some(Reply::Done(told))
    }
}
