//! Joins lines that are ends of the same call: the request that left with the one that came, the
//! reply with the answer.
//!
//! Both ends count the requests of a connection, and the sender tells its port, by which the other
//! end knows the connection: so port and number say which lines belong together. Older logs have no
//! numbers. There the n-th that left is the n-th that came, within one connection, one verb and one
//! transaction, but for those that were lost with a connection; such a pair says so.

use super::gather::Noted;
use crate::line::{Load, Ordinal, RequestId, Step};
use consorcio_core::wire::verb::Verb;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A call, its ends being numbers of lines. A party that has no log is known by its bank or address
/// alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The one that asked.
    pub from: Party,
    /// The one that was asked.
    pub to: Party,
    /// The verb.
    pub verb: Verb,
    /// What the request carried.
    pub load: Load,
    /// Its number on its connection.
    pub n: Ordinal,
    /// The request left.
    pub sent: Option<usize>,
    /// It came.
    pub received: Option<usize>,
    /// The reply left.
    pub replied: Option<usize>,
    /// It came.
    pub answered: Option<usize>,
    /// It was given up, as the connection broke.
    pub given_up: Option<usize>,
    /// Some ends were joined by their order alone.
    pub by_order: bool,
}

/// One end of a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A node with a log, by its number.
    Node(usize),
    /// A bank without one.
    Bank(u8),
    /// A client without one, by its address.
    Address(String),
}

/// The lines that are not part of what became of the transaction: somebody asked for its state,
/// which changes nothing.
pub fn questions(lines: &[Noted]) -> BTreeSet<usize> {
    let asked = asked(lines).into_iter().filter(|call| call.verb == Verb::Status);
    let served = served(lines).into_iter().filter(|call| call.verb == Verb::Status);
    let mut numbers: BTreeSet<usize> =
        asked.flat_map(|call| [Some(call.sent), call.answered, call.given_up]).flatten().collect();
    numbers.extend(served.flat_map(|call| [Some(call.received), call.replied]).flatten());
    numbers
}

/// A request that left.
struct Asked {
    node: usize,
    to: u8,
    verb: Verb,
    load: Load,
    id: Option<RequestId>,
    sent: usize,
    answered: Option<usize>,
    given_up: Option<usize>,
    /// The address that its connection came from.
    from: Option<String>,
}

/// A request that came.
struct Served {
    node: usize,
    link: Option<u8>,
    peer: String,
    verb: Verb,
    load: Load,
    n: Ordinal,
    received: usize,
    replied: Option<usize>,
}

/// How sure it is that two ends belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// Port and number say so.
    Numbered,
    /// Their order does.
    Ordered,
}

