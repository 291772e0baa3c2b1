//! What happens up to a death and after it, until all that was begun has an end. Here: which
//! stories there are, what each does to the money, and what they share.

mod asked;
mod driven;
mod lives;
mod outside;
mod past;

use crate::kill_matrix::cases::Case;
use crate::kill_matrix::cluster::{AccountCluster, Effect, Outcome, Told, account};
use crate::support::{Wire, wait_until};

/// More than any account has.
const TOO_MUCH: i64 = 500_000_000;
/// Nobody asks before this is over, unless it was restarted.
const PATIENCE_MS: u32 = 300_000;

/// How a transaction is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// `cliente` drives a transfer from bank 0 to bank 1.
    Transfer,
    /// ... from bank 1, which has not so much, to bank 0.
    Refused,
    /// `cliente` sets a register at all banks.
    Set,
    /// Bank 0 drives a transfer from its own account to banks 1 and 2.
    Via,
    /// Bank 0 drives the setting of a register.
    ViaSet,
    /// Bank 0 drives one that bank 1 refuses.
    ViaRefused,
    /// Bank 0 drives a transfer from bank 1 to bank 2, and takes no part.
    ViaOther,
    /// The same, and bank 1 has not so much.
    ViaOtherShort,
    /// Banks 0 and 1 voted OK on PREPAREs typed by hand; the connection to bank 0 is closed, so it
    /// asks.
    Orphan,
    /// The same with a bank 1 that was never asked, and a bank 2 that voted.
    OrphanShort,
    /// Bank 0 voted OK, then bank 1, which knows nothing of it, is told to ABORT.
    Abort,
    /// Banks 0 and 1 voted OK, then bank 0 is told to ABORT, so it asks.
    AbortKnown,
    /// The same with a bank 1 that was never asked, and a bank 2 that voted.
    AbortShort,
    /// Banks 0 and 1 voted OK, then bank 0 is told to COMMIT without a token, so it asks.
    Commit,
    /// The same with a bank 1 that was never asked, and a bank 2 that voted.
    CommitShort,
    /// As `Commit`, but bank 1 is away, so bank 0 is in doubt until it is back.
    CommitAlone,
    /// Bank 0 voted OK, then bank 1, which knows nothing of it, is asked to RESOLVE.
    Resolve,
    /// Banks 0 and 1 voted OK, then bank 0 is asked to RESOLVE, which tells that.
    ResolveKnown,
    /// Banks 0 and 1 voted OK, then somebody runs `cliente resolve`.
    ByCliente,
    /// The same with a bank 1 that was never asked, and a bank 2 that voted.
    ByClienteShort,
    /// Banks 0 and 1 voted OK; bank 0 is restarted, and dies while it recovers.
    Restart,
    /// The same with a bank 1 that was never asked.
    RestartShort,
    /// Bank 0 voted OK, as bank 1 did, and gets so much to write that it fills segments.
    Fill,
    /// The same, where these segments are the last of as many as are merged.
    Merges,
    /// Both voted OK, and one registers a client and opens an account.
    Registers,
    /// Both voted OK, and `cliente` registers a client.
    Joins,
    /// Both voted OK, and one is asked all that changes nothing.
    Asks,
    /// A bank is asked for a cut ahead of its clock, and then for a vote.
    Cut,
    /// A bank that voted OK is asked for a cut that must wait for the outcome, which comes.
    CutWaits,
    /// Both voted OK; then the consortium's list grows, and it gets a new key, for which all banks
    /// are restarted.
    Grows,
    /// `cliente` drives a transfer; then bank 1 starts without its journal, and is told of a vote
    /// that it forgot.
    Forgets,
    /// A bank with a new journal is met by the others.
    Meets,
    /// A register is set, and both voted OK; then all are restarted with the longer list, and a
    /// fourth bank learns it.
    Learns,
    /// An outside coordinator takes money from bank 1.
    Outside,
    /// The same, and it takes that back.
    OutsideAbort,
}

