//! Tests of the step log: the text of each event, and that no step is lost, late or cut.

use super::line::Formatter;
use super::*;
use consorcio_core::bank::io::{CoreStep, DoubtCause, Outcome, OwnVote};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::message::{Asked, AskedVerb, Message};
use consorcio_core::ids::{AccountNumber, BankId, BankSet, TaxId, Time, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::{Local, Request};
use consorcio_core::wire::token::{Digest, Seal, Token, Verdict};
use consorcio_core::wire::transaction::Transaction;
use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

/// 2026-11-22T05:38:51.123456Z
const AT_US: i64 = 1_795_325_931_123_456;

fn bank(position: usize) -> BankId {
    BankId::new(position).unwrap()
}

fn tx(id: &str) -> TxId {
    TxId::new(id).unwrap()
}

fn token(verdict: Verdict) -> Token {
    Seal::keyed([9; 32]).token(bank(1), verdict, &tx("t1"), Some(Digest::of(b"{}")), Time(77))
}

fn client() -> Who {
    Who::Address(SocketAddr::from(([127, 0, 0, 1], 53012)))
}

fn line(step: Step) -> String {
    let places = vec!["127.0.0.1:8886".to_owned(), "127.0.0.1:8887".to_owned(), "-".to_owned()];
    let mut out = Vec::new();
    Formatter::new(places).write(&mut out, &Entry { at_us: AT_US, step });
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with('\n') && !text.ends_with(" \n"), "{text:?}");
    text.trim_end_matches('\n').to_owned()
}

