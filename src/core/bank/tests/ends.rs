//! When a bank takes part with others, how it resolves the transactions of a session that ended,
//! and when it must be silent.

use super::*;
use crate::bank::io::{After, CoreStep, DoubtCause, Past};
use crate::bank::known::{Known, Remembered};
use crate::commit::founding::FoundingId;
use crate::ids::BankSet;
use crate::limits::STEP_ITEMS_MAX;

const WALL_US: i64 = 1_795_000_000_000_000;

/// A bank with a new journal takes part with others only after its introduction.
#[test]
fn a_new_bank_is_not_introduced_before_the_record_of_it() {
    let mut core = Core::new(identity());
    let places = identity().places;
    core.apply(&Record::Consortium { bank: BankId::new(0).unwrap(), places });
    core.apply(&Record::Founded { founding: FoundingId::new([1; 16]), introduced: false });
    assert!(!core.is_introduced());
    core.apply(&Record::Introduced { without: BankSet::default(), knows_registers: true });
    assert!(core.is_introduced());
}

/// A session ends with more undecided transactions than one decision may ask about: the bank asks
/// about each of them once.
#[test]
fn the_transactions_of_an_ended_session_are_asked_about_once_in_bounded_steps() {
    let mut network = Network::new(WALL_US);
    network.input(&Input::PeerUp(BankId::new(1).unwrap()));
    let count = STEP_ITEMS_MAX + 88;
    for n in 0..count {
        assert!(matches!(network.send(&format!("PREPARE t{n} {BOTH}")), Reply::Ok(..)));
    }
    let asked = |output: &Output| {
        let cause = |step: &CoreStep| matches!(step, CoreStep::Doubt(_, DoubtCause::DriverGone));
        output.steps.iter().filter(|step| cause(step)).count()
    };
    let mut counts = vec![asked(&network.input(&Input::Closed(SessionId(1))))];
    counts.extend((0..3).map(|_| asked(&network.input(&Input::Tick))));
    assert_eq!(counts, [STEP_ITEMS_MAX, 88, 0, 0]);
}

/// A bank that has forgotten a vote sends nothing and records nothing any more.
#[test]
fn a_bank_that_stopped_is_silent() {
    let mut network = Network::new(WALL_US);
    network.send(&format!("PREPARE t1 {BOTH}"));
    network.core.apply(&Record::Stopped { why: "it forgot".to_owned() });
    let records = network.journal.len();
    for line in ["STATUS t1", "ABORT t1", &format!("PREPARE t2 {BOTH}")] {
        let caller = Caller { session: SessionId(1), slot: 0 };
        let (origin, request) = (Origin::Client, Request::parse(line).unwrap());
        let input = Input::Request {
            caller,
            origin,
            asker: Principal::Operator,
            request,
            waited_us: 0,
            past: None,
        };
        assert!(network.input(&input).replies.is_empty(), "{line}");
    }
    network.input(&Input::Closed(SessionId(1)));
    assert_eq!(network.journal.len(), records);
}

/// An id that memory does not hold need not be new.
#[test]
fn an_outcome_dropped_from_memory_is_known_from_the_index() {
    let mut network = Network::new(WALL_US);
    let tx = crate::ids::TxId::new("t1").unwrap();
    let known = |bank: &Bank, past: Option<&Past>| match bank.known(&tx, past) {
        Known::New => "new",
        Known::Prepared(_) => "prepared",
        Known::Ended(_) => "ended",
    };
    let remembered = |bank: &Bank| match bank.remembered(&tx) {
        Remembered::Nothing => "nothing",
        Remembered::Prepared(_) => "prepared",
        Remembered::Ended(_) => "ended",
    };
    let both = |core: &Core| (known(&core.bank, None), remembered(&core.bank));
    assert_eq!(both(&network.core), ("new", "nothing"));
    network.send(&format!("PREPARE t1 {BOTH}"));
    assert_eq!(both(&network.core), ("prepared", "prepared"));
    let mut network = Network::new(WALL_US);
    network.send("RESOLVE t1");
    assert_eq!(both(&network.core), ("ended", "ended"));
    let record = network.journal.pop().unwrap();
    network.core.bank.outcomes.forget(u64::MAX, 0, usize::MAX);
    assert_eq!(remembered(&network.core.bank), "nothing");
    assert_eq!(known(&network.core.bank, Some(&Past { record })), "ended");
}

/// Each reply has what must be durable before it: the vote that it reveals, all that a read
/// reflects, or nothing.
#[test]
fn each_reply_has_what_must_be_durable_first() {
    let mut network = Network::new(WALL_US);
    let after = |network: &mut Network, line: &str| {
        let caller = Caller { session: SessionId(1), slot: 0 };
        let (origin, request) = (Origin::Client, Request::parse(line).unwrap());
        let input = Input::Request {
            caller,
            origin,
            asker: Principal::Operator,
            request,
            waited_us: 0,
            past: None,
        };
        network.input(&input).replies.pop().unwrap_or_else(|| panic!("{line}")).after
    };
    let prepare = format!("PREPARE t1 {BOTH}");
    let voted = after(&mut network, &prepare);
    let vote = network.core.seq();
    assert_eq!(voted, After::Record(vote));
    assert_eq!(after(&mut network, "RESOLVE t2"), After::Record(vote + 1));
    // The repeated vote is an older record.
    assert_eq!(after(&mut network, &prepare), After::Record(vote));
    assert_eq!(after(&mut network, "INFO"), After::Newest(vote + 1));
    assert_eq!(after(&mut network, "BALANCE 2"), After::Newest(vote + 1));
    let unbalanced = r#"{"ops":[{"bank":1,"op":"debit","account":"1","amount":1}]}"#;
    assert_eq!(after(&mut network, &format!("PREPARE t3 {unbalanced}")), After::Now);
    assert!(After::Now.is_met(0) && After::Durable.is_met(0));
    assert!(After::Record(2).is_met(2) && !After::Record(2).is_met(1));
    assert!(!After::Decision(2).is_met(1) && !After::Newest(2).is_met(1));
}

/// A foreign journal may contain records of introduction that no bank writes.
#[test]
fn an_introduction_that_no_bank_records_is_not_admitted() {
    let mut core = Core::new(identity());
    let founding = FoundingId::new([1; 16]);
    let met = |bank| Record::Met { bank: BankId::new(bank).unwrap(), founding };
    let introduced = || Record::Introduced { without: BankSet::default(), knows_registers: true };
    core.apply(&Record::Consortium { bank: BankId::new(0).unwrap(), places: identity().places });
    let fault = |core: &Core, record| core.admits(&record).err().unwrap_or_default();
    let founded = || Record::Founded { founding, introduced: false };
    assert_eq!(fault(&core, founded()), "");
    core.apply(&founded());
    assert!(fault(&core, founded()).contains("a second time"));
    assert!(fault(&core, met(0)).contains("or is this one"));
    assert_eq!(fault(&core, met(1)), "");
    core.apply(&met(1));
    assert!(fault(&core, met(1)).contains("a second time"));
    assert_eq!(fault(&core, introduced()), "");
    core.apply(&introduced());
    assert!(fault(&core, introduced()).contains("a second time"));
}

/// A text is cut between characters.
#[test]
fn the_beginning_of_a_text_ends_between_characters() {
    let of = crate::bank::read::beginning;
    assert_eq!((of("não", 9), of("não", 4), of("não", 2), of("não", 0)), ("não", "não", "n", ""));
}
