//! Tests of the step log's file and thread: no step is lost, late or cut.

use super::buffer::BUFFER_BYTES_MAX;
use super::tests::*;
use super::*;
use consorcio_core::limits::{STEP_FLUSH_MS, STEP_HOLD_MS, STEP_MEMORY_BYTES_MAX};
use std::fs;
use std::time::Instant;

pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("logs").join("servidor-8886.log")
    }

    pub(super) fn open(&self, options: Options) -> StepLog {
        StepLog::open(&self.log(), options).unwrap()
    }

    pub(super) fn older(&self, number: usize) -> PathBuf {
        self.folder.path().join("logs").join(format!("servidor-8886.log.{number}"))
    }
}

pub(super) fn drive(id: &str) -> Step {
    Step::Drive(tx(id))
}

/// Waits for `what` with a deadline that only a broken program meets.
pub(super) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "{what} did not come");
        thread::yield_now();
    }
}

pub(super) fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_reader_sees_a_step_without_a_flush() {
    let place = Place::new();
    let log = place.open(Options::default());
    for number in 0..5 {
        let id = format!("t{number}");
        log.record(drive(&id));
        wait_for("the line", || lines(&place.log()).iter().any(|line| line.contains(&id)));
    }
}

#[test]
fn no_step_is_lost_cut_or_out_of_its_threads_order() {
    const THREADS: usize = 6;
    const STEPS: usize = 20_000;
    let place = Place::new();
    let log = place.open(Options { bytes_max: 300_000, keep: 1_000, ..Options::default() });
    thread::scope(|scope| {
        for at in 0..THREADS {
            let log = log.clone();
            scope.spawn(move || {
                let mut batch = Vec::new();
                for number in 0..STEPS {
                    let step = drive(&format!("t{at}-{number}"));
                    if at % 2 == 0 {
                        log.record(step);
                    } else {
                        batch.push(Entry { at_us: AT_US, step });
                        if batch.len() == 64 {
                            log.append(&mut batch);
                            assert!(batch.is_empty());
                        }
                    }
                }
                log.append(&mut batch);
            });
        }
    });
    log.close();
    let mut files: Vec<_> =
        (1..).map(|n| place.older(n)).take_while(|path| path.exists()).collect();
    assert!(files.len() > 3, "the test must rotate");
    files.reverse();
    files.push(place.log());
    let mut next = [0; THREADS];
    for path in files {
        assert!(fs::metadata(&path).unwrap().len() <= 301_000);
        for line in lines(&path) {
            let id = line.split("tx=t").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
            let (at, number) = id.split_once('-').unwrap();
            let at: usize = at.parse().unwrap();
            assert_eq!(number.parse::<usize>().unwrap(), next[at], "{line}");
            next[at] += 1;
        }
    }
    assert_eq!(next, [STEPS; THREADS]);
}

/// The bank's thread tells some steps late, and the journal's at once: a file has them by time all
/// the same.
#[test]
fn lines_stand_in_the_order_of_their_times() {
    let place = Place::new();
    let log = place.open(Options::default());
    let mut late = Vec::new();
    for round in 0..20 {
        let now = wall_us();
        if late.is_empty() {
            log.keeps_since(Some(now));
        }
        late.push(Entry { at_us: now, step: drive(&format!("early{round}")) });
        log.record(drive(&format!("late{round}")));
        // Longer than a step is held by itself, so that only the told time keeps the younger one
        // back.
        thread::sleep(Duration::from_millis(STEP_HOLD_MS.unsigned_abs() + 2 * STEP_FLUSH_MS) / 10);
        if round % 10 == 9 {
            log.append(&mut late);
            log.keeps_since(None);
        }
    }
    // What nobody said that it is kept comes in order, too, but for a try in which this thread was
    // kept waiting.
    let mut tries = 0;
    let held = loop {
        tries += 1;
        assert!(tries < 1_000, "this thread is never let go on");
        let (now, held) = (wall_us(), format!("held{tries}-"));
        log.record_at(now, drive(&format!("{held}second")));
        log.record_at(now - 5_000, drive(&format!("{held}first")));
        if wall_us() - now < STEP_HOLD_MS * 1_000 / 4 {
            break held;
        }
    };
    wait_for("the last line", || lines(&place.log()).len() == 40 + 2 * tries);
    let all = lines(&place.log());
    let judged = all.iter().filter(|line| !line.contains("held") || line.contains(&held));
    let times: Vec<&str> = judged.map(|line| &line[..27]).collect();
    assert!(times.len() == 42 && times.is_sorted(), "{times:#?}");
    let ids: Vec<String> = lines(&place.log()).iter().map(|line| line[30..].to_owned()).collect();
    assert!(ids[0].contains("early0") && ids[1].contains("late0"), "{ids:#?}");
}

