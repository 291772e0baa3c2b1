//! Names and rights in a world: who is behind each session, and what each bank grants.

use super::{FIRST_LINK, World};
use consorcio_core::access::{Access, Grant, Name, Principal, Role, owner_of};
use consorcio_core::bank::io::{After, Input, Output, SessionId, Start};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{PeerVerb, RequestKey};
use consorcio_core::ids::{BankId, BankSet, TaxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A mistake about rights, planted around the shipped core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightsMistake {
    /// The refusal of an own transaction for a right is not recorded.
    RefusalUnrecorded,
    /// A bank refuses RESOLVE over a link for a right of the transaction's owner.
    ResolveRefused,
    /// A stranger's COMMIT makes a bank ask the others.
    StrangerAsks,
    /// Rights are those at the arrival of a request, and not those at the decision: a change
    /// reaches a bank late.
    RightsAtArrival,
    /// An operation is judged by the rights at another bank than the one that executes it.
    WrongBank,
}

impl RightsMistake {
    pub const ALL: [RightsMistake; 5] = [
        RightsMistake::RefusalUnrecorded,
        RightsMistake::ResolveRefused,
        RightsMistake::StrangerAsks,
        RightsMistake::RightsAtArrival,
        RightsMistake::WrongBank,
    ];
}

/// The names of a world in closed mode. In open mode there are none.
#[derive(Clone, Default)]
pub struct Names {
    closed: bool,
    sessions: BTreeMap<u64, Name>,
    access: BTreeMap<usize, Arc<Access>>,
    mistake: Option<RightsMistake>,
    /// Changes that have not reached their banks.
    late: BTreeMap<usize, Arc<Access>>,
}

impl World {
    /// From here on sessions have names, and links are those of their banks.
    pub fn close_mode(&mut self) {
        self.names.closed = true;
    }

    pub fn is_closed(&self) -> bool {
        self.names.closed
    }

    /// The name behind a session.
    pub fn name_session(&mut self, session: u64, name: Name) {
        self.names.sessions.insert(session, name);
    }

    /// What a bank grants from here on; it is read again at each start.
    pub fn grant(&mut self, bank: usize, access: Access) {
        let access = Arc::new(access);
        let reaches = match self.names.mistake {
            Some(RightsMistake::RightsAtArrival) => {
                self.names.late.insert(bank, Arc::clone(&access)).map(|before| (bank, before))
            }
            Some(RightsMistake::WrongBank) => {
                Some(((bank + 1) % self.nodes.len(), Arc::clone(&access)))
            }
            _ => Some((bank, Arc::clone(&access))),
        };
        self.names.access.insert(bank, access);
        if let Some((bank, access)) = reaches {
            self.input(bank, &Input::AccessChanged(access));
        }
    }

    pub fn plant_rights(&mut self, mistake: Option<RightsMistake>) {
        self.names.mistake = mistake;
    }

    pub fn granted(&self, bank: usize) -> Option<&Arc<Access>> {
        self.names.access.get(&bank)
    }

    /// A bank that starts reads what it grants.
    pub(super) fn read_access(&mut self, bank: usize) {
        if let Some(access) = self.names.access.get(&bank).cloned() {
            self.input(bank, &Input::AccessChanged(access));
        }
    }

    /// Who sends a request of this session.
    pub fn asker_of(&self, session: SessionId, request: &Request) -> Principal {
        let asks = self.names.mistake == Some(RightsMistake::StrangerAsks)
            && matches!(request, Request::Commit(..));
        if !self.names.closed || asks {
            return Principal::Operator;
        }
        if session.0 >= FIRST_LINK {
            let dialler = self.links.get(&session.0).map(|link| link.dialler);
            return Principal::Bank(dialler.and_then(BankId::new).expect("a link has a dialler"));
        }
        let name = self.names.sessions.get(&session.0).expect("each session has a name");
        Principal::Named(name.clone())
    }
}

/// What a planted mistake makes of a decision or an answer.
impl World {
    pub(super) fn mistaken_refusal(&mut self, bank: usize, output: &mut Output) {
        let is_kept = |record: &Record| {
            !matches!(record, Record::Voted { refusal: Some((Reason::NotAllowed, _)), .. })
        };
        if self.names.mistake != Some(RightsMistake::RefusalUnrecorded)
            || output.records.iter().all(is_kept)
        {
            return;
        }
        output.records.retain(is_kept);
        output.replies.iter_mut().for_each(|reply| reply.after = After::Now);
        let mut core = self.core_of(bank);
        self.nodes[bank].journal.iter().chain(&output.records).for_each(|it| core.apply(it));
        let now = self.now(bank);
        core.step(now, &Input::Started(Start::default()));
        if let Some(access) = self.names.access.get(&bank) {
            core.step(now, &Input::AccessChanged(Arc::clone(access)));
        }
        for peer in (0..self.nodes.len()).filter(|peer| self.link(bank, *peer).is_some()) {
            core.step(now, &Input::PeerUp(BankId::new(peer).expect("a position")));
        }
        self.nodes[bank].core = Some(core);
    }

    pub(super) fn refused_over_link(
        &self,
        from: usize,
        asked: &RequestKey,
        reply: Option<Reply>,
    ) -> Option<Reply> {
        let listed = |access: &Arc<Access>| owner_of(&asked.tx).is_some_and(|it| access.lists(it));
        let refuses = self.names.mistake == Some(RightsMistake::ResolveRefused)
            && asked.verb == PeerVerb::Resolve
            && !self.names.access.get(&from).is_some_and(listed);
        if refuses { Some(Reply::Unknown(asked.tx.clone())) } else { reply }
    }
}

/// A grant from words: `ana holder,writer 00000000001`, `ana` or `ana gone`.
pub fn grant_of(text: &str) -> Grant {
    let mut words = text.split(' ');
    let name = words.next().and_then(|name| Name::new(name).ok()).expect("a name");
    let mut grant = Grant::of(name);
    for role in words.next().into_iter().flat_map(|roles| roles.split(',')) {
        match role {
            "gone" => grant.gone = true,
            role => grant.roles = grant.roles.with(Role::parse(role).expect("a role")),
        }
    }
    grant.cpfs = words.map(|cpf| TaxId::new(cpf).expect("a cpf")).collect();
    grant
}

/// The access of these grants, in words, and of these trusted banks.
pub fn access_of(grants: &[&str], trust: &[usize]) -> Access {
    let trust: BankSet = trust.iter().filter_map(|bank| BankId::new(*bank)).collect();
    let grants = grants.iter().map(|grant| grant_of(grant)).collect();
    Access::new(grants, trust).expect("each name once")
}
