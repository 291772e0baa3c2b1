//! What a bank may record after a changed reply or request.

use super::*;
use consorcio_core::access::Principal;

impl World {
    /// A changed reply makes a bank record what the honest reply would, or what silence would, or
    /// what one of its tokens proves. The sender of a valid token and the words beside it do not
    /// matter.
    pub(super) fn check_reply(
        &mut self,
        (to, link, asked): (usize, u64, &RequestKey),
        honest: Option<&Reply>,
        forged: &Reply,
    ) {
        let Some(peer) = self.links.get(&link).and_then(|link| BankId::new(link.dialled)) else {
            return;
        };
        let past = self.past(to, &asked.tx);
        let answer =
            |reply| Input::Answer { peer, asked: asked.clone(), reply, past: past.clone() };
        let actual = self.would_record(to, &answer(Some(forged.clone())));
        let silent = self.would_record(to, &answer(None));
        let honestly = honest.map(|reply| self.would_record(to, &answer(Some(reply.clone()))));
        let proved = tokens_of(forged)
            .into_iter()
            .filter(|token| self.identity(to).seal.proves(&asked.tx, token));
        let of_token =
            proved.collect::<Vec<_>>().into_iter().map(|token| reply_with(&asked.tx, token));
        let proved: Vec<_> =
            of_token.map(|reply| self.would_record(to, &answer(Some(reply)))).collect();
        assert!(
            actual == silent || Some(&actual) == honestly.as_ref() || proved.contains(&actual),
            "bank {to} records {actual:?} after the forged {forged:?} for {}; silence \
             would make it record {silent:?}, the honest reply {honestly:?}, its tokens {proved:?}",
            asked.tx
        );
    }

    /// The outcomes and votes that a bank would record now, without texts.
    pub(super) fn would_record(&mut self, at: usize, input: &Input) -> Vec<String> {
        self.read_clock(at);
        let (now, Some(core)) = (self.now(at), &self.nodes[at].core) else { return Vec::new() };
        ends(&core.decide(now, input))
    }

    pub(super) fn change_request(
        &mut self,
        attacker: &mut Attacker<'_>,
        to: usize,
        link: u64,
        message: Message,
    ) -> Option<Tampered> {
        let (what, changed) = match self.path.with_other_tokens(attacker, &message) {
            Some(other) if (attacker.below)(2) == 0 => {
                ("tokens of a line changed", Ok(crate::world::links::request_of(other)))
            }
            _ => {
                let mut line = Vec::new();
                message.write_to(&mut line);
                ("byte of a line changed", Request::parse(&attacker.another_byte(line)))
            }
        };
        let known = |request: &Request| match request {
            Request::Prepare(tx, _)
            | Request::Commit(tx, _)
            | Request::Abort(tx, _)
            | Request::Resolve(tx) => attacker.knows(tx),
            _ => false,
        };
        let asked = message.key();
        let request = match changed {
            Err(fault) => {
                let reply = Reply::from(fault);
                self.flights.push_back(Flight::Answer {
                    to: self.links.get(&link)?.dialler,
                    link,
                    asked,
                    reply,
                });
                return Some(Tampered { what, prepared: None });
            }
            Ok(request) if known(&request) => request,
            Ok(_) => {
                self.arrive(Flight::Request { to, link, message });
                return None;
            }
        };
        let honest = crate::world::links::request_of(message);
        let prepared = match &request {
            Request::Prepare(tx, transaction) => Some((tx.clone(), Arc::clone(transaction))),
            _ => None,
        };
        let ends_it = matches!(request, Request::Commit(..) | Request::Abort(..));
        if ends_it && self.path.mistake.is_none() && honest.tx() == request.tx() {
            self.check_request(to, link, &honest, &request);
        }
        self.arrive_request(to, link, asked, request);
        Some(Tampered { what, prepared })
    }

    /// Changed tokens make a bank record what the right ones would, or what none would, or what one
    /// of them proves.
    pub(super) fn check_request(
        &mut self,
        to: usize,
        link: u64,
        honest: &Request,
        changed: &Request,
    ) {
        let Some(tx) = honest.tx() else { return };
        let past = self.past(to, tx);
        let without = match changed {
            Request::Commit(tx, _) => Request::Commit(tx.clone(), Vec::new()),
            other => Request::Abort(other.tx().expect("COMMIT and ABORT have an id").clone(), None),
        };
        let (tx, seal) = (tx.clone(), self.identity(to).seal);
        let tokens = match changed {
            Request::Commit(_, tokens) => tokens.clone(),
            Request::Abort(_, token) => token.iter().copied().collect(),
            _ => Vec::new(),
        };
        let proved = tokens.into_iter().filter(|token| seal.proves(&tx, token));
        let proved = proved.map(|token| match changed {
            Request::Commit(..) => Request::Commit(tx.clone(), vec![token]),
            _ => Request::Abort(tx.clone(), Some(token)),
        });
        let proved: Vec<Request> = proved.collect();
        let mut would = |request: &Request| {
            let caller = Caller { session: SessionId(link), slot: u64::MAX };
            let (request, past) = (request.clone(), past.clone());
            let input = Input::Request {
                caller,
                origin: Origin::Link,
                asker: Principal::Operator,
                request,
                waited_us: 0,
                past,
            };
            self.would_record(to, &input)
        };
        let (actual, honestly, nothing) = (would(changed), would(honest), would(&without));
        let proved: Vec<_> = proved.iter().map(would).collect();
        assert!(
            actual == honestly || actual == nothing || proved.contains(&actual),
            "bank {to} records {actual:?} after the forged {changed:?}; {honest:?} would make it \
             record {honestly:?}, no tokens {nothing:?}, its tokens {proved:?}"
        );
    }
}
