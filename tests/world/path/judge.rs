//! What a changed answer or request may make a bank record.

use super::*;

impl World {
    /// What was changed makes a bank record what the honest answer would, or what silence would, or
    /// what one of the tokens in it proves: who shows a token that a bank gave is of no matter, and
    /// the words beside it neither.
    pub(super) fn judge_answer(
        &mut self,
        (to, link, asked): (usize, u64, &Asked),
        honest: Option<&Reply>,
        told: &Reply,
    ) {
        let Some(peer) = self.links.get(&link).and_then(|link| BankId::new(link.dialled)) else {
            return;
        };
        let past = self.past(to, &asked.tx);
        let answer =
            |reply| Input::Answer { peer, asked: asked.clone(), reply, past: past.clone() };
        let told_so = self.would_record(to, &answer(Some(told.clone())));
        let silent = self.would_record(to, &answer(None));
        let honestly = honest.map(|reply| self.would_record(to, &answer(Some(reply.clone()))));
        let proved = tokens_of(told)
            .into_iter()
            .filter(|token| self.identity(to).seal.proves(&asked.tx, token));
        let of_token =
            proved.collect::<Vec<_>>().into_iter().map(|token| said_by(&asked.tx, token));
        let proved: Vec<_> =
            of_token.map(|reply| self.would_record(to, &answer(Some(reply)))).collect();
        assert!(
            told_so == silent || Some(&told_so) == honestly.as_ref() || proved.contains(&told_so),
            "bank {to}, told {told:?} of {} by somebody on the way, records {told_so:?}; \
             silence would have it record {silent:?}, the honest answer {honestly:?}, its tokens \
             {proved:?}",
            asked.tx
        );
    }

    /// What a bank would record now, but for words.
    pub(super) fn would_record(&mut self, at: usize, input: &Input) -> Vec<String> {
        self.read_clock(at);
        let (now, Some(core)) = (self.now(at), &self.nodes[at].core) else { return Vec::new() };
        ends(&core.decide(now, input))
    }

    pub(super) fn change_request(
        &mut self,
        liar: &mut Liar<'_>,
        to: usize,
        link: u64,
        message: Message,
    ) -> Option<Done> {
        let (what, changed) = match self.path.with_other_tokens(liar, &message) {
            Some(other) if (liar.below)(2) == 0 => {
                ("tokens of a line changed", Ok(crate::world::links::request_of(other)))
            }
            _ => {
                let mut line = Vec::new();
                message.write_to(&mut line);
                ("byte of a line changed", Request::parse(&liar.another_byte(line)))
            }
        };
        let known = |request: &Request| match request {
            Request::Prepare(tx, _)
            | Request::Commit(tx, _)
            | Request::Abort(tx, _)
            | Request::Resolve(tx) => liar.knows(tx),
            _ => false,
        };
        let asked = message.asked();
        let request = match changed {
            Err(fault) => {
                let reply = Reply::from(fault);
                self.flights.push_back(Flight::Answer {
                    to: self.links.get(&link)?.dialler,
                    link,
                    asked,
                    reply,
                });
                return Some(Done { what, prepared: None });
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
            self.judge_request(to, link, &honest, &request);
        }
        self.arrive_request(to, link, asked, request);
        Some(Done { what, prepared })
    }

    /// Changed tokens make a bank record what the right ones would, or what none would, or what one
    /// of them proves.
    pub(super) fn judge_request(
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
            other => Request::Abort(other.tx().expect("COMMIT and ABORT have one").clone(), None),
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
            let input =
                Input::Request { caller, origin: Origin::Link, request, waited_us: 0, past };
            self.would_record(to, &input)
        };
        let (changed_so, honestly, nothing) = (would(changed), would(honest), would(&without));
        let proved: Vec<_> = proved.iter().map(would).collect();
        assert!(
            changed_so == honestly || changed_so == nothing || proved.contains(&changed_so),
            "bank {to}, told {changed:?} by somebody on the way, records {changed_so:?}; \
             {honest:?} would have it \
             record {honestly:?}, no tokens {nothing:?}, its tokens {proved:?}"
        );
    }
}
