//! The matrix: who dies where, and what must become of the transaction. Run by a few threads, each with banks of
//! its own.

use crate::stories::{self, Story};
use crate::town::{Outcome, Told, Town};
use consorcio::crash::Point;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Threads that run cases with a key, and as many without: processes wait for each other most of the time, so there
/// are a few more than processors.
const THREADS: usize = 2;

/// After so many wrong cases, each of which may have waited long for what never came, no other is begun.
const WRONG_MAX: usize = 4;

/// One line a role and story: who dies, and at which passing of which points. After `=` what must become of the
/// transaction: `C` committed, `A` not committed, `?` either; `!` after it: only with a key, for without one a bank
/// believes no token, asks, and so does not pass that point. The first batch that a restarted bank writes is the
/// mark at the end of its recovery, so its vote is the second where `batch-torn` and `batch-written` count.
const CASES: &str = "
keeps         fill          bank 0: segment-rolled=C segment-written=C segment-named=C index-written=C index-named=C
keeps         fill          bank 0: snapshot-written=C snapshot-named=C
keeps         registers     bank 1: received-registration=C batch-decided:2=C batch-torn:3=C batch-written:3=C
keeps         registers     bank 1: batch-synced:2=C replied-registration=C received-registration:2=C
keeps         registers     bank 1: batch-decided:3=C batch-torn:4=C batch-written:4=C batch-synced:3=C

participates  transfer      bank 1: received-prepare=A batch-decided=A batch-torn:2=A batch-written:2=C batch-synced=C
participates  transfer      bank 1: replied-ok=C received-commit=C batch-decided:2=C batch-torn:3=C batch-written:3=C
participates  transfer      bank 1: batch-synced:2=C replied-committed=C
participates  transfer      bank 0: batch-decided=A batch-synced=C replied-ok=C received-commit=C
participates  set           bank 1: received-prepare=A batch-decided=A batch-torn:2=A batch-written:2=C batch-synced=C
participates  set           bank 1: replied-ok=C received-commit=C batch-decided:2=C batch-torn:3=C batch-written:3=C
participates  set           bank 1: batch-synced:2=C replied-committed=C
participates  refused       bank 1: received-prepare=A batch-decided=A batch-torn:2=A batch-written:2=A batch-synced=A
participates  refused       bank 1: replied-nok=A
participates  refused       bank 0: replied-ok=A received-abort=A batch-decided:2=A batch-written:3=A batch-synced:2=A
participates  refused       bank 0: replied-aborted=A
participates  given-up      bank 1: received-abort=A batch-decided=A batch-torn:2=A batch-written:2=A batch-synced=A
participates  given-up      bank 1: replied-tombstone=A
participates  via           bank 1: received-prepare=A batch-decided=A batch-written:2=? batch-synced=? replied-ok=?
participates  via           bank 1: received-commit=C batch-decided:2=C batch-written:3=C replied-committed=C
participates  via-set       bank 2: received-prepare=A batch-synced=? replied-ok=? received-commit=C
participates  via-refused   bank 2: received-prepare=A replied-ok=A received-abort=A batch-decided:2=A replied-aborted=A!
participates  via-refused   bank 1: batch-synced=A replied-nok=A

drives        via           bank 0: received-execute=A sending-prepare=A sending-prepare:2=A sent-prepare=A
drives        via           bank 0: sent-prepare:2=A answered-prepare=A answered-prepare:2=A batch-decided=A
drives        via           bank 0: batch-torn:2=A batch-written:2=C batch-synced=C replied-committed=C
drives        via           bank 0: sending-commit=C sending-commit:2=C sent-commit=C sent-commit:2=C
drives        via           bank 0: answered-commit=C answered-commit:2=C
drives        via-set       bank 0: received-execute=A sent-prepare:2=A answered-prepare:2=A batch-decided=A
drives        via-set       bank 0: batch-written:2=C batch-synced=C sent-commit=C
drives        via-refused   bank 0: received-execute=A answered-prepare=A answered-prepare:2=A batch-decided=A
drives        via-refused   bank 0: batch-torn:2=A batch-written:2=A batch-synced=A replied-aborted=A
drives        via-refused   bank 0: sending-abort=A sent-abort=A answered-abort=A
drives        via-other     bank 0: received-execute=A sending-prepare=A sending-prepare:2=? sent-prepare:2=?
drives        via-other     bank 0: answered-prepare=? answered-prepare:2=C sending-commit=C sent-commit=C
drives        via-other     bank 0: answered-commit:2=C replied-committed=C