/// A thread that keeps a step for ever, and a clock that is set back, hold up no line.
#[test]
fn no_line_is_held_for_long() {
    let place = Place::new();
    let log = place.open(Options::default());
    log.keeps_since(Some(wall_us()));
    log.record(drive("t1"));
    wait_for("a line of a thread that hangs", || lines(&place.log()).len() == 1);
    log.keeps_since(None);
    log.record_at(wall_us() + 3_600_000_000, drive("t2"));
    wait_for("a line from before the clock was set back", || lines(&place.log()).len() == 2);
}

#[test]
fn only_its_owner_reads_it_and_what_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let folder = place.log().parent().unwrap().to_owned();
    let deep = folder.join("a").join("b").join("x.log");
    let log =
        StepLog::open(&deep, Options { bytes_max: 100, keep: 1, ..Options::default() }).unwrap();
    for id in ["t1", "t2"] {
        log.record(drive(id));
        assert!(log.flush(Duration::from_secs(20)));
    }
    log.close();
    let rotated = deep.with_file_name("x.log.1");
    assert_eq!([mode(&deep), mode(&rotated)], [0o600; 2]);
    assert_eq!([mode(&folder), mode(&folder.join("a")), mode(&folder.join("a/b"))], [0o700; 3]);

    let exposed = || RotatedFile::open(&deep, 100, 1).unwrap().exposed();
    let set = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(exposed(), None);
    set(deep.parent().unwrap(), 0o755);
    assert_eq!(exposed(), None, "names of logs alone tell nothing");
    set(&rotated, 0o640);
    let (shown, above) = (rotated.display(), deep.parent().unwrap().display());
    assert_eq!(exposed().unwrap(), format!("chmod 700 {above} && chmod 600 {shown}"));
    set(&rotated, 0o600);
    set(deep.parent().unwrap(), 0o777);
    assert_eq!(exposed().unwrap(), format!("chmod 700 {above}"));
    assert_eq!(mode(deep.parent().unwrap()), 0o777, "only told");
}

#[test]
fn a_recorder_waits_where_memory_is_full() {
    // Steps are made heavy so that the bound is met after few of them.
    let place = Place::new();
    let log = place.open(Options { bytes_max: 100_000, keep: 2, ..Options::default() });
    let heavy: Box<str> = "x".repeat(1024 * 1024).into();
    for number in 0..200 {
        log.record(Step::Fault(format!("n{number} {heavy}").into()));
        let held = log.0.as_ref().unwrap().shared.lock().bytes;
        assert!(held <= BUFFER_BYTES_MAX + 2 * 1024 * 1024, "{held}");
    }
    log.close();
    assert!(lines(&place.log()).last().unwrap().contains("n199 xxx"));
}