/// The line without its time, and with each run of spaces made one.
fn words(step: Step) -> String {
    let line = line(step);
    assert_eq!(&line[..28], "2026-11-22T05:38:51.123456Z ");
    line[28..].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn columns_are_aligned_and_told_apart() {
    let short = line(Step::of_request(&Request::Resolve(tx("t1")), client()));
    assert_eq!(
        short,
        "2026-11-22T05:38:51.123456Z recv       tx=t1                       peer=127.0.0.1:53012  RESOLVE"
    );
    let long = tx(&"x".repeat(64));
    let long = line(Step::of_request(&Request::Resolve(long), client()));
    assert!(long.contains(&format!(" tx={} peer=", "x".repeat(64))), "{long}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table: one line an event")]
fn every_event_has_its_line() {
    let two: BankSet = [bank(0), bank(2)].into_iter().collect();
    let at = SocketAddr::from(([10, 0, 0, 7], 9));
    let v6: SocketAddr = "[::1]:80".parse().unwrap();
    let asked = |verb| Asked { tx: tx("t1"), verb };
    let cases: Vec<(Step, &str)> = vec![
        (Step::Start("0.1.0".into()), "start tx=- peer=- 0.1.0"),
        (Step::Ready("3 places".into()), "ready tx=- peer=- 3 places"),
        (
            Step::Recover {
                records: 3,
                seq: 9,
                undecided: 1,
                took_us: 12,
                text: "torn tail\ncut".into(),
            },
            "recover tx=- peer=- records=3 seq=9 undecided=1 took_us=12 torn tail cut",
        ),
        (Step::Connect(client()), "connect tx=- peer=127.0.0.1:53012"),
        (Step::Dialled(bank(1), at), "connect tx=- peer=127.0.0.1:8887 bank=1 from=10.0.0.7:9"),
        (Step::Disconnect(Who::Address(v6), "end".into()), "disconnect tx=- peer=[::1]:80 end"),
        (
            Step::of_request(
                &Request::Commit(tx("t1"), vec![token(Verdict::Ok)]),
                Who::Link(at, bank(2)),
            ),
            "recv tx=t1 peer=10.0.0.7:9 bank=2 COMMIT tokens=1",
        ),
        (
            Step::of_request(&Request::Local(Local::Ping), client()),
            "recv tx=- peer=127.0.0.1:53012 PING",
        ),
        (
            Step::Bad(client(), Reason::Malformed, "no verb `x`".into()),
            "bad tx=- peer=127.0.0.1:53012 malformed no verb `x`",
        ),
        (
            Step::Vote {
                tx: tx("t1"),
                time: Time(5),
                seq: 2,
                load: Load::Ops(3, two),
                refusal: None,
            },
            "vote tx=t1 peer=- OK time=5 ops=3 banks=0,2 seq=2",
        ),
        (
            Step::Vote {
                tx: tx("t1"),
                time: Time(5),
                seq: 2,
                load: Load::OpsOutside(1, two),
                refusal: None,
            },
            "vote tx=t1 peer=- OK time=5 ops=1 banks=0,2 outside seq=2",
        ),
        (
            Step::Vote {
                tx: tx("t1"),
                time: Time(5),
                seq: 2,
                load: Load::Ops(1, BankSet::EMPTY),
                refusal: Some((Reason::Locked, "storage".into())),
            },
            "vote tx=t1 peer=- NOK locked time=5 ops=1 banks=- seq=2 storage",
        ),
        (
            Step::of_record(
                &Record::Refused { tx: tx("t1"), time: Time(5), reason: Reason::Expired },
                4,
            ),
            "refuse tx=t1 peer=- expired time=5 seq=4",
        ),
        (
            Step::Drove { tx: tx("t1"), ending: Ending::Aborted(bank(2), Reason::Locked), seq: 3 },
            "drove tx=t1 peer=- ABORTED locked by=2 seq=3",
        ),
        (
            Step::Outcome {
                tx: tx("t1"),
                ending: Ending::Committed(Time(8)),
                seq: 3,
                voted: Some(Time(7)),
            },
            "outcome tx=t1 peer=- COMMITTED time=8 voted=7 seq=3",
        ),
        (
            Step::Outcome {
                tx: tx("t1"),
                ending: Ending::Aborted(bank(2), Reason::Refused),
                seq: 3,
                voted: None,
            },
            "outcome tx=t1 peer=- ABORTED refused by=2 seq=3",
        ),
        (
            Step::Client(TaxId::new("12345678900").unwrap(), 6),
            "client tx=- peer=- cpf=..8900 seq=6",
        ),
        (
            Step::Account(AccountNumber::new("12345-6").unwrap(), 7),
            "account tx=- peer=- number=12345-6 seq=7",
        ),
        (
            Step::of_record(
                &Record::Consortium { bank: bank(1), places: vec![String::new(); 3] },
                1,
            ),
            "consortium tx=- peer=- bank=1 places=3 seq=1",
        ),
        (
            Step::of_record(&Record::ClockMoved { time: Time(-3) }, 8),
            "clock tx=- peer=- time=-3 seq=8",
        ),
        (
            Step::of_record(&Record::Stopped { why: "forgot a vote".into() }, 8),
            "fault tx=- peer=- forgot a vote",
        ),
        (
            Step::of_message(&Message::Abort(tx("t1"), None), bank(0)),
            "send tx=t1 peer=127.0.0.1:8886 bank=0 ABORT tokens=0",
        ),
        (
            Step::of_message(&Message::Resolve(tx("t1")), bank(1)),
            "ask tx=t1 peer=127.0.0.1:8887 bank=1 RESOLVE",
        ),
        (
            Step::of_reply(&Reply::Ok(tx("t1"), token(Verdict::Ok)), client()),
            "reply tx=t1 peer=127.0.0.1:53012 OK time=77 by=1",
        ),
        (
            Step::of_reply(
                &Reply::Nok(tx("t1"), token(Verdict::No), Reason::NotHolder, "cpf".into()),
                client(),
            ),
            "reply tx=t1 peer=127.0.0.1:53012 NOK not-holder time=77 by=1 cpf",
        ),
        (
            Step::of_reply(
                &Reply::Committed(tx("t1"), Time(99), token(Verdict::Ok), None),
                client(),
            ),
            "reply tx=t1 peer=127.0.0.1:53012 COMMITTED time=99 by=1",
        ),
        (
            Step::of_reply(&Reply::Done("{}".into()), client()),
            "reply tx=- peer=127.0.0.1:53012 DONE",
        ),
        (
            Step::of_reply(&Reply::Err(Reason::Limit, "line".into()), client()),
            "reply tx=- peer=127.0.0.1:53012 ERR limit line",
        ),
        (
            Step::of_answer(
                bank(1),
                &asked(AskedVerb::Resolve),
                Some(&Reply::Aborted(tx("t1"), token(Verdict::No), Reason::Refused, None)),
            ),
            "answer tx=t1 peer=127.0.0.1:8887 bank=1 RESOLVE ABORTED refused by=1",
        ),
        (
            Step::of_answer(bank(1), &asked(AskedVerb::Prepare), None),
            "answer tx=t1 peer=127.0.0.1:8887 bank=1 PREPARE none",
        ),
        (
            Step::of_core(&CoreStep::Doubt(tx("t1"), DoubtCause::DriverGone)),
            "doubt tx=t1 peer=- driver-gone",
        ),
        (Step::of_core(&CoreStep::Drive(tx("t1"))), "drive tx=t1 peer=-"),
        (Step::of_core(&CoreStep::Silent(tx("t1"), two)), "timeout tx=t1 peer=- silent=0,2"),
        (Step::of_core(&CoreStep::GaveUp(tx("t1"))), "gave-up tx=t1 peer=-"),
        (
            Step::Verdict { tx: tx("t1"), ending: Ending::Unknown(two), oks: 1, banks: 3 },
            "verdict tx=t1 peer=- UNKNOWN silent=0,2 oks=1/3",
        ),
        (
            Step::Verdict { tx: tx("t1"), ending: Ending::Unreached, oks: 0, banks: 3 },
            "verdict tx=t1 peer=- UNREACHED oks=0/3",
        ),
        (
            Step::Sync { upto: 10, records: 4, bytes: 800, took_us: 213 },
            "sync tx=- peer=- upto=10 records=4 bytes=800 took_us=213",
        ),
        (Step::LinkUp(bank(0), 75), "link-up tx=- peer=127.0.0.1:8886 bank=0 took_us=75"),
        (Step::LinkDown(bank(2), "closed".into()), "link-down tx=- peer=- bank=2 closed"),
        (Step::Known(bank(0), Time(6)), "known tx=- peer=127.0.0.1:8886 bank=0 time=6"),
        (Step::Fault("disk full".into()), "fault tx=- peer=- disk full"),
        (Step::Stop("SIGTERM".into()), "stop tx=- peer=- SIGTERM"),
    ];
    for (step, expected) in cases {
        let shown = format!("{step:?}");
        // A peer without an address, as of a place whose bank left, is shown as the list shows it.
        assert_eq!(words(step), expected, "{shown}");
    }
}

#[test]
fn a_transaction_is_told_by_its_size_and_banks() {
    let text = r#"{"ops":[{"bank":0,"op":"set","value":"1"},{"bank":2,"op":"set","value":"1"}]}"#;
    let transaction = Arc::new(Transaction::parse(text).unwrap());
    let with = |refusal| Record::Voted {
        tx: tx("t1"),
        time: Time(5),
        transaction: Arc::clone(&transaction),
        refusal,
    };
    let own = OwnVote { verdict: Verdict::Ok, time: Time(5), digest: None };
    let decided = |outcome| Record::Decided { tx: tx("t1"), own, outcome, votes: Vec::new() };
    let outside = |refusal| Record::OutsideVoted { tx: tx("t1"), own, time: Time(9), refusal };
    let cases = [
        (
            Step::of_record(&outside(None), 8),
            "outcome tx=t1 peer=- COMMITTED time=9 by=outside seq=8",
        ),
        (
            Step::of_record(&outside(Some(Reason::Expired)), 8),
            "outcome tx=t1 peer=- ABORTED expired time=9 by=outside seq=8",
        ),
        (
            Step::of_request(&Request::Execute(tx("t1"), Arc::clone(&transaction)), client()),
            "recv tx=t1 peer=127.0.0.1:53012 EXECUTE ops=2 banks=0,2",
        ),
        (
            Step::of_message(&Message::Prepare(tx("t1"), Arc::clone(&transaction)), bank(0)),
            "send tx=t1 peer=127.0.0.1:8886 bank=0 PREPARE ops=2 banks=0,2",
        ),
        (Step::of_record(&with(None), 7), "vote tx=t1 peer=- OK time=5 ops=2 banks=0,2 seq=7"),
        (
            Step::of_record(&with(Some((Reason::Locked, "storage".into()))), 7),
            "vote tx=t1 peer=- NOK locked time=5 ops=2 banks=0,2 seq=7 storage",
        ),
        (
            Step::of_record(
                &Record::Executed {
                    tx: tx("t1"),
                    time: Time(5),
                    committed: Time(6),
                    transaction: Arc::clone(&transaction),
                    votes: Vec::new(),
                },
                8,
            ),
            "outcome tx=t1 peer=- COMMITTED time=6 voted=5 seq=8",
        ),
        (
            Step::of_record(&decided(Outcome::Committed(Time(9))), 8),
            "outcome tx=t1 peer=- COMMITTED time=9 seq=8",
        ),
        (
            Step::of_record(&decided(Outcome::Aborted(token(Verdict::No), Reason::Limit)), 8),
            "outcome tx=t1 peer=- ABORTED limit by=1 seq=8",
        ),
    ];
    for (step, expected) in cases {
        assert_eq!(words(step), expected);
    }
}

#[test]
fn times_follow_the_calendar_and_never_fail() {
    let mut formatter = Formatter::new(Vec::new());
    let mut time = |at_us| {
        let mut out = Vec::new();
        formatter.write(&mut out, &Entry { at_us, step: Step::Stop("".into()) });
        String::from_utf8(out).unwrap().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(time(0), "1970-01-01T00:00:00.000000Z");
    assert_eq!(time(999_999), "1970-01-01T00:00:00.999999Z");
    assert_eq!(time(1_709_251_199_000_001), "2024-02-29T23:59:59.000001Z");
    assert_eq!(time(-1), "1969-12-31T23:59:59.999999Z");
    assert_eq!(time(i64::MAX), "9223372036854.775807Z");
}

#[test]
fn a_text_stays_one_bounded_line() {
    let line = line(Step::Fault("é\r\n\u{85}x".repeat(1000).into()));
    assert!(!line.chars().any(char::is_control));
    assert!(line.ends_with("...") && line.len() < 600, "{}", line.len());
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("logs").join("servidor-8886.log")
    }

    fn open(&self, options: Options) -> StepLog {
        StepLog::open(&self.log(), options).unwrap()
    }

    fn older(&self, number: usize) -> PathBuf {
        self.folder.path().join("logs").join(format!("servidor-8886.log.{number}"))
    }
}

fn drive(id: &str) -> Step {
    Step::Drive(tx(id))
}

/// Waits for `what` with a deadline that only a broken program meets.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "{what} did not come");
        thread::yield_now();
    }
}

