//! Tests of the file and thread of the step log: no step is lost, late or cut.

use super::rotation_tests::rotated;
use super::tests::*;
use super::*;
use consorcio_core::limits::{
    STEP_BUFFER_BYTES_MAX, STEP_FLUSH_MS, STEP_HOLD_MS, STEP_MEMORY_BYTES_MAX,
};
use std::fs;
use std::time::Instant;

pub(super) struct TestLog {
    pub(super) folder: tempfile::TempDir,
}

impl TestLog {
    pub(super) fn new() -> TestLog {
        TestLog { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("logs").join("servidor-8886.log")
    }

    pub(super) fn open(&self, options: StepLogOptions) -> StepLog {
        StepLog::open(&self.log(), options).unwrap()
    }

    pub(super) fn older(&self, number: usize) -> PathBuf {
        self.folder.path().join("logs").join(format!("servidor-8886.log.{number}"))
    }
}

pub(super) fn drive(id: &str) -> Step {
    Step::Drive(tx(id))
}

/// Waits for `what`, with a deadline that only a broken program exceeds.
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
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions::default());
    for number in 0..5 {
        let id = format!("t{number}");
        log.record(drive(&id));
        wait_for("the line", || lines(&test_log.log()).iter().any(|line| line.contains(&id)));
    }
}

#[test]
fn no_step_is_lost_cut_or_out_of_the_order_of_its_thread() {
    const THREADS: usize = 6;
    const STEPS: usize = 20_000;
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions {
        bytes_max: 300_000,
        keep: 1_000,
        ..StepLogOptions::default()
    });
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
        (1..).map(|n| test_log.older(n)).take_while(|path| !rotated(path).is_empty()).collect();
    // How often depends on the time that compression takes.
    assert!(!files.is_empty(), "the test must rotate");
    files.reverse();
    files.push(test_log.log());
    let mut next = [0; THREADS];
    for path in files {
        for line in rotated(&path) {
            let id = line.split("tx=t").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
            let (at, number) = id.split_once('-').unwrap();
            let at: usize = at.parse().unwrap();
            assert_eq!(number.parse::<usize>().unwrap(), next[at], "{line}");
            next[at] += 1;
        }
    }
    assert_eq!(next, [STEPS; THREADS]);
}

/// The bank's thread records some steps late, the journal's thread records at once; the file has
/// them in the order of their times.
#[test]
fn lines_are_in_the_order_of_their_times() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions::default());
    let mut late = Vec::new();
    for round in 0..20 {
        let now = wall_us();
        if late.is_empty() {
            log.keeps_since(Some(now));
        }
        late.push(Entry { at_us: now, step: drive(&format!("early{round}")) });
        log.record(drive(&format!("late{round}")));
        // Longer than the hold of a step, so that only `keeps_since` holds back the later one.
        thread::sleep(Duration::from_millis(STEP_HOLD_MS.unsigned_abs() + 2 * STEP_FLUSH_MS) / 10);
        if round % 10 == 9 {
            log.append(&mut late);
            log.keeps_since(None);
        }
    }
    // Without `keeps_since` steps are in order, too, except in a try in which this thread was
    // descheduled.
    let mut tries = 0;
    let held = loop {
        tries += 1;
        assert!(tries < 1_000, "this thread was descheduled in every try");
        let (now, held) = (wall_us(), format!("held{tries}-"));
        log.record_at(now, drive(&format!("{held}second")));
        log.record_at(now - 5_000, drive(&format!("{held}first")));
        if wall_us() - now < STEP_HOLD_MS * 1_000 / 4 {
            break held;
        }
    };
    wait_for("the last line", || lines(&test_log.log()).len() == 40 + 2 * tries);
    let all = lines(&test_log.log());
    let checked = all.iter().filter(|line| !line.contains("held") || line.contains(&held));
    let times: Vec<&str> = checked.map(|line| &line[..27]).collect();
    assert!(times.len() == 42 && times.is_sorted(), "{times:#?}");
    let ids: Vec<String> =
        lines(&test_log.log()).iter().map(|line| line[30..].to_owned()).collect();
    assert!(ids[0].contains("early0") && ids[1].contains("late0"), "{ids:#?}");
}