/// A pipe that nobody reads stands for a disk that hangs.
#[test]
fn a_log_that_hangs_holds_nobody_up_and_says_how_much_it_dropped() {
    let place = Place::new();
    std::fs::create_dir_all(place.log().parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(place.log()).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    let log = place.open(Options { bytes_max: 0, ..Options::default() });
    let heavy: Box<str> = "x".repeat(256 * 1024).into();
    let began = std::time::Instant::now();
    let all = 2 * STEP_MEMORY_BYTES_MAX / heavy.len();
    for number in 0..all {
        log.record(Step::Fault(format!("n{number} {heavy}").into()));
        let held = log.0.as_ref().unwrap().shared.lock().bytes;
        assert!(held <= BUFFER_BYTES_MAX + 2 * heavy.len(), "{held}");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?} for {all} steps: each waited");
    assert!(!log.flush(Duration::from_millis(10)), "it hangs");
    // Somebody reads now: it goes on, and tells what is missing, once.
    let mut pipe = fs::OpenOptions::new().read(true).write(true).open(place.log()).unwrap();
    let reader = std::thread::spawn(move || {
        let (mut text, mut bytes) = (String::new(), vec![0; 64 * 1024]);
        while !text.contains("n-last") {
            let read = io::Read::read(&mut pipe, &mut bytes).unwrap();
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        text
    });
    assert!(log.flush(Duration::from_secs(60)));
    log.record(Step::Fault("n-last".into()));
    let text = reader.join().unwrap();
    let told: Vec<&str> = text.lines().filter(|line| line.contains("steps dropped")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let dropped: usize =
        told[0].split_whitespace().rev().nth(11).unwrap_or("").parse().unwrap_or(0);
    let written = text.lines().filter(|line| line.contains(" xxx")).count();
    assert!(
        dropped > 0 && dropped + written == all,
        "{dropped} dropped, {written} written of {all}: {told:?}"
    );
    log.close();
}

#[test]
fn one_that_still_hangs_is_closed_in_time() {
    let place = Place::new();
    std::fs::create_dir_all(place.log().parent().unwrap()).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(place.log())
            .status()
            .is_ok_and(|made| made.success())
    );
    let log = place.open(Options { bytes_max: 0, ..Options::default() });
    for _ in 0..2_000 {
        log.record(Step::Fault("x".repeat(300).into()));
    }
    let began = std::time::Instant::now();
    log.close();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    log.record(drive("t1"));
    assert!(log.flush(Duration::ZERO), "nobody waits for it any more");
}

#[test]
fn the_last_handle_writes_what_was_recorded() {
    let place = Place::new();
    let log = place.open(Options::default());
    let other = log.clone();
    drop(log);
    other.record(drive("t1"));
    drop(other);
    assert_eq!(lines(&place.log()).len(), 1);
}

#[test]
fn a_closed_log_holds_nobody_up() {
    let place = Place::new();
    let log = place.open(Options::default());
    log.close();
    log.close();
    log.record(drive("t1"));
    log.append(&mut vec![Entry { at_us: 0, step: drive("t2") }]);
    assert!(log.flush(Duration::ZERO));
    assert_eq!(lines(&place.log()).len(), 0);
}

#[test]
fn off_makes_no_file() {
    let place = Place::new();
    let log = place.open(Options { on: false, ..Options::default() });
    assert!(!log.is_on());
    let mut batch = vec![Entry { at_us: 0, step: drive("t2") }];
    log.append(&mut batch);
    assert!(batch.is_empty());
    log.record(drive("t1"));
    log.reopen();
    log.close();
    assert!(!place.log().exists());
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let place = Place::new();
    let blocked = place.folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    let error = StepLog::open(&blocked.join("x.log"), Options::default()).unwrap_err();
    assert!(error.to_string().contains("x.log"), "{error}");
}

/// /dev/full takes no byte: the disk is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_nobody() {
    let Ok(log) = StepLog::open(Path::new("/dev/full"), Options::default()) else {
        return; // some sandboxes have no such device
    };
    for number in 0..1000 {
        log.record(drive(&format!("t{number}")));
    }
    assert!(log.flush(Duration::from_secs(20)));
    log.close();
}

/// Where the test that panics on purpose puts its log; only the test below sets it.
const PANIC_LOG: &str = "CONSORCIO_TEST_PANIC_LOG";

#[test]
fn a_panic_is_told_before_the_process_goes() {
    let place = Place::new();
    let test = std::env::current_exe().unwrap();
    let ended = std::process::Command::new(test)
        .args(["--exact", "steplog::file_tests::panics_on_purpose", "--ignored"])
        .env(PANIC_LOG, place.log())
        .output()
        .unwrap();
    assert!(!ended.status.success());
    let lines = lines(&place.log());
    assert!(lines[0].contains("tx=t1"), "{lines:?}");
    assert!(lines[1].contains("fault") && lines[1].contains("the books are wrong"), "{lines:?}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn panics_on_purpose() {
    let Some(path) = std::env::var_os(PANIC_LOG) else { return };
    let log = StepLog::open(Path::new(&path), Options::default()).unwrap();
    log.flush_on_panic();
    log.record(drive("t1"));
    // Whatever drops the log afterwards is not what wrote it: this thread's handle is leaked.
    std::mem::forget(log);
    panic!("the books are wrong");
}
