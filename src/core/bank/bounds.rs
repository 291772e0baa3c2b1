//! Tests of the bounds on undecided transactions, which no golden script reaches.

use super::io::{Caller, Input, Now, Origin, SessionId};
use super::{Core, Identity};
use crate::access::Principal;
use crate::ids::BankId;
use crate::limits::{UNDECIDED_BYTES_MAX, UNDECIDED_MAX};
use crate::wire::request::Request;
use crate::wire::token::Seal;

const NOW: Now =
    Now { wall_us: 1_795_000_000_000_000, shown_us: 1_795_000_000_000_000, mono_us: 1_000_000 };

/// Bank 0 of two, with one account.
fn bank() -> Core {
    let places = vec!["a:1".into(), "b:1".into()];
    let mut core =
        Core::new(Identity { bank: BankId::new(0).unwrap(), places, seal: Seal::keyed([7; 32]) });
    ask(&mut core, r#"CLIENT {"cpf":"12345678900","name":"P","kind":"F"}"#);
    ask(&mut core, r#"ACCOUNT {"number":"1","holders":["12345678900"],"deposit":1000}"#);
    core
}

/// The immediate reply to a client's line; empty if there is none.
fn ask(core: &mut Core, line: &str) -> String {
    let caller = Caller { session: SessionId(1), slot: 0 };
    let request = Request::parse(line).unwrap();
    let origin = Origin::Client;
    let output = core.step(
        NOW,
        &Input::Request {
            caller,
            origin,
            asker: Principal::Operator,
            request,
            waited_us: 0,
            past: None,
        },
    );
    let mut lines = Vec::new();
    output.replies.iter().for_each(|out| out.reply.write_to(&mut lines));
    String::from_utf8(lines).unwrap().trim_end().to_owned()
}

fn deposit(tx: &str, verb: &str, banks: &[u8]) -> String {
    let op = |bank: &u8| format!(r#"{{"bank":{bank},"op":"deposit","account":"1","amount":5}}"#);
    let ops = banks.iter().map(op).collect::<Vec<_>>().join(",");
    format!(r#"{verb} {tx} {{"ops":[{ops}]}}"#)
}

fn starts(reply: &str, with: &str) {
    assert!(reply.starts_with(with), "{reply}, not {with}");
}

#[test]
fn the_number_of_undecided_transactions_is_bounded() {
    let mut core = bank();
    assert_eq!(core.bank.undecided_bounds, (UNDECIDED_MAX, UNDECIDED_BYTES_MAX));
    core.bank.undecided_bounds.0 = 3;
    for tx in ["t1", "t2", "t3"] {
        starts(&ask(&mut core, &deposit(tx, "PREPARE", &[0, 1])), &format!("OK {tx} "));
    }
    let full = "limit too many undecided transactions at this bank";
    let refused = ask(&mut core, &deposit("t4", "PREPARE", &[0, 1]));
    assert!(refused.starts_with("NOK t4 ") && refused.ends_with(full), "{refused}");
    starts(&ask(&mut core, &deposit("t3", "PREPARE", &[0, 1])), "OK t3 ");
    let refused = ask(&mut core, &deposit("t5", "EXECUTE", &[0]));
    assert!(refused.starts_with("ABORTED t5 ") && refused.ends_with(" limit"), "{refused}");
    // A transaction of this bank alone commits at once, so there is room again.
    core.bank.undecided_bounds.0 = 4;
    starts(&ask(&mut core, &deposit("t6", "PREPARE", &[0])), "OK t6 ");
    starts(&ask(&mut core, "COMMIT t6"), "COMMITTED t6 ");
    starts(&ask(&mut core, &deposit("t7", "PREPARE", &[0, 1])), "OK t7 ");
    starts(&ask(&mut core, &deposit("t8", "PREPARE", &[0, 1])), "NOK t8 ");
    assert_eq!(core.undecided(), 4);
}

#[test]
fn the_memory_of_undecided_transactions_is_bounded() {
    let mut core = bank();
    starts(&ask(&mut core, &deposit("t1", "PREPARE", &[0, 1])), "OK t1 ");
    let each = core.bank.undecided_bytes;
    assert!(each > deposit("t1", "", &[0, 1]).len(), "its text is in it: {each}");
    core.bank.undecided_bounds.1 = 3 * each;
    starts(&ask(&mut core, &deposit("t2", "PREPARE", &[0, 1])), "OK t2 ");
    starts(&ask(&mut core, &deposit("t3", "PREPARE", &[0, 1])), "OK t3 ");
    assert_eq!(core.bank.undecided_bytes, 3 * each);
    starts(&ask(&mut core, &deposit("t4", "PREPARE", &[0, 1])), "NOK t4 ");
    // A decided transaction frees all its memory.
    core.bank.undecided_bounds.1 = 4 * each;
    starts(&ask(&mut core, &deposit("t5", "PREPARE", &[0])), "OK t5 ");
    starts(&ask(&mut core, "COMMIT t5"), "COMMITTED t5 ");
    assert_eq!(core.bank.undecided_bytes, 3 * each);
    starts(&ask(&mut core, &deposit("t6", "PREPARE", &[0, 1])), "OK t6 ");
    starts(&ask(&mut core, &deposit("t7", "PREPARE", &[0, 1])), "NOK t7 ");
}
