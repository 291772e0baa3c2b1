//! The scenarios: what happens up to a crash, and after it until every transaction is decided. This
//! file lists them with their effects on money, and holds what they share.

mod by_hand;
mod driven;
mod lifecycle;
mod merges;
mod outside;

use crate::kill_matrix::cases::Case;
use crate::kill_matrix::cluster::{AccountCluster, Effect, FinalOutcome, ReportedOutcome, account};
use crate::support::{Wire, wait_until};

/// More than the balance of any account, in centavos.
const TOO_MUCH: i64 = 500_000_000;
/// Longer than any test: no bank resolves a transaction by its timer, only after a restart.
const PATIENCE_MS: u32 = 300_000;

/// How a transaction is run. In a `…Short` without a description, bank 1 never receives PREPARE,
/// and bank 2 votes OK if the transaction names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// `cliente` drives a transfer from bank 0 to bank 1.
    Transfer,
    /// `cliente` drives a transfer from bank 1, which refuses for lack of funds, to bank 0.
    Refused,
    /// `cliente` sets a register at all banks.
    Set,
    /// Bank 0 drives a transfer from its own account to banks 1 and 2.
    Via,
    /// Bank 0 drives the setting of a register.
    ViaSet,
    /// Bank 0 drives a transfer that bank 1 refuses.
    ViaRefused,
    /// Bank 0 drives a transfer from bank 1 to bank 2, and is no participant.
    ViaOther,
    /// As `ViaOther`, but bank 1 lacks the funds.
    ViaOtherShort,
    /// Banks 0 and 1 voted OK on PREPAREs typed by hand; the connection to bank 0 is closed, so it
    /// resolves the transaction.
    Orphan,
    OrphanShort,
    /// Bank 0 voted OK, then bank 1, which does not know the transaction, receives ABORT.
    Abort,
    /// Banks 0 and 1 voted OK, then bank 0 receives ABORT and must query bank 1.
    AbortKnown,
    AbortShort,
    /// Banks 0 and 1 voted OK, then bank 0 receives COMMIT without a token and must query bank 1.
    Commit,
    CommitShort,
    /// As `Commit`, but bank 1 is down, so bank 0 stays in doubt until bank 1 is back.
    CommitAlone,
    /// Bank 0 voted OK, then bank 1, which does not know the transaction, receives RESOLVE.
    Resolve,
    /// Banks 0 and 1 voted OK, then bank 0 receives RESOLVE and reports its vote.
    ResolveKnown,
    /// Banks 0 and 1 voted OK, then a user runs `cliente resolve`.
    ByCliente,
    ByClienteShort,
    /// Banks 0 and 1 voted OK; bank 0 is restarted and crashes while it recovers.
    Restart,
    RestartShort,
    /// Banks 0 and 1 voted OK, and bank 0 writes until it has filled segments.
    Fill,
    /// As `Fill`, after so many full segments that the next one triggers a merge.
    Merges,
    /// Banks 0 and 1 voted OK, and one registers a client and opens an account.
    Registers,
    /// Banks 0 and 1 voted OK, and `cliente` registers a client.
    Joins,
    /// Banks 0 and 1 voted OK, and one answers every verb that changes nothing.
    Reads,
    /// A bank receives a request for a cut ahead of its clock, then a PREPARE.
    Cut,
    /// A bank that voted OK receives a request for a cut that waits for the outcome.
    CutWaits,
    /// Banks 0 and 1 voted OK; then all banks are restarted with a longer list and a new key.
    Grows,
    /// `cliente` drives a transfer; then bank 1 starts on an older copy of its journal, and a peer
    /// notifies it of a vote that the copy lacks.
    Forgets,
    /// All banks start with new journals and are introduced to each other.
    Meets,
    /// A register is set, and banks 0 and 1 voted OK; then all are restarted with a longer list,
    /// and a fourth bank learns the register.
    Learns,
    /// An outside coordinator withdraws money from bank 1.
    Outside,
    /// As `Outside`, but the coordinator aborts.
    OutsideAbort,
}

