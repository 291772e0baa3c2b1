//! The matrix: which process crashes at which point, and the expected outcome. `scenarios` runs a
//! case.

use crate::kill_matrix::cluster::FinalOutcome;
use crate::kill_matrix::scenarios::Scenario;
use consorcio::crash::{Point, RecordKind, Stage};

/// One line for each role and scenario: the victim, then the crash points, with `:n` for the nth
/// time that it passes one. After `=` stands the expected outcome: `C` committed, `A` not
/// committed, `?` either. The name of a kind of record means crashes at all stages of a batch with
/// such a record; `A>C` is `A` until it is fully written, then `C`.
const CASES: &str = "
stores        fill          bank 0: segment-rolled=C segment-written=C segment-named=C \
index-written=C index-named=C
stores        fill          bank 0: snapshot-written=C snapshot-named=C
stores        merges        bank 0: merge-written=C merge-named=C merge-used=C merge-removed=C \
merge-removed:5=C
stores        registers     bank 1: received-client=C client=C replying-registration=C \
replied-registration=C
stores        registers     bank 1: received-account=C account=C
stores        cut           bank 1: received-snapshot=C clock=C replying-cut=C replied-cut=C
stores        cut-waits     bank 1: received-snapshot=C clock=C committed=C replying-cut=C \
replied-cut=C
stores        grows         bank 0: consortium=C key=C
stores        forgets       bank 1: stopped=C
stores        meets         bank 1: founded=C met=C introduced=C
stores        learns        bank 3: sending-registers=C sent-registers=C answered-registers=C \
registers=C
stores        learns        bank 0: received-registers=C replying-registers=C replied-registers=C

participates  transfer      bank 1: received-prepare=A voted-ok=A>C replying-ok=C replied-ok=C
participates  transfer      bank 1: received-commit=C committed=C replying-committed=C \
replied-committed=C
participates  transfer      bank 1: sending-news=C sent-news=C answered-news=C received-news=C
participates  transfer      bank 0: voted-ok.decided=A voted-ok.synced=C replied-ok=C \
received-commit=C
participates  set           bank 1: received-prepare=A voted-ok=A>C replied-ok=C
participates  set           bank 1: received-commit=C committed=C replied-committed=C
participates  refused       bank 1: received-prepare=A voted-nok=A replying-nok=A replied-nok=A
participates  refused       bank 0: replied-ok=A received-abort=A aborted=A replying-aborted=A \
replied-aborted=A
participates  via           bank 1: received-prepare=A voted-ok.decided=A voted-ok.written=? \
voted-ok.synced=?
participates  via           bank 1: replied-ok=? received-commit=C committed.decided=C \
committed.written=C
participates  via           bank 1: replied-committed=C
participates  via-set       bank 2: received-prepare=A voted-ok.synced=? replied-ok=? \
received-commit=C
participates  via-refused   bank 2: received-prepare=A replied-ok=A received-abort=A \
aborted.decided=A replied-aborted=A
participates  via-refused   bank 1: voted-nok.synced=A replied-nok=A

drives        via           bank 0: received-execute=A sending-prepare=A sending-prepare:2=A \
sent-prepare=A
drives        via           bank 0: sent-prepare:2=A answered-prepare=A answered-prepare:2=A \
executed=A>C
drives        via           bank 0: replying-committed=C replied-committed=C
drives        via           bank 0: sending-commit=C sending-commit:2=C sent-commit=C \
sent-commit:2=C
drives        via           bank 0: answered-commit=C answered-commit:2=C
drives        via-set       bank 0: received-execute=A sent-prepare:2=A answered-prepare:2=A \
executed.decided=A
drives        via-set       bank 0: executed.written=C executed.synced=C sent-commit=C
drives        via-refused   bank 0: received-execute=A answered-prepare=A answered-prepare:2=A \
voted-nok=A
drives        via-refused   bank 0: replying-aborted=A replied-aborted=A sending-abort=A \
sent-abort=A answered-abort=A
drives        via-other     bank 0: received-execute=A sending-prepare=A sending-prepare:2=? \
sent-prepare:2=?
drives        via-other     bank 0: answered-prepare=? answered-prepare:2=C sending-commit=C \
sent-commit=C
drives        via-other     bank 0: answered-commit:2=C replied-committed=C drove-committed=C
drives        via-other-short bank 0: replied-aborted=A drove-aborted=A

