//! Runs the matrix by a few threads, each with banks of its own, prints it, and looks whether
//! anything is missing in it.

use crate::kill_matrix::cases::{self, Case, Victim};
use crate::kill_matrix::cluster::{AccountCluster, Outcome, Told};
use crate::kill_matrix::stories;
use consorcio::crash::Point;
use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Threads that run cases with a key, and as many without: processes wait for each other most of
/// the time, so there are a few more than processors.
const THREADS: usize = 2;

/// After so many wrong cases, each of which may have waited long for what never came, no other is
/// begun.
const WRONG_MAX: usize = 4;

/// In which order lines of two banks come to a third one is nobody's to say: a bank may hear from
/// one what another was to make it ask for, and then does not pass its point. A death that never
/// came is waited for so many times.
const TRIES: usize = 3;

/// What the dead are in the matrix, and whether some of their transactions must have been aborted:
/// all roles have seen commits.
const ROLES: &[(&str, bool)] = &[
    ("keeps", false),
    ("participates", true),
    ("drives", true),
    ("resolves", true),
    ("asked", true),
    ("recovers", true),
    ("links", true),
    ("outside", true),
    ("tells", false),
    ("client", true),
];

/// What came of a case.
struct MatrixRow {
    case: Case,
    result: Result<(Outcome, Told), String>,
    took: Duration,
}

/// Runs the whole matrix, prints it as a table, and fails with all that was wrong.
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
    println!("{}{} deaths in {:.1?}", table(&rows), rows.len(), began.elapsed());
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
        if wrong.load(Ordering::Relaxed) >= WRONG_MAX {
            return;
        }
        let Some(case) = queue.lock().unwrap().pop_front() else { return };
        let began = Instant::now();
        let mut place = cluster.take().filter(|_| !case.story.wants_fresh_banks());
        let mut tries = 1;
        let run = loop {
            let run = catch_unwind(AssertUnwindSafe(|| {
                let cluster = place.get_or_insert_with(|| AccountCluster::new(case.keyed));
                stories::run(cluster, &case)
            }))
            .map_err(words_of);
            match &run {
                Err(text) if text.contains("it never came: the death of") && tries < TRIES => {
                    println!("{}: {text}; again, with other banks", case.name());
                    place = None;
                    tries += 1;
                }
                Ok(_) | Err(_) => break run,
            }
        };
        let result = match run {
            Ok((outcome, told)) if case.expected.is_none_or(|expected| expected == outcome) => {
                cluster = place.filter(|_| !case.story.leaves_other_banks());
                Ok((outcome, told))
            }
            Ok((outcome, told)) => {
                let story =
                    place.as_ref().map(|cluster| cluster.story_of(&case.tx())).unwrap_or_default();
                Err(format!(
                    "{}: {outcome:?}, told {told:?}, expected {:?}\n{story}",
                    case.name(),
                    case.expected
                ))
            }
            // What is wrong in this cluster must not be laid at the next case's door.
            Err(text) => {
                let story =
                    place.as_ref().map(|cluster| cluster.story_of(&case.tx())).unwrap_or_default();
                Err(format!("{}: {text}\n{story}", case.name()))
            }
        };
        if result.is_err() {
            wrong.fetch_add(1, Ordering::Relaxed);
        }
        rows.lock().unwrap().push(MatrixRow { case, result, took: began.elapsed() });
    }
}

fn words_of(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
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

/// A process died at every point that there is: of every kind of record, of every verb and reply,
/// before and after.
fn check_coverage(rows: &[MatrixRow]) {
    let passed: BTreeSet<Point> = rows.iter().map(|row| row.case.point).collect();
    let missed: Vec<String> =
        Point::all().filter(|point| !passed.contains(point)).map(Point::name).collect();
    assert!(missed.is_empty(), "nobody died at: {missed:?}");
    println!("all of {} points", passed.len());
    for (role, aborts) in ROLES {
        let of_role = rows.iter().filter(|row| row.case.role == *role).flat_map(|row| &row.result);
        let outcomes: BTreeSet<Outcome> = of_role.map(|(outcome, _)| *outcome).collect();
        assert!(outcomes.contains(&Outcome::Committed), "{role} saw no commit");
        assert!(!aborts || outcomes.contains(&Outcome::Aborted), "{role} saw no abort");
    }
}

fn table(rows: &[MatrixRow]) -> String {
    let mut text = String::from(
        "\n  role          story            victim   point                    key file  \
         outcome    told        ms\n",
    );
    for MatrixRow { case, result, took } in rows {
        let victim = match case.victim {
            Victim::Bank(bank) => format!("bank {bank}"),
            Victim::Client => "cliente".to_owned(),
        };
        let (outcome, told) = match result {
            Ok((outcome, told)) => (format!("{outcome:?}"), format!("{told:?}")),
            Err(_) => ("WRONG".to_owned(), String::new()),
        };
        let (role, story, crash, ms) =
            (case.role, case.story.name(), &case.crash, took.as_millis());
        let key = if case.keyed { "yes" } else { "no" };
        text.push_str(&format!(
            "  {role:13} {story:16} {victim:8} {crash:24} {key:4} {outcome:10} {told:10} {ms:5}\n"
        ));
    }
    text
}