const NAMES: &[(&str, Scenario)] = &[
    ("transfer", Scenario::Transfer),
    ("refused", Scenario::Refused),
    ("set", Scenario::Set),
    ("via", Scenario::Via),
    ("via-set", Scenario::ViaSet),
    ("via-refused", Scenario::ViaRefused),
    ("via-other", Scenario::ViaOther),
    ("via-other-short", Scenario::ViaOtherShort),
    ("orphan", Scenario::Orphan),
    ("orphan-short", Scenario::OrphanShort),
    ("abort", Scenario::Abort),
    ("abort-known", Scenario::AbortKnown),
    ("abort-short", Scenario::AbortShort),
    ("commit", Scenario::Commit),
    ("commit-short", Scenario::CommitShort),
    ("commit-alone", Scenario::CommitAlone),
    ("resolve", Scenario::Resolve),
    ("resolve-known", Scenario::ResolveKnown),
    ("by-cliente", Scenario::ByCliente),
    ("by-cliente-short", Scenario::ByClienteShort),
    ("restart", Scenario::Restart),
    ("restart-short", Scenario::RestartShort),
    ("fill", Scenario::Fill),
    ("merges", Scenario::Merges),
    ("registers", Scenario::Registers),
    ("joins", Scenario::Joins),
    ("reads", Scenario::Reads),
    ("cut", Scenario::Cut),
    ("cut-waits", Scenario::CutWaits),
    ("grows", Scenario::Grows),
    ("forgets", Scenario::Forgets),
    ("meets", Scenario::Meets),
    ("learns", Scenario::Learns),
    ("outside", Scenario::Outside),
    ("outside-abort", Scenario::OutsideAbort),
];

impl Scenario {
    /// Looks a scenario up by the name that `cases` uses.
    pub fn named(name: &str) -> Scenario {
        NAMES
            .iter()
            .find(|(named, _)| *named == name)
            .unwrap_or_else(|| panic!("no such scenario: {name}"))
            .1
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, scenario)| *scenario == self).expect("every scenario has a name").0
    }

    /// Whether it depends on how full the journals are, or on the list of banks.
    pub fn needs_new_banks(self) -> bool {
        [Scenario::Fill, Scenario::Merges, Scenario::Grows, Scenario::Meets, Scenario::Learns]
            .contains(&self)
    }

    /// Whether it changes the list or the key, so that no other case can reuse the banks.
    pub fn changes_the_list(self) -> bool {
        [Scenario::Grows, Scenario::Learns].contains(&self)
    }
}

/// Runs a case to its end and audits the banks.
pub fn run(cluster: &mut AccountCluster, case: &Case) -> (FinalOutcome, ReportedOutcome) {
    let tx = case.tx();
    let effect = effect(case);
    let (reported, votes) = match case.scenario {
        Scenario::Transfer
        | Scenario::Refused
        | Scenario::Set
        | Scenario::Via
        | Scenario::ViaSet
        | Scenario::ViaRefused
        | Scenario::ViaOther
        | Scenario::ViaOtherShort => driven::driven(cluster, case, &effect),
        Scenario::Orphan | Scenario::OrphanShort => by_hand::orphan(cluster, case, &effect),
        Scenario::Abort => by_hand::typed(cluster, case, &effect, &[0], 1, "ABORT"),
        Scenario::AbortKnown => by_hand::typed(cluster, case, &effect, &[0, 1], 0, "ABORT"),
        Scenario::AbortShort => by_hand::typed(cluster, case, &effect, &[0, 2], 0, "ABORT"),
        Scenario::Commit => by_hand::typed(cluster, case, &effect, &[0, 1], 0, "COMMIT"),
        Scenario::CommitShort => by_hand::typed(cluster, case, &effect, &[0, 2], 0, "COMMIT"),
        Scenario::CommitAlone => by_hand::alone(cluster, case, &effect),
        Scenario::Resolve => by_hand::typed(cluster, case, &effect, &[0], 1, "RESOLVE"),
        Scenario::ResolveKnown => by_hand::typed(cluster, case, &effect, &[0, 1], 0, "RESOLVE"),
        Scenario::ByCliente => driven::resolve(cluster, case, &effect, &[0, 1]),
        Scenario::ByClienteShort => driven::resolve(cluster, case, &effect, &[0, 2]),
        Scenario::Joins => driven::joins(cluster, case, &effect),
        Scenario::Reads => by_hand::reads(cluster, case, &effect),
        Scenario::Restart => lifecycle::restart(cluster, case, &effect, &[0, 1]),
        Scenario::RestartShort => lifecycle::restart(cluster, case, &effect, &[0]),
        Scenario::Fill => lifecycle::fill(cluster, case, &effect),
        Scenario::Merges => merges::run(cluster, case, &effect),
        Scenario::Registers => lifecycle::registers(cluster, case, &effect),
        Scenario::Cut => lifecycle::cut(cluster, case, &effect),
        Scenario::CutWaits => lifecycle::cut_waits(cluster, case, &effect),
        Scenario::Grows => lifecycle::grows(cluster, case, &effect),
        Scenario::Forgets => lifecycle::forgets(cluster, case, &effect),
        Scenario::Meets => lifecycle::meets(cluster, case, &effect),
        Scenario::Learns => lifecycle::learns(cluster, case, &effect),
        Scenario::Outside => outside::outside(cluster, case, &effect, FinalOutcome::Committed),
        Scenario::OutsideAbort => outside::outside(cluster, case, &effect, FinalOutcome::Aborted),
    };
    (cluster.audit(&tx, &effect, reported, &votes), reported)
}