resolves      orphan        bank 0: sending-resolve=C sent-resolve=C answered-resolve=C committed=C
resolves      orphan        bank 0: sending-commit=C sent-commit=C answered-commit=C
resolves      orphan        bank 1: received-resolve=C replied-ok:2=C received-commit=C \
committed.decided=C
resolves      orphan        bank 1: committed.written=C committed.synced=C replied-committed=C
resolves      orphan-short  bank 0: sending-resolve=A sending-resolve:2=A sent-resolve=A \
sent-resolve:2=A
resolves      orphan-short  bank 0: answered-resolve=A answered-resolve:2=A aborted.decided=A \
aborted.written=A
resolves      orphan-short  bank 0: aborted.synced=A sending-abort=A sent-abort=A answered-abort=A
resolves      orphan-short  bank 1: received-resolve=A refused=A replying-tombstone=A \
replied-tombstone=A
resolves      orphan-short  bank 2: received-resolve=A received-abort=A aborted.decided=A \
aborted.synced=A
resolves      orphan-short  bank 2: replied-tombstone=A

queried       abort         bank 1: received-abort=A refused=A replied-tombstone=A
queried       abort-known   bank 0: received-abort=C sending-resolve=C sent-resolve=C \
answered-resolve=C committed=C
queried       abort-known   bank 0: replying-committed=C replied-committed=C
queried       abort-known   bank 1: received-resolve=C replying-ok:2=C replied-ok:2=C \
received-commit=C
queried       abort-short   bank 0: received-abort=A sent-resolve:2=A answered-resolve:2=A aborted=A
queried       abort-short   bank 0: replying-tombstone=A replied-tombstone=A
queried       abort-short   bank 1: received-resolve=A refused=A replied-tombstone=A
queried       commit        bank 0: received-commit=C sending-resolve=C answered-resolve=C \
committed=C
queried       commit        bank 0: replying-committed=C replied-committed=C
queried       commit-short  bank 0: received-commit=A answered-resolve:2=A aborted=A \
replied-tombstone=A
queried       commit-alone  bank 0: received-commit=C replying-doubt=C replied-doubt=C
queried       resolve       bank 1: received-resolve=A refused=A replying-tombstone=A \
replied-tombstone=A
queried       resolve-known bank 0: received-resolve=C replying-ok:2=C replied-ok:2=C
queried       by-cliente    bank 0: received-status=C received-commit=C committed=C \
replied-committed=C
queried       by-cliente-short bank 0: received-status=A received-commit=A aborted=A \
replied-tombstone=A
queried       by-cliente-short bank 1: received-status=A received-resolve=A refused=A \
replied-tombstone=A

recovers      restart       bank 0: recovery-begun=C mark=C recovery-read=C started=C
recovers      restart       bank 0: sending-resolve=C answered-resolve=C committed.decided=C \
committed.written=C
recovers      restart-short bank 0: recovery-begun=A mark=A recovery-read=A started=A
recovers      restart-short bank 0: sent-resolve=A answered-resolve=A aborted.decided=A \
aborted.synced=A

links         restart       bank 0: link-dialled=C link-dialled:2=C sending-hello=C sent-hello=C \
answered-hello=C
links         restart       bank 0: sending-proof=C sent-proof=C answered-proof=C link-open=C \
link-open:2=C
links         restart       bank 0: received-hello=C received-proof=C replying-welcome=C \
replied-welcome=C
links         restart       bank 0: replying-seen=C replied-seen=C sending-ping=C sent-ping=C \
answered-ping=C
links         restart       bank 0: received-ping=C replying-pong=C replied-pong=C
links         restart-short bank 0: link-dialled=A sent-hello=A answered-hello=A sent-proof=A \
answered-proof=A
links         restart-short bank 0: link-open=A received-hello=A replied-welcome=A \
received-proof=A replied-seen=A

outside       outside       bank 1: received-outside-prepare=A voted-ok=A http-answering=A \
http-answered=C
outside       outside       bank 1: received-outside-commit=C outside-committed=C \
http-answering:2=C http-answered:2=C
outside       outside-abort bank 1: received-outside-abort=A outside-aborted=A http-answering:2=A \
http-answered:2=A

reads         reads         bank 1: received-status=C replying-unknown=C replied-unknown=C \
received-clients=C
reads         reads         bank 1: replying-done=C replied-done=C received-accounts=C \
received-balance=C
reads         reads         bank 1: received-value=C received-history=C received-pending=C \
received-banks=C
reads         reads         bank 1: received-info=C received-help=C received-greeting=C \
replying-refused=C replied-refused=C
reads         reads         bank 1: replying-doubt=C replied-doubt=C replying-err=C replied-err=C
reads         reads         bank 1: received-quit=C replying-bye=C replied-bye=C