const NAMES: &[(&str, Story)] = &[
    ("transfer", Story::Transfer),
    ("refused", Story::Refused),
    ("set", Story::Set),
    ("via", Story::Via),
    ("via-set", Story::ViaSet),
    ("via-refused", Story::ViaRefused),
    ("via-other", Story::ViaOther),
    ("via-other-short", Story::ViaOtherShort),
    ("orphan", Story::Orphan),
    ("orphan-short", Story::OrphanShort),
    ("abort", Story::Abort),
    ("abort-known", Story::AbortKnown),
    ("abort-short", Story::AbortShort),
    ("commit", Story::Commit),
    ("commit-short", Story::CommitShort),
    ("commit-alone", Story::CommitAlone),
    ("resolve", Story::Resolve),
    ("resolve-known", Story::ResolveKnown),
    ("by-cliente", Story::ByCliente),
    ("by-cliente-short", Story::ByClienteShort),
    ("restart", Story::Restart),
    ("restart-short", Story::RestartShort),
    ("fill", Story::Fill),
    ("merges", Story::Merges),
    ("registers", Story::Registers),
    ("joins", Story::Joins),
    ("asks", Story::Asks),
    ("cut", Story::Cut),
    ("cut-waits", Story::CutWaits),
    ("grows", Story::Grows),
    ("forgets", Story::Forgets),
    ("meets", Story::Meets),
    ("learns", Story::Learns),
    ("outside", Story::Outside),
    ("outside-abort", Story::OutsideAbort),
];

impl Story {
    /// The story with this name.
    pub fn named(name: &str) -> Story {
        NAMES
            .iter()
            .find(|(named, _)| *named == name)
            .unwrap_or_else(|| panic!("no story: {name}"))
            .1
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, story)| *story == self).expect("every story has a name").0
    }

    /// Does it count on how full the journals are, or on the list?
    pub fn wants_fresh_banks(self) -> bool {
        [Story::Fill, Story::Merges, Story::Grows, Story::Meets, Story::Learns].contains(&self)
    }

    /// Are the banks afterwards not as others want them?
    pub fn leaves_other_banks(self) -> bool {
        [Story::Grows, Story::Learns].contains(&self)
    }
}

/// Runs a case to its end and audits the banks.
pub fn run(cluster: &mut AccountCluster, case: &Case) -> (Outcome, Told) {
    let tx = case.tx();
    let effect = effect(case);
    let (told, votes) = match case.story {
        Story::Transfer
        | Story::Refused
        | Story::Set
        | Story::Via
        | Story::ViaSet
        | Story::ViaRefused
        | Story::ViaOther
        | Story::ViaOtherShort => driven::driven(cluster, case, &effect),
        Story::Orphan | Story::OrphanShort => asked::orphan(cluster, case, &effect),
        Story::Abort => asked::typed(cluster, case, &effect, &[0], 1, "ABORT"),
        Story::AbortKnown => asked::typed(cluster, case, &effect, &[0, 1], 0, "ABORT"),
        Story::AbortShort => asked::typed(cluster, case, &effect, &[0, 2], 0, "ABORT"),
        Story::Commit => asked::typed(cluster, case, &effect, &[0, 1], 0, "COMMIT"),
        Story::CommitShort => asked::typed(cluster, case, &effect, &[0, 2], 0, "COMMIT"),
        Story::CommitAlone => asked::alone(cluster, case, &effect),
        Story::Resolve => asked::typed(cluster, case, &effect, &[0], 1, "RESOLVE"),
        Story::ResolveKnown => asked::typed(cluster, case, &effect, &[0, 1], 0, "RESOLVE"),
        Story::ByCliente => driven::resolve(cluster, case, &effect, &[0, 1]),
        Story::ByClienteShort => driven::resolve(cluster, case, &effect, &[0, 2]),
        Story::Joins => driven::joins(cluster, case, &effect),
        Story::Asks => asked::asks(cluster, case, &effect),
        Story::Restart => lives::restart(cluster, case, &effect, &[0, 1]),
        Story::RestartShort => lives::restart(cluster, case, &effect, &[0]),
        Story::Fill => lives::fill(cluster, case, &effect),
        Story::Merges => past::merges(cluster, case, &effect),
        Story::Registers => lives::registers(cluster, case, &effect),
        Story::Cut => lives::cut(cluster, case, &effect),
        Story::CutWaits => lives::cut_waits(cluster, case, &effect),
        Story::Grows => lives::grows(cluster, case, &effect),
        Story::Forgets => lives::forgets(cluster, case, &effect),
        Story::Meets => lives::meets(cluster, case, &effect),
        Story::Learns => lives::learns(cluster, case, &effect),
        Story::Outside => outside::outside(cluster, case, &effect, Outcome::Committed),
        Story::OutsideAbort => outside::outside(cluster, case, &effect, Outcome::Aborted),
    };
    (cluster.audit(&tx, &effect, told, &votes), told)
}