fn effect(case: &Case) -> Effect {
    let some = 100 + i64::try_from(case.number).unwrap();
    let money = match case.scenario {
        Scenario::Transfer
        | Scenario::Orphan
        | Scenario::Abort
        | Scenario::AbortKnown
        | Scenario::Commit
        | Scenario::CommitAlone
        | Scenario::Resolve
        | Scenario::ResolveKnown
        | Scenario::ByCliente
        | Scenario::Restart
        | Scenario::RestartShort
        | Scenario::Fill
        | Scenario::Merges
        | Scenario::Registers
        | Scenario::Joins
        | Scenario::Reads
        | Scenario::Cut
        | Scenario::CutWaits
        | Scenario::Grows
        | Scenario::Forgets
        | Scenario::Meets
        | Scenario::Learns => vec![(0, -some), (1, some)],
        Scenario::Refused => vec![(1, -TOO_MUCH), (0, TOO_MUCH)],
        Scenario::Via
        | Scenario::OrphanShort
        | Scenario::AbortShort
        | Scenario::CommitShort
        | Scenario::ByClienteShort => {
            vec![(0, -2 * some), (1, some), (2, some)]
        }
        Scenario::ViaRefused => vec![(0, -some), (1, -TOO_MUCH), (2, TOO_MUCH + some)],
        Scenario::ViaOther => vec![(1, -some), (2, some)],
        Scenario::ViaOtherShort => vec![(1, -TOO_MUCH), (2, TOO_MUCH)],
        Scenario::Outside | Scenario::OutsideAbort => vec![(1, -some)],
        Scenario::Set | Scenario::ViaSet => {
            return Effect { register: Some(format!("v{}", case.number)), ..Effect::default() };
        }
    };
    Effect { money, register: None }
}

/// The outcome that the client received, and the banks whose OK it received.
type ClientReport = (ReportedOutcome, Vec<usize>);

/// Sends PREPARE to `bank`, which must vote OK; returns the connection.
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

/// Lets `banks` vote OK, with a patience that never ends during a test; returns the connections.
fn all_vote(cluster: &AccountCluster, banks: &[usize], case: &Case, effect: &Effect) -> Vec<Wire> {
    banks.iter().map(|bank| prepare(cluster, *bank, case, effect, Some(PATIENCE_MS))).collect()
}

/// Sends COMMIT to each bank that voted OK, and again until it reports the outcome.
fn finish(cluster: &AccountCluster, case: &Case, voted: &[usize]) {
    for bank in voted {
        let mut wire = cluster.cluster.connect(*bank);
        wait_until("the outcome", || {
            let reply = wire.ask(&format!("COMMIT {}", case.tx()));
            (!reply.starts_with("DOUBT")).then_some(())
        });
    }
}

/// The outcome in a reply; `None` is a bank that crashed before it sent one.
fn outcome_in(reply: Option<&str>) -> ReportedOutcome {
    match reply.map(|reply| reply.split(' ').next().unwrap_or("")) {
        None => ReportedOutcome::NoReply,
        Some("COMMITTED") => ReportedOutcome::Committed,
        Some("ABORTED") => ReportedOutcome::Aborted,
        Some("OK" | "DOUBT") => ReportedOutcome::Unknown,
        Some(_) => panic!("no outcome in {reply:?}"),
    }
}