client        transfer      cliente: client-connected=A client-connected:2=A client-ready=A \
client-sending-prepare=A
client        transfer      cliente: client-sent-prepare=A client-sending-prepare:2=A \
client-sent-prepare:2=?
client        transfer      cliente: client-answered-prepare=? client-answered-prepare:2=C \
client-all-ok=C
client        transfer      cliente: client-sending-commit=C client-sent-commit=C \
client-sent-commit:2=C
client        transfer      cliente: client-answered-commit=C client-answered-commit:2=C
client        set           cliente: client-connected:3=A client-ready=A client-sent-prepare=A \
client-sent-prepare:2=A
client        set           cliente: client-sent-prepare:3=? client-all-ok=C client-sent-commit=C \
client-sent-commit:3=C
client        refused       cliente: client-sent-prepare=A client-sent-prepare:2=A \
client-sending-abort=A
client        refused       cliente: client-sent-abort=A client-answered-abort=A
client        via           cliente: client-sending-execute=A client-sent-execute=C \
client-answered-execute=C
client        by-cliente    cliente: client-sending-question=C client-sent-question=C \
client-answered-question=C
client        by-cliente    cliente: client-sending-commit=C client-sent-commit=C \
client-answered-commit=C
client        by-cliente-short cliente: client-sent-question=A client-sending-commit=A \
client-sent-commit=A
client        joins         cliente: client-sending-registration=C client-sent-registration=C
client        joins         cliente: client-answered-registration=C
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Bank(usize),
    Client,
}

#[derive(Debug, Clone)]
pub struct Case {
    /// Determines the transaction's id and its amounts.
    pub number: usize,
    /// The victim's role in the transaction.
    pub role: &'static str,
    pub scenario: Scenario,
    pub victim: Victim,
    pub point: Point,
    /// The point, with `:n` for the nth time that the victim passes it.
    pub crash: String,
    /// The expected outcome; none where both are right.
    pub expected: Option<FinalOutcome>,
    /// Whether the banks are given a key file.
    pub keyed: bool,
}

impl Case {
    /// Its name in the table and in messages.
    pub fn name(&self) -> String {
        let Case { number, role, scenario, victim, crash, keyed, .. } = self;
        let key = if *keyed { "key file" } else { "own key" };
        format!("#{number} {role} {} {victim:?} {crash}, {key}", scenario.name())
    }

    pub fn tx(&self) -> String {
        format!("kill-{}", self.number)
    }

    /// The bank that crashes.
    pub fn bank(&self) -> usize {
        match self.victim {
            Victim::Bank(bank) => bank,
            Victim::Client => panic!("the victim is no bank: {}", self.name()),
        }
    }
}

pub fn read() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in CASES.lines().filter(|line| !line.is_empty()) {
        let (head, crashes) = line.split_once(": ").expect("a line names its victim");
        let words: Vec<&str> = head.split_whitespace().collect();
        let victim = match words[2..] {
            ["bank", number] => Victim::Bank(number.parse().unwrap()),
            ["cliente"] => Victim::Client,
            _ => panic!("no victim: {line}"),
        };
        for (crash, outcome) in crashes.split_whitespace().flat_map(crashes_of) {
            let name = crash.split(':').next().unwrap();
            let point = Point::named(name).unwrap_or_else(|| panic!("no such point: {name}"));
            let is_batch = matches!(point, Point::Batch(..));
            assert!(
                !is_batch || name == crash,
                "the journal is checked after the first batch only: {crash}"
            );
            let expected = match outcome {
                "C" => Some(FinalOutcome::Committed),
                "A" => Some(FinalOutcome::Aborted),
                "?" => None,
                _ => panic!("no outcome: {line}"),
            };
            cases.push(Case {
                number: cases.len() + 1,
                role: words[0],
                scenario: Scenario::named(words[1]),
                victim,
                point,
                crash: crash.clone(),
                expected,
                // Half of the cases use a key file, the others the key that the first bank makes.
                keyed: cases.len() % 2 == 0,
            });
        }
    }
    cases
}

/// The crash points that one word of a line means, each with its expected outcome.
fn crashes_of(word: &'static str) -> Vec<(String, &'static str)> {
    let (crash, outcome) = word.split_once('=').expect("a crash has an outcome");
    if !RecordKind::ALL.iter().any(|kind| kind.name() == crash) {
        return vec![(crash.to_owned(), outcome)];
    }
    let (before, after) = outcome.split_once('>').unwrap_or((outcome, outcome));
    let crash_at = |stage: &Stage| {
        let outcome = match stage {
            Stage::Decided | Stage::Torn => before,
            Stage::Written | Stage::Synced => after,
        };
        (format!("{crash}.{}", stage.name()), outcome)
    };
    Stage::ALL.iter().map(crash_at).collect()
}
