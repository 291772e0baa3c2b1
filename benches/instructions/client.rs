//! The client's side of a transfer, without sockets: what its driver does with the messages of the
//! coordinator and with the replies of two banks.

use crate::bank::FIRST;
use crate::transfers::{Transfer, bank, ids, ops};
use bytes::BytesMut;
use consorcio_core::commit::coordinator::{Answer, Coordinator, Do, Event, Strategy, Verdict};
use consorcio_core::commit::message::PeerVerb;
use consorcio_core::ids::{BankId, BankSet, Time};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::token::Token;
use consorcio_core::wire::transaction::{Op, Transaction};
use consorcio_system::framed::LineCodec;
use consorcio_system::id_generator::IdGenerator;
use std::sync::Arc;
use tokio_util::codec::{Decoder, Encoder};

/// What a client has before it begins a transfer, and the replies that it will get.
pub struct ClientSide {
    ids: IdGenerator,
    ops: [Op; 2],
    codecs: [LineCodec<Option<Reply>>; 2],
    /// The lines to each bank.
    pub sent: [BytesMut; 2],
    votes: [BytesMut; 2],
    outcomes: [BytesMut; 2],
}

impl ClientSide {
    /// A client whose connections have been used.
    pub fn new() -> ClientSide {
        let read: fn(&str) -> Option<Reply> = |line| Reply::parse(line).ok();
        let mut client = ClientSide {
            ids: ids(FIRST - 2),
            ops: ops(FIRST - 1),
            codecs: [LineCodec::new(read), LineCodec::new(read)],
            sent: [BytesMut::with_capacity(8192), BytesMut::with_capacity(8192)],
            votes: [BytesMut::new(), BytesMut::new()],
            outcomes: [BytesMut::new(), BytesMut::new()],
        };
        for number in [FIRST - 1, FIRST] {
            client.sent.iter_mut().for_each(BytesMut::clear);
            client.ops = ops(number);
            client.expect(number);
            if number < FIRST {
                assert!(matches!(client.transfer(), Some(Verdict::Committed(_))));
            }
        }
        client
    }

    /// Fills the buffers of replies with those to transfer `number`.
    fn expect(&mut self, number: u64) {
        let transaction = Transaction::from_ops(ops(number), None).expect("a legal transaction");
        let tx = self.ids.clone().at(MS);
        let transfer = Transfer { tx, transaction: Arc::new(transaction) };
        let time = Time(1_795_000_000_000_000);
        let tokens = [0, 1].map(|at| transfer.vote(bank(at), time));
        self.votes = tokens.map(|token| line(&Reply::Ok(transfer.tx.clone(), token)));
        self.outcomes = tokens.map(|token| line(&committed(&transfer, token)));
    }

    /// Makes the transfer and drives it to its end; returns the verdict.
    pub fn transfer(&mut self) -> Option<Verdict> {
        let transaction = Transaction::from_ops(&self.ops, None).ok()?;
        let tx = self.ids.at(MS);
        let mut coordinator = Coordinator::new(tx, Arc::new(transaction), Strategy::Parallel);
        let todo = coordinator.on(Event::Begin { unreachable: BankSet::EMPTY });
        let mut verdict = self.perform(todo);
        for verb in [PeerVerb::Prepare, PeerVerb::Commit] {
            for at in 0..2 {
                let replies = match verb {
                    PeerVerb::Prepare => &mut self.votes[at],
                    _ => &mut self.outcomes[at],
                };
                let reply = self.codecs[at].decode(replies).ok()??.ok()??;
                if reply.tx() != Some(coordinator.tx()) {
                    return None;
                }
                let answer = Event::Answered(bank(at), verb, Answer::Believed(reply));
                let todo = coordinator.on(answer);
                verdict = self.perform(todo).or(verdict);
            }
        }
        verdict.filter(|_| coordinator.is_done())
    }

    fn perform(&mut self, todo: Vec<Do>) -> Option<Verdict> {
        let mut verdict = None;
        for one in todo {
            match one {
                Do::Send(bank, message) => {
                    let (codec, out) = self.link(bank);
                    codec.encode(&message, out).ok()?;
                }
                Do::Report(reported) => verdict = Some(reported),
                Do::StartTimer | Do::VoteSelf | Do::RefuseSelf(_) => {}
            }
        }
        verdict
    }

    fn link(&mut self, bank: BankId) -> (&mut LineCodec<Option<Reply>>, &mut BytesMut) {
        (&mut self.codecs[bank.index()], &mut self.sent[bank.index()])
    }
}

const MS: u64 = 1_795_000_000_000;

/// The reply of the token's bank to the COMMIT of `transfer`.
pub fn committed(transfer: &Transfer, token: Token) -> Reply {
    let time = Time(token.time.0 + 15);
    let digest = Some(*transfer.transaction.digest());
    let kind = consorcio_core::wire::token::TokenKind::Committed;
    let statement = crate::transfers::seal().token(token.bank, kind, &transfer.tx, digest, time);
    Reply::Committed(transfer.tx.clone(), time, token, Some(statement))
}

fn line(reply: &Reply) -> BytesMut {
    let mut line = Vec::new();
    reply.write_to(&mut line);
    BytesMut::from(&line[..])
}
