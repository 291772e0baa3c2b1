//! What one owner may use of a bank in closed mode.

use super::*;
use crate::access::{Access, Grant, Name, Role, Roles};
use crate::bank::io::{CoreStep, DoubtCause};
use crate::commit::message::{Message, PeerVerb, RequestKey};
use crate::ids::{BankSet, TaxId};
use crate::limits::{MOVED_CENTAVOS_MAX, UNDECIDED_OF_OWNER_MAX, UNDECIDED_OF_STAFF_PART};

const WALL_US: i64 = 1_795_000_000_000_000;
const SECOND_US: u64 = 1_000_000;

/// Bank 0 of two in closed mode, with account 1 of the holder ana.
struct ClosedBank {
    core: Core,
    mono_us: u64,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn named(text: &str) -> Principal {
    Principal::Named(name(text))
}

fn peer() -> BankId {
    BankId::new(1).unwrap()
}

impl ClosedBank {
    fn new() -> ClosedBank {
        let mut bank = ClosedBank { core: Core::new(identity()), mono_us: 5 * SECOND_US };
        bank.input(&Input::Started(Start::default()));
        bank.input(&Input::PeerUp(peer()));
        let with =
            |role: Role, who: &str| Grant { roles: Roles::NONE.with(role), ..Grant::of(name(who)) };
        let cpfs = vec![TaxId::new("12345678900").unwrap()];
        let grants = vec![
            Grant { cpfs, ..with(Role::Holder, "ana") },
            with(Role::Teller, "caixa"),
            with(Role::Auditor, "rui"),
        ];
        let access = Access::new(grants, BankSet::EMPTY).unwrap();
        bank.input(&Input::AccessChanged(Arc::new(access)));
        bank.ask(named("caixa"), r#"CLIENT {"cpf":"12345678900","name":"P","kind":"F"}"#);
        bank.ask(named("caixa"), r#"ACCOUNT {"number":"1","holders":["12345678900"],"deposit":1}"#);
        bank
    }

    fn input(&mut self, input: &Input) -> Output {
        let now = Now { wall_us: WALL_US, shown_us: WALL_US, mono_us: self.mono_us };
        self.core.step(now, input)
    }

    /// Ticks once so many microseconds have passed; returns what the bank asks about, and why.
    fn pass(&mut self, micros: u64) -> Vec<(String, DoubtCause)> {
        self.mono_us += micros;
        let output = self.input(&Input::Tick);
        let doubts = output.steps.iter().filter_map(|step| match step {
            CoreStep::Doubt(tx, cause) => Some((tx.to_string(), *cause)),
            _ => None,
        });
        let doubts: Vec<_> = doubts.collect();
        let asked = output.sends.iter().filter(|it| matches!(it.message, Message::Resolve(_)));
        assert_eq!(asked.count(), doubts.len(), "the other bank is asked about each: {doubts:?}");
        doubts
    }

    /// The lines that this request is answered with at once, perhaps none.
    fn ask(&mut self, asker: Principal, line: &str) -> String {
        let origin = match asker {
            Principal::Bank(_) => Origin::Link,
            Principal::Named(_) | Principal::Operator => Origin::Client,
        };
        let caller = Caller { session: SessionId(1), slot: 0 };
        let request = Request::parse(line).unwrap();
        let input = Input::Request { caller, origin, asker, request, waited_us: 0, past: None };
        lines(&self.input(&input))
    }

    /// A bank answers a question: it refused for the time-out.
    fn refuses(&mut self, tx: &str) -> String {
        let tx = TxId::new(tx).unwrap();
        let token = identity().seal.token(peer(), Vote::No, &tx, None, Time(WALL_US));
        let asked = RequestKey { tx: tx.clone(), verb: PeerVerb::Resolve };
        let reply = Some(Reply::Aborted(tx, token, Reason::Expired, None));
        lines(&self.input(&Input::Answer { peer: peer(), asked, reply, past: None }))
    }

    fn owners_counted(&self) -> usize {
        self.core.volatile.shares.owners()
    }
}

fn lines(output: &Output) -> String {
    let mut lines = Vec::new();
    output.replies.iter().for_each(|out| out.reply.write_to(&mut lines));
    String::from_utf8(lines).unwrap().trim_end().to_owned()
}

/// A credit to account 1 here, which is debited at the other bank.
fn credit(tx: &str, amount: u64, patience: &str) -> String {
    format!(
        "PREPARE {tx} {{\"ops\":[{{\"bank\":1,\"op\":\"debit\",\"account\":\"2\",\
         \"amount\":{amount}}},{{\"bank\":0,\"op\":\"credit\",\"account\":\"1\",\
         \"amount\":{amount}}}]{patience}}}"
    )
}

const LONG: &str = ",\"patience_ms\":300000";

fn starts(reply: &str, with: &str) {
    assert!(reply.starts_with(with), "{reply}, not {with}");
}

/// The attack: a stranger's credit with the longest patience stands in the way of each audit.
#[test]
fn an_audit_waits_for_no_stranger() {
    let mut bank = ClosedBank::new();
    starts(&bank.ask(named("eve"), &credit("eve.1", 5, LONG)), "OK eve.1 ");
    bank.mono_us += SECOND_US;
    assert_eq!(bank.ask(named("rui"), "SNAPSHOT"), "", "it waits for the vote");
    assert_eq!(bank.pass(2 * SECOND_US - 1), [], "not yet");
    assert_eq!(bank.pass(1), [("eve.1".to_owned(), DoubtCause::CutWaits)]);
    let told = bank.refuses("eve.1");
    starts(&told, "DONE {\"bank\":0,");
    assert_eq!((bank.core.undecided(), bank.owners_counted()), (0, 0));
}

/// What comes after a cut is not in its way, and what was asked about is asked about once.
#[test]
fn a_cut_asks_only_about_the_votes_that_it_waits_for() {
    let mut bank = ClosedBank::new();
    starts(&bank.ask(named("caixa"), &credit("caixa.1", 5, LONG)), "OK ");
    assert_eq!(bank.ask(named("rui"), "SNAPSHOT"), "");
    assert_eq!(bank.ask(named("rui"), "SNAPSHOT"), "");
    starts(&bank.ask(named("caixa"), &credit("caixa.2", 5, LONG)), "OK ");
    assert_eq!(bank.pass(2 * SECOND_US), [("caixa.1".to_owned(), DoubtCause::CutWaits)]);
    assert_eq!(bank.pass(SECOND_US - 1), []);
    starts(&bank.refuses("caixa.1"), "DONE ");
    assert_eq!(bank.ask(named("rui"), "SNAPSHOT"), "");
    assert_eq!(bank.pass(2 * SECOND_US), [("caixa.2".to_owned(), DoubtCause::CutWaits)]);
}

/// In open mode a person with three windows keeps the patience, whatever audits do.
#[test]
fn in_open_mode_a_cut_makes_no_bank_ask_and_patience_and_amounts_are_as_given() {
    let mut bank = ClosedBank::new();
    let more = MOVED_CENTAVOS_MAX + 1;
    starts(&bank.ask(Principal::Operator, &credit("eve.1", more, LONG)), "OK eve.1 ");
    assert_eq!(bank.ask(Principal::Operator, "SNAPSHOT"), "");
    assert_eq!(bank.pass(2 * SECOND_US), []);
    assert_eq!(bank.pass(297 * SECOND_US), []);
    assert_eq!(bank.owners_counted(), 0);
    assert_eq!(bank.pass(SECOND_US), [("eve.1".to_owned(), DoubtCause::TimeOut)]);
}

#[test]
fn the_patience_of_owners_is_ten_seconds_at_most_and_that_of_tellers_as_given() {
    let mut bank = ClosedBank::new();
    let link = Principal::Bank(peer());
    starts(&bank.ask(named("eve"), &credit("eve.1", 5, LONG)), "OK ");
    starts(&bank.ask(link, &credit("eve.2", 5, LONG)), "OK ");
    starts(&bank.ask(named("ana"), &credit("ana.1", 5, ",\"patience_ms\":5000")), "OK ");
    starts(&bank.ask(named("caixa"), &credit("caixa.1", 5, LONG)), "OK ");
    let over = |tx: &str| (tx.to_owned(), DoubtCause::TimeOut);
    assert_eq!(bank.pass(5 * SECOND_US - 1), []);
    assert_eq!(bank.pass(1), [over("ana.1")], "a shorter one stays");
    assert_eq!(bank.pass(5 * SECOND_US - 1), []);
    assert_eq!(bank.pass(1), [over("eve.1"), over("eve.2")], "over a link, too");
    assert_eq!(bank.pass(290 * SECOND_US - 1), []);
    assert_eq!(bank.pass(1), [over("caixa.1")]);
}

#[test]
fn an_operation_moves_a_bounded_amount() {
    let mut bank = ClosedBank::new();
    for (asker, tx) in
        [(named("eve"), "eve.1"), (named("caixa"), "caixa.1"), (Principal::Bank(peer()), "eve.2")]
    {
        let reply = bank.ask(asker.clone(), &credit(tx, MOVED_CENTAVOS_MAX + 1, ""));
        let why = "limit in closed mode an operation moves at most 10000000000000 centavos";
        assert!(reply.starts_with(&format!("NOK {tx} ")) && reply.ends_with(why), "{reply}");
        let tx = format!("{tx}a");
        starts(&bank.ask(asker, &credit(&tx, MOVED_CENTAVOS_MAX, "")), &format!("OK {tx} "));
    }
}

#[test]
fn an_owner_has_a_share_of_the_undecided_transactions_by_whichever_way_they_come() {
    let mut bank = ClosedBank::new();
    let link = Principal::Bank(peer());
    for n in 0..UNDECIDED_OF_OWNER_MAX {
        let asker = if n % 2 == 0 { named("eve") } else { link.clone() };
        starts(&bank.ask(asker, &credit(&format!("eve.{n}"), 1, LONG)), "OK ");
    }
    for (asker, tx) in [(named("eve"), "eve.a"), (link.clone(), "eve.b")] {
        let reply = bank.ask(asker, &credit(tx, 1, LONG));
        let why = "limit eve has 1024 undecided transactions here, and may have no more; end one \
                   first";
        assert!(reply.starts_with(&format!("NOK {tx} ")) && reply.ends_with(why), "{reply}");
    }
    starts(&bank.ask(named("eve"), &credit("eve.0", 1, LONG)), "OK eve.0 ");
    starts(&bank.ask(link, &credit("ana.1", 1, LONG)), "OK ana.1 ");
    assert_eq!(bank.owners_counted(), 2);
    // Each end gives one back.
    starts(&bank.ask(named("eve"), "RESOLVE eve.0"), "");
    bank.refuses("eve.0");
    starts(&bank.ask(named("eve"), &credit("eve.c", 1, LONG)), "OK eve.c ");
    starts(&bank.ask(named("eve"), &credit("eve.d", 1, LONG)), "NOK eve.d ");
}

#[test]
fn tellers_have_a_part_of_all_and_names_leave_nothing_behind() {
    let mut bank = ClosedBank::new();
    bank.core.bank.undecided_bounds.0 = 3 * UNDECIDED_OF_STAFF_PART;
    for n in 0..3 {
        starts(&bank.ask(named("caixa"), &credit(&format!("caixa.{n}"), 1, "")), "OK ");
    }
    starts(&bank.ask(named("caixa"), &credit("caixa.3", 1, "")), "NOK caixa.3 ");
    starts(&bank.ask(named("eve"), &credit("eve.1", 1, "")), "OK eve.1 ");
    assert_eq!(bank.owners_counted(), 2);
    bank.pass(3 * SECOND_US);
    for tx in ["caixa.0", "caixa.1", "caixa.2", "eve.1"] {
        bank.refuses(tx);
    }
    assert_eq!((bank.core.undecided(), bank.owners_counted()), (0, 0));
}