resolves      orphan        bank 0: sending-resolve=C sent-resolve=C answered-resolve=C batch-decided:2=C batch-torn:3=C
resolves      orphan        bank 0: batch-written:3=C batch-synced:2=C sending-commit=C sent-commit=C answered-commit=C
resolves      orphan        bank 1: received-resolve=C replied-ok:2=C received-commit=C batch-decided:2=C
resolves      orphan        bank 1: batch-written:3=C batch-synced:2=C replied-committed=C!
resolves      orphan-short  bank 0: sending-resolve=A sending-resolve:2=A sent-resolve=A sent-resolve:2=A
resolves      orphan-short  bank 0: answered-resolve=A answered-resolve:2=A batch-decided:2=A batch-written:3=A
resolves      orphan-short  bank 0: batch-synced:2=A sending-abort=A sent-abort=A answered-abort=A
resolves      orphan-short  bank 1: received-resolve=A batch-decided=A batch-torn:2=A batch-written:2=A batch-synced=A
resolves      orphan-short  bank 1: replied-tombstone=A
resolves      orphan-short  bank 2: received-resolve=A received-abort=A batch-decided:2=A batch-synced:2=A
resolves      orphan-short  bank 2: replied-tombstone=A!

recovers      restart       bank 0: recovery-begun=C batch-torn=C batch-written=C recovery-read=C started=C
recovers      restart       bank 0: sending-resolve=C answered-resolve=C batch-decided=C batch-written:2=C
recovers      restart-short bank 0: recovery-begun=A batch-torn=A batch-written=A recovery-read=A started=A
recovers      restart-short bank 0: sent-resolve=A answered-resolve=A batch-decided=A batch-synced=A

client        transfer      cliente: client-connected=A client-connected:2=A client-ready=A client-sent-prepare=A
client        transfer      cliente: client-sent-prepare:2=? client-all-ok=C client-sent-commit=C client-sent-commit:2=C
client        set           cliente: client-connected:3=A client-ready=A client-sent-prepare=A client-sent-prepare:2=A
client        set           cliente: client-sent-prepare:3=? client-all-ok=C client-sent-commit=C client-sent-commit:3=C
client        refused       cliente: client-sent-prepare=A client-sent-prepare:2=A client-sent-abort=A
client        via           cliente: client-sent-execute=C
";

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// A bank.
    Bank(usize),
    /// The client.
    Client,
}

/// One death.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its number, which names its transaction and chooses its amounts.
    pub number: usize,
    /// What the victim is in it.
    pub role: &'static str,
    /// What happens up to it.
    pub story: Story,
    /// Who dies.
    pub victim: Victim,
    /// At which point.
    pub point: Point,
    /// The point, and at which passing.
    pub crash: &'static str,
    /// What must become of the transaction; none where either may.
    pub expected: Option<Outcome>,
    /// Do the banks have a key?
    pub keyed: bool,
}

/// What came of a case.
struct Row {
    case: Case,
    result: Result<(Outcome, Told), String>,
    took: Duration,
}

/// Runs the whole matrix, prints it as a table, and fails with all that was wrong.
pub fn run_all() {
    let began = Instant::now();
    let cases = read_cases();
    let (chosen, whole) = choose(cases);
    let (keyed, keyless) = chosen.into_iter().partition(|case| case.keyed);
    let (keyed, keyless) = (Mutex::new(keyed), Mutex::new(keyless));
    let (rows, wrong) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for queue in [&keyed, &keyless].repeat(THREADS) {
            scope.spawn(|| work(queue, &rows, &wrong));
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|row| row.case.number);
    println!("{}{} deaths in {:.1?}", table(&rows), rows.len(), began.elapsed());
    let wrong: Vec<String> = rows.iter().filter_map(|row| Some(row.result.as_ref().err()?.clone())).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    if whole {
        check_coverage(&rows);
    }
}

