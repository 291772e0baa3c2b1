//! Matches lines that are ends of the same call: the sent request with the received one, the sent
//! reply with the received one.
//!
//! Both ends count the requests of a connection, and the sender logs its port, which identifies the
//! connection in the log of the receiver. So port and number match the lines. Older logs have no
//! numbers: there the n-th sent request matches the n-th received one, within one connection, verb
//! and transaction, except for those that were lost with a connection. Such a pair is marked.

use super::gather::GatheredLine;
use crate::line::{Load, Ordinal, RequestId, Step};
use consorcio_core::wire::verb::Verb;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A call; its ends are indexes of lines. A party without a log is identified by its bank or
/// address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// The sender of the request.
    pub from: Party,
    /// The receiver of the request.
    pub to: Party,
    /// The verb of the request.
    pub verb: Verb,
    /// The load of the request.
    pub load: Load,
    /// The number of the request on its connection.
    pub n: Ordinal,
    /// The line of the sent request.
    pub sent: Option<usize>,
    /// The line of the received request.
    pub received: Option<usize>,
    /// The line of the sent reply.
    pub replied: Option<usize>,
    /// The line of the received reply.
    pub answered: Option<usize>,
    /// The line that gives the request up, because the connection broke.
    pub given_up: Option<usize>,
    /// Whether some ends were matched by their order alone.
    pub by_order: bool,
}

/// A party of a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// A node with a log, by its index.
    Node(usize),
    /// A bank without a log.
    Bank(u8),
    /// A client without a log, by its address.
    Address(String),
}

/// The lines of STATUS requests and their replies: they do not affect the transaction.
pub(super) fn questions(lines: &[GatheredLine]) -> BTreeSet<usize> {
    let sent = sent_requests(lines).into_iter().filter(|call| call.verb == Verb::Status);
    let received = received_requests(lines).into_iter().filter(|call| call.verb == Verb::Status);
    let mut numbers: BTreeSet<usize> =
        sent.flat_map(|call| [Some(call.sent), call.answered, call.given_up]).flatten().collect();
    numbers.extend(received.flat_map(|call| [Some(call.received), call.replied]).flatten());
    numbers
}

/// A request in the log of its sender.
struct SentRequest {
    node: usize,
    to: u8,
    verb: Verb,
    load: Load,
    id: Option<RequestId>,
    sent: usize,
    answered: Option<usize>,
    given_up: Option<usize>,
    /// The address that its connection was made from.
    from: Option<String>,
}

/// A request in the log of its receiver.
struct ReceivedRequest {
    node: usize,
    link: Option<u8>,
    peer: String,
    verb: Verb,
    load: Load,
    n: Ordinal,
    received: usize,
    replied: Option<usize>,
}

/// The evidence that two ends belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// Port and number match.
    Numbered,
    /// Only their order matches.
    Ordered,
}

impl Pair {
    fn of(
        from: Party,
        to: Party,
        asked: Option<SentRequest>,
        served: Option<ReceivedRequest>,
        join: Join,
    ) -> Option<Pair> {
        let (verb, load) = match (&asked, &served) {
            (Some(asked), _) => (asked.verb, asked.load),
            (None, Some(served)) => (served.verb, served.load),
            (None, None) => return None,
        };
        let answer = asked.as_ref().and_then(|asked| asked.answered.or(asked.given_up));
        let reply = served.as_ref().and_then(|served| served.replied);
        let id = asked.as_ref().and_then(|asked| asked.id);
        let n = served.as_ref().and_then(|served| served.n);
        let by_order = (join == Join::Ordered && asked.is_some() && served.is_some())
            || (answer.is_some() && id.is_none())
            || (reply.is_some() && n.is_none());
        Some(Pair {
            from,
            to,
            verb,
            load,
            n: id.map(|id| id.n).or(n),
            sent: asked.as_ref().map(|asked| asked.sent),
            received: served.as_ref().map(|served| served.received),
            replied: reply,
            answered: asked.as_ref().and_then(|asked| asked.answered),
            given_up: asked.as_ref().and_then(|asked| asked.given_up),
            by_order,
        })
    }
}

