//! Joins lines that are ends of the same call: who sent a request with where it came, the reply
//! with the answer.
//!
//! A step log knows the other end's address. Banks name each other; a client's connection is known
//! by the port that it came from, which the client's log tells when it connects. Within one
//! connection, one verb and one transaction the n-th that left is the n-th that came, but for those
//! that were lost with a connection.

use super::gather::Noted;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A call, its ends being numbers of lines. A party that has no log is known by its bank or address
/// alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Who asked.
    pub from: Party,
    /// Whom.
    pub to: Party,
    /// The verb.
    pub verb: String,
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

/// The verbs whose answers name them: a driver's, and those between banks.
pub const NAMED: [&str; 4] = ["PREPARE", "COMMIT", "ABORT", "RESOLVE"];

/// Did whoever asked give the answer up?
pub fn is_given_up(line: &Noted) -> bool {
    line.event == "answer" && line.word(1) == "none" && NAMED.contains(&line.word(0))
}

/// What an answer says, without the verb that it names.
pub fn said(line: &Noted) -> &str {
    let named = NAMED.iter().find_map(|verb| line.detail.strip_prefix(verb)?.strip_prefix(' '));
    if line.event == "answer" { named.unwrap_or(&line.detail) } else { &line.detail }
}

/// The lines that are not part of what became of the transaction: somebody asked for its state,
/// which changes nothing.
pub fn questions(lines: &[Noted]) -> BTreeSet<usize> {
    const STATUS: &str = "STATUS";
    let asked = asked(lines).into_iter().filter(|call| call.verb == STATUS);
    let served = served(lines).into_iter().filter(|call| call.verb == STATUS);
    let mut numbers: BTreeSet<usize> =
        asked.flat_map(|call| [Some(call.sent), call.answered, call.given_up]).flatten().collect();
    numbers.extend(served.flat_map(|call| [Some(call.received), call.replied]).flatten());
    numbers
}

/// A request that left.
struct Asked {
    node: usize,
    to: u8,
    verb: String,
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
    verb: String,
    received: usize,
    replied: Option<usize>,
}

/// All calls among `lines`, which stand in the order of each node's files. `bank_of` says which
/// bank a node is.
pub fn pair(lines: &[Noted], bank_of: &[Option<u8>]) -> Vec<Pair> {
    let asked = asked(lines);
    let served = served(lines);
    let mut asked_left: Vec<Option<Asked>> = asked.into_iter().map(Some).collect();
    let mut served_left: Vec<Option<Served>> = served.into_iter().map(Some).collect();
    let mut pairs = Vec::new();
    // What is surest first: the port, then the link's bank, then the verb alone.
    let by_port =
        |asked: &Asked| Some(Key(Some(asked.from.clone()?), None, asked.to, asked.verb.clone()));
    let of_port = |served: &Served| {
        let bank = bank_of[served.node]?;
        Some(Key(Some(served.peer.clone()), None, bank, served.verb.clone()))
    };
    join(&mut asked_left, &mut served_left, by_port, of_port, &mut pairs);
    let by_link =
        |asked: &Asked| Some(Key(None, Some(bank_of[asked.node]?), asked.to, asked.verb.clone()));
    let of_link = |served: &Served| {
        Some(Key(None, Some(served.link?), bank_of[served.node]?, served.verb.clone()))
    };
    join(&mut asked_left, &mut served_left, by_link, of_link, &mut pairs);
    let by_verb = |asked: &Asked| {
        let unknown = bank_of[asked.node].is_none() && asked.from.is_none();
        unknown.then(|| Key(None, None, asked.to, asked.verb.clone()))
    };
    let of_verb = |served: &Served| {
        let unknown = served.link.is_none();
        unknown.then(|| Some(Key(None, None, bank_of[served.node]?, served.verb.clone()))).flatten()
    };
    join(&mut asked_left, &mut served_left, by_verb, of_verb, &mut pairs);

    let node_of = |bank: u8| bank_of.iter().position(|other| *other == Some(bank));
    let party = |bank: u8| node_of(bank).map_or(Party::Bank(bank), Party::Node);
    for asked in asked_left.into_iter().flatten() {
        pairs.push(Pair {
            from: Party::Node(asked.node),
            to: party(asked.to),
            verb: asked.verb,
            sent: Some(asked.sent),
            received: None,
            replied: None,
            answered: asked.answered,
            given_up: asked.given_up,
        });
    }
    for served in served_left.into_iter().flatten() {
        pairs.push(Pair {
            from: served.link.map_or(Party::Address(served.peer), party),
            to: Party::Node(served.node),
            verb: served.verb,
            sent: None,
            received: Some(served.received),
            replied: served.replied,
            answered: None,
            given_up: None,
        });
    }
    pairs.sort_by_key(|pair| pair.sent.or(pair.received));
    pairs
}

