//! A malicious client: any verb, id and bytes, any token that was ever sent, and forged ones.

use crate::simulation::facts::number;
use crate::simulation::run::{Simulation, bank};
use consorcio_core::bank::io::{Origin, SessionId};
use consorcio_core::ids::{Time, TxId};
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Token, TokenKind};
use std::sync::Arc;

pub const MALICIOUS: u64 = 1;

impl Simulation<'_> {
    pub fn lie(&mut self) {
        if self.facts.len() < 2 {
            return;
        }
        let tx = self.any_id();
        let of_tx = self.facts(&tx).tokens.clone();
        let any = self.any_token();
        let request = match self.random.below(12) {
            0 => Request::Commit(tx, of_tx),
            1 => Request::Commit(tx, any.into_iter().collect()),
            2 => Request::Commit(tx, Vec::new()),
            3 => Request::Abort(tx, of_tx.first().copied().or(any)),
            4 => Request::Abort(tx, None),
            5 => Request::Resolve(tx),
            6 => {
                let other = self.transaction();
                self.add_version(&tx, &other);
                Request::Prepare(tx, other)
            }
            7 => Request::Status(tx),
            8 => Request::Commit(tx, of_tx.into_iter().map(|token| self.forged(token)).collect()),
            9 => {
                let token = any.map(|token| self.forged(token));
                Request::Abort(tx, token)
            }
            10 => {
                let transaction = Arc::clone(&self.facts(&tx).versions[0].transaction);
                Request::Prepare(tx, transaction)
            }
            _ => {
                let transaction = Arc::clone(&self.facts(&tx).versions[0].transaction);
                Request::Execute(tx, transaction)
            }
        };
        self.coverage.count("lie");
        let at = self.random.below(self.banks());
        self.world.request(at, SessionId(MALICIOUS), Origin::Client, request, 0);
        if self.random.chance(10) {
            self.world.close(at, MALICIOUS);
        }
    }

    /// Mostly one of the newest ids, which are undecided; sometimes one that has left memory.
    fn any_id(&mut self) -> TxId {
        let known = self.facts.len() - 1;
        let back = if self.random.chance(70) { known.min(40) } else { known };
        TxId::new(&format!("t{}", 1 + known - 1 - self.random.below(back))).unwrap()
    }

    fn any_token(&mut self) -> Option<Token> {
        let tx = self.any_id();
        let tokens = &self.facts[number(&tx)].tokens;
        if tokens.is_empty() { None } else { Some(*self.random.of(tokens)) }
    }

    fn forged(&mut self, token: Token) -> Token {
        self.coverage.count("forged token");
        match self.random.below(4) {
            0 => Token {
                kind: if token.is_refusal() { TokenKind::Ok } else { TokenKind::No },
                ..token
            },
            1 => Token { bank: bank(self.random.below(self.banks())), ..token },
            2 => Token { time: Time(token.time.0 + 1), ..token },
            _ => Token { mac: None, ..token },
        }
    }
}