/// A step that is recorded after later ones were written, because its thread hung.
#[test]
fn a_step_that_comes_too_late_has_the_time_of_the_line_before_it() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions::default());
    let now = wall_us();
    log.record_at(now, drive("t1"));
    assert!(log.flush(Duration::from_secs(20)));
    log.record_at(now - 5_000_000, drive("t2"));
    log.record_at(now - 4_000_000, drive("t3"));
    assert!(log.flush(Duration::from_secs(20)));
    let lines = lines(&test_log.log());
    let at = |number: usize| crate::line::time(lines[number].as_bytes());
    assert_eq!([at(0), at(1), at(2)], [Some(now); 3], "{lines:#?}");
    let order = ["tx=t1", "tx=t2", "tx=t3"];
    assert!(lines.iter().zip(order).all(|(line, tx)| line.ends_with(tx)), "{lines:#?}");
}

/// Neither a thread that never records its steps nor a clock that is set back holds back a line.
#[test]
fn no_line_is_held_for_long() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions::default());
    log.keeps_since(Some(wall_us()));
    log.record(drive("t1"));
    wait_for("a line of a thread that hangs", || lines(&test_log.log()).len() == 1);
    log.keeps_since(None);
    log.record_at(wall_us() + 3_600_000_000, drive("t2"));
    wait_for("a line from before the clock was set back", || lines(&test_log.log()).len() == 2);
}

#[test]
fn only_the_owner_can_read_it_and_exposed_files_are_reported() {
    use std::os::unix::fs::PermissionsExt;
    let test_log = TestLog::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let folder = test_log.log().parent().unwrap().to_owned();
    let deep = folder.join("a").join("b").join("x.log");
    let log = StepLog::open(
        &deep,
        StepLogOptions { bytes_max: 60, keep: 1, ..StepLogOptions::default() },
    )
    .unwrap();
    for id in ["t1", "t2"] {
        log.record(drive(id));
        assert!(log.flush(Duration::from_secs(20)));
    }
    log.close();
    let rotated = deep.with_file_name("x.log.1.zst");
    assert_eq!([mode(&deep), mode(&rotated)], [0o600; 2]);
    assert_eq!([mode(&folder), mode(&folder.join("a")), mode(&folder.join("a/b"))], [0o700; 3]);

    const ONE: Retention = Retention { files: 1, transactions: u64::MAX };
    let exposed = || RotatedFile::open(&deep, 100, ONE).unwrap().exposed();
    let set = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(exposed(), None);
    set(deep.parent().unwrap(), 0o755);
    assert_eq!(exposed(), None, "the names of logs reveal nothing");
    set(&rotated, 0o640);
    let (shown, above) = (rotated.display(), deep.parent().unwrap().display());
    assert_eq!(exposed().unwrap(), format!("chmod 700 {above} && chmod 600 {shown}"));
    set(&rotated, 0o600);
    set(deep.parent().unwrap(), 0o777);
    assert_eq!(exposed().unwrap(), format!("chmod 700 {above}"));
    assert_eq!(mode(deep.parent().unwrap()), 0o777, "modes are reported, not changed");
}

#[test]
fn a_recorder_waits_while_memory_is_full() {
    // Large steps reach the bound after few of them.
    let test_log = TestLog::new();
    let log =
        test_log.open(StepLogOptions { bytes_max: 100_000, keep: 2, ..StepLogOptions::default() });
    let heavy: Box<str> = "x".repeat(1024 * 1024).into();
    for number in 0..200 {
        log.record(Step::Fault(format!("n{number} {heavy}").into()));
        let held = log.0.as_ref().unwrap().shared.lock().bytes;
        assert!(held <= STEP_BUFFER_BYTES_MAX + 2 * 1024 * 1024, "{held}");
    }
    log.close();
    assert!(lines(&test_log.log()).last().unwrap().contains("n199 xxx"));
}