/// All calls among `lines`, which are in the order of each node's files. `bank_of` has the bank of
/// each node.
pub(super) fn pair(lines: &[GatheredLine], bank_of: &[Option<u8>]) -> Vec<Pair> {
    let mut joining = Joining {
        asked: sent_requests(lines).into_iter().map(Some).collect(),
        served: received_requests(lines).into_iter().map(Some).collect(),
        pairs: Vec::new(),
    };
    let link_of = |asked: &SentRequest| bank_of[asked.node];
    joining.join(
        Join::Numbered,
        |asked| {
            let id = asked.id?;
            Some(PairKey::Number(id, link_of(asked), asked.to, asked.verb))
        },
        |served| {
            let port = served.peer.rsplit_once(':')?.1.parse().ok()?;
            let id = RequestId { port, n: served.n? };
            Some(PairKey::Number(id, served.link, bank_of[served.node]?, served.verb))
        },
    );
    // For older logs, the strongest evidence first: the port, then the bank of the link, then the
    // verb alone.
    joining.join(
        Join::Ordered,
        |asked| Some(PairKey::Address(asked.from.clone()?, asked.to, asked.verb)),
        |served| Some(PairKey::Address(served.peer.clone(), bank_of[served.node]?, served.verb)),
    );
    joining.join(
        Join::Ordered,
        |asked| Some(PairKey::Link(link_of(asked)?, asked.to, asked.verb)),
        |served| Some(PairKey::Link(served.link?, bank_of[served.node]?, served.verb)),
    );
    joining.join(
        Join::Ordered,
        |asked| {
            let is_unknown = link_of(asked).is_none() && asked.from.is_none();
            is_unknown.then_some(PairKey::Verb(asked.to, asked.verb))
        },
        |served| {
            let bank = bank_of[served.node].filter(|_| served.link.is_none())?;
            Some(PairKey::Verb(bank, served.verb))
        },
    );

    let Joining { asked, served, mut pairs } = joining;
    let node_of = |bank: u8| bank_of.iter().position(|other| *other == Some(bank));
    let party = |bank: u8| node_of(bank).map_or(Party::Bank(bank), Party::Node);
    pairs.extend(asked.into_iter().flatten().filter_map(|asked| {
        let (from, to) = (Party::Node(asked.node), party(asked.to));
        Pair::of(from, to, Some(asked), None, Join::Numbered)
    }));
    pairs.extend(served.into_iter().flatten().filter_map(|served| {
        let from = served.link.map_or_else(|| Party::Address(served.peer.clone()), party);
        Pair::of(from, Party::Node(served.node), None, Some(served), Join::Numbered)
    }));
    pairs.sort_by_key(|pair| pair.sent.or(pair.received));
    pairs
}

/// Sent and received requests with equal keys may be the same call. Each key has the bank that
/// received the request, and the verb.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum PairKey {
    /// Port and number, and the bank that opened the link.
    Number(RequestId, Option<u8>, u8, Verb),
    /// The address that the connection was made from.
    Address(String, u8, Verb),
    /// The bank that opened the link.
    Link(u8, u8, Verb),
    /// The bank and the verb alone.
    Verb(u8, Verb),
}

/// Requests that are not matched yet, and the pairs so far.
struct Joining {
    asked: Vec<Option<SentRequest>>,
    served: Vec<Option<ReceivedRequest>>,
    pairs: Vec<Pair>,
}

impl Joining {
    /// Matches the n-th sent request with the n-th received one, for each key. If fewer were
    /// received than sent, the unanswered ones count as lost.
    fn join(
        &mut self,
        join: Join,
        asked_key: impl Fn(&SentRequest) -> Option<PairKey>,
        served_key: impl Fn(&ReceivedRequest) -> Option<PairKey>,
    ) {
        let mut received: BTreeMap<PairKey, VecDeque<usize>> = BTreeMap::new();
        for (at, one) in self.served.iter().enumerate() {
            if let Some(key) = one.as_ref().and_then(&served_key) {
                received.entry(key).or_default().push_back(at);
            }
        }
        let mut sent: BTreeMap<PairKey, Vec<usize>> = BTreeMap::new();
        for (at, one) in self.asked.iter().enumerate() {
            if let Some(key) = one.as_ref().and_then(&asked_key) {
                sent.entry(key).or_default().push(at);
            }
        }
        for (key, sent) in sent {
            let Some(mut received) = received.remove(&key) else { continue };
            let is_numbered = sent.iter().all(|at| self.asked[*at].as_ref().is_some_and(has_id))
                && received.iter().all(|at| self.served[*at].as_ref().is_some_and(has_n));
            // Requests with different numbers are different, whatever their order.
            if join == Join::Ordered && is_numbered {
                continue;
            }
            // A port is reused once its connection is closed: then only the order matches them,
            // unless exactly the missing ones were not answered.
            let unanswered = sent.iter().filter(|at| !self.is_answered(**at)).count();
            let missing = sent.len().saturating_sub(received.len());
            let is_sure = received.len() <= sent.len() && (missing == 0 || missing == unanswered);
            let join = if is_sure { join } else { Join::Ordered };
            let mut lost = missing;
            for at in sent {
                if lost > 0 && !self.is_answered(at) {
                    lost -= 1;
                    continue;
                }
                let Some(other) = received.pop_front() else { break };
                let (Some(asked), Some(served)) =
                    (self.asked[at].take(), self.served[other].take())
                else {
                    continue;
                };
                let (from, to) = (Party::Node(asked.node), Party::Node(served.node));
                self.pairs.extend(Pair::of(from, to, Some(asked), Some(served), join));
            }
        }
    }

