//! Runs the matrix on a few threads, each with banks of its own, prints it, and checks that it
//! covers every crash point.

use crate::kill_matrix::cases::{self, Case, Victim};
use crate::kill_matrix::cluster::{AccountCluster, FinalOutcome, ReportedOutcome};
use crate::kill_matrix::scenarios;
use consorcio::crash::Point;
use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Threads for cases with a key file, and as many for cases without. The processes mostly wait for
/// each other, so there are more threads than processors.
const THREADS: usize = 2;

/// The run stops after this many failures, as each may have waited for its whole timeout.
const FAILURES_MAX: usize = 4;

/// Attempts at a crash that never comes. The lines of two banks reach a third in any order, so a
/// bank may learn from one what it was to request from the other, and then never passes its point.
const ATTEMPTS_MAX: usize = 3;

/// The victim's roles, and whether some of its transactions must have been aborted. Each role must
/// have seen a commit.
const ROLES: &[(&str, bool)] = &[
    ("stores", false),
    ("participates", true),
    ("drives", true),
    ("resolves", true),
    ("queried", true),
    ("recovers", true),
    ("links", true),
    ("outside", true),
    ("reads", false),
    ("client", true),
];

/// The result of one case.
struct MatrixRow {
    case: Case,
    result: Result<(FinalOutcome, ReportedOutcome), String>,
    took: Duration,
}

/// Runs the whole matrix, prints it as a table, and fails with every wrong case.
pub fn all() {
    let began = Instant::now();
    let (chosen, whole) = choose(cases::read());
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
    println!("{}{} crashes in {:.1?}", table(&rows), rows.len(), began.elapsed());
    let wrong: Vec<String> =
        rows.iter().filter_map(|row| Some(row.result.as_ref().err()?.clone())).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    if whole {
        check_coverage(&rows);
    }
}

fn work(queue: &Mutex<VecDeque<Case>>, rows: &Mutex<Vec<MatrixRow>>, wrong: &AtomicUsize) {
    let mut cluster = None;
    loop {
        if wrong.load(Ordering::Relaxed) >= FAILURES_MAX {
            return;
        }
        let Some(case) = queue.lock().unwrap().pop_front() else { return };
        let began = Instant::now();
        let mut used = cluster.take().filter(|_| !case.scenario.needs_new_banks());
        let mut attempts = 1;
        let run = loop {
            let run = catch_unwind(AssertUnwindSafe(|| {
                let cluster = used.get_or_insert_with(|| AccountCluster::new(case.keyed));
                scenarios::run(cluster, &case)
            }))
            .map_err(message_of);
            match &run {
                Err(text)
                    if text.contains("timed out: the crash of") && attempts < ATTEMPTS_MAX =>
                {
                    println!("{}: {text}; retrying with new banks", case.name());
                    used = None;
                    attempts += 1;
                }
                Ok(_) | Err(_) => break run,
            }
        };
        let result = match run {
            Ok((outcome, reported)) if case.expected.is_none_or(|expected| expected == outcome) => {
                cluster = used.filter(|_| !case.scenario.changes_the_list());
                Ok((outcome, reported))
            }
            Ok((outcome, reported)) => {
                let timeline =
                    used.as_ref().map(|used| used.timeline_of(&case.tx())).unwrap_or_default();
                Err(format!(
                    "{}: {outcome:?}, reported {reported:?}, expected {:?}\n{timeline}",
                    case.name(),
                    case.expected
                ))
            }
            // The cluster is dropped, so that its fault cannot fail the next case.
            Err(text) => {
                let timeline =
                    used.as_ref().map(|used| used.timeline_of(&case.tx())).unwrap_or_default();
                Err(format!("{}: {text}\n{timeline}", case.name()))
            }
        };
        if result.is_err() {
            wrong.fetch_add(1, Ordering::Relaxed);
        }
        rows.lock().unwrap().push(MatrixRow { case, result, took: began.elapsed() });
    }
}

fn message_of(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// All cases, or for debugging those whose names contain the value of `KILL_ONLY`.
fn choose(mut cases: Vec<Case>) -> (Vec<Case>, bool) {
    match std::env::var("KILL_ONLY") {
        Ok(only) => {
            cases.retain(|case| case.name().contains(&only));
            (cases, false)
        }
        Err(_) => (cases, true),
    }
}

/// Checks that a process crashed at every crash point, and that each role saw the outcomes that it
/// must see.
fn check_coverage(rows: &[MatrixRow]) {
    let passed: BTreeSet<Point> = rows.iter().map(|row| row.case.point).collect();
    let missed: Vec<String> =
        Point::all().filter(|point| !passed.contains(point)).map(Point::name).collect();
    assert!(missed.is_empty(), "no process crashed at: {missed:?}");
    println!("all of {} points", passed.len());
    for (role, aborts) in ROLES {
        let of_role = rows.iter().filter(|row| row.case.role == *role).flat_map(|row| &row.result);
        let outcomes: BTreeSet<FinalOutcome> = of_role.map(|(outcome, _)| *outcome).collect();
        assert!(outcomes.contains(&FinalOutcome::Committed), "{role} saw no commit");
        assert!(!aborts || outcomes.contains(&FinalOutcome::Aborted), "{role} saw no abort");
    }
}

fn table(rows: &[MatrixRow]) -> String {
    let mut text = String::from(
        "\n  role          scenario         victim   point                    key file  \
         outcome    reported    ms\n",
    );
    for MatrixRow { case, result, took } in rows {
        let victim = match case.victim {
            Victim::Bank(bank) => format!("bank {bank}"),
            Victim::Client => "cliente".to_owned(),
        };
        let (outcome, reported) = match result {
            Ok((outcome, reported)) => (format!("{outcome:?}"), format!("{reported:?}")),
            Err(_) => ("WRONG".to_owned(), String::new()),
        };
        let (role, scenario, crash, ms) =
            (case.role, case.scenario.name(), &case.crash, took.as_millis());
        let key = if case.keyed { "yes" } else { "no" };
        text.push_str(&format!(
            "  {role:13} {scenario:16} {victim:8} {crash:24} {key:8} {outcome:10} {reported:10} \
             {ms:5}\n"
        ));
    }
    text
}