fn lines(path: &Path) -> Vec<String> {
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
fn files_are_rotated_and_the_oldest_go() {
    let place = Place::new();
    let log = place.open(Options { bytes_max: 200, keep: 2, ..Options::default() });
    for number in 0..20 {
        log.record(drive(&format!("t{number:02}")));
        assert!(log.flush(Duration::from_secs(20)));
    }
    let shown = |path: &Path| -> BTreeSet<String> {
        lines(path).iter().map(|line| line.split("tx=").nth(1).unwrap()[..3].to_owned()).collect()
    };
    let all: Vec<_> =
        [place.older(2), place.older(1), place.log()].iter().flat_map(|p| shown(p)).collect();
    let newest: Vec<_> = (20 - all.len()..20).map(|number| format!("t{number:02}")).collect();
    assert!(all.len() >= 5);
    assert_eq!(all, newest);
    assert!(!place.older(3).exists());
}

#[test]
fn with_none_kept_only_the_newest_file_stays() {
    let place = Place::new();
    let log = place.open(Options { bytes_max: 100, keep: 0, ..Options::default() });
    log.record(drive("t1"));
    assert!(log.flush(Duration::from_secs(20)));
    log.record(drive("t2"));
    log.close();
    assert_eq!(lines(&place.log()).len(), 1);
    assert!(lines(&place.log())[0].contains("tx=t2"));
    assert!(!place.older(1).exists());
}

#[test]
fn a_moved_file_is_left_when_asked() {
    let place = Place::new();
    let log = place.open(Options::default());
    log.record(drive("t1"));
    assert!(log.flush(Duration::from_secs(20)));
    let moved = place.folder.path().join("moved.log");
    fs::rename(place.log(), &moved).unwrap();
    log.reopen();
    wait_for("the new file", || place.log().exists());
    log.record(drive("t2"));
    log.close();
    assert!(lines(&moved).len() == 1 && lines(&moved)[0].contains("tx=t1"));
    assert!(lines(&place.log()).len() == 1 && lines(&place.log())[0].contains("tx=t2"));
}

#[test]
fn a_half_line_of_a_killed_program_is_ended() {
    let place = Place::new();
    fs::create_dir_all(place.log().parent().unwrap()).unwrap();
    fs::write(place.log(), "whole\nhalf").unwrap();
    let log = place.open(Options::default());
    log.record(drive("t1"));
    log.close();
    let lines = lines(&place.log());
    assert_eq!(lines[..2], ["whole", "half"]);
    assert!(lines[2].contains("tx=t1"));
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
        .args(["--exact", "steplog::tests::panics_on_purpose", "--ignored"])
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