/// Which calls may be the same: the address or the bank that they came from, the bank they went to,
/// the verb.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Option<String>, Option<u8>, u8, String);

/// Joins the n-th that left with the n-th that came, for each key. Where fewer came than left,
/// those are taken for lost that nobody answered.
fn join(
    asked: &mut [Option<Asked>],
    served: &mut [Option<Served>],
    asked_key: impl Fn(&Asked) -> Option<Key>,
    served_key: impl Fn(&Served) -> Option<Key>,
    pairs: &mut Vec<Pair>,
) {
    let mut came: BTreeMap<Key, VecDeque<usize>> = BTreeMap::new();
    for (number, one) in served.iter().enumerate() {
        if let Some(key) = one.as_ref().and_then(&served_key) {
            came.entry(key).or_default().push_back(number);
        }
    }
    let mut left: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (number, one) in asked.iter().enumerate() {
        if let Some(key) = one.as_ref().and_then(&asked_key) {
            left.entry(key).or_default().push(number);
        }
    }
    for (key, numbers) in left {
        let Some(came) = came.get_mut(&key) else { continue };
        let mut lost = numbers.len().saturating_sub(came.len());
        for number in numbers {
            let Some(one) = asked[number].as_ref() else { continue };
            if lost > 0 && one.answered.is_none() {
                lost -= 1;
                continue;
            }
            let Some(other) = came.pop_front() else { break };
            if let (Some(asked), Some(served)) = (asked[number].take(), served[other].take()) {
                pairs.push(Pair {
                    from: Party::Node(asked.node),
                    to: Party::Node(served.node),
                    verb: asked.verb,
                    sent: Some(asked.sent),
                    received: Some(served.received),
                    replied: served.replied,
                    answered: asked.answered,
                    given_up: asked.given_up,
                });
            }
        }
    }
}

/// Requests that left, each with its answer.
fn asked(lines: &[Noted]) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    // Of each node: where its connections to the banks come from, and what it waits for.
    let mut from: BTreeMap<(usize, u8), String> = BTreeMap::new();
    let mut open: BTreeMap<(usize, u8), VecDeque<usize>> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        let node = line.node;
        let Some(bank) = line.bank else {
            if line.event == "start" {
                open.retain(|(other, _), _| *other != node);
                from.retain(|(other, _), _| *other != node);
            }
            continue;
        };
        match line.event.as_str() {
            "connect" => {
                if let Some(address) = super::line::field(&line.detail, "from") {
                    from.insert((node, bank), address.to_owned());
                }
                open.remove(&(node, bank));
            }
            "disconnect" | "link-down" => {
                open.remove(&(node, bank));
            }
            "send" | "ask" if line.of_tx => {
                open.entry((node, bank)).or_default().push_back(asked.len());
                let verb = line.word(0).to_owned();
                let from = from.get(&(node, bank)).cloned();
                asked.push(Asked {
                    node,
                    to: bank,
                    verb,
                    sent: number,
                    answered: None,
                    given_up: None,
                    from,
                });
            }
            "answer" if line.of_tx => {
                let Some(waiting) = open.get_mut(&(node, bank)) else { continue };
                let named = NAMED.contains(&line.word(0)) && !line.word(1).is_empty();
                let at = waiting
                    .iter()
                    .position(|asked_number| !named || asked[*asked_number].verb == line.word(0));
                if let Some(call) = at.and_then(|at| waiting.remove(at)) {
                    // One that was given up may have come or not; that it was answered must not be
                    // believed.
                    let end = if is_given_up(line) {
                        &mut asked[call].given_up
                    } else {
                        &mut asked[call].answered
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
    let mut open: BTreeMap<(usize, &str), VecDeque<usize>> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        if line.event == "start" {
            open.retain(|(node, _), _| *node != line.node);
        }
        let (Some(peer), true) = (line.peer.as_deref(), line.of_tx) else { continue };
        match line.event.as_str() {
            "recv" => {
                open.entry((line.node, peer)).or_default().push_back(served.len());
                served.push(Served {
                    node: line.node,
                    link: line.bank,
                    peer: peer.to_owned(),
                    verb: line.word(0).to_owned(),
                    received: number,
                    replied: None,
                });
            }
            "reply" => {
                if let Some(call) = open.get_mut(&(line.node, peer)).and_then(VecDeque::pop_front) {
                    served[call].replied = Some(number);
                }
            }
            _ => {}
        }
    }
    served
}