    fn is_answered(&self, asked: usize) -> bool {
        self.asked[asked].as_ref().is_some_and(|asked| asked.answered.is_some())
    }
}

fn has_id(asked: &SentRequest) -> bool {
    asked.id.is_some()
}

fn has_n(served: &ReceivedRequest) -> bool {
    served.n.is_some()
}

/// The sent requests, each with its reply.
fn sent_requests(lines: &[GatheredLine]) -> Vec<SentRequest> {
    let mut asked: Vec<SentRequest> = Vec::new();
    // For each node: the addresses that its connections were made from, and its unanswered
    // requests, by number or, without numbers, in order.
    let mut from: BTreeMap<(usize, u8), String> = BTreeMap::new();
    let mut numbered: BTreeMap<(usize, u8, RequestId), usize> = BTreeMap::new();
    let mut ordered: BTreeMap<(usize, u8), VecDeque<usize>> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        let node = line.node;
        let Some(bank) = line.bank else {
            if let Some(Step::Start(_)) = &line.step {
                numbered.retain(|(other, ..), _| *other != node);
                ordered.retain(|(other, _), _| *other != node);
                from.retain(|(other, _), _| *other != node);
            }
            continue;
        };
        match &line.step {
            Some(Step::Connect(_, address)) => {
                if let Some(address) = address {
                    from.insert((node, bank), address.to_string());
                }
                ordered.remove(&(node, bank));
            }
            Some(Step::Disconnect(..) | Step::LinkDown(..)) => {
                ordered.remove(&(node, bank));
            }
            Some(
                step @ (Step::Send { verb, id, tx: Some(_), .. }
                | Step::Ask { verb, id, tx: Some(_), .. }),
            ) => {
                match id {
                    Some(id) => drop(numbered.insert((node, bank, *id), asked.len())),
                    None => ordered.entry((node, bank)).or_default().push_back(asked.len()),
                }
                asked.push(SentRequest {
                    node,
                    to: bank,
                    verb: *verb,
                    load: step.load(),
                    id: *id,
                    sent: number,
                    answered: None,
                    given_up: None,
                    from: from.get(&(node, bank)).cloned(),
                });
            }
            Some(Step::Answer { verb, summary, id, tx: Some(_), .. }) => {
                let call = match id {
                    Some(id) => numbered.remove(&(node, bank, *id)),
                    None => ordered.get_mut(&(node, bank)).and_then(|waiting| {
                        let matches = |at: &usize| verb.is_none_or(|verb| asked[*at].verb == verb);
                        waiting.iter().position(matches).and_then(|at| waiting.remove(at))
                    }),
                };
                if let Some(call) = call {
                    // A request that was given up may have been received or not; it must not count
                    // as answered.
                    let end = match summary {
                        Some(_) => &mut asked[call].answered,
                        None => &mut asked[call].given_up,
                    };
                    *end = Some(number);
                }
            }
            _ => {}
        }
    }
    asked
}

/// The received requests, each with its reply.
fn received_requests(lines: &[GatheredLine]) -> Vec<ReceivedRequest> {
    let mut served: Vec<ReceivedRequest> = Vec::new();
    let mut numbered: BTreeMap<(usize, &str, Ordinal), usize> = BTreeMap::new();
    let mut ordered: BTreeMap<(usize, &str), VecDeque<usize>> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        let node = line.node;
        if let Some(Step::Start(_)) = &line.step {
            numbered.retain(|(other, ..), _| *other != node);
            ordered.retain(|(other, _), _| *other != node);
        }
        let Some(peer) = line.peer.as_deref() else { continue };
        match &line.step {
            Some(step @ Step::Receive { verb, n, tx: Some(_), .. }) => {
                match n {
                    Some(_) => drop(numbered.insert((node, peer, *n), served.len())),
                    None => ordered.entry((node, peer)).or_default().push_back(served.len()),
                }
                served.push(ReceivedRequest {
                    node,
                    link: line.bank,
                    peer: peer.to_owned(),
                    verb: *verb,
                    load: step.load(),
                    n: *n,
                    received: number,
                    replied: None,
                });
            }
            Some(Step::Reply { n, tx: Some(_), .. }) => {
                let call = match n {
                    Some(_) => numbered.remove(&(node, peer, *n)),
                    None => ordered.get_mut(&(node, peer)).and_then(VecDeque::pop_front),
                };
                if let Some(call) = call {
                    served[call].replied = Some(number);
                }
            }
            _ => {}
        }
    }
    served
}