fn work(queue: &Mutex<VecDeque<Case>>, rows: &Mutex<Vec<Row>>, wrong: &AtomicUsize) {
    let mut town = None;
    loop {
        if wrong.load(Ordering::Relaxed) >= WRONG_MAX {
            return;
        }
        let Some(case) = queue.lock().unwrap().pop_front() else { return };
        let began = Instant::now();
        let mut place = town.take().filter(|_| !case.story.wants_fresh_banks());
        let run = catch_unwind(AssertUnwindSafe(|| {
            let town = place.get_or_insert_with(|| Town::new(case.keyed));
            stories::run(town, &case)
        }));
        let result = match run {
            Ok((outcome, told)) if case.expected.is_none_or(|expected| expected == outcome) => {
                town = place;
                Ok((outcome, told))
            }
            Ok((outcome, told)) => {
                let story = place.as_ref().map(|town| town.story_of(&case.tx())).unwrap_or_default();
                Err(format!(
                    "{}: {outcome:?}, told {told:?}, expected {:?}\n{story}",
                    case.name(),
                    case.expected
                ))
            }
            // What is wrong in this town must not be laid at the next case's door.
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let story = place.as_ref().map(|town| town.story_of(&case.tx())).unwrap_or_default();
                Err(format!("{}: {}\n{story}", case.name(), text.unwrap_or_default()))
            }
        };
        if result.is_err() {
            wrong.fetch_add(1, Ordering::Relaxed);
        }
        rows.lock().unwrap().push(Row { case, result, took: began.elapsed() });
    }
}

impl Case {
    /// What messages call it.
    pub fn name(&self) -> String {
        let Case { number, role, story, victim, crash, keyed, .. } = self;
        let key = if *keyed { "key" } else { "no key" };
        format!("#{number} {role} {} {victim:?} {crash}, {key}", story.name())
    }

    /// Its transaction.
    pub fn tx(&self) -> String {
        format!("kill-{}", self.number)
    }
}

fn read_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in CASES.lines().filter(|line| !line.is_empty()) {
        let (head, deaths) = line.split_once(": ").expect("a line has a head");
        let words: Vec<&str> = head.split_whitespace().collect();
        let victim = match words[2..] {
            ["bank", number] => Victim::Bank(number.parse().unwrap()),
            ["cliente"] => Victim::Client,
            _ => panic!("no victim: {line}"),
        };
        for death in deaths.split_whitespace() {
            let (crash, outcome) = death.split_once('=').expect("a death has an outcome");
            let name = crash.split(':').next().unwrap();
            let point = Point::ALL.iter().find(|point| point.name() == name);
            let expected = match outcome.trim_end_matches('!') {
                "C" => Some(Outcome::Committed),
                "A" => Some(Outcome::Aborted),
                "?" => None,
                _ => panic!("no outcome: {line}"),
            };
            for keyed in [true, false].iter().take(if outcome.ends_with('!') { 1 } else { 2 }) {
                cases.push(Case {
                    number: cases.len() + 1,
                    role: words[0],
                    story: Story::named(words[1]),
                    victim,
                    point: *point.unwrap_or_else(|| panic!("no such point: {name}")),
                    crash,
                    expected,
                    keyed: *keyed,
                });
            }
        }
    }
    cases
}

/// All cases, or those whose names have what `KILL_ONLY` says, for whoever looks into one.
fn choose(mut cases: Vec<Case>) -> (Vec<Case>, bool) {
    match std::env::var("KILL_ONLY") {
        Ok(only) => {
            cases.retain(|case| case.name().contains(&only));
            (cases, false)
        }
        Err(_) => (cases, true),
    }
}

fn check_coverage(rows: &[Row]) {
    let passed: BTreeSet<Point> = rows.iter().map(|row| row.case.point).collect();
    let missed: Vec<&str> =
        Point::ALL.iter().filter(|point| !passed.contains(point)).map(|point| point.name()).collect();
    assert!(missed.is_empty(), "nobody died at: {missed:?}");
    for role in ["keeps", "participates", "drives", "resolves", "recovers", "client"] {
        let mut outcomes: BTreeMap<Outcome, usize> = BTreeMap::new();
        for (outcome, _) in rows.iter().filter(|row| row.case.role == role).flat_map(|row| &row.result) {
            *outcomes.entry(*outcome).or_default() += 1;
        }
        let committed = outcomes.contains_key(&Outcome::Committed);
        let aborted = outcomes.contains_key(&Outcome::Aborted) || role == "keeps";
        assert!(committed && aborted, "{role} saw only {outcomes:?}");
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "\n  role          story         victim   point                  outcome    told       ms\n",
    );
    for Row { case, result, took } in rows {
        let victim = match case.victim {
            Victim::Bank(bank) => format!("bank {bank}"),
            Victim::Client => "cliente".to_owned(),
        };
        let (outcome, told) = match result {
            Ok((outcome, told)) => (format!("{outcome:?}"), format!("{told:?}")),
            Err(_) => ("WRONG".to_owned(), String::new()),
        };
        let (role, story, crash, ms) = (case.role, case.story.name(), case.crash, took.as_millis());
        text.push_str(&format!(
            "  {role:13} {story:13} {victim:8} {crash:22} {outcome:10} {told:10} {ms:5}\n"
        ));
    }
    text
}