impl Pair {
    fn of(
        from: Party,
        to: Party,
        asked: Option<Asked>,
        served: Option<Served>,
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

/// All calls among `lines`, which stand in the order of each node's files. `bank_of` says which
/// bank a node is.
pub fn pair(lines: &[Noted], bank_of: &[Option<u8>]) -> Vec<Pair> {
    let mut joining = Joining {
        asked: asked(lines).into_iter().map(Some).collect(),
        served: served(lines).into_iter().map(Some).collect(),
        pairs: Vec::new(),
    };
    let link_of = |asked: &Asked| bank_of[asked.node];
    joining.join(
        Join::Numbered,
        |asked| {
            let id = asked.id?;
            Some(Key::Number(id, link_of(asked), asked.to, asked.verb))
        },
        |served| {
            let port = served.peer.rsplit_once(':')?.1.parse().ok()?;
            let id = RequestId { port, n: served.n? };
            Some(Key::Number(id, served.link, bank_of[served.node]?, served.verb))
        },
    );
    // Of older logs, what is surest first: the port, then the link's bank, then the verb alone.
    joining.join(
        Join::Ordered,
        |asked| Some(Key::Address(asked.from.clone()?, asked.to, asked.verb)),
        |served| Some(Key::Address(served.peer.clone(), bank_of[served.node]?, served.verb)),
    );
    joining.join(
        Join::Ordered,
        |asked| Some(Key::Link(link_of(asked)?, asked.to, asked.verb)),
        |served| Some(Key::Link(served.link?, bank_of[served.node]?, served.verb)),
    );
    joining.join(
        Join::Ordered,
        |asked| {
            let is_unknown = link_of(asked).is_none() && asked.from.is_none();
            is_unknown.then_some(Key::Verb(asked.to, asked.verb))
        },
        |served| {
            let bank = bank_of[served.node].filter(|_| served.link.is_none())?;
            Some(Key::Verb(bank, served.verb))
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

/// Which calls may be the same; each with the bank that they went to, and the verb.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// By port and number, and by the bank that a link came from.
    Number(RequestId, Option<u8>, u8, Verb),
    /// By the address that the connection came from.
    Address(String, u8, Verb),
    /// By the bank that a link came from.
    Link(u8, u8, Verb),
    /// Nothing else is known.
    Verb(u8, Verb),
}

/// Requests that are not joined yet, and those that are.
struct Joining {
    asked: Vec<Option<Asked>>,
    served: Vec<Option<Served>>,
    pairs: Vec<Pair>,
}

impl Joining {
    /// Joins the n-th that left with the n-th that came, for each key. Where fewer came than left,
    /// those are taken for lost that nobody answered.
    fn join(
        &mut self,
        join: Join,
        asked_key: impl Fn(&Asked) -> Option<Key>,
        served_key: impl Fn(&Served) -> Option<Key>,
    ) {
        let mut came: BTreeMap<Key, VecDeque<usize>> = BTreeMap::new();
        for (at, one) in self.served.iter().enumerate() {
            if let Some(key) = one.as_ref().and_then(&served_key) {
                came.entry(key).or_default().push_back(at);
            }
        }
        let mut left: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for (at, one) in self.asked.iter().enumerate() {
            if let Some(key) = one.as_ref().and_then(&asked_key) {
                left.entry(key).or_default().push(at);
            }
        }
        for (key, left) in left {
            let Some(mut came) = came.remove(&key) else { continue };
            let is_numbered = left.iter().all(|at| self.asked[*at].as_ref().is_some_and(has_id))
                && came.iter().all(|at| self.served[*at].as_ref().is_some_and(has_n));
            // Those whose numbers differ are not the same, whatever their order.
            if join == Join::Ordered && is_numbered {
                continue;
            }
            // A port is used again once its connection is gone: then only the order is left, unless
            // each that is missing was not answered.
            let unanswered = left.iter().filter(|at| !self.is_answered(**at)).count();
            let missing = left.len().saturating_sub(came.len());
            let is_sure = came.len() <= left.len() && (missing == 0 || missing == unanswered);
            let join = if is_sure { join } else { Join::Ordered };
            let mut lost = missing;
            for at in left {
                if lost > 0 && !self.is_answered(at) {
                    lost -= 1;
                    continue;
                }
                let Some(other) = came.pop_front() else { break };
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

fn has_id(asked: &Asked) -> bool {
    asked.id.is_some()
}

fn has_n(served: &Served) -> bool {
    served.n.is_some()
}

/// Requests that left, each with its answer.
fn asked(lines: &[Noted]) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    // Of each node: where its connections to the banks come from, and what is not answered yet, by
    // number or, without numbers, in order.
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
                Step::Send { verb, load, id, tx: Some(_), .. }
                | Step::Ask { verb, load, id, tx: Some(_), .. },
            ) => {
                match id {
                    Some(id) => drop(numbered.insert((node, bank, *id), asked.len())),
                    None => ordered.entry((node, bank)).or_default().push_back(asked.len()),
                }
                asked.push(Asked {
                    node,
                    to: bank,
                    verb: *verb,
                    load: *load,
                    id: *id,
                    sent: number,
                    answered: None,
                    given_up: None,
                    from: from.get(&(node, bank)).cloned(),
                });
            }
            Some(Step::Answer { verb, said, id, tx: Some(_), .. }) => {
                let call = match id {
                    Some(id) => numbered.remove(&(node, bank, *id)),
                    None => ordered.get_mut(&(node, bank)).and_then(|waiting| {
                        let is_it = |at: &usize| verb.is_none_or(|verb| asked[*at].verb == verb);
                        waiting.iter().position(is_it).and_then(|at| waiting.remove(at))
                    }),
                };
                if let Some(call) = call {
                    // One that was given up may have come or not; that it was answered must not be
                    // believed.
                    let end = match said {
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

/// Requests that came, each with its reply.
fn served(lines: &[Noted]) -> Vec<Served> {
    let mut served: Vec<Served> = Vec::new();
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
            Some(Step::Receive { verb, load, n, tx: Some(_), .. }) => {
                match n {
                    Some(_) => drop(numbered.insert((node, peer, *n), served.len())),
                    None => ordered.entry((node, peer)).or_default().push_back(served.len()),
                }
                served.push(Served {
                    node,
                    link: line.bank,
                    peer: peer.to_owned(),
                    verb: *verb,
                    load: *load,
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