/// A pipe without a reader stands for a disk that hangs.
#[test]
fn a_log_that_hangs_blocks_no_recorder_and_counts_dropped_steps() {
    let test_log = TestLog::new();
    std::fs::create_dir_all(test_log.log().parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(test_log.log()).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    let log = test_log.open(StepLogOptions { bytes_max: 0, ..StepLogOptions::default() });
    let heavy: Box<str> = "x".repeat(256 * 1024).into();
    let began = Instant::now();
    let all = 2 * STEP_MEMORY_BYTES_MAX / heavy.len();
    for number in 0..all {
        log.record(Step::Fault(format!("n{number} {heavy}").into()));
        let held = log.0.as_ref().unwrap().shared.lock().bytes;
        assert!(held <= STEP_BUFFER_BYTES_MAX + 2 * heavy.len(), "{held}");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?} for {all} steps: each waited");
    assert!(!log.flush(Duration::from_millis(10)), "the writer hangs");
    // Once the pipe has a reader, the log continues and reports once what is missing.
    let mut pipe = fs::OpenOptions::new().read(true).write(true).open(test_log.log()).unwrap();
    let reader = thread::spawn(move || {
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
    let reports: Vec<&str> = text.lines().filter(|line| line.contains("steps dropped")).collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let dropped: usize =
        reports[0].split_whitespace().rev().nth(11).unwrap_or("").parse().unwrap_or(0);
    let written = text.lines().filter(|line| line.contains(" xxx")).count();
    assert!(
        dropped > 0 && dropped + written == all,
        "{dropped} dropped, {written} written of {all}: {reports:?}"
    );
    log.close();
}

#[test]
fn a_log_that_hangs_is_closed_in_time() {
    let test_log = TestLog::new();
    std::fs::create_dir_all(test_log.log().parent().unwrap()).unwrap();
    assert!(
        std::process::Command::new("mkfifo")
            .arg(test_log.log())
            .status()
            .is_ok_and(|made| made.success())
    );
    let log = test_log.open(StepLogOptions { bytes_max: 0, ..StepLogOptions::default() });
    for _ in 0..2_000 {
        log.record(Step::Fault("x".repeat(300).into()));
    }
    let began = Instant::now();
    log.close();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    log.record(drive("t1"));
    assert!(log.flush(Duration::ZERO), "a closed log makes no caller wait");
}

#[test]
fn dropping_the_last_handle_writes_all_steps() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions::default());
    let other = log.clone();
    drop(log);
    other.record(drive("t1"));
    drop(other);
    assert_eq!(lines(&test_log.log()).len(), 1);
}

#[test]
fn a_closed_log_blocks_no_recorder() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions::default());
    log.close();
    log.close();
    log.record(drive("t1"));
    log.append(&mut vec![Entry { at_us: 0, step: drive("t2") }]);
    assert!(log.flush(Duration::ZERO));
    assert_eq!(lines(&test_log.log()).len(), 0);
}

#[test]
fn off_makes_no_file() {
    let test_log = TestLog::new();
    let log = test_log.open(StepLogOptions { on: false, ..StepLogOptions::default() });
    assert!(!log.is_on());
    let mut batch = vec![Entry { at_us: 0, step: drive("t2") }];
    log.append(&mut batch);
    assert!(batch.is_empty());
    log.record(drive("t1"));
    log.reopen();
    log.close();
    assert!(!test_log.log().exists());
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let test_log = TestLog::new();
    let blocked = test_log.folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    let error = StepLog::open(&blocked.join("x.log"), StepLogOptions::default()).unwrap_err();
    assert!(error.to_string().contains("x.log"), "{error}");
}

/// /dev/full takes no byte: the disk is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_blocks_no_recorder() {
    let Ok(log) = StepLog::open(Path::new("/dev/full"), StepLogOptions::default()) else {
        return; // some sandboxes have no such device
    };
    for number in 0..1000 {
        log.record(drive(&format!("t{number}")));
    }
    assert!(log.flush(Duration::from_secs(20)));
    log.close();
}

/// The log of the test that panics on purpose; only the test below sets it.
const PANIC_LOG: &str = "CONSORCIO_TEST_PANIC_LOG";

#[test]
fn a_panic_is_logged_before_the_process_ends() {
    let test_log = TestLog::new();
    let test = std::env::current_exe().unwrap();
    let ended = std::process::Command::new(test)
        .args(["--exact", "steplog::file_tests::panics_on_purpose", "--ignored"])
        .env(PANIC_LOG, test_log.log())
        .output()
        .unwrap();
    assert!(!ended.status.success());
    let lines = lines(&test_log.log());
    assert!(lines[0].contains("tx=t1"), "{lines:?}");
    assert!(lines[1].contains("fault") && lines[1].contains("the books are wrong"), "{lines:?}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn panics_on_purpose() {
    let Some(path) = std::env::var_os(PANIC_LOG) else { return };
    let log = StepLog::open(Path::new(&path), StepLogOptions::default()).unwrap();
    log.flush_on_panic();
    log.record(drive("t1"));
    // Leak this handle, so that the panic hook writes the log and not its drop.
    std::mem::forget(log);
    panic!("the books are wrong");
}