fn effect(case: &Case) -> Effect {
    let some = 100 + i64::try_from(case.number).unwrap();
    let money = match case.story {
        Story::Transfer
        | Story::Orphan
        | Story::Abort
        | Story::AbortKnown
        | Story::Commit
        | Story::CommitAlone
        | Story::Resolve
        | Story::ResolveKnown
        | Story::ByCliente
        | Story::Restart
        | Story::RestartShort
        | Story::Fill
        | Story::Merges
        | Story::Registers
        | Story::Joins
        | Story::Asks
        | Story::Cut
        | Story::CutWaits
        | Story::Grows
        | Story::Forgets
        | Story::Meets
        | Story::Learns => vec![(0, -some), (1, some)],
        Story::Refused => vec![(1, -TOO_MUCH), (0, TOO_MUCH)],
        Story::Via
        | Story::OrphanShort
        | Story::AbortShort
        | Story::CommitShort
        | Story::ByClienteShort => {
            vec![(0, -2 * some), (1, some), (2, some)]
        }
        Story::ViaRefused => vec![(0, -some), (1, -TOO_MUCH), (2, TOO_MUCH + some)],
        Story::ViaOther => vec![(1, -some), (2, some)],
        Story::ViaOtherShort => vec![(1, -TOO_MUCH), (2, TOO_MUCH)],
        Story::Outside | Story::OutsideAbort => vec![(1, -some)],
        Story::Set | Story::ViaSet => {
            return Effect { register: Some(format!("v{}", case.number)), ..Effect::default() };
        }
    };
    Effect { money, register: None }
}

/// What was told, and the banks whose OK was told.
type Heard = (Told, Vec<usize>);

/// Types PREPARE to `bank`, which must vote OK; gives the connection.
fn prepare(
    cluster: &AccountCluster,
    bank: usize,
    case: &Case,
    effect: &Effect,
    patience_ms: Option<u32>,
) -> Wire {
    let ops: Vec<String> = effect
        .money
        .iter()
        .map(|(bank, change)| {
            let (op, account, amount) =
                (if *change < 0 { "debit" } else { "credit" }, account(*bank), change.abs());
            format!(r#"{{"bank":{bank},"op":"{op}","account":"{account}","amount":{amount}}}"#)
        })
        .collect();
    let patience = patience_ms.map(|ms| format!(r#","patience_ms":{ms}"#)).unwrap_or_default();
    let mut wire = cluster.cluster.connect(bank);
    let reply =
        wire.ask(&format!(r#"PREPARE {} {{"ops":[{}]{patience}}}"#, case.tx(), ops.join(",")));
    assert!(reply.starts_with("OK "), "bank {bank}: {reply}");
    wire
}

/// Has `banks` vote OK, and nobody ask before anybody wants to know; gives the connections.
fn all_vote(cluster: &AccountCluster, banks: &[usize], case: &Case, effect: &Effect) -> Vec<Wire> {
    banks.iter().map(|bank| prepare(cluster, *bank, case, effect, Some(PATIENCE_MS))).collect()
}

/// Asks each bank that voted OK for the end, and again until it knows.
fn finish(cluster: &AccountCluster, case: &Case, voted: &[usize]) {
    for bank in voted {
        let mut wire = cluster.cluster.connect(*bank);
        wait_until("an answer that knows", || {
            let reply = wire.ask(&format!("COMMIT {}", case.tx()));
            (!reply.starts_with("DOUBT")).then_some(())
        });
    }
}

/// What a reply tells of a transaction; none where its bank died before it left.
fn told_by(reply: Option<&str>) -> Told {
    match reply.map(|reply| reply.split(' ').next().unwrap_or("")) {
        None => Told::Nothing,
        Some("COMMITTED") => Told::Committed,
        Some("ABORTED") => Told::Aborted,
        Some("OK" | "DOUBT") => Told::Unknown,
        Some(_) => panic!("that tells nothing of a transaction: {reply:?}"),
    }
}
